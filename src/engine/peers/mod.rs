//! The way of frames between queues, pollers and pools.
//!
//! # Theory of operation
//! A peer is an interface. Every poller knows each of them by the one transmit queue of it that it
//! sends to, its own if it has one, and each pool with its owner. A frame for a queue of the same
//! poller is offered to it at once; one for a queue of another goes through the handoff ring of the
//! pair. When the transmit queue has done with it, its buffers return to the
//! owner of their pool the same way.

mod handoff;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::action::PeerKey;
use crate::counters::DropReason;
use crate::device::{Frame, Pool, PoolSlot};
use crate::units::PollerIndex;

use super::poller::{Core, Inbox, Slots, StatisticsCells};
use super::tx::TxQueue;
use super::{Event, QueueKey};

pub(super) use handoff::{Handoff, Message, SLOTS};

/// What connects the pollers: the inbox of each, and a handoff ring for every pair.
#[derive(Debug)]
pub(super) struct Mesh {
    pub(super) inboxes: Vec<Inbox>,
    /// `from * pollers + to`.
    pub(super) handoffs: Vec<Handoff>,
    pub(super) statistics: Vec<StatisticsCells>,
}

impl Mesh {
    pub(super) fn pollers(&self) -> impl Iterator<Item = PollerIndex> + use<> {
        // `Engine::start` makes at most as many as fit.
        (0..u16::try_from(self.inboxes.len()).unwrap_or(u16::MAX)).map(PollerIndex)
    }

    pub(super) fn handoff(&self, from: PollerIndex, to: PollerIndex) -> &Handoff {
        &self.handoffs[usize::from(from.0) * self.inboxes.len() + usize::from(to.0)]
    }

    pub(super) fn inbox(&self, of: PollerIndex) -> &Inbox {
        &self.inboxes[usize::from(of.0)]
    }
}

/// An interface that frames are sent to, as one poller knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) key: PeerKey,
    /// The transmit queue that this poller sends to, and the poller that has it.
    queue: QueueKey,
    poller: PollerIndex,
}

impl Peer {
    /// The peer for the poller `to`, which sends to a queue of its own if there is one; else the
    /// pollers are spread over the queues. None where there is no queue.
    pub(super) fn of(
        key: PeerKey,
        queues: &[(PollerIndex, QueueKey)],
        to: PollerIndex,
    ) -> Option<Self> {
        let own = queues.iter().find(|(poller, _)| *poller == to);
        let spread = || queues.get(usize::from(to.0).checked_rem(queues.len())?);
        let (poller, queue) = *own.or_else(spread)?;
        Some(Self { key, queue, poller })
    }
}

/// A pool and the poller that owns it.
pub(super) struct Lender {
    pub(super) pool: Arc<Pool>,
    pub(super) owner: PollerIndex,
    /// Its queue is gone; forget it once nothing is lent.
    pub(super) retired: bool,
}

impl Core {
    /// Gives a frame whose buffers are lent to a peer, on whatever poller its queue is. On failure
    /// the frame is the caller's.
    pub(super) fn dispatch(
        &mut self,
        tx: &mut Slots<TxQueue>,
        to: PeerKey,
        frame: Frame,
        originated: bool,
    ) -> Result<(), DropReason> {
        let peer = self.peers.get(to.slot as usize).copied().flatten();
        let Some(Peer { queue, poller, .. }) = peer.filter(|peer| peer.key == to) else {
            return Err(DropReason::PeerGone);
        };
        if poller == self.id {
            return self.offer(tx, queue, frame, originated);
        }
        let message = Message::Offer { to: queue, frame, originated };
        if !self.mesh.handoff(self.id, poller).push(message) {
            return Err(DropReason::HandoffFull);
        }
        self.mesh.inbox(poller).ring();
        Ok(())
    }

    /// Takes what other pollers handed over, at most so many messages of each; `true` if there was
    /// anything.
    pub(super) fn exchange(&mut self, tx: &mut Slots<TxQueue>, most: usize) -> bool {
        if self.mesh.inboxes.len() == 1 {
            return false;
        }
        let mut any = false;
        for from in self.mesh.pollers() {
            for _ in 0..most {
                let Some(message) = self.mesh.handoff(from, self.id).pop() else { break };
                any = true;
                match message {
                    Message::Return(frame) => self.release(&frame),
                    Message::Offer { to, frame, originated } => {
                        // A queue leaves only after its peer, and after what is in the rings.
                        if self.offer(tx, to, frame, originated).is_err() {
                            self.release(&frame);
                        }
                    }
                }
            }
        }
        self.flush(tx);
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
        let Some(Some(lender)) = self.pools.get(usize::from(frame.pool.0)) else { return };
        if lender.owner != self.id {
            let owner = lender.owner;
            if self.mesh.handoff(self.id, owner).push(Message::Return(*frame)) {
                self.mesh.inbox(owner).ring();
            } else {
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
}
