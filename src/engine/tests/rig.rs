//! An engine with interfaces on doubles, and what every test asks of them.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::doubles::{Port, Style, Wire};
use crate::action::{Action, PeerKey};
use crate::counters::{Counter, Direction, Imbalance, QueueSnapshot, check_at_rest};
use crate::device::{BufferClass, Memory, Pool, QueueId, QueueMemory};
use crate::engine::{Engine, Event, QueueKey, RxParts, TxParts, TxPlace};
use crate::units::Mtus;
use crate::units::{Kind, PollerIndex, QueueIndex, RingSize, SwIfIndex};

/// When a condition is taken for one that never comes true, as after a lost wake-up. On a busy
/// machine a thread may get no processor for many seconds, and that is no verdict.
const DEADLINE: Duration = Duration::from_secs(120);

/// Looks at a condition until it holds.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < DEADLINE, "not in {DEADLINE:?}: {what}");
        std::thread::park_timeout(Duration::from_micros(200));
    }
}

/// Sizes of an interface.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) style: Style,
    pub(super) class: BufferClass,
    pub(super) ring: u64,
    pub(super) credit: u16,
    pub(super) buffers: u32,
    pub(super) lendable: u32,
}

impl Shape {
    /// 2 KiB buffers, a frame over several of them.
    pub(super) const SMALL: Self = Self {
        style: Style::Threaded,
        class: BufferClass::Small,
        ring: 256,
        credit: 256,
        buffers: 1024,
        lendable: 768,
    };
    /// A buffer for any frame.
    pub(super) const LARGE: Self = Self {
        style: Style::Inline,
        class: BufferClass::Large,
        ring: 256,
        credit: 16,
        buffers: 64,
        lendable: 48,
    };
}

