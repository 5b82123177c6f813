//! The private namespace in which devices for other namespaces are born.
//!
//! # Theory of operation
//! A tun file holds the namespace it was opened in for life, so a device for another namespace is
//! born here and moved there: then nothing of ours keeps that namespace. Everyone who gives birth
//! has the place to himself (a berth) until his device has left or died, since two
//! devices for different namespaces may have one name. The namespace lives as long as this value
//! and the tun files opened in it; nobody else can reach it, and nothing runs in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::namespace::{self, NamespaceId};
use crate::diag::{Code, Failure};

/// Longest wait for the place. A birth with its move takes some 16 ms.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Place {
    taken: Mutex<bool>,
    free: Condvar,
}

/// The namespace.
#[derive(Debug)]
pub struct Nursery {
    fd: OwnedFd,
    id: NamespaceId,
    place: Arc<Place>,
}

impl AsFd for Nursery {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Nursery {
    /// Makes it.
    ///
    /// # Errors
    /// Exit code 5: no `CAP_SYS_ADMIN`.
    pub fn new() -> Result<Self, Failure> {
        let (fd, id) = namespace::anonymous()?;
        Ok(Self { fd, id, place: Arc::default() })
    }

    /// Which namespace it is.
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// Waits for the place and takes it.
    pub(super) fn berth(&self) -> Result<Berth, Failure> {
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
        Ok(Berth(Arc::clone(&self.place)))
    }
}

/// The right to give birth in the nursery, given back by dropping it.
#[derive(Debug)]
pub(super) struct Berth(Arc<Place>);

impl Drop for Berth {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.free.notify_one();
    }
}
