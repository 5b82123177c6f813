//! The process in front of the shell, which the user's own shell waits for.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid, getppid, pipe2, read, write};

use crate::diag::Failure;
use crate::sys::process;
use crate::sys::terminal::{self, Modes};

/// Which of the two processes this is.
pub(super) enum Side {
    /// The parent, after the shell has ended or has gone to the background: its exit code.
    Front(u8),
    /// The shell.
    Shell(ParentProcess),
}

/// The shell's connection to the process in front.
#[derive(Debug)]
pub(super) struct ParentProcess(OwnedFd);

impl ParentProcess {
    /// Lets the process in front end, with exit code 0, and goes on without it.
    pub(super) fn let_go(self) {
        // From here on its end is not a hang-up.
        let _ = set_pdeathsig(None);
        // It may have been killed already.
        let _ = write(&self.0, b"d");
    }
}

/// Forks. Returns at once in the shell, and in the process in front when the shell has ended or
/// detached.
///
/// # Errors
/// As `fork(2)`.
pub(super) fn split() -> Result<Side, Failure> {
    let failed = |doing: &'static str| move |e: Errno| Failure::sys(doing, "start of the shell", e);
    let modes = Modes::save();
    let (heard, parent) = pipe2(OFlag::O_CLOEXEC).map_err(failed("pipe2"))?;
    let taken: SigSet = [
        Signal::SIGCHLD,
        Signal::SIGCONT,
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGTSTP,
        Signal::SIGTTOU,
    ]
    .into_iter()
    .collect();
    // Before the fork, so that none is missed.
    let before = taken.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(failed("block signals"))?;
    let front = getpid();
    let Some(child) = process::fork()? else {
        before.thread_set_mask().map_err(failed("unblock signals"))?;
        // If the process in front is killed, the shell has lost its terminal: a hang-up.
        set_pdeathsig(Signal::SIGHUP).map_err(failed("prctl(PR_SET_PDEATHSIG)"))?;
        if getppid() != front {
            return Err(Failure::sys("wait", "process in front", Errno::ESRCH));
        }
        return Ok(Side::Shell(ParentProcess(parent)));
    };
    drop(parent);
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    let signals = SignalFd::with_flags(&taken, flags).map_err(failed("signalfd"))?;
    let mut terminal = Terminal { before: modes, raw: None };
    let end = wait(child, &signals, &heard, &mut terminal).map_err(failed("wait"))?;
    // Whatever ended the shell, it may have left the terminal as its editor needs it, behind half a
    // line.
    let raw = terminal::is_ours() && Modes::save().are_raw();
    terminal.before.restore();
    if raw {
        terminal::end_line();
    }
    Ok(Side::Front(match end {
        End::Code(code) => code,
        End::Signal(signal) => {
            // End as the shell ended, for the process that waits for us.
            let _ = before.thread_set_mask();
            let _ = raise(signal);
            u8::try_from(128 + signal as i32).unwrap_or(1)
        }
    }))
}

enum End {
    Code(u8),
    Signal(Signal),
}

/// The terminal's modes, across a stop of the shell.
struct Terminal {
    /// Those before the shell started.
    before: Modes,
    /// Those of the shell, where it stopped while keys went to it as they were pressed.
    raw: Option<Modes>,
}

impl Terminal {
    /// The shell has stopped: the terminal gets its modes back for the next process.
    fn give_back(&mut self) {
        // In the background the terminal belongs to another process group.
        if terminal::is_ours() {
            let now = Modes::save();
            self.before.restore();
            self.raw = now.are_raw().then_some(now);
        }
    }

    /// The shell goes on.
    fn take(&mut self) {
        if terminal::is_ours()
            && let Some(modes) = self.raw.take()
        {
            modes.restore();
        }
    }
}

fn wait(
    child: Pid,
    signals: &SignalFd,
    heard: &OwnedFd,
    terminal: &mut Terminal,
) -> Result<End, Errno> {
    let mut tied = true;
    loop {
        let mut files = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if tied {
            files.push(PollFd::new(heard.as_fd(), PollFlags::POLLIN));
        }
        match poll(&mut files, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        if tied && files.get(1).is_some_and(|file| file.any().unwrap_or(true)) {
            match read(heard, &mut [0]) {
                Ok(0) => tied = false,
                Ok(_) => return Ok(End::Code(0)),
                Err(_) => {}
            }
        }
        while let Some(info) = signals.read_signal()? {
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|n| Signal::try_from(n).ok());
            match signal {
                Some(Signal::SIGCHLD) => {
                    if let Some(end) = reap(child, terminal)? {
                        return Ok(end);
                    }
                }
                Some(
                    signal @ (Signal::SIGCONT | Signal::SIGHUP | Signal::SIGTERM | Signal::SIGTSTP),
                ) => {
                    // It may be ending just now. Once it stops, so does this process.
                    let _ = kill(child, signal);
                }
                // From the keyboard: the shell hears it too.
                _ => {}
            }
        }
    }
}

/// How the shell ended; stops where it stops.
fn reap(child: Pid, terminal: &mut Terminal) -> Result<Option<End>, Errno> {
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED))? {
            WaitStatus::Exited(_, code) => {
                return Ok(Some(End::Code(u8::try_from(code).unwrap_or(1))));
            }
            WaitStatus::Signaled(_, signal, _) => return Ok(Some(End::Signal(signal))),
            WaitStatus::Stopped(..) => {
                terminal.give_back();
                raise(Signal::SIGSTOP)?;
                // A SIGCONT has arrived.
                terminal.take();
                let _ = kill(child, Signal::SIGCONT);
            }
            _ => return Ok(None),
        }
    }
}
