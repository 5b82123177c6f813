//! /dev/vhost-net: the requests of `linux/vhost.h`, in the order in which they are made.
#![expect(unsafe_code, reason = "the requests of linux/vhost.h")]

mod abi;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestMemoryRegion};

use super::ioctl::{self, Refused, Request};
use crate::units::RingSize;

pub use abi::*;

/// Where the three parts of a ring lie in the memory of [`VhostFile::set_mem_table`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingAddresses {
    /// Descriptor table: 16 bytes an entry, aligned to 16.
    pub desc: GuestAddress,
    /// Available ring: 6 + 2 bytes an entry, aligned to 2.
    pub avail: GuestAddress,
    /// Used ring: 6 + 8 bytes an entry, aligned to 4.
    pub used: GuestAddress,
}

/// Which of the two rings of a vhost-net file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VringIndex {
    /// Ring 0: host side to us.
    Rx,
    /// Ring 1: we to the host side.
    Tx,
}

impl VringIndex {
    const fn get(self) -> u32 {
        match self {
            Self::Rx => 0,
            Self::Tx => 1,
        }
    }
}

/// The kind of task that runs the worker of a vhost file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worker {
    /// A kernel thread of its own (`VHOST_FORK_OWNER_KTHREAD`).
    Kthread,
    /// A thread of the owner (`VHOST_FORK_OWNER_TASK`, the default since Linux 6.4).
    Task,
}

/// An open /dev/vhost-net.
///
/// The kernel reads and writes the rings and buffers by the addresses given here until the file is
/// closed, so the file keeps the mapping: it cannot go while the file is open. A duplicate of the
/// descriptor must not outlive this value.
#[derive(Debug)]
pub struct VhostFile {
    // Declared first: fields are dropped in order, and the file must be closed before the memory.
    fd: OwnedFd,
    memory: Vec<Arc<GuestMemoryMmap>>,
    rings: [Ring; 2],
}

/// What was checked of a ring: the kernel itself looks at neither.
#[derive(Debug, Clone, Copy, Default)]
struct Ring {
    size: Option<RingSize>,
    placed: bool,
}

impl From<OwnedFd> for VhostFile {
    /// Takes over an open /dev/vhost-net that has no memory table yet.
    fn from(fd: OwnedFd) -> Self {
        Self { fd, memory: Vec::new(), rings: [Ring::default(); 2] }
    }
}

