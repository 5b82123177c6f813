//! Waiting for a file on a tokio runtime.
#![expect(unsafe_code, reason = "tokio wants a promise that the file stays open and the same")]

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::diag::Failure;

/// Registers `file`, which must be non-blocking, for reading on the runtime of this thread. The
/// runtime must have been built with I/O. `what` names the file in the error.
///
/// # Errors
/// No runtime here, or the file cannot be polled.
pub fn readable(file: OwnedFd, what: &str) -> Result<AsyncFd<OwnedFd>, Failure> {
    let refused = |e: &io::Error| Failure::io(format!("wait for {what}"), "", e);
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(refused(&io::Error::other("no runtime on this thread")));
    }
    // SAFETY: an OwnedFd is open until dropped and always the same number, and the AsyncFd owns it.
    unsafe { AsyncFd::register_with_interest(file, Interest::READABLE) }
        .map_err(|e| refused(&e.into()))
}
