//! Answers to neighbour solicitations ([RFC 4861] §7.2).

use std::net::Ipv6Addr;

use etherparse::icmpv6::{NdpOptionSlice, NdpOptionType, NeighborSolicitationPayloadSlice};
use etherparse::{Ipv6FlowLabel, Ipv6Header, Ipv6HeaderSlice, ether_type, icmpv6, ip_number};

use crate::units::MacAddr;

use super::icmpv6::{solicited_node, write_checksum};
use super::link::{Link, is_other_host, put};
use super::{Answer, Ignored, MALFORMED, Responder, Unanswered};

/// What neighbour discovery is sent with, so that a packet from off the link is recognised.
const HOPS_NEIGHBOR: u8 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
/// In an advertisement: it answers a solicitation of its receiver.
const SOLICITED: u8 = 0x40;
/// In an advertisement: it replaces what its receiver knew.
const OVERRIDE: u8 = 0x20;
/// Bytes before the target.
const FIXED_BYTES: usize = 8;
/// Bytes of our advertisement: the fixed part, the target, one link-layer address option.
const MESSAGE_BYTES: usize = FIXED_BYTES + 16 + 8;

/// Answers a solicitation for one of our addresses. Its message lies in `room` behind the place
/// of a link and an IPv6 header, `message_bytes` long, its checksum verified.
pub(super) fn answer(
    us: &Responder,
    link: Link,
    header: &Ipv6HeaderSlice<'_>,
    message_bytes: usize,
    room: &mut [u8],
) -> Result<Answer, Unanswered> {
    let Link::Ethernet { ours, source: sender, .. } = link else { return Err(Ignored) };
    let network = link.bytes();
    let start = network + Ipv6Header::LEN;
    let message = room.get(start..start + message_bytes).ok_or(MALFORMED)?;
    let (source, destination) = (header.source_addr(), header.destination_addr());
    let (target, sender_option) = parse(header, message)?;
    if !us.has_v6(target) {
        return Err(Ignored);
    }
    // A sender without an address asks whether this one is in use; the answer goes to all (§7.2.4).
    let (to, to_mac, flags) = if source.is_unspecified() {
        if destination != solicited_node(target) || sender_option.is_some() {
            return Err(MALFORMED);
        }
        (ALL_NODES, ALL_NODES_MAC, OVERRIDE)
    } else {
        let mac = sender_option.unwrap_or(sender);
        if !us.is_other_host_v6(source) || !is_other_host(ours, mac) {
            return Err(Ignored);
        }
        (source, mac, SOLICITED | OVERRIDE)
    };

    advertise(link, ours, target, (to, to_mac, flags), room).map(Answer::Reply)
}

/// Tells every host of the link that `address` is behind our MAC; gives its bytes.
pub(super) fn announce(
    ours: MacAddr,
    address: Ipv6Addr,
    room: &mut [u8],
) -> Result<usize, Unanswered> {
    let link = Link::Ethernet { ours, source: ours.bytes(), destination: ALL_NODES_MAC };
    advertise(link, ours, address, (ALL_NODES, ALL_NODES_MAC, OVERRIDE), room)
}

/// Writes an advertisement of `target` and gives its bytes.
fn advertise(
    link: Link,
    ours: MacAddr,
    target: Ipv6Addr,
    (to, to_mac, flags): (Ipv6Addr, [u8; 6], u8),
    room: &mut [u8],
) -> Result<usize, Unanswered> {
    let network = link.bytes();
    let start = network + Ipv6Header::LEN;
    let mut reply = [0; MESSAGE_BYTES];
    reply[0] = icmpv6::TYPE_NEIGHBOR_ADVERTISEMENT;
    reply[4] = flags;
    reply[8..24].copy_from_slice(&target.octets());
    reply[24] = NdpOptionType::TARGET_LINK_LAYER_ADDRESS.0;
    // In units of 8 bytes.
    reply[25] = 1;
    reply[26..32].copy_from_slice(&ours.bytes());
    write_checksum(target, to, &mut reply)?;
    let ip = Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: u16::try_from(MESSAGE_BYTES).map_err(|_| MALFORMED)?,
        next_header: ip_number::IPV6_ICMP,
        hop_limit: HOPS_NEIGHBOR,
        source: target.octets(),
        destination: to.octets(),
    };
    link.write(to_mac, ether_type::IPV6, room)?;
    put(room, network, &ip.to_bytes())?;
    put(room, start, &reply)?;
    Ok(start + MESSAGE_BYTES)
}

/// The target and the sender's link-layer address, after the checks of §7.1.1.
fn parse(
    header: &Ipv6HeaderSlice<'_>,
    message: &[u8],
) -> Result<(Ipv6Addr, Option<[u8; 6]>), Unanswered> {
    if header.hop_limit() != HOPS_NEIGHBOR || message.get(1) != Some(&0) {
        return Err(MALFORMED);
    }
    let payload = message.get(FIXED_BYTES..).ok_or(MALFORMED)?;
    let payload = NeighborSolicitationPayloadSlice::from_slice(payload).map_err(|_| MALFORMED)?;
    let target = payload.target_address();
    if target.is_multicast() {
        return Err(MALFORMED);
    }
    let mut sender = None;
    for option in payload.options_iterator() {
        if let NdpOptionSlice::SourceLinkLayerAddress(option) = option.map_err(|_| MALFORMED)? {
            let mac = option.link_layer_address().try_into().map_err(|_| MALFORMED)?;
            sender = Some(mac);
        }
    }
    Ok((target, sender))
}
