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
mod retag;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::action::{Egress, PeerKey};
use crate::counters::DropReason;
use crate::device::{Frame, Pool, PoolSlot};
use crate::frame::NetHdr;
use crate::frame::flow::{FLOW_BYTES, flow};
use crate::units::{Kind, NumberList, PollerIndex};

use super::poller::{Core, Inbox, Slots, StatisticsCells};
use super::tx::TxQueue;
use super::{Event, QueueKey};

pub(super) use handoff::{Handoff, Message, SLOTS};
pub(super) use retag::retagged;

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
    kind: Kind,
    /// Where several are for it, all of them.
    several: Box<[(PollerIndex, QueueKey)]>,
    /// What else becomes of the frames.
    egress: Option<Egress>,
}

/// A transmit queue of a peer.
#[derive(Debug, Clone, Copy)]
pub struct TxPlace {
    /// The queue.
    pub queue: QueueKey,
    /// The poller that owns it.
    pub poller: PollerIndex,
    /// The pollers that it is for. Others than its owner hand their frames over.
    pub users: NumberList,
}

impl TxPlace {
    /// A queue for the poller that owns it.
    pub fn own(poller: PollerIndex, queue: QueueKey) -> Self {
        Self { queue, poller, users: NumberList::of(poller.0) }
    }
}

impl Peer {
    /// The peer for the poller `to`, which sends to the queues that are for it; where there are none
    /// such, the pollers are spread over all queues. None where there is no queue.
    pub(super) fn of(
        key: PeerKey,
        kind: Kind,
        queues: &[TxPlace],
        to: PollerIndex,
        egress: Option<Egress>,
    ) -> Option<Self> {
        let own = queues.iter().filter(|queue| queue.users.contains(to.0));
        let own: Box<[_]> = own.map(|place| (place.poller, place.queue)).collect();
        let spread = || queues.get(usize::from(to.0).checked_rem(queues.len())?);
        let (poller, queue) = match own.first() {
            Some(first) => *first,
            None => spread().map(|place| (place.poller, place.queue))?,
        };
        let several = if own.len() > 1 { own } else { Box::default() };
        Some(Self { key, queue, poller, kind, several, egress })
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
        self.pass(tx, to, frame, originated, false)
    }

    /// As [`Core::dispatch`]; with `changed`, what the peer's egress asks for was done.
    fn pass(
        &mut self,
        tx: &mut Slots<TxQueue>,
        to: PeerKey,
        frame: Frame,
        originated: bool,
        changed: bool,
    ) -> Result<(), DropReason> {
        let peer = self.peers.get(to.slot as usize).and_then(Option::as_ref);
        let Some(peer) = peer.filter(|peer| peer.key == to) else {
            return Err(DropReason::PeerGone);
        };
        if let Some(egress) = peer.egress
            && !changed
        {
            return self.dispatch_changed(tx, to, egress, frame, originated);
        }
        let Peer { mut queue, mut poller, .. } = *peer;
        if !peer.several.is_empty() {
            (poller, queue) = self.place_of_flow(peer, &frame).unwrap_or((poller, queue));
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

    /// The queue, one of several for this poller, that frames of this flow are sent to.
    fn place_of_flow(&self, peer: &Peer, frame: &Frame) -> Option<(PollerIndex, QueueKey)> {
        let several = &peer.several;
        let mut head = [0; FLOW_BYTES];
        let copied = self.pool(frame.pool)?.copy_from(frame, NetHdr::BYTES, &mut head);
        let flow = flow(peer.kind, head.get(..copied)?);
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
