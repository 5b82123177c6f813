//! Immutable copies of a queue's counters, the difference of two, and the ledger check.

use std::fmt;

use super::Direction;
use super::cells::{CellBlock, VALUES, Values, read_group};
use super::table::{COUNTERS, Counter, DROP_REASONS, DropReason, Unit};

/// One queue's counters at one moment, all from the same published group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueSnapshot {
    direction: Direction,
    values: Values,
}

/// A ledger that does not balance: which equation, and both sides of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imbalance {
    /// The equation.
    pub rule: &'static str,
    /// Its left side.
    pub left: u64,
    /// Its right side.
    pub right: u64,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not {}", self.rule, self.left, self.right)
    }
}

fn equal(rule: &'static str, left: u64, right: u64) -> Result<(), Imbalance> {
    if left == right { Ok(()) } else { Err(Imbalance { rule, left, right }) }
}

impl QueueSnapshot {
    /// Reads the group that was published last. Where its writer is in the middle of one for longer
    /// than [`read_group`] waits, zeros.
    pub fn read(direction: Direction, cells: &CellBlock) -> Self {
        Self::try_read(direction, cells).unwrap_or_else(|| Self::zero(direction))
    }

    /// Reads the group that was published last; none where [`read_group`] gave up.
    pub fn try_read(direction: Direction, cells: &CellBlock) -> Option<Self> {
        read_group(cells).map(|values| Self { direction, values })
    }

    /// A snapshot with nothing counted, the baseline of a new queue.
    pub const fn zero(direction: Direction) -> Self {
        Self { direction, values: [0; VALUES] }
    }

    /// A snapshot from numbers that were read elsewhere; what is not named is zero.
    pub fn from_numbers(
        direction: Direction,
        counters: impl IntoIterator<Item = (Counter, u64)>,
        drops: impl IntoIterator<Item = (DropReason, u64)>,
    ) -> Self {
        let mut values = [0; VALUES];
        for (counter, value) in counters {
            values[counter.index()] = value;
        }
        for (reason, value) in drops {
            values[COUNTERS.len() + reason.index()] = value;
        }
        Self { direction, values }
    }

    /// Which way the queue carries frames.
    pub const fn direction(&self) -> Direction {
        self.direction
    }

    /// One counter.
    pub const fn get(&self, counter: Counter) -> u64 {
        self.values[counter.index()]
    }

    /// Frames lost for one reason.
    pub const fn lost(&self, reason: DropReason) -> u64 {
        self.values[COUNTERS.len() + reason.index()]
    }

    /// The reasons that lost frames here, with their counts, in table order.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DROP_REASONS.iter().map(|row| (row.reason, self.lost(row.reason))).filter(|(_, n)| *n > 0)
    }

    /// All lost frames.
    pub fn lost_in_all(&self) -> u64 {
        self.drops().map(|(_, n)| n).sum()
    }

    fn lost_where(&self, after_enqueue: bool) -> u64 {
        self.drops().filter(|(r, _)| r.row().after_enqueue == after_enqueue).map(|(_, n)| n).sum()
    }

    /// What was counted since `baseline`. Gauges stay as they are now. Frames that were held or
    /// in flight at the baseline count as received or enqueued after it, so the ledger of the
    /// difference balances too.
    #[must_use]
    pub fn since(&self, baseline: &Self) -> Self {
        let mut values = self.values;
        for (i, value) in values.iter_mut().enumerate() {
            if COUNTERS.get(i).is_some_and(|row| row.unit == Unit::Gauge) {
                continue;
            }
            *value = value.wrapping_sub(baseline.values[i]);
        }
        let mut carry = |gauge: Counter, into: &[Counter]| {
            for counter in into {
                let v = &mut values[counter.index()];
                *v = v.wrapping_add(baseline.get(gauge));
            }
        };
        match self.direction {
            Direction::Rx => carry(Counter::Held, &[Counter::Packets]),
            Direction::Tx => carry(Counter::InFlight, &[Counter::Offered, Counter::Enqueued]),
        }
        Self { direction: self.direction, values }
    }

    /// Checks the queue's ledger, which holds in every snapshot.
    ///
    /// # Errors
    /// The first equation that does not hold.
    pub fn check(&self) -> Result<(), Imbalance> {
        match self.direction {
            Direction::Rx => equal(
                "received + copies = forwarded + consumed + drops + held",
                self.get(Counter::Packets) + self.get(Counter::Copies),
                self.get(Counter::Forwarded)
                    + self.get(Counter::Consumed)
                    + self.lost_in_all()
                    + self.get(Counter::Held),
            ),
            Direction::Tx => {
                equal(
                    "offered = enqueued + drops before enqueue",
                    self.get(Counter::Offered),
                    self.get(Counter::Enqueued) + self.lost_where(false),
                )?;
                equal(
                    "enqueued = sent + drops after enqueue + in_flight",
                    self.get(Counter::Enqueued),
                    self.get(Counter::Packets)
                        + self.lost_where(true)
                        + self.get(Counter::InFlight),
                )
            }
        }
    }
}

