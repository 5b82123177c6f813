//! VPP's small tables of interfaces: `show interface addr|rx-placement|tx-placement|features`, `show mode`.

use std::collections::BTreeMap;

use crate::api::{Action, Interface, State, SubInterface};
use crate::units::{IfName, PollerIndex, Tag};

/// `show interface addr`.
pub(super) fn addresses(all: &[Interface]) -> String {
    all.iter()
        .map(|i| {
            let up = if i.state == State::Up { "up" } else { "dn" };
            let mut out = format!("{} ({up}):\n", i.name);
            match &i.action {
                Action::Xconnect(peer) => out += &format!("  L2 xconnect {peer}\n"),
                Action::Bridge(bd_id, shg) => {
                    out += &format!("  L2 bridge bd-id {bd_id} idx {bd_id} shg {shg}\n");
                }
                Action::Sink | Action::Respond => {}
            }
            out + &i.addresses.iter().map(|a| format!("  L3 {a}\n")).collect::<String>()
        })
        .collect()
}

/// `show interface tag`.
pub(super) fn tags(all: &[Interface]) -> String {
    let tag = |i: &Interface| i.tag.as_ref().map_or("(none)", Tag::as_str).to_owned();
    all.iter().map(|i| format!("{}: {}\n", i.name, tag(i))).collect()
}

/// `show interface secondary-mac-address`.
pub(super) fn secondary_macs(all: &[Interface]) -> String {
    let macs = |i: &Interface| -> String {
        i.secondary_mac_addrs.iter().map(|mac| format!("  {mac}\n")).collect()
    };
    let head = |i: &Interface| format!("{} ({}):\n", i.name, if i.admin_up { "up" } else { "dn" });
    all.iter().map(|i| head(i) + &macs(i)).collect()
}

/// `show interface vtr`: what is done with VLAN tags.
pub(super) fn tag_rewrites(all: &[Interface]) -> String {
    let of_subs = |i: &Interface| -> String {
        let row = |sub: &SubInterface| format!("{}: {}\n", sub.name, sub.tag_rewrite);
        i.sub_interfaces.iter().map(row).collect()
    };
    all.iter().map(|i| format!("{}: {}\n{}", i.name, i.tag_rewrite, of_subs(i))).collect()
}

/// `show mode`.
pub(super) fn mode(all: &[Interface]) -> String {
    let row = |name: &IfName, action: &Action| match action {
        Action::Xconnect(peer) => format!("l2 xconnect {name} {peer}\n"),
        Action::Bridge(bd_id, shg) => format!("l2 bridge {name} bd_id {bd_id} shg {shg}\n"),
        Action::Sink | Action::Respond => format!("l3 {name}\n"),
    };
    let of_subs = |i: &Interface| -> String {
        i.sub_interfaces.iter().map(|sub| row(&sub.name, &sub.action)).collect()
    };
    all.iter().map(|i| row(&i.name, &i.action) + &of_subs(i)).collect()
}

/// `show interface rx-placement`.
pub(super) fn rx_placement(all: &[Interface]) -> String {
    let mut threads: BTreeMap<PollerIndex, String> = BTreeMap::new();
    for i in all {
        for queue in &i.rx_queues {
            *threads.entry(queue.poller).or_default() += &format!(
                "    {} queue {} ({})\n",
                i.name,
                queue.id,
                queue.mode.unwrap_or_default()
            );
        }
    }
    threads
        .into_iter()
        .map(|(poller, rows)| {
            format!("Thread {poller} (poller-{poller}):\n node tap-input:\n{rows}")
        })
        .collect()
}

/// `show interface tx-placement`: the queues that each poller sends to.
pub(super) fn tx_placement(all: &[Interface]) -> String {
    let mut threads: BTreeMap<PollerIndex, String> = BTreeMap::new();
    for i in all {
        for queue in &i.tx_queues {
            let shared = if queue.threads.len() > 1 { " (shared)" } else { "" };
            for poller in &queue.threads {
                *threads.entry(*poller).or_default() +=
                    &format!("    {} queue {}{shared}\n", i.name, queue.id);
            }
        }
    }
    threads
        .into_iter()
        .map(|(poller, rows)| format!("Thread {poller} (poller-{poller}):\n node tap-tx:\n{rows}"))
        .collect()
}

/// `show interface features`: what works on the frames of each of our two arcs.
pub(super) fn features(all: &[Interface]) -> String {
    all.iter()
        .map(|i| {
            let input = match &i.action {
                Action::Sink => "none configured".to_owned(),
                action => match &i.impairment {
                    Some(faults) => format!("{action} {faults}"),
                    None => action.to_string(),
                },
            };
            format!(
                "Feature paths configured on {}...\n\ndevice-input:\n  {input}\n\n\
                 interface-output:\n  none configured\n\n",
                i.name
            )
        })
        .collect()
}
