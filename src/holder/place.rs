//! Where the control socket is, and what is there.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::diag::{Code, Failure};
use crate::sys::{socket, userns};

/// Where root's holder listens.
const ROOT_DIR: &str = "/run/taptool";

/// Longest path of a socket, bytes (`sun_path`, unix(7)).
const PATH_MAX: usize = 107;

/// A control socket's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    socket: PathBuf,
    /// The directory is ours to make, and only we may be able to write in it.
    own_dir: bool,
}

/// What exists at a place.
#[derive(Debug)]
pub(super) enum Found {
    /// A process listens: the connected socket.
    Listener(OwnedFd),
    /// Nothing is there.
    Nothing,
    /// A socket on which no process listens.
    Stale,
    /// A process listens, but as many connections as it allows wait to be accepted.
    Full,
}

impl Place {
    /// The place that the user named, or the one that belongs to this process's user.
    ///
    /// Real root (its user namespace maps every id to itself) has /run/taptool; others have
    /// `$XDG_RUNTIME_DIR/taptool`, else /run/user/UID/taptool, else /tmp/taptool-UID, where UID is
    /// that of outside for the root of a user namespace.
    ///
    /// # Errors
    /// When the working directory, which a relative path needs, is gone; exit code 2 for a path that
    /// no socket can have.
    pub fn find(named: Option<&Path>) -> Result<Self, Failure> {
        if let Some(path) = named {
            let socket = std::path::absolute(path)
                .map_err(|e| Failure::io("find", path.display().to_string(), &e))?;
            let bytes = socket.as_os_str().len();
            if bytes > PATH_MAX {
                let on = format!(
                    "socket {}...",
                    &path.display().to_string().chars().take(30).collect::<String>()
                );
                return Err(Failure::usage(
                    on,
                    format!("a path of {bytes} bytes; a socket's has {PATH_MAX} at most"),
                ));
            }
            return Ok(Self { socket, own_dir: false });
        }
        let dir = if userns::is_root() { ROOT_DIR.into() } else { user_dir() };
        Ok(Self { socket: dir.join("ctl.sock"), own_dir: true })
    }

    /// The socket's path, absolute.
    pub fn path(&self) -> &Path {
        &self.socket
    }

    fn shown(&self) -> String {
        self.socket.display().to_string()
    }

    /// Whether root may have a holder that this user cannot ask.
    pub(super) fn root_may_hold(&self) -> bool {
        self.own_dir && !self.socket.starts_with(ROOT_DIR) && Path::new(ROOT_DIR).exists()
    }

    /// Connects, if a process listens. Does not wait.
    ///
    /// # Errors
    /// Exit code 4 when it is no socket, 5 when it, or the directory that should be ours, belongs
    /// to another user, 6 when it cannot be connected to.
    pub(super) fn connect(&self) -> Result<Found, Failure> {
        // Of one that is not there the attempt below tells.
        if let Some(dir) = self.dir_of_ours().filter(|dir| fs::symlink_metadata(dir).is_ok()) {
            checked(dir)?;
        }
        let refused = |errno| {
            let failure = Failure::sys("connect", self.shown(), errno);
            match failure.code {
                Code::NotPermitted => failure.hint(
                    "only its user and root may ask there: ask as one of them, or name a socket of \
                     your own with --socket or TAPTOOL_SOCKET",
                ),
                _ => failure.code(Code::NoAnswer),
            }
        };
        let socket = match socket::connect(&self.socket) {
            Ok(socket) => socket,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(Found::Nothing),
            Err(Errno::ECONNREFUSED) => return self.stale(),
            Err(Errno::EAGAIN) => return Ok(Found::Full),
            Err(errno) => return Err(refused(errno)),
        };
        // Requests carry files. They may go to our own user or to root; root may name any socket.
        let uid = socket::peer(std::os::fd::AsFd::as_fd(&socket))?.uid;
        let named_by_root = geteuid().is_root() && !self.own_dir;
        if uid != geteuid().as_raw() && uid != 0 && !named_by_root {
            let why = format!("another user (uid {uid}) listens there");
            return Err(Failure::new(Code::NotPermitted, self.shown(), why)
                .hint("name a socket of your own with --socket or TAPTOOL_SOCKET"));
        }
        Ok(Found::Listener(socket))
    }

