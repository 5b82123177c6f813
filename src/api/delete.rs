//! `delete tap`.

use serde::Serialize;

use super::InterfaceRef;
use crate::units::IfName;

/// Which interfaces to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteRequest {
    /// These, in order. All must exist, or none is removed.
    Named(Vec<InterfaceRef>),
    /// All there are; none is fine too.
    All,
}

/// An interface that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// Its name.
    pub name: IfName,
    /// Steps that could not be undone, a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_undone: Vec<String>,
}
