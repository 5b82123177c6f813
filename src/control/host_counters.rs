//! What the host has counted on the host sides, for `show`.
//!
//! # Theory of operation
//! Frames that the host dropped before taptool could read them are counted by the kernel alone, and
//! no event tells of them. They are asked for when they are shown, on a host thread that stays: it
//! is in no other namespace, but asks through one netlink session in the staging namespace by the
//! number that each host side's namespace has there. A reply waits for the answer for 100 ms; when
//! another process holds the rtnl lock for longer, it has the numbers that were read last. Where the
//! thread has panicked, the next look has another.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Shared;
use super::port::Place;
use super::thread::{COUNTERS, Site, StepThread};
use crate::diag::Failure;
use crate::host::{Session, StagingNamespace};
use crate::units::SwIfIndex;

/// Longest wait of a reply.
const PATIENCE: Duration = Duration::from_millis(100);

/// The thread, and whether it is asking.
#[derive(Debug)]
pub(super) struct HostCounters {
    thread: Mutex<Arc<StepThread>>,
    busy: Arc<AtomicBool>,
}

/// The thread is asking, until this is dropped: at the end of the work, where it panics, and where
/// the thread is not there to begin with it.
struct Asking(Arc<AtomicBool>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl HostCounters {
    /// Opens the session and starts the thread. Blocks.
    ///
    /// # Errors
    /// The kernel refuses a thread, or the staging namespace cannot be entered.
    pub(super) fn start(staging: &StagingNamespace) -> Result<Self, Failure> {
        let session = Session::open(staging.as_fd(), "")?;
        Self::with(Some(session))
    }

    fn with(session: Option<Session>) -> Result<Self, Failure> {
        let thread = StepThread::start_with(COUNTERS, session)?;
        Ok(Self { thread: Mutex::new(Arc::new(thread)), busy: Arc::default() })
    }

    /// Reads the counters of all host sides anew, as far as the kernel answers in time.
    pub(super) async fn refresh(&self, shared: &Arc<Shared>) {
        let Ok(resources) = shared.running() else { return };
        let asked: Vec<(SwIfIndex, Place)> = {
            let registry = shared.registry();
            let living = registry.all().filter(|i| i.life.is_living());
            living.filter_map(|i| Some((i.sw_if_index, i.port.tap()?.place()?))).collect()
        };
        if asked.is_empty() {
            return;
        }
        let shared = Arc::clone(shared);
        let read = move |site: &mut Site| {
            let session = match site.session.take() {
                Some(session) => Ok(session),
                None => Session::open(resources.staging.as_fd(), ""),
            };
            let answers = session.and_then(|session| {
                for (index, place) in asked {
                    let Some(stats) = session.stats_at(place.nsid, place.ifindex)? else {
                        continue;
                    };
                    let mut registry = shared.registry();
                    if let Some(tap) = registry.get_mut(index).and_then(|i| i.port.tap_mut()) {
                        tap.count(place, stats);
                    }
                }
                Ok(session)
            });
            // Where something failed, the next time has a new session.
            site.session = answers.ok();
        };
        self.ask(read).await;
    }

    /// Does `work` on the thread, unless it is still with what came before, and waits for it, but
    /// not for long: what is late is there for the next reply.
    async fn ask(&self, work: impl FnOnce(&mut Site) + Send + 'static) {
        if self.busy.swap(true, Ordering::Relaxed) {
            return;
        }
        let asking = Asking(Arc::clone(&self.busy));
        let thread = Arc::clone(&self.thread.lock().unwrap_or_else(PoisonError::into_inner));
        let done = thread.run(move |site| {
            let _asking = asking;
            work(site);
        });
        if let Ok(Err(_)) = tokio::time::timeout(PATIENCE, done).await
            // Where there is none to be had, the next look tries again.
            && let Ok(another) = StepThread::start(COUNTERS)
        {
            *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(another);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[tokio::test]
    async fn after_a_panic_of_the_thread_the_counters_are_read_again() {
        let counters = HostCounters::with(None).unwrap();
        let (begin, begun) = channel();
        counters
            .ask(move |_| {
                begin.send(()).unwrap();
                panic!("on purpose");
            })
            .await;
        begun.recv().unwrap();
        // The reply may have been given before the panic: then the next look finds the thread gone.
        for left in (0..2).rev() {
            while counters.busy.load(Ordering::Relaxed) {
                tokio::task::yield_now().await;
            }
            let (say, said) = channel();
            counters.ask(move |_| say.send(()).unwrap()).await;
            if said.recv().is_ok() {
                return;
            }
            assert!(left > 0, "no look had another thread");
        }
    }
}
