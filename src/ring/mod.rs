//! Split virtqueues, the driver's and the device's side of one layout
//! ([VIRTIO-1.3 §2.7] "Split Virtqueues").
//!
//! # Theory of operation
//! A ring lies in the shared memory file: descriptor table, available ring, used ring, and for
//! transmit a table of indirect descriptors per entry. [`DriverRing`] is the driver's side. What it
//! must remember (which entries are free, whose buffers are in which chain, how far both sides
//! came) is its *shadow*, in the private memory file, where no device can change it: everything
//! read from the shared file is checked against the shadow, and each shared field is read once.
//! A driver rebuilt from the two files goes on where the last one stood.
//! [`DeviceRing`] is the device's side, used by the user-space backend; its state is its own.
//!
//! Both sides work in bursts: entries first, then one publish of the index, one full fence, one
//! look at whether the other side wants to be notified. Either side belongs to one thread at a
//! time. Nothing here makes system calls, allocates or waits.
//!
//! | index | written by | says |
//! |---|---|---|
//! | `avail_idx` | driver | chains made available, free-running modulo 2^16 |
//! | `used_idx` | device | chains used, free-running modulo 2^16 |
//! | `last_used_idx` | driver's shadow | used entries it has taken |
//! | `last_avail_idx` | device's state | available entries it has taken |
//! | `used_event` | driver, tail of the available ring | call me when `used_idx` passes this |
//! | `avail_event` | device, tail of the used ring | kick me when `avail_idx` passes this |
//!
//! Ordering, the same on both sides: entries → (release) → own index → (full fence) → the other's
//! event word; and before sleeping: own event word → (full fence) → the other's index. The two
//! fences pair, so that of two sides that race one sees the other ([VIRTIO-1.3 §2.7.13]
//! "Supplying Buffers to The Device").

mod device;
mod driver;
mod layout;
mod notify;
mod shared;

pub use device::{Chain, DeviceRing, DeviceSegment};
pub use driver::{
    Descriptor, DriverRing, Full, Positions, Segment, Unrecoverable, Used, Violation, Writer,
};
pub use layout::{AvailRing, RingLayout, ShadowLayout, UsedRing};
use std::sync::atomic::{AtomicU64, Ordering};

pub use shared::{AtomicArray, MemoryMap, OutOfRange};

/// Most segments of one chain: a maximal frame in 2 KiB buffers, and room to spare.
pub const MAX_SEGMENTS: usize = 64;

/// The chain goes on at `next`.
const DESC_F_NEXT: u16 = 1;
/// The device writes the memory.
const DESC_F_WRITE: u16 = 2;
/// The descriptor points at a table of descriptors.
const DESC_F_INDIRECT: u16 = 4;

/// The second word of a descriptor: len, flags, next.
const fn pack(len: u32, flags: u16, next: u16) -> u64 {
    len as u64 | (flags as u64) << 32 | (next as u64) << 48
}

/// A descriptor in a table: the address, and what [`pack`] makes of the rest.
type AtomicDesc = [AtomicU64; 2];

/// Both words of a descriptor.
fn load_desc([addr, rest]: &AtomicDesc) -> (u64, u64) {
    (u64::from_le(addr.load(Ordering::Relaxed)), u64::from_le(rest.load(Ordering::Relaxed)))
}

/// The parts of that word.
const fn unpack(rest: u64) -> (u32, u16, u16) {
    ((rest & 0xffff_ffff) as u32, ((rest >> 32) & 0xffff) as u16, (rest >> 48) as u16)
}

#[cfg(test)]
mod tests;
