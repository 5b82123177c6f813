//! The holder under races and sudden deaths, many clients and hostile ones, beside those of other
//! users and other versions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;

mod holder {
    mod crowd;
    mod place;
    mod threads;
    mod users;
    mod versions;
}

use std::fs;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use common::{World, eventually, live, patience, text};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Runs programs side by side, begun as close together as can be; their exit codes and outputs.
fn race(world: &World, lines: &[String]) -> Vec<(i32, String, String)> {
    let running: Vec<_> = lines.iter().map(|line| world.start(line)).collect();
    let end = |process: common::Process| {
        let out = process.output(60.0);
        (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
    };
    running.into_iter().map(end).collect()
}

#[test]
fn two_starts_at_once_make_one_holder_200_times() {
    live(|world| {
        world.quiet_netns("a");
        let create = |name| format!("{} -q create {name} --netns a", world.taptool());
        for round in 0..200 {
            let ended = race(world, &[create("x"), create("y")]);
            for (code, _, stderr) in &ended {
                assert_eq!(*code, 0, "round {round}: {stderr}");
            }
            // The one that lost may still be on its way out.
            eventually("one holder is left", 10.0, || world.holders().len() == 1);
            assert_eq!(world.objects("show").len(), 2, "round {round}");
            world.done("delete --all");
        }
        world.nothing_left();
        assert_eq!(world.links("a"), Vec::<String>::new());
    });
}

#[test]
fn a_create_while_the_holder_leaves_is_never_lost_200_times() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create x --netns a");
        let (delete, create) = (
            format!("{} delete x", world.taptool()),
            format!("{} -q create y --netns a", world.taptool()),
        );
        for round in 0..200 {
            for (code, _, stderr) in race(world, &[delete.clone(), create.clone()]) {
                assert_eq!(code, 0, "round {round}: {stderr}");
            }
            let left = world.objects("show");
            assert_eq!(left.len(), 1, "round {round}: {left:?}");
            assert_eq!(left[0]["name"], "y", "round {round}");
            for (code, _, stderr) in race(
                world,
                &[
                    format!("{} delete y", world.taptool()),
                    format!("{} -q create x --netns a", world.taptool()),
                ],
            ) {
                assert_eq!(code, 0, "round {round}: {stderr}");
            }
        }
        world.done("delete x");
        world.nothing_left();
    });
}

/// A create of many steps: each address is one of its own, after the one that brings the device into
/// `a'.
fn long_create(world: &World) -> String {
    let addresses: String = (1..=32).map(|i| format!(" --ip4 10.{i}.0.1/24")).collect();
    format!("{} -q create tap0 --netns a{addresses}", world.taptool())
}

/// Waits for one of three moments of [`long_create`]: its beginning, when it is connected, or when
/// the device is in its place but the addresses are not there yet.
fn until(world: &World, round: u32, process: &mut common::Process) {
    let is_there = || {
        let devices = fs::read_to_string("/proc/thread-self/net/dev").unwrap();
        devices.lines().any(|line| line.trim_start().starts_with("tap0:"))
    };
    match round % 3 {
        0 => {}
        1 => while !is_connected(process) && process.running() {},
        _ => world.inside("a", || while !is_there() && process.running() {}),
    }
}

/// Whether a program that connects to nothing but the holder has done so.
fn is_connected(process: &common::Process) -> bool {
    let files = fs::read_dir(format!("/proc/{}/fd", process.pid())).into_iter().flatten();
    let to = |file: std::io::Result<fs::DirEntry>| fs::read_link(file.ok()?.path()).ok();
    files.filter_map(to).any(|to| to.display().to_string().starts_with("socket:"))
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_create_leaves_a_whole_interface_or_none() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create keep --netns a");
        let create = long_create(world);
        let (mut in_the_middle, mut rounds) = (0, 0..);
        eventually("clients have died between their request and the answer", 600.0, || {
            let round: u32 = rounds.next().unwrap();
            let mut process = world.start(&create);
            until(world, round, &mut process);
            // It may have been faster.
            if process.running() {
                process.signal(Signal::SIGKILL);
            }
            let out = process.output(10.0);
            let was_killed = out.status.signal() == Some(9) && out.stdout.is_empty();
            // What has begun is carried to its end, and found whole by whoever comes next.
            eventually("it is whole or gone", 10.0, || {
                world.objects("show").len() == world.links("a").len()
            });
            let (code, ..) = world.run("show tap0");
            if code == 0 {
                let tap = &world.objects("show tap0")[0];
                assert_eq!(tap["state"], "up", "{tap:#}");
                assert_eq!(tap["host_addresses"].as_array().unwrap().len(), 32, "{tap:#}");
                in_the_middle += u32::from(was_killed);
            }
            assert!(matches!(world.run("delete tap0").0, 0 | 3));
            round >= 20 && in_the_middle >= 3
        });
        // The last one may begin only now.
        eventually("nothing is left", 10.0, || {
            world.done("delete --all");
            world.links("a").is_empty() && world.holders().is_empty()
        });
        world.nothing_left();
    });
}

