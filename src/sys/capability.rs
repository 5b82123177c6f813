//! What the process may do: its effective capabilities.

use std::fs;

/// `CAP_NET_BROADCAST` (`linux/capability.h`), as a bit of a mask.
pub const NET_BROADCAST: u64 = 1 << 11;
/// `CAP_NET_ADMIN`.
pub const NET_ADMIN: u64 = 1 << 12;
/// `CAP_NET_RAW`.
pub const NET_RAW: u64 = 1 << 13;
/// `CAP_SYS_ADMIN`.
pub const SYS_ADMIN: u64 = 1 << 21;

/// The effective capabilities of the calling thread; none where /proc does not say.
pub fn effective() -> u64 {
    fs::read_to_string("/proc/thread-self/status").map_or(0, |status| of_status(&status))
}

/// The effective capabilities in a `/proc/PID/status`; none where it does not say.
pub fn of_status(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_capabilities_are_read_and_missing_ones_are_none() {
        let needed = NET_ADMIN | NET_RAW | SYS_ADMIN;
        let status = "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t000001ffffffffff\n";
        assert_eq!(of_status(status) & needed, needed);
        assert_ne!(of_status("CapEff:\t00000000a80425fb\n") & needed, needed, "docker's default");
        assert_eq!(of_status("CapPrm:\t000001ffffffffff\n"), 0);
    }
}
