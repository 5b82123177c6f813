//! The numbers and names of this crate as types: parsed once, valid from then on. No I/O.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod impairment;
mod list;
mod names;
mod numbers;
mod prefix;
mod rx_mode;
mod sizes;
mod vlan;
mod wire;

pub use impairment::{BitRate, Delay, Impairment, Share};
pub use list::NumberList;
pub use names::{IfName, MacAddr, Tag};
pub use numbers::{
    BridgeDomainId, InterfaceId, MACS_MAX, PollerCount, PollerIndex, QueueCount, QueueIndex,
    SwIfIndex,
};
pub use prefix::{host_net, prefix, prefix4, prefix6, unicast};
pub use rx_mode::RxMode;
pub use sizes::{MemorySize, Mtu, Mtus, RingSize, TxQueueLength};
pub use vlan::{Encapsulation, InnerTag, REWRITTEN_TAGS_MAX, TagRewrite, TagType, VlanId, VlanTag};

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

/// What the host leaves undone in the frames that it sends us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostOffload {
    /// Nothing: frames of its MTU with whole checksums.
    #[default]
    Off,
    /// Checksums.
    Csum,
    /// Checksums and segmentation: frames of 64 KiB.
    Gso,
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
