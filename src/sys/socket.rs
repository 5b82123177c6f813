//! Unix sockets: bytes with files beside them, sockets born with their mode, and the process at
//! the other end.
#![expect(unsafe_code, reason = "files that a message brings are ours from then on")]

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, bind,
    getsockopt, listen, sendmsg, socket,
};
use nix::sys::stat::{Mode, fchmod};

use crate::diag::Failure;

/// The process at the other end, as the kernel noted it at connect(2) or socketpair(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Effective user, in our user namespace.
    pub uid: u32,
    /// Process, in our process namespace.
    pub pid: i32,
}

/// Returns the process at the other end.
///
/// # Errors
/// As `getsockopt(2)` of `SO_PEERCRED`.
pub fn peer(socket: BorrowedFd<'_>) -> Result<Peer, Failure> {
    let peer = getsockopt(&socket, PeerCredentials)
        .map_err(|e| Failure::sys("getsockopt(SO_PEERCRED)", "control socket", e))?;
    Ok(Peer { uid: peer.uid(), pid: peer.pid() })
}

/// Sends bytes and, with the first of them, files. Does not wait. Returns how many bytes went.
///
/// # Errors
/// As `sendmsg(2)`; `WouldBlock` when there is no room.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let numbers: Vec<RawFd> = files.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let beside = if numbers.is_empty() { &[][..] } else { &rights[..] };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    Ok(sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], beside, flags, None)?)
}

/// Receives into `buffer` and adds the files that came beside the last of these bytes to `files`,
/// all close-on-exec. Does not wait. Returns the number of bytes; 0 at the end.
///
/// Files for which this process has no room are closed by the kernel; those that it installed
/// nevertheless are adopted, so that none leaks.
///
/// # Errors
/// As `recvmsg(2)`; `WouldBlock` when there is nothing; `EMFILE` when files were lost for want of
/// room: the bytes that they came beside are gone too.
pub fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    files: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    // Not nix's: it answers truncated control data with an error and leaks what came.
    let mut space = Aligned([0; SPACE]);
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: all bits zero are a valid msghdr.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = space.0.as_mut_ptr().cast();
    header.msg_controllen = SPACE;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header points at `part` and `space`, which live until the end of this function,
    // and `part` at `buffer`, each with its true length.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel filled `space` and set msg_controllen to what it wrote.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !at.is_null() {
        // SAFETY: the CMSG macros return pointers to headers that lie whole within `space`, which
        // is aligned for them.
        let (level, kind, length) = unsafe { ((*at).cmsg_level, (*at).cmsg_type, (*at).cmsg_len) };
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the length of a header alone; reads nothing.
            let data = length.saturating_sub(unsafe { libc::CMSG_LEN(0) } as usize);
            for i in 0..data / size_of::<RawFd>() {
                // SAFETY: `data` bytes of descriptors follow this header; they need no alignment.
                // The kernel made them for this message, so no other code knows of them.
                let file = unsafe {
                    let number = libc::CMSG_DATA(at).cast::<RawFd>().add(i).read_unaligned();
                    OwnedFd::from_raw_fd(number)
                };
                files.push(file);
            }
        }
        // SAFETY: as above.
        at = unsafe { libc::CMSG_NXTHDR(&raw const header, at) };
    }
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    Ok(got)
}

/// Room for as many files as a message can carry (`SCM_MAX_FD`, 253), so that only a full
/// descriptor table cuts them off.
const SPACE: usize = 2048;

/// Control data, aligned as its headers are.
#[repr(C, align(8))]
struct Aligned([u8; SPACE]);

/// Binds and listens at `path`, which must not exist. Only its owner may connect: a socket takes
/// its mode from the file it is bound with, so there is no moment in which it is open to others.
///
/// # Errors
/// As `bind(2)`: `EADDRINUSE` where there is something already.
pub fn listener(path: &Path) -> Result<OwnedFd, Failure> {
    let on = path.display().to_string();
    let refused = |call: &'static str| {
        let on = on.clone();
        move |errno: Errno| Failure::sys(call, on, errno)
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(AddressFamily::Unix, SockType::Stream, flags, None);
    let made = made.map_err(refused("socket"))?;
    fchmod(&made, Mode::S_IRUSR | Mode::S_IWUSR).map_err(refused("fchmod"))?;
    let address = UnixAddr::new(path).map_err(refused("bind"))?;
    bind(made.as_raw_fd(), &address).map_err(refused("bind"))?;
    listen(&made, Backlog::MAXCONN).map_err(refused("listen"))?;
    Ok(made)
}

