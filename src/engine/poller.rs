//! One data-plane thread.
//!
//! # Theory of operation
//! A poller owns queues, both sides of them on userspace, and visits those that are *ready*. A
//! queue becomes ready by an event of its file, by a command, or by a frame for it; it leaves the
//! list when it moved nothing for [`SPIN_NS`], after arming its notifications. With an empty list
//! the poller sleeps in `epoll_wait` until an event, its inbox or another poller wakes it.
//!
//! A visit never allocates, locks or logs. Commands are carried out between two loops, so a queue
//! that control removes is quiet from then on, while the others go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::sync::mpsc::UnboundedSender;

use super::handoff::{Handoff, Message};
use super::inbox::{Inbox, Route};
use super::queue::{RxQueue, StopReason, TxQueue};
use super::statistics::{PollerStatistics, Round, StatisticsCells};
use super::{Event, QueueKey};
use crate::action::Reply;
use crate::counters::{Counter, DropReason};
use crate::device::{ERROR_KEY, Frame, Pool, PoolSlot, Wait};
use crate::ring::BrokenReason;
use crate::units::PollerIndex;

/// How long a queue that moves nothing is visited before it sleeps. A wake-up across cores costs
/// 20 to 40 µs, so shorter pauses are cheaper to sit out.
pub(super) const SPIN_NS: u64 = 50_000;

/// Loops with work between two checks of the event files.
const ROUNDS_PER_LOOK: u32 = 8;

/// Messages taken from one poller in a round, so that one busy poller does not keep us from our own
/// queues.
const EXCHANGE: usize = 256;

/// The key of the inbox's bell; no queue has slot 2^32 - 1.
const BELL_KEY: u64 = 0xffff_ffff;

/// What connects the pollers: the inbox of each, and a handoff ring for every pair.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) inboxes: Vec<Inbox>,
    /// `from * pollers + to`.
    pub(super) handoffs: Vec<Handoff>,
    pub(super) statistics: Vec<StatisticsCells>,
}

impl Mesh {
    fn pollers(&self) -> impl Iterator<Item = PollerIndex> + use<> {
        // `Engine::start` makes at most as many as fit.
        (0..u16::try_from(self.inboxes.len()).unwrap_or(u16::MAX)).map(PollerIndex)
    }

    fn handoff(&self, from: PollerIndex, to: PollerIndex) -> &Handoff {
        &self.handoffs[usize::from(from.0) * self.inboxes.len() + usize::from(to.0)]
    }
}

/// A pool and the poller that owns it.
pub(super) struct Lender {
    pub(super) pool: Arc<Pool>,
    pub(super) owner: PollerIndex,
    /// Its queue is gone; forget it once nothing is lent.
    pub(super) retired: bool,
}

/// The state of one thread.
pub(super) struct Poller {
    pub(super) id: PollerIndex,
    pub(super) mesh: Arc<Mesh>,
    pub(super) epoll: Epoll,
    events: UnboundedSender<Event>,
    pub(super) rx: Vec<Option<Box<RxQueue>>>,
    pub(super) tx: Vec<Option<Box<TxQueue>>>,
    pub(super) routes: Vec<Option<Route>>,
    pub(super) pools: Vec<Option<Lender>>,
    ready: VecDeque<QueueKey>,
    /// Transmit queues with frames posted since the last flush.
    pub(super) dirty: Vec<QueueKey>,
    /// Number of queues of this poller.
    pub(super) queues: usize,
    /// Lent frames whose return waits because the handoff ring is full. Pools of other pollers lent
    /// them, so there are at most `foreign`, and the queue has room for that many.
    pub(super) pending_returns: VecDeque<Frame>,
    /// Most frames that pools of other pollers may have lent.
    pub(super) foreign: usize,
    pub(super) reply: Reply,
    statistics: PollerStatistics,
    pub(super) now_ns: u64,
    pub(super) stopping: bool,
}

