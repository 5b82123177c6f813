//! Our driver, the other implementation's device.

use std::collections::HashMap;

use taptool::ring::{Segment, Writer};
use virtio_queue::{Queue, QueueT};

use super::bench::{Bench, Random};

/// Chains of one run: the 16-bit indices wrap.
const CHAINS: u64 = 70_000;

/// What was posted and has not come back, by token.
#[derive(Debug, Default)]
struct Posted {
    chains: HashMap<u64, Vec<Segment>>,
    next: u64,
}

struct Run {
    bench: Bench,
    device: Queue,
    random: Random,
    writer: Writer,
    most: u64,
    posted: Posted,
    /// Available chains, oldest first.
    waiting: std::collections::VecDeque<u64>,
    /// Chains that the device took: head and token.
    held: Vec<(u16, u64)>,
    /// Used chains that the driver has not taken, oldest first: token and written bytes.
    used: std::collections::VecDeque<(u64, u32)>,
    published: u16,
    taken: u64,
}

impl Run {
    fn new(size: u64, writer: Writer, event_idx: bool, indirect: bool, most: u64) -> Self {
        let bench = Bench::new(size, writer, event_idx, indirect);
        Self {
            device: bench.oracle(),
            bench,
            random: Random(0x9e37_79b9_7f4a_7c15),
            writer,
            most,
            posted: Posted::default(),
            waiting: Default::default(),
            held: Vec::new(),
            used: Default::default(),
            published: 0,
            taken: 0,
        }
    }

    /// Posts a batch and publishes it; the kick decision is the spec's.
    fn supply(&mut self) {
        for _ in 0..self.random.below(u64::from(self.bench.driver.size()) + 1) {
            let segments = self.random.segments(self.most);
            let token = self.posted.next + 1;
            if self.bench.driver.post(&segments, token).is_err() {
                break;
            }
            self.posted.next = token;
            self.posted.chains.insert(token, segments);
            self.waiting.push_back(token);
        }
        let new = u16::try_from(self.posted.next & 0xffff).unwrap();
        let wanted = self.bench.kick_wanted(self.published, new);
        assert_eq!(self.bench.driver.publish(), wanted, "{} to {new}", self.published);
        self.published = new;
    }

    /// The device takes some chains and sees the very segments; it asks for a kick or not.
    fn take_available(&mut self) {
        for _ in 0..self.random.below(self.waiting.len() as u64 + 1) {
            let chain = self.device.pop_descriptor_chain(&*self.bench.map).unwrap();
            let head = chain.head_index();
            let token = self.waiting.pop_front().unwrap();
            let writable = self.writer == Writer::Device;
            let seen: Vec<_> = chain
                .map(|d| {
                    assert_eq!(d.is_write_only(), writable);
                    Segment { addr: d.addr().0, len: d.len() }
                })
                .collect();
            assert_eq!(seen, self.posted.chains[&token], "chain {token}");
            self.held.push((head, token));
        }
        if self.random.below(2) == 0 {
            let more = self.device.enable_notification(&*self.bench.map).unwrap();
            assert_eq!(more, !self.waiting.is_empty());
        } else {
            self.device.disable_notification(&*self.bench.map).unwrap();
        }
    }

    /// The device uses some of what it holds, in any order, and decides about a call.
    fn use_held(&mut self) {
        let armed = self.random.below(2) == 0;
        if armed {
            assert_eq!(self.bench.driver.arm(), !self.used.is_empty());
        } else {
            self.bench.driver.disarm();
        }
        let flags = self.bench.driver.positions().avail_flags;
        let batch = self.random.below(self.held.len() as u64 + 1);
        for _ in 0..batch {
            let at = usize::try_from(self.random.below(self.held.len() as u64)).unwrap();
            let (head, token) = self.held.swap_remove(at);
            let room: u32 = self.posted.chains[&token].iter().map(|s| s.len).sum();
            let written = match self.writer {
                Writer::Device => u32::try_from(self.random.below(u64::from(room) + 1)).unwrap(),
                Writer::Driver => 0,
            };
            self.device.add_used(&*self.bench.map, head, written).unwrap();
            self.used.push_back((token, written));
        }
        let call = self.device.needs_notification(&*self.bench.map).unwrap();
        if !self.bench.event_idx {
            // The other implementation does not read the flag; we look at it ourselves.
            assert_eq!(flags, u16::from(!armed));
        } else if !armed || batch == 0 {
            assert!(!call, "called without having asked for it");
        } else if self.used.len() as u64 == batch {
            assert!(call, "armed at an empty ring and not called");
        }
    }

    /// The driver takes some of what was used.
    fn reclaim(&mut self) {
        assert_eq!(usize::from(self.bench.driver.look().unwrap()), self.used.len());
        for _ in 0..self.random.below(self.used.len() as u64 + 1) {
            let peeked = self.bench.driver.peek().unwrap().unwrap();
            let used = self.bench.driver.take().unwrap().unwrap();
            assert_eq!(peeked, used);
            let (token, written) = self.used.pop_front().unwrap();
            let chain = self.posted.chains.remove(&token).unwrap();
            assert_eq!((used.token, used.written), (token, written));
            assert_eq!(used.posted, chain.iter().map(|s| s.len).sum::<u32>());
            self.taken += 1;
        }
        assert_eq!(usize::from(self.bench.driver.in_flight()), self.posted.chains.len());
        if self.used.is_empty() {
            assert_eq!(self.bench.driver.take(), Ok(None));
        }
    }

    fn run(mut self) {
        while self.taken < CHAINS {
            self.supply();
            self.take_available();
            self.use_held();
            self.reclaim();
        }
        let mut left = Vec::new();
        self.bench.driver.drain(|token| left.push(token));
        left.sort_unstable();
        let mut expected: Vec<u64> = self.posted.chains.keys().copied().collect();
        expected.sort_unstable();
        assert_eq!(left, expected);
        assert_eq!(self.bench.driver.free(), self.bench.driver.size());
    }
}

#[test]
fn direct_chains_reach_the_other_device_whole_and_come_back_once_across_the_wrap() {
    for event_idx in [false, true] {
        Run::new(64, Writer::Driver, event_idx, false, 5).run();
    }
}

#[test]
fn indirect_chains_reach_the_other_device_whole_and_come_back_once_across_the_wrap() {
    for event_idx in [false, true] {
        Run::new(128, Writer::Driver, event_idx, true, 64).run();
    }
}

#[test]
fn single_receive_buffers_come_back_in_batches_with_their_lengths_across_the_wrap() {
    for event_idx in [false, true] {
        Run::new(256, Writer::Device, event_idx, false, 1).run();
    }
}

#[test]
fn receive_chains_of_several_segments_come_back_with_their_lengths_across_the_wrap() {
    for event_idx in [false, true] {
        Run::new(64, Writer::Device, event_idx, false, 33).run();
    }
}

#[test]
fn the_longest_ring_has_room_for_all_its_entries_and_its_indices_wrap_twice() {
    let mut run = Run::new(32_768, Writer::Device, true, false, 1);
    while run.taken < 2 * 65_536 {
        run.supply();
        run.take_available();
        run.use_held();
        run.reclaim();
    }
}
