//! How far the editor is with a line, and so how a message is printed.
//!
//! # Theory of operation
//! Between two lines a message is printed as it is; while one is being typed, the editor prints it
//! above. In between, when the editor has begun and its prompt is not drawn yet, the message would be
//! printed after the prompt, which would not be drawn again. So a message waits for the prompt, and no
//! line begins while a message is being printed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest that a message waits: a terminal without cursor keys never tells of its prompt.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// No line is being read.
    #[default]
    Between,
    /// The editor has begun.
    Beginning,
    /// It is about to draw its first prompt, or has.
    Drawn,
}

/// The stage of the one line that there can be.
#[derive(Debug, Default)]
pub(super) struct Stages {
    now: Mutex<Stage>,
    changed: Condvar,
}

impl Stages {
    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The editor begins with a line. Waits while a message is being printed.
    pub(super) fn begin(&self) {
        *self.lock() = Stage::Beginning;
    }

    /// The editor is about to draw.
    pub(super) fn draw(&self) {
        let mut now = self.lock();
        if *now == Stage::Beginning {
            *now = Stage::Drawn;
            self.changed.notify_all();
        }
    }

    /// The editor has ended with its line.
    pub(super) fn end(&self) {
        *self.lock() = Stage::Between;
        self.changed.notify_all();
    }

    /// Prints a message at a moment that is good for it.
    pub(super) fn print(&self, print: impl FnOnce()) {
        let begins = |now: &mut Stage| *now == Stage::Beginning;
        let waited = self.changed.wait_timeout_while(self.lock(), PATIENCE, begins);
        let (now, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *now != Stage::Between {
            // The editor takes it between two keys: nothing may wait for that.
            drop(now);
            return print();
        }
        print();
        drop(now);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn a_message_that_meets_a_line_that_begins_comes_when_its_prompt_is_drawn() {
        let stages = Arc::new(Stages::default());
        let (say, heard) = channel();
        for _ in 0..200 {
            stages.begin();
            let (theirs, tell) = (Arc::clone(&stages), say.clone());
            let printer = thread::spawn(move || theirs.print(|| tell.send("message").unwrap()));
            thread::yield_now();
            say.send("prompt").unwrap();
            stages.draw();
            printer.join().unwrap();
            stages.end();
            assert_eq!([heard.recv().unwrap(), heard.recv().unwrap()], ["prompt", "message"]);
        }
    }

    #[test]
    fn between_lines_and_on_one_that_is_drawn_a_message_waits_for_nobody() {
        let stages = Stages::default();
        let mut printed = 0;
        stages.print(|| printed += 1);
        stages.begin();
        stages.draw();
        stages.print(|| printed += 1);
        stages.end();
        stages.print(|| printed += 1);
        assert_eq!(printed, 3);
    }
}