/// One interface.
#[derive(Debug)]
pub(super) struct Interface {
    pub(super) index: SwIfIndex,
    pub(super) poller: PollerIndex,
    pub(super) rx: QueueKey,
    pub(super) tx: QueueKey,
    pub(super) peer: PeerKey,
    pub(super) pool: Arc<Pool>,
    pub(super) wire: Arc<Wire>,
    pub(super) shape: Shape,
    pub(super) memory: [Arc<QueueMemory>; 2],
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Interface {
    /// The receive queue's counters.
    pub(super) fn received(&self) -> QueueSnapshot {
        QueueSnapshot::read(Direction::Rx, &self.memory[0].counters())
    }

    /// The transmit queue's.
    pub(super) fn sent(&self) -> QueueSnapshot {
        QueueSnapshot::read(Direction::Tx, &self.memory[1].counters())
    }

    /// Frames that came out of the host side.
    pub(super) fn out(&self) -> u64 {
        self.wire.out.load(std::sync::atomic::Ordering::Acquire)
    }

    /// Ends the double's thread, as a backend's `stop` ends its use of the rings.
    pub(super) fn stop_device(&mut self) {
        self.wire.stop();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Every frame that was put in was received.
    pub(super) fn has_received_all(&self) -> bool {
        let put = self.wire.put.load(std::sync::atomic::Ordering::Acquire);
        self.received().get(Counter::Packets) == put
    }

    /// No buffer is lent, and all that are not free are posted.
    pub(super) fn is_home(&self) -> bool {
        let posted = u32::try_from(self.received().get(Counter::DescInUse)).unwrap();
        self.pool.lent() == 0 && self.pool.free() + posted == self.shape.buffers
    }
}

/// An engine, its memory, its interfaces.
pub(super) struct Rig {
    pub(super) engine: Engine,
    pub(super) events: UnboundedReceiver<Event>,
    pub(super) memory: Arc<Memory>,
    pub(super) interfaces: Vec<Interface>,
    runtime: Runtime,
}

impl Rig {
    pub(super) fn new(pollers: u16) -> Self {
        let (engine, events) = Engine::start(pollers).unwrap();
        Self {
            engine,
            events,
            memory: Arc::new(Memory::new("256M".parse().unwrap()).unwrap()),
            interfaces: Vec::new(),
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
        }
    }

    /// Carries out a request of control.
    pub(super) fn ask<'a, F, T>(&'a self, request: impl FnOnce(&'a Engine) -> F) -> T
    where
        F: Future<Output = Result<T, crate::diag::Failure>>,
    {
        self.try_ask(request).unwrap()
    }

    /// As [`Rig::ask`], where a refusal is expected.
    pub(super) fn try_ask<'a, F, T>(
        &'a self,
        request: impl FnOnce(&'a Engine) -> F,
    ) -> Result<T, crate::diag::Failure>
    where
        F: Future<Output = Result<T, crate::diag::Failure>>,
    {
        self.runtime.block_on(request(&self.engine))
    }

    /// Adds an interface that is a sink, and says where it is in `interfaces`.
    pub(super) fn add(&mut self, poller: u16, shape: Shape) -> usize {
        let n = self.interfaces.len();
        let (index, poller) = (SwIfIndex(u32::try_from(n).unwrap()), PollerIndex(poller));
        let slot = self.engine.reserve_pool().unwrap();
        let pool = Arc::new(
            Pool::new(&self.memory, slot, shape.class, shape.buffers, shape.lendable).unwrap(),
        );
        let size = RingSize::new(shape.ring).unwrap();
        let queue = |direction, pool: Option<&Pool>| {
            let record = 2 * n + usize::from(direction == Direction::Tx);
            let id = QueueId { direction, index: QueueIndex(0) };
            Arc::new(QueueMemory::new(&self.memory, record, index, id, size, true, pool).unwrap())
        };
        let memory = [queue(Direction::Rx, Some(&pool)), queue(Direction::Tx, None)];
        let wire = Arc::new(Wire::new(
            shape.style,
            self.memory.shared(),
            memory[0].layout(),
            memory[1].layout(),
        ));
        let thread = wire.start();
        let port = |direction| Box::new(Port { wire: Arc::clone(&wire), direction });
        let (rx, tx) = (self.engine.reserve_queue(), self.engine.reserve_queue());
        let peer = self.engine.reserve_peer();
        let tx_parts = TxParts {
            interface: index,
            kind: Kind::Tap,
            memory: Arc::clone(&memory[1]),
            ring: memory[1].driver_ring().unwrap(),
            device: port(Direction::Tx),
            admin_up: true,
            link_up: true,
            mtus: Mtus::default(),
        };
        self.ask(|engine| engine.add_tx(poller, tx, tx_parts));
        self.ask(|engine| engine.set_peer(peer, Kind::Tap, vec![TxPlace::own(poller, tx)], None));
        let rx_parts = RxParts {
            interface: index,
            kind: Kind::Tap,
            memory: Arc::clone(&memory[0]),
            ring: memory[0].driver_ring().unwrap(),
            device: port(Direction::Rx),
            pool: Arc::clone(&pool),
            credit: shape.credit,
            admin_up: true,
        };
        self.ask(|engine| engine.add_rx(poller, rx, rx_parts, peer, Action::Sink));
        self.interfaces.push(Interface {
            index,
            poller,
            rx,
            tx,
            peer,
            pool,
            wire,
            shape,
            memory,
            thread,
        });
        n
    }

    /// Sends what `from` receives to `to`.
    pub(super) fn connect(&self, from: usize, to: usize) {
        self.set_action(from, Action::Xconnect(self.interfaces[to].peer));
    }

    pub(super) fn set_action(&self, of: usize, action: Action) {
        let Interface { poller, rx, .. } = self.interfaces[of];
        self.ask(|engine| engine.set_action(poller, rx, action));
    }

    /// The counters of all queues.
    pub(super) fn snapshots(&self) -> Vec<QueueSnapshot> {
        self.interfaces.iter().flat_map(|i| [i.received(), i.sent()]).collect()
    }

    /// Every queue's ledger balances now.
    pub(super) fn check(&self) {
        for (i, snapshot) in self.snapshots().iter().enumerate() {
            assert_eq!(snapshot.check(), Ok(()), "queue {i}: {snapshot:?}");
        }
    }

    /// Whether the whole process is at rest with a balanced ledger.
    pub(super) fn at_rest(&self) -> Result<(), Imbalance> {
        check_at_rest(&self.snapshots())
    }

    /// Waits until all frames have gone where they go; the ledger balances and all buffers are
    /// home.
    pub(super) fn settle(&self) {
        until("all that was put in was received", || {
            self.check();
            self.interfaces.iter().all(Interface::has_received_all)
        });
        until("all buffers are home", || {
            self.check();
            self.interfaces.iter().all(Interface::is_home)
        });
        until("the ledger balances at rest", || self.at_rest().is_ok());
        self.no_complaints();
    }

    /// No double saw anything that it must not see.
    pub(super) fn no_complaints(&self) {
        for i in &self.interfaces {
            assert_eq!(*i.wire.complaints.lock().unwrap(), Vec::<String>::new(), "{}", i.index);
        }
    }

    /// The next event that is there or comes.
    pub(super) fn event(&mut self) -> Event {
        let mut next = None;
        until("an event", || {
            next = self.events.try_recv().ok();
            next.is_some()
        });
        next.unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for interface in &mut self.interfaces {
            interface.wire.stop();
            if let Some(thread) = interface.thread.take() {
                let _ = thread.join();
            }
        }
    }
}
