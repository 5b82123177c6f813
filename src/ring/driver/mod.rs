//! The driver's side of a split virtqueue.

mod recovery;
mod shadow;
mod types;

pub use recovery::Unrecoverable;
pub use types::{Descriptor, Full, Positions, Segment, Used, Violation, Writer};

use std::num::Wrapping;
use std::sync::atomic::{Ordering, fence};

use self::shadow::{
    AVAIL_IDX, FREE_COUNT, FREE_HEAD, IN_FLIGHT, LAST_USED_IDX, POSTING, PUBLISHED_IDX, Shadow,
    stored,
};
use super::layout::{AvailRing, DESC_BYTES, RingLayout, ShadowLayout, UsedRing};
use super::notify::{NO_NOTIFICATION, passed};
use super::shared::{AtomicArray, MemoryMap, OutOfRange};
use super::{AtomicDesc, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, MAX_SEGMENTS, pack};

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
    shadow: Shadow,
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
        let shadow = Shadow::attach(private, shadow)?;
        Ok(Self {
            size: layout.size.get(),
            writer,
            event_idx,
            desc: AtomicArray::new(shared, layout.desc, n)?,
            avail: AvailRing::new(shared, layout)?,
            used: UsedRing::new(shared, layout)?,
            indirect,
            used_seen: shadow.index(LAST_USED_IDX),
            shadow,
        })
    }

    /// An empty ring: nothing available, nothing used. The device must not be running.
    pub fn reset(&mut self) {
        self.shadow.clear();
        self.avail.set_flags(0);
        self.avail.set_idx(Wrapping(0));
        self.avail.set_used_event(Wrapping(0));
        self.used.set_flags(0);
        self.used.set_idx(Wrapping(0));
        self.used.set_avail_event(Wrapping(0));
        self.used_seen = Wrapping(0);
        fence(Ordering::SeqCst);
    }

    /// Entries of the ring.
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Chains that can still be posted, if each is one segment or the ring has indirect tables.
    pub fn free(&self) -> u16 {
        self.shadow.word(FREE_COUNT)
    }

    /// Chains posted and not taken back.
    pub fn in_flight(&self) -> u16 {
        self.shadow.word(IN_FLIGHT)
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
        let head = self.shadow.word(FREE_HEAD);
        let last = if indirect {
            self.fill_table(head, segments, count)
        } else {
            self.fill_chain(head, segments, count)
        };
        let bytes = segments.iter().fold(0_u32, |sum, s| sum.saturating_add(s.len));
        self.shadow.set_count(head, entries);
        self.shadow.set_length(head, bytes);
        self.shadow.set_word(POSTING, head);
        self.put_available(head);
        // From here on the chain is in flight: a successor finishes what is left ([`Self::recover`]).
        self.shadow.set_token(head, token);
        self.shadow.set_index(AVAIL_IDX, self.shadow.index(AVAIL_IDX) + Wrapping(1));
        self.shadow.set_word(FREE_HEAD, self.shadow.link(last));
        self.shadow.set_word(FREE_COUNT, self.free() - entries);
        self.shadow.set_word(IN_FLIGHT, self.in_flight() + 1);
        Ok(())
    }

    /// Stores `head` as the next entry of the available ring.
    fn put_available(&self, head: u16) {
        self.avail.set_head(self.shadow.index(AVAIL_IDX), head);
        stored();
    }

    /// The tokens of all chains in flight, used or not, in no order.
    pub fn tokens(&self) -> impl Iterator<Item = u64> + '_ {
        self.shadow.tokens().map(|(_, token)| token)
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
            let free = self.shadow.link(entry);
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
        let (new, old) = (self.shadow.index(AVAIL_IDX), self.shadow.index(PUBLISHED_IDX));
        if new == old {
            return false;
        }
        self.avail.set_idx(new);
        stored();
        self.shadow.set_index(PUBLISHED_IDX, new);
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
        let ready = (self.used_seen - self.shadow.index(LAST_USED_IDX)).0;
        if ready > self.in_flight() { Err(Violation::UsedIndexJumped) } else { Ok(ready) }
    }

    /// The next used chain within the last [`DriverRing::look`], left in the ring.
    ///
    /// # Errors
    /// When the element breaks a rule of the ring.
    pub fn peek(&self) -> Result<Option<Used>, Violation> {
        let last = self.shadow.index(LAST_USED_IDX);
        if last == self.used_seen {
            return Ok(None);
        }
        let (id, written) = self.used.element(last);
        let head = match u16::try_from(id) {
            Ok(head) if head < self.size => head,
            _ => return Err(Violation::UsedIdOutOfRange),
        };
        let token = self.shadow.token(head);
        if token == 0 {
            return Err(Violation::UsedIdNotInFlight);
        }
        let posted = self.shadow.length(head);
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
        self.shadow.set_token(used.head, 0);
        self.shadow.set_index(LAST_USED_IDX, self.shadow.index(LAST_USED_IDX) + Wrapping(1));
        self.shadow.release(used.head);
    }

    /// Takes every chain in flight back, used or not, and calls `each` with its token. The device
    /// must have stopped; afterwards the ring needs [`DriverRing::reset`] before it runs again.
    pub fn drain(&mut self, mut each: impl FnMut(u64)) {
        for head in 0..self.size {
            let token = self.shadow.token(head);
            if token != 0 {
                self.shadow.set_token(head, 0);
                self.shadow.release(head);
                each(token);
            }
        }
    }

    /// Asks for a call at the next used chain. Returns `true` if there is one already: then do not
    /// sleep.
    pub fn arm(&mut self) -> bool {
        let last = self.shadow.index(LAST_USED_IDX);
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
            self.avail.set_used_event(self.shadow.index(LAST_USED_IDX) - Wrapping(1));
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
            avail_idx: self.shadow.word(PUBLISHED_IDX),
            used_idx: self.used.idx().0,
            last_used_idx: self.shadow.word(LAST_USED_IDX),
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
