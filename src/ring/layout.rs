//! Where the parts of a ring lie in the shared file, and those of a driver's shadow in the private
//! one. Offsets in bytes; formulas of [VIRTIO-1.3 §2.7] "Split Virtqueues".
//!
//! [`AvailRing`] and [`UsedRing`] are the two rings by the names of their fields. The driver writes
//! the one and reads the other, the device the reverse. Each read of a field reads the memory once.

use std::num::Wrapping;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

use super::MAX_SEGMENTS;
use super::shared::{AtomicArray, MemoryMap, OutOfRange};
use crate::units::RingSize;

/// Bytes of one descriptor.
pub(super) const DESC_BYTES: u64 = 16;

// Either ring as 16-bit words: flags, idx, the entries, the event.
const FLAGS: usize = 0;
const IDX: usize = 1;
const ENTRIES: usize = 2;

/// Number of the event's word in an available ring of `n` entries.
const fn used_event_at(n: usize) -> usize {
    ENTRIES + n
}

/// Number of the event's word in a used ring of `n` entries, of four words each.
const fn avail_event_at(n: usize) -> usize {
    ENTRIES + 4 * n
}

/// Bytes up to the end of the event at word `at`.
const fn bytes_with_event(at: usize) -> u64 {
    2 * (at as u64 + 1)
}

/// The next multiple of `to`. Offsets beyond the last one saturate: they are in no file, and a view
/// of what begins there is refused.
const fn align(offset: u64, to: u64) -> u64 {
    offset.div_ceil(to).saturating_mul(to)
}

/// What lies `bytes` behind `offset`, saturating as [`align`] does.
const fn behind(offset: u64, bytes: u64) -> u64 {
    offset.saturating_add(bytes)
}

/// A ring in the shared file. Each part begins on a cache line of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLayout {
    /// Entries.
    pub size: RingSize,
    /// Descriptor table: 16 bytes an entry.
    pub desc: u64,
    /// Available ring: flags, idx, 2 bytes an entry, used_event.
    pub avail: u64,
    /// Used ring: flags, idx, 8 bytes an entry, avail_event.
    pub used: u64,
    /// Indirect tables, [`MAX_SEGMENTS`] descriptors an entry; none where the ring has no use for them.
    pub indirect: Option<u64>,
    /// First byte behind.
    pub end: u64,
}

impl RingLayout {
    /// Lays a ring out from `base`, which is a multiple of 4096.
    pub const fn new(base: u64, size: RingSize, indirect: bool) -> Self {
        let n = size.get() as u64;
        let (used_event, avail_event) =
            (used_event_at(size.get() as usize), avail_event_at(size.get() as usize));
        let desc = base;
        let avail = align(behind(desc, DESC_BYTES * n), 64);
        let used = align(behind(avail, bytes_with_event(used_event)), 64);
        let end = align(behind(used, bytes_with_event(avail_event)), 64);
        if indirect {
            let tables = n * DESC_BYTES * MAX_SEGMENTS as u64;
            Self { size, desc, avail, used, indirect: Some(end), end: behind(end, tables) }
        } else {
            Self { size, desc, avail, used, indirect: None, end }
        }
    }

    /// Bytes from the base to the end, whatever the base.
    pub const fn bytes(size: RingSize, indirect: bool) -> u64 {
        Self::new(0, size, indirect).end
    }
}

/// A driver's shadow in the private file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShadowLayout {
    /// Entries of the ring.
    pub size: RingSize,
    /// Indices and counts, 16 words of 4 bytes.
    pub words: u64,
    /// Per head: whose buffers they are, 8 bytes.
    pub tokens: u64,
    /// Per head: bytes that the device may write, or reads, 4 bytes.
    pub lengths: u64,
    /// Per entry: the next free entry or the next of the chain, 2 bytes.
    pub links: u64,
    /// Per head: entries of the chain, 2 bytes.
    pub counts: u64,
    /// First byte behind.
    pub end: u64,
}

/// Words of a shadow's first part.
pub(super) const SHADOW_WORDS: usize = 16;

