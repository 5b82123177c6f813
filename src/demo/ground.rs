//! Where taps may be made: here, or in a user namespace of one's own.

use std::fmt;

use nix::unistd::geteuid;

use crate::diag::Failure;
use crate::host;
use crate::sys::{capability, userns};

/// The capabilities that the demo needs.
const NEEDED: u64 =
    capability::NET_ADMIN | capability::NET_BROADCAST | capability::NET_RAW | capability::SYS_ADMIN;

/// Where the demo stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ground {
    /// Where it was started.
    Here,
    /// In a user namespace of its own.
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

/// Finds ground, by entering a user namespace where the process lacks privilege. A root without
/// capabilities, as in many containers, is an ordinary user.
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
