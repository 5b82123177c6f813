//! What the live tests stand on: a world of their own, the holder, and looking at the machine.
//!
//! A test runs on a thread that has left the machine's network and mount namespaces: `ip netns`
//! names, links and routes of one test are invisible to others and to the machine, and vanish with
//! the thread. Whatever the thread starts stands in that world too.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use serde_json::Value;
use taptool::counters::DROP_REASONS;

impl Drop for World {
    fn drop(&mut self) {
        for pid in self.holders() {
            if thread::panicking() {
                println!("{}", fs::read_to_string("/var/log/taptool.log").unwrap_or_default());
            }
            let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
        }
    }
}

/// How often a condition is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// How many times slower than an ordinary machine this one is (an emulated one sets 10).
fn slowness() -> f64 {
    std::env::var("TAPTOOL_TEST_SLOWNESS").ok().and_then(|s| s.parse().ok()).unwrap_or(1.0)
}

/// How long to wait for something that takes at most `seconds` on an ordinary machine.
pub fn patience(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds * slowness())
}

/// Waits until `condition` holds; panics with `what` when `seconds` of patience are over.
pub fn eventually(what: &str, seconds: f64, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + patience(seconds);
    while !condition() {
        assert!(Instant::now() < end, "not within {:?}: {what}", patience(seconds));
        thread::sleep(LOOK);
    }
}

/// The device that this run tests, as `create` spells it.
pub fn backend() -> &'static str {
    match std::env::var("TAPTOOL_TEST_BACKEND").as_deref() {
        Err(_) | Ok("userspace") => "userspace",
        Ok("vhost-net") => "vhost-net",
        Ok(other) => panic!("TAPTOOL_TEST_BACKEND={other}: userspace or vhost-net"),
    }
}

/// Whether the kernel's device is tested, which shares the host's hands-off habits: refused frames
/// come back as used ones.
pub fn on_vhost_net() -> bool {
    backend() == "vhost-net"
}

