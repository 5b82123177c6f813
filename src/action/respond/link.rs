//! The link header of requests and replies: Ethernet on a tap, nothing on a tun.

use etherparse::{EtherType, Ethernet2Header, Ethernet2HeaderSlice, ether_type};

use crate::counters::DropReason;
use crate::units::{Kind, MacAddr};

use super::{Ignored, Lost, MALFORMED, Station, Unanswered};

/// Bytes of an Ethernet header.
const ETHERNET_BYTES: usize = Ethernet2Header::LEN;

pub(super) const BROADCAST: [u8; 6] = [0xff; 6];

/// The link addresses of a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Link {
    Ethernet {
        ours: MacAddr,
        source: [u8; 6],
        /// One of our own, unless it is a group's.
        destination: [u8; 6],
    },
    /// There are only the two ends.
    Direct,
}

/// What follows the link header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Arp,
    Ipv4,
    Ipv6,
}

/// Reads the link header, and returns it with the offset and the protocol of what follows.
pub(super) fn parse(
    kind: Kind,
    station: &Station,
    head: &[u8],
) -> Result<(Link, usize, Protocol), Unanswered> {
    match kind {
        Kind::Tun => match head.first().map(|b| b >> 4) {
            Some(4) => Ok((Link::Direct, 0, Protocol::Ipv4)),
            Some(6) => Ok((Link::Direct, 0, Protocol::Ipv6)),
            Some(_) => Err(Lost(DropReason::BadVersion)),
            None => Err(Lost(DropReason::ShortFrame)),
        },
        Kind::Tap => {
            let header =
                Ethernet2HeaderSlice::from_slice(head).map_err(|_| Lost(DropReason::ShortFrame))?;
            let ours = station.mac.ok_or(Ignored)?;
            let (source, destination) = (header.source(), header.destination());
            if !is_other_host(ours, source) {
                return Err(Ignored);
            }
            if !is_group(destination) && !station.takes(destination) {
                return Err(Lost(DropReason::L3MacMismatch));
            }
            let (ether_type, tag_bytes) = match header.ether_type() {
                ether_type::VLAN_TAGGED_FRAME => untagged(head)?,
                ether_type::PROVIDER_BRIDGING => return Err(Lost(DropReason::VlanTagged)),
                other => (other, 0),
            };
            let protocol = match ether_type {
                ether_type::ARP => Protocol::Arp,
                ether_type::IPV4 => Protocol::Ipv4,
                ether_type::IPV6 => Protocol::Ipv6,
                // Behind a tag with id 0.
                ether_type::VLAN_TAGGED_FRAME | ether_type::PROVIDER_BRIDGING => {
                    return Err(Lost(DropReason::VlanTagged));
                }
                _ if is_group(destination) => return Err(Ignored),
                _ => return Err(Lost(DropReason::UnknownProtocol)),
            };
            let network = ETHERNET_BYTES + tag_bytes;
            Ok((Link::Ethernet { ours, source, destination }, network, protocol))
        }
    }
}

/// What a tag with VLAN id 0 precedes, and the bytes of the tag.
fn untagged(head: &[u8]) -> Result<(EtherType, usize), Unanswered> {
    const TAG_BYTES: usize = 4;
    let tag = head.get(ETHERNET_BYTES..ETHERNET_BYTES + TAG_BYTES).ok_or(MALFORMED)?;
    let id = u16::from_be_bytes([tag[0], tag[1]]) & 0x0fff;
    if id != 0 {
        return Err(Lost(DropReason::VlanTagged));
    }
    Ok((EtherType(u16::from_be_bytes([tag[2], tag[3]])), TAG_BYTES))
}

/// Whether a frame may be sent to `mac`: it is neither a group address, nor zero, nor our own.
pub(super) fn is_other_host(ours: MacAddr, mac: [u8; 6]) -> bool {
    MacAddr::new(mac).is_ok_and(|mac| mac != ours)
}

pub(super) const fn is_group(mac: [u8; 6]) -> bool {
    mac[0] & 1 != 0
}

impl Link {
    /// Whether the request was sent to us alone.
    pub(super) fn is_to_us_alone(&self) -> bool {
        match self {
            Self::Direct => true,
            Self::Ethernet { destination, .. } => !is_group(*destination),
        }
    }

    /// Bytes of the header of a reply.
    pub(super) const fn bytes(&self) -> usize {
        match self {
            Self::Direct => 0,
            Self::Ethernet { .. } => ETHERNET_BYTES,
        }
    }

    /// Writes the header of a reply to the sender of the request.
    pub(super) fn write_back(
        &self,
        ether_type: EtherType,
        room: &mut [u8],
    ) -> Result<(), Unanswered> {
        match self {
            Self::Direct => Ok(()),
            Self::Ethernet { source, .. } => self.write(*source, ether_type, room),
        }
    }

    /// Writes the header of a reply to `destination`.
    pub(super) fn write(
        &self,
        destination: [u8; 6],
        ether_type: EtherType,
        room: &mut [u8],
    ) -> Result<(), Unanswered> {
        if let Self::Ethernet { ours, .. } = self {
            let header = Ethernet2Header { source: ours.bytes(), destination, ether_type };
            put(room, 0, &header.to_bytes())?;
        }
        Ok(())
    }
}

/// Writes `bytes` at `offset` of `room`, which is made to hold the longest reply.
pub(super) fn put(room: &mut [u8], offset: usize, bytes: &[u8]) -> Result<(), Unanswered> {
    let place = room.get_mut(offset..offset + bytes.len()).ok_or(Lost(DropReason::Oversize))?;
    place.copy_from_slice(bytes);
    Ok(())
}
