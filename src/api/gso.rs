//! `gso NAME on|off`.

use serde::{Deserialize, Serialize};

use super::InterfaceRef;

/// Turns segmentation offload on or off, on every queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GsoRequest {
    /// The interface.
    pub interface: InterfaceRef,
    /// On or off. Off makes it a plain tap again, which is weaker than `no-gso`: a promise that the
    /// host never gets a large frame.
    pub on: bool,
}
