//! What the driver must remember of its ring, in the private file where no device can change it.
//!
//! The owner may be killed after any store here. Words and tokens are stored after all that was stored
//! before them, so that a successor finds what [`recover`](super::DriverRing::recover) makes whole.

use std::num::Wrapping;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use crate::ring::layout::{SHADOW_WORDS, ShadowLayout};
use crate::ring::shared::{AtomicArray, MemoryMap, OutOfRange};

// Words of the shadow.
pub(super) const AVAIL_IDX: usize = 0;
pub(super) const LAST_USED_IDX: usize = 1;
pub(super) const FREE_HEAD: usize = 2;
pub(super) const FREE_COUNT: usize = 3;
pub(super) const IN_FLIGHT: usize = 4;
pub(super) const PUBLISHED_IDX: usize = 5;
/// The head of the chain that is being posted, or was last: what a successor finishes.
pub(super) const POSTING: usize = 6;

/// Called behind every store that a successor may find as the last one. In tests it ends the owner.
#[cfg(not(test))]
pub(super) const fn stored() {}
#[cfg(test)]
pub(super) use crate::ring::tests::killed::stored;

/// A view of one ring's shadow.
#[derive(Debug)]
pub(super) struct Shadow {
    size: u16,
    words: AtomicArray<AtomicU32>,
    tokens: AtomicArray<AtomicU64>,
    lengths: AtomicArray<AtomicU32>,
    links: AtomicArray<AtomicU16>,
    counts: AtomicArray<AtomicU16>,
}

impl Shadow {
    /// The shadow at `layout`, as it is in the file.
    ///
    /// # Errors
    /// When a part lies outside the file.
    pub(super) fn attach(private: &MemoryMap, layout: &ShadowLayout) -> Result<Self, OutOfRange> {
        let n = usize::from(layout.size.get());
        Ok(Self {
            size: layout.size.get(),
            words: AtomicArray::new(private, layout.words, SHADOW_WORDS)?,
            tokens: AtomicArray::new(private, layout.tokens, n)?,
            lengths: AtomicArray::new(private, layout.lengths, n)?,
            links: AtomicArray::new(private, layout.links, n)?,
            counts: AtomicArray::new(private, layout.counts, n)?,
        })
    }

    /// That of an empty ring.
    pub(super) fn clear(&self) {
        for entry in 0..self.size {
            self.links[usize::from(entry)].store(entry.wrapping_add(1), Ordering::Relaxed);
            self.tokens[usize::from(entry)].store(0, Ordering::Relaxed);
        }
        for word in self.words.iter() {
            word.store(0, Ordering::Relaxed);
        }
        self.set_word(FREE_COUNT, self.size);
    }

    pub(super) fn word(&self, index: usize) -> u16 {
        // Every word of the shadow is stored from a u16.
        (self.words[index].load(Ordering::Relaxed) & 0xffff) as u16
    }

    pub(super) fn set_word(&self, index: usize, value: u16) {
        // In order after all that was stored before: a successor may find them at any point.
        self.words[index].store(u32::from(value), Ordering::Release);
        stored();
    }

    /// A word that runs freely.
    pub(super) fn index(&self, index: usize) -> Wrapping<u16> {
        Wrapping(self.word(index))
    }

    pub(super) fn set_index(&self, index: usize, value: Wrapping<u16>) {
        self.set_word(index, value.0);
    }

    /// Whose buffers the chain of `head` is; 0 for a head that is not in flight.
    pub(super) fn token(&self, head: u16) -> u64 {
        self.tokens[usize::from(head)].load(Ordering::Relaxed)
    }

    pub(super) fn set_token(&self, head: u16, token: u64) {
        self.tokens[usize::from(head)].store(token, Ordering::Release);
        stored();
    }

    /// The heads in flight with their tokens.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        let tokens = self.tokens.iter().map(|token| token.load(Ordering::Relaxed));
        (0..self.size).zip(tokens).filter(|(_, token)| *token != 0)
    }

    /// Bytes of the chain of `head`.
    pub(super) fn length(&self, head: u16) -> u32 {
        self.lengths[usize::from(head)].load(Ordering::Relaxed)
    }

    pub(super) fn set_length(&self, head: u16, bytes: u32) {
        self.lengths[usize::from(head)].store(bytes, Ordering::Relaxed);
        stored();
    }

    /// Entries of the chain of `head`.
    pub(super) fn count(&self, head: u16) -> u16 {
        self.counts[usize::from(head)].load(Ordering::Relaxed)
    }

    pub(super) fn set_count(&self, head: u16, entries: u16) {
        self.counts[usize::from(head)].store(entries, Ordering::Relaxed);
        stored();
    }

    /// The entry behind `entry`, in its chain or among the free ones.
    pub(super) fn link(&self, entry: u16) -> u16 {
        self.links[usize::from(entry)].load(Ordering::Relaxed)
    }

    pub(super) fn set_link(&self, entry: u16, next: u16) {
        self.links[usize::from(entry)].store(next, Ordering::Relaxed);
        stored();
    }

    /// Gives the entries of a chain back, which is no longer in flight.
    pub(super) fn release(&self, head: u16) {
        let entries = self.count(head);
        let mut last = head;
        for _ in 1..entries {
            last = self.link(last);
        }
        self.set_link(last, self.word(FREE_HEAD));
        self.set_word(FREE_HEAD, head);
        self.set_word(FREE_COUNT, self.word(FREE_COUNT) + entries);
        self.set_word(IN_FLIGHT, self.word(IN_FLIGHT) - 1);
    }
}
