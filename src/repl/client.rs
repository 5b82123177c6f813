//! A shell that is a client of a holder.

use super::dialogue::Left;
use super::{open, shown};
use crate::cli::{Remote, Shell, World};
use crate::diag::Failure;
use crate::holder::Place;
use crate::sys::signals::Signals;

pub(super) async fn run<W: World>(
    shell: &Shell,
    remote: &Remote<'_, W>,
    place: &Place,
    signals: Signals,
) -> Result<u8, Failure> {
    let printer = shell.printer()?;
    let who = format!("client of the holder at {}", shown(place));
    let mut dialogue = open(shell, &printer, signals, &who).await?;
    let lines = shell.lines(remote, &printer);
    if dialogue.on(&lines, remote).await == Left::Detach {
        dialogue.print("interfaces stay with the holder\n").await;
    }
    Ok(0)
}
