//! The state that control keeps of an interface.

use std::cell::RefCell;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::Mutex;

use super::life::Life;
use super::port::Port;
use crate::action::{Action, Impaired, PeerKey, Responder, Station};
use crate::api::{BackendKind, CreateRequest};
use crate::counters::QueueSnapshot;
use crate::device::{Backend, Pool, QueueMemory};
use crate::diag::{Code, Failure};
use crate::engine::QueueKey;
use crate::units::{
    BridgeDomainId, Encapsulation, IfName, Impairment, InterfaceId, Kind, Mtus, NumberList,
    PollerIndex, RingSize, RxMode, SwIfIndex, Tag, TagRewrite,
};

/// A queue: its place, and the baselines of `clear`.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    pub(super) key: QueueKey,
    pub(super) poller: PollerIndex,
    /// How frames of a receive queue are noticed.
    pub(super) mode: RxMode,
    /// The pollers that a transmit queue is for.
    pub(super) users: NumberList,
    pub(super) memory: Arc<QueueMemory>,
    /// The number of its record.
    pub(super) record: usize,
    pub(super) size: RingSize,
    pub(super) notify_fds: (i32, i32),
    /// The baseline of `clear interfaces`.
    pub(super) baseline: QueueSnapshot,
    /// The baseline of `clear errors`.
    pub(super) errors_baseline: QueueSnapshot,
    /// What was read last.
    pub(super) seen: RefCell<QueueSnapshot>,
}

impl Queue {
    /// The counters since the queue was made. If the poller stops in the middle of publishing, the
    /// values read before.
    pub(super) fn snapshot(&self) -> QueueSnapshot {
        let now = QueueSnapshot::try_read(self.memory.id().direction, &self.memory.counters());
        if let Some(now) = now {
            self.seen.replace(now);
        }
        self.seen.borrow().clone()
    }
}

/// Where received frames go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Mode {
    /// To our side: its addresses answer, or there are none and frames end there.
    #[default]
    L3,
    /// Out of this interface.
    Xconnect(SwIfIndex),
    /// To the other members of a bridge domain.
    Bridge {
        /// The domain.
        domain: BridgeDomainId,
        /// The split-horizon group there; 0 is none.
        group: u8,
    },
}

impl Mode {
    /// The interface that all frames go to.
    pub(super) const fn peer(self) -> Option<SwIfIndex> {
        match self {
            Self::Xconnect(peer) => Some(peer),
            Self::L3 | Self::Bridge { .. } => None,
        }
    }
}

/// What says what a wire does to frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Faults {
    /// This.
    Own(Impairment),
    /// `set nsim`.
    Nsim,
}

impl Default for Faults {
    fn default() -> Self {
        Self::Own(Impairment::default())
    }
}

/// One interface.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) sw_if_index: SwIfIndex,
    pub(super) id: InterfaceId,
    pub(super) name: IfName,
    /// What `create` makes it again with.
    pub(super) created_with: CreateRequest,
    pub(super) kind: Kind,
    /// Its MACs, and whether it takes frames for others.
    pub(super) station: Station,
    /// What `set interface tag` has marked it with.
    pub(super) tag: Option<Tag>,
    /// What our side sends.
    pub(super) mtus: Mtus,
    pub(super) backend_kind: BackendKind,
    pub(super) backend_reason: Option<String>,
    /// None once it was stopped.
    pub(super) backend: Option<Box<dyn Backend>>,
    pub(super) offered_features: u64,
    pub(super) features: u64,
    pub(super) worker_mode: Option<&'static str>,
    pub(super) vhost_fds: Vec<i32>,
    pub(super) port: Port,
    pub(super) admin_up: bool,
    pub(super) addresses: Vec<IpNet>,
    pub(super) mode: Mode,
    /// What the wire to its peer does to the frames that it receives.
    pub(super) faults: Faults,
    /// Wires to it do what the simulator is set to.
    pub(super) nsim_output: bool,
    /// What is done with the VLAN tags of its frames.
    pub(super) tag_rewrite: TagRewrite,
    /// Its carrier follows the link of its peer.
    pub(super) link_state: bool,
    /// Buffers of the receive queues: kept until the backend has stopped, whatever becomes of the
    /// pollers.
    pub(super) pools: Vec<Arc<Pool>>,
    /// In which received frames wait on a wire with a delay or a rate, of each receive queue; else none.
    pub(super) hold_pools: Vec<Arc<Pool>>,
    /// Where each transmit queue makes what it sends for large frames and for those with partial
    /// checksums; none where the host takes them.
    pub(super) segment_pools: Vec<Arc<Pool>>,
    /// Held by every task that uses, stops or closes the port's files, so that no file in use is closed
    /// and the task that closes them is the last.
    pub(super) files: Arc<Mutex<()>>,
    pub(super) rx: Vec<Queue>,
    pub(super) tx: Vec<Queue>,
    /// Names it as the peer of others.
    pub(super) peer: PeerKey,
    pub(super) life: Life,
}

/// A sub-interface: the frames of an interface whose VLAN tags fit.
#[derive(Debug)]
pub(super) struct SubInterface {
    pub(super) sw_if_index: SwIfIndex,
    pub(super) name: IfName,
    /// The interface that it is a part of.
    pub(super) parent: SwIfIndex,
    pub(super) encapsulation: Encapsulation,
    pub(super) admin_up: bool,
    pub(super) mode: Mode,
    pub(super) tag_rewrite: TagRewrite,
    /// Names it as the peer of others.
    pub(super) peer: PeerKey,
}

impl Interface {
    /// The poller and key of every queue.
    pub(super) fn queues(&self) -> Vec<(PollerIndex, QueueKey)> {
        self.rx.iter().chain(&self.tx).map(|q| (q.poller, q.key)).collect()
    }
}

/// The refusal of an interface that was deleted while a request about it ran.
pub(super) fn vanished() -> Failure {
    Failure::new(Code::NotFound, "", "the interface was deleted meanwhile")
}

/// The refusal of a request about a host side that is gone.
pub(super) fn host_gone(name: &IfName) -> Failure {
    Failure::new(Code::NotFound, name.as_str(), "its host side is gone")
        .hint(format!("`delete {name}' and create it again"))
}

/// The action of one direction of a wire, for receive queue `queue` of its interface.
pub(super) fn wire_action(peer: PeerKey, impairment: &Impairment, queue: u64) -> Action {
    if impairment.is_none() {
        return Action::Xconnect(peer);
    }
    let mut settings = *impairment;
    // Each queue has numbers of its own.
    settings.seed = settings.seed.map(|seed| seed.wrapping_add(queue << 32));
    Action::Impair(Box::new(Impaired::new(peer, settings, random())))
}

/// A number that differs from call to call.
fn random() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}

/// The action without a peer: respond if there are addresses, else sink.
pub(super) fn local_action(station: &Station, addresses: &[IpNet]) -> Action {
    if addresses.is_empty() {
        Action::Sink
    } else {
        Action::Respond(Responder::new(station.clone(), addresses.to_vec()))
    }
}

/// `action`, which tells the hosts once that the MAC is another one.
pub(super) fn announcing(action: Action) -> Action {
    match action {
        Action::Respond(Responder { station, addresses, .. }) => {
            Action::Respond(Responder::announcing(station, addresses))
        }
        other => other,
    }
}