/// Connects to `path`. Does not wait.
///
/// # Errors
/// As `connect(2)`: `EAGAIN` where as many connections as the listener allows wait to be accepted.
pub fn connect(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    nix::sys::socket::connect(made.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(made)
}

/// Connects to `path` as another user: the peer sees that one. For root alone. Does not wait.
///
/// # Errors
/// As `setresuid(2)` and [`connect`].
pub fn connect_as(uid: u32, path: &Path) -> io::Result<OwnedFd> {
    let as_user = || {
        // Not by the C library, which would change the user of all threads. It ends with this one.
        // SAFETY: takes numbers and no memory; -1 leaves a user as it is.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, -1_i64, i64::from(uid), -1_i64) };
        if changed != 0 {
            return Err(io::Error::last_os_error());
        }
        connect(path).map_err(io::Error::from)
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("connect".into());
        let connected = thread.spawn_scoped(scope, as_user)?.join();
        connected.unwrap_or_else(|_| Err(io::Error::other("a thread panicked")))
    })
}

/// The first socket that the service manager passed, if it passed any to this process
/// (sd_listen_fds(3)). None when it was taken before.
pub fn passed() -> Option<OwnedFd> {
    const FIRST: RawFd = 3;
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    let ours = number("LISTEN_PID")? == std::process::id() && number("LISTEN_FDS")? > 0;
    if !ours || TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: the number is only looked at; a closed one makes an error.
    let there = unsafe { BorrowedFd::borrow_raw(FIRST) };
    let flags = nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::FD_CLOEXEC);
    nix::fcntl::fcntl(there, flags).ok()?;
    // SAFETY: it is open, by sd_listen_fds(3) it is this process's own, and it is taken once.
    Some(unsafe { OwnedFd::from_raw_fd(FIRST) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::socketpair;
    use std::os::fd::AsFd;
    use std::os::unix::fs::PermissionsExt;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC).unwrap()
    }

    #[test]
    fn files_come_with_their_bytes_and_are_closed_on_exec() {
        let (a, b) = pair();
        let null = std::fs::File::open("/dev/null").unwrap();
        assert_eq!(send(a.as_fd(), b"with", &[null.as_fd()]).unwrap(), 4);
        let (mut files, mut buffer) = (Vec::new(), [0; 16]);
        assert_eq!(receive(b.as_fd(), &mut buffer, &mut files).unwrap(), 4);
        assert_eq!(files.len(), 1);
        let flags = nix::fcntl::fcntl(files[0].as_fd(), nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_eq!(flags & nix::libc::FD_CLOEXEC, nix::libc::FD_CLOEXEC);
        let empty = receive(b.as_fd(), &mut buffer, &mut files).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
        drop(a);
        assert_eq!(receive(b.as_fd(), &mut buffer, &mut files).unwrap(), 0);
    }

    #[test]
    fn as_many_files_as_a_message_can_carry_are_all_adopted() {
        let (a, b) = pair();
        let null = std::fs::File::open("/dev/null").unwrap();
        let many: Vec<BorrowedFd<'_>> = (0..253).map(|_| null.as_fd()).collect();
        send(a.as_fd(), b"x", &many).unwrap();
        let mut files = Vec::new();
        receive(b.as_fd(), &mut [0; 4], &mut files).unwrap();
        assert_eq!(files.len(), 253);
    }

    #[test]
    fn a_listener_is_born_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = listener(&path).unwrap();
        let mode = std::fs::symlink_metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = listener(&path).unwrap_err();
        assert_eq!(again.code, crate::diag::Code::Exists);
    }
}
