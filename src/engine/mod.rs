//! The data plane: poller threads, and the handle through which control places queues on them.
//!
//! # Theory of operation
//! Control builds queues and gives them to a poller. From then on only the poller touches their
//! rings. Every change (an action, admin state, the removal of a queue) is a command that the
//! poller carries out between two loops and acknowledges. So an acknowledged change holds for every
//! later frame, and quiescing one interface stops no other. Pollers report a broken queue, or a
//! host side that may be gone, on one event channel.
//!
//! A poller (`poller`) visits the queues that it owns: `rx` and `tx`. Frames go from queue to
//! queue, also of other pollers, and their buffers return (`peers`). The pool of a deleted
//! interface lives until the last lent buffer has returned.

mod bell;
pub mod capture;
mod domains;
mod held;
mod keys;
mod peers;
mod placement;
mod poller;
mod queue;
mod rx;
mod split;
#[cfg(test)]
mod tests;
mod tx;
mod verdict;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use nix::errno::Errno;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::oneshot;

use crate::action::{Action, Egress, PeerKey};
use crate::device::{Pool, PoolSlot, QueueDevice};
use crate::diag::{Code, Failure};
use crate::units::Mtus;
use crate::units::{Kind, NumberList, PollerIndex, RxMode, SwIfIndex};

use capture::Capture;
use keys::Reserved;
use peers::{Handoff, Mesh};
use poller::{Command, Inbox, Poller, StatisticsCells};

pub use crate::counters::BrokenReason;
pub use peers::TxPlace;
pub use placement::check_processors;
pub use poller::{Macs, PollerStatistics};
pub use queue::StopReason;
pub use rx::{RxParts, RxQueue};
pub use tx::{TxParts, TxQueue};

/// Names a queue to the engine. A slot is used again with another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueKey {
    /// Its place in the tables of its poller.
    pub slot: u32,
    /// Which of the queues that had the place, 31 bits.
    pub generation: u32,
}

/// A queue's key in epoll: 32 bits of slot, 31 of generation.
fn event_key(key: QueueKey) -> u64 {
    u64::from(key.slot) | u64::from(key.generation & 0x7fff_ffff) << 32
}

fn key_of(event: u64) -> Option<QueueKey> {
    let slot = u32::try_from(event & 0xffff_ffff).ok()?;
    Some(QueueKey { slot, generation: u32::try_from(event >> 32).ok()? })
}

/// Name of a poller's thread.
pub fn thread_name(poller: PollerIndex) -> String {
    format!("poller-{poller}")
}

/// A report from a poller.
#[derive(Debug)]
pub enum Event {
    /// A queue was stopped because the device broke a rule.
    QueueBroken {
        /// The interface.
        interface: SwIfIndex,
        /// The queue.
        queue: QueueKey,
        /// The rule.
        reason: BrokenReason,
    },
    /// The device signalled an error on a queue, which still runs.
    DeviceError {
        /// The interface.
        interface: SwIfIndex,
        /// The queue.
        queue: QueueKey,
    },
    /// The tap's file says that the Linux device may be gone; the queue was stopped.
    HostSuspect {
        /// The interface.
        interface: SwIfIndex,
    },
    /// All buffers of a deleted interface's pool have returned; drop the pool to free them.
    PoolHome(Arc<Pool>),
}

/// The running pollers. Dropping it stops them.
#[derive(Debug)]
pub struct Engine {
    mesh: Arc<Mesh>,
    threads: Vec<JoinHandle<()>>,
    reserved: Mutex<Reserved>,
}

fn gone() -> Failure {
    Failure::bug("poller", "it panicked over this, or has ended")
}

/// A queue whose files no poller can wait for. It was placed all the same, stopped.
fn unwatched(errno: Errno) -> Failure {
    let failure = Failure::sys("epoll_ctl(EPOLL_CTL_ADD)", "poller", errno);
    match errno {
        Errno::ENOSPC => failure.hint("raise sysctl fs.epoll.max_user_watches"),
        _ => failure,
    }
}

