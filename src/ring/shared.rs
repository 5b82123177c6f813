//! Typed atomic views of the two memory files: the only unsafe code of this layer.
//!
//! Another process or the kernel may write the same bytes at any time, so they are never seen as
//! plain Rust memory: only as atomics, or copied as bytes (`device::pool`).

#![expect(
    unsafe_code,
    reason = "a view of mapped memory that keeps the mapping alive needs a raw pointer"
)]

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// A mapped memory file. Addresses are offsets into the file.
pub type MemoryMap = Arc<GuestMemoryMmap>;

/// A range that the mapping does not hold, or that is not aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutOfRange {
    /// First byte asked for.
    pub offset: u64,
    /// Bytes asked for.
    pub bytes: u64,
}

impl fmt::Display for OutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at offset {:#x} are outside the memory file", self.bytes, self.offset)
    }
}

/// Integers that mapped memory can be seen as, alone or in pairs of one kind (a pair is aligned as one
/// of its integers, and has no padding).
pub trait SharedInteger: private::Sealed + Sync + 'static {}

mod private {
    pub trait Sealed {}
}

macro_rules! shared_integer {
    ($($atomic:ty),*) => {$(
        impl private::Sealed for $atomic {}
        impl SharedInteger for $atomic {}
        impl private::Sealed for [$atomic; 2] {}
        impl SharedInteger for [$atomic; 2] {}
    )*};
}
shared_integer!(AtomicU16, AtomicU32, AtomicU64);

/// An array of atomics in a memory file. Keeps the mapping alive; a clone is another view.
pub struct AtomicArray<T: SharedInteger> {
    first: NonNull<T>,
    len: usize,
    map: MemoryMap,
}

impl<T: SharedInteger> AtomicArray<T> {
    /// The `len` atomics from byte `offset` of the file.
    ///
    /// # Errors
    /// When they do not all lie in the mapping, or `offset` is not aligned for `T`.
    pub fn new(map: &MemoryMap, offset: u64, len: usize) -> Result<Self, OutOfRange> {
        // More bytes than an address can count are in no file.
        let bytes = len.checked_mul(size_of::<T>());
        let refused = OutOfRange { offset, bytes: bytes.map_or(u64::MAX, |n| n as u64) };
        let bytes = bytes.ok_or(refused)?;
        let slice = map.get_slice(GuestAddress(offset), bytes).map_err(|_| refused)?;
        let first = slice.ptr_guard().as_ptr().cast_mut().cast::<T>();
        match NonNull::new(first) {
            Some(first) if first.is_aligned() => Ok(Self { first, len, map: Arc::clone(map) }),
            _ => Err(refused),
        }
    }
}

impl<T: SharedInteger> Deref for AtomicArray<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` checked that `len` values from `first` lie within one mapped region and are
        // aligned; `map` keeps the region mapped for as long as the borrow of `self` can live. The
        // bytes may change behind our back, which atomics allow; every bit pattern is a valid value.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

impl<T: SharedInteger> AsRef<[T]> for AtomicArray<T> {
    fn as_ref(&self) -> &[T] {
        self
    }
}

impl<T: SharedInteger> Clone for AtomicArray<T> {
    fn clone(&self) -> Self {
        Self { first: self.first, len: self.len, map: Arc::clone(&self.map) }
    }
}

impl<T: SharedInteger> fmt::Debug for AtomicArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtomicArray").field("len", &self.len).finish_non_exhaustive()
    }
}

// SAFETY: the pointer stands for a shared borrow of `[T]` kept valid by `map`; atomics (`T: Sync`)
// may be shared and sent between threads, and so may `Arc<GuestMemoryMmap>`.
unsafe impl<T: SharedInteger> Send for AtomicArray<T> {}
// SAFETY: as for `Send`: only `&[T]` is ever handed out.
unsafe impl<T: SharedInteger> Sync for AtomicArray<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn a_view_of_more_bytes_than_an_address_can_count_is_refused() {
        let map: MemoryMap =
            Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 4096)]).unwrap());
        // Each product is 0 or 8 modulo 2^64, which a check of the product alone would pass.
        for len in [1 << 61, (1 << 61) + 1, 1 << 62, 3 << 61] {
            let refused = AtomicArray::<AtomicU64>::new(&map, 0, len).unwrap_err();
            assert_eq!(refused, OutOfRange { offset: 0, bytes: u64::MAX });
        }
        assert!(AtomicArray::<AtomicU32>::new(&map, 0, 1 << 62).is_err());
        assert!(AtomicArray::<AtomicU16>::new(&map, 0, 1 << 63).is_err());
        for len in [usize::MAX, usize::MAX / 8, usize::MAX / 8 + 1] {
            assert!(AtomicArray::<AtomicU64>::new(&map, 8, len).is_err());
            assert!(AtomicArray::<AtomicU16>::new(&map, u64::MAX - 1, len).is_err());
        }
    }

    #[test]
    fn a_view_outside_the_file_or_misaligned_is_refused_and_views_share_their_bytes() {
        let map: MemoryMap =
            Arc::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 8192)]).unwrap());
        assert!(AtomicArray::<AtomicU64>::new(&map, 8192 - 8, 2).is_err());
        assert!(AtomicArray::<AtomicU64>::new(&map, 4, 1).is_err());
        assert!(AtomicArray::<AtomicU64>::new(&map, u64::MAX, 1).is_err());
        let refused = AtomicArray::<AtomicU64>::new(&map, 8192, 1).unwrap_err();
        assert_eq!(refused.to_string(), "8 bytes at offset 0x2000 are outside the memory file");
        let a = AtomicArray::<AtomicU32>::new(&map, 4096, 4).unwrap();
        let b = AtomicArray::<AtomicU32>::new(&map, 4100, 1).unwrap();
        drop(map);
        a[1].store(7, Ordering::Relaxed);
        assert_eq!(b[0].load(Ordering::Relaxed), 7);
        assert_eq!((a.as_ref().len(), a.as_ref()[1].load(Ordering::Relaxed)), (4, 7));
    }
}
