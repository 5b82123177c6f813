use super::*;
use etherparse::{PacketBuilder, TcpHeader};
use proptest::prelude::*;

const MAC: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];

/// An Ethernet frame with `tags` VLAN tags, and where its transport header begins.
fn frame(v6: bool, tcp: bool, tags: usize, payload: usize) -> (Vec<u8>, u16) {
    let link = PacketBuilder::ethernet2(MAC[0], MAC[1]);
    let ip = if v6 {
        link.ipv6([0xfd; 16], [0xfe; 16], 64)
    } else {
        link.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
    };
    let mut bytes = Vec::new();
    let payload = vec![7; payload];
    if tcp {
        ip.tcp_header(TcpHeader::new(1, 2, 3, 4)).write(&mut bytes, &payload).unwrap();
    } else {
        ip.udp(1, 2).write(&mut bytes, &payload).unwrap();
    }
    for tag in 0..tags {
        let ethertype = if tag == 0 { [0x81, 0x00] } else { [0x88, 0xa8] };
        bytes.splice(12..12, [ethertype[0], ethertype[1], 0, 5]);
    }
    (bytes, u16::try_from(14 + 4 * tags + if v6 { 40 } else { 20 }).unwrap())
}

fn gso(gso_type: u8, start: u16, size: u16) -> NetHdr {
    NetHdr {
        flags: NetHdr::NEEDS_CSUM,
        gso_type,
        hdr_len: start + 8,
        gso_size: size,
        csum_start: start,
        csum_offset: if gso_type == NetHdr::GSO_UDP_L4 { 6 } else { 16 },
        num_buffers: 0,
    }
}

fn verdict(kind: Kind, hdr: &NetHdr, frame: &[u8]) -> Result<(), DropReason> {
    let head = &frame[..frame.len().min(HEAD_BYTES)];
    check(kind, hdr, u32::try_from(frame.len()).unwrap(), head)
}

const BAD: Result<(), DropReason> = Err(DropReason::BadHeader);

#[test]
fn lengths_are_kept_to_the_limits_of_the_kind() {
    for kind in [Kind::Tap, Kind::Tun] {
        let mut bytes = vec![0x45; usize::try_from(kind.max_frame_bytes()).unwrap() + 1];
        let least = usize::try_from(kind.min_frame_bytes()).unwrap();
        for len in 0..least {
            assert_eq!(verdict(kind, &NetHdr::plain(), &bytes[..len]), Err(DropReason::ShortFrame));
        }
        assert_eq!(verdict(kind, &NetHdr::plain(), &bytes[..least]), Ok(()));
        assert_eq!(verdict(kind, &NetHdr::plain(), &bytes), Err(DropReason::Oversize));
        bytes.pop();
        assert_eq!(verdict(kind, &NetHdr::plain(), &bytes), Ok(()));
    }
}

/// What `virtio_net_hdr_from_skb` makes of the skbs that reach a tap.
#[test]
fn everything_that_linux_hands_over_passes() {
    for (v6, tcp, tags, payload) in variants(&[0, 1, 1400, 65000]) {
        let (bytes, start) = frame(v6, tcp, tags, payload);
        let mut headers = vec![
            NetHdr::plain(),
            NetHdr { flags: NetHdr::DATA_VALID, num_buffers: 1, ..NetHdr::plain() },
            NetHdr {
                flags: NetHdr::NEEDS_CSUM,
                csum_start: start,
                csum_offset: if tcp { 16 } else { 6 },
                ..NetHdr::plain()
            },
        ];
        if payload > 1000 {
            let kind = match (tcp, v6) {
                (false, _) => NetHdr::GSO_UDP_L4,
                (true, false) => NetHdr::GSO_TCPV4,
                (true, true) => NetHdr::GSO_TCPV6,
            };
            let sizes: &[u16] = if tcp { &[8, 48, 88, 536, 1448, 65000] } else { &[600, 1472] };
            for &size in sizes {
                let whole = gso(kind, start, size);
                headers.push(whole);
                // The linear part may hold payload, up to all of it.
                headers.push(NetHdr { hdr_len: u16::try_from(bytes.len()).unwrap(), ..whole });
                if tcp {
                    headers.push(NetHdr { gso_type: kind | NetHdr::GSO_ECN, ..whole });
                    headers.push(NetHdr {
                        flags: NetHdr::DATA_VALID,
                        csum_start: 0,
                        csum_offset: 0,
                        ..whole
                    });
                }
            }
        }
        for hdr in headers {
            assert_eq!(verdict(Kind::Tap, &hdr, &bytes), Ok(()), "{hdr:?} v6 {v6} tags {tags}");
            if tags == 0 {
                let packet = NetHdr {
                    hdr_len: hdr.hdr_len.saturating_sub(14),
                    csum_start: hdr.csum_start.saturating_sub(14),
                    ..hdr
                };
                assert_eq!(verdict(Kind::Tun, &packet, &bytes[14..]), Ok(()), "{hdr:?} v6 {v6}");
            }
        }
    }
}

