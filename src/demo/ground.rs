//! Where taps may be made: here, or in a user namespace of one's own.

use std::fmt;
use std::fs;

use nix::unistd::geteuid;

use crate::diag::Failure;
use crate::host;
use crate::sys::userns;

/// The capabilities that the demo needs, by their numbers in `linux/capability.h`:
/// `CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_SYS_ADMIN`.
const NEEDED: u64 = 1 << 12 | 1 << 13 | 1 << 21;

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
    let status = fs::read_to_string("/proc/self/status")
        .map_err(|e| Failure::io("read /proc/self/status", "", &e))?;
    if effective(&status) & NEEDED == NEEDED {
        return Ok(Ground::Here);
    }
    match userns::enter() {
        Ok(()) => Ok(Ground::UserNamespace),
        Err(failure) if geteuid().is_root() => {
            let hint = failure.hint.clone().map_or_else(String::new, |hint| format!("{hint}\n"));
            Err(failure.hint(format!(
                "{hint}this root has not CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN: \
                 in a container pass --cap-add for them"
            )))
        }
        Err(failure) => Err(failure),
    }
}

/// The effective capabilities in a `/proc/PID/status`; none where it does not say.
fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_capabilities_are_read_and_missing_ones_are_none() {
        let status = "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\n";
        assert_eq!(effective(status) & NEEDED, NEEDED);
        assert_ne!(effective("CapEff:\t00000000a80425fb\n") & NEEDED, NEEDED, "docker's default");
        assert_eq!(effective("CapPrm:\t000001ffffffffff\n"), 0);
    }
}
