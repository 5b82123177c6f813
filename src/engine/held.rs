//! Frames that the action of a receive queue keeps for later.

use std::collections::VecDeque;

use crate::action::HeldKey;
use crate::device::Frame;

/// Held frames in the order in which they came; their buffers are lent. Keys count up: the place of
/// a key is its distance to the first.
#[derive(Debug, Default)]
pub(super) struct Held {
    frames: VecDeque<Option<Frame>>,
    first: u64,
    count: u32,
}

impl Held {
    /// The key of the next frame.
    pub(super) fn next_key(&self) -> HeldKey {
        HeldKey(self.first + self.frames.len() as u64)
    }

    /// How many frames are held.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// How long the list is: the frames that are held, and those released between them.
    pub(super) fn span(&self) -> usize {
        self.frames.len()
    }

    /// Keeps a frame under [`Held::next_key`].
    pub(super) fn push(&mut self, frame: Frame) {
        self.frames.push_back(Some(frame));
        self.count += 1;
    }

    /// Takes the frame of this key out.
    pub(super) fn take(&mut self, key: HeldKey) -> Option<Frame> {
        let at = usize::try_from(key.0.checked_sub(self.first)?).ok()?;
        let frame = self.frames.get_mut(at)?.take()?;
        self.count -= 1;
        while let Some(None) = self.frames.front() {
            self.frames.pop_front();
            self.first += 1;
        }
        Some(frame)
    }

    /// Takes the oldest frame out.
    pub(super) fn pop(&mut self) -> Option<Frame> {
        self.take(HeldKey(self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::PoolSlot;

    fn frame(head: u32) -> Frame {
        Frame { pool: PoolSlot(1), head, buffers: 1, bytes: 60 }
    }

    #[test]
    fn keys_name_their_frames_in_any_order_and_each_once() {
        let mut held = Held::default();
        let keys: Vec<_> = (0..5)
            .map(|n| {
                let key = held.next_key();
                held.push(frame(n));
                key
            })
            .collect();
        assert_eq!(held.take(keys[2]), Some(frame(2)));
        assert_eq!(held.take(keys[2]), None);
        assert_eq!((held.count(), held.span()), (4, 5));
        assert_eq!(held.take(keys[0]), Some(frame(0)));
        assert_eq!((held.count(), held.span()), (3, 4));
        assert_eq!(held.take(keys[1]), Some(frame(1)));
        assert_eq!((held.count(), held.span()), (2, 2));
        assert_eq!(held.take(HeldKey(99)), None);
        held.push(frame(7));
        assert_eq!(held.pop(), Some(frame(3)));
        assert_eq!(held.take(HeldKey(5)), Some(frame(7)));
        assert_eq!(held.pop(), Some(frame(4)));
        assert_eq!((held.pop(), held.next_key()), (None, HeldKey(6)));
    }
}
