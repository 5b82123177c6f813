//! `hold [--exec FILE|-]`: owns interfaces, in the foreground or, when a client started it, in the
//! background.
//!
//! # Theory of operation
//! The control thread runs a session, which takes the script's lines, and the server, which answers
//! the clients of the socket, side by side. A signal ends the session; then the server begins no
//! further request and waits for those that run. The service manager is told that the hold is ready
//! when a script that is a file has run, or at once. Whatever ends the hold, everything is removed
//! before it returns. At the end of the script nothing is: the interfaces stay until a signal.

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc};

use super::globals::Globals;
use super::hold::Args;
use super::printer::Printer;
use super::reach::Reach;
use super::script::{self, Input};
use super::session::{End, Session};
use super::shown::Shown;
use super::world::{Settings, World};
use crate::api::{DeleteRequest, Request};
use crate::diag::{Code, Failure};
use crate::holder::{self, ControlSocket, First, Life, Owner};
use crate::sys::socket;

/// How long the last messages may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The control socket of a holder, and its first client.
pub(super) struct Entrance {
    pub control_socket: ControlSocket,
    pub first: Option<First>,
}

/// Starts control and holds. Returns the exit code, 0 for a signal.
#[expect(clippy::too_many_arguments, reason = "each is another thing that the process has once")]
pub(super) async fn hold<W: World>(
    world: &W,
    args: Args,
    globals: &Globals,
    reach: &Reach,
    first: Option<First>,
    settings: &Settings,
    printer: &Printer,
    stop: impl Future<Output = i32>,
) -> Result<(), Code> {
    let refused = async |failure: Failure| {
        let shown = Shown::failure("", "hold", &failure);
        let _ = printer.print(&shown).await;
        Err(failure.code)
    };
    // A script that has an end is part of the start; lines of a pipe may never end.
    let ends = args.exec.as_deref().is_some_and(|file| file != Path::new("-") && file.is_file());
    let mut control_socket = None;
    let begun = async {
        control_socket = enter(reach).await?;
        let control = world.start(settings).await?;
        let lines = args.exec.map(|file| script::start(file, "hold: ".to_owned())).transpose()?;
        Ok((control, lines))
    };
    let (control, lines) = match begun.await {
        Ok(begun) => begun,
        Err(failure) => {
            if let Some(control_socket) = control_socket {
                // The next holder replaces a socket that is left behind.
                let _ = control_socket.close().await;
            }
            if let Some(first) = first {
                first.refuse(&failure).await;
            }
            return refused(failure).await;
        }
    };
    let entrance = control_socket.map(|control_socket| Entrance { control_socket, first });
    // Without a service manager there is no socket to notify, which is no failure.
    let ready = || drop(sd_notify::notify(&[sd_notify::NotifyState::Ready]));
    if !ends {
        ready();
    }
    let run = || {
        if ends {
            ready()
        }
    };
    let end = serve(&control, lines, entrance, (globals, printer), run, stop).await;
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    end
}

/// Opens the control socket, or takes over the one that the service manager opened; none with
/// `--private`.
async fn enter(reach: &Reach) -> Result<Option<ControlSocket>, Failure> {
    if reach.private {
        return Ok(None);
    }
    if let Some(listener) = socket::passed() {
        return ControlSocket::inherited(listener).map(Some);
    }
    ControlSocket::open(&reach.place()?).await.map(Some)
}

/// Runs the script and answers clients, then removes everything. `run` is called when the script
/// has run.
pub(super) async fn serve<S: Owner>(
    control: &S,
    lines: Option<mpsc::Receiver<Input>>,
    entrance: Option<Entrance>,
    (globals, printer): (&Globals, &Printer),
    run: impl FnOnce(),
    stop: impl Future<Output = i32>,
) -> Result<(), Code> {
    let session = async {
        let mut stop = std::pin::pin!(stop);
        let mut end = End::OfLines;
        if let Some(lines) = lines {
            let session = Session::new(control, globals, printer, false);
            end = session.run(lines, stop.as_mut()).await;
        }
        if end == End::OfLines {
            run();
            stop.await;
            end = End::Stopped;
        }
        end
    };
    let end = match entrance {
        None => session.await,
        Some(Entrance { control_socket, first }) => {
            let life = if first.is_some() { Life::Leaves } else { Life::Stays };
            let told = globals.verbose || std::env::var_os("JOURNAL_STREAM").is_some();
            let log = |line: &str| match life {
                Life::Leaves => printer.log(&format!("{} {line}", now())),
                Life::Stays if told => printer.log(line),
                Life::Stays => {}
            };
            let enough = Notify::new();
            let first = first.map(First::into_socket);
            let life = Cell::new(life);
            let server =
                holder::serve(control, control_socket, first, &life, &log, enough.notified());
            let mut server = std::pin::pin!(server);
            tokio::select! {
                end = session => {
                    enough.notify_one();
                    server.await;
                    end
                }
                () = server.as_mut() => End::Stopped,
            }
        }
    };
    let removed = control.submit(Request::Delete(DeleteRequest::All { destroy: false })).await;
    // Only what could not be undone is worth a word here.
    let shown = Shown::result("hold", removed, globals).without_out();
    // The printer may still be blocked in a write.
    let _ = tokio::time::timeout(LAST_WORDS, printer.print(&shown)).await;
    match (end, shown.code) {
        (End::Failed(code), _) => Err(code),
        (End::Asked(_) | End::Stopped | End::OfLines, Some(code)) => Err(code),
        (End::Asked(_) | End::Unheard | End::Stopped | End::OfLines, None)
        | (End::Unheard, Some(_)) => Ok(()),
    }
}

fn now() -> impl std::fmt::Display {
    humantime::format_rfc3339_millis(SystemTime::now())
}
