//! `clear interfaces`, `clear errors`.

use serde::{Deserialize, Serialize};

use super::InterfaceRef;

/// Takes the counters as they are now for zero. Counting goes on undisturbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearRequest {
    /// `clear interfaces [NAME…]`: packets, bytes, drops, everything.
    Interfaces(Vec<InterfaceRef>),
    /// `clear errors`: the rows of `show errors`.
    Errors {},
}
