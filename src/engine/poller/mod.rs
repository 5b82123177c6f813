//! One data-plane thread.
//!
//! # Theory of operation
//! A poller owns queues, both sides of them on userspace, and visits those that are *ready*. A
//! queue becomes ready by an event of its file, by a command, or by a frame for it; it leaves the
//! list when it moved nothing for [`SPIN_NS`], after arming its notifications. With an empty list
//! the poller sleeps in `epoll_wait` until an event, a time, its inbox or another poller wakes it.
//!
//! A visit does not lock or log, and allocates only while its lists grow to what is needed. Commands are carried out between two loops, so a queue
//! that control removes is quiet from then on, while the others go on. A panic ends neither thread
//! nor process: the queues that were being worked on are stopped as broken, and the loop goes on
//! (`recovery`).

mod commands;
mod core;
mod inbox;
mod recovery;
mod reset;
mod slots;
mod statistics;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use tokio::sync::mpsc::UnboundedSender;

use super::peers::Mesh;
use super::queue::{Common, SPIN_NS};
use super::rx::RxQueue;
use super::tx::TxQueue;
use super::{Event, QueueKey};
use crate::counters::Counter;
use crate::device::ERROR_KEY;
use crate::units::PollerIndex;

pub(super) use self::core::Core;
pub use inbox::Macs;
pub(super) use inbox::{Command, Inbox};
pub(super) use slots::{Queue, Slots};
pub use statistics::PollerStatistics;
pub(super) use statistics::StatisticsCells;

use self::core::Touched;
use self::timers::Timers;
use inbox::Given;
use statistics::Round;

/// Loops with work between two checks of the event files.
const ROUNDS_PER_LOOK: u32 = 8;

/// Messages taken from one poller in a round, so that one busy poller does not keep us from our own
/// queues.
const EXCHANGE: usize = 256;

/// The keys of the inbox's bell and of the timers' file; no queue has such a slot.
const BELL_KEY: u64 = 0xffff_ffff;
const TIMER_KEY: u64 = 0xffff_fffe;

/// The state of one thread.
pub(super) struct Poller {
    core: Core,
    epoll: Epoll,
    rx: Slots<RxQueue>,
    tx: Slots<TxQueue>,
    /// Number of its queues.
    queues: usize,
    /// Commands taken from the inbox and not yet carried out.
    commands: VecDeque<Given>,
    /// Queues that were handed over, and to whom.
    moved: Vec<(QueueKey, PollerIndex)>,
    stopping: bool,
    /// Panics, one after the other, that no queue was touched by.
    panics: u32,
}

