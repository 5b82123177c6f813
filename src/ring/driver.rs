//! The driver's side of a split virtqueue.

use std::num::Wrapping;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

use super::layout::{AvailRing, DESC_BYTES, RingLayout, SHADOW_WORDS, ShadowLayout, UsedRing};
use super::notify::{NO_NOTIFICATION, passed};
use super::shared::{AtomicArray, MemoryMap, OutOfRange};
use super::{AtomicDesc, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, MAX_SEGMENTS, pack};

/// A piece of memory that a chain is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Offset into the shared file.
    pub addr: u64,
    /// Bytes, at least 1.
    pub len: u32,
}

/// The side that writes the memory of a queue's chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The driver wrote it; the device reads (transmit).
    Driver,
    /// The device (receive).
    Device,
}

/// The ring has no room for the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The shadow does not say what is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unrecoverable;

/// A chain that the device has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// What [`DriverRing::post`] was given.
    pub token: u64,
    /// Number of its head entry.
    pub head: u16,
    /// Bytes that the device wrote; never more than were posted. 0 for a chain that it only read.
    pub written: u32,
    /// Bytes of the chain as posted.
    pub posted: u32,
}

/// Which rule of the ring the device broke. What such a device writes is trusted no more: the ring
/// moves nothing until it is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// `used_idx` moved by more than there are chains in flight.
    UsedIndexJumped,
    /// A used element's `id` is no entry of the ring.
    UsedIdOutOfRange,
    /// The `id` of a used element is not in flight.
    UsedIdNotInFlight,
    /// A used element's `len` is more than the chain holds.
    UsedLengthTooLong,
}

/// Where both sides stand, for `show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions {
    /// Chains made available, modulo 2^16.
    pub avail_idx: u16,
    /// What the device last wrote.
    pub used_idx: u16,
    /// Used entries taken.
    pub last_used_idx: u16,
    /// Descriptors in the device's hands.
    pub desc_in_use: u16,
    /// Flag word of the available ring.
    pub avail_flags: u16,
    /// Flag word of the used ring.
    pub used_flags: u16,
}

/// One entry of a descriptor table, for `show` ([VIRTIO-1.3 §2.7.5] "The Virtqueue Descriptor
/// Table").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Offset into the shared file.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
    /// Flag bits.
    pub flags: u16,
    /// Next entry of the chain.
    pub next: u16,
}

// Words of the shadow.
const AVAIL_IDX: usize = 0;
const LAST_USED_IDX: usize = 1;
const FREE_HEAD: usize = 2;
const FREE_COUNT: usize = 3;
const IN_FLIGHT: usize = 4;
const PUBLISHED_IDX: usize = 5;
/// The head of the chain that is being posted, or was last: what a successor finishes.
const POSTING: usize = 6;

/// Called behind every store that a successor may find as the last one. In tests it ends the owner.
#[cfg(not(test))]
const fn stored() {}
#[cfg(test)]
use super::tests::killed::stored;

/// The driver's side of one queue.
#[derive(Debug)]
pub struct DriverRing {
    size: u16,
    writer: Writer,
    event_idx: bool,
    desc: AtomicArray<AtomicDesc>,
    avail: AvailRing,
    used: UsedRing,
    indirect: Option<(u64, AtomicArray<AtomicDesc>)>,
    words: AtomicArray<AtomicU32>,
    tokens: AtomicArray<AtomicU64>,
    lengths: AtomicArray<AtomicU32>,
    links: AtomicArray<AtomicU16>,
    counts: AtomicArray<AtomicU16>,
    /// `used_idx` as read at the last look.
    used_seen: Wrapping<u16>,
}

impl DriverRing {
    /// A view of the ring at `layout` and its shadow, both as they are in the files.
    ///
    /// # Errors
    /// When a part lies outside its file.
    pub fn attach(
        shared: &MemoryMap,
        layout: &RingLayout,
        private: &MemoryMap,
        shadow: &ShadowLayout,
        writer: Writer,
        event_idx: bool,
    ) -> Result<Self, OutOfRange> {
        let n = usize::from(layout.size.get());
        let indirect = match layout.indirect {
            None => None,
            Some(at) => Some((at, AtomicArray::new(shared, at, n * MAX_SEGMENTS)?)),
        };
        let mut ring = Self {
            size: layout.size.get(),
            writer,
            event_idx,
            desc: AtomicArray::new(shared, layout.desc, n)?,
            avail: AvailRing::new(shared, layout)?,
            used: UsedRing::new(shared, layout)?,
            indirect,
            words: AtomicArray::new(private, shadow.words, SHADOW_WORDS)?,
            tokens: AtomicArray::new(private, shadow.tokens, n)?,
            lengths: AtomicArray::new(private, shadow.lengths, n)?,
            links: AtomicArray::new(private, shadow.links, n)?,
            counts: AtomicArray::new(private, shadow.counts, n)?,
            used_seen: Wrapping(0),
        };
        ring.used_seen = ring.index(LAST_USED_IDX);
        Ok(ring)
    }

