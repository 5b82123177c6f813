//! What the host side is now, asked of the kernel by its tun file.
//!
//! # Theory of operation
//! A device may be renamed, moved and deleted by anyone, so nothing about it is remembered that can
//! be asked: the tun file says the name (`TUNGETIFF`) and opens the namespace
//! (`TUNGETDEVNETNS`), a session there says the rest, and both are asked again at the end, since the
//! device may have moved meanwhile, and another device may have its name. The session is the host
//! thread's: one serves all requests about a device that stays where it is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use ipnet::IpNet;
use nix::errno::Errno;

use super::link::{Link, LinkStats};
use super::namespace::{self, NamespaceId};
use super::session::{Session, Subject};
use super::thread::HostThread;
use crate::diag::{Code, Failure};
use crate::sys::tun;
use crate::units::MacAddr;

/// How often a device that is being moved or renamed is chased.
const CHASES: usize = 8;

/// Why there is nothing to tell about a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// It is gone, or its namespace is: the file is attached to nothing (`EBADFD`).
    Gone,
    /// It may be there, but cannot be asked.
    Failed(Failure),
}

impl From<Failure> for Absent {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Absent {
    /// As a failure; `gone` is the one of a device that is gone.
    fn failure(self, gone: Failure) -> Failure {
        match self {
            Self::Gone => gone,
            Self::Failed(failure) => failure,
        }
    }
}

/// Where a device is.
#[derive(Debug)]
pub struct Located {
    /// Its name now.
    pub name: String,
    /// Its namespace, open: close it soon, it keeps that namespace alive. None when the process may
    /// not ask (`EPERM` after it has dropped its privileges) or the kernel cannot tell (before
    /// 5.8).
    pub namespace: Option<OwnedFd>,
}

/// The host side, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// Its name.
    pub name: String,
    /// Its index in its namespace.
    pub ifindex: u32,
    /// Its namespace.
    pub namespace: NamespaceId,
    /// Set up (`IFF_UP`).
    pub up: bool,
    /// Up, and a queue is attached (`IFF_LOWER_UP`).
    pub lower_up: bool,
    /// MTU, bytes.
    pub mtu: u32,
    /// Transmit queue length, packets.
    pub qlen: u32,
    /// MAC address; none for a tun.
    pub mac: Option<MacAddr>,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// Speed that it tells whoever asks, Mbit/s.
    pub speed: Option<u32>,
    /// Name of the bridge, or other device, that it is a port of.
    pub bridge: Option<String>,
    /// What the host counted.
    pub stats: LinkStats,
}

/// Asks whether the device is there; cheap, and needs no privilege.
///
/// # Errors
/// The file is no tun file.
pub fn is_gone(tap: BorrowedFd<'_>) -> Result<bool, Failure> {
    Ok(tun::get_iff(tap)?.is_none())
}

/// Says where the device is.
///
/// # Errors
/// [`Absent::Gone`], or the kernel's refusal.
pub fn locate(tap: BorrowedFd<'_>) -> Result<Located, Absent> {
    let attached = tun::get_iff(tap).map_err(Failure::from)?.ok_or(Absent::Gone)?;
    let namespace = match tun::get_dev_netns(tap) {
        Ok(fd) => Some(fd),
        Err(e) => match e.errno {
            Errno::EBADFD => return Err(Absent::Gone),
            Errno::EPERM | Errno::ENOTTY | Errno::EINVAL => None,
            _ => return Err(Absent::Failed(e.failure(attached.name))),
        },
    };
    Ok(Located { name: attached.name, namespace })
}

/// How a device differs from what is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// It is where it was, under the name it had.
    None,
    /// It was renamed or moved, or cannot be asked: a look tells.
    Elsewhere,
    /// It is gone.
    Gone,
}

