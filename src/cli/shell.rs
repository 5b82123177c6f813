//! The command line as an interactive shell meets it: what it was started with, and its lines.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IsTerminal};
use std::pin::pin;

use tokio::sync::mpsc;

use super::globals::{Globals, color_wanted};
use super::meta::Word;
use super::pager::Pager;
use super::printer::Printer;
use super::reach::Reach;
use super::remote::Remote;
use super::script::Input;
use super::session::{End, Screen, Session};
use super::world::Settings;
use crate::api::Submit;
use crate::diag::{Code, Failure};
use crate::holder::{LogWriter, Place};

/// What a shell was started with.
#[derive(Debug)]
pub struct Shell {
    globals: Globals,
    reach: Reach,
    settings: Settings,
    color: bool,
}

impl Shell {
    pub(super) fn new(globals: Globals, reach: Reach, settings: Settings, color: bool) -> Self {
        Self { globals, reach, settings, color }
    }

    /// It neither asks a holder nor is one for others.
    pub fn is_private(&self) -> bool {
        self.reach.private
    }

    /// Whether notices and the banner are unwanted.
    pub fn is_quiet(&self) -> bool {
        self.globals.quiet
    }

    /// Whether errors are in colour.
    pub fn has_colored_errors(&self) -> bool {
        self.color
    }

    /// Whether the line that is typed, and results, are in colour.
    pub fn has_colors(&self) -> bool {
        color_wanted(self.globals.color, io::stdout().is_terminal())
    }

    /// About the process.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where the control socket is.
    ///
    /// # Errors
    /// When a relative path cannot be made absolute.
    pub fn place(&self) -> Result<Place, Failure> {
        self.reach.place()
    }

    /// The client of the holder there.
    ///
    /// # Errors
    /// As [`Shell::place`].
    pub fn remote<'a, W>(&'a self, world: &'a W) -> Result<Remote<'a, W>, Failure> {
        Ok(Remote { client: self.reach.client()?, world, settings: &self.settings })
    }

    /// The way to stdout and stderr.
    ///
    /// # Errors
    /// When its thread cannot be started.
    pub fn printer(&self) -> Result<Printer, Failure> {
        let pager = if self.globals.no_pager { None } else { Pager::of_terminal() };
        // It is the log once the shell is detached.
        let stderr = LogWriter::new(io::stderr());
        Ok(Printer::start(io::stdout(), stderr, self.color)?.with_pager(pager))
    }

    /// Lines that `answers` answers.
    pub fn lines<'a, S: Submit>(&'a self, answers: &'a S, printer: &'a Printer) -> Lines<'a, S> {
        let session = Session::new(answers, &self.globals, printer, false);
        Lines {
            session: session
                .for_shell(Screen { color: self.has_colors(), prompt: Cell::new(None) }),
        }
    }
}

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All of it is done.
    Done,
    /// It failed, and the failure was printed.
    Failed(Code),
    /// It was told to stop.
    Stopped,
    /// Stdout is closed.
    Unheard,
    /// It asks this of the shell.
    Asks(Word),
}

/// The lines of a shell, one after another.
pub struct Lines<'a, S> {
    session: Session<'a, S>,
}

impl<S> std::fmt::Debug for Lines<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

impl<S: Submit> Lines<'_, S> {
    /// Runs one line to its end and prints the result. `prompt` is the number of columns before the
    /// line, if the line is on the screen unchanged: then a wrong word is marked there. `stop` ends
    /// a pause, a stream, or, after the running line, a script.
    pub async fn run(
        &self,
        line: String,
        prompt: Option<usize>,
        stop: impl Future<Output = i32>,
    ) -> Ended {
        self.session.stands_behind(prompt);
        let (sender, lines) = mpsc::channel(1);
        // There is room for one.
        let _ = sender.try_send(Input { place: String::new(), text: Ok(line) });
        drop(sender);
        match self.session.run(lines, pin!(stop)).await {
            End::OfLines => Ended::Done,
            End::Stopped => Ended::Stopped,
            End::Unheard => Ended::Unheard,
            End::Failed(code) => Ended::Failed(code),
            End::Asked(word) => Ended::Asks(word),
        }
    }

    /// Names of the macros that are defined.
    pub fn macros(&self) -> Vec<String> {
        self.session.macros()
    }
}
