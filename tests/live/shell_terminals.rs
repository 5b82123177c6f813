//! The shell on terminals of every kind.

use crate::common::{CTRL_C, CTRL_D, Kind, READS, TAB, TAKEN, Terminal, backend, live};

/// The way from one refused word and one question to a tap and back, on a terminal with an editor.
fn everything(terminal: &mut Terminal) {
    terminal.line("create tap0 host-nss foo ");
    terminal.line("create tap0 ?");
    terminal.line("help create tap");
    terminal.keys("sho");
    terminal.keys(TAB);
    terminal.line("");
    assert_eq!(terminal.line(&format!("create tap0 backend {}", backend())), "tap0\n");
    assert!(terminal.line("show").contains("tap0"));
    assert_eq!(terminal.line("delete tap0"), "");
}

fn colors(terminal: &Terminal) -> Vec<String> {
    let raw = terminal.raw();
    let sequences = raw.split("\x1b[").skip(1).filter_map(|rest| {
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        (rest.as_bytes()[end] == b'm').then(|| rest[..end].to_owned())
    });
    sequences.collect()
}

#[test]
fn without_colour_nothing_is_painted_and_with_it_errors_and_hints_are() {
    live(|world| {
        let mut plain = Terminal::open(
            world,
            "--private",
            Kind { env: &[("NO_COLOR", "1")], ..Kind::default() },
        );
        plain.wait(READS);
        everything(&mut plain);
        assert_eq!(colors(&plain), Vec::<String>::new());
        plain.quit();
        let mut never = Terminal::start(world, "--private --color never");
        everything(&mut never);
        assert_eq!(colors(&never), Vec::<String>::new());
        never.quit();
        let mut painted = Terminal::start(world, "--private");
        everything(&mut painted);
        assert!(colors(&painted).len() > 10);
        painted.quit();
    });
}

/// Types a line where the terminal itself edits and shows it; what comes of it.
fn plain_line(terminal: &mut Terminal, line: &str) -> String {
    terminal.keys(&format!("{line}\r"));
    terminal.wait(&format!("{line}\n"));
    terminal.wait("taptool# ")
}

#[test]
fn a_dumb_terminal_gets_no_escape_sequence_and_loses_no_command() {
    live(|world| {
        world.quiet_netns("foo");
        let dumb = Kind { env: &[("TERM", "dumb"), ("PAGER", "sed s/^/P:/")], ..Kind::default() };
        let mut terminal = Terminal::open(world, "", dumb);
        terminal.wait("taptool# ");
        let refused = plain_line(&mut terminal, "create tap0 host-nss foo");
        assert!(refused.contains("^^^^^^^^\n") && refused.contains("`host-ns'"), "{refused}");
        let create = format!("create tap0 host-ns foo backend {}", backend());
        assert_eq!(plain_line(&mut terminal, &create), "tap0\n");
        let long = plain_line(&mut terminal, "create tap ?");
        assert!(long.lines().count() > 24 && !long.contains("P:"), "{long}");
        terminal.keys("show --watch 0.1\r");
        terminal.wait("tap0 ");
        terminal.wait("tap0 ");
        terminal.keys("x");
        terminal.wait("taptool# ");
        // The terminal itself forgets the line, as it does for every program.
        terminal.keys("create tap1 host-ns foo");
        terminal.wait("create tap1 host-ns foo");
        terminal.interrupt();
        terminal.keys("show version\r");
        terminal.wait("taptool 0.");
        terminal.wait("taptool# ");
        world.ip("-n foo link del tap0");
        terminal.wait("tap0: host side is gone\n");
        assert_eq!(plain_line(&mut terminal, "delete tap0"), "");
        terminal.keys(CTRL_D);
        assert_eq!(terminal.ended(), 0);
        assert!(!terminal.raw().contains('\x1b'));
        world.nothing_left();
    });
}

#[test]
fn forty_columns_are_enough_for_help_and_for_a_longer_line() {
    live(|world| {
        world.quiet_netns("foo");
        let mut terminal = Terminal::open(world, "", Kind { size: (24, 40), ..Kind::default() });
        terminal.wait(READS);
        for line in ["?", "create tap ?", "set interface ?", "create tap host-ns ?"] {
            let help = terminal.line(line);
            let longest = help.lines().map(str::len).max().unwrap();
            assert!(longest <= 40, "{line}: {longest}: {help}");
        }
        // Its word stands in another row than a mark below would: there is none.
        let refused = terminal.line("create tap0 host-if-name a host-nss foo");
        assert!(refused.starts_with("create: unknown input `host-nss'"), "{refused}");
        let line = format!("create tap0 host-ns foo host-mtu-size 1400 backend {}", backend());
        terminal.keys(&line);
        terminal.screen("the line, over several rows", |screen| {
            screen.replace('\n', "").ends_with(&format!("taptool# {line}"))
        });
        // In its first row.
        terminal.keys("\x01\x1bf\x1bf\x7f7");
        terminal.screen("the name changed", |screen| screen.contains("create tap7 host-ns"));
        assert_eq!(terminal.line(""), "tap7\n");
        assert_eq!(world.links("foo"), ["tap7"]);
        terminal.send("show --watch 0.1");
        terminal.wait("tap7 ");
        terminal.wait("tap7 ");
        terminal.screen("one list, drawn over itself", |screen| {
            screen.matches("  queue    packets").count() == 1
        });
        terminal.keys(" ");
        terminal.wait(READS);
        terminal.silent("delete tap7");
        terminal.quit();
    });
}

