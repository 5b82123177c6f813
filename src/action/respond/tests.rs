use std::net::Ipv6Addr;

use etherparse::{
    ArpEthIpv4Packet, ArpOperation, Icmpv4Type, Icmpv6Type, LinkSlice, NetSlice, PacketBuilder,
    SlicedPacket, TransportSlice,
};

use super::*;
use crate::action::{Action, HeldKey, Output, PeerKey, Tables};
use crate::units::MacAddr;

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
    Responder::new(Station::new(MacAddr::new(OURS).ok()), addresses.to_vec())
}

const OWN: PeerKey = PeerKey { slot: 4, generation: 2 };

/// What became of a frame, and the frame that answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Answered(Vec<u8>),
    Consumed,
    Lost(DropReason),
}

fn fate_of<F: FrameBytes + ?Sized>(
    us: &mut Responder,
    kind: Kind,
    now_ns: u64,
    hdr: &NetHdr,
    frame: &F,
) -> Fate {
    let (mut tables, mut output) = (Tables::default(), Output::new());
    let (tables, next_held) = (&mut tables, HeldKey(0));
    let mut context = Context { own: OWN, kind, now_ns, next_held, tables, output: &mut output };
    let verdict = us.visit(&mut context, hdr, frame);
    match (verdict, output.originated(0)) {
        (Verdict::Consume, Some(answer)) => {
            assert_eq!((answer.to, output.originated_frames()), (OWN, 1));
            assert_eq!(answer.bytes[..NetHdr::BYTES], NetHdr::plain().to_bytes());
            Fate::Answered(answer.frame().to_vec())
        }
        (Verdict::Consume, None) => Fate::Consumed,
        (Verdict::Drop(reason), None) => Fate::Lost(reason),
        other => panic!("{other:?}"),
    }
}

fn visit_with(kind: Kind, hdr: &NetHdr, frame: &[u8]) -> Fate {
    fate_of(&mut us(), kind, 0, hdr, frame)
}

fn answered(fate: &Fate) -> bool {
    matches!(fate, Fate::Answered(_))
}

fn visit(frame: &[u8]) -> Fate {
    visit_with(Kind::Tap, &NetHdr::plain(), frame)
}

/// The reply to `frame`, which must be one that needs no offload and is itself not answered.
fn reply_to(kind: Kind, hdr: &NetHdr, frame: &[u8]) -> Vec<u8> {
    let Fate::Answered(bytes) = visit_with(kind, hdr, frame) else { panic!("no answer") };
    assert!(!answered(&visit_with(kind, &NetHdr::plain(), &bytes)));
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
        .ipv6(source.octets(), icmpv6::solicited_node(V6).octets(), 255)
        .icmpv6(Icmpv6Type::NeighborSolicitation)
        .write(&mut frame, &[&target.octets(), options].concat())
        .unwrap();
    frame
}

const SENDER_OPTION: [u8; 8] = [1, 1, PEER[0], PEER[1], PEER[2], PEER[3], PEER[4], PEER[5]];