/// Compares the device's name and namespace with those that are known. Cheap. Where the process may
/// not ask for the namespace, the name alone counts.
pub fn difference(tap: BorrowedFd<'_>, name: &str, namespace: NamespaceId) -> Difference {
    let located = match locate(tap) {
        Ok(located) => located,
        Err(Absent::Gone) => return Difference::Gone,
        Err(Absent::Failed(_)) => return Difference::Elsewhere,
    };
    let there = located
        .namespace
        .is_none_or(|fd| namespace::identity(fd.as_fd()).is_ok_and(|id| id == namespace));
    if there && located.name == name { Difference::None } else { Difference::Elsewhere }
}

/// Everything about the device. Blocks, less than a millisecond where nothing
/// holds the rtnl lock.
///
/// # Errors
/// [`Absent::Gone`]; exit code 5 when the process may not enter the namespace any more; or the
/// device does not hold still.
pub fn facts(thread: &mut HostThread, tap: BorrowedFd<'_>) -> Result<HostFacts, Absent> {
    for _ in 0..CHASES {
        let before = locate(tap)?;
        let Some(namespace) = before.namespace else {
            return Err(Absent::Failed(unseen(before.name)));
        };
        let id = namespace::identity(namespace.as_fd())?;
        let found = look(thread, namespace.as_fd(), &before.name);
        drop(namespace);
        let after = locate(tap)?;
        let same_place = match &after.namespace {
            Some(fd) => namespace::identity(fd.as_fd())? == id,
            None => false,
        };
        if same_place
            && after.name == before.name
            && let Some(seen) = found?
        {
            return Ok(HostFacts::new(id, seen));
        }
    }
    Err(Absent::Failed(restless()))
}

/// Asks the kernel something about the device, wherever it is and whatever it is called now:
/// `request` gets a session in its namespace and its index there, both read back from the tap's
/// file right before.
///
/// # Errors
/// The device is gone or does not hold still, or `request`'s.
pub fn with_device<T>(
    thread: &mut HostThread,
    tap: BorrowedFd<'_>,
    subject: impl Into<Subject>,
    request: impl FnOnce(&Session, u32) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let subject = subject.into();
    let gone = || Failure::new(Code::Failed, &subject.on, "the device vanished");
    let find = || locate(tap).map_err(|absent| absent.failure(gone()));
    for _ in 0..CHASES {
        let before = find()?;
        let Some(namespace) = before.namespace else {
            return Err(unseen(before.name));
        };
        let id = namespace::identity(namespace.as_fd())?;
        let session = thread.session(namespace.as_fd(), subject.clone())?;
        drop(namespace);
        let Some(link) = session.link_by_name(&before.name)? else { continue };
        let after = find()?;
        let same_place = match &after.namespace {
            Some(fd) => namespace::identity(fd.as_fd())? == id,
            None => false,
        };
        if same_place && after.name == before.name {
            return request(session, link.index);
        }
    }
    Err(restless())
}

fn unseen(name: String) -> Failure {
    Failure::sys(tun::TUNGETDEVNETNS.to_string(), name, Errno::EPERM)
        .hint("the process may not look into the device's namespace")
}

fn restless() -> Failure {
    Failure::new(Code::Failed, "", "the device was renamed or moved each time it was looked at")
}

type Seen = (Link, Option<u32>, Vec<IpNet>, Option<String>);

fn look(
    thread: &mut HostThread,
    namespace: BorrowedFd<'_>,
    name: &str,
) -> Result<Option<Seen>, Failure> {
    let session = thread.session(namespace, name)?;
    let Some(link) = session.link_by_name(name)? else { return Ok(None) };
    let addresses = session.addresses(link.index)?;
    let bridge = match link.master {
        Some(index) => session.link_by_index(index)?.map(|master| master.name),
        None => None,
    };
    let speed = session.speed(name);
    Ok(Some((link, speed, addresses, bridge)))
}

impl HostFacts {
    fn new(namespace: NamespaceId, (link, speed, addresses, bridge): Seen) -> Self {
        Self {
            name: link.name,
            ifindex: link.index,
            namespace,
            up: link.up,
            lower_up: link.lower_up,
            mtu: link.mtu,
            qlen: link.qlen,
            mac: link.mac,
            addresses,
            speed,
            bridge,
            stats: link.stats,
        }
    }
}
