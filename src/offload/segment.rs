//! Splits a GSO frame into the segments that it stands for.

use super::checksum::{sent, word};
use super::headers::{Headers, Protocol, put};
use crate::frame::NetHdr;
use crate::frame::checksum::Sum;
use crate::units::Kind;

/// Most bytes of headers in front of the payload: Ethernet, two tags, IPv6 with 350 bytes of
/// extension headers, TCP with all its options. Linux itself sends none longer.
pub const HEADERS_MAX: usize = 472;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;
/// Of the flags, from the start of the TCP header.
const FLAGS: usize = 13;

/// A segment: its headers, and the part of the payload that it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'h, 'f> {
    /// Link, network and transport header, with whole checksums.
    pub headers: &'h [u8],
    /// At most `gso_size` bytes.
    pub payload: &'f [u8],
}

/// The segments of a GSO frame that are still to come.
///
/// As Linux splits: sequence numbers go up by `gso_size`, IPv4 ids by one, FIN and PSH are in the
/// last segment only, CWR in the first only ([RFC 3168] §6.1.2); all else is in each as it was.
#[derive(Debug, Clone)]
pub struct Segments<'f> {
    headers: &'f [u8],
    /// What is not sent yet.
    payload: &'f [u8],
    at: Headers,
    size: usize,
    /// The sum of the pseudo header but for the length.
    pseudo: Sum,
    /// How many were sent, and their bytes of payload.
    sent: u16,
    bytes_sent: u32,
}

impl<'f> Segments<'f> {
    /// The segments of a whole frame that [`check`](crate::frame::check()) let pass. `None` where it
    /// cannot be split: it is no GSO frame, its headers are longer than [`HEADERS_MAX`] or are not
    /// where the virtio header says, or the packet is longer than the frame. What is behind the
    /// packet is padding and is left out.
    pub fn of(kind: Kind, hdr: &NetHdr, frame: &'f [u8]) -> Option<Self> {
        let at = Headers::find(kind, frame)?;
        let right = match hdr.gso_type & !NetHdr::GSO_ECN {
            NetHdr::GSO_TCPV4 => !at.v6 && at.protocol == Protocol::Tcp,
            NetHdr::GSO_TCPV6 => at.v6 && at.protocol == Protocol::Tcp,
            NetHdr::GSO_UDP_L4 => at.protocol == Protocol::Udp,
            _ => false,
        };
        let placed = !hdr.needs_csum() || usize::from(hdr.csum_start) == at.transport;
        if !right || !placed || hdr.gso_size == 0 || at.payload > HEADERS_MAX {
            return None;
        }
        let pseudo = if hdr.needs_csum() {
            // It is there already. With a routing header it is not about the address that stands in
            // the IP header ([RFC 8200] §8.1).
            let bytes = u16::try_from(at.end - at.transport).ok()?;
            Sum::new().plus(word(frame, at.csum_at())).minus(bytes)
        } else {
            Sum::new().add_pseudo(frame.get(at.addresses())?, at.protocol.number(), 0)
        };
        Some(Self {
            headers: frame.get(..at.payload)?,
            payload: frame.get(at.payload..at.end)?,
            at,
            size: hdr.gso_size.into(),
            pseudo,
            sent: 0,
            bytes_sent: 0,
        })
    }

    /// How many are still to come.
    pub fn remaining(&self) -> usize {
        let more = self.payload.len().div_ceil(self.size);
        // A packet without payload is a segment too.
        if self.sent == 0 { more.max(1) } else { more }
    }

    /// The next segment, its headers written into `room`.
    pub fn next<'h>(&mut self, room: &'h mut [u8; HEADERS_MAX]) -> Option<Segment<'h, 'f>> {
        if self.remaining() == 0 {
            return None;
        }
        let (payload, rest) = self.payload.split_at(self.size.min(self.payload.len()));
        let headers = room.get_mut(..self.headers.len())?;
        headers.copy_from_slice(self.headers);
        self.write(headers, payload, rest.is_empty());
        self.payload = rest;
        // An IP packet has fewer than 2¹⁶ bytes, and so no more segments.
        self.sent = self.sent.wrapping_add(1);
        self.bytes_sent += u32::try_from(payload.len()).unwrap_or_default();
        Some(Segment { headers, payload })
    }

    fn write(&self, headers: &mut [u8], payload: &[u8], is_last: bool) {
        let at = &self.at;
        if !at.v6 {
            let id = word(self.headers, at.network + 4);
            put(headers, at.network + 4, id.wrapping_add(self.sent).to_be_bytes());
        }
        at.set_lengths(headers, payload.len());
        if at.protocol == Protocol::Tcp {
            let first = u32::from_be_bytes(super::headers::get(self.headers, at.transport + 4));
            let sequence = first.wrapping_add(self.bytes_sent);
            put(headers, at.transport + 4, sequence.to_be_bytes());
            if let Some(flags) = headers.get_mut(at.transport + FLAGS) {
                *flags &= if is_last { 0xff } else { !(FIN | PSH) };
                *flags &= if self.sent == 0 { 0xff } else { !CWR };
            }
        }
        put(headers, at.csum_at(), [0, 0]);
        let transport = headers.get(at.transport..).unwrap_or_default();
        // Both have an even length but for the last payload; 16 bits hold what an IP packet holds.
        let bytes = u16::try_from(transport.len() + payload.len()).unwrap_or_default();
        let sum = self.pseudo.plus(bytes).add_slice(transport).add_slice(payload);
        let checksum = sent(sum.checksum(), at.protocol == Protocol::Udp);
        put(headers, at.csum_at(), checksum.to_be_bytes());
    }
}
