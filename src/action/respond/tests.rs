use std::net::Ipv6Addr;

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, Icmpv4Type, Icmpv6Type, LinkSlice, NetSlice, PacketBuilder,
    SlicedPacket, TransportSlice,
};

use super::*;
use crate::action::Reply;

mod echo;
mod hostile;
mod refusals;
mod resolution;

const OURS: [u8; 6] = [0x02, 0xfe, 0, 0, 0, 1];
const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 9];
const V4: [u8; 4] = [10, 0, 0, 2];
const PEER_V4: [u8; 4] = [10, 0, 0, 1];
const PEER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0x12, 0x3456);

fn us() -> Responder {
    let addresses = ["10.0.0.2/24", "fd00::12:3456/64"].map(|net| net.parse().unwrap());
    Responder::new(Some(MacAddr::new(OURS).unwrap()), addresses.to_vec())
}

fn visit_with(kind: Kind, hdr: &NetHdr, frame: &[u8]) -> (Verdict, Reply) {
    let mut reply = Reply::new();
    let mut context = Context { kind, hdr, now_ns: 0, reply: &mut reply };
    let verdict = us().visit(&mut context, frame);
    assert_eq!(reply.is_empty(), verdict != Verdict::Reply);
    (verdict, reply)
}

fn visit(frame: &[u8]) -> Verdict {
    visit_with(Kind::Tap, &NetHdr::plain(), frame).0
}

/// The reply to `frame`, which must be one that needs no offload and is itself not answered.
fn reply_to(kind: Kind, hdr: &NetHdr, frame: &[u8]) -> Vec<u8> {
    let (verdict, reply) = visit_with(kind, hdr, frame);
    assert_eq!(verdict, Verdict::Reply);
    assert_eq!(reply.bytes()[..NetHdr::BYTES], NetHdr::plain().to_bytes());
    let bytes = reply.frame().to_vec();
    assert_ne!(visit_with(kind, &NetHdr::plain(), &bytes).0, Verdict::Reply);
    let head = &bytes[..bytes.len().min(crate::frame::HEAD_BYTES)];
    let len = u32::try_from(bytes.len()).unwrap();
    assert_eq!(crate::frame::check(kind, &NetHdr::plain(), len, head), Ok(()));
    bytes
}

fn macs(frame: &[u8]) -> ([u8; 6], [u8; 6]) {
    match SlicedPacket::from_ethernet(frame).unwrap().link {
        Some(LinkSlice::Ethernet2(link)) => (link.source(), link.destination()),
        other => panic!("{other:?}"),
    }
}

fn echo_v4(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER, OURS)
        .ipv4(PEER_V4, V4, 7)
        .icmpv4_echo_request(0x1234, 0x5678)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn echo_v6(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER, OURS)
        .ipv6(PEER_V6.octets(), V6.octets(), 7)
        .icmpv6_echo_request(0x1234, 0x5678)
        .write(&mut frame, payload)
        .unwrap();
    frame
}

fn arp(operation: ArpOperation, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let packet = ArpEthIpv4Packet {
        operation,
        sender_mac: PEER,
        sender_ipv4: sender,
        target_mac: [0; 6],
        target_ipv4: target,
    };
    [&[0xff; 6][..], &PEER, &[0x08, 0x06], &packet.to_bytes()].concat()
}

const GROUP_MAC: [u8; 6] = [0x33, 0x33, 0xff, 0x12, 0x34, 0x56];

/// A solicitation to the group of `V6`, with its checksum.
fn solicitation(source: Ipv6Addr, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER, GROUP_MAC)
        .ipv6(source.octets(), ipv6::solicited_node(V6).octets(), 255)
        .icmpv6(Icmpv6Type::NeighborSolicitation)
        .write(&mut frame, &[&target.octets(), options].concat())
        .unwrap();
    frame
}

const SENDER_OPTION: [u8; 8] = [1, 1, PEER[0], PEER[1], PEER[2], PEER[3], PEER[4], PEER[5]];
