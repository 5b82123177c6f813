//! `exec FILE`, and scripts on standard input.

use std::path::PathBuf;

use super::complete;
use super::grammar::Globals;
use super::printer::Printer;
use super::script;
use super::session::{End, Session};
use super::shown::Shown;
use crate::api::Submit;
use crate::diag::Code;

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
    #[arg(value_name = "FILE", add = complete::files())]
    pub file: PathBuf,
    /// Run the lines after one that fails, too; the exit code is that of the first failure.
    #[arg(long)]
    pub keep_going: bool,
}

/// Runs a script whose lines `control` answers.
pub(super) async fn exec<S: Submit>(
    control: &S,
    args: Args,
    globals: &Globals,
    printer: &Printer,
) -> Result<(), Code> {
    let lines = match script::start(args.file, "exec: ".to_owned()) {
        Ok(lines) => lines,
        Err(failure) => {
            let _ = printer.print(&Shown::failure("", "exec", &failure)).await;
            return Err(failure.code);
        }
    };
    let session = Session::new(control, globals, printer, args.keep_going);
    let never = std::pin::pin!(std::future::pending());
    match session.run(lines, never).await {
        End::Failed(code) => Err(code),
        End::OfLines | End::Unheard | End::Stopped | End::Asked(_) => Ok(()),
    }
}
