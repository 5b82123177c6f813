//! Runs blocking work on a thread that ends with the work.

use tokio::sync::oneshot;

use crate::diag::{Code, Failure};

/// Runs `work` on its own thread. If the future is dropped, the work still runs to its end.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("demo-aside".into())
        .spawn(move || {
            // The receiver is gone when the demo was interrupted.
            let _ = done.send(work());
        })
        .map_err(|e| Failure::io("start a thread", "", &e))?;
    result.await.unwrap_or_else(|_| Err(Failure::new(Code::Failed, "", "a thread panicked")))
}
