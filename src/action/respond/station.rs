//! Which Ethernet frames an interface with addresses takes.

use crate::units::MacAddr;

/// The MACs of an interface, and whether it takes frames for others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Station {
    /// The one that replies come from; none on a tun.
    pub mac: Option<MacAddr>,
    /// Others whose frames are taken.
    pub secondary: Vec<MacAddr>,
    /// Frames for every MAC are taken.
    pub promiscuous: bool,
}

impl Station {
    /// One with this MAC alone.
    pub const fn new(mac: Option<MacAddr>) -> Self {
        Self { mac, secondary: Vec::new(), promiscuous: false }
    }

    /// Whether it takes unicast frames for `mac`.
    pub(super) fn takes(&self, mac: [u8; 6]) -> bool {
        self.promiscuous || self.mac.iter().chain(&self.secondary).any(|ours| ours.bytes() == mac)
    }
}