impl ShadowLayout {
    /// Lays a shadow out from `base`, a multiple of 64.
    pub const fn new(base: u64, size: RingSize) -> Self {
        let n = size.get() as u64;
        let words = base;
        let tokens = behind(words, 4 * SHADOW_WORDS as u64);
        let lengths = behind(tokens, 8 * n);
        let links = behind(lengths, 4 * n);
        let counts = behind(links, 2 * n);
        let end = align(behind(counts, 2 * n), 64);
        Self { size, words, tokens, lengths, links, counts, end }
    }

    /// Bytes from the base to the end, whatever the base.
    pub const fn bytes(size: RingSize) -> u64 {
        Self::new(0, size).end
    }
}

/// The available ring ([VIRTIO-1.3 §2.7.6] "The Virtqueue Available Ring"). The driver writes it.
#[derive(Debug, Clone)]
pub struct AvailRing {
    words: AtomicArray<AtomicU16>,
    mask: u16,
    event_at: usize,
}

impl AvailRing {
    /// The available ring of the ring at `layout`.
    ///
    /// # Errors
    /// When it does not lie in the file, or is not aligned to 2 bytes.
    pub fn new(map: &MemoryMap, layout: &RingLayout) -> Result<Self, OutOfRange> {
        let event_at = used_event_at(usize::from(layout.size.get()));
        let words = AtomicArray::new(map, layout.avail, event_at + 1)?;
        Ok(Self { words, mask: layout.size.get() - 1, event_at })
    }

    /// Flag bits, relaxed.
    pub fn flags(&self) -> u16 {
        u16::from_le(self.words[FLAGS].load(Ordering::Relaxed))
    }

    /// Stores the flag bits, relaxed.
    pub fn set_flags(&self, flags: u16) {
        self.words[FLAGS].store(flags.to_le(), Ordering::Relaxed);
    }

    /// `avail_idx`. Acquires: entries that were stored before it are seen.
    pub fn idx(&self) -> Wrapping<u16> {
        Wrapping(u16::from_le(self.words[IDX].load(Ordering::Acquire)))
    }

    /// Stores `avail_idx`. Releases: a device that sees it sees the entries that were stored before.
    pub fn set_idx(&self, idx: Wrapping<u16>) {
        self.words[IDX].store(idx.0.to_le(), Ordering::Release);
    }

    /// The head that was made available as number `at`, relaxed. As read: it may be in no ring.
    pub fn head(&self, at: Wrapping<u16>) -> u16 {
        u16::from_le(self.words[self.entry(at)].load(Ordering::Relaxed))
    }

    /// Stores the head that is made available as number `at`, relaxed.
    pub fn set_head(&self, at: Wrapping<u16>, head: u16) {
        self.words[self.entry(at)].store(head.to_le(), Ordering::Relaxed);
    }

    /// `used_event`, relaxed: the driver wants a call when `used_idx` passes it.
    pub fn used_event(&self) -> Wrapping<u16> {
        Wrapping(u16::from_le(self.words[self.event_at].load(Ordering::Relaxed)))
    }

    /// Stores `used_event`, relaxed.
    pub fn set_used_event(&self, event: Wrapping<u16>) {
        self.words[self.event_at].store(event.0.to_le(), Ordering::Relaxed);
    }

    fn entry(&self, at: Wrapping<u16>) -> usize {
        ENTRIES + usize::from(at.0 & self.mask)
    }
}

/// The used ring ([VIRTIO-1.3 §2.7.8] "The Virtqueue Used Ring"). The device writes it.
#[derive(Debug, Clone)]
pub struct UsedRing {
    words: AtomicArray<AtomicU16>,
    /// The entries again: id and len.
    elements: AtomicArray<[AtomicU32; 2]>,
    mask: u16,
    event_at: usize,
}

impl UsedRing {
    /// The used ring of the ring at `layout`.
    ///
    /// # Errors
    /// When it does not lie in the file, or is not aligned to 4 bytes.
    pub fn new(map: &MemoryMap, layout: &RingLayout) -> Result<Self, OutOfRange> {
        let n = usize::from(layout.size.get());
        let event_at = avail_event_at(n);
        Ok(Self {
            words: AtomicArray::new(map, layout.used, event_at + 1)?,
            elements: AtomicArray::new(map, behind(layout.used, 2 * ENTRIES as u64), n)?,
            mask: layout.size.get() - 1,
            event_at,
        })
    }

