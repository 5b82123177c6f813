//! `monitor`: events as they happen.

use super::grammar::Globals;
use super::printer::Printer;
use super::shown::Shown;
use crate::api::Reply;
use crate::diag::{Code, Failure};
use crate::holder::Client;

/// Print what happens to interfaces, as it happens.
///
/// A line an event, as `show logging' has them: interfaces made, deleted, broken; host sides renamed,
/// moved, gone. With -j an array a line. Ends when the holder does; without one, at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  taptool monitor\n  taptool -j monitor")]
pub(super) struct Args {}

/// Prints events until the holder leaves or nobody reads them.
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
