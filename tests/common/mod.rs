//! What the live tests stand on: a world of their own, the holder, and looking at the machine.
//!
//! A test runs on a thread that has left the machine's network and mount namespaces: `ip netns`
//! names, links and routes of one test are invisible to others and to the machine, and vanish with
//! the thread. Whatever the thread starts stands in that world too.

#![allow(dead_code, unused_imports, reason = "every test binary uses its own part of this")]

mod echo;
mod hold;
mod ledger;
mod login;
pub mod peer;
mod process;
mod screen;
mod terminal;
mod world;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid};

pub use hold::{Ended, Hold};
pub use ledger::{assert_ledger, at_rest, number, queue, seen_by_host, seen_by_us, sum};
pub use process::Process;
pub use terminal::{CTRL_C, CTRL_D, CTRL_R, CTRL_Z, Kind, READS, TAB, TAKEN, Terminal};
pub use world::{Iperf, MachineState, World};

/// How often a condition is looked at again.
const LOOK: Duration = Duration::from_millis(5);

/// How many times slower than an ordinary machine this one is (an emulated one sets 10).
fn slowness() -> f64 {
    std::env::var("TAPTOOL_TEST_SLOWNESS").ok().and_then(|s| s.parse().ok()).unwrap_or(1.0)
}

/// The least time after which something is taken for hung. On a busy machine a process may get no
/// processor for many seconds, and that is no verdict about it.
const HUNG: f64 = 120.0;

/// How long to wait for something that takes at most `seconds` on an ordinary machine with nothing
/// else to do.
pub fn patience(seconds: f64) -> Duration {
    Duration::from_secs_f64((seconds * slowness()).max(HUNG))
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
        skipped(&why);
        return;
    }
    // With --test-threads=1 libtest runs tests on the main thread, which must stay where it is.
    let name = thread::current().name().unwrap_or("?").to_owned();
    let world = thread::Builder::new().name(name).spawn(move || test(&World::enter())).unwrap();
    if let Err(panic) = world.join() {
        std::panic::resume_unwind(panic);
    }
}

/// As [`live`], in a process of its own, whose files, threads and limits are nobody else's. `name` is
/// the test's.
pub fn live_alone(name: &str, test: impl FnOnce(&World) + Send + 'static) {
    const ALONE: &str = "TAPTOOL_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return live(test);
    }
    let again = name.to_owned();
    live(move |_| {
        let out = Command::new(std::env::current_exe().unwrap())
            .args([again.as_str(), "--exact", "--nocapture"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = format!("{}{}", text(&out.stdout), text(&out.stderr));
        println!("{said}");
        assert!(out.status.success() && said.contains("1 passed"), "{again}: {}", out.status);
    });
}

/// Whether a program of a Debian package is here. Says so loudly where it is not, and fails there when
/// `TAPTOOL_REQUIRE_LIVE=1`.
pub fn has(program: &str, package: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).any(|path| path.join(program).exists());
    found || skipped(&format!("no {program}: `apt install {package}'"))
}

/// Whether the program under test reads what tests set in it. Says so loudly where it does not, and
/// fails there when `TAPTOOL_REQUIRE_LIVE=1`.
pub fn has_hooks() -> bool {
    cfg!(feature = "test-hooks") || skipped("built without `--features test-hooks'")
}

/// Says loudly that a test cannot run here, past libtest's capture, which would hide it; fails there
/// when `TAPTOOL_REQUIRE_LIVE=1`. False.
pub fn skipped(why: &str) -> bool {
    assert!(std::env::var_os("TAPTOOL_REQUIRE_LIVE").is_none_or(|v| v != "1"), "{why}");
    let mut stderr = io::stderr();
    writeln!(stderr, "SKIP {}: {why}", thread::current().name().unwrap_or("?")).unwrap();
    false
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

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `taptool ARGS` outside any holder: exit code, stdout, stderr.
pub fn one_shot(here: &World, args: &str) -> (i32, String, String) {
    let out = here.start(&format!("{} {args}", here.taptool())).output(20.0);
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

/// Whether a process is there.
pub fn exists(pid: u32) -> bool {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), None) != Err(Errno::ESRCH)
}