#[test]
fn a_window_that_shrinks_under_a_half_typed_line_keeps_it() {
    live(|world| {
        world.quiet_netns("foo");
        let mut terminal = Terminal::start(world, "");
        let line = format!("create tap0 host-ns foo backend {}", backend());
        terminal.keys(&line);
        terminal.typed(&format!("taptool# {line}"));
        terminal.resize(24, 30);
        terminal.keys(" host-mtu-size 1400");
        terminal.screen("the end of it", |screen| {
            screen.replace('\n', "").contains("host-mtu-size 1400")
        });
        assert_eq!(terminal.line(""), "tap0\n");
        let help = terminal.line("set interface ?");
        assert!(help.lines().all(|line| line.len() <= 32), "{help}");
        terminal.resize(24, 100);
        terminal.silent("delete tap0");
        terminal.quit();
    });
}

#[test]
fn bytes_that_are_no_text_and_text_that_is_not_ascii_end_nothing() {
    live(|world| {
        let kind = Kind { env: &[("LC_ALL", "C")], ..Kind::default() };
        let mut terminal = Terminal::open(world, "", kind);
        terminal.wait(READS);
        assert_eq!(terminal.line("echo größe"), "größe\n");
        let refused = terminal.line("show größe");
        assert!(refused.starts_with("              ^^^^^\nshow: größe: "), "{refused}");
        let refused = terminal.line("grüße tap0");
        assert!(refused.contains("         ^^^^^\n"), "{refused}");
        // As a keyboard of Latin-1 sends it. An interface stays, as the shell does.
        terminal.create("tap0", "");
        terminal.bytes(b"echo gr\xfc");
        terminal.wait("the line is not UTF-8\n");
        terminal.wait(READS);
        assert!(terminal.line("show").contains("tap0"));
        terminal.silent("delete tap0");
        // Escapes of a key that there is not, and a NUL.
        terminal.bytes(b"\x1b[99~\x1bO\x00\x1b[\x00");
        terminal.keys(CTRL_C);
        terminal.wait(READS);
        assert_eq!(terminal.line("echo still here"), "still here\n");
        terminal.quit();
    });
}

#[test]
fn lines_that_are_pasted_or_typed_ahead_all_run() {
    live(|world| {
        world.quiet_netns("foo");
        let mut terminal = Terminal::start(world, "");
        let line = |name| format!("create {name} host-ns foo backend {}\r", backend());
        // A paste, as terminals send it; Enter is the person's.
        let pasted =
            ["create tap8 host-nss foo\r", "# a comment\r", "echo a \\\r", "  b\r"].concat();
        let pasted = format!("{}{pasted}{}", line("tap0"), line("tap1"));
        terminal.keys(&format!("\x1b[200~{pasted}\x1b[201~"));
        terminal.typed("");
        terminal.keys("\r");
        terminal.wait(TAKEN);
        // Each stands where it would if it had been typed, and the wrong word is marked there.
        terminal.wait(&format!("taptool# {}\ntap0\n", line("tap0").trim_end()));
        terminal.wait("taptool# create tap8 host-nss foo\n                     ^^^^^^^^\n");
        terminal.wait("taptool# echo a \\\n>   b\na b\n");
        terminal.wait("tap1\n");
        terminal.wait(READS);
        assert_eq!(world.links("foo"), ["tap0", "tap1"]);
        let last = terminal.line("history 2");
        assert!(last.contains("  create tap1 host-ns foo"), "{last}");
        // Keys that come faster than they are worked off.
        terminal.keys(&format!("{}{}", line("tap2"), line("tap3")));
        terminal.wait("tap2\n");
        terminal.wait("tap3\n");
        terminal.wait(READS);
        assert_eq!(world.links("foo"), ["tap0", "tap1", "tap2", "tap3"]);
        terminal.silent("delete --all");
        terminal.quit();
    });
}