impl VhostFile {
    /// Its number, for people. The file itself is not lent: a duplicate would outlive the memory
    /// that the kernel was told of.
    pub fn number(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Chooses the worker. Before [`VhostFile::set_owner`].
    ///
    /// # Errors
    /// Kernels without the request answer `ENOTTY`, `EINVAL`, or `EPERM` before an owner is set.
    pub fn set_fork_from_owner(&self, worker: Worker) -> Result<(), Refused> {
        let byte = u8::from(worker == Worker::Task);
        // SAFETY: VHOST_SET_FORK_FROM_OWNER reads one byte.
        unsafe { ioctl::read_by_kernel(self.fd.as_fd(), VHOST_SET_FORK_FROM_OWNER, &byte) }
    }

    /// Which worker is chosen.
    ///
    /// # Errors
    /// As [`VhostFile::set_fork_from_owner`].
    pub fn get_fork_from_owner(&self) -> Result<Worker, Refused> {
        let mut byte = 0u8;
        // SAFETY: VHOST_GET_FORK_FROM_OWNER writes one byte.
        unsafe { ioctl::written_by_kernel(self.fd.as_fd(), VHOST_GET_FORK_FROM_OWNER, &mut byte)? };
        Ok(if byte == 0 { Worker::Kthread } else { Worker::Task })
    }

    /// Makes the calling process the owner. The worker takes namespaces and CPU affinity of the
    /// calling thread.
    ///
    /// # Errors
    /// `EBUSY`: it has an owner.
    pub fn set_owner(&self) -> Result<(), Refused> {
        // SAFETY: VHOST_SET_OWNER takes no argument.
        unsafe { ioctl::plain(self.fd.as_fd(), VHOST_SET_OWNER) }.map(drop)
    }

    /// Feature bits 0…63 that the kernel offers. Needs no owner.
    ///
    /// # Errors
    /// The file is not /dev/vhost-net.
    pub fn get_features(&self) -> Result<u64, Refused> {
        let mut bits = 0u64;
        // SAFETY: VHOST_GET_FEATURES writes one u64.
        unsafe { ioctl::written_by_kernel(self.fd.as_fd(), VHOST_GET_FEATURES, &mut bits)? };
        Ok(bits)
    }

    /// Acknowledges feature bits. Needs no owner.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: a bit that was not offered.
    pub fn set_features(&self, bits: u64) -> Result<(), Refused> {
        // SAFETY: VHOST_SET_FEATURES reads one u64.
        unsafe { ioctl::read_by_kernel(self.fd.as_fd(), VHOST_SET_FEATURES, &bits) }
    }

    /// Makes `memory`, every region of it, the memory that descriptors may name, and keeps it until
    /// the file is closed.
    ///
    /// # Errors
    /// `E2BIG`: more than [`MAX_REGIONS`] regions. The kernel looks at the addresses only in
    /// [`VhostFile::net_set_backend`], which then says `EFAULT`.
    pub fn set_mem_table(&mut self, memory: &Arc<GuestMemoryMmap>) -> Result<(), Refused> {
        let refused = |errno| Refused { request: VHOST_SET_MEM_TABLE, errno };
        if memory.num_regions() > MAX_REGIONS {
            return Err(refused(Errno::E2BIG));
        }
        let none = MemoryRegion {
            guest_phys_addr: 0,
            memory_size: 0,
            userspace_addr: 0,
            flags_padding: 0,
        };
        let mut table = MemoryTable {
            header: MemoryHeader { nregions: 0, padding: 0 },
            regions: [none; MAX_REGIONS],
        };
        for (to, region) in table.regions.iter_mut().zip(memory.iter()) {
            table.header.nregions += 1;
            to.guest_phys_addr = region.start_addr().0;
            to.memory_size = region.len();
            to.userspace_addr = region.as_ptr().addr() as u64;
        }
        // Before the call: the addresses must not die if the kernel took them and failed later.
        self.memory.push(Arc::clone(memory));
        // SAFETY: VHOST_SET_MEM_TABLE reads a vhost_memory with `nregions` regions, all within
        // MemoryTable. The addresses in it stay mapped until the file is closed: `self.memory`
        // holds them and is dropped after `self.fd`.
        unsafe { ioctl::read_by_kernel(self.fd.as_fd(), VHOST_SET_MEM_TABLE, &table) }
    }

    /// Sets the number of entries of a ring. Before [`VhostFile::set_vring_addr`], whose bounds
    /// follow from it.
    ///
    /// # Errors
    /// `EBUSY`: the ring runs, or has its place already and another size.
    pub fn set_vring_num(&mut self, index: VringIndex, size: RingSize) -> Result<(), Refused> {
        let ring = self.ring(index);
        if ring.placed && ring.size != Some(size) {
            return Err(Refused { request: VHOST_SET_VRING_NUM, errno: Errno::EBUSY });
        }
        ring.size = Some(size);
        let state = VringState { index: index.get(), num: size.get().into() };
        // SAFETY: VHOST_SET_VRING_NUM reads one vhost_vring_state.
        unsafe { ioctl::read_by_kernel(self.fd.as_fd(), VHOST_SET_VRING_NUM, &state) }
    }

    /// Sets the available index that the kernel reads next.
    ///
    /// # Errors
    /// `EBUSY`: the ring runs.
    pub fn set_vring_base(&self, index: VringIndex, next: u16) -> Result<(), Refused> {
        let state = VringState { index: index.get(), num: next.into() };
        // SAFETY: VHOST_SET_VRING_BASE reads one vhost_vring_state.
        unsafe { ioctl::read_by_kernel(self.fd.as_fd(), VHOST_SET_VRING_BASE, &state) }
    }

    /// The available index that the kernel would read next of a ring that it does not run.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn get_vring_base(&self, index: VringIndex) -> Result<u16, Refused> {
        let mut state = VringState { index: index.get(), num: 0 };
        // SAFETY: VHOST_GET_VRING_BASE reads and writes one vhost_vring_state.
        unsafe { ioctl::written_by_kernel(self.fd.as_fd(), VHOST_GET_VRING_BASE, &mut state) }?;
        // A split ring's index is 16 bits; the kernel keeps it in a u16.
        Ok(u16::try_from(state.num & 0xffff).unwrap_or_default())
    }

