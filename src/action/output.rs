//! What an action asks for besides its verdict.
//!
//! # Theory of operation
//! Each poller has one [`Output`]. It is empty when an action is called; what the action puts in is
//! carried out when it has returned, in the order in which the fields stand here. The lists keep
//! their memory, so a data path that has run for a moment allocates nothing.

use std::fmt;
use std::ops::Range;

use super::{PeerKey, Retag, Verdict};
use crate::frame::NetHdr;
use crate::units::Kind;

/// Names a held frame to the action that holds it. Keys of one queue count up and are not used
/// again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldKey(pub u64);

/// Most frames that one call of an action may originate.
pub const ORIGINATED_MAX: usize = 8;
/// Most bytes that one call may edit.
pub const EDIT_BYTES_MAX: usize = 64;

/// A frame of the action's own.
#[derive(Debug, Clone, Copy)]
pub struct Originated<'a> {
    /// Where it goes.
    pub to: PeerKey,
    /// Virtio header and frame, one after the other.
    pub bytes: &'a [u8],
}

impl<'a> Originated<'a> {
    /// The frame without its header.
    pub fn frame(&self) -> &'a [u8] {
        self.bytes.get(NetHdr::BYTES..).unwrap_or_default()
    }
}

/// Room for what an action asks for, made once per poller.
pub struct Output {
    /// Something was asked for in this call.
    used: bool,
    /// Bytes that overwrite the frame's, each run with its offset; in the first `edit_bytes` of
    /// `edited`, one run behind the other.
    edits: Vec<(usize, usize)>,
    edited: [u8; EDIT_BYTES_MAX],
    edit_bytes: usize,
    /// How the frame's VLAN tags change.
    retag: Option<Retag>,
    /// Where the frame goes with [`Verdict::Flood`].
    peers: Vec<PeerKey>,
    /// Held frames, and what becomes of each.
    released: Vec<(HeldKey, Verdict)>,
    /// Headers and frames, one behind the other.
    buffer: Box<[u8]>,
    originated: Vec<(PeerKey, Range<usize>)>,
    originated_bytes: usize,
    /// When the action is to be called again.
    wake_ns: Option<u64>,
}

impl Output {
    /// Longest frame that can be originated, the virtio header not included.
    pub const FRAME_BYTES_MAX: usize = frame_bytes_max(Kind::Tap);

    /// Asks for nothing.
    pub fn new() -> Self {
        Self {
            used: false,
            edits: Vec::with_capacity(EDIT_BYTES_MAX),
            edited: [0; EDIT_BYTES_MAX],
            edit_bytes: 0,
            retag: None,
            peers: Vec::new(),
            released: Vec::new(),
            buffer: vec![0; NetHdr::BYTES + Self::FRAME_BYTES_MAX].into_boxed_slice(),
            originated: Vec::with_capacity(ORIGINATED_MAX),
            originated_bytes: 0,
            wake_ns: None,
        }
    }

    /// Whether nothing is asked for.
    pub const fn is_empty(&self) -> bool {
        !self.used
    }

    /// Forgets all that was asked for.
    pub fn clear(&mut self) {
        if self.used {
            self.used = false;
            self.edits.clear();
            self.edit_bytes = 0;
            self.retag = None;
            self.peers.clear();
            self.released.clear();
            self.originated.clear();
            self.originated_bytes = 0;
            self.wake_ns = None;
        }
    }

    /// Overwrites bytes of the received frame from `offset`, before it goes anywhere. What lies
    /// behind the frame's first buffer is not written. `false`, and nothing is done, where one call
    /// edits more than [`EDIT_BYTES_MAX`] bytes.
    pub fn edit(&mut self, offset: usize, bytes: &[u8]) -> bool {
        let end = self.edit_bytes + bytes.len();
        let Some(room) = self.edited.get_mut(self.edit_bytes..end) else { return false };
        if bytes.is_empty() {
            return true;
        }
        room.copy_from_slice(bytes);
        self.edits.push((offset, bytes.len()));
        self.edit_bytes = end;
        self.used = true;
        true
    }

    /// The edits in their order: offset in the frame, bytes.
    pub fn edits(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut from = 0;
        self.edits.iter().map(move |&(offset, bytes)| {
            let run = &self.edited[from..from + bytes];
            from += bytes;
            (offset, run)
        })
    }

    /// Changes the VLAN tags of the received frame, after the edits and before it goes anywhere. Of
    /// several changes the last counts.
    pub const fn retag(&mut self, retag: Retag) {
        self.used = true;
        self.retag = Some(retag);
    }

    /// How the VLAN tags change.
    pub const fn retagged(&self) -> Option<Retag> {
        self.retag
    }

    /// Adds a peer that the frame goes to with [`Verdict::Flood`].
    pub fn flood_to(&mut self, peer: PeerKey) {
        self.used = true;
        self.peers.push(peer);
    }

    /// The peers of a flood.
    pub fn peers(&self) -> &[PeerKey] {
        &self.peers
    }

    /// Decides about a frame that this action holds. A key that names none does nothing.
    pub fn release(&mut self, held: HeldKey, verdict: Verdict) {
        self.used = true;
        self.released.push((held, verdict));
    }

    /// The decisions about held frames, in their order.
    pub fn released(&self) -> &[(HeldKey, Verdict)] {
        &self.released
    }

    /// The room for a frame of this kind, with whatever is in it; [`Output::originate`] makes it
    /// one. It is as long as the longest frame, less what was originated before in the same call.
    pub fn room(&mut self, kind: Kind) -> &mut [u8] {
        let from = (self.originated_bytes + NetHdr::BYTES).min(self.buffer.len());
        let to = (from + frame_bytes_max(kind)).min(self.buffer.len());
        &mut self.buffer[from..to]
    }

