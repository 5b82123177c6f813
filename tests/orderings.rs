//! Every order in which threads may see each other's stores, tried by a model checker.
//!
//! The files under test are compiled here once more, with the checker's primitives behind
//! `crate::sync`; the modules below are what else they name. A model is small: what it has two of,
//! pollers have many of. The rings themselves are views of mapped memory and are raced instead
//! (`src/ring/tests/race.rs`); their two fences pair as those of the inbox do, which is modelled.
//! The checker lets no load see a later store, so it cannot miss the release with which a reader of a
//! handoff ring gives room back.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    reason = "only what is modelled is used, and a panic is how a test fails"
)]

mod sync {
    pub use loom::sync::Mutex;
    pub use loom::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, fence};
}

mod action {
    pub use taptool::action::{Action, DomainKey, Egress, News, PeerKey, bridge};
}
mod device {
    pub use taptool::device::{Frame, Pool, PoolSlot, QueueDevice};
}
mod units {
    pub use taptool::units::{Kind, Mtus, PollerIndex, RxMode};
}

#[path = "orderings/counters.rs"]
mod counters;
#[path = "orderings/engine.rs"]
mod engine;
