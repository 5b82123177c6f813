//! A ring from one poller to another. It carries frames for a queue of the other poller, and lent
//! frames that return to their pool.
//!
//! # Theory of operation
//! One writer, one reader, no locks and no unsafe: the messages are words. The writer publishes
//! with a release of `tail`, the reader gives room back with a release of `head`. A reader that
//! sleeps is woken by its inbox, after the writer's fence (see `inbox`).

use std::sync::atomic::Ordering;

use crate::device::Frame;
use crate::engine::QueueKey;
use crate::sync::{AtomicU64, AtomicUsize};

/// Messages that fit.
pub(in crate::engine) const SLOTS: usize = 1024;
const WORDS: usize = 3;

/// A message from one poller to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Message {
    /// Offer this frame to a transmit queue.
    Offer {
        /// The queue.
        to: QueueKey,
        /// The frame; its buffers are lent.
        frame: Frame,
        /// An action made it; it was not received.
        originated: bool,
    },
    /// A lent frame of one of your pools comes back.
    Return(Frame),
}

/// Index on a cache line of its own.
#[repr(align(64))]
#[derive(Debug)]
struct Index(AtomicUsize);

/// The ring, of `ROOM` messages.
#[derive(Debug)]
pub(in crate::engine) struct Handoff<const ROOM: usize = SLOTS> {
    words: Box<[AtomicU64]>,
    head: Index,
    tail: Index,
}

const OFFER: u64 = 0;
const ORIGINATED: u64 = 1;
const RETURN: u64 = 2;

impl<const ROOM: usize> Handoff<ROOM> {
    /// An empty ring.
    pub(in crate::engine) fn new() -> Self {
        let words = (0..ROOM * WORDS).map(|_| AtomicU64::new(0)).collect();
        let index = || Index(AtomicUsize::new(0));
        Self { words, head: index(), tail: index() }
    }

    /// Adds a message; `false` when there is no room. Only the writing poller calls it.
    pub(in crate::engine) fn push(&self, message: Message) -> bool {
        let tail = self.tail.0.load(Ordering::Relaxed);
        if tail.wrapping_sub(self.head.0.load(Ordering::Acquire)) == ROOM {
            return false;
        }
        let (kind, to, frame) = match message {
            Message::Offer { to, frame, originated } => {
                (if originated { ORIGINATED } else { OFFER }, to, frame)
            }
            Message::Return(frame) => (RETURN, QueueKey { slot: 0, generation: 0 }, frame),
        };
        let at = tail % ROOM * WORDS;
        self.words[at].store(frame.token(), Ordering::Relaxed);
        self.words[at + 1].store(u64::from(frame.bytes) << 2 | kind, Ordering::Relaxed);
        let to = u64::from(to.slot) | u64::from(to.generation) << 32;
        self.words[at + 2].store(to, Ordering::Relaxed);
        self.tail.0.store(tail.wrapping_add(1), Ordering::Release);
        true
    }

    /// Whether there is nothing to read.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.head.0.load(Ordering::Relaxed) == self.tail.0.load(Ordering::Acquire)
    }

    /// Takes the oldest message. Only the reading poller calls it.
    pub(in crate::engine) fn pop(&self) -> Option<Message> {
        let head = self.head.0.load(Ordering::Relaxed);
        if head == self.tail.0.load(Ordering::Acquire) {
            return None;
        }
        let at = head % ROOM * WORDS;
        let token = self.words[at].load(Ordering::Relaxed);
        let second = self.words[at + 1].load(Ordering::Relaxed);
        let to = self.words[at + 2].load(Ordering::Relaxed);
        self.head.0.store(head.wrapping_add(1), Ordering::Release);
        let low = |word: u64| u32::try_from(word & 0xffff_ffff).unwrap_or(0);
        let frame = Frame::from_token(token, low(second >> 2));
        let to = QueueKey { slot: low(to), generation: low(to >> 32) };
        Some(match second & 3 {
            RETURN => Message::Return(frame),
            kind => Message::Offer { to, frame, originated: kind == ORIGINATED },
        })
    }
}
