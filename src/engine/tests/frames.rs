//! Frames that can be told apart, and what became of them.

use std::collections::HashMap;

use crate::counters::{DropReason, QueueSnapshot};
use crate::frame::NetHdr;

/// A frame behind its virtio header that says which one it is, `bytes` long without the header,
/// at least 22.
pub(super) fn frame(number: u64, bytes: usize) -> Vec<u8> {
    let mut frame = vec![0; NetHdr::BYTES];
    frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
    frame.extend(number.to_le_bytes());
    let low = number.to_le_bytes()[0];
    let block: Vec<u8> = (0..=255_u8).map(|i| i.wrapping_mul(7) ^ low).collect();
    let end = NetHdr::BYTES + bytes;
    while frame.len() < end {
        let now = block.len().min(end - frame.len());
        frame.extend_from_slice(&block[..now]);
    }
    frame
}

/// The number of a frame made by [`frame`].
pub(super) fn number(frame: &[u8]) -> u64 {
    u64::from_le_bytes(frame[26..34].try_into().unwrap())
}

/// What must come out is what went in: the same bytes, in order; how many were lost between.
pub(super) fn check_content(inside: &[Vec<u8>], outside: &[Vec<u8>]) -> u64 {
    let mut rest = inside.iter();
    for frame in outside {
        assert!(rest.any(|f| f == frame), "frame {} is not as it was sent", number(frame));
    }
    (inside.len() - outside.len()) as u64
}

/// Counters that are not zero, for messages.
pub(super) fn lost(snapshot: &QueueSnapshot) -> HashMap<&'static str, u64> {
    snapshot.drops().map(|(reason, n)| (reason.row().name, n)).collect()
}

/// So many frames of one reason and none of another.
pub(super) fn assert_lost(snapshot: &QueueSnapshot, expected: &[(DropReason, u64)]) {
    let expected: HashMap<_, _> = expected.iter().map(|(r, n)| (r.row().name, *n)).collect();
    assert_eq!(lost(snapshot), expected);
}

/// Numbers that look random and are the same in every run (xorshift64).
#[derive(Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    /// A number below `bound`.
    pub(super) const fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    /// Length of a frame: mostly below an MTU, some large, a few maximal.
    pub(super) fn length(&mut self) -> usize {
        let bytes = match self.below(20) {
            0 => 65_553,
            1..4 => 22 + self.below(65_000),
            _ => 22 + self.below(1_493),
        };
        usize::try_from(bytes).unwrap()
    }
}
