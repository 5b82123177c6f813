//! The action: where received frames end, and whether the host can reach our addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::created::off_its_bridge;
use super::host::LINK_DOWN;
use super::{Case, Finding, place};
use crate::api::{Action, Interface, State};
use crate::doctor::commands::{self, is_link_local, neighbor, word};
use crate::doctor::look::Look;
use crate::host::inspect::{Inspection, Way};
use crate::units::{BridgeDomainId, IfName};

pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    match &case.interface.action {
        Action::Sink => findings.push(sink(case.interface)),
        Action::Xconnect(peer) => xconnect(case, peer, findings),
        Action::Respond => respond(case, findings),
        Action::Bridge(bd_id, shg) => bridge(case, (*bd_id, *shg), findings),
    }
}

fn sink(interface: &Interface) -> Finding {
    let name = word(interface.name.as_str());
    Finding::drops("action", "sink: every received frame ends here, and nothing answers")
        .cost("add an address that answers ping, or a wire to another interface")
        .remedy(format!(
            "taptool set interface ip address {name} ADDRESS/LENGTH   # or: taptool xconnect {name} PEER"
        ))
}

fn xconnect(case: &Case<'_>, name: &IfName, findings: &mut Vec<Finding>) {
    let interface = case.interface;
    let ours = word(interface.name.as_str());
    let theirs = word(name.as_str());
    let Some(peer) = case.all.iter().find(|other| other.name == *name) else {
        findings.push(
            Finding::drops("action", format!("xconnect to {name}, which was deleted"))
                .cost("every received frame is dropped (peer_gone)")
                .remedy(format!("taptool set interface l3 {ours}")),
        );
        return;
    };
    findings.push(Finding::ok("action", format!("xconnect: received frames go out of {name}")));
    let one_way = match &peer.action {
        Action::Xconnect(back) if *back == interface.name => None,
        other => Some(
            Finding::drops("peer", format!("{name} does not send back: its action is {other}"))
                .cost(format!("the wire is one-way: what {name} receives does not come here"))
                .remedy(format!("taptool xconnect {ours} {theirs}")),
        ),
    };
    let broken = peer_state(peer, case.peer_seen);
    if one_way.is_none() && broken.is_none() {
        let place = place(peer);
        findings.push(Finding::ok("peer", format!("{name} sends back, and {place} is up")));
    }
    findings.extend(one_way.into_iter().chain(broken));
}

/// A member of a bridge domain: whom its frames reach, and which of them is in the way.
fn bridge(case: &Case<'_>, (bd_id, shg): (BridgeDomainId, u8), findings: &mut Vec<Finding>) {
    let name = &case.interface.name;
    let ours = word(name.as_str());
    let others = case.all.iter().filter(|other| other.name != *name);
    let mut others = others.filter_map(|other| match other.action {
        Action::Bridge(domain, group) if domain == bd_id => Some((other, group)),
        _ => None,
    });
    let members: Vec<_> = others.by_ref().collect();
    let reached: Vec<&Interface> = members
        .iter()
        .filter(|(_, group)| shg == 0 || *group != shg)
        .map(|(other, _)| *other)
        .collect();
    if members.is_empty() {
        findings.push(
            Finding::drops("action", format!("the only member of bridge domain {bd_id}"))
                .cost("every received frame is dropped (no_member)")
                .remedy(format!("taptool set interface l2 bridge MEMBER {bd_id}")),
        );
        return;
    }
    if reached.is_empty() {
        findings.push(
            Finding::drops(
                "action",
                format!("all members of bridge domain {bd_id} are in split-horizon group {shg}"),
            )
            .cost("every received frame is dropped (no_member)")
            .remedy(format!("taptool set interface l2 bridge {ours} {bd_id}")),
        );
        return;
    }
    let names: Vec<&str> = reached.iter().map(|other| other.name.as_str()).collect();
    let value = format!("bridge domain {bd_id}: received frames reach {}", names.join(", "));
    findings.push(Finding::ok("action", value));
    findings.extend(reached.into_iter().filter_map(|other| peer_state(other, false)));
}

/// What keeps a peer from sending on. Where its host side was not `seen`, that name may be a
/// stranger's.
fn peer_state(peer: &Interface, seen: bool) -> Option<Finding> {
    let (name, place) = (&peer.name, place(peer));
    let shell = word(name.as_str());
    let drops = |value: String, cost: &str, remedy: String| {
        Some(Finding::drops("peer", value).cost(cost).remedy(remedy))
    };
    // Its own look tells whether the namespace is gone too.
    let more = format!("taptool doctor {shell}");
    match peer.state {
        State::HostGone => drops(
            format!("the host side of {name}, {place}, is gone"),
            "frames sent to it are dropped (no_host)",
            more,
        ),
        State::Deleting => drops(
            format!("{name} is being deleted"),
            "frames sent to it are dropped (peer_gone)",
            "taptool show".into(),
        ),
        State::Broken => drops(
            format!("{name} has a broken queue"),
            "frames sent to it are dropped (queue_broken)",
            more,
        ),
        _ if !peer.admin_up => drops(
            format!("{name} was set down by a command"),
            "frames sent to it are dropped (admin_down)",
            format!("taptool set interface state {shell} up"),
        ),
        _ if !peer.link_up => drops(
            format!("{place}, the host side of {name}, is down or has no carrier"),
            LINK_DOWN,
            match &peer.host_ns {
                Some(label) if seen => commands::ip(
                    Some(label),
                    &format!("link set dev {} up", word(&peer.host_if_name)),
                ),
                // Which namespace that is, only a look at it tells.
                _ => more,
            },
        ),
        State::Up | State::AdminDown => None,
    }
}

