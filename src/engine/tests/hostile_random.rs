//! Queues under devices that write anything at all: whatever stands in the used rings and in front
//! of the frames, every buffer is in one place and every frame is accounted for.

use std::num::Wrapping;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use nix::errno::Errno;
use nix::sys::epoll::Epoll;
use proptest::prelude::*;

use crate::action::PeerKey;
use crate::counters::{Direction, DropReason};
use crate::device::{
    BufferClass, Frame, Memory, Pool, PoolSlot, QueueDevice, QueueId, QueueMemory, Served, Wait,
};
use crate::engine::rx::{Next, RxQueue};
use crate::engine::tx::TxQueue;
use crate::engine::{BrokenReason, QueueKey, RxParts, StopReason, TxParts};
use crate::frame::NetHdr;
use crate::ring::{AtomicArray, AvailRing, UsedRing};
use crate::units::Mtus;
use crate::units::{Kind, QueueIndex, RingSize, SwIfIndex};

const ENTRIES: u16 = 64;
/// Visits of both queues in one case.
const VISITS: u32 = 60;

/// Numbers that follow from the case (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(bound)).unwrap()
    }

    fn short(&mut self, bound: u32) -> u16 {
        u16::try_from(self.below(bound)).unwrap()
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }
}

/// A device whose side of the ring the test writes; it says of some frames that they were refused.
#[derive(Debug)]
struct Scribbled {
    refuses: u16,
}

impl QueueDevice for Scribbled {
    fn register(&mut self, _: &Epoll, _: u64) -> Result<(), Errno> {
        Ok(())
    }

    fn unregister(&mut self, _: &Epoll) {}

    fn kick(&mut self) {}

    fn serve(&mut self) -> Served {
        Served::default()
    }

    fn sleep(&mut self, _: &Epoll, _: u64) -> Result<Wait, Errno> {
        Ok(Wait::Armed)
    }

    fn refusal(&mut self, head: u16) -> Option<Errno> {
        head.is_multiple_of(self.refuses).then_some(Errno::EIO)
    }

    fn notify_fds(&self) -> (i32, i32) {
        (-1, -1)
    }
}

/// What a device sees of one ring, and how often it breaks a rule.
struct Device {
    avail: AvailRing,
    used: UsedRing,
    used_idx: Wrapping<u16>,
    /// Whether ids and lengths may be wrong, and whether the index may be.
    lies: (bool, bool),
}

impl Device {
    fn new(memory: &Memory, queue: &QueueMemory, lies: (bool, bool)) -> Self {
        let layout = queue.layout();
        Self {
            avail: AvailRing::new(memory.shared(), layout).unwrap(),
            used: UsedRing::new(memory.shared(), layout).unwrap(),
            used_idx: Wrapping(0),
            lies,
        }
    }

    /// Uses some of the waiting chains. `length` says what is written of one, given its head.
    fn work(&mut self, random: &mut Random, mut length: impl FnMut(&mut Random, u32) -> u32) {
        let waiting = (self.avail.idx() - self.used_idx).0.min(ENTRIES);
        for _ in 0..random.below(u32::from(waiting) + 1) {
            let mut head = u32::from(self.avail.head(self.used_idx));
            if self.lies.0 && random.one_in(50) {
                head = random.below(80);
            }
            self.used.set_element(self.used_idx, head, length(random, head));
            self.used_idx += 1;
        }
        let lie = self.lies.1 && random.one_in(80);
        let idx = if lie { Wrapping(random.short(65_536)) } else { self.used_idx };
        self.used.set_idx(idx);
    }
}

/// A receive and a transmit queue on one pool.
struct Pair {
    memory: Arc<Memory>,
    pool: Arc<Pool>,
    buffers: u32,
    rx: RxQueue,
    tx: TxQueue,
    rings: [Arc<QueueMemory>; 2],
}

const fn key(slot: u32) -> QueueKey {
    QueueKey { slot, generation: 1 }
}

