//! `show …`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{InterfaceRef, L2FibKind, Reader, Reply, Version, list, wire};
use crate::counters::Direction;
use crate::units::{BridgeDomainId, IfName, Kind, QueueIndex};

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
    /// `show interface tx-placement [NAME…]`.
    TxPlacement(Vec<InterfaceRef>),
    /// `show interface features [NAME…]`.
    Features(Vec<InterfaceRef>),
    /// `show interface tag [NAME…]`.
    Tags(Vec<InterfaceRef>),
    /// `show interface vtr`.
    TagRewrites(Vec<InterfaceRef>),
    /// `show interface secondary-mac-address [NAME…]`.
    SecondaryMacs(Vec<InterfaceRef>),
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
    /// `show running-config`, `save`.
    RunningConfig {},
    /// `show bridge-domain [N] [detail]`.
    BridgeDomains {
        /// Only this one.
        #[serde(default)]
        bd_id: Option<BridgeDomainId>,
        /// Also its members.
        #[serde(default, deserialize_with = "wire::nullable")]
        detail: bool,
    },
    /// `show l2fib …`.
    #[serde(rename = "l2fib")]
    L2Fib {
        /// Only of this domain.
        #[serde(default)]
        bd_id: Option<BridgeDomainId>,
        /// Only these.
        #[serde(default, deserialize_with = "wire::nullable")]
        kind: L2FibKind,
        /// Each MAC; as text there is otherwise only their number.
        #[serde(default, deserialize_with = "wire::nullable")]
        verbose: bool,
    },
    /// `show runtime [verbose]`.
    Runtime {
        /// Also queues that moved nothing.
        #[serde(default, deserialize_with = "wire::nullable")]
        verbose: bool,
    },
    /// `show nsim`.
    Nsim {},
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

/// How interfaces are laid out as text. As JSON they are the same in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `show`: one compact table of everything.
    Overview,
    /// `show tap`: VPP's layout, whole; ring entries where they were asked for.
    Tap,
    /// `show interface`: VPP's counter table.
    Counters,
    /// `show interface addr`.
    Addresses,
    /// `show interface rx-placement`.
    RxPlacement,
    /// `show interface tx-placement`.
    TxPlacement,
    /// `show interface features`.
    Features,
    /// `show interface tag`.
    Tags,
    /// `show interface vtr`.
    TagRewrites,
    /// `show interface secondary-mac-address`.
    SecondaryMacs,
    /// `show hardware-interfaces`, and how much of it.
    Hardware(Detail),
    /// `show mode`.
    Mode,
    /// `show running-config`: the commands that make them.
    RunningConfig,
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
            | Self::TxPlacement(names)
            | Self::Features(names)
            | Self::Tags(names)
            | Self::TagRewrites(names)
            | Self::SecondaryMacs(names)
            | Self::Mode(names)
            | Self::Tap { interfaces: names, .. }
            | Self::Hardware { interfaces: names, .. } => names,
            Self::Errors { .. }
            | Self::RunningConfig {}
            | Self::BridgeDomains { .. }
            | Self::L2Fib { .. }
            | Self::Runtime { .. }
            | Self::Nsim {}
            | Self::Threads {}
            | Self::Logging {}
            | Self::Version { .. } => &[],
        }
    }

    /// How what it asks for is laid out, where that is interfaces.
    pub fn view(&self) -> Option<View> {
        Some(match *self {
            Self::Overview(_) => View::Overview,
            Self::Tap { .. } => View::Tap,
            Self::Interface(_) => View::Counters,
            Self::Addresses(_) => View::Addresses,
            Self::RxPlacement(_) => View::RxPlacement,
            Self::TxPlacement(_) => View::TxPlacement,
            Self::Features(_) => View::Features,
            Self::Tags(_) => View::Tags,
            Self::TagRewrites(_) => View::TagRewrites,
            Self::SecondaryMacs(_) => View::SecondaryMacs,
            Self::Hardware { detail, .. } => View::Hardware(detail),
            Self::Mode(_) => View::Mode,
            Self::RunningConfig {} => View::RunningConfig,
            Self::Errors { .. }
            | Self::BridgeDomains { .. }
            | Self::L2Fib { .. }
            | Self::Runtime { .. }
            | Self::Nsim {}
            | Self::Threads {}
            | Self::Logging {}
            | Self::Version { .. } => return None,
        })
    }

    /// The reply where no process holds interfaces: empty, or this program's version.
    pub fn empty(&self) -> Reply {
        if let Some(view) = self.view() {
            return Reply::Interfaces(Vec::new(), view);
        }
        match *self {
            Self::Errors { verbose } => Reply::Errors(Vec::new(), verbose),
            Self::BridgeDomains { detail, .. } => Reply::BridgeDomains(Vec::new(), detail),
            Self::L2Fib { verbose, .. } => Reply::L2Fib(Vec::new(), verbose),
            Self::Runtime { verbose } => Reply::Runtime(Vec::new(), verbose),
            Self::Nsim {} => Reply::Nsim(Vec::new()),
            Self::Threads {} => Reply::Threads(Vec::new()),
            Self::Version { verbose } => Reply::Version(vec![Version::own()], verbose),
            // The others have a view.
            _ => Reply::Logging(Vec::new()),
        }
    }

    /// How the answer to this is read from its wire form: as the same reply with what came.
    pub(super) fn reader(&self) -> Reader {
        let empty = self.empty();
        Box::new(move |wire| {
            let key = empty.key();
            Ok(match empty {
                Reply::Interfaces(_, view) => Reply::Interfaces(list(wire, key)?, view),
                Reply::Errors(_, verbose) => Reply::Errors(list(wire, key)?, verbose),
                Reply::BridgeDomains(_, detail) => Reply::BridgeDomains(list(wire, key)?, detail),
                Reply::L2Fib(_, verbose) => Reply::L2Fib(list(wire, key)?, verbose),
                Reply::Runtime(_, verbose) => Reply::Runtime(list(wire, key)?, verbose),
                Reply::Nsim(_) => Reply::Nsim(list(wire, key)?),
                Reply::Threads(_) => Reply::Threads(list(wire, key)?),
                Reply::Version(_, verbose) => Reply::Version(list(wire, key)?, verbose),
                _ => Reply::Logging(list(wire, key)?),
            })
        })
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
            ShowRequest::TxPlacement(none()),
            ShowRequest::Features(none()),
            ShowRequest::Tags(none()),
            ShowRequest::TagRewrites(none()),
            ShowRequest::SecondaryMacs(none()),
            ShowRequest::Hardware { interfaces: none(), detail: Detail::Brief },
            ShowRequest::Hardware { interfaces: none(), detail: Detail::Normal },
            ShowRequest::Hardware { interfaces: none(), detail: Detail::Verbose },
            ShowRequest::Mode(none()),
            ShowRequest::RunningConfig {},
            ShowRequest::BridgeDomains { bd_id: "7".parse().ok(), detail: true },
            ShowRequest::BridgeDomains { bd_id: None, detail: false },
            ShowRequest::L2Fib { bd_id: None, kind: L2FibKind::Learn, verbose: true },
            ShowRequest::L2Fib { bd_id: "7".parse().ok(), kind: L2FibKind::All, verbose: false },
            ShowRequest::Runtime { verbose: true },
            ShowRequest::Runtime { verbose: false },
            ShowRequest::Nsim {},
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
