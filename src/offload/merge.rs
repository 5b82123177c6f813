//! Merges segments of a flow that follow each other into one GSO frame.
//!
//! # Theory of operation
//! A frame is looked at once ([`Class::of`]): it can be merged, or it is of a flow, or of none that
//! is known. A [`Run`] begins with one segment and takes the next ones while they follow it; the
//! caller keeps the payloads, one behind the other, and at the end the run says which headers belong
//! in front.
//!
//! Merged are segments that differ in nothing but what splitting makes different: TCP or UDP, no
//! IPv4 options or IPv6 extension headers, no fragments, whole checksums that are right or partial
//! ones, the same headers from the first byte of the link header to the last TCP option, sequence
//! numbers without gap, IPv4 ids that count up, all payloads of one size but the last, which may be
//! shorter. Of the TCP flags ACK is set, and PSH may be, which ends the run; with any other the
//! segment stays as it is. UDP without a checksum stays as it is. So the segments that the other end
//! makes of the merged frame are the ones that came.

use super::checksum::word;
use super::headers::{Headers, Protocol, get, put};
use crate::frame::NetHdr;
use crate::frame::check::TCP_GSO_SIZE_MIN;
use crate::frame::checksum::{Sum, internet};
use crate::units::Kind;

/// Longest merged frame. Longer ones Linux does not make of its own.
pub const MERGED_BYTES_MAX: usize = 65_535;

/// Most datagrams of a merged UDP frame: what Linux before 6.9 takes (`UDP_MAX_SEGMENTS`).
pub const UDP_SEGMENTS_MAX: u16 = 64;

/// Room for the headers of what is merged: Ethernet, two tags, IPv6, TCP with all its options.
const HEADERS_MAX: usize = 14 + 8 + 40 + 60;

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;

/// What tells flows apart: addresses, ports, protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    addresses: [u8; 32],
    ports: [u8; 4],
    protocol: Protocol,
}

impl Flow {
    fn of(at: &Headers, frame: &[u8]) -> Self {
        let mut addresses = [0; 32];
        let found = frame.get(at.addresses()).unwrap_or_default();
        addresses[..found.len()].copy_from_slice(found);
        Self { addresses, ports: get(frame, at.transport), protocol: at.protocol }
    }
}

/// What can be done with a frame.
#[derive(Debug)]
pub enum Class<'f> {
    /// It can be merged.
    Piece(Box<Piece<'f>>),
    /// It stays as it is, and goes behind what came before it of this flow.
    Flow(Flow),
    /// It stays as it is. It may be of any flow.
    Unknown,
}

impl<'f> Class<'f> {
    /// Looks at a whole frame.
    pub fn of(kind: Kind, hdr: &NetHdr, frame: &'f [u8]) -> Self {
        let Some(at) = Headers::find(kind, frame) else { return Self::Unknown };
        let flow = Flow::of(&at, frame);
        match Piece::of(hdr, frame, at, flow) {
            Some(piece) => Self::Piece(Box::new(piece)),
            None => Self::Flow(flow),
        }
    }
}

/// A segment that can be merged.
#[derive(Debug, Clone)]
pub struct Piece<'f> {
    /// Its flow.
    pub flow: Flow,
    at: Headers,
    /// Its headers without what may differ within a run, and zeros.
    same: [u8; HEADERS_MAX],
    frame: &'f [u8],
    id: u16,
    sequence: u32,
    push: bool,
}

impl<'f> Piece<'f> {
    fn of(hdr: &NetHdr, frame: &'f [u8], at: Headers, flow: Flow) -> Option<Self> {
        if hdr.is_gso() || !at.bare || at.end != frame.len() || at.end == at.payload {
            return None;
        }
        let mut same = [0; HEADERS_MAX];
        let headers = frame.get(..at.payload)?;
        same.get_mut(..at.payload)?.copy_from_slice(headers);
        let mut id = 0;
        if at.v6 {
            put(&mut same, at.network + 4, [0; 2]);
        } else {
            if internet(headers.get(at.network..at.transport)?) != 0 {
                return None;
            }
            id = word(frame, at.network + 4);
            put(&mut same, at.network + 2, [0; 4]);
            put(&mut same, at.network + 10, [0; 2]);
        }
        let (mut sequence, mut push) = (0, false);
        let bytes = at.end - at.transport;
        match at.protocol {
            Protocol::Tcp => {
                let flags = *headers.get(at.transport + 13)?;
                push = flags & PSH != 0;
                // The four bits beside the header's length are reserved, or flags of other things.
                if flags & !PSH != ACK || headers.get(at.transport + 12)? & 0xf != 0 {
                    return None;
                }
                sequence = u32::from_be_bytes(get(frame, at.transport + 4));
                put(&mut same, at.transport + 4, [0; 4]);
                put(&mut same, at.transport + 13, [ACK]);
            }
            Protocol::Udp => {
                let says = usize::from(word(frame, at.transport + 4));
                if says != bytes || word(frame, at.csum_at()) == 0 {
                    return None;
                }
                put(&mut same, at.transport + 4, [0; 2]);
            }
        }
        put(&mut same, at.csum_at(), [0; 2]);
        let piece = Self { flow, at, same, frame, id, sequence, push };
        let right = if hdr.needs_csum() {
            usize::from(hdr.csum_start) == at.transport
                && hdr.csum_offset == at.protocol.csum_offset()
        } else {
            let bytes = u32::try_from(bytes).ok()?;
            let pseudo = at.pseudo(frame, bytes);
            pseudo.add_slice(frame.get(at.transport..)?).checksum() == 0
        };
        right.then_some(piece)
    }

