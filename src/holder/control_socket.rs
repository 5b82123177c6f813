//! The listening end of the control socket.

use std::fs;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::{UnixListener, UnixStream};

use super::file::{self, FileId};
use super::lock::{self, Lock};
use super::place::{Found, Place};
use crate::control::thread;
use crate::diag::{Code, Failure};
use crate::sys::socket;

/// How long a holder that has the lock may take to listen, or to leave.
const LOCKED: Duration = Duration::from_secs(5);

/// How often it is looked whether it does.
const LOOK: Duration = Duration::from_millis(10);

/// A socket that clients connect to.
#[derive(Debug)]
pub struct ControlSocket {
    listener: Rc<UnixListener>,
    /// Where it stands; none where that cannot be told, or another process has the lock.
    stands: Option<Standing>,
}

/// A socket file, and the lock beside it.
#[derive(Debug)]
struct Standing {
    place: Place,
    socket: FileId,
    /// Held as long as the socket stands, so that no other holder takes its place.
    lock: Lock,
    /// The service manager made the file and keeps it.
    kept: bool,
    /// What stands there instead was reported.
    reported: bool,
}

impl ControlSocket {
    /// Binds the socket. A stale one is replaced, a live one never.
    ///
    /// # Errors
    /// Exit code 4 when a holder listens there already, 6 when a process has the lock and does not
    /// listen; else what the directory or socket refused.
    pub async fn open(place: &Place) -> Result<Self, Failure> {
        let there = place.clone();
        let (listener, stands) = blocking(move || bind(there)).await??;
        Ok(Self { listener: Rc::new(listen(listener)?), stands: Some(stands) })
    }

    /// Takes over a listening socket that the service manager made.
    ///
    /// # Errors
    /// When it is no such socket.
    pub fn inherited(listener: OwnedFd) -> Result<Self, Failure> {
        let listener = listen(listener)?;
        let stands = kept(&listener);
        Ok(Self { listener: Rc::new(listener), stands })
    }

    /// The listener. The socket accepts while one is held.
    pub(super) fn listener(&self) -> Rc<UnixListener> {
        Rc::clone(&self.listener)
    }

    /// Whether somebody removed or replaced the socket's file or the lock's.
    pub(super) fn is_lost(&self) -> bool {
        self.stands.as_ref().is_some_and(|stands| !stands.whole())
    }

    /// Makes the socket again where its file is gone. Says what was done, or why it cannot be; none
    /// where that was said before.
    pub(super) async fn restore(mut self) -> (Self, Option<String>) {
        let Some(stands) = self.stands.take() else { return (self, None) };
        // What stands is lost only with a thread that panics.
        let Ok((stands, done)) = thread::finish("socket", move || rebind(stands)).await else {
            return (self, None);
        };
        let reported = stands.reported;
        let stands = self.stands.insert(stands);
        match done.and_then(|listener| listener.map(listen).transpose()) {
            Ok(listener) => {
                stands.reported = false;
                let said = listener.map(|listener| {
                    self.listener = Rc::new(listener);
                    format!("{}: was removed; made again", self.shown())
                });
                (self, said)
            }
            Err(failure) => {
                stands.reported = true;
                (self, (!reported).then(|| failure.to_string()))
            }
        }
    }

    fn shown(&self) -> String {
        let path = self.stands.as_ref().map(|stands| stands.place.path().display().to_string());
        path.unwrap_or_default()
    }

    /// Removes the socket's file and gives the lock back. Connections that were not accepted are
    /// closed when the last listener is dropped.
    ///
    /// # Errors
    /// When the file cannot be removed. No process listens on it even so.
    pub async fn close(self) -> Result<(), Failure> {
        let Some(stands) = self.stands else { return Ok(()) };
        thread::finish("socket", move || stands.remove()).await?
    }
}

impl Standing {
    fn whole(&self) -> bool {
        self.is_in_place() && self.lock.stands()
    }

