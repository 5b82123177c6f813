//! One queue's counters: a local copy for the writer, a versioned group of words for readers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::group;
use super::table::{COUNTERS, Counter, DROP_REASONS, DropReason};

/// The memory of one group, wherever it lies. At least [`GROUP_WORDS`] words, zero at first.
pub type CellBlock = Arc<dyn AsRef<[AtomicU64]> + Send + Sync>;

/// Words of a group: a version, the counters, the drop reasons.
pub const GROUP_WORDS: usize = 1 + VALUES;

pub(super) const VALUES: usize = COUNTERS.len() + DROP_REASONS.len();

/// The numbers of a group, without its version.
pub(super) type Values = [u64; VALUES];

/// The writer's side of one queue's counters.
pub struct QueueCounters {
    local: Values,
    cells: CellBlock,
}

impl fmt::Debug for QueueCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueCounters").field("local", &self.local).finish_non_exhaustive()
    }
}

impl QueueCounters {
    /// Goes on from what `cells` holds: zero for a new queue, the last group for a taken-over one.
    pub fn resume(cells: CellBlock) -> Self {
        Self { local: read_group(&cells).unwrap_or([0; VALUES]), cells }
    }

    /// Adds `n`.
    pub fn add(&mut self, counter: Counter, n: u64) {
        self.local[counter.index()] += n;
    }

    /// Sets a gauge.
    pub fn set(&mut self, gauge: Counter, value: u64) {
        self.local[gauge.index()] = value;
    }

    /// Counts one lost frame.
    pub fn lose(&mut self, reason: DropReason) {
        self.local[COUNTERS.len() + reason.index()] += 1;
    }

    /// The writer's own value, published or not.
    pub fn get(&self, counter: Counter) -> u64 {
        self.local[counter.index()]
    }

    /// Lets readers see all that was counted since the last call, as one group.
    pub fn publish(&mut self) {
        group::write((*self.cells).as_ref(), &self.local);
    }
}

/// Longest that a reader waits for a writer that is off its core in the middle of a group, which is
/// some hundred stores long.
const PATIENCE: Duration = Duration::from_millis(5);

/// Reads one group whole. `None` where 5 ms met it half written: its writer waits for its core, or
/// died inside the group. The reader then goes by what it read before.
pub fn read_group(cells: &CellBlock) -> Option<Values> {
    let words: &[AtomicU64] = (**cells).as_ref();
    let begin = Instant::now();
    let mut attempts = 0_u32;
    loop {
        let mut values = [0; VALUES];
        if group::read(words, &mut values) {
            return Some(values);
        }
        attempts += 1;
        if attempts.is_multiple_of(64) {
            if begin.elapsed() > PATIENCE {
                return None;
            }
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn a_group_that_stays_half_written_is_given_up_soon() {
        let cells = block();
        (*cells).as_ref()[0].store(7, Ordering::Relaxed);
        assert_eq!(read_group(&cells), None);
        // The next owner of the queue publishes whole groups again.
        QueueCounters::resume(Arc::clone(&cells)).publish();
        assert_eq!(read_group(&cells), Some([0; VALUES]));
    }

    fn block() -> CellBlock {
        let words: Vec<AtomicU64> = (0..GROUP_WORDS).map(|_| AtomicU64::new(0)).collect();
        Arc::new(words)
    }

    #[test]
    fn a_reader_never_sees_half_a_group() {
        let cells = block();
        let theirs = Arc::clone(&cells);
        let stop = Arc::new(AtomicU64::new(0));
        let stopped = Arc::clone(&stop);
        let writer = std::thread::spawn(move || {
            let mut counters = QueueCounters::resume(theirs);
            while stopped.load(Ordering::Relaxed) == 0 {
                counters.add(Counter::Offered, 1);
                counters.add(Counter::Enqueued, 1);
                counters.publish();
                // A poller moves frames between two groups.
                for _ in 0..1_000 {
                    std::hint::spin_loop();
                }
            }
        });
        let mut last = 0;
        for _ in 0..20_000 {
            // A writer off its core for longer than a reader waits is no half group.
            let Some(group) = read_group(&cells) else { continue };
            assert_eq!(group[Counter::Offered.index()], group[Counter::Enqueued.index()]);
            assert!(group[Counter::Offered.index()] >= last);
            last = group[Counter::Offered.index()];
        }
        stop.store(1, Ordering::Relaxed);
        writer.join().unwrap();
    }

    #[test]
    fn a_taken_over_queue_goes_on_counting_where_it_stood() {
        let cells = block();
        let mut first = QueueCounters::resume(Arc::clone(&cells));
        first.add(Counter::Packets, 7);
        first.lose(DropReason::Oversize);
        first.publish();
        let second = QueueCounters::resume(cells);
        assert_eq!(second.get(Counter::Packets), 7);
    }

    #[test]
    fn every_counter_and_drop_reason_has_a_word_of_its_own_in_the_group() {
        let cells = block();
        let mut counters = QueueCounters::resume(Arc::clone(&cells));
        for (n, row) in (1..).zip(COUNTERS) {
            counters.set(row.counter, n);
            counters.add(row.counter, 100);
        }
        for (times, row) in (1..).zip(DROP_REASONS) {
            (0..times).for_each(|_| counters.lose(row.reason));
        }
        counters.publish();
        let kinds = u64::try_from(COUNTERS.len()).unwrap();
        let reasons = u64::try_from(DROP_REASONS.len()).unwrap();
        let expected: Vec<u64> = (101..=100 + kinds).chain(1..=reasons).collect();
        assert_eq!(read_group(&cells).unwrap().to_vec(), expected);
    }
}
