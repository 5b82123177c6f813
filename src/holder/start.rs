//! A holder in the background: how a client starts it, and how it detaches from the client.
//!
//! # Theory of operation
//! The client makes a pair of sockets and runs this program again as `taptool hold --background`,
//! with the other end as its standard input and a log as its standard error. That end is the
//! holder's first client, so the client need not wait for a path to appear. A lock decides between two
//! starts at once: a new holder that finds another one listening closes the connection to its first
//! client, and that client connects to the other.
//!
//! The new process keeps nothing of its starter: it closes the files that it inherited and leaves
//! the session and the directory. It also leaves the network namespace, unless that is the
//! machine's own, because a process keeps its namespace alive.

use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use super::connection::{CALL_MAX, Connection, SpareFiles};
use super::log;
use super::message::Answer;
use super::place::Place;
use crate::diag::{Code, Failure};
use crate::sys::userns::rights;
use crate::sys::{process, socket};

/// Starts a holder and returns the connection to it.
///
/// # Errors
/// Exit code 6, when this program cannot be run again.
pub(super) fn background(place: &Place, options: &[String]) -> Result<OwnedFd, Failure> {
    let refused = |doing: &str, e: &std::io::Error| {
        Failure::io(doing, "start of a holder", e).code(Code::NoAnswer)
    };
    // Refused here, because the client can still report it.
    place.prepare()?;
    let log = log::open()?;
    let (ours, theirs) = UnixStream::pair().map_err(|e| refused("socketpair", &e))?;
    let program = std::env::current_exe().ok().filter(|path| path.exists());
    let program = program.unwrap_or_else(|| "/proc/self/exe".into());
    let mut holder = Command::new(&program)
        .args(["hold", "--background", "--socket"])
        .arg(place.path())
        .args(options)
        .current_dir("/")
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::null())
        .stderr(log.map_or_else(Stdio::null, Stdio::from))
        .spawn()
        .map_err(|e| refused(&format!("run {}", program.display()), &e))?;
    // The thread reaps a holder that ends before this process because another was faster.
    let waits = std::thread::Builder::new().name("holder".into()).spawn(move || holder.wait());
    // If no thread can start, such a holder stays a zombie until this process ends.
    drop(waits);
    Ok(ours.into())
}

/// Takes this process, which has served a terminal, to the background: a session of its own, the
/// log as standard error, nothing as standard input and output.
///
/// # Errors
/// When a step fails; the steps before it remain done.
pub fn into_background() -> Result<(), Failure> {
    let refused = |doing: &str, e: &std::io::Error| Failure::io(doing, "background", e);
    let null = OpenOptions::new().read(true).write(true).open("/dev/null");
    let null = null.map_err(|e| refused("open /dev/null", &e))?;
    // Where a log cannot be, interfaces go on without one: the terminal may be gone already.
    let log = match log::open() {
        Ok(Some(log)) => log,
        Ok(None) | Err(_) => null.try_clone().map_err(|e| refused("dup", &e))?,
    };
    setsid().map_err(|e| Failure::sys("setsid", "background", e))?;
    std::env::set_current_dir("/").map_err(|e| refused("chdir /", &e))?;
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    let failed = |e| Failure::sys("dup2", "background", e);
    dup2_stdin(&null).map_err(failed)?;
    dup2_stdout(&null).map_err(failed)?;
    dup2_stderr(&log).map_err(failed)
}

/// The client that this process was started for.
#[derive(Debug)]
pub struct First(OwnedFd);

impl First {
    /// Takes the first client from standard input, and keeps no other file that this process was
    /// given.
    ///
    /// # Errors
    /// Exit code 2 when standard input is no socket: this is no command for people.
    pub fn take() -> Result<Self, Failure> {
        process::close_inherited();
        let stdin = std::io::stdin();
        if socket::peer(stdin.as_fd()).is_err() {
            return Err(Failure::usage("--background", "only `taptool' itself starts this"));
        }
        let refused = |doing: &str, e: &std::io::Error| Failure::io(doing, "standard input", e);
        let first = stdin.as_fd().try_clone_to_owned().map_err(|e| refused("dup", &e))?;
        let null = File::open("/dev/null").map_err(|e| refused("open /dev/null", &e))?;
        dup2_stdin(null).map_err(|e| Failure::sys("dup2", "standard input", e))?;
        Ok(Self(first))
    }

    /// Detaches this process from its starter. Call it before any other thread exists.
    ///
    /// # Errors
    /// When the namespace of the starter cannot be left; [`First::refuse`] tells it.
    pub fn settle(&self) -> Result<(), Failure> {
        // setsid(2) fails only for a group leader, and a process that was just started is none.
        let _ = setsid();
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        leave_namespace()
    }

    /// The connection.
    pub fn into_socket(self) -> OwnedFd {
        self.0
    }

    /// Tells the client why there will be no holder. `Exists` is not told: another holder is there,
    /// and the client connects to it when this connection closes.
    pub async fn refuse(&self, failure: &Failure) {
        if failure.code == Code::Exists {
            return;
        }
        let Ok(socket) = self.0.try_clone() else { return };
        if let Ok(mut connection) = Connection::new(socket, SpareFiles::default()) {
            // The client may have closed the connection; else this answers its first call.
            let _ = connection.receive(CALL_MAX).await;
            let _ = connection.send(&Answer::from(failure).text(), &[]).await;
        }
    }
}

/// Leaves a network namespace that is not the machine's own.
fn leave_namespace() -> Result<(), Failure> {
    let id = |path: &str| fs::read_link(path).ok();
    let machine = "/proc/1/ns/net";
    if id(machine).is_some() && id(machine) == id("/proc/self/ns/net") {
        return Ok(());
    }
    if File::open(machine).is_ok_and(|file| setns(file, CloneFlags::CLONE_NEWNET).is_ok()) {
        return Ok(());
    }
    // Entering the machine's namespace may not be permitted: a new, empty one serves as well.
    unshare(CloneFlags::CLONE_NEWNET).map_err(|e| {
        Failure::sys("unshare(CLONE_NEWNET)", "start of a holder", e).hint(rights(
            "interfaces need CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_BROADCAST",
            None,
        ))
    })
}
