//! `show running-config`: the commands that make what is there, as a script for `exec`.
//!
//! First come the interfaces, each from the request that made it and with what was set since; then the
//! wires; then what is set down, so that no frame is moved before all is there.

use crate::api::{Action, CreateRequest, Interface, Namespace, NamespaceSpec, State, shell_word};
use crate::units::{IfName, Impairment, Mtu};

/// The speeds that the kernel gives a tap itself, Mbit/s.
const DEFAULT_SPEEDS: [u32; 2] = [10, 10_000];

pub(super) fn script(all: &[Interface]) -> String {
    let living = || all.iter().filter(|i| i.state != State::Deleting);
    let created = living().flat_map(|i| [vec![create(i)], settings(i)].concat());
    let wired = living().flat_map(|i| wires(i, all));
    let down = living().flat_map(down);
    created.chain(wired).chain(down).map(|line| format!("{line}\n")).collect()
}

/// The create that makes it again, in VPP's spelling.
fn create(i: &Interface) -> String {
    let label = i.created_with.host_ns.label().or(i.host_ns.as_deref());
    // One that has no name any more, `net:[INODE]', cannot be named.
    let spec = label.filter(|label| label.parse::<NamespaceSpec>().is_ok());
    let again = CreateRequest {
        host_ns: Namespace::from(spec.map(ToOwned::to_owned)),
        respond: Vec::new(),
        gso: i.gso,
        no_gso: i.no_gso && !i.gso,
        csum_offload: i.csum_offload && !i.gso,
        admin_down: false,
        ..i.created_with.clone()
    };
    let words: Vec<String> = again.words().iter().map(|word| vpp(word)).collect();
    format!("create {}", words.join(" "))
}

/// A word of a create as VPP spells it.
fn vpp(word: &str) -> String {
    match word.strip_prefix("--") {
        None => shell_word(word),
        Some("netns") => "host-ns".into(),
        Some("bridge") => "host-bridge".into(),
        Some("ip4") => "host-ip4-addr".into(),
        Some("ip6") => "host-ip6-addr".into(),
        Some("gw4") => "host-ip4-gw".into(),
        Some("gw6") => "host-ip6-gw".into(),
        Some("mtu") => "host-mtu-size".into(),
        Some(option) => option.into(),
    }
}

/// What was set on one that is there.
fn settings(i: &Interface) -> Vec<String> {
    let name = &i.name;
    let mut lines = Vec::new();
    lines.extend(i.addresses.iter().map(|a| format!("set interface ip address {name} {a}")));
    let second = |mac| format!("set interface secondary-mac-address {name} {mac} add");
    lines.extend(i.secondary_mac_addrs.iter().map(second));
    // A create takes one of the two.
    if i.gso && i.no_gso {
        lines.push(format!("set interface feature gso {name} enable"));
    }
    if i.promiscuous {
        lines.push(format!("set interface promiscuous on {name}"));
    }
    let mtus =
        [("packet", i.packet_mtu), ("ip4", i.ip4_mtu), ("ip6", i.ip6_mtu), ("mpls", i.mpls_mtu)];
    let mtu =
        |(of, mtu): (&str, Option<Mtu>)| Some(format!("set interface mtu {of} {} {name}", mtu?));
    lines.extend(mtus.into_iter().filter_map(mtu));
    let tag = i.tag.as_ref().map(|tag| shell_word(tag.as_str()));
    lines.extend(tag.map(|tag| format!("set interface tag {name} {tag}")));
    let speed = i.speed_mbps.filter(|mbps| !DEFAULT_SPEEDS.contains(mbps));
    lines.extend(speed.map(|mbps| format!("set tap speed {name} {mbps}")));
    lines
}

/// The bridge domain that it is in, or the wires that begin here; one of both directions where it begins first.
fn wires(i: &Interface, all: &[Interface]) -> Vec<String> {
    let name = &i.name;
    let to = match &i.action {
        Action::Xconnect(to) => to,
        Action::Bridge(bd_id, 0) => return vec![format!("set interface l2 bridge {name} {bd_id}")],
        Action::Bridge(bd_id, shg) => {
            return vec![format!("set interface l2 bridge {name} {bd_id} {shg}")];
        }
        Action::Sink | Action::Respond => return Vec::new(),
    };
    let back = all.iter().find(|other| other.name == *to && leads_to(other, name));
    let Some(back) = back else { return vec![one_way(i, to)] };
    if all.iter().position(|other| other.name == *to) < all.iter().position(|o| o.name == *name) {
        return Vec::new();
    }
    let link = if i.link_state && back.link_state { " link-state on" } else { "" };
    let impairment = i.impairment.unwrap_or_default();
    if impairment.of_other_direction() == back.impairment.unwrap_or_default() {
        return vec![format!("xconnect {name} {to}{}{link}", words(&impairment))];
    }
    let mut lines = Vec::new();
    if !link.is_empty() {
        lines.push(format!("xconnect {name} {to}{link}"));
    }
    lines.extend([one_way(i, to), one_way(back, name)]);
    lines
}

fn leads_to(i: &Interface, name: &IfName) -> bool {
    matches!(&i.action, Action::Xconnect(to) if to == name)
}

fn one_way(i: &Interface, to: &IfName) -> String {
    let words = words(&i.impairment.unwrap_or_default());
    format!("set interface l2 xconnect {} {to}{words}", i.name)
}

fn words(impairment: &Impairment) -> String {
    let words = impairment.to_string();
    if words.is_empty() { words } else { format!(" {words}") }
}

fn down(i: &Interface) -> Vec<String> {
    let mut lines = Vec::new();
    // Where a wire hands losses on, that is why it may be off.
    if !i.carrier && !i.link_state {
        lines.push(format!("set tap carrier {} down", i.name));
    }
    if !i.admin_up {
        lines.push(format!("set interface state {} down", i.name));
    }
    lines
}
