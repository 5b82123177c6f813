//! Settings of `create` that were removed since, and settings that no create would make.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Case, Finding, place};
use crate::api::{Interface, State};
use crate::doctor::commands::{self, is_link_local, word};
use crate::doctor::look::Look;
use crate::host::Gateway;
use crate::host::inspect::Inspection;
use crate::host::link::Link;
use crate::units::{Kind, MacAddr};

pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let interface = case.interface;
    let Look::Seen(seen) = case.look else { return };
    if matches!(interface.state, State::HostGone | State::Deleting) {
        return;
    }
    findings.extend(same_mac(interface, seen));
    // A link that is down, which was said, has lost its routes with it.
    if !seen.link.up {
        return;
    }
    findings.extend(arp(interface, seen));
    if !at_home(interface) {
        return;
    }
    findings.extend(bridge(interface, seen));
    let gateways = interface.created_with.host_gateways();
    findings.extend(gateways.filter_map(|gateway| route(interface, seen, gateway)));
}

/// Elsewhere it was moved on purpose, and what it had where it was made is of no use.
fn at_home(interface: &Interface) -> bool {
    commands::home(interface) == interface.host_ns.as_deref()
}

/// Whether it was made a port and is none: then no packet finds a way, and that was said.
pub(super) fn off_its_bridge(interface: &Interface, seen: &Inspection) -> bool {
    seen.master.is_none() && at_home(interface) && interface.created_with.host_bridge.is_some()
}

fn same_mac(interface: &Interface, seen: &Inspection) -> Option<Finding> {
    let mac = interface.mac_addr.filter(|mac| seen.link.mac == Some(*mac))?;
    let place = place(interface);
    let finding =
        Finding::drops("hw-addr", format!("{} and {place} are both {mac}", interface.name))
            .cost("frames for one end are taken for the other's, and a bridge forwards neither");
    let mut bytes = mac.bytes();
    bytes[5] ^= 1;
    let args =
        |other: MacAddr| format!("link set dev {} address {other}", word(&interface.host_if_name));
    Some(match MacAddr::new(bytes) {
        Ok(other) => finding.remedy(commands::ip(interface.host_ns.as_deref(), &args(other))),
        Err(_) => finding,
    })
}

/// A bridge asks for its ports.
fn arp(interface: &Interface, seen: &Inspection) -> Option<Finding> {
    if interface.kind == Kind::Tun || seen.link.arp || seen.master.is_some() {
        return None;
    }
    let args = format!("link set dev {} arp on", word(&interface.host_if_name));
    Some(
        Finding::drops("arp", format!("{} has ARP switched off (NOARP)", place(interface)))
            .cost(
                "the host resolves no MAC and sends to its own, so every receiver ignores its packets",
            )
            .remedy(commands::ip(interface.host_ns.as_deref(), &args)),
    )
}

fn bridge(interface: &Interface, seen: &Inspection) -> Option<Finding> {
    let wanted = interface.created_with.host_bridge.as_ref()?.as_str();
    let (label, place) = (interface.host_ns.as_deref(), place(interface));
    let bridge = word(wanted);
    let join = format!("link set dev {} master {bridge}", word(&interface.host_if_name));
    match &seen.master {
        Some(master) if master.name == wanted => None,
        // That may be intended, or the bridge was renamed: no command.
        Some(Link { name, .. }) => {
            let finding =
                Finding::note("bridge", format!("it was made a port of {wanted} by its create"))
                    .cost(format!("its frames are on {name} now"));
            Some(match seen.bridge_there {
                true => finding.remedy(commands::ip(label, &join)),
                false => finding,
            })
        }
        None => {
            let there = match seen.bridge_there {
                true => format!("{place} is no longer a port of {wanted}"),
                false => format!("{wanted}, the bridge that {place} was a port of, is gone"),
            };
            let join = commands::ip(label, &join);
            let remedy = match seen.bridge_there {
                true => join,
                false => format!(
                    "{} && {} && {join}",
                    commands::ip(label, &format!("link add name {bridge} type bridge")),
                    commands::ip(label, &format!("link set dev {bridge} up")),
                ),
            };
            let cost = format!("no frame passes between it and {wanted}");
            Some(Finding::drops("bridge", there).cost(cost).remedy(remedy))
        }
    }
}

fn route(interface: &Interface, seen: &Inspection, gateway: IpAddr) -> Option<Finding> {
    if seen.gateways.contains(&gateway) {
        return None;
    }
    let (place, name) = (place(interface), word(&interface.host_if_name));
    let family = if gateway.is_ipv6() { "-6" } else { "-4" };
    let ip = |args: &str| commands::ip(interface.host_ns.as_deref(), args);
    // Without an address whose network it is in, a gateway is taken on the link only.
    let nets: Vec<IpNet> = interface.created_with.host_addresses().collect();
    let onlink = Gateway::among(&nets, gateway).onlink();
    let route = ip(&format!("{family} route replace default via {gateway} dev {name}{onlink}"));
    let lost = nets.into_iter().find(|net| net.contains(&gateway) && !seen.addresses.contains(net));
    let covered = is_link_local(gateway) || seen.addresses.iter().any(|net| net.contains(&gateway));
    let remedy = match lost {
        Some(net) if !covered => {
            format!("{} && {route}", ip(&format!("addr replace {net} dev {name}")))
        }
        _ => route,
    };
    Some(
        Finding::drops(
            "route",
            format!("the default route via {gateway} through {place}, which create made, is gone"),
        )
        .cost("the host sends only packets for the networks of its addresses here")
        .remedy(remedy),
    )
}
