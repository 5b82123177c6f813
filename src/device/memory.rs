//! The two memory files of a process.
//!
//! # Theory of operation
//! *Shared* holds what a device may see: rings and buffers of all interfaces. It is mapped once at
//! its full size and registered once with each backend; addresses in rings are offsets into it.
//! *Private* holds what no device may touch: shadows, buffer lists, counters, and the records that
//! say where everything lies. Both are memfds, sealed against resizing. They are sparse: a page
//! costs memory once it is touched, and goes back (a hole is punched) when its [`Extent`] is
//! dropped. Extents are handed out first-fit, in whole pages, from a list that only the control
//! side touches.

use std::fmt;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap};

use super::header;
use crate::diag::{Code, Failure};
use crate::ring::MemoryMap;
use crate::units::MemorySize;

/// Size of the shared file, bytes; `--memory` changes it.
///
/// A default interface takes 0.3 MiB of rings (two of 256 entries, and indirect tables for one) and
/// on userspace 8.5 MiB of buffers (128 of 68 KiB): 64 GiB are room for over 7,000 of them. Nothing
/// of it is used before a frame is.
pub const MEMORY_BYTES: u64 = 64 << 30;

/// The private file is this fraction of the shared one: 16 bytes of shadow for an entry whose
/// buffer and descriptors take over 2 KiB, with room to spare.
const PRIVATE_FRACTION: u64 = 32;

const PAGE: u64 = 4096;

impl Default for MemorySize {
    fn default() -> Self {
        Self::whole_pages(MEMORY_BYTES)
    }
}

/// Free ranges of one file, sorted by offset, never adjacent.
#[derive(Debug)]
struct Arena {
    what: &'static str,
    file: File,
    bytes: u64,
    free: Mutex<Vec<(u64, u64)>>,
}

impl Arena {
    fn take(&self, bytes: u64) -> Option<u64> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.iter().position(|(_, len)| *len >= bytes)?;
        let (offset, len) = free[at];
        if len == bytes {
            free.remove(at);
        } else {
            free[at] = (offset + bytes, len - bytes);
        }
        Some(offset)
    }

    fn give(&self, offset: u64, bytes: u64) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let at = free.partition_point(|(o, _)| *o < offset);
        free.insert(at, (offset, bytes));
        if at + 1 < free.len() && free[at].0 + free[at].1 == free[at + 1].0 {
            free[at].1 += free[at + 1].1;
            free.remove(at + 1);
        }
        if at > 0 && free[at - 1].0 + free[at - 1].1 == free[at].0 {
            free[at - 1].1 += free[at].1;
            free.remove(at);
        }
    }
}

/// A range of one memory file, zeroed; dropping it punches a hole and frees it.
pub struct Extent {
    arena: Arc<Arena>,
    offset: u64,
    bytes: u64,
}

impl Extent {
    /// First byte; a multiple of the page size.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Length, whole pages.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl fmt::Debug for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extent({:#x}+{:#x})", self.offset, self.bytes)
    }
}

impl Drop for Extent {
    fn drop(&mut self) {
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        // Offsets of a mapped file fit. The next owner relies on zeros: a range whose hole could
        // not be punched is not handed out again.
        let punched = i64::try_from(self.offset)
            .and_then(|o| Ok((o, i64::try_from(self.bytes)?)))
            .is_ok_and(|(o, n)| fallocate(self.arena.file.as_fd(), hole, o, n).is_ok());
        if punched {
            self.arena.give(self.offset, self.bytes);
        }
    }
}

/// Both files, mapped.
#[derive(Debug)]
pub struct Memory {
    shared_map: MemoryMap,
    private_map: MemoryMap,
    shared: Arc<Arena>,
    private: Arc<Arena>,
    /// Where the queue records lie; never dropped before the files.
    records: Extent,
}

/// A memfd that can be sealed and never executed. Where `vm.memfd_noexec` forbids others, it must
/// say so; Linux before 6.3 does not know the word.
fn make_memfd(name: &'static str) -> Result<OwnedFd, Errno> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let noexec = MFdFlags::from_bits_retain(nix::libc::MFD_NOEXEC_SEAL);
    match memfd_create(name, flags | noexec) {
        Err(Errno::EINVAL) => memfd_create(name, flags),
        made => made,
    }
}

fn open_file(name: &'static str, bytes: u64) -> Result<(MemoryMap, Arc<Arena>), Failure> {
    let doing = format!("memfd of {} MiB for the {name} memory", bytes >> 20);
    let failed = |errno| Failure::sys(doing.clone(), "", errno).code(Code::Failed);
    let fd = make_memfd(name).map_err(failed)?;
    let file = File::from(fd);
    file.set_len(bytes).map_err(|e| Failure::io(doing.clone(), "", &e))?;
    let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).map_err(failed)?;
    let keep = file.try_clone().map_err(|e| Failure::io(doing.clone(), "", &e))?;
    let size = usize::try_from(bytes).map_err(|_| {
        Failure::new(Code::Failed, doing.clone(), "more than this machine can address")
    })?;
    let ranges = [(GuestAddress(0), size, Some(FileOffset::new(file, 0)))];
    let map = GuestMemoryMmap::from_ranges_with_files(ranges).map_err(|e| {
        Failure::new(Code::Failed, doing, format!("mmap: {e}"))
            .hint("use a smaller --memory, or raise the limit of address space (ulimit -v)")
    })?;
    let arena = Arena { what: name, file: keep, bytes, free: Mutex::new(vec![(0, bytes)]) };
    Ok((Arc::new(map), Arc::new(arena)))
}

