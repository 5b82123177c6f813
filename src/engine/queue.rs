//! The poller's side of one queue.

use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::Epoll;

use super::QueueKey;
use crate::action::{Action, FrameBytes, PeerKey};
use crate::counters::{Counter, DropReason, QueueCounters};
use crate::device::{Frame, Pool, QueueDevice, QueueMemory, Wait};
use crate::frame::{HEAD_BYTES, NetHdr, check, needs_head};
use crate::ring::{BrokenReason, DriverRing, MAX_SEGMENTS, Segment};
use crate::units::{Kind, SwIfIndex};

/// Bytes of the virtio header in front of every frame.
pub(super) const HDR_BYTES: u32 = 12;
const _: () = assert!(HDR_BYTES as usize == NetHdr::BYTES);

/// Why a queue is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The device broke the ring's rules, or reported an error.
    Broken(BrokenReason),
    /// The host side may be gone; control is asking.
    HostSuspect,
    /// The host side is gone.
    HostGone,
    /// The interface is being deleted.
    Retired,
}

impl StopReason {
    /// As the `broken_reason` gauge.
    const fn code(self) -> u64 {
        match self {
            Self::Broken(reason) => reason as u64,
            Self::HostSuspect | Self::HostGone | Self::Retired => 0,
        }
    }
}

/// The state that both directions have.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) key: QueueKey,
    pub(super) interface: SwIfIndex,
    pub(super) kind: Kind,
    pub(super) ring: DriverRing,
    pub(super) device: Box<dyn QueueDevice>,
    pub(super) counters: QueueCounters,
    pub(super) admin_up: bool,
    pub(super) stopped: Option<StopReason>,
    /// Its device broke a rule: the ring's contents are not trusted.
    distrusted: bool,
    /// The device has signalled an error.
    pub(super) device_error: bool,
    /// On the ready list.
    pub(super) ready: bool,
    /// Loop time of the last visit that moved something, ns.
    pub(super) active_ns: u64,
    _memory: Arc<QueueMemory>,
}

impl Common {
    fn new(
        key: QueueKey,
        interface: SwIfIndex,
        kind: Kind,
        ring: DriverRing,
        device: Box<dyn QueueDevice>,
        memory: Arc<QueueMemory>,
        admin_up: bool,
    ) -> Self {
        let counters = QueueCounters::resume(memory.counters());
        Self {
            key,
            interface,
            kind,
            ring,
            device,
            counters,
            admin_up,
            stopped: None,
            distrusted: false,
            device_error: false,
            ready: false,
            active_ns: 0,
            _memory: memory,
        }
    }

    /// Stops the queue for `reason`. If several faults break it, the first stays the reason.
    pub(super) fn stop(&mut self, reason: StopReason) {
        if let StopReason::Broken(why) = reason {
            if matches!(self.stopped, Some(StopReason::Broken(_))) {
                return;
            }
            self.distrusted |= why != BrokenReason::OtherQueue;
        }
        self.stopped = Some(reason);
        self.counters.set(Counter::BrokenReason, reason.code());
    }

    /// Lets the queue run on a device that has just started, its ring emptied and as new.
    pub(super) fn start(&mut self, device: Box<dyn QueueDevice>) {
        self.device = device;
        self.stopped = None;
        self.distrusted = false;
        self.device_error = false;
        self.counters.set(Counter::BrokenReason, 0);
    }

    /// Publishes the counters with the ring's state as it is now.
    pub(super) fn publish_counters(&mut self) {
        let at = self.ring.positions();
        self.counters.set(Counter::AvailIdx, at.avail_idx.into());
        self.counters.set(Counter::UsedIdx, at.used_idx.into());
        self.counters.set(Counter::LastUsedIdx, at.last_used_idx.into());
        self.counters.set(Counter::DescInUse, at.desc_in_use.into());
        self.counters.publish();
    }

    /// Makes posted chains available and kicks when that is due.
    pub(super) fn publish_ring(&mut self) {
        if self.ring.publish() {
            self.counters.add(Counter::Kicks, 1);
            self.device.kick();
        }
    }

    /// Prepares for sleeping; [`Wait::Ready`] when there is work after all.
    pub(super) fn sleep(&mut self, epoll: &Epoll) -> Result<Wait, Errno> {
        if self.stopped.is_some() {
            return Ok(Wait::Armed);
        }
        if self.ring.arm() {
            return Ok(Wait::Ready);
        }
        self.device.sleep(epoll, super::event_key(self.key))
    }
}

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
    /// Where replies go.
    pub(super) own_tx: PeerKey,
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

