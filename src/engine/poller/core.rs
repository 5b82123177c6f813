//! A poller without its queues: what the visit of a queue may use besides that queue.

use std::collections::VecDeque;
use std::sync::Arc;

use nix::sys::epoll::Epoll;
use tokio::sync::mpsc::UnboundedSender;

use super::inbox::Command;
use super::statistics::PollerStatistics;
use super::timers::Timers;
use crate::action::{Output, Tables};
use crate::counters::BrokenReason;
use crate::device::{Frame, Wait};
use crate::engine::peers::{Lender, Mesh, Peer};
use crate::engine::queue::{Common, StopReason};
use crate::engine::{Event, QueueKey};
use crate::units::PollerIndex;

/// What is being worked on, so that after a panic it is known what is no longer whole.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::engine) struct Touched {
    /// The queue that is visited.
    pub(in crate::engine) visited: Option<QueueKey>,
    /// The transmit queue that is offered a frame, or flushed.
    pub(in crate::engine) tx: Option<QueueKey>,
    /// The frame that is being offered, and whether an action made it.
    pub(in crate::engine) offered: Option<(Frame, bool)>,
    /// A part of it was sent and counted as a frame of its own.
    pub(in crate::engine) in_parts: bool,
    /// A received frame was counted, or one taken out of the held ones, and not yet what became of
    /// it.
    pub(in crate::engine) deciding: bool,
    /// The frame that is being flooded: one reference to it is the poller's.
    pub(in crate::engine) flooded: Option<Frame>,
}

/// The state of one thread, but for its queues.
pub(in crate::engine) struct Core {
    pub(in crate::engine) id: PollerIndex,
    pub(in crate::engine) mesh: Arc<Mesh>,
    pub(super) events: UnboundedSender<Event>,
    pub(in crate::engine) peers: Vec<Option<Peer>>,
    pub(in crate::engine) pools: Vec<Option<Lender>>,
    pub(super) ready: VecDeque<QueueKey>,
    /// Transmit queues with frames posted since the last flush.
    pub(in crate::engine) dirty: Vec<QueueKey>,
    /// Lent frames whose return waits because the handoff ring is full. Pools of other pollers lent
    /// them: at most `foreign`, for which the queue has room, unless they are shared.
    pub(in crate::engine) pending_returns: VecDeque<Frame>,
    /// Most frames that pools of other pollers may have lent.
    pub(in crate::engine) foreign: usize,
    pub(in crate::engine) tables: Tables,
    pub(in crate::engine) output: Output,
    /// Room for a frame that is split or completed.
    pub(in crate::engine) aside: Vec<u8>,
    pub(in crate::engine) timers: Timers,
    pub(super) statistics: PollerStatistics,
    pub(in crate::engine) now_ns: u64,
    pub(in crate::engine) touched: Touched,
}

impl Core {
    pub(super) fn new(
        id: PollerIndex,
        mesh: Arc<Mesh>,
        events: UnboundedSender<Event>,
        timers: Timers,
    ) -> Self {
        let tables = Tables::new(mesh.inboxes.len() > 1);
        Self {
            id,
            mesh,
            events,
            peers: Vec::new(),
            pools: Vec::new(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            pending_returns: VecDeque::new(),
            foreign: 0,
            tables,
            output: Output::new(),
            aside: Vec::new(),
            timers,
            statistics: PollerStatistics::default(),
            now_ns: 0,
            touched: Touched::default(),
        }
    }

    /// Reports to control.
    pub(in crate::engine) fn tell(&self, event: Event) {
        // The receiver is gone while the process ends.
        let _ = self.events.send(event);
    }

    /// Tells the other pollers what was learned here. What one cannot be told at once is lost: it
    /// floods what it does not know.
    #[cold]
    pub(super) fn tell_others(&mut self) {
        let news: Arc<[_]> = self.tables.news().into();
        for other in self.mesh.pollers().filter(|other| *other != self.id) {
            let _ = self.mesh.inbox(other).send_now(Command::Hear(Arc::clone(&news)));
        }
        self.tables.forget_news();
    }

    /// Reports a queue that was stopped for `reason`.
    pub(in crate::engine) fn tell_broken(&self, common: &Common, reason: BrokenReason) {
        let (interface, queue) = (common.interface, common.key);
        self.tell(Event::QueueBroken { interface, queue, reason });
    }

    /// Stops a queue for `reason`, and reports it.
    pub(in crate::engine) fn break_queue(&self, common: &mut Common, reason: BrokenReason) {
        common.stop(StopReason::Broken(reason));
        self.tell_broken(common, reason);
    }

    /// Puts a queue on the ready list.
    pub(in crate::engine) fn make_ready(&mut self, common: &mut Common) {
        common.active_ns = self.now_ns;
        if !common.ready {
            common.ready = true;
            self.ready.push_back(common.key);
        }
    }

    /// Whether a queue stays on the ready list; if not, it was armed.
    pub(super) fn keep(&self, epoll: &Epoll, common: &mut Common, may_leave_at_once: bool) -> bool {
        let idle = self.now_ns.saturating_sub(common.active_ns) >= common.spin_ns;
        if common.stopped.is_some() || common.parked || may_leave_at_once {
            common.ready = false;
            return false;
        }
        if !idle {
            return true;
        }
        match common.sleep(epoll) {
            Ok(Wait::Armed) => {
                common.ready = false;
                false
            }
            Ok(Wait::Ready) => true,
            Err(_) => {
                // The file can no longer be watched: the host side is gone, or we have a bug.
                common.stop(StopReason::HostSuspect);
                common.ready = false;
                self.tell(Event::HostSuspect { interface: common.interface });
                false
            }
        }
    }
}
