//! The kernel's device: one /dev/vhost-net file a queue pair, index 0 receives, index 1 transmits
//! (`linux/vhost.h`; both indices of one file share a worker).

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::gettid;
use vm_memory::GuestAddress;

use super::backend::{
    Backend, ERROR_KEY, PortFiles, QueueDevice, QueueDevices, QueueId, Served, Stopped, Wait,
};
use super::features::{feature_names, negotiate};
use crate::counters::Direction;
use crate::diag::{Code, Failure};
use crate::ring::{MemoryMap, RingLayout};
use crate::sys::ioctl::Refused;
use crate::sys::vhost::{PATH, RingAddresses, VhostFile, VringIndex, Worker};
use crate::units::BackendKind;

/// The eventfds of one ring.
#[derive(Debug)]
struct Notify {
    kick: EventFd,
    call: EventFd,
    error: EventFd,
}

impl Notify {
    fn new() -> Result<Self, Errno> {
        let make =
            || EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        Ok(Self { kick: make()?, call: make()?, error: make()? })
    }
}

/// What an open /dev/vhost-net answers to the first requests of a backend: the one test of whether
/// it is vhost-net's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VhostProbe {
    /// Feature bits that it offers.
    pub offered: u64,
    /// Its worker; none where the kernel offers no choice.
    pub worker: Option<Worker>,
}

impl VhostProbe {
    /// Probes a file that is closed afterwards.
    ///
    /// # Errors
    /// [`Code::NoBackend`] when the file is not vhost-net's.
    pub fn new(opened: OwnedFd) -> Result<Self, Failure> {
        Self::of(&VhostFile::from(opened))
    }

    fn of(file: &VhostFile) -> Result<Self, Failure> {
        // The worker as a kernel thread where the kernel offers the choice: it then belongs to no
        // cgroup or namespace of ours. Kernels without the request refuse it, and go on.
        let worker = match file.set_fork_from_owner(Worker::Kthread) {
            Ok(()) => file.get_fork_from_owner().ok(),
            Err(_) => None,
        };
        file.set_owner().map_err(owner_failure)?;
        let offered = file.get_features().map_err(owner_failure)?;
        Ok(Self { offered, worker })
    }
}

/// The control half.
#[derive(Debug)]
pub struct VhostNet {
    files: Vec<VhostFile>,
    offered: u64,
    worker: Option<Worker>,
    /// For each file the thread that became its owner.
    owners: Vec<i32>,
    rings: Vec<(QueueId, Arc<Notify>)>,
    started: Vec<QueueId>,
}

const fn vring(direction: Direction) -> VringIndex {
    match direction {
        Direction::Rx => VringIndex::Rx,
        Direction::Tx => VringIndex::Tx,
    }
}

impl VhostNet {
    /// Becomes the owner of open files, one for each queue pair: call it on a thread that is in the
    /// holder's own namespace and not pinned, in the process that polls.
    ///
    /// # Errors
    /// [`Code::NoBackend`] when a file is not vhost-net's, or lacks a feature.
    pub fn new(opened: Vec<OwnedFd>) -> Result<Self, Failure> {
        let mut files = Vec::new();
        let mut first = None;
        let owners = vec![gettid().as_raw(); opened.len()];
        for fd in opened {
            let file = VhostFile::from(fd);
            let probed = VhostProbe::of(&file)?;
            first.get_or_insert(probed);
            files.push(file);
        }
        let VhostProbe { offered, worker } = first.unwrap_or_default();
        negotiate(offered).map_err(|missing| {
            let names = feature_names(missing).join(", ");
            Failure::new(Code::NoBackend, PATH, format!("it lacks {names}"))
        })?;
        Ok(Self { files, offered, worker, owners, rings: Vec::new(), started: Vec::new() })
    }

    fn file(&mut self, queue: QueueId) -> Result<&mut VhostFile, Failure> {
        let file = self.files.get_mut(usize::from(queue.index.0));
        file.ok_or_else(|| Failure::bug(queue.to_string(), "there is no vhost file for it"))
    }

    /// Says which queue and file a request failed on.
    fn named(&self, queue: QueueId, refused: Refused) -> Failure {
        let fd = self.files.get(usize::from(queue.index.0)).map_or(-1, VhostFile::number);
        refused.failure(format!("{queue} (vhost fd {fd})"))
    }
}

fn owner_failure(refused: Refused) -> Failure {
    let errno = refused.errno;
    let failure = Failure::from(refused);
    // What drivers of other files answer to a request that they do not know.
    if matches!(errno, Errno::ENOTTY | Errno::EINVAL | Errno::EBADFD) {
        return failure.code(Code::NoBackend).hint(format!(
            "{PATH} is not the device of vhost_net: remove it and load the module again \
             (modprobe -r vhost_net; modprobe vhost_net), or use `backend userspace'"
        ));
    }
    failure
}

impl Backend for VhostNet {
    fn kind(&self) -> BackendKind {
        BackendKind::VhostNet
    }

