//! Line after line, until the person leaves.

use std::cell::Cell;
use std::fmt::Write as _;

use nix::sys::signal::Signal;

use super::editor::{Editor, Said};
use crate::api::Submit;
use crate::cli::{Ended, Lines, Printer, Word};
use crate::diag::Failure;
use crate::render;
use crate::sys::signals::Signals;

/// What the banner ends with.
pub(super) const KEYS: &str =
    "`?' says what can come next, Tab completes, `help COMMAND' explains, `quit' leaves\n";

/// Why the talk is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// `quit`, or Ctrl-D on an empty line.
    Quit,
    /// `detach`.
    Detach,
    /// The terminal has gone, or nobody reads what we print.
    Gone,
    /// This signal came.
    Signal(Signal),
}

/// A terminal and whoever sits there.
pub(super) struct Talk<'a> {
    editor: Editor,
    printer: &'a Printer,
    signals: Signals,
}

impl<'a> Talk<'a> {
    pub(super) fn new(editor: Editor, printer: &'a Printer, signals: Signals) -> Self {
        Self { editor, printer, signals }
    }

    /// Has lines answered until one leaves.
    pub(super) async fn on<S: Submit>(&mut self, lines: &Lines<'_, S>, answers: &S) -> Left {
        let _ = answers;
        loop {
            let line = match self.line().await {
                Ok(Some(line)) => line,
                Ok(None) => continue,
                Err(left) => return left,
            };
            if line.trim().is_empty() {
                continue;
            }
            match self.run(lines, line).await {
                Ok(None) => {}
                Ok(Some(Word::Quit)) => return Left::Quit,
                Ok(Some(Word::Detach)) => return Left::Detach,
                Ok(Some(Word::History(last))) => self.history(last).await,
                Err(left) => return left,
            }
        }
    }

    /// Asks; none where there is no answer.
    pub(super) async fn ask(&mut self, question: &str) -> Result<Option<String>, Left> {
        self.editor.ask(question.to_owned());
        match self.said().await? {
            Said::Line(line) => Ok(Some(line)),
            Said::End | Said::Interrupted | Said::History(_) => Ok(None),
            Said::Gone => Err(Left::Gone),
        }
    }

    /// Prints lines.
    pub(super) async fn print(&self, lines: &str) {
        self.printer.text(lines).await;
    }

    /// Prints why a command is not carried out.
    pub(super) async fn refuse(&self, path: &str, why: &str) {
        self.printer.failure(path, &Failure::usage("", why)).await;
    }

    /// Stops listening to the terminal.
    pub(super) fn hang_up(self) -> Signals {
        self.signals
    }

    /// What the editor says next; a signal that ends a process comes first.
    async fn said(&mut self) -> Result<Said, Left> {
        loop {
            tokio::select! {
                biased;
                signal = self.signals.next() => match signal {
                    // The editor takes Ctrl-C as a key; this one was sent.
                    Ok(Signal::SIGINT) => {}
                    Ok(signal) => return Err(Left::Signal(signal)),
                    Err(_) => return Err(Left::Gone),
                },
                said = self.editor.said() => return Ok(said),
            }
        }
    }

    /// The next line, continuations joined; none when it was given up.
    async fn line(&mut self) -> Result<Option<String>, Left> {
        let mut whole = String::new();
        self.editor.read();
        loop {
            let line = match self.said().await? {
                Said::Line(line) => line,
                Said::Interrupted | Said::History(_) => return Ok(None),
                Said::End if whole.is_empty() => return Err(Left::Quit),
                Said::End => return Ok(Some(whole)),
                Said::Gone => return Err(Left::Gone),
            };
            whole.push_str(&line);
            // An even number of them at the end are escaped ones.
            if whole.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 0 {
                return Ok(Some(whole));
            }
            whole.pop();
            whole.push(' ');
            self.editor.read_on();
        }
    }

    /// Runs a line; Ctrl-C stops it where it can be stopped.
    async fn run<S: Submit>(
        &mut self,
        lines: &Lines<'_, S>,
        line: String,
    ) -> Result<Option<Word>, Left> {
        let last = Cell::new(None);
        let stop = async {
            match self.signals.next().await {
                Ok(Signal::SIGINT) => {}
                Ok(signal) => last.set(Some(Left::Signal(signal))),
                Err(_) => last.set(Some(Left::Gone)),
            }
            Signal::SIGINT as i32
        };
        let ended = lines.run(line, stop).await;
        if let Some(left) = last.get() {
            return Err(left);
        }
        match ended {
            Ended::Asks(word) => Ok(Some(word)),
            Ended::Unheard => Err(Left::Gone),
            Ended::Stopped => {
                // Behind the terminal's own `^C'.
                self.print("\n").await;
                Ok(None)
            }
            Ended::Done | Ended::Failed(_) => Ok(None),
        }
    }

    async fn history(&mut self, last: Option<usize>) {
        self.editor.history(last);
        let Ok(Said::History(typed)) = self.said().await else { return };
        let mut text = String::new();
        for (number, line) in typed {
            // Writing to a string never fails.
            let _ = writeln!(text, "{number:>5}  {}", render::escape(&line));
        }
        self.print(&text).await;
    }
}
