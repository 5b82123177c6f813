//! Refusals: what a host answers to a packet for its address that nothing there takes.
//!
//! UDP gets port unreachable ([RFC 1122] §3.2.2.1, [RFC 4443] §3.1), TCP a reset ([RFC 9293]
//! §3.10.7.1), another protocol protocol unreachable, over IPv6 a parameter problem ([RFC 4443]
//! §3.4). The caller has seen to it that the packet is whole, came to us alone, and has a unicast
//! source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{
    IpNumber, Ipv4Header, Ipv6FlowLabel, Ipv6Header, TcpHeaderSlice, UdpHeaderSlice, ether_type,
    icmpv4, icmpv6, ip_number,
};

use crate::action::FrameBytes;
use crate::counters::DropReason;
use crate::frame::checksum::{Sum, internet};

use super::link::put;
use super::{Answer, HOPS, Ignored, Lost, MALFORMED, Request, Unanswered};

/// Bytes before the quoted packet of an ICMP or ICMPv6 error.
const ERROR_BYTES: usize = 8;
/// Longest packet that carries an ICMP error ([RFC 1812] §4.3.2.3), and an ICMPv6 error.
const ERROR_V4_MAX: usize = 576;
const ERROR_V6_MAX: usize = 1280;
/// Precedence of an ICMP error, "internetwork control" ([RFC 1812] §4.3.2.5).
const INTERNETWORK_CONTROL: u8 = 6 << 3;
/// Offset of the next-header field of an IPv6 header.
const NEXT_HEADER_AT: usize = 6;
/// Bytes of a UDP header.
const UDP_BYTES: usize = 8;
/// Bytes of the TCP header of a reset.
const RESET_BYTES: usize = 20;

/// A packet for us, past its IP headers.
pub(super) struct Refused<'a, 'b, F: ?Sized> {
    pub(super) request: &'a Request<'b, F>,
    /// Its sender, and our address.
    pub(super) source: IpAddr,
    pub(super) ours: IpAddr,
    pub(super) protocol: IpNumber,
    /// Bytes of the packet, of its IP headers, and of those up to the last one's beginning.
    pub(super) packet_bytes: usize,
    pub(super) headers_bytes: usize,
    pub(super) last_header_at: usize,
}

impl<F: FrameBytes + ?Sized> Refused<'_, '_, F> {
    /// Writes the refusal at the start of `room`.
    pub(super) fn answer(&self, room: &mut [u8]) -> Result<Answer, Unanswered> {
        let bytes = match self.protocol {
            ip_number::TCP => self.reset(room)?,
            ip_number::UDP => {
                let udp = self.upper(room)?;
                let header = UdpHeaderSlice::from_slice(udp).map_err(|_| MALFORMED)?;
                let length = usize::from(header.length());
                // What follows the datagram pads the packet, as Linux takes it.
                let udp = udp.get(..length).ok_or(MALFORMED)?;
                if length < UDP_BYTES {
                    return Err(MALFORMED);
                }
                // 0 over IPv4: no checksum.
                let absent = header.checksum() == 0 && self.ours.is_ipv4();
                if !absent && !self.is_right(udp) {
                    return Err(MALFORMED);
                }
                self.error(room, (icmpv4::TYPE_DEST_UNREACH, icmpv4::CODE_DST_UNREACH_PORT), {
                    (icmpv6::TYPE_DST_UNREACH, icmpv6::CODE_DST_UNREACH_PORT, 0)
                })?
            }
            _ => {
                let unknown_next_header = 1;
                let at =
                    if self.last_header_at == 0 { NEXT_HEADER_AT } else { self.last_header_at };
                let at = u32::try_from(at).map_err(|_| MALFORMED)?;
                self.error(room, (icmpv4::TYPE_DEST_UNREACH, icmpv4::CODE_DST_UNREACH_PROTOCOL), {
                    (icmpv6::TYPE_PARAMETER_PROBLEM, unknown_next_header, at)
                })?
            }
        };
        Ok(Answer::Refusal(bytes))
    }

