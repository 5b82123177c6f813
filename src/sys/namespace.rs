//! Namespaces as files: what kind one is, which one, and moving the calling thread into it.
#![expect(unsafe_code, reason = "NS_GET_NSTYPE of linux/nsfs.h")]

use std::fmt;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{SFlag, fstat};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use super::ioctl::{self, Request};

const NS_GET_NSTYPE: Request =
    Request { name: "NS_GET_NSTYPE", file: "namespace", code: libc::NS_GET_NSTYPE };

/// Which namespace, for as long as it exists: the numbers of its file in `nsfs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamespaceId {
    /// Device of the namespace file system.
    pub dev: u64,
    /// Inode; `readlink /proc/PID/ns/net` prints it.
    pub ino: u64,
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net:[{}]", self.ino)
    }
}

/// What an open file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A network namespace.
    Network,
    /// A namespace of another kind, by its name.
    OtherNamespace(&'static str),
    /// No namespace; what it is instead.
    Other(&'static str),
    /// Opened with `O_PATH`, so nothing can be done with it, whatever it is.
    PathOnly,
}

/// Tells what an open file stands for.
///
/// # Errors
/// The call that failed and its errno.
pub fn kind(fd: BorrowedFd<'_>) -> Result<FileKind, (&'static str, Errno)> {
    let flags = fcntl(fd, FcntlArg::F_GETFL).map_err(|e| ("fcntl(F_GETFL)", e))?;
    if OFlag::from_bits_truncate(flags).contains(OFlag::O_PATH) {
        return Ok(FileKind::PathOnly);
    }
    let statfs = fstatfs(fd).map_err(|e| ("fstatfs", e))?;
    if statfs.filesystem_type() != NSFS_MAGIC {
        let stat = fstat(fd).map_err(|e| ("fstat", e))?;
        let format = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
        return Ok(FileKind::Other(match format {
            SFlag::S_IFDIR => "a directory",
            SFlag::S_IFREG => "a regular file",
            SFlag::S_IFSOCK => "a socket",
            SFlag::S_IFIFO => "a pipe",
            SFlag::S_IFCHR | SFlag::S_IFBLK => "a device file",
            _ => "a file of another kind",
        }));
    }
    // SAFETY: NS_GET_NSTYPE takes no argument (linux/nsfs.h).
    let kind = unsafe { ioctl::plain(fd, NS_GET_NSTYPE) }.map_err(|r| (r.request.name, r.errno))?;
    Ok(match kind {
        libc::CLONE_NEWNET => FileKind::Network,
        libc::CLONE_NEWNS => FileKind::OtherNamespace("mount"),
        libc::CLONE_NEWUSER => FileKind::OtherNamespace("user"),
        libc::CLONE_NEWPID => FileKind::OtherNamespace("pid"),
        libc::CLONE_NEWUTS => FileKind::OtherNamespace("uts"),
        libc::CLONE_NEWIPC => FileKind::OtherNamespace("ipc"),
        libc::CLONE_NEWCGROUP => FileKind::OtherNamespace("cgroup"),
        libc::CLONE_NEWTIME => FileKind::OtherNamespace("time"),
        _ => FileKind::OtherNamespace("unknown"),
    })
}

/// Which namespace the file stands for.
///
/// # Errors
/// As `fstat(2)`.
pub fn identity(fd: BorrowedFd<'_>) -> Result<NamespaceId, Errno> {
    let stat = fstat(fd)?;
    Ok(NamespaceId { dev: stat.st_dev, ino: stat.st_ino })
}

/// Moves the calling thread, and no other, into a network namespace.
///
/// # Errors
/// `EPERM`: no `CAP_SYS_ADMIN` there or here; `EINVAL`: not a network namespace.
pub fn enter_network(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    setns(fd, CloneFlags::CLONE_NEWNET)
}

/// Moves the calling thread, and no other, into a new network namespace.
///
/// # Errors
/// `EPERM`: no `CAP_SYS_ADMIN`; `ENOSPC`: `user.max_net_namespaces` is reached.
pub fn unshare_network() -> Result<(), Errno> {
    unshare(CloneFlags::CLONE_NEWNET)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    #[test]
    fn only_a_network_namespace_counts_as_one() {
        let kind_of = |path: &str| kind(File::open(path).unwrap().as_fd()).unwrap();
        assert_eq!(kind_of("/proc/self/ns/net"), FileKind::Network);
        assert_eq!(kind_of("/proc/self/ns/mnt"), FileKind::OtherNamespace("mount"));
        assert_eq!(kind_of("/proc/self/ns/user"), FileKind::OtherNamespace("user"));
        assert_eq!(kind_of("/"), FileKind::Other("a directory"));
        assert_eq!(kind_of("/dev/null"), FileKind::Other("a device file"));
        let path_only = File::options()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open("/proc/self/ns/net")
            .unwrap();
        assert_eq!(kind(path_only.as_fd()), Ok(FileKind::PathOnly));
    }
}
