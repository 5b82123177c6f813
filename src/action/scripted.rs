//! An action that does what a test says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Context, Verdict};

/// What is called for a frame of so many bytes, and with none when a time has come.
pub type Call = Box<dyn FnMut(&mut Context<'_>, Option<usize>) -> Verdict + Send>;

/// The test's function.
#[derive(Clone)]
pub struct Script(Arc<Mutex<Call>>);

impl Script {
    /// An action that calls this function.
    pub fn new(
        call: impl FnMut(&mut Context<'_>, Option<usize>) -> Verdict + Send + 'static,
    ) -> Self {
        Self(Arc::new(Mutex::new(Box::new(call))))
    }

    /// A function that panicked is called again.
    fn call(&self) -> MutexGuard<'_, Call> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn visit(&self, context: &mut Context<'_>, bytes: usize) -> Verdict {
        (self.call())(context, Some(bytes))
    }

    pub(super) fn expire(&self, context: &mut Context<'_>) {
        (self.call())(context, None);
    }
}

impl std::fmt::Debug for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Script")
    }
}

impl PartialEq for Script {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Script {}
