//! The cross-connect: every frame goes to one peer, its virtio header with it.

use super::Verdict;

/// Names a peer interface to whoever carries out the verdict; actions only hand it on.
///
/// A slot is used again after its interface is deleted, with another generation: a key that has
/// outlived its interface is then recognised instead of meaning a stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerKey {
    slot: u32,
    generation: u32,
}

impl PeerKey {
    /// The key of the `generation`th interface in `slot`.
    pub const fn new(slot: u32, generation: u32) -> Self {
        Self { slot, generation }
    }

    /// Place in the table of interfaces.
    pub const fn slot(self) -> u32 {
        self.slot
    }

    /// Which of the interfaces that have had this place.
    pub const fn generation(self) -> u32 {
        self.generation
    }
}

/// Sends the frame to `peer`.
pub const fn visit(peer: PeerKey) -> Verdict {
    Verdict::Forward(peer)
}
