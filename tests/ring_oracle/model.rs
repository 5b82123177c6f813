//! Our two sides under any interleaving of their steps, against lists of what should be where.

use std::collections::VecDeque;
use std::num::Wrapping;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use taptool::ring::{
    AtomicArray, DeviceRing, DeviceSegment, DriverRing, MAX_SEGMENTS, Segment, Writer,
};

use super::bench::{Bench, Random, cases};

const NONE: DeviceSegment = DeviceSegment { addr: 0, len: 0, writable: false };

#[derive(Debug, Clone)]
enum Step {
    Post(u64),
    Publish,
    /// The device takes chains.
    Pop(usize),
    /// The device uses one of those that it took.
    Use(usize),
    DevicePublish,
    DeviceArm,
    DeviceDisarm,
    Look,
    Take(usize),
    Arm,
    Disarm,
    /// The driver is rebuilt from the memory.
    Reattach,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (1_u64..5).prop_map(Step::Post),
        5 => Just(Step::Publish),
        6 => (1_usize..8).prop_map(Step::Pop),
        10 => any::<usize>().prop_map(Step::Use),
        5 => Just(Step::DevicePublish),
        2 => Just(Step::DeviceArm),
        2 => Just(Step::DeviceDisarm),
        5 => Just(Step::Look),
        5 => (1_usize..8).prop_map(Step::Take),
        2 => Just(Step::Arm),
        2 => Just(Step::Disarm),
        1 => Just(Step::Reattach),
    ]
}

#[derive(Debug, Clone)]
struct Chain {
    token: u64,
    segments: Vec<Segment>,
}

/// Where every chain is, and what each side asked for.
#[derive(Debug, Default)]
struct Model {
    posted: VecDeque<Chain>,
    available: VecDeque<Chain>,
    held: Vec<(u16, Chain)>,
    used: VecDeque<(Chain, u32)>,
    published: VecDeque<(Chain, u32)>,
    /// How many of `published` the driver has seen.
    seen: usize,
    in_flight: u16,
    /// Steps until the event that the driver asked for: `published` since it armed.
    call_armed: Option<bool>,
    kick_armed: Option<bool>,
}

struct Run {
    bench: Bench,
    device: DeviceRing,
    model: Model,
    random: Random,
    next: u64,
}

/// A ring whose indices stand at `start`, as after so many chains.
fn ring_at(start: u16, event_idx: bool, indirect: bool) -> Bench {
    let bench = Bench::new(64, Writer::Device, event_idx, indirect);
    // Words of the shadow: avail_idx, last_used_idx, published idx.
    let words = AtomicArray::<AtomicU32>::new(&bench.private, bench.shadow.words, 16).unwrap();
    for word in [0, 1, 5] {
        words[word].store(start.into(), Ordering::Relaxed);
    }
    let start = Wrapping(start);
    bench.avail().set_idx(start);
    bench.used().set_idx(start);
    // Events that are not asked for yet.
    bench.avail().set_used_event(start - Wrapping(1));
    bench.used().set_avail_event(start - Wrapping(1));
    Bench { driver: attach(&bench), ..bench }
}

fn attach(bench: &Bench) -> DriverRing {
    let (layout, shadow) = (&bench.layout, &bench.shadow);
    DriverRing::attach(&bench.map, layout, &bench.private, shadow, Writer::Device, bench.event_idx)
        .unwrap()
}

impl Run {
    fn new(start: u16, event_idx: bool, indirect: bool) -> Self {
        let mut bench = ring_at(start, event_idx, indirect);
        let mut device = DeviceRing::attach(&bench.map, &bench.layout, event_idx).unwrap();
        bench.driver.disarm();
        device.disarm();
        let model = Model { call_armed: Some(false), kick_armed: Some(false), ..Model::default() };
        Self { bench, device, model, random: Random(0x5555_1111), next: 0 }
    }

    fn post(&mut self, most: u64) {
        let segments = self.random.segments(most);
        let indirect = self.bench.layout.indirect.is_some();
        let entries = if indirect { 1 } else { segments.len() };
        let fits = entries <= usize::from(self.bench.driver.free());
        let token = self.next + 1;
        assert_eq!(self.bench.driver.post(&segments, token).is_ok(), fits);
        if fits {
            self.next = token;
            self.model.in_flight += 1;
            self.model.posted.push_back(Chain { token, segments });
        }
    }

