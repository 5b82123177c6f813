//! `taptool demo` as a whole: as root, as an ordinary user, where that is forbidden, interrupted, and
//! failing in the middle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use assert_cmd::cargo::cargo_bin;
use nix::mount::{MsFlags, mount};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::Pid;
use serde_json::Value;

use common::{MachineState, World, live, patience, text};

const NOBODY: u32 = 65534;

fn program(path: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    command.arg("demo").args(args).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn demo(args: &[&str]) -> Command {
    program(&cargo_bin("taptool"), args)
}

/// Exit code, stdout, stderr.
fn said(out: &Output) -> (i32, String, String) {
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

fn run(command: &mut Command) -> (i32, String, String) {
    said(&command.output().unwrap())
}

/// What a demo may not change: links, addresses, routes, and mounts, among them those of named
/// namespaces.
fn machine(world: &World) -> (MachineState, String) {
    (world.state(), fs::read_to_string("/proc/thread-self/mountinfo").unwrap())
}

fn assert_unchanged(world: &World, before: &(MachineState, String), when: &str) {
    let after = machine(world);
    after.0.assert_same_as(&before.0, when);
    assert_eq!(after.1, before.1, "{when}: mounts");
}

/// The results of a demo that passed, line by line.
fn assert_passed((code, out, err): (i32, String, String)) {
    assert_eq!(code, 0, "{out}{err}");
    let labels: Vec<&str> = out
        .lines()
        .filter_map(|line| line.split_once(':').map(|(label, _)| label))
        .filter(|label| !label.contains(' '))
        .collect();
    let expected =
        ["world", "backend", "wire", "ping", "ping6", "tcp", "rx", "tx", "ledger", "removed"];
    assert_eq!(labels, expected, "{out}");
    let line = |label: &str| out.lines().find(|l| l.starts_with(&format!("{label}:"))).unwrap();
    let backend = line("backend").split_whitespace().nth(1).unwrap();
    if fs::exists("/dev/vhost-net").unwrap() {
        assert!(["vhost-net", "userspace"].contains(&backend), "{out}");
    } else {
        assert_eq!(backend, "userspace");
        assert!(out.contains("(open /dev/vhost-net: No such file or directory (ENOENT))"), "{out}");
    }
    assert!(line("ping").contains("A -> B: 5 of 5 answered"), "{out}");
    assert!(line("tcp").contains("bit/s"), "{out}");
    assert!(line("ledger").contains("every frame accounted for"), "{out}");
    for tap in ["tap0", "tap1"] {
        assert!(out.lines().any(|l| l.starts_with(tap) && l.contains(backend)), "{out}");
    }
    assert!(err.lines().all(|l| l.ends_with("so far")), "only progress: {err}");
    assert!(!out.contains('\r') && !err.contains('\r'), "no terminal, no rewriting");
}

#[test]
fn as_root_it_passes_and_leaves_the_machine_as_it_was() {
    live(|world| {
        let before = machine(world);
        let began = Instant::now();
        let ended = run(&mut demo(&[]));
        assert!(began.elapsed() < patience(20.0), "took {:?}", began.elapsed());
        assert_passed(ended);
        assert_unchanged(world, &before, "after the demo");
    });
}

#[test]
fn with_j_it_is_one_array_with_one_object_and_with_q_nothing_else() {
    live(|_| {
        let (code, out, err) = run(&mut demo(&["-j", "-q"]));
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert_eq!(out.lines().count(), 1, "{out}");
        let all: Value = serde_json::from_str(&out).unwrap();
        let [result] = all.as_array().unwrap().as_slice() else { panic!("{all:#}") };
        assert_eq!(result["user_namespace"], false);
        assert_eq!(result["ping"][0]["answered"], 5, "{result:#}");
        assert!(result["ping"][0]["median_ms"].as_f64().unwrap() > 0.0);
        let tcp = &result["tcp"];
        assert!(tcp["seconds"].as_f64().unwrap() >= 2.0, "{tcp}");
        assert!(tcp["bits_per_second"].as_f64().unwrap() > 0.0, "{tcp}");
        let frames = |side: &str, what: &str| common::number(&result["frames"][side], what);
        let drops = result["frames"]["rx"]["drops"].as_object().unwrap();
        let dropped: u64 = drops.values().map(|n| n.as_u64().unwrap()).sum();
        let kept = frames("rx", "forwarded") + frames("rx", "consumed");
        assert_eq!(frames("rx", "received"), kept + dropped, "{result:#}");
        assert_eq!(frames("rx", "forwarded"), frames("tx", "offered"), "{result:#}");
        assert_eq!(result["interfaces"].as_array().unwrap().len(), 2);
        assert_eq!(result["interfaces"][0]["backend"], result["backend"]);
    });
}

/// The program where everyone may run it: the build directory may be closed to others.
fn for_everyone() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = dir.path().join("taptool");
    fs::copy(cargo_bin("taptool"), &copy).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    (dir, copy)
}

/// Puts an empty directory in the place of /dev/net, for this test alone: its thread has a mount
/// namespace of its own.
fn empty_dev_net() {
    let none: Option<&str> = None;
    mount(Some("tmpfs"), "/dev/net", Some("tmpfs"), MsFlags::empty(), none).unwrap();
}

/// A /dev/net/tun with this mode.
fn tun_of_mode(mode: u32) {
    empty_dev_net();
    let mode = Mode::from_bits(mode).unwrap();
    mknod("/dev/net/tun", SFlag::S_IFCHR, mode, makedev(10, 200)).unwrap();
    fs::set_permissions("/dev/net/tun", fs::Permissions::from_mode(mode.bits())).unwrap();
}

fn nobody(program: &mut Command) -> &mut Command {
    program.uid(NOBODY).gid(NOBODY).current_dir("/")
}

#[test]
fn an_ordinary_users_demo_passes_in_a_user_namespace_or_says_how_to_allow_it() {
    live(|world| {
        tun_of_mode(0o666);
        let (_dir, copy) = for_everyone();
        let before = machine(world);
        let ended = run(nobody(&mut program(&copy, &[])));
        let allowed =
            nobody(Command::new("unshare").args(["-Urn", "true"])).output().unwrap().status;
        if allowed.success() {
            assert!(ended.1.contains("in a user namespace of its own"), "{ended:?}");
            assert_passed(ended);
        } else {
            assert_eq!(ended.0, 5, "{ended:?}");
            assert!(ended.2.contains("run it with sudo"), "{ended:?}");
        }
        assert_unchanged(world, &before, "after the demo");
    });
}

#[test]
fn where_dev_net_tun_may_not_be_opened_it_is_exit_5_and_where_it_is_not_there_exit_7() {
    live(|_| {
        let (_dir, copy) = for_everyone();
        tun_of_mode(0o600);
        let (code, out, err) = run(nobody(&mut program(&copy, &[])));
        assert_eq!((code, out.as_str()), (5, ""), "{err}");
        assert!(err.contains("open /dev/net/tun: Permission denied (EACCES)"), "{err}");
        assert!(err.contains("chmod 0666 /dev/net/tun") && err.contains("sudo"), "{err}");
        empty_dev_net();
        for command in [&mut program(&copy, &[]), nobody(&mut program(&copy, &[]))] {
            let (code, out, err) = run(command);
            assert_eq!((code, out.as_str()), (7, ""), "{err}");
            assert!(err.contains("modprobe tun"), "{err}");
        }
    });
}

#[test]
fn where_user_namespaces_are_forbidden_it_is_exit_5_with_the_remedy() {
    live(|_| {
        // Their number is limited inside one, where the demo then has no capabilities.
        let script = "echo 0 >/proc/sys/user/max_user_namespaces && \
             exec setpriv --bounding-set -all --inh-caps -all \"$0\" demo";
        let (code, out, err) = run(Command::new("unshare")
            .args(["-Ur", "sh", "-c", script])
            .arg(cargo_bin("taptool")));
        assert_eq!((code, out.as_str()), (5, ""), "{err}");
        assert!(err.starts_with("demo: unshare(CLONE_NEWUSER|CLONE_NEWNET): "), "{err}");
        assert!(err.contains("max_user_namespaces") && err.contains("sudo"), "{err}");
    });
}

#[test]
fn a_signal_at_any_time_removes_everything() {
    live(|world| {
        let before = machine(world);
        let moments = [
            ("world", Signal::SIGTERM),
            ("backend", Signal::SIGINT),
            ("wire", Signal::SIGHUP),
            ("ping", Signal::SIGINT),
            ("ping6", Signal::SIGTERM),
            ("tcp", Signal::SIGTERM),
        ];
        for (moment, signal) in moments {
            let mut child =
                demo(&["-q"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let label = format!("{moment}:");
            assert!(lines.any(|line| line.unwrap().starts_with(&label)), "no {moment}");
            let began = Instant::now();
            kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
            let rest: Vec<_> = lines.map(Result::unwrap).collect();
            let mut err = String::new();
            child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
            let code = child.wait().unwrap().code();
            // After the last wait there is nothing to interrupt.
            if moment == "tcp" && code == Some(0) {
                continue;
            }
            assert_eq!(code, Some(1), "{signal} after {moment}: {err}");
            assert_eq!(err, format!("demo: interrupted by {signal}\n"), "after {moment}");
            assert!(!rest.iter().any(|line| line.starts_with("removed")), "{rest:?}");
            println!("{signal} after {moment}: {:?}", began.elapsed());
            assert_unchanged(world, &before, moment);
        }
    });
}

#[test]
fn a_failure_in_the_middle_is_undone_whichever_file_could_not_be_opened() {
    live(|world| {
        let before = machine(world);
        let mut second_failed = false;
        for files in 4..200 {
            let mut command = Command::new("prlimit");
            command.arg(format!("--nofile={files}")).arg(cargo_bin("taptool")).args(["-q", "demo"]);
            let (code, out, err) = run(&mut command);
            if code == 0 {
                assert!(second_failed, "no number of files stopped it between the taps");
                return;
            }
            // Below some number the loader has no file for the libraries.
            if err.contains("error while loading shared libraries") {
                continue;
            }
            assert_eq!(code, 1, "{files} files: {out}{err}");
            assert!(err.starts_with("demo: ") && err.contains("EMFILE"), "{files} files: {err}");
            assert!(!err.contains("removing"), "{files} files: {err}");
            second_failed |= err.starts_with("demo: tap1: ");
            assert_unchanged(world, &before, &format!("{files} files"));
        }
        panic!("200 files are not enough");
    });
}