    /// An empty ring: nothing available, nothing used. The device must not be running.
    pub fn reset(&mut self) {
        for entry in 0..self.size {
            self.links[usize::from(entry)].store(entry.wrapping_add(1), Ordering::Relaxed);
            self.tokens[usize::from(entry)].store(0, Ordering::Relaxed);
        }
        for word in self.words.iter() {
            word.store(0, Ordering::Relaxed);
        }
        self.set_word(FREE_COUNT, self.size);
        self.avail.set_flags(0);
        self.avail.set_idx(Wrapping(0));
        self.avail.set_used_event(Wrapping(0));
        self.used.set_flags(0);
        self.used.set_idx(Wrapping(0));
        self.used.set_avail_event(Wrapping(0));
        self.used_seen = Wrapping(0);
        fence(Ordering::SeqCst);
    }

    fn word(&self, index: usize) -> u16 {
        // Every word of the shadow is stored from a u16.
        (self.words[index].load(Ordering::Relaxed) & 0xffff) as u16
    }

    fn set_word(&self, index: usize, value: u16) {
        // In order after all that was stored before: a successor may find them at any point.
        self.words[index].store(u32::from(value), Ordering::Release);
        stored();
    }

    /// A word that runs freely.
    fn index(&self, index: usize) -> Wrapping<u16> {
        Wrapping(self.word(index))
    }

    fn set_index(&self, index: usize, value: Wrapping<u16>) {
        self.set_word(index, value.0);
    }

    /// Entries of the ring.
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Chains that can still be posted, if each is one segment or the ring has indirect tables.
    pub fn free(&self) -> u16 {
        self.word(FREE_COUNT)
    }

    /// Chains posted and not taken back.
    pub fn in_flight(&self) -> u16 {
        self.word(IN_FLIGHT)
    }

    /// Puts a chain into the ring; the device sees it with the next [`DriverRing::publish`].
    ///
    /// `token` comes back with [`Used`]; it is not zero. One segment takes one entry; more take one
    /// entry and its indirect table, or an entry each in a ring without tables.
    ///
    /// # Errors
    /// [`Full`] when there are not enough free entries, or more segments than [`MAX_SEGMENTS`].
    pub fn post(&mut self, segments: &[Segment], token: u64) -> Result<(), Full> {
        let count = match u16::try_from(segments.len()) {
            Ok(n) if (1..=MAX_SEGMENTS).contains(&segments.len()) => n,
            _ => return Err(Full),
        };
        let indirect = count > 1 && self.indirect.is_some();
        let entries = if indirect { 1 } else { count };
        if entries > self.free() {
            return Err(Full);
        }
        let head = self.word(FREE_HEAD);
        let last = if indirect {
            self.fill_table(head, segments, count)
        } else {
            self.fill_chain(head, segments, count)
        };
        let bytes = segments.iter().fold(0_u32, |sum, s| sum.saturating_add(s.len));
        self.counts[usize::from(head)].store(entries, Ordering::Relaxed);
        stored();
        self.lengths[usize::from(head)].store(bytes, Ordering::Relaxed);
        stored();
        self.set_word(POSTING, head);
        self.put_available(head);
        // From here on the chain is in flight: a successor finishes what is left ([`Self::recover`]).
        self.tokens[usize::from(head)].store(token, Ordering::Release);
        stored();
        self.set_index(AVAIL_IDX, self.index(AVAIL_IDX) + Wrapping(1));
        self.set_word(FREE_HEAD, self.links[usize::from(last)].load(Ordering::Relaxed));
        self.set_word(FREE_COUNT, self.free() - entries);
        self.set_word(IN_FLIGHT, self.in_flight() + 1);
        Ok(())
    }

    /// Stores `head` as the next entry of the available ring.
    fn put_available(&self, head: u16) {
        self.avail.set_head(self.index(AVAIL_IDX), head);
        stored();
    }

