//! Checks that every frame is accounted for: among our counters, and against the kernel's.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::Place;
use crate::api::{Interface, Reply, Request, ShowRequest, Submit};
use crate::control::Control;
use crate::counters::{Counter, Direction, QueueSnapshot, check_at_rest};
use crate::diag::Failure;

/// How long the last frames may take. IPv6 also sends a frame from time to time.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);

/// Sums over all queues, a row for each direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ledger {
    received: u64,
    forwarded: u64,
    /// Frames received before the cross-connect was set.
    consumed: u64,
    offered: u64,
    sent: u64,
    dropped: [Drops; 2],
}

/// Lost frames of a direction by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Drops(BTreeMap<&'static str, u64>);

impl Drops {
    fn of<'a>(queues: impl Iterator<Item = &'a QueueSnapshot>) -> Self {
        let mut all = BTreeMap::new();
        for (reason, n) in queues.flat_map(QueueSnapshot::drops) {
            *all.entry(reason.row().name).or_default() += n;
        }
        Self(all)
    }
}

impl fmt::Display for Drops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dropped {}", self.0.values().sum::<u64>())?;
        let reasons: Vec<_> = self.0.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        if reasons.is_empty() { Ok(()) } else { write!(f, " ({})", reasons.join(", ")) }
    }
}

impl Ledger {
    fn of<'a>(queues: impl Iterator<Item = &'a QueueSnapshot> + Clone) -> Self {
        let of = |direction| queues.clone().filter(move |q| q.direction() == direction);
        let sum = |direction, counter| of(direction).map(|q| q.get(counter)).sum();
        Self {
            received: sum(Direction::Rx, Counter::Packets),
            forwarded: sum(Direction::Rx, Counter::Forwarded),
            consumed: sum(Direction::Rx, Counter::Consumed),
            offered: sum(Direction::Tx, Counter::Offered),
            sent: sum(Direction::Tx, Counter::Packets),
            dropped: [Direction::Rx, Direction::Tx].map(|direction| Drops::of(of(direction))),
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let [rx, tx] = &self.dropped;
        json!({
            "rx": {
                "received": self.received,
                "forwarded": self.forwarded,
                "consumed": self.consumed,
                "drops": rx.0,
            },
            "tx": { "offered": self.offered, "sent": self.sent, "drops": tx.0 },
        })
    }

    pub(super) fn rx(&self) -> String {
        let Self { received, forwarded, consumed, dropped: [dropped, _], .. } = self;
        let early = match consumed {
            0 => String::new(),
            n => format!(" + before the wire {n}"),
        };
        format!("received {received} = forwarded {forwarded}{early} + {dropped}")
    }

    pub(super) fn tx(&self) -> String {
        let Self { offered, sent, dropped: [_, dropped], .. } = self;
        format!("offered {offered} = sent {sent} + {dropped}")
    }
}

/// Waits until no frame is in flight, the ledger balances, and the kernel has counted the same.
///
/// # Errors
/// Says which numbers differ.
pub(super) async fn at_rest(control: &Control, place: &Place) -> Result<(Reply, Ledger), Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let reply = control.submit(Request::Show(ShowRequest::Overview(Vec::new()))).await?.reply;
        match balance(&reply, place).await? {
            Ok(ledger) => return Ok((reply, ledger)),
            Err(sentence) if Instant::now() >= end => {
                let hint = "frames are missing or counted twice";
                return Err(Failure::bug("ledger", sentence).hint(hint));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn balance(reply: &Reply, place: &Place) -> Result<Result<Ledger, String>, Failure> {
    let Reply::Interfaces(all, _) = reply else {
        return Ok(Err("no overview".into()));
    };
    let queues =
        all.iter().flat_map(|i| i.rx_queues.iter().chain(&i.tx_queues)).map(|q| &q.counters);
    if let Err(imbalance) = check_at_rest(queues.clone()) {
        return Ok(Err(imbalance.to_string()));
    }
    for (interface, room) in all.iter().zip(&place.rooms) {
        let kernel = room.counted(&interface.host_if_name).await?;
        // The kernel receives what we send.
        let theirs = [kernel.tx_packets, kernel.tx_bytes, kernel.rx_packets, kernel.rx_bytes];
        let ours = counted(interface);
        if ours != theirs {
            let name = &interface.name;
            return Ok(Err(format!("{name}: we counted {ours:?}, the kernel {theirs:?}")));
        }
    }
    Ok(Ok(Ledger::of(queues)))
}

/// Packets and bytes received, packets and bytes sent.
fn counted(interface: &Interface) -> [u64; 4] {
    let sum = |queues: &[crate::api::Queue], counter| {
        queues.iter().map(|q| q.counters.get(counter)).sum()
    };
    let (rx, tx) = (&interface.rx_queues, &interface.tx_queues);
    [
        sum(rx, Counter::Packets),
        sum(rx, Counter::Bytes),
        sum(tx, Counter::Packets),
        sum(tx, Counter::Bytes),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_what_is_not_zero_and_every_reason() {
        let drops = |all: &[(&'static str, u64)]| Drops(all.iter().copied().collect());
        let mut ledger = Ledger {
            received: 10,
            forwarded: 10,
            consumed: 0,
            offered: 10,
            sent: 10,
            dropped: [Drops::default(), Drops::default()],
        };
        assert_eq!(ledger.rx(), "received 10 = forwarded 10 + dropped 0");
        assert_eq!(ledger.tx(), "offered 10 = sent 10 + dropped 0");
        ledger.received = 16;
        ledger.consumed = 1;
        ledger.dropped[0] = drops(&[("peer_stalled", 4), ("oversize", 1)]);
        assert_eq!(
            ledger.rx(),
            "received 16 = forwarded 10 + before the wire 1 + dropped 5 (oversize 1, peer_stalled 4)"
        );
        assert_eq!(ledger.to_json()["rx"]["drops"]["peer_stalled"], 4);
    }
}
