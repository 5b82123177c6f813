//! Emptying the queues of a stopped device, and starting them again on a new one.

use nix::errno::Errno;

use super::Poller;
use crate::counters::DropReason;
use crate::device::QueueDevice;
use crate::engine::QueueKey;

impl Poller {
    /// Empties a queue whose device has stopped. Posted buffers are free again. Frames that were
    /// received but not processed are lost, and so are frames that were not sent; their buffers
    /// return to their pools. The ring is reset; the queue stays stopped. `false` when there is no
    /// such queue.
    pub(super) fn empty(&mut self, key: QueueKey) -> bool {
        if let Some(queue) = self.rx.get(key) {
            queue.common.device.unregister(&self.epoll);
            queue.abandon(DropReason::Torn, self.core.now_ns);
            queue.common.ring.reset();
            queue.common.publish_counters();
            return true;
        }
        let Some(queue) = self.tx.get(key) else { return false };
        queue.common.device.unregister(&self.epoll);
        let frames = queue.abandon(DropReason::Torn);
        queue.common.ring.reset();
        queue.publish_counters();
        for (frame, point) in frames {
            self.core.done_with(&mut queue.common, frame, point);
        }
        true
    }

    /// The host side is gone: the frames in the queue's ring are lost. The backend has been
    /// stopped.
    pub(super) fn lose_all(&mut self, key: QueueKey) {
        if let Some(queue) = self.rx.get(key) {
            queue.abandon(DropReason::HostGone, self.core.now_ns);
        }
        let Some(queue) = self.tx.get(key) else { return };
        for (frame, point) in queue.abandon(DropReason::HostGone) {
            self.core.done_with(&mut queue.common, frame, point);
        }
    }

    /// Lets an emptied queue run on a device that has just started. None when there is no such
    /// queue; an errno when the device's files cannot be watched, and the queue stays stopped.
    pub(super) fn revive(
        &mut self,
        key: QueueKey,
        device: Box<dyn QueueDevice>,
    ) -> Option<Result<(), Errno>> {
        let Self { core, epoll, rx, tx, .. } = self;
        if let Some(queue) = rx.get(key) {
            queue.common.start(device);
            let watched = core.watch_again(epoll, &mut queue.common);
            queue.refill();
            queue.common.publish_counters();
            core.make_ready(&mut queue.common);
            core.call_soon(queue);
            return Some(watched);
        }
        let queue = tx.get(key)?;
        queue.common.start(device);
        let watched = core.watch_again(epoll, &mut queue.common);
        queue.common.ring.disarm();
        queue.publish_counters();
        Some(watched)
    }
}
