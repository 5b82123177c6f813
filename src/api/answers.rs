//! Several answers to one request.

use std::fmt;

use futures_util::stream::{self, LocalBoxStream, Stream, StreamExt};

use super::Outcome;
use crate::diag::Failure;

/// The answers to a request, each when it is there. When they are dropped, no more are made.
pub struct Answers(LocalBoxStream<'static, Result<Outcome, Failure>>);

impl Answers {
    /// Answers that something makes.
    pub fn new(answers: impl Stream<Item = Result<Outcome, Failure>> + 'static) -> Self {
        Self(answers.boxed_local())
    }

    /// The one answer of a request that has one.
    pub fn one(outcome: Outcome) -> Self {
        Self::new(stream::iter([Ok(outcome)]))
    }

    /// The next one; none after the last. A failure is the last.
    pub async fn next(&mut self) -> Option<Result<Outcome, Failure>> {
        self.0.next().await
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}
