//! Requests of `ioctl(2)` by name, so that a refusal can say which one it was.
#![expect(unsafe_code, reason = "ioctl has no type; the callers in sys state it per request")]

use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;
pub use nix::sys::ioctl::ioctl_num_type as Code;

use crate::diag::Failure;

/// A request, the name it has in the kernel's headers, and the file that takes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The constant's name (`TUNSETIFF`).
    pub name: &'static str,
    /// What the file is called in an error (`/dev/net/tun`).
    pub file: &'static str,
    /// The number.
    pub code: Code,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ioctl({}) on {}", self.name, self.file)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A request that the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Which one.
    pub request: Request,
    /// With what.
    pub errno: Errno,
}

impl Refused {
    /// The refusal as people read it; `on` is the object in their words.
    pub fn failure(self, on: impl Into<String>) -> Failure {
        Failure::sys(self.request.to_string(), on, self.errno)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        refused.failure("")
    }
}

fn answer(request: Request, returned: libc::c_int) -> Result<libc::c_int, Refused> {
    Errno::result(returned).map_err(|errno| Refused { request, errno })
}

/// Calls a request that takes no argument.
///
/// # Safety
/// `request` takes no argument.
pub(super) unsafe fn plain(fd: BorrowedFd<'_>, request: Request) -> Result<libc::c_int, Refused> {
    // SAFETY: the request takes no argument, says the caller; the file is open while borrowed.
    answer(request, unsafe { libc::ioctl(fd.as_raw_fd(), request.code) })
}

/// Calls a request whose argument is the value itself.
///
/// # Safety
/// `request` takes a number, not an address.
pub(super) unsafe fn value(
    fd: BorrowedFd<'_>,
    request: Request,
    value: libc::c_ulong,
) -> Result<(), Refused> {
    // SAFETY: the kernel reads the argument as a number, says the caller.
    answer(request, unsafe { libc::ioctl(fd.as_raw_fd(), request.code, value) }).map(drop)
}

/// Calls a request whose argument is the address of a `T` that it only reads.
///
/// # Safety
/// The kernel reads no more than a `T` at the address and keeps none of it.
pub(super) unsafe fn read_by_kernel<T: ?Sized>(
    fd: BorrowedFd<'_>,
    request: Request,
    argument: &T,
) -> Result<(), Refused> {
    let address = std::ptr::from_ref(argument).cast::<libc::c_void>();
    // SAFETY: the address is of a live `T`, and the kernel reads no more, says the caller.
    answer(request, unsafe { libc::ioctl(fd.as_raw_fd(), request.code, address) }).map(drop)
}

/// Calls a request whose argument is the address of a `T` that it reads or writes.
///
/// # Safety
/// The kernel touches no more than a `T` at the address, and any bytes it writes make a valid `T`.
pub(super) unsafe fn written_by_kernel<T>(
    fd: BorrowedFd<'_>,
    request: Request,
    argument: &mut T,
) -> Result<(), Refused> {
    let address = std::ptr::from_mut(argument).cast::<libc::c_void>();
    // SAFETY: the address is of a live `T` to which there is no other reference; the caller vouches
    // for the rest.
    answer(request, unsafe { libc::ioctl(fd.as_raw_fd(), request.code, address) }).map(drop)
}
