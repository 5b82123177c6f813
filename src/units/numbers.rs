//! What is called by a number: interfaces, queues, pollers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Invalid, digits, invalid};

/// The `id` of an interface: 0…8191, unique among taps and among tuns of one holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct InterfaceId(u16);

impl InterfaceId {
    /// How many ids there are.
    pub const COUNT: u16 = 8192;

    /// Checks `id`.
    ///
    /// # Errors
    /// When it is above 8191.
    pub fn new(id: u64) -> Result<Self, Invalid> {
        match u16::try_from(id) {
            Ok(n) if n < Self::COUNT => Ok(Self(n)),
            _ => invalid("not an id between 0 and 8191"),
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for InterfaceId {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) => Self::new(n),
            None => invalid("not an id between 0 and 8191"),
        }
    }
}

impl fmt::Display for InterfaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an interface in this process, from 1 up. It is never reused while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SwIfIndex(pub u32);

impl fmt::Display for SwIfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a queue within its interface and direction, from 0 up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueIndex(pub u16);

impl fmt::Display for QueueIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Number of a poller thread, from 0 up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PollerIndex(pub u16);

impl fmt::Display for PollerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_end_at_8191() {
        assert!(InterfaceId::new(8191).is_ok());
        assert!(InterfaceId::new(8192).is_err());
        assert!("x".parse::<InterfaceId>().is_err());
    }
}
