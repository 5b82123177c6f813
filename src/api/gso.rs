//! `gso NAME on|off`.

use serde::{Deserialize, Serialize};

use super::InterfaceRef;

/// Turns segmentation offload on or off, on every queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GsoRequest {
    /// The interface.
    pub interface: InterfaceRef,
    /// On or off. Off returns to a plain tap; it is not the promise of `no-gso`.
    pub on: bool,
}
