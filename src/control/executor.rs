//! Runs jobs of different interfaces concurrently, and the jobs of one interface in order.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::units::SwIfIndex;

/// Running jobs, and the jobs that wait for them.
///
/// Each interface has one running job at a time; the next begins when it has ended. A job that
/// waits already is not added again, so the number of waiting jobs is bounded by their kinds.
/// Dropping the executor ends the running jobs.
pub(super) struct KeyedExecutor<J, R> {
    waiting: BTreeMap<SwIfIndex, VecDeque<J>>,
    running: JoinSet<SwIfIndex>,
    places: Arc<Semaphore>,
    run: R,
}

impl<J, F, R> KeyedExecutor<J, R>
where
    J: PartialEq + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
    R: Fn(SwIfIndex, J) -> F,
{
    /// An executor on which `run` does the jobs, at most `most` at a time.
    pub(super) fn new(most: usize, run: R) -> Self {
        let places = Arc::new(Semaphore::new(most));
        Self { waiting: BTreeMap::new(), running: JoinSet::new(), places, run }
    }

    /// Adds a job.
    pub(super) fn give(&mut self, index: SwIfIndex, job: J) {
        match self.waiting.get_mut(&index) {
            Some(waiting) if waiting.contains(&job) => {}
            Some(waiting) => waiting.push_back(job),
            None => {
                self.waiting.insert(index, VecDeque::new());
                self.start(index, job);
            }
        }
    }

    fn start(&mut self, index: SwIfIndex, job: J) {
        let (places, work) = (Arc::clone(&self.places), (self.run)(index, job));
        self.running.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire().await;
            // A panic is reported by the process's hook; the interface's next job runs all the same.
            let _ = AssertUnwindSafe(work).catch_unwind().await;
            index
        });
    }

    /// Waits until a job has ended, and begins the next of that interface; waits for ever while no
    /// job runs. Dropping the future loses nothing.
    pub(super) async fn advance(&mut self) {
        let Some(ended) = self.running.join_next().await else {
            return std::future::pending().await;
        };
        // A job is not cancelled while the executor lives, and its panics are caught.
        let Ok(index) = ended else { return };
        match self.waiting.get_mut(&index).and_then(VecDeque::pop_front) {
            Some(job) => self.start(index, job),
            None => {
                self.waiting.remove(&index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::sync::Mutex;

    use tokio::sync::oneshot;

    /// Jobs are numbers; each waits until it is let go.
    #[derive(Default)]
    struct Gates {
        begun: Vec<(u32, u32)>,
        gates: HashMap<(u32, u32), oneshot::Sender<()>>,
    }

    type Shared = Arc<Mutex<Gates>>;

    fn executor(most: usize) -> (Shared, KeyedExecutor<u32, impl Fn(SwIfIndex, u32) -> BoxedJob>) {
        let shared = Shared::default();
        let theirs = Arc::clone(&shared);
        let run = move |index: SwIfIndex, job: u32| -> BoxedJob {
            let gates = Arc::clone(&theirs);
            Box::pin(async move {
                let (open, opened) = oneshot::channel();
                {
                    let mut all = gates.lock().unwrap();
                    all.begun.push((index.0, job));
                    all.gates.insert((index.0, job), open);
                }
                opened.await.unwrap();
            })
        };
        (shared, KeyedExecutor::new(most, run))
    }

    type BoxedJob = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

    /// Lets every task go as far as it can.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    fn open(shared: &Shared, index: u32, job: u32) {
        shared.lock().unwrap().gates.remove(&(index, job)).unwrap().send(()).unwrap();
    }

    fn begun(shared: &Shared) -> Vec<(u32, u32)> {
        shared.lock().unwrap().begun.clone()
    }

    #[tokio::test]
    async fn a_job_that_hangs_delays_its_own_interface_only_and_what_waits_keeps_its_order() {
        let (shared, mut executor) = executor(8);
        for job in [1, 2, 3, 2, 3] {
            executor.give(SwIfIndex(1), job);
        }
        executor.give(SwIfIndex(2), 1);
        executor.give(SwIfIndex(2), 2);
        settle().await;
        assert_eq!(begun(&shared), [(1, 1), (2, 1)]);
        open(&shared, 2, 1);
        executor.advance().await;
        settle().await;
        assert_eq!(begun(&shared), [(1, 1), (2, 1), (2, 2)]);
        for job in [1, 2, 3] {
            open(&shared, 1, job);
            executor.advance().await;
            settle().await;
        }
        assert_eq!(begun(&shared)[3..], [(1, 2), (1, 3)]);
        open(&shared, 2, 2);
        executor.advance().await;
        assert!(executor.waiting.is_empty());
    }

    #[tokio::test]
    async fn a_job_that_panics_holds_up_no_later_job_of_its_interface() {
        let (shared, mut executor) = executor(8);
        executor.give(SwIfIndex(1), 1);
        executor.give(SwIfIndex(1), 2);
        settle().await;
        // The job waits for what never comes, and panics.
        drop(shared.lock().unwrap().gates.remove(&(1, 1)));
        executor.advance().await;
        settle().await;
        assert_eq!(begun(&shared), [(1, 1), (1, 2)]);
    }

    #[tokio::test]
    async fn no_more_jobs_run_at_a_time_than_there_are_places() {
        let (shared, mut executor) = executor(2);
        for index in 1..=3 {
            executor.give(SwIfIndex(index), 1);
        }
        settle().await;
        assert_eq!(begun(&shared), [(1, 1), (2, 1)]);
        open(&shared, 1, 1);
        executor.advance().await;
        settle().await;
        assert_eq!(begun(&shared), [(1, 1), (2, 1), (3, 1)]);
    }
}