    /// Flag bits, relaxed.
    pub fn flags(&self) -> u16 {
        u16::from_le(self.words[FLAGS].load(Ordering::Relaxed))
    }

    /// Stores the flag bits, relaxed.
    pub fn set_flags(&self, flags: u16) {
        self.words[FLAGS].store(flags.to_le(), Ordering::Relaxed);
    }

    /// `used_idx`. Acquires: elements that were stored before it are seen.
    pub fn idx(&self) -> Wrapping<u16> {
        Wrapping(u16::from_le(self.words[IDX].load(Ordering::Acquire)))
    }

    /// Stores `used_idx`. Releases: a driver that sees it sees the elements that were stored before.
    pub fn set_idx(&self, idx: Wrapping<u16>) {
        self.words[IDX].store(idx.0.to_le(), Ordering::Release);
    }

    /// `id` and `len` of the element that was used as number `at`, relaxed. As read: neither need be
    /// one that was posted.
    pub fn element(&self, at: Wrapping<u16>) -> (u32, u32) {
        let [id, len] = self.entry(at);
        (u32::from_le(id.load(Ordering::Relaxed)), u32::from_le(len.load(Ordering::Relaxed)))
    }

    /// Stores the element that is used as number `at`, relaxed.
    pub fn set_element(&self, at: Wrapping<u16>, id: u32, len: u32) {
        let [id_word, len_word] = self.entry(at);
        id_word.store(id.to_le(), Ordering::Relaxed);
        len_word.store(len.to_le(), Ordering::Relaxed);
    }

    /// `avail_event`, relaxed: the device wants a kick when `avail_idx` passes it.
    pub fn avail_event(&self) -> Wrapping<u16> {
        Wrapping(u16::from_le(self.words[self.event_at].load(Ordering::Relaxed)))
    }

    /// Stores `avail_event`, relaxed.
    pub fn set_avail_event(&self, event: Wrapping<u16>) {
        self.words[self.event_at].store(event.0.to_le(), Ordering::Relaxed);
    }

