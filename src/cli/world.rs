//! What the command line asks of the process it runs in, and says to it.

use std::future::Future;

use crate::diag::Failure;
use crate::holder::Owner;
use crate::units::{MemorySize, NumberList};

/// What the command line asks of the process it runs in.
pub trait World {
    /// Control of this process.
    type Control: Owner;

    /// Starts control in this process; called at most once, on the runtime. Dropping what it
    /// returns ends it.
    fn start(&self, settings: &Settings) -> impl Future<Output = Result<Self::Control, Failure>>;

    /// Takes over SIGTERM, SIGINT and SIGHUP and returns what ends with the number of the first of
    /// them; called on the runtime, before [`World::start`] and before any thread of ours.
    fn stop(&self) -> Result<impl Future<Output = i32>, Failure>;
}

/// What the command line says about the process rather than about an interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Memory for all rings and buffers; none: the default.
    pub memory: Option<MemorySize>,
    /// Pollers; 0: one for each of `processors`, at least one.
    pub pollers: u16,
    /// Where they run, one on each; empty: wherever the scheduler has them.
    pub processors: NumberList,
    /// Print JSON.
    pub json: bool,
    /// Print JSON on several lines; implies `json`.
    pub pretty: bool,
    /// Print no notices.
    pub quiet: bool,
    /// Say more.
    pub verbose: bool,
}

/// Runs `future` on a runtime of its own.
///
/// # Errors
/// No runtime can be had, or its own.
pub(super) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start of the runtime", "", &error))?
        .block_on(future)
}
