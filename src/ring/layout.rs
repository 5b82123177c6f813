//! Where the parts of a ring lie in the shared file, and those of a driver's shadow in the private
//! one. Offsets in bytes; formulas of [VIRTIO-1.3 §2.7] "Split Virtqueues".

use super::MAX_SEGMENTS;
use crate::units::RingSize;

/// Bytes of one descriptor.
pub(super) const DESC_BYTES: u64 = 16;

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
        let desc = base;
        let avail = align(behind(desc, DESC_BYTES * n), 64);
        let used = align(behind(avail, 6 + 2 * n), 64);
        let end = align(behind(used, 6 + 8 * n), 64);
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

/// Bytes that a shadow needs for each entry: link, head's token and byte count, segment count.
pub const SHADOW_BYTES_PER_ENTRY: u64 = 2 + 8 + 4 + 2;

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

#[cfg(test)]
mod tests {
    use super::*;

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
        }
    }
}
