//! Emptying the queues of a stopped device, and starting them again on a new one.

use nix::errno::Errno;

use super::QueueKey;
use super::poller::{Poller, take_slot};
use crate::counters::DropReason;
use crate::device::QueueDevice;

impl Poller {
    /// Empties a queue whose device has stopped. Posted buffers are free again. Frames that were
    /// received but not processed are lost, and so are frames that were not sent; their buffers
    /// return to their pools. The ring is reset; the queue stays stopped. `false` when there is no
    /// such queue.
    pub(super) fn empty(&mut self, key: QueueKey) -> bool {
        if let Some(mut queue) = take_slot(&mut self.rx, key) {
            queue.common.device.unregister(&self.epoll);
            queue.abandon(DropReason::Torn);
            queue.common.ring.reset();
            queue.common.publish_counters();
            self.rx[key.slot as usize] = Some(queue);
            return true;
        }
        let Some(mut queue) = take_slot(&mut self.tx, key) else { return false };
        queue.common.device.unregister(&self.epoll);
        let frames = queue.abandon(DropReason::Torn);
        queue.common.ring.reset();
        queue.publish_counters();
        self.tx[key.slot as usize] = Some(queue);
        for frame in frames {
            self.release(&frame);
        }
        true
    }

    /// Lets an emptied queue run on a device that has just started. None when there is no such
    /// queue; an errno when the device's files cannot be watched, and the queue stays stopped.
    pub(super) fn revive(
        &mut self,
        key: QueueKey,
        device: Box<dyn QueueDevice>,
    ) -> Option<Result<(), Errno>> {
        if let Some(mut queue) = take_slot(&mut self.rx, key) {
            queue.common.start(device);
            let watched = self.watch_again(&mut queue.common);
            queue.refill();
            queue.common.publish_counters();
            self.rx[key.slot as usize] = Some(queue);
            self.wake(key);
            return Some(watched);
        }
        let mut queue = take_slot(&mut self.tx, key)?;
        queue.common.start(device);
        let watched = self.watch_again(&mut queue.common);
        queue.common.ring.disarm();
        queue.publish_counters();
        self.tx[key.slot as usize] = Some(queue);
        Some(watched)
    }
}
