//! The embedded device over a pair of sockets that stands for the tap: what it reads and writes,
//! what it leaves, what it says about refusals; and two of them behind a real poller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod userspace_device {
    pub mod bench;
    pub mod from_tap;
    pub mod poller;
    pub mod to_tap;
}