/// Checks the ledger of all queues of a process at rest: each queue's own, nothing held or in
/// flight, and what was forwarded and originated is what was offered.
///
/// # Errors
/// The first equation that does not hold.
pub fn check_at_rest<'a>(
    queues: impl IntoIterator<Item = &'a QueueSnapshot>,
) -> Result<(), Imbalance> {
    let (mut handed, mut offered) = (0, 0);
    for queue in queues {
        queue.check()?;
        equal("held = 0 at rest", queue.get(Counter::Held), 0)?;
        equal("in_flight = 0 at rest", queue.get(Counter::InFlight), 0)?;
        handed += queue.get(Counter::Forwarded) + queue.get(Counter::Originated);
        offered += queue.get(Counter::Offered);
    }
    equal("forwarded + originated = offered", handed, offered)
}

#[cfg(test)]
mod tests {
    use super::super::cells::{GROUP_WORDS, QueueCounters};
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    fn queue() -> (QueueCounters, CellBlock) {
        let words: Vec<AtomicU64> = (0..GROUP_WORDS).map(|_| AtomicU64::new(0)).collect();
        let cells: CellBlock = Arc::new(words);
        (QueueCounters::resume(Arc::clone(&cells)), cells)
    }

    #[test]
    fn a_frame_that_is_neither_sent_nor_dropped_nor_in_flight_fails_the_ledger() {
        let (mut counters, cells) = queue();
        counters.add(Counter::Offered, 2);
        counters.add(Counter::Enqueued, 2);
        counters.add(Counter::Packets, 1);
        counters.publish();
        assert!(QueueSnapshot::read(Direction::Tx, &cells).check().is_err());
        counters.set(Counter::InFlight, 1);
        counters.publish();
        let now = QueueSnapshot::read(Direction::Tx, &cells);
        assert_eq!(now.check(), Ok(()));
        assert!(check_at_rest([&now]).is_err());
    }

    #[test]
    fn clear_is_a_baseline_and_its_ledger_balances_with_frames_in_flight() {
        let (mut counters, cells) = queue();
        counters.add(Counter::Offered, 5);
        counters.add(Counter::Enqueued, 5);
        counters.add(Counter::Packets, 3);
        counters.set(Counter::InFlight, 2);
        counters.publish();
        let baseline = QueueSnapshot::read(Direction::Tx, &cells);
        counters.add(Counter::Packets, 2);
        counters.set(Counter::InFlight, 0);
        counters.publish();
        let since = QueueSnapshot::read(Direction::Tx, &cells).since(&baseline);
        assert_eq!(since.check(), Ok(()));
        assert_eq!((since.get(Counter::Packets), since.get(Counter::Enqueued)), (2, 2));
    }
}
