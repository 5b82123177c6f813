//! From a received frame to what becomes of it: the action is asked, its verdict and its output are
//! carried out and counted.
//!
//! # Theory of operation
//! A frame that was received, or released from the held ones, has one fate, and one counter: it is
//! forwarded, consumed, held, or lost for a reason. A flood makes more of one frame: the first peer
//! gets the frame, each further one a copy, which is counted as a frame of its own with a fate of
//! its own; all of them are the same buffers. The buffers of what is forwarded or held are lent;
//! while a flood goes on, the poller has a reference of its own.
//!
//! A frame of the action's own has no place in this queue's counters: the transmit queue that it is
//! offered to counts it. Where it finds no way there, the received frame for which it was made is
//! lost with the reason; where that frame went elsewhere, or there was none, a copy is.

use super::capture::Point;
use super::peers::retagged;
use super::poller::{Core, Slots};
use super::queue::HDR_BYTES;
use super::rx::{FrameView, RxQueue, lender};
use super::tx::TxQueue;
use crate::action::{Action, Context, Originated, Verdict};
use crate::counters::{Counter, DropReason};
use crate::device::{Frame, Pool};
use crate::frame::NetHdr;

/// Longest list of held frames and gaps, in frames that may be held.
const HELD_SPAN: usize = 4;

/// What became of a frame.
type Fate = Result<Counter, DropReason>;

/// Whether a frame's buffers are lent yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Custody {
    /// They are not lent: it was just received, or composed.
    Received,
    /// They are lent.
    Lent,
}

impl RxQueue {
    /// Frees a frame that goes nowhere.
    fn give_back(&self, frame: &Frame, custody: Custody) {
        match custody {
            Custody::Received => self.pool.give_frame(frame),
            Custody::Lent => self.lender(frame).settle(frame),
        }
    }

    /// The pool that a frame lies in.
    fn lender(&self, frame: &Frame) -> &Pool {
        lender(&self.pool, self.hold_pool.as_ref(), frame)
    }

    /// Lends a frame's buffers if they are not.
    fn lend(&self, frame: &Frame, custody: &mut Custody) -> Result<(), DropReason> {
        if *custody == Custody::Received {
            if !self.pool.lend(frame) {
                return Err(DropReason::PeerStalled);
            }
            *custody = Custody::Lent;
        }
        Ok(())
    }

    /// Keeps a frame for the action.
    fn hold(&mut self, frame: &Frame, custody: &mut Custody) -> Fate {
        let pool = self.hold_pool.as_ref().unwrap_or(&self.pool);
        // Frames that were released leave gaps between those that are held.
        if self.held.span() >= HELD_SPAN * pool.lendable() as usize {
            return Err(DropReason::HoldFull);
        }
        match &self.hold_pool {
            Some(pool) if *custody == Custody::Received => {
                let copy = pool.copy(&self.pool, frame).ok_or(DropReason::HoldFull)?;
                if !pool.lend(&copy) {
                    pool.give_frame(&copy);
                    return Err(DropReason::HoldFull);
                }
                self.pool.give_frame(frame);
                self.held.push(copy);
            }
            _ => {
                self.lend(frame, custody).map_err(|_| DropReason::HoldFull)?;
                self.held.push(*frame);
            }
        }
        self.count_held();
        Ok(Counter::Held)
    }

    /// Counts what became of a frame, which is still ours where it is lost.
    fn count(&mut self, fate: Fate, frame: &Frame, now_ns: u64) {
        match fate {
            // A gauge, which is set where frames are kept.
            Ok(Counter::Held) => {}
            Ok(counter) => self.common.counters.add(counter, 1),
            Err(reason) => {
                self.common.counters.lose(reason);
                let pool = lender(&self.pool, self.hold_pool.as_ref(), frame);
                self.common.capture(Point::Dropped(reason), now_ns, Some(pool), frame);
            }
        }
    }
}

