//! A driver rebuilt from the two memory files alone: rings, buffers and counters go on where they
//! stood, however often and whenever that happens.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::fs::File;
use std::sync::Arc;

use taptool::counters::{CellBlock, Counter, Direction, GROUP_WORDS, QueueCounters};
use taptool::device::{
    BufferClass, Frame, Memory, Pool, PoolSlot, QueueId, QueueMemory, QueueRecord,
};
use taptool::ring::{
    AtomicArray, DeviceRing, DeviceSegment, DriverRing, MAX_SEGMENTS, MemoryMap, Segment, Writer,
};
use taptool::units::{QueueIndex, RingSize, SwIfIndex};
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap};

const BUFFERS: u32 = 128;
const LENDABLE: u32 = 64;
const CREDIT: u16 = 48;
const SLOT: PoolSlot = PoolSlot(9);
const NONE: DeviceSegment = DeviceSegment { addr: 0, len: 0, writable: false };
const NO_SEGMENT: Segment = Segment { addr: 0, len: 0 };

/// What one process knows: views of the two files, nothing else.
struct Holder {
    rx: DriverRing,
    tx: DriverRing,
    pool: Pool,
    rx_counters: QueueCounters,
    tx_counters: QueueCounters,
}

fn map(file: &File) -> MemoryMap {
    let bytes = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let offset = FileOffset::new(file.try_clone().unwrap(), 0);
    let ranges = [(GuestAddress(0), bytes, Some(offset))];
    Arc::new(GuestMemoryMmap::from_ranges_with_files(ranges).unwrap())
}

impl Holder {
    /// Finds everything in the two files.
    fn take_over(shared: &File, private: &File) -> Self {
        let (shared, private) = (map(shared), map(private));
        let records = QueueRecord::read_all(&private);
        assert_eq!(records.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [4, 7]);
        let find =
            |direction| *records.iter().map(|(_, r)| r).find(|r| r.direction == direction).unwrap();
        let (rx, tx) = (find(Direction::Rx), find(Direction::Tx));
        assert_eq!(
            (rx.interface, rx.queue, tx.interface),
            (SwIfIndex(3), QueueIndex(0), SwIfIndex(3))
        );
        let ring = |r: &QueueRecord, writer| {
            let (layout, shadow) = (r.layout(), r.shadow_layout());
            DriverRing::attach(&shared, &layout, &private, &shadow, writer, r.event_idx).unwrap()
        };
        let counters = |r: &QueueRecord| {
            let cells = AtomicArray::new(&private, r.counters, GROUP_WORDS).unwrap();
            QueueCounters::resume(Arc::new(cells) as CellBlock)
        };
        let pool = Pool::attach(&shared, &private, rx.pool.unwrap()).unwrap();
        assert_eq!((pool.slot(), pool.class()), (SLOT, BufferClass::Small));
        let (mut rx_ring, mut tx_ring) = (ring(&rx, Writer::Device), ring(&tx, Writer::Driver));
        rx_ring.recover().unwrap();
        tx_ring.recover().unwrap();
        let posted = rx_ring.tokens().map(|token| u32::try_from(token - 1).unwrap());
        pool.recover(posted, tx_ring.tokens().map(|token| Frame::from_token(token, 0))).unwrap();
        Self {
            rx: rx_ring,
            tx: tx_ring,
            pool,
            rx_counters: counters(&rx),
            tx_counters: counters(&tx),
        }
    }

    /// Posts free buffers up to the credit.
    fn refill(&mut self) {
        while self.rx.in_flight() < CREDIT {
            let Some(buffer) = self.pool.take() else { break };
            self.rx.post(&[self.pool.segment(buffer)], u64::from(buffer) + 1).unwrap();
        }
        self.rx.publish();
    }

