//! `hold`.

use std::path::PathBuf;

use super::names;
use crate::units::MemorySize;

/// Hold interfaces in the foreground until a signal.
///
/// Other commands reach them through the control socket. With --exec, lines are read and run one at
/// a time as they arrive, from a file, a pipe or standard input; results are printed as the same
/// command would print them. `#' begins a comment, `\' at the end of a line joins it with the next.
/// The first line that fails removes everything and its exit code is that of hold. At the end of
/// the script the interfaces stay. SIGTERM, SIGINT and SIGHUP remove everything and end with exit
/// code 0. Where a holder lives already it is exit code 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  taptool hold --exec taps.conf
  echo 'create tap0 --netns foo' | taptool hold --exec -
  taptool hold --print-unit")]
pub(super) struct Args {
    /// Script to run; `-' is standard input.
    #[arg(long, value_name = "FILE", add = names::files())]
    pub exec: Option<PathBuf>,
    /// Memory for all rings and buffers, 16M-1T: bytes, or with K, M, G or T [default: 64G,
    /// sparse].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<MemorySize>,
    /// Print a systemd unit that holds interfaces from boot on, and do nothing else.
    #[arg(long, exclusive = true)]
    pub print_unit: bool,
    /// Settle in the background; standard input is the first client.
    #[arg(long, hide = true, conflicts_with_all = ["exec", "print_unit"])]
    pub background: bool,
}
