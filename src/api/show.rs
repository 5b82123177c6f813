//! `show …`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{InterfaceRef, Reply, Version, list, wire};
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
    /// `show errors [verbose]`.
    Errors {
        /// Queues are kept apart.
        #[serde(default, deserialize_with = "wire::nullable")]
        verbose: bool,
    },
    /// `show interface addr [NAME…]`.
    Addresses(Vec<InterfaceRef>),
    /// `show interface rx-placement [NAME…]`.
    RxPlacement(Vec<InterfaceRef>),
    /// `show interface features [NAME…]`.
    Features(Vec<InterfaceRef>),
    /// `show hardware-interfaces [NAME…] [brief|verbose]`.
    Hardware {
        /// Only these.
        #[serde(default, deserialize_with = "wire::nullable")]
        interfaces: Vec<InterfaceRef>,
        /// How much.
        #[serde(default, deserialize_with = "wire::nullable")]
        detail: Detail,
    },
    /// `show mode [NAME…]`.
    Mode(Vec<InterfaceRef>),
    /// `show runtime [verbose]`.
    Runtime {
        /// Also queues that moved nothing.
        #[serde(default, deserialize_with = "wire::nullable")]
        verbose: bool,
    },
    /// `show threads`.
    Threads {},
    /// `show logging`.
    Logging {},
    /// `show version [verbose]`.
    Version {
        /// Everything.
        #[serde(default, deserialize_with = "wire::nullable")]
        verbose: bool,
    },
}

/// How much to show of an interface.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// A row.
    Brief,
    /// What VPP shows.
    #[default]
    Normal,
    /// Also what VPP does not show.
    Verbose,
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
    /// The reason's key: that of a drop reason, or `host_tx_dropped` for what the host dropped before
    /// taptool could read it.
    pub reason: Cow<'static, str>,
    /// The reason as a sentence.
    pub sentence: Cow<'static, str>,
}

impl ShowRequest {
    /// The interfaces that it names; none where it asks for all, or for none.
    pub fn names(&self) -> &[InterfaceRef] {
        match self {
            Self::Overview(names)
            | Self::Interface(names)
            | Self::Addresses(names)
            | Self::RxPlacement(names)
            | Self::Features(names)
            | Self::Mode(names)
            | Self::Tap { interfaces: names, .. }
            | Self::Hardware { interfaces: names, .. } => names,
            Self::Errors { .. }
            | Self::Runtime { .. }
            | Self::Threads {}
            | Self::Logging {}
            | Self::Version { .. } => &[],
        }
    }

    /// The reply where no process holds interfaces: empty, or this program's version.
    pub fn empty(&self) -> Reply {
        match *self {
            Self::Overview(_) => Reply::Overview(Vec::new()),
            Self::Tap { .. } => Reply::Tap(Vec::new()),
            Self::Interface(_) => Reply::Counters(Vec::new()),
            Self::Errors { verbose } => Reply::Errors(Vec::new(), verbose),
            Self::Addresses(_) => Reply::Addresses(Vec::new()),
            Self::RxPlacement(_) => Reply::RxPlacement(Vec::new()),
            Self::Features(_) => Reply::Features(Vec::new()),
            Self::Hardware { detail, .. } => Reply::Hardware(Vec::new(), detail),
            Self::Mode(_) => Reply::Mode(Vec::new()),
            Self::Runtime { verbose } => Reply::Runtime(Vec::new(), verbose),
            Self::Threads {} => Reply::Threads(Vec::new()),
            Self::Logging {} => Reply::Logging(Vec::new()),
            Self::Version { verbose } => Reply::Version(vec![Version::own()], verbose),
        }
    }

    /// How the answer to this is read from its wire form.
    pub(super) fn reader(&self) -> fn(Value) -> serde_json::Result<Reply> {
        match self {
            Self::Overview(_) => |wire| list(wire, "interfaces").map(Reply::Overview),
            Self::Tap { .. } => |wire| list(wire, "interfaces").map(Reply::Tap),
            Self::Interface(_) => |wire| list(wire, "interfaces").map(Reply::Counters),
            Self::Errors { verbose: true } => {
                |wire| list(wire, "errors").map(|all| Reply::Errors(all, true))
            }
            Self::Errors { verbose: false } => {
                |wire| list(wire, "errors").map(|all| Reply::Errors(all, false))
            }
            Self::Addresses(_) => |wire| list(wire, "interfaces").map(Reply::Addresses),
            Self::RxPlacement(_) => |wire| list(wire, "interfaces").map(Reply::RxPlacement),
            Self::Features(_) => |wire| list(wire, "interfaces").map(Reply::Features),
            Self::Hardware { detail, .. } => match detail {
                Detail::Brief => {
                    |wire| list(wire, "interfaces").map(|all| Reply::Hardware(all, Detail::Brief))
                }
                Detail::Normal => {
                    |wire| list(wire, "interfaces").map(|all| Reply::Hardware(all, Detail::Normal))
                }
                Detail::Verbose => {
                    |wire| list(wire, "interfaces").map(|all| Reply::Hardware(all, Detail::Verbose))
                }
            },
            Self::Mode(_) => |wire| list(wire, "interfaces").map(Reply::Mode),
            Self::Runtime { verbose: true } => {
                |wire| list(wire, "pollers").map(|all| Reply::Runtime(all, true))
            }
            Self::Runtime { verbose: false } => {
                |wire| list(wire, "pollers").map(|all| Reply::Runtime(all, false))
            }
            Self::Threads {} => |wire| list(wire, "threads").map(Reply::Threads),
            Self::Logging {} => |wire| list(wire, "events").map(Reply::Logging),
            Self::Version { verbose: true } => {
                |wire| list(wire, "versions").map(|all| Reply::Version(all, true))
            }
            Self::Version { verbose: false } => {
                |wire| list(wire, "versions").map(|all| Reply::Version(all, false))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Outcome, Piece};

    #[test]
    fn what_is_shown_reads_back_as_it_was_asked_for() {
        let none = Vec::new;
        for request in [
            ShowRequest::Errors { verbose: true },
            ShowRequest::Errors { verbose: false },
            ShowRequest::Addresses(none()),
            ShowRequest::RxPlacement(none()),
            ShowRequest::Features(none()),
            ShowRequest::Hardware { interfaces: none(), detail: Detail::Brief },
            ShowRequest::Hardware { interfaces: none(), detail: Detail::Normal },
            ShowRequest::Hardware { interfaces: none(), detail: Detail::Verbose },
            ShowRequest::Mode(none()),
            ShowRequest::Runtime { verbose: true },
            ShowRequest::Runtime { verbose: false },
            ShowRequest::Threads {},
            ShowRequest::Logging {},
            ShowRequest::Version { verbose: true },
            ShowRequest::Version { verbose: false },
        ] {
            let travelled = serde_json::to_value(&request).unwrap();
            let arrived: ShowRequest = serde_json::from_value(travelled).unwrap();
            assert_eq!(arrived, request);
            let reply = request.empty();
            let pieces = Outcome::from(reply.clone()).into_pieces();
            let wire: Vec<u8> = pieces.flat_map(Piece::text).collect();
            let read = request.reader()(serde_json::from_slice(&wire).unwrap()).unwrap();
            assert_eq!(format!("{read:?}"), format!("{reply:?}"));
        }
    }
}
