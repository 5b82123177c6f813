//! The check of a frame and its virtio header before a backend sees them.
//!
//! At least as strict as what `tun_get_user` and `__virtio_net_hdr_to_skb` do on a write (tun.c,
//! include/linux/virtio_net.h, Linux 6.18): what passes here does not come back as EINVAL. It
//! passes everything that Linux hands over from a tap with CSUM, TSO4, TSO6, USO4 and USO6 on,
//! so a frame can always go from one tap to another.
//!
//! # What a backend can still change
//! The frame lies in memory that the backend which received it can write. The header that was
//! checked is the one that is posted: it is read once, and stored again when the frame is put into
//! a transmit ring. After that, and for the frame's own bytes at any time, a backend that writes
//! into buffers it has used can still change what the next one reads. A copy would not help: it
//! would lie in the same memory, which such a backend has mapped. Today's backends are the kernel
//! and this process, so neither is an attacker. The check is no barrier between them: it keeps the
//! drop reasons true and spares the kernel needless work, and the kernel, which copies a header
//! before it looks at it, checks each frame again. A frame that was changed costs that frame, as
//! `write_einval` on userspace, and moves no buffer to another place. A backend in a process of its
//! own that is not trusted needs a memory file of its own, and its frames copied out of it.
//!
//! | rule | kernel | here |
//! |---|---|---|
//! | `gso_type` | the known types, UFO included | TCPV4, TCPV6, either with ECN, and UDP_L4 |
//! | unknown `flags` | ignored | refused |
//! | `csum_start + csum_offset` | within the frame, ≥ 20 | the same, and below 2¹⁶ with room for the kernel's headroom |
//! | `hdr_len` | within the frame, for a tap 0 or ≥ 14 | the same |
//! | `gso_size` | not 0, not 0xffff | the same, and see [`SMALL_SEGMENTS_MAX`] |
//! | UDP_L4 | NEEDS_CSUM, offset 6, ≤ 128 segments | the same |
//! | TCP GSO without NEEDS_CSUM | taken | only with DATA_VALID |
//! | IP version, protocol and place of the transport header of GSO | looked at only without NEEDS_CSUM | must agree with `gso_type` and `csum_start` |
//! | first nibble on a tun | 4 or 6 | 4 or 6 |

use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, ip_number};

use crate::counters::DropReason;
use crate::units::Kind;

use super::NetHdr;
use super::extensions::{Upper, upper_layer};
use super::network::network_layer;

/// Bytes of a frame's beginning that [`check`] looks at: Ethernet, two VLAN tags, the longest
/// IPv4 header or IPv6 with some extension headers, TCP.
pub const HEAD_BYTES: usize = 192;

/// Least `gso_size` of TCP that is taken whatever the number of segments (`TCP_MIN_GSO_SIZE`):
/// the kernel's least MSS of 48 less 40 bytes of TCP options.
pub const TCP_GSO_SIZE_MIN: u16 = 8;

/// Most segments of a TCP frame whose `gso_size` is below [`TCP_GSO_SIZE_MIN`].
///
/// The kernel takes `gso_size` 1, so that one write of 64 KiB becomes 65,000 segments. No Linux
/// sender makes such frames, but GRO does when a peer's segments are that small, as many as a few
/// NAPI polls of 64 deliver; those are forwarded to a tap as they are.
pub const SMALL_SEGMENTS_MAX: u32 = 512;

/// Most datagrams of a UDP_L4 frame (`UDP_MAX_SEGMENTS`; 64 before Linux 6.9, whose own frames
/// keep below that, and which answers EINVAL above).
pub const UDP_SEGMENTS_MAX: u32 = 128;

/// Largest `csum_start`: the kernel keeps it in 16 bits together with the headroom of its buffer
/// (`skb_partial_csum_set`), which is below 1024 bytes.
const CSUM_START_MAX: u32 = 0xffff - 1024;

/// Least `csum_start`, whatever the kind: an IPv4 header (`nh_min_len`).
const CSUM_START_MIN: u32 = 20;