impl Core {
    /// Decides about one received frame and counts it.
    pub(super) fn decide(
        &mut self,
        tx: &mut Slots<TxQueue>,
        queue: &mut RxQueue,
        frame: Frame,
        hdr: &NetHdr,
    ) {
        self.touched.deciding = true;
        let bytes = frame.bytes - HDR_BYTES;
        let counters = &mut queue.common.counters;
        counters.add(Counter::Packets, 1);
        counters.add(Counter::Bytes, bytes.into());
        queue.common.capture(Point::Received, self.now_ns, Some(&queue.pool), &frame);
        let verdict = if !queue.common.admin_up {
            Verdict::Drop(DropReason::AdminDown)
        // A read that filled a large buffer may have been cut; it is longer than any frame.
        } else if bytes > queue.common.kind.max_frame_bytes() {
            Verdict::Drop(DropReason::Oversize)
        } else {
            self.call(queue, |action, context, pool| {
                action.visit(context, hdr, &FrameView(pool, &frame))
            })
        };
        let asked = !self.output.is_empty();
        let (frame, verdict) =
            if asked { self.prepare(tx, queue, frame, verdict) } else { (frame, verdict) };
        self.carry_out(tx, queue, &frame, Custody::Received, verdict);
        if asked {
            self.release_held(tx, queue);
            self.finish(queue);
        }
    }

