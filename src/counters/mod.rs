//! Names, units and numbers: what every queue counts, and how others read it.
//!
//! # Theory of operation
//! The poller that owns a queue is the only writer of its counters. It counts into a plain local
//! copy ([`QueueCounters`]) and, at the end of a burst, publishes all of them together as one
//! versioned group of words in the private memory file. A reader ([`read_group`]) sees a group
//! whole or reads it again; it never stops the writer and never changes anything. `clear` is a
//! baseline kept by the reader's side ([`QueueSnapshot::since`]).
//!
//! The frame ledger of a queue is part of every group:
//! * rx: `received + copies = forwarded + consumed + Σ drops + held`
//! * tx: `offered = enqueued + Σ drops before`, `enqueued = sent + Σ drops after + in_flight`
//!
//! `held` and `in_flight` are read from shadows and rings, never computed as a remainder.

mod broken;
mod cells;
mod group;
mod snapshot;
mod table;

pub use broken::BrokenReason;
pub use cells::{CellBlock, GROUP_WORDS, QueueCounters, read_group};
pub use snapshot::{Imbalance, QueueSnapshot, check_at_rest};
pub use table::{COUNTERS, Counter, CounterRow, DROP_REASONS, DropReason, DropRow, Sides, Unit};

/// Which way a queue carries frames, from taptool's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Host side → interface.
    Rx,
    /// Interface → host side.
    Tx,
}
