//! The server of the control socket.
//!
//! # Theory of operation
//! One future on the control thread serves all clients: it accepts connections and polls a future per
//! client, which reads a call, has it carried out and sends the answer. A client has one request
//! running at a time; requests of several clients run concurrently. A client that hangs, floods or
//! disappears does not delay the others: messages have a deadline and a maximum length, reads and
//! writes never block, a request that has begun is finished without its client, and when there are too
//! many clients an idle one is disconnected.
//!
//! A holder that was started in the background ends when it owns no interface and no client is
//! connected. When a delete leaves it without interfaces while no other request runs, it removes
//! its socket before it answers, so that the next command finds no holder rather than one that is
//! about to end. From then on it answers the calls of connected clients with `Leaving`, and they
//! connect again. A socket that somebody else removed is made again within a second.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::os::fd::OwnedFd;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use nix::unistd::geteuid;
use serde_json::Map;
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior};

use super::client_table::ClientTable;
use super::connection::{CALL_MAX, Connection, Message, SpareFiles};
use super::control_socket::{self, ControlSocket};
use super::message::{self, Answer, Call};
use super::outgoing::{self, Said};
use super::{Owner, note, service};
use crate::api::{Answers, Request};
use crate::sys::socket::Peer;

/// Most clients at a time. Where there are as many, the client that has been idle longest is
/// disconnected.
const CLIENTS_MAX: usize = 512;

/// How often it is looked whether the socket is still there.
const LOOK: Duration = Duration::from_secs(1);

/// How long clients may take to read the last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// When a holder ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// Never.
    Stays,
    /// When it owns no interface and no client is connected.
    Leaves,
}

/// Serves clients until told to stop or, depending on `life`, until nothing is left to do. At its
/// end every request that had begun is finished, and the socket is removed. It does not wait for
/// clients that do not read their answers.
///
/// `first` is a client that is connected already; `life` may change meanwhile. `log` gets a line
/// for each change.
pub async fn serve<C: Owner>(
    control: &C,
    control_socket: ControlSocket,
    first: Option<OwnedFd>,
    life: &Cell<Life>,
    log: &dyn Fn(&str),
    stop: impl Future<Output = ()>,
) {
    let server = Server {
        control,
        life,
        log,
        control_socket: RefCell::new(Some(control_socket)),
        running: Cell::new(0),
        answering: Cell::new(0),
        clients: ClientTable::default(),
        leaving: Cell::new(false),
        changed: Notify::new(),
        gone: Notify::new(),
    };
    server.run(first, stop).await;
}

struct Server<'a, C> {
    control: &'a C,
    life: &'a Cell<Life>,
    log: &'a dyn Fn(&str),
    /// None once the socket is gone.
    control_socket: RefCell<Option<ControlSocket>>,
    /// Requests that are being carried out.
    running: Cell<usize>,
    /// Answers that are being sent.
    answering: Cell<usize>,
    clients: ClientTable,
    /// No further request begins.
    leaving: Cell<bool>,
    changed: Notify,
    /// Said when `leaving` becomes true.
    gone: Notify,
}

/// What a call is answered with.
enum Reaction {
    /// One answer.
    Answer(Said),
    /// One after the other.
    Answers(Answers),
}

impl From<Answer> for Reaction {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer.into())
    }
}

