//! The buffer in which an action builds a frame.

use std::fmt;

use crate::frame::NetHdr;
use crate::units::Kind;

/// Room for one frame of any kind with its virtio header, made once per poller.
pub struct Reply {
    /// Header, then frame.
    buffer: Box<[u8]>,
    /// Bytes of the frame; 0 while there is none.
    frame_bytes: usize,
}

impl Reply {
    /// Longest frame, the virtio header not included.
    pub const FRAME_BYTES_MAX: usize = frame_bytes_max(Kind::Tap);

    /// An empty reply.
    pub fn new() -> Self {
        let buffer = vec![0; NetHdr::BYTES + Self::FRAME_BYTES_MAX].into_boxed_slice();
        Self { buffer, frame_bytes: 0 }
    }

    /// Whether it holds no frame.
    pub const fn is_empty(&self) -> bool {
        self.frame_bytes == 0
    }

    /// Header and frame, one after the other; empty while there is no frame.
    pub fn bytes(&self) -> &[u8] {
        if self.is_empty() { &[] } else { &self.buffer[..NetHdr::BYTES + self.frame_bytes] }
    }

    /// The frame without its header; empty while there is none.
    pub fn frame(&self) -> &[u8] {
        &self.buffer[NetHdr::BYTES..NetHdr::BYTES + self.frame_bytes]
    }

    /// Forgets the frame.
    pub const fn clear(&mut self) {
        self.frame_bytes = 0;
    }

    /// The room for a frame of this kind, with whatever is in it; [`Reply::commit`] makes it one.
    pub fn room(&mut self, kind: Kind) -> &mut [u8] {
        &mut self.buffer[NetHdr::BYTES..NetHdr::BYTES + frame_bytes_max(kind)]
    }

    /// Declares the first `frame_bytes` of the room, at most all of it, to be the frame behind
    /// `hdr`.
    pub fn commit(&mut self, hdr: NetHdr, frame_bytes: usize) {
        self.buffer[..NetHdr::BYTES].copy_from_slice(&hdr.to_bytes());
        self.frame_bytes = frame_bytes.min(Self::FRAME_BYTES_MAX);
    }
}

/// [`Kind::max_frame_bytes`] as a `usize`, which holds 32 bits wherever there is a tap.
const fn frame_bytes_max(kind: Kind) -> usize {
    kind.max_frame_bytes() as usize
}

impl Default for Reply {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("frame_bytes", &self.frame_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_committed_frame_follows_its_header_and_clear_forgets_both() {
        let mut reply = Reply::new();
        assert!(reply.bytes().is_empty() && reply.frame().is_empty());
        assert_eq!(reply.room(Kind::Tap).len(), 65553);
        reply.room(Kind::Tun)[..3].copy_from_slice(&[1, 2, 3]);
        reply.commit(NetHdr { flags: 2, ..NetHdr::plain() }, 3);
        assert_eq!(reply.frame(), [1, 2, 3]);
        assert_eq!(reply.bytes()[0], 2);
        assert_eq!(&reply.bytes()[NetHdr::BYTES..], [1, 2, 3]);
        reply.clear();
        assert!(reply.is_empty() && reply.bytes().is_empty());
        reply.commit(NetHdr::plain(), usize::MAX);
        assert_eq!(reply.frame().len(), Reply::FRAME_BYTES_MAX);
    }
}
