//! A receive queue, and one visit of it.

use std::sync::Arc;

use super::Event;
use super::QueueKey;
use super::capture::Point;
use super::held::Held;
use super::poller::{Core, Queue, Slots};
use super::queue::{Common, HDR_BYTES, StopReason};
use super::tx::TxQueue;
use crate::action::{Action, FrameBytes, PeerKey};
use crate::counters::{BrokenReason, Counter, DropReason};
use crate::device::{Frame, Pool, QueueDevice, QueueMemory};
use crate::frame::NetHdr;
use crate::ring::{DriverRing, MAX_SEGMENTS};
use crate::units::{Kind, SwIfIndex};

/// Most frames of one visit.
const FRAMES: u32 = 64;

/// What a receive queue is made of.
#[derive(Debug)]
pub struct RxParts {
    /// The interface.
    pub interface: SwIfIndex,
    /// Its kind.
    pub kind: Kind,
    /// Ring, counters; kept while the queue lives.
    pub memory: Arc<QueueMemory>,
    /// The driver's side of the ring.
    pub ring: DriverRing,
    /// The device's.
    pub device: Box<dyn QueueDevice>,
    /// Its buffers.
    pub pool: Arc<Pool>,
    /// How many of them are posted at a time.
    pub credit: u16,
    /// Set up.
    pub admin_up: bool,
}

/// A receive queue.
#[derive(Debug)]
pub struct RxQueue {
    pub(super) common: Common,
    pub(super) pool: Arc<Pool>,
    pub(super) credit: u16,
    pub(super) action: Action,
    /// Its interface.
    pub(super) own: PeerKey,
    /// Frames that the action keeps.
    pub(super) held: Held,
    /// Where they are copied to, so that the few buffers that frames are received in go on being
    /// used; none: they stay where they are.
    pub(super) hold_pool: Option<Arc<Pool>>,
    /// When the action is to be called, by the poller's clock.
    pub(super) wake_ns: Option<u64>,
}

/// A received frame and the pool it lies in, seen without its virtio header.
pub(super) struct FrameView<'a>(pub(super) &'a Pool, pub(super) &'a Frame);

impl FrameBytes for FrameView<'_> {
    fn len(&self) -> usize {
        (self.1.bytes as usize).saturating_sub(NetHdr::BYTES)
    }

    fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        self.0.copy_from(self.1, offset.saturating_add(NetHdr::BYTES), into)
    }
}

/// What is next in a receive ring.
pub(super) enum Next {
    Frame(Frame, NetHdr),
    Nothing,
    Broken(BrokenReason),
}

impl Queue for RxQueue {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

impl RxQueue {
    pub(super) fn new(key: QueueKey, parts: RxParts, own: PeerKey) -> Self {
        let RxParts { interface, kind, memory, ring, device, pool, credit, admin_up } = parts;
        let common = Common::new(key, interface, kind, ring, device, memory, admin_up);
        Self {
            common,
            pool,
            credit,
            action: Action::Sink,
            own,
            held: Held::default(),
            hold_pool: None,
            wake_ns: None,
        }
    }

    /// Makes free buffers available up to the credit; `true` if there were any to add.
    pub(super) fn refill(&mut self) -> bool {
        let ring = &mut self.common.ring;
        let before = ring.in_flight();
        while ring.in_flight() < self.credit && ring.free() > 0 {
            let Some(buffer) = self.pool.take() else { break };
            if ring.post(&[self.pool.segment(buffer)], u64::from(buffer) + 1).is_err() {
                self.pool.give(buffer);
                break;
            }
        }
        let added = ring.in_flight() > before;
        if added {
            self.common.publish_ring();
        }
        added
    }