fn variants(payloads: &[usize]) -> Vec<(bool, bool, usize, usize)> {
    let mut all = Vec::new();
    for v6 in [false, true] {
        for tcp in [false, true] {
            for tags in 0..3 {
                all.extend(payloads.iter().map(|p| (v6, tcp, tags, *p)));
            }
        }
    }
    all
}

#[test]
fn frames_that_gro_made_of_tiny_segments_pass_and_floods_of_them_do_not() {
    let (bytes, start) = frame(false, true, 0, 64);
    assert_eq!(verdict(Kind::Tap, &gso(NetHdr::GSO_TCPV4, start, 1), &bytes), Ok(()));
    let (bytes, start) = frame(false, true, 0, 513);
    assert_eq!(verdict(Kind::Tap, &gso(NetHdr::GSO_TCPV4, start, 1), &bytes), BAD);
    let (bytes, start) = frame(false, true, 0, 65000);
    assert_eq!(verdict(Kind::Tap, &gso(NetHdr::GSO_TCPV4, start, 7), &bytes), BAD);
    let (bytes, start) = frame(false, false, 0, 128);
    assert_eq!(verdict(Kind::Tap, &gso(NetHdr::GSO_UDP_L4, start, 1), &bytes), Ok(()));
    let (bytes, start) = frame(false, false, 0, 129);
    assert_eq!(verdict(Kind::Tap, &gso(NetHdr::GSO_UDP_L4, start, 1), &bytes), BAD);
}

#[test]
fn each_field_that_the_kernel_refuses_is_refused() {
    let (bytes, start) = frame(false, true, 0, 3000);
    let good = gso(NetHdr::GSO_TCPV4, start, 1448);
    assert_eq!(verdict(Kind::Tap, &good, &bytes), Ok(()));
    let len = u16::try_from(bytes.len()).unwrap();
    let bad = [
        ("gso_size 0", NetHdr { gso_size: 0, ..good }),
        ("gso_size of fragments", NetHdr { gso_size: 0xffff, ..good }),
        ("UFO", NetHdr { gso_type: NetHdr::GSO_UDP, ..good }),
        ("unknown type", NetHdr { gso_type: 2, ..good }),
        ("tunnel type", NetHdr { gso_type: NetHdr::GSO_TCPV4 | 0x20, ..good }),
        ("ECN alone", NetHdr { gso_type: NetHdr::GSO_ECN, ..good }),
        ("IPv6 type on IPv4", NetHdr { gso_type: NetHdr::GSO_TCPV6, ..good }),
        ("UDP type on TCP", gso(NetHdr::GSO_UDP_L4, start, 1448)),
        ("hdr_len beyond", NetHdr { hdr_len: len + 1, ..good }),
        ("hdr_len in Ethernet", NetHdr { hdr_len: 13, ..good }),
        ("csum_start beyond", NetHdr { csum_start: len - 17, ..good }),
        ("csum_start elsewhere", NetHdr { csum_start: start + 4, ..good }),
        ("csum_offset", NetHdr { csum_offset: 6, ..good }),
        ("flags", NetHdr { flags: 0xff, ..good }),
        ("RSC_INFO", NetHdr { flags: NetHdr::NEEDS_CSUM | 4, ..good }),
        ("no checksum asked", NetHdr { flags: 0, ..good }),
    ];
    for (what, hdr) in bad {
        assert_eq!(verdict(Kind::Tap, &hdr, &bytes), BAD, "{what}");
    }
    let partial = NetHdr {
        flags: NetHdr::NEEDS_CSUM,
        csum_start: len - 2,
        csum_offset: 0,
        ..NetHdr::plain()
    };
    assert_eq!(verdict(Kind::Tap, &partial, &bytes), Ok(()));
    for hdr in [
        NetHdr { csum_offset: 1, ..partial },
        NetHdr { csum_start: 19, ..partial },
        NetHdr { csum_start: 0xffff, csum_offset: 0xffff, ..partial },
        NetHdr { csum_offset: 0xffff, ..partial },
    ] {
        assert_eq!(verdict(Kind::Tap, &hdr, &bytes), BAD, "{hdr:?}");
    }
    let (udp, start) = frame(true, false, 0, 3000);
    let uso = gso(NetHdr::GSO_UDP_L4, start, 1400);
    assert_eq!(verdict(Kind::Tap, &uso, &udp), Ok(()));
    let ecn = NetHdr { gso_type: NetHdr::GSO_UDP_L4 | NetHdr::GSO_ECN, ..uso };
    let verified = NetHdr { flags: NetHdr::DATA_VALID, ..uso };
    assert_eq!(verdict(Kind::Tap, &ecn, &udp), BAD);
    assert_eq!(verdict(Kind::Tap, &verified, &udp), BAD);
}

