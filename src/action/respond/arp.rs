//! Answers to ARP requests ([RFC 826], [RFC 5227]).

use std::net::Ipv4Addr;

use etherparse::{
    ArpEthIpv4Packet, ArpHardwareId, ArpOperation, ArpPacketSlice, EtherType, ether_type,
};

use crate::action::FrameBytes;
use crate::units::MacAddr;

use super::link::{BROADCAST, Link, is_other_host, put};
use super::{Answer, Ignored, MALFORMED, Request, Responder, Unanswered};

/// Tells every host of the link that `address` is behind our MAC; gives its bytes.
pub(super) fn announce(
    ours: MacAddr,
    address: Ipv4Addr,
    room: &mut [u8],
) -> Result<usize, Unanswered> {
    let request = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: ours.bytes(),
        sender_ipv4: address.octets(),
        target_mac: [0; 6],
        target_ipv4: address.octets(),
    };
    let link = Link::Ethernet { ours, source: ours.bytes(), destination: BROADCAST };
    link.write(BROADCAST, ether_type::ARP, room)?;
    put(room, link.bytes(), &request.to_bytes())?;
    Ok(link.bytes() + ArpEthIpv4Packet::LEN)
}

/// Answers a request for one of our addresses; a probe, whose sender has no address yet, too.
pub(super) fn answer<F: FrameBytes + ?Sized>(
    us: &Responder,
    request: &Request<'_, F>,
    room: &mut [u8],
) -> Result<Answer, Unanswered> {
    let Link::Ethernet { ours, destination, .. } = request.link else { return Err(Ignored) };
    let arp = ArpPacketSlice::from_slice(request.packet_head()).map_err(|_| MALFORMED)?;
    let known = arp.hw_addr_type() == ArpHardwareId::ETHERNET
        && arp.proto_addr_type() == EtherType::IPV4
        && arp.operation() == ArpOperation::REQUEST;
    if !known || !(request.link.is_to_us_alone() || destination == BROADCAST) {
        return Err(Ignored);
    }
    // Sizes other than those of Ethernet and IPv4 contradict the types.
    let sender_mac: [u8; 6] = arp.sender_hw_addr().try_into().map_err(|_| MALFORMED)?;
    let sender: [u8; 4] = arp.sender_protocol_addr().try_into().map_err(|_| MALFORMED)?;
    let target: [u8; 4] = arp.target_protocol_addr().try_into().map_err(|_| MALFORMED)?;

    let probe = sender == [0; 4];
    // A sender that names itself as the target announces, and one with our address is a
    // conflict; neither asks.
    let asks = probe || us.is_other_host_v4(Ipv4Addr::from(sender));
    if !asks || !us.has_v4(Ipv4Addr::from(target)) || !is_other_host(ours, sender_mac) {
        return Err(Ignored);
    }
    let reply = ArpEthIpv4Packet {
        operation: ArpOperation::REPLY,
        sender_mac: ours.bytes(),
        sender_ipv4: target,
        target_mac: sender_mac,
        target_ipv4: sender,
    };
    request.link.write(sender_mac, ether_type::ARP, room)?;
    put(room, request.link.bytes(), &reply.to_bytes())?;
    Ok(Answer::Reply(request.link.bytes() + ArpEthIpv4Packet::LEN))
}
