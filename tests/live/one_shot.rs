//! One-shot commands: the holder that they start, reach and end.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::common::{World, eventually, live, one_shot, peer, sum, taptool, text};

fn signal(pid: u32, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()), signal)
        .unwrap();
}

fn only_holder(world: &World) -> u32 {
    let holders = world.holders();
    assert_eq!(holders.len(), 1, "{holders:?}");
    holders[0]
}

#[test]
fn the_first_create_starts_a_holder_and_the_last_delete_leaves_nothing() {
    live(|world| {
        world.netns("foo");
        let before = world.state();
        let made = world.done("create tap0 --netns foo --ip4 10.9.0.1/24 --respond 10.9.0.2/24");
        assert_eq!(made, "tap0\n");
        let socket = fs::symlink_metadata(world.socket()).unwrap();
        assert!(socket.file_type().is_socket());
        assert_eq!(socket.permissions().mode() & 0o777, 0o600);
        world.ping_answered("foo", "10.9.0.2");
        let tap = &world.objects("show tap tap0")[0];
        assert!(sum(tap, "rx_queues", "packets") > 0, "{tap:#}");
        assert!(sum(tap, "tx_queues", "packets") > 0, "{tap:#}");
        assert_eq!(tap["host_ns"], "foo");
        assert_eq!(world.done("delete tap0"), "");
        // Gone before the command returned.
        assert!(!world.socket().exists());
        world.nothing_left();
        world.state().assert_same_as(&before, "after delete");
    });
}

#[test]
fn text_and_json_are_the_same_as_those_of_a_script_line() {
    live(|world| {
        world.quiet_netns("a");
        world.done("create tap0 --netns a hw-addr 02:fe:00:00:00:01");
        world.done("create tap1 --netns a");
        world.done("gso tap0 on");
        world.done("xconnect tap0 tap1");
        let names = |args: &str| {
            let name = |object: &serde_json::Value| object["name"].as_str().unwrap().to_owned();
            world.objects(args).iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names("gso tap0 off"), ["tap0"]);
        assert_eq!(names("xconnect tap0 tap1"), ["tap0", "tap1"]);
        assert_eq!(names("clear interfaces"), ["tap0", "tap1"]);
        assert_eq!(names("set interface state tap1 down"), ["tap1"]);
        let shown = world.done("show tap tap0 descriptors");
        assert!(shown.contains("02:fe:00:00:00:01"), "{shown}");
        assert!(world.done("show").contains("xconnect tap1"));
        let pretty = world.done("-p show");
        assert!(pretty.lines().count() > 10 && pretty.starts_with("[\n  {\n"), "{pretty}");
        let parsed: serde_json::Value = serde_json::from_str(&pretty).unwrap();
        assert_eq!(parsed[1]["name"], "tap1");
        assert!(world.done("show interface").contains("tap1"));
        assert_eq!(world.done("show errors"), "");
        assert_eq!(names("delete tap0 tap1"), ["tap0", "tap1"]);
        world.nothing_left();
    });
}

