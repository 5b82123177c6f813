use proptest::prelude::*;

use super::Stack;
use super::stack::stacks;
use crate::frame::{HEAD_BYTES, NetHdr, check};
use crate::offload::{HEADERS_MAX, Segments};
use crate::units::Kind;

fn split(kind: Kind, hdr: &NetHdr, frame: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut segments = Segments::of(kind, hdr, frame)?;
    let (mut room, mut all) = ([0; HEADERS_MAX], Vec::new());
    let count = segments.remaining();
    while let Some(segment) = segments.next(&mut room) {
        assert!(segment.payload.len() <= usize::from(hdr.gso_size));
        all.push([segment.headers, segment.payload].concat());
    }
    assert_eq!((all.len(), segments.remaining()), (count, 0));
    Some(all)
}

/// The segments that a stack stands for, each built as a packet of its own.
fn expected(stack: &Stack, size: usize) -> Vec<Vec<u8>> {
    let count = stack.payload.len().div_ceil(size).max(1);
    let one = |at: usize| {
        let from = at * size;
        let mut segment = stack.clone();
        segment.payload = stack.payload[from..stack.payload.len().min(from + size)].to_vec();
        segment.id = stack.id.wrapping_add(u16::try_from(at).unwrap());
        segment.sequence = stack.sequence.wrapping_add(u32::try_from(from).unwrap());
        if at + 1 < count {
            // FIN and PSH.
            segment.flags &= !0x09;
        }
        if at > 0 {
            // CWR.
            segment.flags &= !0x80;
        }
        segment.build(false)
    };
    (0..count).map(one).collect()
}

