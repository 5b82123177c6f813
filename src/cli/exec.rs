//! `exec FILE`, and scripts on standard input.

use std::path::PathBuf;

use super::names;

/// Run the lines of a script, one after another.
///
/// Lines are commands in either spelling. `#' begins a comment, `\' at the end of a line joins it
/// with the next, `wait SECS' pauses, `exec FILE' runs another script in its place, `quit' ends the
/// script. The first line that fails ends the script with its exit code; FILE:LINE: precedes the
/// message. Interfaces that earlier lines made stay.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  taptool exec taps.conf
  taptool exec - --keep-going")]
pub(super) struct Args {
    /// The script; `-' is standard input.
    #[arg(value_name = "FILE", add = names::files())]
    pub file: PathBuf,
    /// Run the lines after one that fails, too; the exit code is that of the first failure.
    #[arg(long)]
    pub keep_going: bool,
}
