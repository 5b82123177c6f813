//! Our device, and a driver laid by hand through the other implementation's mock rings; the other
//! implementation's device reads the same ring beside ours.

use std::collections::HashMap;

use taptool::ring::{Chain, DeviceRing, DeviceSegment, MAX_SEGMENTS, RingLayout};
use taptool::units::RingSize;
use virtio_queue::desc::RawDescriptor;
use virtio_queue::desc::split::Descriptor;
use virtio_queue::mock::{AvailRing, DescriptorTable, UsedRing};
use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

use super::bench::{Random, memory, oracle};

const CHAINS: u64 = 70_000;
const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// Where indirect tables lie, 1 KiB an entry.
const TABLES: u64 = 16 << 20;

const NONE: DeviceSegment = DeviceSegment { addr: 0, len: 0, writable: false };

/// A driver that trusts the device and keeps its own list of free entries.
struct HandDriver<'a> {
    map: &'a GuestMemoryMmap,
    table: DescriptorTable<'a, GuestMemoryMmap>,
    avail: AvailRing<'a, GuestMemoryMmap>,
    used: UsedRing<'a, GuestMemoryMmap>,
    layout: RingLayout,
    free: Vec<u16>,
    avail_idx: u16,
    last_used: u16,
    /// Per head in flight: its entries and the segments that the device must see.
    in_flight: HashMap<u16, (Vec<u16>, Vec<DeviceSegment>)>,
    /// Heads in the order in which they were made available.
    order: std::collections::VecDeque<u16>,
}

impl<'a> HandDriver<'a> {
    fn new(map: &'a GuestMemoryMmap, entries: u16) -> Self {
        let layout = RingLayout::new(4096, RingSize::new(entries.into()).unwrap(), false);
        Self {
            map,
            table: DescriptorTable::new(map, GuestAddress(layout.desc), entries),
            avail: AvailRing::new(map, GuestAddress(layout.avail), entries),
            used: UsedRing::new(map, GuestAddress(layout.used), entries),
            layout,
            free: (0..entries).collect(),
            avail_idx: 0,
            last_used: 0,
            in_flight: HashMap::new(),
            order: Default::default(),
        }
    }

    fn post(&mut self, random: &mut Random, indirect: bool) -> bool {
        let writable = random.below(2) == 0;
        let segments: Vec<_> = random
            .segments(if indirect { MAX_SEGMENTS as u64 } else { 6 })
            .iter()
            .map(|s| DeviceSegment { addr: s.addr, len: s.len, writable })
            .collect();
        let needed = if indirect { 1 } else { segments.len() };
        if needed > self.free.len() {
            return false;
        }
        let at = usize::try_from(random.below((self.free.len() - needed + 1) as u64)).unwrap();
        let entries: Vec<u16> = self.free.drain(at..at + needed).collect();
        let mark = if writable { WRITE } else { 0 };
        let mut chain = Vec::new();
        for (i, s) in segments.iter().enumerate() {
            let next =
                if indirect { u16::try_from(i + 1).ok() } else { entries.get(i + 1).copied() };
            let next = next.filter(|_| i + 1 < segments.len());
            let flags = mark | if next.is_some() { NEXT } else { 0 };
            let desc = Descriptor::new(s.addr, s.len, flags, next.unwrap_or(0));
            chain.push(RawDescriptor::from(desc));
        }
        let head = entries[0];
        if indirect {
            let table = TABLES + 1024 * u64::from(head);
            for (i, desc) in chain.iter().enumerate() {
                self.map.write_obj(*desc, GuestAddress(table + 16 * i as u64)).unwrap();
            }
            let bytes = u32::try_from(16 * chain.len()).unwrap();
            let desc = RawDescriptor::from(Descriptor::new(table, bytes, INDIRECT, 0));
            self.table.store(head, desc).unwrap();
        } else {
            for (entry, desc) in entries.iter().zip(&chain) {
                self.table.store(*entry, *desc).unwrap();
            }
        }
        let slot = usize::from(self.avail_idx % self.layout.size.get());
        self.avail.ring().ref_at(slot).unwrap().store(head);
        self.avail_idx = self.avail_idx.wrapping_add(1);
        self.in_flight.insert(head, (entries, segments));
        self.order.push_back(head);
        true
    }

    fn publish(&self) {
        self.avail.idx().store(self.avail_idx);
    }

    /// Asks for a call once the device has used `after` more chains than were taken.
    fn set_used_event(&self, after: u16) {
        let tail = 4 + 2 * u64::from(self.layout.size.get());
        let event = self.last_used.wrapping_add(after);
        self.map.write_obj(event, GuestAddress(self.layout.avail + tail)).unwrap();
    }

