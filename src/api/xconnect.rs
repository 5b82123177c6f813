//! `xconnect A B [off]`.

use super::InterfaceRef;

/// Connects two interfaces both ways, or takes that back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XconnectRequest {
    /// One end.
    pub a: InterfaceRef,
    /// The other; not the same.
    pub b: InterfaceRef,
    /// `off`: both ends return to `sink` or `respond`.
    pub off: bool,
}
