//! The holder under races, crowds and hostile clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use common::{World, eventually, live, live_alone, patience};
use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

/// Sends a call and reads its answer.
fn ask(stream: &mut UnixStream, call: &Value) -> Value {
    stream.write_all(format!("{call}\0").as_bytes()).unwrap();
    answer(stream).expect("an answer")
}

fn answer(stream: &mut UnixStream) -> Option<Value> {
    let mut text = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap_or(0) == 1 {
        if byte[0] == 0 {
            return Some(serde_json::from_slice(&text).unwrap());
        }
        text.push(byte[0]);
    }
    None
}

fn show() -> Value {
    json!({ "method": "io.taptool.Show", "parameters": { "overview": [] } })
}

/// Runs programs side by side, begun as close together as can be; their exit codes and outputs.
fn race(world: &World, lines: &[String]) -> Vec<(i32, String, String)> {
    let running: Vec<_> = lines.iter().map(|line| world.start(line)).collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
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

#[test]
fn a_thousand_taps_in_a_hundred_namespaces_by_eight_clients_come_and_go() {
    live(|world| {
        const NAMESPACES: usize = 100;
        const CLIENTS: usize = 8;
        const TAPS: usize = 1000;
        for i in 0..NAMESPACES {
            world.ip(&format!("netns add n{i}"));
        }
        let before = world.state();
        let script = |client: usize, verb: &str| {
            let path = world.dir().join(format!("{verb}{client}"));
            let line = |i: usize| match verb {
                "create" => format!("create t{i} --netns n{} backend userspace\n", i % NAMESPACES),
                _ => format!("delete t{i}\n"),
            };
            let lines: String = (client..TAPS).step_by(CLIENTS).map(line).collect();
            std::fs::write(&path, lines).unwrap();
            format!("{} exec {}", world.taptool(), path.display())
        };
        for verb in ["create", "delete"] {
            let lines: Vec<String> = (0..CLIENTS).map(|client| script(client, verb)).collect();
            let running: Vec<_> = lines.iter().map(|line| world.start(line)).collect();
            for process in running {
                let out = process.output(280.0);
                assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            }
            if verb == "create" {
                let all = world.objects("show");
                assert_eq!(all.len(), TAPS);
                assert!(all.iter().all(|tap| tap["state"] == "up"));
                assert_eq!(world.links("n7").len(), TAPS / NAMESPACES);
            }
        }
        world.nothing_left();
        world.state().assert_same_as(&before, "after a thousand taps");
    });
}

#[test]
fn two_hundred_hostile_clients_cost_the_others_nothing() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24");
        let holder = world.holders()[0];
        let files = || std::fs::read_dir(format!("/proc/{holder}/fd")).unwrap().count();
        let rest = files();
        let connect = || UnixStream::connect(world.socket()).unwrap();
        let null = File::open("/dev/null").unwrap();
        let mut crowd: Vec<UnixStream> = Vec::new();
        for i in 0..200 {
            let mut client = connect();
            match i % 8 {
                // Says nothing.
                0 => {}
                // Never ends a message.
                1 => client.write_all(br#"{"method":"io.taptool.Show""#).unwrap(),
                // Is no JSON.
                2 => client.write_all(b"\xff\xfe{{{{\0").unwrap(),
                // Is too long; the holder may cut it off in between.
                3 => drop(client.write_all(&vec![b'x'; 3 << 20])),
                // Asks and never reads.
                4 => {
                    for _ in 0..50 {
                        client.write_all(format!("{}\0", show()).as_bytes()).unwrap();
                    }
                }
                // Asks and vanishes.
                5 => {
                    client.write_all(format!("{}\0", show()).as_bytes()).unwrap();
                    client.shutdown(Shutdown::Both).unwrap();
                }
                // Brings files that nobody asked for.
                6 => {
                    let many: Vec<_> = (0..100).map(|_| null.as_fd()).collect();
                    taptool::sys::socket::send(client.as_fd(), b"{", &many).unwrap();
                }
                // Deeply nested.
                _ => {
                    let deep = format!("{}{}\0", "[".repeat(100_000), "]".repeat(100_000));
                    drop(client.write_all(deep.as_bytes()));
                }
            }
            crowd.push(client);
        }
        let begin = Instant::now();
        for _ in 0..20 {
            assert_eq!(world.objects("show").len(), 1);
        }
        assert!(begin.elapsed() < patience(10.0), "{:?}", begin.elapsed());
        world.ping_answered("a", "10.9.0.2");
        drop(crowd);
        eventually("their files are closed", 30.0, || files() <= rest);
        assert_eq!(world.holders(), [holder]);
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn files_for_which_a_process_has_no_room_are_closed_and_none_is_lost() {
    let name = "files_for_which_a_process_has_no_room_are_closed_and_none_is_lost";
    live_alone(name, |_| {
        let (from, to) = UnixStream::pair().unwrap();
        let (end, file) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).unwrap();
        let many: Vec<_> = (0..100).map(|_| file.as_fd()).collect();
        taptool::sys::socket::send(from.as_fd(), b"x", &many).unwrap();
        // Five more are to be had; each table begins with the lowest free number.
        let next = File::open("/dev/null").unwrap().as_raw_fd();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, u64::try_from(next).unwrap() + 5, hard).unwrap();
        let mut files = Vec::new();
        let got = taptool::sys::socket::receive(to.as_fd(), &mut [0; 4], &mut files);
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert_eq!(got.unwrap(), 1);
        assert!((1..=5).contains(&files.len()), "{files:?}");
        // The other end hears it when the last one is closed.
        drop((files, file));
        assert_eq!(File::from(end).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_create_leaves_a_whole_interface_or_none() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create keep --netns a");
        for round in 0..20 {
            let process = world.start(&format!("{} -q create tap0 --netns a", world.taptool()));
            thread::sleep(Duration::from_millis(round));
            process.signal(nix::sys::signal::Signal::SIGKILL);
            drop(process);
            // What has begun is carried to its end, and found whole by whoever comes next.
            eventually("it is whole or gone", 10.0, || {
                world.objects("show").len() == world.links("a").len()
            });
            assert!(matches!(world.run("delete tap0").0, 0 | 3));
        }
        // The last one may begin only now.
        eventually("nothing is left", 10.0, || {
            world.done("delete --all");
            world.links("a").is_empty() && world.holders().is_empty()
        });
        world.nothing_left();
    });
}

#[test]
fn whoever_listens_but_is_no_holder_of_this_version_is_exit_6_and_named() {
    live(|world| {
        let listener = UnixListener::bind(world.socket()).unwrap();
        let serve = |reply: Option<Value>| {
            let listener = listener.try_clone().unwrap();
            thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                assert_eq!(answer(&mut stream).unwrap()["method"], "org.varlink.service.GetInfo");
                if let Some(reply) = reply {
                    stream.write_all(format!("{reply}\0").as_bytes()).unwrap();
                }
                // Until the client is through.
                let _ = stream.read(&mut [0]);
            })
        };
        let info = |product: &str, version: &str| {
            Some(json!({ "parameters": { "vendor": "v", "product": product, "version": version,
                "url": "u", "interfaces": [] } }))
        };
        let ours = env!("CARGO_PKG_VERSION");
        for (reply, says) in [
            (info("taptool", "0.0.1"), vec!["0.0.1", ours]),
            (info("other", ours), vec!["other listens there"]),
            (None, vec!["it says nothing"]),
        ] {
            let served = serve(reply);
            let (code, stdout, stderr) = world.run("show");
            assert_eq!((code, stdout.as_str()), (6, ""), "{stderr}");
            for word in says {
                assert!(stderr.contains(word), "{stderr}");
            }
            served.join().unwrap();
        }
    });
}

