//! Attaching to a device that others made and that outlives us.
//!
//! # Theory of operation
//! The kernel keeps flags, owner and the size of the virtio header with the device, so they are asked
//! for first ([`attachable`]), and what cannot work is refused with what is in the way; the kernel
//! would say `EBUSY`, `EINVAL` or `EPERM`, and make a device where there is none. Then everything that
//! a create may change of it is noted in [`Before`]; [`Before::put_back`] is the undo of the attach and
//! of all that came after it.
//!
//! The file is opened in the device's namespace, where the kernel looks for the name. It keeps that
//! namespace alive: a device that exists cannot be born elsewhere and moved.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ipnet::IpNet;
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use rtnetlink::packet_route::link::LinkMessage;

use super::birth::{SETCAP, open_file, set_up_queue, wanted_flags};
use super::facts::{is_gone, locate, with_device};
use super::link::{Link, TunFacts};
use super::offloads::{Offloads, set_offloads};
use super::route::Gateway;
use super::session::{Session, Subject, change};
use super::spec::TapSpec;
use super::tap::Tap;
use super::thread::HostThread;
use crate::diag::{Code, Failure};
use crate::sys::tun;
use crate::sys::userns::rights;
use crate::units::IfName;

/// What a create may add to a device.
#[derive(Debug, Clone, Default)]
pub struct Additions {
    /// Addresses.
    pub addresses: Vec<IpNet>,
    /// Gateways of default routes.
    pub gateways: Vec<Gateway>,
}

/// A device before it was attached to.
#[derive(Debug)]
pub struct Before {
    link: Link,
    flags: u16,
    hdr_bytes: i32,
    sndbuf: i32,
    /// What it did not have of what a create may add.
    absent: Additions,
    subject: Subject,
}

/// Looks whether the device can be attached to.
///
/// # Errors
/// Exit code 3: there is none of that name; 2: it is no tap, or of another kind, or has one queue
/// where several are wanted; 4: another process has it open. Each with what helps.
pub fn attachable(session: &Session, spec: &TapSpec) -> Result<(Link, TunFacts), Failure> {
    let (name, kind, ip) = (spec.host_name.wanted(), spec.kind, &session.ip);
    let queues = if spec.queues > 1 { " multi_queue" } else { "" };
    let add = format!("{ip} tuntap add dev {name} mode {kind}{queues}");
    let Some(link) = session.link_by_name(name.as_str())? else {
        return Err(Failure::new(
            Code::NotFound,
            name.as_str(),
            "there is no device of this name to attach to (ENODEV)",
        )
        .hint(format!("make it with `{add}', or leave `attach' out")));
    };
    let refuse = |cause: String| Failure::usage(name.as_str(), cause);
    let Some(facts) = link.tun else {
        let other = link.kind.as_deref().unwrap_or("plain");
        return Err(refuse(format!("this is a {other} device, not a tap or tun (EINVAL)")));
    };
    if let Some(other) = facts.kind.filter(|other| *other != kind) {
        return Err(refuse(format!("this is a {other}, not a {kind} (EINVAL)"))
            .hint(format!("`create {other} {name} ... attach' attaches to it")));
    }
    // The kernel counts the open queues only of a device that may have several.
    if facts.queues > 0 || link.carrier {
        return Err(busy(name));
    }
    if spec.queues > 1 && !facts.multi_queue {
        return Err(refuse(format!("it has one queue, and {} are wanted (EINVAL)", spec.queues))
            .hint(format!(
                "leave `num-rx-queues' out, or make it anew: `{ip} tuntap del dev {name} mode {kind} \
                 && {add}'"
            )));
    }
    Ok((link, facts))
}

/// Attaches to a device in `target`.
///
/// # Errors
/// As [`attachable`]; exit code 5: it belongs to another user or group. The device is as it was.
pub fn attach(
    thread: &mut HostThread,
    target: BorrowedFd<'_>,
    spec: &TapSpec,
    subject: Subject,
    additions: Additions,
) -> Result<(Tap, Before), Failure> {
    let name = spec.host_name.wanted();
    let session = thread.session(target, subject.clone())?;
    let (link, facts) = attachable(session, spec)?;
    let mut absent = additions;
    let (addresses, gateways) = (session.addresses(link.index)?, session.gateways(link.index)?);
    absent.addresses.retain(|address| !addresses.contains(address));
    absent.gateways.retain(|gateway| !gateways.contains(&gateway.address));
    thread.enter(target)?;
    let file = open_file(name.as_str())?;
    let known = tun::get_features(file.as_fd()).map_err(|e| e.failure(name.as_str()))?;
    let mut flags = wanted_flags(spec, known)?;
    if facts.multi_queue {
        flags |= tun::IFF_MULTI_QUEUE;
    }
    tun::set_iff(file.as_fd(), name.as_str(), flags).map_err(|e| refused(name, &facts, e))?;
    if if_nametoindex(name.as_str()) != Ok(link.index) {
        // Where there was none left the kernel has made one, which goes with the file.
        let cause = "another process removed or renamed the device meanwhile";
        return Err(Failure::new(Code::Failed, name.as_str(), cause));
    }
    let read = |asked: Result<i32, tun::Refused>| asked.map_err(|e| e.failure(name.as_str()));
    let before = Before {
        flags: facts.flags(),
        hdr_bytes: read(tun::get_vnet_hdr_sz(file.as_fd()))?,
        sndbuf: read(tun::get_sndbuf(file.as_fd()))?,
        absent,
        subject,
        link,
    };
    let mut files = vec![file];
    let ready = (|| {
        for _ in 1..spec.queues {
            let file = open_file(name.as_str())?;
            tun::set_iff(file.as_fd(), name.as_str(), flags)
                .map_err(|e| refused(name, &facts, e))?;
            files.push(file);
        }
        for file in &files {
            set_up_queue(file.as_fd(), spec).map_err(|e| e.failure(name.as_str()))?;
        }
        set_offloads(&files, spec.offload, Offloads::NONE).map_err(|f| f.on(name.as_str()))
    })();
    match ready {
        Ok(offloads) => {
            let place = (name.clone(), before.link.index);
            Ok((Tap::in_place(files, spec, place, offloads), before))
        }
        Err(failure) => {
            before.put_back(thread, files.into_iter().map(Arc::new).collect());
            Err(failure)
        }
    }
}

