//! Buffers of one receive queue: the owner of each, and their bytes.
//!
//! # Theory of operation
//! A pool belongs to one receive queue and so to one poller, the only one that takes buffers from
//! it and gives them back. A buffer is free, posted in the receive ring, or *lent*: part of a
//! [`Frame`] that lies in some transmit ring. Lists and lengths are in the private file; the bytes
//! are in the shared one and may change at any time, so they are copied, never borrowed.
//!
//! A lent frame may be in several transmit rings at once, without a copy of its bytes: its first
//! buffer counts the references to it ([`Pool::share`]). It is free when the last one was given
//! back. Only the owner counts, so no store is atomic with another.
//!
//! Each buffer's state stands beside its length, and every step looks at it: a buffer that is given
//! back twice, or that is not in the state which the step ends, stays as it is and is counted
//! ([`Pool::refused`]). So a mistake elsewhere costs at most the buffer that it is about; it never
//! puts one buffer in two places.

mod fill;
mod splice;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicU32, Ordering};

use vm_memory::bitmap::BitmapSlice;
use vm_memory::{GuestAddress, GuestMemoryBackend, VolatileSlice};

use super::memory::{Extent, Memory};
use crate::diag::Failure;
use crate::ring::{AtomicArray, MAX_SEGMENTS, MemoryMap, OutOfRange, Segment};

/// Size of a pool's buffers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BufferClass {
    /// 2 KiB: frames are spread over several (MRG_RXBUF). vhost-net.
    Small = 0,
    /// 68 KiB: header and a maximal frame in one piece, one read or write each. userspace.
    Large = 1,
}

impl BufferClass {
    /// Bytes of a buffer, virtio header included.
    pub const fn bytes(self) -> u32 {
        match self {
            Self::Small => 2048,
            // 12 of header, 65553 of frame, rounded up to pages.
            Self::Large => 17 * 4096,
        }
    }

    pub(super) const fn from_code(one_more: u64) -> Option<Self> {
        match one_more {
            1 => Some(Self::Small),
            2 => Some(Self::Large),
            _ => None,
        }
    }
}

/// Number of a pool within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PoolSlot(pub u16);

/// A frame somewhere in a pool: a chain of its buffers, virtio header first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The pool.
    pub pool: PoolSlot,
    /// First buffer.
    pub head: u32,
    /// Buffers in the chain.
    pub buffers: u16,
    /// Bytes in all, virtio header included.
    pub bytes: u32,
}

impl Frame {
    /// As the token of a transmit chain, which is never zero; the byte count is kept by the ring.
    pub const fn token(self) -> u64 {
        1 << 63 | (self.pool.0 as u64) << 48 | (self.buffers as u64) << 32 | self.head as u64
    }

    /// Back from a token, with the byte count of the chain. Pool slots are below 2^15.
    pub const fn from_token(token: u64, bytes: u32) -> Self {
        Self {
            pool: PoolSlot((token >> 48) as u16 & 0x7fff),
            head: (token & 0xffff_ffff) as u32,
            buffers: (token >> 32 & 0xffff) as u16,
            bytes,
        }
    }
}

const TOP: usize = 0;
const LENT: usize = 1;
const LENDABLE: usize = 2;
const SLOT: usize = 3;
const REFUSED: usize = 4;
const LIST_WORDS: usize = 16;

// A buffer's word: its state in the two highest bits, in the next 13 the references beyond the first
// to the lent frame that it heads, the bytes in use below. Free is zero, as the memory of a new pool
// is.
const TAKEN: u32 = 1 << 30;
const ON_LOAN: u32 = 2 << 30;
const STATE: u32 = 3 << 30;
const ONE_MORE: u32 = 1 << 17;
const MORE: u32 = TAKEN - ONE_MORE;
const BYTES: u32 = ONE_MORE - 1;
const _: () = assert!(BufferClass::Large.bytes() <= BYTES);

/// A buffer that rings name and that does not exist, or is in two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misplaced(pub u32);

/// The buffers of one receive queue.
#[derive(Debug)]
pub struct Pool {
    map: MemoryMap,
    slot: PoolSlot,
    class: BufferClass,
    count: u32,
    /// Most buffers that may be lent; the others stay for receiving.
    lendable: u32,
    base: u64,
    words: AtomicArray<AtomicU32>,
    /// A stack of free buffers: the one given back last is the next taken, still in cache.
    free: AtomicArray<AtomicU32>,
    /// Per buffer: the next of its chain.
    next: AtomicArray<AtomicU32>,
    /// Per buffer: its state, and bytes in it.
    lengths: AtomicArray<AtomicU32>,
    extents: Option<(Extent, Extent)>,
}

