//! The signals that end or detach a holder, as an event of the control thread.
//!
//! # Theory of operation
//! `main` calls [`block`] before any other thread exists, so every thread inherits the mask and no
//! handler ever runs; the control thread then waits with [`Signals::next`]. A program that is
//! started from here inherits the mask too.
//! SIGPIPE is ignored by the standard library already.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::unistd::read;
use tokio::io::unix::AsyncFd;

use super::readiness;
use crate::diag::Failure;

/// The signals that are taken: SIGTERM, SIGINT, SIGHUP.
pub const TAKEN: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

fn taken() -> SigSet {
    TAKEN.into_iter().collect()
}

/// Blocks [`TAKEN`] in the calling thread and in those that it starts afterwards.
///
/// # Errors
/// As `pthread_sigmask(3)`.
pub fn block() -> Result<(), Failure> {
    taken().thread_block().map_err(|e| Failure::sys("block signals", "", e))
}

/// Blocked signals as they arrive.
#[derive(Debug)]
pub struct Signals(AsyncFd<OwnedFd>);

impl Signals {
    /// Opens them. Every thread must have them blocked ([`block`]), else the default action wins.
    /// Call it on a tokio runtime with I/O.
    ///
    /// # Errors
    /// No runtime here, or no file to be had.
    pub fn new() -> Result<Self, Failure> {
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let file =
            SignalFd::with_flags(&taken(), flags).map_err(|e| Failure::sys("signalfd", "", e))?;
        readiness::readable(file.into(), "signals").map(Self)
    }

    /// Waits for the next one. Dropping the future loses none.
    ///
    /// # Errors
    /// As `read(2)` of a signalfd.
    pub async fn next(&mut self) -> Result<Signal, Failure> {
        loop {
            let mut ready = self.0.readable().await.map_err(|e| Failure::io("signalfd", "", &e))?;
            let mut info = [0u8; size_of::<siginfo>()];
            match read(ready.get_inner(), &mut info) {
                Ok(_) => {
                    // `ssi_signo` is the first member (`linux/signalfd.h`).
                    let [a, b, c, d, ..] = info;
                    if let Ok(signal) = Signal::try_from(i32::from_ne_bytes([a, b, c, d])) {
                        return Ok(signal);
                    }
                }
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(Failure::sys("read signalfd", "", e)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blocked_signal_sent_to_this_thread_is_read_as_an_event() {
        // On a thread of its own: the mask must not leak into the test runner's threads.
        let seen = std::thread::spawn(|| {
            block().unwrap();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
            let seen = runtime.block_on(async {
                let mut signals = Signals::new().unwrap();
                // To this thread alone: the others have not blocked it.
                nix::sys::signal::raise(Signal::SIGHUP).unwrap();
                signals.next().await.unwrap()
            });
            assert!(Signals::new().is_err(), "no runtime here");
            seen
        });
        assert_eq!(seen.join().unwrap(), Signal::SIGHUP);
    }
}
