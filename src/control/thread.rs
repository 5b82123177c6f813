//! Host threads, for work that blocks or changes namespace. Each ends with its work.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::diag::{Code, Failure};

/// Their names begin so.
pub(super) const PREFIX: &str = "host-";

/// Runs `work` on a thread of its own and waits for it without blocking the runtime.
///
/// # Errors
/// When the kernel refuses a thread, or `work` panicked.
pub(crate) async fn run<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("{PREFIX}{what}"))
        .spawn(move || {
            // The requester has stopped waiting: the process ends.
            let _ = done.send(work());
        })
        .map_err(|e| Failure::io("start a thread", what, &e))?;
    result
        .await
        .map_err(|_| Failure::new(Code::Failed, what, "the host thread panicked; this is a bug"))
}

/// As [`run`], for work that must not be lost, because it owns what others wait for. Where the
/// kernel refuses a thread (a full pids cgroup) it is done here: this thread then stands still for
/// as long, which is the lesser evil. Not for work that changes namespace.
///
/// # Errors
/// When `work` panicked.
pub(super) async fn finish<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let kept = Arc::new(Mutex::new(Some(work)));
    let take = |kept: &Mutex<Option<_>>| kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let there = Arc::clone(&kept);
    match run(what, move || take(&there).map(|work| work())).await {
        Ok(Some(done)) => Ok(done),
        Ok(None) => Err(Failure::new(Code::Failed, what, "was done before; this is a bug")),
        Err(failure) => take(&kept).map(|work| work()).ok_or(failure),
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