impl RxQueue {
    pub(super) fn new(key: QueueKey, parts: RxParts, own_tx: PeerKey) -> Self {
        let RxParts { interface, kind, memory, ring, device, pool, credit, admin_up } = parts;
        let common = Common::new(key, interface, kind, ring, device, memory, admin_up);
        Self { common, pool, credit, action: Action::Sink, own_tx }
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
            Err(reason) => return Next::Broken(reason),
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
                Err(reason) => Err(reason),
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

    /// Takes every buffer back. Frames that were received but not processed are lost for `reason`.
    /// The device must have stopped.
    pub(super) fn abandon(&mut self, reason: DropReason) {
        // A used entry that breaks a rule was not received, and later entries are not trusted.
        let ready = if self.common.distrusted { Ok(0) } else { self.common.ring.look() };
        let mut ready = ready.unwrap_or(0);
        while let Next::Frame(frame, _) = self.next_frame(&mut ready) {
            let counters = &mut self.common.counters;
            counters.add(Counter::Packets, 1);
            counters.add(Counter::Bytes, (frame.bytes - HDR_BYTES).into());
            counters.lose(reason);
            self.pool.give_frame(&frame);
        }
        let pool = &self.pool;
        self.common.ring.drain(|token| {
            if let Some(buffer) = buffer_of(token) {
                pool.give(buffer);
            }
        });
        self.common.publish_counters();
    }
}

fn buffer_of(token: u64) -> Option<u32> {
    u32::try_from(token.checked_sub(1)?).ok()
}

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
}

/// A transmit queue.
#[derive(Debug)]
pub struct TxQueue {
    pub(super) common: Common,
    /// Something was offered since the last flush.
    pub(super) dirty: bool,
    /// It was full in this burst, and the device had used nothing.
    pub(super) stuck: bool,
}

impl TxQueue {
    pub(super) fn new(key: QueueKey, parts: TxParts) -> Self {
        let TxParts { interface, kind, memory, ring, device, admin_up } = parts;
        Self {
            common: Common::new(key, interface, kind, ring, device, memory, admin_up),
            dirty: false,
            stuck: false,
        }
    }

    /// Publishes the counters with the ring's state as it is now.
    pub(super) fn publish_counters(&mut self) {
        let in_flight = self.common.ring.in_flight();
        self.common.counters.set(Counter::InFlight, in_flight.into());
        self.common.publish_counters();
    }

    /// Decides whether the queue takes frames at all.
    pub(super) const fn accepts(&self) -> Result<(), DropReason> {
        match self.common.stopped {
            Some(StopReason::Broken(_)) => Err(DropReason::QueueBroken),
            Some(StopReason::HostGone | StopReason::HostSuspect) => Err(DropReason::NoHost),
            Some(StopReason::Retired) => Err(DropReason::AdminDown),
            None if !self.common.admin_up => Err(DropReason::AdminDown),
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
        if !needs_head(kind, &hdr) {
            return check(kind, &hdr, bytes, &[]).map(|()| hdr);
        }
        let mut head = [0; HEAD_BYTES];
        let copied = pool.copy_from(frame, NetHdr::BYTES, &mut head);
        check(kind, &hdr, bytes, &head[..copied]).map(|()| hdr)
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

    /// Takes back what the device has used, counts each frame as sent or refused, and sends its
    /// buffers `home`.
    pub(super) fn reclaim(&mut self, mut home: impl FnMut(Frame)) -> Result<(), BrokenReason> {
        let Common { ring, device, counters, .. } = &mut self.common;
        ring.look()?;
        while let Some(used) = ring.take()? {
            match device.refusal(used.head) {
                None => {
                    counters.add(Counter::Packets, 1);
                    counters.add(Counter::Bytes, u64::from(used.posted) - u64::from(HDR_BYTES));
                }
                Some(errno) => counters.lose(DropReason::from_write_errno(errno)),
            }
            home(Frame::from_token(used.token, used.posted));
        }
        Ok(())
    }

    /// Takes every frame out of the ring: those that the device used were sent, the others are lost
    /// for `reason`. The device must have stopped.
    pub(super) fn abandon(&mut self, reason: DropReason) -> Vec<Frame> {
        let mut frames = Vec::new();
        if !self.common.distrusted {
            // A used entry that breaks a rule was not sent, and later entries are not trusted.
            let _ = self.reclaim(|frame| frames.push(frame));
        }
        let Common { ring, counters, .. } = &mut self.common;
        ring.drain(|token| {
            counters.lose(reason);
            frames.push(Frame::from_token(token, 0));
        });
        counters.set(Counter::InFlight, 0);
        self.common.publish_counters();
        frames
    }
}
