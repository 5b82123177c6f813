//! Statistics of a poller: how it spends its time.
//!
//! # Theory of operation
//! The poller reads its clock once a loop anyway, and adds the elapsed time to the kind of loop
//! that it was, in private memory. After a loop that moved frames, before it sleeps and when it
//! wakes, it publishes its numbers. Readers see the numbers of such a moment; while the poller
//! sleeps they also see since when.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::sync::{AtomicI32, AtomicU64, fence};

/// The kind of a loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    Busy,
    Idle,
    Asleep,
}

/// A poller's numbers since it started. The three times add up to its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PollerStatistics {
    /// Loops over the ready queues.
    pub loops: u64,
    /// Visits of queues, including those that moved no frame.
    pub visits: u64,
    /// Number of sleeps.
    pub sleeps: u64,
    /// Time in loops that moved frames, ns.
    pub busy_ns: u64,
    /// Time in loops that moved no frame, ns.
    pub spin_ns: u64,
    /// Time asleep, ns.
    pub asleep_ns: u64,
}

impl PollerStatistics {
    pub(super) fn spend(&mut self, round: Round, ns: u64) {
        match round {
            Round::Busy => self.busy_ns += ns,
            Round::Idle => self.spin_ns += ns,
            Round::Asleep => self.asleep_ns += ns,
        }
    }
}

/// The published numbers, on a cache line that no other thread writes.
#[repr(align(64))]
#[derive(Debug)]
pub(in crate::engine) struct StatisticsCells {
    numbers: [AtomicU64; 6],
    /// When it fell asleep, ns of its life, and one more; 0 while it is awake.
    asleep_since: AtomicU64,
    /// The thread's id in Linux, 0 before it runs.
    pub(in crate::engine) tid: AtomicI32,
    /// The zero of its clock.
    pub(in crate::engine) born: Instant,
}

impl StatisticsCells {
    /// The clocks of one engine's pollers have one zero, `born`.
    pub(in crate::engine) fn new(born: Instant) -> Self {
        Self {
            numbers: std::array::from_fn(|_| AtomicU64::new(0)),
            asleep_since: AtomicU64::new(0),
            tid: AtomicI32::new(0),
            born,
        }
    }

    /// The poller's clock, ns.
    pub(in crate::engine) fn now_ns(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Only the poller calls it.
    pub(in crate::engine) fn publish(
        &self,
        statistics: &PollerStatistics,
        asleep_since: Option<u64>,
    ) {
        let PollerStatistics { loops, visits, sleeps, busy_ns, spin_ns, asleep_ns } = *statistics;
        // The sleep that the numbers now hold is over before they are seen.
        self.asleep_since.store(0, Ordering::Relaxed);
        fence(Ordering::Release);
        for (cell, value) in
            self.numbers.iter().zip([loops, visits, sleeps, busy_ns, spin_ns, asleep_ns])
        {
            cell.store(value, Ordering::Relaxed);
        }
        self.asleep_since.store(asleep_since.map_or(0, |ns| ns + 1), Ordering::Release);
    }

    /// The present numbers, including the time of a sleep in progress.
    pub(in crate::engine) fn read(&self) -> PollerStatistics {
        let since = self.asleep_since.load(Ordering::Acquire);
        let [loops, visits, sleeps, busy_ns, spin_ns, mut asleep_ns] =
            self.numbers.each_ref().map(|cell| cell.load(Ordering::Relaxed));
        // Not where it woke up meanwhile: then the sleep may be among the numbers. Where one of
        // them is newer than `since`, the fences show the 0 that was stored before it.
        fence(Ordering::Acquire);
        if since > 0 && self.asleep_since.load(Ordering::Relaxed) == since {
            asleep_ns += self.now_ns().saturating_sub(since - 1);
        }
        PollerStatistics { loops, visits, sleeps, busy_ns, spin_ns, asleep_ns }
    }
}
