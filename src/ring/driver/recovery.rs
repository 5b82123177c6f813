//! A successor on a ring whose owner was killed.

use std::num::Wrapping;

use super::DriverRing;
use super::shadow::{AVAIL_IDX, FREE_COUNT, FREE_HEAD, IN_FLIGHT, LAST_USED_IDX, POSTING};

/// The shadow does not say what is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unrecoverable;

impl DriverRing {
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
        let shadow = &self.shadow;
        let (avail_idx, last) = (shadow.index(AVAIL_IDX), shadow.index(LAST_USED_IDX));
        let counted = avail_idx - last;
        // At most the size of a ring, which is a u16.
        let found = shadow.tokens().fold(Wrapping(0), |n, _| n + Wrapping(1));
        let posting = shadow.word(POSTING);
        if found == counted + Wrapping(1) && posting < self.size && shadow.token(posting) != 0 {
            self.put_available(posting);
            shadow.set_index(AVAIL_IDX, avail_idx + Wrapping(1));
        } else if found + Wrapping(1) == counted {
            shadow.set_index(LAST_USED_IDX, last + Wrapping(1));
        } else if found != counted {
            return Err(Unrecoverable);
        }
        let mut taken = vec![false; usize::from(self.size)];
        for (head, _) in shadow.tokens() {
            let mut entry = head;
            for _ in 0..shadow.count(head) {
                *taken.get_mut(usize::from(entry)).ok_or(Unrecoverable)? = true;
                entry = shadow.link(entry);
            }
        }
        let mut free = 0;
        for entry in (0..self.size).rev().filter(|entry| !taken[usize::from(*entry)]) {
            let behind = if free == 0 { self.size } else { shadow.word(FREE_HEAD) };
            shadow.set_link(entry, behind);
            shadow.set_word(FREE_HEAD, entry);
            free += 1;
        }
        shadow.set_word(FREE_COUNT, free);
        shadow.set_word(IN_FLIGHT, found.0);
        self.used_seen = shadow.index(LAST_USED_IDX);
        Ok(())
    }
}
