//! Either side against the other on one mapping, and against a device that breaks the rules.

use std::num::Wrapping;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vm_memory::{GuestAddress, GuestMemoryMmap};

use super::*;
use crate::units::RingSize;

pub(super) mod killed;
mod race;
mod words;

struct Fixture {
    driver: DriverRing,
    device: DeviceRing,
    map: MemoryMap,
    private: MemoryMap,
    layout: RingLayout,
    shadow: ShadowLayout,
}

fn fixture(size: u64, event_idx: bool, indirect: bool) -> Fixture {
    fixture_of(Writer::Device, size, event_idx, indirect)
}

fn fixture_of(writer: Writer, size: u64, event_idx: bool, indirect: bool) -> Fixture {
    let map: MemoryMap =
        Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 64 << 20)]).unwrap());
    let private: MemoryMap =
        Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 4 << 20)]).unwrap());
    let size = RingSize::new(size).unwrap();
    let layout = RingLayout::new(4096, size, indirect);
    let shadow = ShadowLayout::new(0, size);
    let mut driver =
        DriverRing::attach(&map, &layout, &private, &shadow, writer, event_idx).unwrap();
    driver.reset();
    let device = DeviceRing::attach(&map, &layout, event_idx).unwrap();
    Fixture { driver, device, map, private, layout, shadow }
}

fn segment(i: u64) -> Segment {
    Segment { addr: 0x10_0000 + i * 2048, len: 2048 }
}

const NONE: DeviceSegment = DeviceSegment { addr: 0, len: 0, writable: false };

#[test]
fn chains_of_every_shape_cross_the_index_wrap_in_order() {
    for (event_idx, indirect) in [(false, false), (true, false), (true, true)] {
        let mut f = fixture(64, event_idx, indirect);
        let mut into = [NONE; MAX_SEGMENTS];
        let (mut posted, mut taken) = (0_u64, 0_u64);
        while taken < 70_000 {
            let segments: Vec<Segment> = (0..posted % 5 + 1).map(segment).collect();
            if f.driver.post(&segments, posted + 1).is_ok() {
                posted += 1;
                continue;
            }
            f.driver.publish();
            while f.device.available() > 0 {
                let chain = f.device.pop(&mut into);
                assert!(!chain.malformed);
                f.device.push_used(chain.head, 0);
            }
            f.device.publish();
            let ready = f.driver.look().unwrap();
            assert!(ready > 0);
            while let Some(used) = f.driver.take().unwrap() {
                taken += 1;
                assert_eq!(used.token, taken);
            }
            assert_eq!((f.driver.in_flight(), f.driver.free()), (0, 64));
        }
    }
}

#[test]
fn the_device_sees_the_very_segments_that_were_posted() {
    for indirect in [false, true] {
        let mut f = fixture(64, true, indirect);
        let segments: Vec<Segment> = (0..33).map(segment).collect();
        f.driver.post(&segments, 9).unwrap();
        f.driver.publish();
        let mut into = [NONE; MAX_SEGMENTS];
        assert_eq!(f.device.available(), 1);
        let chain = f.device.pop(&mut into);
        assert_eq!(chain.segments, 33);
        for (seen, posted) in into.iter().zip(&segments) {
            assert_eq!((seen.addr, seen.len, seen.writable), (posted.addr, posted.len, true));
        }
    }
}

#[test]
fn a_full_ring_refuses_and_loses_nothing() {
    let mut f = fixture(64, true, false);
    for i in 0..64 {
        f.driver.post(&[segment(i)], i + 1).unwrap();
    }
    assert_eq!(f.driver.post(&[segment(0)], 99), Err(Full));
    let mut tokens = Vec::new();
    f.driver.drain(|token| tokens.push(token));
    tokens.sort_unstable();
    assert_eq!(tokens, (1..=64).collect::<Vec<_>>());
    let too_many: Vec<Segment> = (0..65).map(segment).collect();
    assert_eq!(fixture(128, true, true).driver.post(&too_many, 1), Err(Full));
}

/// Writes a used element and index as a hostile device would.
fn forge(f: &Fixture, at: u16, id: u32, len: u32, idx: u16) {
    let used = UsedRing::new(&f.map, &f.layout).unwrap();
    used.set_element(Wrapping(at), id, len);
    used.set_idx(Wrapping(idx));
}

