//! `xconnect A B [IMPAIRMENT] [link-state on|off] [off]`.

use serde::{Deserialize, Serialize};

use super::{InterfaceRef, wire};
use crate::diag::Failure;
use crate::units::Impairment;

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
    /// What the wire does to the frames of each direction. Its seed is that of the frames from `a` to
    /// `b`; those from `b` to `a` have the next number.
    #[serde(default, deserialize_with = "wire::nullable")]
    pub impairment: Impairment,
}

impl XconnectRequest {
    /// Checks what the wire is to do.
    ///
    /// # Errors
    /// Exit code 2, when its values do not go together.
    pub fn check(&self) -> Result<(), Failure> {
        self.impairment.check().map_err(|why| Failure::usage("", why.0))
    }
}
