//! The client of a holder. It starts a holder for requests that need one.
//!
//! # Theory of operation
//! The first exchange on a connection is `GetInfo`: it proves that a holder answers, and that it has
//! the same version. If the connection is closed before that answer, or before the whole request was
//! sent, or if the answer is `Leaving`, the request has not begun, and the client tries again. It may
//! then find the same holder (which closes idle connections when there are too many), another one, or
//! none, and starts one if the request needs it. A later failure is reported, because the request may
//! have been carried out.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use futures_util::stream;
use nix::errno::Errno;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::connection::{ANSWER_MAX, Connection, SpareFiles};
use super::listener::Listener;
use super::lock::{self, Owner};
use super::message::{self, Answer, Meaning};
use super::place::{Found, Place};
use super::{log, service, start};
use crate::api::{Answers, Outcome, Request};
use crate::diag::{Code, Failure, errno_text};

/// How often a request that has not begun is tried.
const TRIES: u32 = 50;

/// How many holders are started for one request. Each may lose the race against a holder that
/// another client started, but hardly so often.
const STARTS_MAX: u32 = 5;

/// How long a holder may take to answer `GetInfo`.
const GREETING: Duration = Duration::from_secs(10);

/// How often a place is looked at where something is about to change.
const LOOK: Duration = Duration::from_millis(10);

/// The hint where another program has the socket.
const ANOTHER: &str = "name another socket with --socket or TAPTOOL_SOCKET";

/// A connection to the holder at a place, made when it is needed.
#[derive(Debug)]
pub struct Client {
    place: Place,
    connection: Mutex<Option<Connection>>,
    /// Options for a holder that it starts: they are of no use to one that is there.
    options: std::sync::Mutex<Vec<String>>,
}

/// Why there is no connection.
enum Missed {
    /// The holder has ended: try again.
    Cut,
    /// Trying again does not help.
    Failed(Failure),
}

impl From<Failure> for Missed {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Client {
    /// A client of the holder at `place`.
    pub fn new(place: Place) -> Self {
        Self { place, connection: Mutex::new(None), options: std::sync::Mutex::default() }
    }

    /// The same, that starts a holder with these options, and has no use for one that is there.
    #[must_use]
    pub fn starting_with(self, options: Vec<String>) -> Self {
        Self { options: std::sync::Mutex::new(options), ..self }
    }

    fn options(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.options.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Whether root may have a holder that this user cannot ask.
    pub fn root_may_hold(&self) -> bool {
        self.place.root_may_hold()
    }

    /// Has a request carried out. None if there is no holder and the request does not start one;
    /// the request is returned.
    ///
    /// # Errors
    /// The holder's refusal; exit code 6 when a holder does not answer, speaks another version or
    /// cannot be started.
    pub async fn submit(&self, request: Request) -> Result<Result<Outcome, Request>, Failure> {
        let mut slot = self.connection.lock().await;
        let mut starts = 0;
        for attempt in 0..TRIES {
            // A holder that ends removes its socket first, so this seldom waits.
            tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await;
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => match self.connect(request.creates().then_some(&mut starts)).await {
                    Ok(Some(connection)) => connection,
                    Ok(None) => return Ok(Err(request)),
                    Err(Missed::Cut) => continue,
                    Err(Missed::Failed(failure)) => return Err(failure),
                },
            };
            let call = message::call(&request);
            let answer = match exchange(&mut connection, &call, &request.files()).await {
                Ok(answer) => answer,
                Err(Unanswered::NotBegun) => continue,
                Err(Unanswered::Broken(error)) => {
                    let failure = self.broken(&error);
                    return Err(match request.changes() {
                        false => failure,
                        true => failure.hint("`taptool show' shows what is there now"),
                    });
                }
            };
            match message::read(answer, request.reader()) {
                Meaning::Leaving => {}
                Meaning::Result(result) => {
                    *slot = Some(connection);
                    return result.map(Ok);
                }
            }
        }
        Err(self.silent("holders come and go faster than they answer"))
    }

