//! Host threads, for work that blocks or changes namespace. Each ends with its work; only one that
//! changes no namespace may live as long as the process.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::device::Backend;
use crate::diag::Failure;
use crate::host::thread::{PREFIX, panicked};
use crate::host::{HostThread, Session, aside};

/// The thread of the watch's tick. It stays, so that none is started each second.
pub(super) const SWEEP: &str = "sweep";

/// The thread that reads what the host has counted. It stays, because it is asked often.
pub(super) const COUNTERS: &str = "counters";

/// Whether a thread of this name is one of those two.
pub(super) fn stays(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|what| [SWEEP, COUNTERS].contains(&what))
}

/// Runs `work` on a thread of its own and waits for it without blocking the runtime.
///
/// # Errors
/// When the kernel refuses a thread, or `work` panicked.
pub(crate) async fn run<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    aside(what, |_| work()).await
}

/// As [`run`], for work that must not be lost, because it owns what others wait for. Where the
/// kernel refuses a thread (a full pids cgroup) it is done here: this thread then stands still for
/// as long, which is the lesser evil. Not for work that changes namespace.
///
/// # Errors
/// When `work` panicked.
pub(crate) async fn finish<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    done_there_or_here(work, |work| run(what, work)).await
}

/// Does `work` on the thread that `there` has, or on this one where that is not to be had.
async fn done_there_or_here<T, W, F>(
    work: W,
    there: impl FnOnce(Box<dyn FnOnce() -> Option<T> + Send>) -> F,
) -> Result<T, Failure>
where
    T: Send + 'static,
    W: FnOnce() -> T + Send + 'static,
    F: Future<Output = Result<Option<T>, Failure>>,
{
    let kept = Arc::new(Mutex::new(Some(work)));
    let take = |kept: &Mutex<Option<W>>| kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let theirs = Arc::clone(&kept);
    match there(Box::new(move || take(&theirs).map(|work| work()))).await {
        Ok(Some(done)) => Ok(done),
        Ok(None) => Err(Failure::bug("", "was done before")),
        Err(failure) => take(&kept).map(|work| work()).ok_or(failure),
    }
}

/// What a thread of several steps has at hand.
#[derive(Default)]
pub(super) struct Site {
    /// Its namespace and sessions.
    pub(super) thread: HostThread,
    /// The backend, until a step takes it: opened before the thread left the holder's namespace.
    pub(super) opened: Option<Result<Box<dyn Backend>, Failure>>,
    /// A session that a thread that stays goes on with.
    pub(super) session: Option<Session>,
}

type Work = Box<dyn FnOnce(&mut Site) + Send>;

/// One host thread for several steps, in order, as those of a create. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct StepThread {
    what: &'static str,
    steps: mpsc::Sender<Work>,
}

impl StepThread {
    /// Starts it.
    ///
    /// # Errors
    /// The kernel refuses a thread.
    pub(super) fn start(what: &'static str) -> Result<Self, Failure> {
        Self::start_with(what, None)
    }

    /// As [`StepThread::start`], with a session for its steps.
    ///
    /// # Errors
    /// The kernel refuses a thread.
    pub(super) fn start_with(
        what: &'static str,
        session: Option<Session>,
    ) -> Result<Self, Failure> {
        let (sender, steps) = mpsc::channel::<Work>();
        std::thread::Builder::new()
            .name(format!("{PREFIX}{what}"))
            .spawn(move || {
                let mut site = Site { session, ..Site::default() };
                for step in steps {
                    step(&mut site);
                }
            })
            .map_err(|e| Failure::io("start a thread", what, &e))?;
        Ok(Self { what, steps: sender })
    }

    /// Runs `work` there and waits for it without blocking the runtime.
    ///
    /// # Errors
    /// `work` panicked, or a step before it did: the thread is gone then.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Site) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let (done, result) = oneshot::channel();
        let step = Box::new(move |site: &mut Site| {
            // The requester has stopped waiting: the process ends.
            let _ = done.send(work(site));
        });
        self.steps.send(step).map_err(|_| panicked(self.what))?;
        result.await.map_err(|_| panicked(self.what))
    }

    /// As [`StepThread::run`], for work that must not be lost and needs no namespace. Where the
    /// thread is gone it is done here.
    ///
    /// # Errors
    /// When `work` panicked.
    pub(super) async fn finish<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        done_there_or_here(work, |work| self.run(move |_| work())).await
    }

    /// Waits until it has let go of all that it has: no namespace is kept alive by it.
    pub(super) async fn end(self) {
        // Where the thread is gone, so is all that it had.
        let _ = self.run(|site| *site = Site::default()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use nix::sys::resource::{Resource, setrlimit};
    use nix::unistd::geteuid;

    use super::*;

    /// Set in the process that runs the ignored test.
    const INNER: &str = "TAPTOOL_TEST_INNER";

    #[tokio::test]
    async fn a_step_that_panics_is_told_and_what_must_not_be_lost_is_done_all_the_same() {
        let thread = StepThread::start("test").unwrap();
        let owned = Arc::new(());
        let theirs = Arc::clone(&owned);
        assert_eq!(thread.run(|_| 7).await.unwrap(), 7);
        let told = thread.run(|_| -> () { panic!("on purpose") }).await.unwrap_err();
        assert!(told.to_string().contains("panicked"), "{told}");
        assert!(thread.run(|_| ()).await.is_err());
        let back = thread.finish(move || theirs).await.unwrap();
        assert!(Arc::ptr_eq(&owned, &back));
        thread.end().await;
    }

    #[test]
    fn where_no_thread_can_be_had_work_is_refused_or_done_here_and_never_lost() {
        // The build directory may be closed to others, so the program is copied to where it is not.
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("test");
        std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new(copy);
        // The limit on processes is not root's.
        if geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let inner = "control::thread::tests::inner_without_threads";
        let args = [inner, "--exact", "--ignored", "--test-threads=1", "--nocapture"];
        let out = command.args(args).current_dir("/").env(INNER, "1").output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && text.contains("1 passed"), "{text}");
    }

    #[test]
    #[ignore = "runs as nobody, by another test"]
    fn inner_without_threads() {
        if std::env::var_os(INNER).is_none() {
            println!("SKIP another test runs this one in a process of its own");
            return;
        }
        setrlimit(Resource::RLIMIT_NPROC, 0, 0).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let owned = Arc::new(());
        let theirs = Arc::clone(&owned);
        let refused = runtime.block_on(run("look", move || drop(theirs))).unwrap_err();
        assert!(refused.to_string().contains("EAGAIN"), "{refused}");
        let theirs = Arc::clone(&owned);
        let back = runtime.block_on(finish("stop", move || theirs)).unwrap();
        assert!(Arc::ptr_eq(&owned, &back));
        assert_eq!(Arc::strong_count(&owned), 2);
    }
}
