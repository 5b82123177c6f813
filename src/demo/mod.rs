//! `demo`: two taps in two namespaces, a wire between them, ping and TCP across, in one process.
//!
//! # Theory of operation
//! [`run`] is called while the process has one thread. If the process may not make devices, it first
//! enters a new user namespace, which only a process with one thread can do. Signals are blocked
//! before the first thread starts. The network namespaces have no names: they live as long as this
//! process has a file of them or a socket in them. The rest runs on one tokio `current_thread`
//! runtime, with control in this process. Short-lived threads enter a namespace to make sockets
//! there; the sockets work from any thread afterwards. Each end of the TCP transfer has a thread.
//!
//! Every wait has a deadline. SIGINT, SIGTERM and SIGHUP are handled between requests and while
//! waiting, never during a request, so that no create is left half done. However the demo ends (by
//! itself, by a failure, by a signal), it removes what it made: it deletes the interfaces, closes the
//! namespaces, and waits until the kernel reports both namespaces gone. An interrupted demo has failed
//! (exit code 1). SIGKILL leaves nothing either, because everything lives only as long as files of
//! this process.
//!
//! Results go to stdout, progress to stderr.

mod ground;
mod ledger;
mod ping;
mod place;
mod scene;
mod screen;
mod stop;
mod transfer;

use crate::control::{self, Control};
use crate::diag::Failure;
use crate::sys::signals;

use ground::Ground;
use place::Place;
use scene::Scene;
use screen::Screen;
use stop::Stop;

/// How the demo reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Prints no progress.
    pub quiet: bool,
    /// Prints an array with one object instead of text.
    pub json: bool,
    /// Prints JSON on several lines; implies `json`.
    pub pretty: bool,
}

/// Runs the demo. Call it before the process has a second thread; the process may be in another
/// user namespace afterwards.
///
/// # Errors
/// Exit code 5: no right to make taps, not even in a user namespace; 7: no /dev/net/tun; 1: a step
/// failed, a signal came, or the demo could not remove everything it made.
pub fn run(options: Options) -> Result<(), Failure> {
    let ground = ground::find()?;
    signals::block()?;
    let place = Place::new()?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::io("start of the runtime", "", &e))?
        .block_on(perform(options, ground, place))
}

async fn perform(options: Options, ground: Ground, place: Place) -> Result<(), Failure> {
    let stop = Stop::new()?;
    let witness = place.witness()?;
    let control = Control::new(control::Options::default());
    let mut scene = Scene { control, place, stop, screen: Screen::new(options), ground };
    let played = scene.play().await;
    let mut screen = scene.screen.ended();
    let removed = witness.see_off(&scene.control, scene.place).await;
    match (played, removed) {
        (Ok(results), Ok(())) => screen.end(&results),
        (Err(failure), Ok(())) => Err(failure),
        (Ok(_), Err(left)) => Err(left),
        (Err(failure), Err(left)) => {
            let hint = failure.hint.clone().map_or_else(String::new, |h| format!("{h}\n"));
            Err(failure.hint(format!("{hint}and removing it: {left}")))
        }
    }
}
