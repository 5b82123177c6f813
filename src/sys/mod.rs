//! What the kernel offers and no safe crate names: ioctls of tun, vhost and namespaces by name,
//! their structures, the speed of a link, where a driver is, signals as a file, the terminal, capabilities, a second process, and the entry
//! into a user namespace.
//!
//! Functions here are thin: one call, its arguments checked by type, its refusal named. Policy and
//! hints are added by `host` and `device`.

pub mod capability;
pub mod ethtool;
pub mod ioctl;
pub mod memory;
pub mod module;
pub mod namespace;
pub mod process;
pub mod readiness;
pub mod signals;
pub mod socket;
pub mod terminal;
pub mod tun;
pub mod userns;
pub mod vhost;
