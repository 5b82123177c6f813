//! TAB in real shells: each reads the script of `completions/` and says what it would offer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{env, fs};

use assert_cmd::cargo::cargo_bin;
use common::{has, live, text};

/// Longest that a shell may take, seconds: one that waits for more would wait for ever.
const LONGEST: &str = "60";

fn completions() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("completions")
}

/// A command that finds our taptool in its PATH.
fn command(words: &[&str]) -> Command {
    let mut paths = vec![cargo_bin("taptool").parent().unwrap().to_owned()];
    paths.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    let mut command = Command::new("timeout");
    command.arg(LONGEST).args(words).env("PATH", env::join_paths(paths).unwrap());
    command.env("TAPTOOL_SOCKET", "/nonexistent/ctl.sock");
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).current_dir(completions());
    command
}

#[track_caller]
fn lines(output: Output) -> Vec<String> {
    assert_eq!((text(&output.stderr), output.status.code()), (String::new(), Some(0)));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// What bash offers for the last of `words`, which are as bash breaks them.
#[track_caller]
fn bash(before: &[&str], words: &[&str]) -> Vec<String> {
    let script = r#"
        source taptool.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        # Behind a break the word under the cursor is empty.
        last=${COMP_WORDS[COMP_CWORD]} ; [[ $last != [:=] ]] || last=
        "$(complete -p taptool | sed 's/.*-F \([^ ]*\) .*/\1/')" taptool "$last" ''
        [[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let bash = ["bash", "--norc", "-c", script, "bash"];
    lines(command(&[before, &bash, words].concat()).output().unwrap())
}

#[test]
fn bash_offers_what_comes_next_and_the_rest_of_words_that_it_broke() {
    let check = |words: &[&str], expected: &[&str]| {
        assert_eq!(bash(&[], words), expected, "{words:?}");
    };
    check(&["taptool", "cre"], &["create"]);
    check(&["taptool", "create", "tap0", "host-m"], &["host-mac-addr", "host-mtu-size"]);
    check(&["taptool", "set", "int", "st"], &["state"]);
    check(&["taptool", "create", "--backend", "="], &["auto", "vhost-net", "userspace"]);
    check(&["taptool", "create", "--backend", "=", "u"], &["userspace"]);
    check(&["taptool", "hold", "exec", "taptool.z"], &["taptool.zsh"]);
    check(&["taptool", "nonesuch", ""], &[]);
}

#[test]
fn names_are_those_of_the_moment() {
    live(|world| {
        world.netns("blue");
        world.netns("black");
        world.ip("-n blue link add br7 type bridge");
        let check = |before: &[&str], words: &[&str], expected: &[&str]| {
            assert_eq!(bash(before, words), expected, "{words:?}");
        };
        check(&[], &["taptool", "create", "tap0", "host-ns", "b"], &["black", "blue"]);
        check(&[], &["taptool", "create", "--netns", ""], &["black", "blue", "pid:"]);
        check(
            &[],
            &["taptool", "create", "--netns", "/run/netns/bl"],
            &["/run/netns/black", "/run/netns/blue"],
        );
        world.ip("netns del black");
        check(&[], &["taptool", "create", "tap0", "host-ns", "bl"], &["blue"]);

        let inside = ["ip", "netns", "exec", "blue"];
        check(&inside, &["taptool", "create", "tap0", "host-bridge", ""], &["br7"]);
        // Which bridges are elsewhere, nobody here knows.
        check(&inside, &["taptool", "create", "netns", "/x", "host-bridge", ""], &[]);
        // Ours is offered by nobody's number, others' by that of a process in it.
        let ours = bash(&[], &["taptool", "create", "netns", "pid", ":"]);
        let theirs = bash(&inside, &["taptool", "create", "netns", "pid", ":"]);
        assert!(!theirs.is_empty() && ours != theirs, "{ours:?} {theirs:?}");
        assert!(theirs.iter().all(|pid| pid.parse::<u32>().is_ok()), "{theirs:?}");
    });
}

/// Has the holder at a socket end, also where the test fails.
struct Ending<'a>(&'a str);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let mut taptool = command(&["taptool", "--socket", self.0, "delete", "--all"]);
        let _ = taptool.stderr(Stdio::null()).status();
    }
}

