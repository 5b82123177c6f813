//! Which processor a poller is on, and a receive queue that changes its poller.
//!
//! # Theory of operation
//! A queue that is moved is parked first: its poller visits it no more, so frames wait in its ring or
//! in the host side. Then what it has forwarded gets time to leave the transmit rings, so that no
//! later frame of a flow, sent through a queue of the other poller, overtakes an earlier one. Then its
//! poller hands it over, and with it its buffers. Commands and buffers that still come to the poller
//! before go on to the one that has the queue, in the order in which they came.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use tokio::sync::oneshot;

use super::poller::Command;
use super::{Engine, QueueKey, gone, taken, unwatched};
use crate::device::Pool;
use crate::diag::{Code, Failure};
use crate::units::{NumberList, PollerIndex};

/// How long what a moved queue has forwarded may take to leave the transmit rings. What a peer that is
/// stuck has of it is not waited for.
const DRAIN: Duration = Duration::from_millis(20);

/// This thread.
const OWN: Pid = Pid::from_raw(0);

/// A thread on one processor; it is on those of before when this is dropped.
pub(super) struct Visit(CpuSet);

impl Visit {
    /// Goes there.
    ///
    /// # Errors
    /// There is no such processor, or it is not for this process.
    pub(super) fn begin(processor: u16) -> Result<Self, Failure> {
        let refused = |doing: &'static str| {
            move |errno| {
                Failure::sys(doing, format!("processor {processor}"), errno)
                    .code(Code::Failed)
                    .hint("`taskset -cp $$' and /sys/devices/system/cpu/online list the processors")
            }
        };
        let before = sched_getaffinity(OWN).map_err(refused("sched_getaffinity"))?;
        let mut one = CpuSet::new();
        let set = one.set(usize::from(processor)).and_then(|()| sched_setaffinity(OWN, &one));
        set.map_err(refused("sched_setaffinity"))?;
        Ok(Self(before))
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // They were its own a moment ago.
        let _ = sched_setaffinity(OWN, &self.0);
    }
}

/// Whether pollers can be on these processors.
///
/// # Errors
/// The first on which they cannot.
pub fn check_processors(processors: &NumberList) -> Result<(), Failure> {
    processors.iter().try_for_each(|processor| Visit::begin(processor).map(drop))
}

impl Engine {
    /// Moves a receive queue and its buffers, `pools`, the one that it receives into first, to another
    /// poller. No frame is lost, and where what it
    /// has forwarded is sent within 20 ms, none is overtaken.
    ///
    /// # Errors
    /// When it has no such queue, a poller has ended, or the other one cannot watch the queue's files:
    /// it is stopped then.
    pub async fn move_rx(
        &self,
        from: PollerIndex,
        key: QueueKey,
        pools: &[Arc<Pool>],
        to: PollerIndex,
    ) -> Result<(), Failure> {
        self.inbox(to)?;
        self.ask(from, Command::Park(key)).await?;
        let end = Instant::now() + DRAIN;
        let under_way = || pools.first().is_some_and(|pool| pool.lent() > 0);
        while under_way() && Instant::now() < end {
            self.ask_all(|| Command::CatchUp).await?;
        }
        let (answer, placed) = oneshot::channel();
        self.ask(from, Command::MoveRx(key, to, answer)).await?;
        placed.await.map_err(|_| taken())?.map_err(unwatched)?;
        // Until they know, the others return buffers by way of the poller before.
        for pool in pools {
            self.ask_all(|| Command::AddPool(Arc::clone(pool), to)).await.map_err(|_| gone())?;
        }
        Ok(())
    }
}