impl Pool {
    /// A pool of `count` free buffers, `lendable` of which may be lent at a time.
    ///
    /// # Errors
    /// When the memory has no room.
    pub fn new(
        memory: &Memory,
        slot: PoolSlot,
        class: BufferClass,
        count: u32,
        lendable: u32,
    ) -> Result<Self, Failure> {
        let buffers = memory.shared_extent(u64::from(count) * u64::from(class.bytes()))?;
        let lists = memory.private_extent(Self::list_bytes(count))?;
        let place = (lists.offset(), buffers.offset(), count, class);
        let mut pool = Self::attach(memory.shared(), memory.private(), place)
            .map_err(|e| Failure::new(crate::diag::Code::Failed, "buffer pool", e.to_string()))?;
        pool.words[LENDABLE].store(lendable, Ordering::Relaxed);
        pool.words[SLOT].store(slot.0.into(), Ordering::Relaxed);
        (pool.lendable, pool.slot) = (lendable, slot);
        pool.extents = Some((buffers, lists));
        for buffer in 0..count {
            pool.free[buffer as usize].store(count - 1 - buffer, Ordering::Relaxed);
        }
        pool.words[TOP].store(count, Ordering::Relaxed);
        Ok(pool)
    }

    /// A view of a pool as it is in the files: `(lists, buffers, count, class)` of its record.
    ///
    /// # Errors
    /// When a part lies outside its file.
    pub fn attach(
        shared: &MemoryMap,
        private: &MemoryMap,
        (lists, base, count, class): (u64, u64, u32, BufferClass),
    ) -> Result<Self, OutOfRange> {
        let n = count as usize;
        // An offset that does not fit is in no file, and the view is refused.
        let list = |i: u64| {
            let behind = 4 * LIST_WORDS as u64 + 4 * i * u64::from(count);
            AtomicArray::new(private, lists.saturating_add(behind), n)
        };
        let bytes = u64::from(count) * u64::from(class.bytes());
        let refused = OutOfRange { offset: base, bytes };
        let checked = usize::try_from(bytes).map_err(|_| refused)?;
        shared.get_slice(GuestAddress(base), checked).map_err(|_| refused)?;
        let words = AtomicArray::<AtomicU32>::new(private, lists, LIST_WORDS)?;
        Ok(Self {
            map: shared.clone(),
            // The tokens of transmit chains name pools by their slot.
            slot: PoolSlot((words[SLOT].load(Ordering::Relaxed) & 0x7fff) as u16),
            class,
            count,
            lendable: words[LENDABLE].load(Ordering::Relaxed),
            base,
            words,
            free: list(0)?,
            next: list(1)?,
            lengths: list(2)?,
            extents: None,
        })
    }

    fn list_bytes(count: u32) -> u64 {
        4 * LIST_WORDS as u64 + 12 * u64::from(count)
    }

    /// Where it lies, as its record wants it.
    pub fn place(&self) -> Option<(u64, u64, u32, BufferClass)> {
        let (_, lists) = self.extents.as_ref()?;
        Some((lists.offset(), self.base, self.count, self.class))
    }

    /// Its number.
    pub const fn slot(&self) -> PoolSlot {
        self.slot
    }

    /// Size of its buffers.
    pub const fn class(&self) -> BufferClass {
        self.class
    }

    /// Free buffers.
    pub fn free(&self) -> u32 {
        self.words[TOP].load(Ordering::Relaxed)
    }

    /// Lent buffers.
    pub fn lent(&self) -> u32 {
        self.words[LENT].load(Ordering::Relaxed)
    }

    /// Most buffers, and so most frames, that may be lent at a time.
    pub const fn lendable(&self) -> u32 {
        self.lendable
    }

    /// Takes a free buffer.
    pub fn take(&self) -> Option<u32> {
        let top = self.free().checked_sub(1)?;
        let buffer = self.free[top as usize].load(Ordering::Relaxed);
        self.words[TOP].store(top, Ordering::Relaxed);
        self.lengths[buffer as usize].store(TAKEN, Ordering::Relaxed);
        Some(buffer)
    }

    /// Gives a buffer back that was taken and is not lent. Any other is refused.
    pub fn give(&self, buffer: u32) {
        self.free_from(TAKEN, buffer);
    }

    /// Frees all buffers that are neither free nor lent. The receive ring must be empty, and no frame
    /// be worked on: after a panic, these buffers are in no list.
    pub fn free_taken(&self) {
        for buffer in 0..self.count {
            if self.word(buffer) & STATE == TAKEN {
                self.give(buffer);
            }
        }
    }