#[test]
fn interfaces_are_those_of_the_holder_that_the_line_is_about() {
    live(|_world| {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("ctl.sock");
        let socket = socket.to_str().unwrap();
        let taptool = |words: &[&str]| {
            lines(
                command(&[&["taptool", "-q", "--socket", socket], words].concat())
                    .output()
                    .unwrap(),
            )
        };
        let offered =
            |words: &[&str]| bash(&[], &[&["taptool", "--socket", socket], words].concat());

        assert_eq!(offered(&["gso", ""]), [""; 0]);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a TAB started something");
        let _ending = Ending(socket);
        taptool(&["create", "tap0"]);
        taptool(&["create", "tap1"]);
        assert_eq!(offered(&["gso", ""]), ["tap0", "tap1"]);
        assert_eq!(offered(&["sh", "tap", "tap0", "ta"]), ["tap1"]);
        assert_eq!(offered(&["set", "int", "state", "tap1", ""]), ["up", "down"]);
        assert_eq!(offered(&["xconnect", "tap0", ""]), ["tap1"]);
        assert_eq!(offered(&["delete", "sw_if_index", ""]), ["1", "2"]);
        let del = ["set", "interface", "ip", "address", "del", "tap0", ""];
        assert_eq!(offered(&del), ["all"]);
        taptool(&["set", "interface", "ip", "address", "tap0", "10.9.0.2/24"]);
        assert_eq!(offered(&del), ["10.9.0.2/24", "all"]);
        // A new interface is not called as one that is there.
        assert_eq!(offered(&["create", "ta"]), ["tap"]);
        taptool(&["delete", "tap0"]);
        assert_eq!(offered(&["delete", "tap"]), ["tap", "tap1"]);
        taptool(&["delete", "--all"]);
        assert_eq!(offered(&["gso", ""]), [""; 0]);
    });
}

#[test]
fn a_holder_that_does_not_answer_is_not_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("ctl.sock");
    let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let started = std::time::Instant::now();
    let offered = bash(&[], &["taptool", "--socket", socket.to_str().unwrap(), "gso", ""]);
    assert_eq!(offered, [""; 0]);
    assert!(started.elapsed() < common::patience(5.0), "{:?}", started.elapsed());
}

#[test]
fn fish_offers_what_comes_next_with_what_it_means() {
    if !has("fish", "fish") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let offered = |line: &str| {
        let script = format!("source taptool.fish; complete -C '{line}'");
        let mut fish = command(&["fish", "--no-config", "-c", &script]);
        lines(fish.env("HOME", home.path()).output().unwrap())
    };
    assert_eq!(offered("taptool cre"), ["create\tCreate an interface and print its name"]);
    assert_eq!(
        offered("taptool sh tap tap0 desc"),
        ["descriptors\tAlso the descriptor tables of the rings"]
    );
    assert_eq!(offered("taptool gso tap0 "), ["on", "off"]);
    assert_eq!(offered("taptool hold exec taptool.z"), ["taptool.zsh"]);
    assert_eq!(offered("taptool nonesuch "), [""; 0]);
}

#[test]
fn zsh_completes_at_the_first_tab_after_it_found_the_script_by_itself() {
    if !has("zsh", "zsh") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    fs::copy(completions().join("taptool.zsh"), directory.path().join("_taptool")).unwrap();
    // A terminal of its own, in which keys are pressed; each read waits for what it names.
    let script = r#"
        zmodload zsh/zpty
        zpty shell zsh -f -i
        zpty -w shell "PS1=; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u; print RE''ADY"
        zpty -r shell said '*READY*'
        zpty -w -n shell $'taptool cre\t'
        zpty -r shell said '*taptool create *'
        zpty -w -n shell $'tap0 --backend u\t'
        zpty -r shell said '*tap0 --backend userspace *'
        zpty -w -n shell $'host-b\t'
        zpty -r shell said '*host-bridge *'
        print done
    "#;
    let mut zsh = command(&["zsh", "-f", "-c", script, "zsh", directory.path().to_str().unwrap()]);
    assert_eq!(lines(zsh.env("TERM", "dumb").output().unwrap()), ["done"]);
}

#[test]
fn nothing_is_printed_where_nothing_can_be_offered() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    for (shell, words) in [
        ("nonesuch", &["taptool", "cre"][..]),
        ("bash", &["taptool", "nonesuch", ""]),
        ("bash", &["taptool"]),
        ("fish", &["taptool", "create", "--nonesuch", ""]),
        ("zsh", &["nonesuch"]),
    ] {
        let mut taptool = Command::new(cargo_bin("taptool"));
        taptool.env("_TAPTOOL_COMPLETE", shell).env("_CLAP_COMPLETE_INDEX", "2");
        let out = taptool.arg("--").args(words).stdin(Stdio::null()).output().unwrap();
        assert_eq!((text(&out.stdout), text(&out.stderr)), (String::new(), String::new()));
        let out = taptool.stdout(full()).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(text(&out.stderr), "", "{shell} {words:?}");
    }
}

#[test]
fn an_empty_variable_completes_nothing() {
    let mut taptool = Command::new(cargo_bin("taptool"));
    let out = taptool.arg("--version").env("_TAPTOOL_COMPLETE", "").output().unwrap();
    assert!(text(&out.stdout).starts_with("taptool "));
}
