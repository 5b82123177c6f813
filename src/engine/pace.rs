//! What a poller spends its time on.
//!
//! # Theory of operation
//! The poller reads its clock once a round anyway and adds what has passed to the kind of round
//! that it was, in memory of its own. After a round that moved something, before it sleeps and when
//! it wakes it stores its numbers for readers, who meet each at some such moment. While it sleeps
//! they see since when.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Instant;

/// What a round was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    Busy,
    Idle,
    Asleep,
}

/// A poller's numbers since it started. The three times add up to its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Rounds over the ready queues.
    pub loops: u64,
    /// Visits of queues, whether anything moved or not.
    pub visits: u64,
    /// Times it fell asleep.
    pub sleeps: u64,
    /// Time in rounds that moved something, ns.
    pub busy_ns: u64,
    /// Time in rounds that moved nothing, ns.
    pub spin_ns: u64,
    /// Time asleep, ns.
    pub asleep_ns: u64,
}

impl Pace {
    pub(super) fn spend(&mut self, round: Round, ns: u64) {
        match round {
            Round::Busy => self.busy_ns += ns,
            Round::Idle => self.spin_ns += ns,
            Round::Asleep => self.asleep_ns += ns,
        }
    }
}

/// Where readers find them. On a cache line that nobody else writes.
#[repr(align(64))]
#[derive(Debug)]
pub(super) struct PaceCells {
    numbers: [AtomicU64; 6],
    /// When it fell asleep, ns of its life, and one more; 0 while it is awake.
    asleep_since: AtomicU64,
    /// The thread's id in Linux, 0 before it runs.
    pub(super) tid: AtomicI32,
    /// The zero of its clock.
    pub(super) born: Instant,
}

impl PaceCells {
    pub(super) fn new() -> Self {
        Self {
            numbers: [const { AtomicU64::new(0) }; 6],
            asleep_since: AtomicU64::new(0),
            tid: AtomicI32::new(0),
            born: Instant::now(),
        }
    }

    /// The poller's clock, ns.
    pub(super) fn now_ns(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Only the poller calls it.
    pub(super) fn publish(&self, pace: &Pace, asleep_since: Option<u64>) {
        let Pace { loops, visits, sleeps, busy_ns, spin_ns, asleep_ns } = *pace;
        for (cell, value) in
            self.numbers.iter().zip([loops, visits, sleeps, busy_ns, spin_ns, asleep_ns])
        {
            cell.store(value, Ordering::Relaxed);
        }
        self.asleep_since.store(asleep_since.map_or(0, |ns| ns + 1), Ordering::Release);
    }

    /// The numbers as they are now, the time of a sleep that lasts included.
    pub(super) fn read(&self) -> Pace {
        let since = self.asleep_since.load(Ordering::Acquire);
        let [loops, visits, sleeps, busy_ns, spin_ns, mut asleep_ns] =
            self.numbers.each_ref().map(|cell| cell.load(Ordering::Relaxed));
        // Not where it woke up meanwhile: then the sleep may be among the numbers.
        if since > 0 && self.asleep_since.load(Ordering::Acquire) == since {
            asleep_ns += self.now_ns().saturating_sub(since - 1);
        }
        Pace { loops, visits, sleeps, busy_ns, spin_ns, asleep_ns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_that_lasts_is_counted_and_one_that_is_over_is_not_counted_twice() {
        let cells = PaceCells::new();
        let mut pace = Pace { loops: 3, ..Pace::default() };
        pace.spend(Round::Busy, 5);
        pace.spend(Round::Idle, 7);
        cells.publish(&pace, Some(0));
        let first = cells.read();
        let second = cells.read();
        assert!(first.asleep_ns > 0 && second.asleep_ns >= first.asleep_ns);
        assert_eq!((first.loops, first.busy_ns, first.spin_ns), (3, 5, 7));
        pace.spend(Round::Asleep, 100);
        cells.publish(&pace, None);
        assert_eq!(cells.read(), pace);
    }
}
