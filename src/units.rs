//! The numbers and names of this crate as types: parsed once, valid from then on. No I/O.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod prefix;
mod wire;

pub use prefix::{host_net, prefix, prefix4, prefix6, unicast};

/// Why a word is not a valid value: a sentence without the word itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

fn invalid<T>(why: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid(why.into()))
}

/// Reads a decimal number without a sign.
pub fn digits<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

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

/// A name of a network interface, ours or the host's: 1–15 bytes of `[A-Za-z0-9._-]`, not
/// starting with `-`, none of `.`, `..`, `all`, `default`.
///
/// The kernel would cut longer names, expand `%d` and take escape sequences (`dev_valid_name`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct IfName(String);

impl IfName {
    /// Checks `name`.
    ///
    /// # Errors
    /// When it breaks one of these rules; the text names the rule.
    pub fn new(name: &str) -> Result<Self, Invalid> {
        if name.is_empty() || name.len() > 15 {
            return invalid("an interface name has 1 to 15 characters");
        }
        if name.starts_with('-') {
            return invalid("an interface name does not start with `-'");
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
            return invalid("an interface name is made of letters, digits, `.', `_' and `-'");
        }
        if matches!(name, "." | ".." | "all" | "default") {
            return invalid("this name is reserved by the kernel");
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for IfName {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        Self::new(s)
    }
}

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A unicast Ethernet address that is not zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddr([u8; 6]);

impl MacAddr {
    /// Checks the six bytes.
    ///
    /// # Errors
    /// When it is zero or has the group bit set.
    pub fn new(bytes: [u8; 6]) -> Result<Self, Invalid> {
        if bytes == [0; 6] {
            return invalid("an interface MAC cannot be zero");
        }
        if bytes[0] & 1 != 0 {
            return invalid("an interface MAC cannot be a multicast address");
        }
        Ok(Self(bytes))
    }

    /// An address `fe:fe:…` for a port of a bridge, from 32 random bits: a bridge without a MAC of
    /// its own takes the lowest of its ports', and hardly any is higher than this.
    pub const fn bridge_port(random: u32) -> Self {
        let r = random.to_be_bytes();
        Self([0xfe, 0xfe, r[0], r[1], r[2], r[3]])
    }

    /// A locally administered address `02:fe:…` from 32 random bits, as VPP makes them.
    pub const fn local(random: u32) -> Self {
        let r = random.to_be_bytes();
        Self([0x02, 0xfe, r[0], r[1], r[2], r[3]])
    }

    /// The six bytes as on the wire.
    pub const fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl FromStr for MacAddr {
    type Err = Invalid;
    /// Reads `aa:bb:cc:dd:ee:ff`, `aa-bb-cc-dd-ee-ff` or VPP's `aabb.ccdd.eeff`.
    fn from_str(s: &str) -> Result<Self, Invalid> {
        let sep = if s.contains('.') {
            '.'
        } else if s.contains('-') {
            '-'
        } else {
            ':'
        };
        let (groups, digits) = if sep == '.' { (3, 4) } else { (6, 2) };
        let parts: Vec<&str> = s.split(sep).collect();
        let hex = |p: &str| p.len() == digits && p.bytes().all(|b| b.is_ascii_hexdigit());
        if parts.len() != groups || !parts.iter().copied().all(hex) {
            return invalid("not an Ethernet address (aa:bb:cc:dd:ee:ff)");
        }
        let all: String = parts.concat();
        let mut bytes = [0u8; 6];
        for (i, b) in bytes.iter_mut().enumerate() {
            *b = u8::from_str_radix(&all[2 * i..2 * i + 2], 16)
                .map_err(|e| Invalid(e.to_string()))?;
        }
        Self::new(bytes)
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddr {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
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

/// Whether frames carry an Ethernet header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Ethernet frames (`IFF_TAP`).
    Tap,
    /// IP packets (`IFF_TUN`).
    Tun,
}

impl Kind {
    /// `tap` or `tun`, as commands and names spell it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Tap => "tap",
            Self::Tun => "tun",
        }
    }

    /// Least bytes of a frame, the virtio header not counted: an Ethernet or an IPv4 header.
    pub const fn min_frame_bytes(self) -> u32 {
        match self {
            Self::Tap => 14,
            Self::Tun => 20,
        }
    }

    /// Most bytes of a frame, the virtio header not counted: 65535 of IP, and for a tap an
    /// Ethernet header with one VLAN tag.
    pub const fn max_frame_bytes(self) -> u32 {
        match self {
            Self::Tap => 65535 + 18,
            Self::Tun => 65535,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// The device that serves the rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendKind {
    /// The kernel's /dev/vhost-net.
    VhostNet,
    /// The device embedded in the poller.
    Userspace,
}

impl BackendKind {
    /// `vhost-net` or `userspace`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::VhostNet => "vhost-net",
            Self::Userspace => "userspace",
        }
    }
}

/// MTU of the host side: 68…65521 bytes (`MIN_MTU`, tun's maximum).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Mtu(u32);

impl Mtu {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// When it is outside 68…65521.
    pub fn new(bytes: u64) -> Result<Self, Invalid> {
        match u32::try_from(bytes) {
            Ok(n) if (68..=65521).contains(&n) => Ok(Self(n)),
            _ => invalid("not an MTU between 68 and 65521"),
        }
    }

    /// Bytes of an IP packet that fit.
    pub const fn get(self) -> u32 {
        self.0
    }
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

impl FromStr for Mtu {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        match digits(s) {
            Some(n) => Self::new(n),
            None => invalid("not an MTU between 68 and 65521"),
        }
    }
}

impl fmt::Display for Mtu {
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

    #[test]
    fn ids_end_at_8191() {
        assert!(InterfaceId::new(8191).is_ok());
        assert!(InterfaceId::new(8192).is_err());
        assert!("x".parse::<InterfaceId>().is_err());
    }

    #[test]
    fn names_that_the_kernel_would_bend_are_refused() {
        for bad in [
            "",
            "0123456789abcdef",
            "tap%d",
            "-rf",
            ".",
            "..",
            "all",
            "default",
            "a b",
            "a/b",
            "\u{1b}[31m",
        ] {
            assert!(IfName::new(bad).is_err(), "{bad:?}");
        }
        assert!(IfName::new("0123456789abcde").is_ok());
        assert!(IfName::new("a.b_c-1").is_ok());
    }

    #[test]
    fn mac_addresses_parse_in_three_spellings_and_refuse_group_and_zero() {
        let m: MacAddr = "02:fe:00:0a:0b:0c".parse().unwrap();
        assert_eq!(m, "02fe.000a.0b0c".parse().unwrap());
        assert_eq!(m, "02-fe-00-0a-0b-0c".parse().unwrap());
        assert_eq!(m.to_string(), "02:fe:00:0a:0b:0c");
        for bad in [
            "",
            "00:00:00:00:00:00",
            "01:00:5e:00:00:01",
            "2:fe:0:a:b:c",
            "02:fe:00:0a:0b",
            "é2:fe:00:0a:0b:0c",
        ] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }
}
