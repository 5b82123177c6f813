//! A driver that is ended after each of its stores, and a successor on what it left.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU16, AtomicU32};

use super::*;

thread_local! {
    /// Stores until the driver of this thread is ended; 0 is never.
    static LEFT: Cell<u32> = const { Cell::new(0) };
}

/// Why the unwinding: a driver that is ended runs nothing of its own any more.
struct Killed;

/// Counts a store, and ends the driver at the one that was chosen.
pub(in crate::ring) fn stored() {
    LEFT.with(|left| match left.get() {
        0 => {}
        1 => {
            left.set(0);
            resume_unwind(Box::new(Killed));
        }
        n => left.set(n - 1),
    });
}

/// Uses every chain that is available; its heads are not looked at.
fn use_all(device: &mut DeviceRing) {
    let mut into = [NONE; MAX_SEGMENTS];
    while device.available() > 0 {
        let chain = device.pop(&mut into);
        assert!(!chain.malformed);
        device.push_used(chain.head, 0);
    }
    device.publish();
}

/// Posts and takes, so that every kind of chain is at every stage. Notes what it was told to post
/// before it posts, and what it took after it has.
fn work(f: &mut Fixture, posted: &mut Vec<u64>, taken: &mut Vec<u64>) {
    let mut next = 0;
    for round in 0..4_u64 {
        for chain in 0..3 + round {
            next += 1;
            let segments: Vec<Segment> = (0..1 + (chain + round) % 4).map(segment).collect();
            posted.push(next);
            f.driver.post(&segments, next).unwrap();
        }
        f.driver.publish();
        use_all(&mut f.device);
        f.driver.look().unwrap();
        // One stays in the ring, so that the free list is not in order.
        for _ in 0..2 + round {
            taken.extend(f.driver.take().unwrap().map(|used| used.token));
        }
    }
}

/// Ends the driver after its store number `nth`; `false` when it has none such.
fn ended_after(nth: u32, indirect: bool) -> bool {
    let mut f = fixture(64, true, indirect);
    let (mut posted, mut taken) = (Vec::new(), Vec::new());
    LEFT.set(nth);
    let worked = catch_unwind(AssertUnwindSafe(|| work(&mut f, &mut posted, &mut taken)));
    LEFT.set(0);
    let ended = match worked {
        Ok(()) => false,
        Err(why) if why.is::<Killed>() => true,
        Err(why) => resume_unwind(why),
    };
    let attach = || {
        let private = (&f.private, &f.shadow);
        DriverRing::attach(&f.map, &f.layout, private.0, private.1, Writer::Device, true).unwrap()
    };
    let mut successor = attach();
    assert_eq!(successor.recover(), Ok(()), "store {nth}");
    // Once is enough, and again is nothing.
    let state = |ring: &DriverRing| (ring.positions(), ring.free(), ring.in_flight());
    let before = state(&successor);
    let mut successor = attach();
    assert_eq!((successor.recover(), state(&successor)), (Ok(()), before), "store {nth}");
    successor.publish();
    use_all(&mut f.device);
    successor.look().unwrap();
    let mut found = BTreeSet::new();
    while let Some(used) = successor.take().unwrap() {
        assert!(found.insert(used.token), "store {nth}: {} came twice", used.token);
        assert!(!taken.contains(&used.token), "store {nth}: {} was taken", used.token);
    }
    assert_eq!((successor.in_flight(), successor.free()), (0, 64), "store {nth}");
    // What is in neither is the one chain that was being posted or taken.
    let missing = posted.iter().filter(|t| !found.contains(*t) && !taken.contains(*t)).count();
    assert!(missing <= usize::from(ended), "store {nth}: {missing} are missing");
    // And the ring holds as many as ever.
    for token in 1..=64 {
        successor.post(&[segment(token)], token).unwrap();
    }
    assert_eq!(successor.post(&[segment(0)], 65), Err(Full));
    ended
}

#[test]
fn a_driver_ended_after_any_of_its_stores_leaves_a_ring_that_a_successor_goes_on_with() {
    for indirect in [false, true] {
        let stores = (1..).take_while(|nth| ended_after(*nth, indirect)).count();
        assert!(stores > 200, "{stores} stores");
    }
}

#[test]
fn a_ring_that_was_being_emptied_is_not_taken_for_one_in_use() {
    let mut f = fixture(64, true, false);
    for token in 1..=10 {
        f.driver.post(&[segment(token)], token).unwrap();
    }
    let mut left = 5;
    let emptied = catch_unwind(AssertUnwindSafe(|| {
        f.driver.drain(|_| {
            left -= 1;
            if left == 0 {
                resume_unwind(Box::new(Killed));
            }
        });
    }));
    assert!(emptied.is_err());
    assert_eq!(f.driver.recover(), Err(Unrecoverable));
}

#[test]
fn a_shadow_that_names_entries_of_no_ring_is_not_followed() {
    let f = &mut fixture(64, true, false);
    f.driver.post(&[segment(0), segment(1)], 1).unwrap();
    let words = AtomicArray::<AtomicU32>::new(&f.private, f.shadow.words, 7).unwrap();
    // As before the index was stored, of a chain whose head is in no ring.
    let (avail_idx, posting) = (&words[0], &words[6]);
    avail_idx.store(0, Ordering::Relaxed);
    for head in [64, 65, 65_535] {
        posting.store(head, Ordering::Relaxed);
        assert_eq!(f.driver.recover(), Err(Unrecoverable), "head {head}");
    }
    posting.store(0, Ordering::Relaxed);
    assert_eq!(f.driver.recover(), Ok(()));
    assert_eq!((f.driver.in_flight(), f.driver.free()), (1, 62));
    let links = AtomicArray::<AtomicU16>::new(&f.private, f.shadow.links, 64).unwrap();
    links[0].store(64, Ordering::Relaxed);
    assert_eq!(f.driver.recover(), Err(Unrecoverable));
}
