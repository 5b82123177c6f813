//! The front of the private file: what it is, and where the records of queues stand.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ring::{AtomicArray, MemoryMap, OutOfRange};

/// `taptool` and a zero byte.
const MAGIC: u64 = u64::from_le_bytes(*b"taptool\0");
/// Version of the layout of both files.
const VERSION: u64 = 6;
/// Records, so queues of one process: two for each of 8192 ids, and as many again.
pub const RECORDS: usize = 32768;
/// Words of a record.
pub(super) const RECORD_WORDS: usize = 8;
/// Words of the header.
const HEADER_WORDS: usize = 8;
/// Bytes of header and records.
pub(super) const FILE_BYTES: u64 = 8 * (HEADER_WORDS + RECORDS * RECORD_WORDS) as u64;

fn words(private: &MemoryMap) -> Result<AtomicArray<AtomicU64>, OutOfRange> {
    AtomicArray::new(private, 0, HEADER_WORDS)
}

/// Stores the header, without which no record is read.
pub(super) fn write_header(private: &MemoryMap, shared_bytes: u64) -> Result<(), OutOfRange> {
    let words = words(private)?;
    words[1].store(VERSION, Ordering::Relaxed);
    words[2].store(shared_bytes, Ordering::Relaxed);
    words[0].store(MAGIC, Ordering::Release);
    Ok(())
}

/// Whether the file says that it has this layout.
pub(super) fn is_known(private: &MemoryMap) -> bool {
    words(private).is_ok_and(|words| {
        [words[0].load(Ordering::Acquire), words[1].load(Ordering::Relaxed)] == [MAGIC, VERSION]
    })
}

/// The words of record number `at`, [`RECORD_WORDS`] of them.
///
/// # Errors
/// When there is no such record.
pub(super) fn record(private: &MemoryMap, at: usize) -> Result<AtomicArray<AtomicU64>, OutOfRange> {
    let bytes = (RECORD_WORDS * 8) as u64;
    let refused = OutOfRange { offset: at as u64, bytes };
    if at >= RECORDS {
        return Err(refused);
    }
    let front = (HEADER_WORDS * 8) as u64;
    AtomicArray::new(private, front + bytes * at as u64, RECORD_WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Memory, QueueRecord};

    #[test]
    fn header_and_records_take_what_is_set_aside_for_them() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        let records = memory.records();
        assert_eq!(
            (records.offset(), records.bytes()),
            (0, (64_u64 + 32_768 * 64).next_multiple_of(4096))
        );
        assert_eq!(FILE_BYTES, 64 + 32_768 * 64);
    }

    #[test]
    fn a_file_of_another_layout_has_no_records() {
        let memory = Memory::new("16M".parse().unwrap()).unwrap();
        assert!(is_known(memory.private()));
        record(memory.private(), 0).unwrap()[0].store(1, Ordering::Relaxed);
        let header = AtomicArray::<AtomicU64>::new(memory.private(), 0, 3).unwrap();
        assert_eq!(header[2].load(Ordering::Relaxed), 16 << 20);
        for word in [&header[0], &header[1]] {
            let was = word.swap(7, Ordering::Relaxed);
            assert!(!is_known(memory.private()));
            assert_eq!(QueueRecord::read_all(memory.private()), []);
            word.store(was, Ordering::Relaxed);
        }
        assert!(is_known(memory.private()));
    }
}
