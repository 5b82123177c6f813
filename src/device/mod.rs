//! What one interface is made of below its action: memory, rings, and the backend that serves them.
//!
//! The driver side of every ring is ours ([`crate::ring::DriverRing`]); the device side is a
//! [`Backend`], the kernel's or the embedded one. They meet only in the shared memory file.

mod backend;
mod features;
mod header;
mod memory;
mod pool;
mod queue;
mod record;
mod userspace;
mod vhost_net;

pub use crate::ring::Descriptor;
pub use backend::{
    Backend, ERROR_KEY, PortFiles, QueueDevice, QueueDevices, QueueId, Served, Stopped, Wait,
};
pub use features::{
    FEATURES, FeatureRow, Need, feature_names, has_event_idx, known_features, negotiate,
};
pub use header::RECORDS;
pub use memory::{Extent, MEMORY_BYTES, Memory};
pub use pool::{BufferClass, Frame, Misplaced, Pool, PoolSlot};
pub use queue::QueueMemory;
pub use record::QueueRecord;
pub use userspace::Userspace;
pub use vhost_net::{VhostNet, VhostProbe};
