//! `monitor`: events as they happen.

use super::globals::Globals;
use super::printer::Printer;
use super::shown::Shown;
use crate::api::{MonitorRequest, Outcome, Reply, Request, Submit};
use crate::diag::{Code, Failure};

/// Print what happens to interfaces, as it happens.
///
/// One line per event, as in `show logging': interfaces made, deleted, broken; host sides renamed,
/// moved, gone. With -j one array per line. Ends when the holder ends; without a holder, at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  taptool monitor\n  taptool -j monitor")]
pub(super) struct Args {}

/// Prints events until the holder ends or stdout is closed.
pub(super) async fn monitor(
    control: &impl Submit,
    globals: &Globals,
    printer: &Printer,
) -> Result<Result<(), Code>, Failure> {
    let mut answers = control.stream(Request::Monitor(MonitorRequest {})).await?;
    while let Some(answer) = answers.next().await {
        let outcome: Outcome = answer?;
        if outcome.notices.is_empty() && is_empty(&outcome.reply) {
            continue;
        }
        let shown = Shown::result("monitor", Ok(outcome), globals);
        match printer.print(&shown).await {
            Ok(()) => {}
            Err(Some(code)) => return Ok(Err(code)),
            Err(None) => return Ok(Ok(())),
        }
    }
    Ok(Ok(()))
}

/// Whether there is nothing to print, not even an empty array.
fn is_empty(reply: &Reply) -> bool {
    matches!(reply, Reply::Logging(rows) if rows.is_empty())
}
