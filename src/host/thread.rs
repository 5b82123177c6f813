//! What a host thread has: the namespace that it is in, and a session in each that it asked.
//!
//! # Theory of operation
//! A thread that enters another namespace ends with its work, so that no other work runs there by
//! mistake. Until then it enters a namespace only once for all requests: the netlink socket of a
//! [`Session`] works in the namespace that it was opened in, wherever its thread is afterwards. The
//! sockets keep their namespaces alive, so the value is dropped, or [closed](HostThread::close), as
//! soon as its last request was answered.

use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::thread;

use tokio::sync::oneshot;

use super::namespace::{self, NamespaceId};
use super::session::{Session, Subject};
use crate::diag::Failure;
use crate::sys::namespace as sys;

/// The calling thread, as one that may change its namespace.
#[derive(Debug, Default)]
pub struct HostThread {
    /// The namespace that it is in; none is the one that it began in.
    entered: Option<NamespaceId>,
    sessions: Vec<(NamespaceId, Session)>,
    /// It says where one thread is.
    _not_send: PhantomData<*const ()>,
}

impl HostThread {
    /// For the calling thread, which ends with its work.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the thread's namespace this one; no call where it was the last one entered.
    ///
    /// # Errors
    /// Exit code 5: no `CAP_SYS_ADMIN` here or there.
    pub fn enter(&mut self, namespace: BorrowedFd<'_>) -> Result<(), Failure> {
        let wanted = namespace::identity(namespace)?;
        if self.entered != Some(wanted) {
            sys::enter_network(namespace)
                .map_err(|e| namespace::entering("setns(CLONE_NEWNET)", e))?;
            self.entered = Some(wanted);
        }
        Ok(())
    }

    /// The session in the namespace, opened with the first use; its requests are about `subject`.
    ///
    /// # Errors
    /// As [`HostThread::enter`], or no socket can be had.
    pub fn session(
        &mut self,
        namespace: BorrowedFd<'_>,
        subject: impl Into<Subject>,
    ) -> Result<&Session, Failure> {
        let (id, subject) = (namespace::identity(namespace)?, subject.into());
        let at = match self.sessions.iter().position(|(known, _)| *known == id) {
            Some(at) => at,
            None => {
                self.enter(namespace).map_err(|f| f.on_if_none(&subject.on))?;
                self.sessions.push((id, Session::here(subject.clone())?));
                self.sessions.len() - 1
            }
        };
        let (_, session) = &mut self.sessions[at];
        session.about(subject);
        Ok(session)
    }

    /// Closes the sessions: no namespace is kept alive by them.
    pub fn close(&mut self) {
        self.sessions.clear();
    }
}

impl Session {
    /// Opens one in the namespace, through a thread that enters it and ends.
    ///
    /// # Errors
    /// The namespace cannot be entered (exit code 5), or the calling thread runs a tokio runtime.
    pub fn open(namespace: BorrowedFd<'_>, subject: impl Into<Subject>) -> Result<Self, Failure> {
        let subject = subject.into();
        if tokio::runtime::Handle::try_current().is_ok() {
            return Self::here(subject);
        }
        let on = subject.on.clone();
        in_namespace(namespace, || Self::here(subject)).map_err(|f| f.on_if_none(&on))
    }
}

/// Names of host threads begin so.
pub const PREFIX: &str = "host-";

/// Runs `work` on a host thread of its own and waits for it without blocking the runtime. Where the
/// future is dropped, the work still runs to its end.
///
/// # Errors
/// The kernel refuses a thread, or `work` panicked.
pub async fn aside<T: Send + 'static>(
    what: &'static str,
    work: impl FnOnce(&mut HostThread) -> T + Send + 'static,
) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    thread::Builder::new()
        .name(format!("{PREFIX}{what}"))
        .spawn(move || {
            let mut thread = HostThread::new();
            let result = work(&mut thread);
            // Sockets keep their namespace alive: they are closed before the answer.
            drop(thread);
            // The requester may have stopped waiting.
            let _ = done.send(result);
        })
        .map_err(|e| Failure::io("start a thread", what, &e))?;
    result.await.map_err(|_| panicked(what))
}

/// The failure of work that panicked.
#[track_caller]
pub fn panicked(what: &str) -> Failure {
    Failure::bug(what, "the host thread panicked")
}

/// Runs `work` on a thread that may change its namespace and ends afterwards, and waits for it.
///
/// # Errors
/// No thread is to be had, `work` failed, or it panicked.
pub fn on_a_thread<T, F>(work: F) -> Result<T, Failure>
where
    T: Send,
    F: FnOnce(&mut HostThread) -> Result<T, Failure> + Send,
{
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name(format!("{PREFIX}namespace"))
            .spawn_scoped(scope, || work(&mut HostThread::new()))
            .map_err(|e| Failure::io("start a thread", "", &e))?;
        thread.join().unwrap_or_else(|_| Err(panicked("namespace")))
    })
}

/// Runs `work` on a thread inside the namespace, and waits for it.
///
/// # Errors
/// As [`on_a_thread`], or the namespace cannot be entered.
pub fn in_namespace<T, F>(namespace: BorrowedFd<'_>, work: F) -> Result<T, Failure>
where
    T: Send,
    F: FnOnce() -> Result<T, Failure> + Send,
{
    on_a_thread(|thread| {
        thread.enter(namespace)?;
        work()
    })
}