#[test]
fn a_namespace_is_called_as_the_one_who_asks_calls_it() {
    live(|world| {
        world.netns("foo");
        world.done("create tap0");
        assert_eq!(world.objects("show")[0]["host_ns"], json!(null));
        let shown = world.done("show");
        assert!(shown.contains("tap0       tap0 "), "{shown}");
        // To others it is another's, without a name.
        let other = |args: &str| {
            let line = format!("ip netns exec foo {} {args}", world.taptool());
            text(&world.start(&line).output(30.0).stdout)
        };
        assert!(other("show").contains("net:["), "{}", other("show"));
        // One that gets its name later has it from then on.
        let inside = world.unnamed_netns();
        let move_there = format!("link set dev tap0 netns {}", inside.pid());
        world.ip(&move_there);
        let called = |name: &str| world.objects("show")[0]["host_ns"] == name;
        let number = format!("net:[{}]", world.netns_inode(inside.pid()));
        eventually("it moved on", 5.0, || called(&number));
        world.ip(&format!("netns attach late {}", inside.pid()));
        assert!(called("late"), "{:#}", world.objects("show")[0]);
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn a_refusal_of_the_holder_has_its_code_and_message_and_changes_nothing() {
    live(|world| {
        world.quiet_netns("a");
        world.done("create tap0 --netns a");
        let before = world.state();
        for (args, code, says) in [
            ("create tap0 --netns a", 4, "create: tap0: "),
            ("create tap1 --netns a --bridge br7", 3, "br7"),
            ("create tap1 --netns nowhere", 3, "`ip netns add nowhere'"),
            ("delete tap9", 3, "delete: tap9: no such interface\n"),
            ("delete tapp0", 3, "delete: tapp0: no such interface\n  did you mean `tap0'\n"),
            (
                "show tpa0",
                3,
                "show: `tpa0' is neither a table nor an interface\n  did you mean `tap0'\n",
            ),
            (
                "show tap tap0 desc",
                3,
                "show tap: desc: no such interface\n  did you mean `descriptors'\n",
            ),
            ("delete tap0 tap9", 3, "delete: tap9: no such interface\n"),
            ("xconnect tap0 tap0", 2, "xconnect"),
            ("set interface ip address del tap0 10.9.0.2/24", 3, "10.9.0.2/24"),
        ] {
            let (got, stdout, stderr) = world.run(args);
            assert_eq!((got, stdout.as_str()), (code, ""), "{args}: {stderr}");
            assert!(stderr.contains(says), "{args}: {stderr}");
        }
        world.state().assert_same_as(&before, "after refusals");
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn a_create_that_fails_leaves_no_holder() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        assert_eq!(world.run("create tap0 --netns a --bridge br7").0, 3);
        world.nothing_left();
        world.state().assert_same_as(&before, "after the refusal");
    });
}

#[test]
fn a_dry_run_and_shows_start_no_holder() {
    live(|world| {
        world.quiet_netns("a");
        let (code, stdout, _) = world.run("create tap0 --netns a dry-run");
        assert_eq!(code, 0);
        assert!(stdout.contains("tap0"), "{stdout}");
        assert_eq!(world.done("show"), "");
        assert_eq!(world.done("delete --all"), "");
        assert!(!world.socket().exists());
        assert!(world.holders().is_empty());
    });
}

#[test]
fn a_caller_in_a_namespace_creates_there_and_the_holder_does_not_keep_it_alive() {
    live(|world| {
        world.quiet_netns("foo");
        world.quiet_netns("bar");
        let inode = |name: &str| fs::metadata(format!("/run/netns/{name}")).unwrap().ino();
        let foo = inode("foo");
        let create = format!("ip netns exec foo {} -q create tap1", world.taptool());
        assert_eq!(world.must(&create), "tap1\n");
        assert_eq!(world.links("foo"), ["tap1"]);
        let holder = only_holder(world);
        let own = fs::metadata(format!("/proc/{holder}/ns/net")).unwrap().ino();
        assert_ne!(own, foo, "the holder stands in the caller's namespace");
        // A second caller elsewhere reaches the same holder.
        let create = format!("ip netns exec bar {} -q create tap2", world.taptool());
        assert_eq!(world.must(&create), "tap2\n");
        assert_eq!(world.links("bar"), ["tap2"]);
        assert_eq!(only_holder(world), holder);
        // Neither named a namespace; the holder stands in another, so each is shown.
        let shown = |name: &str| world.objects(&format!("show {name}"))[0]["host_ns"].clone();
        assert_eq!((shown("tap1"), shown("tap2")), (json!("foo"), json!("bar")));
        world.ip("netns del foo");
        eventually("the namespace goes and is noticed", 5.0, || {
            world.objects("show tap1")[0]["state"] == "host-gone"
        });
        assert_eq!(world.objects("show tap2")[0]["state"], "up");
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn the_holder_outlives_the_shell_that_started_it_and_keeps_nothing_of_it() {
    live(|world| {
        world.quiet_netns("a");
        let here = world.dir().join("here");
        fs::create_dir(&here).unwrap();
        // A lock, held as long as any process has the file.
        let lock = world.dir().join("lock");
        // setsid: a session of its own, which ends with the shell.
        let script = format!(
            "cd {}; exec 9>{}; flock 9; {} -q create tap0 --netns a",
            here.display(),
            lock.display(),
            world.taptool()
        );
        assert_eq!(world.must(&format!("setsid sh -c '{script}'")), "tap0\n");
        let holder = only_holder(world);
        assert_eq!(fs::read_link(format!("/proc/{holder}/cwd")).unwrap(), Path::new("/"));
        let stat = fs::read_to_string(format!("/proc/{holder}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        assert_eq!(fields[3], holder.to_string(), "it leads no session of its own");
        let lock = fs::File::open(&lock).unwrap();
        let free = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock);
        assert!(free.is_ok(), "the holder has the shell's file, and its lock");
        fs::remove_dir(&here).unwrap();
        assert_eq!(world.objects("show tap0")[0]["state"], "up");
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn sigterm_under_traffic_removes_everything() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        world.done("create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24");
        let ping = world.start("ip netns exec a ping -q -i 0.002 10.9.0.2");
        eventually("traffic", 5.0, || {
            sum(&world.objects("show tap tap0")[0], "rx_queues", "packets") > 50
        });
        signal(only_holder(world), Signal::SIGTERM);
        world.nothing_left();
        drop(ping);
        world.state().assert_same_as(&before, "after SIGTERM");
        assert_eq!(world.done("show"), "");
    });
}

#[test]
fn a_holder_killed_under_traffic_is_exit_6_for_who_asks_it_and_the_next_takes_its_place() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        let create = "create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24";
        world.done(create);
        world.done("create tap1 --netns b --ip4 10.9.0.1/24 --respond 10.9.0.2/24");
        let holder = only_holder(world);
        let floods = ["a", "b"]
            .map(|netns| world.start(&format!("ip netns exec {netns} ping -n -q -f 10.9.0.2")));
        eventually("both move", 10.0, || {
            let taps = world.objects("show");
            taps.iter().all(|tap| sum(tap, "rx_queues", "packets") > 200)
        });
        // A client whose request has arrived, because the test hands it on, and is under way when
        // the holder, which is stopped for that, dies.
        let between = world.dir().join("between");
        let listener = UnixListener::bind(&between).unwrap();
        let client = world.start(&format!(
            "{} --socket {} show tap tap0",
            taptool().display(),
            between.display()
        ));
        let (mut asks, _) = listener.accept().unwrap();
        let mut answers = peer::connect(world);
        let greeting = peer::message(&mut asks).unwrap();
        let greeted = peer::ask(&mut answers, &greeting);
        peer::send(&mut asks, &greeted);
        let request = peer::message(&mut asks).unwrap();
        signal(holder, Signal::SIGSTOP);
        eventually("it is stopped", 5.0, || {
            let stat = fs::read_to_string(format!("/proc/{holder}/stat")).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        });
        peer::send(&mut answers, &request);
        signal(holder, Signal::SIGKILL);
        assert_eq!(peer::message(&mut answers), None);
        drop((asks, listener));
        let told = client.output(10.0);
        let why =
            format!("show tap: holder at {}: it ended without an answer\n", between.display());
        assert_eq!((told.status.code(), text(&told.stderr)), (Some(6), why));
        eventually("it ends", 5.0, || world.holders().is_empty());
        eventually("the kernel takes the taps back", 10.0, || {
            ["a", "b"].iter().all(|netns| world.links(netns).is_empty())
        });
        drop(floods);
        assert!(world.socket().exists());
        assert_eq!(world.done("show"), "", "nobody holds anything");
        assert_eq!(world.run("delete tap0").0, 3);
        assert_eq!(world.done(create), "tap0\n");
        assert_ne!(only_holder(world), holder);
        world.ping_answered("a", "10.9.0.2");
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn a_socket_whose_path_is_as_long_as_can_be_works_and_a_longer_one_is_a_usage_error() {
    live(|world| {
        world.quiet_netns("a");
        let path = |bytes: usize| {
            let dir = world.dir().display().to_string();
            format!("{dir}/{}", "s".repeat(bytes - dir.len() - 1))
        };
        let (longest, longer) = (path(107), path(108));
        let backend = crate::common::backend();
        let create = format!("create tap0 --netns a --backend {backend}");
        assert_eq!(
            one_shot(world, &format!("--socket {longest} {create}")),
            (0, "tap0\n".into(), String::new())
        );
        assert_eq!(one_shot(world, &format!("--socket {longest} delete tap0")).0, 0);
        for args in ["show", &create, "hold", "monitor"] {
            let named = one_shot(world, &format!("--socket {longer} {args}"));
            let told =
                world.start(&format!("env TAPTOOL_SOCKET={longer} {} {args}", taptool().display()));
            let told = told.output(10.0);
            let told = (told.status.code().unwrap(), text(&told.stdout), text(&told.stderr));
            for (code, stdout, stderr) in [named, told] {
                assert_eq!((code, stdout.as_str()), (2, ""), "{args}: {stderr}");
                let why = "...: a path of 108 bytes; a socket's has 107 at most\n";
                assert!(stderr.ends_with(why), "{args}: {stderr}");
            }
        }
        world.nothing_left();
        assert_eq!(world.links("a"), Vec::<String>::new());
    });
}

#[test]
fn a_holder_in_the_foreground_answers_others_and_stays_when_empty() {
    live(|world| {
        world.quiet_netns("a");
        let hold = world.start(&format!("{} hold", world.taptool()));
        eventually("it listens", 5.0, || world.socket().exists());
        world.done("create tap0 --netns a");
        let (code, stdout, stderr) = one_shot(world, "hold");
        assert_eq!((code, stdout.as_str()), (4, ""), "{stderr}");
        assert!(stderr.contains("a holder listens there already"), "{stderr}");
        world.done("delete tap0");
        assert!(world.socket().exists());
        world.done("create tap1 --netns a");
        hold.signal(Signal::SIGINT);
        let ended = hold.output(10.0);
        assert!(ended.status.success(), "{ended:?}");
        world.nothing_left();
        assert_eq!(world.links("a"), Vec::<String>::new());
    });
}

#[test]
fn a_private_holder_listens_nowhere() {
    live(|world| {
        world.quiet_netns("a");
        let script = world.dir().join("taps");
        fs::write(&script, format!("create tap0 --netns a backend {}\n", crate::common::backend()))
            .unwrap();
        let line = format!("{} hold --private --exec {}", world.taptool(), script.display());
        let hold = world.start(&line);
        eventually("its tap", 5.0, || world.links("a") == ["tap0"]);
        assert!(!world.socket().exists());
        assert_eq!(world.done("show"), "");
        hold.signal(Signal::SIGTERM);
        assert!(hold.output(10.0).status.success());
        let (code, _, stderr) = world.run("show --private");
        assert_eq!(code, 2, "{stderr}");
    });
}

#[test]
fn a_script_is_a_client_whose_interfaces_stay() {
    live(|world| {
        world.quiet_netns("a");
        let backend = crate::common::backend();
        let inner = world.dir().join("inner");
        fs::write(&inner, format!("create tap1 --netns a backend {backend}\n")).unwrap();
        let script = world.dir().join("script");
        fs::write(
            &script,
            format!(
                "# two taps\ncreate tap id 0 host-ns a \\\n backend {backend}\nexec {}\nshow tap9\nshow\n",
                inner.display()
            ),
        )
        .unwrap();
        let exec = format!("exec {}", script.display());
        let (code, stdout, stderr) = world.run(&exec);
        assert_eq!((code, stdout.as_str()), (3, "tap0\ntap1\n"), "{stderr}");
        assert_eq!(
            stderr,
            format!("{}:5: show: `tap9' is neither a table nor an interface\n", script.display())
        );
        assert_eq!(world.links("a"), ["tap0", "tap1"]);
        world.done("delete --all");
        world.nothing_left();
        let (code, stdout, stderr) = world.run(&format!("-j {exec} --keep-going"));
        assert_eq!(code, 3, "{stderr}");
        assert_eq!(stdout.lines().count(), 3, "{stdout}");
        // A delete that leaves the holder empty, and a create after it, by one client.
        let more = world.dir().join("more");
        let lines = format!("delete --all\ncreate tap5 --netns a backend {backend}\n");
        fs::write(&more, lines).unwrap();
        let piped = format!("sh -c '{} <{}'", world.taptool(), more.display());
        assert_eq!(world.must(&piped), "tap5\n");
        assert_eq!(world.links("a"), ["tap5"]);
        world.done("delete tap5");
        world.nothing_left();
    });
}

#[test]
fn whatever_is_at_the_socket_but_no_holder_is_left_alone() {
    live(|world| {
        world.quiet_netns("a");
        fs::write(world.socket(), "precious").unwrap();
        let (code, _, stderr) = world.run("create tap0 --netns a");
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains("this is no socket"), "{stderr}");
        assert_eq!(fs::read_to_string(world.socket()).unwrap(), "precious");
        fs::remove_file(world.socket()).unwrap();
    });
}

#[test]
fn a_script_that_ends_with_quit_is_done_and_lines_behind_it_do_not_run() {
    live(|world| {
        world.quiet_netns("a");
        let file = world.dir().join("quit.vpp");
        let backend = crate::common::backend();
        for word in ["quit", "q", "exit"] {
            let lines = format!(
                "\u{feff}create tap id 0 host-ns a backend {backend}\n{word}\nno such command\n"
            );
            std::fs::write(&file, lines).unwrap();
            let piped = format!("sh -c 'exec {} -q <{}'", world.taptool(), file.display());
            for line in [piped, format!("{} -q exec {}", world.taptool(), file.display())] {
                let out = world.start(&line).output(60.0);
                assert!(out.status.success(), "{word}: {line}: {out:?}");
                assert_eq!(world.links("a"), ["tap0"], "{word}: {line}");
                world.done("delete --all");
            }
        }
        // What failed before is still the exit code.
        std::fs::write(&file, "delete nothing\nquit\n").unwrap();
        let (code, _, _) = world.run(&format!("exec {} --keep-going", file.display()));
        assert_eq!(code, 3);
    });
}