    /// Calls the action of a queue.
    fn call<R>(
        &mut self,
        queue: &mut RxQueue,
        call: impl FnOnce(&mut Action, &mut Context<'_>, &Pool) -> R,
    ) -> R {
        let mut context = Context {
            own: queue.own,
            kind: queue.common.kind,
            now_ns: self.now_ns,
            next_held: queue.held.next_key(),
            tables: &mut self.tables,
            output: &mut self.output,
        };
        call(&mut queue.action, &mut context, &queue.pool)
    }

    /// Does what comes before the frame's own verdict, which changes where a frame that was made
    /// for it was not sent.
    fn prepare(
        &mut self,
        tx: &mut Slots<TxQueue>,
        queue: &mut RxQueue,
        frame: Frame,
        verdict: Verdict,
    ) -> (Frame, Verdict) {
        for (offset, bytes) in self.output.edits() {
            queue.pool.edit(&frame, offset.saturating_add(NetHdr::BYTES), bytes);
        }
        let lost = self.originate(tx, queue, verdict == Verdict::Consume);
        let verdict = lost.map_or(verdict, Verdict::Drop);
        match self.output.retagged().map(|retag| retagged(&queue.pool, &frame, &retag)) {
            None => (frame, verdict),
            Some(Ok(frame)) => (frame, verdict),
            Some(Err(reason)) => (frame, Verdict::Drop(reason)),
        }
    }

    /// Calls an action whose time has come.
    pub(super) fn expire(&mut self, tx: &mut Slots<TxQueue>, queue: &mut RxQueue) {
        queue.wake_ns = None;
        if queue.common.stopped.is_some() || queue.common.parked {
            return;
        }
        self.call(queue, |action, context, _| action.expire(context));
        self.originate(tx, queue, false);
        self.release_held(tx, queue);
        self.finish(queue);
        self.flush(tx);
        queue.common.publish_counters();
    }

    /// Does something else with the frames of a queue from now on. Those that are held stay held where
    /// the new action takes them over, are sent where it would have sent them, or are lost.
    pub(super) fn set_action(
        &mut self,
        tx: &mut Slots<TxQueue>,
        queue: &mut RxQueue,
        mut action: Action,
    ) {
        queue.wake_ns = None;
        let kept = self.call(queue, |before, context, _| action.take_over(before, context));
        queue.action = action;
        if kept {
            self.release_held(tx, queue);
            self.finish(queue);
            self.flush(tx);
        } else {
            queue.drop_held(DropReason::ActionChanged, self.now_ns);
        }
        if queue.action.is_due() {
            self.call_soon(queue);
        }
        queue.common.publish_counters();
    }

    /// Sends the action's own frames. Why the first one was not sent that was not is returned where
    /// the received frame is lost `instead`; each other one is counted as a lost copy.
    fn originate(
        &mut self,
        tx: &mut Slots<TxQueue>,
        queue: &mut RxQueue,
        instead: bool,
    ) -> Option<DropReason> {
        let mut first = None;
        for at in 0..self.output.originated_frames() {
            let Some(Originated { to, bytes }) = self.output.originated(at) else { break };
            let sent = match queue.pool.compose(&[bytes]) {
                None => Err(DropReason::NoBuffer),
                Some(frame) => {
                    let mut custody = Custody::Received;
                    let sent = queue
                        .lend(&frame, &mut custody)
                        .and_then(|()| self.dispatch(tx, to, frame, true));
                    sent.inspect_err(|_| queue.give_back(&frame, custody))
                }
            };
            match sent {
                Ok(()) => {}
                Err(reason) if instead && first.is_none() => first = Some(reason),
                Err(reason) => {
                    queue.common.counters.add(Counter::Copies, 1);
                    queue.common.counters.lose(reason);
                }
            }
        }
        first
    }

    /// Carries out what the action decided about held frames.
    fn release_held(&mut self, tx: &mut Slots<TxQueue>, queue: &mut RxQueue) {
        for at in 0..self.output.released().len() {
            let Some(&(key, verdict)) = self.output.released().get(at) else { break };
            if verdict == Verdict::Hold {
                continue;
            }
            let Some(frame) = queue.held.take(key) else { continue };
            queue.count_held();
            self.touched.deciding = true;
            let up = queue.common.admin_up;
            let verdict = if up { verdict } else { Verdict::Drop(DropReason::AdminDown) };
            self.carry_out(tx, queue, &frame, Custody::Lent, verdict);
        }
    }

    /// Has the action of a queue called that was stopped: what it held may be gone, and its time may
    /// have passed.
    pub(super) fn call_soon(&mut self, queue: &mut RxQueue) {
        queue.wake_ns = Some(self.now_ns);
        self.timers.set(self.now_ns, queue.common.key);
    }

    /// Empties the output and sets the timer that it asks for.
    fn finish(&mut self, queue: &mut RxQueue) {
        if let Some(ns) = self.output.wake_ns()
            && queue.wake_ns.is_none_or(|earlier| ns < earlier)
        {
            queue.wake_ns = Some(ns);
            self.timers.set(ns, queue.common.key);
        }
        self.output.clear();
    }

    /// Does with a frame what the verdict says, and counts it.
    fn carry_out(
        &mut self,
        tx: &mut Slots<TxQueue>,
        queue: &mut RxQueue,
        frame: &Frame,
        mut custody: Custody,
        verdict: Verdict,
    ) {
        let now_ns = self.now_ns;
        let fate = match verdict {
            Verdict::Consume => Ok(Counter::Consumed),
            Verdict::Drop(reason) => Err(reason),
            Verdict::Forward(peer) => queue
                .lend(frame, &mut custody)
                .and_then(|()| self.dispatch(tx, peer, *frame, false))
                .map(|()| Counter::Forwarded),
            Verdict::Flood => match queue.lend(frame, &mut custody) {
                Ok(()) => return self.flood(tx, queue, frame),
                Err(reason) => Err(reason),
            },
            Verdict::Hold => queue.hold(frame, &mut custody),
        };
        queue.count(fate, frame, now_ns);
        if !matches!(fate, Ok(Counter::Forwarded | Counter::Held)) {
            queue.give_back(frame, custody);
        }
        self.touched.deciding = false;
    }

    /// Sends a lent frame to all peers of the output, and counts each.
    fn flood(&mut self, tx: &mut Slots<TxQueue>, queue: &mut RxQueue, frame: &Frame) {
        // Until the end one reference is ours.
        self.touched.flooded = Some(*frame);
        let (now_ns, peers) = (self.now_ns, self.output.peers().len());
        for at in 0..peers {
            let Some(&peer) = self.output.peers().get(at) else { break };
            if at > 0 {
                queue.common.counters.add(Counter::Copies, 1);
                self.touched.deciding = true;
            }
            let fate = if queue.lender(frame).share(frame) {
                let sent = self.dispatch(tx, peer, *frame, false);
                sent.map(|()| Counter::Forwarded).inspect_err(|_| queue.lender(frame).settle(frame))
            } else {
                Err(DropReason::PeerStalled)
            };
            queue.count(fate, frame, now_ns);
            self.touched.deciding = false;
        }
        if peers == 0 {
            queue.count(Err(DropReason::PeerGone), frame, now_ns);
            self.touched.deciding = false;
        }
        self.touched.flooded = None;
        queue.lender(frame).settle(frame);
    }
}