    /// Makes the shadow whole again after its owner was killed, at whatever store.
    ///
    /// The tokens say which chains are in flight. One more than the indices count was being posted,
    /// and is; one less was being taken, and is. Free entries and counts follow from that. A chain
    /// whose post had not stored its token was not posted. Whoever calls this kicks the device once,
    /// since a kick may have been due. Does nothing to a ring that is whole; may itself be cut off.
    ///
    /// # Errors
    /// Tokens and indices disagree by more: the owner was emptying the ring, whose device had
    /// stopped. Then [`DriverRing::reset`] is what remains; buffers that no ring names are free.
    pub fn recover(&mut self) -> Result<(), Unrecoverable> {
        let (avail_idx, last) = (self.index(AVAIL_IDX), self.index(LAST_USED_IDX));
        let counted = avail_idx - last;
        let heads = || (0..self.size).filter(|head| self.has_token(*head));
        // At most the size of a ring, which is a u16.
        let found = heads().fold(Wrapping(0), |n, _| n + Wrapping(1));
        let posting = self.word(POSTING);
        if found == counted + Wrapping(1) && posting < self.size && self.has_token(posting) {
            self.put_available(posting);
            self.set_index(AVAIL_IDX, avail_idx + Wrapping(1));
        } else if found + Wrapping(1) == counted {
            self.set_index(LAST_USED_IDX, last + Wrapping(1));
        } else if found != counted {
            return Err(Unrecoverable);
        }
        let mut taken = vec![false; usize::from(self.size)];
        for head in heads() {
            let mut entry = usize::from(head);
            for _ in 0..self.counts[usize::from(head)].load(Ordering::Relaxed) {
                *taken.get_mut(entry).ok_or(Unrecoverable)? = true;
                entry = usize::from(self.links[entry].load(Ordering::Relaxed));
            }
        }
        let mut free = 0;
        for entry in (0..self.size).rev().filter(|entry| !taken[usize::from(*entry)]) {
            let behind = if free == 0 { self.size } else { self.word(FREE_HEAD) };
            self.links[usize::from(entry)].store(behind, Ordering::Relaxed);
            self.set_word(FREE_HEAD, entry);
            free += 1;
        }
        self.set_word(FREE_COUNT, free);
        self.set_word(IN_FLIGHT, found.0);
        self.used_seen = self.index(LAST_USED_IDX);
        Ok(())
    }

