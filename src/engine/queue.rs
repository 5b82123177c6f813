//! What the poller's sides of receive and transmit queues have in common.

use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::Epoll;

use super::QueueKey;
use super::capture::{Capture, Point};
use crate::counters::{BrokenReason, Counter, QueueCounters};
use crate::device::{Frame, Pool, QueueDevice, QueueMemory, Wait};
use crate::frame::NetHdr;
use crate::ring::DriverRing;
use crate::units::{Kind, RxMode, SwIfIndex};

/// How long a queue that moves nothing is visited before it sleeps. A wake-up across cores costs
/// 20 to 40 µs, so shorter pauses are cheaper to sit out.
pub(super) const SPIN_NS: u64 = 50_000;

/// The same for a receive queue of this mode.
pub(super) const fn spin_ns(mode: RxMode) -> u64 {
    match mode {
        RxMode::Polling => u64::MAX,
        RxMode::Interrupt => 0,
        RxMode::Adaptive => SPIN_NS,
    }
}

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
    pub(super) distrusted: bool,
    /// The device has signalled an error.
    pub(super) device_error: bool,
    /// The poller panicked while it worked on it: buffers may be in no list.
    pub(super) panicked: bool,
    /// Where frames are copied to; none while there is no reader.
    pub(super) capture: Option<Box<Capture>>,
    /// It is about to get another poller, and is not visited.
    pub(super) parked: bool,
    /// How long it is visited while it moves nothing, before it sleeps.
    pub(super) spin_ns: u64,
    /// On the ready list.
    pub(super) ready: bool,
    /// Loop time of the last visit that moved something, ns.
    pub(super) active_ns: u64,
    _memory: Arc<QueueMemory>,
}

impl Common {
    pub(super) fn new(
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
            panicked: false,
            capture: None,
            parked: false,
            spin_ns: SPIN_NS,
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
        self.panicked = false;
        self.counters.set(Counter::BrokenReason, 0);
    }

    /// Copies a frame for the readers of this point. One branch while there is none.
    pub(super) fn capture(&mut self, point: Point, at_ns: u64, pool: Option<&Pool>, frame: &Frame) {
        if let (Some(capture), Some(pool)) = (&mut self.capture, pool) {
            capture.record(point, self.interface, at_ns, pool, frame);
        }
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
