//! A device without a tap: its rings are served by a thread of its own, as the kernel's are, or
//! inline in the poller, as the embedded device's are.
//!
//! What the host side of a tap would be is a [`Wire`]: frames are put in by the test and come out
//! for the test. The receive half fills posted chains from it, the transmit half checks and keeps
//! what the driver sent.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::half::{Fault, Half};
use crate::counters::Direction;
use crate::device::{QueueDevice, Served, Wait};
use crate::ring::{MemoryMap, RingLayout};

/// Who serves the rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// A thread of the double's; kicks and calls are real.
    Threaded,
    /// The poller, in `serve`.
    Inline,
}

/// A call of a half that panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poison {
    /// `register` of either half.
    Register,
    /// `serve` of the receive half.
    Receive,
    /// `kick` of the transmit half, behind a posted frame.
    Kick,
    /// `serve` of the transmit half.
    Send,
    /// `refusal` of the transmit half, behind a frame taken from the ring.
    Refusal,
}

/// Something that happened and may be waited for, once.
#[derive(Debug, Default)]
struct Signal(Mutex<bool>, Condvar);

impl Signal {
    fn set(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }

    fn wait(&self) {
        let mut set = self.0.lock().unwrap();
        while !*set {
            set = self.1.wait(set).unwrap();
        }
        *set = false;
    }
}

/// The outside of a double, and its state.
#[derive(Debug)]
pub(super) struct Wire {
    style: Style,
    rx: Mutex<Half>,
    tx: Mutex<Half>,
    rx_call: EventFd,
    tx_call: EventFd,
    work: Signal,
    stop: AtomicBool,
    inside: Mutex<VecDeque<Vec<u8>>>,
    outside: Mutex<Vec<Vec<u8>>>,
    /// Frames that were put in, and that came out.
    pub(super) put: AtomicU64,
    pub(super) out: AtomicU64,
    /// Used entries are written and not published.
    pub(super) rx_stalled: AtomicBool,
    pub(super) tx_stalled: AtomicBool,
    /// So many of the next transmitted frames are taken and never used.
    pub(super) eat: AtomicU32,
    /// So many of the next transmitted frames are used twice.
    pub(super) repeat: AtomicU32,
    /// So many of the next received frames claim more buffers than they have.
    pub(super) tear: AtomicU32,
    /// So many of the next received frames have nothing in their last buffer.
    pub(super) hollow: AtomicU32,
    /// So many frames that cannot be handed over are met in the next visit.
    pub(super) unreadable: AtomicU32,
    /// What comes out goes in again.
    pub(super) echo: AtomicBool,
    /// Rules that the driver broke.
    pub(super) complaints: Mutex<Vec<String>>,
    /// The thread of the poller that owns the receive queue.
    pub(super) poller_tid: AtomicI32,
    /// `serve` of the receive half waits while this is held, and says that it does.
    pub(super) gate: Mutex<()>,
    pub(super) at_gate: AtomicBool,
    /// Where a half panics, once.
    pub(super) poison: Mutex<Option<Poison>>,
    /// Calls made to the driver.
    pub(super) calls: AtomicU64,
}

