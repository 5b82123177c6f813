//! Everything that needs privilege: tun devices, links, addresses, routes, namespaces and their
//! events. Takes owned data and open files, returns files and facts, and sees no frame.
//!
//! # Theory of operation
//! Functions here block, so they are called on a short-lived thread that ends afterwards, never on
//! the control thread; [`watch::Watch`] alone is for the control thread's runtime. Only a thread
//! that ends with its work changes its namespace ([`HostThread`]); it enters each namespace once for
//! all that it asks there.
//!
//! Identity of a device is its tun file, not its name, and nothing of ours keeps the namespace of a
//! device alive: a tun file and a netlink socket hold the namespace that they were opened in, so
//! both are opened in the holder's private [`staging`] namespace or closed before a function
//! returns. Undoing everything is closing the tun files: the kernel takes device, addresses and
//! routes with the last of them.
//
mod address;
pub mod attach;
mod birth;
mod carrier;
pub mod facts;
pub mod inspect;
pub mod link;
pub mod namespace;
mod nsid;
pub mod offloads;
mod persist;
mod refusal;
mod route;
pub mod session;
pub mod spec;
pub mod staging;
pub mod tap;
#[cfg(test)]
mod tests;
pub mod thread;
pub mod vhost_net;
pub mod watch;

pub use attach::{Additions, Before, attach, attachable};
pub use birth::check_tun;
pub use carrier::set_carrier;
pub use facts::{Absent, Difference, HostFacts, difference, facts, is_gone, locate, with_device};
pub use offloads::{Offloads, set_offloads};
pub use persist::set_persist;
pub use route::Gateway;
pub use session::{Session, Subject};
pub use spec::{HostName, TapSpec};
pub use staging::{StagingNamespace, anonymous};
pub use tap::{Tap, open};
pub use thread::{HostThread, aside, in_namespace, on_a_thread};
pub use vhost_net::open_vhost_net;
pub use watch::{Watch, WatchEvent, nsid_of};