    /// Its headers.
    pub fn headers(&self) -> &'f [u8] {
        self.frame.get(..self.at.payload).unwrap_or_default()
    }

    /// Its payload, which has at least one byte.
    pub fn payload(&self) -> &'f [u8] {
        self.frame.get(self.at.payload..).unwrap_or_default()
    }
}

impl Headers {
    /// The sum of the pseudo header of a packet with so many bytes of transport header and payload.
    fn pseudo(&self, frame: &[u8], bytes: u32) -> Sum {
        let addresses = frame.get(self.addresses()).unwrap_or_default();
        Sum::new().add_pseudo(addresses, self.protocol.number(), bytes)
    }
}

/// Segments that become one frame.
#[derive(Debug, Clone)]
pub struct Run {
    flow: Flow,
    at: Headers,
    same: [u8; HEADERS_MAX],
    /// The first one's headers.
    headers: [u8; HEADERS_MAX],
    /// Bytes of the first payload, and of all.
    size: usize,
    bytes: usize,
    segments: u16,
    push: bool,
    /// No more can follow.
    ended: bool,
}

impl Run {
    /// A run of one segment.
    pub fn begin(first: &Piece<'_>) -> Self {
        let mut headers = [0; HEADERS_MAX];
        if let Some(room) = headers.get_mut(..first.headers().len()) {
            room.copy_from_slice(first.headers());
        }
        let size = first.payload().len();
        Self {
            flow: first.flow,
            at: first.at,
            same: first.same,
            headers,
            size,
            bytes: size,
            segments: 1,
            push: first.push,
            ended: first.push || size < usize::from(TCP_GSO_SIZE_MIN),
        }
    }

    /// The flow.
    pub const fn flow(&self) -> &Flow {
        &self.flow
    }

    /// How many segments it has.
    pub const fn segments(&self) -> u16 {
        self.segments
    }

    /// Bytes of headers and payload.
    pub const fn frame_bytes(&self) -> usize {
        self.at.payload + self.bytes
    }

    /// Takes a segment that follows the last one; its payload belongs behind that of the last.
    /// `false`, and nothing is done, where it does not follow.
    pub fn take(&mut self, piece: &Piece<'_>) -> bool {
        let bytes = piece.payload().len();
        let most = match self.at.protocol {
            Protocol::Tcp => u16::MAX,
            Protocol::Udp => UDP_SEGMENTS_MAX,
        };
        let fits = !self.ended
            && bytes <= self.size
            && self.frame_bytes() + bytes <= MERGED_BYTES_MAX
            && self.segments < most;
        if !fits || piece.at.payload != self.at.payload || piece.same != self.same {
            return false;
        }
        if piece.id != self.next_id() || piece.sequence != self.next_sequence() {
            return false;
        }
        self.segments += 1;
        self.bytes += bytes;
        self.push = piece.push;
        self.ended = piece.push || bytes < self.size;
        true
    }

    fn next_id(&self) -> u16 {
        if self.at.v6 {
            return 0;
        }
        word(&self.headers, self.at.network + 4).wrapping_add(self.segments)
    }

    fn next_sequence(&self) -> u32 {
        if self.at.protocol == Protocol::Udp {
            return 0;
        }
        let first = u32::from_be_bytes(get(&self.headers, self.at.transport + 4));
        first.wrapping_add(u32::try_from(self.bytes).unwrap_or_default())
    }

    /// The virtio header and the headers of the one frame that stands for all, with a partial
    /// checksum.
    pub fn finish(&mut self) -> (NetHdr, &[u8]) {
        let (at, headers) = (self.at, &mut self.headers);
        at.set_lengths(headers, self.bytes);
        if at.protocol == Protocol::Tcp && self.push {
            put(headers, at.transport + 13, [ACK | PSH]);
        }
        let bytes = u32::try_from(at.payload - at.transport + self.bytes).unwrap_or_default();
        let pseudo = at.pseudo(headers, bytes).folded();
        put(headers, at.csum_at(), pseudo.to_be_bytes());
        // What is merged ends below 2¹⁶.
        let short = |n: usize| u16::try_from(n).unwrap_or_default();
        let hdr = NetHdr {
            flags: NetHdr::NEEDS_CSUM,
            gso_type: match (at.protocol, at.v6) {
                (Protocol::Udp, _) => NetHdr::GSO_UDP_L4,
                (Protocol::Tcp, false) => NetHdr::GSO_TCPV4,
                (Protocol::Tcp, true) => NetHdr::GSO_TCPV6,
            },
            hdr_len: short(at.payload),
            gso_size: short(self.size),
            csum_start: short(at.transport),
            csum_offset: at.protocol.csum_offset(),
            num_buffers: 0,
        };
        (hdr, self.headers.get(..at.payload).unwrap_or_default())
    }
}
