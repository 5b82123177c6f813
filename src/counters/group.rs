//! A versioned group of words: one writer, readers that see it whole or not at all.
//!
//! # Theory of operation
//! The first word is the version. It is odd while the others are being written, and another even
//! number afterwards. A reader that meets an odd version, or another one after the words than
//! before, has read what does not belong together.

use std::sync::atomic::Ordering;

use crate::sync::{AtomicU64, fence};

/// Lets readers see `values` as one group. Only one thread at a time may write a group.
pub(super) fn write(group: &[AtomicU64], values: &[u64]) {
    let version = group[0].load(Ordering::Relaxed);
    // The fence keeps the words behind the odd version.
    group[0].store(version.wrapping_add(1) | 1, Ordering::Relaxed);
    fence(Ordering::Release);
    for (word, value) in group[1..].iter().zip(values) {
        word.store(*value, Ordering::Relaxed);
    }
    group[0].store((version | 1).wrapping_add(1), Ordering::Release);
}

/// Reads the words once; `false` where they may not belong together.
pub(super) fn read(group: &[AtomicU64], values: &mut [u64]) -> bool {
    let before = group[0].load(Ordering::Acquire);
    if before & 1 == 1 {
        return false;
    }
    for (value, word) in values.iter_mut().zip(&group[1..]) {
        *value = word.load(Ordering::Relaxed);
    }
    // Keeps the words before the second look at the version.
    fence(Ordering::Acquire);
    group[0].load(Ordering::Relaxed) == before
}
