//! The device's side under a driver that writes anything at all: it stays within the table, the
//! ring and the segments' room, whatever stands there, and goes on.

use std::num::Wrapping;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use taptool::ring::{AtomicArray, AvailRing, DeviceRing, DeviceSegment, MAX_SEGMENTS, Writer};

use super::bench::{Bench, Random, cases};

const ENTRIES: u16 = 64;
/// Descriptors of the indirect tables that are written.
const TABLE: usize = 512;
const NONE: DeviceSegment = DeviceSegment { addr: 0, len: 0, writable: false };

/// The parts of a ring that a driver writes.
struct Driver {
    desc: AtomicArray<AtomicU64>,
    avail: AvailRing,
    tables: AtomicArray<AtomicU64>,
    tables_at: u64,
    avail_idx: Wrapping<u16>,
}

/// A number below `bound`; once in so many times any 16 bits.
fn wild(random: &mut Random, once_in: u64, bound: u64) -> u64 {
    let wild = random.below(once_in) == 0;
    random.below(if wild { 65_536 } else { bound })
}

impl Driver {
    fn new(bench: &Bench) -> Self {
        let (n, layout) = (usize::from(ENTRIES), bench.layout);
        let tables_at = layout.indirect.unwrap();
        Self {
            desc: AtomicArray::new(&bench.map, layout.desc, 2 * n).unwrap(),
            avail: bench.avail(),
            tables: AtomicArray::new(&bench.map, tables_at, 2 * TABLE).unwrap(),
            tables_at,
            avail_idx: Wrapping(0),
        }
    }

    /// Writes every descriptor and every available entry, most of them near what is right.
    fn scribble(&self, random: &mut Random) {
        for number in 0..ENTRIES {
            let entry = usize::from(number);
            let addr = match random.below(5) {
                0 => random.below(64 << 20),
                1 => u64::MAX - random.below(100),
                2 => self.tables_at + 16 * random.below(4096),
                3 => random.below(1 << 40),
                _ => (64 << 20) - random.below(2000),
            };
            let len = match random.below(4) {
                0 => random.below(1 << 32),
                1 => 16 * random.below(70),
                2 => 16 * random.below(5),
                _ => random.below(3000),
            };
            let next = wild(random, 4, 64);
            self.desc[2 * entry].store(addr.to_le(), Ordering::Relaxed);
            let rest = len | random.below(8) << 32 | next << 48;
            self.desc[2 * entry + 1].store(rest.to_le(), Ordering::Relaxed);
            let head = wild(random, 6, 64);
            self.avail.set_head(Wrapping(number), u16::try_from(head).unwrap());
        }
        for entry in 0..TABLE {
            let rest = random.below(9000) | random.below(8) << 32 | random.below(66) << 48;
            self.tables[2 * entry].store(random.below(1 << 27).to_le(), Ordering::Relaxed);
            self.tables[2 * entry + 1].store(rest.to_le(), Ordering::Relaxed);
        }
    }

    /// Makes some chains available, or claims that it did.
    fn publish(&self, random: &mut Random) {
        let more = wild(random, 10, 65);
        self.avail.set_idx(self.avail_idx + Wrapping(u16::try_from(more).unwrap()));
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn a_hostile_driver_never_leads_the_device_out_of_the_ring_or_makes_it_read_on_for_ever(
        seed in 1_u64..,
        event_idx in any::<bool>(),
    ) {
        let random = &mut Random(seed);
        let bench = Bench::new(ENTRIES.into(), Writer::Driver, event_idx, true);
        let mut driver = Driver::new(&bench);
        let mut device = DeviceRing::attach(&bench.map, &bench.layout, event_idx).unwrap();
        let used = bench.used();
        driver.scribble(random);
        let mut taken = Wrapping(0_u16);
        for _ in 0..20 {
            driver.publish(random);
            let waiting = device.available();
            prop_assert!(waiting <= ENTRIES);
            let mut into = [NONE; MAX_SEGMENTS];
            for ahead in 0..waiting.min(8) {
                let chain = device.peek(ahead, &mut into);
                prop_assert!(chain.segments <= MAX_SEGMENTS);
                prop_assert!(chain.malformed || chain.segments > 0);
            }
            if waiting > 0 {
                let chain = device.pop(&mut into);
                device.push_used(chain.head, 0);
                taken += 1;
                driver.avail_idx += 1;
            }
            if random.below(2) == 0 {
                device.publish();
                prop_assert_eq!(used.idx(), taken);
            }
            if random.below(2) == 0 {
                device.arm();
            } else {
                device.disarm();
            }
        }
    }
}