impl<C: Owner> Server<'_, C> {
    async fn run(&self, first: Option<OwnedFd>, stop: impl Future<Output = ()>) {
        let mut clients = FuturesUnordered::new();
        let spare = SpareFiles::default();
        let first = first.map(|first| Connection::new(first, spare.clone()));
        if let Some(Ok(first)) = first {
            clients.push(self.client(first));
        }
        let mut stop = std::pin::pin!(stop);
        let mut stopping = false;
        let mut enough = std::pin::pin!(tokio::time::sleep(LAST_ANSWERS));
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let listener = self.control_socket.borrow().as_ref().map(ControlSocket::listener);
            let accepted = async {
                match &listener {
                    Some(listener) => control_socket::accept(listener).await,
                    None => std::future::pending().await,
                }
            };
            // Who comes beyond that waits in the backlog.
            let room = clients.len() < CLIENTS_MAX;
            tokio::select! {
                () = stop.as_mut(), if !stopping => {
                    stopping = true;
                    self.leave().await;
                    enough.as_mut().reset(Instant::now() + LAST_ANSWERS);
                }
                stream = accepted, if room => {
                    if stream.is_none() {
                        self.clients.evict_idlest();
                    }
                    let connection = stream.map(|s| Connection::of_stream(s, spare.clone()));
                    clients.extend(connection.map(|connection| self.client(connection)));
                }
                () = enough.as_mut(), if stopping && self.running.get() == 0 => return,
                Some(()) = clients.next(), if !clients.is_empty() => {}
                () = self.changed.notified() => {}
                _ = look.tick(), if listener.is_some() => self.look().await,
            }
            if clients.len() >= CLIENTS_MAX {
                self.clients.evict_idlest();
            }
            let idle =
                self.life.get() == Life::Leaves && clients.is_empty() && self.control.owned() == 0;
            if idle && !self.leaving.get() {
                self.leave().await;
            }
            let answered = self.running.get() == 0 && self.answering.get() == 0;
            let done = if stopping { answered } else { clients.is_empty() };
            if self.leaving.get() && done {
                return;
            }
        }
    }

    /// Makes the socket again where somebody removed its file.
    async fn look(&self) {
        if !self.control_socket.borrow().as_ref().is_some_and(ControlSocket::is_lost) {
            return;
        }
        let Some(lost) = self.control_socket.borrow_mut().take() else { return };
        let (control_socket, said) = lost.restore().await;
        self.control_socket.replace(Some(control_socket));
        if let Some(said) = said {
            (self.log)(&said.replace('\n', "; "));
        }
    }

    /// Begins no further request and takes the socket away.
    async fn leave(&self) {
        self.leaving.set(true);
        self.gone.notify_waiters();
        let control_socket = self.control_socket.borrow_mut().take();
        self.changed.notify_one();
        if let Some(control_socket) = control_socket
            && let Err(failure) = control_socket.close().await
        {
            (self.log)(&failure.to_string());
        }
    }

    async fn client(&self, mut connection: Connection) {
        let Ok(peer) = connection.peer() else { return };
        let ours = geteuid().as_raw();
        if peer.uid != ours && peer.uid != 0 {
            let refused = Answer::error(message::DENIED, Map::new());
            // It may have gone already.
            let _ = connection.send(&refused.text(), &[]).await;
            return;
        }
        let entry = self.clients.enter();
        loop {
            // In this order: who is evicted begins nothing more, so its place is free at once.
            let message = tokio::select! {
                biased;
                () = entry.evicted() => return,
                message = connection.receive(CALL_MAX) => message,
            };
            let message = match message {
                Ok(Some(message)) => message,
                Ok(None) => return,
                Err(error) => {
                    let Some(refused) = outgoing::refusal(&error) else { return };
                    let refused = Answer::from(&refused).text();
                    return tokio::select! {
                        biased;
                        () = entry.evicted() => {}
                        // It may have gone already.
                        _ = connection.send(&refused, &[]) => {}
                    };
                }
            };
            entry.is_served();
            let running = self.count(&self.running);
            let (reaction, wanted) = self.react(message, peer).await;
            let answer = match reaction {
                Reaction::Answer(answer) => answer,
                // Several answers to a call that wants none are none.
                Reaction::Answers(_) if !wanted => {
                    entry.rests();
                    continue;
                }
                Reaction::Answers(answers) => {
                    // The last answer is sent before the holder ends.
                    let _answering = self.count(&self.answering);
                    drop(running);
                    entry.rests();
                    return tokio::select! {
                        biased;
                        () = entry.evicted() => {}
                        () = self.stream(connection, answers) => {}
                    };
                }
            };
            let answering = self.count(&self.answering);
            drop(running);
            let sent = if wanted { outgoing::send(&mut connection, answer).await } else { Ok(()) };
            drop(answering);
            if sent.is_err() {
                return;
            }
            entry.rests();
        }
    }

    /// One more of what is counted, until it is dropped.
    fn count<'s>(&'s self, number: &'s Cell<usize>) -> Counted<'s> {
        number.set(number.get() + 1);
        Counted { number, changed: &self.changed }
    }

    /// Sends answers until there are no more, the client sends anything or disconnects, or the
    /// holder ends. The last one is empty.
    async fn stream(&self, mut connection: Connection, mut answers: Answers) {
        loop {
            let answer = tokio::select! {
                answer = answers.next() => answer,
                () = self.left() => None,
                _ = connection.receive(CALL_MAX) => return,
            };
            let (said, last) = match answer {
                Some(Ok(outcome)) => (Said::Outcome(outcome, true), false),
                Some(Err(failure)) => (Answer::from(&failure).into(), true),
                None => (Answer::of(Map::new()).into(), true),
            };
            if outgoing::send(&mut connection, said).await.is_err() || last {
                return;
            }
        }
    }

    /// Waits until no further request begins.
    async fn left(&self) {
        while !self.leaving.get() {
            self.gone.notified().await;
        }
    }

    /// The answer to a message, and whether the client wants it.
    async fn react(&self, message: Message, peer: Peer) -> (Reaction, bool) {
        let call = match serde_json::from_slice::<Call>(&message.text) {
            Ok(call) => call,
            Err(error) => {
                let why = Map::from_iter([("parameter".into(), error.to_string().into())]);
                return (Answer::error("org.varlink.service.InvalidParameter", why).into(), true);
            }
        };
        let (wanted, more) = (call.oneway != Some(true), call.more == Some(true));
        if call.upgrade == Some(true) {
            let method = Map::from_iter([("method".into(), call.method.into())]);
            let refused = Answer::error("org.varlink.service.MethodNotImplemented", method);
            return (refused.into(), wanted);
        }
        if let Some(answer) = service::answer(&call) {
            return (answer.into(), wanted);
        }
        if self.leaving.get() {
            return (Answer::leaving().into(), wanted);
        }
        let mut request = match message::request(call) {
            Err(answer) => return (answer.into(), wanted),
            Ok(request) => request,
        };
        request.attach(message.files);
        if !request.streams() {
            return (Reaction::Answer(self.carry_out(request, peer).await), wanted);
        }
        if !more {
            let refused = Answer::error("org.varlink.service.ExpectedMore", Map::new());
            return (refused.into(), wanted);
        }
        let answers = match request.check() {
            Ok(()) => self.control.stream(request).await,
            Err(failure) => Err(failure),
        };
        let reaction = answers.map_or_else(|e| Answer::from(&e).into(), Reaction::Answers);
        (reaction, wanted)
    }

    async fn carry_out(&self, request: Request, peer: Peer) -> Said {
        let changes = request.changes();
        let deletes = matches!(request, Request::Delete(_));
        let result = match request.check() {
            Ok(()) => self.control.submit(request).await,
            Err(failure) => Err(failure),
        };
        if changes && let Some(line) = note::line(peer, &result) {
            (self.log)(&line);
        }
        let last = deletes && result.is_ok() && self.running.get() == 1;
        if last
            && self.life.get() == Life::Leaves
            && self.control.owned() == 0
            && !self.leaving.get()
        {
            self.leave().await;
        }
        match result {
            Ok(outcome) => Said::Outcome(outcome, false),
            Err(failure) => Answer::from(&failure).into(),
        }
    }
}

/// A request or an answer in progress.
struct Counted<'a> {
    number: &'a Cell<usize>,
    changed: &'a Notify,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.number.set(self.number.get() - 1);
        self.changed.notify_one();
    }
}
