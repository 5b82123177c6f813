//! The signals that end a demo.

use std::future::Future;

use crate::diag::{Code, Failure};
use crate::sys::signals::Signals;

/// Receives them. The first ends the demo; later ones change nothing, since removal has begun.
#[derive(Debug)]
pub(super) struct Stop(Signals);

impl Stop {
    pub(super) fn new() -> Result<Self, Failure> {
        Signals::new().map(Self)
    }

    /// Waits for `work`, or drops it when a signal comes.
    ///
    /// # Errors
    /// Those of `work`, or the signal.
    pub(super) async fn unless<T>(
        &mut self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::select! {
            biased;
            signal = self.0.next() => {
                Err(Failure::new(Code::Failed, "", format!("interrupted by {}", signal?)))
            }
            done = work => done,
        }
    }

    /// Fails if a signal has come.
    ///
    /// # Errors
    /// A signal has come.
    pub(super) async fn check(&mut self) -> Result<(), Failure> {
        // The runtime polls its files when a task yields.
        self.unless(async {
            tokio::task::yield_now().await;
            Ok(())
        })
        .await
    }
}