    /// Takes received buffers and sends every one of them on.
    fn forward(&mut self, most: usize) {
        self.rx.look().unwrap();
        for _ in 0..most.min((LENDABLE - self.pool.lent()) as usize) {
            let Some(used) = self.rx.take().unwrap() else { break };
            self.rx_counters.add(Counter::Packets, 1);
            let head = u32::try_from(used.token - 1).unwrap();
            self.pool.set_length(head, used.written);
            let frame = Frame { pool: SLOT, head, buffers: 1, bytes: used.written };
            assert!(self.pool.lend(&frame));
            self.rx_counters.add(Counter::Forwarded, 1);
            let mut segments = [NO_SEGMENT; MAX_SEGMENTS];
            let n = self.pool.segments(&frame, &mut segments);
            self.tx.post(&segments[..n], frame.token()).unwrap();
            self.tx_counters.add(Counter::Enqueued, 1);
        }
        self.tx.publish();
        self.rx_counters.publish();
        self.tx_counters.publish();
    }

    /// Takes back what was sent.
    fn reclaim(&mut self, most: usize) {
        self.tx.look().unwrap();
        for _ in 0..most {
            let Some(used) = self.tx.take().unwrap() else { break };
            let frame = Frame::from_token(used.token, used.posted);
            assert_eq!((frame.pool, frame.buffers), (SLOT, 1));
            self.pool.settle(&frame);
            self.tx_counters.add(Counter::Packets, 1);
        }
        self.tx_counters.publish();
    }

    /// All that a successor must find.
    fn state(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let count = |counters: &QueueCounters| {
            [Counter::Packets, Counter::Forwarded, Counter::Enqueued].map(|c| counters.get(c))
        };
        (
            (self.rx.positions(), self.rx.free(), self.rx.in_flight()),
            (self.tx.positions(), self.tx.free(), self.tx.in_flight()),
            (self.pool.free(), self.pool.lent()),
            (count(&self.rx_counters), count(&self.tx_counters)),
        )
    }
}

/// The device outlives its drivers, as the kernel's does.
struct Device {
    rx: DeviceRing,
    tx: DeviceRing,
    number: u32,
}

impl Device {
    /// Fills posted buffers; their lengths tell them apart.
    fn fill(&mut self, most: u16) {
        for _ in 0..most.min(self.rx.available()) {
            let mut into = [NONE; MAX_SEGMENTS];
            let chain = self.rx.pop(&mut into);
            self.number += 1;
            self.rx.push_used(chain.head, 14 + self.number % 2000);
        }
        self.rx.publish();
    }

    /// Uses what was sent.
    fn send(&mut self, most: u16) -> Vec<u32> {
        let mut lengths = Vec::new();
        for _ in 0..most.min(self.tx.available()) {
            let mut into = [NONE; MAX_SEGMENTS];
            let chain = self.tx.pop(&mut into);
            assert_eq!((chain.segments, chain.malformed), (1, false));
            lengths.push(into[0].len);
            self.tx.push_used(chain.head, 0);
        }
        self.tx.publish();
        lengths
    }
}

struct World {
    /// What the first process owns; nobody uses it after the first takeover.
    memory: Arc<Memory>,
    _queues: [QueueMemory; 2],
    _pool: Pool,
    device: Device,
}

fn world() -> World {
    let memory = Arc::new(Memory::new("16M".parse().unwrap()).unwrap());
    // Something in front, so that nothing begins at zero.
    let first = memory.shared_extent(1 << 20).unwrap();
    let pool = Pool::new(&memory, SLOT, BufferClass::Small, BUFFERS, LENDABLE).unwrap();
    drop(first);
    let queue = |record, direction, size, pool: Option<&Pool>| {
        let id = QueueId { direction, index: QueueIndex(0) };
        let size = RingSize::new(size).unwrap();
        QueueMemory::new(&memory, record, SwIfIndex(3), id, size, true, pool).unwrap()
    };
    let rx = queue(7, Direction::Rx, 64, Some(&pool));
    let tx = queue(4, Direction::Tx, 256, None);
    let ring =
        |queue: &QueueMemory| DeviceRing::attach(memory.shared(), queue.layout(), true).unwrap();
    let device = Device { rx: ring(&rx), tx: ring(&tx), number: 0 };
    World { memory, _queues: [rx, tx], _pool: pool, device }
}

