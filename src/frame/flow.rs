//! The flow of a frame as a number, by which frames are spread over queues.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, ip_number};

use super::extensions::{Upper, upper_layer};
use super::network::network_layer;
use crate::units::Kind;

/// Bytes of a frame that the number is made of: two VLAN tags, an IPv6 header, and an extension header
/// or two.
pub const FLOW_BYTES: usize = 96;

/// A number that all frames of a flow have, in both directions. `head` is the begin of the frame.
///
/// The flow of an IP packet is its addresses, protocol and ports. A fragment counts by its addresses
/// alone, since only the first one has ports. Another frame counts by its MACs.
pub fn flow(kind: Kind, head: &[u8]) -> u32 {
    let ip = network_layer(kind, head).and_then(|(offset, version)| {
        let packet = head.get(offset..)?;
        if version == 4 { of_ipv4(packet) } else { of_ipv6(packet) }
    });
    let mixed = match (ip, kind) {
        (Some(flow), _) => flow,
        (None, Kind::Tap) => both(head.get(..6), head.get(6..12)),
        (None, Kind::Tun) => 0,
    };
    // The high bits of the product depend on all bits of what was mixed.
    let product = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(product >> 32).unwrap_or(0)
}

/// What two ends have in common, whichever of them sends.
fn both(one: Option<&[u8]>, other: Option<&[u8]>) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
    let mixed = |bytes: Option<&[u8]>| {
        let words = bytes.unwrap_or_default().chunks(8).map(word);
        words.fold(0_u64, |all, word| all.rotate_left(21).wrapping_add(word))
    };
    let (one, other) = (mixed(one), mixed(other));
    // A sum alone would be the same for 1 with 4 and 2 with 3.
    one.wrapping_add(other).wrapping_add((one ^ other).rotate_left(32))
}

fn of_ipv4(packet: &[u8]) -> Option<u64> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let addresses = both(Some(&header.source()), Some(&header.destination()));
    let ports = if header.is_fragmenting_payload() {
        0
    } else {
        ports(header.protocol(), packet.get(header.slice().len()..))
    };
    Some(addresses.rotate_left(17).wrapping_add(ports))
}

fn of_ipv6(packet: &[u8]) -> Option<u64> {
    let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
    let addresses = both(Some(&header.source()), Some(&header.destination()));
    let rest = packet.get(header.slice().len()..)?;
    let ports = match upper_layer(header.next_header(), rest) {
        Upper::At { protocol, offset, .. } => ports(protocol, rest.get(offset..)),
        Upper::Fragment | Upper::Beyond { .. } => 0,
    };
    Some(addresses.rotate_left(17).wrapping_add(ports))
}

/// Protocol and ports, where the protocol has some.
fn ports(protocol: IpNumber, upper: Option<&[u8]>) -> u64 {
    let has_ports =
        [ip_number::TCP, ip_number::UDP, ip_number::SCTP, ip_number::UDP_LITE].contains(&protocol);
    let ports = if has_ports {
        both(upper.and_then(|u| u.get(..2)), upper.and_then(|u| u.get(2..4)))
    } else {
        0
    };
    ports.rotate_left(8).wrapping_add(u64::from(protocol.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(protocol: [u8; 2], payload: &[u8]) -> Vec<u8> {
        [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &protocol, payload].concat()
    }

    fn ipv4(from: (u8, u16), to: (u8, u16), fragment: u16, protocol: u8) -> Vec<u8> {
        let [hi, lo] = fragment.to_be_bytes();
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, hi, lo, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, from.0, 10, 0, 0, to.0]);
        packet.extend(from.1.to_be_bytes().into_iter().chain(to.1.to_be_bytes()));
        packet.extend([0, 8, 0, 0]);
        packet
    }

    fn ipv6(from: (u8, u16), to: (u8, u16)) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 8, 17, 64];
        for end in [from.0, to.0] {
            packet.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, end]);
        }
        packet.extend(from.1.to_be_bytes().into_iter().chain(to.1.to_be_bytes()));
        packet.extend([0, 8, 0, 0]);
        packet
    }

    fn tap(frame: &[u8]) -> u32 {
        flow(Kind::Tap, frame)
    }

    #[test]
    fn both_directions_of_a_flow_have_one_number_and_another_port_another() {
        let (a, b) = ((1, 40_000), (2, 80));
        type Make = fn((u8, u16), (u8, u16), u16, u8) -> Vec<u8>;
        for packet in [ipv4 as Make, |from, to, _, _| ipv6(from, to)] {
            let one = packet(a, b, 0, 17);
            let back = packet(b, a, 0, 17);
            let other = packet((1, 40_001), b, 0, 17);
            assert_eq!(flow(Kind::Tun, &one), flow(Kind::Tun, &back));
            assert_ne!(flow(Kind::Tun, &one), flow(Kind::Tun, &other));
        }
        let there = ethernet([8, 0], &ipv4(a, b, 0, 6));
        let tagged = ethernet([0x81, 0], &[&[0, 5, 8, 0][..], &ipv4(a, b, 0, 6)].concat());
        assert_eq!(tap(&there), tap(&tagged));
        assert_ne!(tap(&there), tap(&ethernet([8, 0], &ipv4(a, b, 0, 17))));
    }

    #[test]
    fn the_fragments_of_a_packet_have_one_number() {
        let first = ipv4((1, 7), (2, 9), 0x2000, 17);
        let last = ipv4((1, 0x1234), (2, 0x5678), 0x0005, 17);
        assert_eq!(flow(Kind::Tun, &first), flow(Kind::Tun, &last));
    }

    #[test]
    fn a_frame_of_another_protocol_counts_by_its_macs_and_a_cut_one_by_what_there_is() {
        let arp = ethernet([8, 6], &[0; 28]);
        let mut other = arp.clone();
        other[5] = 9;
        assert_ne!(tap(&arp), tap(&other));
        for cut in 0..arp.len() {
            tap(&arp[..cut]);
        }
        let udp = ethernet([8, 0], &ipv4((1, 1), (2, 2), 0, 17));
        for cut in 0..udp.len() {
            tap(&udp[..cut]);
            flow(Kind::Tun, &udp[14.min(cut)..cut]);
        }
    }

    #[test]
    fn flows_that_differ_in_one_port_are_spread_evenly() {
        for queues in [2, 3, 4, 7] {
            let mut counts = vec![0; queues];
            for port in 0..700 {
                let number = flow(Kind::Tun, &ipv4((1, 40_000 + port), (2, 5201), 0, 6));
                counts[number as usize % queues] += 1;
            }
            let fair = 700 / queues;
            assert!(counts.iter().all(|n| (fair / 2..fair * 2).contains(n)), "{counts:?}");
        }
    }
}
