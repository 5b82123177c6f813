//! Commands about the lines themselves, as in VPP's shell. They send no request.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::values;
use super::words::quoted;
use crate::diag::Failure;
use crate::render;

/// Longest line that macros may make, bytes.
const EXPANDED_MAX: usize = 64 * 1024;

/// How deep the value of a macro may name macros.
const DEPTH_MAX: u32 = 16;

/// Print its words.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: echo the taps of foo")]
pub(super) struct Echo {
    /// What to print.
    #[arg(value_name = "TEXT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub text: Vec<String>,
}

/// Do nothing; `# ...' does the same.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: comment nothing of this is read")]
pub(super) struct Comment {
    /// Text that is ignored.
    #[arg(value_name = "TEXT", trailing_var_arg = true, allow_hyphen_values = true)]
    pub text: Vec<String>,
}

/// Define a macro: a name for some text.
///
/// In later lines of the script or the shell, $(MACRO) stands for the text. `show macro' lists the
/// macros.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  define NS foo\n  create tap0 host-ns $(NS)")]
pub(super) struct Define {
    /// Letters, digits, `_', `-'.
    #[arg(value_name = "MACRO", value_parser = macro_name)]
    pub name: String,
    /// Its text.
    #[arg(
        value_name = "VALUE",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub value: Vec<String>,
}

/// Forget a macro.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: undefine NS")]
pub(super) struct Undefine {
    /// Its name.
    #[arg(value_name = "MACRO", value_parser = macro_name)]
    pub name: String,
}

/// Show the typed lines, oldest first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: history 20")]
pub(super) struct History {
    /// Only the last of them.
    #[arg(value_name = "LINES", value_parser = values::lines)]
    pub last: Option<usize>,
}

/// Leave the shell.
///
/// Interfaces that live in this process would vanish with it: it asks first.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: quit")]
pub(super) struct Quit {}

/// Leave the shell, and leave its interfaces to a holder in the background.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: detach")]
pub(super) struct Detach {}

/// Commands that have no effect as a command line of their own.
pub const LINES_ONLY: &[&str] = &["comment", "define", "detach", "history", "quit", "undefine"];

/// Commands that are not valid in a script or a shell.
pub(super) const COMMAND_LINE_ONLY: &[&str] = &["completions", "demo", "hold", "monitor"];

/// The tree with [`LINES_ONLY`] hidden.
pub(super) fn hidden(tree: clap::Command) -> clap::Command {
    let hide = |command: clap::Command| command.hide(true);
    LINES_ONLY.iter().fold(tree, |tree, word| tree.mut_subcommand(word, hide))
}

/// What only a shell with a person in front of it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Leave.
    Quit,
    /// Leave, and leave the interfaces behind.
    Detach,
    /// Show the lines that were typed: all, or the last so many.
    History(Option<usize>),
}

impl Word {
    /// The refusal where there is no such person.
    pub(super) fn refusal(self) -> Failure {
        Failure::usage("", "valid only in the interactive shell: `taptool' alone on a terminal")
    }
}

/// `$(NAME)` → text.
#[derive(Debug, Default)]
pub(super) struct Macros(RefCell<BTreeMap<String, String>>);

fn macro_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !text.is_empty() && text.len() <= 64 && text.chars().all(good) {
        return Ok(text.to_owned());
    }
    Err("not a name of letters, digits, `_' and `-'".into())
}

impl Macros {
    /// Defines one, or defines it anew.
    pub(super) fn define(&self, define: Define) {
        self.0.borrow_mut().insert(define.name, define.value.join(" "));
    }

