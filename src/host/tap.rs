//! Makes a tun or tap device and moves it into its namespace.
//!
//! # Theory of operation
//! [`open`] makes the device with all its queue files. For the holder's own namespace it is born in
//! place. For another it is born in the staging namespace under its final name, and [`Tap::enter`]
//! moves it, a step of its own that takes some 16 ms. Until then the staging namespace is this
//! device's alone. The undo of everything here is dropping the [`Tap`]: the kernel removes the
//! device with its last file, wherever it is by then, and with it its addresses, routes and bridge
//! port.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::birth::birth;
use super::facts::{self, Absent};
use super::namespace;
use super::offloads::Offloads;
use super::refusal::taken;
use super::spec::{HostName, TapSpec};
use super::staging::{StagingLock, StagingNamespace};
use super::thread::HostThread;
use crate::diag::{Code, Failure};
use crate::units::{IfName, Kind};

/// A living device: its queue files and what it was when last looked at.
#[derive(Debug)]
pub struct Tap {
    // Dropped first: the device must have left the staging namespace before the lock is free.
    fds: Vec<OwnedFd>,
    staging_lock: Option<StagingLock>,
    kind: Kind,
    host_name: HostName,
    name: IfName,
    ifindex: u32,
    offloads: Offloads,
}

impl Tap {
    /// A device that is where it belongs.
    pub(super) fn in_place(
        fds: Vec<OwnedFd>,
        spec: &TapSpec,
        (name, ifindex): (IfName, u32),
        offloads: Offloads,
    ) -> Self {
        let (kind, host_name) = (spec.kind, spec.host_name.clone());
        Self { fds, staging_lock: None, kind, host_name, name, ifindex, offloads }
    }

    /// The queue files, non-blocking and close-on-exec, in queue order. The device lives until the
    /// last is closed.
    pub fn fds(&self) -> &[OwnedFd] {
        &self.fds
    }

    /// Gives the queue files away. A device that is still in the staging namespace is removed
    /// instead.
    ///
    /// # Errors
    /// It is still in the staging namespace.
    pub fn into_fds(self) -> Result<Vec<OwnedFd>, Failure> {
        if self.staging_lock.is_some() {
            return Err(Failure::new(
                Code::Failed,
                self.name.as_str(),
                "the device has not been moved into its namespace",
            ));
        }
        Ok(self.fds)
    }

    /// Its name at birth, or after [`Tap::enter`].
    pub fn name(&self) -> &IfName {
        &self.name
    }

    /// Its index at birth, or after [`Tap::enter`].
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// What the host may send us.
    pub fn offloads(&self) -> Offloads {
        self.offloads
    }

    /// Whether it is still in the staging namespace, so that [`Tap::enter`] has work to do.
    pub fn is_staged(&self) -> bool {
        self.staging_lock.is_some()
    }

    /// Moves the device from the staging namespace into its namespace; does nothing for one born in
    /// place.
    ///
    /// # Errors
    /// Exit code 4: another device has the name there; 5: no `CAP_NET_ADMIN` there. The device is
    /// then still in the staging namespace, and nothing has changed in the target. Exit code 1: it
    /// was moved and cannot be looked at there. In any case dropping this undoes it.
    pub fn enter(
        &mut self,
        thread: &mut HostThread,
        staging: &StagingNamespace,
        target: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        if self.staging_lock.is_none() {
            return Ok(());
        }
        let here = thread.session(staging.as_fd(), self.name.as_str())?;
        if let Err(first) = here.set_netns(self.ifindex, target) {
            match (&self.host_name, first.code) {
                (HostName::FirstFree(_), Code::Exists) => {
                    self.enter_as_next(thread, staging, target)?;
                }
                (HostName::Exact(name), Code::Exists) => return Err(taken(name, first.doing)),
                _ => return Err(first),
            }
        }
        self.staging_lock = None;
        // A process in the target may have renamed it by now; its index may be another too.
        let Some(fd) = self.fds.first() else { return Ok(()) };
        match facts::facts(thread, fd.as_fd()) {
            Ok(facts) => {
                self.ifindex = facts.ifindex;
                if let Ok(name) = IfName::new(&facts.name) {
                    self.name = name;
                }
                Ok(())
            }
            Err(Absent::Gone) => Err(Failure::new(
                Code::Failed,
                self.name.as_str(),
                "the device vanished on its way into the namespace",
            )),
            Err(Absent::Failed(failure)) => Err(failure),
        }
    }

    /// Enters under the first free `tapN` of the target. It is renamed here, where no other process
    /// sees it, and then moved: a name in the request of the move would be applied after it, too
    /// late to take back.
    fn enter_as_next(
        &mut self,
        thread: &mut HostThread,
        staging: &StagingNamespace,
        target: BorrowedFd<'_>,
    ) -> Result<(), Failure> {
        let subject = self.name.clone();
        for number in 0..=u32::from(u16::MAX) {
            let name = format!("{}{number}", self.kind.word());
            let there = thread.session(target, subject.as_str())?;
            if there.link_by_name(&name)?.is_some() {
                continue;
            }
            let Ok(name) = IfName::new(&name) else { break };
            let here = thread.session(staging.as_fd(), subject.as_str())?;
            here.rename(self.ifindex, &name)?;
            self.name = name;
            match here.set_netns(self.ifindex, target) {
                Ok(()) => return Ok(()),
                // Taken since the look-up.
                Err(failure) if failure.code == Code::Exists => {}
                Err(failure) => return Err(failure),
            }
        }
        Err(taken(self.host_name.wanted(), String::new()))
    }
}

/// Makes the device. `target` is the namespace that it is for.
///
/// # Errors
/// Exit code 4: in place, another device has the name; 5: not permitted; 7: no /dev/net/tun, or one
/// that lacks what is needed. Nothing is left behind.
pub fn open(
    thread: &mut HostThread,
    staging: &StagingNamespace,
    target: BorrowedFd<'_>,
    spec: &TapSpec,
) -> Result<Tap, Failure> {
    let own = namespace::own()?.1;
    let (staging_lock, born) = if namespace::identity(target)? == own {
        thread.enter(target)?;
        (None, birth(spec)?)
    } else {
        let staging_lock = staging.lock()?;
        thread.enter(staging.as_fd())?;
        (Some(staging_lock), birth(spec)?)
    };
    Ok(Tap {
        fds: born.fds,
        staging_lock,
        kind: spec.kind,
        host_name: spec.host_name.clone(),
        name: born.name,
        ifindex: born.ifindex,
        offloads: born.offloads,
    })
}
