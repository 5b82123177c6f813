//! The memory of one queue: ring, shadow, counters, and the record that says where they are.

use std::sync::Arc;

use vm_memory::{GuestAddress, GuestMemoryBackend};

use super::backend::QueueId;
use super::memory::{Extent, Memory};
use super::pool::Pool;
use super::record::QueueRecord;
use crate::counters::{BrokenReason, CellBlock, Direction, GROUP_WORDS};
use crate::diag::{Code, Failure};
use crate::ring::{
    AtomicArray, Descriptor, DriverRing, OutOfRange, Positions, RingLayout, ShadowLayout,
    Violation, Writer,
};
use crate::units::{RingSize, SwIfIndex};

/// Ring, shadow and counters of a queue, with their records. Dropping it forgets and frees all.
#[derive(Debug)]
pub struct QueueMemory {
    id: QueueId,
    layout: RingLayout,
    shadow: ShadowLayout,
    event_idx: bool,
    counters: ShownCells,
    record: usize,
    memory: Arc<Memory>,
    _ring: Extent,
    _private: Extent,
}

/// A [`CellBlock`] that can be shown.
struct ShownCells(CellBlock);

impl std::fmt::Debug for ShownCells {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CellBlock")
    }
}

fn misplaced(e: OutOfRange) -> Failure {
    Failure::new(Code::Failed, "memory of a queue", e.to_string())
}

impl QueueMemory {
    /// Makes an empty ring of `size` entries as record number `record`.
    ///
    /// # Errors
    /// When the memory has no room.
    pub fn new(
        memory: &Arc<Memory>,
        record: usize,
        interface: SwIfIndex,
        id: QueueId,
        size: RingSize,
        event_idx: bool,
        pool: Option<&Pool>,
    ) -> Result<Self, Failure> {
        let indirect = id.direction == Direction::Tx;
        let ring = memory.shared_extent(RingLayout::bytes(size, indirect))?;
        let shadow_bytes = ShadowLayout::bytes(size);
        let private = memory.private_extent(shadow_bytes + 8 * GROUP_WORDS as u64)?;
        let counters_at = private.offset() + shadow_bytes;
        let counters =
            AtomicArray::new(memory.private(), counters_at, GROUP_WORDS).map_err(misplaced)?;
        let entry = QueueRecord {
            interface,
            direction: id.direction,
            queue: id.index,
            size,
            event_idx,
            ring: ring.offset(),
            shadow: private.offset(),
            counters: counters_at,
            pool: pool.and_then(Pool::place),
        };
        let (layout, shadow) = (entry.layout(), entry.shadow_layout());
        let writer = Self::writer_of(id.direction);
        DriverRing::attach(memory.shared(), &layout, memory.private(), &shadow, writer, event_idx)
            .map_err(misplaced)?
            .reset();
        entry.write(memory.private(), record).map_err(misplaced)?;
        Ok(Self {
            id,
            layout,
            shadow,
            event_idx,
            counters: ShownCells(Arc::new(counters)),
            record,
            memory: Arc::clone(memory),
            _ring: ring,
            _private: private,
        })
    }

    const fn writer_of(direction: Direction) -> Writer {
        match direction {
            Direction::Rx => Writer::Device,
            Direction::Tx => Writer::Driver,
        }
    }

    /// The driver's side of the ring as it stands. One at a time may be used.
    ///
    /// # Errors
    /// When the ring lies outside the memory, which `new` has ruled out.
    pub fn driver_ring(&self) -> Result<DriverRing, Failure> {
        let (shared, private) = (self.memory.shared(), self.memory.private());
        let writer = Self::writer_of(self.id.direction);
        let (layout, shadow) = (&self.layout, &self.shadow);
        DriverRing::attach(shared, layout, private, shadow, writer, self.event_idx)
            .map_err(misplaced)
    }

    /// Where both sides stand, for `show`.
    pub fn positions(&self) -> Positions {
        self.driver_ring().map(|ring| ring.positions()).unwrap_or_default()
    }

    /// The descriptor table and where its addresses are in our address space, for `show`.
    pub fn entries(&self) -> Vec<(Descriptor, u64)> {
        let Ok(ring) = self.driver_ring() else { return Vec::new() };
        let user = |addr| {
            self.memory.shared().get_host_address(GuestAddress(addr)).map_or(0, |p| p as u64)
        };
        (0..self.layout.size.get())
            .map(|id| {
                let descriptor = ring.descriptor(id);
                (descriptor, user(descriptor.addr))
            })
            .collect()
    }

    /// Which queue it is.
    pub const fn id(&self) -> QueueId {
        self.id
    }

    /// Where its ring lies.
    pub const fn layout(&self) -> &RingLayout {
        &self.layout
    }

    /// Its counters.
    pub fn counters(&self) -> CellBlock {
        Arc::clone(&self.counters.0)
    }
}

impl From<Violation> for BrokenReason {
    fn from(rule: Violation) -> Self {
        match rule {
            Violation::UsedIndexJumped => Self::UsedIndexJumped,
            Violation::UsedIdOutOfRange => Self::UsedIdOutOfRange,
            Violation::UsedIdNotInFlight => Self::UsedIdNotInFlight,
            Violation::UsedLengthTooLong => Self::UsedLengthTooLong,
        }
    }
}

impl Drop for QueueMemory {
    fn drop(&mut self) {
        QueueRecord::erase(self.memory.private(), self.record);
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes;

    use super::*;
    use crate::ring::Segment;
    use crate::units::QueueIndex;

    #[test]
    fn a_queue_shows_its_ring_and_is_in_the_records_until_it_is_dropped() {
        let memory = Arc::new(Memory::new("16M".parse().unwrap()).unwrap());
        let id = QueueId { direction: Direction::Rx, index: QueueIndex(0) };
        let size = RingSize::new(64).unwrap();
        let queue = QueueMemory::new(&memory, 3, SwIfIndex(9), id, size, true, None).unwrap();
        let buffer = memory.shared_extent(4096).unwrap();
        memory.shared().write_obj(7_u8, GuestAddress(buffer.offset() + 5)).unwrap();
        let mut ring = queue.driver_ring().unwrap();
        ring.post(&[Segment { addr: buffer.offset() + 5, len: 9 }], 1).unwrap();
        ring.publish();
        assert_eq!((queue.positions().avail_idx, queue.positions().desc_in_use), (1, 1));
        let entries = queue.entries();
        assert_eq!(entries.len(), 64);
        assert_eq!((entries[0].0.addr, entries[0].0.len), (buffer.offset() + 5, 9));
        let begin = memory.shared().get_host_address(GuestAddress(0)).unwrap() as u64;
        assert_eq!(entries[0].1, begin + buffer.offset() + 5);
        let records = QueueRecord::read_all(memory.private());
        let found: Vec<_> = records.iter().map(|(at, r)| (*at, r.interface, r.ring)).collect();
        assert_eq!(found, [(3, SwIfIndex(9), queue.layout().desc)]);
        drop(queue);
        assert_eq!(QueueRecord::read_all(memory.private()), []);
    }

    #[test]
    fn every_rule_of_a_ring_is_the_reason_of_the_same_name() {
        for (rule, code) in [
            (Violation::UsedIndexJumped, 1),
            (Violation::UsedIdOutOfRange, 2),
            (Violation::UsedIdNotInFlight, 3),
            (Violation::UsedLengthTooLong, 4),
        ] {
            let reason = BrokenReason::from(rule);
            assert_eq!((reason as u64, format!("{reason:?}")), (code, format!("{rule:?}")));
        }
    }
}
