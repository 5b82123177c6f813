//! Answers to ICMPv6 echo requests ([RFC 4443] §4), and the way to neighbour discovery.

use std::net::Ipv6Addr;

use etherparse::{Ipv6FlowLabel, Ipv6Header, Ipv6HeaderSlice, ether_type, icmpv6, ip_number};

use crate::action::FrameBytes;
use crate::counters::DropReason;
use crate::frame::extensions::{Upper, upper_layer};

use super::icmpv6::{checksum, solicited_node, write_checksum};
use super::link::{Link, put};
use super::refuse::Refused;
use super::{Answer, HOPS, Ignored, Lost, MALFORMED, Request, Responder, Unanswered, neighbor};

/// Bytes of the shortest ICMPv6 message that there is.
const MESSAGE_BYTES_MIN: usize = 8;

/// Answers an echo request to one of our addresses, or a neighbour solicitation.
pub(super) fn answer<F: FrameBytes + ?Sized>(
    us: &Responder,
    request: &Request<'_, F>,
    room: &mut [u8],
) -> Result<Answer, Unanswered> {
    let head = request.packet_head();
    let header = Ipv6HeaderSlice::from_slice(head).map_err(|_| MALFORMED)?;
    let payload_bytes = usize::from(header.payload_length());
    let (source, destination) = (header.source_addr(), header.destination_addr());
    if Ipv6Header::LEN + payload_bytes > request.packet_bytes() || source.is_multicast() {
        return Err(MALFORMED);
    }
    let unicast = us.has_v6(destination) && request.link.is_to_us_alone();
    let all_nodes = is_for_all_nodes(request.link, destination);
    if !unicast && !all_nodes && !is_for_our_group(us, request.link, destination) {
        let other = request.link.is_to_us_alone()
            && us.is_other_host_v6(destination)
            && us.is_other_host_v6(source);
        return Err(if other { Lost(DropReason::NotOurs) } else { Ignored });
    }

    let seen = &head[Ipv6Header::LEN..head.len().min(Ipv6Header::LEN + payload_bytes)];
    let offset = match upper_layer(header.next_header(), seen) {
        Upper::At { protocol: ip_number::IPV6_ICMP, offset, .. } => offset,
        // No next header: nothing is asked.
        Upper::At { protocol: ip_number::IPV6_NO_NEXT_HEADER, .. } => return Err(Ignored),
        Upper::At { protocol, offset, last } if unicast && us.is_other_host_v6(source) => {
            let refused = Refused {
                request,
                source: source.into(),
                ours: destination.into(),
                protocol,
                packet_bytes: Ipv6Header::LEN + payload_bytes,
                headers_bytes: Ipv6Header::LEN + offset,
                last_header_at: if offset == 0 { 0 } else { Ipv6Header::LEN + last },
            };
            return refused.answer(room);
        }
        Upper::At { .. } => return Err(Ignored),
        Upper::Fragment => return Err(Lost(DropReason::Fragment)),
        Upper::Beyond { .. } if seen.len() == payload_bytes => return Err(MALFORMED),
        // Headers beyond the bytes that were read.
        Upper::Beyond { .. } if unicast => return Err(Lost(DropReason::NoListener)),
        Upper::Beyond { .. } => return Err(Ignored),
    };
    let message_bytes = payload_bytes.checked_sub(offset).ok_or(MALFORMED)?;
    if message_bytes < MESSAGE_BYTES_MIN {
        return Err(MALFORMED);
    }
    let partial = request.is_partial(Ipv6Header::LEN + offset)?;
    let network = request.link.bytes();
    let start = network + Ipv6Header::LEN;
    let message = room.get_mut(start..start + message_bytes).ok_or(Lost(DropReason::Oversize))?;
    request.read(Ipv6Header::LEN + offset, message)?;
    if !partial && checksum(source, destination, message)? != 0 {
        return Err(MALFORMED);
    }
    match message[0] {
        icmpv6::TYPE_NEIGHBOR_SOLICITATION => {
            neighbor::answer(us, request.link, &header, message_bytes, room)
        }
        icmpv6::TYPE_ECHO_REQUEST
            if (unicast || all_nodes) && message[1] == 0 && us.is_other_host_v6(source) =>
        {
            // An answer to a group's request comes from an address of ours ([RFC 4443] §4.2).
            let ours = if unicast { destination } else { us.v6_towards(source).ok_or(Ignored)? };
            message[..4].copy_from_slice(&[icmpv6::TYPE_ECHO_REPLY, 0, 0, 0]);
            write_checksum(ours, source, message)?;
            let reply = Ipv6Header {
                traffic_class: header.traffic_class() & 0xfc,
                flow_label: Ipv6FlowLabel::ZERO,
                payload_length: u16::try_from(message_bytes).map_err(|_| MALFORMED)?,
                next_header: ip_number::IPV6_ICMP,
                hop_limit: HOPS,
                source: ours.octets(),
                destination: source.octets(),
            };
            put(room, network, &reply.to_bytes())?;
            request.link.write_back(ether_type::IPV6, room)?;
            Ok(Answer::Reply(start + message_bytes))
        }
        // Listener reports and queries, router messages, advertisements and redirects, answers and
        // errors: nothing is asked of us.
        130..=132 | 133..=134 | 136..=137 | 143 | icmpv6::TYPE_ECHO_REPLY | ..128 => Err(Ignored),
        // What is not known, and an echo request with a code, is discarded ([RFC 4443] §2.4 (b)).
        _ if unicast => Err(Lost(DropReason::NoListener)),
        _ => Err(Ignored),
    }
}

/// Whether the packet is for the solicited-node group of one of our addresses, in a frame for
/// that group ([RFC 2464] §7) or for us alone.
fn is_for_our_group(us: &Responder, link: Link, destination: Ipv6Addr) -> bool {
    let Link::Ethernet { destination: mac, .. } = link else { return false };
    let [.., a, b, c, d] = destination.octets();
    let group = us.addresses.iter().any(|net| match net.addr() {
        std::net::IpAddr::V6(ours) => solicited_node(ours) == destination,
        std::net::IpAddr::V4(_) => false,
    });
    group && (mac == [0x33, 0x33, a, b, c, d] || link.is_to_us_alone())
}

/// Whether the packet is for all nodes of the link (`ff02::1`), in a frame for that group or for us
/// alone.
fn is_for_all_nodes(link: Link, destination: Ipv6Addr) -> bool {
    let to_us = match link {
        Link::Ethernet { destination: mac, .. } => {
            mac == [0x33, 0x33, 0, 0, 0, 1] || link.is_to_us_alone()
        }
        Link::Direct => true,
    };
    destination == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1) && to_us
}
