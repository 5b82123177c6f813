//! `show …`.

use serde::Serialize;

use super::InterfaceRef;
use crate::counters::Direction;
use crate::units::{IfName, Kind, QueueIndex};

/// What to show. Naming an interface that does not exist fails; naming none shows all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShowRequest {
    /// `show`: one compact table.
    Overview(Vec<InterfaceRef>),
    /// `show tap|tun [NAME…] [descriptors]`.
    Tap {
        /// Only interfaces of this kind.
        kind: Kind,
        /// Only these.
        interfaces: Vec<InterfaceRef>,
        /// Also the descriptor tables.
        descriptors: bool,
    },
    /// `show interface [NAME…]`.
    Interface(Vec<InterfaceRef>),
    /// `show errors`.
    Errors,
}

/// Frames of one queue lost for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorRow {
    /// Lost frames.
    pub count: u64,
    /// The interface.
    pub name: IfName,
    /// Direction of the queue.
    pub direction: Direction,
    /// The queue.
    pub queue: QueueIndex,
    /// The reason's key.
    pub reason: &'static str,
    /// The reason as a sentence.
    pub sentence: &'static str,
}
