//! `monitor`: events as they happen.

use serde::{Deserialize, Serialize};

/// Asks for the events of all interfaces from now on. Each answer is a
/// [`Reply::Logging`](super::Reply::Logging) of one row; there is no last one while the holder lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MonitorRequest {}
