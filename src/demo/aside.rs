//! Work that blocks, on a thread of its own that ends with it.

use tokio::sync::oneshot;

use crate::diag::{Code, Failure};

/// Runs `work` beside the runtime. A future that is dropped leaves it to end by itself.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new()
        .name("demo-aside".into())
        .spawn(move || {
            // Whoever asked was interrupted.
            let _ = done.send(work());
        })
        .map_err(|e| Failure::io("start a thread", "", &e))?;
    result.await.unwrap_or_else(|_| Err(Failure::new(Code::Failed, "", "a thread panicked")))
}
