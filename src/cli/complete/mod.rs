//! What TAB offers.
//!
//! # Theory of operation
//! The script of a shell (`completions/`, `taptool completions SHELL`) runs `taptool` with
//! [`VARIABLE`] set to the shell's name and the words of the line behind `--`; [`answer`] prints
//! what may come next, in the form that the shell's script reads, and the process ends. Nothing
//! else runs: no holder is started, and what goes wrong prints nothing, because it would be
//! printed into a half-typed line.
//!
//! The words before the cursor go through `words`, as every line does, so that abbreviations and
//! VPP's bare words are understood; clap's engine is then asked about the resolved line. It knows
//! nothing of bare words: those are added here.

mod shells;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command};
use clap_complete::engine::{self, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};

use super::completions::Shell;
use super::names::{self, Seen};
use super::reach::Reach;
use super::words::{self, Partial};
use super::{grammar, meta};

/// Set to a shell's name by its script.
const VARIABLE: &str = "_TAPTOOL_COMPLETE";

/// Answers a call of a shell's completion script, if this is one. `args` are without the program's
/// own name.
pub(super) fn answer(args: &[OsString]) -> Option<ExitCode> {
    std::env::var_os(VARIABLE).filter(|shell| !shell.is_empty())?;
    let argv = std::iter::once(OsString::from("taptool")).chain(args.iter().cloned());
    let done = CompleteEnv::with_factory(|| meta::hidden(grammar::tree()))
        .var(VARIABLE)
        .completer("taptool")
        .shells(Shells(Shell::ALL))
        .try_complete(argv, std::env::current_dir().ok().as_deref());
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What may stand in the place of `current`, after `words`. Empty where a word is wrong already.
fn candidates(root: &Command, words: &[String], current: &str) -> Vec<CompletionCandidate> {
    let Some(line) = words::partial(root, words) else { return Vec::new() };
    names::set_reach(Reach {
        socket: line.value("socket").map(PathBuf::from),
        private: line.given().any(|arg| arg.get_long() == Some("private")),
        ..Reach::default()
    });
    let takes_away = line.given().any(|arg| arg.get_long() == Some("del"));
    names::set_losing(line.positional(0).filter(|_| takes_away).map(str::to_owned));
    if let Some(arg) = line.value_of {
        let Some(long) = arg.get_long() else { return Vec::new() };
        return value(root, &line, long, current);
    }
    let dashed = current.strip_prefix("--").filter(|_| !line.literal);
    if let Some((name, begun)) = dashed.and_then(|dashed| dashed.split_once('=')) {
        let Some(long) = line.option(name).and_then(|arg| arg.get_long()) else {
            return Vec::new();
        };
        let values = value(root, &line, long, begun).into_iter();
        return values.map(|value| value.add_prefix(format!("--{name}="))).collect();
    }
    next(root, &line, current)
}

/// As [`candidates`], where the interfaces are known.
pub(super) fn among(
    root: &Command,
    words: &[String],
    current: &str,
    seen: Vec<Seen>,
) -> Vec<CompletionCandidate> {
    names::set_known(Some(seen));
    let found = candidates(root, words, current);
    names::set_known(None);
    found
}

/// Values of the option `--long`.
fn value(root: &Command, line: &Partial<'_>, long: &str, begun: &str) -> Vec<CompletionCandidate> {
    // Bridges are those of our own namespace.
    let elsewhere = line.given().any(|arg| arg.get_long() == Some("host-ns"));
    if long == "host-bridge" && elsewhere {
        return Vec::new();
    }
    ask(root, line, &[&format!("--{long}")], begun)
}

/// Sub-commands, values of the next positional argument, options.
fn next(root: &Command, line: &Partial<'_>, current: &str) -> Vec<CompletionCandidate> {
    let mut before = if line.literal { vec!["--"] } else { Vec::new() };
    // Which words they are does not matter, so long as they are no commands.
    before.extend(std::iter::repeat_n(".", line.positionals));
    let repeats = |arg: &&Arg| matches!(arg.get_action(), ArgAction::Append);
    let spent: Vec<&Arg> = line.given().filter(|arg| !repeats(arg)).collect();
    let ids: Vec<String> = spent.iter().map(|arg| format!("arg::{}", arg.get_id())).collect();
    let mut found = ask(root, line, &before, current);
    found.retain(|candidate| match candidate.get_id() {
        // The engine offers what is hidden where there is nothing else.
        Some(_) if candidate.is_hide_set() => false,
        Some(id) if id.starts_with("command::") => line.subcommands,
        // Options with dashes are offered once a dash is typed.
        Some(id) => !current.is_empty() && !ids.contains(id),
        None => !line.names(candidate.get_value()),
    });
    if !line.literal && !current.starts_with('-') {
        let mut last = None;
        for (word, arg) in line.bare_options().filter(|(word, _)| word.starts_with(current)) {
            // Of several spellings that fit, the first.
            if last.replace(arg.get_id()) != Some(arg.get_id()) && !spent.contains(&arg) {
                found.push(CompletionCandidate::new(word).help(arg.get_help().cloned()));
            }
        }
    }
    found
}

/// Asks clap's engine about the resolved path, `before`, and the word that is being typed.
fn ask(
    root: &Command,
    line: &Partial<'_>,
    before: &[&str],
    current: &str,
) -> Vec<CompletionCandidate> {
    let words = std::iter::once(root.get_name()).chain(line.path.iter().copied());
    let words: Vec<OsString> =
        words.chain(before.iter().copied()).chain([current]).map(OsString::from).collect();
    let last = words.len() - 1;
    engine::complete(&mut root.clone(), words, last, std::env::current_dir().ok().as_deref())
        .unwrap_or_default()
}