fn busy(name: &IfName) -> Failure {
    Failure::new(Code::Exists, name.as_str(), "another process has it open (EBUSY)").hint(format!(
        "`grep -ls \"iff:.{name}$\" /proc/[0-9]*/fdinfo/*' finds the process; end it, or take another \
         device"
    ))
}

/// What the kernel refused, and why.
fn refused(name: &IfName, facts: &TunFacts, refusal: tun::Refused) -> Failure {
    match refusal.errno {
        Errno::EBUSY => busy(name),
        Errno::EPERM => {
            let failure = refusal.failure(name.as_str());
            let (owner, group) = (facts.owner, facts.group);
            let of = [("user", owner), ("group", group)];
            let of = of.iter().filter_map(|(what, id)| Some(format!("{what} {}", (*id)?)));
            let of = of.collect::<Vec<_>>().join(", ");
            let needs = format!("the device is for {of} only; another needs CAP_NET_ADMIN");
            failure.hint(rights(&needs, Some(SETCAP)))
        }
        _ => refusal.failure(name.as_str()),
    }
}

impl Before {
    /// Whether the device had this address.
    pub fn had_address(&self, address: &IpNet) -> bool {
        !self.absent.addresses.contains(address)
    }

    /// Whether it had a default route to this gateway.
    pub fn had_gateway(&self, gateway: &Gateway) -> bool {
        !self.absent.gateways.contains(gateway)
    }

    /// Makes the device what it was, wherever it is now, and closes its files. Returns what could not
    /// be put back; nothing where the device is gone.
    pub fn put_back(&self, thread: &mut HostThread, files: Vec<Arc<OwnedFd>>) -> Vec<Failure> {
        let Some(file) = files.first() else { return Vec::new() };
        let tap = file.as_fd();
        if is_gone(tap) == Ok(true) {
            return Vec::new();
        }
        let link = |session: &Session, index| Ok(self.put_back_link(session, index));
        let mut left = match with_device(thread, tap, self.subject.clone(), link) {
            Ok(left) => left,
            Err(failure) => vec![failure],
        };
        let on = &self.subject.on;
        let settings = [
            tun::set_vnet_hdr_sz(tap, self.hdr_bytes),
            tun::set_sndbuf(tap, self.sndbuf),
            tun::set_offload(tap, 0),
        ];
        left.extend(settings.into_iter().filter_map(Result::err).map(|e| e.failure(on)));
        let now = tun::get_iff(tap).ok().flatten();
        let place = locate(tap);
        drop(files);
        // The kernel takes flags only with the first file, so that needs another file.
        if let (Some(now), Ok(place)) = (now, place)
            && (now.flags ^ self.flags) & TunFacts::FLAGS != 0
            && let Some(namespace) = place.namespace
        {
            left.extend(self.put_back_flags(thread, namespace.as_fd(), &place.name).err());
        }
        left
    }

    fn put_back_flags(
        &self,
        thread: &mut HostThread,
        namespace: BorrowedFd<'_>,
        name: &str,
    ) -> Result<(), Failure> {
        let session = thread.session(namespace, self.subject.clone())?;
        // Another device may have the name by now, and without one the kernel would make one.
        if session.link_by_name(name)?.and_then(|link| link.tun).is_none() {
            return Ok(());
        }
        thread.enter(namespace)?;
        let file = open_file(name)?;
        tun::set_iff(file.as_fd(), name, self.flags).map(drop).map_err(|e| e.failure(name))
    }

    fn put_back_link(&self, session: &Session, index: u32) -> Vec<Failure> {
        let (mut left, was) = (Vec::new(), &self.link);
        let mut tried = |done: Result<(), Failure>| left.extend(done.err());
        for gateway in &self.absent.gateways {
            tried(session.remove_default_route(index, *gateway));
        }
        match session.addresses(index) {
            Ok(now) => {
                let added = self.absent.addresses.iter().filter(|address| now.contains(address));
                added.for_each(|address| tried(session.remove_address(index, *address)));
            }
            Err(failure) => tried(Err(failure)),
        }
        let now = match session.link_by_index(index) {
            Ok(Some(now)) => now,
            Ok(None) => return left,
            Err(failure) => {
                left.push(failure);
                return left;
            }
        };
        let mut differing: Vec<(&str, LinkMessage)> = Vec::new();
        if now.up != was.up {
            let message = change(index);
            let message = if was.up { message.up() } else { message.down() };
            differing.push(("put back up or down", message.build()));
        }
        if let Some(mac) = was.mac.filter(|mac| now.mac != Some(*mac)) {
            let message = change(index).address(mac.bytes().to_vec());
            differing.push(("put back the MAC address", message.build()));
        }
        if now.mtu != was.mtu {
            differing.push(("put back the MTU", change(index).mtu(was.mtu).build()));
        }
        if now.qlen != was.qlen {
            differing.push(("put back the txqueuelen", change(index).txqueuelen(was.qlen).build()));
        }
        if now.master != was.master {
            let master = was.master.unwrap_or(0);
            differing.push(("put back the master", change(index).controller(master).build()));
        }
        for (doing, message) in differing {
            left.extend(session.link(doing, message).err());
        }
        left
    }
}