    /// The tokens of all chains in flight, used or not, in no order.
    pub fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.tokens.iter().map(|token| token.load(Ordering::Relaxed)).filter(|token| *token != 0)
    }

    fn has_token(&self, head: u16) -> bool {
        self.tokens[usize::from(head)].load(Ordering::Relaxed) != 0
    }

    /// Flags of segment number `nth`, counted from 1, of `count`.
    fn flags(&self, nth: u16, count: u16) -> u16 {
        let write = if self.writer == Writer::Device { DESC_F_WRITE } else { 0 };
        if nth < count { write | DESC_F_NEXT } else { write }
    }

    /// Writes the segments into the indirect table of `head`; the last entry used is `head`.
    fn fill_table(&self, head: u16, segments: &[Segment], count: u16) -> u16 {
        if let Some((base, table)) = &self.indirect {
            let first = usize::from(head) * MAX_SEGMENTS;
            for ((at, segment), nth) in (first..).zip(segments).zip(1_u16..) {
                let next = if nth < count { nth } else { 0 };
                let rest = pack(segment.len, self.flags(nth, count), next);
                store_desc(&table[at], segment.addr, rest);
            }
            let addr = base + DESC_BYTES * first as u64;
            let len = 16 * u32::from(count);
            store_desc(&self.desc[usize::from(head)], addr, pack(len, DESC_F_INDIRECT, 0));
        }
        head
    }

    /// Writes the segments into free entries from `head` on; returns the last entry used.
    fn fill_chain(&self, head: u16, segments: &[Segment], count: u16) -> u16 {
        let (mut entry, mut last) = (head, head);
        for (segment, nth) in segments.iter().zip(1_u16..) {
            let free = self.links[usize::from(entry)].load(Ordering::Relaxed);
            let next = if nth < count { free } else { 0 };
            let rest = pack(segment.len, self.flags(nth, count), next);
            store_desc(&self.desc[usize::from(entry)], segment.addr, rest);
            (last, entry) = (entry, free);
        }
        last
    }

    /// Makes every chain posted since the last call visible to the device.
    ///
    /// Returns `true` when a kick is due. Costs one full fence, so call it once per burst. Order:
    /// entries, release, `avail_idx`, fence, suppression check ([VIRTIO-1.3 §2.7.13] "Supplying
    /// Buffers to The Device").
    pub fn publish(&mut self) -> bool {
        let (new, old) = (self.index(AVAIL_IDX), self.index(PUBLISHED_IDX));
        if new == old {
            return false;
        }
        self.avail.set_idx(new);
        stored();
        self.set_index(PUBLISHED_IDX, new);
        fence(Ordering::SeqCst);
        if self.event_idx {
            passed(self.used.avail_event(), new, old)
        } else {
            self.used.flags() & NO_NOTIFICATION == 0
        }
    }

    /// Looks at `used_idx` once and says how many used chains can be taken.
    ///
    /// # Errors
    /// When the device claims more than are in flight.
    pub fn look(&mut self) -> Result<u16, Violation> {
        self.used_seen = self.used.idx();
        let ready = (self.used_seen - self.index(LAST_USED_IDX)).0;
        if ready > self.in_flight() { Err(Violation::UsedIndexJumped) } else { Ok(ready) }
    }

    /// The next used chain within the last [`DriverRing::look`], left in the ring.
    ///
    /// # Errors
    /// When the element breaks a rule of the ring.
    pub fn peek(&self) -> Result<Option<Used>, Violation> {
        let last = self.index(LAST_USED_IDX);
        if last == self.used_seen {
            return Ok(None);
        }
        let (id, written) = self.used.element(last);
        let head = match u16::try_from(id) {
            Ok(head) if head < self.size => head,
            _ => return Err(Violation::UsedIdOutOfRange),
        };
        let token = self.tokens[usize::from(head)].load(Ordering::Relaxed);
        if token == 0 {
            return Err(Violation::UsedIdNotInFlight);
        }
        let posted = self.lengths[usize::from(head)].load(Ordering::Relaxed);
        // A device has nothing to write into a transmit chain; vhost's zero copy leaves marks
        // there.
        let written = if self.writer == Writer::Device { written } else { 0 };
        if written > posted {
            return Err(Violation::UsedLengthTooLong);
        }
        Ok(Some(Used { token, head, written, posted }))
    }

    /// Takes the next used chain within the last [`DriverRing::look`]; its entries are free again.
    ///
    /// # Errors
    /// When the element breaks a rule of the ring.
    pub fn take(&mut self) -> Result<Option<Used>, Violation> {
        let Some(used) = self.peek()? else { return Ok(None) };
        self.accept(&used);
        Ok(Some(used))
    }

    /// Takes what [`DriverRing::peek`] has just returned, without reading the ring again: the
    /// device may have written something else there meanwhile.
    pub fn accept(&mut self, used: &Used) {
        self.clear_token(used.head);
        self.set_index(LAST_USED_IDX, self.index(LAST_USED_IDX) + Wrapping(1));
        self.release(used.head);
    }

    fn clear_token(&self, head: u16) {
        self.tokens[usize::from(head)].store(0, Ordering::Release);
        stored();
    }

    /// Gives the entries of a chain back.
    fn release(&self, head: u16) {
        let entries = self.counts[usize::from(head)].load(Ordering::Relaxed);
        let mut last = head;
        for _ in 1..entries {
            last = self.links[usize::from(last)].load(Ordering::Relaxed);
        }
        self.links[usize::from(last)].store(self.word(FREE_HEAD), Ordering::Relaxed);
        stored();
        self.set_word(FREE_HEAD, head);
        self.set_word(FREE_COUNT, self.free() + entries);
        self.set_word(IN_FLIGHT, self.in_flight() - 1);
    }

    /// Takes every chain in flight back, used or not, and calls `each` with its token. The device
    /// must have stopped; afterwards the ring needs [`DriverRing::reset`] before it runs again.
    pub fn drain(&mut self, mut each: impl FnMut(u64)) {
        for head in 0..self.size {
            let token = self.tokens[usize::from(head)].load(Ordering::Relaxed);
            if token != 0 {
                self.clear_token(head);
                self.release(head);
                each(token);
            }
        }
    }

    /// Asks for a call at the next used chain. Returns `true` if there is one already: then do not
    /// sleep.
    pub fn arm(&mut self) -> bool {
        let last = self.index(LAST_USED_IDX);
        if self.event_idx {
            self.avail.set_used_event(last);
        } else {
            self.avail.set_flags(0);
        }
        fence(Ordering::SeqCst);
        self.used.idx() != last
    }

    /// Asks for no calls for now. With EVENT_IDX this lasts for the next 65535 used entries, so
    /// call it once per visit.
    pub fn disarm(&mut self) {
        if self.event_idx {
            self.avail.set_used_event(self.index(LAST_USED_IDX) - Wrapping(1));
        } else {
            self.avail.set_flags(NO_NOTIFICATION);
        }
    }

    /// One entry of the descriptor table.
    pub fn descriptor(&self, entry: u16) -> Descriptor {
        let (addr, rest) = super::load_desc(&self.desc[usize::from(entry & (self.size - 1))]);
        let (len, flags, next) = super::unpack(rest);
        Descriptor { addr, len, flags, next }
    }

    /// Where both sides stand.
    pub fn positions(&self) -> Positions {
        Positions {
            avail_idx: self.word(PUBLISHED_IDX),
            used_idx: self.used.idx().0,
            last_used_idx: self.word(LAST_USED_IDX),
            desc_in_use: self.size - self.free(),
            avail_flags: self.avail.flags(),
            used_flags: self.used.flags(),
        }
    }
}

fn store_desc([addr_word, rest_word]: &AtomicDesc, addr: u64, rest: u64) {
    addr_word.store(addr.to_le(), Ordering::Relaxed);
    stored();
    rest_word.store(rest.to_le(), Ordering::Relaxed);
    stored();
}
