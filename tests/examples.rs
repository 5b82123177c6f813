//! The examples in the help of every command, run as they stand there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;

use std::fs;

use common::{World, backend, eventually, live, taptool, text};
use nix::sys::signal::Signal;
use taptool::cli;

/// Commands that only a person's shell has; the tests of the shell type them.
const SHELL: &[&str] = &["detach", "history", "quit"];

/// What is there before the examples of a command: `foo`, four taps and a tun in it, a script, and
/// what else commands of its kind need.
fn prepare(world: &World, command: &str) {
    if command.is_empty() {
        return;
    }
    world.quiet_netns("foo");
    fs::write(world.dir().join("taps.conf"), "create tap9 host-ns foo\n").unwrap();
    let starts = is_create_of_an_interface(command) || command == "create bridge-domain";
    if starts || matches!(command, "exec" | "hold" | "define") {
        return;
    }
    // The first has two receive queues, and four transmit queues, one for each poller.
    world.done("-q --pollers 4 create tap0 --netns foo num-rx-queues 2");
    for name in ["tap1", "tap2", "tap3"] {
        world.done(&format!("-q create {name} --netns foo"));
    }
    world.done("-q create tun tun0 --netns foo");
    if command.contains("l2fib") || command.contains("bridge-domain") {
        world.done("create bridge-domain 7");
        world.done("set interface l2 bridge tap0 1");
        world.done("l2fib add 02:fe:00:00:00:07 1 tap0");
    }
    if command.contains("tag-rewrite") || command.starts_with("delete sub") {
        world.done("create sub-interfaces tap0 10");
        world.done("create sub-interfaces tap0 20-29");
    }
    if command.starts_with("nsim") {
        world.done("set nsim delay 10.0 ms bandwidth 1 gbit");
    }
}

/// Whether a line takes `backend`.
fn is_create_of_an_interface(line: &str) -> bool {
    let other = ["create bridge-domain", "create sub"].iter().any(|words| line.starts_with(words));
    line.starts_with("create") && !other
}

fn tidy(world: &World, command: &str) {
    world.done("delete --all");
    world.nothing_left();
    if !command.is_empty() {
        assert_eq!(world.links("foo"), Vec::<String>::new(), "after the examples of `{command}'");
    }
    world.ip("netns del foo");
}

/// A line for a shell, without what would change the machine or never end.
fn shell_line(world: &World, line: &str) -> String {
    let line = line.trim_start_matches("sudo ");
    let line = match line.split_once(" > ") {
        Some((line, _)) => format!("{line} > {}", world.dir().join("out").display()),
        None => line.to_owned(),
    };
    if line.contains(" ping ") { format!("{line} -c 1") } else { line }
}

/// Runs a line of a shell. What goes on until it is told to stop is told so.
fn run(world: &World, line: &str) {
    let directory = taptool().parent().unwrap().to_owned();
    let script = format!(
        "cd {}; PATH={}:$PATH; export TAPTOOL_SOCKET={}; {}",
        world.dir().display(),
        directory.display(),
        world.socket().display(),
        shell_line(world, line)
    );
    let stays = line.contains(" hold ") && !line.contains("--print-unit");
    let stays = stays || line.ends_with(" monitor");
    // `exec': the signal is the program's, not the shell's.
    let script = if stays && !line.contains('|') {
        let (before, last) = script.rsplit_once("; ").unwrap();
        format!("{before}; exec {last}")
    } else {
        script
    };
    let mut process = world.start(&shlex::try_join(["sh", "-c", &script]).unwrap());
    if line.contains(" hold ") && stays {
        eventually("the script of the holder has run", 20.0, || !world.objects("show").is_empty());
        if line.contains('|') {
            world.done("delete --all");
            for pid in world.holders() {
                let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
                nix::sys::signal::kill(pid, Signal::SIGTERM).unwrap();
            }
        } else {
            process.signal(Signal::SIGTERM);
        }
    } else if stays {
        assert!(process.running(), "{line}");
        world.done("delete --all");
    }
    let out = process.output(60.0);
    let said = text(&out.stderr);
    // A finding is a verdict, not a failure of the command.
    let found = line.contains("doctor") && out.status.code() == Some(1) && said.is_empty();
    assert!(out.status.success() || found, "{line}: {} {said}", out.status);
}

fn check(world: &World, command: &clap::Command, path: &str) {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let example = |line: &str| -> Option<String> {
        let line = line.strip_prefix("  ").or_else(|| line.strip_prefix("Example: "))?;
        Some(line.to_owned())
    };
    let examples: Vec<String> = help.lines().filter_map(example).collect();
    let group = command.is_subcommand_required_set();
    assert!(group || command.is_hide_set() || !examples.is_empty(), "`{path}' has no example");
    if !SHELL.contains(&path) && !examples.is_empty() {
        prepare(world, path);
        let mut lines = vec!["define WHO me".to_owned()];
        // What is undefined there must be there.
        lines.extend((path == "undefine").then(|| "define NS foo".to_owned()));
        for line in &examples {
            let first = line.split_whitespace().next().unwrap();
            if matches!(first, "taptool" | "sudo" | "ip" | "echo") && path != "echo" {
                run(world, line);
            } else if is_create_of_an_interface(line) {
                lines.push(format!("{line} backend {}", backend()));
            } else {
                lines.push(line.clone());
            }
        }
        let script = world.dir().join("examples");
        fs::write(&script, lines.join("\n") + "\n").unwrap();
        let (code, _, stderr) = world.run(&format!("-q exec {}", script.display()));
        assert_eq!((code, stderr.as_str()), (0, ""), "{lines:#?}");
        tidy(world, path);
    }
    for child in command.get_subcommands().filter(|child| !child.is_hide_set()) {
        check(world, child, format!("{path} {}", child.get_name()).trim());
    }
}

#[test]
fn every_example_of_every_command_runs_as_it_stands() {
    live(|world| check(world, &cli::tree(), ""));
}
