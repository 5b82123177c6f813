//! The listening end of the control socket.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

use nix::fcntl::FlockArg;
use tokio::net::{UnixListener, UnixStream};

use super::place::{Found, Place};
use crate::control::thread;
use crate::diag::{Code, Failure};
use crate::sys::socket;

/// A socket that clients connect to.
#[derive(Debug)]
pub struct ControlSocket {
    listener: Rc<UnixListener>,
    /// Where it stands, and which file it is there; none for a socket that the starter of this
    /// process made and keeps.
    stands: Option<(Place, (u64, u64))>,
}

impl ControlSocket {
    /// Binds the socket. A stale one is replaced, a live one never.
    ///
    /// # Errors
    /// Exit code 4 when a holder listens there already; else what the directory or socket refused.
    pub async fn open(place: &Place) -> Result<Self, Failure> {
        let there = place.clone();
        let (listener, file) = blocking(move || bind(&there)).await??;
        Ok(Self { listener: Rc::new(listen(listener)?), stands: Some((place.clone(), file)) })
    }

    /// Takes over a listening socket that the service manager made.
    ///
    /// # Errors
    /// When it is no such socket.
    pub fn inherited(listener: OwnedFd) -> Result<Self, Failure> {
        Ok(Self { listener: Rc::new(listen(listener)?), stands: None })
    }

    /// The listener. The socket accepts while one is held.
    pub(super) fn listener(&self) -> Rc<UnixListener> {
        Rc::clone(&self.listener)
    }

    /// Removes the socket's file, under the lock. Connections that were not accepted are closed
    /// when the last listener is dropped.
    ///
    /// # Errors
    /// When the file cannot be removed. No process listens on it even so.
    pub async fn close(self) -> Result<(), Failure> {
        let Some((place, file)) = self.stands else { return Ok(()) };
        let there = place.clone();
        match blocking(move || remove(&there, file, FlockArg::LockExclusive)).await {
            Ok(removed) => removed,
            // No thread can be had, and this one must not wait. Who has the lock replaces a file on
            // which no process listens.
            Err(_) => remove(&place, file, FlockArg::LockExclusiveNonblock),
        }
    }
}

/// Removes the socket's file, if it is still the one that was made, under the lock.
fn remove(place: &Place, file: (u64, u64), lock: FlockArg) -> Result<(), Failure> {
    let Some(_lock) = place.lock(lock)? else { return Ok(()) };
    match fs::symlink_metadata(place.path()) {
        Ok(there) if (there.dev(), there.ino()) == file => fs::remove_file(place.path())
            .map_err(|e| Failure::io("unlink", place.path().display().to_string(), &e)),
        // Another holder's, or removed already: left alone.
        _ => Ok(()),
    }
}

fn listen(listener: OwnedFd) -> Result<UnixListener, Failure> {
    let refused = |e: &std::io::Error| Failure::io("listen", "control socket", e);
    let listener = std::os::unix::net::UnixListener::from(listener);
    listener.set_nonblocking(true).map_err(|e| refused(&e))?;
    UnixListener::from_std(listener).map_err(|e| refused(&e))
}

fn bind(place: &Place) -> Result<(OwnedFd, (u64, u64)), Failure> {
    let on = || place.path().display().to_string();
    place.prepare()?;
    let _lock = place.lock(FlockArg::LockExclusive)?;
    match place.connect()? {
        Found::Listener(_) => {
            return Err(Failure::new(Code::Exists, on(), "a holder listens there already").hint(
                "send commands to it (`taptool show'), or use --private or another --socket",
            ));
        }
        Found::Stale => {
            fs::remove_file(place.path()).map_err(|e| Failure::io("unlink", on(), &e))?;
        }
        Found::Nothing => {}
    }
    let listener = socket::listener(place.path())?;
    let file = fs::symlink_metadata(place.path()).map_err(|e| Failure::io("lstat", on(), &e))?;
    Ok((listener, (file.dev(), file.ino())))
}

/// Runs what may wait (the lock, a file system) beside the control thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    thread::run("socket", work).await
}

/// Accepts the next client.
pub(super) async fn accept(listener: &UnixListener) -> Option<UnixStream> {
    match listener.accept().await {
        Ok((stream, _)) => Some(stream),
        Err(_) => {
            // Out of files, most likely: those that are open will end.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            None
        }
    }
}
