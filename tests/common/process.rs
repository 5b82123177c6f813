//! Programs that a test starts.

use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{LOOK, patience};

/// Names the world that a process stems from, whatever else it does to itself.
pub(super) const MARK: &str = "TAPTOOL_TEST_WORLD";

/// A program under way. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    pub(super) line: String,
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    pub(super) fn spawn(line: &str, input: &str, mark: &str) -> Self {
        let words = shlex::split(line).unwrap();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .env(MARK, mark)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{line}: {e}"));
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let stdout = Some(collect(child.stdout.take().unwrap()));
        let stderr = Some(collect(child.stderr.take().unwrap()));
        Self { line: line.to_owned(), child, stdout, stderr }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it goes on.
    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
    }

    /// Waits for its end; it may take `seconds` on an ordinary machine.
    pub fn output(mut self, seconds: f64) -> Output {
        let line = self.line.clone();
        let status = ended(&mut self.child, &line, seconds);
        let stdout = self.stdout.take().unwrap().join().unwrap();
        let stderr = self.stderr.take().unwrap().join().unwrap();
        Output { status, stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        from.read_to_end(&mut all).unwrap();
        all
    })
}

pub(super) fn ended(child: &mut Child, what: &str, seconds: f64) -> ExitStatus {
    let end = Instant::now() + patience(seconds);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "still running after {:?}: {what}", patience(seconds));
        thread::sleep(LOOK);
    }
}

/// Whether a signal was sent to a process that it has not taken yet.
pub(super) fn is_pending(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:\t")).unwrap();
    u64::from_str_radix(pending, 16).unwrap() >> (signal as i32 - 1) & 1 == 1
}

/// The one child of a process.
pub(super) fn only_child(parent: u32) -> u32 {
    let stat = |path: PathBuf| fs::read_to_string(path.join("stat")).ok();
    let child = |stat: String| {
        // Behind the name, which may hold anything: state and parent.
        let (before, after) = stat.rsplit_once(") ")?;
        let is = after.split(' ').nth(1)? == parent.to_string();
        is.then(|| before.split(' ').next()?.parse().ok())?
    };
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let children: Vec<u32> = entries.filter_map(stat).filter_map(child).collect();
    assert_eq!(children.len(), 1, "children of {parent}: {children:?}");
    children[0]
}
