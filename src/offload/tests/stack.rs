//! Arbitrary stacks of headers, and a plain reading of what came out.

use proptest::prelude::*;
use proptest::sample::select;

use crate::frame::NetHdr;
use crate::units::Kind;

/// The internet checksum as RFC 1071 has it, 16 bits at a time.
pub(super) fn reference_sum(parts: &[&[u8]]) -> u16 {
    let bytes: Vec<u8> = parts.concat();
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// A packet of TCP or UDP and all that stands in front of it.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    pub(super) tun: bool,
    pub(super) tags: Vec<[u8; 4]>,
    pub(super) v6: bool,
    pub(super) tcp: bool,
    /// IPv4 options, in words.
    pub(super) options: Vec<[u8; 4]>,
    /// IPv6 extension headers: their kinds, and how many words of 8 bytes follow the first.
    pub(super) extensions: Vec<(u8, u8)>,
    pub(super) tcp_options: Vec<[u8; 4]>,
    /// TTL or hop limit.
    pub(super) hops: u8,
    pub(super) addresses: [u8; 32],
    pub(super) ports: [u8; 4],
    pub(super) id: u16,
    pub(super) sequence: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) payload: Vec<u8>,
}

impl Stack {
    pub(super) fn kind(&self) -> Kind {
        if self.tun { Kind::Tun } else { Kind::Tap }
    }

    pub(super) fn network(&self) -> usize {
        if self.tun { 0 } else { 14 + 4 * self.tags.len() }
    }

    pub(super) fn transport(&self) -> usize {
        let ip = if self.v6 {
            let words = |(_, more): &(u8, u8)| 8 + 8 * usize::from(*more);
            40 + self.extensions.iter().map(words).sum::<usize>()
        } else {
            20 + 4 * self.options.len()
        };
        self.network() + ip
    }

    pub(super) fn payload_at(&self) -> usize {
        self.transport() + if self.tcp { 20 + 4 * self.tcp_options.len() } else { 8 }
    }

    pub(super) fn csum_at(&self) -> usize {
        self.transport() + if self.tcp { 16 } else { 6 }
    }

    fn number(&self) -> u8 {
        if self.tcp { 6 } else { 17 }
    }

    /// The pseudo header with so many bytes.
    fn pseudo(&self, bytes: usize) -> Vec<u8> {
        let addresses = if self.v6 { &self.addresses[..] } else { &self.addresses[..8] };
        let mut pseudo = addresses.to_vec();
        pseudo.extend(u32::try_from(bytes).unwrap().to_be_bytes());
        pseudo.extend([0, 0, 0, self.number()]);
        pseudo
    }

