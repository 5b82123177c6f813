//! One interface's rings and buffers, the embedded device on them, and a socket for a tap.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
use taptool::counters::Direction;
use taptool::device::{
    Backend, BufferClass, Frame, Memory, Pool, PoolSlot, PortFiles, QueueDevice, QueueId,
    QueueMemory, Stopped, Userspace, known_features,
};
use taptool::ring::{DriverRing, MAX_SEGMENTS, Segment};
use taptool::units::{QueueIndex, RingSize, SwIfIndex};

/// A virtio header and a maximal frame.
pub const MAXIMAL: usize = 12 + 65_553;

/// Numbers that look random and are the same in every run (xorshift64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// A header of zeros and a frame, `bytes` in all.
    pub fn frame(&mut self, bytes: usize) -> Vec<u8> {
        let mut frame = vec![0; 12];
        let block = self.below(u64::MAX).to_le_bytes();
        frame.extend(block.iter().cycle().take(bytes - 12));
        frame
    }
}

/// A tap whose host side is the other socket.
pub fn socket_tap(kind: SockType) -> (OwnedFd, OwnedFd) {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let (tap, host) = socketpair(AddressFamily::Unix, kind, None, flags).unwrap();
    for socket in [&tap, &host] {
        setsockopt(socket, sockopt::SndBuf, &(512 << 10)).unwrap();
    }
    (tap, host)
}

/// What the host side has to read, if anything.
pub fn read_host(host: &OwnedFd) -> Option<Vec<u8>> {
    let mut into = vec![0; MAXIMAL + 1];
    match nix::unistd::read(host, &mut into) {
        Ok(n) => {
            into.truncate(n);
            Some(into)
        }
        Err(Errno::EAGAIN) => None,
        Err(errno) => panic!("read of the host side: {errno}"),
    }
}

/// Rings, buffers, and both data halves of the device.
pub struct Bench {
    pub rx: DriverRing,
    pub tx: DriverRing,
    pub pool: Pool,
    pub from_tap: Box<dyn QueueDevice>,
    pub to_tap: Box<dyn QueueDevice>,
    pub memory: Arc<Memory>,
    pub queues: [QueueMemory; 2],
    device: Userspace,
    tap: Arc<OwnedFd>,
}

impl Bench {
    pub fn new(tap: impl Into<OwnedFd>, class: BufferClass) -> Self {
        let memory = Arc::new(Memory::new("64M".parse().unwrap()).unwrap());
        let pool = Pool::new(&memory, PoolSlot(0), class, 256, 128).unwrap();
        let size = RingSize::new(128).unwrap();
        let queues = [Direction::Rx, Direction::Tx].map(|direction| {
            let id = QueueId { direction, index: QueueIndex(0) };
            let (at, index) = (direction as usize, SwIfIndex(0));
            QueueMemory::new(&memory, at, index, id, size, true, Some(&pool)).unwrap()
        });
        let mut device = Userspace::new();
        device.set_features(known_features()).unwrap();
        device.set_memory(memory.shared()).unwrap();
        for queue in &queues {
            device.set_ring(queue.id(), queue.layout(), 0).unwrap();
        }
        let tap = Arc::new(tap.into());
        let mut halves = device.start(&PortFiles(vec![Arc::clone(&tap)])).unwrap();
        Self {
            rx: queues[0].driver_ring().unwrap(),
            tx: queues[1].driver_ring().unwrap(),
            pool,
            from_tap: halves.rx.remove(0),
            to_tap: halves.tx.remove(0),
            memory,
            queues,
            device,
            tap,
        }
    }

    /// Stops the device and starts it again where it stopped: its bases, receive ring first.
    pub fn restart(&mut self) -> Vec<u16> {
        let Stopped { bases, failures } = self.device.stop();
        assert!(failures.is_empty(), "{failures:?}");
        for (queue, (id, base)) in self.queues.iter().zip(&bases) {
            assert_eq!(queue.id(), *id);
            self.device.set_ring(*id, queue.layout(), *base).unwrap();
        }
        let mut halves = self.device.start(&PortFiles(vec![Arc::clone(&self.tap)])).unwrap();
        (self.from_tap, self.to_tap) = (halves.rx.remove(0), halves.tx.remove(0));
        bases.into_iter().map(|(_, base)| base).collect()
    }

    /// Posts so many buffers for receiving.
    pub fn post(&mut self, buffers: usize) {
        for _ in 0..buffers {
            let buffer = self.pool.take().unwrap();
            self.rx.post(&[self.pool.segment(buffer)], u64::from(buffer) + 1).unwrap();
        }
        self.rx.publish();
    }

    /// The next received frame, its header as it came, and how many buffers it took.
    pub fn receive(&mut self) -> Option<(Vec<u8>, u16)> {
        self.rx.look().unwrap();
        let (mut whole, mut buffers, mut claimed) = (Vec::new(), 0, 1);
        while buffers < claimed {
            let Some(used) = self.rx.take().unwrap() else {
                assert_eq!(buffers, 0, "a frame of which a part is missing");
                return None;
            };
            let head = u32::try_from(used.token - 1).unwrap();
            self.pool.set_length(head, used.written);
            let part = Frame { pool: PoolSlot(0), head, buffers: 1, bytes: used.written };
            let at = whole.len();
            whole.resize(at + used.written as usize, 0);
            self.pool.copy_from(&part, 0, &mut whole[at..]);
            self.pool.give(head);
            buffers += 1;
            claimed = u16::from_le_bytes([whole[10], whole[11]]);
        }
        Some((whole, buffers))
    }

    /// Puts a frame into the transmit ring.
    pub fn send(&mut self, bytes: &[u8]) {
        let frame = self.pool.compose(&[bytes]).unwrap();
        let mut segments = [Segment { addr: 0, len: 0 }; MAX_SEGMENTS];
        let n = self.pool.segments(&frame, &mut segments);
        self.tx.post(&segments[..n], frame.token()).unwrap();
        self.tx.publish();
    }

    /// Takes sent frames back; what the device says about each.
    pub fn reclaim(&mut self) -> Vec<Option<Errno>> {
        let mut outcomes = Vec::new();
        self.tx.look().unwrap();
        while let Some(used) = self.tx.take().unwrap() {
            outcomes.push(self.to_tap.refusal(used.head));
            assert_eq!(self.to_tap.refusal(used.head), None, "asked once, told once");
            self.pool.give_frame(&Frame::from_token(used.token, used.posted));
        }
        outcomes
    }
}