    fn is_in_place(&self) -> bool {
        file::id(self.place.path()) == Some(self.socket)
    }

    /// Removes the socket's file, if it is still the one that was made.
    fn remove(self) -> Result<(), Failure> {
        if self.kept || !self.is_in_place() {
            // The manager's, another's, or removed already: left alone.
            return Ok(());
        }
        fs::remove_file(self.place.path())
            .map_err(|e| Failure::io("unlink", self.place.path().display().to_string(), &e))
    }
}

/// Where a socket of the service manager stands, with the lock taken.
fn kept(listener: &UnixListener) -> Option<Standing> {
    let address = listener.local_addr().ok()?;
    let place = Place::find(Some(address.as_pathname()?)).ok()?;
    let socket = file::id(place.path())?;
    let lock = Lock::take(&place).ok()??;
    Some(Standing { place, socket, lock, kept: true, reported: false })
}

/// Makes what is missing: the directory, the lock, the socket. The new listener, if one was made.
fn rebind(mut stands: Standing) -> (Standing, Result<Option<OwnedFd>, Failure>) {
    let made = (|| {
        let place = &stands.place;
        let on = || place.path().display().to_string();
        place.prepare()?;
        if !stands.lock.stands() {
            let why = "another process took the place of this holder, which cannot be reached now";
            let taken = || Failure::new(Code::Exists, on(), why);
            stands.lock = Lock::take(place)?.ok_or_else(taken)?;
        }
        match file::id(place.path()) {
            Some(there) if there == stands.socket => Ok(None),
            Some(_) => {
                let why = "another file stands in the place of the socket of this holder";
                let failure = Failure::new(Code::Exists, on(), why);
                Err(failure.hint("remove it: then the holder can be reached again"))
            }
            None => {
                let listener = socket::listener(place.path())?;
                stands.socket = made_at(place)?;
                stands.kept = false;
                Ok(Some(listener))
            }
        }
    })();
    (stands, made)
}

/// The file that was just made.
fn made_at(place: &Place) -> Result<FileId, Failure> {
    let gone = || {
        let on = place.path().display().to_string();
        Failure::new(Code::Failed, on, "the socket was removed as soon as it was made")
    };
    file::id(place.path()).ok_or_else(gone)
}

fn listen(listener: OwnedFd) -> Result<UnixListener, Failure> {
    let refused = |e: &std::io::Error| Failure::io("listen", "control socket", e);
    let listener = std::os::unix::net::UnixListener::from(listener);
    listener.set_nonblocking(true).map_err(|e| refused(&e))?;
    UnixListener::from_std(listener).map_err(|e| refused(&e))
}

fn bind(place: Place) -> Result<(OwnedFd, Standing), Failure> {
    let on = || place.path().display().to_string();
    let listens = || {
        let failure = Failure::new(Code::Exists, on(), "a holder listens there already");
        failure.hint("send commands to it (`taptool show'), or use --private or another --socket")
    };
    place.prepare()?;
    let end = Instant::now() + LOCKED;
    let lock = loop {
        if let Some(lock) = Lock::take(&place)? {
            break lock;
        }
        // Who has it listens, or will in a moment, or leaves.
        if let Found::Listener(_) | Found::Full = place.connect()? {
            return Err(listens());
        }
        if Instant::now() > end
            && let Some(owner) = lock::owner(&place)
        {
            return Err(owner.failure(&place));
        }
        std::thread::sleep(LOOK);
    };
    match place.connect()? {
        Found::Listener(_) | Found::Full => return Err(listens()),
        Found::Stale => {
            fs::remove_file(place.path()).map_err(|e| Failure::io("unlink", on(), &e))?;
        }
        Found::Nothing => {}
    }
    let listener = socket::listener(place.path())?;
    let socket = made_at(&place)?;
    Ok((listener, Standing { place, socket, lock, kept: false, reported: false }))
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