    /// Says where a ring lies, each part whole within one region of the memory of
    /// [`VhostFile::set_mem_table`].
    ///
    /// # Errors
    /// `EFAULT`: a part lies outside; `EINVAL`: misaligned, or the ring has no size yet; `EBUSY`:
    /// the ring runs.
    pub fn set_vring_addr(
        &mut self,
        index: VringIndex,
        ring: RingAddresses,
    ) -> Result<(), Refused> {
        let refused = |errno| Refused { request: VHOST_SET_VRING_ADDR, errno };
        let size = self.ring(index).size.ok_or_else(|| refused(Errno::EINVAL))?;
        let memory = self.memory.last().ok_or_else(|| refused(Errno::EFAULT))?;
        let entries = u64::from(size.get());
        let user = |part: GuestAddress, bytes: u64| {
            let (region, offset) = memory.to_region_addr(part)?;
            let end = offset.0.checked_add(bytes)?;
            (end <= region.len()).then(|| region.as_ptr().addr() as u64 + offset.0)
        };
        let fault = || refused(Errno::EFAULT);
        let addresses = VringAddr {
            index: index.get(),
            flags: 0,
            desc_user_addr: user(ring.desc, 16 * entries).ok_or_else(fault)?,
            avail_user_addr: user(ring.avail, 6 + 2 * entries).ok_or_else(fault)?,
            used_user_addr: user(ring.used, 6 + 8 * entries).ok_or_else(fault)?,
            log_guest_addr: 0,
        };
        self.ring(index).placed = true;
        // SAFETY: VHOST_SET_VRING_ADDR reads one vhost_vring_addr. Its addresses lie in memory
        // that `self.memory` keeps mapped until the file is closed, checked above for the number
        // of entries, which `set_vring_num` does not let change any more.
        unsafe { ioctl::read_by_kernel(self.fd.as_fd(), VHOST_SET_VRING_ADDR, &addresses) }
    }

    fn ring(&mut self, index: VringIndex) -> &mut Ring {
        let [rx, tx] = &mut self.rings;
        match index {
            VringIndex::Rx => rx,
            VringIndex::Tx => tx,
        }
    }