impl Pair {
    fn new(random: &mut Random) -> Self {
        let memory = Arc::new(Memory::new("64M".parse().unwrap()).unwrap());
        let class = if random.one_in(2) { BufferClass::Small } else { BufferClass::Large };
        let buffers = 96 + random.below(64);
        let lendable = buffers - u32::from(ENTRIES);
        let pool = Arc::new(Pool::new(&memory, PoolSlot(0), class, buffers, lendable).unwrap());
        let event_idx = random.one_in(2);
        let queue = |record, direction, pool: Option<&Pool>| {
            let (id, index) = (QueueId { direction, index: QueueIndex(0) }, SwIfIndex(1));
            let size = RingSize::new(ENTRIES.into()).unwrap();
            let made = QueueMemory::new(&memory, record, index, id, size, event_idx, pool);
            Arc::new(made.unwrap())
        };
        let rings = [queue(0, Direction::Rx, Some(&pool)), queue(1, Direction::Tx, None)];
        let rx = RxParts {
            interface: SwIfIndex(1),
            kind: Kind::Tap,
            memory: Arc::clone(&rings[0]),
            ring: rings[0].driver_ring().unwrap(),
            device: Box::new(Scribbled { refuses: 1 }),
            pool: Arc::clone(&pool),
            credit: ENTRIES,
            admin_up: true,
        };
        let tx = TxParts {
            interface: SwIfIndex(2),
            kind: Kind::Tap,
            memory: Arc::clone(&rings[1]),
            ring: rings[1].driver_ring().unwrap(),
            device: Box::new(Scribbled { refuses: 1 + random.short(5) }),
            admin_up: true,
            link_up: true,
            mtus: Mtus::default(),
        };
        let (rx, tx) = (
            RxQueue::new(key(0), rx, PeerKey { slot: 0, generation: 1 }),
            TxQueue::new(key(1), tx),
        );
        Self { memory, pool, buffers, rx, tx, rings }
    }

    /// Writes a header that is right, or anything, in front of the buffer of a receive entry.
    fn write_header(&self, random: &mut Random, head: u32) {
        let Ok(entry) = u16::try_from(head) else { return };
        let addr = self.rings[0].driver_ring().unwrap().descriptor(entry).addr;
        let Ok(words) = AtomicArray::<AtomicU16>::new(self.memory.shared(), addr, 6) else {
            return;
        };
        for word in &words[..5] {
            let value = if random.one_in(3) { random.short(65_536) } else { 0 };
            word.store(value, Ordering::Relaxed);
        }
        let buffers = match random.below(300) {
            0 => random.short(65_536),
            1 => 0,
            2..=60 => 1 + random.short(3),
            _ => 1,
        };
        words[5].store(buffers, Ordering::Relaxed);
    }
}

/// What became of the frames that were received.
#[derive(Default)]
struct Ledger {
    lent: u32,
    posted: u32,
    not_posted: u32,
    returned: u32,
}

impl Pair {
    /// Moves what was received to the transmit ring, as far as the ring's rules were kept.
    fn forward(&mut self, ledger: &mut Ledger) -> Result<(), BrokenReason> {
        let mut ready = self.rx.common.ring.look()?;
        loop {
            let frame = match self.rx.next_frame(&mut ready) {
                Next::Nothing => return Ok(()),
                Next::Broken(reason) => return Err(reason),
                Next::Frame(frame, _) => frame,
            };
            assert!(frame.bytes >= 12);
            if !self.pool.lend(&frame) {
                self.pool.give_frame(&frame);
                continue;
            }
            ledger.lent += 1;
            let admitted = self.tx.admit(&self.pool, &frame);
            match admitted.and_then(|hdr| self.tx.post(&self.pool, &frame, &hdr)) {
                Ok(()) => ledger.posted += 1,
                Err(_) => {
                    ledger.not_posted += 1;
                    self.pool.settle(&frame);
                }
            }
        }
    }

