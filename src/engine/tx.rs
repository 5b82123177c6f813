//! A transmit queue, and what is done with one: offered to, flushed, its device run.

use std::sync::Arc;

use super::Event;
use super::QueueKey;
use super::capture::Point;
use super::poller::{Core, Queue, Slots};
use super::queue::{Common, HDR_BYTES, StopReason};
use crate::counters::{BrokenReason, Counter, DropReason};
use crate::device::{Frame, Pool, QueueDevice, QueueMemory};
use crate::frame::{HEAD_BYTES, NetHdr, check, check_up_to, mtu, needs_head};
use crate::ring::{DriverRing, MAX_SEGMENTS, Segment};
use crate::units::{Kind, Mtus, SwIfIndex};

/// What a transmit queue is made of.
#[derive(Debug)]
pub struct TxParts {
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
    /// Set up.
    pub admin_up: bool,
    /// The host side is up.
    pub link_up: bool,
    /// MTUs of our side.
    pub mtus: Mtus,
}

/// A transmit queue.
#[derive(Debug)]
pub struct TxQueue {
    pub(super) common: Common,
    /// Something was offered since the last flush.
    pub(super) dirty: bool,
    /// It was full in this burst, and the device had used nothing.
    pub(super) stuck: bool,
    /// A frame taken out of the ring whose buffers are not home yet, and whether it was counted.
    pub(super) taken: Option<(Frame, bool)>,
    /// The host side is up.
    pub(super) link_up: bool,
    /// Where it makes the frames that it sends for large ones and for those with partial checksums;
    /// none where the host takes them.
    pub(super) segments: Option<Arc<Pool>>,
    mtus: Mtus,
    /// Bytes of the longest frame that needs no look at `mtus`.
    surely_fits: u32,
}

impl Queue for TxQueue {
    fn common(&self) -> &Common {
        &self.common
    }

    fn common_mut(&mut self) -> &mut Common {
        &mut self.common
    }
}

impl TxQueue {
    pub(super) fn new(key: QueueKey, parts: TxParts) -> Self {
        let TxParts { interface, kind, memory, ring, device, admin_up, link_up, mtus } = parts;
        Self {
            common: Common::new(key, interface, kind, ring, device, memory, admin_up),
            dirty: false,
            stuck: false,
            taken: None,
            link_up,
            segments: None,
            mtus,
            surely_fits: mtu::surely_fits(&mtus, kind),
        }
    }

    /// Sends frames that fit these MTUs, from now on.
    pub(super) fn set_mtus(&mut self, mtus: Mtus) {
        (self.mtus, self.surely_fits) = (mtus, mtu::surely_fits(&mtus, self.common.kind));
    }

    /// Publishes the counters with the ring's state as it is now.
    pub(super) fn publish_counters(&mut self) {
        let in_flight = self.common.ring.in_flight();
        self.common.counters.set(Counter::InFlight, in_flight.into());
        self.common.publish_counters();
    }

    /// Counts a frame that was offered, and what became of it.
    pub(super) fn count_offer(&mut self, originated: bool, posted: Result<(), DropReason>) {
        let counters = &mut self.common.counters;
        counters.add(Counter::Offered, 1);
        counters.add(Counter::Originated, u64::from(originated));
        match posted {
            Ok(()) => counters.add(Counter::Enqueued, 1),
            Err(reason) => counters.lose(reason),
        }
    }

    /// Decides whether the queue takes frames at all.
    pub(super) const fn accepts(&self) -> Result<(), DropReason> {
        match self.common.stopped {
            Some(StopReason::Broken(_)) => Err(DropReason::QueueBroken),
            Some(StopReason::HostGone | StopReason::HostSuspect) => Err(DropReason::NoHost),
            Some(StopReason::Retired) => Err(DropReason::AdminDown),
            None if !self.common.admin_up => Err(DropReason::AdminDown),
            // vhost-net would report the frame as used all the same.
            None if !self.link_up => Err(DropReason::LinkDown),
            None => Ok(()),
        }
    }