#[test]
fn another_users_holder_is_not_reached_and_ones_own_is_not_found_through_a_link() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let dir = world.dir().display();
        world.must(&format!("chmod 755 {dir}"));
        let bin = world.dir().join("taptool");
        std::fs::copy(common::taptool(), &bin).unwrap();
        let nobody = |args: &str| {
            let line = format!(
                "setpriv --reuid 65534 --regid 65534 --clear-groups \
                 env TAPTOOL_SOCKET={} {} {args}",
                world.socket().display(),
                bin.display()
            );
            let out = world.start(&line).output(20.0);
            (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
        };
        let (code, stderr) = nobody("show");
        assert_eq!(code, Some(5), "{stderr}");
        assert!(stderr.contains("EACCES"), "{stderr}");
        // Even a socket that is open to all answers its owner and root alone.
        world.must(&format!("chmod 666 {}", world.socket().display()));
        let (code, stderr) = nobody("show");
        assert_eq!(code, Some(5), "{stderr}");
        assert!(!stderr.contains("EACCES"), "the holder itself refuses: {stderr}");
        world.done("delete tap0");
        world.nothing_left();
        // A directory that is another's link is nobody's own, wherever it leads.
        world.must(&format!("install -d -o 65534 -m 700 {dir}/runtime {dir}/elsewhere"));
        world.must(&format!("ln -s {dir}/elsewhere {dir}/runtime/taptool"));
        let line = format!(
            "setpriv --reuid 65534 --regid 65534 --clear-groups env -u TAPTOOL_SOCKET \
             XDG_RUNTIME_DIR={dir}/runtime {} create tap0",
            bin.display()
        );
        let out = world.start(&line).output(20.0);
        let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(5), "{stderr}");
        assert!(stderr.contains("not a directory of this user alone"), "{stderr}");
        assert!(std::fs::read_dir(world.dir().join("elsewhere")).unwrap().next().is_none());
    });
}