    /// Takes everything used; heads and lengths in order.
    fn reclaim(&mut self) -> Vec<(u16, u32)> {
        let mut taken = Vec::new();
        while self.last_used != self.used.idx().load() {
            let slot = usize::from(self.last_used % self.layout.size.get());
            let element = self.used.ring().ref_at(slot).unwrap().load();
            let head = u16::try_from(element.id()).unwrap();
            let (entries, _) = self.in_flight.remove(&head).expect("a chain came back twice");
            self.free.extend(entries);
            taken.push((head, element.len()));
            self.last_used = self.last_used.wrapping_add(1);
        }
        taken
    }
}

/// Both devices take the next chain and must see the same.
fn take_both(ours: &mut DeviceRing, theirs: &mut Queue, driver: &mut HandDriver<'_>) -> u16 {
    let mut into = [NONE; MAX_SEGMENTS];
    let peeked = ours.peek(0, &mut into).head;
    let Chain { head, segments, malformed } = ours.pop(&mut into);
    let chain = theirs.pop_descriptor_chain(driver.map).unwrap();
    assert_eq!((malformed, head, peeked), (false, chain.head_index(), head));
    assert_eq!(Some(head), driver.order.pop_front());
    let seen: Vec<_> = chain
        .map(|d| DeviceSegment { addr: d.addr().0, len: d.len(), writable: d.is_write_only() })
        .collect();
    assert_eq!(into[..segments], seen);
    assert_eq!(seen, driver.in_flight[&head].1);
    head
}

fn run(event_idx: bool, indirect: bool) {
    let map = memory(64 << 20);
    let mut driver = HandDriver::new(&map, 128);
    let mut ours = DeviceRing::attach(&map, &driver.layout, event_idx).unwrap();
    let mut theirs = oracle(&driver.layout, event_idx);
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut taken, mut held) = (0, Vec::new());
    while taken < CHAINS {
        for _ in 0..random.below(129) {
            let indirect = indirect && random.below(3) > 0;
            driver.post(&mut random, indirect);
        }
        driver.publish();
        assert_eq!(usize::from(ours.available()), driver.order.len());
        for _ in 0..random.below(driver.order.len() as u64 + 1) {
            held.push(take_both(&mut ours, &mut theirs, &mut driver));
        }
        // The words that both write to ask for a kick are the same.
        if random.below(2) == 0 {
            assert_eq!(ours.arm(), !driver.order.is_empty());
            let tail = GuestAddress(driver.layout.used + 4 + 8 * 128);
            let (flags, event): (u16, u16) = (
                map.read_obj(GuestAddress(driver.layout.used)).unwrap(),
                map.read_obj(tail).unwrap(),
            );
            assert_eq!(theirs.enable_notification(&*map).unwrap(), !driver.order.is_empty());
            assert_eq!(map.read_obj::<u16>(GuestAddress(driver.layout.used)).unwrap(), flags);
            assert_eq!(map.read_obj::<u16>(tail).unwrap(), event);
        } else {
            ours.disarm();
            if !event_idx {
                assert_eq!(map.read_obj::<u16>(GuestAddress(driver.layout.used)).unwrap(), 1);
            }
        }
        let ask = u16::try_from(random.below(200)).unwrap();
        driver.set_used_event(ask);
        let flag = u16::from(random.below(2) == 0);
        map.write_obj(flag, GuestAddress(driver.layout.avail)).unwrap();
        let mut batch = Vec::new();
        for _ in 0..random.below(held.len() as u64 + 1) {
            let at = usize::try_from(random.below(held.len() as u64)).unwrap();
            batch.push((held.swap_remove(at), u32::try_from(random.below(4096)).unwrap()));
        }
        for (head, written) in &batch {
            ours.push_used(*head, *written);
        }
        let called = ours.publish();
        // The other device repeats the same steps on the same words, and decides for itself.
        for (head, written) in &batch {
            theirs.add_used(&*map, *head, *written).unwrap();
        }
        let wanted = theirs.needs_notification(&*map).unwrap();
        match event_idx {
            true => assert_eq!(called, wanted),
            // The other implementation does not know the flag.
            false => assert_eq!(called, !batch.is_empty() && flag == 0),
        }
        assert_eq!(driver.reclaim(), batch);
        taken += batch.len() as u64;
    }
}

#[test]
fn our_device_sees_direct_chains_and_calls_as_the_other_does_across_the_wrap() {
    run(false, false);
    run(true, false);
}

#[test]
fn our_device_sees_indirect_chains_and_calls_as_the_other_does_across_the_wrap() {
    run(false, true);
    run(true, true);
}

#[test]
fn a_driver_that_claims_more_chains_than_entries_is_taken_for_an_idle_one() {
    let map = memory(64 << 20);
    let mut driver = HandDriver::new(&map, 64);
    let mut random = Random(7);
    driver.post(&mut random, false);
    let ours = DeviceRing::attach(&map, &driver.layout, true).unwrap();
    for (idx, seen) in [(0_u16, 0), (64, 64), (65, 0), (u16::MAX, 0), (1, 1)] {
        driver.avail.idx().store(idx);
        assert_eq!(ours.available(), seen, "avail_idx {idx}");
    }
}
