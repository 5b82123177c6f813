//! The header that precedes every frame on a virtio network ring and on a tap with
//! `IFF_VNET_HDR`.

use virtio_bindings::virtio_net as uapi;

/// `virtio_net_hdr_v1`: what the sender left undone about the frame behind it
/// ([VIRTIO-1.3 §5.1.6] "Device Operation").
///
/// The fields are numbers of this machine; on the ring they are little endian
/// (`TUNSETVNETLE`, or a little-endian machine).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetHdr {
    /// [`NetHdr::NEEDS_CSUM`], [`NetHdr::DATA_VALID`].
    pub flags: u8,
    /// One of the `GSO_` values; a TCP one may have [`NetHdr::GSO_ECN`] added.
    pub gso_type: u8,
    /// Bytes of headers, a hint. Linux puts the bytes that lie in the skb's linear part here,
    /// which may be more than the protocol headers; 0 when the frame is not GSO.
    pub hdr_len: u16,
    /// Payload bytes of every segment but the last; meaningless without GSO.
    pub gso_size: u16,
    /// Where checksumming starts; meaningless without [`NetHdr::NEEDS_CSUM`].
    pub csum_start: u16,
    /// Where the checksum is to be stored, from `csum_start`.
    pub csum_offset: u16,
    /// Buffers over which a received frame is spread; 0 in a transmitted one
    /// ([VIRTIO-1.3 §5.1.6.2] "Packet Transmission").
    pub num_buffers: u16,
}

impl NetHdr {
    /// Bytes of the header.
    pub const BYTES: usize = 12;

    /// In `flags`: the checksum at `csum_start + csum_offset` covers the pseudo header only.
    pub const NEEDS_CSUM: u8 = low(uapi::VIRTIO_NET_HDR_F_NEEDS_CSUM);
    /// In `flags`: the checksum was verified. Linux sets it on what it hands over.
    pub const DATA_VALID: u8 = low(uapi::VIRTIO_NET_HDR_F_DATA_VALID);

    /// In `gso_type`: one frame, nothing to split.
    pub const GSO_NONE: u8 = low(uapi::VIRTIO_NET_HDR_GSO_NONE);
    /// In `gso_type`: TCP over IPv4.
    pub const GSO_TCPV4: u8 = low(uapi::VIRTIO_NET_HDR_GSO_TCPV4);
    /// In `gso_type`: a UDP datagram to be fragmented (UFO), which Linux does not send since 4.14.
    pub const GSO_UDP: u8 = low(uapi::VIRTIO_NET_HDR_GSO_UDP);
    /// In `gso_type`: TCP over IPv6.
    pub const GSO_TCPV6: u8 = low(uapi::VIRTIO_NET_HDR_GSO_TCPV6);
    /// In `gso_type`: several UDP datagrams of one size (USO).
    pub const GSO_UDP_L4: u8 = low(uapi::VIRTIO_NET_HDR_GSO_UDP_L4);
    /// Added to a TCP `gso_type`: CWR belongs to the first segment only.
    pub const GSO_ECN: u8 = low(uapi::VIRTIO_NET_HDR_GSO_ECN);

    /// The header of a finished frame: nothing to checksum, nothing to split.
    pub const fn plain() -> Self {
        Self {
            flags: 0,
            gso_type: Self::GSO_NONE,
            hdr_len: 0,
            gso_size: 0,
            csum_start: 0,
            csum_offset: 0,
            num_buffers: 0,
        }
    }

    /// Reads the header; every pattern of bytes is one.
    pub const fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1, n0, n1] = *bytes;
        Self {
            flags,
            gso_type,
            hdr_len: u16::from_le_bytes([h0, h1]),
            gso_size: u16::from_le_bytes([g0, g1]),
            csum_start: u16::from_le_bytes([s0, s1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
            num_buffers: u16::from_le_bytes([n0, n1]),
        }
    }

    /// The header as it lies in the ring.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        let [h0, h1] = self.hdr_len.to_le_bytes();
        let [g0, g1] = self.gso_size.to_le_bytes();
        let [s0, s1] = self.csum_start.to_le_bytes();
        let [o0, o1] = self.csum_offset.to_le_bytes();
        let [n0, n1] = self.num_buffers.to_le_bytes();
        [self.flags, self.gso_type, h0, h1, g0, g1, s0, s1, o0, o1, n0, n1]
    }

    /// Whether the transport checksum is still to be completed.
    pub const fn needs_csum(&self) -> bool {
        self.flags & Self::NEEDS_CSUM != 0
    }

    /// Whether the frame stands for several segments.
    pub const fn is_gso(&self) -> bool {
        self.gso_type != Self::GSO_NONE
    }
}

const fn low(constant: u32) -> u8 {
    constant.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_little_endian_in_the_order_of_the_specification() {
        let hdr = NetHdr {
            flags: 1,
            gso_type: 0x84,
            hdr_len: 0x0102,
            gso_size: 0x0304,
            csum_start: 0x0506,
            csum_offset: 0x0708,
            num_buffers: 0x090a,
        };
        let bytes = [1, 0x84, 2, 1, 4, 3, 6, 5, 8, 7, 0x0a, 9];
        assert_eq!(hdr.to_bytes(), bytes);
        assert_eq!(NetHdr::from_bytes(&bytes), hdr);
        assert_eq!(NetHdr::plain().to_bytes(), [0; NetHdr::BYTES]);
        assert_eq!(NetHdr::plain(), NetHdr::default());
    }

    #[test]
    fn constants_have_the_values_of_the_specification() {
        assert_eq!((NetHdr::NEEDS_CSUM, NetHdr::DATA_VALID), (1, 2));
        assert_eq!((NetHdr::GSO_NONE, NetHdr::GSO_TCPV4, NetHdr::GSO_UDP), (0, 1, 3));
        assert_eq!((NetHdr::GSO_TCPV6, NetHdr::GSO_UDP_L4, NetHdr::GSO_ECN), (4, 5, 0x80));
    }
}
