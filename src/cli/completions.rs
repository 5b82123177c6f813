//! `completions SHELL`.

use clap::ValueEnum;

/// Print the script with which a shell completes commands, options and names on TAB.
///
/// The Debian package installs it where each shell looks for it; elsewhere, put it there, or let
/// the shell read it at its start. The script asks the taptool in PATH at every TAB: interfaces,
/// namespaces and bridges are those of that moment.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  taptool completions bash > /etc/bash_completion.d/taptool
  taptool completions zsh > /usr/local/share/zsh/site-functions/_taptool
  taptool completions fish > ~/.config/fish/completions/taptool.fish")]
pub(super) struct Args {
    /// bash, zsh or fish.
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub shell: Shell,
}

/// A shell that can be taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}
