//! What this machine offers: the facts, how they are collected, and what they come to.

mod collect;
mod judge;
mod limits;
#[cfg(test)]
mod tests;

use super::Holder;
use crate::diag::Failure;
use crate::host::Offloads;
use crate::sys::module::Driver;
use crate::sys::vhost::Worker;

pub(super) use collect::collect;
pub(super) use judge::judge;

/// Everything that was asked.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) tun: Node,
    /// The flags of `TUNGETFEATURES`, where the file opens.
    pub(super) tun_flags: Option<u32>,
    pub(super) tun_driver: Driver,
    pub(super) vhost: Node,
    /// The feature word of `VHOST_GET_FEATURES`, where the file opens.
    pub(super) vhost_features: Option<u64>,
    /// The kind of its workers, where the kernel reports it.
    pub(super) vhost_worker: Option<Worker>,
    pub(super) vhost_driver: Driver,
    /// A network namespace could be made.
    pub(super) namespace: Result<(), Failure>,
    /// A tap could be made there, and what its host may send; none where it was not tried, since
    /// there was no file or no namespace for it.
    pub(super) tap: Option<Result<Offloads, Failure>>,
    pub(super) uid: u32,
    /// Effective capabilities.
    pub(super) capabilities: u64,
    /// In a user namespace other than the machine's first.
    pub(super) in_user_namespace: bool,
    pub(super) knobs: Knobs,
    /// `uname -r`.
    pub(super) kernel: String,
    /// Soft and hard limit of open files.
    pub(super) files: Option<(u64, u64)>,
    /// The memory of a holder could be mapped.
    pub(super) memory: Result<(), Failure>,
    /// Least limit of the memory cgroups around this process, bytes; none: no limit.
    pub(super) cgroup_limit: Option<u64>,
    pub(super) holder: Holder,
}

/// A device file.
#[derive(Debug)]
pub(super) struct Node {
    /// Its permission bits; none where it is not there.
    pub(super) mode: Option<u32>,
    /// Whether it opens for reading and writing.
    pub(super) opened: Result<(), Failure>,
}

/// Settings that allow or forbid user namespaces; none where this kernel has no such setting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Knobs {
    /// `user.max_user_namespaces`.
    pub(super) max_user_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, of Debian.
    pub(super) unprivileged_userns_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`, of Ubuntu.
    pub(super) apparmor_restrict: Option<u64>,
}
