//! Settings of an interface: its tag, its MACs, which frames it takes, and the MTUs of both sides.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::interface::{Interface, vanished};
use super::{Resources, Shared, watch};
use crate::api::{MtuOf, NamespaceSpec};
use crate::diag::{Code, Failure};
use crate::host::{self, HostThread, Subject};
use crate::units::{Kind, MacAddr, Mtu, SwIfIndex, Tag};

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

/// Sets what our side sends; none: packets of every length.
pub(super) async fn mtu(
    shared: &Shared,
    resources: &Resources,
    index: SwIfIndex,
    of: MtuOf,
    mtu: Option<Mtu>,
) -> Result<(), Failure> {
    let (queues, mtus) = change(shared, index, |interface| {
        if let Some(mtu) = mtu {
            fitting(interface.kind, mtu)?;
        }
        let mtus = &mut interface.mtus;
        *match of {
            MtuOf::Packet => &mut mtus.packet,
            MtuOf::Ip4 => &mut mtus.ip4,
            MtuOf::Ip6 => &mut mtus.ip6,
            MtuOf::Mpls => &mut mtus.mpls,
        } = mtu;
        let queues: Vec<_> = interface.tx.iter().map(|q| (q.poller, q.key)).collect();
        Ok((queues, interface.mtus))
    })?;
    for (poller, key) in queues {
        resources.engine.set_mtus(poller, key, mtus).await?;
    }
    Ok(())
}

/// Sets the MTU of the Linux device, wherever it is now.
pub(super) async fn host_mtu(
    shared: &Arc<Shared>,
    resources: &Arc<Resources>,
    index: SwIfIndex,
    mtu: Mtu,
) -> Result<(), Failure> {
    let files = shared.registry().get(index).map(|i| Arc::clone(&i.files)).ok_or_else(vanished)?;
    let held = files.lock().await;
    let (file, subject) = {
        let registry = shared.registry();
        let interface = registry.with_host(index)?;
        fitting(interface.kind, mtu)?;
        let tap = interface.port.tap().ok_or_else(vanished)?;
        let ipv6 = |net: &&ipnet::IpNet| match net {
            ipnet::IpNet::V6(net) => !net.addr().is_unicast_link_local(),
            ipnet::IpNet::V4(_) => false,
        };
        if mtu.get() < Mtu::IPV6_LEAST
            && let Some(net) = tap.facts().addresses.iter().find(ipv6)
        {
            let why = format!("Linux needs an MTU of 1280 bytes for IPv6, and it has {net}");
            return Err(Failure::usage(format!("{mtu}"), why));
        }
        let words = tap.namespace().and_then(|words| words.parse().ok());
        let namespace: NamespaceSpec = words.unwrap_or(NamespaceSpec::Own);
        let subject = Subject { on: interface.name.to_string(), ip: namespace.tool("ip") };
        (tap.file().ok_or_else(vanished)?, subject)
    };
    let ask = move |thread: &mut HostThread| {
        // The file is let go before the thread answers.
        let file = file;
        host::with_device(thread, file.as_fd(), subject, |session, link| session.set_mtu(link, mtu))
    };
    host::aside("mtu", ask).await??;
    drop(held);
    change(shared, index, |interface| {
        interface.created_with.host_mtu_size = Some(mtu);
        Ok(())
    })?;
    // So that the next `show` has it, whenever the kernel's event comes.
    watch::look(shared, resources, index).await;
    Ok(())
}

fn fitting(kind: Kind, mtu: Mtu) -> Result<(), Failure> {
    mtu.check(kind).map_err(|why| Failure::usage(mtu.to_string(), why.0))
}
