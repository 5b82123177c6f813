//! `show hardware-interfaces` in VPP's layout.

use super::pad::{centred, trimmed};
use super::tap;
use crate::api::{Detail, Interface, Queue};
use crate::counters::Counter;
use crate::units::NumberList;

pub(super) fn table(all: &[Interface], detail: Detail) -> String {
    if all.is_empty() {
        return String::new();
    }
    let header = [centred("Name", 32), centred("Idx", 6), centred("Link", 8), "Hardware".into()];
    let blocks = all.iter().map(|i| block(i, detail));
    trimmed(std::iter::once(header.concat()).chain(blocks.flatten()))
}

fn block(i: &Interface, detail: Detail) -> Vec<String> {
    let link = if i.link_up { "up" } else { "down" };
    let (index, link) = (centred(i.sw_if_index, 6), centred(link, 8));
    let mut lines = vec![format!("{:<32}{index}{link}{}", i.name, i.name)];
    if detail == Detail::Brief {
        return lines;
    }
    lines.push("  Link speed: unknown".into());
    lines.push("  RX Queues:".into());
    lines.push("    queue thread         mode".into());
    for q in &i.rx_queues {
        let thread = format!("poller-{0} ({0})", q.poller);
        lines.push(format!("    {:<6}{thread:<15}{}", q.id, q.mode.unwrap_or_default()));
    }
    lines.push("  TX Queues:".into());
    lines.push("    queue shared thread(s)".into());
    // A queue belongs to one poller; others that it is for hand their frames over.
    let threads = |q: &Queue| {
        let numbers = q.threads.iter().fold(NumberList::default(), |all, p| all.with(p.0));
        numbers.to_string()
    };
    let shared = |q: &Queue| if q.threads.len() > 1 { "yes" } else { "no" };
    let tx = i.tx_queues.iter();
    lines.extend(tx.map(|q| format!("    {:<6}{:<7}{}", q.id, shared(q), threads(q))));
    lines.extend(i.mac_addr.map(|mac| format!("  Ethernet address {mac}")));
    lines.push("  VIRTIO interface".into());
    lines.push(format!("     instance {}", i.id));
    for (side, queues) in [("RX", &i.rx_queues), ("TX", &i.tx_queues)] {
        lines.push(format!("       {side} QUEUE : Total Packets"));
        let packets = |q: &Queue| q.counters.get(Counter::Packets);
        lines.extend(queues.iter().map(|q| format!("       {:>8} : {}", q.id, packets(q))));
    }
    if detail == Detail::Verbose {
        lines.extend(tap::interface(i).lines().skip(1).map(|line| format!("   {line}")));
    }
    lines
}