const ETHERNET_BYTES: u32 = 14;
const TCP_CSUM_OFFSET: u16 = 16;
const UDP_CSUM_OFFSET: u16 = 6;
const TCP_BYTES: u32 = 20;
const UDP_BYTES: u32 = 8;

/// Whether [`check`] looks at the frame's own bytes, beyond its header and length.
pub const fn needs_head(kind: Kind, hdr: &NetHdr) -> bool {
    matches!(kind, Kind::Tun) || hdr.gso_type != NetHdr::GSO_NONE
}

/// Decides whether a frame may be shown to a backend.
///
/// `frame_bytes` is the length of the frame without the virtio header, `head` its first
/// [`HEAD_BYTES`] bytes, or all of it when it is shorter; it may be empty where [`needs_head`] says
/// so. Reads nothing else, allocates nothing.
///
/// # Errors
/// [`DropReason::ShortFrame`], [`DropReason::Oversize`] (also for frames that are not GSO),
/// [`DropReason::BadVersion`] on a tun, or [`DropReason::BadHeader`].
pub fn check(kind: Kind, hdr: &NetHdr, frame_bytes: u32, head: &[u8]) -> Result<(), DropReason> {
    check_up_to(kind.max_frame_bytes(), kind, hdr, frame_bytes, head)
}

/// As [`check`], with this length as the maximum.
///
/// # Errors
/// As [`check`].
pub fn check_up_to(
    longest: u32,
    kind: Kind,
    hdr: &NetHdr,
    frame_bytes: u32,
    head: &[u8],
) -> Result<(), DropReason> {
    if frame_bytes < kind.min_frame_bytes() {
        return Err(DropReason::ShortFrame);
    }
    if frame_bytes > longest {
        return Err(DropReason::Oversize);
    }
    if !version_known(kind, head) {
        return Err(DropReason::BadVersion);
    }
    let fits = flags_known(hdr)
        && hdr_len_fits(kind, hdr, frame_bytes)
        && partial_csum_fits(hdr, frame_bytes)
        && gso_fits(kind, hdr, frame_bytes, head);
    if fits { Ok(()) } else { Err(DropReason::BadHeader) }
}

const fn flags_known(hdr: &NetHdr) -> bool {
    hdr.flags & !(NetHdr::NEEDS_CSUM | NetHdr::DATA_VALID) == 0
}

fn hdr_len_fits(kind: Kind, hdr: &NetHdr, frame_bytes: u32) -> bool {
    let hdr_len = u32::from(hdr.hdr_len);
    let least = match kind {
        Kind::Tap => ETHERNET_BYTES,
        Kind::Tun => 0,
    };
    hdr_len == 0 || (least..=frame_bytes).contains(&hdr_len)
}

fn partial_csum_fits(hdr: &NetHdr, frame_bytes: u32) -> bool {
    if !hdr.needs_csum() {
        return true;
    }
    let start = u32::from(hdr.csum_start);
    let end = start + u32::from(hdr.csum_offset) + 2;
    // The kernel stores `end` in 16 bits as the new `hdr_len`.
    (CSUM_START_MIN..=CSUM_START_MAX).contains(&start)
        && end <= frame_bytes
        && end <= u32::from(u16::MAX)
}

/// On a tun the first nibble is all the kernel has to tell the protocol.
fn version_known(kind: Kind, head: &[u8]) -> bool {
    kind == Kind::Tap || matches!(head.first().map(|b| b >> 4), Some(4 | 6))
}

