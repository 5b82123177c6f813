//! `taptool hold -j --exec -` under a test's hand.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::process::ended;
use super::{LOOK, World, backend, patience, taptool};

/// `taptool hold -j --exec -`: lines go in, an array comes out for each.
#[derive(Debug)]
pub struct Hold {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Arc<Mutex<String>>,
    said: Option<JoinHandle<()>>,
    mark: String,
}

/// How a holder ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// All that it said on stderr.
    pub stderr: String,
}

impl Hold {
    /// A holder that reads lines from the test.
    pub fn start(here: &World) -> Self {
        Self::start_with(here, &[], &[])
    }

    /// As [`Hold::start`], with more options.
    pub fn start_as(here: &World, options: &[&str]) -> Self {
        Self::start_with(here, &[], options)
    }

    /// As [`Hold::start`], with buffers of 2 KiB on every device; where [`has_hooks`] says so.
    ///
    /// [`has_hooks`]: super::has_hooks
    pub fn start_with_small_buffers(here: &World) -> Self {
        Self::start_with(here, &[("TAPTOOL_TEST_BUFFERS", "2048")], &[])
    }

    /// As [`Hold::start`], with these environment variables and options.
    fn start_with(here: &World, env: &[(&str, &str)], options: &[&str]) -> Self {
        // Every process that stems from it carries this, whatever else it does to itself.
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mark = format!("TAPTOOL_TEST_MARK={}-{n}", std::process::id());
        let (key, value) = mark.split_once('=').unwrap();
        let mut child = Command::new(taptool())
            .args(["hold", "-j", "--exec", "-", "--socket"])
            .arg(here.dir().join(format!("hold-{n}.sock")))
            .args(options)
            .env(key, value)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("{}: {e}", taptool().display()));
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines() {
                // The test may have gone on without listening.
                let _ = send.send(line.unwrap());
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        let (heard, from) = (Arc::clone(&stderr), BufReader::new(child.stderr.take().unwrap()));
        let said = thread::spawn(move || {
            for line in from.lines() {
                writeln!(heard.lock().unwrap(), "{}", line.unwrap()).unwrap();
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, stderr, said: Some(said), mark }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// Sends a line; a `create` that names no backend gets the one under test.
    fn send(&mut self, line: &str) {
        let others = ["create bridge-domain ", "create sub"];
        let creates =
            line.starts_with("create ") && !others.iter().any(|other| line.starts_with(other));
        let line = if creates && !line.split_whitespace().any(|w| w == "backend") {
            format!("{line} backend {}", backend())
        } else {
            line.to_owned()
        };
        self.send_as_it_is(&line);
    }

    fn send_as_it_is(&mut self, line: &str) {
        // A holder that has ended is noticed by the missing answer, with what it said.
        let _ = writeln!(self.stdin.as_mut().unwrap(), "{line}");
    }

    /// Sends a command, which must succeed; gives the objects of its reply.
    pub fn run(&mut self, line: &str) -> Vec<Value> {
        self.send(line);
        match self.lines.recv_timeout(patience(20.0)) {
            Ok(reply) => match serde_json::from_str(&reply) {
                Ok(Value::Array(objects)) => objects,
                _ => panic!("{line}: the reply is no array on one line: {reply}"),
            },
            Err(RecvTimeoutError::Timeout) => panic!("{line}: no answer\n{}", self.stderr()),
            Err(RecvTimeoutError::Disconnected) => {
                let ended = self.end(&format!("the holder, after `{line}'"));
                panic!("{line}: the holder ended with code {}\n{}", ended.code, ended.stderr)
            }
        }
    }

    /// Sends a command and gives the one object of its reply.
    pub fn one(&mut self, line: &str) -> Value {
        let mut objects = self.run(line);
        assert_eq!(objects.len(), 1, "{line}: objects in the reply");
        objects.remove(0)
    }

    /// The interface of this name, of whichever kind.
    pub fn tap(&mut self, name: &str) -> Value {
        self.one(&format!("show interface {name}"))
    }

    /// Waits until [`Hold::tap`] satisfies `condition`, and gives that reply.
    pub fn tap_when(
        &mut self,
        name: &str,
        what: &str,
        seconds: f64,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        let end = Instant::now() + patience(seconds);
        loop {
            let tap = self.tap(name);
            if condition(&tap) {
                return tap;
            }
            assert!(Instant::now() < end, "{name}: not within {seconds} s: {what}: {tap:#}");
            thread::sleep(LOOK);
        }
    }

    /// Sends a command, word for word, that must be refused; the holder ends with it.
    pub fn refused(mut self, line: &str) -> Ended {
        self.send_as_it_is(line);
        match self.lines.recv_timeout(patience(20.0)) {
            Err(RecvTimeoutError::Disconnected) => self.end(line),
            Err(RecvTimeoutError::Timeout) => panic!("{line}: no answer\n{}", self.stderr()),
            Ok(reply) => panic!("{line}: was accepted: {reply}"),
        }
    }

    /// Closes its input.
    pub fn end_of_input(&mut self) {
        self.stdin = None;
    }

    /// SIGTERM: it removes everything and ends. Nothing that stems from it may be left.
    pub fn term(self) -> Ended {
        self.stop(Signal::SIGTERM)
    }

    /// As [`Hold::term`], with another signal.
    pub fn stop(mut self, signal: Signal) -> Ended {
        let workers = self.workers();
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
        let ended = self.end(&format!("the holder, after {signal}"));
        let left = self.left_over(&workers);
        assert_eq!(left, Vec::<String>::new(), "processes left after {signal}");
        ended
    }

    /// [`Hold::term`], for the end of a test: exit code 0 and nothing said that was not asked for.
    pub fn close(self) {
        let ended = self.term();
        assert_eq!(ended.code, 0, "exit code after SIGTERM\n{}", ended.stderr);
    }

    fn end(&mut self, what: &str) -> Ended {
        let status = ended(&mut self.child, what, 20.0);
        if let Some(said) = self.said.take() {
            said.join().unwrap();
        }
        Ended { code: status.code().unwrap_or(-1), stderr: self.stderr() }
    }

    /// The kernel's workers for it: number and name. A name has the number of the thread that made
    /// the device, which may have ended, so the holder is asked; one whose input was closed is not.
    fn workers(&mut self) -> Vec<(u64, String)> {
        if self.stdin.is_none() {
            return Vec::new();
        }
        let threads = self.run("show threads");
        let workers = threads.iter().filter(|thread| thread["type"] == "vhost");
        let worker = |thread: &Value| {
            (thread["lwp"].as_u64().unwrap(), thread["name"].as_str().unwrap().to_owned())
        };
        workers.map(worker).collect()
    }

    /// Processes that carry its mark, and those of its workers that are still there.
    fn left_over(&self, workers: &[(u64, String)]) -> Vec<String> {
        let mut left = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let environ = fs::read(path.join("environ")).unwrap_or_default();
            if environ.split(|b| *b == 0).any(|v| v == self.mark.as_bytes()) {
                left.push(path.display().to_string());
            }
        }
        for (pid, name) in workers {
            // Another may have got the number meanwhile.
            let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if comm.trim() == name {
                left.push(format!("{pid} {name}"));
            }
        }
        left
    }

    /// Its open files: number, and what it is.
    pub fn files(&self) -> Vec<(i32, String)> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap();
        let file = |path: PathBuf| {
            let to = fs::read_link(&path).ok()?.display().to_string();
            Some((path.file_name()?.to_str()?.parse().ok()?, to))
        };
        entries.filter_map(|entry| file(entry.unwrap().path())).collect()
    }

    /// One of its files, for reading and writing.
    pub fn file(&self, fd: i32) -> fs::File {
        let path = format!("/proc/{}/fd/{fd}", self.pid());
        fs::File::options().read(true).write(true).open(path).unwrap()
    }

    /// Time of a processor that it has used, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        // Behind the name, which may hold anything: user and system time, 1/100 s.
        let numbers = stat.rsplit_once(") ").unwrap().1.split(' ').skip(11).take(2);
        numbers.map(|n| n.parse::<f64>().unwrap() / 100.0).sum()
    }

    /// How many files and threads it has.
    pub fn files_and_threads(&self) -> (usize, usize) {
        let count = |what| fs::read_dir(format!("/proc/{}/{what}", self.pid())).unwrap().count();
        (count("fd"), count("task"))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // A test that fails leaves its reasons here.
        if thread::panicking() {
            println!("the holder said:\n{}", self.stderr());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
