//! Chooses where the demo makes its taps: in the current namespaces, or in a new user namespace.

use std::fmt;

use nix::unistd::geteuid;

use crate::diag::Failure;
use crate::host;
use crate::sys::{capability, userns};

/// The capabilities that the demo needs.
const NEEDED: u64 =
    capability::NET_ADMIN | capability::NET_BROADCAST | capability::NET_RAW | capability::SYS_ADMIN;

/// The user namespace in which the demo runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// The one it was started in.
    Here,
    /// A new one.
    UserNamespace,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here => Ok(()),
            Self::UserNamespace => f.write_str(", in a user namespace of its own"),
        }
    }
}

/// Enters a new user namespace if the process lacks privilege. Root without capabilities, as in many
/// containers, counts as an ordinary user.
pub(super) fn find() -> Result<Ground, Failure> {
    host::check_tun()?;
    if capability::effective() & NEEDED == NEEDED {
        return Ok(Ground::Here);
    }
    match userns::enter() {
        Ok(()) => Ok(Ground::UserNamespace),
        Err(failure) if geteuid().is_root() => {
            let hint = failure.hint.clone().map_or_else(String::new, |hint| format!("{hint}\n"));
            Err(failure.hint(format!(
                "{hint}this root has not CAP_NET_ADMIN, CAP_NET_BROADCAST, CAP_NET_RAW and \
                 CAP_SYS_ADMIN: in a container pass --cap-add for them"
            )))
        }
        Err(failure) => Err(failure),
    }
}