#[test]
fn a_holder_killed_in_the_middle_of_a_request_is_exit_6_and_the_next_one_starts_clean() {
    live(|world| {
        world.quiet_netns("a");
        let create = long_create(world);
        let (mut cut, mut rounds) = (0, 0..);
        eventually("holders were killed at work", 600.0, || {
            let round: u32 = rounds.next().unwrap();
            world.done("-q create keep --netns a");
            let mut process = world.start(&create);
            until(world, round, &mut process);
            for pid in world.holders() {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
                // It may have ended.
                let _ = nix::sys::signal::kill(pid, Signal::SIGKILL);
            }
            let out = process.output(30.0);
            let stderr = text(&out.stderr);
            match out.status.code() {
                Some(0) => {}
                Some(6) => {
                    cut += 1;
                    assert!(stderr.contains("ended without an answer"), "{stderr}");
                }
                other => panic!("round {round}: {other:?}: {stderr}"),
            }
            // Whoever comes next finds what is alive, or nothing.
            world.done("delete --all");
            eventually("the kernel takes everything back", 10.0, || {
                world.links("a").is_empty() && world.holders().is_empty()
            });
            round >= 20 && cut >= 3
        });
    });
}

/// Where a holder says what a service manager wants to hear.
fn manager(world: &World) -> UnixDatagram {
    let notify = UnixDatagram::bind(world.dir().join("notify")).unwrap();
    notify.set_read_timeout(Some(patience(10.0))).unwrap();
    notify
}

/// The next word; none within the deadline of the socket.
fn said(notify: &UnixDatagram) -> Option<String> {
    let mut words = [0; 256];
    let length = notify.recv(&mut words).ok()?;
    Some(text(&words[..length]).trim().to_owned())
}

