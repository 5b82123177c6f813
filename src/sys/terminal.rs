//! The terminal on standard input: its size, its modes, and single keys.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{getpgrp, read, tcgetpgrp, write};
use tokio::io::unix::AsyncFd;

use super::readiness;

/// Columns and rows of a terminal; none where it is no terminal or does not say.
#[expect(unsafe_code, reason = "ioctl(TIOCGWINSZ)")]
pub fn size(terminal: impl AsFd) -> Option<(usize, usize)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCGWINSZ writes one `winsize`, which `size` is, and keeps no pointer to it.
    let done =
        unsafe { libc::ioctl(terminal.as_fd().as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    let known = done == 0 && size.ws_col > 0 && size.ws_row > 0;
    known.then_some((size.ws_col.into(), size.ws_row.into()))
}

/// The modes that the terminal had.
#[derive(Debug)]
pub struct Modes(Option<Termios>);

impl Modes {
    /// Remembers the modes; nothing where standard input is no terminal.
    pub fn save() -> Self {
        Self(tcgetattr(io::stdin()).ok())
    }

    /// Whether keys are taken as they are pressed, as a line editor has them.
    pub fn are_raw(&self) -> bool {
        self.0.as_ref().is_some_and(|modes| !modes.local_flags.contains(LocalFlags::ICANON))
    }

    /// Gives them back.
    pub fn restore(&self) {
        if let Some(modes) = &self.0 {
            // A terminal that has gone needs none.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, modes);
        }
    }
}

/// Whether the terminal is with this process group, and not with another job of the login shell.
pub fn is_ours() -> bool {
    tcgetpgrp(io::stdin()) == Ok(getpgrp())
}

/// Ends what an editor was showing: the next line begins, and pasted text comes without brackets
/// around it.
pub fn end_line() {
    // A terminal that has gone, or is open for reading alone, stays as it is.
    let _ = write(io::stdin(), b"\x1b[?2004l\n");
}

/// Keys as they are pressed, neither shown nor held back until the end of the line. Ctrl-C stays a
/// signal. Dropping this gives the terminal its modes back.
#[derive(Debug)]
pub struct Keys {
    modes: Modes,
    file: AsyncFd<OwnedFd>,
}

impl Keys {
    /// Listens to standard input; none where it is no terminal. Call it on a tokio runtime with
    /// I/O.
    pub fn listen() -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let modes = Modes::save();
        let mut raw = modes.0.clone()?;
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
        // A read gives what there is and never waits.
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 0;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        let file = stdin.as_fd().try_clone_to_owned().ok()?;
        let file = readiness::readable(file, "terminal").ok()?;
        tcsetattr(&stdin, SetArg::TCSANOW, &raw).ok()?;
        Some(Self { modes, file })
    }

    /// Waits for a key, or for the terminal to be hung up: the next read of a line reports it.
    /// Never ends where the terminal cannot be read.
    pub async fn pressed(&self) {
        loop {
            let Ok(mut ready) = self.file.readable().await else {
                return std::future::pending().await;
            };
            let mut keys = [0u8; 64];
            // Which stays so, and would be found again and again.
            if ready.ready().is_read_closed() {
                return;
            }
            match read(ready.get_inner(), &mut keys) {
                Ok(0) | Err(Errno::EAGAIN | Errno::EINTR) => ready.clear_ready(),
                Ok(_) => return,
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.modes.restore();
    }
}
