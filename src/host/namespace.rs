//! Network namespaces as open files: checked and told apart.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use crate::diag::Failure;
use crate::sys::namespace::{self as sys, FileKind};
use crate::sys::userns::rights;

pub use crate::sys::namespace::NamespaceId;

/// Checks that an open file is a network namespace and says which.
///
/// # Errors
/// Exit code 2: it is something else, and what.
pub fn verify(fd: BorrowedFd<'_>) -> Result<NamespaceId, Failure> {
    match sys::kind(fd).map_err(|(call, e)| Failure::sys(call, "namespace", e))? {
        FileKind::Network => identity(fd),
        FileKind::OtherNamespace(kind) => {
            Err(Failure::usage("", format!("this is a {kind} namespace, not a network namespace")))
        }
        FileKind::Other(kind) => {
            Err(Failure::usage("", format!("this is {kind}, not a network namespace")).hint(
                "namespaces are under /run/netns (`ip netns add NAME') and at /proc/PID/ns/net",
            ))
        }
        FileKind::PathOnly => {
            let why = "the file was opened with O_PATH, so the namespace cannot be entered";
            Err(Failure::usage("", why).hint("open it for reading (O_RDONLY)"))
        }
    }
}

/// Which namespace an open namespace file stands for, unchecked.
///
/// # Errors
/// As `fstat(2)`.
pub fn identity(fd: BorrowedFd<'_>) -> Result<NamespaceId, Failure> {
    sys::identity(fd).map_err(|e| Failure::sys("fstat", "namespace", e))
}

/// Opens the namespace of this process, and says which it is.
///
/// # Errors
/// /proc is not there.
pub fn own() -> Result<(OwnedFd, NamespaceId), Failure> {
    open("/proc/self/ns/net")
}

/// Where `ip netns` keeps names.
const NAMES: &str = "/run/netns";

/// The first name under /run/netns, in this process's mount namespace, that stands for it. Looks at
/// every name and opens none of them.
pub fn name(id: NamespaceId) -> Option<String> {
    let entries = fs::read_dir(NAMES).ok()?.flatten();
    let named = entries.filter_map(|entry| {
        let file = fs::metadata(entry.path()).ok()?;
        let found = NamespaceId { dev: file.dev(), ino: file.ino() };
        (found == id).then(|| entry.file_name().into_string().ok())?
    });
    named.min()
}

/// What this process calls it: its name, else `net:[INODE]`; none for the process's own.
pub fn words(id: NamespaceId) -> Option<String> {
    let own = own().is_ok_and(|(_, own)| own == id);
    (!own).then(|| name(id).unwrap_or_else(|| id.to_string()))
}

/// Opens the namespace of the calling thread.
pub(super) fn of_this_thread() -> Result<(OwnedFd, NamespaceId), Failure> {
    open("/proc/thread-self/ns/net")
}

fn open(path: &str) -> Result<(OwnedFd, NamespaceId), Failure> {
    let file = File::open(path).map_err(|e| {
        let failure = Failure::io(format!("open {path}"), "", &e);
        if e.kind() == ErrorKind::NotFound { failure.hint("mount /proc") } else { failure }
    })?;
    let id = identity(file.as_fd())?;
    Ok((file.into(), id))
}

pub(super) fn entering(call: &str, errno: Errno) -> Failure {
    let failure = Failure::sys(call, "", errno);
    match errno {
        Errno::EPERM => {
            failure.hint(rights("needs CAP_SYS_ADMIN here and in that namespace", None))
        }
        Errno::ENOSPC => failure.hint("raise sysctl user.max_net_namespaces"),
        _ => failure,
    }
}