    /// Has a request with several answers carried out. None if there is no holder and the request
    /// does not start one; the request is returned. The answers end when the holder does.
    ///
    /// # Errors
    /// Exit code 6, as for [`Client::submit`], also as the last of the answers where the holder was
    /// killed.
    pub async fn stream(&self, request: Request) -> Result<Result<Answers, Request>, Failure> {
        let mut starts = 0;
        for attempt in 0..TRIES {
            tokio::time::sleep(Duration::from_millis(u64::from(attempt))).await;
            let mut connection = match self.connect(request.creates().then_some(&mut starts)).await
            {
                Ok(Some(connection)) => connection,
                Ok(None) => return Ok(Err(request)),
                Err(Missed::Cut) => continue,
                Err(Missed::Failed(failure)) => return Err(failure),
            };
            match connection.send(&message::call(&request), &request.files()).await {
                Ok(()) => return Ok(Ok(self.answers(connection, request))),
                Err(error) if is_cut(&error) => {}
                Err(error) => return Err(self.broken(&error)),
            }
        }
        Err(self.silent("holders come and go faster than they answer"))
    }

    /// The answers to a request that was sent.
    fn answers(&self, connection: Connection, request: Request) -> Answers {
        let broken = Self::new(self.place.clone());
        let next = |(open, broken): (Option<(Connection, Request)>, Self)| async {
            let (mut connection, request) = open?;
            let answer = match next_answer(&mut connection).await {
                Ok(answer) => answer,
                Err(error) => return Some((Err(broken.broken(&error)), (None, broken))),
            };
            let continues = answer.continues == Some(true);
            if !continues && answer.error.is_none() && answer.parameters.is_empty() {
                return None;
            }
            match message::read(answer, request.reader()) {
                Meaning::Leaving => None,
                Meaning::Result(result) => {
                    let goes_on = continues && result.is_ok();
                    Some((result, (goes_on.then_some((connection, request)), broken)))
                }
            }
        };
        Answers::new(stream::unfold((Some((connection, request)), broken), next))
    }

    /// Connects to the holder or, where `starts` counts those, to a new one; none where there is
    /// none.
    async fn connect(&self, starts: Option<&mut u32>) -> Result<Option<Connection>, Missed> {
        let socket = match (self.find(|| self.place.connect()).await?, starts) {
            (Found::Listener(_), _) if !self.options().is_empty() => {
                let options = self.options().join(" ");
                let why = "a holder is there, and its pollers were chosen when it started";
                return Err(Failure::new(Code::Exists, options, why)
                    .hint("`taptool show threads' lists them")
                    .into());
            }
            (Found::Listener(socket), _) => {
                return match self.greet(socket).await {
                    Err(Missed::Failed(refused)) if refused.code == Code::NotPermitted => {
                        let again = || self.place.connect_as_its_user().ok_or(refused.clone());
                        match self.find(again).await? {
                            Found::Listener(socket) => self.greet(socket).await,
                            _ => Err(refused.into()),
                        }
                    }
                    greeted => greeted,
                }
                .map(Some);
            }
            (_, None) => return Ok(None),
            (_, Some(starts)) if *starts < STARTS_MAX => {
                *starts += 1;
                {
                    let options = std::mem::take(&mut *self.options());
                    start::background(&self.place, &options)?
                }
            }
            (_, Some(_)) => {
                let failure = self.silent("each holder that is started ends at once");
                let log = log::log_path();
                let log = log.map(|log| format!("{} may say why", log.display()));
                return Err(match log {
                    Some(hint) => failure.hint(hint),
                    None => failure,
                }
                .into());
            }
        };
        self.greet(socket).await.map(Some)
    }

