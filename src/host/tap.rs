//! Birth of a tun or tap device, and its way into the namespace that it is for.
//!
//! # Theory of operation
//! [`open`] makes the device with all its queue files. For the holder's own namespace it is born in
//! place. For another it is born in the nursery under its final name, and [`Tap::enter`] moves it,
//! a step of its own that takes some 16 ms. Until then the nursery is this device's alone. The undo
//! of everything here is dropping the [`Tap`]: the kernel removes the device with its last file,
//! wherever it is by then, and with it its addresses, routes and bridge port.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;
use nix::libc::O_NONBLOCK;
use nix::net::if_::if_nametoindex;

use super::facts::{self, Absent};
use super::namespace;
use super::nursery::{Berth, Nursery};
use super::offloads::{Offloads, set_offloads};
use super::session::Session;
use crate::diag::{Code, Failure};
use crate::sys::tun;
use crate::units::{IfName, Kind};

/// Bytes of `virtio_net_hdr_v1`, which stands before every frame.
pub const VNET_HDR_BYTES: i32 = 12;

/// How the device is to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// So and not otherwise.
    Exact(IfName),
    /// So, or where a stranger has the name, the first free `tapN` or `tunN`.
    FirstFree(IfName),
}

impl HostName {
    /// The name that is tried first.
    pub const fn wanted(&self) -> &IfName {
        match self {
            Self::Exact(name) | Self::FirstFree(name) => name,
        }
    }
}

/// What to make.
#[derive(Debug, Clone)]
pub struct TapSpec {
    /// Tap or tun.
    pub kind: Kind,
    /// Its name.
    pub host_name: HostName,
    /// Queue files: 1…256 (`MAX_TAP_QUEUES`). More than one asks for `IFF_MULTI_QUEUE`.
    pub queues: u16,
    /// Most bytes that written frames may hold (`TUNSETSNDBUF`): `i32::MAX`; one less for a tun on
    /// vhost-net, whose batches presume Ethernet.
    pub sndbuf: i32,
    /// What the host may send us: segmentation offload on or off.
    pub gso: bool,
    /// User who may attach (`TUNSETOWNER`).
    pub owner: Option<u32>,
    /// Group that may attach (`TUNSETGROUP`).
    pub group: Option<u32>,
}

/// A living device: its queue files and what it was when last looked at.
#[derive(Debug)]
pub struct Tap {
    // Dropped first: the device must have left the nursery before the berth is free.
    fds: Vec<OwnedFd>,
    berth: Option<Berth>,
    kind: Kind,
    host_name: HostName,
    name: IfName,
    ifindex: u32,
    offloads: Offloads,
}

impl Tap {
    /// The queue files, non-blocking and close-on-exec, in queue order. The device lives until the
    /// last is closed.
    pub fn fds(&self) -> &[OwnedFd] {
        &self.fds
    }

    /// Gives the queue files away. A device that is still in the nursery is removed instead.
    ///
    /// # Errors
    /// It is still in the nursery.
    pub fn into_fds(self) -> Result<Vec<OwnedFd>, Failure> {
        if self.berth.is_some() {
            return Err(Failure::new(
                Code::Failed,
                self.name.as_str(),
                "the device has not been moved into its namespace",
            ));
        }
        Ok(self.fds)
    }

    /// Its name at birth, or after [`Tap::enter`].
    pub fn name(&self) -> &IfName {
        &self.name
    }

    /// Its index at birth, or after [`Tap::enter`].
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// What the host may send us.
    pub fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// Whether it is still in the nursery, so that [`Tap::enter`] has work to do.
    pub fn is_in_nursery(&self) -> bool {
        self.berth.is_some()
    }

    /// Moves the device from the nursery into its namespace; does nothing for one born in place.
    ///
    /// # Errors
    /// Exit code 4: a stranger has the name there; 5: no `CAP_NET_ADMIN` there. The device is then
    /// still in the nursery, and nothing has changed in the target.
    pub fn enter(&mut self, nursery: &Nursery, target: BorrowedFd<'_>) -> Result<(), Failure> {
        if self.berth.is_none() {
            return Ok(());
        }
        let here = Session::open(nursery.as_fd(), self.name.as_str())?;
        if let Err(first) = here.set_netns(self.ifindex, target) {
            match (&self.host_name, first.code) {
                (HostName::FirstFree(_), Code::Exists) => self.enter_as_next(&here, target)?,
                (HostName::Exact(name), Code::Exists) => return Err(taken(name, first.doing)),
                _ => return Err(first),
            }
        }
        self.berth = None;
        // Whoever runs the target may have renamed it by now; its index may be another too.
        let Some(fd) = self.fds.first() else { return Ok(()) };
        match facts::facts(fd.as_fd()) {
            Ok(facts) => {
                self.ifindex = facts.ifindex;
                if let Ok(name) = IfName::new(&facts.name) {
                    self.name = name;
                }
                Ok(())
            }
            Err(Absent::Gone) => Err(Failure::new(
                Code::Failed,
                self.name.as_str(),
                "the device vanished on its way into the namespace",
            )),
            Err(Absent::Failed(failure)) => Err(failure),
        }
    }

