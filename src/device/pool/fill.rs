//! Frames that are made in a pool: of bytes, or as the copy of another frame.

use super::{Frame, Pool};
use crate::ring::MAX_SEGMENTS;

impl Pool {
    /// Makes a copy here of a frame of another pool; none when there are too few free buffers.
    pub fn copy(&self, from: &Self, frame: &Frame) -> Option<Frame> {
        let capacity = self.class.bytes() as usize;
        let bytes = from.bytes(frame);
        let buffers = (bytes as usize).div_ceil(capacity);
        if buffers > self.free() as usize || buffers > MAX_SEGMENTS || buffers == 0 {
            return None;
        }
        let head = self.take()?;
        let (mut buffer, mut filled) = (head, 0);
        let mut source = frame.head;
        for _ in 0..frame.buffers {
            let (length, mut done) = (from.length(source) as usize, 0);
            while done < length {
                if filled == capacity {
                    // Counted before: there is a free one.
                    let next = self.take()?;
                    self.set_length(buffer, self.class.bytes());
                    self.link(buffer, next);
                    (buffer, filled) = (next, 0);
                }
                let n = (length - done).min(capacity - filled);
                let theirs =
                    from.slice(from.segment(source)).and_then(|s| s.subslice(done, n).ok());
                let ours =
                    self.slice(self.segment(buffer)).and_then(|s| s.subslice(filled, n).ok());
                if let (Some(theirs), Some(ours)) = (theirs, ours) {
                    theirs.copy_to_volatile_slice(ours);
                }
                (done, filled) = (done + n, filled + n);
            }
            source = from.next(source);
        }
        // At most one buffer's size.
        self.set_length(buffer, u32::try_from(filled).ok()?);
        Some(Frame { pool: self.slot, head, buffers: u16::try_from(buffers).ok()?, bytes })
    }

    /// Makes a frame of `parts`, one behind the other, in free buffers; none when there are too
    /// few.
    pub fn compose(&self, parts: &[&[u8]]) -> Option<Frame> {
        let bytes: usize = parts.iter().map(|p| p.len()).sum();
        let capacity = self.class.bytes() as usize;
        let buffers = bytes.div_ceil(capacity);
        if buffers > self.free() as usize || buffers > MAX_SEGMENTS || buffers == 0 {
            return None;
        }
        let head = self.take()?;
        let frame = Frame {
            pool: self.slot,
            head,
            buffers: u16::try_from(buffers).ok()?,
            bytes: u32::try_from(bytes).ok()?,
        };
        let (mut buffer, mut filled) = (head, 0);
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() {
                if filled == capacity {
                    // Counted before: there is a free one.
                    let next = self.take()?;
                    self.set_length(buffer, self.class.bytes());
                    self.link(buffer, next);
                    (buffer, filled) = (next, 0);
                }
                let n = rest.len().min(capacity - filled);
                if let Some(slice) =
                    self.slice(self.segment(buffer)).and_then(|s| s.offset(filled).ok())
                {
                    slice.copy_from(&rest[..n]);
                }
                filled += n;
                rest = &rest[n..];
            }
        }
        // At most one buffer's size.
        self.set_length(buffer, u32::try_from(filled).ok()?);
        Some(frame)
    }
}
