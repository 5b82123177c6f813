//! What a network card does for Linux, done in software for the ends that take no offloads: a frame
//! that stands for many segments is split, a checksum that was left undone is completed; and, for
//! the ends that take large frames, segments are merged into one.
//!
//! All of it is functions over bytes. A *segment* is one packet of TCP or UDP in a frame of its own;
//! a *GSO frame* stands for several. Lengths and offsets count from the frame's first byte.
//!
//! # What holds
//! * The segments of a GSO frame carry its payload, each byte once and in order, and are what Linux
//!   makes of it (`tcp_gso_segment`, `__udp_gso_segment`, Linux 6.18).
//! * What was merged and is split again are the same segments, byte for byte.
//! * Every segment has whole checksums, and every merged one had right ones.
#![forbid(unsafe_code)]

pub mod checksum;
mod headers;
pub mod merge;
pub mod segment;

pub use headers::{Headers, Protocol};
pub use merge::{Class, Flow, Piece, Run};
pub use segment::{HEADERS_MAX, Segment, Segments};

#[cfg(test)]
mod tests;
