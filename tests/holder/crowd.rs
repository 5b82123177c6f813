//! The holder and many clients, among them hostile ones.

use std::fs::File;
use std::io::{BufRead, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::sync::Barrier;
use std::thread;

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::common::peer::{Mute, are_stuck, ask, connect, message, send, show, show_descriptors};
use crate::common::{World, eventually, has_hooks, live, live_alone, text};
use crate::race;

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

/// A client of the kind that `i` says.
fn hostile(world: &World, i: usize) -> UnixStream {
    let mut client = connect(world);
    match i % 7 {
        // Says nothing.
        0 => {}
        // Never ends a message.
        1 => client.write_all(br#"{"method":"io.taptool.Show""#).unwrap(),
        // Is no JSON.
        2 => client.write_all(b"\xff\xfe{{{{\0").unwrap(),
        // Is too long; the holder may cut it off in between.
        3 => drop(client.write_all(&vec![b'x'; 3 << 20])),
        // Asks and vanishes.
        4 => {
            send(&mut client, &show());
            client.shutdown(Shutdown::Both).unwrap();
        }
        // Brings files that nobody asked for.
        5 => {
            let null = File::open("/dev/null").unwrap();
            let many: Vec<_> = (0..100).map(|_| null.as_fd()).collect();
            taptool::sys::socket::send(client.as_fd(), b"{", &many).unwrap();
        }
        // Deeply nested.
        _ => {
            let deep = format!("{}{}\0", "[".repeat(100_000), "]".repeat(100_000));
            drop(client.write_all(deep.as_bytes()));
        }
    }
    client
}

/// A hundred who read nothing of what they ask for, and a hundred of other kinds.
fn hostile_crowd(world: &World) -> (Vec<Mute>, Vec<UnixStream>) {
    let mutes: Vec<Mute> = (0..100).map(|_| Mute::new(world)).collect();
    let others = (0..100).map(|i| hostile(world, i)).collect();
    are_stuck(world, &mutes);
    (mutes, others)
}

/// A responding tap in `a`, made by a holder that gives up nobody who reads nothing: whatever waits
/// for such a client waits for longer than the test does.
fn patient(world: &World) {
    let create = "-q create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24";
    world.done_by_a_patient_holder(create);
}

/// Every one who reads nothing still waits for its answers.
fn assert_all_wait(mutes: &[Mute], when: &str) {
    let cut_off = mutes.iter().filter(|mute| mute.is_cut_off()).count();
    assert_eq!(cut_off, 0, "cut off {when}");
}

#[test]
fn two_hundred_hostile_clients_cost_the_others_nothing() {
    if !has_hooks() {
        return;
    }
    live(|world| {
        world.quiet_netns("a");
        patient(world);
        world.ping_answered("a", "10.9.0.2");
        let holder = world.holders()[0];
        let files = || std::fs::read_dir(format!("/proc/{holder}/fd")).unwrap().count();
        let rest = files();
        let ping = world.start("ip netns exec a ping -n -q -i 0.01 -W 2 10.9.0.2");
        let (mutes, others) = hostile_crowd(world);
        for _ in 0..20 {
            assert_eq!(world.objects("show").len(), 1);
        }
        ping.signal(Signal::SIGINT);
        let pinged = text(&ping.output(10.0).stdout);
        let counts = pinged.lines().find_map(|line| {
            let (sent, rest) = line.split_once(" packets transmitted, ")?;
            Some([sent, rest.split(' ').next()?].map(|number| number.parse::<u32>().unwrap()))
        });
        let [sent, answered] = counts.unwrap_or_else(|| panic!("{pinged}"));
        // The answer to the last one may be under way.
        assert!(sent > 50 && sent - answered <= 1, "{pinged}");
        // Whoever gets no answer is not in the way of those who come and go.
        world.done("-q create tap1 --netns a");
        world.done("delete tap1");
        assert_all_wait(&mutes, "before others had their answers");
        drop((mutes, others));
        eventually("their files are closed", 30.0, || files() <= rest);
        assert_eq!(world.holders(), [holder]);
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn two_hundred_hostile_clients_hold_up_neither_the_last_delete_nor_sigterm() {
    if !has_hooks() {
        return;
    }
    live(|world| {
        world.quiet_netns("a");
        patient(world);
        let (mutes, others) = hostile_crowd(world);
        world.done("delete tap0");
        assert_all_wait(&mutes, "before the last delete was answered");
        assert!(!world.socket().exists(), "the socket of a holder that leaves");
        drop((mutes, others));
        eventually("it ends when they have gone", 10.0, || world.holders().is_empty());
        patient(world);
        world.ping_answered("a", "10.9.0.2");
        let second = world.holders()[0];
        let (mutes, others) = hostile_crowd(world);
        kill(Pid::from_raw(i32::try_from(second).unwrap()), Signal::SIGTERM).unwrap();
        eventually("SIGTERM ends it", 4.0, || world.holders().is_empty());
        mutes.into_iter().for_each(Mute::ends_cut_off);
        drop(others);
        assert!(world.links("a").is_empty());
        world.nothing_left();
    });
}

#[test]
fn files_for_which_a_process_has_no_room_are_closed_and_none_is_lost() {
    let name = "holder::crowd::files_for_which_a_process_has_no_room_are_closed_and_none_is_lost";
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
        assert_eq!(got.unwrap_err().raw_os_error(), Some(nix::libc::EMFILE));
        assert!((1..=5).contains(&files.len()), "{files:?}");
        // The other end hears it when the last one is closed.
        drop((files, file));
        assert_eq!(File::from(end).read(&mut [0]).unwrap(), 0);
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

/// How many files a process has open.
fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn clients_that_connect_and_go_without_a_pause_are_never_more_than_512_at_a_time() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let holder = world.holders()[0];
        let rest = open_files(holder);
        let socket = world.socket();
        let mut most = 0;
        thread::scope(|scope| {
            let come_and_go = || (0..20_000).for_each(|_| drop(UnixStream::connect(&socket)));
            let threads = [(); 2].map(|()| scope.spawn(come_and_go));
            while threads.iter().any(|thread| !thread.is_finished()) {
                most = most.max(open_files(holder));
            }
        });
        // Beside the clients, what the holder opens for a moment.
        assert!(most <= rest + 512 + 16, "{most} files, {rest} at rest");
        world.done("-q create tap1 --netns a");
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn half_messages_with_many_files_leave_room_for_a_create_that_brings_one() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let holder = world.holders()[0];
        let rest = open_files(holder);
        let null = File::open("/dev/null").unwrap();
        let many = vec![null.as_fd(); 60];
        let mut crowd = Vec::new();
        let mut most = 0;
        for _ in 0..520 {
            let client = connect(world);
            taptool::sys::socket::send(client.as_fd(), b"{", &many).unwrap();
            crowd.push(client);
            most = most.max(open_files(holder));
        }
        world.done("-q create tap1 --netns a");
        // A message under way, the spare ones, and a connection with one file for each client.
        assert!(most <= rest + 60 + 64 + 2 * 512, "{most} files, {rest} at rest");
        drop(crowd);
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn files_that_the_holder_has_no_room_for_are_refused_with_the_limit_that_is_to_be_raised() {
    live(|world| {
        let hold = world.start(&format!("prlimit --nofile=64 {} hold", world.taptool()));
        eventually("it listens", 10.0, || UnixStream::connect(world.socket()).is_ok());
        let mut client = connect(world);
        let null = File::open("/dev/null").unwrap();
        taptool::sys::socket::send(client.as_fd(), b"{}\0", &vec![null.as_fd(); 100]).unwrap();
        let refused = message(&mut client).unwrap();
        let said = |key: &str| refused["parameters"][key].as_str().unwrap().to_owned();
        assert_eq!(said("cause"), "Too many open files (EMFILE)", "{refused:#}");
        assert!(said("hint").contains("RLIMIT_NOFILE"), "{refused:#}");
        hold.signal(Signal::SIGTERM);
        assert!(hold.output(10.0).status.success());
        world.nothing_left();
    });
}

/// A size in /proc/PID/status, bytes.
fn size(pid: u32, key: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    let kib: u64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().unwrap();
    kib << 10
}

#[test]
fn large_answers_to_four_clients_at_once_take_little_memory_and_it_is_given_back() {
    live(|world| {
        const TAPS: usize = 4;
        const ENTRIES: usize = TAPS * 2 * 32_768;
        world.quiet_netns("a");
        for i in 0..TAPS {
            let rings = "--rx-ring-size 32768 --tx-ring-size 32768";
            world.done(&format!("-q create tap{i} --netns a {rings}"));
        }
        let holder = world.holders()[0];
        // The memory of rings is no part of it.
        let before = size(holder, "RssAnon");
        let socket = world.socket();
        let mut most = 0;
        thread::scope(|scope| {
            let ask_for_all = || {
                let mut stream = UnixStream::connect(&socket).unwrap();
                send(&mut stream, &show_descriptors());
                let mut reader = std::io::BufReader::new(stream);
                let mut text = Vec::new();
                reader.read_until(0, &mut text).unwrap();
                assert_eq!(text.pop(), Some(0));
                let answer: serde_json::Value = serde_json::from_slice(&text).unwrap();
                let all = answer["parameters"]["interfaces"].as_array().unwrap();
                let queues = all.iter().flat_map(|tap| {
                    let of = |key: &str| tap[key].as_array().unwrap().clone();
                    [of("rx_queues"), of("tx_queues")].concat()
                });
                queues.map(|queue| queue["descriptors"].as_array().unwrap().len()).sum::<usize>()
            };
            let clients = [(); 4].map(|()| scope.spawn(ask_for_all));
            while clients.iter().any(|client| !client.is_finished()) {
                most = most.max(size(holder, "RssAnon"));
            }
            for client in clients {
                assert_eq!(client.join().unwrap(), ENTRIES);
            }
        });
        // Each has the entries themselves and the text of one interface, not that of all.
        let each = ENTRIES * 32 + ENTRIES / TAPS * 2 * 150;
        let bound = before + 4 * u64::try_from(each).unwrap();
        assert!(most < bound, "{most} bytes, {before} before, {bound} at most");
        eventually("the memory is given back", 10.0, || {
            size(holder, "RssAnon") < before + (8 << 20)
        });
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn a_namespace_that_was_opened_with_o_path_is_the_callers_mistake() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let path_only = nix::fcntl::open("/run/netns/a", OFlag::O_PATH, Mode::empty()).unwrap();
        let call = r#"{"method":"io.taptool.Create","parameters":{"kind":"tap","host_ns":"a"}}"#;
        let mut client = connect(world);
        let text = format!("{call}\0");
        taptool::sys::socket::send(client.as_fd(), text.as_bytes(), &[path_only.as_fd()]).unwrap();
        let refused = message(&mut client).unwrap();
        assert_eq!(refused["error"], "io.taptool.Usage", "{refused:#}");
        assert_eq!(refused["parameters"]["on"], "host-ns a", "{refused:#}");
        assert!(refused["parameters"]["cause"].as_str().unwrap().contains("O_PATH"), "{refused:#}");
        drop(client);
        world.done("delete tap0");
        world.nothing_left();
    });
}
