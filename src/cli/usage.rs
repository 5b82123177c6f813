//! clap's refusals in our words.

use std::error::Error as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::words::quoted;
use crate::diag::Failure;
use crate::render::escape;

/// The refusal as a failure, without the command path: the caller that prints it adds the path.
pub(super) fn failure(error: &clap::Error) -> Failure {
    let arg = text(error, ContextKind::InvalidArg);
    let value = text(error, ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::ValueValidation if !arg.starts_with('-') && is_of_hardware(&value) => {
            Failure::usage(subject(&arg, &value), "hardware interfaces are Linux's, not taptool's").hint(
                "there they have another name: `ip link set dev NAME up'; `show' lists taptool's",
            )
        }
        ErrorKind::ValueValidation => {
            let why = error.source().map_or_else(|| "not a value".to_owned(), ToString::to_string);
            Failure::usage(subject(&arg, &value), why)
        }
        ErrorKind::InvalidValue => {
            let why = match text(error, ContextKind::ValidValue) {
                valid if !valid.is_empty() => format!("not one of {valid}"),
                _ => "its value is empty".to_owned(),
            };
            Failure::usage(subject(&arg, &value), why)
        }
        ErrorKind::MissingRequiredArgument => {
            let missing = Failure::usage("", format!("Missing {}", places(&arg)));
            match usage_line(error) {
                Some(usage) => missing.hint(usage),
                None => missing,
            }
        }
        ErrorKind::ArgumentConflict => {
            let prior = text(error, ContextKind::PriorArg);
            let with = if prior.is_empty() { "the others".into() } else { places(&prior) };
            Failure::usage("", format!("{} cannot be used with {with}", places(&arg)))
        }
        ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand => {
            let word =
                if arg.is_empty() { text(error, ContextKind::InvalidSubcommand) } else { arg };
            Failure::usage("", format!("unknown input {}", quoted(&word)))
        }
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues => {
            Failure::usage(name(&arg), "takes no value")
        }
        kind => Failure::usage("", kind.to_string()),
    }
}

/// The word of `line` that holds the refused value.
pub(super) fn place(error: &clap::Error, line: &[String]) -> Option<usize> {
    let value = text(error, ContextKind::InvalidValue);
    let holds = |word: &String| {
        *word == value
            || word.starts_with("--") && word.split_once('=').is_some_and(|(_, v)| v == value)
    };
    if value.is_empty() { None } else { line.iter().position(holds) }
}

/// How the command is written, the program's name not among its words.
fn usage_line(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::StyledStr(usage)) = error.get(ContextKind::Usage) else { return None };
    let usage = usage.to_string();
    let line = usage.trim().strip_prefix("Usage: taptool ")?.lines().next()?;
    Some(line.replace("[OPTIONS] ", ""))
}

fn text(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(one)) => one.clone(),
        Some(ContextValue::Strings(several)) => several.join(", "),
        _ => String::new(),
    }
}

/// `--rx-ring-size <N>` → `rx-ring-size`.
fn name(arg: &str) -> &str {
    let arg = arg.trim_start_matches('-');
    arg.split([' ', '=', '[']).next().unwrap_or(arg)
}

/// What the value was given for: `rx-ring-size 300`, or the value alone for a positional.
fn subject(arg: &str, value: &str) -> String {
    let value = if value.is_empty() { "`'".into() } else { escape(value) };
    if arg.starts_with('-') { format!("{} {value}", name(arg)) } else { value.into_owned() }
}

/// Whether VPP would call a network card so: `GigabitEthernet3/0/0`. No name here has a slash.
fn is_of_hardware(name: &str) -> bool {
    let Some((kind, place)) = name.split_once(|c: char| c.is_ascii_digit()) else { return false };
    kind.ends_with("Ethernet") && place.contains('/')
}

/// `<NAME>`, `[NAME]...` and `--all` as people write them.
fn places(args: &str) -> String {
    let each = args.split(", ").map(|arg| match arg.strip_prefix("--") {
        Some(_) => format!("`{}'", arg.split(' ').next().unwrap_or(arg)),
        None => format!("<{}>", arg.trim_matches(['<', '>', '[', ']', '.'])),
    });
    each.collect::<Vec<_>>().join(", ")
}
