//! What a tun or tap device is to be.

use crate::units::{HostOffload, IfName, Kind};

/// Bytes of `virtio_net_hdr_v1`, which stands before every frame.
pub const VNET_HDR_BYTES: i32 = 12;

/// How the device is to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostName {
    /// So and not otherwise.
    Exact(IfName),
    /// This name or, if another device has it, the first free `tapN` or `tunN`.
    FirstFree(IfName),
}

impl HostName {
    /// The name that is tried first.
    pub const fn wanted(&self) -> &IfName {
        match self {
            Self::Exact(name) | Self::FirstFree(name) => name,
        }
    }
}

/// What to make.
#[derive(Debug, Clone)]
pub struct TapSpec {
    /// Tap or tun.
    pub kind: Kind,
    /// Its name.
    pub host_name: HostName,
    /// Queue files: 1…256 (`MAX_TAP_QUEUES`). More than one asks for `IFF_MULTI_QUEUE`.
    pub queues: u16,
    /// Most bytes that written frames may hold (`TUNSETSNDBUF`): `i32::MAX`; one less for a tun on
    /// vhost-net, whose batches presume Ethernet.
    pub sndbuf: i32,
    /// What the host leaves undone in the frames that it sends us.
    pub offload: HostOffload,
    /// User who may attach (`TUNSETOWNER`).
    pub owner: Option<u32>,
    /// Group that may attach (`TUNSETGROUP`).
    pub group: Option<u32>,
}
