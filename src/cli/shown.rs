//! What a command prints: on stdout, on stderr, and with which exit code.

use std::io::IsTerminal;

use clap::builder::StyledStr;

use super::bug;
use super::globals::Globals;
use crate::api::{Outcome, Reply, Version};
use crate::diag::{Code, Failure};
use crate::render;
use crate::sys::terminal;

/// The output of one command.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Shown {
    /// For stdout, lines ended.
    pub out: String,
    /// For stderr: what the line begins with (coloured where there is colour), and the rest.
    pub err: Vec<(String, String)>,
    /// None when it is done.
    pub code: Option<Code>,
    /// It is drawn again or short: not for the pager.
    pub unpaged: bool,
}

impl Shown {
    /// A command that has nothing to answer.
    pub(super) fn done(globals: &Globals) -> Self {
        Self::result("", Ok(Reply::Changed(Vec::new()).into()), globals)
    }

    /// The refusal of the command `path`, which began at `place`.
    pub(super) fn failure(place: &str, path: &str, failure: &Failure) -> Self {
        let (begin, text) = (prefix(place, path), render::escape_lines(&failure.to_string()));
        let err = match failure.bug {
            Some(_) => vec![(String::new(), bug::report(begin + &text))],
            None => vec![(begin, text)],
        };
        Self { err, code: Some(failure.code), ..Self::default() }
    }

    /// The result of the command `path`.
    pub(super) fn result(path: &str, result: Result<Outcome, Failure>, globals: &Globals) -> Self {
        let mut outcome = match result {
            Ok(outcome) => outcome,
            Err(failure) => return Self::failure("", path, &failure),
        };
        if let Reply::Version(answered, _) = &mut outcome.reply {
            Version::beside_own(answered);
        }
        let out = if globals.json || globals.pretty {
            render::json(&outcome.reply, globals.pretty)
        } else {
            render::text(&outcome.reply, columns())
        };
        let left = render::left_behind(&outcome.reply);
        let code = (!left.is_empty()).then_some(Code::Failed);
        let notices = if globals.quiet { Vec::new() } else { outcome.notices };
        let notices = notices.into_iter().map(|notice| format!("note: {notice}"));
        let say = |text: String| (prefix("", path), render::escape_lines(&text));
        Self { out, err: notices.chain(left).map(say).collect(), code, unpaged: globals.no_pager }
    }

    /// Help or the version.
    pub(super) fn help(text: &StyledStr, color: bool) -> Self {
        let out = if color { text.ansi().to_string() } else { text.to_string() };
        Self { out, ..Self::default() }
    }

    /// A script line about to run.
    pub(super) fn trace(place: &str, line: &str) -> Self {
        let err = vec![(place.to_owned(), render::escape(line.trim()).into_owned())];
        Self { err, ..Self::default() }
    }

    /// Lines for stdout.
    pub(super) fn text(lines: &str) -> Self {
        Self { out: lines.to_owned(), ..Self::default() }
    }

    /// A line of a log.
    pub(super) fn note(line: &str) -> Self {
        Self { err: vec![(String::new(), render::escape(line).into_owned())], ..Self::default() }
    }

    /// The same, said about a script line at `place`.
    pub(super) fn located(mut self, place: &str) -> Self {
        for (prefix, _) in &mut self.err {
            prefix.insert_str(0, place);
        }
        self
    }

    /// The same, with marks in front under the word that stands so many columns from the left.
    pub(super) fn marking(mut self, column: usize, width: usize) -> Self {
        let marks = format!("{}{}", " ".repeat(column), "^".repeat(width));
        self.err.insert(0, (marks, String::new()));
        self
    }

    /// The same without its results.
    pub(super) fn without_out(self) -> Self {
        Self { out: String::new(), ..self }
    }

    /// The same, done: its code was a verdict about what it looked at. A refusal stays one.
    pub(super) fn without_verdict(self) -> Self {
        let code = self.code.filter(|_| !self.err.is_empty());
        Self { code, ..self }
    }

    /// What goes to stderr.
    pub(super) fn stderr(&self, color: bool) -> String {
        let paint = |prefix: &str| {
            let painted = color && self.code.is_some() && !prefix.is_empty();
            if painted { format!("\x1b[1;31m{prefix}\x1b[0m") } else { prefix.to_owned() }
        };
        self.err.iter().map(|(prefix, text)| format!("{}{text}\n", paint(prefix))).collect()
    }
}

/// Columns of the terminal that results go to; none where they go elsewhere.
pub(super) fn columns() -> Option<usize> {
    let stdout = std::io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    terminal::size(stdout).map(|(columns, _)| columns)
}

fn prefix(place: &str, path: &str) -> String {
    if path.is_empty() { place.to_owned() } else { format!("{place}{path}: ") }
}