    fn entry(&self, at: Wrapping<u16>) -> &[AtomicU32; 2] {
        &self.elements[usize::from(at.0 & self.mask)]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vm_memory::{Bytes, GuestAddress, GuestMemoryMmap};

    use super::*;

    /// Memory and where a ring lies in it.
    fn ring(entries: u64) -> (MemoryMap, RingLayout) {
        let map = Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 1 << 20)]).unwrap());
        (map, RingLayout::new(4096, RingSize::new(entries).unwrap(), false))
    }

    #[test]
    fn fields_of_the_available_ring_lie_where_the_specification_says() {
        let (map, layout) = ring(64);
        let ring = AvailRing::new(&map, &layout).unwrap();
        let at =
            |offset: u64| map.read_obj::<[u8; 2]>(GuestAddress(layout.avail + offset)).unwrap();
        ring.set_flags(0x0102);
        ring.set_idx(Wrapping(0x0304));
        ring.set_used_event(Wrapping(0x0506));
        assert_eq!((at(0), at(2), at(4 + 2 * 64)), ([2, 1], [4, 3], [6, 5]));
        for (number, place) in [(0, 0), (63, 63), (64, 0), (130, 2), (u16::MAX, 63)] {
            ring.set_head(Wrapping(number), number ^ 0x0708);
            assert_eq!(at(4 + 2 * place), (number ^ 0x0708).to_le_bytes());
            assert_eq!(ring.head(Wrapping(number)), number ^ 0x0708);
        }
        assert_eq!(
            (ring.flags(), ring.idx(), ring.used_event()),
            (0x0102, Wrapping(0x0304), Wrapping(0x0506))
        );
    }

    #[test]
    fn fields_of_the_used_ring_lie_where_the_specification_says() {
        let (map, layout) = ring(128);
        let ring = UsedRing::new(&map, &layout).unwrap();
        let at = |offset: u64| map.read_obj::<[u8; 2]>(GuestAddress(layout.used + offset)).unwrap();
        ring.set_flags(0x0102);
        ring.set_idx(Wrapping(0x0304));
        ring.set_avail_event(Wrapping(0x0506));
        assert_eq!((at(0), at(2), at(4 + 8 * 128)), ([2, 1], [4, 3], [6, 5]));
        for (number, place) in [(0, 0), (127, 127), (128, 0), (258, 2), (u16::MAX, 127)] {
            let (id, len) = (u32::from(number) << 8, 0x0a0b_0000 | u32::from(number));
            ring.set_element(Wrapping(number), id, len);
            let element: [u8; 8] = map.read_obj(GuestAddress(layout.used + 4 + 8 * place)).unwrap();
            assert_eq!(
                (&element[..4], &element[4..]),
                (&id.to_le_bytes()[..], &len.to_le_bytes()[..])
            );
            assert_eq!(ring.element(Wrapping(number)), (id, len));
        }
        assert_eq!(
            (ring.flags(), ring.idx(), ring.avail_event()),
            (0x0102, Wrapping(0x0304), Wrapping(0x0506))
        );
    }

    #[test]
    fn a_ring_of_which_the_last_word_is_outside_the_file_is_refused() {
        let (map, layout) = ring(64);
        let end = 1 << 20;
        for (past, fits) in [(0, true), (2, false)] {
            let avail = RingLayout { avail: end - (6 + 2 * 64) + past, ..layout };
            assert_eq!(AvailRing::new(&map, &avail).is_ok(), fits);
            let used = RingLayout { used: end - (8 + 8 * 64) + 2 * past, ..layout };
            assert_eq!(UsedRing::new(&map, &used).is_ok(), fits);
        }
        let odd = RingLayout { avail: layout.avail + 1, used: layout.used + 2, ..layout };
        assert!(AvailRing::new(&map, &odd).is_err());
        assert!(UsedRing::new(&map, &odd).is_err());
    }

    #[test]
    fn a_ring_at_an_offset_that_no_file_has_is_laid_out_beyond_every_file() {
        for base in [u64::MAX, u64::MAX - 4095, u64::MAX - 100_000] {
            let l = RingLayout::new(base, RingSize::new(32768).unwrap(), true);
            assert!([l.avail, l.used, l.end].iter().all(|at| *at >= base), "{l:?}");
            let s = ShadowLayout::new(base, RingSize::new(32768).unwrap());
            assert!([s.tokens, s.lengths, s.links, s.end].iter().all(|at| *at >= base), "{s:?}");
        }
    }

    #[test]
    fn parts_are_aligned_and_do_not_overlap_for_every_ring_size() {
        for shift in 6..=15 {
            let size = RingSize::new(1 << shift).unwrap();
            let n = u64::from(size.get());
            let l = RingLayout::new(4096, size, true);
            // [VIRTIO-1.3 §2.7] alignments: 16, 2, 4.
            assert_eq!((l.desc % 16, l.avail % 2, l.used % 4), (0, 0, 0));
            assert!(l.desc + 16 * n <= l.avail);
            assert!(l.avail + 6 + 2 * n <= l.used);
            assert!(l.used + 6 + 8 * n <= l.indirect.unwrap());
            assert_eq!(l.end, l.indirect.unwrap() + n * 16 * 64);
            let s = ShadowLayout::new(64, size);
            assert_eq!((s.tokens % 8, s.lengths % 4, s.links % 2, s.counts % 2), (0, 0, 0, 0));
            assert!(s.end >= s.counts + 2 * n);
            // What is set aside for a part is what it takes.
            assert_eq!(RingLayout::bytes(size, true), l.end - 4096);
            assert_eq!(RingLayout::bytes(size, false), l.indirect.unwrap() - 4096);
            assert_eq!(ShadowLayout::bytes(size), 64 + 16 * n);
            assert_eq!(s.end, 64 + ShadowLayout::bytes(size));
        }
    }
}
