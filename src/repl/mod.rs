//! The interactive shell: `taptool` alone on a terminal.
//!
//! # Theory of operation
//! The process forks before it has any thread. The parent, in front, only waits for the child: it
//! stops, continues and ends as the child does, so that the child can go to the background
//! (`detach`) while the user's shell sees its command end. The child is the shell. It reads lines on
//! one thread, because the editor blocks; everything else runs on its control thread. A line runs to
//! its end, as a line of a script does, before the next is read.
//!
//! If a holder listens on the socket, the shell is its client, and leaving the shell changes no
//! interface. Else the shell's process owns the interfaces and serves the socket, so that other
//! commands reach them. With `--private` it owns them and serves no socket.
//!
//! The only place that names rustyline.

mod client;
mod dialogue;
mod editor;
mod events;
mod front;
mod helper;
mod history;
mod owner;
mod stage;

use nix::sys::signal::{SigSet, Signal};

use crate::cli::{Guide, Names, Printer, Shell, World};
use crate::diag::Failure;
use crate::doctor;
use crate::holder::{ControlSocket, Place};
use crate::render;
use crate::sys::process;
use crate::sys::signals::{self, Signals};

use dialogue::{Dialogue, KEYS};
use editor::Editor;
use front::{ParentProcess, Side};

/// Runs the shell; before any runtime or thread exists. The exit code.
///
/// # Errors
/// When it cannot start.
pub fn run<W: World>(world: &W, shell: &Shell) -> Result<u8, Failure> {
    let parent = match front::split()? {
        Side::Front(code) => return Ok(code),
        Side::Shell(parent) => parent,
    };
    // A detached shell must not keep inherited files open. They are closed now, while every open file
    // is an inherited one: the editor opens files that look alike.
    process::close_inherited();
    // Threads inherit what is blocked. A stop is for the editor's alone: it gives the terminal back
    // before it asks for the stop, which must come before its next step.
    signals::block()?;
    let blocked = SigSet::from(Signal::SIGTSTP).thread_block();
    blocked.map_err(|e| Failure::sys("block signals", "", e))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start of the runtime", "", &error))?;
    let code = runtime.block_on(start(world, shell, parent));
    // A thread that still waits for the terminal ends with the process.
    runtime.shutdown_background();
    code
}

async fn start<W: World>(world: &W, shell: &Shell, parent: ParentProcess) -> Result<u8, Failure> {
    let signals = Signals::new()?;
    let control_socket = if shell.is_private() {
        None
    } else {
        let place = shell.place()?;
        let remote = shell.remote(world)?;
        if remote.answers().await? {
            return client::run(shell, &remote, &place, signals).await;
        }
        match ControlSocket::open(&place).await {
            Ok(control_socket) => Some(control_socket),
            // Another holder was faster.
            Err(failure) if remote.answers().await? => {
                let _ = failure;
                return client::run(shell, &remote, &place, signals).await;
            }
            Err(failure) => return Err(failure),
        }
    };
    owner::run(world, shell, control_socket, parent, signals).await
}

/// A socket's path, safe to print.
fn shown(place: &Place) -> String {
    render::escape(&place.path().to_string_lossy()).into_owned()
}

/// Prints the banner and opens the editor.
async fn open<'a>(
    shell: &Shell,
    printer: &'a Printer,
    signals: Signals,
    who: &str,
) -> Result<Dialogue<'a>, Failure> {
    if !shell.is_quiet() {
        let version = env!("CARGO_PKG_VERSION");
        let backend = doctor::backend().word();
        printer.text(&format!("taptool {version}: {who}, backend {backend}\n{KEYS}")).await;
    }
    let names = Names::default();
    let editor = Editor::start(Guide::new(Names::clone(&names)), shell.has_colors())?;
    Ok(Dialogue::new(editor, printer, signals, names))
}
