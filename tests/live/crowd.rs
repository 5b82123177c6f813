//! A holder whose clients say nothing, or read nothing.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

use crate::common::peer::{Mute, connect, is_closed};
use crate::common::{World, bound, eventually, live};

/// Makes a responding tap, and gives the holder that has it.
fn with_tap(world: &World) -> u32 {
    world.quiet_netns("a");
    world.done("create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24");
    world.holders()[0]
}

/// One whose answers nobody reads, and one who asks for nothing.
fn silent(world: &World) -> (Mute, UnixStream) {
    let mute = Mute::new(world);
    mute.is_stuck();
    (mute, connect(world))
}

#[test]
fn sigterm_is_quick_though_a_client_reads_nothing() {
    live(|world| {
        let holder = with_tap(world);
        let (mute, silent) = silent(world);
        kill(Pid::from_raw(i32::try_from(holder).unwrap()), Signal::SIGTERM).unwrap();
        eventually("it ends", 3.0, || world.holders().is_empty());
        mute.ends_cut_off();
        assert!(is_closed(&silent));
        world.nothing_left();
        assert!(world.links("a").is_empty());
    });
}

#[test]
fn the_last_delete_and_the_next_create_are_quick_though_a_client_reads_nothing() {
    live(|world| {
        let first = with_tap(world);
        let (mute, silent) = silent(world);
        let begin = Instant::now();
        world.done("delete tap0");
        assert!(!world.socket().exists(), "the socket of a holder that leaves");
        world.done("create tap0 --netns a --ip4 10.9.0.1/24 --respond 10.9.0.2/24");
        assert!(begin.elapsed() < bound(3.0), "{:?}", begin.elapsed());
        world.ping_answered("a", "10.9.0.2");
        // Who reads nothing is cut off in the end; the last to go lets the holder end.
        mute.ends_cut_off();
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
        let begin = Instant::now();
        assert_eq!(world.objects("show").len(), 1);
        world.done("create tap1 --netns a");
        world.done("delete tap1");
        assert!(begin.elapsed() < bound(3.0), "{:?}", begin.elapsed());
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