proptest! {
    #[test]
    fn the_segments_are_the_packets_that_the_frame_stands_for_and_carry_its_payload_in_order(
        stack in stacks(false, 0..9000), size in 1..3000_u16
    ) {
        let frame = stack.build(true);
        let segments = split(stack.kind(), &stack.hdr(Some(size)), &frame).unwrap();
        for segment in &segments {
            stack.assert_whole(segment);
        }
        let payload: Vec<u8> =
            segments.iter().flat_map(|segment| &segment[stack.payload_at()..]).copied().collect();
        prop_assert_eq!(&payload, &stack.payload);
        prop_assert_eq!(segments, expected(&stack, size.into()));
    }

    #[test]
    fn a_verified_tcp_frame_without_partial_checksum_is_split_as_well(
        mut stack in stacks(false, 1..5000), size in 8..2000_u16, ecn in any::<bool>()
    ) {
        stack.tcp = true;
        let mut hdr = NetHdr { flags: NetHdr::DATA_VALID, ..stack.hdr(Some(size)) };
        hdr.gso_type |= if ecn { NetHdr::GSO_ECN } else { 0 };
        let segments = split(stack.kind(), &hdr, &stack.build(false)).unwrap();
        prop_assert_eq!(segments, expected(&stack, size.into()));
    }

    #[test]
    fn padding_behind_the_packet_is_in_no_segment(
        stack in stacks(false, 0..200), size in 1..200_u16, padding in prop::collection::vec(any::<u8>(), 1..60)
    ) {
        let frame = [stack.build(true), padding].concat();
        let segments = split(stack.kind(), &stack.hdr(Some(size)), &frame).unwrap();
        prop_assert_eq!(segments, expected(&stack, size.into()));
    }

    #[test]
    fn what_the_check_lets_pass_and_is_split_passes_the_check_as_segments(
        stack in stacks(false, 0..3000), size in 1..2000_u16, at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut frame = stack.build(true);
        let at = at.index(frame.len().min(100));
        frame[at] = byte;
        let (kind, hdr) = (stack.kind(), stack.hdr(Some(size)));
        let passes = |hdr: &NetHdr, frame: &[u8]| {
            let head = &frame[..frame.len().min(HEAD_BYTES)];
            check(kind, hdr, u32::try_from(frame.len()).unwrap(), head).is_ok()
        };
        if passes(&hdr, &frame) && let Some(segments) = split(kind, &hdr, &frame) {
            for segment in segments {
                prop_assert!(passes(&NetHdr::plain(), &segment));
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_split_or_refused_and_never_a_panic(
        raw in any::<[u8; NetHdr::BYTES]>(), frame in prop::collection::vec(any::<u8>(), 0..300), tun in any::<bool>()
    ) {
        let kind = if tun { Kind::Tun } else { Kind::Tap };
        let _ = split(kind, &NetHdr::from_bytes(&raw), &frame);
    }
}

fn plain(v6: bool, tcp: bool) -> Stack {
    Stack {
        tun: false,
        tags: Vec::new(),
        v6,
        tcp,
        options: Vec::new(),
        extensions: Vec::new(),
        tcp_options: Vec::new(),
        hops: 64,
        addresses: [0x0a; 32],
        ports: [1, 2, 3, 4],
        id: 0xffff,
        sequence: u32::MAX,
        ack: 7,
        flags: 0xff,
        payload: vec![7; 250],
    }
}

#[test]
fn sequence_numbers_and_ids_wrap_and_flags_go_where_they_belong() {
    let stack = plain(false, true);
    let segments = split(Kind::Tap, &stack.hdr(Some(100)), &stack.build(true)).unwrap();
    let field = |segment: &[u8]| {
        let id = u16::from_be_bytes([segment[18], segment[19]]);
        (id, u32::from_be_bytes(*segment[38..].first_chunk().unwrap()), segment[47])
    };
    let fields: Vec<_> = segments.iter().map(|segment| field(segment)).collect();
    // CWR, ECE, URG, ACK, PSH, RST, SYN, FIN from the highest bit.
    let wanted = [(0xffff, u32::MAX, 0xf6), (0, 99, 0x76), (1, 199, 0x7f)];
    assert_eq!(fields, wanted);
}

#[test]
fn with_a_routing_header_the_pseudo_header_keeps_the_address_that_it_was_about() {
    let mut stack = plain(true, true);
    stack.extensions = vec![(43, 2)];
    let mut frame = stack.build(true);
    // On its way: the IP header's destination is the next hop, the last one is in the header.
    let (network, last) = (stack.network(), [0xbb; 16]);
    frame[network + 24..network + 40].copy_from_slice(&last);
    let segments = split(Kind::Tap, &stack.hdr(Some(100)), &frame).unwrap();
    for mut segment in segments {
        assert_eq!(segment[network + 24..network + 40], last);
        segment[network + 24..network + 40].copy_from_slice(&stack.addresses[16..]);
        stack.assert_whole(&segment);
    }
}

#[test]
fn what_cannot_be_split_is_refused() {
    let stack = plain(false, true);
    let (frame, hdr) = (stack.build(true), stack.hdr(Some(100)));
    let of = |hdr: NetHdr, frame: &[u8]| Segments::of(Kind::Tap, &hdr, frame).is_some();
    assert!(of(hdr, &frame));
    for (what, hdr) in [
        ("no GSO", NetHdr { gso_type: NetHdr::GSO_NONE, ..hdr }),
        ("UFO", NetHdr { gso_type: NetHdr::GSO_UDP, ..hdr }),
        ("another version", NetHdr { gso_type: NetHdr::GSO_TCPV6, ..hdr }),
        ("another protocol", NetHdr { gso_type: NetHdr::GSO_UDP_L4, ..hdr }),
        ("no size", NetHdr { gso_size: 0, ..hdr }),
        ("checksum elsewhere", NetHdr { csum_start: hdr.csum_start + 4, ..hdr }),
    ] {
        assert!(!of(hdr, &frame), "{what}");
    }
    let changed = |at: usize, byte: u8| {
        let mut frame = frame.clone();
        frame[at] = byte;
        frame
    };
    for (what, frame) in [
        ("fragment", changed(20, 0x20)),
        ("packet longer than the frame", changed(16, 0xff)),
        ("packet shorter than its headers", changed(16, 0)),
        ("TCP header shorter than 20 bytes", changed(46, 0x40)),
        ("TCP header longer than the frame", frame[..60].to_vec()),
    ] {
        let what = format!("{what}: {:?}", &frame[..54]);
        assert!(!of(hdr, &frame), "{what}");
    }
    let mut long = plain(true, true);
    long.extensions = vec![(60, 31), (60, 31)];
    assert!(!of(long.hdr(Some(100)), &long.build(true)), "headers of 600 bytes");
}
