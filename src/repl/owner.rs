//! A shell that owns its interfaces and serves the control socket.
//!
//! # Theory of operation
//! Lines and clients are answered side by side on the control thread. Leaving ends both, and then
//! everything is removed, unless the person detaches: then the process settles in the background,
//! lets the one in front of it go, and lives as a holder that was started for its clients.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use nix::sys::signal::Signal;
use tokio::sync::Notify;

use super::dialogue::{Dialogue, Left};
use super::front::ParentProcess;
use super::{open, shown};
use crate::api::{Answers, DeleteRequest, Outcome, Reply, Request, ShowRequest, Submit};
use crate::cli::{Shell, World};
use crate::diag::Failure;
use crate::holder::{self, ControlSocket, Life, Owner};
use crate::sys::signals::Signals;
use crate::units::SwIfIndex;

/// How long the last messages may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Control for clients of the socket: it remembers which interfaces they made.
struct Guests<'a, C> {
    control: &'a C,
    made: RefCell<BTreeSet<SwIfIndex>>,
}

impl<C: Submit> Submit for Guests<'_, C> {
    async fn submit(&self, request: Request) -> Result<Outcome, Failure> {
        let outcome = self.control.submit(request).await?;
        if let Reply::Created(interface) = &outcome.reply {
            self.made.borrow_mut().insert(interface.sw_if_index);
        }
        Ok(outcome)
    }

    async fn stream(&self, request: Request) -> Result<Answers, Failure> {
        if request.streams() {
            return self.control.stream(request).await;
        }
        self.submit(request).await.map(Answers::one)
    }
}

impl<C: Owner> Owner for Guests<'_, C> {
    fn owned(&self) -> usize {
        self.control.owned()
    }
}

/// The interfaces that would vanish with this process.
#[derive(Debug, Default)]
struct Stake {
    all: Vec<String>,
    /// Those that other clients made, through the socket.
    guests: Vec<String>,
}

impl<C: Owner> Guests<'_, C> {
    async fn stake(&self) -> Stake {
        let show = Request::Show(ShowRequest::Overview(Vec::new()));
        let Ok(Outcome { reply: Reply::Interfaces(all, _), .. }) = self.control.submit(show).await
        else {
            return Stake::default();
        };
        let made = self.made.borrow();
        let guests = all.iter().filter(|interface| made.contains(&interface.sw_if_index));
        Stake {
            guests: guests.map(|interface| interface.name.to_string()).collect(),
            all: all.iter().map(|interface| interface.name.to_string()).collect(),
        }
    }
}

pub(super) async fn run<W: World>(
    world: &W,
    shell: &Shell,
    control_socket: Option<ControlSocket>,
    parent: ParentProcess,
    signals: Signals,
) -> Result<u8, Failure> {
    let printer = shell.printer()?;
    let control = world.start(shell.settings()).await?;
    let guests = Guests { control: &control, made: RefCell::default() };
    let who = match shell.is_private() {
        true => "owner, private".to_owned(),
        false => format!("owner at {}", shown(&shell.place()?)),
    };
    let mut dialogue = open(shell, &printer, signals, &who).await?;
    let (served, life, enough) = (control_socket.is_some(), Cell::new(Life::Stays), Notify::new());
    let log = |line: &str| {
        if life.get() == Life::Leaves {
            printer.log(&format!("{} {line}", humantime::format_rfc3339_millis(SystemTime::now())));
        }
    };
    let server = async {
        match control_socket {
            Some(control_socket) => {
                holder::serve(&guests, control_socket, None, &life, &log, enough.notified()).await;
            }
            None => enough.notified().await,
        }
    };
    let mut server = pin!(server);
    let person = async {
        let lines = shell.lines(&control, &printer);
        let stays = loop {
            let left = dialogue.on(&lines, &control).await;
            match part(left, &guests, served, &mut dialogue).await {
                Parting::Stay => {}
                Parting::Leave => break false,
                Parting::Detach => break true,
            }
        };
        if !stays {
            return;
        }
        let mut signals = dialogue.hang_up();
        if let Err(failure) = holder::into_background() {
            printer.failure("detach", &failure).await;
            return;
        }
        parent.let_go();
        life.set(Life::Leaves);
        log("detached from its terminal");
        // A hang-up is told by the kernel and by the process in front, each in its own time. Without
        // the file no signal will ever be heard: better to end than to be deaf.
        while matches!(signals.next().await, Ok(Signal::SIGHUP)) {}
    };
    tokio::select! {
        () = person => {
            enough.notify_one();
            server.await;
        }
        () = server.as_mut() => {}
    }
    let removed = control.submit(Request::Delete(DeleteRequest::All { destroy: false })).await;
    let last_words = async {
        match removed {
            Err(failure) => printer.failure("quit", &failure).await,
            Ok(outcome) => {
                crate::render::left_behind(&outcome.reply).iter().for_each(|line| printer.log(line))
            }
        }
        printer.flush().await;
    };
    // The printer may still be blocked in a write to a terminal that is not read.
    let _ = tokio::time::timeout(LAST_WORDS, last_words).await;
    Ok(0)
}

/// What happens to the shell after a request to leave it.
enum Parting {
    Stay,
    Leave,
    Detach,
}

async fn part<C: Owner>(
    left: Left,
    guests: &Guests<'_, C>,
    served: bool,
    dialogue: &mut Dialogue<'_>,
) -> Parting {
    let stake = guests.stake().await;
    match left {
        Left::Gone | Left::Signal(Signal::SIGHUP) if served && !stake.guests.is_empty() => {
            Parting::Detach
        }
        Left::Gone | Left::Signal(_) => Parting::Leave,
        Left::Detach if !served => {
            dialogue
                .refuse("detach", "no command can reach the interfaces of a --private shell")
                .await;
            Parting::Stay
        }
        Left::Detach | Left::Quit if stake.all.is_empty() => Parting::Leave,
        Left::Detach => {
            dialogue
                .print(&format!("a holder in the background keeps {}\n", stake.all.join(", ")))
                .await;
            Parting::Detach
        }
        Left::Quit => match decide(&stake, served, dialogue).await {
            Ok(parting) => parting,
            Err(left) => Box::pin(part(left, guests, served, dialogue)).await,
        },
    }
}

/// Says what would vanish and asks what to do about it.
async fn decide(stake: &Stake, served: bool, dialogue: &mut Dialogue<'_>) -> Result<Parting, Left> {
    let mut said = format!("will vanish with this shell: {}\n", stake.all.join(", "));
    if !stake.guests.is_empty() {
        said.push_str(&format!("made by other commands: {}\n", stake.guests.join(", ")));
    }
    dialogue.print(&said).await;
    let question =
        if served { "detach, quit or cancel? [cancel] " } else { "quit or cancel? [cancel] " };
    loop {
        let answer = dialogue.ask(question).await?.unwrap_or_default().trim().to_lowercase();
        let means = |word: &str| !answer.is_empty() && word.starts_with(&answer);
        if means("quit") || means("exit") || means("yes") {
            return Ok(Parting::Leave);
        }
        if served && means("detach") {
            return Ok(Parting::Detach);
        }
        if answer.is_empty() || means("cancel") || means("no") {
            return Ok(Parting::Stay);
        }
    }
}
