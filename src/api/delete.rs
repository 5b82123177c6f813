//! `delete tap`.

use serde::{Deserialize, Serialize};

use super::{InterfaceRef, wire};
use crate::units::IfName;

/// Which interfaces to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeleteRequest {
    /// These, in order. All must exist, or none is removed.
    Named(Vec<InterfaceRef>),
    /// As [`DeleteRequest::Named`], with devices that would stay.
    Destroy(Vec<InterfaceRef>),
    /// All; that there are none is no error.
    All {
        /// With devices that would stay.
        #[serde(default, deserialize_with = "wire::nullable")]
        destroy: bool,
    },
}

/// A deleted interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deleted {
    /// Its name.
    pub name: IfName,
    /// Steps that could not be undone, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_undone: Vec<String>,
}
