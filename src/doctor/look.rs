//! The look at a host side, in the namespace that its label means to the caller.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::os::fd::AsFd;

use super::commands;
use crate::api::{Action, Interface};
use crate::diag::Failure;
use crate::host::HostThread;
use crate::host::inspect::{Inspection, inspect};
use crate::host::namespace::{self, NamespaceId};
use crate::units::IfName;

/// The result of the look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// It is there, and it is the one.
    Seen(Box<Inspection>),
    /// There is a namespace, but in it no device of that name.
    NotThere,
    /// There is a device of that name, but with another index or MAC address.
    Stranger,
    /// There is no such namespace.
    NoNamespace,
    /// Its namespace has no name here by which it could be opened.
    Unnamed,
    /// It may not be looked at.
    Refused(Failure),
}

/// Calls a namespace that a holder has no name for by its name here, or by none where it is the
/// caller's own.
pub fn resolve(interface: &mut Interface) {
    let label = interface.host_ns.as_deref();
    let number = label.and_then(|label| label.strip_prefix("net:[")?.strip_suffix(']'));
    let Some(ino) = number.and_then(|number| number.parse().ok()) else { return };
    // All network namespaces are of one file system.
    if let Ok((_, NamespaceId { dev, .. })) = namespace::own() {
        interface.host_ns = namespace::words(NamespaceId { dev, ino });
    }
}

/// Whether the namespace that a new create would name is not there any more.
pub(super) fn home_gone(interface: &Interface) -> bool {
    let Some(spec) = commands::spec(commands::home(interface)) else { return true };
    match spec.open() {
        Ok(namespace) => namespace.fd().is_none_or(|fd| namespace::verify(fd).is_err()),
        Err(e) => e.kind() == ErrorKind::NotFound,
    }
}

/// Looks. Blocks for some milliseconds.
pub(super) fn look(thread: &mut HostThread, interface: &Interface) -> Look {
    let Some(spec) = commands::spec(interface.host_ns.as_deref()) else { return Look::Unnamed };
    let namespace = match spec.open() {
        Ok(namespace) => namespace,
        Err(e) if e.kind() == ErrorKind::NotFound => return Look::NoNamespace,
        Err(e) => {
            let doing = format!("open {}", spec.path().display());
            return Look::Refused(Failure::io(doing, "", &e));
        }
    };
    let namespace = match namespace.into_fd() {
        Ok(fd) => fd,
        Err(failure) => return Look::Refused(failure),
    };
    // A mount point whose namespace was never mounted on it, or was unmounted.
    if namespace::verify(namespace.as_fd()).is_err() {
        return Look::NoNamespace;
    }
    // Where nothing answers, no way back is asked about.
    let towards: Vec<IpAddr> = match interface.action {
        Action::Respond => interface.addresses.iter().map(|net| net.addr()).collect(),
        Action::Sink | Action::Xconnect(_) | Action::Bridge(..) => Vec::new(),
    };
    let bridge = interface.created_with.host_bridge.as_ref().map(IfName::as_str);
    match inspect(thread, namespace.as_fd(), &interface.host_if_name, &towards, bridge) {
        Ok(None) => Look::NotThere,
        Ok(Some(seen)) => {
            let same = seen.link.index == interface.host_ifindex
                && (interface.host_mac_addr.is_none() || seen.link.mac == interface.host_mac_addr);
            if same { Look::Seen(Box::new(seen)) } else { Look::Stranger }
        }
        Err(failure) => Look::Refused(failure),
    }
}
