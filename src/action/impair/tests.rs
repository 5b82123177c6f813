//! An impaired wire without an engine: the test holds the frames and the clock.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::action::{Action, Tables};
use crate::units::{Kind, Share};

const PEER: PeerKey = PeerKey { slot: 3, generation: 1 };
const US: u64 = 1_000;
const MS: u64 = 1_000_000;

fn of(words: &str) -> Impairment {
    let mut all = Impairment::default();
    let mut words = words.split(' ');
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name {
            "delay" => all.delay = value.parse().unwrap(),
            "jitter" => all.jitter = value.parse().unwrap(),
            "loss" => all.loss = value.parse().unwrap(),
            "duplicate" => all.duplicate = value.parse().unwrap(),
            "reorder" => all.reorder = value.parse().unwrap(),
            "corrupt" => all.corrupt = value.parse().unwrap(),
            "rate" => all.rate = Some(value.parse().unwrap()),
            "limit" => all.limit = Some(value.parse().unwrap()),
            "seed" => all.seed = Some(value.parse().unwrap()),
            other => panic!("{other}"),
        }
    }
    all.check().unwrap();
    all
}

/// The wire, its clock, and what an engine does.
struct Bench {
    action: Action,
    now_ns: u64,
    next: u64,
    held: BTreeMap<HeldKey, u64>,
    /// Most frames that may be held.
    room: usize,
    wake_ns: Option<u64>,
    /// Number and time of each frame that left.
    left: Vec<(u64, u64)>,
    lost: BTreeMap<&'static str, u64>,
    edits: u64,
    tables: Tables,
    output: Output,
}

impl Bench {
    fn new(words: &str) -> Self {
        Self {
            action: Action::Impair(Box::new(Impaired::new(PEER, of(words), 1))),
            now_ns: 0,
            next: 0,
            held: BTreeMap::new(),
            room: usize::MAX,
            wake_ns: None,
            left: Vec::new(),
            lost: BTreeMap::new(),
            edits: 0,
            tables: Tables::default(),
            output: Output::new(),
        }
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut Action, &mut Context<'_>) -> R) -> R {
        let mut context = Context {
            own: PEER,
            kind: Kind::Tap,
            now_ns: self.now_ns,
            next_held: HeldKey(self.next),
            tables: &mut self.tables,
            output: &mut self.output,
        };
        call(&mut self.action, &mut context)
    }

