//! What is called by a number or counted: interfaces, queues, pollers.

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

/// Most MACs that a bridge domain knows.
pub const MACS_MAX: usize = 1 << 16;

/// The number of a bridge domain: 1…16777215.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BridgeDomainId(u32);

impl BridgeDomainId {
    /// The highest.
    pub const MAX: u32 = (1 << 24) - 1;

    /// Checks `id`.
    ///
    /// # Errors
    /// When it is 0 or above 16777215; in VPP's words.
    pub fn new(id: u64) -> Result<Self, Invalid> {
        match u32::try_from(id) {
            Ok(0) => invalid("bridge domain 0 can not be modified"),
            Ok(n) if n <= Self::MAX => Ok(Self(n)),
            _ => invalid("bridge domain ID exceed 16M limit"),
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for BridgeDomainId {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) => Self::new(n),
            None => invalid("not a bridge domain ID between 1 and 16777215"),
        }
    }
}

impl fmt::Display for BridgeDomainId {
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

/// How many queues of one direction an interface is to have: 1…256, the most queue files that Linux
/// attaches to one tap (`MAX_TAP_QUEUES`). 0 asks for 1, as in VPP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct QueueCount(u16);

impl QueueCount {
    /// The most.
    pub const MAX: u16 = 256;
    /// One.
    pub const ONE: Self = Self(1);

    /// Checks `queues`.
    ///
    /// # Errors
    /// When they are more than 256.
    pub fn new(queues: u64) -> Result<Self, Invalid> {
        match u16::try_from(queues) {
            Ok(n) if n <= Self::MAX => Ok(Self(n.max(1))),
            _ => invalid("not a number of queues between 1 and 256"),
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// At least `least`, as long as that is no more than there can be.
    #[must_use]
    pub fn at_least(self, least: u16) -> Self {
        Self(self.0.max(least.min(Self::MAX)))
    }
}

impl FromStr for QueueCount {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) => Self::new(n),
            None => invalid("not a number of queues between 1 and 256"),
        }
    }
}

impl fmt::Display for QueueCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many pollers a process is to have: 1…32. Each pair of them has a ring between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PollerCount(u16);

impl PollerCount {
    /// The most.
    pub const MAX: u16 = 32;

    /// The number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl FromStr for PollerCount {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) if (1..=Self::MAX).contains(&n) => Ok(Self(n)),
            _ => invalid("not a number of pollers between 1 and 32"),
        }
    }
}

impl fmt::Display for PollerCount {
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

    #[test]
    fn queues_are_1_to_256_and_none_is_one() {
        let count = |text: &str| text.parse::<QueueCount>().map(QueueCount::get).ok();
        assert_eq!(["0", "1", "2", "256"].map(count), [Some(1), Some(1), Some(2), Some(256)]);
        for bad in ["257", "65537", "-1", "+1", "", "x"] {
            assert_eq!(count(bad), None, "{bad}");
        }
        let several = |least| QueueCount::new(3).unwrap().at_least(least).get();
        assert_eq!([1, 4, 300].map(several), [3, 4, 256]);
    }

    #[test]
    fn bridge_domains_are_numbered_from_1_to_16777215() {
        for good in ["1", "16777215"] {
            assert_eq!(good.parse::<BridgeDomainId>().unwrap().to_string(), good);
        }
        for bad in ["0", "16777216", "99999999999", "-1", "x", ""] {
            assert!(bad.parse::<BridgeDomainId>().is_err(), "{bad}");
        }
    }
}
