//! Collects facts about the machine. All that is opened, made or mapped here is removed at the
//! return.

use std::fs::{self, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::utsname::uname;
use nix::unistd::geteuid;

use super::{Facts, Knobs, Node};
use crate::device::{MEMORY_BYTES, Memory, VhostProbe};
use crate::diag::{Code, Failure};
use crate::doctor::Holder;
use crate::host::{self, HostName, Offloads, StagingNamespace, TapSpec};
use crate::sys::module::Driver;
use crate::sys::{capability, tun, userns, vhost};
use crate::units::{HostOffload, IfName, Kind, MemorySize};

/// Collects. Blocks for some tens of milliseconds.
pub(in crate::doctor) fn collect(holder: Holder) -> Facts {
    let kernel = uname()
        .map_or_else(|_| String::new(), |name| name.release().to_string_lossy().into_owned());
    let (tun, tun_file) = open(tun::PATH);
    let (vhost, probed) = probe_vhost();
    let staging = StagingNamespace::new();
    let tap = match (&tun_file, &staging) {
        (Some(_), Ok(staging)) => Some(make_tap(staging)),
        _ => None,
    };
    Facts {
        tun,
        tun_flags: tun_file.as_ref().and_then(|file| tun::get_features(file.as_fd()).ok()),
        tun_driver: driver(tun_file.is_some(), "tun", "tun"),
        vhost,
        vhost_features: probed.map(|probed| probed.offered),
        vhost_worker: probed.and_then(|probed| probed.worker),
        vhost_driver: driver(probed.is_some(), "vhost-net", "vhost_net"),
        namespace: staging.map(drop),
        tap,
        uid: geteuid().as_raw(),
        capabilities: capability::effective(),
        in_user_namespace: !userns::is_initial(),
        knobs: Knobs {
            max_user_namespaces: sysctl("user/max_user_namespaces"),
            unprivileged_userns_clone: sysctl("kernel/unprivileged_userns_clone"),
            apparmor_restrict: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
        },
        files: getrlimit(Resource::RLIMIT_NOFILE).ok(),
        memory: map_memory(),
        cgroup_limit: cgroup_limit(),
        kernel,
        holder,
    }
}

/// Whether /dev/vhost-net is there and what it says it is.
fn probe_vhost() -> (Node, Option<VhostProbe>) {
    let mode = mode_of(vhost::PATH);
    match host::open_vhost_net().and_then(VhostProbe::new) {
        Ok(probed) => (Node { mode, opened: Ok(()) }, Some(probed)),
        Err(failure) => (Node { mode, opened: Err(failure) }, None),
    }
}

fn mode_of(path: &str) -> Option<u32> {
    fs::metadata(path).ok().map(|about| about.permissions().mode() & 0o7777)
}

fn open(path: &str) -> (Node, Option<OwnedFd>) {
    let mode = mode_of(path);
    let file = OpenOptions::new().read(true).write(true).custom_flags(O_NONBLOCK).open(path);
    match file {
        Ok(file) => (Node { mode, opened: Ok(()) }, Some(file.into())),
        Err(e) => {
            let failure = Failure::io(format!("open {path}"), "", &e);
            (Node { mode, opened: Err(failure) }, None)
        }
    }
}

/// Makes a tap with every offload in the staging namespace, and removes it.
fn make_tap(staging: &StagingNamespace) -> Result<Offloads, Failure> {
    let name = IfName::new("doctor0").map_err(|e| Failure::new(Code::Failed, "", e.0))?;
    let spec = TapSpec {
        kind: Kind::Tap,
        host_name: HostName::Exact(name),
        queues: 1,
        sndbuf: i32::MAX,
        offload: HostOffload::Gso,
        owner: None,
        group: None,
    };
    let made = host::on_a_thread(|thread| host::open(thread, staging, staging.as_fd(), &spec));
    made.map(|tap| tap.offloads())
}

/// A file that opens has its driver.
fn driver(opens: bool, misc: &str, module: &str) -> Driver {
    if opens { Driver::Present } else { crate::sys::module::driver(misc, module) }
}

fn sysctl(path: &str) -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc/sys").join(path)).ok()?;
    text.trim().parse().ok()
}

/// Maps what a holder maps. No page of it is touched.
fn map_memory() -> Result<(), Failure> {
    // A file that grows beyond this limit ends the process with SIGXFSZ.
    if let Ok((soft, _)) = getrlimit(Resource::RLIMIT_FSIZE)
        && soft < MEMORY_BYTES
    {
        let cause = format!("the limit of file sizes (RLIMIT_FSIZE) is {soft} bytes");
        return Err(Failure::new(Code::Failed, "", cause).hint("or raise it: ulimit -f unlimited"));
    }
    let size = MemorySize::new(MEMORY_BYTES).map_err(|e| Failure::new(Code::Failed, "", e.0))?;
    Memory::new(size).map(drop)
}

/// The least `memory.max` of the cgroup of this process and those around it (cgroup v2).
fn cgroup_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = PathBuf::from("/sys/fs/cgroup");
    let place = root.join(own);
    let limits =
        place.ancestors().take_while(|group| group.starts_with(&root)).filter_map(|group| {
            fs::read_to_string(group.join("memory.max")).ok()?.trim().parse::<u64>().ok()
        });
    limits.min()
}
