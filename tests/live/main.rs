//! The live suite: real taps in namespaces of their own, driven through `taptool hold -j --exec -`
//! and looked at with `ip`, `ping`, `iperf3`, `ethtool`.
//!
//! One list of tests for every backend: `TAPTOOL_TEST_BACKEND` is `userspace` (the default) or
//! `vhost-net`. What a kernel lacks is asserted to be refused or shown as absent; nothing is left
//! out. `tests/run` runs it here and, on the kernel's device, in virtual machines.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

#[path = "../common/mod.rs"]
mod common;

mod attach;
mod bridge;
mod carrier;
mod create;
mod crowd;
mod delete;
mod doctor;
mod fate;
mod hints;
mod holder;
mod host_drops;
mod impair;
mod matrix;
mod offload;
mod one_shot;
mod queues;
mod refuse;
mod respond;
mod save;
mod settings;
mod shell_ends;
mod shell_hour;
mod shell_lines;
mod shell_terminals;
mod tun;
mod undo;
mod unheard;
mod unsent;
mod vlan;
mod vpp;
mod vpp_lines;
mod wire;
