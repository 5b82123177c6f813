//! What an interface is called: a name, and an Ethernet address.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::{Invalid, invalid};

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

/// A text that an interface is marked with: 1–63 bytes of printable ASCII without spaces, as VPP's
/// `tag[64]` holds and its command line reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Tag(String);

impl Tag {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Tag {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        if s.is_empty() || s.len() > 63 {
            return invalid("a tag has 1 to 63 characters");
        }
        if !s.bytes().all(|b| b.is_ascii_graphic()) {
            return invalid("a tag is made of printable ASCII characters without spaces");
        }
        Ok(Self(s.to_owned()))
    }
}

impl fmt::Display for Tag {
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_tag_is_one_printable_word_of_63_bytes_at_most() {
        for bad in ["", "a b", "a\n", "\u{1b}[31m", "é", &"x".repeat(64)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad:?}");
        }
        for good in ["blue", "uplink:1/2", &"x".repeat(63)] {
            assert_eq!(good.parse::<Tag>().unwrap().to_string(), good);
        }
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