#[test]
fn hostile_used_elements_are_named_and_never_followed() {
    let post = || {
        let mut f = fixture(64, true, false);
        f.driver.post(&[segment(0)], 1).unwrap();
        f.driver.post(&[segment(1)], 2).unwrap();
        f.driver.publish();
        f
    };
    let mut f = post();
    forge(&f, 0, 0, 0, 3);
    assert_eq!(f.driver.look(), Err(Violation::UsedIndexJumped));
    forge(&f, 0, 0, 0, u16::MAX);
    assert_eq!(f.driver.look(), Err(Violation::UsedIndexJumped));
    for id in [64, 65_536, u32::MAX] {
        let mut f = post();
        forge(&f, 0, id, 0, 1);
        f.driver.look().unwrap();
        assert_eq!(f.driver.take(), Err(Violation::UsedIdOutOfRange));
    }
    let mut f = post();
    forge(&f, 0, 5, 0, 1);
    f.driver.look().unwrap();
    assert_eq!(f.driver.take(), Err(Violation::UsedIdNotInFlight));
    // The same chain used twice.
    let mut f = post();
    forge(&f, 0, 0, 0, 1);
    forge(&f, 1, 0, 0, 2);
    f.driver.look().unwrap();
    assert!(f.driver.take().unwrap().is_some());
    assert_eq!(f.driver.take(), Err(Violation::UsedIdNotInFlight));
}

#[test]
fn what_was_looked_at_is_what_is_taken_whatever_the_device_writes_meanwhile() {
    let mut f = fixture(64, true, false);
    f.driver.post(&[segment(0)], 1).unwrap();
    f.driver.post(&[segment(1)], 2).unwrap();
    f.driver.publish();
    forge(&f, 0, 0, 0, 1);
    f.driver.look().unwrap();
    let first = f.driver.peek().unwrap().unwrap();
    forge(&f, 0, 1, 0, 1);
    f.driver.accept(&first);
    let mut left = Vec::new();
    f.driver.drain(|token| left.push(token));
    assert_eq!((first.token, left), (1, vec![2]));
}

#[test]
fn a_length_beyond_the_posted_bytes_breaks_a_receive_chain() {
    let mut f = fixture(64, true, false);
    f.driver.post(&[segment(0)], 1).unwrap();
    f.driver.publish();
    forge(&f, 0, 0, 2049, 1);
    f.driver.look().unwrap();
    assert_eq!(f.driver.take(), Err(Violation::UsedLengthTooLong));
}

#[test]
fn a_driver_rebuilt_from_the_two_files_goes_on_where_the_last_one_stood() {
    let mut f = fixture(64, true, true);
    for i in 0..40 {
        f.driver.post(&[segment(i), segment(i + 100)], i + 1).unwrap();
    }
    f.driver.publish();
    let mut into = [NONE; MAX_SEGMENTS];
    for _ in 0..10 {
        f.device.available();
        let chain = f.device.pop(&mut into);
        f.device.push_used(chain.head, 0);
    }
    f.device.publish();
    f.driver.look().unwrap();
    for i in 0..4 {
        assert_eq!(f.driver.take().unwrap().unwrap().token, i + 1);
    }
    let before = f.driver.positions();
    drop(f.driver);
    let mut driver =
        DriverRing::attach(&f.map, &f.layout, &f.private, &f.shadow, Writer::Device, true).unwrap();
    assert_eq!(driver.positions(), before);
    assert_eq!(driver.look().unwrap(), 6);
    for i in 4..10 {
        assert_eq!(driver.take().unwrap().unwrap().token, i + 1);
    }
    assert_eq!(driver.in_flight(), 30);
    driver.post(&[segment(3)], 77).unwrap();
    driver.publish();
    let mut rest = 0;
    while f.device.available() > 0 {
        let chain = f.device.pop(&mut into);
        f.device.push_used(chain.head, 0);
        rest += 1;
    }
    f.device.publish();
    assert_eq!((rest, driver.look().unwrap()), (31, 31));
}

#[test]
fn a_chain_that_loops_or_leaves_the_table_is_malformed_and_bounded() {
    let f = &mut fixture(64, true, false);
    f.driver.post(&[segment(0), segment(1)], 1).unwrap();
    f.driver.publish();
    let desc = AtomicArray::<AtomicDesc>::new(&f.map, f.layout.desc, 64).unwrap();
    let mut into = [NONE; MAX_SEGMENTS];
    f.device.available();
    for next in [0_u16, 64, u16::MAX] {
        desc[0][1].store(pack(2048, DESC_F_NEXT, next), Ordering::Relaxed);
        assert!(f.device.peek(0, &mut into).malformed, "next {next}");
    }
    desc[0][1].store(pack(16 * 65, DESC_F_INDIRECT, 0), Ordering::Relaxed);
    assert!(f.device.peek(0, &mut into).malformed);
    desc[0][1].store(pack(32, DESC_F_INDIRECT, 0), Ordering::Relaxed);
    desc[0][0].store(u64::MAX, Ordering::Relaxed);
    assert!(f.device.peek(0, &mut into).malformed);
}
