use super::*;

/// Fields of an IPv4 echo reply, its checksums verified.
fn parse_v4(packet: &[u8], payload: &[u8]) {
    let parsed = SlicedPacket::from_ip(packet).unwrap();
    let Some(NetSlice::Ipv4(ip)) = parsed.net else { panic!("not IPv4") };
    let header = ip.header().to_header();
    assert_eq!((header.source, header.destination), (V4, PEER_V4));
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!((header.time_to_live, header.options.len()), (64, 0));
    assert!(!header.is_fragmenting_payload());
    assert_eq!(usize::from(header.total_len), packet.len());
    let Some(TransportSlice::Icmpv4(icmp)) = parsed.transport else { panic!("not ICMP") };
    let Icmpv4Type::EchoReply(echo) = icmp.icmp_type() else { panic!("{:?}", icmp.icmp_type()) };
    assert_eq!((echo.id, echo.seq), (0x1234, 0x5678));
    assert_eq!(icmp.payload(), payload);
    assert_eq!(icmp.checksum(), icmp.icmp_type().calc_checksum(payload));
}

fn parse_v6(packet: &[u8], payload: &[u8]) {
    let parsed = SlicedPacket::from_ip(packet).unwrap();
    let Some(NetSlice::Ipv6(ip)) = parsed.net else { panic!("not IPv6") };
    let header = ip.header();
    assert_eq!((header.source_addr(), header.destination_addr()), (V6, PEER_V6));
    assert_eq!(header.hop_limit(), 64);
    let Some(TransportSlice::Icmpv6(icmp)) = parsed.transport else { panic!("not ICMPv6") };
    let Icmpv6Type::EchoReply(echo) = icmp.icmp_type() else { panic!("{:?}", icmp.icmp_type()) };
    assert_eq!((echo.id, echo.seq), (0x1234, 0x5678));
    assert_eq!(icmp.payload(), payload);
    assert!(icmp.is_checksum_valid(V6.octets(), PEER_V6.octets()));
}

#[test]
fn echo_requests_of_any_length_get_their_bytes_back() {
    for len in [0, 1, 2, 55, 56, 1472, 60_000, 65_487] {
        let payload: Vec<u8> = (0..=250).cycle().take(len).collect();
        let frame = echo_v4(&payload);
        let reply = reply_to(Kind::Tap, &NetHdr::plain(), &frame);
        assert_eq!(macs(&reply), (OURS, PEER));
        parse_v4(&reply[14..], &payload);
        parse_v4(&reply_to(Kind::Tun, &NetHdr::plain(), &frame[14..]), &payload);

        let frame = echo_v6(&payload);
        let reply = reply_to(Kind::Tap, &NetHdr::plain(), &frame);
        assert_eq!(macs(&reply), (OURS, PEER));
        parse_v6(&reply[14..], &payload);
        parse_v6(&reply_to(Kind::Tun, &NetHdr::plain(), &frame[14..]), &payload);
    }
}

#[test]
fn the_longest_packets_are_answered_or_refused_as_oversize() {
    let payload = vec![3; 65_507];
    parse_v4(&reply_to(Kind::Tap, &NetHdr::plain(), &echo_v4(&payload))[14..], &payload);
    assert_eq!(visit(&echo_v6(&payload)), Fate::Lost(DropReason::Oversize));
}

#[test]
fn padding_and_options_do_not_come_back() {
    let mut padded = echo_v4(b"abc");
    padded.resize(60, 0xee);
    parse_v4(&reply_to(Kind::Tap, &NetHdr::plain(), &padded)[14..], b"abc");

    let mut options = echo_v4(b"abc");
    options[14] = 0x47;
    options.splice(34..34, [0x94, 4, 0, 0, 1, 1, 1, 0]);
    let total = u16::try_from(options.len() - 14).unwrap();
    options[16..18].copy_from_slice(&total.to_be_bytes());
    options[24..26].copy_from_slice(&[0, 0]);
    let sum = crate::frame::checksum::internet(&options[14..42]);
    options[24..26].copy_from_slice(&sum.to_be_bytes());
    parse_v4(&reply_to(Kind::Tap, &NetHdr::plain(), &options)[14..], b"abc");

    let mut padded = echo_v6(b"abc");
    padded.resize(80, 0xee);
    parse_v6(&reply_to(Kind::Tap, &NetHdr::plain(), &padded)[14..], b"abc");

    let mut extended = echo_v6(b"abc");
    extended.splice(54..54, [58, 0, 1, 4, 0, 0, 0, 0]);
    extended[20] = 60;
    extended[19] += 8;
    parse_v6(&reply_to(Kind::Tap, &NetHdr::plain(), &extended)[14..], b"abc");
}

