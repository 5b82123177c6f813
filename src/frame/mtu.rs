//! The MTUs of our side: which frames it sends.
//!
//! An MTU counts the packet behind the link header, VLAN tags not included. There is one for every
//! packet and one for each of three protocols, which then goes before the first; without any, frames
//! of every length are sent. A frame that stands for many segments fits if each of them does.

use etherparse::{EtherType, ether_type};

use super::NetHdr;
use super::check::transport_offset;
use super::network::ether_payload;
use crate::units::{Kind, Mtu, Mtus};

/// Ethertypes of MPLS, unicast and multicast ([RFC 3032] §5).
const MPLS: [EtherType; 2] = [EtherType(0x8847), EtherType(0x8848)];

/// Bytes of the longest TCP header.
const TCP_BYTES_MAX: u32 = 60;
const UDP_BYTES: u32 = 8;

/// Bytes of the longest frame that fits whatever it is. Whether a longer one does, [`fits`] says.
pub fn surely_fits(mtus: &Mtus, kind: Kind) -> u32 {
    let link = match kind {
        Kind::Tap => 14,
        Kind::Tun => 0,
    };
    let all = [mtus.packet, mtus.ip4, mtus.ip6, mtus.mpls];
    let least = all.into_iter().flatten().map(Mtu::get).min();
    least.map_or(kind.max_frame_bytes(), |mtu| kind.max_frame_bytes().min(mtu + link))
}

/// Whether a frame that was checked fits; `head` is its beginning.
pub fn fits(mtus: &Mtus, kind: Kind, hdr: &NetHdr, frame_bytes: u32, head: &[u8]) -> bool {
    let (network, own) = of(mtus, kind, head);
    let Some(mtu) = own.or(mtus.packet) else { return true };
    let end = match hdr.gso_type & !NetHdr::GSO_ECN {
        NetHdr::GSO_NONE => frame_bytes,
        NetHdr::GSO_UDP_L4 => {
            transport_offset(kind, hdr, head) + UDP_BYTES + u32::from(hdr.gso_size)
        }
        _ => {
            let start = transport_offset(kind, hdr, head);
            let words = head.get(start as usize + 12).map(|byte| u32::from(byte >> 4) * 4);
            start + words.unwrap_or(TCP_BYTES_MAX) + u32::from(hdr.gso_size)
        }
    };
    // The last segment may be the only one, and shorter.
    end.min(frame_bytes).saturating_sub(network) <= mtu.get()
}

/// Offset of the packet, and the MTU of its protocol.
fn of(mtus: &Mtus, kind: Kind, head: &[u8]) -> (u32, Option<Mtu>) {
    match kind {
        Kind::Tun if head.first().map(|byte| byte >> 4) == Some(6) => (0, mtus.ip6),
        Kind::Tun => (0, mtus.ip4),
        Kind::Tap => match ether_payload(head) {
            Some((offset, protocol)) => {
                let own = match protocol {
                    ether_type::IPV4 => mtus.ip4,
                    ether_type::IPV6 => mtus.ip6,
                    other if MPLS.contains(&other) => mtus.mpls,
                    _ => None,
                };
                (u32::try_from(offset).unwrap_or(0), own)
            }
            None => (0, None),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mtu(bytes: u64) -> Option<Mtu> {
        Mtu::new(bytes).ok()
    }

    /// An Ethernet header with `tags` VLAN tags and this protocol.
    fn head(tags: usize, protocol: u16) -> Vec<u8> {
        let mut head = vec![0; 12];
        for _ in 0..tags {
            head.extend([0x81, 0, 0, 7]);
        }
        head.extend(protocol.to_be_bytes());
        head.extend([0x45]);
        head
    }

    #[test]
    fn a_packet_fits_by_its_bytes_behind_the_link_header_and_the_mtu_of_its_protocol() {
        let all = Mtus { packet: mtu(1400), ip4: mtu(1300), ip6: None, mpls: mtu(1500) };
        let plain = NetHdr::plain();
        assert_eq!(surely_fits(&all, Kind::Tap), 1314);
        assert_eq!(surely_fits(&all, Kind::Tun), 1300);
        for (protocol, most) in
            [(0x0800, 1300), (0x86dd, 1400), (0x8847, 1500), (0x8848, 1500), (0x0806, 1400)]
        {
            for tags in 0..=2 {
                let head = head(tags, protocol);
                let link = u32::try_from(14 + 4 * tags).unwrap();
                let fit = |bytes| fits(&all, Kind::Tap, &plain, link + bytes, &head);
                assert!(fit(most) && !fit(most + 1), "{protocol:#x} behind {tags} tags");
            }
        }
        for (first, most) in [(0x45, 1300), (0x60, 1400)] {
            let fit = |bytes| fits(&all, Kind::Tun, &plain, bytes, &[first; 40]);
            assert!(fit(most) && !fit(most + 1), "{first:#x}");
        }
    }

    #[test]
    fn without_an_mtu_every_frame_fits() {
        let none = Mtus::default();
        assert_eq!(surely_fits(&none, Kind::Tap), Kind::Tap.max_frame_bytes());
        assert!(fits(&none, Kind::Tap, &NetHdr::plain(), 65_553, &head(0, 0x0800)));
        let other = Mtus { ip6: mtu(1280), ..none };
        assert!(fits(&other, Kind::Tap, &NetHdr::plain(), 9014, &head(0, 0x0800)));
        assert_eq!(surely_fits(&other, Kind::Tap), 1294);
    }

    #[test]
    fn a_frame_of_many_segments_fits_if_each_segment_does() {
        let mtus = Mtus { packet: mtu(1500), ..Mtus::default() };
        let mut tcp = head(0, 0x0800);
        tcp.resize(14 + 20 + 20, 0);
        (tcp[14], tcp[23]) = (0x45, 6);
        // 12 bytes of options.
        tcp[14 + 20 + 12] = 8 << 4;
        let gso = |size| NetHdr {
            flags: NetHdr::NEEDS_CSUM,
            gso_type: NetHdr::GSO_TCPV4 | NetHdr::GSO_ECN,
            gso_size: size,
            csum_start: 34,
            csum_offset: 16,
            ..NetHdr::plain()
        };
        assert!(fits(&mtus, Kind::Tap, &gso(1448), 65_000, &tcp));
        assert!(!fits(&mtus, Kind::Tap, &gso(1449), 65_000, &tcp));
        // One segment, shorter than the size says.
        assert!(fits(&mtus, Kind::Tap, &gso(9000), 1514, &tcp));
        let verified = NetHdr { flags: NetHdr::DATA_VALID, ..gso(1448) };
        assert!(fits(&mtus, Kind::Tap, &verified, 65_000, &tcp));
        assert!(!fits(&mtus, Kind::Tap, &NetHdr { gso_size: 1449, ..verified }, 65_000, &tcp));
        let udp = |size| NetHdr { gso_type: NetHdr::GSO_UDP_L4, csum_offset: 6, ..gso(size) };
        tcp[23] = 17;
        assert!(fits(&mtus, Kind::Tap, &udp(1472), 65_000, &tcp));
        assert!(!fits(&mtus, Kind::Tap, &udp(1473), 65_000, &tcp));
    }
}
