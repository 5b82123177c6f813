use super::*;

#[test]
fn a_request_for_our_address_is_answered_to_its_sender() {
    for destination in [[0xff; 6], OURS] {
        let mut request = arp(ArpOperation::REQUEST, PEER_V4, V4);
        request[..6].copy_from_slice(&destination);
        request.resize(60, 0);
        let reply = reply_to(Kind::Tap, &NetHdr::plain(), &request);
        assert_eq!(macs(&reply), (OURS, PEER));
        assert_eq!(reply.len(), 42);
        let Some(NetSlice::Arp(arp)) = SlicedPacket::from_ethernet(&reply).unwrap().net else {
            panic!("not ARP")
        };
        let arp = arp.to_packet().try_eth_ipv4().unwrap();
        assert_eq!(arp.operation, ArpOperation::REPLY);
        assert_eq!((arp.sender_mac, arp.sender_ipv4), (OURS, V4));
        assert_eq!((arp.target_mac, arp.target_ipv4), (PEER, PEER_V4));
    }
}

#[test]
fn a_probe_is_answered_so_that_our_address_stays_ours() {
    let probe = arp(ArpOperation::REQUEST, [0; 4], V4);
    let reply = reply_to(Kind::Tap, &NetHdr::plain(), &probe);
    assert_eq!(reply[28..32], V4);
    assert_eq!(reply[38..42], [0; 4]);
}

#[test]
fn arp_that_asks_nothing_of_us_is_consumed() {
    let request = arp(ArpOperation::REQUEST, PEER_V4, V4);
    let edit = |at: usize, bytes: &[u8]| {
        let mut frame = request.clone();
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        frame
    };
    for (what, frame) in [
        ("other target", arp(ArpOperation::REQUEST, PEER_V4, [10, 0, 0, 3])),
        ("gratuitous", arp(ArpOperation::REQUEST, PEER_V4, PEER_V4)),
        ("gratuitous with our address", arp(ArpOperation::REQUEST, V4, V4)),
        ("reply", arp(ArpOperation::REPLY, PEER_V4, V4)),
        ("group as sender", edit(22, &[1])),
        ("us as sender", edit(22, &OURS)),
        ("to a group", edit(0, &[1, 0, 0x5e, 0, 0, 1])),
        ("other hardware", edit(14, &[0, 6])),
        ("other protocol", edit(16, &[0x86, 0xdd])),
    ] {
        assert_eq!(visit(&frame), Fate::Consumed, "{what}");
    }
    let odd = edit(18, &[5]);
    assert_eq!(visit(&odd), Fate::Lost(DropReason::Malformed));
}

/// Checks an advertisement of `V6` and returns its flags.
fn advertisement(reply: &[u8], to: Ipv6Addr) -> u8 {
    let parsed = SlicedPacket::from_ethernet(reply).unwrap();
    let Some(NetSlice::Ipv6(ip)) = parsed.net else { panic!("not IPv6") };
    assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (V6, to));
    assert_eq!(ip.header().hop_limit(), 255);
    let Some(TransportSlice::Icmpv6(icmp)) = parsed.transport else { panic!("not ICMPv6") };
    assert!(icmp.is_checksum_valid(V6.octets(), to.octets()));
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (136, 0));
    let message = icmp.slice();
    assert_eq!(message[8..24], V6.octets());
    assert_eq!(message[24..], [&[2, 1][..], &OURS].concat());
    assert_eq!(message[5..8], [0; 3]);
    message[4]
}

#[test]
fn a_solicitation_is_answered_with_our_address_solicited_and_overriding() {
    let with = solicitation(PEER_V6, V6, &SENDER_OPTION);
    let without = solicitation(PEER_V6, V6, &[]);
    // Options that we do not know are passed over, here a nonce ([RFC 7527] §4.1).
    let nonce = [&[14, 1, 1, 2, 3, 4, 5, 6][..], &SENDER_OPTION].concat();
    let with_nonce = solicitation(PEER_V6, V6, &nonce);
    for request in [with, without, with_nonce] {
        let reply = reply_to(Kind::Tap, &NetHdr::plain(), &request);
        assert_eq!(macs(&reply), (OURS, PEER));
        assert_eq!(advertisement(&reply, PEER_V6), 0x60);
    }
}

#[test]
fn a_unicast_solicitation_is_answered() {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(PEER, OURS)
        .ipv6(PEER_V6.octets(), V6.octets(), 255)
        .icmpv6(Icmpv6Type::NeighborSolicitation)
        .write(&mut frame, &V6.octets())
        .unwrap();
    assert_eq!(advertisement(&reply_to(Kind::Tap, &NetHdr::plain(), &frame), PEER_V6), 0x60);
}

