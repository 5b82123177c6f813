//! A holder whose clients say nothing, or read nothing.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixStream;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::common::peer::{Mute, are_stuck, connect, is_closed};
use crate::common::{World, eventually, has_hooks, live};

const CREATE: &str = "create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24";

/// Makes a responding tap, and gives the holder that has it.
fn with_tap(world: &World) -> u32 {
    world.quiet_netns("a");
    world.done(CREATE);
    world.holders()[0]
}

/// As [`with_tap`], with a holder that gives up nobody who reads nothing: whatever waits for such a
/// client waits for longer than the test does.
fn with_tap_and_patience(world: &World) -> u32 {
    world.quiet_netns("a");
    world.done_by_a_patient_holder(CREATE);
    world.holders()[0]
}

/// One whose answers nobody reads, and one who asks for nothing.
fn silent(world: &World) -> (Mute, UnixStream) {
    let mute = Mute::new(world);
    are_stuck(world, std::slice::from_ref(&mute));
    (mute, connect(world))
}

#[test]
fn sigterm_waits_for_no_client_that_reads_nothing() {
    if !has_hooks() {
        return;
    }
    live(|world| {
        let holder = with_tap_and_patience(world);
        let (mute, silent) = silent(world);
        assert!(!mute.is_cut_off());
        kill(Pid::from_raw(i32::try_from(holder).unwrap()), Signal::SIGTERM).unwrap();
        eventually("it ends", 3.0, || world.holders().is_empty());
        mute.ends_cut_off();
        assert!(is_closed(&silent));
        world.nothing_left();
        assert!(world.links("a").is_empty());
    });
}

#[test]
fn the_last_delete_and_the_next_create_wait_for_no_client_that_reads_nothing() {
    if !has_hooks() {
        return;
    }
    live(|world| {
        let first = with_tap_and_patience(world);
        let (mute, silent) = silent(world);
        world.done("delete tap0");
        assert!(!world.socket().exists(), "the socket of a holder that leaves");
        world.done(CREATE);
        assert!(!mute.is_cut_off() && !is_closed(&silent));
        world.ping_answered("a", "10.9.0.2");
        // The last to go lets the holder end.
        drop(mute);
        assert!(world.holders().contains(&first) && !is_closed(&silent));
        drop(silent);
        eventually("it ends", 5.0, || !world.holders().contains(&first));
        assert_eq!(world.holders().len(), 1);
        world.ping_answered("a", "10.9.0.2");
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn a_client_that_reads_nothing_is_cut_off_in_the_end_and_one_that_asks_nothing_is_not() {
    live(|world| {
        let holder = with_tap(world);
        let (mute, silent) = silent(world);
        mute.ends_cut_off();
        assert!(!is_closed(&silent));
        assert_eq!(world.holders(), [holder]);
        world.ping_answered("a", "10.9.0.2");
        world.done("delete tap0");
        drop(silent);
        world.nothing_left();
    });
}

#[test]
fn more_clients_than_there_is_room_for_send_the_first_of_them_away_and_hold_up_nobody() {
    live(|world| {
        let holder = with_tap(world);
        // A script that asks, and asks again when it has been idle for longest.
        let (lines, said) = (world.dir().join("lines"), world.dir().join("said"));
        mkfifo(&lines, Mode::S_IRWXU).unwrap();
        let mut line = File::options().read(true).write(true).open(&lines).unwrap();
        let (exec, out) = (format!("exec {}", lines.display()), said.display());
        let script = world.start(&format!("sh -c '{} -j {exec} >{out}'", world.taptool()));
        let answers = |count: usize| {
            let said = || fs::read_to_string(&said).unwrap_or_default();
            eventually("the script's answer", 10.0, || said().lines().count() == count);
        };
        line.write_all(b"show\n").unwrap();
        answers(1);
        // 512 may be connected.
        let crowd: Vec<UnixStream> = (0..520).map(|_| connect(world)).collect();
        let gone = || crowd.iter().filter(|client| is_closed(client)).count();
        eventually("there is room again", 10.0, || gone() >= 8);
        line.write_all(b"show\n").unwrap();
        answers(2);
        drop(line);
        assert!(script.output(10.0).status.success());
        assert_eq!(world.objects("show").len(), 1);
        world.done("create tap1 --netns a");
        world.done("delete tap1");
        world.ping_answered("a", "10.9.0.2");
        // One for each that came later, and those who came first.
        let gone = gone();
        assert!((8..20).contains(&gone), "{gone}");
        assert!(crowd.iter().take(gone).all(is_closed));
        assert_eq!(world.holders(), [holder]);
        drop(crowd);
        world.done("delete tap0");
        world.nothing_left();
    });
}