fn taken() -> Failure {
    Failure::new(Code::NotFound, "", "the queue was taken off the data path meanwhile")
}

impl Engine {
    /// Starts `pollers` threads, at least one, on whatever processors the scheduler chooses.
    ///
    /// # Errors
    /// When the kernel refuses a thread or a file.
    pub fn start(pollers: u16) -> Result<(Self, UnboundedReceiver<Event>), Failure> {
        Self::start_on(pollers, &NumberList::default())
    }

    /// As [`Engine::start`], each thread on a processor of its own, in the order of their numbers, as
    /// far as `processors` go. Call it on a thread of its own: it visits those processors.
    ///
    /// # Errors
    /// Also when there is no such processor, or it is not for this process.
    pub fn start_on(
        pollers: u16,
        processors: &NumberList,
    ) -> Result<(Self, UnboundedReceiver<Event>), Failure> {
        let n = pollers.max(1);
        let mut processors = processors.iter();
        let failed = |what: &'static str| move |e| Failure::sys(what, "poller", e);
        let inboxes: Result<Vec<_>, _> = (0..n).map(|_| Inbox::new()).collect();
        let handoffs = (0..usize::from(n) * usize::from(n)).map(|_| Handoff::new()).collect();
        let born = Instant::now();
        let statistics = (0..n).map(|_| StatisticsCells::new(born)).collect();
        let inboxes = inboxes.map_err(failed("eventfd"))?;
        let mesh = Arc::new(Mesh { inboxes, handoffs, statistics });
        let (events, receiver) = unbounded_channel();
        let mut engine =
            Self { mesh: Arc::clone(&mesh), threads: Vec::new(), reserved: Mutex::default() };
        for i in 0..n {
            let poller = Poller::new(PollerIndex(i), Arc::clone(&mesh), events.clone())
                .map_err(failed("epoll"))?;
            // A new thread has the processors of the one that starts it.
            let _visit = processors.next().map(placement::Visit::begin).transpose()?;
            let thread = std::thread::Builder::new()
                .name(thread_name(PollerIndex(i)))
                .spawn(move || poller.run())
                .map_err(|e| Failure::io("start a thread", "poller", &e))?;
            engine.threads.push(thread);
        }
        Ok((engine, receiver))
    }

    /// How many pollers there are.
    pub fn pollers(&self) -> u16 {
        u16::try_from(self.threads.len()).unwrap_or(u16::MAX)
    }

    /// The statistics of every poller, and the Linux id of its thread.
    pub fn statistics(&self) -> Vec<(PollerIndex, i32, PollerStatistics)> {
        let all = (0..).map(PollerIndex).zip(&self.mesh.statistics);
        all.map(|(i, cells)| (i, cells.tid.load(Ordering::Relaxed), cells.read())).collect()
    }

    async fn ask(&self, poller: PollerIndex, command: Command) -> Result<(), Failure> {
        let (done, answer) = oneshot::channel();
        self.inbox(poller)?.send(command, Some(done));
        answer.await.map_err(|_| gone())
    }

    async fn ask_all(&self, command: impl Fn() -> Command) -> Result<(), Failure> {
        for i in 0..self.pollers() {
            self.ask(PollerIndex(i), command()).await?;
        }
        Ok(())
    }

    fn inbox(&self, poller: PollerIndex) -> Result<&Inbox, Failure> {
        self.mesh.inboxes.get(usize::from(poller.0)).ok_or_else(gone)
    }