#[test]
fn a_gso_frame_must_be_of_the_protocol_it_says() {
    let (mut arp, start) = frame(false, true, 0, 3000);
    let hdr = gso(NetHdr::GSO_TCPV4, start, 1448);
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(verdict(Kind::Tap, &hdr, &arp), BAD);
    let (mut fragment, _) = frame(false, true, 0, 3000);
    fragment[20] = 0x20;
    assert_eq!(verdict(Kind::Tap, &hdr, &fragment), BAD);
    let (mut version, _) = frame(false, true, 0, 3000);
    version[14] = 0x65;
    assert_eq!(verdict(Kind::Tap, &hdr, &version), BAD);
}

#[test]
fn extension_headers_are_followed_as_far_as_the_head_reaches() {
    let (mut bytes, start) = frame(true, true, 0, 3000);
    bytes[20] = 60;
    let mut options = [0u8; 256];
    options[..2].copy_from_slice(&[6, 1]);
    bytes.splice(54..54, options[..16].iter().copied());
    let hdr = gso(NetHdr::GSO_TCPV6, start + 16, 1440);
    assert_eq!(verdict(Kind::Tap, &hdr, &bytes), Ok(()));
    assert_eq!(verdict(Kind::Tap, &gso(NetHdr::GSO_TCPV6, start, 1440), &bytes), BAD);

    // A routing header that ends beyond the head: nothing contradicts `csum_start`.
    let (mut bytes, start) = frame(true, true, 0, 3000);
    bytes[20] = 43;
    options[..2].copy_from_slice(&[6, 31]);
    bytes.splice(54..54, options.iter().copied());
    let hdr = gso(NetHdr::GSO_TCPV6, start + 256, 1440);
    assert_eq!(verdict(Kind::Tap, &hdr, &bytes), Ok(()));
    assert_eq!(verdict(Kind::Tap, &gso(NetHdr::GSO_TCPV6, start - 1, 1440), &bytes), BAD);
}

#[test]
fn a_tun_frame_begins_with_4_or_6() {
    for first in 0..=15u8 {
        let bytes = [first << 4; 64];
        let want = match first {
            4 | 6 => Ok(()),
            _ => Err(DropReason::BadVersion),
        };
        assert_eq!(verdict(Kind::Tun, &NetHdr::plain(), &bytes), want, "{first}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_get_a_verdict_and_never_a_panic(
        raw in any::<[u8; NetHdr::BYTES]>(), head in prop::collection::vec(any::<u8>(), 0..300),
        len in any::<u32>(), tun in any::<bool>()
    ) {
        let kind = if tun { Kind::Tun } else { Kind::Tap };
        let hdr = NetHdr::from_bytes(&raw);
        let _ = check(kind, &hdr, len, &head);
        let _ = verdict(kind, &hdr, &head);
    }
}
