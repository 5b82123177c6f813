//! The frame check against the kernel that runs: what the check accepts the kernel takes, and
//! what the kernel hands over the check accepts.
//!
//! Needs root and /dev/net/tun; every device lives in a network namespace of the test's own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![expect(unsafe_code, reason = "ioctls on the devices under test")]

mod frame_kernel {
    pub mod differential;
    pub mod responder;
    pub mod tap;
    pub mod traffic;
}

use frame_kernel::{differential, responder, traffic};
use taptool::units::Kind;

/// Whether the test can run; where not, says so, and fails if it must run.
fn can_run() -> bool {
    let reason = if !nix::unistd::geteuid().is_root() {
        "not root"
    } else if std::fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() {
        "no /dev/net/tun"
    } else {
        return true;
    };
    assert!(
        std::env::var_os("TAPTOOL_REQUIRE_LIVE").is_none_or(|v| v != "1"),
        "TAPTOOL_REQUIRE_LIVE=1, but {reason}"
    );
    eprintln!("SKIP {reason}");
    false
}

#[test]
fn a_tap_takes_what_the_check_accepts() {
    if can_run() {
        differential::run(Kind::Tap);
    }
}

#[test]
fn a_tun_takes_what_the_check_accepts() {
    if can_run() {
        differential::run(Kind::Tun);
    }
}

#[test]
fn the_check_accepts_what_linux_sends_through_two_taps() {
    if can_run() {
        traffic::run();
    }
}

#[test]
fn the_kernel_resolves_and_pings_the_responder_on_a_tap() {
    if can_run() {
        responder::run(Kind::Tap);
    }
}

#[test]
fn the_kernel_pings_the_responder_on_a_tun() {
    if can_run() {
        responder::run(Kind::Tun);
    }
}