#[test]
fn a_partial_request_is_taken_and_its_reply_is_whole() {
    let partial = |start| NetHdr {
        flags: NetHdr::NEEDS_CSUM,
        csum_start: start,
        csum_offset: 2,
        ..NetHdr::plain()
    };
    let mut frame = echo_v4(b"partial");
    frame[36..38].copy_from_slice(&[0xde, 0xad]);
    parse_v4(&reply_to(Kind::Tap, &partial(34), &frame)[14..], b"partial");
    parse_v4(&reply_to(Kind::Tun, &partial(20), &frame[14..]), b"partial");
    // A header that means other bytes proves nothing about these.
    assert_eq!(visit_with(Kind::Tap, &partial(30), &frame), Fate::Lost(DropReason::Malformed));
    let mut frame = echo_v6(b"partial");
    frame[56..58].copy_from_slice(&[0xde, 0xad]);
    parse_v6(&reply_to(Kind::Tap, &partial(54), &frame)[14..], b"partial");
    let gso = NetHdr { gso_type: NetHdr::GSO_UDP_L4, gso_size: 10, ..partial(54) };
    assert_eq!(visit_with(Kind::Tap, &gso, &frame), Fate::Lost(DropReason::Malformed));
}

#[test]
fn a_frame_with_vlan_id_0_is_answered_untagged_and_one_of_a_vlan_is_lost_with_its_reason() {
    for request in [echo_v4(b"abc"), echo_v6(b"abc")] {
        let expected = reply_to(Kind::Tap, &NetHdr::plain(), &request);
        let tagged = |tci: [u8; 2]| {
            let mut frame = request.clone();
            frame.splice(12..12, [0x81, 0, tci[0], tci[1]]);
            frame
        };
        // Priority 3, id 0.
        assert_eq!(reply_to(Kind::Tap, &NetHdr::plain(), &tagged([0x60, 0])), expected);
        let lost = Fate::Lost(DropReason::VlanTagged);
        assert_eq!(visit(&tagged([0x60, 5])), lost);
        // Two tags, and the tag of a provider.
        let mut twice = tagged([0, 0]);
        twice.splice(12..12, [0x81, 0, 0, 0]);
        assert_eq!(visit(&twice), lost);
        let mut provider = tagged([0, 0]);
        provider[12..14].copy_from_slice(&[0x88, 0xa8]);
        assert_eq!(visit(&provider), lost);
        assert_eq!(visit(&tagged([0, 0])[..16]), Fate::Lost(DropReason::Malformed));
    }
}

#[test]
fn what_comes_to_our_mac_and_is_not_answered_is_lost_with_its_reason() {
    let not_ours = Fate::Lost(DropReason::NotOurs);
    let no_listener = Fate::Lost(DropReason::NoListener);
    let mut frame = echo_v4(b"x");
    set_v4(&mut frame, 30, &[10, 0, 0, 3]);
    assert_eq!(visit(&frame), not_ours);
    // MPLS to us, and to a group.
    let mut frame = echo_v4(b"x");
    frame[12..14].copy_from_slice(&[0x88, 0x47]);
    assert_eq!(visit(&frame), Fate::Lost(DropReason::UnknownProtocol));
    frame[0] = 1;
    assert_eq!(visit(&frame), Fate::Consumed);
    // An echo request with a code.
    let mut frame = echo_v4(b"x");
    (frame[35], frame[37]) = (1, frame[37].wrapping_sub(1));
    assert_eq!(visit(&frame), no_listener);
    // More options headers than are read.
    let mut frame = echo_v6(b"x");
    let mut options = vec![58, 30, 1, 246];
    options.resize(248, 0);
    frame.splice(54..54, options);
    (frame[18], frame[19], frame[20]) = (1, frame[19].wrapping_add(248), 60);
    assert_eq!(visit(&frame), no_listener);
    let mut frame = echo_v6(b"x");
    frame[53] ^= 1;
    assert_eq!(visit(&frame), not_ours);
}