    /// Frees a buffer that is in `state`; `false`, counted, and nothing done if it is not.
    fn free_from(&self, state: u32, buffer: u32) -> bool {
        let top = self.free();
        let (Some(word), Some(slot)) =
            (self.lengths.get(buffer as usize), self.free.get(top as usize))
        else {
            return self.refuse();
        };
        if word.load(Ordering::Relaxed) & STATE != state {
            return self.refuse();
        }
        word.store(0, Ordering::Relaxed);
        slot.store(buffer, Ordering::Relaxed);
        self.words[TOP].store(top + 1, Ordering::Relaxed);
        true
    }

    #[cold]
    fn refuse(&self) -> bool {
        self.words[REFUSED].store(self.refused().saturating_add(1), Ordering::Relaxed);
        false
    }

    /// Buffers that were given back, or to be lent, and were not in the state for it: each is a
    /// bug.
    pub fn refused(&self) -> u32 {
        self.words[REFUSED].load(Ordering::Relaxed)
    }

    /// Lends the buffers of a frame; `false` when that would be more than may be lent, or one of
    /// them is not held.
    pub fn lend(&self, frame: &Frame) -> bool {
        let lent = self.lent() + u32::from(frame.buffers);
        if lent > self.lendable {
            return false;
        }
        let mut buffer = frame.head;
        for done in 0..frame.buffers {
            let length = self.word(buffer);
            if length & STATE != TAKEN {
                self.recall(frame.head, done);
                return self.refuse();
            }
            self.lengths[buffer as usize].store(length ^ STATE, Ordering::Relaxed);
            buffer = self.next(buffer);
        }
        self.words[LENT].store(lent, Ordering::Relaxed);
        true
    }

    /// Takes back what was done for the first `buffers` of a frame that cannot be lent.
    fn recall(&self, head: u32, buffers: u16) {
        let mut buffer = head;
        for _ in 0..buffers {
            self.lengths[buffer as usize].store(self.word(buffer) ^ STATE, Ordering::Relaxed);
            buffer = self.next(buffer);
        }
    }

    /// Adds a reference to a lent frame; `false` when there are 8192 already, or it is not lent.
    pub fn share(&self, frame: &Frame) -> bool {
        let word = self.word(frame.head);
        if word & STATE != ON_LOAN {
            return self.refuse();
        }
        if word & MORE == MORE {
            return false;
        }
        self.lengths[frame.head as usize].store(word + ONE_MORE, Ordering::Relaxed);
        true
    }

    /// Takes back one reference to a lent frame, and its buffers with the last one. A frame that is
    /// not lent is refused.
    pub fn settle(&self, frame: &Frame) {
        let word = self.word(frame.head);
        if word & MORE != 0 {
            self.lengths[frame.head as usize].store(word - ONE_MORE, Ordering::Relaxed);
            return;
        }
        let freed = self.free_chain(ON_LOAN, frame);
        self.words[LENT].store(self.lent().saturating_sub(freed), Ordering::Relaxed);
    }

    /// Gives all buffers of a frame back that is not lent.
    pub fn give_frame(&self, frame: &Frame) {
        self.free_chain(TAKEN, frame);
    }

    /// Frees a frame's buffers, which are in `state`; says how many were. What is behind one that
    /// is not is no longer this frame's.
    fn free_chain(&self, state: u32, frame: &Frame) -> u32 {
        let mut buffer = frame.head;
        for done in 0..frame.buffers {
            let next = self.next(buffer);
            if !self.free_from(state, buffer) {
                return done.into();
            }
            buffer = next;
        }
        frame.buffers.into()
    }

