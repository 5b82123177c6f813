//! Settings of our side of an interface: its tag, its MACs and which frames it takes.

use super::Shared;
use super::interface::{Interface, vanished};
use crate::diag::{Code, Failure};
use crate::units::{Kind, MacAddr, SwIfIndex, Tag};

fn change<T>(
    shared: &Shared,
    index: SwIfIndex,
    change: impl FnOnce(&mut Interface) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut registry = shared.registry();
    change(registry.get_mut(index).ok_or_else(vanished)?)
}

/// Marks an interface with a text, or with none.
pub(super) fn tag(shared: &Shared, index: SwIfIndex, tag: Option<&Tag>) -> Result<(), Failure> {
    change(shared, index, |interface| {
        interface.tag = tag.cloned();
        Ok(())
    })
}

/// Gives our side another MAC. The host may know the old one for as long as its neighbour entries
/// live.
pub(super) fn mac(shared: &Shared, index: SwIfIndex, mac: MacAddr) -> Result<(), Failure> {
    change(shared, index, |interface| {
        check(interface, mac)?;
        interface.station.secondary.retain(|other| *other != mac);
        interface.station.mac = Some(mac);
        interface.created_with.mac_addr = Some(mac);
        Ok(())
    })
}

/// Lets our side take frames for another MAC too.
pub(super) fn add_secondary(
    shared: &Shared,
    index: SwIfIndex,
    mac: MacAddr,
) -> Result<(), Failure> {
    change(shared, index, |interface| {
        check(interface, mac)?;
        let station = &mut interface.station;
        if station.mac == Some(mac) || station.secondary.contains(&mac) {
            let why = format!("it has {mac} already");
            return Err(Failure::new(Code::Exists, interface.name.as_str(), why));
        }
        station.secondary.push(mac);
        Ok(())
    })
}

/// Takes back [`add_secondary`].
pub(super) fn del_secondary(
    shared: &Shared,
    index: SwIfIndex,
    mac: MacAddr,
) -> Result<(), Failure> {
    change(shared, index, |interface| {
        let secondary = &mut interface.station.secondary;
        let Some(at) = secondary.iter().position(|other| *other == mac) else {
            let why = format!("it has no secondary MAC {mac}");
            return Err(Failure::new(Code::NotFound, interface.name.as_str(), why));
        };
        secondary.remove(at);
        Ok(())
    })
}

/// Lets our side take frames for every MAC, or for its own again.
pub(super) fn promiscuous(shared: &Shared, index: SwIfIndex, on: bool) -> Result<(), Failure> {
    change(shared, index, |interface| {
        ethernet(interface)?;
        interface.station.promiscuous = on;
        Ok(())
    })
}

/// Refuses a MAC that our side cannot have.
fn check(interface: &Interface, mac: MacAddr) -> Result<(), Failure> {
    ethernet(interface)?;
    let host = interface.port.tap().and_then(|tap| tap.facts().mac);
    if host == Some(mac) {
        let why = "the host side has this MAC, and the two ends of a tap must differ";
        return Err(Failure::usage(mac.to_string(), why));
    }
    Ok(())
}

fn ethernet(interface: &Interface) -> Result<(), Failure> {
    match interface.kind {
        Kind::Tap => Ok(()),
        Kind::Tun => Err(Failure::usage(interface.name.as_str(), "a tun has no Ethernet address")),
    }
}