#[test]
fn an_echo_request_to_all_nodes_is_answered_from_an_address_of_ours() {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER, [0x33, 0x33, 0, 0, 0, 1])
        .ipv6(PEER_V6.octets(), all_nodes.octets(), 7)
        .icmpv6_echo_request(0x1234, 0x5678)
        .write(&mut frame, b"abc")
        .unwrap();
    let reply = reply_to(Kind::Tap, &NetHdr::plain(), &frame);
    assert_eq!(macs(&reply), (OURS, PEER));
    parse_v6(&reply[14..], b"abc");
    // To that group in a frame for another one it is none.
    frame[5] = 2;
    assert_eq!(visit(&frame), Fate::Consumed);
}

type Edit = fn(&mut Vec<u8>);

#[test]
fn what_is_for_others_or_asks_nothing_is_consumed() {
    let edits: [(&str, Edit); 7] = [
        ("broadcast MAC", |f| f[..6].fill(0xff)),
        ("group source", |f| f[6] = 1),
        ("zero source", |f| f[6..12].fill(0)),
        ("our own MAC as source", |f| f[6..12].copy_from_slice(&OURS)),
        ("LLC for a group", |f| {
            f[0] = 1;
            f[12..14].copy_from_slice(&[0, 100]);
        }),
        ("from a group", |f| set_v4(f, 26, &[224, 0, 0, 1])),
        ("from the subnet's broadcast", |f| set_v4(f, 26, &[10, 0, 0, 255])),
    ];
    for (what, edit) in edits {
        let mut frame = echo_v4(b"x");
        edit(&mut frame);
        assert_eq!(visit(&frame), Fate::Consumed, "{what}");
    }
    for source in [[0; 4], [255; 4], [127, 0, 0, 1], V4] {
        let mut frame = echo_v4(b"x");
        set_v4(&mut frame, 26, &source);
        assert_eq!(visit(&frame), Fate::Consumed, "{source:?}");
    }
    for destination in [[10, 0, 0, 255], [224, 0, 0, 1]] {
        let mut frame = echo_v4(b"x");
        set_v4(&mut frame, 30, &destination);
        assert_eq!(visit(&frame), Fate::Consumed, "{destination:?}");
    }
    let mut without_mac = Responder { station: Station::default(), ..us() };
    let (hdr, frame) = (NetHdr::plain(), echo_v4(b"x"));
    let fate = fate_of(&mut without_mac, Kind::Tap, 0, &hdr, &frame[..]);
    assert_eq!(fate, Fate::Consumed);
    without_mac.addresses.clear();
    let fate = fate_of(&mut without_mac, Kind::Tun, 0, &hdr, &frame[14..]);
    assert_eq!(fate, Fate::Lost(DropReason::NotOurs));
}

/// Edits an IPv4 frame and puts its header checksum right.
pub(super) fn set_v4(frame: &mut [u8], at: usize, bytes: &[u8]) {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame[24..26].fill(0);
    let sum = crate::frame::checksum::internet(&frame[14..34]);
    frame[24..26].copy_from_slice(&sum.to_be_bytes());
}

#[test]
fn errors_replies_and_other_messages_are_not_answered() {
    for kind in 0..=255u8 {
        if kind == 8 {
            continue;
        }
        let mut frame = echo_v4(b"12345678901234567890");
        frame[34] = kind;
        frame[36..38].fill(0);
        let sum = crate::frame::checksum::internet(&frame[34..]);
        frame[36..38].copy_from_slice(&sum.to_be_bytes());
        let expected = match kind {
            0 | 3 | 4 | 5 | 9 | 11 | 12 | 14 | 16 | 18 => Fate::Consumed,
            _ => Fate::Lost(DropReason::NoListener),
        };
        assert_eq!(visit(&frame), expected, "ICMP type {kind}");
    }
    let partial =
        NetHdr { flags: NetHdr::NEEDS_CSUM, csum_start: 54, csum_offset: 2, ..NetHdr::plain() };
    for kind in 0..=255u8 {
        if matches!(kind, 128 | 135) {
            continue;
        }
        let mut frame = echo_v6(b"12345678901234567890");
        frame[54] = kind;
        let expected = match kind {
            0..=127 | 129..=134 | 136 | 137 | 143 => Fate::Consumed,
            _ => Fate::Lost(DropReason::NoListener),
        };
        assert_eq!(visit_with(Kind::Tap, &partial, &frame), expected, "type {kind}");
    }
}
