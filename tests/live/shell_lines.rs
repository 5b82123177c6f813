//! Lines in the shell: how they are given up, stopped, paged, kept, and what is told above them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::{CTRL_C, CTRL_R, Kind, READS, TAB, Terminal, World, backend, live};

/// Runs a script that says `begun` and then the rest; waits until it has begun.
fn begin(world: &World, terminal: &mut Terminal, rest: &str) {
    let script = world.dir().join("script");
    fs::write(&script, format!("echo begun\n{rest}")).unwrap();
    terminal.send(&format!("exec {}", script.display()));
    terminal.wait("begun\n");
}

#[test]
fn ctrl_c_gives_up_a_half_typed_line() {
    live(|world| {
        world.quiet_netns("foo");
        let mut terminal = Terminal::start(world, "");
        terminal.keys(&format!("create tap0 host-ns foo backend {}", backend()));
        terminal.keys(CTRL_C);
        terminal.wait(READS);
        terminal.typed("taptool#");
        assert_eq!(terminal.line(""), "");
        assert_eq!(world.links("foo"), Vec::<String>::new());
        // A continued line is given up as a whole.
        terminal.send("create tap0 \\");
        terminal.wait(READS);
        terminal.typed(">");
        terminal.keys("host-ns foo");
        terminal.keys(CTRL_C);
        terminal.wait(READS);
        terminal.typed("taptool#");
        assert_eq!(world.links("foo"), Vec::<String>::new());
        terminal.quit();
    });
}

#[test]
fn a_continued_line_is_one_line() {
    live(|world| {
        world.quiet_netns("foo");
        let mut terminal = Terminal::start(world, "");
        terminal.send("create tap0 \\");
        terminal.wait(READS);
        assert_eq!(terminal.line(&format!("host-ns foo backend {}", backend())), "tap0\n");
        terminal.silent("delete tap0");
        terminal.quit();
    });
}

#[test]
fn ctrl_c_ends_a_pause_and_the_script_between_its_lines() {
    live(|world| {
        world.quiet_netns("foo");
        let mut terminal = Terminal::start(world, "");
        begin(world, &mut terminal, "wait 3600\necho never\n");
        terminal.keys(CTRL_C);
        let said = terminal.wait(READS);
        assert!(!said.contains("never"), "{said}");
        // Create by create, so that there is always a next line; what was made stays.
        let lines: String = (0..1000)
            .map(|n| format!("create tap{n} host-ns foo backend {}\n", backend()))
            .collect();
        begin(world, &mut terminal, &lines);
        terminal.wait("tap1\n");
        terminal.keys(CTRL_C);
        let said = terminal.wait(READS);
        assert!(!said.contains("tap999\n"), "{said}");
        let made = world.links("foo").len();
        assert!((2..1000).contains(&made), "{made}");
        assert_eq!(terminal.line("delete --all"), "");
        assert_eq!(world.links("foo"), Vec::<String>::new());
        terminal.quit();
        world.nothing_left();
    });
}

#[test]
fn tab_completes_values_names_and_files_and_lists_what_there_is() {
    live(|world| {
        world.quiet_netns("foo");
        world.ip("link add br-one type bridge");
        let mut terminal = Terminal::start(world, "");
        for (typed, whole) in [
            ("create tap0 backend use", "create tap0 backend userspace"),
            ("create tap0 host-ns fo", "create tap0 host-ns foo"),
            ("create tap0 host-bridge br", "create tap0 host-bridge br-one"),
            ("show int", "show interface"),
            ("help del", "help delete"),
        ] {
            terminal.keys(typed);
            terminal.keys(TAB);
            terminal.screen(whole, |screen| screen.contains(&format!("taptool# {whole} ")));
            terminal.keys(CTRL_C);
            terminal.wait(READS);
        }
        fs::write(world.dir().join("one-script.cli"), "echo of one\n").unwrap();
        terminal.keys(&format!("exec {}/one-", world.dir().display()));
        terminal.keys(TAB);
        assert_eq!(terminal.line(""), "of one\n");
        terminal.keys("set interface ");
        terminal.keys(TAB);
        terminal.keys(TAB);
        terminal
            .screen("what there is", |screen| screen.contains("l2") && screen.contains("state"));
        terminal.keys(CTRL_C);
        terminal.wait(READS);
        terminal.quit();
    });
}

#[test]
fn what_is_typed_is_no_script() {
    live(|world| {
        let mut terminal = Terminal::start(world, "");
        assert_eq!(terminal.line("exec -"), "exec: -: lines that are typed here run already\n");
        assert_eq!(terminal.line("echo here"), "here\n");
        terminal.quit();
    });
}

#[test]
fn ctrl_c_ends_a_watch() {
    live(|world| {
        world.quiet_netns("foo");
        let mut terminal = Terminal::start(world, "");
        terminal.create("tap0", "host-ns foo");
        terminal.send("show --watch 0.1");
        terminal.wait("tap0 ");
        terminal.wait("tap0 ");
        terminal.keys(CTRL_C);
        terminal.wait(READS);
        terminal.typed("taptool#");
        terminal.silent("delete tap0");
        terminal.quit();
    });
}

