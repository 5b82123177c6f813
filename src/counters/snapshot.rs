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
        handed += queue.get(Counter::Segments);
        offered += queue.get(Counter::Offered);
    }
    equal("forwarded + originated + segments = offered", handed, offered)
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

    const RX: &[(Counter, u64)] = &[
        (Counter::Packets, 1000),
        (Counter::Forwarded, 700),
        (Counter::Consumed, 200),
        (Counter::Held, 30),
    ];
    const RX_LOST: &[(DropReason, u64)] =
        &[(DropReason::Oversize, 50), (DropReason::Malformed, 20)];
    const TX: &[(Counter, u64)] = &[
        (Counter::Offered, 1000),
        (Counter::Enqueued, 900),
        (Counter::Packets, 800),
        (Counter::InFlight, 60),
    ];
    // Before the ring 70 and 30, behind it 35 and 5.
    const TX_LOST: &[(DropReason, u64)] = &[
        (DropReason::AdminDown, 70),
        (DropReason::LinkDown, 30),
        (DropReason::WriteEio, 35),
        (DropReason::HostGone, 5),
    ];

    fn snapshot(
        direction: Direction,
        counters: &[(Counter, u64)],
        lost: &[(DropReason, u64)],
    ) -> QueueSnapshot {
        QueueSnapshot::from_numbers(direction, counters.iter().copied(), lost.iter().copied())
    }

    #[test]
    fn a_ledger_balances_with_every_term_and_fails_when_any_is_one_more_or_one_less() {
        for (direction, counters, lost) in
            [(Direction::Rx, RX, RX_LOST), (Direction::Tx, TX, TX_LOST)]
        {
            assert_eq!(snapshot(direction, counters, lost).check(), Ok(()));
            for step in [1, u64::MAX] {
                for at in 0..counters.len() {
                    let mut counters = counters.to_vec();
                    counters[at].1 = counters[at].1.wrapping_add(step);
                    let wrong = snapshot(direction, &counters, lost);
                    assert!(wrong.check().is_err(), "{:?}", counters[at]);
                }
                for at in 0..lost.len() {
                    let mut lost = lost.to_vec();
                    lost[at].1 = lost[at].1.wrapping_add(step);
                    let wrong = snapshot(direction, counters, &lost);
                    assert!(wrong.check().is_err(), "{:?}", lost[at]);
                }
            }
        }
        let wrong = snapshot(Direction::Rx, &RX[..3], RX_LOST).check().unwrap_err();
        assert!(wrong.to_string().ends_with("drops + held: 1000 is not 970"), "{wrong}");
    }

    #[test]
    fn the_reasons_that_lost_frames_are_listed_in_order_and_no_others() {
        let tx = snapshot(Direction::Tx, TX, TX_LOST);
        let listed: Vec<_> = tx.drops().collect();
        let mut expected = TX_LOST.to_vec();
        expected.sort_by_key(|(reason, _)| reason.index());
        assert_eq!((listed, tx.lost_in_all()), (expected, 140));
        assert_eq!((tx.lost(DropReason::WriteEio), tx.lost(DropReason::Torn)), (35, 0));
        assert_eq!((tx.lost_where(false), tx.lost_where(true)), (100, 40));
    }

    #[test]
    fn at_rest_what_was_forwarded_and_originated_by_all_queues_is_what_was_offered_to_all() {
        let rx = |forwarded| {
            let counters = [(Counter::Packets, forwarded), (Counter::Forwarded, forwarded)];
            snapshot(Direction::Rx, &counters, &[])
        };
        let tx = |offered, originated| {
            let counters = [
                (Counter::Offered, offered),
                (Counter::Originated, originated),
                (Counter::Enqueued, offered),
                (Counter::Packets, offered),
            ];
            snapshot(Direction::Tx, &counters, &[])
        };
        assert_eq!(check_at_rest(&[rx(7), tx(10, 4), rx(5), tx(9, 3)]), Ok(()));
        for wrong in [
            [rx(8), tx(10, 4), rx(5), tx(9, 3)],
            [rx(7), tx(10, 4), rx(4), tx(9, 3)],
            [rx(7), tx(10, 4), rx(5), tx(9, 4)],
            [rx(7), tx(11, 4), rx(5), tx(9, 3)],
        ] {
            assert!(check_at_rest(&wrong).is_err());
        }
    }
}
