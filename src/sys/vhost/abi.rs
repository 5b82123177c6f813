//! Numbers and structures of `linux/vhost.h`.

use nix::{request_code_none, request_code_read, request_code_readwrite, request_code_write};

use crate::sys::ioctl::{Code, Request};

/// The file.
pub const PATH: &str = "/dev/vhost-net";

const VHOST_VIRTIO: u8 = 0xaf;

/// `struct vhost_vring_state`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct VringState {
    pub(super) index: u32,
    pub(super) num: u32,
}

/// `struct vhost_vring_file`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct VringFile {
    pub(super) index: u32,
    pub(super) fd: i32,
}

/// `struct vhost_vring_addr`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct VringAddr {
    pub(super) index: u32,
    pub(super) flags: u32,
    pub(super) desc_user_addr: u64,
    pub(super) used_user_addr: u64,
    pub(super) avail_user_addr: u64,
    pub(super) log_guest_addr: u64,
}

/// `struct vhost_memory` without its regions.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryHeader {
    pub(super) nregions: u32,
    pub(super) padding: u32,
}

/// `struct vhost_memory_region`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct MemoryRegion {
    pub(super) guest_phys_addr: u64,
    pub(super) memory_size: u64,
    pub(super) userspace_addr: u64,
    pub(super) flags_padding: u64,
}

const _: () = assert!(size_of::<VringState>() == 8);
const _: () = assert!(size_of::<VringFile>() == 8);
const _: () = assert!(size_of::<VringAddr>() == 40);
const _: () = assert!(size_of::<MemoryHeader>() == 8);
const _: () = assert!(size_of::<MemoryRegion>() == 32);

/// Regions of a memory table: the kernel's default limit (`max_mem_regions` of the vhost module).
pub const MAX_REGIONS: usize = 64;

/// `struct vhost_memory` with room for the most regions.
#[repr(C)]
pub(super) struct MemoryTable {
    pub(super) header: MemoryHeader,
    pub(super) regions: [MemoryRegion; MAX_REGIONS],
}

const fn request(name: &'static str, code: Code) -> Request {
    Request { name, file: PATH, code }
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident = $code:expr;)*) => {
        $($(#[$doc])* pub const $name: Request = request(stringify!($name), $code);)*
    };
}

requests! {
    /// Feature bits that the kernel offers.
    VHOST_GET_FEATURES = request_code_read!(VHOST_VIRTIO, 0x00, 8);
    /// Feature bits that are acknowledged.
    VHOST_SET_FEATURES = request_code_write!(VHOST_VIRTIO, 0x00, 8);
    /// Makes the calling process the owner and starts the worker.
    VHOST_SET_OWNER = request_code_none!(VHOST_VIRTIO, 0x01);
    /// Memory that descriptors may name.
    VHOST_SET_MEM_TABLE = request_code_write!(VHOST_VIRTIO, 0x03, size_of::<MemoryHeader>());
    /// Entries of a ring.
    VHOST_SET_VRING_NUM = request_code_write!(VHOST_VIRTIO, 0x10, size_of::<VringState>());
    /// Where a ring lies.
    VHOST_SET_VRING_ADDR = request_code_write!(VHOST_VIRTIO, 0x11, size_of::<VringAddr>());
    /// The next available index that the kernel reads.
    VHOST_SET_VRING_BASE = request_code_write!(VHOST_VIRTIO, 0x12, size_of::<VringState>());
    /// As it stands.
    VHOST_GET_VRING_BASE = request_code_readwrite!(VHOST_VIRTIO, 0x12, size_of::<VringState>());
    /// The eventfd that we kick.
    VHOST_SET_VRING_KICK = request_code_write!(VHOST_VIRTIO, 0x20, size_of::<VringFile>());
    /// The eventfd that the kernel calls.
    VHOST_SET_VRING_CALL = request_code_write!(VHOST_VIRTIO, 0x21, size_of::<VringFile>());
    /// The eventfd that the kernel signals when it gives a ring up.
    VHOST_SET_VRING_ERR = request_code_write!(VHOST_VIRTIO, 0x22, size_of::<VringFile>());
    /// The tun file behind a ring; -1 stops it.
    VHOST_NET_SET_BACKEND = request_code_write!(VHOST_VIRTIO, 0x30, size_of::<VringFile>());
    /// Whether the worker is a thread of the owner or of the kernel (Linux 6.17).
    VHOST_SET_FORK_FROM_OWNER = request_code_write!(VHOST_VIRTIO, 0x84, 1);
    /// As it stands.
    VHOST_GET_FORK_FROM_OWNER = request_code_read!(VHOST_VIRTIO, 0x85, 1);
}
