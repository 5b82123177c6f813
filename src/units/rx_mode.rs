//! How a poller learns of received frames.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a poller learns that a receive queue has frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RxMode {
    /// It looks all the time, and never sleeps.
    Polling,
    /// It sleeps as soon as there is nothing, and is woken.
    Interrupt,
    /// It looks while frames come, and a moment longer, then sleeps and is woken.
    #[default]
    Adaptive,
}

impl fmt::Display for RxMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Polling => "polling",
            Self::Interrupt => "interrupt",
            Self::Adaptive => "adaptive",
        })
    }
}
