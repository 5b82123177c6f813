//! `show tap` in VPP's layout, and what VPP does not show there: the backend, the host
//! side's addresses, the action, and the counters of each queue.
//!
//! `ifindex` is our `sw_if_index`, as it is VPP's own index there; the Linux one is
//! `host-ifindex`. VPP's `desc_next` is missing: our rings keep no such number.

use super::pad::{Text, wrapped};
use super::{descriptors, escape};
use crate::api::{BackendKind, Interface, Queue, QueueState, State};
use crate::counters::{COUNTERS, Counter, Direction, Unit};

/// Width that lists of counters are broken at, the comma not counted.
const LINE: usize = 77;

pub(super) fn interface(i: &Interface) -> String {
    let mut out = Text::default();
    out.line(format_args!("Interface: {} (ifindex {})", i.name, i.sw_if_index));
    host_side(i, &mut out);
    backend(i, &mut out);
    out.line(format_args!("  gso-enabled {}", u8::from(i.gso)));
    if i.no_gso {
        out.line(format_args!("  no-gso: large frames are split, partial checksums completed"));
    }
    out.line(format_args!("  csum-enabled {}", u8::from(i.csum_offload)));
    if !i.offloads.is_empty() {
        out.line(format_args!("  offloads: {}", i.offloads.join(" ")));
    }
    out.some("  mac Address: ", i.mac_addr);
    for mac in &i.secondary_mac_addrs {
        out.line(format_args!("  secondary mac Address: {mac}"));
    }
    if i.promiscuous {
        out.line(format_args!("  promiscuous: on"));
    }
    out.some("  tag: ", i.tag.as_ref());
    if [i.packet_mtu, i.ip4_mtu, i.ip6_mtu, i.mpls_mtu].iter().any(Option::is_some) {
        out.line(format_args!("  mtu (L3/IP4/IP6/MPLS): {}", super::interface::mtus(i)));
    }
    out.line(format_args!("  device instance: {}", i.id));
    out.line(format_args!("  admin state: {}", if i.admin_up { "up" } else { "down" }));
    let cure = match i.state {
        State::Broken => format!(" (`set interface state {} up' resets it)", i.name),
        _ => String::new(),
    };
    out.line(format_args!("  state: {}{cure}", i.state.word()));
    out.line(format_args!("  action: {}", i.action));
    out.some("  impairment: ", i.impairment);
    if i.link_state {
        out.line(format_args!("  link-state: on"));
    }
    if i.tag_rewrite != "none" {
        out.line(format_args!("  tag-rewrite: {}", i.tag_rewrite));
    }
    for sub in &i.sub_interfaces {
        let state = if sub.admin_up { "up" } else { "admin-down" };
        out.line(format_args!(
            "  sub-interface: {} (ifindex {}) {}, {state}, {}, tag-rewrite {}",
            sub.name, sub.sw_if_index, sub.encapsulation, sub.action, sub.tag_rewrite
        ));
    }
    for address in &i.addresses {
        out.line(format_args!("  address: {address}"));
    }
    out.line(format_args!("  features {}", i.features_raw));
    features(&i.features, &i.features_raw, "     ", &mut out);
    out.line(format_args!("  remote-features {}", i.backend_features_raw));
    features(&i.backend_features, &i.backend_features_raw, "    ", &mut out);
    out.line(format_args!("  Number of RX Virtqueue  {}", i.rx_queues.len()));
    out.line(format_args!("  Number of TX Virtqueue  {}", i.tx_queues.len()));
    for q in &i.rx_queues {
        queue("RX", q, &mut out);
    }
    for q in &i.tx_queues {
        queue("TX", q, &mut out);
    }
    out.lines()
}