    /// Decides whether a frame may be shown to the backend, and with which header: the one that was
    /// checked, which [`TxQueue::post`] stores again.
    pub(super) fn admit(&self, pool: &Pool, frame: &Frame) -> Result<NetHdr, DropReason> {
        self.accepts()?;
        let mut hdr = [0; NetHdr::BYTES];
        if pool.copy_from(frame, 0, &mut hdr) < NetHdr::BYTES {
            return Err(DropReason::ShortFrame);
        }
        let (kind, hdr) = (self.common.kind, NetHdr::from_bytes(&hdr));
        // The header's bytes are in front of every frame that got here.
        let bytes = frame.bytes - HDR_BYTES;
        let checked = if needs_head(kind, &hdr) {
            let mut head = [0; HEAD_BYTES];
            let copied = pool.copy_from(frame, NetHdr::BYTES, &mut head);
            check_up_to(self.surely_fits, kind, &hdr, bytes, &head[..copied])
        } else {
            check_up_to(self.surely_fits, kind, &hdr, bytes, &[])
        };
        match checked {
            Err(DropReason::Oversize) => self.admit_long(pool, frame, &hdr)?,
            checked => checked?,
        }
        Ok(hdr)
    }

    /// Decides about a frame that is longer than what fits in any case.
    #[cold]
    fn admit_long(&self, pool: &Pool, frame: &Frame, hdr: &NetHdr) -> Result<(), DropReason> {
        let (kind, bytes) = (self.common.kind, frame.bytes - HDR_BYTES);
        let mut head = [0; HEAD_BYTES];
        let copied = pool.copy_from(frame, NetHdr::BYTES, &mut head);
        check(kind, hdr, bytes, &head[..copied])?;
        match mtu::fits(&self.mtus, kind, hdr, bytes, &head[..copied]) {
            true => Ok(()),
            false => Err(DropReason::MtuExceeded),
        }
    }

    /// Posts a frame with the header with which it was admitted. [`DropReason::NoFreeTxSlots`] when
    /// the ring is full.
    pub(super) fn post(
        &mut self,
        pool: &Pool,
        frame: &Frame,
        admitted: &NetHdr,
    ) -> Result<(), DropReason> {
        // A transmitted frame's num_buffers is zero ([VIRTIO-1.3 §5.1.6.2]).
        let hdr = NetHdr { num_buffers: 0, ..*admitted };
        pool.patch(frame, 0, &hdr.to_bytes());
        let ring = &mut self.common.ring;
        let posted = if frame.buffers == 1 {
            let whole = Segment { len: frame.bytes, ..pool.segment(frame.head) };
            ring.post(&[whole], frame.token())
        } else {
            let mut segments = [Segment { addr: 0, len: 0 }; MAX_SEGMENTS];
            let n = pool.segments(frame, &mut segments);
            ring.post(&segments[..n], frame.token())
        };
        posted.map_err(|_| DropReason::NoFreeTxSlots)
    }

    /// Takes back what the device has used, counts each frame as sent or refused, and gives each to
    /// `home` to send its buffers there.
    pub(super) fn reclaim(
        &mut self,
        mut home: impl FnMut(&mut Common, Frame, Point),
    ) -> Result<(), BrokenReason> {
        self.common.ring.look()?;
        while let Some(used) = self.common.ring.take()? {
            let frame = Frame::from_token(used.token, used.posted);
            self.taken = Some((frame, false));
            let Common { device, counters, .. } = &mut self.common;
            let point = match device.refusal(used.head) {
                None => {
                    counters.add(Counter::Packets, 1);
                    counters.add(Counter::Bytes, u64::from(used.posted) - u64::from(HDR_BYTES));
                    Point::Sent
                }
                Some(errno) => {
                    let reason = DropReason::from_write_errno(errno);
                    counters.lose(reason);
                    Point::Dropped(reason)
                }
            };
            self.taken = Some((frame, true));
            home(&mut self.common, frame, point);
            self.taken = None;
        }
        Ok(())
    }

    /// Takes every frame out of the ring, and says where each is: those that the device used were
    /// sent or refused, the others are lost for `reason`. The device must have stopped.
    pub(super) fn abandon(&mut self, reason: DropReason) -> Vec<(Frame, Point)> {
        let mut frames = Vec::new();
        if !self.common.distrusted {
            // A used entry that breaks a rule was not sent, and later entries are not trusted.
            let _ = self.reclaim(|_, frame, point| frames.push((frame, point)));
        }
        let Common { ring, counters, panicked, .. } = &mut self.common;
        if let (Some(pool), true) = (&self.segments, *panicked) {
            // What was being made there is in no ring.
            pool.free_taken();
        }
        ring.drain(|token| {
            counters.lose(reason);
            frames.push((Frame::from_token(token, 0), Point::Dropped(reason)));
        });
        counters.set(Counter::InFlight, 0);
        self.common.publish_counters();
        frames
    }
}