    /// The frame with its checksum whole, or with the sum of the pseudo header in its place.
    pub(super) fn build(&self, partial: bool) -> Vec<u8> {
        let mut frame = Vec::new();
        let v6 = self.v6;
        let kind: [u8; 2] = if v6 { [0x86, 0xdd] } else { [0x08, 0] };
        if !self.tun {
            frame.extend([2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
            self.tags.iter().for_each(|tag| frame.extend(tag));
            frame.extend(kind);
        }
        let ip_payload = self.payload_at() - self.network() + self.payload.len();
        let length = u16::try_from(ip_payload - if v6 { 40 } else { 0 }).unwrap().to_be_bytes();
        if v6 {
            let kinds = self.extensions.iter().map(|(kind, _)| *kind).chain([self.number()]);
            let kinds: Vec<u8> = kinds.collect();
            frame.extend([0x6b, 0xcd, 0xef, 0x01, length[0], length[1], kinds[0], self.hops]);
            frame.extend(self.addresses);
            for (at, (_, more)) in self.extensions.iter().enumerate() {
                // The kinds here are options, which are padded, or a routing header that is done.
                frame.extend([kinds[at + 1], *more, 1, 4 + 8 * *more]);
                frame.extend(vec![0; 4 + 8 * usize::from(*more)]);
            }
        } else {
            let words = u8::try_from(5 + self.options.len()).unwrap();
            let id = self.id.to_be_bytes();
            let mut header = vec![0x40 | words, 0x28, length[0], length[1], id[0], id[1], 0x40, 0];
            header.extend([self.hops, self.number(), 0, 0]);
            header.extend(&self.addresses[..8]);
            self.options.iter().for_each(|word| header.extend(word));
            let sum = !reference_sum(&[&header]);
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            frame.extend(header);
        }
        frame.extend(self.ports);
        if self.tcp {
            frame.extend(self.sequence.to_be_bytes());
            frame.extend(self.ack.to_be_bytes());
            let words = u8::try_from(5 + self.tcp_options.len()).unwrap();
            frame.extend([words << 4, self.flags, 0x12, 0x34, 0, 0, 0, 0]);
            self.tcp_options.iter().for_each(|word| frame.extend(word));
        } else {
            frame.extend(u16::try_from(8 + self.payload.len()).unwrap().to_be_bytes());
            frame.extend([0, 0]);
        }
        frame.extend(&self.payload);
        let at = self.csum_at();
        let pseudo = self.pseudo(frame.len() - self.transport());
        let sum = if partial {
            reference_sum(&[&pseudo])
        } else {
            let sum = !reference_sum(&[&pseudo, &frame[self.transport()..]]);
            if sum == 0 && !self.tcp { 0xffff } else { sum }
        };
        frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        frame
    }

    /// The header of the partial frame, GSO where there is a size.
    pub(super) fn hdr(&self, size: Option<u16>) -> NetHdr {
        let gso_type = match (size, self.tcp, self.v6) {
            (None, ..) => NetHdr::GSO_NONE,
            (Some(_), false, _) => NetHdr::GSO_UDP_L4,
            (Some(_), true, false) => NetHdr::GSO_TCPV4,
            (Some(_), true, true) => NetHdr::GSO_TCPV6,
        };
        NetHdr {
            flags: NetHdr::NEEDS_CSUM,
            gso_type,
            hdr_len: u16::try_from(self.payload_at()).unwrap(),
            gso_size: size.unwrap_or(0),
            csum_start: u16::try_from(self.transport()).unwrap(),
            csum_offset: if self.tcp { 16 } else { 6 },
            num_buffers: 0,
        }
    }

    /// Both checksums of a frame of this stack are right, and its lengths are its length.
    pub(super) fn assert_whole(&self, frame: &[u8]) {
        let packet = &frame[self.network()..];
        if self.v6 {
            let says = usize::from(u16::from_be_bytes([packet[4], packet[5]]));
            assert_eq!(says + 40, packet.len());
        } else {
            let says = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
            assert_eq!(says, packet.len());
            let header = &packet[..self.transport() - self.network()];
            assert_eq!(reference_sum(&[header]), 0xffff, "IPv4 header checksum");
        }
        let message = &frame[self.transport()..];
        if !self.tcp {
            let says = usize::from(u16::from_be_bytes([message[4], message[5]]));
            assert_eq!(says, message.len());
            assert_ne!(message[6..8], [0, 0], "a UDP checksum of 0 says that there is none");
        }
        let pseudo = self.pseudo(message.len());
        assert_eq!(reference_sum(&[&pseudo, message]), 0xffff, "transport checksum");
    }
}

/// Any stack; `bare` without IPv4 options and IPv6 extension headers.
pub(super) fn stacks(bare: bool, payload: std::ops::Range<usize>) -> impl Strategy<Value = Stack> {
    let words = |most| prop::collection::vec(any::<[u8; 4]>(), 0..=most);
    let tags = prop::collection::vec(
        (select(vec![[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]]), any::<[u8; 2]>())
            .prop_map(|(kind, tag)| [kind[0], kind[1], tag[0], tag[1]]),
        0..=2,
    );
    let extensions = prop::collection::vec(
        (select(vec![0_u8, 43, 60]), 0..4_u8),
        if bare { 0..=0 } else { 0..=3 },
    );
    let lower = (any::<bool>(), tags, any::<[bool; 2]>(), any::<u8>(), any::<[u8; 32]>());
    let upper = (any::<[u8; 4]>(), any::<u16>(), any::<[u32; 2]>(), any::<u8>());
    let bytes = prop::collection::vec(any::<u8>(), payload);
    (lower, words(if bare { 0 } else { 10 }), extensions, words(10), upper, bytes).prop_map(
        |(lower, options, extensions, tcp_options, upper, payload)| {
            let (tun, tags, [v6, tcp], hops, addresses) = lower;
            let (ports, id, [sequence, ack], flags) = upper;
            let tags = if tun { Vec::new() } else { tags };
            Stack {
                tun,
                tags,
                v6,
                tcp,
                options,
                extensions,
                tcp_options,
                hops,
                addresses,
                ports,
                id,
                sequence,
                ack,
                flags,
                payload,
            }
        },
    )
}
