//! A holder whose socket, lock or log somebody else removed, replaced or keeps.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket,
};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::common::{World, eventually, live};

fn send(holder: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(holder).unwrap()), signal).unwrap();
}

fn lock(world: &World) -> std::path::PathBuf {
    world.dir().join("ctl.sock.lock")
}

#[test]
fn a_socket_that_was_removed_is_made_again_by_its_holder_and_no_second_one_starts() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let holder = world.holders();
        for (round, with_lock) in [false, true, false].into_iter().enumerate() {
            fs::remove_file(world.socket()).unwrap();
            if with_lock {
                fs::remove_file(lock(world)).unwrap();
                // Who comes now finds neither; only the holder can tell.
                eventually("both are made again", 10.0, || {
                    world.socket().exists() && lock(world).exists()
                });
            } else {
                // Nobody who asks in between takes it for gone.
                assert_eq!(world.objects("show").len(), round + 1);
                fs::remove_file(world.socket()).unwrap();
            }
            world.done(&format!("-q create tap{} --netns a", round + 1));
            assert_eq!(world.holders(), holder);
            assert_eq!(world.objects("show").len(), round + 2);
        }
        world.done("delete --all");
        world.nothing_left();
        let log = fs::read_to_string("/var/log/taptool.log").unwrap();
        assert!(log.contains("ctl.sock: was removed; made again"), "{log}");
    });
}

#[test]
fn a_file_in_the_place_of_the_socket_is_left_alone_and_reported_once_until_it_goes() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        fs::remove_file(world.socket()).unwrap();
        fs::write(world.socket(), "precious").unwrap();
        let reports = || {
            let log = fs::read_to_string("/var/log/taptool.log").unwrap();
            log.matches("another file stands in the place of the socket").count()
        };
        eventually("it is reported", 10.0, || reports() == 1);
        assert_eq!(fs::read_to_string(world.socket()).unwrap(), "precious");
        let (code, _, stderr) = world.run("show");
        assert_eq!(code, 4, "{stderr}");
        fs::remove_file(world.socket()).unwrap();
        assert_eq!(world.objects("show").len(), 1);
        assert_eq!(reports(), 1);
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn a_stopped_holder_without_its_socket_is_named_and_no_second_one_starts() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let holder = world.holders()[0];
        send(holder, Signal::SIGSTOP);
        fs::remove_file(world.socket()).unwrap();
        let mut hint = String::new();
        for args in ["create tap1 --netns a", "show"] {
            let (code, stdout, stderr) = world.run(args);
            assert_eq!((code, stdout.as_str()), (6, ""), "{args}: {stderr}");
            let who = format!(
                "process {holder} (taptool) has the lock {} but does not listen\n  it is stopped: \
                 `kill -CONT {holder}' lets it go on",
                lock(world).display()
            );
            assert!(stderr.contains(&who), "{args}: {stderr}");
            assert_eq!(world.holders(), [holder]);
            hint = stderr.lines().last().unwrap().to_owned();
        }
        // The first command of the hint.
        world.must(&format!("sh -c '{}'", hint.split(['`', '\'']).nth(1).unwrap()));
        assert_eq!(world.objects("show").len(), 1);
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn a_holder_that_accepts_no_connection_is_named_and_nobody_waits_for_ever() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 --netns a");
        let holder = world.holders()[0];
        send(holder, Signal::SIGSTOP);
        fs::remove_file(world.socket()).unwrap();
        // In its place, because a short backlog is soon full.
        let flags = SockFlag::SOCK_CLOEXEC;
        let listener = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        let address = UnixAddr::new(&world.socket()).unwrap();
        bind(std::os::fd::AsRawFd::as_raw_fd(&listener), &address).unwrap();
        listen(&listener, Backlog::new(1).unwrap()).unwrap();
        let mut waiting = Vec::new();
        while let Ok(connected) = taptool::sys::socket::connect(&world.socket()) {
            waiting.push(connected);
        }
        for args in ["show", "create tap1 --netns a", "monitor"] {
            let (code, stdout, stderr) = world.run(args);
            assert_eq!((code, stdout.as_str()), (6, ""), "{args}: {stderr}");
            let who = format!("process {holder} (taptool) does not accept connections");
            assert!(stderr.contains(&who), "{args}: {stderr}");
        }
        drop(listener);
        fs::remove_file(world.socket()).unwrap();
        send(holder, Signal::SIGCONT);
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn a_log_or_a_lock_that_is_a_fifo_is_refused_at_once_and_leaves_no_holder() {
    live(|world| {
        world.quiet_netns("a");
        let log = Path::new("/var/log/taptool.log");
        let lock = lock(world);
        for (fifo, verbs) in
            [(log, &["create tap0 --netns a"][..]), (&lock, &["create tap0 --netns a", "hold"])]
        {
            mkfifo(fifo, Mode::S_IRWXU).unwrap();
            for verb in verbs {
                let (code, stdout, stderr) = world.run(verb);
                assert_eq!((code, stdout.as_str()), (6, ""), "{verb}: {stderr}");
                let why = format!("{}: this is a FIFO, not a regular file", fifo.display());
                assert!(stderr.contains(&why), "{verb}: {stderr}");
                assert!(stderr.contains("mv "), "{verb}: {stderr}");
                world.nothing_left();
            }
            fs::remove_file(fifo).unwrap();
        }
        world.done("-q create tap0 --netns a");
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn a_log_that_grows_long_is_cut_while_two_holders_write_to_it_and_no_line_is_lost() {
    live(|world| {
        world.quiet_netns("a");
        let other = format!("--socket {}", world.dir().join("other.sock").display());
        world.done("-q create tap0 --netns a");
        world.done(&format!("{other} -q create tap1 --netns a"));
        let log = Path::new("/var/log/taptool.log");
        let says = |path: &Path, what: &str| {
            let text = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&text).matches(what).count()
        };
        let mut file = File::options().append(true).open(log).unwrap();
        file.write_all(&vec![b'\n'; (1 << 20) + 1]).unwrap();
        // The line after which the log is looked at still goes to the old one.
        world.done("-q create tap2 --netns a");
        let old = log.with_extension("log.1");
        eventually("it is the old one", 10.0, || old.exists() && log.exists());
        world.done("-q create tap3 --netns a");
        world.done(&format!("{other} -q create tap4 --netns a"));
        world.done(&format!("{other} -q create tap5 --netns a"));
        // The other holder finds out with its first line.
        eventually("both write to the new one", 10.0, || {
            says(log, "created tap3") == 1 && says(log, "created tap5") == 1
        });
        for tap in 0..6 {
            let line = format!("created tap{tap}");
            assert_eq!(says(log, &line) + says(&old, &line), 1, "{line}");
        }
        assert!(fs::metadata(log).unwrap().len() < 1 << 20);
        world.done("delete --all");
        world.done(&format!("{other} delete --all"));
        world.nothing_left();
    });
}