    /// Connects once more, as the user who listens there, where root named a socket of another
    /// user's; none elsewhere. A holder in a user namespace that root has no number in cannot tell
    /// root from another user. Does not wait.
    pub(super) fn connect_as_its_user(&self) -> Option<Found> {
        if self.own_dir || !geteuid().is_root() {
            return None;
        }
        let uid = match self.connect().ok()? {
            Found::Listener(found) => socket::peer(std::os::fd::AsFd::as_fd(&found)).ok()?.uid,
            other => return Some(other),
        };
        if uid == 0 {
            return None;
        }
        match socket::connect_as(uid, &self.socket) {
            Ok(socket) => Some(Found::Listener(socket)),
            Err(error) if error.raw_os_error() == Some(nix::libc::EAGAIN) => Some(Found::Full),
            Err(_) => None,
        }
    }

    /// The directory that only we may be able to write in.
    fn dir_of_ours(&self) -> Option<&Path> {
        self.socket.parent().filter(|_| self.own_dir)
    }

    /// A file on which no process listens: a stale socket, or another file that must be kept.
    fn stale(&self) -> Result<Found, Failure> {
        match fs::symlink_metadata(&self.socket) {
            Ok(file) if !file.file_type().is_socket() => {
                Err(Failure::new(Code::Exists, self.shown(), "this is no socket"))
            }
            _ => Ok(Found::Stale),
        }
    }

    /// Makes the directory, and checks that no other user can make a socket there.
    ///
    /// # Errors
    /// Exit code 5 when it belongs to another user or others may write in it, 6 when it cannot be
    /// made.
    pub(super) fn prepare(&self) -> Result<(), Failure> {
        let Some(dir) = self.dir_of_ours() else { return Ok(()) };
        match DirBuilder::new().mode(0o700).create(dir) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                Err(no_place("mkdir", &dir.display().to_string(), &e))
            }
            _ => checked(dir),
        }
    }
}

/// Refuses a directory that is another's, that others may write in, or that is a link.
fn checked(dir: &Path) -> Result<(), Failure> {
    let on = dir.display().to_string();
    let there = fs::symlink_metadata(dir).map_err(|e| Failure::io("lstat", &*on, &e))?;
    if there.is_dir() && there.uid() == geteuid().as_raw() && there.mode() & 0o022 == 0 {
        return Ok(());
    }
    let why = "not a directory of this user alone";
    Err(Failure::new(Code::NotPermitted, on, why)
        .hint("name a socket in a directory of your own with --socket or TAPTOOL_SOCKET"))
}

/// A holder cannot be where it should be.
pub(super) fn no_place(doing: &str, on: &str, error: &io::Error) -> Failure {
    let failure = Failure::io(doing, on, error);
    let failure = match failure.code {
        Code::NotPermitted => failure,
        _ => failure.code(Code::NoAnswer),
    };
    failure.hint("name a socket in a directory of your own with --socket or TAPTOOL_SOCKET")
}

fn user_dir() -> PathBuf {
    let uid = userns::outside_uid();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .or_else(|| Some(PathBuf::from(format!("/run/user/{uid}"))).filter(|dir| dir.is_dir()));
    match runtime {
        Some(dir) => dir.join("taptool"),
        None => format!("/tmp/taptool-{uid}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn own(dir: &Path) -> Place {
        Place { socket: dir.join("taptool/ctl.sock"), own_dir: true }
    }

    #[test]
    fn a_directory_that_others_may_write_in_or_that_is_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let place = own(temp.path());
        place.prepare().unwrap();
        place.prepare().unwrap();
        let dir = temp.path().join("taptool");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(place.prepare().unwrap_err().code, Code::NotPermitted);
        fs::remove_dir(&dir).unwrap();
        symlink(temp.path(), &dir).unwrap();
        assert_eq!(place.prepare().unwrap_err().code, Code::NotPermitted);
    }

    #[test]
    fn nothing_a_stale_socket_and_a_listener_are_told_apart() {
        let temp = tempfile::tempdir().unwrap();
        let place = Place::find(Some(&temp.path().join("s"))).unwrap();
        assert!(matches!(place.connect(), Ok(Found::Nothing)));
        let listener = std::os::unix::net::UnixListener::bind(place.path()).unwrap();
        assert!(matches!(place.connect(), Ok(Found::Listener(_))));
        drop(listener);
        assert!(matches!(place.connect(), Ok(Found::Stale)));
        fs::remove_file(place.path()).unwrap();
        fs::write(place.path(), "").unwrap();
        assert_eq!(place.connect().unwrap_err().code, Code::Exists);
    }

    #[test]
    fn a_relative_socket_is_that_of_the_working_directory() {
        let place = Place::find(Some(Path::new("s"))).unwrap();
        assert_eq!(place.path(), std::env::current_dir().unwrap().join("s"));
    }
}
