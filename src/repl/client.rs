//! A shell that is a client of a holder.

use super::talk::Left;
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
    let mut talk = open(shell, &printer, signals, &who).await?;
    let lines = shell.lines(remote, &printer);
    if talk.on(&lines, remote).await == Left::Detach {
        talk.print("interfaces stay with the holder\n").await;
    }
    Ok(0)
}
