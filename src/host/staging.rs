//! The private namespace in which devices for other namespaces are made.
//!
//! # Theory of operation
//! A tun file keeps the namespace alive in which it was opened. So a device for another namespace is
//! made here and then moved: no file of ours keeps the target namespace alive. Two devices for
//! different namespaces may have the same name, so only one create at a time may have a device here:
//! it holds a `StagingLock` until its device was moved or removed. The namespace lives as long as
//! this value and the tun files opened in it. No other process can reach it, and nothing runs in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::namespace::{self, NamespaceId};
use super::thread::on_a_thread;
use crate::diag::{Code, Failure};
use crate::sys::namespace as sys;

/// Longest wait for the lock. Making and moving a device takes some 16 ms.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Place {
    taken: Mutex<bool>,
    free: Condvar,
}

/// The namespace.
#[derive(Debug)]
pub struct StagingNamespace {
    fd: OwnedFd,
    id: NamespaceId,
    place: Arc<Place>,
}

impl AsFd for StagingNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl StagingNamespace {
    /// Makes it.
    ///
    /// # Errors
    /// Exit code 5: no `CAP_SYS_ADMIN`.
    pub fn new() -> Result<Self, Failure> {
        let (fd, id) = anonymous()?;
        Ok(Self { fd, id, place: Arc::default() })
    }

    /// Which namespace it is.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// Waits for the lock and takes it.
    pub(super) fn lock(&self) -> Result<StagingLock, Failure> {
        let taken = self.place.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut taken, late) = self
            .place
            .free
            .wait_timeout_while(taken, PATIENCE, |taken| *taken)
            .unwrap_or_else(PoisonError::into_inner);
        if late.timed_out() {
            return Err(Failure::new(
                Code::Exists,
                "",
                "another device has been on its way into its namespace for 30 s",
            ));
        }
        *taken = true;
        drop(taken);
        Ok(StagingLock(Arc::clone(&self.place)))
    }
}

/// Makes a network namespace without a name: it lives as long as a file of it or a socket in it.
/// Blocks.
///
/// # Errors
/// Exit code 5: no `CAP_SYS_ADMIN`.
pub fn anonymous() -> Result<(OwnedFd, NamespaceId), Failure> {
    on_a_thread(|_| {
        sys::unshare_network().map_err(|e| namespace::entering("unshare(CLONE_NEWNET)", e))?;
        namespace::of_this_thread()
    })
}

/// The right to have a device in the staging namespace, until it is dropped.
#[derive(Debug)]
pub(super) struct StagingLock(Arc<Place>);

impl Drop for StagingLock {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.free.notify_one();
    }
}
