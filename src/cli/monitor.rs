//! `monitor`: events as they happen.

use super::globals::Globals;
use super::printer::Printer;
use super::shown::Shown;
use crate::api::Reply;
use crate::diag::{Code, Failure};
use crate::holder::Client;

/// Print what happens to interfaces, as it happens.
///
/// One line per event, as in `show logging': interfaces made, deleted, broken; host sides renamed,
/// moved, gone. With -j one array per line. Ends when the holder ends; without a holder, at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  taptool monitor\n  taptool -j monitor")]
pub(super) struct Args {}

/// Prints events until the holder ends or stdout is closed.
pub(super) async fn monitor(
    client: &Client,
    globals: &Globals,
    printer: &Printer,
) -> Result<Result<(), Code>, Failure> {
    let Some(mut events) = client.monitor().await? else { return Ok(Ok(())) };
    while let Some(event) = events.next().await {
        let outcome = Reply::Logging(vec![event]).into();
        let shown = Shown::result("monitor", Ok(outcome), globals);
        match printer.print(&shown).await {
            Ok(()) => {}
            Err(Some(code)) => return Ok(Err(code)),
            Err(None) => return Ok(Ok(())),
        }
    }
    Ok(Ok(()))
}
