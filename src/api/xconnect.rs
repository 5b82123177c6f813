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
    /// `link-state on`: the loss of link at one end is handed on to the carrier of the other.
    #[serde(default, deserialize_with = "wire::nullable")]
    pub link_state: bool,
}
