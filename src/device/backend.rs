//! What serves the rings: one trait for the kernel's device and the embedded one.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::Epoll;

use crate::counters::Direction;
use crate::diag::Failure;
use crate::ring::{MemoryMap, RingLayout};
use crate::units::{BackendKind, QueueIndex};

/// A queue of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueId {
    /// Direction.
    pub direction: Direction,
    /// Number within it.
    pub index: QueueIndex,
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.direction {
            Direction::Rx => "rx",
            Direction::Tx => "tx",
        };
        write!(f, "{word} queue {}", self.index)
    }
}

/// The control half of a device. Methods in the order in which they are called; after `stop` it may
/// go on with `set_ring` and `start` again.
pub trait Backend: Send + fmt::Debug {
    /// Which one it is.
    fn kind(&self) -> BackendKind;

    /// Feature bits that it offers.
    fn offered_features(&self) -> u64;

    /// Acknowledges feature bits.
    ///
    /// # Errors
    /// When it refuses them.
    fn set_features(&mut self, acknowledged: u64) -> Result<(), Failure>;

    /// Shows it the shared memory.
    ///
    /// # Errors
    /// When it refuses the memory.
    fn set_memory(&mut self, shared: &MemoryMap) -> Result<(), Failure>;

    /// Says where a ring lies, and the available index that the device reads next: 0 for a new ring,
    /// else what [`Backend::stop`] said.
    ///
    /// # Errors
    /// When it refuses the ring.
    fn set_ring(&mut self, queue: QueueId, layout: &RingLayout, base: u16) -> Result<(), Failure>;

    /// Puts the port's files behind the rings, starts it, and hands out the data halves.
    ///
    /// # Errors
    /// When it cannot start; it is stopped then.
    fn start(&mut self, files: &PortFiles) -> Result<QueueDevices, Failure>;

    /// Stops using rings, buffers and files, and returns when it has. It forgets the rings: before a
    /// new start they are set again, emptied or at their bases.
    fn stop(&mut self) -> Stopped;

    /// Its files, for `show`.
    fn fds(&self) -> Vec<i32> {
        Vec::new()
    }

    /// The numbers that its workers bear: Linux calls a worker `vhost-N` after the thread that became
    /// the owner of its file.
    fn workers(&self) -> &[i32] {
        &[]
    }

    /// vhost-net: `kthread` or `task`, where the kernel says.
    fn worker_mode(&self) -> Option<&'static str> {
        None
    }
}

/// The open files that frames of a port are read from and written to. Each read or write is one
/// frame with its `virtio_net_hdr_v1` in front, and none waits.
#[derive(Debug, Clone, Default)]
pub struct PortFiles(pub Vec<Arc<OwnedFd>>);

impl PortFiles {
    /// The file of a queue: queue `i` has file `i` modulo their number, so that none is unread.
    ///
    /// # Errors
    /// There is none at all.
    pub fn of(&self, queue: QueueId) -> Result<&Arc<OwnedFd>, Failure> {
        let file = self.0.get(usize::from(queue.index.0) % self.0.len().max(1));
        file.ok_or_else(|| Failure::bug(queue.to_string(), "its port has no file"))
    }
}

/// How a backend stopped.
#[derive(Debug, Default)]
pub struct Stopped {
    /// The available index that it would have read next, of each ring that it had.
    pub bases: Vec<(QueueId, u16)>,
    /// The steps that failed.
    pub failures: Vec<Failure>,
}

/// The data halves of a started backend, queue 0 first.
#[derive(Debug, Default)]
pub struct QueueDevices {
    /// Receive queues.
    pub rx: Vec<Box<dyn QueueDevice>>,
    /// Transmit queues.
    pub tx: Vec<Box<dyn QueueDevice>>,
}

/// What [`QueueDevice::serve`] met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Served {
    /// The tap's file says that the device may be gone.
    pub host_suspect: bool,
    /// The tap is there but refuses to be read.
    pub refused: bool,
    /// Frames that the tap had and could not hand over: the kernel has thrown them away.
    pub unreadable: u16,
    /// A call is due: used buffers were published and the driver asked to hear of it.
    pub call: bool,
    /// It stopped at the end of its budget, not of its work.
    pub more: bool,
}

/// Whether a queue may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// An event will wake it.
    Armed,
    /// There is work already.
    Ready,
}

/// The data half of a device for one queue. It belongs to the poller that owns the driver's side.
pub trait QueueDevice: Send + fmt::Debug {
    /// Registers what wakes the queue, under `key`. A device with an error file registers it under
    /// `key | ERROR_KEY`.
    ///
    /// # Errors
    /// `epoll_ctl`'s.
    fn register(&mut self, epoll: &Epoll, key: u64) -> Result<(), Errno>;

    /// Takes that back. Not being registered is fine.
    fn unregister(&mut self, epoll: &Epoll);

    /// Tells the device that buffers are available.
    fn kick(&mut self);

    /// Lets a device without a thread of its own work through its side of the ring.
    fn serve(&mut self) -> Served;

    /// Prepares for sleeping.
    ///
    /// # Errors
    /// `epoll_ctl`'s.
    fn sleep(&mut self, epoll: &Epoll, key: u64) -> Result<Wait, Errno>;

    /// Why the host side refused the frame that was at `head`, if it did. Asked once per used
    /// transmit chain.
    fn refusal(&mut self, head: u16) -> Option<Errno>;

    /// Kick and call files for `show`, -1 where there is none.
    fn notify_fds(&self) -> (i32, i32);
}

/// Added to a queue's key in events of its error file.
pub const ERROR_KEY: u64 = 1 << 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Userspace;

    #[test]
    fn a_queue_is_named_by_its_direction_and_number_and_no_queue_key_has_the_error_mark() {
        let name = |direction| QueueId { direction, index: QueueIndex(3) }.to_string();
        assert_eq!(
            (name(Direction::Rx), name(Direction::Tx)),
            ("rx queue 3".into(), "tx queue 3".into())
        );
        // The bit above the generation, which has 31.
        assert_eq!((ERROR_KEY.count_ones(), ERROR_KEY.trailing_zeros()), (1, 63));
    }

    #[test]
    fn a_backend_without_files_and_workers_of_its_own_shows_none() {
        let backend = Userspace::new();
        assert_eq!((backend.fds(), backend.workers()), (Vec::new(), &[][..]));
        assert_eq!(backend.worker_mode(), None);
    }
}
