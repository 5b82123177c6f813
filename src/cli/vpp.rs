//! The commands of VPP's shell for taps, and what each does here.
//!
//! One table for three uses: words that this version lacks are in the command tree, hidden, with
//! what to do instead; taptool-vpp(8) is written from it; and the live tests type every line of it.

mod row;
mod table;

use clap::Command;

use crate::diag::Failure;
use row::spelled;

pub use row::{Here, VppCommand};
pub use table::VPP_COMMANDS;

/// The tree with the lacking commands in it: hidden, without arguments, described by what to do
/// instead.
pub(super) fn with_lacking(root: Command) -> Command {
    VPP_COMMANDS.iter().fold(root, |root, row| match row.here {
        Here::Lacks { path, instead, .. } => {
            spelled(path).iter().fold(root, |root, words| add(root, words, instead))
        }
        Here::Does(..) | Here::Refuses { .. } => root,
    })
}

fn add(node: Command, path: &[&'static str], instead: &'static str) -> Command {
    let (next, rest) = match path {
        [word] => return node.subcommand(Command::new(*word).hide(true).about(instead)),
        [next, rest @ ..] => (next, rest),
        [] => return node,
    };
    // clap puts a changed sub-command last: every one is touched, so that their order stays.
    let names: Vec<String> = node.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    names.into_iter().fold(node, |node, name| {
        node.mut_subcommand(
            &name,
            |child| if name == *next { add(child, rest, instead) } else { child },
        )
    })
}

/// The refusal of an option or word, with what to do instead; `given` is what was written of it, its
/// value too.
pub(super) fn not_supported(word: &str, given: impl Into<String>) -> Failure {
    let refusal = Failure::usage(given, "not supported in this version");
    let instead = VPP_COMMANDS.iter().find_map(|row| match row.here {
        Here::Refuses { instead, .. } => {
            row.grammar.split(' ').any(|w| w == word).then_some(instead)
        }
        Here::Lacks { instead, .. } => {
            row.paths().iter().any(|path| path == word).then_some(instead)
        }
        Here::Does(..) => None,
    });
    match instead {
        Some(instead) => refusal.hint(instead),
        None => refusal,
    }
}
