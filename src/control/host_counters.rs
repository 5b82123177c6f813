//! What the host has counted on the host sides, for `show`.
//!
//! # Theory of operation
//! Frames that the host dropped before taptool could read them are counted by the kernel alone, and
//! no event tells of them. They are asked for when they are shown, on a host thread that stays: it
//! is in no other namespace, but asks through one netlink session in the staging namespace by the
//! number that each host side's namespace has there. A reply waits for the answer for 100 ms; when
//! another process holds the rtnl lock for longer, it has the numbers that were read last.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Shared;
use super::thread::StepThread;
use crate::diag::Failure;
use crate::host::{Session, StagingNamespace};
use crate::units::SwIfIndex;

/// Longest wait of a reply.
const PATIENCE: Duration = Duration::from_millis(100);

/// The thread, and whether it is asking.
#[derive(Debug)]
pub(super) struct HostCounters {
    thread: StepThread,
    busy: Arc<AtomicBool>,
}

impl HostCounters {
    /// Opens the session and starts the thread. Blocks.
    ///
    /// # Errors
    /// The kernel refuses a thread, or the staging namespace cannot be entered.
    pub(super) fn start(staging: &StagingNamespace) -> Result<Self, Failure> {
        let session = Session::open(staging.as_fd(), "")?;
        let thread = StepThread::start_with("counters", Some(session))?;
        Ok(Self { thread, busy: Arc::default() })
    }

    /// Reads the counters of all host sides anew, as far as the kernel answers in time.
    pub(super) async fn refresh(&self, shared: &Arc<Shared>) {
        let Ok(resources) = shared.running() else { return };
        let asked: Vec<(SwIfIndex, i32, u32)> = {
            let registry = shared.registry();
            let living = registry.all().filter(|i| i.life.is_living());
            living.filter_map(|i| Some((i.sw_if_index, i.nsid?, i.host.ifindex))).collect()
        };
        if asked.is_empty() || self.busy.swap(true, Ordering::Relaxed) {
            return;
        }
        let (busy, shared) = (Arc::clone(&self.busy), Arc::clone(shared));
        let asking = self.thread.run(move |site| {
            let session = match site.session.take() {
                Some(session) => Ok(session),
                None => Session::open(resources.staging.as_fd(), ""),
            };
            let answers = session.and_then(|session| {
                for (index, nsid, ifindex) in asked {
                    let Some(stats) = session.stats_at(nsid, ifindex)? else { continue };
                    let mut registry = shared.registry();
                    let same = registry
                        .get_mut(index)
                        .filter(|i| i.nsid == Some(nsid) && i.host.ifindex == ifindex);
                    if let Some(interface) = same {
                        interface.host.stats = stats;
                    }
                }
                Ok(session)
            });
            // Where something failed, the next time has a new session.
            site.session = answers.ok();
            busy.store(false, Ordering::Relaxed);
        });
        // Late answers are kept for the next reply.
        let _ = tokio::time::timeout(PATIENCE, asking).await;
    }
}
