//! Emptying the queues of a stopped device, and starting them again on a new one.

use super::QueueKey;
use super::poller::{Poller, take_slot};
use super::queue::Common;
use crate::counters::{Counter, DropReason};
use crate::device::QueueDevice;

impl Poller {
    /// Takes everything out of a queue whose device has stopped: posted buffers are free again,
    /// frames in the ring are lost and on their way home. The ring is as new; the queue stays
    /// stopped. `false` when there is no such queue.
    pub(super) fn empty(&mut self, key: QueueKey) -> bool {
        if let Some(mut queue) = take_slot(&mut self.rx, key) {
            queue.common.device.unregister(&self.epoll);
            queue.drain();
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

    /// Lets an emptied queue run on a device that has just started. `false` when there is no such
    /// queue.
    pub(super) fn revive(&mut self, key: QueueKey, device: Box<dyn QueueDevice>) -> bool {
        if let Some(mut queue) = take_slot(&mut self.rx, key) {
            self.start(&mut queue.common, device);
            queue.refill();
            queue.common.publish_counters();
            self.rx[key.slot as usize] = Some(queue);
            self.wake(key);
            return true;
        }
        let Some(mut queue) = take_slot(&mut self.tx, key) else { return false };
        self.start(&mut queue.common, device);
        queue.common.ring.disarm();
        queue.publish_counters();
        self.tx[key.slot as usize] = Some(queue);
        true
    }

    fn start(&self, common: &mut Common, device: Box<dyn QueueDevice>) {
        common.device = device;
        common.stopped = None;
        common.device_error = false;
        common.counters.set(Counter::BrokenReason, 0);
        self.watch(common);
    }
}
