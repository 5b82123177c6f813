//! `show …`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InterfaceRef, Reply, list, wire};
use crate::counters::Direction;
use crate::units::{IfName, Kind, QueueIndex};

/// What to show. Naming an interface that does not exist fails; naming none shows all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShowRequest {
    /// `show`: one compact table.
    Overview(Vec<InterfaceRef>),
    /// `show tap|tun [NAME…] [descriptors]`.
    Tap {
        /// Only interfaces of this kind.
        kind: Kind,
        /// Only these.
        #[serde(default, deserialize_with = "wire::nullable")]
        interfaces: Vec<InterfaceRef>,
        /// Also the descriptor tables.
        #[serde(default, deserialize_with = "wire::nullable")]
        descriptors: bool,
    },
    /// `show interface [NAME…]`.
    Interface(Vec<InterfaceRef>),
    /// `show errors`.
    Errors {},
}

/// Frames of one queue lost for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub reason: Cow<'static, str>,
    /// The reason as a sentence.
    pub sentence: Cow<'static, str>,
}

impl ShowRequest {
    /// How the answer to this is read from its wire form.
    pub(super) fn reader(&self) -> fn(Value) -> serde_json::Result<Reply> {
        match self {
            Self::Overview(_) => |wire| list(wire, "interfaces").map(Reply::Overview),
            Self::Tap { .. } => |wire| list(wire, "interfaces").map(Reply::Tap),
            Self::Interface(_) => |wire| list(wire, "interfaces").map(Reply::Counters),
            Self::Errors {} => |wire| list(wire, "errors").map(Reply::Errors),
        }
    }
}