    fn publish(&mut self) {
        let any = !self.model.posted.is_empty();
        let due = self.bench.driver.publish();
        self.model.available.append(&mut self.model.posted);
        match self.model.kick_armed {
            Some(armed) => assert_eq!(due, armed && any),
            // With EVENT_IDX the event was passed already: one kick per request.
            None => assert!(!due),
        }
        if any && self.bench.event_idx {
            self.model.kick_armed = self.model.kick_armed.filter(|armed| !armed);
        }
    }

    fn pop(&mut self, most: usize) {
        assert_eq!(usize::from(self.device.available()), self.model.available.len());
        for _ in 0..most.min(self.model.available.len()) {
            let mut into = [NONE; MAX_SEGMENTS];
            let taken = self.device.pop(&mut into);
            let chain = self.model.available.pop_front().unwrap();
            assert!(!taken.malformed);
            let seen: Vec<_> = into[..taken.segments]
                .iter()
                .map(|s| Segment { addr: s.addr, len: s.len })
                .collect();
            assert_eq!(seen, chain.segments);
            self.model.held.push((taken.head, chain));
        }
    }

    fn use_one(&mut self, which: usize) {
        if self.model.held.is_empty() {
            return;
        }
        let (head, chain) = self.model.held.swap_remove(which % self.model.held.len());
        let written = chain.segments[0].len;
        self.device.push_used(head, written);
        self.model.used.push_back((chain, written));
    }

    fn device_publish(&mut self) {
        let any = !self.model.used.is_empty();
        let due = self.device.publish();
        self.model.published.append(&mut self.model.used);
        match self.model.call_armed {
            Some(armed) => assert_eq!(due, armed && any),
            None => assert!(!due),
        }
        if any && self.bench.event_idx {
            self.model.call_armed = self.model.call_armed.filter(|armed| !armed);
        }
    }

    fn take(&mut self, most: usize) {
        for _ in 0..most {
            let taken = self.bench.driver.take().unwrap();
            if self.model.seen == 0 {
                assert_eq!(taken, None);
                return;
            }
            let (chain, written) = self.model.published.pop_front().unwrap();
            let (posted, used) = (chain.segments.iter().map(|s| s.len).sum(), taken.unwrap());
            assert_eq!((used.token, used.written, used.posted), (chain.token, written, posted));
            self.model.seen -= 1;
            self.model.in_flight -= 1;
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Post(most) => self.post(most),
            Step::Publish => self.publish(),
            Step::Pop(most) => self.pop(most),
            Step::Use(which) => self.use_one(which),
            Step::DevicePublish => self.device_publish(),
            Step::DeviceArm => {
                let pending = self.device.arm();
                assert_eq!(pending, !self.model.available.is_empty());
                // With chains pending the event is passed already.
                self.model.kick_armed =
                    if pending && self.bench.event_idx { None } else { Some(true) };
            }
            Step::DeviceDisarm => {
                self.device.disarm();
                self.model.kick_armed = Some(false);
            }
            Step::Look => {
                self.model.seen = self.model.published.len();
                assert_eq!(self.bench.driver.look().map(usize::from), Ok(self.model.seen));
            }
            Step::Take(most) => self.take(most),
            Step::Arm => {
                let pending = self.bench.driver.arm();
                assert_eq!(pending, !self.model.published.is_empty());
                self.model.call_armed =
                    if pending && self.bench.event_idx { None } else { Some(true) };
            }
            Step::Disarm => {
                self.bench.driver.disarm();
                self.model.call_armed = Some(false);
            }
            Step::Reattach => {
                self.bench.driver = attach(&self.bench);
                self.model.seen = 0;
            }
        }
        assert_eq!(self.bench.driver.in_flight(), self.model.in_flight);
    }
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn any_interleaving_of_both_sides_moves_every_chain_once_in_order_and_notifies_exactly(
        start in prop_oneof![Just(0_u16), 65_400_u16..=65_535, any::<u16>()],
        event_idx in any::<bool>(),
        indirect in any::<bool>(),
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut run = Run::new(start, event_idx, indirect);
        for step in &steps {
            run.step(step);
        }
    }
}
