use super::*;
use etherparse::checksum::Sum16BitWords;
use etherparse::{PacketBuilder, SlicedPacket, TransportSlice, ip_number};
use proptest::prelude::*;

#[test]
fn the_example_of_rfc_1071_sums_to_ddf2() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(Sum::new().add_slice(&bytes).folded(), 0xddf2);
    assert_eq!(internet(&bytes), !0xddf2);
    assert_eq!(internet(&[]), 0xffff);
    assert_eq!(internet(&[0xff]), 0x00ff);
}

#[test]
fn the_longest_frame_of_ones_does_not_overflow() {
    let ones = vec![0xff; 65553];
    assert_eq!(
        internet(&ones),
        etherparse::checksum::Sum16BitWords::new().add_slice(&ones).ones_complement().to_be()
    );
}

/// A frame with its checksum right, the place of the UDP or TCP header, and of the field in it.
fn built(v6: bool, tcp: bool, payload: &[u8]) -> (Vec<u8>, usize, usize) {
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ip = if v6 {
        link.ipv6([0xfd; 16], [0xfe; 16], 64)
    } else {
        link.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
    };
    let mut frame = Vec::new();
    if tcp {
        ip.tcp(1, 2, 3, 4).write(&mut frame, payload).unwrap();
    } else {
        ip.udp(1, 2).write(&mut frame, payload).unwrap();
    }
    (frame, 14 + if v6 { 40 } else { 20 }, if tcp { 16 } else { 6 })
}

fn pseudo(frame: &[u8], start: usize, v6: bool, tcp: bool) -> u16 {
    let bytes = frame.len() - start;
    let protocol = if tcp { ip_number::TCP.0 } else { ip_number::UDP.0 };
    if v6 {
        Sum::new().add_pseudo_v6(
            frame[22..38].try_into().unwrap(),
            frame[38..54].try_into().unwrap(),
            protocol,
            u32::try_from(bytes).unwrap(),
        )
    } else {
        Sum::new().add_pseudo_v4(
            frame[26..30].try_into().unwrap(),
            frame[30..34].try_into().unwrap(),
            protocol,
            u16::try_from(bytes).unwrap(),
        )
    }
    .folded()
}

proptest! {
    #[test]
    fn any_bytes_sum_as_etherparse_sums_them(bytes in prop::collection::vec(any::<u8>(), 0..2100)) {
        let theirs = Sum16BitWords::new().add_slice(&bytes).ones_complement().to_be();
        prop_assert_eq!(internet(&bytes), theirs);
    }

    #[test]
    fn cutting_at_even_places_does_not_change_the_sum(
        bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0usize..200
    ) {
        let (a, b) = bytes.split_at((cut * 2).min(bytes.len() & !1));
        prop_assert_eq!(Sum::new().add_slice(a).add_slice(b).checksum(), internet(&bytes));
    }

    #[test]
    fn a_partial_frame_is_finished_to_what_etherparse_builds(
        v6 in any::<bool>(), tcp in any::<bool>(),
        payload in prop::collection::vec(any::<u8>(), 0..1500)
    ) {
        let (whole, start, offset) = built(v6, tcp, &payload);
        let mut frame = whole.clone();
        let partial = pseudo(&frame, start, v6, tcp);
        frame[start + offset..start + offset + 2].copy_from_slice(&partial.to_be_bytes());
        let mut hdr = NetHdr {
            flags: NetHdr::NEEDS_CSUM,
            csum_start: u16::try_from(start).unwrap(),
            csum_offset: u16::try_from(offset).unwrap(),
            ..NetHdr::plain()
        };
        prop_assert_eq!(finish(&mut frame, &mut hdr), Ok(()));
        prop_assert_eq!(hdr, NetHdr::plain());
        // 0 and 0xffff are the same number; only UDP is bound to the second.
        let field = start + offset..start + offset + 2;
        if whole[field.clone()] == [0, 0] {
            prop_assert_eq!(&frame[field], &[0xff, 0xff]);
        } else {
            prop_assert_eq!(&frame, &whole);
        }
        let parsed = SlicedPacket::from_ethernet(&frame).unwrap();
        prop_assert!(matches!(
            parsed.transport,
            Some(TransportSlice::Tcp(_) | TransportSlice::Udp(_))
        ));
    }

    #[test]
    fn no_header_makes_finish_write_outside_or_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), raw in any::<[u8; NetHdr::BYTES]>()
    ) {
        let mut hdr = NetHdr::from_bytes(&raw);
        let mut frame = bytes.clone();
        if finish(&mut frame, &mut hdr).is_err() {
            prop_assert_eq!(frame, bytes);
            prop_assert_eq!(hdr, NetHdr::from_bytes(&raw));
        }
    }
}

#[test]
fn a_gso_frame_is_not_finished() {
    let mut hdr =
        NetHdr { flags: NetHdr::NEEDS_CSUM, gso_type: NetHdr::GSO_TCPV4, ..NetHdr::plain() };
    assert_eq!(finish(&mut [0; 100], &mut hdr), Err(DropReason::BadHeader));
}
