//! Answers to ICMP echo requests ([RFC 792], [RFC 1122] §3.2.2.6), and the way to refusals.

use etherparse::{IpEcn, Ipv4Header, Ipv4HeaderSlice, Ipv4Options, ether_type, icmpv4, ip_number};

use crate::action::FrameBytes;
use crate::counters::DropReason;
use crate::frame::checksum::internet;

use super::link::put;
use super::refuse::Refused;
use super::{Answer, HOPS, Ignored, Lost, MALFORMED, Request, Responder, Unanswered};

/// ICMP types that answer or tell of an error: source quench, redirect, router advertisement,
/// timestamp, information and address mask replies ([RFC 792], [RFC 950], [RFC 1256]).
const ANSWERS: [u8; 6] = [4, 5, 9, 14, 16, 18];

/// Bytes before the data of an echo message.
const ECHO_HEADER_BYTES: usize = 8;

/// Answers an echo request to one of our addresses.
pub(super) fn answer<F: FrameBytes + ?Sized>(
    us: &Responder,
    request: &Request<'_, F>,
    room: &mut [u8],
) -> Result<Answer, Unanswered> {
    let header = Ipv4HeaderSlice::from_slice(request.packet_head()).map_err(|_| MALFORMED)?;
    let header_bytes = header.slice().len();
    let packet_bytes = usize::from(header.total_len());
    // What follows the packet pads the frame.
    if packet_bytes < header_bytes
        || packet_bytes > request.packet_bytes()
        || internet(header.slice()) != 0
    {
        return Err(MALFORMED);
    }
    // A unicast packet in a broadcast or multicast frame is to be discarded ([RFC 1122] §3.3.6).
    let destination = header.destination_addr();
    if !request.link.is_to_us_alone() || !us.is_other_host_v4(header.source_addr()) {
        return Err(Ignored);
    }
    if !us.has_v4(destination) {
        let other = us.is_other_host_v4(destination);
        return Err(if other { Lost(DropReason::NotOurs) } else { Ignored });
    }
    if header.is_fragmenting_payload() {
        return Err(Lost(DropReason::Fragment));
    }
    if header.protocol() != ip_number::ICMP {
        let refused = Refused {
            request,
            source: header.source_addr().into(),
            ours: destination.into(),
            protocol: header.protocol(),
            packet_bytes,
            headers_bytes: header_bytes,
            last_header_at: 0,
        };
        return refused.answer(room);
    }

    let message_bytes = packet_bytes - header_bytes;
    if message_bytes < ECHO_HEADER_BYTES {
        return Err(MALFORMED);
    }
    let partial = request.is_partial(header_bytes)?;
    let network = request.link.bytes();
    let start = network + Ipv4Header::MIN_LEN;
    let message = room.get_mut(start..start + message_bytes).ok_or(Lost(DropReason::Oversize))?;
    request.read(header_bytes, message)?;
    if !partial && internet(message) != 0 {
        return Err(MALFORMED);
    }
    match message[0] {
        icmpv4::TYPE_ECHO_REQUEST if message[1] == 0 => {}
        icmpv4::TYPE_ECHO_REPLY
        | icmpv4::TYPE_DEST_UNREACH
        | icmpv4::TYPE_TIME_EXCEEDED
        | icmpv4::TYPE_PARAMETER_PROBLEM => return Err(Ignored),
        answer if ANSWERS.contains(&answer) => return Err(Ignored),
        // A host need not answer timestamp, information and address mask requests ([RFC 1122]
        // §3.2.2.7 to 9), and discards what it does not know (§3.2.2).
        _ => return Err(Lost(DropReason::NoListener)),
    }
    message[..4].copy_from_slice(&[icmpv4::TYPE_ECHO_REPLY, 0, 0, 0]);
    let checksum = internet(message);
    message[2..4].copy_from_slice(&checksum.to_be_bytes());

    let mut reply = header.to_header();
    reply.options = Ipv4Options::default();
    reply.set_payload_len(message_bytes).map_err(|_| MALFORMED)?;
    (reply.source, reply.destination) = (reply.destination, reply.source);
    reply.time_to_live = HOPS;
    // Nothing reacts to congestion here ([RFC 3168] §6.1.4).
    reply.ecn = IpEcn::ZERO;
    reply.header_checksum = reply.calc_header_checksum();
    put(room, network, &reply.to_bytes())?;
    request.link.write_back(ether_type::IPV4, room)?;
    Ok(Answer::Reply(start + message_bytes))
}
