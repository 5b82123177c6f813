//! Two embedded devices behind real pollers, cross-connected.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::SockType;
use nix::unistd::write;
use taptool::action::{Action, PeerKey};
use taptool::counters::{Direction, QueueSnapshot, check_at_rest};
use taptool::device::{
    Backend, BufferClass, Memory, Pool, PortFiles, QueueId, QueueMemory, Userspace, known_features,
};
use taptool::engine::{Engine, QueueKey, RxParts, TxParts, TxPlace};
use taptool::units::Mtus;
use taptool::units::{Kind, PollerIndex, QueueIndex, RingSize, SwIfIndex};

use super::bench::{MAXIMAL, Random, read_host, socket_tap};

/// When something is taken for hung.
const DEADLINE: Duration = Duration::from_secs(120);

struct Interface {
    host: OwnedFd,
    queues: [Arc<QueueMemory>; 2],
    pool: Arc<Pool>,
    poller: PollerIndex,
    rx: QueueKey,
    peer: PeerKey,
}

struct Rig {
    engine: Engine,
    runtime: tokio::runtime::Runtime,
    memory: Arc<Memory>,
}

impl Rig {
    fn new(pollers: u16) -> Self {
        Self {
            engine: Engine::start(pollers).unwrap().0,
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            memory: Arc::new(Memory::new("64M".parse().unwrap()).unwrap()),
        }
    }

    fn add(&self, n: u16, poller: u16, class: BufferClass, credit: u16) -> Interface {
        let (tap, host) = socket_tap(SockType::SeqPacket);
        let (index, poller) = (SwIfIndex(n.into()), PollerIndex(poller));
        let slot = self.engine.reserve_pool().unwrap();
        let count = u32::from(credit) + 140;
        let pool = Arc::new(Pool::new(&self.memory, slot, class, count, 140).unwrap());
        let size = RingSize::new(64).unwrap();
        let queues = [Direction::Rx, Direction::Tx].map(|direction| {
            let id = QueueId { direction, index: QueueIndex(0) };
            let at = usize::from(2 * n) + direction as usize;
            let pool = (direction == Direction::Rx).then_some(&*pool);
            Arc::new(QueueMemory::new(&self.memory, at, index, id, size, true, pool).unwrap())
        });
        let mut device = Userspace::new();
        device.set_features(known_features()).unwrap();
        device.set_memory(self.memory.shared()).unwrap();
        for queue in &queues {
            device.set_ring(queue.id(), queue.layout(), 0).unwrap();
        }
        let mut halves = device.start(&PortFiles(vec![Arc::new(tap)])).unwrap();
        let (rx, tx) = (self.engine.reserve_queue(), self.engine.reserve_queue());
        let peer = self.engine.reserve_peer();
        let tx_parts = TxParts {
            interface: index,
            kind: Kind::Tap,
            memory: Arc::clone(&queues[1]),
            ring: queues[1].driver_ring().unwrap(),
            device: halves.tx.remove(0),
            admin_up: true,
            link_up: true,
            mtus: Mtus::default(),
        };
        let rx_parts = RxParts {
            interface: index,
            kind: Kind::Tap,
            memory: Arc::clone(&queues[0]),
            ring: queues[0].driver_ring().unwrap(),
            device: halves.rx.remove(0),
            pool: Arc::clone(&pool),
            credit,
            admin_up: true,
        };
        self.runtime.block_on(async {
            self.engine.add_tx(poller, tx, tx_parts).await.unwrap();
            self.engine
                .set_peer(peer, Kind::Tap, vec![TxPlace::own(poller, tx)], None)
                .await
                .unwrap();
            self.engine.add_rx(poller, rx, rx_parts, peer, Action::Sink).await.unwrap();
        });
        Interface { host, queues, pool, poller, rx, peer }
    }

    fn connect(&self, from: &Interface, to: &Interface) {
        let action = Action::Xconnect(to.peer);
        self.runtime.block_on(self.engine.set_action(from.poller, from.rx, action)).unwrap();
    }
}

fn snapshots(interfaces: &[&Interface]) -> Vec<QueueSnapshot> {
    let read = |q: &Arc<QueueMemory>| QueueSnapshot::read(q.id().direction, &q.counters());
    interfaces.iter().flat_map(|i| i.queues.iter().map(read)).collect()
}

