//! /dev/net/tun: the requests of `linux/if_tun.h`.
#![expect(unsafe_code, reason = "the requests of linux/if_tun.h")]

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

pub use super::ioctl::Refused;
use super::ioctl::{self, Code, Request};

/// The file.
pub const PATH: &str = "/dev/net/tun";

/// `IFF_TUN`: IP packets.
pub const IFF_TUN: u16 = 0x0001;
/// `IFF_TAP`: Ethernet frames.
pub const IFF_TAP: u16 = 0x0002;
/// `IFF_MULTI_QUEUE`: a file per queue.
pub const IFF_MULTI_QUEUE: u16 = 0x0100;
/// `IFF_NO_PI`: no protocol word before the frame.
pub const IFF_NO_PI: u16 = 0x1000;
/// `IFF_VNET_HDR`: a virtio header before the frame.
pub const IFF_VNET_HDR: u16 = 0x4000;
/// `IFF_TUN_EXCL`: refuse a name that exists. Kernels before 3.0 ignore it.
pub const IFF_TUN_EXCL: u16 = 0x8000;

/// `TUN_F_CSUM`: the host may send us frames with unfinished checksums.
pub const TUN_F_CSUM: u32 = 0x01;
/// `TUN_F_TSO4`: TCP over IPv4 in large segments.
pub const TUN_F_TSO4: u32 = 0x02;
/// `TUN_F_TSO6`: TCP over IPv6 in large segments.
pub const TUN_F_TSO6: u32 = 0x04;
/// `TUN_F_USO4`: UDP over IPv4 in large segments (Linux 6.2).
pub const TUN_F_USO4: u32 = 0x20;
/// `TUN_F_USO6`: UDP over IPv6 in large segments (Linux 6.2).
pub const TUN_F_USO6: u32 = 0x40;

const fn request(name: &'static str, code: Code) -> Request {
    Request { name, file: PATH, code }
}

/// Attaches a file to a device, making it where there is none.
pub const TUNSETIFF: Request = request("TUNSETIFF", libc::TUNSETIFF);
/// Flags that the kernel knows.
pub const TUNGETFEATURES: Request = request("TUNGETFEATURES", libc::TUNGETFEATURES);
/// What the host may send.
pub const TUNSETOFFLOAD: Request = request("TUNSETOFFLOAD", libc::TUNSETOFFLOAD);
/// Name and flags of the attached device.
pub const TUNGETIFF: Request = request("TUNGETIFF", libc::TUNGETIFF);
/// Most bytes that written frames may hold in the kernel.
pub const TUNSETSNDBUF: Request = request("TUNSETSNDBUF", libc::TUNSETSNDBUF);
/// Whether the device stays when no file is attached to it.
pub const TUNSETPERSIST: Request = request("TUNSETPERSIST", libc::TUNSETPERSIST);
/// Reads what `TUNSETSNDBUF` set.
pub const TUNGETSNDBUF: Request = request("TUNGETSNDBUF", libc::TUNGETSNDBUF);
/// Reads what `TUNSETVNETHDRSZ` set.
pub const TUNGETVNETHDRSZ: Request = request("TUNGETVNETHDRSZ", libc::TUNGETVNETHDRSZ);
/// Bytes of the virtio header.
pub const TUNSETVNETHDRSZ: Request = request("TUNSETVNETHDRSZ", libc::TUNSETVNETHDRSZ);
/// User who may attach.
pub const TUNSETOWNER: Request = request("TUNSETOWNER", libc::TUNSETOWNER);
/// Group that may attach.
pub const TUNSETGROUP: Request = request("TUNSETGROUP", libc::TUNSETGROUP);
/// Carrier of the attached device.
pub const TUNSETCARRIER: Request = request("TUNSETCARRIER", libc::TUNSETCARRIER);
/// Network namespace of the attached device (Linux 5.8).
pub const TUNGETDEVNETNS: Request = request("TUNGETDEVNETNS", libc::TUNGETDEVNETNS);

/// `struct ifreq` with its union read as `ifr_flags` (`linux/if.h`).
#[repr(C)]
struct IfReq {
    name: [u8; libc::IFNAMSIZ],
    flags: u16,
    rest: [u8; size_of::<libc::ifreq>() - libc::IFNAMSIZ - 2],
}

const _: () = assert!(size_of::<IfReq>() == size_of::<libc::ifreq>());

