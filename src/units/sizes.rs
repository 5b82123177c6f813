//! Sizes that have bounds: of rings, of memory, of packets and of their queue.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Invalid, Kind, digits, invalid};

const NO_MTU: &str = "not an MTU between 68 and 65521, of a tun 65535";

/// Entries of a split virtqueue: a power of two, 64…32768.
///
/// VIRTIO allows less; 64 keeps one maximal frame of 2 KiB buffers postable
/// ([VIRTIO-1.3 §2.7] "Split Virtqueues").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RingSize(u16);

impl RingSize {
    /// Least accepted size.
    pub const MIN: u16 = 64;
    /// Largest size of a split virtqueue.
    pub const MAX: u16 = 32768;

    /// Checks `entries`.
    ///
    /// # Errors
    /// When it is not a power of two within 64…32768.
    pub fn new(entries: u64) -> Result<Self, Invalid> {
        match u16::try_from(entries) {
            Ok(n) if n.is_power_of_two() && (Self::MIN..=Self::MAX).contains(&n) => Ok(Self(n)),
            _ => invalid("not a power of two between 64 and 32768"),
        }
    }

    /// The number of entries.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for RingSize {
    fn default() -> Self {
        Self(256)
    }
}

impl FromStr for RingSize {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) => Self::new(n),
            None => invalid("not a power of two between 64 and 32768"),
        }
    }
}

impl fmt::Display for RingSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Size of the memory that backends see, bytes: 16 MiB…1 TiB, whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemorySize(u64);

impl MemorySize {
    /// Checks `bytes` and rounds them up to whole pages.
    ///
    /// # Errors
    /// When they are outside 16 MiB…1 TiB.
    pub fn new(bytes: u64) -> Result<Self, Invalid> {
        if (16 << 20..=1 << 40).contains(&bytes) {
            Ok(Self::whole_pages(bytes))
        } else {
            invalid("not a size between 16M and 1T (512M, 4G)")
        }
    }

    /// `bytes` rounded up to whole pages.
    pub(crate) const fn whole_pages(bytes: u64) -> Self {
        Self(bytes.div_ceil(4096) * 4096)
    }

    /// Bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for MemorySize {
    type Err = Invalid;
    /// Reads `512M`, `4G` or a number of bytes.
    fn from_str(s: &str) -> Result<Self, Invalid> {
        let (number, shift) = match s.as_bytes().last() {
            Some(b'K' | b'k') => (&s[..s.len() - 1], 10),
            Some(b'M' | b'm') => (&s[..s.len() - 1], 20),
            Some(b'G' | b'g') => (&s[..s.len() - 1], 30),
            Some(b'T' | b't') => (&s[..s.len() - 1], 40),
            _ => (s, 0),
        };
        // A number that overflows is also too large.
        Self::new(digits(number).and_then(|n: u64| n.checked_mul(1 << shift)).unwrap_or(0))
    }
}

/// MTU of the host side: 68…65535 bytes, of a tap 68…65521 (`MIN_MTU`, and `MAX_MTU` less the
/// Ethernet header).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mtu(u32);

impl Mtu {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// When it is outside 68…65535.
    pub fn new(bytes: u64) -> Result<Self, Invalid> {
        match u32::try_from(bytes) {
            Ok(n) if (68..=65535).contains(&n) => Ok(Self(n)),
            _ => invalid(NO_MTU),
        }
    }

    /// Checks that a device of this kind can have it.
    ///
    /// # Errors
    /// When it is too large for a tap.
    pub fn check(self, kind: Kind) -> Result<(), Invalid> {
        match kind {
            Kind::Tap if self.0 > 65521 => invalid(NO_MTU),
            Kind::Tap | Kind::Tun => Ok(()),
        }
    }

    /// The least with which Linux supports IPv6 ([RFC 8200] §5).
    pub const IPV6_LEAST: u32 = 1280;

    /// Bytes of an IP packet that fit.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for Mtu {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) => Self::new(n),
            None => invalid(NO_MTU),
        }
    }
}

impl fmt::Display for Mtu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The MTUs of our side of an interface; none: no limit. That of a protocol goes before that of every
/// packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mtus {
    /// Of packets of every protocol.
    pub packet: Option<Mtu>,
    /// Of IPv4.
    pub ip4: Option<Mtu>,
    /// Of IPv6.
    pub ip6: Option<Mtu>,
    /// Of MPLS.
    pub mpls: Option<Mtu>,
}

/// `txqueuelen` of the host side: 1…32767 packets.
///
/// Kernels that check the length answer ERANGE above it (Debian's 6.1.192 and 6.12.117); those that
/// do not check it fail at a ring of pointers of 4 MiB (`KMALLOC_MAX_SIZE`). The bound is the same on
/// every kernel, so that a script works on every machine. A tun with length 0 receives nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TxQueueLength(u32);

impl TxQueueLength {
    /// Largest length.
    pub const MAX: u32 = 32_767;

    /// Checks `packets`.
    ///
    /// # Errors
    /// When it is outside 1…32767.
    pub fn new(packets: u64) -> Result<Self, Invalid> {
        match u32::try_from(packets) {
            Ok(n) if (1..=Self::MAX).contains(&n) => Ok(Self(n)),
            _ => invalid("not a number of packets between 1 and 32767"),
        }
    }

    /// Packets.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl FromStr for TxQueueLength {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        // A word that is no number is refused with the same text.
        Self::new(digits(s).unwrap_or(0))
    }
}

impl fmt::Display for TxQueueLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_sizes_are_powers_of_two_from_64_to_32768() {
        for good in [64, 128, 256, 32768] {
            assert_eq!(RingSize::new(good).unwrap().get(), u16::try_from(good).unwrap());
        }
        for bad in [0, 1, 8, 32, 63, 65, 300, 32769, 65536, 65537, u64::MAX] {
            assert!(RingSize::new(bad).is_err(), "{bad}");
        }
        assert!("-1".parse::<RingSize>().is_err());
    }

    #[test]
    fn memory_sizes_outside_16m_to_1t_are_refused() {
        for bad in ["", "1M", "2T", "x", "-1", "+16M", "16777216T", "G", "16777215"] {
            assert!(bad.parse::<MemorySize>().is_err(), "{bad}");
        }
        assert_eq!("1G".parse(), Ok(MemorySize(1 << 30)));
        assert_eq!("16777217".parse(), Ok(MemorySize((16 << 20) + 4096)));
    }
}
