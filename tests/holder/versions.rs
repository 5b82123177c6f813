//! Who listens where a holder is expected: another version, another program, nobody who speaks.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::common::peer::message;
use crate::common::{World, eventually, live, taptool, text};

const OURS: &str = env!("CARGO_PKG_VERSION");

/// This program in another version, as long a word as ours: a copy in which the one stands for the
/// other.
fn of_version(world: &World, version: &str) -> PathBuf {
    assert_eq!(version.len(), OURS.len());
    let mut program = fs::read(taptool()).unwrap();
    let places: Vec<usize> = program
        .windows(OURS.len())
        .enumerate()
        .filter(|(_, word)| *word == OURS.as_bytes())
        .map(|(place, _)| place)
        .collect();
    for place in places {
        program[place..place + OURS.len()].copy_from_slice(version.as_bytes());
    }
    let path = world.dir().join(version).join("taptool");
    fs::create_dir(path.parent().unwrap()).unwrap();
    fs::write(&path, program).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_client_and_a_holder_of_two_versions_do_not_talk_and_both_versions_are_named() {
    live(|world| {
        world.quiet_netns("a");
        let other = format!("9{}", OURS.split_at(1).1);
        let program = of_version(world, &other);
        let ours = world.taptool();
        let theirs =
            format!("env TAPTOOL_SOCKET={} {}", world.socket().display(), program.display());
        assert!(world.must(&format!("{theirs} --version")).contains(&other));
        for (holder, client, versions) in
            [(&ours, &theirs, [OURS, other.as_str()]), (&theirs, &ours, [other.as_str(), OURS])]
        {
            world.must(&format!("{holder} -q create tap0 --netns a --backend userspace"));
            let holders = world.holders();
            for args in [
                "show",
                "-j show tap tap0",
                "create tap1 --netns a --backend userspace",
                "delete tap0",
                "delete --all",
                "monitor",
                "doctor tap0",
            ] {
                let out = world.start(&format!("{client} {args}")).output(20.0);
                let stderr = text(&out.stderr);
                assert_eq!((out.status.code(), out.stdout.len()), (Some(6), 0), "{args}: {stderr}");
                let [holder, client] = versions;
                let why = format!("the holder is version {holder}, this is {client}");
                assert!(stderr.contains(&why), "{args}: {stderr}");
                assert!(
                    stderr.contains("the program that the holder was started from"),
                    "{stderr}"
                );
            }
            // It was left as it was, and nobody started another.
            assert_eq!((world.links("a"), world.holders()), (vec!["tap0".to_owned()], holders));
            world.must(&format!("{holder} delete tap0"));
            eventually("the holder ends", 10.0, || world.holders().is_empty());
        }
        world.nothing_left();
    });
}

#[test]
fn whoever_listens_but_is_no_holder_is_exit_6_and_named() {
    live(|world| {
        let listener = UnixListener::bind(world.socket()).unwrap();
        let serve = |reply: String| {
            let listener = listener.try_clone().unwrap();
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                assert_eq!(message(&mut stream).unwrap()["method"], "org.varlink.service.GetInfo");
                stream.write_all(reply.as_bytes()).unwrap();
                // Nothing else is asked of it, until the client is through.
                assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
            })
        };
        let info = json!({ "parameters": { "vendor": "v", "product": "other", "version": OURS,
            "url": "u", "interfaces": [] } });
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        let us = format!("process {} ({})", std::process::id(), name.trim());
        let another = "name another socket with --socket or TAPTOOL_SOCKET";
        let rows = [
            (
                info.to_string() + "\0",
                format!("{us} listens there and is not a taptool holder but other\n  {another}\n"),
            ),
            (
                "HTTP/1.1 400 Bad Request\r\n\0".into(),
                format!("{us} listens there and is not a taptool holder\n  {another}\n"),
            ),
            (
                String::new(),
                format!("no answer from {us} in 10 s\n  it may be busy: try again; `kill "),
            ),
        ];
        for args in ["show", "create tap0"] {
            for (reply, says) in rows.clone() {
                let served = serve(reply);
                let (code, stdout, stderr) = world.run(args);
                assert_eq!((code, stdout.as_str()), (6, ""), "{stderr}");
                assert!(stderr.contains(&says), "{stderr}");
                served.join().unwrap();
            }
        }
        assert!(world.holders().is_empty());
    });
}

#[test]
fn a_holder_that_is_stopped_is_named_with_the_signal_that_lets_it_go_on() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let pid = world.holders()[0];
        let signal = |signal| kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
        signal(Signal::SIGSTOP);
        let (code, stdout, stderr) = world.run("show");
        let said = format!(
            "show: holder at {}: no answer from process {pid} (taptool) in 10 s\n  it is stopped: \
             `kill -CONT {pid}' lets it go on; `kill {pid}', else `kill -KILL {pid}', ends it and \
             its interfaces\n",
            world.socket().display()
        );
        assert_eq!((code, stdout.as_str(), stderr.as_str()), (6, "", said.as_str()));
        // The first command of the hint.
        let goes_on = stderr.lines().last().unwrap().split(['`', '\'']).nth(1).unwrap();
        world.must(&format!("sh -c '{goes_on}'"));
        assert_eq!(world.done("delete tap0"), "");
        world.nothing_left();
    });
}

#[test]
fn a_bug_of_the_holder_is_reported_with_what_to_send_us_and_an_operators_error_is_not() {
    live(|world| {
        let listener = UnixListener::bind(world.socket()).unwrap();
        let info = json!({ "parameters": { "vendor": "taptool", "product": "taptool",
            "version": OURS, "url": "u", "interfaces": ["io.taptool"] } });
        let said = "show: tap0: no backend";
        let ask = "This is a bug of taptool: please report it with the lines above";
        for bug in [None, Some("src/control/mod.rs:7")] {
            let answer = json!({ "error": "io.taptool.Failed", "parameters": { "on": "tap0",
                "doing": "", "cause": "no backend", "hint": null, "errno": null, "exit_code": 1,
                "bug": bug } });
            let (listener, info) = (listener.try_clone().unwrap(), info.clone());
            let served = thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                for reply in [info, answer] {
                    message(&mut stream).unwrap();
                    stream.write_all(format!("{reply}\0").as_bytes()).unwrap();
                }
            });
            let (code, stdout, stderr) = world.run("show");
            served.join().unwrap();
            assert_eq!((code, stdout.as_str()), (1, ""), "{stderr}");
            match bug {
                None => assert_eq!(stderr, format!("{said}\n")),
                Some(place) => {
                    let told = format!("{said}; this is a bug ({place})");
                    assert!(stderr.starts_with("Error:") && stderr.contains(&told), "{stderr}");
                    assert!(stderr.contains(ask) && !stderr.contains('\x1b'), "{stderr}");
                }
            }
        }
    });
}