    /// Makes an interface known to all pollers as the peer `key`. Each sends to the transmit queues
    /// that are for it; the pollers for which none is are spread over all.
    /// Several peers may have the same queues, each with an egress of its own.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_peer(
        &self,
        key: PeerKey,
        kind: Kind,
        queues: Vec<TxPlace>,
        egress: Option<Egress>,
    ) -> Result<(), Failure> {
        let queues: Arc<[_]> = queues.into();
        self.ask_all(|| Command::SetPeer(key, kind, Arc::clone(&queues), egress)).await
    }

    /// Makes all pollers forget a peer: no frame is offered to its queues afterwards, but for those
    /// that are on their way from one poller to another.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn remove_peer(&self, key: PeerKey) -> Result<(), Failure> {
        self.ask_all(|| Command::RemovePeer(key)).await
    }

    /// Places a transmit queue on a poller.
    ///
    /// # Errors
    /// When a poller has ended, or cannot watch the queue's files: take the queue off again.
    pub async fn add_tx(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        parts: TxParts,
    ) -> Result<(), Failure> {
        let queue = Box::new(TxQueue::new(key, parts));
        let (answer, placed) = oneshot::channel();
        self.inbox(poller)?.send(Command::AddTx(queue, answer), None);
        placed.await.map_err(|_| gone())?.map_err(unwatched)
    }

    /// Places a receive queue on a poller. Replies go to `own`, its interface.
    ///
    /// # Errors
    /// When a poller has ended, or cannot watch the queue's files: take the queue off again.
    pub async fn add_rx(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        parts: RxParts,
        own: PeerKey,
        action: Action,
    ) -> Result<(), Failure> {
        let pool = Arc::clone(&parts.pool);
        self.ask_all(|| Command::AddPool(Arc::clone(&pool), poller)).await?;
        let mut queue = Box::new(RxQueue::new(key, parts, own));
        queue.action = action;
        let (answer, placed) = oneshot::channel();
        self.inbox(poller)?.send(Command::AddRx(queue, answer), None);
        placed.await.map_err(|_| gone())?.map_err(unwatched)
    }

    /// Removes an emptied receive queue from its poller.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn take_rx(
        &self,
        poller: PollerIndex,
        key: QueueKey,
    ) -> Result<Option<Box<RxQueue>>, Failure> {
        let (answer, queue) = oneshot::channel();
        self.inbox(poller)?.send(Command::TakeRx(key, answer), None);
        queue.await.map_err(|_| gone())
    }

    /// Removes an emptied transmit queue from its poller, after its peer. What other pollers have
    /// handed over is offered to it before.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn take_tx(
        &self,
        poller: PollerIndex,
        key: QueueKey,
    ) -> Result<Option<Box<TxQueue>>, Failure> {
        let (answer, queue) = oneshot::channel();
        self.inbox(poller)?.send(Command::TakeTx(key, answer), None);
        queue.await.map_err(|_| gone())
    }

    /// Waits until a poller has ended its current loop, and so has published the counters behind
    /// its reports.
    ///
    /// # Errors
    /// When the poller has ended.
    pub async fn catch_up(&self, poller: PollerIndex) -> Result<(), Failure> {
        self.ask(poller, Command::CatchUp).await
    }

    /// Retires a pool; [`Event::PoolHome`] comes when none of its buffers is lent.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn retire_pool(&self, owner: PollerIndex, slot: PoolSlot) -> Result<(), Failure> {
        self.ask(owner, Command::RetirePool(slot)).await
    }

    /// Makes all pollers forget a retired pool.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn forget_pool(&self, slot: PoolSlot) -> Result<(), Failure> {
        self.ask_all(|| Command::ForgetPool(slot)).await
    }

    /// Sets what happens to the frames that a queue receives from now on.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_action(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        action: Action,
    ) -> Result<(), Failure> {
        self.ask(poller, Command::SetAction(key, action)).await
    }

    /// Has a transmit queue split large frames and complete partial checksums, and make what it sends
    /// instead in a pool of its own; or no more: retire the pool then.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_segment_pool(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        pool: Option<Arc<Pool>>,
    ) -> Result<(), Failure> {
        if let Some(pool) = &pool {
            self.ask_all(|| Command::AddPool(Arc::clone(pool), poller)).await?;
        }
        self.ask(poller, Command::SetSegmentPool(key, pool)).await
    }

    /// Gives a receive queue a pool to which held frames are copied, in place of holding them in the
    /// few buffers that it receives in; or has it do without: retire the
    /// pool then. Frames that are held are lost.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_hold_pool(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        pool: Option<Arc<Pool>>,
    ) -> Result<(), Failure> {
        if let Some(pool) = &pool {
            self.ask_all(|| Command::AddPool(Arc::clone(pool), poller)).await?;
        }
        self.ask(poller, Command::SetHoldPool(key, pool)).await
    }

    /// Sets how a poller learns of frames of a receive queue.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_rx_mode(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        mode: RxMode,
    ) -> Result<(), Failure> {
        self.ask(poller, Command::SetRxMode(key, mode)).await
    }

    /// Sets a queue administratively up or down.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_admin(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        up: bool,
    ) -> Result<(), Failure> {
        self.ask(poller, Command::SetAdmin(key, up)).await
    }

    /// Has frames at some points of a queue copied into a ring, or no more.
    ///
    /// # Errors
    /// When a poller has ended, or a queue of another one writes to the ring.
    pub async fn set_capture(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        capture: Option<Capture>,
    ) -> Result<(), Failure> {
        if capture.as_ref().is_some_and(|capture| !capture.is_written_by(poller)) {
            return Err(Failure::bug("capture", "two pollers would write to one ring"));
        }
        self.ask(poller, Command::SetCapture(key, capture.map(Box::new))).await
    }

    /// Tells a transmit queue whether the host side is up: it refuses frames where it is not.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_link(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        up: bool,
    ) -> Result<(), Failure> {
        self.ask(poller, Command::SetLink(key, up)).await
    }

    /// Sets the MTUs of a transmit queue: it refuses frames that do not fit.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn set_mtus(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        mtus: Mtus,
    ) -> Result<(), Failure> {
        self.ask(poller, Command::SetMtus(key, mtus)).await
    }

    /// Stops a queue. With [`StopReason::HostGone`] its backend has been stopped before. If several
    /// faults break a queue, the first stays the reason. The report of a device error is ignored if
    /// it is about the device before a reset.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn stop(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        reason: StopReason,
    ) -> Result<(), Failure> {
        self.ask(poller, Command::Stop(key, reason)).await
    }

    /// Empties a stopped queue whose backend has stopped, and resets its ring. Received frames that
    /// were not processed, and frames that were not sent, are lost as
    /// [`DropReason::Torn`](crate::counters::DropReason::Torn).
    ///
    /// # Errors
    /// When it has no such queue, or a poller has ended.
    pub async fn empty(&self, poller: PollerIndex, key: QueueKey) -> Result<(), Failure> {
        let (answer, found) = oneshot::channel();
        self.inbox(poller)?.send(Command::Empty(key, answer), None);
        found.await.map_err(|_| gone())?.then_some(()).ok_or_else(taken)
    }

    /// Lets an emptied queue run again on the data half of a backend that has started again.
    ///
    /// # Errors
    /// When it has no such queue, a poller has ended, or the device's files cannot be watched: the
    /// queue then stays stopped.
    pub async fn revive(
        &self,
        poller: PollerIndex,
        key: QueueKey,
        device: Box<dyn QueueDevice>,
    ) -> Result<(), Failure> {
        let (answer, found) = oneshot::channel();
        self.inbox(poller)?.send(Command::Revive(key, device, answer), None);
        found.await.map_err(|_| gone())?.ok_or_else(taken)?.map_err(unwatched)
    }

    /// Lets a queue run again that was stopped because its host side might be gone.
    ///
    /// # Errors
    /// When a poller has ended.
    pub async fn resume(&self, poller: PollerIndex, key: QueueKey) -> Result<(), Failure> {
        self.ask(poller, Command::Resume(key)).await
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for inbox in &self.mesh.inboxes {
            inbox.send(Command::Shutdown, None);
        }
        for thread in self.threads.drain(..) {
            // Its panics are caught and reported.
            let _ = thread.join();
        }
    }
}