fn respond(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let interface = case.interface;
    if interface.addresses.is_empty() {
        findings.push(
            Finding::drops("action", "respond without an address: nothing is answered")
                .cost("every received frame ends here")
                .remedy(format!(
                    "taptool set interface ip address {} ADDRESS/LENGTH",
                    word(interface.name.as_str())
                )),
        );
        return;
    }
    let list: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    findings.push(Finding::ok("action", format!("respond: answers for {}", list.join(", "))));
    let Look::Seen(seen) = case.look else { return };
    if interface.state == State::HostGone {
        return;
    }
    if let Some(master) = &seen.master {
        findings.extend(on_a_port(interface, seen, &master.name));
        return;
    }
    if off_its_bridge(interface, seen) {
        return;
    }
    for (net, way) in interface.addresses.iter().zip(&seen.ways) {
        findings.extend(reach(interface, seen, *net, way));
    }
    findings.extend(gateway(case, seen));
}

/// The namespace sends what is for other networks here. With another interface that has addresses,
/// as a router has, it is meant to go on.
fn gateway(case: &Case<'_>, seen: &Inspection) -> Option<Finding> {
    let interface = case.interface;
    let ours = |gateway: &&IpAddr| interface.addresses.iter().any(|net| net.addr() == **gateway);
    let gateway = seen.gateways.iter().find(ours)?;
    let mut others = case.all.iter().filter(|other| other.name != interface.name);
    let value = format!("{} sends what is for other networks to {gateway}", place(interface));
    let cost = "it is dropped (not_ours): this version does not route between interfaces";
    Some(match others.any(|other| other.action == Action::Respond) {
        true => Finding::drops("gateway", value).cost(cost),
        false => Finding::note("gateway", value).cost(cost),
    })
}

/// A port's own addresses are of no use: packets that come in belong to the bridge.
fn on_a_port(interface: &Interface, seen: &Inspection, bridge: &str) -> Option<Finding> {
    let stray = seen.addresses.iter().find(|net| !is_link_local(net.addr()))?;
    let (label, name) = (interface.host_ns.as_deref(), word(&interface.host_if_name));
    let place = place(interface);
    Some(
        Finding::drops("host-address", format!("{place} is a port of {bridge} and has {stray}"))
            .cost(format!("replies to {} go to {bridge}, which does not have it", stray.addr()))
            .remedy(format!(
                "{} && {}",
                commands::ip(label, &format!("addr del {stray} dev {name}")),
                commands::ip(label, &format!("addr add {stray} dev {}", word(bridge)))
            )),
    )
}

/// Whether the host's packets for one of our addresses come to us.
fn reach(interface: &Interface, seen: &Inspection, net: IpNet, way: &Way) -> Option<Finding> {
    let (label, name) = (interface.host_ns.as_deref(), word(&interface.host_if_name));
    let (place, ours) = (place(interface), net.addr());
    let ip = |args: String| commands::ip(label, &args);
    let add_route = |verb: &str| ip(format!("route {verb} {} dev {name}", IpNet::from(ours)));
    match way {
        Way::Out { ifindex, source: Some(from), .. } if *ifindex == seen.link.index => Some(
            Finding::ok("route", format!("the host reaches {ours} through {place}, from {from}")),
        ),
        Way::Out { ifindex, .. } if *ifindex == seen.link.index => Some(no_address(interface, net)),
        // No packet gets far without it: the link, which was judged, comes first.
        _ if !seen.link.up => None,
        Way::Local => Some(
            Finding::drops(
                "route",
                format!("{ours} is an address of the host side's namespace too"),
            )
            .cost("the host answers itself, and we get no packet for it")
            .remedy(format!(
                "taptool set interface ip address del {} {net}",
                word(interface.name.as_str())
            )),
        ),
        _ if ours.is_ipv6() && seen.ipv6_disabled == Some(true) => {
            let key = format!("net/ipv6/conf/{}/disable_ipv6", interface.host_if_name);
            Some(
                Finding::drops("host-address", format!("IPv6 is switched off on {place}"))
                    .cost(format!("{ours} cannot be reached"))
                    .remedy(commands::run(label, &format!("sysctl -w {}=0", word(&key)))),
            )
        }
        _ if !has_family(seen, ours) => Some(no_address(interface, net)),
        Way::Out { name: other, .. } => Some(
            Finding::drops(
                "route",
                format!("the host sends packets for {ours} to {other}, not to {place}"),
            )
            .cost("they do not come here")
            .remedy(add_route("replace")),
        ),
        Way::Unreachable(why) => Some(
            Finding::drops("route", format!("the host has no route to {ours}: {why}"))
                .cost(format!("no program in its namespace can send to {ours}"))
                .remedy(add_route("add")),
        ),
    }
}

/// Whether the device has an address from which packets to `to` can come.
fn has_family(seen: &Inspection, to: IpAddr) -> bool {
    seen.addresses.iter().any(|net| {
        let from = net.addr();
        from.is_ipv6() == to.is_ipv6() && (is_link_local(to) || !is_link_local(from))
    })
}

fn no_address(interface: &Interface, net: IpNet) -> Finding {
    let (label, name) = (interface.host_ns.as_deref(), word(&interface.host_if_name));
    let (place, ours) = (place(interface), net.addr());
    let family = if ours.is_ipv6() { "IPv6" } else { "IPv4" };
    let finding = Finding::drops("host-address", format!("{place} has no {family} address"))
        .cost(format!("the host has no source address for {ours}, so it sends nothing"));
    match neighbor(net) {
        Some(other) => finding.remedy(commands::ip(label, &format!("addr add {other} dev {name}"))),
        None => {
            finding.remedy(commands::ip(label, &format!("addr add ADDRESS peer {ours} dev {name}")))
        }
    }
}