impl Poller {
    pub(super) fn new(
        id: PollerIndex,
        mesh: Arc<Mesh>,
        events: UnboundedSender<Event>,
    ) -> Result<Self, Errno> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let bell = mesh.inbox(id).bell();
        let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(bell, EpollEvent::new(edge, BELL_KEY))?;
        let timers = Timers::new()?;
        epoll.add(timers.file(), EpollEvent::new(edge, TIMER_KEY))?;
        Ok(Self {
            core: Core::new(id, mesh, events, timers),
            epoll,
            rx: Slots::new(),
            tx: Slots::new(),
            queues: 0,
            commands: VecDeque::new(),
            moved: Vec::new(),
            stopping: false,
            panics: 0,
        })
    }

    fn inbox(&self) -> &Inbox {
        self.core.mesh.inbox(self.core.id)
    }

    fn cells(&self) -> &StatisticsCells {
        &self.core.mesh.statistics[usize::from(self.core.id.0)]
    }

    /// Runs until [`Command::Shutdown`].
    pub(super) fn run(mut self) {
        self.cells().tid.store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
        // What a panic leaves half done is mended or taken out of use by `recover`.
        while catch_unwind(AssertUnwindSafe(|| self.poll())).is_err() {
            if !self.recover() {
                return;
            }
        }
    }

    fn poll(&mut self) {
        // After a panic, the frames of that burst are in rings whose devices know nothing of them.
        self.core.flush(&mut self.tx);
        let mut rounds = 0;
        let mut idle_since = 0;
        let mut last = Round::Idle;
        loop {
            let now = self.cells().now_ns();
            self.core.statistics.spend(last, now.saturating_sub(self.core.now_ns));
            self.core.now_ns = now;
            self.core.touched = Touched::default();
            if last == Round::Asleep {
                self.cells().publish(&self.core.statistics, None);
            }
            if self.inbox().has_commands() || !self.commands.is_empty() {
                self.obey();
                if self.stopping {
                    return;
                }
            }
            let due = self.core.timers.is_due(now) && self.expire_due();
            let moved = due | self.core.exchange(&mut self.tx, EXCHANGE) | self.round();
            rounds = (rounds + 1) % ROUNDS_PER_LOOK;
            self.core.statistics.loops += 1;
            last = Round::Idle;
            if moved {
                if !self.core.tables.news().is_empty() {
                    self.core.tell_others();
                }
                last = Round::Busy;
                self.cells().publish(&self.core.statistics, None);
                idle_since = self.core.now_ns;
                if rounds == 0 {
                    self.look(EpollTimeout::ZERO);
                }
                continue;
            }
            let patient = self.core.now_ns.saturating_sub(idle_since) < SPIN_NS;
            if !self.core.ready.is_empty() || !self.core.pending_returns.is_empty() || patient {
                self.look(EpollTimeout::ZERO);
            } else {
                if self.sleep() {
                    last = Round::Asleep;
                }
                idle_since = self.core.now_ns;
            }
        }
    }

    /// Sleeps until something happens; `false` when something has.
    fn sleep(&mut self) -> bool {
        self.inbox().fall_asleep();
        let (mesh, id) = (&self.core.mesh, self.core.id);
        let pending = self.inbox().has_commands()
            || mesh.pollers().any(|from| !mesh.handoff(from, id).is_empty());
        let now = self.cells().now_ns();
        let pending = pending || !self.core.timers.arm(now);
        if !pending {
            self.core.statistics.sleeps += 1;
            self.cells().publish(&self.core.statistics, Some(self.core.now_ns));
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
            if data == TIMER_KEY {
                self.core.timers.has_fired();
                continue;
            }
            let Some(key) = super::key_of(data & !ERROR_KEY) else { continue };
            let Some((common, core)) = self.common(key) else { continue };
            if data & ERROR_KEY != 0 {
                common.device_error = true;
                let interface = common.interface;
                core.tell(Event::DeviceError { interface, queue: key });
            } else {
                // An event of a call file. A tap's file is none.
                let has_call_file = common.device.notify_fds().1 >= 0;
                common.counters.add(Counter::Calls, u64::from(has_call_file));
                core.make_ready(common);
            }
        }
    }

    /// What both directions have of the queue of this key, and all but the queues.
    fn common(&mut self, key: QueueKey) -> Option<(&mut Common, &mut Core)> {
        let rx = self.rx.get(key).map(Queue::common_mut);
        let common = match rx {
            Some(common) => common,
            None => self.tx.get(key)?.common_mut(),
        };
        Some((common, &mut self.core))
    }

    /// Calls the actions whose time has come, each once; `true` if there were any.
    #[cold]
    fn expire_due(&mut self) -> bool {
        let Self { core, rx, tx, .. } = self;
        let (now, mut any) = (core.now_ns, false);
        // Those that ask for this very moment again come in the next loop.
        for _ in 0..core.timers.len() {
            let Some(key) = core.timers.pop_due(now) else { break };
            let Some(queue) = rx.get(key) else { continue };
            if queue.wake_ns.is_some_and(|ns| ns <= now) {
                core.touched = Touched { visited: Some(key), ..Touched::default() };
                core.expire(tx, queue);
                any = true;
            }
        }
        core.touched = Touched::default();
        any
    }

    /// Visits every ready queue once; `true` if anything moved.
    fn round(&mut self) -> bool {
        let mut moved = false;
        for _ in 0..self.core.ready.len() {
            let Some(key) = self.core.ready.pop_front() else { break };
            let stays = self.visit(key, &mut moved);
            if stays {
                self.core.ready.push_back(key);
            }
        }
        moved
    }

    /// Visits one queue; `false` when it left the ready list.
    fn visit(&mut self, key: QueueKey, moved: &mut bool) -> bool {
        let Self { core, epoll, rx, tx, .. } = self;
        core.statistics.visits += 1;
        core.touched = Touched { visited: Some(key), ..Touched::default() };
        if let Some(queue) = rx.get(key) {
            if core.visit_rx(tx, queue) {
                queue.common.active_ns = core.now_ns;
                *moved = true;
            }
            return core.keep(epoll, &mut queue.common, false);
        }
        if let Some(queue) = tx.get(key) {
            if core.run_device(queue) {
                queue.publish_counters();
                queue.common.active_ns = core.now_ns;
                *moved = true;
            }
            let nothing_to_wait_for = queue.common.ring.in_flight() == 0;
            return core.keep(epoll, &mut queue.common, nothing_to_wait_for);
        }
        false
    }

    /// Counts one more queue and makes room for all on both lists, where each is at most once.
    fn make_room(&mut self) {
        self.queues += 1;
        self.core.ready.reserve(self.queues);
        self.core.dirty.reserve(self.queues);
    }
}

impl Drop for Poller {
    /// Senders that wait for an answer hear that there is none.
    fn drop(&mut self) {
        for queue in self.rx.iter_mut() {
            queue.common.device.unregister(&self.epoll);
        }
        for queue in self.tx.iter_mut() {
            queue.common.device.unregister(&self.epoll);
        }
        self.inbox().close();
    }
}
