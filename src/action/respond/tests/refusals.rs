use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::icmpv6::{DestUnreachableCode, ParameterProblemCode};

use super::echo::set_v4;
use super::*;

fn udp_v4(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(PEER, OURS).ipv4(PEER_V4, V4, 1).udp(40_000, 33_434);
    packet.write(&mut frame, payload).unwrap();
    frame
}

fn udp_v6(payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(PEER, OURS)
        .ipv6(PEER_V6.octets(), V6.octets(), 1)
        .udp(40_000, 33_434);
    packet.write(&mut frame, payload).unwrap();
    frame
}

/// The reply, its addresses and IPv4 header checksum verified, and the payload of its ICMP message.
fn icmp(frame: &[u8]) -> (Result<Icmpv4Type, Icmpv6Type>, Vec<u8>) {
    let reply = reply_to(Kind::Tap, &NetHdr::plain(), frame);
    assert_eq!(reply_to(Kind::Tun, &NetHdr::plain(), &frame[14..]), reply[14..]);
    assert_eq!(macs(&reply), (OURS, PEER));
    let parsed = SlicedPacket::from_ethernet(&reply).unwrap();
    match (parsed.net, parsed.transport) {
        (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Icmpv4(icmp))) => {
            let header = ip.header().to_header();
            assert_eq!((header.source, header.destination), (V4, PEER_V4));
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!((header.time_to_live, header.dscp.value()), (64, 48));
            assert!(header.total_len <= 576);
            assert_eq!(icmp.checksum(), icmp.icmp_type().calc_checksum(icmp.payload()));
            (Ok(icmp.icmp_type()), icmp.payload().to_vec())
        }
        (Some(NetSlice::Ipv6(ip)), Some(TransportSlice::Icmpv6(icmp))) => {
            let header = ip.header();
            assert_eq!((header.source_addr(), header.destination_addr()), (V6, PEER_V6));
            assert!(reply.len() <= 14 + 1280);
            assert!(icmp.is_checksum_valid(V6.octets(), PEER_V6.octets()));
            (Err(icmp.icmp_type()), icmp.payload().to_vec())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_datagram_for_us_gets_port_unreachable_that_quotes_it_as_far_as_its_rfc_allows() {
    for bytes in [0, 1, 12, 500, 1472] {
        let payload: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        let frame = udp_v4(&payload);
        let (kind, quoted) = icmp(&frame);
        assert_eq!(kind, Ok(Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Port)));
        assert_eq!(quoted, frame[14..frame.len().min(14 + 548)]);
        let frame = udp_v6(&payload);
        let (kind, quoted) = icmp(&frame);
        assert_eq!(kind, Err(Icmpv6Type::DestinationUnreachable(DestUnreachableCode::Port)));
        assert_eq!(quoted, frame[14..frame.len().min(14 + 1232)]);
    }
}

#[test]
fn a_datagram_with_a_wrong_checksum_or_length_gets_no_answer() {
    let malformed = Fate::Lost(DropReason::Malformed);
    for frame in [udp_v4(b"payload"), udp_v6(b"payload")] {
        let mut wrong = frame.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(visit(&wrong), malformed);
        let udp = frame.len() - 15;
        for length in [7, 14, 16] {
            let mut wrong = frame.clone();
            wrong[udp + 5] = length;
            assert_eq!(visit(&wrong), malformed, "length {length}");
        }
        // The kernel leaves the checksum to the hardware.
        let start = u16::try_from(udp).unwrap();
        let flags = NetHdr::NEEDS_CSUM;
        let hdr = NetHdr { flags, csum_start: start, csum_offset: 6, ..NetHdr::plain() };
        let mut partial = frame.clone();
        partial[udp + 6] ^= 1;
        assert!(answered(&visit_with(Kind::Tap, &hdr, &partial)));
    }
    // What follows it in the packet is no part of it.
    let mut padded = udp_v4(b"payload");
    padded.extend([1, 2, 3]);
    let bytes = u16::try_from(padded.len() - 14).unwrap();
    set_v4(&mut padded, 16, &bytes.to_be_bytes());
    assert!(answered(&visit(&padded)));
    // Over IPv4 it may have none.
    let mut none = udp_v4(b"payload");
    none[40..42].fill(0);
    assert!(answered(&visit(&none)));
}

fn tcp(v6: bool, flags: impl Fn(&mut etherparse::TcpHeader), payload: &[u8]) -> Vec<u8> {
    let mut header = etherparse::TcpHeader::new(40_000, 80, 0xffff_fffe, 1_000);
    header.acknowledgment_number = 77;
    flags(&mut header);
    let mut frame = Vec::new();
    let packet = PacketBuilder::ethernet2(PEER, OURS);
    if v6 {
        let packet = packet.ipv6(PEER_V6.octets(), V6.octets(), 9);
        packet.tcp_header(header).write(&mut frame, payload).unwrap();
    } else {
        let packet = packet.ipv4(PEER_V4, V4, 9);
        packet.tcp_header(header).write(&mut frame, payload).unwrap();
    }
    frame
}

#[test]
fn a_segment_for_us_is_reset_as_rfc_9293_says_and_a_reset_is_not() {
    for v6 in [false, true] {
        let reset = |frame: &[u8]| {
            let reply = reply_to(Kind::Tap, &NetHdr::plain(), frame);
            assert_eq!(macs(&reply), (OURS, PEER));
            let parsed = SlicedPacket::from_ethernet(&reply).unwrap();
            let Some(TransportSlice::Tcp(tcp)) = parsed.transport else { panic!("{parsed:?}") };
            let header = tcp.to_header();
            assert_eq!((header.source_port, header.destination_port), (80, 40_000));
            assert!(header.rst && !header.syn && !header.fin && tcp.payload().is_empty());
            let sum = match parsed.net {
                Some(NetSlice::Ipv4(ip)) => {
                    header.calc_checksum_ipv4(&ip.header().to_header(), &[])
                }
                Some(NetSlice::Ipv6(ip)) => {
                    header.calc_checksum_ipv6(&ip.header().to_header(), &[])
                }
                _ => panic!("no IP"),
            };
            assert_eq!(header.checksum, sum.unwrap());
            (header.ack, header.sequence_number, header.acknowledgment_number)
        };
        // A segment without an acknowledgement is acknowledged: SYN counts one, around the end.
        assert_eq!(reset(&tcp(v6, |h| h.syn = true, b"")), (true, 0, 0xffff_ffff));
        assert_eq!(reset(&tcp(v6, |h| h.fin = true, b"abc")), (true, 0, 2));
        // Where it acknowledges, the reset is where it expects one.
        assert_eq!(reset(&tcp(v6, |h| h.ack = true, b"abc")), (false, 77, 0));
        assert_eq!(visit(&tcp(v6, |h| h.rst = true, b"")), Fate::Consumed);
        let mut wrong = tcp(v6, |h| h.syn = true, b"");
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(visit(&wrong), Fate::Lost(DropReason::Malformed));
    }
}

#[test]
fn another_protocol_for_us_is_unreachable_over_ipv4_and_a_parameter_problem_over_ipv6() {
    let mut frame = echo_v4(b"x");
    set_v4(&mut frame, 23, &[132]);
    let (kind, quoted) = icmp(&frame);
    assert_eq!(kind, Ok(Icmpv4Type::DestinationUnreachable(DestUnreachableHeader::Protocol)));
    assert_eq!(quoted, frame[14..]);
    let pointer = |frame: &[u8]| {
        let (kind, quoted) = icmp(frame);
        let Err(Icmpv6Type::ParameterProblem(problem)) = kind else { panic!("{kind:?}") };
        assert_eq!(problem.code, ParameterProblemCode::UnrecognizedNextHeader);
        assert_eq!(quoted, frame[14..]);
        problem.pointer
    };
    let mut frame = echo_v6(b"x");
    frame[20] = 132;
    assert_eq!(pointer(&frame), 6);
    // The header that names it is the second of two.
    frame.splice(54..54, [60, 0, 1, 4, 0, 0, 0, 0, 132, 0, 1, 4, 0, 0, 0, 0]);
    (frame[19], frame[20]) = (frame[19] + 16, 0);
    assert_eq!(pointer(&frame), 48);
    // No next header: nothing is asked.
    let mut frame = echo_v6(b"x");
    frame[20] = 59;
    assert_eq!(visit(&frame), Fate::Consumed);
}

#[test]
fn refusals_beyond_100_in_a_second_are_lost_with_their_reason_and_echo_replies_are_not_limited() {
    let mut us = us();
    let mut at =
        |now_ns, frame: &[u8]| fate_of(&mut us, Kind::Tap, now_ns, &NetHdr::plain(), frame);
    let (udp, echo) = (udp_v4(b""), echo_v6(b""));
    for n in 0..200 {
        let fate = at(7, &udp);
        if n < 100 {
            assert!(answered(&fate), "{n}: {fate:?}");
        } else {
            assert_eq!(fate, Fate::Lost(DropReason::RateLimited), "{n}");
        }
        assert!(answered(&at(7, &echo)));
    }
    assert!(answered(&at(20_000_007, &udp)));
}