    /// Forgets one.
    pub(super) fn undefine(&self, name: &str) -> Result<(), Failure> {
        let gone = self.0.borrow_mut().remove(name);
        gone.map(|_| ()).ok_or_else(|| Failure::usage("", unknown(name)))
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<String> {
        self.0.borrow().keys().cloned().collect()
    }

    /// All of them: lines for people, or an array.
    pub(super) fn shown(&self, json: bool, pretty: bool) -> String {
        let all = self.0.borrow();
        if !json && !pretty {
            let line = |(name, value): (&String, &String)| {
                format!("{name:<30} {}\n", render::escape(value))
            };
            return all.iter().map(line).collect();
        }
        let object = |(name, value): (&String, &String)| json!({ "name": name, "value": value });
        let array = Value::Array(all.iter().map(object).collect());
        if pretty { format!("{array:#}\n") } else { format!("{array}\n") }
    }

    /// The line with every `$(NAME)` replaced; values may name macros too.
    pub(super) fn expand(&self, line: &str) -> Result<String, Failure> {
        self.expand_deep(line, 0)
    }

    fn expand_deep(&self, line: &str, depth: u32) -> Result<String, Failure> {
        let Some(begin) = line.find("$(") else { return Ok(line.to_owned()) };
        let (before, rest) = (&line[..begin], &line[begin + 2..]);
        let Some(end) = rest.find(')') else {
            return Err(Failure::usage("", "`$(' has no end"));
        };
        let name = rest[..end].trim();
        let value = self.0.borrow().get(name).cloned();
        let value = value.ok_or_else(|| {
            let known: Vec<String> = self.names().iter().map(|name| quoted(name)).collect();
            let failure = Failure::usage("", unknown(name));
            match known.is_empty() {
                true => failure.hint("`define NAME VALUE' makes one"),
                false => failure.hint(format!("there are {}", known.join(", "))),
            }
        })?;
        if depth >= DEPTH_MAX {
            return Err(Failure::usage("", format!("macro {} names itself", quoted(name))));
        }
        let mut made = before.to_owned();
        made.push_str(&self.expand_deep(&value, depth + 1)?);
        made.push_str(&self.expand_deep(&rest[end + 1..], depth)?);
        if made.len() > EXPANDED_MAX {
            return Err(Failure::usage("", "its macros make the line longer than 64 KiB"));
        }
        Ok(made)
    }
}

fn unknown(name: &str) -> String {
    format!("unknown macro {}", quoted(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(all: &[(&str, &str)]) -> Macros {
        let macros = Macros::default();
        for (name, value) in all {
            let value = vec![(*value).to_owned()];
            macros.define(Define { name: (*name).to_owned(), value });
        }
        macros
    }

    #[test]
    fn macros_are_replaced_also_inside_their_values() {
        let macros = with(&[("NS", "foo"), ("OPT", "host-ns $(NS) gso")]);
        assert_eq!(macros.expand("show").unwrap(), "show");
        assert_eq!(macros.expand("create tap0 $(OPT)").unwrap(), "create tap0 host-ns foo gso");
        assert_eq!(macros.expand("$(NS)$(NS)").unwrap(), "foofoo");
        assert_eq!(macros.expand("costs $5").unwrap(), "costs $5");
    }

    #[test]
    fn unknown_open_and_circular_macros_are_refused_by_their_names() {
        let macros = with(&[("A", "$(B)"), ("B", "$(A)")]);
        let said = |line: &str| macros.expand(line).unwrap_err().to_string();
        assert_eq!(said("x $(NS)"), "unknown macro `NS'\n  there are `A', `B'");
        assert_eq!(said("x $(NS"), "`$(' has no end");
        assert!(said("$(A)").ends_with("names itself"));
        // Doubling at every level stops before memory does.
        let all: Vec<(String, String)> =
            (0..15).map(|i| (format!("M{i}"), format!("$(M{}) $(M{})", i + 1, i + 1))).collect();
        let mut all: Vec<(&str, &str)> = all.iter().map(|(a, b)| (&**a, &**b)).collect();
        all.push(("M15", "0123456789"));
        assert!(with(&all).expand("$(M0)").unwrap_err().to_string().contains("64 KiB"));
    }
}
