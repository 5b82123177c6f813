//! Host threads: for what blocks or changes namespace. Each ends with its work.

use tokio::sync::oneshot;

use crate::diag::{Code, Failure};

/// Their names begin so.
pub(super) const PREFIX: &str = "host-";

/// Runs `work` on a thread of its own and waits for it without blocking the runtime.
///
/// # Errors
/// When the kernel refuses a thread, or `work` panicked.
pub(super) async fn run<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name(format!("{PREFIX}{what}"))
        .spawn(move || {
            // Whoever asked has stopped waiting: the process ends.
            let _ = done.send(work());
        })
        .map_err(|e| Failure::io("start a thread", what, &e))?;
    result
        .await
        .map_err(|_| Failure::new(Code::Failed, what, "the host thread panicked; this is a bug"))
}
