//! When actions are to be called.
//!
//! # Theory of operation
//! A busy poller compares its clock with the earliest time once a loop. Before it sleeps, it sets a
//! timer file to that time, so a time is kept within some microseconds and an idle poller without
//! timers makes no call for them. A queue is entered once for each time that it asks for; that it
//! has meanwhile gone, or wants another time, is seen when the time has come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::engine::QueueKey;

/// The times of one poller.
pub(in crate::engine) struct Timers {
    times: BinaryHeap<Reverse<(u64, u32, u32)>>,
    /// The earliest; `u64::MAX` is none.
    next_ns: u64,
    file: TimerFd,
    /// What the file was set to.
    armed_ns: u64,
}

impl Timers {
    pub(super) fn new() -> Result<Self, Errno> {
        let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
        let file = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Self { times: BinaryHeap::new(), next_ns: u64::MAX, file, armed_ns: u64::MAX })
    }

    /// Readable at the time to which it was set.
    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Has the action of this queue called at `ns` by the poller's clock.
    pub(in crate::engine) fn set(&mut self, ns: u64, key: QueueKey) {
        self.times.push(Reverse((ns, key.slot, key.generation)));
        self.next_ns = self.next_ns.min(ns);
    }

    /// The file was readable: it is set to no time any more.
    pub(super) const fn has_fired(&mut self) {
        self.armed_ns = u64::MAX;
    }

    /// Whether a time has come.
    pub(super) const fn is_due(&self, now_ns: u64) -> bool {
        self.next_ns <= now_ns
    }

    /// How many queues are entered.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }

    /// Takes out the next queue whose time has come.
    pub(super) fn pop_due(&mut self, now_ns: u64) -> Option<QueueKey> {
        let due = match self.times.peek() {
            Some(Reverse((ns, slot, generation))) if *ns <= now_ns => {
                Some(QueueKey { slot: *slot, generation: *generation })
            }
            _ => None,
        };
        if due.is_some() {
            self.times.pop();
        }
        self.next_ns = self.times.peek().map_or(u64::MAX, |Reverse((ns, ..))| *ns);
        due
    }

    /// Sets the file to the earliest time; `false` when that has come already.
    pub(super) fn arm(&mut self, now_ns: u64) -> bool {
        if self.next_ns == u64::MAX {
            return true;
        }
        let Some(rest) = self.next_ns.checked_sub(now_ns).filter(|rest| *rest > 0) else {
            return false;
        };
        if self.armed_ns != self.next_ns {
            let at = Expiration::OneShot(TimeSpec::from_duration(Duration::from_nanos(rest)));
            // A file that cannot be set would be a bug; the poller goes on without sleeping.
            if self.file.set(at, TimerSetTimeFlags::empty()).is_err() {
                return false;
            }
            self.armed_ns = self.next_ns;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(slot: u32) -> QueueKey {
        QueueKey { slot, generation: 1 }
    }

    #[test]
    fn queues_come_out_in_the_order_of_their_times_and_none_before_its_time() {
        let mut timers = Timers::new().unwrap();
        assert!(!timers.is_due(u64::MAX - 1));
        for (ns, slot) in [(30, 3), (10, 1), (20, 2)] {
            timers.set(ns, key(slot));
        }
        assert!(!timers.is_due(9) && timers.is_due(10));
        assert_eq!(timers.pop_due(9), None);
        assert_eq!(timers.pop_due(25), Some(key(1)));
        assert_eq!(timers.pop_due(25), Some(key(2)));
        assert_eq!(timers.pop_due(25), None);
        assert!(!timers.is_due(29) && timers.is_due(30));
        assert_eq!((timers.pop_due(30), timers.len()), (Some(key(3)), 0));
        assert!(!timers.is_due(u64::MAX - 1));
    }

    /// Waits until the file is readable, and reads it.
    fn fired(timers: &Timers) {
        let mut file = [nix::poll::PollFd::new(timers.file(), nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut file, nix::poll::PollTimeout::from(60_000_u16)), Ok(1));
        timers.file.wait().unwrap();
    }

    #[test]
    fn the_file_is_set_for_a_time_to_come_and_not_for_one_that_has_come() {
        let mut timers = Timers::new().unwrap();
        assert!(timers.arm(5), "there is nothing to wait for");
        timers.set(10_000_000_000_000, key(1));
        assert!(timers.arm(5) && timers.file.get().unwrap().is_some());
        timers.set(7, key(2));
        assert!(!timers.arm(7) && !timers.arm(8));
        // One that fired too early is set again.
        timers.set(6, key(3));
        assert!(timers.arm(5));
        fired(&timers);
        timers.has_fired();
        assert!(timers.file.get().unwrap().is_none());
        assert!(timers.arm(5));
        fired(&timers);
    }
}