#[test]
fn a_successor_finds_rings_buffers_and_counters_as_they_were_left_again_and_again() {
    let mut world = world();
    let [shared, private] = world.memory.files().map(|f| f.try_clone().unwrap());
    let mut holder = Holder::take_over(&shared, &private);
    let (mut sent, mut rounds) = (0_u32, 0_usize);
    // Beyond the wrap of the indices, a takeover after every round.
    while sent < 70_000 {
        rounds += 1;
        holder.refill();
        world.device.fill(u16::try_from(rounds % 50).unwrap());
        holder.forward(rounds % 37);
        for length in world.device.send(u16::try_from(rounds % 41).unwrap()) {
            assert_eq!(length, 14 + (sent + 1) % 2000, "frame {sent}");
            sent += 1;
        }
        holder.reclaim(rounds % 43);
        let before = holder.state();
        if rounds.is_multiple_of(17) {
            drop(holder);
            holder = Holder::take_over(&shared, &private);
            assert_eq!(holder.state(), before);
        }
    }
    // Everything comes back, each buffer once.
    holder.refill();
    world.device.fill(u16::MAX);
    holder.forward(usize::MAX);
    while holder.tx.in_flight() > 0 {
        world.device.send(u16::MAX);
        holder = Holder::take_over(&shared, &private);
        holder.reclaim(usize::MAX);
        holder.forward(usize::MAX);
    }
    assert_eq!(holder.pool.lent(), 0);
    let mut holder = Holder::take_over(&shared, &private);
    let mut buffers = HashSet::new();
    holder.rx.drain(|token| assert!(buffers.insert(u32::try_from(token - 1).unwrap())));
    while let Some(buffer) = holder.pool.take() {
        assert!(buffers.insert(buffer), "buffer {buffer} is in two places");
    }
    assert_eq!(buffers, (0..BUFFERS).collect());
    let passed = holder.tx_counters.get(Counter::Packets);
    assert_eq!(passed, holder.tx_counters.get(Counter::Enqueued));
    assert_eq!(passed, holder.rx_counters.get(Counter::Forwarded));
}

#[test]
fn what_was_posted_and_not_published_is_published_by_the_successor() {
    let mut world = world();
    let [shared, private] = world.memory.files().map(|f| f.try_clone().unwrap());
    let mut holder = Holder::take_over(&shared, &private);
    let buffer = holder.pool.take().unwrap();
    holder.rx.post(&[holder.pool.segment(buffer)], u64::from(buffer) + 1).unwrap();
    assert_eq!(world.device.rx.available(), 0);
    let mut holder = Holder::take_over(&shared, &private);
    holder.rx.publish();
    world.device.fill(1);
    assert_eq!(holder.rx.look(), Ok(1));
    assert_eq!(holder.rx.take().unwrap().unwrap().token, u64::from(buffer) + 1);
}

#[test]
fn the_lending_limit_holds_for_the_successor() {
    let world = world();
    let [shared, private] = world.memory.files().map(|f| f.try_clone().unwrap());
    // Lent is what lies in a transmit ring.
    let lend = |holder: &mut Holder| {
        let head = holder.pool.take().unwrap();
        let frame = Frame { pool: SLOT, head, buffers: 1, bytes: 60 };
        let lent = holder.pool.lend(&frame);
        if lent {
            let whole = Segment { len: 60, ..holder.pool.segment(head) };
            holder.tx.post(&[whole], frame.token()).unwrap();
        }
        lent
    };
    let mut holder = Holder::take_over(&shared, &private);
    for _ in 0..LENDABLE {
        assert!(lend(&mut holder));
    }
    assert!(!lend(&mut Holder::take_over(&shared, &private)));
}

#[test]
fn a_file_that_is_not_ours_has_no_records() {
    let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 16 << 20)]).unwrap();
    assert!(QueueRecord::read_all(&Arc::new(memory)).is_empty());
    let small = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 4096)]).unwrap();
    assert!(QueueRecord::read_all(&Arc::new(small)).is_empty());
}
