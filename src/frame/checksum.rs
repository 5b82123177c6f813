//! The internet checksum ([RFC 1071]).

/// A running one's complement sum of 16-bit words.
///
/// Holds 2³² words of 4 bytes before it could overflow; a frame has 2¹⁴.
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
        // Eight sums side by side, of the two halves of 64 bits each: as the machine's vectors have
        // it, and what is left of a block goes by halves alone.
        let (blocks, rest) = bytes.as_chunks::<64>();
        let mut lanes = [0; 8];
        for block in blocks {
            for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
                let word = u64::from_ne_bytes(*word);
                *lane += (word & 0xffff_ffff) + (word >> 32);
            }
        }
        let (words, rest) = rest.as_chunks::<4>();
        let words = words.iter().map(|w| u64::from(u32::from_ne_bytes(*w)));
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        let last = u64::from(u32::from_ne_bytes(last));
        Self { native: self.native + lanes.into_iter().chain(words).sum::<u64>() + last }
    }

    /// Adds a number of 16 bits, as if it stood in the message.
    #[must_use]
    pub fn plus(self, number: u16) -> Self {
        self.add_slice(&number.to_be_bytes())
    }

    /// Takes away a number of 16 bits that was added.
    #[must_use]
    pub fn minus(self, number: u16) -> Self {
        self.plus(!number)
    }

    /// Adds the pseudo header of TCP or UDP: source and destination one after the other, and the
    /// `bytes` of transport header and payload.
    #[must_use]
    pub fn add_pseudo(self, addresses: &[u8], protocol: u8, bytes: u32) -> Self {
        self.add_slice(addresses).add_slice(&bytes.to_be_bytes()).add_slice(&[0, 0, 0, protocol])
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
        self.add_slice(&source).add_pseudo(&destination, protocol, bytes)
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

#[cfg(test)]
mod tests;
