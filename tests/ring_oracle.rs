//! Both sides of our virtqueue against the `virtio-queue` crate, which knows nothing of ours, and
//! against a model and devices that break the rules.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ring_oracle {
    pub mod bench;
    pub mod hostile;
    pub mod hostile_driver;
    pub mod model;
    pub mod our_device;
    pub mod our_driver;
}
