//! Where the headers of a TCP or UDP packet lie in a frame.

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, ip_number};

use crate::frame::extensions::{Upper, upper_layer};
use crate::frame::network::network_layer;
use crate::units::Kind;

/// Bytes of an IPv4 header without options, and of the fixed IPv6 header.
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;
const TCP_BYTES: usize = 20;
const UDP_BYTES: usize = 8;

/// A transport protocol that is split and merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    const fn of(number: IpNumber) -> Option<Self> {
        match number {
            ip_number::TCP => Some(Self::Tcp),
            ip_number::UDP => Some(Self::Udp),
            _ => None,
        }
    }

    /// Its number in the IP header.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => ip_number::TCP.0,
            Self::Udp => ip_number::UDP.0,
        }
    }

    /// Where its checksum is, from the start of its header.
    pub const fn csum_offset(self) -> u16 {
        match self {
            Self::Tcp => 16,
            Self::Udp => 6,
        }
    }
}

/// The headers of a packet that is whole: no fragment, all headers within the packet, the packet
/// within the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// The IP header's offset.
    pub network: usize,
    /// It is IPv6.
    pub v6: bool,
    /// There are no IPv4 options, and no IPv6 extension headers.
    pub bare: bool,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Its header's offset.
    pub transport: usize,
    /// The payload's offset.
    pub payload: usize,
    /// Where the packet ends. Padding may follow.
    pub end: usize,
}

impl Headers {
    /// Finds them in a whole frame.
    pub fn find(kind: Kind, frame: &[u8]) -> Option<Self> {
        let (network, version) = network_layer(kind, frame)?;
        let packet = frame.get(network..)?;
        let (protocol, header_bytes, bytes) = if version == 4 {
            let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
            if header.is_fragmenting_payload() {
                return None;
            }
            (header.protocol(), header.slice().len(), usize::from(header.total_len()))
        } else {
            let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
            match upper_layer(header.next_header(), packet.get(IPV6_BYTES..)?) {
                Upper::At { protocol, offset, .. } => {
                    let bytes = IPV6_BYTES + usize::from(header.payload_length());
                    (protocol, IPV6_BYTES + offset, bytes)
                }
                Upper::Fragment | Upper::Beyond { .. } => return None,
            }
        };
        let protocol = Protocol::of(protocol)?;
        let (transport, end) = (network + header_bytes, network + bytes);
        let transport_bytes = match protocol {
            Protocol::Udp => UDP_BYTES,
            Protocol::Tcp => usize::from(frame.get(transport + 12)? >> 4) * 4,
        };
        let least = if protocol == Protocol::Tcp { TCP_BYTES } else { UDP_BYTES };
        let payload = transport + transport_bytes;
        let whole = transport_bytes >= least && payload <= end && end <= frame.len();
        let v6 = version == 6;
        let bare = header_bytes == if v6 { IPV6_BYTES } else { IPV4_BYTES };
        whole.then_some(Self { network, v6, bare, protocol, transport, payload, end })
    }

    /// Where the two addresses of the IP header are.
    pub(super) const fn addresses(&self) -> std::ops::Range<usize> {
        if self.v6 {
            self.network + 8..self.network + 40
        } else {
            self.network + 12..self.network + 20
        }
    }

    /// Writes the lengths of a packet with so many bytes of payload, and the checksum of an IPv4
    /// header, into the `headers` of a frame. A length beyond 16 bits is cut.
    pub(super) fn set_lengths(&self, headers: &mut [u8], payload_bytes: usize) {
        let low = |n: usize| u16::try_from(n & 0xffff).unwrap_or_default().to_be_bytes();
        let end = self.payload + payload_bytes;
        if self.v6 {
            put(headers, self.network + 4, low(end - self.network - IPV6_BYTES));
        } else {
            put(headers, self.network + 2, low(end - self.network));
            put(headers, self.network + 10, [0, 0]);
            let header = headers.get(self.network..self.transport).unwrap_or_default();
            let checksum = crate::frame::checksum::internet(header);
            put(headers, self.network + 10, checksum.to_be_bytes());
        }
        if self.protocol == Protocol::Udp {
            put(headers, self.transport + 4, low(end - self.transport));
        }
    }

    /// Where the checksum of the transport header is.
    pub(super) fn csum_at(&self) -> usize {
        self.transport + usize::from(self.protocol.csum_offset())
    }
}

/// Overwrites bytes at `at`, as far as they are there.
pub(super) fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

/// Reads bytes at `at`; zeros where they are not there.
pub(super) fn get<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}
