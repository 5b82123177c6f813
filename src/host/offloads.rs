//! What the host may send us: the offloads of a tun device.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;

use crate::diag::Failure;
use crate::sys::tun;
use crate::units::HostOffload;

/// A set of `TUN_F_…` offloads (`linux/if_tun.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Offloads(u32);

const NAMES: [(u32, &str); 5] = [
    (tun::TUN_F_CSUM, "CSUM"),
    (tun::TUN_F_TSO4, "TSO4"),
    (tun::TUN_F_TSO6, "TSO6"),
    (tun::TUN_F_USO4, "USO4"),
    (tun::TUN_F_USO6, "USO6"),
];

impl Offloads {
    /// Nothing: whole frames with whole checksums.
    pub const NONE: Self = Self(0);
    /// Unfinished checksums.
    pub const CSUM: Self = Self(tun::TUN_F_CSUM);
    /// Large TCP segments, and the unfinished checksums that they imply.
    pub const TSO: Self = Self(tun::TUN_F_CSUM | tun::TUN_F_TSO4 | tun::TUN_F_TSO6);
    /// Also large UDP datagrams (Linux 6.2); the kernel takes USO4 and USO6 only together.
    pub const ALL: Self = Self(Self::TSO.0 | tun::TUN_F_USO4 | tun::TUN_F_USO6);

    /// The bits of `TUNSETOFFLOAD`.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Names, as `show` prints them.
    pub fn names(self) -> Vec<&'static str> {
        NAMES.iter().filter(|(bit, _)| self.0 & bit != 0).map(|(_, name)| *name).collect()
    }
}

/// Sets what the host leaves undone, on every file of a device, and returns what holds now: for
/// [`HostOffload::Gso`] all, or all without USO on Linux before 6.2. Waits for the rtnl lock, so it is
/// no call for the control thread.
///
/// # Errors
/// The kernel's refusal; the device is then back at `before`.
pub fn set_offloads<F: AsFd>(
    fds: &[F],
    wanted: HostOffload,
    before: Offloads,
) -> Result<Offloads, Failure> {
    set_with(fds, wanted, before, tun::set_offload)
}

fn set_with<F: AsFd>(
    fds: &[F],
    wanted: HostOffload,
    before: Offloads,
    set: impl Fn(BorrowedFd<'_>, u32) -> Result<(), tun::Refused>,
) -> Result<Offloads, Failure> {
    let wanted: &[Offloads] = match wanted {
        HostOffload::Gso => &[Offloads::ALL, Offloads::TSO],
        HostOffload::Csum => &[Offloads::CSUM],
        HostOffload::Off => &[Offloads::NONE],
    };
    let mut refused = None;
    for offloads in wanted {
        match fds.iter().try_for_each(|fd| set(fd.as_fd(), offloads.bits())) {
            Ok(()) => return Ok(*offloads),
            Err(e) => {
                refused = Some(e);
                if e.errno != Errno::EINVAL {
                    break;
                }
            }
        }
    }
    for fd in fds {
        // If even this is refused, the device is gone, and the first refusal says so.
        let _ = set(fd.as_fd(), before.bits());
    }
    match refused {
        Some(e) => Err(e.into()),
        None => Ok(before),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs::File;

    use super::*;
    use crate::sys::tun::{Refused, TUNSETOFFLOAD};

    fn einval() -> Refused {
        Refused { request: TUNSETOFFLOAD, errno: Errno::EINVAL }
    }

    #[test]
    fn a_kernel_without_uso_gets_tso_and_checksums() {
        let file = File::open("/dev/null").unwrap();
        let old = |_: BorrowedFd<'_>, bits| if bits & 0x60 == 0 { Ok(()) } else { Err(einval()) };
        let set = set_with(&[&file, &file], HostOffload::Gso, Offloads::NONE, old).unwrap();
        assert_eq!(set.names(), ["CSUM", "TSO4", "TSO6"]);
    }

    #[test]
    fn a_refusal_on_a_later_queue_puts_the_earlier_ones_back() {
        let (a, b) = (File::open("/dev/null").unwrap(), File::open("/dev/zero").unwrap());
        let first = std::os::fd::AsRawFd::as_raw_fd(&a);
        let last = RefCell::new([None; 2]);
        let set = |fd: BorrowedFd<'_>, bits| {
            let is_first = std::os::fd::AsRawFd::as_raw_fd(&fd) == first;
            if !is_first && bits != 0 {
                return Err(einval());
            }
            last.borrow_mut()[usize::from(!is_first)] = Some(bits);
            Ok(())
        };
        let failure = set_with(&[&a, &b], HostOffload::Gso, Offloads::NONE, set).unwrap_err();
        assert_eq!(failure.doing, "ioctl(TUNSETOFFLOAD) on /dev/net/tun");
        assert_eq!(*last.borrow(), [Some(0), Some(0)]);
    }
}
