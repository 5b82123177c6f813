//! `demo`: two taps in two namespaces, a wire between them, ping and TCP across, in one process.
//!
//! # Theory of operation
//! [`run`] is called while the process has one thread. It first finds ground to stand on, where it
//! may make devices: where it is, or a user namespace of its own, which only a single thread can
//! enter. Signals are blocked before the first thread starts. The namespaces have no names: they
//! live as long as this process has a file of them or a socket in them. All else happens on one
//! tokio `current_thread` runtime, with control in this process; sockets are made by threads that
//! enter a namespace and end there, and work from anywhere afterwards. The two ends of the TCP
//! transfer have a thread each.
//!
//! Everything that is waited for has a deadline. SIGINT, SIGTERM and SIGHUP are heard between
//! requests and while waiting, never in the middle of a request, so that no create is torn.
//! Whatever ends the play (its own end, a failure, a signal), what it made is removed: the
//! interfaces are deleted and the namespaces closed, and the kernel must report both of them gone.
//! A demo that was interrupted has failed (exit code 1). SIGKILL leaves nothing either: all that
//! there is hangs on files of this process.
//!
//! Results go to stdout, progress to stderr.

mod aside;
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

/// How to tell it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// No progress.
    pub quiet: bool,
    /// An array with one object instead of text.
    pub json: bool,
    /// JSON on several lines; implies `json`.
    pub pretty: bool,
}

/// Runs the demo. Call it before the process has a second thread; the process may be in another
/// user namespace afterwards.
///
/// # Errors
/// Exit code 5: no right to make taps, not even in a user namespace; 7: no /dev/net/tun; 1:
/// something failed, a signal came, or something is left behind.
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
