//! Network and mount namespaces of one test, and what `ip` and `ping` say there.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::echo::echo;
use super::process::MARK;
use super::{Process, backend, eventually, patience, taptool, text};

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
    pub(super) fn enter() -> Self {
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
        let word = |word| args.split_whitespace().any(|w| w == word);
        let creates = word("create")
            && !["bridge-domain", "sub", "sub-interface", "sub-interfaces"].into_iter().any(word);
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

    /// [`World::done`], whose holder, if it starts one, does not give up a client that reads nothing
    /// before the test ends; where [`has_hooks`] says so.
    ///
    /// [`has_hooks`]: super::has_hooks
    pub fn done_by_a_patient_holder(&self, args: &str) -> String {
        let line = format!("env TAPTOOL_TEST_DEADLINE=86400 {} {args}", self.taptool());
        self.must(&format!("{line} --backend {}", backend()))
    }

    /// `-j ARGS` as its objects.
    pub fn objects(&self, args: &str) -> Vec<Value> {
        let stdout = self.done(&format!("-j {args}"));
        match serde_json::from_str(&stdout) {
            Ok(Value::Array(objects)) => objects,
            _ => panic!("{args}: no array: {stdout}"),
        }
    }

    /// Process numbers of the holders of this world, wherever they listen. A shell is none of them.
    pub fn holders(&self) -> Vec<u32> {
        self.processes(|words| has(words, "hold"))
    }

    fn mark(&self) -> String {
        self.dir().display().to_string()
    }

    /// Process numbers of the taptools that this world started or that were told of
    /// [`World::socket`], holders or not, whose command line is as `wanted`.
    fn processes(&self, wanted: impl Fn(&[u8]) -> bool) -> Vec<u32> {
        let told = format!("TAPTOOL_SOCKET={}", self.socket().display());
        let started = format!("{MARK}={}", self.mark());
        let ours = |path: &Path| {
            let environ = fs::read(path.join("environ")).unwrap_or_default();
            let words = fs::read(path.join("cmdline")).unwrap_or_default();
            let program = words.split(|b| *b == 0).next().unwrap_or_default();
            let ours = has(&environ, &told) || has(&environ, &started);
            ours && program.ends_with(b"taptool") && wanted(&words)
        };
        let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
        let pid = |path: &Path| path.file_name()?.to_str()?.parse().ok();
        entries.filter(|path| ours(path)).filter_map(|path| pid(&path)).collect()
    }

    /// Waits until no holder of this world is left, nor a shell, and its socket is gone.
    pub fn nothing_left(&self) {
        eventually("the holder ends", 10.0, || self.processes(|_| true).is_empty());
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

    /// Runs `work` on a thread in a namespace: sockets that it makes are there for good.
    pub fn inside<T: Send>(&self, netns: &str, work: impl FnOnce() -> T + Send) -> T {
        let namespace = fs::File::open(format!("/run/netns/{netns}")).unwrap();
        let enter = || setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
        thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter();
                work()
            });
            thread.join().unwrap()
        })
    }

    /// A namespace that has no name and ends with the process that is in it.
    pub fn unnamed_netns(&self) -> Process {
        let inside = self.start("unshare -n sleep 1000");
        let own = fs::read_link("/proc/thread-self/ns/net").unwrap();
        eventually("a process is in a namespace of its own", 5.0, || {
            fs::read_link(format!("/proc/{}/ns/net", inside.pid())).unwrap() != own
        });
        inside
    }

    /// The inode of a process's network namespace.
    pub fn netns_inode(&self, pid: u32) -> u64 {
        fs::metadata(format!("/proc/{pid}/ns/net")).unwrap().ino()
    }

    /// What keeps a network namespace: threads in it, files of it, by their paths.
    pub fn holds_netns(&self, inode: u64) -> Vec<String> {
        let name = format!("net:[{inode}]");
        // What ends meanwhile holds nothing.
        let entries = |path: PathBuf| {
            fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path())
        };
        let processes = entries("/proc".into()).filter(|path| path.join("ns").exists());
        let links = processes.flat_map(|process| {
            let threads = entries(process.join("task")).map(|thread| thread.join("ns/net"));
            threads.chain(entries(process.join("fd"))).collect::<Vec<_>>()
        });
        links
            .filter(|link| fs::read_link(link).is_ok_and(|to| to.as_os_str() == name.as_str()))
            .map(|link| link.display().to_string())
            .collect()
    }

    fn sysctl(&self, netns: &str, path: &str, value: &str) {
        self.must(&format!("ip netns exec {netns} sh -c 'echo {value} >/proc/sys/{path}'"));
    }

    /// Starts a program: words as a shell would split them, without a shell.
    pub fn start(&self, line: &str) -> Process {
        Process::spawn(line, "", &self.mark())
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
                let out = Process::spawn(&line, questions, &self.mark()).output(30.0);
                assert!(out.status.success(), "{line}: {}", text(&out.stderr));
                let answers = serde_json::Deserializer::from_slice(&out.stdout).into_iter();
                for (question, answer) in questions.lines().zip(answers) {
                    facts(&format!("{name}: {family} {question}"), &answer.unwrap(), &mut state);
                }
            }
        }
        MachineState(state)
    }

    /// Sends `count` echo requests to the address that `args` ends with, at least 20 ms apart, and
    /// gives how many were answered. `-s N' before it is the bytes of data.
    pub fn ping(&self, netns: &str, args: &str, count: u16) -> u32 {
        let (options, address) = args.rsplit_once(' ').unwrap_or(("", args));
        let address: IpAddr = address.parse().unwrap();
        let bytes = options.strip_prefix("-s ").map_or(56, |bytes| bytes.parse().unwrap());
        assert!(options.is_empty() || options.starts_with("-s "), "{options}");
        if address.is_ipv6() {
            // The kernel lets go of a new address in a work queue, also where it probes for no
            // double.
            eventually("no address is tentative", 5.0, || {
                let addresses = self.ip_json(&format!("-n {netns} -6 addr show tentative"));
                addresses.as_array().unwrap().iter().all(|link| link["addr_info"].is_null())
            });
        }
        self.inside(netns, || echo(address, bytes, count))
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

    /// An iperf3 in a namespace that serves one client, and listens already.
    pub fn iperf_server(&self, netns: &str) -> Process {
        let server = self.start(&format!("ip netns exec {netns} iperf3 -s -1"));
        let tables = ["tcp", "tcp6"].map(|t| format!("/proc/{}/net/{t}", server.pid()));
        // 1451 is port 5201, 0A is LISTEN.
        let listens = |line: &str| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|local| local.ends_with(":1451")) && words.nth(1) == Some("0A")
        };
        eventually("iperf3 listens", 10.0, || {
            tables.iter().any(|t| fs::read_to_string(t).unwrap_or_default().lines().any(listens))
        });
        server
    }

    /// TCP from one namespace to an address in another, until it is dropped.
    pub fn iperf(&self, from: &str, to: &str, address: &str) -> Iperf {
        let server = self.iperf_server(to);
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

/// Whether a word is among these, each ended by a NUL.
fn has(words: &[u8], word: &str) -> bool {
    words.split(|b| *b == 0).any(|w| w == word.as_bytes())
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("{}", fs::read_to_string("/var/log/taptool.log").unwrap_or_default());
        }
        for pid in self.processes(|_| true) {
            let _ = kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL);
        }
    }
}