    /// Reads the packet's payload into `room`, where the refusal is then written over it.
    fn upper<'r>(&self, room: &'r mut [u8]) -> Result<&'r [u8], Unanswered> {
        let bytes = self.packet_bytes.checked_sub(self.headers_bytes).ok_or(MALFORMED)?;
        let place = room.get_mut(..bytes).ok_or(Lost(DropReason::Oversize))?;
        self.request.read(self.headers_bytes, place)?;
        Ok(place)
    }

    /// Whether the checksum of a UDP datagram or TCP segment is right, or not there to be verified:
    /// it is still to be completed, for the whole or for each of its segments.
    fn is_right(&self, message: &[u8]) -> bool {
        self.request.hdr.needs_csum()
            || self.request.hdr.is_gso()
            || self.sum(message.len(), self.protocol).add_slice(message).checksum() == 0
    }

    /// The sum over the pseudo header of a message of that many bytes, in either direction.
    fn sum(&self, bytes: usize, protocol: IpNumber) -> Sum {
        let length = u32::try_from(bytes).unwrap_or(u32::MAX);
        match (self.source, self.ours) {
            (IpAddr::V6(source), IpAddr::V6(ours)) => {
                Sum::new().add_pseudo_v6(source.octets(), ours.octets(), protocol.0, length)
            }
            (IpAddr::V4(source), IpAddr::V4(ours)) => Sum::new()
                .add_slice(&source.octets())
                .add_slice(&ours.octets())
                .add_slice(&length.to_be_bytes())
                .add_slice(&[0, 0, 0, protocol.0]),
            // Both are the packet's.
            _ => Sum::new(),
        }
    }

    /// A reset of the segment's connection; nothing in answer to a reset.
    fn reset(&self, room: &mut [u8]) -> Result<usize, Unanswered> {
        let segment = self.upper(room)?;
        let header = TcpHeaderSlice::from_slice(segment).map_err(|_| MALFORMED)?;
        if !self.is_right(segment) {
            return Err(MALFORMED);
        }
        if header.rst() {
            return Err(Ignored);
        }
        let data = segment.len() - header.slice().len();
        let mut reset = [0; RESET_BYTES];
        reset[0..2].copy_from_slice(&header.destination_port().to_be_bytes());
        reset[2..4].copy_from_slice(&header.source_port().to_be_bytes());
        // In units of 4 bytes.
        reset[12] = 5 << 4;
        reset[13] = 0x04;
        if header.ack() {
            reset[4..8].copy_from_slice(&header.acknowledgment_number().to_be_bytes());
        } else {
            let length = u32::try_from(data).map_err(|_| MALFORMED)?
                + u32::from(header.syn())
                + u32::from(header.fin());
            let end = header.sequence_number().wrapping_add(length);
            reset[8..12].copy_from_slice(&end.to_be_bytes());
            reset[13] |= 0x10;
        }
        let sum = self.sum(RESET_BYTES, ip_number::TCP).add_slice(&reset).checksum();
        reset[16..18].copy_from_slice(&sum.to_be_bytes());
        let start = self.ip_header(room, ip_number::TCP, RESET_BYTES, 0)?;
        put(room, start, &reset)?;
        Ok(start + RESET_BYTES)
    }

    /// An ICMP error of this type and code, or an ICMPv6 error of this type, code and pointer, which
    /// quotes the packet as far as there is room.
    fn error(&self, room: &mut [u8], v4: (u8, u8), v6: (u8, u8, u32)) -> Result<usize, Unanswered> {
        let is_v4 = self.ours.is_ipv4();
        let most = match is_v4 {
            true => ERROR_V4_MAX - Ipv4Header::MIN_LEN,
            false => ERROR_V6_MAX - Ipv6Header::LEN,
        };
        let bytes = most.min(ERROR_BYTES + self.packet_bytes);
        let protocol = if is_v4 { ip_number::ICMP } else { ip_number::IPV6_ICMP };
        let start = self.ip_header(room, protocol, bytes, INTERNETWORK_CONTROL)?;
        let message = room.get_mut(start..start + bytes).ok_or(Lost(DropReason::Oversize))?;
        self.request.read(0, message.get_mut(ERROR_BYTES..).unwrap_or_default())?;
        let (kind, code, pointer) = if is_v4 { (v4.0, v4.1, 0) } else { v6 };
        message[..4].copy_from_slice(&[kind, code, 0, 0]);
        message[4..ERROR_BYTES].copy_from_slice(&pointer.to_be_bytes());
        let sum = match is_v4 {
            true => internet(message),
            false => self.sum(bytes, protocol).add_slice(message).checksum(),
        };
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        Ok(start + bytes)
    }

    /// Writes the link and IP headers of a packet back to the sender, and says where they end.
    fn ip_header(
        &self,
        room: &mut [u8],
        protocol: IpNumber,
        payload_bytes: usize,
        dscp: u8,
    ) -> Result<usize, Unanswered> {
        let link = self.request.link;
        let payload = u16::try_from(payload_bytes).map_err(|_| MALFORMED)?;
        match (self.ours, self.source) {
            (IpAddr::V4(ours), IpAddr::V4(source)) => {
                let header = v4(ours, source, protocol, payload, dscp)?;
                put(room, link.bytes(), &header.to_bytes())?;
                link.write_back(ether_type::IPV4, room)?;
                Ok(link.bytes() + Ipv4Header::MIN_LEN)
            }
            (IpAddr::V6(ours), IpAddr::V6(source)) => {
                put(room, link.bytes(), &v6(ours, source, protocol, payload).to_bytes())?;
                link.write_back(ether_type::IPV6, room)?;
                Ok(link.bytes() + Ipv6Header::LEN)
            }
            // Both are the packet's.
            _ => Err(MALFORMED),
        }
    }
}

fn v4(
    ours: Ipv4Addr,
    to: Ipv4Addr,
    protocol: IpNumber,
    payload: u16,
    dscp: u8,
) -> Result<Ipv4Header, Unanswered> {
    let mut header = Ipv4Header::new(payload, HOPS, protocol, ours.octets(), to.octets())
        .map_err(|_| MALFORMED)?;
    header.dscp = dscp.try_into().map_err(|_| MALFORMED)?;
    header.header_checksum = header.calc_header_checksum();
    Ok(header)
}

const fn v6(ours: Ipv6Addr, to: Ipv6Addr, protocol: IpNumber, payload: u16) -> Ipv6Header {
    Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: payload,
        next_header: protocol,
        hop_limit: HOPS,
        source: ours.octets(),
        destination: to.octets(),
    }
}
