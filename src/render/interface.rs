//! `show interface` in VPP's layout: counters of an interface, all its queues added up.

use super::pad::{centred, trimmed};
use crate::api::{Interface, Queue, State};
use crate::counters::Counter;
use crate::units::Mtu;

/// Where the counters begin.
const COUNTERS_AT: usize = 32 + 5 + 10 + 21;

pub(super) fn table(all: &[Interface]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let header = [
        centred("Name", 32),
        centred("Idx", 5),
        centred("State", 10),
        centred("MTU (L3/IP4/IP6/MPLS)", 21),
        centred("Counter", 16),
        centred("Count", 16),
    ];
    trimmed(std::iter::once(header.concat()).chain(all.iter().flat_map(rows)))
}

fn rows(interface: &Interface) -> Vec<String> {
    let head = format!(
        "{:<32}{}{}{}",
        interface.name,
        centred(interface.sw_if_index, 5),
        centred(state(interface), 10),
        centred(mtus(interface), 21),
    );
    let mut counters = counters(interface).into_iter().filter(|(_, n)| *n > 0);
    let counter = |(name, n): (&str, u64)| format!("{name:<16}{n:>16}");
    let first = counters.next().map(counter).unwrap_or_default();
    let mut rows = vec![head + &first];
    rows.extend(counters.map(counter).map(|c| format!("{:COUNTERS_AT$}{c}", "")));
    for sub in &interface.sub_interfaces {
        let state = if sub.admin_up { "up" } else { "down" };
        rows.push(format!(
            "{:<32}{}{}{}",
            sub.name,
            centred(sub.sw_if_index, 5),
            centred(state, 10),
            centred("0/0/0/0", 21),
        ));
    }
    rows
}

/// What our side sends, of every packet and of each protocol; where nothing is set, the host side's,
/// and 0.
pub(super) fn mtus(i: &Interface) -> String {
    let number = |mtu: Option<Mtu>| mtu.map_or(0, Mtu::get);
    let packet = i.packet_mtu.map_or(i.mtu, Mtu::get);
    format!("{packet}/{}/{}/{}", number(i.ip4_mtu), number(i.ip6_mtu), number(i.mpls_mtu))
}

fn state(interface: &Interface) -> &'static str {
    match interface.state {
        State::Up => "up",
        State::AdminDown => "down",
        State::Broken => "error",
        State::HostGone | State::Deleting => interface.state.word(),
    }
}

fn counters(interface: &Interface) -> [(&'static str, u64); 6] {
    let sum =
        |queues: &[Queue], counter| -> u64 { queues.iter().map(|q| q.counters.get(counter)).sum() };
    let drops = interface.rx_queues.iter().chain(&interface.tx_queues);
    [
        ("rx packets", sum(&interface.rx_queues, Counter::Packets)),
        ("rx bytes", sum(&interface.rx_queues, Counter::Bytes)),
        ("tx packets", sum(&interface.tx_queues, Counter::Packets)),
        ("tx bytes", sum(&interface.tx_queues, Counter::Bytes)),
        ("drops", drops.map(|q| q.counters.lost_in_all()).sum()),
        ("host tx dropped", interface.host_tx_dropped),
    ]
}