    fn offered_features(&self) -> u64 {
        self.offered
    }

    fn set_features(&mut self, acknowledged: u64) -> Result<(), Failure> {
        for file in &self.files {
            file.set_features(acknowledged)?;
        }
        Ok(())
    }

    fn set_memory(&mut self, shared: &MemoryMap) -> Result<(), Failure> {
        for file in &mut self.files {
            file.set_mem_table(shared)?;
        }
        Ok(())
    }

    fn set_ring(&mut self, queue: QueueId, layout: &RingLayout, base: u16) -> Result<(), Failure> {
        let notify = Notify::new().map_err(|e| Failure::sys("eventfd", queue.to_string(), e))?;
        let index = vring(queue.direction);
        let file = self.file(queue)?;
        let addresses = RingAddresses {
            desc: GuestAddress(layout.desc),
            avail: GuestAddress(layout.avail),
            used: GuestAddress(layout.used),
        };
        file.set_vring_num(index, layout.size)
            .and_then(|()| file.set_vring_base(index, base))
            .and_then(|()| file.set_vring_addr(index, addresses))
            .and_then(|()| file.set_vring_call(index, Some(notify.call.as_fd())))
            .and_then(|()| file.set_vring_kick(index, Some(notify.kick.as_fd())))
            .and_then(|()| file.set_vring_err(index, Some(notify.error.as_fd())))
            .map_err(|refused| self.named(queue, refused))?;
        self.rings.push((queue, Arc::new(notify)));
        Ok(())
    }

    fn start(&mut self, files: &PortFiles) -> Result<QueueDevices, Failure> {
        let mut devices = QueueDevices::default();
        for at in 0..self.rings.len() {
            let (queue, notify) = (self.rings[at].0, Arc::clone(&self.rings[at].1));
            let behind = files.of(queue)?.as_fd();
            let started = self.file(queue)?.net_set_backend(vring(queue.direction), Some(behind));
            if let Err(refused) = started {
                let failure = self.named(queue, refused);
                self.stop();
                return Err(if refused.errno == Errno::EFAULT {
                    failure.hint("the kernel refused the memory table: try a smaller --memory")
                } else {
                    failure
                });
            }
            self.started.push(queue);
            let device: Box<dyn QueueDevice> = Box::new(Vring { notify, registered: false });
            match queue.direction {
                Direction::Rx => devices.rx.push(device),
                Direction::Tx => devices.tx.push(device),
            }
        }
        Ok(devices)
    }

    fn stop(&mut self) -> Stopped {
        let Stopped { mut bases, mut failures } = Stopped::default();
        for queue in std::mem::take(&mut self.started) {
            let Ok(file) = self.file(queue) else { continue };
            let index = vring(queue.direction);
            if let Err(refused) = file.net_set_backend(index, None) {
                failures.push(self.named(queue, refused));
                self.started.push(queue);
                continue;
            }
            match file.get_vring_base(index) {
                Ok(base) => bases.push((queue, base)),
                Err(refused) => failures.push(self.named(queue, refused)),
            }
        }
        if self.started.is_empty() {
            self.rings.clear();
        }
        Stopped { bases, failures }
    }

    fn fds(&self) -> Vec<i32> {
        self.files.iter().map(VhostFile::number).collect()
    }

    fn workers(&self) -> &[i32] {
        &self.owners
    }

    fn worker_mode(&self) -> Option<&'static str> {
        self.worker.map(|worker| match worker {
            Worker::Kthread => "kthread",
            Worker::Task => "task",
        })
    }
}

/// The data half of a queue: three eventfds.
#[derive(Debug)]
struct Vring {
    notify: Arc<Notify>,
    registered: bool,
}

impl QueueDevice for Vring {
    fn register(&mut self, epoll: &Epoll, key: u64) -> Result<(), Errno> {
        // Edge-triggered: every call is an event of its own, and the counter need not be read.
        let wake = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&self.notify.call, EpollEvent::new(wake, key))?;
        self.registered = true;
        epoll.add(&self.notify.error, EpollEvent::new(wake, key | ERROR_KEY))
    }

    fn unregister(&mut self, epoll: &Epoll) {
        if std::mem::take(&mut self.registered) {
            let _ = epoll.delete(&self.notify.call);
            let _ = epoll.delete(&self.notify.error);
        }
    }

    fn kick(&mut self) {
        // EAGAIN: the counter is full, so the worker has more than enough kicks to see.
        let _ = self.notify.kick.write(1);
    }

    fn serve(&mut self) -> Served {
        Served::default()
    }

    fn sleep(&mut self, _epoll: &Epoll, _key: u64) -> Result<Wait, Errno> {
        Ok(Wait::Armed)
    }

    fn refusal(&mut self, _head: u16) -> Option<Errno> {
        None
    }

    fn notify_fds(&self) -> (i32, i32) {
        (self.notify.kick.as_fd().as_raw_fd(), self.notify.call.as_fd().as_raw_fd())
    }
}
