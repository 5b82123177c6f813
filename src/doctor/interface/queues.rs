//! Our side: admin state, queues, offload, and what was lost so far.

use std::collections::BTreeMap;

use super::{Case, Finding, place};
use crate::api::{Action, BackendKind, Interface, Queue, QueueState, State};
use crate::counters::{Counter, Direction, DropReason};
use crate::doctor::commands::{self, word};
use crate::doctor::look::Look;
use crate::doctor::reasons;
use crate::host::inspect::Inspection;
use crate::units::TxQueueLength;

pub(super) fn judge(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let interface = case.interface;
    let backend = interface.backend.word();
    let finding = match (&interface.backend_reason, interface.backend) {
        (Some(reason), _) => Finding::note("backend", format!("{backend} ({reason})"))
            .cost("frames are copied once more than on vhost-net, by the poller's processor")
            .remedy("taptool doctor"),
        (None, BackendKind::VhostNet) => match &interface.vhost_worker_mode {
            Some(mode) => Finding::ok("backend", format!("{backend}, worker {mode}")),
            None => Finding::ok("backend", backend),
        },
        (None, BackendKind::Userspace) => Finding::ok("backend", backend),
    };
    findings.extend([finding, admin(interface)]);
    let queues = || both(interface);
    let broken = queues().filter_map(|(direction, queue)| broken(interface, direction, queue));
    let before = findings.len();
    findings.extend(broken);
    let moves = !matches!(interface.state, State::HostGone | State::Deleting);
    if moves && findings.len() == before {
        let (rx, tx) = (interface.rx_queues.len(), interface.tx_queues.len());
        findings.push(Finding::ok("queues", format!("{rx} rx and {tx} tx run")));
    }
    findings.push(gso(interface));
}

fn both(interface: &Interface) -> impl Iterator<Item = (&'static str, &Queue)> {
    let rx = interface.rx_queues.iter().map(|queue| ("rx", queue));
    rx.chain(interface.tx_queues.iter().map(|queue| ("tx", queue)))
}

fn admin(interface: &Interface) -> Finding {
    let name = &interface.name;
    if interface.admin_up {
        return Finding::ok("admin", format!("{name} is admin-up"));
    }
    Finding::drops("admin", format!("{name} was set down by a command"))
        .cost("every frame from and to it is dropped (admin_down)")
        .remedy(set_up(interface))
}

/// Also resets broken queues.
fn set_up(interface: &Interface) -> String {
    format!("taptool set interface state {} up", word(interface.name.as_str()))
}

fn broken(interface: &Interface, direction: &str, queue: &Queue) -> Option<Finding> {
    let QueueState::Broken(why) = &queue.state else { return None };
    // A device that is gone breaks its queues; that was said.
    if interface.state == State::HostGone {
        return None;
    }
    let cost = match direction {
        "rx" => "nothing is received on it any more".to_owned(),
        _ => "frames sent on it are dropped (queue_broken)".to_owned(),
    };
    Some(
        Finding::drops("queues", format!("{direction} queue {} is broken: {why}", queue.id))
            .cost(cost)
            .remedy(set_up(interface)),
    )
}

fn gso(interface: &Interface) -> Finding {
    if interface.gso {
        let what = interface.offloads.join(" ");
        return Finding::ok("gso", format!("on: the host may send frames of 64 KiB ({what})"));
    }
    // A responder moves no bulk traffic.
    let wired = matches!(interface.action, Action::Xconnect(_));
    let finding = Finding::ok("gso", "off: the host sends frames of its MTU at most");
    if !wired {
        return finding;
    }
    Finding::note("gso", finding.value)
        .cost("bulk TCP crosses the wire in frames of the MTU instead of 64 KiB, and slower")
        .remedy(format!("taptool gso {} on", word(interface.name.as_str())))
}

/// The check of frames that were lost.
pub(super) const LOST: &str = "lost";

/// Frames that were lost, a finding a direction and reason.
pub(super) fn counted(case: &Case<'_>, findings: &mut Vec<Finding>) {
    let interface = case.interface;
    let before = findings.len();
    for (direction, word_of) in [(Direction::Rx, "rx"), (Direction::Tx, "tx")] {
        let mut lost: BTreeMap<usize, (DropReason, u64)> = BTreeMap::new();
        let queues = match direction {
            Direction::Rx => &interface.rx_queues,
            Direction::Tx => &interface.tx_queues,
        };
        for (reason, count) in queues.iter().flat_map(|queue| queue.counters.drops()) {
            let sum = lost.entry(reason.index()).or_insert((reason, 0));
            sum.1 = sum.1.saturating_add(count);
        }
        for (reason, count) in lost.into_values() {
            let row = reason.row();
            let (why, remedy) = reasons::about(reason);
            let frames = if count == 1 { "frame" } else { "frames" };
            let value =
                format!("{word_of} has lost {count} {frames}: {} ({})", row.sentence, row.name);
            // The next packet that is to be forwarded is lost as well.
            let finding = match reason {
                DropReason::NotOurs => Finding::drops(LOST, value).cost(why),
                _ => Finding::note(LOST, value).cost(why),
            };
            let name = word(interface.name.as_str());
            findings.push(match remedy {
                Some(remedy) => finding.remedy(remedy.replace("NAME", &name)),
                None => finding,
            });
        }
    }
    findings.extend(unreadable(interface));
    if let Look::Seen(seen) = case.look {
        findings.extend(by_the_host(interface, seen));
    }
    if findings.len() == before {
        findings.push(Finding::ok(LOST, "no frame was lost so far"));
    }
}

/// Frames that the tap had and could not hand us.
fn unreadable(interface: &Interface) -> Option<Finding> {
    let counted = |queue: &Queue| queue.counters.get(Counter::Unreadable);
    let count: u64 = interface.rx_queues.iter().map(counted).sum();
    let frames = if count == 1 { "frame" } else { "frames" };
    let value =
        format!("rx has lost {count} {frames} that no virtio header describes (unreadable)");
    (count > 0).then(|| {
        Finding::note(LOST, value)
            .cost("a network card's own offload made them, and a bridge brought them to the tap")
            .remedy("ethtool -K CARD lro off gro off   # of the card that is a port of the bridge")
    })
}

/// What the kernel counts: frames that it could not hand us, and on vhost-net those of ours that it
/// did not take, which come back to us as sent.
fn by_the_host(interface: &Interface, seen: &Inspection) -> Vec<Finding> {
    let (place, stats) = (place(interface), seen.link.stats);
    let mut findings = Vec::new();
    if stats.tx_dropped > 0 {
        let length = seen.link.qlen.saturating_mul(4).clamp(1000, TxQueueLength::MAX);
        let args = format!("link set dev {} txqueuelen {length}", word(&interface.host_if_name));
        let count = stats.tx_dropped;
        findings.push(
            Finding::note(LOST, format!("{place} has dropped {count} frames of the host before we saw them"))
                .cost("its queue was full (bursts longer than it, or a poller without time), or it was without carrier")
                .remedy(commands::ip(interface.host_ns.as_deref(), &args)),
        );
    }
    if stats.rx_dropped > 0 && interface.backend == BackendKind::VhostNet {
        let count = stats.rx_dropped;
        findings.push(
            Finding::note(LOST, format!("{place} has dropped {count} frames that we sent"))
                .cost("it was down, or nothing in its namespace takes such frames"),
        );
    }
    findings
}
