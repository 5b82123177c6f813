//! `clear interfaces`, `clear errors`.

use super::InterfaceRef;

/// Takes the counters as they are now for zero. Counting goes on undisturbed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClearRequest {
    /// `clear interfaces [NAME…]`: packets, bytes, drops, everything.
    Interfaces(Vec<InterfaceRef>),
    /// `clear errors`: the rows of `show errors`.
    Errors,
}