    /// Sends the first `frame_bytes` of the room, at most all of it, to `to` behind `hdr`. `false`,
    /// and nothing is done, where there are [`ORIGINATED_MAX`] frames already.
    pub fn originate(&mut self, to: PeerKey, hdr: &NetHdr, frame_bytes: usize) -> bool {
        let from = self.originated_bytes;
        let Some(room) = self.buffer.get_mut(from..from + NetHdr::BYTES) else { return false };
        if self.originated.len() == ORIGINATED_MAX {
            return false;
        }
        room.copy_from_slice(&hdr.to_bytes());
        let bytes = NetHdr::BYTES + frame_bytes.min(self.buffer.len() - from - NetHdr::BYTES);
        self.originated.push((to, from..from + bytes));
        self.originated_bytes += bytes;
        self.used = true;
        true
    }

    /// How many frames are originated.
    pub const fn originated_frames(&self) -> usize {
        self.originated.len()
    }

    /// One of the originated frames; they are in their order.
    pub fn originated(&self, at: usize) -> Option<Originated<'_>> {
        let (to, range) = self.originated.get(at)?;
        Some(Originated { to: *to, bytes: self.buffer.get(range.clone())? })
    }

    /// Has [`Action::expire`](super::Action::expire) called once, when the poller's clock has
    /// reached `ns` or soon after. Of several calls and several times the earliest counts.
    pub fn wake_at(&mut self, ns: u64) {
        self.used = true;
        self.wake_ns = Some(self.wake_ns.map_or(ns, |earlier| earlier.min(ns)));
    }

    /// When the action is to be called again.
    pub const fn wake_ns(&self) -> Option<u64> {
        self.wake_ns
    }
}

/// [`Kind::max_frame_bytes`] as a `usize`, which holds 32 bits wherever there is a tap.
const fn frame_bytes_max(kind: Kind) -> usize {
    kind.max_frame_bytes() as usize
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("edits", &self.edits)
            .field("peers", &self.peers)
            .field("released", &self.released)
            .field("originated", &self.originated)
            .field("wake_ns", &self.wake_ns)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: PeerKey = PeerKey { slot: 1, generation: 1 };
    const B: PeerKey = PeerKey { slot: 2, generation: 1 };

    #[test]
    fn originated_frames_follow_their_headers_in_order_until_the_room_is_full() {
        let mut output = Output::new();
        assert_eq!(output.room(Kind::Tap).len(), 65553);
        output.room(Kind::Tun)[..3].copy_from_slice(&[1, 2, 3]);
        assert!(output.originate(A, &NetHdr { flags: 2, ..NetHdr::plain() }, 3));
        output.room(Kind::Tap)[..2].copy_from_slice(&[4, 5]);
        assert!(output.originate(B, &NetHdr::plain(), 2));
        let [a, b] = [0, 1].map(|at| output.originated(at).unwrap());
        assert_eq!((a.to, a.bytes[0], a.frame()), (A, 2, &[1, 2, 3][..]));
        assert_eq!((b.to, b.bytes[0], b.frame()), (B, 0, &[4, 5][..]));
        // What is left is the room of the next.
        assert_eq!(output.room(Kind::Tap).len(), 65553 - 15 - 14);
        assert!(output.originate(A, &NetHdr::plain(), usize::MAX));
        assert_eq!(output.room(Kind::Tap).len(), 0);
        assert!(!output.originate(A, &NetHdr::plain(), 0), "there is no room for a header");
        assert_eq!(output.originated(2).unwrap().frame().len(), 65553 - 15 - 14);
        output.clear();
        assert!(output.is_empty() && output.originated(0).is_none());
        assert_eq!(output.room(Kind::Tap).len(), 65553);
    }

    #[test]
    fn one_call_originates_at_most_eight_frames() {
        let mut output = Output::new();
        assert!((0..ORIGINATED_MAX).all(|_| output.originate(A, &NetHdr::plain(), 1)));
        assert!(!output.originate(A, &NetHdr::plain(), 1));
        assert_eq!(output.originated_frames(), 8);
    }

    #[test]
    fn edits_keep_their_order_and_one_too_long_is_refused_whole() {
        let mut output = Output::new();
        assert!(output.edit(6, &[1, 2]) && output.edit(0, &[3]) && output.edit(9, &[]));
        assert!(!output.edit(0, &[0; EDIT_BYTES_MAX - 2]));
        assert!(output.edit(20, &[7; EDIT_BYTES_MAX - 3]));
        let edits: Vec<_> = output.edits().map(|(at, bytes)| (at, bytes.to_vec())).collect();
        assert_eq!(edits, [(6, vec![1, 2]), (0, vec![3]), (20, vec![7; EDIT_BYTES_MAX - 3])]);
        output.clear();
        assert_eq!(output.edits().count(), 0);
    }

    #[test]
    fn of_several_times_to_wake_the_earliest_counts_and_clear_forgets_all() {
        let mut output = Output::new();
        output.wake_at(9);
        output.wake_at(5);
        output.wake_at(7);
        output.flood_to(A);
        output.release(HeldKey(3), Verdict::Consume);
        assert_eq!((output.wake_ns(), output.peers()), (Some(5), &[A][..]));
        assert_eq!(output.released(), [(HeldKey(3), Verdict::Consume)]);
        output.clear();
        assert_eq!((output.wake_ns(), output.peers().len()), (None, 0));
        assert!(output.is_empty() && output.released().is_empty());
    }
}
