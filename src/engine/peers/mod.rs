//! The way of frames between queues, pollers and pools.
//!
//! # Theory of operation
//! A peer is an interface. Every poller knows each of them by the transmit queues of it that it
//! sends to, its own if it has some, and each pool with its owner. Where it has several, the flow of a
//! frame decides, so that frames of a flow stay in their order. A frame for a queue of the same
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
use crate::frame::NetHdr;
use crate::frame::flow::{FLOW_BYTES, flow};
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
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) key: PeerKey,
    /// The transmit queue that this poller sends to, and the poller that has it.
    queue: QueueKey,
    poller: PollerIndex,
    /// Where it has several of its own, all of them.
    several: Box<[QueueKey]>,
}

impl Peer {
    /// The peer for the poller `to`, which sends to its own queues if there are some; else the
    /// pollers are spread over the queues. None where there is no queue.
    pub(super) fn of(
        key: PeerKey,
        queues: &[(PollerIndex, QueueKey)],
        to: PollerIndex,
    ) -> Option<Self> {
        let own: Box<[QueueKey]> =
            queues.iter().filter(|(poller, _)| *poller == to).map(|(_, queue)| *queue).collect();
        let spread = || queues.get(usize::from(to.0).checked_rem(queues.len())?).copied();
        let (poller, queue) = own.first().map(|queue| (to, *queue)).or_else(spread)?;
        let several = if own.len() > 1 { own } else { Box::default() };
        Some(Self { key, queue, poller, several })
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
        let peer = self.peers.get(to.slot as usize).and_then(Option::as_ref);
        let Some(peer) = peer.filter(|peer| peer.key == to) else {
            return Err(DropReason::PeerGone);
        };
        let Peer { mut queue, poller, ref several, .. } = *peer;
        if !several.is_empty() {
            queue = self.queue_of_flow(tx, several, &frame).unwrap_or(queue);
        }
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

    /// The queue, one of several of this poller, that frames of this flow are sent to.
    fn queue_of_flow(
        &self,
        tx: &mut Slots<TxQueue>,
        several: &[QueueKey],
        frame: &Frame,
    ) -> Option<QueueKey> {
        let kind = tx.get(*several.first()?)?.common.kind;
        let mut head = [0; FLOW_BYTES];
        let copied = self.pool(frame.pool)?.copy_from(frame, NetHdr::BYTES, &mut head);
        let flow = flow(kind, head.get(..copied)?);
        several.get((flow as usize).checked_rem(several.len())?).copied()
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
