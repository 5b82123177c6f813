//! Commands from control to a poller, carried out between two loops.

use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::Epoll;
use tokio::sync::oneshot;

use super::core::Touched;
use super::inbox::Command;
use super::slots::put;
use super::{Core, Poller};
use crate::action::News;
use crate::counters::{BrokenReason, DropReason};
use crate::device::Pool;
use crate::engine::peers::{Lender, Peer, SLOTS};
use crate::engine::queue::spin_ns;
use crate::engine::queue::{Common, StopReason};
use crate::engine::rx::RxQueue;
use crate::engine::{QueueKey, event_key};
use crate::units::PollerIndex;

impl Poller {
    pub(super) fn obey(&mut self) {
        // Kept in the poller, so that a panic loses the command that panicked and no other.
        let given = self.core.mesh.inbox(self.core.id).take();
        self.commands.extend(given);
        while let Some((command, done)) = self.commands.pop_front() {
            if let Some(to) = self.moved_to(&command) {
                self.core.mesh.inbox(to).send(command, done);
                continue;
            }
            self.carry_out(command);
            self.core.touched = Touched::default();
            if let Some(done) = done {
                // The requester has stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::AddPool(pool, owner) => self.core.add_pool(pool, owner),
            Command::AddRx(mut queue, answer) => {
                self.make_room();
                // A moved one may be stopped: its files are watched when it starts again.
                let stopped = queue.common.stopped.is_some();
                let watched = if stopped { Ok(()) } else { watch(&self.epoll, &mut queue.common) };
                if !stopped {
                    queue.refill();
                }
                queue.common.publish_counters();
                self.core.make_ready(&mut queue.common);
                self.moved.retain(|(key, _)| key.slot != queue.common.key.slot);
                if std::mem::take(&mut queue.common.parked) {
                    // Its time may have come meanwhile.
                    self.core.call_soon(&mut queue);
                }
                self.rx.put(queue);
                let _ = answer.send(watched);
            }
            Command::Park(key) => {
                if let Some(queue) = self.rx.get(key) {
                    queue.common.parked = true;
                }
            }
            Command::MoveRx(key, to, answer) => {
                if let Some(queue) = self.rx.take(key) {
                    self.hand_over(queue, to, answer);
                }
            }
            Command::AddTx(mut queue, answer) => {
                self.make_room();
                let watched = watch(&self.epoll, &mut queue.common);
                queue.common.ring.disarm();
                queue.common.publish_counters();
                self.tx.put(queue);
                let _ = answer.send(watched);
            }
            Command::SetPeer(key, kind, queues, egress) => {
                if let Some(peer) = Peer::of(key, kind, &queues, self.core.id, egress) {
                    put(&mut self.core.peers, key.slot as usize, peer);
                }
            }
            Command::RemovePeer(key) => {
                if let Some(slot) = self.core.peers.get_mut(key.slot as usize)
                    && slot.as_ref().is_some_and(|peer| peer.key == key)
                {
                    *slot = None;
                }
            }
            Command::TakeRx(key, answer) => {
                let queue = self.rx.take(key).map(|mut queue| {
                    self.queues -= 1;
                    queue.common.device.unregister(&self.epoll);
                    queue
                });
                let _ = answer.send(queue);
            }
            Command::TakeTx(key, answer) => {
                // No poller offers it frames from here on. Frames already in a handoff ring still
                // count as its own.
                self.core.exchange(&mut self.tx, SLOTS);
                let queue = self.tx.take(key).map(|mut queue| {
                    self.queues -= 1;
                    queue.common.device.unregister(&self.epoll);
                    queue
                });
                let _ = answer.send(queue);
            }
            Command::RetirePool(slot) => {
                if let Some(Some(lender)) = self.core.pools.get_mut(usize::from(slot.0)) {
                    lender.retired = true;
                    if lender.pool.lent() == 0 {
                        self.core.forget_pool(slot);
                    }
                }
            }
            Command::ForgetPool(slot) => {
                self.core.forget_lender(usize::from(slot.0));
            }
            Command::SetAction(key, action) => {
                let Self { core, rx, tx, .. } = self;
                if let Some(queue) = rx.get(key) {
                    core.touched.visited = Some(key);
                    core.set_action(tx, queue, action);
                }
            }
            Command::SetHoldPool(key, pool) => {
                let now_ns = self.core.now_ns;
                if let Some(queue) = self.rx.get(key) {
                    queue.drop_held(DropReason::ActionChanged, now_ns);
                    queue.hold_pool = pool;
                    queue.common.publish_counters();
                }
            }
            Command::SetSegmentPool(key, pool) => {
                if let Some(queue) = self.tx.get(key) {
                    queue.segments = pool;
                }
            }
            Command::SetRxMode(key, mode) => {
                if let Some((common, core)) = self.common(key) {
                    common.spin_ns = spin_ns(mode);
                    // It is visited once more, and sleeps by the new rule.
                    core.make_ready(common);
                }
            }
            Command::SetAdmin(key, up) => {
                if let Some((common, _)) = self.common(key) {
                    common.admin_up = up;
                }
            }
            Command::SetCapture(key, capture) => {
                if let Some((common, _)) = self.common(key) {
                    common.capture = capture;
                }
            }
            Command::SetLink(key, up) => {
                if let Some(queue) = self.tx.get(key) {
                    queue.link_up = up;
                }
            }
            Command::SetMtus(key, mtus) => {
                if let Some(queue) = self.tx.get(key) {
                    queue.set_mtus(mtus);
                }
            }
            Command::Stop(key, reason) => self.stop(key, reason),
            Command::Resume(key) => {
                if let Some((common, core)) = self.common(key) {
                    common.stopped = common.stopped.filter(|r| *r != StopReason::HostSuspect);
                    core.make_ready(common);
                }
                if let Some(queue) = self.rx.get(key) {
                    self.core.call_soon(queue);
                }
            }
            Command::Empty(key, answer) => {
                self.core.touched.visited = Some(key);
                let _ = answer.send(self.empty(key));
            }
            Command::Revive(key, device, answer) => {
                self.core.touched.visited = Some(key);
                let _ = answer.send(self.revive(key, device));
            }
            Command::SetDomain(key, settings, members) => {
                self.core.tables.domain_or_new(key).set(settings, &members);
            }
            Command::RemoveDomain(key) => self.core.tables.remove_domain(key),
            Command::FlushMacs(key, behind) => {
                if let Some(domain) = self.core.tables.domain(key) {
                    domain.flush(behind);
                }
            }
            Command::Macs(key, answer) => {
                let now = self.core.now_ns;
                let domain = self.core.tables.domain(key);
                let macs = domain.map(|domain| domain.macs(now).collect()).unwrap_or_default();
                let _ = answer.send((now, macs));
            }
            Command::GiveMac(key, mac, entry) => {
                if let Some(domain) = self.core.tables.domain(key) {
                    domain.give(mac, entry);
                }
            }
            Command::Hear(news) => {
                let now_ns = self.core.now_ns;
                for News { domain, mac, peer } in news.iter().copied() {
                    if let Some(domain) = self.core.tables.domain(domain) {
                        domain.hear(mac, peer, now_ns);
                    }
                }
            }
            Command::CatchUp => {}
            Command::Shutdown => self.stopping = true,
        }
    }

    /// The poller that has the queue of a command now, where it was handed over.
    fn moved_to(&mut self, command: &Command) -> Option<PollerIndex> {
        let key = command.queue().filter(|_| !self.moved.is_empty())?;
        self.moved.iter().find(|(moved, _)| *moved == key).map(|(_, to)| *to)
    }

    /// Gives a queue and its buffers to another poller.
    fn hand_over(
        &mut self,
        mut queue: Box<RxQueue>,
        to: PollerIndex,
        answer: oneshot::Sender<Result<(), Errno>>,
    ) {
        self.queues -= 1;
        queue.common.device.unregister(&self.epoll);
        // Its ring has one writer.
        queue.common.capture = None;
        queue.common.ready = false;
        self.moved.push((queue.common.key, to));
        for pool in [Some(&queue.pool), queue.hold_pool.as_ref()].into_iter().flatten() {
            self.core.add_pool(Arc::clone(pool), to);
            self.core.mesh.inbox(to).send(Command::AddPool(Arc::clone(pool), to), None);
        }
        let inbox = self.core.mesh.inbox(to);
        inbox.send(Command::AddRx(queue, answer), None);
    }

    fn stop(&mut self, key: QueueKey, reason: StopReason) {
        if let Some((common, _)) = self.common(key) {
            let stale = !common.device_error;
            if reason != StopReason::Broken(BrokenReason::DeviceError) || !stale {
                common.stop(reason);
                common.publish_counters();
            }
        }
        if reason == StopReason::HostGone {
            self.lose_all(key);
        }
    }
}

impl Core {
    /// Makes a pool known, and whose it is.
    fn add_pool(&mut self, pool: Arc<Pool>, owner: PollerIndex) {
        let slot = usize::from(pool.slot().0);
        self.forget_lender(slot);
        if owner != self.id {
            self.foreign += pool.lendable() as usize;
            let more = self.foreign.saturating_sub(self.pending_returns.len());
            self.pending_returns.reserve(more);
        }
        put(&mut self.pools, slot, Lender { pool, owner, retired: false });
    }

    /// Watches the files of a queue that control knows, and tells control where they cannot be.
    pub(super) fn watch_again(&self, epoll: &Epoll, common: &mut Common) -> Result<(), Errno> {
        watch(epoll, common).inspect_err(|_| self.tell_broken(common, BrokenReason::Unwatched))
    }
}

/// Watches a queue's files. A queue that cannot be watched would sleep for ever, so it is stopped.
fn watch(epoll: &Epoll, common: &mut Common) -> Result<(), Errno> {
    let watched = common.device.register(epoll, event_key(common.key));
    if watched.is_err() {
        common.stop(StopReason::Broken(BrokenReason::Unwatched));
    }
    watched
}