impl Poller {
    pub(super) fn new(
        id: PollerIndex,
        mesh: Arc<Mesh>,
        events: UnboundedSender<Event>,
    ) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let bell = mesh.inboxes[usize::from(id.0)].bell();
        epoll.add(bell, EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, BELL_KEY))?;
        Ok(Self {
            id,
            mesh,
            epoll,
            events,
            rx: Vec::new(),
            tx: Vec::new(),
            routes: Vec::new(),
            pools: Vec::new(),
            ready: VecDeque::new(),
            dirty: Vec::new(),
            queues: 0,
            pending_returns: VecDeque::new(),
            foreign: 0,
            reply: Reply::new(),
            statistics: PollerStatistics::default(),
            now_ns: 0,
            stopping: false,
        })
    }

    fn inbox(&self) -> &Inbox {
        &self.mesh.inboxes[usize::from(self.id.0)]
    }

    /// Runs until [`Command::Shutdown`].
    pub(super) fn run(mut self) {
        let mut rounds = 0;
        let mut idle_since = 0;
        let mut last = Round::Idle;
        self.cells().tid.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
        loop {
            let now = self.cells().now_ns();
            self.statistics.spend(last, now.saturating_sub(self.now_ns));
            self.now_ns = now;
            if last == Round::Asleep {
                self.cells().publish(&self.statistics, None);
            }
            if self.inbox().has_commands() {
                self.obey();
                if self.stopping {
                    return;
                }
            }
            let moved = self.exchange(EXCHANGE) | self.round();
            rounds = (rounds + 1) % ROUNDS_PER_LOOK;
            self.statistics.loops += 1;
            last = Round::Idle;
            if moved {
                last = Round::Busy;
                self.cells().publish(&self.statistics, None);
                idle_since = self.now_ns;
                if rounds == 0 {
                    self.look(EpollTimeout::ZERO);
                }
                continue;
            }
            let patient = self.now_ns.saturating_sub(idle_since) < SPIN_NS;
            if !self.ready.is_empty() || !self.pending_returns.is_empty() || patient {
                self.look(EpollTimeout::ZERO);
            } else {
                if self.sleep() {
                    last = Round::Asleep;
                }
                idle_since = self.now_ns;
            }
        }
    }

    fn cells(&self) -> &StatisticsCells {
        &self.mesh.statistics[usize::from(self.id.0)]
    }

    /// Sleeps until something happens; `false` when something has.
    fn sleep(&mut self) -> bool {
        self.inbox().fall_asleep();
        let pending = self.inbox().has_commands()
            || self.mesh.pollers().any(|from| !self.mesh.handoff(from, self.id).is_empty());
        if !pending {
            self.statistics.sleeps += 1;
            self.cells().publish(&self.statistics, Some(self.now_ns));
            self.look(EpollTimeout::NONE);
        }
        self.inbox().wake_up();
        !pending
    }

    /// Makes the queues ready that have an event.
    fn look(&mut self, timeout: EpollTimeout) {
        let mut events = [EpollEvent::empty(); 64];
        // EINTR and the like: the next loop tries again.
        let n = self.epoll.wait(&mut events, timeout).unwrap_or(0);
        for event in &events[..n] {
            let data = event.data();
            if data == BELL_KEY {
                continue;
            }
            let Some(key) = super::key_of(data & !ERROR_KEY) else { continue };
            if data & ERROR_KEY != 0 {
                if let Some(interface) = self.interface_of(key) {
                    self.change(key, |common| common.device_error = true);
                    self.tell(Event::DeviceError { interface, queue: key });
                }
            } else {
                self.called(key);
                self.wake(key);
            }
        }
    }

    /// Counts an event of a call file. A tap's file is none.
    fn called(&mut self, key: QueueKey) {
        self.change(key, |common| {
            let has_call_file = common.device.notify_fds().1 >= 0;
            common.counters.add(Counter::Calls, u64::from(has_call_file));
        });
    }

    fn interface_of(&self, key: QueueKey) -> Option<crate::units::SwIfIndex> {
        let rx = slot_of(&self.rx, key.slot).filter(|q| q.common.key == key);
        let tx = slot_of(&self.tx, key.slot).filter(|q| q.common.key == key);
        rx.map(|q| q.common.interface).or_else(|| tx.map(|q| q.common.interface))
    }

    pub(super) fn tell(&self, event: Event) {
        // The receiver is gone while the process ends.
        let _ = self.events.send(event);
    }

    pub(super) fn tell_broken(&self, common: &super::queue::Common, reason: BrokenReason) {
        let (interface, queue) = (common.interface, common.key);
        self.tell(Event::QueueBroken { interface, queue, reason });
    }

    /// Puts a queue on the ready list.
    pub(super) fn wake(&mut self, key: QueueKey) {
        let now = self.now_ns;
        let common = match (slot_mut(&mut self.rx, key.slot), slot_mut(&mut self.tx, key.slot)) {
            (Some(q), _) if q.common.key == key => &mut q.common,
            (_, Some(q)) if q.common.key == key => &mut q.common,
            _ => return,
        };
        common.active_ns = now;
        if !common.ready {
            common.ready = true;
            self.ready.push_back(key);
        }
    }

    /// Puts a transmit queue without an event on the ready list.
    pub(super) fn ready_quietly(&mut self, key: QueueKey) {
        let now = self.now_ns;
        if let Some(queue) = slot_mut(&mut self.tx, key.slot)
            && !queue.common.ready
        {
            queue.common.ready = true;
            queue.common.active_ns = now;
            self.ready.push_back(key);
        }
    }

    /// Visits every ready queue once; `true` if anything moved.
    fn round(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..self.ready.len() {
            let Some(key) = self.ready.pop_front() else { break };
            let stays = self.visit(key, &mut moved);
            if stays {
                self.ready.push_back(key);
            }
        }
        moved
    }

    /// Visits one queue; `false` when it left the ready list.
    fn visit(&mut self, key: QueueKey, moved: &mut bool) -> bool {
        self.statistics.visits += 1;
        if let Some(mut queue) = take_slot(&mut self.rx, key) {
            if self.visit_rx(&mut queue) {
                queue.common.active_ns = self.now_ns;
                *moved = true;
            }
            let stays = self.keep(&mut queue.common, false);
            self.rx[key.slot as usize] = Some(queue);
            return stays;
        }
        if let Some(mut queue) = take_slot(&mut self.tx, key) {
            if self.run_device(&mut queue) {
                queue.publish_counters();
                queue.common.active_ns = self.now_ns;
                *moved = true;
            }
            let nothing_to_wait_for = queue.common.ring.in_flight() == 0;
            let stays = self.keep(&mut queue.common, nothing_to_wait_for);
            self.tx[key.slot as usize] = Some(queue);
            return stays;
        }
        false
    }

    /// Whether a queue stays on the ready list; if not, it was armed.
    fn keep(&self, common: &mut super::queue::Common, may_leave_at_once: bool) -> bool {
        let idle = self.now_ns.saturating_sub(common.active_ns) >= SPIN_NS;
        if common.stopped.is_some() || may_leave_at_once {
            common.ready = false;
            return false;
        }
        if !idle {
            return true;
        }
        match common.sleep(&self.epoll) {
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

    /// Takes what other pollers handed over, at most so many messages of each; `true` if there was
    /// anything.
    pub(super) fn exchange(&mut self, most: usize) -> bool {
        if self.mesh.inboxes.len() == 1 {
            return false;
        }
        let mesh = Arc::clone(&self.mesh);
        let mut any = false;
        for from in mesh.pollers() {
            let ring = mesh.handoff(from, self.id);
            for _ in 0..most {
                let Some(message) = ring.pop() else { break };
                any = true;
                match message {
                    Message::Return(frame) => self.release(&frame),
                    Message::Offer { to, frame, originated } => self.offer(to, frame, originated),
                }
            }
        }
        self.flush();
        for _ in 0..self.pending_returns.len() {
            if let Some(frame) = self.pending_returns.pop_front() {
                self.release(&frame);
            }
        }
        any
    }

    /// The pool of a frame.
    pub(super) fn pool(&self, slot: PoolSlot) -> Option<&Pool> {
        self.pools.get(usize::from(slot.0))?.as_ref().map(|lender| &*lender.pool)
    }

    /// Returns a lent frame to its pool.
    pub(super) fn release(&mut self, frame: &Frame) {
        let Some(lender) = slot_of(&self.pools, u32::from(frame.pool.0)) else { return };
        if lender.owner != self.id {
            let owner = lender.owner;
            if self.mesh.handoff(self.id, owner).push(Message::Return(*frame)) {
                self.mesh.inboxes[usize::from(owner.0)].ring();
            } else {
                debug_assert!(
                    self.pending_returns.len() < self.foreign,
                    "a frame that was not lent"
                );
                self.pending_returns.push_back(*frame);
            }
            return;
        }
        lender.pool.settle(frame);
        if lender.retired && lender.pool.lent() == 0 {
            self.forget_pool(frame.pool);
        }
    }

    /// Reports a retired pool to control when all its buffers have returned; control frees it.
    pub(super) fn forget_pool(&mut self, slot: PoolSlot) {
        if let Some(lender) = self.forget_lender(usize::from(slot.0)) {
            self.tell(Event::PoolHome(lender.pool));
        }
    }

    pub(super) fn forget_lender(&mut self, slot: usize) -> Option<Lender> {
        let lender = self.pools.get_mut(slot).and_then(Option::take)?;
        if lender.owner != self.id {
            self.foreign -= lender.pool.lendable() as usize;
        }
        Some(lender)
    }

    /// Counts one more queue and makes room for all on both lists, where each is at most once.
    pub(super) fn make_room(&mut self) {
        self.queues += 1;
        self.ready.reserve(self.queues);
        self.dirty.reserve(self.queues);
    }

    /// Gives a frame whose buffers are lent to a transmit queue, wherever that is. On failure the
    /// frame is the caller's.
    pub(super) fn dispatch(
        &mut self,
        to: QueueKey,
        frame: Frame,
        originated: bool,
    ) -> Result<(), DropReason> {
        let Some(route) = slot_of(&self.routes, to.slot).filter(|r| r.key == to).copied() else {
            return Err(DropReason::PeerGone);
        };
        if route.poller == self.id {
            self.offer(to, frame, originated);
            return Ok(());
        }
        if !self.mesh.handoff(self.id, route.poller).push(Message::Offer { to, frame, originated })
        {
            return Err(DropReason::HandoffFull);
        }
        self.mesh.inboxes[usize::from(route.poller.0)].ring();
        Ok(())
    }
}

impl Drop for Poller {
    /// Runs after a panic, too: senders that wait for an answer hear that there is none.
    fn drop(&mut self) {
        for queue in self.rx.iter_mut().flatten() {
            queue.common.device.unregister(&self.epoll);
        }
        for queue in self.tx.iter_mut().flatten() {
            queue.common.device.unregister(&self.epoll);
        }
        self.inbox().close();
    }
}

/// Puts `value` at `at`, growing the list as needed.
pub(super) fn put<T>(list: &mut Vec<Option<T>>, at: usize, value: T) {
    if list.len() <= at {
        list.resize_with(at + 1, || None);
    }
    list[at] = Some(value);
}

fn slot_of<T>(list: &[Option<T>], slot: u32) -> Option<&T> {
    list.get(slot as usize)?.as_ref()
}

pub(super) fn slot_mut<T>(list: &mut [Option<T>], slot: u32) -> Option<&mut T> {
    list.get_mut(slot as usize)?.as_mut()
}

/// A queue of either direction, by its key.
pub(super) trait Keyed {
    fn key(&self) -> QueueKey;
}

impl Keyed for Box<RxQueue> {
    fn key(&self) -> QueueKey {
        self.common.key
    }
}

impl Keyed for Box<TxQueue> {
    fn key(&self) -> QueueKey {
        self.common.key
    }
}

/// Takes a queue out of its slot if it still is the one meant.
pub(super) fn take_slot<T: Keyed>(list: &mut [Option<T>], key: QueueKey) -> Option<T> {
    let slot = list.get_mut(key.slot as usize)?;
    if slot.as_ref()?.key() == key { slot.take() } else { None }
}
