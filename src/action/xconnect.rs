//! The cross-connect: every frame goes to one peer, its virtio header with it.

use super::Verdict;

/// Names a peer interface to the poller that carries out the verdict; actions only pass it on.
///
/// A slot is used again after its interface is deleted, with another generation: a key that has
/// outlived its interface is recognised and does not name another interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PeerKey {
    /// Place in the table of peers.
    pub slot: u32,
    /// Which of the interfaces that have had this place.
    pub generation: u32,
}

/// Sends the frame to `peer`.
pub const fn visit(peer: PeerKey) -> Verdict {
    Verdict::Forward(peer)
}
