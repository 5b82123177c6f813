//! `clear interfaces`, `clear errors`.

use serde::{Deserialize, Serialize};

use super::InterfaceRef;

/// Makes the present values of counters their zero. Counting itself does not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearRequest {
    /// `clear interfaces [NAME…]`: packets, bytes, drops, everything.
    Interfaces(Vec<InterfaceRef>),
    /// `clear errors`: the rows of `show errors`.
    Errors {},
}