#[test]
fn duplicate_address_detection_is_answered_to_all_nodes() {
    let all: Ipv6Addr = "ff02::1".parse().unwrap();
    let request = solicitation(Ipv6Addr::UNSPECIFIED, V6, &[]);
    let Fate::Answered(reply) = visit_with(Kind::Tap, &NetHdr::plain(), &request) else {
        panic!("no answer");
    };
    assert_eq!(macs(&reply), (OURS, [0x33, 0x33, 0, 0, 0, 1]));
    assert_eq!(advertisement(&reply, all), 0x20);
}

#[test]
fn solicitations_that_break_the_rules_of_rfc_4861_are_malformed() {
    let good = solicitation(PEER_V6, V6, &SENDER_OPTION);
    let mut hops = good.clone();
    hops[21] = 254;
    let mut sum = good.clone();
    sum[56] ^= 1;
    for (what, frame) in [
        ("hop limit", hops),
        ("checksum", sum),
        ("option of length 0", solicitation(PEER_V6, V6, &[1, 0, 0, 0, 0, 0, 0, 0])),
        ("option cut short", solicitation(PEER_V6, V6, &[1, 2, 0, 0, 0, 0, 0, 0])),
        ("group as target", solicitation(PEER_V6, "ff02::1".parse().unwrap(), &[])),
        ("option without source", solicitation(Ipv6Addr::UNSPECIFIED, V6, &SENDER_OPTION)),
        ("group as source", solicitation("ff02::1".parse().unwrap(), V6, &[])),
    ] {
        assert_eq!(visit(&frame), Fate::Lost(DropReason::Malformed), "{what}");
    }
}

#[test]
fn solicitations_for_others_are_consumed() {
    let other = "fd00::99:12:3456".parse().unwrap();
    assert_eq!(visit(&solicitation(PEER_V6, other, &[])), Fate::Consumed);
    assert_eq!(visit(&solicitation(V6, V6, &[])), Fate::Consumed);
    let mut wrong_group = solicitation(PEER_V6, V6, &[]);
    wrong_group[5] = 0x57;
    assert_eq!(visit(&wrong_group), Fate::Consumed);
    let us_as_option = [&[1, 1][..], &OURS].concat();
    assert_eq!(visit(&solicitation(PEER_V6, V6, &us_as_option)), Fate::Consumed);
    let tun = &solicitation(PEER_V6, V6, &[])[14..];
    assert_eq!(visit_with(Kind::Tun, &NetHdr::plain(), tun), Fate::Consumed);
}

#[test]
fn a_frame_for_another_mac_is_lost_unless_it_is_a_secondary_one_or_the_interface_is_promiscuous() {
    const OTHER: [u8; 6] = [0x02, 0xfe, 0, 0, 0, 7];
    let mut frame = echo_v4(b"x");
    frame[..6].copy_from_slice(&OTHER);
    let fate = |station: Station| {
        let mut us = Responder { station, ..us() };
        fate_of(&mut us, Kind::Tap, 0, &NetHdr::plain(), &frame[..])
    };
    assert_eq!(fate(us().station), Fate::Lost(DropReason::L3MacMismatch));
    let secondary = MacAddr::new(OTHER).ok().into_iter().collect();
    for station in
        [Station { promiscuous: true, ..us().station }, Station { secondary, ..us().station }]
    {
        let Fate::Answered(reply) = fate(station) else { panic!("no answer") };
        // It comes from the first MAC.
        assert_eq!(macs(&reply), (OURS, PEER));
    }
}

#[test]
fn a_new_mac_is_announced_once_for_each_address() {
    let mut action = Action::Respond(Responder::announcing(us().station, us().addresses));
    let (mut tables, mut output) = (Tables::default(), Output::new());
    for frames in [2, 0] {
        assert_eq!(action.is_due(), frames > 0);
        let (tables, next_held) = (&mut tables, HeldKey(0));
        let output = &mut output;
        output.clear();
        let mut context =
            Context { own: OWN, kind: Kind::Tap, now_ns: 0, next_held, tables, output };
        action.expire(&mut context);
        assert_eq!(context.output.originated_frames(), frames);
        if frames == 0 {
            continue;
        }
        let arp = context.output.originated(0).unwrap().frame().to_vec();
        assert_eq!(macs(&arp), (OURS, [0xff; 6]));
        // Sender and target are the address; an announcement asks for nobody's MAC.
        assert_eq!((&arp[28..32], &arp[38..42], &arp[32..38]), (&V4[..], &V4[..], &[0; 6][..]));
        let advertised = context.output.originated(1).unwrap().frame().to_vec();
        assert_eq!(macs(&advertised), (OURS, [0x33, 0x33, 0, 0, 0, 1]));
        assert_eq!(advertisement(&advertised, "ff02::1".parse().unwrap()), 0x20);
    }
    assert!(!Action::Respond(us()).is_due() && !Action::Sink.is_due());
}