impl IfReq {
    /// `name` is cut at 15 bytes, as the kernel does; callers hold checked names.
    fn new(name: &str, flags: u16) -> Self {
        let mut bytes = [0; libc::IFNAMSIZ];
        for (to, from) in bytes.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
            *to = from;
        }
        Self { name: bytes, flags, rest: [0; size_of::<libc::ifreq>() - libc::IFNAMSIZ - 2] }
    }

    fn name(&self) -> String {
        let bytes: Vec<u8> = self.name.iter().copied().take_while(|b| *b != 0).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The device that a file is attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Its name now.
    pub name: String,
    /// Its `IFF_…` flags of `linux/if_tun.h`.
    pub flags: u16,
}

/// Flags that this kernel knows (`IFF_…`); `IFF_TUN_EXCL` is never among them.
///
/// # Errors
/// The file is not /dev/net/tun.
pub fn get_features(fd: BorrowedFd<'_>) -> Result<u32, Refused> {
    let mut flags: libc::c_uint = 0;
    // SAFETY: TUNGETFEATURES writes one unsigned int.
    unsafe { ioctl::written_by_kernel(fd, TUNGETFEATURES, &mut flags)? };
    Ok(flags)
}

/// Attaches `fd` to the device `name`, made if there is none, and returns its final name. A `%d`
/// in it stands for the least free number.
///
/// The device is looked for and made in the namespace that the file was opened in.
///
/// # Errors
/// `EBUSY`: the name exists and `IFF_TUN_EXCL` was given, or the device has its only queue already;
/// `EINVAL`: it exists and is of another kind; `EPERM`: no `CAP_NET_ADMIN` there.
pub fn set_iff(fd: BorrowedFd<'_>, name: &str, flags: u16) -> Result<String, Refused> {
    let mut ifreq = IfReq::new(name, flags);
    // SAFETY: TUNSETIFF reads and writes one ifreq, of which IfReq has the size and the layout;
    // any bytes are a valid IfReq.
    unsafe { ioctl::written_by_kernel(fd, TUNSETIFF, &mut ifreq)? };
    Ok(ifreq.name())
}

/// Name and flags of the attached device; none when it is gone.
///
/// # Errors
/// The file is not /dev/net/tun.
pub fn get_iff(fd: BorrowedFd<'_>) -> Result<Option<Attached>, Refused> {
    let mut ifreq = IfReq::new("", 0);
    // SAFETY: TUNGETIFF writes one ifreq, of which IfReq has the size and the layout; any bytes
    // are a valid IfReq.
    match unsafe { ioctl::written_by_kernel(fd, TUNGETIFF, &mut ifreq) } {
        Ok(()) => Ok(Some(Attached { name: ifreq.name(), flags: ifreq.flags })),
        Err(refused) if refused.errno == Errno::EBADFD => Ok(None),
        Err(refused) => Err(refused),
    }
}

/// Sets the size of the virtio header, bytes: 10 or 12 (`virtio_net_hdr_v1`).
///
/// # Errors
/// `EINVAL`: smaller than the legacy header.
pub fn set_vnet_hdr_sz(fd: BorrowedFd<'_>, bytes: i32) -> Result<(), Refused> {
    let bytes: libc::c_int = bytes;
    // SAFETY: TUNSETVNETHDRSZ reads one int.
    unsafe { ioctl::read_by_kernel(fd, TUNSETVNETHDRSZ, &bytes) }
}

/// Sets how many bytes of written frames the device may hold; `i32::MAX` is no limit.
///
/// # Errors
/// `EINVAL`: not positive.
pub fn set_sndbuf(fd: BorrowedFd<'_>, bytes: i32) -> Result<(), Refused> {
    let bytes: libc::c_int = bytes;
    // SAFETY: TUNSETSNDBUF reads one int.
    unsafe { ioctl::read_by_kernel(fd, TUNSETSNDBUF, &bytes) }
}

/// The size of the virtio header, bytes.
///
/// # Errors
/// `EBADFD`: the device is gone.
pub fn get_vnet_hdr_sz(fd: BorrowedFd<'_>) -> Result<i32, Refused> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TUNGETVNETHDRSZ writes one int.
    unsafe { ioctl::written_by_kernel(fd, TUNGETVNETHDRSZ, &mut bytes)? };
    Ok(bytes)
}

/// How many bytes of written frames the device may hold.
///
/// # Errors
/// `EBADFD`: the device is gone.
pub fn get_sndbuf(fd: BorrowedFd<'_>) -> Result<i32, Refused> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: TUNGETSNDBUF writes one int.
    unsafe { ioctl::written_by_kernel(fd, TUNGETSNDBUF, &mut bytes)? };
    Ok(bytes)
}