    /// Takes back what the device used.
    fn reclaim(&mut self, ledger: &mut Ledger) -> Result<(), BrokenReason> {
        let pool = Arc::clone(&self.pool);
        self.tx.reclaim(|_, frame, _| {
            ledger.returned += 1;
            pool.settle(&frame);
        })
    }

    /// Everything comes back when both queues are taken down, each buffer once.
    fn assert_whole(mut self, mut ledger: Ledger) {
        self.rx.common.stop(StopReason::HostGone);
        self.rx.abandon(DropReason::Torn, 0);
        for (frame, _) in self.tx.abandon(DropReason::Torn) {
            ledger.returned += 1;
            self.pool.settle(&frame);
        }
        assert_eq!(ledger.returned, ledger.posted);
        assert_eq!(ledger.lent, ledger.posted + ledger.not_posted);
        let pool = &self.pool;
        assert_eq!((pool.free(), pool.lent(), pool.refused()), (self.buffers, 0, 0));
        let mut taken: Vec<u32> = std::iter::from_fn(|| pool.take()).collect();
        taken.sort_unstable();
        assert_eq!(taken, (0..self.buffers).collect::<Vec<_>>());
    }
}

proptest! {
    #[test]
    fn no_buffer_is_lost_or_doubled_whatever_the_devices_write(case in 1_u64..) {
        let random = &mut Random(case);
        let mut pair = Pair::new(random);
        // One case in four has devices that keep the rules; one in two an index that may jump.
        let lies = match random.below(4) {
            0 => (false, false),
            1 => (true, false),
            _ => (true, true),
        };
        let mut devices = [0, 1].map(|i| Device::new(&pair.memory, &pair.rings[i], lies));
        let mut ledger = Ledger::default();
        let size = pair.pool.class().bytes();
        for _ in 0..VISITS {
            pair.rx.refill();
            devices[0].work(random, |random, head| {
                pair.write_header(random, head);
                match random.below(240) {
                    0 if lies.0 => 0,
                    1 if lies.0 => u32::MAX,
                    2 if lies.0 => size + 1,
                    3 if lies.0 => random.below(14),
                    _ => 12 + random.below(size - 11),
                }
            });
            if let Err(reason) = pair.forward(&mut ledger) {
                pair.rx.common.stop(StopReason::Broken(reason));
            }
            pair.tx.common.publish_ring();
            // What a device writes as the length of a chain that it only read means nothing.
            devices[1].work(random, |random, _| random.below(u32::MAX));
            if let Err(reason) = pair.reclaim(&mut ledger) {
                pair.tx.common.stop(StopReason::Broken(reason));
            }
            if random.one_in(200) {
                pair.rx.common.stop(StopReason::Broken(BrokenReason::OtherQueue));
            }
            if pair.rx.common.stopped.is_some() || pair.tx.common.stopped.is_some() {
                break;
            }
        }
        pair.assert_whole(ledger);
    }
}

#[test]
fn a_header_swapped_between_the_check_and_the_ring_is_not_what_is_sent() {
    let mut pair = Pair::new(&mut Random(1));
    let frame: Frame = pair.pool.compose(&[&[0; 12], &[2; 60]]).unwrap();
    assert!(pair.pool.lend(&frame));
    let admitted = pair.tx.admit(&pair.pool, &frame).unwrap();
    // The backend that received the frame writes into the buffer it has used.
    let hostile =
        NetHdr { flags: NetHdr::NEEDS_CSUM, csum_start: 60_000, num_buffers: 9, ..NetHdr::plain() };
    pair.pool.patch(&frame, 0, &hostile.to_bytes());
    assert_eq!(pair.tx.admit(&pair.pool, &frame), Err(DropReason::BadHeader));
    pair.tx.post(&pair.pool, &frame, &admitted).unwrap();
    let mut sent = [0xff; 12];
    pair.pool.copy_from(&frame, 0, &mut sent);
    assert_eq!(NetHdr::from_bytes(&sent), NetHdr::plain());
}
