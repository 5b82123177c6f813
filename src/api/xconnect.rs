//! `xconnect A B [off]`.

use serde::{Deserialize, Serialize};

use super::{InterfaceRef, wire};

/// Connects two interfaces both ways, or takes that back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XconnectRequest {
    /// One end.
    pub a: InterfaceRef,
    /// The other; not the same.
    pub b: InterfaceRef,
    /// `off`: both ends return to `sink` or `respond`.
    #[serde(default, deserialize_with = "wire::nullable")]
    pub off: bool,
}
