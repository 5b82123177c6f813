//! A terminal, with a person's login shell on it in which `taptool` runs.
//!
//! The terminal is held by the test alone and not by any program that tests beside it start, so
//! that it is gone for everybody when the test lets it go.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::pipe2;

use super::login;
use super::process::{ended, is_pending, only_child};
use super::screen::Seen;
use super::{World, backend, eventually, patience};

pub use super::login::Kind;
pub use super::screen::{READS, TAKEN};

pub const TAB: &str = "\t";
pub const CTRL_C: &str = "\x03";
pub const CTRL_D: &str = "\x04";
pub const CTRL_R: &str = "\x12";
pub const CTRL_Z: &str = "\x1a";

/// How long to wait for what should come at once, seconds.
const SOON: f64 = 20.0;

/// `taptool ARGS` on a terminal.
#[derive(Debug)]
pub struct Terminal {
    login: Child,
    /// None once it was hung up.
    master: Option<File>,
    heard: Arc<Heard>,
    /// Where in the text what has not been waited for yet begins.
    mark: usize,
    /// Dropping the one end lets the thread at the other go.
    stop: Option<(OwnedFd, JoinHandle<()>)>,
}

#[derive(Debug, Default)]
struct Heard {
    seen: Mutex<Seen>,
    more: Condvar,
}

impl Terminal {
    /// Starts it on a terminal of 24 rows and 80 columns, and waits until it reads a line.
    pub fn start(world: &World, args: &str) -> Self {
        let mut terminal = Self::open(world, args, Kind::default());
        terminal.wait(READS);
        terminal
    }

    /// Starts it.
    pub fn open(world: &World, args: &str, kind: Kind<'_>) -> Self {
        let (login, master) = login::start(world, args, kind);
        let heard = Arc::new(Heard { seen: Mutex::new(Seen::new(kind.size)), ..Heard::default() });
        let (wait, stop) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let (listener, from) = (Arc::clone(&heard), master.try_clone().unwrap());
        let thread = thread::spawn(move || listen(from, &wait, &listener));
        Self { login, master: Some(master), heard, mark: 0, stop: Some((stop, thread)) }
    }

    /// Presses keys.
    pub fn keys(&self, keys: &str) {
        self.bytes(keys.as_bytes());
    }

    /// Sends bytes that may be no text.
    pub fn bytes(&self, bytes: &[u8]) {
        self.master().write_all(bytes).unwrap();
    }

    /// Types a line, and waits until it is taken: what it prints comes next.
    pub fn send(&mut self, line: &str) {
        self.keys(line);
        self.keys("\r");
        self.wait(TAKEN);
    }

    /// Types a line, and waits for the next prompt; what was printed in between.
    pub fn line(&mut self, line: &str) -> String {
        self.send(line);
        let said = self.wait(READS);
        // The end of the line itself comes first.
        said.strip_prefix('\n').unwrap_or(&said).to_owned()
    }

    /// `create WORDS` on the backend under test, which must make the interface of that name.
    pub fn create(&mut self, name: &str, words: &str) {
        let said = self.line(&format!("create {name} {words} backend {}", backend()));
        assert_eq!(said, format!("{name}\n"), "create {name} {words}");
    }

    /// Types a line that must print nothing.
    pub fn silent(&mut self, line: &str) {
        assert_eq!(self.line(line), "", "{line}");
    }

    /// Waits until `text` is printed behind what was waited for before; what stands in between.
    pub fn wait(&mut self, text: &str) -> String {
        let mut between = String::new();
        let mark = self.mark;
        let mut end = mark;
        self.until(&format!("{text:?} behind what was waited for"), |seen| {
            let Some(at) = seen.text[mark..].find(text) else { return false };
            between = seen.text[mark..mark + at].to_owned();
            end = mark + at + text.len();
            true
        });
        self.mark = end;
        between
    }

    /// Waits until the screen is as `condition` wants it.
    pub fn screen(&self, what: &str, condition: impl Fn(&str) -> bool) {
        self.until(what, |seen| condition(&seen.screen()));
    }

