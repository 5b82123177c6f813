//! The walk over IPv6 extension headers to the upper-layer header.

use etherparse::{IpNumber, Ipv6FragmentHeaderSlice, Ipv6RawExtHeaderSlice, ip_number};

/// Most extension headers that are followed. Linux sends at most five
/// ([RFC 8200] §4.1 "Extension Header Order"); more is an experiment.
const MOST: usize = 8;

/// Where a chain of extension headers led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upper {
    /// To this protocol, `offset` bytes after the IPv6 header.
    At {
        /// The protocol; may be one that is not followed, as ESP is.
        protocol: IpNumber,
        /// Bytes of extension headers.
        offset: usize,
        /// Offset of the last of them, which names the protocol; 0 where there is none.
        last: usize,
    },
    /// To a piece of a packet: what follows is not an upper-layer header, or not all of it.
    Fragment,
    /// Out of the bytes at hand: the header at `offset` does not lie in them whole.
    Beyond {
        /// Bytes of extension headers that were followed.
        offset: usize,
    },
}

/// Follows hop-by-hop, destination, routing and fragment headers, beginning with the kind
/// `first` at the start of `bytes`.
///
/// A fragment header of a whole packet (offset 0, last) is passed over ([RFC 6946] §4).
pub fn upper_layer(first: IpNumber, bytes: &[u8]) -> Upper {
    let mut protocol = first;
    let (mut offset, mut last) = (0, 0);
    for _ in 0..MOST {
        let rest = bytes.get(offset..).unwrap_or_default();
        match protocol {
            ip_number::IPV6_HEADER_HOP_BY_HOP
            | ip_number::IPV6_DESTINATION_OPTIONS
            | ip_number::IPV6_ROUTE_HEADER => {
                let Ok(header) = Ipv6RawExtHeaderSlice::from_slice(rest) else {
                    return Upper::Beyond { offset };
                };
                protocol = header.next_header();
                last = offset;
                offset += header.slice().len();
            }
            ip_number::IPV6_FRAGMENTATION_HEADER => {
                let Ok(header) = Ipv6FragmentHeaderSlice::from_slice(rest) else {
                    return Upper::Beyond { offset };
                };
                if header.is_fragmenting_payload() {
                    return Upper::Fragment;
                }
                protocol = header.next_header();
                last = offset;
                offset += header.slice().len();
            }
            _ => return Upper::At { protocol, offset, last },
        }
    }
    Upper::At { protocol, offset, last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_passes_options_and_stops_at_the_upper_layer() {
        let hop = [60, 0, 1, 4, 0, 0, 0, 0];
        let dest = [6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let both = [&hop[..], &dest[..], &[0; 20]].concat();
        assert_eq!(
            upper_layer(ip_number::IPV6_HEADER_HOP_BY_HOP, &both),
            Upper::At { protocol: ip_number::TCP, offset: 24, last: 8 }
        );
        assert_eq!(
            upper_layer(ip_number::IPV6_HEADER_HOP_BY_HOP, &both[..20]),
            Upper::Beyond { offset: 8 }
        );
        assert_eq!(
            upper_layer(ip_number::UDP, &[]),
            Upper::At { protocol: ip_number::UDP, offset: 0, last: 0 }
        );
    }

    #[test]
    fn a_fragment_is_told_from_a_whole_packet_with_a_fragment_header() {
        let more = [17, 0, 0, 1, 0, 0, 0, 9];
        let later = [17, 0, 0, 8, 0, 0, 0, 9];
        let whole = [17, 0, 0, 0, 0, 0, 0, 9];
        let first = ip_number::IPV6_FRAGMENTATION_HEADER;
        assert_eq!(upper_layer(first, &more), Upper::Fragment);
        assert_eq!(upper_layer(first, &later), Upper::Fragment);
        assert_eq!(
            upper_layer(first, &whole),
            Upper::At { protocol: ip_number::UDP, offset: 8, last: 0 }
        );
    }

    #[test]
    fn a_chain_that_does_not_end_is_left_after_a_bounded_number_of_headers() {
        let endless = [0u8; 4096];
        let first = ip_number::IPV6_HEADER_HOP_BY_HOP;
        assert_eq!(
            upper_layer(first, &endless),
            Upper::At { protocol: first, offset: 8 * MOST, last: 8 * (MOST - 1) }
        );
    }
}
