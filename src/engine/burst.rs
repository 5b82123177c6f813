//! One visit of a queue.

use super::Event;
use super::poller::{Poller, take_slot};
use super::queue::{FrameView, HDR_BYTES, Next, RxQueue, StopReason, TxQueue};
use super::{QueueKey, queue};
use crate::action::Verdict;
use crate::counters::{Counter, DropReason};
use crate::device::{Frame, Pool};
use crate::frame::NetHdr;
use crate::ring::BrokenReason;

/// Most frames of one receive visit.
const FRAMES: u32 = 64;

impl Poller {
    /// Receives a burst; `true` if anything moved.
    pub(super) fn visit_rx(&mut self, queue: &mut RxQueue) -> bool {
        if queue.common.stopped.is_some() {
            return false;
        }
        let served = queue.common.device.serve();
        queue.common.counters.add(Counter::Calls, u64::from(served.call));
        if served.host_suspect {
            queue.common.stop(StopReason::HostSuspect);
            self.tell(Event::HostSuspect { interface: queue.common.interface });
        }
        queue.common.counters.add(Counter::Unreadable, served.unreadable.into());
        if served.refused {
            self.break_queue(&mut queue.common, BrokenReason::ReadFailed);
            queue.common.publish_counters();
        }
        queue.common.ring.disarm();
        let mut ready = match queue.common.ring.look() {
            // Buffers that were returned since the last visit are posted even if nothing was
            // received.
            Ok(0) => {
                let posted = queue.refill();
                let unreadable = served.unreadable > 0;
                if posted || unreadable || served.call {
                    queue.common.publish_counters();
                }
                return posted | unreadable | served.more;
            }
            Ok(ready) => ready,
            Err(reason) => {
                self.break_queue(&mut queue.common, reason);
                queue.common.publish_counters();
                return true;
            }
        };
        for _ in 0..FRAMES {
            match queue.next_frame(&mut ready) {
                Next::Frame(frame, hdr) => self.decide(queue, frame, &hdr),
                Next::Nothing => break,
                Next::Broken(reason) => {
                    self.break_queue(&mut queue.common, reason);
                    break;
                }
            }
        }
        self.flush();
        if queue.common.stopped.is_none() {
            queue.refill();
        }
        queue.common.counters.add(Counter::Bursts, 1);
        queue.common.publish_counters();
        true
    }

    fn break_queue(&self, common: &mut queue::Common, reason: BrokenReason) {
        common.stop(StopReason::Broken(reason));
        self.tell_broken(common, reason);
    }

    /// Decides about one received frame and counts it.
    fn decide(&mut self, queue: &mut RxQueue, frame: Frame, hdr: &NetHdr) {
        let bytes = frame.bytes - HDR_BYTES;
        let counters = &mut queue.common.counters;
        counters.add(Counter::Packets, 1);
        counters.add(Counter::Bytes, bytes.into());
        let verdict = if !queue.common.admin_up {
            Verdict::Drop(DropReason::AdminDown)
        // A read that filled a large buffer may have been cut; it is longer than any frame.
        } else if bytes > queue.common.kind.max_frame_bytes() {
            Verdict::Drop(DropReason::Oversize)
        } else {
            let view = FrameView(&queue.pool, &frame);
            queue.action.visit(queue.common.kind, hdr, &view, &mut self.reply)
        };
        let counted = match verdict {
            Verdict::Consume => {
                queue.pool.give_frame(&frame);
                Ok(Counter::Consumed)
            }
            Verdict::Forward(peer) => {
                self.lend(queue, peer, frame, false).map(|()| Counter::Forwarded)
            }
            Verdict::Reply => {
                queue.pool.give_frame(&frame);
                match queue.pool.compose(&[self.reply.bytes()]) {
                    None => Err(DropReason::NoBuffer),
                    Some(reply) => {
                        self.lend(queue, queue.own_tx, reply, true).map(|()| Counter::Consumed)
                    }
                }
            }
            Verdict::Drop(reason) => {
                queue.pool.give_frame(&frame);
                Err(reason)
            }
        };
        match counted {
            Ok(counter) => queue.common.counters.add(counter, 1),
            Err(reason) => queue.common.counters.lose(reason),
        }
    }

