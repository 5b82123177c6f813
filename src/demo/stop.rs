//! The signals that end a demo.

use std::future::Future;

use crate::diag::{Code, Failure};
use crate::sys::signals::Signals;

/// Hears them. The first one is answered; those after it find the removal under way.
#[derive(Debug)]
pub(super) struct Stop(Signals);

impl Stop {
    pub(super) fn new() -> Result<Self, Failure> {
        Signals::new().map(Self)
    }

    /// Waits for `work`, or drops it when a signal comes.
    ///
    /// # Errors
    /// Those of `work`; the signal.
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

    /// Whether a signal has come.
    ///
    /// # Errors
    /// It has.
    pub(super) async fn check(&mut self) -> Result<(), Failure> {
        // Once round the runtime, which looks at its files there.
        self.unless(async {
            tokio::task::yield_now().await;
            Ok(())
        })
        .await
    }
}