    /// Sets the eventfd that we kick; none: nothing wakes the worker.
    ///
    /// # Errors
    /// `EINVAL`: not an eventfd.
    pub fn set_vring_kick(
        &self,
        index: VringIndex,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<(), Refused> {
        self.set_file(VHOST_SET_VRING_KICK, index, file)
    }

    /// Sets the eventfd that the kernel signals; none: it signals none.
    ///
    /// # Errors
    /// `EINVAL`: not an eventfd.
    pub fn set_vring_call(
        &self,
        index: VringIndex,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<(), Refused> {
        self.set_file(VHOST_SET_VRING_CALL, index, file)
    }

    /// Sets the eventfd that the kernel signals when it gives the ring up.
    ///
    /// # Errors
    /// `EINVAL`: not an eventfd.
    pub fn set_vring_err(
        &self,
        index: VringIndex,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<(), Refused> {
        self.set_file(VHOST_SET_VRING_ERR, index, file)
    }

    /// Puts a tun file behind the ring and starts it; none stops it and waits until the worker has
    /// let the tun go.
    ///
    /// # Errors
    /// `EFAULT`: the memory table or the ring is not accessible; `ENOTSOCK`: not a tun.
    pub fn net_set_backend(
        &self,
        index: VringIndex,
        tun: Option<BorrowedFd<'_>>,
    ) -> Result<(), Refused> {
        self.set_file(VHOST_NET_SET_BACKEND, index, tun)
    }

    fn set_file(
        &self,
        request: Request,
        index: VringIndex,
        file: Option<BorrowedFd<'_>>,
    ) -> Result<(), Refused> {
        let file = VringFile { index: index.get(), fd: file.map_or(-1, |f| f.as_raw_fd()) };
        // SAFETY: the four requests that come here read one vhost_vring_file.
        unsafe { ioctl::read_by_kernel(self.fd.as_fd(), request, &file) }
    }
}

#[cfg(test)]
mod tests {
    use vhost::vhost_kern::vhost_binding as theirs;

    use super::*;

    #[test]
    fn requests_and_structures_are_those_of_the_vhost_crate() {
        let same = [
            (VHOST_GET_FEATURES, theirs::VHOST_GET_FEATURES()),
            (VHOST_SET_FEATURES, theirs::VHOST_SET_FEATURES()),
            (VHOST_SET_OWNER, theirs::VHOST_SET_OWNER()),
            (VHOST_SET_MEM_TABLE, theirs::VHOST_SET_MEM_TABLE()),
            (VHOST_SET_VRING_NUM, theirs::VHOST_SET_VRING_NUM()),
            (VHOST_SET_VRING_ADDR, theirs::VHOST_SET_VRING_ADDR()),
            (VHOST_SET_VRING_BASE, theirs::VHOST_SET_VRING_BASE()),
            (VHOST_GET_VRING_BASE, theirs::VHOST_GET_VRING_BASE()),
            (VHOST_SET_VRING_KICK, theirs::VHOST_SET_VRING_KICK()),
            (VHOST_SET_VRING_CALL, theirs::VHOST_SET_VRING_CALL()),
            (VHOST_SET_VRING_ERR, theirs::VHOST_SET_VRING_ERR()),
            (VHOST_NET_SET_BACKEND, theirs::VHOST_NET_SET_BACKEND()),
        ];
        for (ours, theirs) in same {
            assert_eq!(ours.code, theirs, "{ours}");
        }
        assert_eq!(size_of::<VringState>(), size_of::<theirs::vhost_vring_state>());
        assert_eq!(size_of::<VringFile>(), size_of::<theirs::vhost_vring_file>());
        assert_eq!(size_of::<VringAddr>(), size_of::<theirs::vhost_vring_addr>());
        assert_eq!(size_of::<MemoryHeader>(), size_of::<theirs::vhost_memory>());
        assert_eq!(size_of::<MemoryRegion>(), size_of::<theirs::vhost_memory_region>());
    }

    fn not_vhost() -> VhostFile {
        OwnedFd::from(std::fs::File::open("/dev/null").unwrap()).into()
    }

    #[test]
    fn a_ring_outside_the_memory_is_refused_before_the_kernel_sees_it() {
        let mut file = not_vhost();
        let size = RingSize::new(64).unwrap();
        let at = |desc, avail, used| RingAddresses {
            desc: GuestAddress(desc),
            avail: GuestAddress(avail),
            used: GuestAddress(used),
        };
        let errno = |file: &mut VhostFile, ring| {
            file.set_vring_addr(VringIndex::Rx, ring).unwrap_err().errno
        };
        let file = &mut file;
        assert_eq!(errno(file, at(0, 1024, 2048)), Errno::EINVAL, "no size yet");
        assert_eq!(file.set_vring_num(VringIndex::Rx, size).unwrap_err().errno, Errno::ENOTTY);
        assert_eq!(errno(file, at(0, 1024, 2048)), Errno::EFAULT, "no memory yet");
        let memory = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 4096)]).unwrap();
        // /dev/null knows no such request, but the memory is kept and the bounds are known.
        assert_eq!(file.set_mem_table(&Arc::new(memory)).unwrap_err().errno, Errno::ENOTTY);
        assert_eq!(errno(file, at(0, 1024, 2048)), Errno::ENOTTY, "within");
        assert_eq!(errno(file, at(4096 - 1024 + 16, 0, 1024)), Errno::EFAULT);
        assert_eq!(errno(file, at(0, 4096 - 132, 2048)), Errno::EFAULT);
        assert_eq!(errno(file, at(0, 1024, u64::MAX)), Errno::EFAULT);
        let other = RingSize::new(128).unwrap();
        let refused = file.set_vring_num(VringIndex::Rx, other).unwrap_err();
        assert_eq!(refused.errno, Errno::EBUSY, "it has its place already");
    }

    #[test]
    fn a_refusal_names_the_request_and_the_file() {
        let refused = not_vhost().get_features().unwrap_err();
        assert_eq!(refused.request.to_string(), "ioctl(VHOST_GET_FEATURES) on /dev/vhost-net");
    }
}