    /// Takes the next frame of the `ready` used chains. Its buffers are all used by the time its
    /// first one is ([VIRTIO-1.3 §5.1.6.4] "Processing of Incoming Packets").
    pub(super) fn next_frame(&mut self, ready: &mut u16) -> Next {
        let ring = &mut self.common.ring;
        let first = match ring.peek() {
            Ok(Some(used)) => used,
            Ok(None) => return Next::Nothing,
            Err(rule) => return Next::Broken(rule.into()),
        };
        if (first.written as usize) < NetHdr::BYTES {
            return Next::Broken(BrokenReason::FrameWithoutHeader);
        }
        let Some(head) = buffer_of(first.token) else {
            return Next::Broken(BrokenReason::UsedIdNotInFlight);
        };
        self.pool.set_length(head, first.written);
        let mut frame = Frame { pool: self.pool.slot(), head, buffers: 1, bytes: first.written };
        let mut bytes = [0; NetHdr::BYTES];
        self.pool.copy_from(&frame, 0, &mut bytes);
        let hdr = NetHdr::from_bytes(&bytes);
        let buffers = hdr.num_buffers;
        if buffers == 0 || buffers > *ready || usize::from(buffers) > MAX_SEGMENTS {
            return Next::Broken(BrokenReason::BadBufferCount);
        }
        ring.accept(&first);
        let mut last = head;
        for _ in 1..buffers {
            let next = match ring.take() {
                Ok(Some(used)) => buffer_of(used.token)
                    .map(|buffer| (buffer, used.written))
                    .ok_or(BrokenReason::UsedIdNotInFlight),
                Ok(None) => Err(BrokenReason::BadBufferCount),
                Err(rule) => Err(rule.into()),
            };
            // Chains taken from the ring are in it no more, so only this code can return their
            // buffers.
            let (buffer, written) = match next {
                Ok((buffer, 0)) => {
                    self.pool.give(buffer);
                    self.pool.give_frame(&frame);
                    return Next::Broken(BrokenReason::BadBufferCount);
                }
                Ok(next) => next,
                Err(reason) => {
                    self.pool.give_frame(&frame);
                    return Next::Broken(reason);
                }
            };
            self.pool.set_length(buffer, written);
            self.pool.link(last, buffer);
            frame.bytes = frame.bytes.saturating_add(written);
            frame.buffers += 1;
            last = buffer;
        }
        *ready -= buffers;
        Next::Frame(frame, hdr)
    }

    /// Takes every buffer back. Frames that were received but not processed, or are held, are lost
    /// for `reason`. The device must have stopped.
    pub(super) fn abandon(&mut self, reason: DropReason, now_ns: u64) {
        // A used entry that breaks a rule was not received, and later entries are not trusted.
        let ready = if self.common.distrusted { Ok(0) } else { self.common.ring.look() };
        let mut ready = ready.unwrap_or(0);
        while let Next::Frame(frame, _) = self.next_frame(&mut ready) {
            let counters = &mut self.common.counters;
            counters.add(Counter::Packets, 1);
            counters.add(Counter::Bytes, (frame.bytes - HDR_BYTES).into());
            counters.lose(reason);
            self.common.capture(Point::Dropped(reason), now_ns, Some(&self.pool), &frame);
            self.pool.give_frame(&frame);
        }
        self.drop_held(reason, now_ns);
        let pool = &self.pool;
        self.common.ring.drain(|token| {
            if let Some(buffer) = buffer_of(token) {
                pool.give(buffer);
            }
        });
        if self.common.panicked {
            // The ring is empty and no frame is being worked on, so no buffer is in use.
            self.pool.free_taken();
            if let Some(pool) = &self.hold_pool {
                pool.free_taken();
            }
        }
        self.common.publish_counters();
    }

    /// Loses all held frames for `reason`.
    pub(super) fn drop_held(&mut self, reason: DropReason, now_ns: u64) {
        while let Some(frame) = self.held.pop() {
            self.common.counters.lose(reason);
            let pool = lender(&self.pool, self.hold_pool.as_ref(), &frame);
            self.common.capture(Point::Dropped(reason), now_ns, Some(pool), &frame);
            pool.settle(&frame);
        }
        self.count_held();
    }

    /// Sets the gauge of held frames.
    pub(super) fn count_held(&mut self) {
        self.common.counters.set(Counter::Held, self.held.count().into());
    }
}

/// The pool that a frame of a receive queue lies in: that of its buffers, or of held frames.
pub(super) fn lender<'a>(own: &'a Pool, held: Option<&'a Arc<Pool>>, frame: &Frame) -> &'a Pool {
    held.map(|pool| &**pool).filter(|pool| pool.slot() == frame.pool).unwrap_or(own)
}

fn buffer_of(token: u64) -> Option<u32> {
    u32::try_from(token.checked_sub(1)?).ok()
}

impl Core {
    /// Receives a burst; `true` if anything moved.
    pub(super) fn visit_rx(&mut self, tx: &mut Slots<TxQueue>, queue: &mut RxQueue) -> bool {
        if queue.common.stopped.is_some() || queue.common.parked {
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
            Err(rule) => {
                self.break_queue(&mut queue.common, rule.into());
                queue.common.publish_counters();
                return true;
            }
        };
        if queue.action.is_timed() {
            // All of the burst came before now, so none is on the wire for less than its time.
            self.now_ns = self.mesh.statistics[usize::from(self.id.0)].now_ns();
        }
        for _ in 0..FRAMES {
            match queue.next_frame(&mut ready) {
                Next::Frame(frame, hdr) => self.decide(tx, queue, frame, &hdr),
                Next::Nothing => break,
                Next::Broken(reason) => {
                    self.break_queue(&mut queue.common, reason);
                    break;
                }
            }
        }
        self.flush(tx);
        if queue.common.stopped.is_none() {
            queue.refill();
        }
        queue.common.counters.add(Counter::Bursts, 1);
        queue.common.publish_counters();
        true
    }
}
