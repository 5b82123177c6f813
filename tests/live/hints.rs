//! The hints of failures: what they say is done, and the very command that failed works.

use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::common::{World, eventually, live};

/// Runs `taptool ARGS`, which must fail with this code; its hint.
fn hint(world: &World, code: i32, args: &str) -> String {
    let (ended, stdout, stderr) = world.run(args);
    assert_eq!((ended, stdout.as_str()), (code, ""), "{args}: {stderr}");
    let lines: Vec<&str> = stderr.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert!(!lines.is_empty(), "{args}: no hint: {stderr}");
    lines.join("\n")
}

/// The commands that a hint quotes.
fn quoted(hint: &str) -> Vec<String> {
    let quoted = hint.split('`').skip(1).map(|rest| rest.split_once('\'').unwrap().0.to_owned());
    quoted.collect()
}

/// Runs a command as a shell has it.
fn shell(world: &World, command: &str) -> String {
    world.must(&shlex::try_join(["sh", "-c", command]).unwrap())
}

#[test]
fn what_a_create_misses_is_there_once_its_hint_was_followed() {
    live(|world| {
        let mended = |args: &str| {
            let hint = hint(world, 3, args);
            shell(world, &quoted(&hint)[0]);
            world.done(args);
        };
        mended("-q create tap0 --netns n1");
        // The kernel takes such a word for one of its own where it can.
        mended("-q create tap1 --netns n1 --bridge br");
        let path = world.dir().join("file");
        fs::write(&path, "").unwrap();
        let create = format!("-q create tap3 --netns {}", path.display());
        let file = quoted(&hint(world, 2, &create)).remove(0);
        shell(world, &file.replace("NAME", "n3"));
        world.done("-q create tap3 --netns n3");
        world.quiet_netns("v4");
        let create = "-q create tap2 --netns v4 --ip6 fd00::1/64";
        let hint_of_6 = hint(world, 1, create);
        let (_, rest) = hint_of_6.split_once("set sysctl ").unwrap();
        let (name, value) = rest.split_once(" to ").unwrap();
        let (path, value) = (name.replace('.', "/"), value.split(' ').next().unwrap());
        shell(world, &format!("ip netns exec v4 sh -c 'echo {value} >/proc/sys/{path}'"));
        world.done(create);
        world.ip("-n n1 link del tap0");
        eventually("its end is seen", 5.0, || {
            world.objects("show tap tap0")[0]["state"] == "host-gone"
        });
        let gone = hint(world, 3, "gso tap0 on");
        world.done(&quoted(&gone)[0]);
        world.done("-q create tap0 --netns n1");
        world.done("gso tap0 on");
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn without_dev_net_tun_the_last_command_of_the_hint_makes_it() {
    live(|world| {
        let none: Option<&str> = None;
        mount(Some("none"), "/dev/net", Some("tmpfs"), MsFlags::empty(), none).unwrap();
        let hint = hint(world, 7, "-q create tap0");
        shell(world, quoted(&hint).last().unwrap());
        assert!(Path::new("/dev/net/tun").exists());
        world.done("-q create tap0");
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn what_is_taken_is_had_in_the_way_that_the_hint_says() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        world.done("-q create tap0 --netns a --ip4 10.9.0.1/24 --gw4 10.9.0.2");
        let name = quoted(&hint(world, 4, "-q create tap0 --netns b")).remove(0);
        world.done(&format!("-q {}", name.replace('…', "--netns b")));
        assert_eq!(world.links("b"), ["tap0"]);
        // An id that is taken, and one whose name is.
        world.done("-q create tap9 --netns a");
        let id = world.objects("show tap tap9")[0]["id"].as_u64().unwrap();
        let without = hint(world, 4, &format!("-q create id {id} --netns a"));
        assert!(without.starts_with("without `id'"), "{without}");
        world.done("-q create --netns a");
        let named = quoted(&hint(world, 4, "-q create id 9 --netns a")).remove(0);
        world.done(&format!("-q {}", named.replace("NAME", "nine").replace('…', "--netns a")));
        assert_eq!(world.objects("show tap nine")[0]["id"], 9);
        // A device that is not ours, and a route.
        world.ip("-n a link add name eth0 type bridge");
        let create = "-q create eth --netns a --host-if-name";
        let other = quoted(&hint(world, 4, &format!("{create} eth0"))).remove(0);
        assert_eq!(other, "host-if-name");
        world.done(&format!("-q create eth --netns a {other} eth1"));
        let route = hint(world, 4, "-q create gw --netns a --ip4 10.8.0.1/24 --gw4 10.8.0.2");
        let shown = shell(world, &quoted(&route)[0]);
        assert!(shown.contains("10.9.0.2"), "{shown}");
        // A name that was meant, and the socket.
        let meant = quoted(&hint(world, 3, "show tap nien")).remove(0);
        world.done(&format!("show tap {meant}"));
        let show = quoted(&hint(world, 4, "hold")).remove(0);
        assert!(world.done(show.strip_prefix("taptool ").unwrap()).contains("nine"));
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn a_word_that_is_to_be_left_out_is_all_that_was_in_the_way() {
    live(|world| {
        world.quiet_netns("a");
        let create = "-q create tap0 --netns a";
        for word in ["gro-coalesce", "packed", "in-order"] {
            let hint = hint(world, 2, &format!("{create} {word}"));
            assert!(hint.starts_with("leave it out"), "{word}: {hint}");
        }
        world.done(create);
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn a_create_that_does_not_fit_fits_with_smaller_rings_and_with_more_memory() {
    live(|world| {
        world.quiet_netns("a");
        let large = "--netns a --rx-ring-size 32768 --tx-ring-size 32768";
        let holds = |memory: &str| {
            let hold = world.start(&format!("{} hold {memory}", world.taptool()));
            eventually("it listens", 10.0, || world.socket().exists());
            hold
        };
        let hold = holds("--memory 16M");
        let fits = hint(world, 1, &format!("-q create tap0 {large}"));
        assert_eq!(fits, "use smaller rings, or start the holder with more --memory");
        world.done("-q create tap0 --netns a --rx-ring-size 256 --tx-ring-size 256");
        hold.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(hold.output(10.0).status.success());
        // What it has without being told otherwise is more.
        let hold = holds("");
        world.done(&format!("-q create tap0 {large}"));
        hold.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(hold.output(10.0).status.success());
        world.nothing_left();
    });
}

#[test]
fn a_file_in_the_place_of_the_lock_is_moved_away_by_the_hint() {
    live(|world| {
        world.quiet_netns("a");
        let lock = world.dir().join("ctl.sock.lock");
        fs::create_dir(&lock).unwrap();
        let create = "-q create tap0 --netns a";
        shell(world, &quoted(&hint(world, 6, create))[0]);
        world.done(create);
        world.done("delete tap0");
        world.nothing_left();
    });
}