#[test]
fn a_service_manager_is_told_and_its_socket_is_taken() {
    live(|world| {
        world.quiet_netns("a");
        let notify = manager(world);
        let listener = UnixListener::bind(world.socket()).unwrap();
        // The socket is descriptor 3 of the process that the variables name.
        let mut holder = std::process::Command::new("sh")
            .args(["-c", "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" hold"])
            .arg(common::taptool())
            .env("NOTIFY_SOCKET", world.dir().join("notify"))
            .env("TAPTOOL_SOCKET", world.socket())
            .stdin(std::os::fd::OwnedFd::from(listener))
            .spawn()
            .unwrap();
        assert_eq!(said(&notify).as_deref(), Some("READY=1"));
        world.done("-q create tap0 --netns a");
        assert_eq!(world.holders(), [holder.id()]);
        assert!(world.dir().join("ctl.sock.lock").exists(), "it has no lock");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(holder.id()).unwrap());
        nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(said(&notify).as_deref(), Some("STOPPING=1"));
        assert!(holder.wait().unwrap().success());
        // The manager's socket stays: the manager will start the next holder with it.
        assert!(world.socket().exists());
        assert!(world.links("a").is_empty());
    });
}

#[test]
fn a_service_managers_socket_that_was_removed_is_made_again_and_no_second_holder_starts() {
    live(|world| {
        world.quiet_netns("a");
        let listener = UnixListener::bind(world.socket()).unwrap();
        let mut holder = std::process::Command::new("sh")
            .args(["-c", "exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" hold"])
            .arg(common::taptool())
            .env("TAPTOOL_SOCKET", world.socket())
            .stdin(std::os::fd::OwnedFd::from(listener))
            .spawn()
            .unwrap();
        world.done("-q create tap0 --netns a");
        fs::remove_file(world.socket()).unwrap();
        world.done("-q create tap1 --netns a");
        assert_eq!(world.holders(), [holder.id()]);
        assert_eq!(world.objects("show").len(), 2);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(holder.id()).unwrap());
        nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
        assert!(holder.wait().unwrap().success());
        // This one is the holder's own.
        assert!(!world.socket().exists());
        assert!(world.links("a").is_empty());
    });
}

/// `hold --exec` of a file with these lines, under a service manager.
fn hold_with(world: &World, lines: &str) -> common::Process {
    let script = world.dir().join("script");
    fs::write(&script, lines).unwrap();
    let notify = world.dir().join("notify");
    let (notify, script) = (notify.display(), script.display());
    world.start(&format!("env NOTIFY_SOCKET={notify} {} hold --exec {script}", world.taptool()))
}

#[test]
fn a_service_manager_is_told_once_the_script_of_a_hold_has_run_and_not_before() {
    live(|world| {
        world.quiet_netns("a");
        let notify = manager(world);
        // The second line runs for as long as the test likes.
        let rest = world.dir().join("rest");
        nix::unistd::mkfifo(&rest, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let create = |name: &str| format!("create {name} --netns a --backend userspace\n");
        let lines = format!("{}exec {}\n", create("tap0"), rest.display());
        let hold = hold_with(world, &lines);
        eventually("the first line has run", 10.0, || {
            world.socket().exists() && world.objects("show").len() == 1
        });
        notify.set_nonblocking(true).unwrap();
        assert_eq!(said(&notify), None, "before the script has run");
        fs::write(&rest, create("tap1")).unwrap();
        notify.set_nonblocking(false).unwrap();
        assert_eq!(said(&notify).as_deref(), Some("READY=1"));
        assert_eq!(world.links("a"), ["tap0", "tap1"]);
        hold.signal(Signal::SIGTERM);
        assert_eq!(said(&notify).as_deref(), Some("STOPPING=1"));
        assert!(hold.output(10.0).status.success());
        world.nothing_left();
    });
}

#[test]
fn a_service_manager_never_hears_that_a_hold_whose_script_fails_is_ready() {
    live(|world| {
        world.quiet_netns("a");
        let notify = manager(world);
        let hold = hold_with(world, "create tap0 --netns a\nshow tap9\n");
        let out = hold.output(10.0);
        assert_eq!(out.status.code(), Some(3), "{}", text(&out.stderr));
        notify.set_nonblocking(true).unwrap();
        let all: Vec<_> = std::iter::from_fn(|| said(&notify)).collect();
        assert_eq!(all, ["STOPPING=1"]);
        world.nothing_left();
    });
}

/// Renames tap0 in namespace a back and forth until a monitor's output tells of it: events are heard
/// from the moment on in which it listens.
fn rename_until_heard(world: &World, output: &Path) {
    let mut round = 0;
    eventually("an event is printed", 10.0, || {
        round += 1;
        let (from, to) = if round % 2 == 1 { ("tap0", "eth9") } else { ("eth9", "tap0") };
        world.ip(&format!("-n a link set dev {from} down"));
        world.ip(&format!("-n a link set dev {from} name {to}"));
        fs::read_to_string(output).unwrap_or_default().contains("eth9")
    });
}

#[test]
fn monitor_prints_events_as_they_happen_and_ends_with_the_holder() {
    live(|world| {
        world.quiet_netns("a");
        assert_eq!(world.done("monitor"), "");
        world.done("-q create tap0 --netns a");
        let monitor = world.start(&format!("{} -j monitor", world.taptool()));
        let log = world.dir().join("log");
        let text = world.start(&format!("sh -c '{} monitor >{}'", world.taptool(), log.display()));
        rename_until_heard(world, &log);
        world.done("delete tap0");
        let out = monitor.output(10.0);
        assert!(out.status.success());
        let last = String::from_utf8(out.stdout).unwrap();
        let last: Value = serde_json::from_str(last.lines().last().unwrap()).unwrap();
        assert_eq!(last[0]["name"], "tap0");
        assert!(text.output(10.0).status.success());
        world.nothing_left();
    });
}

#[test]
fn monitor_tells_a_holder_that_ended_from_one_that_was_killed() {
    live(|world| {
        world.quiet_netns("a");
        for (signal, code) in [(Signal::SIGKILL, 6), (Signal::SIGTERM, 0)] {
            world.done("-q create tap0 --netns a");
            let holder = nix::unistd::Pid::from_raw(world.holders()[0].try_into().unwrap());
            let log = world.dir().join("log");
            let line = format!("sh -c '{} monitor >{}'", world.taptool(), log.display());
            let monitor = world.start(&line);
            rename_until_heard(world, &log);
            nix::sys::signal::kill(holder, signal).unwrap();
            let out = monitor.output(10.0);
            assert_eq!(out.status.code(), Some(code), "{signal}: {}", text(&out.stderr));
            let says = text(&out.stderr);
            assert_eq!(says.contains("it ended without an answer"), code == 6, "{says}");
            eventually("the device is gone", 10.0, || world.links("a").is_empty());
        }
        world.nothing_left();
    });
}
