//! Commands from control to a poller, carried out between two loops.

use nix::errno::Errno;

use super::handoff::SLOTS;
use super::inbox::Command;
use super::poller::{Lender, Poller, put, slot_mut, take_slot};
use super::queue::{Common, StopReason};
use super::{QueueKey, event_key};
use crate::ring::BrokenReason;

impl Poller {
    pub(super) fn obey(&mut self) {
        for (command, done) in self.mesh.inboxes[usize::from(self.id.0)].take() {
            self.carry_out(command);
            if let Some(done) = done {
                // The requester has stopped waiting.
                let _ = done.send(());
            }
        }
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::AddPool(pool, owner) => {
                let slot = usize::from(pool.slot().0);
                self.forget_lender(slot);
                if owner != self.id {
                    self.foreign += pool.lendable() as usize;
                    self.pending_returns
                        .reserve(self.foreign.saturating_sub(self.pending_returns.len()));
                }
                put(&mut self.pools, slot, Lender { pool, owner, retired: false });
            }
            Command::AddRx(mut queue, answer) => {
                self.make_room();
                let key = queue.common.key;
                let watched = self.watch(&mut queue.common);
                queue.refill();
                queue.common.publish_counters();
                put(&mut self.rx, key.slot as usize, queue);
                self.wake(key);
                let _ = answer.send(watched);
            }
            Command::AddTx(mut queue, answer) => {
                self.make_room();
                let key = queue.common.key;
                let watched = self.watch(&mut queue.common);
                queue.common.ring.disarm();
                queue.common.publish_counters();
                put(&mut self.tx, key.slot as usize, queue);
                let _ = answer.send(watched);
            }
            Command::SetRoute(route) => put(&mut self.routes, route.key.slot as usize, route),
            Command::RemoveRoute(key) => {
                if let Some(slot) = self.routes.get_mut(key.slot as usize)
                    && slot.is_some_and(|route| route.key == key)
                {
                    *slot = None;
                }
            }
            Command::TakeRx(key, answer) => {
                let queue = take_slot(&mut self.rx, key).map(|mut queue| {
                    self.queues -= 1;
                    queue.common.device.unregister(&self.epoll);
                    queue
                });
                let _ = answer.send(queue);
            }
            Command::TakeTx(key, answer) => {
                // No poller offers it frames from here on. Frames already in a handoff ring still
                // count as its own.
                self.exchange(SLOTS);
                let queue = take_slot(&mut self.tx, key).map(|mut queue| {
                    self.queues -= 1;
                    queue.common.device.unregister(&self.epoll);
                    queue
                });
                let _ = answer.send(queue);
            }
            Command::RetirePool(slot) => {
                if let Some(Some(lender)) = self.pools.get_mut(usize::from(slot.0)) {
                    lender.retired = true;
                    if lender.pool.lent() == 0 {
                        self.forget_pool(slot);
                    }
                }
            }
            Command::ForgetPool(slot) => {
                self.forget_lender(usize::from(slot.0));
            }
            Command::SetAction(key, action) => {
                if let Some(queue) =
                    slot_mut(&mut self.rx, key.slot).filter(|q| q.common.key == key)
                {
                    queue.action = action;
                }
            }
            Command::SetAdmin(key, up) => self.change(key, |common| common.admin_up = up),
            Command::Stop(key, reason) => {
                self.change(key, |common| {
                    let stale = !common.device_error;
                    if reason == StopReason::Broken(BrokenReason::DeviceError) && stale {
                        return;
                    }
                    common.stop(reason);
                    common.publish_counters();
                });
                if reason == StopReason::HostGone {
                    self.lose_all(key);
                }
            }
            Command::Resume(key) => {
                self.change(key, |common| {
                    common.stopped = common.stopped.filter(|r| *r != StopReason::HostSuspect);
                });
                self.wake(key);
            }
            Command::Empty(key, answer) => {
                let _ = answer.send(self.empty(key));
            }
            Command::Revive(key, device, answer) => {
                let _ = answer.send(self.revive(key, device));
            }
            Command::CatchUp => {}
            Command::Shutdown => self.stopping = true,
        }
    }

    /// Watches the files of a queue that control knows, and tells control where they cannot be.
    pub(super) fn watch_again(&self, common: &mut Common) -> Result<(), Errno> {
        self.watch(common).inspect_err(|_| self.tell_broken(common, BrokenReason::Unwatched))
    }

    /// Watches a queue's files. A queue that cannot be watched would sleep for ever, so it is
    /// stopped.
    fn watch(&self, common: &mut Common) -> Result<(), Errno> {
        let watched = common.device.register(&self.epoll, event_key(common.key));
        if watched.is_err() {
            common.stop(StopReason::Broken(BrokenReason::Unwatched));
        }
        watched
    }

    pub(super) fn change(&mut self, key: QueueKey, change: impl Fn(&mut Common)) {
        if let Some(queue) = slot_mut(&mut self.rx, key.slot).filter(|q| q.common.key == key) {
            change(&mut queue.common);
        }
        if let Some(queue) = slot_mut(&mut self.tx, key.slot).filter(|q| q.common.key == key) {
            change(&mut queue.common);
        }
    }
}
