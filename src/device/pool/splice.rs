//! A few bytes near the front of a frame are replaced by others, as a tag rewrite does.
//!
//! The bytes behind them move within the first buffer, through a small copy; a buffer that is full
//! has its last bytes moved to one that is chained behind it.

use std::ops::Range;

use super::{Frame, LENT, ON_LOAN, Pool, STATE};
use crate::ring::MAX_SEGMENTS;
use std::sync::atomic::Ordering;

/// Bytes that are moved at a time.
const CHUNK: usize = 2048;
/// Most bytes that are inserted.
pub const SPLICED_BYTES_MAX: usize = 16;

impl Pool {
    /// Replaces the bytes of a frame in `range` (0 is the virtio header's first) by `insert`, at most
    /// `SPLICED_BYTES_MAX`. Nobody else may see the frame: it is in no ring and has one reference.
    /// None, and nothing is done, where the range is not in the first buffer, or there is no free
    /// buffer for what overflows.
    pub fn splice(&self, frame: &Frame, range: Range<usize>, insert: &[u8]) -> Option<Frame> {
        let used = self.length(frame.head) as usize;
        let removed = range.len();
        if range.end > used || insert.len() > SPLICED_BYTES_MAX {
            return None;
        }
        let long = used - removed + insert.len();
        let overflow = long.saturating_sub(self.class.bytes() as usize);
        let mut spliced = *frame;
        if overflow > 0 {
            self.spill(&mut spliced, overflow)?;
        }
        let behind = range.end..used - overflow;
        self.shift(frame.head, behind, range.start + insert.len());
        self.patch(frame, range.start, insert);
        self.set_used(frame.head, u32::try_from(long - overflow).ok()?);
        let bytes = (frame.bytes as usize).saturating_sub(removed) + insert.len();
        spliced.bytes = u32::try_from(bytes).ok()?;
        Some(spliced)
    }

    /// Whether a frame that is lent can be spliced where it is: it has one reference, and room for
    /// so many bytes in its first buffer.
    pub fn is_spliceable(&self, frame: &Frame, added: usize) -> bool {
        let word = self.word(frame.head);
        let used = (word & super::BYTES) as usize;
        word & super::MORE == 0 && used + added <= self.class.bytes() as usize
    }

    /// A copy of a frame, in as many free buffers as it has; none where there are too few.
    pub fn duplicate(&self, frame: &Frame) -> Option<Frame> {
        if u32::from(frame.buffers) > self.free() {
            return None;
        }
        let (mut source, mut last) = (frame.head, None);
        let mut copy = Frame { buffers: 0, ..*frame };
        for _ in 0..frame.buffers {
            // Counted before: there is a free one.
            let buffer = self.take()?;
            let whole = self.slice(self.segment(source)).zip(self.slice(self.segment(buffer)));
            if let Some((from, to)) = whole
                && let Ok(used) = from.subslice(0, self.length(source) as usize)
            {
                used.copy_to_volatile_slice(to);
            }
            self.set_used(buffer, self.length(source));
            match last {
                None => copy.head = buffer,
                Some(last) => self.link(last, buffer),
            }
            copy.buffers += 1;
            last = Some(buffer);
            source = self.next(source);
        }
        Some(copy)
    }

    /// Moves the last bytes of a frame's first buffer to a new one behind it.
    fn spill(&self, frame: &mut Frame, overflow: usize) -> Option<()> {
        let state = self.word(frame.head) & STATE;
        let lent = self.lent();
        let is_lent = state == ON_LOAN;
        let full = usize::from(frame.buffers) >= MAX_SEGMENTS;
        if full || (is_lent && lent >= self.lendable) {
            return None;
        }
        let mut end = [0_u8; SPLICED_BYTES_MAX];
        let end = end.get_mut(..overflow)?;
        let used = self.length(frame.head) as usize;
        let from = self.slice(self.segment(frame.head))?.offset(used - overflow).ok()?;
        from.copy_to(end);
        let extra = self.take()?;
        self.slice(self.segment(extra))?.copy_from(end);
        self.lengths[extra as usize].store(state, Ordering::Relaxed);
        self.set_used(extra, u32::try_from(overflow).ok()?);
        if is_lent {
            self.words[LENT].store(lent + 1, Ordering::Relaxed);
        }
        self.link(extra, self.next(frame.head));
        self.link(frame.head, extra);
        frame.buffers += 1;
        Some(())
    }

