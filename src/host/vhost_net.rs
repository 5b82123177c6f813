//! Opening /dev/vhost-net.

use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;

use crate::diag::{Code, Failure};
use crate::sys::module::{self, Driver};
use crate::sys::userns;
use crate::sys::vhost::PATH;

/// Opens /dev/vhost-net. Whether it is the device of that name, the device layer finds out.
///
/// # Errors
/// [`Code::NoBackend`] when there is none, [`Code::NotPermitted`] when it may not be opened.
pub fn open_vhost_net() -> Result<OwnedFd, Failure> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(PATH);
    opened.map(OwnedFd::from).map_err(|e| open_failure(&e))
}

/// What the kernel's answer means here, and what helps.
fn open_failure(error: &std::io::Error) -> Failure {
    let failure = Failure::io(format!("open {PATH}"), "", error);
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT | Errno::ENXIO | Errno::ENODEV) => {
            failure.code(Code::NoBackend).hint(missing(module::driver("vhost-net", "vhost_net")))
        }
        Some(Errno::EACCES | Errno::EPERM) if userns::is_root() => failure.hint(
            "a container or unit must be given the device: pass --device /dev/vhost-net; or use \
             `backend userspace'",
        ),
        Some(Errno::EACCES | Errno::EPERM) => failure.hint(
            "run it as root, give this user read and write on it, or use `backend userspace'",
        ),
        _ => failure.code(Code::NoBackend),
    }
}

/// What makes the device file appear.
const fn missing(driver: Driver) -> &'static str {
    match driver {
        Driver::Present => {
            "`mknod /dev/vhost-net c 10 238', in a container --device /dev/vhost-net, makes it; or \
             use `backend userspace'"
        }
        Driver::Loadable => {
            "load the vhost_net module (modprobe vhost_net), or use `backend userspace'"
        }
        Driver::Absent => "use `backend userspace'; the kernel needs CONFIG_VHOST_NET for this one",
    }
}