    /// State and length of a buffer; of one that the pool does not have, a free one's.
    fn word(&self, buffer: u32) -> u32 {
        self.lengths.get(buffer as usize).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn length(&self, buffer: u32) -> u32 {
        self.word(buffer) & BYTES
    }

    /// Makes lists, counts and states whole after the pool's owner was killed, from what the rings
    /// say alone: the buffers in the receive ring and the frames in transmit rings, once for each
    /// ring that a frame is in. All others are free; a frame that was on its way between two rings
    /// is lost. May itself be cut off.
    ///
    /// # Errors
    /// A buffer that does not exist or is in two places; nothing is changed then.
    pub fn recover(
        &self,
        posted: impl IntoIterator<Item = u32>,
        lent: impl IntoIterator<Item = Frame>,
    ) -> Result<(), Misplaced> {
        let mut states = vec![0; self.count as usize];
        let mut claim = |buffer: u32, state| match states.get_mut(buffer as usize) {
            Some(free @ 0) => {
                *free = state;
                Ok(())
            }
            _ => Err(Misplaced(buffer)),
        };
        for buffer in posted {
            claim(buffer, TAKEN)?;
        }
        let mut loans = 0;
        let mut frames: HashMap<u32, (Frame, u32)> = HashMap::new();
        for frame in lent {
            match frames.entry(frame.head) {
                // In another ring too.
                Entry::Occupied(mut known) if known.get().0.buffers == frame.buffers => {
                    let more = &mut known.get_mut().1;
                    *more = (*more + ONE_MORE).min(MORE);
                    continue;
                }
                Entry::Occupied(_) => return Err(Misplaced(frame.head)),
                Entry::Vacant(new) => _ = new.insert((frame, 0)),
            }
            let mut buffer = frame.head;
            for _ in 0..frame.buffers {
                claim(buffer, ON_LOAN)?;
                buffer = self.next(buffer);
                loans += 1;
            }
        }
        self.words[LENT].store(loans, Ordering::Relaxed);
        self.words[TOP].store(0, Ordering::Relaxed);
        for (buffer, state) in (0..self.count).zip(states).rev() {
            let more = match frames.get(&buffer) {
                Some((_, more)) => *more,
                None => 0,
            };
            let word = if state == 0 { 0 } else { state | more | self.length(buffer) };
            self.lengths[buffer as usize].store(word, Ordering::Relaxed);
            if state == 0 {
                let top = self.free();
                self.free[top as usize].store(buffer, Ordering::Relaxed);
                self.words[TOP].store(top + 1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// The buffer behind `buffer` in its chain.
    pub fn next(&self, buffer: u32) -> u32 {
        self.next.get(buffer as usize).map_or(u32::MAX, |next| next.load(Ordering::Relaxed))
    }

    /// Chains `next` behind `buffer`.
    pub fn link(&self, buffer: u32, next: u32) {
        self.next[buffer as usize].store(next, Ordering::Relaxed);
    }

    /// Notes how many bytes of a buffer that was taken are in use; at most its size.
    pub fn set_length(&self, buffer: u32, bytes: u32) {
        if self.word(buffer) & STATE == TAKEN {
            let bytes = bytes.min(self.class.bytes());
            self.lengths[buffer as usize].store(TAKEN | bytes, Ordering::Relaxed);
        } else {
            self.refuse();
        }
    }

    /// A whole buffer as a ring segment.
    pub fn segment(&self, buffer: u32) -> Segment {
        let addr = self.base + u64::from(buffer) * u64::from(self.class.bytes());
        Segment { addr, len: self.class.bytes() }
    }

    /// Stores the used parts of a frame's buffers into `into`, and says how many there are.
    pub fn segments(&self, frame: &Frame, into: &mut [Segment; MAX_SEGMENTS]) -> usize {
        let mut buffer = frame.head;
        let n = usize::from(frame.buffers).min(MAX_SEGMENTS);
        for slot in &mut into[..n] {
            let len = self.length(buffer);
            *slot = Segment { len, ..self.segment(buffer) };
            buffer = self.next(buffer);
        }
        n
    }

    /// Bytes in a frame's buffers, virtio header included.
    pub fn bytes(&self, frame: &Frame) -> u32 {
        let (mut buffer, mut bytes) = (frame.head, 0_u32);
        for _ in 0..frame.buffers {
            bytes = bytes.saturating_add(self.length(buffer));
            buffer = self.next(buffer);
        }
        bytes
    }

    fn slice(&self, segment: Segment) -> Option<VolatileSlice<'_, impl BitmapSlice>> {
        self.map.get_slice(GuestAddress(segment.addr), segment.len as usize).ok()
    }

    /// Copies bytes of a frame from `offset` (0 is the virtio header's first) into `into`; says how
    /// many there were.
    pub fn copy_from(&self, frame: &Frame, offset: usize, into: &mut [u8]) -> usize {
        let (mut skip, mut done) = (offset, 0);
        let mut buffer = frame.head;
        for _ in 0..frame.buffers {
            let len = self.length(buffer) as usize;
            if skip < len && done < into.len() {
                let slice = self.slice(self.segment(buffer)).and_then(|s| s.offset(skip).ok());
                let n = (len - skip).min(into.len() - done);
                if let Some(slice) = slice {
                    slice.copy_to(&mut into[done..done + n]);
                }
                done += n;
            }
            skip = skip.saturating_sub(len);
            buffer = self.next(buffer);
        }
        done
    }

    /// Overwrites bytes of a frame's first buffer from `offset`.
    pub fn patch(&self, frame: &Frame, offset: usize, bytes: &[u8]) {
        if let Some(slice) =
            self.slice(self.segment(frame.head)).and_then(|s| s.offset(offset).ok())
        {
            slice.copy_from(bytes);
        }
    }

    /// Overwrites bytes of a frame from `offset` (0 is the virtio header's first), as far as they are
    /// all in its first buffer; else nothing is written.
    pub fn edit(&self, frame: &Frame, offset: usize, bytes: &[u8]) {
        let end = offset.checked_add(bytes.len());
        if end.is_some_and(|end| end <= self.length(frame.head) as usize) {
            self.patch(frame, offset, bytes);
        }
    }
}

#[cfg(test)]
mod tests;