#[test]
fn long_output_goes_through_the_pager_unless_it_is_unwanted() {
    live(|world| {
        let paged = Kind { env: &[("PAGER", "sed s/^/P:/")], ..Kind::default() };
        let mut terminal = Terminal::open(world, "", paged);
        terminal.wait(READS);
        let long = terminal.line("create tap ?");
        assert!(long.lines().count() > 24, "{long}");
        assert!(long.lines().all(|line| line.starts_with("P:")), "{long}");
        let short = terminal.line("gso ?");
        assert!(!short.contains("P:"), "{short}");
        terminal.create("tap0", "");
        let rings = terminal.line("show tap tap0 descriptors");
        assert!(rings.lines().count() > 256, "{rings}");
        assert!(rings.lines().all(|line| line.starts_with("P:")), "{rings}");
        let rings = terminal.line("show tap tap0 descriptors --no-pager");
        assert!(rings.lines().count() > 256 && !rings.contains("P:"), "{rings}");
        // A window that is high enough needs no pages.
        terminal.resize(60, 80);
        let high = terminal.line("create tap ?");
        assert!(high.lines().count() > 24 && !high.contains("P:"), "{high}");
        terminal.silent("delete tap0");
        terminal.quit();

        let mut terminal = Terminal::open(world, "--no-pager", paged);
        terminal.wait(READS);
        let long = terminal.line("create tap ?");
        assert!(long.lines().count() > 24 && !long.contains("P:"), "{long}");
        terminal.quit();
    });
}

#[test]
fn a_pager_that_is_missing_or_ends_early_loses_nothing_but_pages() {
    live(|world| {
        for (pager, says) in [("no-such-pager", "Run it"), ("head -n 2", "Name of both sides")] {
            let kind = Kind { env: &[("PAGER", pager)], ..Kind::default() };
            let mut terminal = Terminal::open(world, "", kind);
            terminal.wait(READS);
            let long = terminal.line("create tap ?");
            assert!(long.contains(says), "{pager}: {long}");
            terminal.quit();
        }
    });
}

#[test]
fn ctrl_c_ends_a_pager_and_not_the_shell() {
    live(|world| {
        let kind = Kind { env: &[("PAGER", "exec cat - /dev/tty")], ..Kind::default() };
        let mut terminal = Terminal::open(world, "", kind);
        terminal.wait(READS);
        terminal.send("create tap ?");
        terminal.wait("Run it\n");
        terminal.keys(CTRL_C);
        terminal.wait(READS);
        assert_eq!(terminal.line("echo here"), "here\n");
        terminal.quit();
    });
}

#[test]
fn what_happens_to_interfaces_is_told_above_the_line_and_a_broken_line_ends_nothing() {
    live(|world| {
        world.quiet_netns("foo");
        world.quiet_netns("bar");
        let mut terminal = Terminal::start(world, "");
        terminal.create("tap0", "host-ns foo");
        for broken in
            ["'", "tap0 tap0", "show --watch x", "$(X", "exec /nowhere", "--", "create ''"]
        {
            assert_ne!(terminal.line(broken), "", "{broken}");
        }
        terminal.keys("show tap0");
        // Another command's doing, and the machine's.
        world.done("create tap1 --netns bar");
        terminal.wait("tap1: created on ");
        world.ip("netns del foo");
        terminal.wait("tap0: host side is gone\n");
        terminal.typed("taptool# show tap0");
        let shown = terminal.line("");
        assert!(shown.contains("host-gone"), "{shown}");
        // The name of another's interface is one to complete.
        terminal.keys("delete tap1");
        terminal.keys(TAB);
        assert_eq!(terminal.line("tap0"), "");
        terminal.quit();
        world.nothing_left();
    });
}

#[test]
fn a_client_is_told_that_its_holder_has_gone_and_can_begin_anew() {
    live(|world| {
        world.quiet_netns("foo");
        world.done("create tap0 --netns foo");
        let mut terminal = Terminal::start(world, "");
        assert!(terminal.line("show").contains("foo:tap0"));
        terminal.keys("show ta");
        let holder = Pid::from_raw(i32::try_from(world.holders()[0]).unwrap());
        kill(holder, Signal::SIGKILL).unwrap();
        terminal.wait("the holder has gone: there are no interfaces any more\n");
        terminal.typed("taptool# show tap");
        assert_eq!(terminal.line("p"), "");
        // As any client it starts one with what it makes, and that stays.
        terminal.create("tap1", "host-ns foo");
        terminal.quit();
        assert_eq!(world.links("foo"), ["tap1"]);
        world.done("delete tap1");
        world.nothing_left();
    });
}

#[test]
fn lines_are_found_again_by_the_next_shell() {
    live(|world| {
        let mut terminal = Terminal::start(world, "");
        terminal.line("show version");
        terminal.line("show errors");
        terminal.line("echo one of a kind");
        terminal.line("show errors ?");
        terminal.quit();
        let file = world.dir().join("state/taptool/history");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("show version\nshow errors\necho one of a kind\n"), "{text}");

        let mut terminal = Terminal::start(world, "");
        terminal.keys(CTRL_R);
        terminal.keys("of a");
        terminal.screen("the line that was searched", |screen| {
            screen.trim_end().ends_with("echo one of a kind")
        });
        assert_eq!(terminal.line(""), "one of a kind\n");
        let last = terminal.line("history 2");
        assert!(last.contains("  echo one of a kind\n"), "{last}");
        terminal.quit();
    });
}
