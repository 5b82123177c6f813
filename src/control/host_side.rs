//! The host side of an interface, looked up by its tap file.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::thread;
use crate::diag::{Code, Failure};
use crate::host::{self, Absent, HostFacts, Nursery};

/// What a look found.
#[derive(Debug)]
pub(super) struct HostSide {
    pub(super) facts: HostFacts,
    /// Number of its namespace in the nursery: from then on its events are heard.
    pub(super) nsid: Option<i32>,
}

impl HostSide {
    /// Looks, on a host thread.
    ///
    /// # Errors
    /// `ENODEV`'s exit code when the device is gone.
    pub(super) async fn look(
        nursery: &Arc<Nursery>,
        taps: Vec<Arc<OwnedFd>>,
    ) -> Result<Self, Failure> {
        match Self::find(nursery, taps).await? {
            Some(side) => Ok(side),
            None => Err(Failure::new(Code::NotFound, "", "the host side is gone")),
        }
    }

    /// As [`HostSide::look`]; none when the device is gone.
    pub(super) async fn find(
        nursery: &Arc<Nursery>,
        taps: Vec<Arc<OwnedFd>>,
    ) -> Result<Option<Self>, Failure> {
        let nursery = Arc::clone(nursery);
        // The files are let go on that thread, before it answers.
        thread::run("look", move || {
            let taps = taps;
            let Some(tap) = taps.first() else { return Ok(None) };
            let absent = |absent| match absent {
                Absent::Gone => Ok(None),
                Absent::Failed(failure) => Err(failure),
            };
            // The number first: what changes after the look is then heard.
            let nsid = match host::locate(tap.as_fd()) {
                Ok(located) => match &located.namespace {
                    Some(namespace) => Some(host::nsid_of(&nursery, namespace.as_fd())?),
                    None => None,
                },
                Err(e) => return absent(e),
            };
            match host::facts(tap.as_fd()) {
                Ok(facts) => Ok(Some(Self { facts, nsid })),
                Err(e) => absent(e),
            }
        })
        .await?
    }
}
