//! Completion, hints and colours for the line editor.

use std::borrow::Cow;
use std::sync::Arc;

use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::stage::Stages;
use crate::cli::{Guide, Hint};

const RED: &str = "\x1b[31m";
const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";

/// Answers the editor from the grammar.
pub(super) struct Assistant {
    pub guide: Guide,
    /// Whether hints can be told from what was typed.
    pub color: bool,
    /// It has nothing to say: what is typed is no command.
    pub quiet: bool,
    /// Is told when the editor draws.
    pub stages: Arc<Stages>,
}

/// Shown behind the line.
pub(super) struct Shown(Hint);

impl rustyline::hint::Hint for Shown {
    fn display(&self) -> &str {
        match &self.0 {
            Hint::Rest(text) | Hint::Value(text) => text,
        }
    }

    fn completion(&self) -> Option<&str> {
        match &self.0 {
            Hint::Rest(text) => Some(text),
            Hint::Value(_) => None,
        }
    }
}

impl Helper for Assistant {}

impl Validator for Assistant {}

impl Completer for Assistant {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        pos: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        if self.quiet {
            return Ok((pos, Vec::new()));
        }
        let found = self.guide.candidates(line.get(..pos).unwrap_or(line));
        Ok((found.from, found.words))
    }
}

impl Hinter for Assistant {
    type Hint = Shown;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<Shown> {
        // It is asked for before anything is drawn, whatever the terminal can show.
        self.stages.draw();
        if pos < line.len() || !self.color || self.quiet {
            return None;
        }
        self.guide.hint(line).map(Shown)
    }
}

impl Highlighter for Assistant {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        match self.guide.wrong(line).filter(|_| !self.quiet) {
            Some(at) => {
                let (before, word, after) = (&line[..at.start], &line[at.clone()], &line[at.end..]);
                format!("{before}{RED}{word}{PLAIN}{after}").into()
            }
            None => line.into(),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        format!("{DIM}{hint}{PLAIN}").into()
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        // Where the cursor stands changes nothing.
        kind != CmdKind::MoveCursor
    }
}
