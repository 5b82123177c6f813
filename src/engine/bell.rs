//! An eventfd that wakes a thread, rung only while that thread sleeps.
//!
//! # Theory of operation
//! The thread that stores work rings the bell behind it. The thread that is about to sleep says so,
//! looks for work once more, and waits for the file. A fence on each side orders its store before its
//! load, so either the second thread sees the work or the first sees that it sleeps.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sync::{AtomicBool, fence};

/// The bell of one thread.
#[derive(Debug)]
pub(in crate::engine) struct Bell {
    sleeping: AtomicBool,
    file: EventFd,
}

impl Bell {
    pub(in crate::engine) fn new() -> Result<Self, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let file = EventFd::from_value_and_flags(0, flags)?;
        Ok(Self { sleeping: AtomicBool::new(false), file })
    }

    /// Readable once it was rung.
    pub(in crate::engine) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Makes the file unreadable until the next ring.
    pub(in crate::engine) fn clear(&self) {
        // EAGAIN: it was not rung.
        let _ = self.file.read();
    }

    /// Wakes the thread if it sleeps. Call it after storing what the thread should see.
    pub(in crate::engine) fn ring(&self) {
        // Pairs with the fence in `fall_asleep`: either we see it sleeping, or it sees our work.
        fence(Ordering::SeqCst);
        // Only the first to see it asleep wakes it; a burst for a sleeper is one system call.
        if self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed) {
            // EAGAIN: the eventfd is already signalled.
            let _ = self.file.write(1);
        }
    }

    /// Announces that the thread is about to sleep. It then checks for work once more.
    pub(in crate::engine) fn fall_asleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The thread is awake.
    pub(in crate::engine) fn wake_up(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }
}
