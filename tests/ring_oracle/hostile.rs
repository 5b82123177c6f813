//! A device that writes anything anywhere in the used ring at any time.

use std::collections::HashMap;
use std::num::Wrapping;
use std::sync::atomic::Ordering;

use proptest::prelude::*;
use taptool::ring::{DriverRing, Writer};

use super::bench::{Bench, Random, cases};

#[derive(Debug, Clone)]
enum Step {
    Post(u64),
    Publish,
    /// Writes a used element.
    Element {
        slot: u16,
        id: u32,
        len: u32,
    },
    /// Writes `used_idx`.
    Index(u16),
    /// Moves `used_idx` on from where it is.
    Forward(u16),
    /// Writes flags and avail_event.
    Suppress(u16, u16),
    Look,
    Take(usize),
    Arm,
    Disarm,
}

/// Ids that are entries, just beyond them, and far away.
fn id() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0_u32..64, 1 => 64_u32..70, 1 => any::<u32>()]
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![4 => 0_u32..9000, 1 => any::<u32>()];
    prop_oneof![
        4 => (1_u64..6).prop_map(Step::Post),
        3 => Just(Step::Publish),
        8 => (0_u16..64, id(), len).prop_map(|(slot, id, len)| Step::Element { slot, id, len }),
        1 => any::<u16>().prop_map(Step::Index),
        6 => (0_u16..5).prop_map(Step::Forward),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(a, b)| Step::Suppress(a, b)),
        6 => Just(Step::Look),
        6 => (1_usize..6).prop_map(Step::Take),
        1 => Just(Step::Arm),
        1 => Just(Step::Disarm),
    ]
}

/// Every token in flight, with the bytes that were posted under it.
type InFlight = HashMap<u64, u32>;

fn take(driver: &mut DriverRing, most: usize, in_flight: &mut InFlight, writer: Writer) {
    for i in 0..most {
        // Both ways to take; the device may write between the look and the acceptance.
        let used = if i % 2 == 0 {
            let Ok(Some(used)) = driver.peek() else { return };
            driver.accept(&used);
            used
        } else {
            let Ok(Some(used)) = driver.take() else { return };
            used
        };
        let posted = in_flight.remove(&used.token).expect("a token that was not in flight");
        assert_eq!(used.posted, posted);
        assert!(used.written <= posted);
        assert!(writer == Writer::Device || used.written == 0);
    }
}

fn run(writer: Writer, event_idx: bool, indirect: bool, steps: &[Step]) {
    let mut bench = Bench::new(64, writer, event_idx, indirect);
    let mut random = Random(0xdead_beef);
    let mut in_flight = InFlight::new();
    let mut next = 0;
    let used = bench.used();
    for step in steps {
        match *step {
            Step::Post(most) => {
                let segments = random.segments(most);
                if bench.driver.post(&segments, next + 1).is_ok() {
                    next += 1;
                    in_flight.insert(next, segments.iter().map(|s| s.len).sum());
                }
            }
            Step::Publish => drop(bench.driver.publish()),
            Step::Element { slot, id, len } => used.set_element(Wrapping(slot), id, len),
            Step::Index(idx) => used.set_idx(Wrapping(idx)),
            Step::Forward(by) => used.set_idx(used.idx() + Wrapping(by)),
            Step::Suppress(flags, event) => {
                used.set_flags(flags);
                used.set_avail_event(Wrapping(event));
            }
            Step::Look => {
                let ready = bench.driver.look();
                assert!(ready.is_err() || usize::from(ready.unwrap()) <= in_flight.len());
            }
            Step::Take(most) => take(&mut bench.driver, most, &mut in_flight, writer),
            Step::Arm => drop(bench.driver.arm()),
            Step::Disarm => bench.driver.disarm(),
        }
        assert_eq!(usize::from(bench.driver.in_flight()), in_flight.len());
        assert!(bench.driver.free() <= 64);
    }
    // The device has stopped: what is left comes back, each once, and the ring is as new.
    bench.driver.drain(|token| {
        in_flight.remove(&token).expect("a token that was not in flight");
    });
    assert!(in_flight.is_empty());
    assert_eq!((bench.driver.in_flight(), bench.driver.free()), (0, 64));
    bench.driver.reset();
    for token in 1..=64 {
        bench.driver.post(&random.segments(1), token).unwrap();
    }
    assert_eq!(bench.driver.look(), Ok(0));
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn a_hostile_device_never_gets_a_token_back_twice_nor_one_that_was_not_posted(
        transmit in any::<bool>(),
        event_idx in any::<bool>(),
        indirect in any::<bool>(),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let writer = if transmit { Writer::Driver } else { Writer::Device };
        run(writer, event_idx, indirect, &steps);
    }
}

/// The device thread writes random words as fast as it can, while the driver goes about its work.
#[test]
fn a_device_that_scribbles_while_the_driver_works_breaks_the_ring_and_nothing_else() {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    for writer in [Writer::Driver, Writer::Device] {
        let mut bench = Bench::new(64, writer, true, true);
        let stop = Arc::new(AtomicBool::new(false));
        let used = bench.used();
        let stopped = Arc::clone(&stop);
        let scribbler = std::thread::spawn(move || {
            let mut random = Random(0x1234_5678_9abc_def1);
            while !stopped.load(Ordering::Relaxed) {
                let at = Wrapping(u16::try_from(random.below(64)).unwrap());
                let (id, len) = used.element(at);
                let word = u32::try_from(random.below(80)).unwrap();
                match random.below(2) {
                    0 => used.set_element(at, word, len),
                    _ => used.set_element(at, id, word),
                }
                used.set_idx(Wrapping(u16::try_from(random.below(65_536)).unwrap()));
            }
        });
        let mut random = Random(3);
        let (mut in_flight, mut next, mut broken) = (InFlight::new(), 0, 0);
        while broken < 20_000 {
            let segments = random.segments(5);
            if bench.driver.post(&segments, next + 1).is_ok() {
                next += 1;
                in_flight.insert(next, segments.iter().map(|s| s.len).sum());
            }
            bench.driver.publish();
            match bench.driver.look() {
                Ok(_) => take(&mut bench.driver, 64, &mut in_flight, writer),
                Err(_) => broken += 1,
            }
            assert_eq!(usize::from(bench.driver.in_flight()), in_flight.len());
        }
        stop.store(true, Ordering::Relaxed);
        scribbler.join().unwrap();
        bench.driver.drain(|token| assert!(in_flight.remove(&token).is_some()));
        assert!(in_flight.is_empty());
    }
}
