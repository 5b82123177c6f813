//! A shell whose lines a holder answers.

use super::open;
use super::talk::{KEYS, Left};
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
    let banner = format!(
        "taptool {}: client of the holder at {}; what it holds stays when you leave\n{KEYS}",
        env!("CARGO_PKG_VERSION"),
        crate::render::escape(&place.path().to_string_lossy()),
    );
    let printer = shell.printer()?;
    let mut talk = open(shell, &printer, signals, &banner).await?;
    let lines = shell.lines(remote, &printer);
    if talk.on(&lines, remote).await == Left::Detach {
        talk.print("interfaces stay with the holder\n").await;
    }
    Ok(0)
}
