//! Every frame accounted for: by our counters alone, and against the kernel's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::place::Place;
use crate::api::{Interface, Reply, Request, ShowRequest};
use crate::control::Control;
use crate::counters::{Counter, Direction, QueueSnapshot, check_at_rest};
use crate::diag::{Code, Failure};

/// How long the last frames may take. Besides, IPv6 says a word from time to time.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(5);

/// Sums over all queues, a row for each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ledger {
    received: u64,
    forwarded: u64,
    /// Frames that came before the wire was there.
    consumed: u64,
    dropped_rx: u64,
    offered: u64,
    sent: u64,
    dropped_tx: u64,
}

impl Ledger {
    fn of<'a>(queues: impl Iterator<Item = &'a QueueSnapshot> + Clone) -> Self {
        let of = |direction| queues.clone().filter(move |q| q.direction() == direction);
        let sum = |direction, counter| of(direction).map(|q| q.get(counter)).sum();
        let dropped = |direction| of(direction).map(QueueSnapshot::lost_in_all).sum();
        Self {
            received: sum(Direction::Rx, Counter::Packets),
            forwarded: sum(Direction::Rx, Counter::Forwarded),
            consumed: sum(Direction::Rx, Counter::Consumed),
            dropped_rx: dropped(Direction::Rx),
            offered: sum(Direction::Tx, Counter::Offered),
            sent: sum(Direction::Tx, Counter::Packets),
            dropped_tx: dropped(Direction::Tx),
        }
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "rx": {
                "received": self.received,
                "forwarded": self.forwarded,
                "consumed": self.consumed,
                "dropped": self.dropped_rx,
            },
            "tx": { "offered": self.offered, "sent": self.sent, "dropped": self.dropped_tx },
        })
    }

    pub(super) fn rx(&self) -> String {
        let Self { received, forwarded, consumed, dropped_rx, .. } = self;
        let early = match consumed {
            0 => String::new(),
            n => format!(" + before the wire {n}"),
        };
        format!("received {received} = forwarded {forwarded}{early} + dropped {dropped_rx}")
    }

    pub(super) fn tx(&self) -> String {
        let Self { offered, sent, dropped_tx, .. } = self;
        format!("offered {offered} = sent {sent} + dropped {dropped_tx}")
    }
}

/// Waits until nothing is under way, the ledger balances and the kernel has counted the same.
///
/// # Errors
/// What does not add up.
pub(super) async fn at_rest(control: &Control, place: &Place) -> Result<(Reply, Ledger), Failure> {
    let end = Instant::now() + PATIENCE;
    loop {
        let reply = control.submit(Request::Show(ShowRequest::Overview(Vec::new()))).await?.reply;
        match balance(&reply, place).await? {
            Ok(ledger) => return Ok((reply, ledger)),
            Err(sentence) if Instant::now() >= end => {
                return Err(Failure::new(Code::Failed, "ledger", sentence)
                    .hint("frames are missing or counted twice: this is a bug"));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

async fn balance(reply: &Reply, place: &Place) -> Result<Result<Ledger, String>, Failure> {
    let Reply::Overview(all) = reply else { return Ok(Err("no overview".into())) };
    let queues =
        all.iter().flat_map(|i| i.rx_queues.iter().chain(&i.tx_queues)).map(|q| &q.counters);
    if let Err(imbalance) = check_at_rest(queues.clone()) {
        return Ok(Err(imbalance.to_string()));
    }
    for (interface, room) in all.iter().zip(&place.rooms) {
        let kernel = room.counted(&interface.host_if_name).await?;
        // What we sent is what the kernel received.
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