impl Core {
    /// Offers a frame to a transmit queue of this poller. A frame that the queue refuses is
    /// released.
    ///
    /// # Errors
    /// There is no such queue; the frame is the caller's.
    pub(super) fn offer(
        &mut self,
        tx: &mut Slots<TxQueue>,
        to: QueueKey,
        frame: Frame,
        originated: bool,
    ) -> Result<(), DropReason> {
        let Some(queue) = tx.get(to) else { return Err(DropReason::PeerGone) };
        self.touched.tx = Some(to);
        self.touched.offered = Some((frame, originated));
        let admitted = match self.pool(frame.pool) {
            Some(pool) => queue.admit(pool, &frame),
            None => Err(DropReason::PeerGone),
        };
        if let (Ok(hdr), Some(own)) = (&admitted, &queue.segments)
            && (hdr.is_gso() || hdr.needs_csum())
        {
            let own = Arc::clone(own);
            let made = self.offer_whole(queue, &own, (&frame, hdr, originated));
            self.touched.offered = None;
            self.touched.in_parts = false;
            self.touched.tx = None;
            match made {
                Ok(()) => self.release(&frame),
                Err(reason) => {
                    queue.count_offer(originated, Err(reason));
                    self.done_with(&mut queue.common, frame, Point::Dropped(reason));
                }
            }
            self.make_dirty(queue);
            return Ok(());
        }
        let post = |queue: &mut TxQueue, pool: Option<&Pool>| match (admitted, pool) {
            (Ok(hdr), Some(pool)) => queue.accepts().and_then(|()| queue.post(pool, &frame, &hdr)),
            (Err(reason), _) => Err(reason),
            (Ok(_), None) => Err(DropReason::PeerGone),
        };
        if admitted.is_ok() {
            queue.common.capture(Point::Offered, self.now_ns, self.pool(frame.pool), &frame);
        }
        let mut posted = post(queue, self.pool(frame.pool));
        if posted == Err(DropReason::NoFreeTxSlots) && !queue.stuck {
            // Show the device what it has, take back what it used, and try once more; if that was
            // nothing, not again before the next burst.
            queue.stuck = !self.run_device(queue);
            posted = post(queue, self.pool(frame.pool));
        }
        self.touched.offered = None;
        self.touched.tx = None;
        queue.count_offer(originated, posted);
        if let Err(reason) = posted {
            self.done_with(&mut queue.common, frame, Point::Dropped(reason));
        }
        self.make_dirty(queue);
        Ok(())
    }

    /// Has a queue flushed at the end of the burst.
    fn make_dirty(&mut self, queue: &mut TxQueue) {
        if !queue.dirty {
            queue.dirty = true;
            self.dirty.push(queue.common.key);
        }
    }

    /// Returns a frame that a transmit queue has done with to its pool.
    pub(super) fn done_with(&mut self, common: &mut Common, frame: Frame, point: Point) {
        common.capture(point, self.now_ns, self.pool(frame.pool), &frame);
        self.release(&frame);
    }

    /// Shows the devices of all touched transmit queues what was posted, once per burst.
    pub(super) fn flush(&mut self, tx: &mut Slots<TxQueue>) {
        while let Some(key) = self.dirty.pop() {
            if let Some(queue) = tx.get(key) {
                self.flush_one(queue);
            }
        }
    }

    fn flush_one(&mut self, queue: &mut TxQueue) {
        self.touched.tx = Some(queue.common.key);
        queue.dirty = false;
        queue.stuck = false;
        queue.common.counters.add(Counter::Bursts, 1);
        self.run_device(queue);
        queue.publish_counters();
        if queue.common.ring.in_flight() > 0 && !queue.common.ready {
            self.make_ready(&mut queue.common);
        }
        self.touched.tx = None;
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
        let outcome = queue.reclaim(|common, frame, point| {
            moved = true;
            self.done_with(common, frame, point);
        });
        if let Err(reason) = outcome {
            self.break_queue(&mut queue.common, reason);
            moved = true;
        }
        moved
    }
}