impl Memory {
    /// Makes both files.
    ///
    /// # Errors
    /// When the kernel refuses a memfd or the mapping.
    pub fn new(size: MemorySize) -> Result<Self, Failure> {
        let (shared_map, shared) = open_file("shared", size.get())?;
        let private_bytes = (size.get() / PRIVATE_FRACTION).max(16 << 20);
        let (private_map, private) = open_file("private", private_bytes)?;
        let records = extent(&private, header::FILE_BYTES)?;
        header::write_header(&private_map, size.get())
            .map_err(|e| Failure::new(Code::Failed, "private memory", e.to_string()))?;
        Ok(Self { shared_map, private_map, shared, private, records })
    }

    /// The file that backends see.
    pub const fn shared(&self) -> &MemoryMap {
        &self.shared_map
    }

    /// The file that only we see.
    pub const fn private(&self) -> &MemoryMap {
        &self.private_map
    }

    /// Both files, the shared one first: all that a successor needs.
    pub fn files(&self) -> [&File; 2] {
        [&self.shared.file, &self.private.file]
    }

    /// Where the records lie in the private file.
    pub const fn records(&self) -> &Extent {
        &self.records
    }

    /// A zeroed range of the shared file.
    ///
    /// # Errors
    /// When no free range is that long.
    pub fn shared_extent(&self, bytes: u64) -> Result<Extent, Failure> {
        extent(&self.shared, bytes)
    }

    /// A zeroed range of the private file.
    ///
    /// # Errors
    /// When no free range is that long.
    pub fn private_extent(&self, bytes: u64) -> Result<Extent, Failure> {
        extent(&self.private, bytes)
    }
}

fn extent(arena: &Arc<Arena>, bytes: u64) -> Result<Extent, Failure> {
    let bytes = bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
    match arena.take(bytes) {
        Some(offset) => Ok(Extent { arena: Arc::clone(arena), offset, bytes }),
        None => Err(Failure::new(
            Code::Failed,
            "",
            format!(
                "no room for {} KiB in the {} memory of {} MiB",
                bytes >> 10,
                arena.what,
                arena.bytes >> 20
            ),
        )
        .hint("use smaller rings, or start the holder with more --memory")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;
    use std::sync::atomic::{AtomicU64, Ordering};

    use crate::ring::AtomicArray;

    #[test]
    fn freed_extents_merge_come_back_zeroed_and_give_their_pages_back() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        let whole = memory.shared_extent(16 << 20).unwrap();
        assert!(memory.shared_extent(1).is_err());
        let blocks = || memory.shared.file.metadata().unwrap().blocks();
        let view = AtomicArray::<AtomicU64>::new(memory.shared(), 8 << 20, 1).unwrap();
        assert_eq!(blocks(), 0);
        view[0].store(1, Ordering::Relaxed);
        assert!(blocks() > 0);
        drop(whole);
        assert_eq!(blocks(), 0);
        assert_eq!(view[0].load(Ordering::Relaxed), 0);
        let (a, b, c) = (
            memory.shared_extent(5000).unwrap(),
            memory.shared_extent(4096).unwrap(),
            memory.shared_extent(4096).unwrap(),
        );
        assert_eq!((a.bytes(), b.offset(), c.offset()), (8192, 8192, 12288));
        drop(b);
        drop(a);
        drop(c);
        assert!(memory.shared_extent(16 << 20).is_ok());
    }

    #[test]
    fn extents_that_came_back_in_any_order_are_one_range_of_the_files_size() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [0, 2, 1, 3], [1, 3, 0, 2], [2, 0, 3, 1]] {
            // All of the file, so that the last one ends where it does.
            let take = |mib: u64| Some(memory.shared_extent(mib << 20).unwrap());
            let mut taken = [take(2), take(3), take(4), take(7)];
            assert!(memory.shared_extent(1).is_err(), "nothing is left");
            for at in order {
                taken[at] = None;
            }
            let whole = memory.shared_extent(16 << 20).unwrap();
            assert!(memory.shared_extent(1).is_err(), "{order:?}: there is more than there was");
            drop(whole);
        }
    }

    #[test]
    fn no_program_that_is_started_inherits_the_files_and_no_size_told_is_64_gib() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        for file in memory.files() {
            assert_eq!(fcntl(file, FcntlArg::F_GETFD), Ok(nix::libc::FD_CLOEXEC));
        }
        assert_eq!(MemorySize::default().get(), 64 * 1024 * 1024 * 1024);
    }

    #[test]
    fn a_create_that_does_not_fit_names_the_limit() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        let failure = memory.shared_extent(17 << 20).unwrap_err();
        assert_eq!(failure.code, Code::Failed);
        assert!(failure.to_string().contains("shared memory of 16 MiB"), "{failure}");
        for bytes in [u64::MAX, u64::MAX - 4094] {
            assert!(memory.shared_extent(bytes).is_err());
        }
    }

    #[test]
    fn the_files_are_sealed_against_resizing() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        for arena in [&memory.shared, &memory.private] {
            let file = &arena.file;
            assert!(file.set_len(1).is_err());
            assert!(file.set_len(arena.bytes * 2).is_err());
        }
    }
}