/// The running kernel's major and minor number.
pub fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Adds a line to what the runner of the tests says of this tier.
pub fn report(line: &str) {
    println!("{line}");
    if let Some(path) = std::env::var_os("TAPTOOL_TEST_REPORT") {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// The program under test.
pub fn taptool() -> PathBuf {
    std::env::var_os("TAPTOOL_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_taptool").into()).into()
}

/// Runs `test` in a world of its own. Says so loudly where that cannot be, and fails there when
/// `TAPTOOL_REQUIRE_LIVE=1`.
pub fn live(test: impl FnOnce(&World) + Send + 'static) {
    if let Err(why) = possible() {
        assert!(std::env::var_os("TAPTOOL_REQUIRE_LIVE").is_none_or(|v| v != "1"), "{why}");
        // Past libtest's capture, which would hide it.
        let mut stderr = io::stderr();
        writeln!(stderr, "SKIP {}: {why}", thread::current().name().unwrap_or("?")).unwrap();
        return;
    }
    // With --test-threads=1 libtest runs tests on the main thread, which must stay where it is.
    let name = thread::current().name().unwrap_or("?").to_owned();
    let world = thread::Builder::new().name(name).spawn(move || test(&World::enter())).unwrap();
    if let Err(panic) = world.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Whether a program of a Debian package is here. Says so loudly where it is not, and fails there when
/// `TAPTOOL_REQUIRE_LIVE=1`.
pub fn has(program: &str, package: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|path| path.join(program).exists());
    if !found {
        let why = format!("no {program}: `apt install {package}'");
        assert!(std::env::var_os("TAPTOOL_REQUIRE_LIVE").is_none_or(|v| v != "1"), "{why}");
        // Past libtest's capture, which would hide it.
        let mut stderr = io::stderr();
        writeln!(stderr, "SKIP {}: {why}", thread::current().name().unwrap_or("?")).unwrap();
    }
    found
}

fn possible() -> Result<(), String> {
    if !Uid::effective().is_root() {
        return Err("live tests need root (tests/run calls sudo)".into());
    }
    fs::File::open("/dev/net/tun").map_err(|e| format!("/dev/net/tun: {e}"))?;
    if on_vhost_net() {
        fs::File::open("/dev/vhost-net").map_err(|e| format!("/dev/vhost-net: {e}"))?;
    }
    Ok(())
}

/// Network and mount namespaces of this thread alone.
#[derive(Debug)]
pub struct World {
    /// Namespaces belong to the thread.
    here: PhantomData<*const ()>,
    dir: tempfile::TempDir,
}

/// What `ip` says of every namespace, without what changes by itself: a line a fact.
#[derive(Debug, PartialEq, Eq)]
pub struct MachineState(BTreeSet<String>);

impl MachineState {
    /// Panics with the differing parts if `self` is not `before`.
    pub fn assert_same_as(&self, before: &Self, when: &str) {
        let mut text = String::new();
        for gone in before.0.difference(&self.0) {
            writeln!(text, "- {gone}").unwrap();
        }
        for new in self.0.difference(&before.0) {
            writeln!(text, "+ {new}").unwrap();
        }
        assert!(text.is_empty(), "{when}: the machine is not as it was:\n{text}");
    }
}

impl World {
    fn enter() -> Self {
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        fs::create_dir_all("/run/netns").unwrap();
        mount(Some("netns"), "/run/netns", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        // /sys shows the network namespace that it was mounted in.
        mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none).unwrap();
        // Background holders write their log there.
        fs::create_dir_all("/var/log").unwrap();
        mount(Some("log"), "/var/log", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        let world = Self { here: PhantomData, dir: tempfile::tempdir().unwrap() };
        world.ip("link set lo up");
        world
    }

    /// A directory that vanishes with the test.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The control socket that [`World::run`]'s commands use.
    pub fn socket(&self) -> PathBuf {
        self.dir().join("ctl.sock")
    }

    /// `taptool` with this world's control socket, as words for [`World::start`].
    pub fn taptool(&self) -> String {
        format!("env TAPTOOL_SOCKET={} {}", self.socket().display(), taptool().display())
    }

    /// `taptool ARGS`: exit code, stdout, stderr. A `create` gets the backend under test.
    pub fn run(&self, args: &str) -> (i32, String, String) {
        let creates = args.split_whitespace().any(|word| word == "create");
        let backend = if creates { format!(" backend {}", backend()) } else { String::new() };
        let line = format!("{} {args}{backend}", self.taptool());
        let out = self.start(&line).output(30.0);
        (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
    }

    /// [`World::run`], which must succeed without a word on stderr; gives stdout.
    pub fn done(&self, args: &str) -> String {
        let (code, stdout, stderr) = self.run(args);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args}");
        stdout
    }

    /// `-j ARGS` as its objects.
    pub fn objects(&self, args: &str) -> Vec<Value> {
        let stdout = self.done(&format!("-j {args}"));
        match serde_json::from_str(&stdout) {
            Ok(Value::Array(objects)) => objects,
            _ => panic!("{args}: no array: {stdout}"),
        }
    }

    /// Process numbers of the holders that listen, or did, on [`World::socket`].
    pub fn holders(&self) -> Vec<u32> {
        let mark = format!("TAPTOOL_SOCKET={}", self.socket().display());
        let holds = |path: &Path| {
            let environ = fs::read(path.join("environ")).unwrap_or_default();
            let words = fs::read(path.join("cmdline")).unwrap_or_default();
            let has = |all: &[u8], word: &str| all.split(|b| *b == 0).any(|w| w == word.as_bytes());
            has(&environ, &mark) && has(&words, "hold")
        };
        let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let pid = |path: &Path| path.file_name()?.to_str()?.parse().ok();
        entries.filter(|path| holds(path)).filter_map(|path| pid(&path)).collect()
    }

    /// Waits until no holder of this world is left and its socket is gone.
    pub fn nothing_left(&self) {
        eventually("the holder ends", 10.0, || self.holders().is_empty());
        assert!(!self.socket().exists(), "the socket is left");
    }

    /// A namespace under /run/netns. Its devices' IPv6 addresses work at once: the second that
    /// duplicate detection takes is not what is tested here.
    pub fn netns(&self, name: &str) {
        self.ip(&format!("netns add {name}"));
        self.ip(&format!("-n {name} link set lo up"));
        self.sysctl(name, "net/ipv6/conf/default/accept_dad", "0");
    }

    /// As [`World::netns`], and without IPv6, so that no frame is in it but the test's own.
    pub fn quiet_netns(&self, name: &str) {
        self.netns(name);
        self.sysctl(name, "net/ipv6/conf/all/disable_ipv6", "1");
        self.sysctl(name, "net/ipv6/conf/default/disable_ipv6", "1");
    }

    fn sysctl(&self, netns: &str, path: &str, value: &str) {
        self.must(&format!("ip netns exec {netns} sh -c 'echo {value} >/proc/sys/{path}'"));
    }

    /// Starts a program: words as a shell would split them, without a shell.
    pub fn start(&self, line: &str) -> Process {
        Process::spawn(line, "")
    }

    /// Runs a program, which must succeed, and gives its stdout.
    pub fn must(&self, line: &str) -> String {
        let out = self.start(line).output(30.0);
        assert!(out.status.success(), "{line}: {}\n{}", out.status, text(&out.stderr));
        text(&out.stdout)
    }

    /// `ip ARGS`.
    pub fn ip(&self, args: &str) {
        self.must(&format!("ip {args}"));
    }

    /// `ip -j ARGS`, parsed.
    pub fn ip_json(&self, args: &str) -> Value {
        let said = self.must(&format!("ip -j {args}"));
        // Nothing to list is no text at all.
        if said.trim().is_empty() {
            return Value::Array(Vec::new());
        }
        serde_json::from_str(&said).unwrap_or_else(|e| panic!("ip -j {args}: {e}: {said}"))
    }

    /// The link of that name in a namespace, with details and counters; null if there is none.
    pub fn link(&self, netns: &str, name: &str) -> Value {
        let all = self.ip_json(&format!("-n {netns} -s -d link"));
        let found = all.as_array().unwrap().iter().find(|l| l["ifname"] == name).cloned();
        found.unwrap_or(Value::Null)
    }

    /// A file under /sys/class/net of a link in a namespace.
    pub fn class_net(&self, netns: &str, link: &str, file: &str) -> String {
        let path = format!("/sys/class/net/{link}/{file}");
        self.must(&format!("ip netns exec {netns} cat {path}")).trim().to_owned()
    }

    /// Names of the links of a namespace, without `lo`.
    pub fn links(&self, netns: &str) -> Vec<String> {
        let all = self.ip_json(&format!("-n {netns} link"));
        let names = all.as_array().unwrap().iter().map(|l| l["ifname"].as_str().unwrap());
        names.filter(|n| *n != "lo").map(str::to_owned).collect()
    }

    /// Links, addresses, routes of this namespace and of all named ones.
    pub fn state(&self) -> MachineState {
        let mut state = BTreeSet::new();
        let mut places = vec![("own".to_owned(), String::new())];
        for netns in self.ip_json("netns list").as_array().unwrap() {
            let name = netns["name"].as_str().unwrap();
            places.push((name.to_owned(), format!("-n {name} ")));
        }
        for (name, option) in places {
            for (family, questions) in [
                ("-4", "link\naddr\nroute show table all\n"),
                ("-6", "addr\nroute show table all\n"),
            ] {
                let line = format!("ip {option}{family} -j -d -batch -");
                let out = Process::spawn(&line, questions).output(30.0);
                assert!(out.status.success(), "{line}: {}", text(&out.stderr));
                let answers = serde_json::Deserializer::from_slice(&out.stdout).into_iter();
                for (question, answer) in questions.lines().zip(answers) {
                    facts(&format!("{name}: {family} {question}"), &answer.unwrap(), &mut state);
                }
            }
        }
        MachineState(state)
    }

    /// Sends `count` echo requests, 20 ms apart, and gives how many were answered. The last
    /// answer is waited for.
    pub fn ping(&self, netns: &str, args: &str, count: u32) -> u32 {
        if args.starts_with("-6") {
            // The kernel lets go of a new address in a work queue, also where it probes for no
            // double.
            eventually("no address is tentative", 5.0, || {
                let addresses = self.ip_json(&format!("-n {netns} -6 addr show tentative"));
                addresses.as_array().unwrap().iter().all(|link| link["addr_info"].is_null())
            });
        }
        let wait = patience(2.0).as_secs();
        let line = format!("ip netns exec {netns} ping -n -q -c {count} -i 0.02 -W {wait} {args}");
        let out = self.start(&line).output(10.0 + f64::from(count) * 0.1);
        let said = text(&out.stdout);
        let received = said
            .lines()
            .find_map(|l| l.split_once(" packets transmitted, ")?.1.split(' ').next())
            .and_then(|n| n.parse().ok());
        received.unwrap_or_else(|| panic!("{line}: {said}{}", text(&out.stderr)))
    }

    /// Sends five echo requests; all must be answered.
    pub fn ping_answered(&self, netns: &str, args: &str) {
        assert_eq!(self.ping(netns, args, 5), 5, "answers to ping {args} in {netns}");
    }

    /// Sends two echo requests; none may be answered.
    pub fn ping_unanswered(&self, netns: &str, args: &str) {
        let line = format!("ip netns exec {netns} ping -n -q -c 2 -i 0.2 -W 1 {args}");
        let out = self.start(&line).output(10.0);
        let said = text(&out.stdout);
        assert!(said.contains(" 0 received"), "{line}: {said}{}", text(&out.stderr));
    }

    /// TCP from one namespace to an address in another, until it is dropped.
    pub fn iperf(&self, from: &str, to: &str, address: &str) -> Iperf {
        let server = self.start(&format!("ip netns exec {to} iperf3 -s -1"));
        let tables = ["tcp", "tcp6"].map(|t| format!("/proc/{}/net/{t}", server.pid()));
        // 1451 is port 5201, 0A is LISTEN.
        let listens = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|local| local.ends_with(":1451")) && words.nth(1) == Some("0A")
        };
        eventually("iperf3 listens", 10.0, || {
            tables.iter().any(|t| fs::read_to_string(t).unwrap_or_default().lines().any(listens))
        });
        let client = self.start(&format!("ip netns exec {from} iperf3 -c {address} -t 3600"));
        Iperf { client, _server: server }
    }
}