#[test]
fn requests_of_several_clients_run_beside_each_other() {
    live(|world| {
        for i in 0..8 {
            world.quiet_netns(&format!("n{i}"));
        }
        let barrier = Barrier::new(8);
        let words = world.taptool();
        let socket = world.socket();
        let lines: Vec<String> =
            (0..8).map(|i| format!("{words} -q create t{i} --netns n{i}")).collect();
        for (code, stdout, stderr) in race(world, &lines) {
            assert_eq!(code, 0, "{stdout}{stderr}");
        }
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    let mut stream = UnixStream::connect(&socket).unwrap();
                    for _ in 0..50 {
                        let shown = ask(&mut stream, &show());
                        assert_eq!(shown["parameters"]["interfaces"].as_array().unwrap().len(), 8);
                    }
                });
            }
        });
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn a_holder_killed_in_the_middle_of_a_request_is_exit_6_and_the_next_one_starts_clean() {
    live(|world| {
        world.quiet_netns("a");
        let create = |name: &str| format!("{} -q create {name} --netns a", world.taptool());
        let mut cut = 0;
        for round in 0..30 {
            world.done("-q create keep --netns a");
            let process = world.start(&create("tap0"));
            thread::sleep(Duration::from_millis(round));
            for pid in world.holders() {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
                // It may have ended.
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let out = process.output(30.0);
            let stderr = String::from_utf8_lossy(&out.stderr).into_owned();
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
        }
        assert!(cut > 0, "no round met the holder at work");
    });
}

#[test]
fn a_service_manager_is_told_and_its_socket_is_taken() {
    live(|world| {
        use std::os::unix::net::UnixDatagram;
        world.quiet_netns("a");
        let notify = UnixDatagram::bind(world.dir().join("notify")).unwrap();
        notify.set_read_timeout(Some(patience(10.0))).unwrap();
        let said = || {
            let mut text = [0; 256];
            let length = notify.recv(&mut text).unwrap();
            String::from_utf8_lossy(&text[..length]).trim().to_owned()
        };
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
        assert_eq!(said(), "READY=1");
        world.done("-q create tap0 --netns a");
        assert_eq!(world.holders(), [holder.id()]);
        let pid = nix::unistd::Pid::from_raw(i32::try_from(holder.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert_eq!(said(), "STOPPING=1");
        assert!(holder.wait().unwrap().success());
        // The manager's socket stays: the manager will start the next holder with it.
        assert!(world.socket().exists());
        assert!(world.links("a").is_empty());
    });
}

#[test]
fn monitor_prints_events_as_they_happen_and_ends_with_the_holder() {
    live(|world| {
        world.quiet_netns("a");
        assert_eq!(world.done("monitor"), "");
        world.done("-q create tap0 --netns a");
        let monitor = world.start(&format!("{} -j monitor", world.taptool()));
        // Heard from the moment on in which it listens; so something happens until it is heard.
        let log = world.dir().join("log");
        let text = world.start(&format!("sh -c '{} monitor >{}'", world.taptool(), log.display()));
        let mut round = 0;
        eventually("an event is printed", 10.0, || {
            round += 1;
            let (from, to) = if round % 2 == 1 { ("tap0", "eth9") } else { ("eth9", "tap0") };
            world.ip(&format!("-n a link set {from} down"));
            world.ip(&format!("-n a link set {from} name {to}"));
            std::fs::read_to_string(&log).unwrap().contains("eth9")
        });
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