/// Lets the device stay when its last file is closed, or go with it.
///
/// # Errors
/// `EBADFD`: the device is gone.
pub fn set_persist(fd: BorrowedFd<'_>, on: bool) -> Result<(), Refused> {
    // SAFETY: TUNSETPERSIST takes the number itself.
    unsafe { ioctl::value(fd, TUNSETPERSIST, on.into()) }
}

/// Sets what the host may send us: `TUN_F_…` bits. It is one setting of the device, whichever of
/// its files it is asked on.
///
/// # Errors
/// `EINVAL`: a bit that this kernel does not know, or only one of USO4 and USO6.
pub fn set_offload(fd: BorrowedFd<'_>, bits: u32) -> Result<(), Refused> {
    // SAFETY: TUNSETOFFLOAD takes the bits themselves.
    unsafe { ioctl::value(fd, TUNSETOFFLOAD, bits.into()) }
}

/// Lets the user `uid` attach to the device without privilege.
///
/// # Errors
/// `EINVAL`: no such user in this user namespace.
pub fn set_owner(fd: BorrowedFd<'_>, uid: u32) -> Result<(), Refused> {
    // SAFETY: TUNSETOWNER takes the number itself.
    unsafe { ioctl::value(fd, TUNSETOWNER, uid.into()) }
}

/// Lets the group `gid` attach to the device without privilege.
///
/// # Errors
/// `EINVAL`: no such group in this user namespace.
pub fn set_group(fd: BorrowedFd<'_>, gid: u32) -> Result<(), Refused> {
    // SAFETY: TUNSETGROUP takes the number itself.
    unsafe { ioctl::value(fd, TUNSETGROUP, gid.into()) }
}

/// Switches the carrier of the device on or off. Without it the host sends nothing through the
/// device (its kernel drops what programs send, and counts that as `tx_dropped`); frames that are
/// written to the device still arrive.
///
/// # Errors
/// `EBADFD`: the device is gone; `EINVAL`: a kernel before 4.20.
pub fn set_carrier(fd: BorrowedFd<'_>, on: bool) -> Result<(), Refused> {
    let on: libc::c_uint = on.into();
    // SAFETY: TUNSETCARRIER reads one unsigned int.
    unsafe { ioctl::read_by_kernel(fd, TUNSETCARRIER, &on) }
}

/// Opens the network namespace that the device is in now. The file keeps that namespace alive:
/// close it soon.
///
/// # Errors
/// `EBADFD`: the device is gone; `EPERM`: no `CAP_NET_ADMIN` in that namespace.
pub fn get_dev_netns(fd: BorrowedFd<'_>) -> Result<OwnedFd, Refused> {
    // SAFETY: TUNGETDEVNETNS takes no argument.
    let raw = unsafe { ioctl::plain(fd, TUNGETDEVNETNS)? };
    // SAFETY: success returns a new file (with CLOEXEC, open_related_ns) that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_request_and_the_file() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = get_features(std::os::fd::AsFd::as_fd(&null)).unwrap_err();
        assert_eq!(
            refused.failure("tap0").to_string(),
            "tap0: ioctl(TUNGETFEATURES) on /dev/net/tun: Not a typewriter (ENOTTY)"
        );
    }

    #[test]
    fn flags_are_those_of_the_c_library() {
        let same = [
            (IFF_TUN, libc::IFF_TUN),
            (IFF_TAP, libc::IFF_TAP),
            (IFF_MULTI_QUEUE, libc::IFF_MULTI_QUEUE),
            (IFF_NO_PI, libc::IFF_NO_PI),
            (IFF_VNET_HDR, libc::IFF_VNET_HDR),
            (IFF_TUN_EXCL, libc::IFF_TUN_EXCL),
        ];
        for (ours, theirs) in same {
            assert_eq!(i32::from(ours), theirs);
        }
        let same = [
            (TUN_F_CSUM, libc::TUN_F_CSUM),
            (TUN_F_TSO4, libc::TUN_F_TSO4),
            (TUN_F_TSO6, libc::TUN_F_TSO6),
            (TUN_F_USO4, libc::TUN_F_USO4),
            (TUN_F_USO6, libc::TUN_F_USO6),
        ];
        for (ours, theirs) in same {
            assert_eq!(ours, theirs);
        }
        let code = |number| nix::request_code_write!(b'T', number, 4);
        assert_eq!(TUNSETIFF.code, code(202));
        assert_eq!(TUNSETOFFLOAD.code, code(208));
        assert_eq!(TUNSETVNETHDRSZ.code, code(216));
    }

    #[test]
    fn a_name_of_sixteen_bytes_keeps_its_terminating_zero() {
        assert_eq!(IfReq::new("0123456789abcdef", 0).name(), "0123456789abcde");
    }
}
