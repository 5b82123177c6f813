//! What pollers share, and the names of the engine's modules that it uses.

#[path = "../../src/engine/bell.rs"]
mod bell;
#[path = "../../src/engine/peers/handoff.rs"]
mod handoff;
#[path = "../../src/engine/poller/inbox.rs"]
mod inbox;
mod peers;
mod poller;
#[path = "../../src/engine/poller/statistics.rs"]
mod statistics;

pub use taptool::engine::TxPlace;

/// The engine's own can be made by no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueKey {
    pub slot: u32,
    pub generation: u32,
}

pub mod capture {
    pub use taptool::engine::capture::Capture;
}
pub mod queue {
    pub use taptool::engine::StopReason;
}
pub mod rx {
    pub use taptool::engine::RxQueue;
}
pub mod tx {
    pub use taptool::engine::TxQueue;
}
