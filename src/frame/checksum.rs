//! The internet checksum ([RFC 1071]) and the completion of a frame that Linux handed over with
//! a partial one.

use crate::counters::DropReason;

use super::NetHdr;

/// A running one's complement sum of 16-bit words.
///
/// Holds 2³² additions of 4 bytes before it could overflow; a frame has 2¹⁴.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    // Words as this machine reads them: byte order does not matter to the sum, only to the end
    // ([RFC 1071] §2 (B)), and 32 bits at a time into 64 need no carry handling (§2 (C)).
    native: u64,
}

impl Sum {
    /// The empty sum.
    pub const fn new() -> Self {
        Self { native: 0 }
    }

    /// Adds `bytes`; an odd last byte counts as followed by 0, so only the last slice of a
    /// message may have an odd length.
    #[must_use]
    pub fn add_slice(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<4>();
        let words: u64 = words.iter().map(|w| u64::from(u32::from_ne_bytes(*w))).sum();
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self { native: self.native + words + u64::from(u32::from_ne_bytes(last)) }
    }

    /// Adds a word given as a number, as lengths and protocols in pseudo headers are.
    #[must_use]
    pub fn add_word(self, word: u16) -> Self {
        self.add_slice(&word.to_be_bytes())
    }

    /// Adds the pseudo header of a TCP or UDP message over IPv4 ([RFC 9293] §3.1).
    #[must_use]
    pub fn add_pseudo_v4(
        self,
        source: [u8; 4],
        destination: [u8; 4],
        protocol: u8,
        bytes: u16,
    ) -> Self {
        self.add_slice(&source)
            .add_slice(&destination)
            .add_word(u16::from(protocol))
            .add_word(bytes)
    }

    /// Adds the pseudo header of a message over IPv6 ([RFC 8200] §8.1); `bytes` is the length of
    /// the upper-layer header and its payload.
    #[must_use]
    pub fn add_pseudo_v6(
        self,
        source: [u8; 16],
        destination: [u8; 16],
        protocol: u8,
        bytes: u32,
    ) -> Self {
        self.add_slice(&source)
            .add_slice(&destination)
            .add_slice(&bytes.to_be_bytes())
            .add_slice(&[0, 0, 0, protocol])
    }

    /// The sum in 16 bits.
    pub const fn folded(self) -> u16 {
        let mut n = self.native;
        // Four rounds bring any 64 bits below 2¹⁶.
        n = (n & 0xffff_ffff) + (n >> 32);
        n = (n & 0xffff_ffff) + (n >> 32);
        n = (n & 0xffff) + (n >> 16);
        n = (n & 0xffff) + (n >> 16);
        n = (n & 0xffff) + (n >> 16);
        let bytes = n.to_ne_bytes();
        // The two low bytes of the native order are the word as it lies in the message.
        if cfg!(target_endian = "little") {
            u16::from_be_bytes([bytes[0], bytes[1]])
        } else {
            u16::from_be_bytes([bytes[6], bytes[7]])
        }
    }

    /// The checksum: the complement of the sum. 0 over a message that contains a right checksum.
    pub const fn checksum(self) -> u16 {
        !self.folded()
    }
}

/// The checksum of one slice.
pub fn internet(bytes: &[u8]) -> u16 {
    Sum::new().add_slice(bytes).checksum()
}

/// Completes the checksum of `frame` in place and takes the request for it out of `hdr`.
///
/// Does nothing without [`NetHdr::NEEDS_CSUM`]. As the kernel does, a sum of 0 is stored as
/// 0xffff (`skb_checksum_help`), which UDP needs and which means the same to the others.
///
/// # Errors
/// [`DropReason::BadHeader`] where the place of the checksum is outside the frame, and for GSO,
/// whose segments each have a checksum of their own. The frame is then unchanged.
pub fn finish(frame: &mut [u8], hdr: &mut NetHdr) -> Result<(), DropReason> {
    if !hdr.needs_csum() {
        return Ok(());
    }
    if hdr.is_gso() {
        return Err(DropReason::BadHeader);
    }
    let start = usize::from(hdr.csum_start);
    let at = start + usize::from(hdr.csum_offset);
    let covered = frame.get(start..).ok_or(DropReason::BadHeader)?;
    // The field holds the pseudo header's sum and is summed with the rest.
    let checksum = match internet(covered) {
        0 => 0xffff,
        sum => sum,
    };
    let field = frame.get_mut(at..at + 2).ok_or(DropReason::BadHeader)?;
    field.copy_from_slice(&checksum.to_be_bytes());
    hdr.flags &= !NetHdr::NEEDS_CSUM;
    hdr.csum_start = 0;
    hdr.csum_offset = 0;
    Ok(())
}

#[cfg(test)]
mod tests;
