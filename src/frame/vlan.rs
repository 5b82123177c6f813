//! The VLAN tags of a frame, and the change of its header when some are added or removed.

use super::NetHdr;
use crate::units::{TagType, VlanId};

/// Offset of the first tag, or of the ethertype where there is none.
pub const TAGS_AT: usize = 12;

/// Bytes of a frame's begin that [`Tags::of`] looks at: two tags and the ethertype behind.
pub const TAGS_BYTES: usize = TAGS_AT + 2 * 4 + 2;

/// The two outermost tags of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags {
    /// Type and VLAN of the outermost.
    pub outer: Option<(TagType, VlanId)>,
    /// Of the next.
    pub inner: Option<(TagType, VlanId)>,
    /// There are more behind these two.
    pub more: bool,
}

impl Tags {
    /// Those of the frame that begins like this.
    pub fn of(head: &[u8]) -> Self {
        let word = |at: usize| Some(u16::from_be_bytes(head.get(at..at + 2)?.try_into().ok()?));
        let kind = |at| TagType::of_ether_type(word(at)?);
        let tag = |at: usize| Some((kind(at)?, VlanId::of_tci(word(at + 2)?)));
        let outer = tag(TAGS_AT);
        let inner = outer.and_then(|_| tag(TAGS_AT + 4));
        Self { outer, inner, more: inner.is_some() && kind(TAGS_AT + 8).is_some() }
    }

    /// How many there are, at most 3.
    pub fn count(&self) -> u8 {
        u8::from(self.outer.is_some()) + u8::from(self.inner.is_some()) + u8::from(self.more)
    }
}

/// The header of a frame whose link header has grown by `added` bytes (or shrunk): its offsets are
/// from the frame's begin. One whose offsets leave 16 bits stays as it is; no check passes it.
#[must_use]
pub fn shifted(hdr: &NetHdr, added: i16) -> NetHdr {
    let moved = |offset: u16| offset.checked_add_signed(added).unwrap_or(offset);
    let csum_start = if hdr.needs_csum() { moved(hdr.csum_start) } else { hdr.csum_start };
    let hdr_len = if hdr.hdr_len > 0 { moved(hdr.hdr_len) } else { 0 };
    NetHdr { csum_start, hdr_len, ..*hdr }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> VlanId {
        VlanId::new(n).unwrap()
    }

    #[test]
    fn tags_are_read_as_deep_as_two_and_a_cut_frame_has_what_is_there() {
        let mut frame = vec![0; 12];
        frame.extend([0x88, 0xa8, 0xe0, 5, 0x81, 0, 0x1f, 0xff, 0x81, 0, 0, 1, 8, 0]);
        let outer = Some((TagType::Dot1ad, id(5)));
        let inner = Some((TagType::Dot1q, id(4095)));
        assert_eq!(Tags::of(&frame), Tags { outer, inner, more: true });
        assert_eq!(Tags::of(&frame).count(), 3);
        let two = [&frame[..20], &[8, 0]].concat();
        assert_eq!(Tags::of(&two), Tags { outer, inner, more: false });
        assert_eq!(Tags::of(&frame[..19]), Tags { outer, inner: None, more: false });
        assert_eq!(Tags::of(&[0; 60]), Tags::default());
        for cut in 0..frame.len() {
            Tags::of(&frame[..cut]);
        }
    }

    #[test]
    fn offsets_move_with_the_link_header_where_they_mean_something() {
        let hdr = NetHdr { flags: 1, hdr_len: 54, csum_start: 34, ..NetHdr::plain() };
        let longer = shifted(&hdr, 4);
        assert_eq!((longer.hdr_len, longer.csum_start), (58, 38));
        assert_eq!(shifted(&longer, -4), hdr);
        assert_eq!(shifted(&NetHdr::plain(), 8), NetHdr::plain());
        let odd = NetHdr { flags: 1, hdr_len: 2, csum_start: 0xffff, ..NetHdr::plain() };
        assert_eq!(shifted(&odd, 4).csum_start, 0xffff);
        assert_eq!(shifted(&odd, -4).hdr_len, 2);
    }
}