/// Waits until the host side can be read, 30 s at most.
fn wait_for(host: &OwnedFd) {
    use std::os::fd::AsFd;
    let mut files = [PollFd::new(host.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut files, PollTimeout::from(30_000_u16)), Ok(1), "no frame in 30 s");
}

/// A window of frames goes in at one host side and comes out at the other, whole and in order.
fn cross(pollers: u16, classes: [(BufferClass, u16); 2]) {
    let rig = Rig::new(pollers);
    let a = rig.add(0, 0, classes[0].0, classes[0].1);
    let b = rig.add(1, pollers - 1, classes[1].0, classes[1].1);
    rig.connect(&a, &b);
    rig.connect(&b, &a);
    let mut random = Random(0xabcd_ef01);
    for round in 0..1_500 {
        let (from, to) = if round % 2 == 0 { (&a, &b) } else { (&b, &a) };
        let frames: Vec<_> = (0..1 + random.below(3))
            .map(|i| {
                let most = if round % 5 == 0 && i == 0 { MAXIMAL } else { 1526 };
                let bytes = 26 + random.below(most as u64 - 25);
                random.frame(usize::try_from(bytes).unwrap())
            })
            .collect();
        for frame in &frames {
            write(&from.host, frame).unwrap();
        }
        for frame in &frames {
            wait_for(&to.host);
            assert_eq!(read_host(&to.host).as_ref(), Some(frame));
        }
        for snapshot in snapshots(&[&a, &b]) {
            assert_eq!(snapshot.check(), Ok(()));
        }
    }
    settle(&[&a, &b]);
}

fn settle(interfaces: &[&Interface]) {
    let begin = Instant::now();
    let rest = |i: &&Interface| i.pool.lent() == 0;
    while check_at_rest(&snapshots(interfaces)).is_err() || !interfaces.iter().all(rest) {
        assert!(begin.elapsed() < DEADLINE, "{:?}", snapshots(interfaces));
        std::thread::park_timeout(Duration::from_micros(200));
    }
}

#[test]
fn frames_cross_two_embedded_devices_on_one_poller_whole() {
    cross(1, [(BufferClass::Large, 16), (BufferClass::Large, 16)]);
}

#[test]
fn frames_in_2_kib_buffers_cross_two_pollers_whole() {
    cross(2, [(BufferClass::Small, 64), (BufferClass::Large, 16)]);
}

#[test]
fn a_host_side_that_reads_nothing_stalls_its_own_peer_only_and_resumes_without_a_wedge() {
    let rig = Rig::new(1);
    let [a, b, c, d] = [0, 1, 2, 3].map(|n| rig.add(n, 0, BufferClass::Large, 16));
    rig.connect(&a, &b);
    rig.connect(&c, &d);
    let frame = Random(3).frame(1_500);
    // Until b's socket, ring and all that may be lent to it are full, and frames are dropped.
    let begin = Instant::now();
    let dropped = || snapshots(&[&a, &b]).iter().map(QueueSnapshot::lost_in_all).sum::<u64>();
    while dropped() < 100 {
        assert!(begin.elapsed() < DEADLINE);
        match write(&a.host, &frame) {
            Ok(_) => {}
            Err(Errno::EAGAIN) => std::thread::yield_now(),
            Err(errno) => panic!("{errno}"),
        }
    }
    for _ in 0..1_000 {
        write(&c.host, &frame).unwrap();
        wait_for(&d.host);
        assert_eq!(read_host(&d.host).as_ref(), Some(&frame));
    }
    // b's host side reads again: what waits comes out, and then new frames pass.
    let begin = Instant::now();
    while check_at_rest(&snapshots(&[&a, &b])).is_err() {
        assert!(begin.elapsed() < DEADLINE, "{:?}", snapshots(&[&a, &b]));
        while read_host(&b.host).is_some() {}
    }
    while read_host(&b.host).is_some() {}
    for _ in 0..100 {
        write(&a.host, &frame).unwrap();
        wait_for(&b.host);
        assert_eq!(read_host(&b.host).as_ref(), Some(&frame));
    }
    settle(&[&a, &b, &c, &d]);
}
