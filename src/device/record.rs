//! Where everything lies: a record per queue behind the header of the private file, so that rings,
//! buffers and counters can be found again from the two files alone.

use std::sync::atomic::{AtomicU64, Ordering};

use super::header::{self, RECORDS};
use super::pool::BufferClass;
use crate::counters::Direction;
use crate::ring::{MemoryMap, OutOfRange, RingLayout, ShadowLayout};
use crate::units::{QueueIndex, RingSize, SwIfIndex};

/// Where one queue lies. Offsets in bytes: `ring` and `buffers` in the shared file, the others in
/// the private one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueRecord {
    /// The interface.
    pub interface: SwIfIndex,
    /// Direction.
    pub direction: Direction,
    /// The queue.
    pub queue: QueueIndex,
    /// Entries.
    pub size: RingSize,
    /// EVENT_IDX is acknowledged.
    pub event_idx: bool,
    /// Base of the ring.
    pub ring: u64,
    /// Base of the shadow.
    pub shadow: u64,
    /// The counters' group.
    pub counters: u64,
    /// Receive: base of the pool's lists, base of its buffers, how many, and their class.
    pub pool: Option<(u64, u64, u32, BufferClass)>,
}

impl QueueRecord {
    /// Where the parts of its ring lie.
    pub const fn layout(&self) -> RingLayout {
        // Frames that are sent come in as many pieces as their buffers; posted buffers are one.
        RingLayout::new(self.ring, self.size, matches!(self.direction, Direction::Tx))
    }

    /// Where the driver's shadow of it lies.
    pub const fn shadow_layout(&self) -> ShadowLayout {
        ShadowLayout::new(self.shadow, self.size)
    }

    /// Stores the record as number `at`.
    ///
    /// # Errors
    /// When there is no such record.
    pub fn write(&self, private: &MemoryMap, at: usize) -> Result<(), OutOfRange> {
        let slot = header::record(private, at)?;
        let tx = u64::from(self.direction == Direction::Tx);
        let (lists, buffers, count, class) = match self.pool {
            Some((lists, buffers, count, class)) => (lists, buffers, count, 1 + class as u64),
            None => (0, 0, 0, 0),
        };
        let values = [
            u64::from(self.interface.0)
                | u64::from(self.queue.0) << 32
                | tx << 48
                | u64::from(self.event_idx) << 49
                | class << 50,
            u64::from(self.size.get()) | u64::from(count) << 32,
            self.ring,
            self.shadow,
            self.counters,
            lists,
            buffers,
        ];
        for (word, value) in slot[1..].iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        slot[0].store(1, Ordering::Release);
        Ok(())
    }

    /// Forgets record number `at`.
    pub fn erase(private: &MemoryMap, at: usize) {
        if let Ok(slot) = header::record(private, at) {
            slot[0].store(0, Ordering::Release);
        }
    }

    /// All records, with their numbers; none if the file is not of this layout.
    pub fn read_all(private: &MemoryMap) -> Vec<(usize, Self)> {
        if !header::is_known(private) {
            return Vec::new();
        }
        let read = |at| Some((at, Self::read(&header::record(private, at).ok()?)?));
        (0..RECORDS).filter_map(read).collect()
    }

    fn read(slot: &[AtomicU64]) -> Option<Self> {
        if slot[0].load(Ordering::Acquire) == 0 {
            return None;
        }
        let value = |i: usize| slot[1 + i].load(Ordering::Relaxed);
        let low = |v: u64| u32::try_from(v & 0xffff_ffff).ok();
        let class = BufferClass::from_code(value(0) >> 50 & 3);
        let count = low(value(1) >> 32)?;
        Some(Self {
            interface: SwIfIndex(low(value(0))?),
            direction: if value(0) >> 48 & 1 == 1 { Direction::Tx } else { Direction::Rx },
            queue: QueueIndex(u16::try_from(value(0) >> 32 & 0xffff).ok()?),
            size: RingSize::new(value(1) & 0xffff_ffff).ok()?,
            event_idx: value(0) >> 49 & 1 == 1,
            ring: value(2),
            shadow: value(3),
            counters: value(4),
            pool: class.map(|class| (value(5), value(6), count, class)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{BufferClass, Memory};

    fn record(interface: u32, direction: Direction) -> QueueRecord {
        QueueRecord {
            interface: SwIfIndex(interface),
            direction,
            queue: QueueIndex(0xfedc),
            size: RingSize::new(32768).unwrap(),
            event_idx: direction == Direction::Rx,
            ring: u64::MAX - 1,
            shadow: 0x1234_5678_9abc_def0,
            counters: 1 << 40,
            pool: None,
        }
    }

    #[test]
    fn what_was_written_as_the_first_and_the_last_record_is_read_and_nothing_else() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        let classes = [BufferClass::Small, BufferClass::Large];
        let [first, last] = classes.map(|class| QueueRecord {
            pool: Some((3 << 33, 5 << 34, u32::MAX, class)),
            ..record(u32::MAX, Direction::Rx)
        });
        let tx = record(0, Direction::Tx);
        for (at, record) in [(0, first), (1, tx), (RECORDS - 1, last)] {
            record.write(memory.private(), at).unwrap();
        }
        let found = QueueRecord::read_all(memory.private());
        assert_eq!(found, [(0, first), (1, tx), (RECORDS - 1, last)]);
        QueueRecord::erase(memory.private(), 1);
        QueueRecord::erase(memory.private(), RECORDS);
        let found = QueueRecord::read_all(memory.private());
        assert_eq!(found, [(0, first), (RECORDS - 1, last)]);
    }

    #[test]
    fn direction_and_event_idx_are_read_as_they_were_written_whatever_the_other_is() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        for direction in [Direction::Rx, Direction::Tx] {
            for event_idx in [false, true] {
                let written = QueueRecord { event_idx, ..record(1, direction) };
                written.write(memory.private(), 5).unwrap();
                assert_eq!(QueueRecord::read_all(memory.private()), [(5, written)]);
            }
        }
    }

    #[test]
    fn a_record_beyond_the_last_is_refused() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        let record = record(1, Direction::Tx);
        for at in [RECORDS, usize::MAX, usize::MAX / 64] {
            assert!(record.write(memory.private(), at).is_err());
        }
        assert_eq!(QueueRecord::read_all(memory.private()), []);
    }
}
