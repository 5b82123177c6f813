//! The calls that make a tun or tap device with all its queue files.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc::O_NONBLOCK;
use nix::net::if_::if_nametoindex;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use super::offloads::{Offloads, set_offloads};
use super::refusal::taken;
use super::spec::{HostName, TapSpec, VNET_HDR_BYTES};
use crate::diag::{Code, Failure};
use crate::sys::tun;
use crate::sys::userns::{self, rights};
use crate::units::{IfName, Kind};

/// What gives the program file all that it needs.
pub(super) const SETCAP: &str = "setcap cap_net_admin,cap_sys_admin,cap_net_broadcast+ep";

/// A device just made, in the namespace of the thread that made it.
pub(super) struct Born {
    pub(super) fds: Vec<OwnedFd>,
    pub(super) name: IfName,
    pub(super) ifindex: u32,
    pub(super) offloads: Offloads,
}

/// Makes the device in the namespace of the calling thread.
pub(super) fn birth(spec: &TapSpec) -> Result<Born, Failure> {
    let wanted = spec.host_name.wanted();
    if !(1..=256).contains(&spec.queues) {
        return Err(Failure::usage(
            format!("{} queues", spec.queues),
            "a tap has between 1 and 256 receive queues",
        ));
    }
    let first = open_file(wanted.as_str())?;
    let flags = wanted_flags(
        spec,
        tun::get_features(first.as_fd()).map_err(|e| e.failure(wanted.as_str()))?,
    )?;
    let name = attach_first(&first, spec, flags)?;
    let index = || {
        if_nametoindex(name.as_str()).map_err(|e| {
            // The C library asks through a socket of its own and hides why it got none.
            let (inet, datagram) = (AddressFamily::Inet, SockType::Datagram);
            let e = socket(inet, datagram, SockFlag::SOCK_CLOEXEC, None).err().unwrap_or(e);
            Failure::sys("if_nametoindex", name.as_str(), e)
        })
    };
    let ifindex = index()?;
    let mut fds = vec![first];
    for _ in 1..spec.queues {
        let fd = open_file(name.as_str())?;
        let got = tun::set_iff(fd.as_fd(), name.as_str(), flags)
            .map_err(|e| permitted(e.failure(name.as_str())))?;
        fds.push(fd);
        if got != name.as_str() {
            return Err(strayed(&name));
        }
    }
    // Between two files another process may have removed the device and made another of its name.
    let first_alive = fds.first().map(|fd| tun::get_iff(fd.as_fd()));
    if !matches!(first_alive, Some(Ok(Some(_)))) || index()? != ifindex {
        return Err(strayed(&name));
    }
    for fd in &fds {
        set_up_queue(fd.as_fd(), spec).map_err(|e| e.failure(name.as_str()))?;
    }
    let offloads =
        set_offloads(&fds, spec.offload, Offloads::NONE).map_err(|f| f.on(name.as_str()))?;
    Ok(Born { fds, name, ifindex, offloads })
}

pub(super) fn set_up_queue(fd: BorrowedFd<'_>, spec: &TapSpec) -> Result<(), tun::Refused> {
    tun::set_vnet_hdr_sz(fd, VNET_HDR_BYTES)?;
    tun::set_sndbuf(fd, spec.sndbuf)?;
    spec.owner.map_or(Ok(()), |uid| tun::set_owner(fd, uid))?;
    spec.group.map_or(Ok(()), |gid| tun::set_group(fd, gid))
}

fn attach_first(first: &OwnedFd, spec: &TapSpec, flags: u16) -> Result<IfName, Failure> {
    let wanted = spec.host_name.wanted();
    let attach = |name: &str| tun::set_iff(first.as_fd(), name, flags | tun::IFF_TUN_EXCL);
    let name = match (attach(wanted.as_str()), &spec.host_name) {
        (Err(e), HostName::FirstFree(_)) if e.errno == Errno::EBUSY => {
            attach(&format!("{}%d", spec.kind.word()))
        }
        (Err(e), HostName::Exact(_)) if e.errno == Errno::EBUSY => {
            return Err(taken(wanted, e.request.to_string()));
        }
        (other, _) => other,
    }
    .map_err(|e| permitted(e.failure(wanted.as_str())))?;
    IfName::new(&name).map_err(|e| Failure::new(Code::Failed, name, e.0))
}

/// Flags of `TUNSETIFF`, given what the kernel knows.
pub(super) fn wanted_flags(spec: &TapSpec, known: u32) -> Result<u16, Failure> {
    let mut flags = tun::IFF_NO_PI | tun::IFF_VNET_HDR;
    flags |= match spec.kind {
        Kind::Tap => tun::IFF_TAP,
        Kind::Tun => tun::IFF_TUN,
    };
    if spec.queues > 1 {
        flags |= tun::IFF_MULTI_QUEUE;
    }
    let needed = [(tun::IFF_VNET_HDR, "IFF_VNET_HDR"), (tun::IFF_MULTI_QUEUE, "IFF_MULTI_QUEUE")];
    for (flag, name) in needed {
        if flags & flag != 0 && known & u32::from(flag) == 0 {
            let mut failure = Failure::new(
                Code::NoBackend,
                spec.host_name.wanted().as_str(),
                format!("this kernel's tun driver has no {name}"),
            );
            failure.doing = tun::TUNGETFEATURES.to_string();
            return Err(failure);
        }
    }
    Ok(flags)
}

/// Asks whether this process may open /dev/net/tun, which every tap needs.
///
/// # Errors
/// Exit code 5: not permitted; 7: it is not there.
pub fn check_tun() -> Result<(), Failure> {
    open_file("").map(drop)
}

pub(super) fn open_file(name: &str) -> Result<OwnedFd, Failure> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(tun::PATH);
    file.map(OwnedFd::from).map_err(|e| {
        let failure = Failure::io(format!("open {}", tun::PATH), name, &e);
        match (e.kind(), e.raw_os_error().map(Errno::from_raw)) {
            (ErrorKind::NotFound, _) | (_, Some(Errno::ENODEV | Errno::ENXIO)) => {
                failure.code(Code::NoBackend).hint(
                    "load the driver with `modprobe tun'; in a container pass --device /dev/net/tun, \
                     or `mkdir -p /dev/net && mknod /dev/net/tun c 10 200'",
                )
            }
            // No capability or namespace of ours helps against these two.
            (_, Some(Errno::EACCES)) if userns::is_root() => failure
                .hint("`chmod 0666 /dev/net/tun'; where /dev is mounted nodev, no device opens"),
            (_, Some(Errno::EACCES)) => failure.hint(
                "let every user open it, which gives no other right: `chmod 0666 /dev/net/tun'; \
                 or run it with sudo",
            ),
            (_, Some(Errno::EPERM)) => {
                failure.hint("a container must be given the device: pass --device /dev/net/tun")
            }
            _ => failure,
        }
    })
}

fn permitted(failure: Failure) -> Failure {
    match failure.code {
        Code::NotPermitted => failure.hint(rights("needs CAP_NET_ADMIN", Some(SETCAP))),
        _ => failure,
    }
}

fn strayed(name: &IfName) -> Failure {
    Failure::new(
        Code::Failed,
        name.as_str(),
        "another process removed or renamed the device while its queues were attached",
    )
}
