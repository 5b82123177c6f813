//! What a driver's ring takes, gives back and says of itself.

/// A piece of memory that a chain is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Offset into the shared file.
    pub addr: u64,
    /// Bytes, at least 1.
    pub len: u32,
}

/// The side that writes the memory of a queue's chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The driver wrote it; the device reads (transmit).
    Driver,
    /// The device (receive).
    Device,
}

/// The ring has no room for the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// A chain that the device has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// What [`DriverRing::post`](super::DriverRing::post) was given.
    pub token: u64,
    /// Number of its head entry.
    pub head: u16,
    /// Bytes that the device wrote; never more than were posted. 0 for a chain that it only read.
    pub written: u32,
    /// Bytes of the chain as posted.
    pub posted: u32,
}

/// Which rule of the ring the device broke. What such a device writes is trusted no more: the ring
/// moves nothing until it is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Violation {
    /// `used_idx` moved by more than there are chains in flight.
    UsedIndexJumped,
    /// A used element's `id` is no entry of the ring.
    UsedIdOutOfRange,
    /// The `id` of a used element is not in flight.
    UsedIdNotInFlight,
    /// A used element's `len` is more than the chain holds.
    UsedLengthTooLong,
}

/// Where both sides stand, for `show`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions {
    /// Chains made available, modulo 2^16.
    pub avail_idx: u16,
    /// What the device last wrote.
    pub used_idx: u16,
    /// Used entries taken.
    pub last_used_idx: u16,
    /// Descriptors in the device's hands.
    pub desc_in_use: u16,
    /// Flag word of the available ring.
    pub avail_flags: u16,
    /// Flag word of the used ring.
    pub used_flags: u16,
}

/// One entry of a descriptor table, for `show` ([VIRTIO-1.3 §2.7.5] "The Virtqueue Descriptor
/// Table").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// Offset into the shared file.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
    /// Flag bits.
    pub flags: u16,
    /// Next entry of the chain.
    pub next: u16,
}