/// Adds a line for each value, with the way to it in front. Links stand under their names. Clocks
/// are left out, and the segmentation limit, which a bridge keeps from its last port.
fn facts(path: &str, value: &Value, state: &mut BTreeSet<String>) {
    match value {
        Value::Array(all) => {
            for (i, value) in all.iter().enumerate() {
                let step = value["ifname"].as_str().map_or(i.to_string(), str::to_owned);
                facts(&format!("{path} {step}"), value, state);
            }
        }
        Value::Object(map) => {
            let lasting = |key: &str| !key.ends_with("_timer") && key != "tso_max_size";
            for (key, value) in map.iter().filter(|(key, _)| lasting(key)) {
                facts(&format!("{path} {key}"), value, state);
            }
        }
        _ => {
            state.insert(format!("{path} {value}"));
        }
    }
}

/// A TCP transfer under way.
#[derive(Debug)]
pub struct Iperf {
    client: Process,
    _server: Process,
}

impl Iperf {
    /// Ends it; fails the test if it has ended by itself.
    pub fn stop(mut self) {
        assert!(self.client.running(), "iperf3 gave up: {}", self.client.line);
    }
}

/// A program under way. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    line: String,
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

impl Process {
    fn spawn(line: &str, input: &str) -> Self {
        let words = shlex::split(line).unwrap();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
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

fn ended(child: &mut Child, what: &str, seconds: f64) -> ExitStatus {
    let end = Instant::now() + patience(seconds);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(Instant::now() < end, "still running after {:?}: {what}", patience(seconds));
        thread::sleep(LOOK);
    }
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `taptool ARGS` outside any holder: exit code, stdout, stderr.
pub fn one_shot(here: &World, args: &str) -> (i32, String, String) {
    let out = here.start(&format!("{} {args}", here.taptool())).output(20.0);
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

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
        Self::start_with(here, &[])
    }

    /// As [`Hold::start`], with these environment variables.
    pub fn start_with(here: &World, env: &[(&str, &str)]) -> Self {
        // Every process that stems from it carries this, whatever else it does to itself.
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let n = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mark = format!("TAPTOOL_TEST_MARK={}-{n}", std::process::id());
        let (key, value) = mark.split_once('=').unwrap();
        let mut child = Command::new(taptool())
            .args(["hold", "-j", "--exec", "-", "--socket"])
            .arg(here.dir().join(format!("hold-{n}.sock")))
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
        let creates = line.split_whitespace().next() == Some("create");
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

    /// `show tap NAME`.
    pub fn tap(&mut self, name: &str) -> Value {
        self.one(&format!("show tap {name}"))
    }

    /// Waits until `show tap NAME` satisfies `condition`, and gives that reply.
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
        kill(Pid::from_raw(i32::try_from(self.pid()).unwrap()), signal).unwrap();
        let ended = self.end(&format!("the holder, after {signal}"));
        assert_eq!(self.left_over(), Vec::<String>::new(), "processes left after {signal}");
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

    /// Processes that carry its mark, and vhost workers named after it.
    fn left_over(&self) -> Vec<String> {
        let worker = format!("vhost-{}", self.pid());
        let mut left = Vec::new();
        for entry in fs::read_dir("/proc").unwrap() {
            let path = entry.unwrap().path();
            let environ = fs::read(path.join("environ")).unwrap_or_default();
            let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
            let ours = environ.split(|b| *b == 0).any(|v| v == self.mark.as_bytes());
            if ours || comm.trim() == worker {
                left.push(format!("{} {}", path.display(), comm.trim()));
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

/// A number in a reply.
pub fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no number `{key}' in {object}"))
}

/// Queue 0 of a direction (`rx_queues`, `tx_queues`).
pub fn queue<'a>(tap: &'a Value, direction: &str) -> &'a Value {
    &tap[direction][0]
}

/// A counter summed over an interface's queues of a direction.
pub fn sum(tap: &Value, direction: &str, counter: &str) -> u64 {
    tap[direction].as_array().unwrap().iter().map(|q| number(q, counter)).sum()
}

/// Drops of a queue: those after the frame was in the ring, or the others.
fn drops(queue: &Value, after_enqueue: bool) -> u64 {
    let all = queue["drops"].as_object().unwrap();
    let one = |(name, count): (&String, &Value)| {
        let row = DROP_REASONS.iter().find(|row| row.name == name.as_str());
        let row = row.unwrap_or_else(|| panic!("unknown drop reason {name}"));
        if row.after_enqueue == after_enqueue { count.as_u64().unwrap() } else { 0 }
    };
    all.iter().map(one).sum()
}

/// Every queue's ledger balances.
pub fn assert_ledger(taps: &[Value]) {
    for tap in taps {
        for q in tap["rx_queues"].as_array().unwrap() {
            let kept = number(q, "forwarded") + number(q, "consumed") + number(q, "held");
            let lost = drops(q, false) + drops(q, true);
            assert_eq!(number(q, "packets"), kept + lost, "rx ledger of {}: {q:#}", tap["name"]);
        }
        for q in tap["tx_queues"].as_array().unwrap() {
            let enqueued = number(q, "enqueued");
            let offered = enqueued + drops(q, false);
            assert_eq!(number(q, "offered"), offered, "tx ledger of {}: {q:#}", tap["name"]);
            let used = number(q, "packets") + drops(q, true) + number(q, "in_flight");
            assert_eq!(enqueued, used, "tx ring ledger of {}: {q:#}", tap["name"]);
        }
    }
}

/// At rest nothing is under way, and what was handed on and made is what was offered.
pub fn at_rest(taps: &[Value]) -> bool {
    let total = |direction, counter| taps.iter().map(|t| sum(t, direction, counter)).sum::<u64>();
    total("rx_queues", "held") == 0
        && total("tx_queues", "in_flight") == 0
        && total("rx_queues", "forwarded") + total("tx_queues", "originated")
            == total("tx_queues", "offered")
}

/// Packets and bytes of an interface as the Linux device must have counted them: our transmission
/// is its reception.
pub fn seen_by_us(tap: &Value) -> [u64; 4] {
    [
        sum(tap, "tx_queues", "packets"),
        sum(tap, "tx_queues", "bytes"),
        sum(tap, "rx_queues", "packets"),
        sum(tap, "rx_queues", "bytes"),
    ]
}

/// Received and sent packets and bytes of a link.
pub fn seen_by_host(link: &Value) -> [u64; 4] {
    let stats = &link["stats64"];
    [
        number(&stats["rx"], "packets"),
        number(&stats["rx"], "bytes"),
        number(&stats["tx"], "packets"),
        number(&stats["tx"], "bytes"),
    ]
}

/// Whether a process is there.
pub fn exists(pid: u32) -> bool {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), None) != Err(Errno::ESRCH)
}