    /// Moves bytes of a buffer to another place in it.
    fn shift(&self, buffer: u32, from: Range<usize>, to: usize) {
        let Some(whole) = self.slice(self.segment(buffer)) else { return };
        let mut chunk = [0_u8; CHUNK];
        let chunks = from.len().div_ceil(CHUNK);
        for n in 0..chunks {
            // Forwards where the bytes go to the front, backwards else, so that none is overwritten
            // before it was moved.
            let at = CHUNK * if to < from.start { n } else { chunks - 1 - n };
            let bytes = CHUNK.min(from.len() - at);
            let chunk = &mut chunk[..bytes];
            if let (Ok(source), Ok(target)) = (whole.offset(from.start + at), whole.offset(to + at))
            {
                source.copy_to(chunk);
                target.copy_from(chunk);
            }
        }
    }

    /// As [`Pool::set_length`], whatever the buffer's state.
    fn set_used(&self, buffer: u32, bytes: u32) {
        let other = self.word(buffer) & !super::BYTES;
        if let Some(word) = self.lengths.get(buffer as usize) {
            word.store(other | bytes.min(self.class.bytes()), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BufferClass, PoolSlot};
    use super::*;
    use crate::device::Memory;
    use proptest::prelude::*;

    fn pool(class: BufferClass, buffers: u32, lendable: u32) -> Pool {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        Pool::new(&memory, PoolSlot(1), class, buffers, lendable).unwrap()
    }

    fn bytes_of(pool: &Pool, frame: &Frame) -> Vec<u8> {
        let mut all = vec![0; frame.bytes as usize + 10];
        let copied = pool.copy_from(frame, 0, &mut all);
        all.truncate(copied);
        all
    }

    proptest! {
        #[test]
        fn a_spliced_frame_has_the_bytes_of_a_spliced_vector_and_gives_all_buffers_back(
            large: bool,
            lent: bool,
            bytes in 40_usize..9_000,
            start in 0_usize..30,
            removed in 0_usize..10,
            insert in proptest::collection::vec(any::<u8>(), 0..SPLICED_BYTES_MAX),
        ) {
            let class = if large { BufferClass::Large } else { BufferClass::Small };
            let pool = pool(class, 16, 16);
            let mut model: Vec<u8> = (0..=250).cycle().take(bytes).collect();
            let frame = pool.compose(&[&model]).unwrap();
            if lent {
                prop_assert!(pool.lend(&frame));
            }
            let spliced = pool.splice(&frame, start..start + removed, &insert).unwrap();
            model.splice(start..start + removed, insert);
            prop_assert_eq!(bytes_of(&pool, &spliced), &model[..]);
            prop_assert_eq!(pool.bytes(&spliced) as usize, model.len());
            if lent {
                prop_assert_eq!(pool.lent(), u32::from(spliced.buffers));
                pool.settle(&spliced);
            } else {
                pool.give_frame(&spliced);
            }
            prop_assert_eq!((pool.free(), pool.lent(), pool.refused()), (16, 0, 0));
        }
    }

    #[test]
    fn a_full_buffer_without_another_to_spill_to_leaves_the_frame_as_it_was() {
        let pool = pool(BufferClass::Small, 1, 1);
        let model = vec![7; 2048];
        let frame = pool.compose(&[&model]).unwrap();
        assert_eq!(pool.splice(&frame, 24..24, &[1; 4]), None);
        assert_eq!(pool.splice(&frame, 2047..2049, &[]), None);
        assert_eq!(bytes_of(&pool, &frame), model);
        assert!(pool.splice(&frame, 24..28, &[1; 4]).is_some());
        pool.give_frame(&frame);
        assert_eq!(pool.free(), 1);
    }
}
