//! Prints results on stdout and progress on stderr.
//!
//! On a terminal, progress is one line that is overwritten and then erased; elsewhere a line a second.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use super::Options;
use super::transfer::Throughput;
use crate::diag::Failure;

/// Interval between lines of progress where stderr is no terminal.
const RARELY: Duration = Duration::from_secs(1);

/// Writes to stdout and stderr.
#[derive(Debug)]
pub(super) struct Screen {
    options: Options,
    terminal: bool,
    /// Number of characters of progress on the terminal.
    width: usize,
    told: Duration,
    /// The reader of stdout has closed it, which is no failure.
    unheard: bool,
}

impl Screen {
    pub(super) fn new(options: Options) -> Self {
        let terminal = io::stderr().is_terminal();
        let told = Duration::ZERO;
        Self { options, terminal, width: 0, told, unheard: false }
    }

    fn text(&self) -> bool {
        !self.options.json && !self.options.pretty
    }

    fn out(&mut self, text: &str) -> Result<(), Failure> {
        if self.unheard {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.unheard = true;
                Ok(())
            }
            other => other.map_err(|e| Failure::io("write to stdout", "", &e)),
        }
    }

    /// One result.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn line(&mut self, label: &str, text: &str) -> Result<(), Failure> {
        self.block(&format!("{:<9}{text}\n", format!("{label}:")))
    }

    /// Several lines, each ended.
    ///
    /// # Errors
    /// They cannot be written.
    pub(super) fn block(&mut self, text: &str) -> Result<(), Failure> {
        self.wipe();
        if self.text() { self.out(text) } else { Ok(()) }
    }

    /// Prints how far the transfer is.
    pub(super) fn progress(&mut self, so_far: Throughput) {
        if self.options.quiet || so_far.bytes == 0 {
            return;
        }
        let line = format!("tcp:     A -> B: {so_far}");
        if self.terminal {
            self.tell(&format!("\r{line:<width$}", width = self.width));
            self.width = line.len();
        } else if so_far.time >= self.told + RARELY {
            self.told = so_far.time;
            self.tell(&format!("{line} so far\n"));
        }
    }

    /// Erases the progress from the terminal.
    fn wipe(&mut self) {
        if self.width > 0 {
            self.tell(&format!("\r{:width$}\r", "", width = self.width));
            self.width = 0;
        }
    }

    fn tell(&self, text: &str) {
        // A closed stderr cannot be reported anywhere.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    /// Erases the progress when the demo ends.
    pub(super) fn ended(mut self) -> Self {
        self.wipe();
        self
    }

    /// Prints that everything is removed.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn end(&mut self, results: &Value) -> Result<(), Failure> {
        if self.text() {
            self.line("removed", "both taps and both namespaces")
        } else if self.options.pretty {
            self.out(&format!("{results:#}\n"))
        } else {
            self.out(&format!("{results}\n"))
        }
    }
}