fn host_side(i: &Interface, out: &mut Text) {
    out.line(format_args!("  name \"{}\"", escape(&i.host_if_name)));
    out.some("  host-ns ", i.host_ns.as_ref().map(|ns| format!("\"{}\"", escape(ns))));
    out.line(format_args!("  host-ifindex {}", i.host_ifindex));
    out.line(format_args!("  host-mtu-size \"{}\"", i.mtu));
    if i.host_tx_dropped > 0 {
        let (dropped, qlen) = (i.host_tx_dropped, i.qlen);
        out.line(format_args!("  host-tx-dropped {dropped} (its queue of {qlen} was full)"));
    }
    out.some("  host-mac-addr: ", i.host_mac_addr);
    for address in &i.host_addresses {
        out.line(format_args!(
            "  host-ip{}-addr: {address}",
            if address.addr().is_ipv4() { 4 } else { 6 }
        ));
    }
    out.some("  host-bridge ", i.host_bridge.as_ref().map(|br| format!("\"{}\"", escape(br))));
    out.line(format_args!("  host-txqueuelen {}", i.qlen));
    let stays =
        [(i.attached, "attached"), (i.persist, "persist"), (i.pinned, "pins its namespace")];
    let stays: Vec<&str> = stays.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect();
    if !stays.is_empty() {
        out.line(format_args!("  host-device: {}", stays.join(", ")));
    }
    out.line(format_args!("  host-carrier-up: {}", u8::from(i.link_up)));
    if !i.carrier {
        let why =
            if i.link_state { "link-state, or `set tap carrier'" } else { "`set tap carrier'" };
        out.line(format_args!("  carrier: down ({why})"));
    }
    out.some("  host-speed: ", i.speed_mbps.map(|mbps| format!("{mbps} Mbit/s")));
}

fn backend(i: &Interface, out: &mut Text) {
    let reason = i.backend_reason.as_ref();
    let reason = reason.map(|why| format!(" ({})", escape(why))).unwrap_or_default();
    out.line(format_args!("  backend: {}{reason}", i.backend.word()));
    if i.backend == BackendKind::VhostNet {
        out.line(format_args!("  vhost-fds {}", numbers(&i.vhost_fds)));
        out.some("  vhost-worker-mode: ", i.vhost_worker_mode.as_ref());
    }
    out.line(format_args!("  tap-fds {}", numbers(&i.tap_fds)));
}

fn numbers(fds: &[i32]) -> String {
    fds.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// One feature a line with its bit, as VPP writes them. The names stand in the order of their bits.
fn features(names: &[String], raw: &str, indent: &str, out: &mut Text) {
    let word = u64::from_str_radix(raw.trim_start_matches("0x"), 16).unwrap_or(0);
    let bits: Vec<u32> = (0..u64::BITS).filter(|bit| word & (1 << bit) != 0).collect();
    for (i, name) in names.iter().enumerate() {
        let name = escape(name);
        match bits.get(i).filter(|_| bits.len() == names.len() && !name.contains('(')) {
            Some(bit) => out.line(format_args!("{indent}{name}({bit})")),
            None => out.line(format_args!("{indent}{name}")),
        }
    }
}

fn queue(side: &str, q: &Queue, out: &mut Text) {
    let n = |counter| q.counters.get(counter);
    out.line(format_args!("  Virtqueue ({side}) {}", q.id));
    out.line(format_args!(
        "    qsz {}, last_used_idx {}, desc_in_use {}",
        q.size,
        n(Counter::LastUsedIdx),
        n(Counter::DescInUse)
    ));
    out.line(format_args!(
        "    avail.flags {:#x} avail.idx {} used.flags {:#x} used.idx {}",
        q.avail_flags,
        n(Counter::AvailIdx),
        q.used_flags,
        n(Counter::UsedIdx)
    ));
    out.line(format_args!("    kickfd {}, callfd {}", q.kick_fd, q.call_fd));
    let state = match &q.state {
        QueueState::Running => "running".to_owned(),
        QueueState::Broken(why) => format!("broken: {why}"),
    };
    out.line(format_args!("    poller {}, {state}", q.poller));
    counted(q, out);
    if !q.descriptors.is_empty() {
        descriptors::table(&q.descriptors, out);
    }
}

/// The counters that are not zero, then what was lost and why.
fn counted(q: &Queue, out: &mut Text) {
    let direction: Direction = q.counters.direction();
    let rows = COUNTERS.iter().filter(|row| row.sides.has(direction));
    let shown = rows.filter(|row| {
        row.unit != Unit::Gauge || matches!(row.counter, Counter::Held | Counter::InFlight)
    });
    let counters = shown.map(|row| (row.name, q.counters.get(row.counter)));
    list("", counters.filter(|(_, n)| *n > 0), out);
    list("drops: ", q.counters.drops().map(|(reason, n)| (reason.row().name, n)), out);
}

/// `    packets 12, bytes 1176`, broken at [`LINE`].
fn list<'a>(label: &str, items: impl Iterator<Item = (&'a str, u64)>, out: &mut Text) {
    let items: Vec<String> = items.map(|(name, n)| format!("{name} {n}")).collect();
    if !items.is_empty() {
        let pieces = items.iter().map(String::as_str);
        out.add(&wrapped(&format!("    {label}"), pieces, ", ", 6, LINE));
    }
}
