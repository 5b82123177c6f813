//! A tap or tun device with a virtio header, in the namespace of the calling thread.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use taptool::frame::NetHdr;
use taptool::units::Kind;

nix::ioctl_write_ptr_bad!(tun_set_iff, nix::request_code_write!(b'T', 202, 4), libc::ifreq);
nix::ioctl_write_int_bad!(tun_set_offload, nix::request_code_write!(b'T', 208, 4));
nix::ioctl_write_ptr!(tun_set_vnet_hdr_size, b'T', 216, libc::c_int);
nix::ioctl_write_ptr_bad!(set_flags, libc::SIOCSIFFLAGS, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_address, libc::SIOCSIFADDR, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_netmask, libc::SIOCSIFNETMASK, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_mtu, libc::SIOCSIFMTU, libc::ifreq);
nix::ioctl_readwrite_bad!(get_index, libc::SIOCGIFINDEX, libc::ifreq);
nix::ioctl_write_ptr_bad!(set_address_6, libc::SIOCSIFADDR, In6Ifreq);

/// `struct in6_ifreq` of linux/ipv6.h.
#[repr(C)]
#[derive(Debug)]
pub struct In6Ifreq {
    address: [u8; 16],
    prefix_len: u32,
    index: libc::c_int,
}

/// Puts the calling thread into a network namespace of its own.
pub fn leave() {
    unshare(CloneFlags::CLONE_NEWNET).expect("unshare(CLONE_NEWNET)");
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: `ifreq` is integers, arrays of them and a pointer; zero is a value of each.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request
}

/// Whether an IPv6 address of this thread's namespace may not be used yet (`IFA_F_TENTATIVE`).
fn tentative() -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
    let flags = |line: &str| {
        let word = line.split_whitespace().nth(4).expect("a column of flags");
        u32::from_str_radix(word, 16).expect("hexadecimal flags")
    };
    table.lines().any(|line| flags(line) & libc::IFA_F_TENTATIVE != 0)
}

fn control(family: AddressFamily) -> OwnedFd {
    socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap()
}

/// One device, up, with all offloads on. Gone when dropped.
#[derive(Debug)]
pub struct Tap {
    file: File,
    name: &'static str,
    /// Whether the kernel may hand over UDP_L4 frames.
    pub has_uso: bool,
}

impl Tap {
    pub fn new(kind: Kind, name: &'static str) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .unwrap();
        let mut iff = request(name);
        let mode = match kind {
            Kind::Tap => libc::IFF_TAP,
            Kind::Tun => libc::IFF_TUN,
        };
        iff.ifr_ifru.ifru_flags =
            libc::c_short::try_from(mode | libc::IFF_NO_PI | libc::IFF_VNET_HDR).unwrap();
        let fd = file.as_raw_fd();
        let bytes = libc::c_int::try_from(NetHdr::BYTES).unwrap();
        // CSUM, TSO4, TSO6, TSO_ECN of linux/if_tun.h, and USO4, USO6, which Linux 6.2 brought.
        let offloads = 0x01 | 0x02 | 0x04 | 0x08;
        let uso = 0x20 | 0x40;
        let mut up = request(name);
        up.ifr_ifru.ifru_flags = libc::c_short::try_from(libc::IFF_UP).unwrap();
        // SAFETY: the file and the socket are open, and each pointer is to a value of the type
        // that its request number stands for.
        let has_uso = unsafe {
            tun_set_iff(fd, &raw const iff).unwrap();
            tun_set_vnet_hdr_size(fd, &raw const bytes).unwrap();
            tun_set_offload(fd, offloads).unwrap();
            let has_uso = tun_set_offload(fd, offloads | uso) != Err(Errno::EINVAL);
            set_flags(control(AddressFamily::Inet).as_raw_fd(), &raw const up).unwrap();
            has_uso
        };
        Self { file, name, has_uso }
    }

    pub fn set_mtu(&self, mtu: i32) {
        let mut request = request(self.name);
        request.ifr_ifru.ifru_mtu = mtu;
        // SAFETY: as in `new`.
        unsafe { set_mtu(control(AddressFamily::Inet).as_raw_fd(), &raw const request) }.unwrap();
    }

    /// Gives the host side both addresses, usable at once.
    pub fn set_addresses(&self, v4: Ipv4Addr, v6: Ipv6Addr) {
        let dad = format!("/proc/sys/net/ipv6/conf/{}/accept_dad", self.name);
        std::fs::write(dad, "0").unwrap();
        let four = self.request_with(v4);
        // A tun is point-to-point, whose addresses begin as /32.
        let mask = self.request_with(Ipv4Addr::new(255, 255, 255, 0));
        let mut index = request(self.name);
        let (inet, inet6) = (control(AddressFamily::Inet), control(AddressFamily::Inet6));
        // SAFETY: as in `new`; `get_index` has filled in the field of the union that is read.
        unsafe {
            set_address(inet.as_raw_fd(), &raw const four).unwrap();
            set_netmask(inet.as_raw_fd(), &raw const mask).unwrap();
            get_index(inet.as_raw_fd(), &raw mut index).unwrap();
            let six = In6Ifreq {
                address: v6.octets(),
                prefix_len: 64,
                index: index.ifr_ifru.ifru_ifindex,
            };
            set_address_6(inet6.as_raw_fd(), &raw const six).unwrap();
        }
        // The kernel lets go of a new address in a work queue, also where it probes for no double.
        let deadline = Instant::now() + Duration::from_secs(120);
        while tentative() {
            assert!(Instant::now() < deadline, "{v6} stays tentative");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn request_with(&self, v4: Ipv4Addr) -> libc::ifreq {
        let mut request = request(self.name);
        let address = libc::sockaddr_in {
            sin_family: libc::sa_family_t::try_from(libc::AF_INET).unwrap(),
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.octets()) },
            sin_zero: [0; 8],
        };
        // SAFETY: both are 16 bytes of integers, and the kernel reads the one as the other.
        request.ifr_ifru.ifru_addr =
            unsafe { std::mem::transmute::<libc::sockaddr_in, libc::sockaddr>(address) };
        request
    }

    /// Writes one frame behind its header.
    pub fn send(&self, hdr: &NetHdr, frame: &[u8]) -> Result<(), Errno> {
        let whole = [&hdr.to_bytes(), frame].concat();
        match (&self.file).write(&whole) {
            Ok(written) => {
                assert_eq!(written, whole.len());
                Ok(())
            }
            Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap())),
        }
    }

    /// Reads one frame, if there is one.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<(NetHdr, usize)> {
        let read = (&self.file).read(buffer).ok()?;
        let hdr = NetHdr::from_bytes(buffer[..NetHdr::BYTES].try_into().unwrap());
        Some((hdr, read - NetHdr::BYTES))
    }

    pub fn fd(&self) -> impl AsFd + '_ {
        self.file.as_fd()
    }
}
