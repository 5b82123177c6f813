//! The way to the IP header: Ethernet and VLAN tags.

use etherparse::{EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice, ether_type};

use crate::units::Kind;

/// Offset of the IP header and its version, behind no, one or two VLAN tags. `None` when it is not
/// IP, or not the version that the link header says.
pub fn network_layer(kind: Kind, head: &[u8]) -> Option<(usize, u8)> {
    let (offset, announced) = match kind {
        Kind::Tun => (0, None),
        Kind::Tap => {
            let (offset, protocol) = ether_payload(head)?;
            let version = match protocol {
                ether_type::IPV4 => 4,
                ether_type::IPV6 => 6,
                _ => return None,
            };
            (offset, Some(version))
        }
    };
    let version = head.get(offset)? >> 4;
    (announced.is_none_or(|a| a == version)).then_some((offset, version))
}

/// Offset of what Ethernet and up to two VLAN tags precede, and its protocol.
pub(super) fn ether_payload(head: &[u8]) -> Option<(usize, EtherType)> {
    let ethernet = Ethernet2HeaderSlice::from_slice(head).ok()?;
    let mut offset = ethernet.slice().len();
    let mut protocol = ethernet.ether_type();
    for _ in 0..2 {
        if !matches!(
            protocol,
            ether_type::VLAN_TAGGED_FRAME
                | ether_type::PROVIDER_BRIDGING
                | ether_type::VLAN_DOUBLE_TAGGED_FRAME
        ) {
            break;
        }
        let tag = SingleVlanHeaderSlice::from_slice(head.get(offset..)?).ok()?;
        offset += tag.slice().len();
        protocol = tag.ether_type();
    }
    Some((offset, protocol))
}