    /// Waits until the line with the cursor is this one, without the blanks at its end.
    pub fn typed(&self, line: &str) {
        self.until(&format!("a cursor behind `{line}'"), |seen| seen.typed() == line);
    }

    /// All that came, escape sequences included.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.lock().raw).into_owned()
    }

    /// Makes it another size; what runs there is told.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.lock().resize((rows, columns));
        let master = self.master().try_clone().unwrap();
        let size = [rows.to_string(), columns.to_string()];
        let done = Command::new("stty")
            .args(["rows", &size[0], "columns", &size[1]])
            .stdin(Stdio::from(master))
            .status();
        assert!(done.unwrap().success());
    }

    /// The process in front, which the login shell waits for.
    pub fn front(&self) -> u32 {
        only_child(self.login.id())
    }

    /// The process behind it, which is shell and holder.
    pub fn shell(&self) -> u32 {
        only_child(self.front())
    }

    /// Presses Ctrl-C where the terminal itself edits the line, and waits until the shell has heard
    /// it: it comes as a signal, and a line that is typed behind it may otherwise be read first and
    /// be what is interrupted.
    pub fn interrupt(&mut self) {
        let shell = self.shell();
        self.keys(CTRL_C);
        self.wait("^C");
        eventually("the shell takes the signal", SOON, || !is_pending(shell, Signal::SIGINT));
    }

    /// Waits until the login shell has the terminal back because the program has stopped. It must
    /// be as it was.
    pub fn stopped(&mut self) {
        self.given_back("it has stopped\n");
    }

    fn given_back(&mut self, with: &str) {
        let said = self.wait(with);
        assert!(!said.contains("the modes of the terminal"), "{said}");
    }

    /// Waits for its end; the exit code. The terminal must be as it was.
    pub fn ended(&mut self) -> i32 {
        self.given_back("it ended with ");
        let status = ended(&mut self.login, "the login shell", SOON);
        status.code().unwrap_or_else(|| panic!("{status}: {}", self.all()))
    }

    /// `quit`, with nothing to ask about.
    pub fn quit(mut self) {
        self.send("quit");
        assert_eq!(self.ended(), 0, "{}", self.all());
    }

    /// Closes the window, as it were: the terminal is gone, and the login shell with it.
    pub fn hang_up(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            drop(stop);
            thread.join().unwrap();
        }
        self.master = None;
        ended(&mut self.login, "the login shell, after the hang-up", SOON);
    }

    fn until(&self, what: &str, mut condition: impl FnMut(&Seen) -> bool) {
        let end = Instant::now() + patience(SOON);
        let mut seen = self.lock();
        while !condition(&seen) {
            let left = end.saturating_duration_since(Instant::now());
            let why = if seen.closed { "the terminal is closed" } else { "it took too long" };
            let over = left.is_zero() || seen.closed;
            assert!(!over, "never came ({why}): {what}\n{}", seen.report());
            seen = self.heard.more.wait_timeout(seen, left).unwrap().0;
        }
    }

    fn master(&self) -> &File {
        self.master.as_ref().unwrap()
    }

    fn all(&self) -> String {
        self.lock().report()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A wait that failed has poisoned it, and what came is still worth telling.
        self.heard.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", self.all());
        }
        // Fails only when it has ended already. What ran there is hung up.
        let _ = self.login.kill();
        let _ = self.login.wait();
    }
}

/// Takes what comes until the terminal or the test has no more use for it.
fn listen(mut from: File, stop: &OwnedFd, heard: &Heard) {
    let mut bytes = [0; 4096];
    loop {
        let mut files = [
            PollFd::new(from.as_fd(), PollFlags::POLLIN),
            PollFd::new(stop.as_fd(), PollFlags::POLLIN),
        ];
        poll(&mut files, PollTimeout::NONE).unwrap();
        if files[1].any().unwrap() {
            return;
        }
        // EIO once no process has it open any more.
        let count = from.read(&mut bytes).unwrap_or(0);
        let mut seen = heard.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.take(&bytes[..count]);
        seen.closed = count == 0;
        heard.more.notify_all();
        if count == 0 {
            return;
        }
    }
}
