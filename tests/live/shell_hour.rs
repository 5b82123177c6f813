//! An hour of a user's life in the shell, in one piece.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::common::{Kind, READS, TAB, Terminal, World, backend, live};

#[test]
fn an_hour_of_a_users_life_ends_with_the_machine_as_it_was() {
    live(|world| {
        world.quiet_netns("foo");
        let before = world.state();
        let mut terminal = Terminal::open(world, "", Kind::default());
        is_welcomed_as_the_owner(world, &mut terminal);
        creates_with_tab(world, &mut terminal);
        is_told_what_is_wrong_and_what_comes_next(&mut terminal);
        watches_counters_until_a_key(world, &mut terminal);
        turns_gso_off_and_on(world, &mut terminal);
        goes_on_with_a_line_above_which_a_rename_is_told(world, &mut terminal);
        runs_scripts(world, &mut terminal);
        uses_macros_and_looks_back(&mut terminal);
        detaches(world, terminal);
        reattaches_from_another_terminal(world);
        comes_back_and_deletes(world);
        world.nothing_left();
        world.state().assert_same_as(&before, "after the hour");
    });
}

fn is_welcomed_as_the_owner(world: &World, terminal: &mut Terminal) {
    let banner = terminal.wait(READS);
    let lines: Vec<&str> = banner.lines().collect();
    assert_eq!(lines.len(), 2, "{banner}");
    let who = format!("owner at {}, backend ", world.socket().display());
    assert!(lines[0].contains(&who), "{banner}");
    assert!(lines[1].starts_with("`?' tells what can follow"), "{banner}");
    let mode = fs::metadata(world.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    terminal.typed("taptool#");
}

/// Command, option and value are completed by Tab, each as far as it is certain.
fn creates_with_tab(world: &World, terminal: &mut Terminal) {
    terminal.keys("cre");
    terminal.keys(TAB);
    terminal.typed("taptool# create");
    terminal.keys("tap0 host-n");
    terminal.keys(TAB);
    // The kind of value that is due stands behind it.
    terminal.typed("taptool# create tap0 host-ns NS");
    terminal.keys("f");
    terminal.keys(TAB);
    terminal.typed("taptool# create tap0 host-ns foo");
    terminal.keys("host-ip");
    terminal.keys(TAB);
    terminal.keys("4-a");
    terminal.keys(TAB);
    terminal.typed("taptool# create tap0 host-ns foo host-ip4-addr ADDR/LEN");
    let rest = format!("10.9.0.1/24 respond 10.9.0.2/24 backend {}", backend());
    assert_eq!(terminal.line(&rest), "tap0\n");
    assert_eq!(world.links("foo"), ["tap0"]);
    world.ping_answered("foo", "10.9.0.2");
    // Other commands reach what lives here.
    assert!(world.done("show").contains("foo:tap0"));
}

fn is_told_what_is_wrong_and_what_comes_next(terminal: &mut Terminal) {
    assert_eq!(
        terminal.line("create tap1 host-nss foo"),
        "                     ^^^^^^^^\n\
         create: unknown input `host-nss'\n  did you mean `host-ns'\n"
    );
    assert_eq!(
        terminal.line("s tap0"),
        "         ^\nambiguous input `s'\n  could be `show', `set', `save'\n"
    );
    assert_eq!(terminal.line("show tap9"), "show: `tap9' is neither a table nor an interface\n");
    // In the middle of a line, and the line goes on from there.
    let next = terminal.line("create tap1 host-ns foo host-mtu-size ?");
    assert!(
        next.starts_with("  N  MTU, bytes, 68-65521, of a tun 68-65535 [default: 1500]"),
        "{next}"
    );
    let next = terminal.line("create tap1 host-ns foo ?");
    assert!(next.contains("\n  rx-ring-size N "), "{next}");
    assert!(!next.contains("\n  host-ns NS "), "it is given already: {next}");
    terminal.keys("\x1b[A");
    terminal.typed("taptool# create tap1 host-ns foo");
    assert_eq!(terminal.line(&format!(" backend {}", backend())), "tap1\n");
    assert_eq!(terminal.line("delete tap1"), "");
}

/// Packets that interface and direction have counted, as they stand on the screen.
fn packets(screen: &str, name: &str, queue: &str) -> Option<u64> {
    let (_, of_it) = screen.rsplit_once(&format!("\n{name} "))?;
    let line = of_it.lines().find(|line| line.trim_start().starts_with(queue))?;
    line.trim_start().strip_prefix(queue)?.split_whitespace().next()?.parse().ok()
}

fn watches_counters_until_a_key(world: &World, terminal: &mut Terminal) {
    terminal.silent("clear interfaces");
    terminal.send("show --watch 0.2");
    terminal.screen("nothing received", |screen| packets(screen, "tap0", "rx 0") == Some(0));
    world.ping_answered("foo", "10.9.0.2");
    terminal.screen("five echo requests and their answers", |screen| {
        packets(screen, "tap0", "rx 0") >= Some(5) && packets(screen, "tap0", "tx 0") >= Some(5)
    });
    terminal.screen("one table, drawn over again", |screen| {
        screen.matches("Interface  Host side").count() == 1
    });
    terminal.keys(" ");
    terminal.wait(READS);
    // The key was no part of a line.
    terminal.typed("taptool#");
}

fn turns_gso_off_and_on(world: &World, terminal: &mut Terminal) {
    let offload = || {
        let all = world.must("ip netns exec foo ethtool -k tap0");
        let line = all.lines().find(|line| line.starts_with("tcp-segmentation-offload:"));
        line.unwrap_or_else(|| panic!("{all}")).to_owned()
    };
    for (line, now) in [
        ("gso tap0 on", "tcp-segmentation-offload: on"),
        ("gso tap0 off", "tcp-segmentation-offload: off"),
        ("set tap gso tap0 enable", "tcp-segmentation-offload: on"),
    ] {
        terminal.silent(line);
        assert_eq!(offload(), now, "after {line}");
    }
}

fn goes_on_with_a_line_above_which_a_rename_is_told(world: &World, terminal: &mut Terminal) {
    terminal.keys("show ta");
    terminal.typed("taptool# show tap");
    // Not every kernel renames a link that is up.
    for (change, told) in [
        ("set tap0 down", "tap0: host side set down\n"),
        ("set tap0 name eth9", "tap0: host side renamed from tap0 to eth9\n"),
        ("set eth9 up", "tap0: host side set up\n"),
    ] {
        world.ip(&format!("-n foo link {change}"));
        terminal.wait(told);
    }
    // Whole, with its hint, and under what was told.
    terminal.typed("taptool# show tap");
    terminal.screen("the line below the message", |screen| {
        screen.trim_end().ends_with("tap0: host side set up\ntaptool# show tap")
    });
    let shown = terminal.line("p tap0");
    assert!(shown.contains("eth9"), "{shown}");
    world.ping_answered("foo", "10.9.0.2");
}

fn runs_scripts(world: &World, terminal: &mut Terminal) {
    let backend = backend();
    let inner = world.dir().join("inner.cli");
    fs::write(&inner, "# ours\nset interface state tap3 down\n").unwrap();
    let script = world.dir().join("vpp.cli");
    let text = format!(
        "# as VPP has it\n\
         comment `nothing of this\n\
         create tap id 3 \\\n  host-ns foo \\\n  host-if-name vpp3 backend {backend}\n\
         set interface ip address tap3 10.8.0.2/24\n\
         exec {}\n\
         echo that was all\n",
        inner.display()
    );
    fs::write(&script, text).unwrap();
    let said = terminal.line(&format!("exec {}", script.display()));
    assert_eq!(said, "tap3\nthat was all\n");
    let shown = terminal.line("show tap3");
    assert!(shown.contains("foo:vpp3") && shown.contains("respond"), "{shown}");

    let failing = world.dir().join("failing.cli");
    fs::write(&failing, "show version\n\nset interface state tap8 up\necho never\n").unwrap();
    let outer = world.dir().join("outer.cli");
    fs::write(&outer, format!("exec {}\necho never\n", failing.display())).unwrap();
    let said = terminal.line(&format!("exec {}", outer.display()));
    let refusal =
        format!("{}:3: set interface state: tap8: no such interface\n", failing.display());
    assert!(said.ends_with(&refusal), "{said}");
    assert!(!said.contains("never"), "{said}");
}

fn uses_macros_and_looks_back(terminal: &mut Terminal) {
    terminal.silent("define NS foo");
    terminal.silent("define PLACE host-ns $(NS) host-mtu-size 1400");
    let macros = terminal.line("show macro");
    let rows: Vec<Vec<&str>> =
        macros.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NS", "foo"], "{macros}");
    assert_eq!(rows[1], ["PLACE", "host-ns", "foo", "host-mtu-size", "1400"], "{macros}");
    terminal.create("tap4", "$(PLACE)");
    let shown = terminal.line("show tap4");
    assert!(shown.contains("foo:tap4"), "{shown}");
    terminal.silent("undefine NS");
    let refused = terminal.line("create tap5 host-ns $(NS)");
    assert_eq!(
        refused,
        "                             ^^^^^\n\
         create: unknown macro `NS'\n  there are `PLACE'\n"
    );
    let history = terminal.line("history 3");
    let lines: Vec<&str> = history.lines().map(|line| line.trim_start()).collect();
    assert_eq!(lines.len(), 3, "{history}");
    assert!(lines[0].ends_with("  undefine NS"), "{history}");
    assert!(lines[1].ends_with("  create tap5 host-ns $(NS)"), "{history}");
    assert!(lines[2].ends_with("  history 3"), "{history}");
    let refused = terminal.line("sh tap 'tap0");
    assert_eq!(refused, "                ^^^^^\nshow tap: a quote or an escape has no end\n");
    let refused = terminal.line("foo");
    assert_eq!(refused, "         ^^^\nunknown input `foo'\n  `?' lists the commands\n");
    let refused = terminal.line("history x");
    assert!(
        refused.ends_with("\nhistory: x: not a number of lines between 1 and 1000\n"),
        "{refused}"
    );
}

fn detaches(world: &World, mut terminal: Terminal) {
    let shell = terminal.shell();
    terminal.send("detach");
    terminal.wait("a holder in the background keeps tap0, tap3, tap4\n");
    assert_eq!(terminal.ended(), 0);
    drop(terminal);
    // It goes on, in a session of its own.
    let stat = fs::read_to_string(format!("/proc/{shell}/stat")).unwrap();
    let session = stat.rsplit_once(") ").unwrap().1.split(' ').nth(3).unwrap();
    assert_eq!(session, shell.to_string());
    world.ping_answered("foo", "10.9.0.2");
}

fn reattaches_from_another_terminal(world: &World) {
    let mut terminal = Terminal::open(world, "", Kind::default());
    let banner = terminal.wait(READS);
    let client = format!("client of the holder at {}", world.socket().display());
    assert!(banner.contains(&client), "{banner}");
    let shown = terminal.line("show");
    assert!(shown.contains("foo:eth9") && shown.contains("foo:vpp3"), "{shown}");
    // Names of what another process holds are completed too.
    terminal.keys("show tap4");
    terminal.keys(TAB);
    terminal.typed("taptool# show tap4");
    let shown = terminal.line("");
    assert!(shown.contains("foo:tap4"), "{shown}");
    terminal.quit();
    world.ping_answered("foo", "10.9.0.2");
}

fn comes_back_and_deletes(world: &World) {
    let mut terminal = Terminal::start(world, "");
    terminal.silent("delete tap3 tap4");
    assert_eq!(world.links("foo"), ["eth9"]);
    terminal.send("del tap0");
    // It was told to live as long as it holds something.
    terminal.wait("the holder has gone: there are no interfaces any more\n");
    terminal.typed("taptool#");
    assert_eq!(world.links("foo"), Vec::<String>::new());
    assert_eq!(terminal.line("show"), "");
    terminal.quit();
}
