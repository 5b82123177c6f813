//! After a panic on the poller's thread.
//!
//! # Theory of operation
//! A panic is our bug, wherever it is; it must not stop the wires that it is not about. The loop
//! notes what it works on ([`Touched`]), at most one queue of each direction. These are stopped as
//! broken ([`BrokenReason::PollerPanicked`]): their rings are made whole as after a kill between two
//! stores, and the frame that was on its way is counted as lost. All others go on, on the same
//! thread. Setting the interface up again empties the rings, which also frees the buffers that were
//! in no list, and starts them anew. A panic that touched no queue was a command's, whose sender
//! hears of it; several such in a row are no accident, so all queues are stopped, and at last the
//! thread ends.

use super::Poller;
use super::core::Touched;
use crate::counters::{BrokenReason, Counter, DropReason};
use crate::engine::QueueKey;
use crate::engine::queue::{Common, StopReason};

/// Panics in a row that touch no queue, until all queues are stopped.
const ALL_STOP: u32 = 8;
/// And until the thread ends.
const THREAD_ENDS: u32 = 64;

impl Common {
    /// Stops it as broken. Its ring is made whole.
    fn panicked(&mut self) {
        self.stop(StopReason::Broken(BrokenReason::PollerPanicked));
        self.panicked = true;
        self.ready = false;
        // A ring that cannot be made whole is reset when it is emptied.
        let _ = self.ring.recover();
    }
}

impl Poller {
    /// Takes out of use what is no longer whole; `false` when nothing is to be relied on.
    pub(super) fn recover(&mut self) -> bool {
        let touched = std::mem::take(&mut self.core.touched);
        let keys = [touched.visited, touched.tx];
        if keys.iter().flatten().any(|key| self.common(*key).is_some()) {
            self.panics = 0;
            self.recover_frame(&touched);
            self.break_touched(&keys);
            return true;
        }
        self.panics += 1;
        if self.panics >= ALL_STOP {
            let rx = self.rx.iter_mut().map(|queue| queue.common.key);
            let tx = self.tx.iter_mut().map(|queue| queue.common.key);
            let all: Vec<_> = rx.chain(tx).map(Some).collect();
            self.break_touched(&all);
        }
        self.panics < THREAD_ENDS
    }

    /// Counts the frame that was on its way, and sends its buffers home unless a ring has it.
    fn recover_frame(&mut self, touched: &Touched) {
        self.core.output.clear();
        let mut outcome = Err(DropReason::Torn);
        if let (Some((frame, originated)), Some(key)) = (touched.offered, touched.tx)
            && let Some(queue) = self.tx.get(key)
        {
            let _ = queue.common.ring.recover();
            let is_posted = queue.common.ring.tokens().any(|token| token == frame.token());
            queue.count_offer(originated && !touched.in_parts, Ok(()));
            queue.common.counters.add(Counter::Segments, u64::from(touched.in_parts));
            if !is_posted {
                // As if it had been in the ring: the reason is one of frames that were.
                queue.common.counters.lose(DropReason::Torn);
            }
            outcome = Ok(if originated { Counter::Consumed } else { Counter::Forwarded });
            if !is_posted {
                self.core.release(&frame);
            }
        }
        if let Some(frame) = touched.flooded {
            self.core.release(&frame);
        }
        if touched.deciding
            && let Some(queue) = touched.visited.and_then(|key| self.rx.get(key))
        {
            match outcome {
                Ok(counter) => queue.common.counters.add(counter, 1),
                Err(reason) => queue.common.counters.lose(reason),
            }
        }
    }

    /// Stops these queues as broken, and tells control.
    fn break_touched(&mut self, keys: &[Option<QueueKey>]) {
        for key in keys.iter().flatten() {
            if let Some(queue) = self.rx.get(*key) {
                queue.common.panicked();
                queue.count_held();
                queue.common.publish_counters();
                self.core.tell_broken(&queue.common, BrokenReason::PollerPanicked);
            } else if let Some(queue) = self.tx.get(*key) {
                if let Some((frame, counted)) = queue.taken.take() {
                    if !counted {
                        queue.common.counters.lose(DropReason::Torn);
                    }
                    self.core.release(&frame);
                }
                queue.common.panicked();
                queue.publish_counters();
                self.core.tell_broken(&queue.common, BrokenReason::PollerPanicked);
            }
        }
    }
}