    fn carry_out(&mut self, number: u64, verdict: Verdict) {
        match verdict {
            Verdict::Forward(PEER) => self.left.push((number, self.now_ns)),
            Verdict::Flood => {
                assert_eq!(self.output.peers(), [PEER; 2]);
                self.left.extend([(number, self.now_ns); 2]);
            }
            Verdict::Hold if self.held.len() == self.room => {
                *self.lost.entry("hold_full").or_default() += 1;
            }
            Verdict::Hold => {
                self.held.insert(HeldKey(self.next), number);
                self.next += 1;
            }
            Verdict::Drop(reason) => *self.lost.entry(reason.row().name).or_default() += 1,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self) {
        let released = self.output.released().to_vec();
        for (key, verdict) in released {
            let number = self.held.remove(&key).expect("a key of a held frame");
            self.carry_out(number, verdict);
        }
        if let Some(ns) = self.output.wake_ns() {
            self.wake_ns = Some(self.wake_ns.map_or(ns, |earlier| earlier.min(ns)));
        }
        self.output.clear();
    }

    /// A frame comes now.
    fn frame(&mut self, number: u64, bytes: usize) {
        let frame = vec![0x45; bytes];
        let verdict =
            self.call(|action, context| action.visit(context, &NetHdr::plain(), &frame[..]));
        self.edits += self.output.edits().count() as u64;
        self.carry_out(number, verdict);
        self.finish();
    }

    /// Time passes, and timers expire on time.
    fn until(&mut self, ns: u64) {
        while let Some(wake) = self.wake_ns.filter(|wake| *wake <= ns) {
            self.now_ns = self.now_ns.max(wake);
            self.wake_ns = None;
            self.call(Action::expire);
            self.finish();
        }
        self.now_ns = ns;
    }

    fn set(&mut self, action: Action) -> bool {
        let mut before = std::mem::replace(&mut self.action, action);
        self.wake_ns = None;
        let kept = self.call(|action, context| action.take_over(&mut before, context));
        self.finish();
        kept
    }

    fn wire(peer: PeerKey, words: &str) -> Action {
        Action::Impair(Box::new(Impaired::new(peer, of(words), 1)))
    }

    fn numbers(&self) -> Vec<u64> {
        self.left.iter().map(|(number, _)| *number).collect()
    }
}

#[test]
fn a_delayed_frame_leaves_at_its_time_in_its_order_and_none_before_it() {
    let mut bench = Bench::new("delay 10ms");
    for n in 0..500 {
        bench.until(n * 20 * US);
        bench.frame(n, 100);
    }
    assert_eq!(bench.held.len(), 500);
    bench.until(20 * MS);
    let expected: Vec<_> = (0..500).map(|n| (n, n * 20 * US + 10 * MS)).collect();
    assert_eq!(bench.left, expected);
    assert!(bench.held.is_empty() && bench.wake_ns.is_none());
}

#[test]
fn jitter_spreads_the_delay_on_both_sides_and_keeps_the_order() {
    let mut bench = Bench::new("delay 10ms jitter 4ms seed 1");
    // So far apart that none is kept back by the one before it.
    for n in 0..2_000 {
        bench.until(n * 20 * MS);
        bench.frame(n, 100);
    }
    bench.until(u64::MAX / 2);
    let delays: Vec<u64> = bench.left.iter().map(|(n, at)| at - n * 20 * MS).collect();
    assert!(delays.iter().all(|delay| (6 * MS..=14 * MS).contains(delay)));
    let mean = delays.iter().sum::<u64>() / 2_000;
    assert!(mean.abs_diff(10 * MS) < 200 * US, "{mean}");
    assert!(delays.iter().any(|d| *d < 7 * MS) && delays.iter().any(|d| *d > 13 * MS));
    let mut dense = Bench::new("delay 10ms jitter 4ms seed 1");
    for n in 0..2_000 {
        dense.until(n * 10 * US);
        dense.frame(n, 100);
    }
    dense.until(u64::MAX / 2);
    assert!(dense.left.is_sorted() && dense.left.len() == 2_000);
}

#[test]
fn a_rate_sends_frames_one_behind_the_other_and_loses_what_waits_too_long() {
    // 1000 bytes take 1 ms: 100 ms of waiting are 100 frames, and one is being sent.
    let mut bench = Bench::new("rate 8Mbit");
    (0..200).for_each(|n| bench.frame(n, 1_000));
    bench.until(1_000 * MS);
    let expected: Vec<_> = (0..101).map(|n| (n, (n + 1) * MS)).collect();
    assert_eq!(bench.left, expected);
    assert_eq!(bench.lost, BTreeMap::from([("queue_full", 99)]));
    // And the line is free again.
    bench.frame(200, 500);
    bench.until(2_000 * MS);
    assert_eq!(bench.left.last(), Some(&(200, 1_000 * MS + 500 * US)));
}

#[test]
fn a_limit_counts_all_frames_on_the_wire() {
    let mut bench = Bench::new("delay 10ms limit 10");
    (0..25).for_each(|n| bench.frame(n, 100));
    assert_eq!((bench.held.len(), bench.lost.get("queue_full")), (10, Some(&15)));
    bench.until(10 * MS);
    bench.frame(25, 100);
    assert_eq!((bench.left.len(), bench.held.len()), (10, 1));
}

#[test]
fn reordered_frames_overtake_and_the_others_keep_their_order() {
    let mut bench = Bench::new("delay 5ms reorder 25% seed 9");
    for n in 0..4_000 {
        bench.until(n * 10 * US);
        bench.frame(n, 100);
    }
    bench.until(u64::MAX / 2);
    let early: Vec<_> = bench.left.iter().filter(|(n, at)| *at == n * 10 * US).collect();
    // 3 sigma: 82.
    assert!(early.len().abs_diff(1_000) < 82, "{}", early.len());
    let late: Vec<_> = bench.left.iter().filter(|(n, at)| *at != n * 10 * US).collect();
    assert!(late.is_sorted() && late.iter().all(|(n, at)| *at == n * 10 * US + 5 * MS));
    assert_eq!(early.len() + late.len(), 4_000);
}

#[test]
fn the_same_seed_means_the_same_fate_and_another_one_another() {
    let run = |seed: u64| {
        let words = "delay 3ms jitter 1ms loss 10% duplicate 10% reorder 10% corrupt 10% seed";
        let mut bench = Bench::new(&format!("{words} {seed}"));
        for n in 0..1_000 {
            bench.until(n * 50 * US);
            bench.frame(n, 200);
        }
        bench.until(u64::MAX / 2);
        (bench.left, bench.lost, bench.edits)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn shares_are_kept_within_three_sigma_of_100000_frames() {
    let mut bench = Bench::new("loss 1% duplicate 0.5% corrupt 2% seed 42");
    (0..100_000).for_each(|n| bench.frame(n, 64));
    // 3 sigma: 3 * sqrt(100000 * share * (1 - share)).
    let lost = bench.lost["impaired_loss"];
    assert!(lost.abs_diff(1_000) <= 94, "{lost}");
    let twice = bench.left.len() as u64 + lost - 100_000;
    assert!(twice.abs_diff(495) <= 66, "{twice}");
    assert!(bench.edits.abs_diff(1_980) <= 132, "{}", bench.edits);
    assert!(bench.held.is_empty());
}

#[test]
fn a_frame_for_which_there_was_no_room_is_not_released_in_place_of_the_next() {
    let mut bench = Bench::new("delay 10ms");
    bench.room = 2;
    (0..4).for_each(|n| bench.frame(n, 100));
    bench.until(5 * MS);
    bench.room = 3;
    bench.frame(4, 100);
    bench.until(100 * MS);
    assert_eq!(bench.left, [(0, 10 * MS), (1, 10 * MS), (4, 15 * MS)]);
    assert_eq!(bench.lost["hold_full"], 2);
}

#[test]
fn a_change_of_the_wire_loses_no_frame_and_a_change_of_the_peer_all() {
    let mut bench = Bench::new("delay 1s");
    (0..100).for_each(|n| bench.frame(n, 100));
    // Less delay holds for those on the wire, too.
    assert!(bench.set(Bench::wire(PEER, "delay 10ms rate 1Gbit")));
    bench.frame(100, 100);
    bench.until(10 * MS + 800);
    assert_eq!(bench.numbers(), (0..101).collect::<Vec<_>>());
    bench.frame(101, 100);
    bench.until(12 * MS);
    assert!(bench.set(Action::Xconnect(PEER)));
    assert_eq!(bench.numbers().last(), Some(&101));
    assert!(bench.set(Bench::wire(PEER, "delay 10ms")) || bench.held.is_empty());
    bench.frame(102, 100);
    assert!(bench.set(Bench::wire(PEER, "loss 1%")), "a wire that holds nothing lets go at once");
    assert!(bench.held.is_empty());
    bench.set(Bench::wire(PEER, "delay 10ms"));
    bench.frame(103, 100);
    let other = PeerKey { slot: 4, generation: 1 };
    for action in [Action::Xconnect(other), Bench::wire(other, "delay 1ms"), Action::Sink] {
        assert!(!bench.set(action.clone()), "{action:?}");
        bench.action = Bench::wire(PEER, "delay 10ms");
    }
}

#[test]
fn many_frames_of_one_time_leave_in_several_calls_and_all() {
    let mut bench = Bench::new("delay 1ms");
    (0..1_000).for_each(|n| bench.frame(n, 100));
    bench.until(MS);
    assert_eq!(bench.numbers(), (0..1_000).collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn every_frame_leaves_or_is_lost_whatever_the_wire(
        delay_us in 0_u64..5_000,
        jitter_us in 0_u64..5_000,
        shares in [0_u64..1_000_000_001, 0..1_000_000_001, 0..1_000_000_001, 0..1_000_000_001],
        kbit in proptest::option::of(1_u64..10_000_000),
        limit in proptest::option::of(1_u32..50),
        room in 1_usize..60,
        gaps in proptest::collection::vec((0_u64..500, 14_usize..3_000), 1..300),
    ) {
        let [loss, duplicate, corrupt, reorder] = shares.map(|n| Share::new(n).unwrap());
        let settings = Impairment {
            loss, duplicate, corrupt, reorder, limit,
            delay: format!("{delay_us}us").parse().unwrap(),
            jitter: format!("{}us", jitter_us.min(delay_us)).parse().unwrap(),
            rate: kbit.map(|kbit| format!("{kbit}kbit").parse().unwrap()),
            seed: None,
        };
        let mut bench = Bench::new("loss 1%");
        bench.action = Action::Impair(Box::new(Impaired::new(PEER, settings, 5)));
        bench.room = room;
        let count = gaps.len();
        let mut came = Vec::new();
        for (n, (gap_us, bytes)) in gaps.into_iter().enumerate() {
            bench.until(bench.now_ns + gap_us * US);
            came.push(bench.now_ns);
            bench.frame(n as u64, bytes);
        }
        bench.until(u64::MAX / 2);
        prop_assert!(bench.held.is_empty());
        let mut numbers = bench.numbers();
        numbers.sort_unstable();
        numbers.dedup();
        prop_assert_eq!(numbers.len() as u64 + bench.lost.values().sum::<u64>(), count as u64);
        // None leaves before its time, but for those that skip it.
        let least = if reorder.is_none() { delay_us - jitter_us.min(delay_us) } else { 0 } * US;
        prop_assert!(bench.left.iter().all(|(n, at)| *at >= came[usize::try_from(*n).unwrap()] + least));
    }
}
