//! The device's side of a split virtqueue, for the device that is embedded in the poller.

use std::num::Wrapping;
use std::sync::atomic::{Ordering, fence};

use super::layout::{AvailRing, RingLayout, UsedRing};
use super::notify::{NO_NOTIFICATION, passed};
use super::shared::{AtomicArray, MemoryMap, OutOfRange};
use super::{
    AtomicDesc, DESC_F_INDIRECT, DESC_F_NEXT, DESC_F_WRITE, MAX_SEGMENTS, load_desc, unpack,
};

/// A piece of a chain as the device reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSegment {
    /// Offset into the shared file, not yet checked against its size.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
    /// The device may write it.
    pub writable: bool,
}

/// A chain that was taken from the available ring.
#[derive(Debug, Clone, Copy)]
pub struct Chain {
    /// Number of its head entry.
    pub head: u16,
    /// How many segments [`DeviceRing::pop`] stored.
    pub segments: usize,
    /// The descriptors break a rule (a loop, a bad link, too many): use the chain unread.
    pub malformed: bool,
}

/// The device's side of one queue.
#[derive(Debug)]
pub struct DeviceRing {
    map: MemoryMap,
    size: u16,
    event_idx: bool,
    desc: AtomicArray<AtomicDesc>,
    avail: AvailRing,
    used: UsedRing,
    last_avail_idx: Wrapping<u16>,
    used_idx: Wrapping<u16>,
    signalled_idx: Wrapping<u16>,
}

impl DeviceRing {
    /// The ring at `layout`, both indices where the used index is in the file: a device before it has
    /// used up what it read before it stopped.
    ///
    /// # Errors
    /// When a part lies outside the file.
    pub fn attach(
        map: &MemoryMap,
        layout: &RingLayout,
        event_idx: bool,
    ) -> Result<Self, OutOfRange> {
        let used = UsedRing::new(map, layout)?;
        let used_idx = used.idx();
        Ok(Self {
            map: map.clone(),
            size: layout.size.get(),
            event_idx,
            desc: AtomicArray::new(map, layout.desc, usize::from(layout.size.get()))?,
            avail: AvailRing::new(map, layout)?,
            used,
            last_avail_idx: used_idx,
            used_idx,
            signalled_idx: used_idx,
        })
    }

    /// The available index that is read next.
    pub const fn base(&self) -> u16 {
        self.last_avail_idx.0
    }

    /// Reads on from `base`.
    #[must_use]
    pub const fn at(mut self, base: u16) -> Self {
        self.last_avail_idx = Wrapping(base);
        self
    }

    /// How many chains wait. A driver that claims more than the ring holds is taken for an idle one.
    pub fn available(&self) -> u16 {
        let waiting = (self.avail.idx() - self.last_avail_idx).0;
        if waiting > self.size { 0 } else { waiting }
    }

    /// Takes the next chain and stores its segments into `into`. Call [`DeviceRing::available`]
    /// first: its acquire makes the entries visible.
    pub fn pop(&mut self, into: &mut [DeviceSegment; MAX_SEGMENTS]) -> Chain {
        let chain = self.peek(0, into);
        self.advance(1);
        chain
    }

    /// The chain `ahead` places from the front, left in the ring.
    pub fn peek(&self, ahead: u16, into: &mut [DeviceSegment; MAX_SEGMENTS]) -> Chain {
        let head = self.avail.head(self.last_avail_idx + Wrapping(ahead));
        let mut chain = Chain { head, segments: 0, malformed: true };
        if head >= self.size {
            return chain;
        }
        let (addr, rest) = load_desc(&self.desc[usize::from(head)]);
        let (len, flags, _) = unpack(rest);
        if flags & DESC_F_INDIRECT == 0 {
            chain.malformed = !walk(&self.desc, usize::from(head), into, &mut chain.segments);
            return chain;
        }
        let entries = (len / 16) as usize;
        if len % 16 != 0 || entries == 0 || entries > MAX_SEGMENTS || flags & DESC_F_NEXT != 0 {
            return chain;
        }
        if let Ok(table) = AtomicArray::<AtomicDesc>::new(&self.map, addr, entries) {
            chain.malformed = !walk(&table, 0, into, &mut chain.segments);
        }
        chain
    }

    /// Steps over `chains` that were peeked.
    pub fn advance(&mut self, chains: u16) {
        self.last_avail_idx += chains;
    }

    /// Puts a chain into the used ring; the driver sees it with the next [`DeviceRing::publish`].
    pub fn push_used(&mut self, head: u16, written: u32) {
        self.used.set_element(self.used_idx, head.into(), written);
        self.used_idx += 1;
    }

    /// Makes every used chain visible to the driver. Returns `true` when a call is due.
    pub fn publish(&mut self) -> bool {
        let (new, old) = (self.used_idx, self.signalled_idx);
        if new == old {
            return false;
        }
        self.used.set_idx(new);
        self.signalled_idx = new;
        fence(Ordering::SeqCst);
        if self.event_idx {
            passed(self.avail.used_event(), new, old)
        } else {
            self.avail.flags() & NO_NOTIFICATION == 0
        }
    }

    /// Asks for a kick at the next available chain. Returns `true` if there is one already.
    pub fn arm(&mut self) -> bool {
        if self.event_idx {
            self.used.set_avail_event(self.last_avail_idx);
        } else {
            self.used.set_flags(0);
        }
        fence(Ordering::SeqCst);
        self.available() > 0
    }

    /// Asks for no kicks for now.
    pub fn disarm(&mut self) {
        if self.event_idx {
            self.used.set_avail_event(self.last_avail_idx - Wrapping(1));
        } else {
            self.used.set_flags(NO_NOTIFICATION);
        }
    }
}

/// Follows a chain from `entry`; `false` when it leaves the table, nests or is too long.
fn walk(
    table: &[AtomicDesc],
    mut entry: usize,
    into: &mut [DeviceSegment; MAX_SEGMENTS],
    stored: &mut usize,
) -> bool {
    for slot in into.iter_mut() {
        let (addr, rest) = load_desc(&table[entry]);
        let (len, flags, next) = unpack(rest);
        if flags & DESC_F_INDIRECT != 0 {
            return false;
        }
        *slot = DeviceSegment { addr, len, writable: flags & DESC_F_WRITE != 0 };
        *stored += 1;
        if flags & DESC_F_NEXT == 0 {
            return true;
        }
        entry = usize::from(next);
        if entry >= table.len() {
            return false;
        }
    }
    false
}
