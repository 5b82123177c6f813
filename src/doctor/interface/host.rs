//! The host side: its namespace, link, MTU, bridge.

use super::{Case, Finding, place};
use crate::api::{Interface, State};
use crate::doctor::commands::{self, recreate, word};
use crate::doctor::finding::line;
use crate::doctor::look::Look;
use crate::host::inspect::Inspection;
use crate::host::link::PortState;
use crate::units::Mtu;

pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    if matches!(case.interface.state, State::HostGone | State::Deleting) {
        findings.push(gone(case));
        return;
    }
    let place = place(case.interface);
    let Look::Seen(seen) = case.look else {
        let why = unseen(case.interface, case.look);
        let last = match case.interface.link_up {
            true => Finding::ok("host-link", format!("{place} is up, says the holder")),
            // No command: if the device was not seen, the name may be another device's.
            false => Finding {
                remedy: None,
                ..link_down(
                    case.interface,
                    format!("{place} is down or has no carrier, says the holder"),
                )
            },
        };
        findings.extend([why, last]);
        return;
    };
    findings
        .push(Finding::ok("host-side", format!("{place} is there, ifindex {}", seen.link.index)));
    if !seen.link.up {
        findings.push(link_down(case.interface, format!("{place} is down")));
    } else if !seen.link.lower_up {
        findings.push(no_carrier(case, &place));
    } else {
        findings.push(Finding::ok("host-link", format!("{place} is up and has carrier")));
    }
    findings.push(mtu(case, seen));
    if seen.link.qlen == 0 {
        findings.push(no_queue(case.interface, &place));
    }
    if seen.link.up {
        findings.extend(bridge(case.interface, seen));
    }
}

fn gone(case: &Case<'_>) -> Finding {
    let interface = case.interface;
    let place = place(interface);
    if interface.state == State::Deleting {
        return Finding::drops("host-side", format!("{} is being deleted", interface.name))
            .cost("no frame is moved any more");
    }
    let value = match case.look {
        Look::NoNamespace => {
            let namespace = interface.host_ns.as_deref().unwrap_or("of the holder");
            format!("namespace {namespace} is gone, and {} with it", interface.host_if_name)
        }
        Look::Stranger | Look::Seen(_) => {
            format!("{place} was deleted; the device that has that name now is another one")
        }
        _ => format!("{place} was deleted, or its namespace was"),
    };
    Finding::drops("host-side", value)
        .cost(
            "no frame arrives, and frames sent to it are dropped (no_host); the interface is kept",
        )
        .remedy(recreate(interface, case.home_gone))
}

/// The holder says that it is there; it is not where we look.
fn unseen(interface: &Interface, look: &Look) -> Finding {
    let name = &interface.host_if_name;
    let index = interface.host_ifindex;
    let holder = "the holder has the device; only this look at it is missing";
    match (&interface.host_ns, look) {
        (Some(label), Look::NoNamespace) => Finding::unknown(
            "host-side",
            format!("there is no namespace {label} here: it was renamed or unmounted, or its name is another mount namespace's"),
        ),
        (Some(label), Look::Unnamed) => Finding::unknown(
            "host-side",
            format!("{name} with ifindex {index} is in the namespace {label}, which has no name here; run doctor in it"),
        ),
        (Some(label), Look::NotThere | Look::Stranger) => Finding::unknown(
            "host-side",
            format!("{name} with ifindex {index} is not in namespace {label}: it was moved, or the name means another namespace here"),
        ),
        (None, Look::NotThere | Look::Stranger) => Finding::unknown(
            "host-side",
            format!("{name} with ifindex {index} is not in this namespace: it is in the holder's; run doctor there"),
        ),
        (_, Look::Refused(failure)) => Finding::unknown("host-side", line(failure)).hinted(failure),
        (_, _) => Finding::unknown("host-side", format!("{name} cannot be looked at")),
    }
    .cost(holder)
}

/// What happens to frames for a host side that is down.
pub(super) const LINK_DOWN: &str = "our frames to it are dropped (link_down)";

fn link_down(interface: &Interface, value: String) -> Finding {
    let args = format!("link set dev {} up", word(&interface.host_if_name));
    Finding::drops("host-link", value)
        .cost(format!("the host sends nothing through it, and {}", LINK_DOWN))
        .remedy(commands::ip(interface.host_ns.as_deref(), &args))
}

/// A tap hands frames over through a queue of that many entries.
fn no_queue(interface: &Interface, place: &str) -> Finding {
    let args = format!("link set dev {} txqueuelen 1000", word(&interface.host_if_name));
    Finding::drops("host-queue", format!("{place} has a transmit queue of 0 frames"))
        .cost("the host drops every frame that it sends through it")
        .remedy(commands::ip(interface.host_ns.as_deref(), &args))
}