    /// Lends a frame's buffers to a transmit queue; on failure they are free again.
    fn lend(
        &mut self,
        queue: &RxQueue,
        to: QueueKey,
        frame: Frame,
        originated: bool,
    ) -> Result<(), DropReason> {
        if !queue.pool.lend(&frame) {
            queue.pool.give_frame(&frame);
            return Err(DropReason::PeerStalled);
        }
        self.dispatch(to, frame, originated).inspect_err(|_| queue.pool.settle(&frame))
    }

    /// Offers a frame to a transmit queue of this poller. A frame that the queue refuses is
    /// released.
    pub(super) fn offer(&mut self, to: QueueKey, frame: Frame, originated: bool) {
        let Some(mut queue) = take_slot(&mut self.tx, to) else {
            self.release(&frame);
            return;
        };
        let admitted = match self.pool(frame.pool) {
            Some(pool) => queue.admit(pool, &frame),
            None => Err(DropReason::PeerGone),
        };
        let post = |queue: &mut TxQueue, pool: Option<&Pool>| match (admitted, pool) {
            (Ok(hdr), Some(pool)) => queue.accepts().and_then(|()| queue.post(pool, &frame, &hdr)),
            (Err(reason), _) => Err(reason),
            (Ok(_), None) => Err(DropReason::PeerGone),
        };
        let mut posted = post(&mut queue, self.pool(frame.pool));
        if posted == Err(DropReason::NoFreeTxSlots) && !queue.stuck {
            // Show the device what it has, take back what it used, and try once more; if that was
            // nothing, not again before the next burst.
            queue.stuck = !self.run_device(&mut queue);
            posted = post(&mut queue, self.pool(frame.pool));
        }
        let counters = &mut queue.common.counters;
        counters.add(Counter::Offered, 1);
        counters.add(Counter::Originated, u64::from(originated));
        match posted {
            Ok(()) => counters.add(Counter::Enqueued, 1),
            Err(reason) => {
                counters.lose(reason);
                self.release(&frame);
            }
        }
        if !queue.dirty {
            queue.dirty = true;
            self.dirty.push(to);
        }
        self.tx[to.slot as usize] = Some(queue);
    }

    /// Shows the devices of all touched transmit queues what was posted, once per burst.
    pub(super) fn flush(&mut self) {
        while let Some(key) = self.dirty.pop() {
            self.flush_one(key);
        }
    }

    fn flush_one(&mut self, key: QueueKey) {
        let Some(mut queue) = take_slot(&mut self.tx, key) else { return };
        queue.dirty = false;
        queue.stuck = false;
        queue.common.counters.add(Counter::Bursts, 1);
        self.run_device(&mut queue);
        queue.publish_counters();
        let waits = queue.common.ring.in_flight() > 0 && !queue.common.ready;
        self.tx[key.slot as usize] = Some(queue);
        if waits {
            self.ready_quietly(key);
        }
    }

    /// Runs the device and takes back the chains that it used; `true` if anything changed. Counts,
    /// but does not publish the counters: the burst may not be over.
    pub(super) fn run_device(&mut self, queue: &mut TxQueue) -> bool {
        if queue.common.stopped.is_some() {
            return false;
        }
        queue.common.publish_ring();
        let served = queue.common.device.serve();
        queue.common.counters.add(Counter::Calls, u64::from(served.call));
        if served.host_suspect {
            queue.common.stop(StopReason::HostSuspect);
            self.tell(Event::HostSuspect { interface: queue.common.interface });
        }
        queue.common.ring.disarm();
        let mut moved = false;
        let outcome = queue.reclaim(|frame| {
            moved = true;
            self.release(&frame);
        });
        if let Err(reason) = outcome {
            self.break_queue(&mut queue.common, reason);
            moved = true;
        }
        moved
    }

    /// The host side is gone: the frames in the queue's ring are lost. The backend has been
    /// stopped.
    pub(super) fn lose_all(&mut self, key: QueueKey) {
        if let Some(mut queue) = take_slot(&mut self.rx, key) {
            queue.abandon(DropReason::HostGone);
            self.rx[key.slot as usize] = Some(queue);
        }
        let Some(mut queue) = take_slot(&mut self.tx, key) else { return };
        for frame in queue.abandon(DropReason::HostGone) {
            self.release(&frame);
        }
        self.tx[key.slot as usize] = Some(queue);
    }
}
