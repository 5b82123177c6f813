//! Where everything lies: a header and a record per queue at the start of the private file, so that
//! rings, buffers and counters can be found again from the two files alone.

use std::sync::atomic::{AtomicU64, Ordering};

use super::pool::BufferClass;
use crate::counters::Direction;
use crate::ring::{AtomicArray, MemoryMap, OutOfRange, RingLayout, ShadowLayout};
use crate::units::{QueueIndex, RingSize, SwIfIndex};

/// `taptool` and a zero byte.
const MAGIC: u64 = u64::from_le_bytes(*b"taptool\0");
/// Version of the layout of both files.
const VERSION: u64 = 6;
/// Records, so queues of one process: two for each of 8192 ids, and as many again.
pub const RECORDS: usize = 32768;
/// Words of a record.
const WORDS: usize = 8;
/// Words of the header.
const HEADER: usize = 8;
/// Bytes of header and records.
pub(super) const FILE_BYTES: u64 = 8 * (HEADER + RECORDS * WORDS) as u64;

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

fn words(private: &MemoryMap) -> Result<AtomicArray<AtomicU64>, OutOfRange> {
    AtomicArray::new(private, 0, HEADER + RECORDS * WORDS)
}

pub(super) fn write_header(private: &MemoryMap, shared_bytes: u64) -> Result<(), OutOfRange> {
    let words = words(private)?;
    words[1].store(VERSION, Ordering::Relaxed);
    words[2].store(shared_bytes, Ordering::Relaxed);
    words[0].store(MAGIC, Ordering::Release);
    Ok(())
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
        let words = words(private)?;
        let refused = OutOfRange { offset: at as u64, bytes: (WORDS * 8) as u64 };
        let slot = words.get(HEADER + at * WORDS..HEADER + (at + 1) * WORDS).ok_or(refused)?;
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
        if let Ok(words) = words(private)
            && let Some(word) = words.get(HEADER + at * WORDS)
        {
            word.store(0, Ordering::Release);
        }
    }

    /// All records, with their numbers; none if the file is not of this layout.
    pub fn read_all(private: &MemoryMap) -> Vec<(usize, Self)> {
        let Ok(words) = words(private) else { return Vec::new() };
        let header = [words[0].load(Ordering::Acquire), words[1].load(Ordering::Relaxed)];
        if header != [MAGIC, VERSION] {
            return Vec::new();
        }
        (0..RECORDS).filter_map(|at| Some((at, Self::read(&words, at)?))).collect()
    }

    fn read(words: &[AtomicU64], at: usize) -> Option<Self> {
        let slot = &words[HEADER + at * WORDS..HEADER + (at + 1) * WORDS];
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
