//! Writes results and messages.
//!
//! # Theory of operation
//! A thread of its own owns both streams, so that a blocked write blocks this thread and not the
//! control thread: a caller of [`Printer::print`] can stop waiting. Results are
//! flushed one by one. The thread ends when the printer is dropped; one that is stuck in a write is
//! left behind and ends with the process.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use tokio::sync::oneshot;

use super::pager::Pager;
use super::shown::Shown;
use crate::diag::{Code, Failure};

/// What to print, how, and the channel that hears of its end: none for a line of a log.
type Job = (Shown, Option<Pager>, Option<oneshot::Sender<io::Result<()>>>);

/// Most lines of a log that wait to be written.
const LOG_WAITING_MAX: usize = 4096;

/// The way to stdout and stderr.
#[derive(Debug)]
pub struct Printer {
    jobs: mpsc::Sender<Job>,
    /// Lines of a log that wait.
    logged: Arc<AtomicUsize>,
    /// Where results go through it when they are long.
    pager: Option<Pager>,
}

impl Printer {
    /// Starts the thread. `color` is about stderr.
    pub(super) fn start(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        color: bool,
    ) -> Result<Self, Failure> {
        let (jobs, queue) = mpsc::channel();
        let logged = Arc::<AtomicUsize>::default();
        let written = Arc::clone(&logged);
        thread::Builder::new()
            .name("printer".into())
            .spawn(move || work(&queue, &written, out, err, color))
            .map_err(|error| Failure::io("start of the printer thread", "", &error))?;
        Ok(Self { jobs, logged, pager: None })
    }

    /// The same, with long results a page at a time.
    pub(super) fn with_pager(self, pager: Option<Pager>) -> Self {
        Self { pager, ..self }
    }

    /// Whether the output goes through the pager, which ends when the user has read it.
    pub(super) fn pages(&self, shown: &Shown) -> bool {
        !shown.unpaged && self.pager.as_ref().is_some_and(|pager| pager.is_due(&shown.out))
    }

    /// Writes lines to stdout; `false` if it is closed.
    pub async fn text(&self, lines: &str) -> bool {
        let shown = Shown { unpaged: true, ..Shown::text(lines) };
        self.print(&shown).await.is_ok()
    }

    /// Waits until all that was logged is written.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.jobs.send((Shown::default(), None, Some(done))).is_ok() {
            // The thread may have ended in between.
            let _ = wait.await;
        }
    }

    /// Writes a failure of the command `path` to stderr.
    pub async fn failure(&self, path: &str, failure: &Failure) {
        // A closed stderr cannot be reported anywhere.
        let _ = self.print(&Shown::failure("", path, failure)).await;
    }

    /// Queues a line for stderr and does not wait for it. If stderr is blocked, lines beyond
    /// `LOG_WAITING_MAX` are lost.
    pub fn log(&self, line: &str) {
        if self.logged.load(Ordering::Relaxed) < LOG_WAITING_MAX {
            self.logged.fetch_add(1, Ordering::Relaxed);
            // The thread may have ended; then the line is lost.
            let _ = self.jobs.send((Shown::note(line), None, None));
        }
    }

    /// Prints what a command has to say.
    ///
    /// # Errors
    /// `None` when stdout is closed, which is no failure; else an exit code.
    pub(super) async fn print(&self, shown: &Shown) -> Result<(), Option<Code>> {
        if shown.out.is_empty() && shown.err.is_empty() {
            return Ok(());
        }
        let (done, wait) = oneshot::channel();
        let gone = Err(Some(Code::Failed));
        if self
            .jobs
            .send((shown.clone(), self.pager.clone().filter(|_| self.pages(shown)), Some(done)))
            .is_err()
        {
            return gone;
        }
        match wait.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Err(None),
            _ => gone,
        }
    }
}

fn work(
    queue: &mpsc::Receiver<Job>,
    logged: &AtomicUsize,
    mut out: impl Write,
    mut err: impl Write,
    color: bool,
) {
    for (shown, pager, done) in queue {
        // A closed stderr cannot be reported anywhere.
        let _ = err.write_all(shown.stderr(color).as_bytes()).and_then(|()| err.flush());
        let paged = pager.is_some_and(|pager| pager.show(&shown.out));
        let text = if paged { "" } else { &*shown.out };
        let printed = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        if let Err(error) = &printed
            && error.kind() != ErrorKind::BrokenPipe
        {
            let _ = writeln!(err, "{}", Failure::io("write to stdout", "", error));
        }
        match done {
            // The caller may have stopped waiting.
            Some(done) => drop(done.send(printed)),
            None => drop(logged.fetch_sub(1, Ordering::Relaxed)),
        }
    }
}