    /// What `connect` finds, once that will not change in a moment: a listener that accepts, or no
    /// holder.
    ///
    /// # Errors
    /// Exit code 6 when the holder accepts nothing, or has no socket, for as long as it may take
    /// to answer.
    async fn find(&self, connect: impl Fn() -> Result<Found, Failure>) -> Result<Found, Failure> {
        let end = Instant::now() + GREETING;
        loop {
            let found = connect()?;
            let owner = match &found {
                Found::Listener(_) => return Ok(found),
                Found::Full => lock::owner(&self.place),
                // A holder that is about to listen, has just left, or makes its socket again.
                Found::Nothing | Found::Stale => match lock::owner(&self.place) {
                    Some(owner) => Some(owner),
                    None => return Ok(found),
                },
            };
            if Instant::now() > end {
                return Err(match (found, owner) {
                    (Found::Full, owner) => self.full(owner.as_ref().and_then(Owner::process)),
                    (_, Some(owner)) => owner.failure(&self.place),
                    (found, None) => return Ok(found),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn greet(&self, socket: OwnedFd) -> Result<Connection, Missed> {
        let listener = Listener::of(socket.as_fd());
        let mut connection = Connection::new(socket, SpareFiles::default())?;
        let who = service::get_info();
        let greeting = exchange(&mut connection, &who, &[]);
        let answer = match timeout(GREETING, greeting).await {
            Err(_) => return Err(self.mute(listener.as_ref()).into()),
            Ok(Err(Unanswered::NotBegun)) => return Err(Missed::Cut),
            Ok(Err(Unanswered::Broken(error))) => {
                return Err(match error.kind() {
                    _ if is_cut(&error) => Missed::Cut,
                    // The bytes received so far are not a whole message.
                    io::ErrorKind::TimedOut => self.mute(listener.as_ref()).into(),
                    io::ErrorKind::InvalidData => self.other(None, listener.as_ref()).into(),
                    _ => self.broken(&error).into(),
                });
            }
            Ok(Ok(answer)) => answer,
        };
        if answer.error.is_some() {
            // A holder that could not start answers any call with the reason.
            return match message::read(
                answer,
                Box::new(|_| Err(serde::de::Error::custom("no reply"))),
            ) {
                Meaning::Result(Err(failure)) => Err(failure.into()),
                _ => Err(Missed::Cut),
            };
        }
        let text = |key: &str| {
            let value = answer.parameters.get(key).and_then(Value::as_str);
            value.unwrap_or("nothing").to_owned()
        };
        let (product, version) = (text("product"), text("version"));
        if product != "taptool" {
            return Err(self.other(Some(&product), listener.as_ref()).into());
        }
        if version != service::VERSION {
            let ours = service::VERSION;
            let why = format!("the holder is version {version}, this is {ours}");
            let hint = "use the program that the holder was started from, or delete its interfaces \
                with that and start anew";
            return Err(self.silent(&why).hint(hint).into());
        }
        Ok(connection)
    }

    fn silent(&self, why: &str) -> Failure {
        Failure::new(Code::NoAnswer, format!("holder at {}", self.place.path().display()), why)
    }

    /// No answer came, or no whole one.
    fn mute(&self, listener: Option<&Listener>) -> Failure {
        let who = listener.map_or_else(String::new, |listener| format!(" from {listener}"));
        let failure = self.silent(&format!("no answer{who} in {} s", GREETING.as_secs()));
        failure.hint(listener.map_or_else(|| ANOTHER.to_owned(), Listener::remedy))
    }

    /// A process listens and accepts nothing.
    fn full(&self, process: Option<&Listener>) -> Failure {
        let who = process.map_or_else(|| "the process that listens".into(), ToString::to_string);
        let why = format!("{who} does not accept connections in {} s", GREETING.as_secs());
        self.silent(&why).hint(process.map_or_else(|| ANOTHER.to_owned(), Listener::remedy))
    }

    /// A program answers that is not a holder.
    fn other(&self, product: Option<&str>, listener: Option<&Listener>) -> Failure {
        let who = listener.map_or_else(|| "another program".to_owned(), ToString::to_string);
        let what = product.map_or_else(String::new, |product| format!(" but {product}"));
        self.silent(&format!("{who} listens there and is not a taptool holder{what}")).hint(ANOTHER)
    }

    fn broken(&self, error: &io::Error) -> Failure {
        let why = match (error.kind(), error.raw_os_error()) {
            _ if is_cut(error) => "it ended without an answer".to_owned(),
            (io::ErrorKind::TimedOut, _) => "it does not answer".to_owned(),
            (_, Some(number)) => errno_text(Errno::from_raw(number)),
            _ => error.to_string(),
        };
        self.silent(&why)
    }
}

fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Why there is no answer.
enum Unanswered {
    /// The holder closed the connection before it had the whole call.
    NotBegun,
    /// It may have begun.
    Broken(io::Error),
}

/// Sends a call and waits for its answer.
async fn exchange(
    connection: &mut Connection,
    call: &[u8],
    files: &[std::os::fd::BorrowedFd<'_>],
) -> Result<Answer, Unanswered> {
    let cut = match connection.send(call, files).await {
        Ok(()) => false,
        Err(error) if is_cut(&error) => true,
        Err(error) => return Err(Unanswered::Broken(error)),
    };
    // Read even then: a refusal arrives before the call is sent.
    next_answer(connection).await.map_err(|error| match cut {
        true => Unanswered::NotBegun,
        false => Unanswered::Broken(error),
    })
}

/// The next answer; `UnexpectedEof` where the holder is gone.
async fn next_answer(connection: &mut Connection) -> io::Result<Answer> {
    let message = connection.receive(ANSWER_MAX).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
    serde_json::from_slice(&message.text)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