fn gso_fits(kind: Kind, hdr: &NetHdr, frame_bytes: u32, head: &[u8]) -> bool {
    let (protocol, transport_bytes, csum_offset) = match hdr.gso_type & !NetHdr::GSO_ECN {
        NetHdr::GSO_NONE => return hdr.gso_type == NetHdr::GSO_NONE,
        NetHdr::GSO_TCPV4 | NetHdr::GSO_TCPV6 => (ip_number::TCP, TCP_BYTES, TCP_CSUM_OFFSET),
        // ECN is about TCP.
        NetHdr::GSO_UDP_L4 if hdr.gso_type == NetHdr::GSO_UDP_L4 => {
            (ip_number::UDP, UDP_BYTES, UDP_CSUM_OFFSET)
        }
        _ => return false,
    };
    // 0xffff marks a list of fragments inside the kernel (`GSO_BY_FRAGS`).
    if matches!(hdr.gso_size, 0 | 0xffff) {
        return false;
    }
    if hdr.needs_csum() {
        if hdr.csum_offset != csum_offset {
            return false;
        }
    } else if hdr.flags & NetHdr::DATA_VALID == 0 || protocol == ip_number::UDP {
        // `netif_needs_gso` splits in software what is neither partial nor verified, so Linux
        // never hands it over; UDP is refused by the kernel itself.
        return false;
    }
    let Some(transport) = Transport::find(kind, hdr, head, protocol) else { return false };
    if hdr.needs_csum() && !transport.may_be_at(u32::from(hdr.csum_start)) {
        return false;
    }
    let start = if hdr.needs_csum() { u32::from(hdr.csum_start) } else { transport.least() };
    let Some(payload) = frame_bytes.checked_sub(start + transport_bytes) else { return false };
    segments_bearable(hdr, payload, protocol)
}

fn segments_bearable(hdr: &NetHdr, payload: u32, protocol: IpNumber) -> bool {
    let segments = payload.div_ceil(u32::from(hdr.gso_size).max(1));
    if protocol == ip_number::UDP {
        segments <= UDP_SEGMENTS_MAX
    } else {
        hdr.gso_size >= TCP_GSO_SIZE_MIN || segments <= SMALL_SEGMENTS_MAX
    }
}

/// Where the transport header of a GSO frame that was checked is, or not before.
pub(super) fn transport_offset(kind: Kind, hdr: &NetHdr, head: &[u8]) -> u32 {
    if hdr.needs_csum() {
        return hdr.csum_start.into();
    }
    let protocol = match hdr.gso_type {
        NetHdr::GSO_UDP_L4 => ip_number::UDP,
        _ => ip_number::TCP,
    };
    Transport::find(kind, hdr, head, protocol).map_or(0, Transport::least)
}

/// Where the transport header of a GSO frame is.
#[derive(Debug, Clone, Copy)]
enum Transport {
    At(u32),
    /// Behind extension headers that end beyond the head.
    NotBefore(u32),
}

impl Transport {
    /// Parses `head` and compares it with the type; `None` when they disagree.
    fn find(kind: Kind, hdr: &NetHdr, head: &[u8], wanted: IpNumber) -> Option<Self> {
        let (network, version) = network_layer(kind, head)?;
        let packet = head.get(network..)?;
        let (v4, v6) = match hdr.gso_type & !NetHdr::GSO_ECN {
            NetHdr::GSO_TCPV4 => (true, false),
            NetHdr::GSO_TCPV6 => (false, true),
            _ => (true, true),
        };
        match version {
            4 if v4 => {
                let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
                let right = header.protocol() == wanted && !header.is_fragmenting_payload();
                right.then_some(())?;
                Some(Self::At(u32::try_from(network + header.slice().len()).ok()?))
            }
            6 if v6 => {
                let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
                let fixed = header.slice().len();
                let base = network + fixed;
                match upper_layer(header.next_header(), packet.get(fixed..)?) {
                    Upper::At { protocol, offset, .. } if protocol == wanted => {
                        Some(Self::At(u32::try_from(base + offset).ok()?))
                    }
                    Upper::Beyond { offset } => {
                        Some(Self::NotBefore(u32::try_from(base + offset).ok()?))
                    }
                    Upper::At { .. } | Upper::Fragment => None,
                }
            }
            _ => None,
        }
    }

    const fn may_be_at(self, start: u32) -> bool {
        match self {
            Self::At(at) => start == at,
            Self::NotBefore(at) => start >= at,
        }
    }

    const fn least(self) -> u32 {
        match self {
            Self::At(at) | Self::NotBefore(at) => at,
        }
    }
}

#[cfg(test)]
mod tests;
