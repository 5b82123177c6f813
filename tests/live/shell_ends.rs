//! How the shell ends, and what becomes of its interfaces.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{CTRL_D, CTRL_Z, READS, TAKEN, Terminal, World, eventually, exists, live};

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// A shell with `tap0` of its own, which answers ping, in the namespace `foo`.
fn with_tap(world: &World, args: &str) -> Terminal {
    world.quiet_netns("foo");
    let mut terminal = Terminal::start(world, args);
    terminal.create("tap0", "host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
    terminal
}

/// Nothing of the shell is left: no process, no socket, no interface.
fn all_gone(world: &World) {
    world.nothing_left();
    assert_eq!(world.links("foo"), Vec::<String>::new());
}

/// The interfaces live on without the terminal, until they are deleted.
fn lives_on(world: &World, names: &[&str]) {
    assert_eq!(world.links("foo"), names);
    world.ping_answered("foo", "10.9.0.2");
    let shown: Vec<_> = world.objects("show").iter().map(|tap| tap["name"].clone()).collect();
    assert_eq!(shown, names);
    world.done("delete --all");
    all_gone(world);
}

#[test]
fn quit_names_what_would_vanish_and_who_made_it_and_cancel_stays() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        world.done("create tap1 --netns foo");
        for (way, answer) in [("quit\r", "\r"), (CTRL_D, "c\r"), ("q\r", CTRL_D)] {
            terminal.typed("taptool#");
            terminal.keys(way);
            terminal.wait("will vanish with this shell: tap0, tap1\n");
            terminal.wait("made by other commands: tap1\n");
            terminal.wait(READS);
            terminal.typed("detach, quit or cancel? [cancel]");
            terminal.keys(answer);
            terminal.wait(READS);
        }
        assert_eq!(world.links("foo"), ["tap0", "tap1"]);
        terminal.send("exit");
        terminal.wait(READS);
        // What is no answer is asked again.
        terminal.keys("perhaps\r");
        terminal.wait(READS);
        terminal.keys("quit\r");
        assert_eq!(terminal.ended(), 0);
        all_gone(world);
    });
}

#[test]
fn an_answer_is_neither_completed_nor_kept_in_the_history() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        terminal.send("quit");
        terminal.wait(READS);
        terminal.keys("cre\t");
        terminal.typed("detach, quit or cancel? [cancel] cre");
        // Ctrl-C is a way to say no.
        terminal.keys("\x03");
        terminal.wait(READS);
        let history = terminal.line("history");
        assert!(!history.contains("cre\n") && history.contains("  quit\n"), "{history}");
        terminal.silent("delete tap0");
        terminal.quit();
        all_gone(world);
    });
}

#[test]
fn detach_in_the_dialogue_keeps_the_interfaces() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        let (front, shell) = (terminal.front(), terminal.shell());
        terminal.send("quit");
        terminal.wait(READS);
        terminal.keys("detach\r");
        assert_eq!(terminal.ended(), 0);
        terminal.hang_up();
        assert!(!exists(front) && exists(shell));
        let files = fs::read_dir(format!("/proc/{shell}/fd")).unwrap();
        let open: Vec<_> = files.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok()).collect();
        assert!(!open.iter().any(|file| file.starts_with("/dev/pts")), "{open:?}");
        assert_eq!(fs::read_link(format!("/proc/{shell}/cwd")).unwrap(), Path::new("/"));
        // The log is written beside what is logged.
        eventually("the log tells of it", 10.0, || {
            let log = fs::read_to_string("/var/log/taptool.log").unwrap();
            log.contains("detached from its terminal")
        });
        lives_on(world, &["tap0"]);
    });
}

#[test]
fn a_log_that_is_a_fifo_holds_up_no_detach_and_costs_no_interface() {
    live(|world| {
        nix::unistd::mkfifo("/var/log/taptool.log", nix::sys::stat::Mode::S_IRWXU).unwrap();
        let mut terminal = with_tap(world, "");
        terminal.send("quit");
        terminal.wait(READS);
        terminal.keys("detach\r");
        assert_eq!(terminal.ended(), 0);
        lives_on(world, &["tap0"]);
        fs::remove_file("/var/log/taptool.log").unwrap();
    });
}

#[test]
fn a_private_shell_has_no_socket_and_cannot_detach() {
    live(|world| {
        let mut terminal = with_tap(world, "--private");
        assert!(terminal.raw().contains("owner, private, backend "));
        assert!(!world.socket().exists());
        assert_eq!(world.done("show"), "");
        assert_eq!(
            terminal.line("detach"),
            "detach: no command can reach the interfaces of a --private shell\n"
        );
        // Another holder may live at the socket: this one neither asks it nor is asked.
        world.done("create tap1 --netns foo");
        let shown = terminal.line("show");
        assert!(shown.contains("tap0") && !shown.contains("tap1"), "{shown}");
        terminal.keys(CTRL_D);
        terminal.wait("will vanish with this shell: tap0\n");
        terminal.wait(READS);
        terminal.typed("quit or cancel? [cancel]");
        terminal.keys("detach\r");
        terminal.wait(READS);
        terminal.typed("quit or cancel? [cancel]");
        terminal.keys("q\r");
        assert_eq!(terminal.ended(), 0);
        assert_eq!(world.links("foo"), ["tap1"]);
        world.done("delete tap1");
        all_gone(world);
    });
}

