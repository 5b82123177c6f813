//! `gso NAME on|off`.

use super::InterfaceRef;

/// Turns segmentation offload on or off, on every queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GsoRequest {
    /// The interface.
    pub interface: InterfaceRef,
    /// On or off. Off returns to a plain tap; it is not the promise of `no-gso`.
    pub on: bool,
}
