//! The bytes of a frame: the virtio header in front of it, the check before a backend sees it,
//! the internet checksum, and the flow that a frame is of.
//!
//! A *frame* is one Ethernet frame (tap) or IP packet (tun). All lengths and offsets here count
//! from its first byte, the virtio header not included, as `csum_start` does.
#![forbid(unsafe_code)]

pub mod check;
pub mod checksum;
pub mod extensions;
pub mod flow;
pub mod mtu;
pub mod net_hdr;
pub mod network;
pub mod vlan;

pub use check::{HEAD_BYTES, check, check_up_to, needs_head};
pub use net_hdr::NetHdr;