#[test]
fn a_hang_up_removes_what_only_the_person_made() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        terminal.keys("show ta");
        terminal.typed("taptool# show tap");
        terminal.hang_up();
        all_gone(world);
    });
}

#[test]
fn a_hang_up_keeps_everything_where_other_commands_made_something() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        world.done("create tap1 --netns foo");
        let (front, shell) = (terminal.front(), terminal.shell());
        terminal.hang_up();
        eventually("the process in front ends", 10.0, || !exists(front));
        assert!(exists(shell));
        lives_on(world, &["tap0", "tap1"]);
    });
}

#[test]
fn a_hang_up_that_is_only_told_is_one_too() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        world.done("create tap1 --netns foo");
        signal(terminal.shell(), Signal::SIGHUP);
        assert_eq!(terminal.ended(), 0);
        lives_on(world, &["tap0", "tap1"]);
    });
}

#[test]
fn a_client_leaves_without_a_question_and_is_told_when_the_owner_ends() {
    live(|world| {
        let mut owner = with_tap(world, "");
        let mut client = Terminal::start(world, "");
        client.create("tap1", "host-ns foo");
        client.send("detach");
        client.wait("interfaces stay with the holder\n");
        assert_eq!(client.ended(), 0);
        let mut client = Terminal::start(world, "");
        client.keys("show");
        client.typed("taptool# show");
        owner.wait("tap1: created on ");
        owner.send("quit");
        owner.wait("made by other commands: tap1\n");
        owner.wait(READS);
        owner.keys("q\r");
        assert_eq!(owner.ended(), 0);
        client.wait("the holder has gone: there are no interfaces any more\n");
        client.typed("taptool# show");
        assert_eq!(client.line(""), "");
        client.quit();
        all_gone(world);
    });
}

#[test]
fn a_hang_up_in_the_middle_of_a_pause_ends_it() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        let script = world.dir().join("script");
        fs::write(&script, "echo begun\nwait 3600\n").unwrap();
        terminal.send(&format!("exec {}", script.display()));
        terminal.wait("begun\n");
        terminal.hang_up();
        all_gone(world);
    });
}

#[test]
fn sigterm_removes_everything_whoever_made_it_and_whichever_process_gets_it() {
    live(|world| {
        world.quiet_netns("foo");
        for to in [Terminal::shell, Terminal::front] {
            let mut terminal = Terminal::start(world, "");
            terminal.create("tap0", "host-ns foo");
            world.done("create tap1 --netns foo");
            terminal.keys("half a li");
            terminal.typed("taptool# half a li");
            signal(to(&terminal), Signal::SIGTERM);
            terminal.wait(TAKEN);
            assert_eq!(terminal.ended(), 0);
            all_gone(world);
        }
    });
}

#[test]
fn a_killed_shell_is_its_callers_to_see_and_the_terminal_is_as_it_was() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        terminal.keys("half a li");
        terminal.typed("taptool# half a li");
        signal(terminal.shell(), Signal::SIGKILL);
        // What is pasted next is not put into brackets.
        terminal.wait(TAKEN);
        assert_eq!(terminal.ended(), 128 + 9);
        eventually("the kernel takes the tap back", 5.0, || world.links("foo").is_empty());
    });
}

#[test]
fn the_death_of_the_process_in_front_is_a_hang_up() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        signal(terminal.front(), Signal::SIGKILL);
        terminal.wait("it ended with 137");
        all_gone(world);
    });
}

#[test]
fn ctrl_z_stops_both_processes_and_a_half_typed_line_goes_on_afterwards() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        let states = |terminal: &Terminal| {
            [terminal.front(), terminal.shell()].map(|pid| {
                let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
                stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
            })
        };
        terminal.keys("show ta");
        terminal.typed("taptool# show tap");
        terminal.keys(CTRL_Z);
        // The login shell takes the terminal back only once the process in front has stopped.
        terminal.stopped();
        eventually("both are stopped", 5.0, || states(&terminal) == ['T', 'T']);
        terminal.keys("\r");
        terminal.typed("taptool# show tap");
        let shown = terminal.line("p tap0");
        assert!(shown.contains("Virtqueue (RX) 0"), "{shown}");
        world.ping_answered("foo", "10.9.0.2");
        terminal.silent("delete tap0");
        terminal.quit();
        all_gone(world);
    });
}

#[test]
fn ctrl_z_stops_a_watch_which_a_key_ends_afterwards() {
    live(|world| {
        let mut terminal = with_tap(world, "");
        terminal.send("show --watch 0.1");
        terminal.wait("tap0 ");
        terminal.wait("tap0 ");
        terminal.keys(CTRL_Z);
        terminal.stopped();
        terminal.keys("\r");
        terminal.wait("tap0 ");
        terminal.wait("tap0 ");
        // Keys come one by one again: this one has no end of line behind it.
        terminal.keys("x");
        terminal.wait(READS);
        terminal.typed("taptool#");
        terminal.silent("delete tap0");
        terminal.quit();
    });
}