fn no_carrier(case: &Case<'_>, place: &str) -> Finding {
    let interface = case.interface;
    let name = word(interface.name.as_str());
    let cost = "the host drops every frame that it sends through it";
    if interface.carrier {
        let args = format!("link set dev {} carrier on", word(&interface.host_if_name));
        let value = format!("{place} is up and has no carrier: it was switched off");
        return Finding::drops("host-link", value)
            .cost(cost)
            .remedy(commands::ip(interface.host_ns.as_deref(), &args));
    }
    let cost = format!("{cost}, and {LINK_DOWN}");
    // What follows a peer that has its link was switched off by command.
    let peer = super::peer(interface, case.all);
    let lost = peer.is_some_and(|peer| peer.state != State::Up || (peer.carrier && !peer.link_up));
    match (interface.link_state, peer) {
        (true, Some(peer)) if lost => Finding::drops(
            "host-link",
            format!(
                "{place} has no carrier: link-state hands on that {} has lost its link",
                peer.name
            ),
        )
        .cost(cost)
        .remedy(format!("taptool doctor {}", word(peer.name.as_str()))),
        (true, None) => {
            let value = format!("{place} has no carrier: the peer that it followed was deleted");
            Finding::drops("host-link", value)
                .cost(cost)
                .remedy(format!("taptool set tap carrier {name} up"))
        }
        _ => {
            let value = format!("{place} has no carrier: `set tap carrier' switched it off");
            Finding::drops("host-link", value)
                .cost(cost)
                .remedy(format!("taptool set tap carrier {name} up"))
        }
    }
}

fn set_mtu(interface: &Interface, mtu: u32) -> String {
    let args = format!("link set dev {} mtu {mtu}", word(&interface.host_if_name));
    commands::ip(interface.host_ns.as_deref(), &args)
}

fn mtu(case: &Case<'_>, seen: &Inspection) -> Finding {
    let (interface, mtu) = (case.interface, seen.link.mtu);
    let place = place(interface);
    let wants_ipv6 = interface.addresses.iter().any(|net| net.addr().is_ipv6());
    if mtu < Mtu::IPV6_LEAST && wants_ipv6 {
        return Finding::drops("mtu", format!("{place} has MTU {mtu}, too little for IPv6"))
            .cost("Linux needs an MTU of 1280 bytes for IPv6, and our side has IPv6 addresses")
            .remedy(set_mtu(interface, 1500));
    }
    let bridge = seen.master.as_ref().filter(|master| master.kind.as_deref() == Some("bridge"));
    if let Some(bridge) = bridge.filter(|bridge| bridge.mtu > mtu) {
        let (there, wide) = (&bridge.name, bridge.mtu);
        return Finding::drops("mtu", format!("{place} has MTU {mtu}, its bridge {there} {wide}"))
            .cost(format!("{there} drops frames above {mtu} bytes on their way to it"))
            .remedy(set_mtu(interface, wide));
    }
    let Some(peer) = super::peer(interface, case.all)
        .filter(|peer| peer.mtu != mtu && peer.state != State::HostGone)
    else {
        return Finding::ok("mtu", format!("{place} sends packets of up to {mtu} bytes"));
    };
    let there = self::place(peer);
    let (low, high) = (mtu.min(peer.mtu), mtu.max(peer.mtu));
    // Linux takes frames beyond the MTU from a tap; bridges and routers do not pass them on.
    let narrow = if mtu < peer.mtu { interface } else { peer };
    let value = format!("{place} has MTU {mtu}, the peer {there} has {}", peer.mtu);
    let finding = match &narrow.host_bridge {
        Some(bridge) => Finding::drops("mtu", value)
            .cost(format!("{bridge} drops frames above {low} bytes that come across")),
        None => Finding::note("mtu", value).cost(format!(
            "packets above {low} bytes get through in one direction only, and no router passes \
             them on"
        )),
    };
    // A peer in the holder's own namespace may be in another one than the asker's.
    match mtu < peer.mtu || (narrow.host_ns.is_some() && case.peer_seen) {
        true => finding.remedy(set_mtu(narrow, high)),
        false => finding,
    }
}

/// The bridge, where the device is a port of one.
fn bridge(interface: &Interface, seen: &Inspection) -> Option<Finding> {
    let master = seen.master.as_ref()?;
    let (label, name) = (interface.host_ns.as_deref(), word(&interface.host_if_name));
    let (place, there) = (place(interface), &master.name);
    let kind = master.kind.as_deref().unwrap_or("device");
    if !master.up {
        return Some(
            Finding::drops("bridge", format!("{place} is a port of {there}, which is down"))
                .cost("nothing passes it in either direction")
                .remedy(commands::ip(label, &format!("link set dev {} up", word(there)))),
        );
    }
    Some(match seen.link.port {
        Some(PortState::Stopped(state @ ("listening" | "learning"))) => Finding::drops(
            "bridge",
            format!("{place} is a port of {there}, and the port is {state}"),
        )
        .cost("STP forwards nothing until its delay is over (30 s); without STP there is none")
        .remedy(commands::ip(
            label,
            &format!("link set dev {} type bridge stp_state 0", word(there)),
        )),
        Some(PortState::Stopped(state @ "blocking")) => Finding::drops(
            "bridge",
            format!("{place} is a port of {there}, and the port is {state}"),
        )
        .cost("STP sees a loop through it, or it was blocked by hand; only without a loop:")
        .remedy(commands::bridge(label, &format!("link set dev {name} state 3"))),
        Some(PortState::Stopped(state)) if seen.link.lower_up => Finding::drops(
            "bridge",
            format!("{place} is a port of {there}, and the port is {state}"),
        )
        .cost(format!("{there} passes nothing from or to it"))
        .remedy(commands::bridge(label, &format!("link set dev {name} state 3"))),
        Some(PortState::Forwarding) => {
            Finding::ok("bridge", format!("{place} is a port of {there} and forwards"))
        }
        // Without carrier it is disabled for that reason, which was said.
        _ => Finding::ok("bridge", format!("{place} is a port of the {kind} {there}")),
    })
}
