//! One memory, our driver's ring on it, and the other implementation's view of the same ring.

use std::sync::Arc;

use proptest::prelude::ProptestConfig;
use taptool::ring::{
    AvailRing, DriverRing, MemoryMap, RingLayout, Segment, ShadowLayout, UsedRing, Writer,
};
use taptool::units::RingSize;
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

/// Where buffers begin; rings lie below.
pub const BUFFERS: u64 = 32 << 20;

/// A ring, its shadow, and our driver on it.
#[derive(Debug)]
pub struct Bench {
    pub map: MemoryMap,
    pub private: MemoryMap,
    pub layout: RingLayout,
    pub shadow: ShadowLayout,
    pub driver: DriverRing,
    pub event_idx: bool,
}

/// So many cases, unless PROPTEST_CASES says another number.
pub fn cases(usual: u32) -> ProptestConfig {
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    let config = ProptestConfig::default();
    ProptestConfig { cases: if told { config.cases } else { usual }, ..config }
}

/// Memory of `bytes`.
pub fn memory(bytes: usize) -> MemoryMap {
    Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), bytes)]).unwrap())
}

impl Bench {
    /// An empty ring.
    pub fn new(size: u64, writer: Writer, event_idx: bool, indirect: bool) -> Self {
        let (map, private) = (memory(64 << 20), memory(1 << 20));
        let size = RingSize::new(size).unwrap();
        let layout = RingLayout::new(4096, size, indirect);
        let shadow = ShadowLayout::new(0, size);
        let mut driver =
            DriverRing::attach(&map, &layout, &private, &shadow, writer, event_idx).unwrap();
        driver.reset();
        Self { map, private, layout, shadow, driver, event_idx }
    }

    /// The other implementation as the device.
    pub fn oracle(&self) -> Queue {
        oracle(&self.layout, self.event_idx)
    }

    /// Whether the spec wants a kick for making chains `old..new` available, by looking at each.
    pub fn kick_wanted(&self, old: u16, new: u16) -> bool {
        if old == new {
            return false;
        }
        let tail = 4 + 8 * u64::from(self.layout.size.get());
        if self.event_idx {
            let event: u16 = self.map.read_obj(GuestAddress(self.layout.used + tail)).unwrap();
            (0..new.wrapping_sub(old)).any(|i| old.wrapping_add(i) == event)
        } else {
            let flags: u16 = self.map.read_obj(GuestAddress(self.layout.used)).unwrap();
            flags & 1 == 0
        }
    }

    /// The available ring, for whoever writes it beside the driver.
    pub fn avail(&self) -> AvailRing {
        AvailRing::new(&self.map, &self.layout).unwrap()
    }

    /// The used ring, for whoever writes it as the device.
    pub fn used(&self) -> UsedRing {
        UsedRing::new(&self.map, &self.layout).unwrap()
    }
}

/// The other implementation as the device of the ring at `layout`.
pub fn oracle(layout: &RingLayout, event_idx: bool) -> Queue {
    let half = |address: u64| {
        let low = u32::try_from(address & 0xffff_ffff).unwrap();
        (Some(low), Some(u32::try_from(address >> 32).unwrap()))
    };
    let mut queue = Queue::new(layout.size.get()).unwrap();
    queue.set_size(layout.size.get());
    let (low, high) = half(layout.desc);
    queue.set_desc_table_address(low, high);
    let (low, high) = half(layout.avail);
    queue.set_avail_ring_address(low, high);
    let (low, high) = half(layout.used);
    queue.set_used_ring_address(low, high);
    queue.set_event_idx(event_idx);
    queue.set_ready(true);
    queue
}

/// Numbers that look random and are the same in every run (xorshift64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Between 1 and `most` segments, all different from those of other calls nearby.
    pub fn segments(&mut self, most: u64) -> Vec<Segment> {
        (0..1 + self.below(most))
            .map(|_| {
                let len = 1 + u32::try_from(self.below(2048)).unwrap();
                Segment { addr: BUFFERS + 2048 * self.below(8192), len }
            })
            .collect()
    }
}
