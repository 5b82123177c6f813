//! Where a line is read: the words that have a meaning there.

use clap::Command;

use super::meta;

/// Where a line is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind the program's name.
    CommandLine,
    /// In a script or a shell.
    Script,
}

impl Place {
    /// Whether a command can run there.
    pub(super) fn takes(self, command: &str) -> bool {
        self == Self::CommandLine || !meta::COMMAND_LINE_ONLY.contains(&command)
    }

    /// The command tree whose help is read there. Global options are hidden in a shell: repeated with
    /// each command they would bury the command's own options.
    pub(super) fn tree(self, tree: Command) -> Command {
        match self {
            Self::CommandLine => tree,
            Self::Script => tree.mut_args(|arg| {
                let everywhere = arg.is_global_set();
                if everywhere { arg.hide(true) } else { arg }
            }),
        }
    }

    /// The word that lists the commands there.
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::CommandLine => "--help",
            Self::Script => "?",
        }
    }
}
