//! Completes a checksum that was left undone.

use super::Protocol;
use super::headers::{get, put};
use crate::frame::NetHdr;
use crate::frame::checksum::Sum;

/// Completes the checksum of a frame whose header says [`NetHdr::NEEDS_CSUM`]: from `csum_start` to
/// the frame's end, with what stands in its place, the sum of the pseudo header
/// ([VIRTIO-1.3 §5.1.6.2.1] "Driver Requirements: Packet Transmission"). `false`, and nothing is
/// done, where the place is not in the frame.
///
/// A checksum of UDP that comes out as 0 is sent as 0xffff, because 0 says that there is none
/// ([RFC 768]).
pub fn complete(hdr: &NetHdr, frame: &mut [u8]) -> bool {
    let start = usize::from(hdr.csum_start);
    let at = start + usize::from(hdr.csum_offset);
    if at + 2 > frame.len() {
        return false;
    }
    let sum = Sum::new().add_slice(&frame[start..]).checksum();
    let is_udp = hdr.csum_offset == Protocol::Udp.csum_offset();
    put(frame, at, sent(sum, is_udp).to_be_bytes());
    true
}

/// A checksum as it is sent.
pub(super) const fn sent(checksum: u16, is_udp: bool) -> u16 {
    if is_udp && checksum == 0 { 0xffff } else { checksum }
}

/// The 16 bits at `at`.
pub(super) fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes(get(frame, at))
}
