//! What happens in one visit of a queue.

use super::poller::Poller;
use super::queue::{FrameView, Next, RxQueue, StopReason, TxQueue};
use super::{Event, HDR_BYTES};
use super::{QueueKey, queue};
use crate::action::Verdict;
use crate::counters::{Counter, DropReason};
use crate::device::{BufferClass, Frame};
use crate::frame::NetHdr;

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
        queue.common.ring.disarm();
        let mut ready = match queue.common.ring.look() {
            Ok(0) => return served.more,
            Ok(ready) => ready,
            Err(reason) => {
                self.break_queue(&mut queue.common, reason);
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
            queue.common.publish_ring();
        }
        queue.common.counters.add(Counter::Bursts, 1);
        queue.common.publish_counters();
        true
    }

    fn break_queue(&self, common: &mut queue::Common, reason: crate::ring::BrokenReason) {
        common.stop(StopReason::Broken(reason));
        common.publish_counters();
        self.tell(Event::QueueBroken { interface: common.interface, reason });
    }

    /// Decides about one received frame and counts it.
    fn decide(&mut self, queue: &mut RxQueue, frame: Frame, hdr: &NetHdr) {
        let bytes = frame.bytes - HDR_BYTES;
        let counters = &mut queue.common.counters;
        counters.add(Counter::Packets, 1);
        counters.add(Counter::Bytes, bytes.into());
        // A read that filled a whole large buffer may have been cut.
        let cut =
            queue.pool.class() == BufferClass::Large && frame.bytes == BufferClass::Large.bytes();
        let verdict = if !queue.common.admin_up {
            Verdict::Drop(DropReason::AdminDown)
        } else if cut || bytes > queue.common.kind.max_frame_bytes() {
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

    /// Offers a frame to a transmit queue of ours. What the queue does not take is released.
    pub(super) fn offer(&mut self, to: QueueKey, frame: Frame, originated: bool) {
        let pool = self.pool(frame.pool);
        let place = self.tx.get_mut(to.slot as usize);
        let (Some(pool), Some(Some(queue))) = (pool, place) else {
            self.release(&frame);
            return;
        };
        if queue.common.key != to {
            self.release(&frame);
            return;
        }
        queue.common.counters.add(Counter::Offered, 1);
        queue.common.counters.add(Counter::Originated, u64::from(originated));
        let mut posted = queue.admit(&pool, &frame).and_then(|()| queue.post(&pool, &frame));
        if !queue.dirty {
            queue.dirty = true;
            self.dirty.push(to);
        }
        if posted == Err(DropReason::NoFreeTxSlots) {
            // Show the device what it has, take back what it used, and try once more.
            self.flush_one(to);
            if let Some(Some(queue)) = self.tx.get_mut(to.slot as usize) {
                posted = queue.post(&pool, &frame);
                if !queue.dirty {
                    queue.dirty = true;
                    self.dirty.push(to);
                }
            }
        }
        let Some(Some(queue)) = self.tx.get_mut(to.slot as usize) else { return };
        match posted {
            Ok(()) => queue.common.counters.add(Counter::Enqueued, 1),
            Err(reason) => {
                queue.common.counters.lose(reason);
                self.release(&frame);
            }
        }
    }

    /// Shows the devices of all touched transmit queues what was posted, once per burst.
    pub(super) fn flush(&mut self) {
        while let Some(key) = self.dirty.pop() {
            self.flush_one(key);
        }
    }

    fn flush_one(&mut self, key: QueueKey) {
        let Some(mut queue) = self.tx.get_mut(key.slot as usize).and_then(Option::take) else {
            return;
        };
        queue.dirty = false;
        queue.common.publish_ring();
        self.visit_tx(&mut queue);
        queue.common.counters.add(Counter::Bursts, 1);
        let waits = queue.common.ring.in_flight() > 0 && !queue.common.ready;
        self.tx[key.slot as usize] = Some(queue);
        if waits {
            self.ready_quietly(key);
        }
    }

    /// Lets the device work and takes back what it used; `true` if anything came back.
    pub(super) fn visit_tx(&mut self, queue: &mut TxQueue) -> bool {
        let mut moved = false;
        if queue.common.stopped.is_none() {
            let served = queue.common.device.serve();
            queue.common.counters.add(Counter::Calls, u64::from(served.call));
            if served.host_suspect {
                queue.common.stop(StopReason::HostSuspect);
                self.tell(Event::HostSuspect { interface: queue.common.interface });
            }
            queue.common.ring.disarm();
            moved = self.reclaim(queue);
        }
        queue.common.counters.set(Counter::InFlight, queue.common.ring.in_flight().into());
        queue.common.publish_counters();
        moved
    }

    fn reclaim(&mut self, queue: &mut TxQueue) -> bool {
        let mut moved = false;
        let outcome = queue.common.ring.look().and_then(|_| {
            while let Some(used) = queue.common.ring.take()? {
                moved = true;
                match queue.common.device.refusal(used.head) {
                    None => {
                        let bytes = used.posted - HDR_BYTES;
                        queue.common.counters.add(Counter::Packets, 1);
                        queue.common.counters.add(Counter::Bytes, bytes.into());
                    }
                    Some(errno) => {
                        queue.common.counters.lose(DropReason::from_write_errno(errno));
                    }
                }
                self.release(&Frame::from_token(used.token, used.posted));
            }
            Ok(())
        });
        if let Err(reason) = outcome {
            self.break_queue(&mut queue.common, reason);
        }
        moved
    }

    /// The host side is gone: what the device still holds of a transmit queue is lost. The backend
    /// has been stopped.
    pub(super) fn lose_in_flight(&mut self, key: QueueKey) {
        let Some(mut queue) = self.tx.get_mut(key.slot as usize).and_then(Option::take) else {
            return;
        };
        if queue.common.key == key {
            for frame in queue.drain() {
                queue.common.counters.lose(DropReason::HostGone);
                self.release(&frame);
            }
            queue.common.counters.set(Counter::InFlight, 0);
            queue.common.publish_counters();
        }
        self.tx[key.slot as usize] = Some(queue);
    }
}