    /// Enters under the first free `tapN` of the target. It is renamed here, where nobody watches,
    /// and then moved: a name in the request of the move would be applied after it, too late to
    /// take back.
    fn enter_as_next(&mut self, here: &Session, target: BorrowedFd<'_>) -> Result<(), Failure> {
        let there = Session::open(target, self.name.as_str())?;
        for number in 0..=u32::from(u16::MAX) {
            let name = format!("{}{number}", self.kind.word());
            if there.link_by_name(&name)?.is_some() {
                continue;
            }
            let Ok(name) = IfName::new(&name) else { break };
            here.rename(self.ifindex, &name)?;
            self.name = name;
            match here.set_netns(self.ifindex, target) {
                Ok(()) => return Ok(()),
                // Taken since the look-up.
                Err(failure) if failure.code == Code::Exists => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(taken(self.host_name.wanted(), String::new()))
    }
}

/// Makes the device. `target` is the namespace that it is for.
///
/// # Errors
/// Exit code 4: in place, a stranger has the name; 5: not permitted; 7: no /dev/net/tun, or one
/// that lacks what is needed. Nothing is left behind.
pub fn open(nursery: &Nursery, target: BorrowedFd<'_>, spec: &TapSpec) -> Result<Tap, Failure> {
    let own = namespace::own()?.1;
    let (berth, born) = if namespace::identity(target)? == own {
        (None, birth(spec)?)
    } else {
        let berth = nursery.berth()?;
        (Some(berth), namespace::in_namespace(nursery.as_fd(), || birth(spec))?)
    };
    Ok(Tap {
        fds: born.fds,
        berth,
        kind: spec.kind,
        host_name: spec.host_name.clone(),
        name: born.name,
        ifindex: born.ifindex,
        offloads: born.offloads,
    })
}

struct Born {
    fds: Vec<OwnedFd>,
    name: IfName,
    ifindex: u32,
    offloads: Offloads,
}

/// Makes the device in the namespace of the calling thread.
fn birth(spec: &TapSpec) -> Result<Born, Failure> {
    let wanted = spec.host_name.wanted();
    if !(1..=256).contains(&spec.queues) {
        return Err(Failure::usage(
            format!("{} queues", spec.queues),
            "a tap has between 1 and 256 receive queues",
        ));
    }
    let first = open_file(wanted)?;
    let flags =
        flags(spec, tun::get_features(first.as_fd()).map_err(|e| e.failure(wanted.as_str()))?)?;
    let name = attach_first(&first, spec, flags)?;
    let index = || {
        if_nametoindex(name.as_str()).map_err(|e| Failure::sys("if_nametoindex", name.as_str(), e))
    };
    let ifindex = index()?;
    let mut fds = vec![first];
    for _ in 1..spec.queues {
        let fd = open_file(&name)?;
        let got = tun::set_iff(fd.as_fd(), name.as_str(), flags)
            .map_err(|e| permitted(e.failure(name.as_str())))?;
        fds.push(fd);
        if got != name.as_str() {
            return Err(strayed(&name));
        }
    }
    // Between two files somebody may have removed the device and made another of its name.
    let first_alive = fds.first().map(|fd| tun::get_iff(fd.as_fd()));
    if !matches!(first_alive, Some(Ok(Some(_)))) || index()? != ifindex {
        return Err(strayed(&name));
    }
    for fd in &fds {
        set_up_queue(fd.as_fd(), spec).map_err(|e| e.failure(name.as_str()))?;
    }
    let offloads = set_offloads(&fds, spec.gso, Offloads::NONE).map_err(|f| f.on(name.as_str()))?;
    Ok(Born { fds, name, ifindex, offloads })
}

fn set_up_queue(fd: BorrowedFd<'_>, spec: &TapSpec) -> Result<(), tun::Refused> {
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
fn flags(spec: &TapSpec, known: u32) -> Result<u16, Failure> {
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

fn open_file(name: &IfName) -> Result<OwnedFd, Failure> {
    let file = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(tun::PATH);
    file.map(OwnedFd::from).map_err(|e| {
        let failure = Failure::io(format!("open {}", tun::PATH), name.as_str(), &e);
        match (e.kind(), e.raw_os_error().map(Errno::from_raw)) {
            (ErrorKind::NotFound, _) | (_, Some(Errno::ENODEV | Errno::ENXIO)) => {
                failure.code(Code::NoBackend).hint(
                    "load the driver with `modprobe tun'; in a container pass --device /dev/net/tun, \
                     or `mkdir -p /dev/net && mknod /dev/net/tun c 10 200'",
                )
            }
            (ErrorKind::PermissionDenied, _) => permitted(failure),
            _ => failure,
        }
    })
}

fn permitted(failure: Failure) -> Failure {
    match failure.code {
        Code::NotPermitted => failure.hint(
            "needs CAP_NET_ADMIN: run it with sudo, `setcap cap_net_admin,cap_sys_admin+ep' on the \
             program, or inside `unshare -Urn'",
        ),
        _ => failure,
    }
}

fn taken(name: &IfName, doing: String) -> Failure {
    let mut failure = Failure::new(
        Code::Exists,
        name.as_str(),
        "a device of this name exists already in that namespace (EEXIST)",
    )
    .hint("it is left as it is; choose another name with `host-if-name'");
    failure.doing = doing;
    failure
}

fn strayed(name: &IfName) -> Failure {
    Failure::new(
        Code::Failed,
        name.as_str(),
        "somebody removed or renamed the device while its queues were attached",
    )
}