impl Wire {
    pub(super) fn new(style: Style, map: &MemoryMap, rx: &RingLayout, tx: &RingLayout) -> Self {
        let half = |layout| Mutex::new(Half::new(map, layout));
        let call = || EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).unwrap();
        Self {
            style,
            rx: half(rx),
            tx: half(tx),
            rx_call: call(),
            tx_call: call(),
            work: Signal::default(),
            stop: AtomicBool::new(false),
            inside: Mutex::default(),
            outside: Mutex::default(),
            put: AtomicU64::new(0),
            out: AtomicU64::new(0),
            rx_stalled: AtomicBool::new(false),
            tx_stalled: AtomicBool::new(false),
            eat: AtomicU32::new(0),
            repeat: AtomicU32::new(0),
            tear: AtomicU32::new(0),
            hollow: AtomicU32::new(0),
            unreadable: AtomicU32::new(0),
            echo: AtomicBool::new(false),
            complaints: Mutex::default(),
            poller_tid: AtomicI32::new(0),
            gate: Mutex::new(()),
            at_gate: AtomicBool::new(false),
            poison: Mutex::default(),
            calls: AtomicU64::new(0),
        }
    }

    /// Puts frames in, each behind its virtio header.
    pub(super) fn inject(&self, frames: impl IntoIterator<Item = Vec<u8>>) {
        let mut inside = self.inside.lock().unwrap();
        let before = inside.len();
        inside.extend(frames);
        self.put.fetch_add((inside.len() - before) as u64, Ordering::Release);
        drop(inside);
        self.wake();
    }

    /// Frames that were put in and not yet received.
    pub(super) fn waiting(&self) -> usize {
        self.inside.lock().unwrap().len()
    }

    /// Takes what came out.
    pub(super) fn collect(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outside.lock().unwrap())
    }

    /// Something changed outside.
    pub(super) fn wake(&self) {
        match self.style {
            Style::Threaded => self.work.set(),
            // As the tap's file would: it can be read, or written again.
            Style::Inline => {
                let _ = (self.rx_call.write(1), self.tx_call.write(1));
            }
        }
    }

    /// Starts the thread of a threaded double.
    pub(super) fn start(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        let wire = Arc::clone(self);
        (self.style == Style::Threaded).then(|| std::thread::spawn(move || wire.run()))
    }

    /// Ends it; afterwards nothing touches the rings.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.work.set();
    }

    fn run(&self) {
        while !self.stop.load(Ordering::Acquire) {
            let (sent, call) = self.send();
            if call {
                self.call(&self.tx_call);
            }
            let (received, call) = self.receive();
            if call {
                self.call(&self.rx_call);
            }
            if sent || received {
                continue;
            }
            let sent_waits = self.tx.lock().unwrap().ring.arm();
            let room = self.rx.lock().unwrap().ring.arm();
            let received_waits = room && self.waiting() > 0 && self.fits();
            if !sent_waits && !received_waits {
                self.work.wait();
            }
        }
    }

    fn call(&self, file: &EventFd) {
        self.calls.fetch_add(1, Ordering::Relaxed);
        file.write(1).unwrap();
    }

    /// Waits while the gate is held.
    fn pass_gate(&self) {
        self.at_gate.store(true, Ordering::Release);
        let passed = self.gate.lock().unwrap();
        self.at_gate.store(false, Ordering::Release);
        drop(passed);
    }

    /// Panics if the test wants it here.
    fn poisoned(&self, here: Poison) {
        let hit = self.poison.lock().unwrap().take_if(|poison| *poison == here);
        assert!(hit.is_none(), "on purpose: {here:?}");
    }

    /// Whether the oldest waiting frame fits the posted chains.
    fn fits(&self) -> bool {
        let bytes = self.inside.lock().unwrap().front().map_or(0, Vec::len);
        self.rx.lock().unwrap().room(bytes).is_some()
    }

    /// Receive half: fills posted chains. Whether any was, and whether a call is due.
    fn receive(&self) -> (bool, bool) {
        let mut half = self.rx.lock().unwrap();
        let mut any = false;
        loop {
            let mut inside = self.inside.lock().unwrap();
            let Some(chains) = inside.front().and_then(|f| half.room(f.len())) else { break };
            let Some(frame) = inside.pop_front() else { break };
            drop(inside);
            let due = |count: &AtomicU32| {
                count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
            };
            let fault = match (due(&self.tear), due(&self.hollow)) {
                (true, _) => Fault::Torn,
                (_, true) => Fault::Hollow,
                _ => Fault::None,
            };
            half.fill(&frame, chains, fault);
            any = true;
        }
        let stalled = self.rx_stalled.load(Ordering::Acquire);
        (any, !stalled && half.ring.publish())
    }

    /// Transmit half: keeps what was sent. Whether anything was, and whether a call is due.
    fn send(&self) -> (bool, bool) {
        let mut half = self.tx.lock().unwrap();
        let mut sent = Vec::new();
        while half.ring.available() > 0 {
            let (head, frame) = half.read(&self.complaints);
            let take = |count: &AtomicU32| {
                count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
            };
            sent.push(frame);
            if take(&self.eat) {
                continue;
            }
            half.ring.push_used(head, 0);
            if take(&self.repeat) {
                half.ring.push_used(head, 0);
            }
        }
        let any = !sent.is_empty();
        // Out before the driver can know of it, so that at rest everything is out.
        self.out.fetch_add(sent.len() as u64, Ordering::Release);
        if self.echo.load(Ordering::Relaxed) {
            self.inject(sent);
        } else {
            self.outside.lock().unwrap().append(&mut sent);
        }
        let stalled = self.tx_stalled.load(Ordering::Acquire);
        let call = !stalled && half.ring.publish();
        (any, call)
    }
}

fn one_less(count: u32) -> Option<u32> {
    count.checked_sub(1)
}

/// The poller's half of one queue.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) wire: Arc<Wire>,
    pub(super) direction: Direction,
}

impl Port {
    fn call(&self) -> &EventFd {
        match self.direction {
            Direction::Rx => &self.wire.rx_call,
            Direction::Tx => &self.wire.tx_call,
        }
    }
}

impl QueueDevice for Port {
    fn register(&mut self, epoll: &Epoll, key: u64) -> Result<(), Errno> {
        self.wire.poisoned(Poison::Register);
        self.wire.poller_tid.store(nix::unistd::gettid().as_raw(), Ordering::Release);
        epoll.add(self.call(), EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, key))
    }

    fn unregister(&mut self, epoll: &Epoll) {
        let _ = epoll.delete(self.call());
    }

    fn kick(&mut self) {
        if self.direction == Direction::Tx {
            self.wire.poisoned(Poison::Kick);
        }
        self.wire.work.set();
    }

    fn serve(&mut self) -> Served {
        if self.wire.style == Style::Threaded {
            return Served::default();
        }
        let ((_, call), unreadable) = match self.direction {
            Direction::Rx => {
                self.wire.pass_gate();
                self.wire.poisoned(Poison::Receive);
                (self.wire.receive(), self.wire.unreadable.swap(0, Ordering::Relaxed))
            }
            Direction::Tx => {
                self.wire.poisoned(Poison::Send);
                (self.wire.send(), 0)
            }
        };
        let unreadable = u16::try_from(unreadable).unwrap();
        Served { call, unreadable, ..Served::default() }
    }

    fn sleep(&mut self, _epoll: &Epoll, _key: u64) -> Result<Wait, Errno> {
        Ok(Wait::Armed)
    }

    fn refusal(&mut self, _head: u16) -> Option<Errno> {
        self.wire.poisoned(Poison::Refusal);
        None
    }

    fn notify_fds(&self) -> (i32, i32) {
        match self.wire.style {
            Style::Threaded => (0, 0),
            Style::Inline => (-1, -1),
        }
    }
}
