//! README says what the program does: its commands are run and their output compared, its links
//! lead somewhere, and it stays short.
//!
//! `TAPTOOL_UPDATE_README=1` writes what was found instead of comparing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use std::{env, fs, thread};

use assert_cmd::cargo::cargo_bin;
use common::{Kind, READS, TAKEN, Terminal, World, live, patience};

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

fn updating() -> bool {
    env::var_os("TAPTOOL_UPDATE_README").is_some_and(|v| v == "1")
}

/// Lines that a newcomer may be asked to read.
const LINES_MAX: usize = 250;

#[test]
fn readme_is_at_most_250_lines_long() {
    let lines = fs::read_to_string(path()).unwrap().lines().count();
    assert!(
        lines <= LINES_MAX,
        "{lines} lines: tables belong to the manual, reasons to src/lib.rs"
    );
}

#[test]
fn every_file_and_section_that_readme_links_to_exists() {
    let text = fs::read_to_string(path()).unwrap();
    let anchor = |title: &str| title.to_lowercase().replace(' ', "-");
    let titles: Vec<String> =
        text.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
    let links: Vec<&str> = text
        .split("](")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap())
        .filter(|link| !link.starts_with("https://"))
        .collect();
    assert!(links.len() > 5, "{links:?}");
    for link in links {
        match link.strip_prefix('#') {
            Some(title) => assert!(titles.iter().any(|t| t == title), "no section {title}"),
            None => assert!(path().with_file_name(link).exists(), "no file {link}"),
        }
    }
}

/// The commands of a block of README and what it says that they print.
fn blocks(kind: &str, prompt: &str) -> Vec<Vec<(String, Vec<String>)>> {
    let text = fs::read_to_string(path()).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line == format!("```console {kind}")) {
        let mut block: Vec<(String, Vec<String>)> = Vec::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            match line.strip_prefix(prompt) {
                Some(command) => block.push((command.to_owned(), Vec::new())),
                None => block.last_mut().unwrap().1.push(line.to_owned()),
            }
        }
        blocks.push(block);
    }
    assert!(!blocks.is_empty(), "README has no block of {kind}");
    blocks
}

fn write_blocks(kind: &str, prompt: &str, blocks: &[Vec<(String, Vec<String>)>]) {
    let text = fs::read_to_string(path()).unwrap();
    let begin = format!("```console {kind}\n");
    let mut parts = text.split(&begin);
    let mut whole = parts.next().unwrap().to_owned();
    for (block, rest) in blocks.iter().zip(parts) {
        whole.push_str(&begin);
        for (command, lines) in block {
            writeln!(whole, "{prompt}{command}").unwrap();
            lines.iter().for_each(|line| writeln!(whole, "{line}").unwrap());
        }
        whole.push_str(&rest[rest.find("```").unwrap()..]);
    }
    fs::write(path(), whole).unwrap();
}

/// What is the same in every run: not numbers, addresses that nobody asked for, and the room that
/// they take. No loss stays no loss.
fn essence(line: &str) -> String {
    let word = |word: &str| {
        // An address of the tour, not a rate of 10.8 Gbit/s.
        let address = word.starts_with("10.") && word.matches('.').count() == 3;
        if word == "0%" || address {
            return word.to_owned();
        }
        if word.len() == 17 && word.matches(':').count() == 5 {
            return "MAC".to_owned();
        }
        if word.starts_with("0x") {
            return "0xN".to_owned();
        }
        if word.starts_with("fe80::") {
            return "fe80::N".to_owned();
        }
        let unit = word.trim_start_matches(['K', 'M', 'G']);
        let word = if unit == "Bytes" || unit == "bits/sec" { unit } else { word };
        let mut short = String::new();
        for c in word.chars() {
            let number = c.is_ascii_digit() || (c == '.' && short.ends_with('N'));
            if !number || !short.ends_with('N') {
                short.push(if number { 'N' } else { c });
            }
        }
        short
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// The essence of an output. Which of a queue's counters are above zero, and so where their list is
/// broken, is not the same in every run.
fn essences(lines: &[String]) -> Vec<String> {
    let lists = lines.iter().filter(|l| !(l.starts_with("      ") && l.contains(char::is_numeric)));
    let short = lists.map(|l| match l.strip_prefix("    packets ") {
        Some(_) => "packets and more".to_owned(),
        None => essence(l),
    });
    short.collect()
}

/// A shell that runs one command after another.
struct Shell {
    child: Child,
    lines: Receiver<String>,
}

/// Ends the output of a command in the foreground.
const DONE: &str = "-- done --";

impl Shell {
    fn start(here: &World, directory: &Path) -> Self {
        let program = env::var_os("TAPTOOL_BIN").map_or_else(|| cargo_bin("taptool"), Into::into);
        let mut paths = vec![program.parent().unwrap().to_owned()];
        paths.extend(env::split_paths(&env::var_os("PATH").unwrap()));
        let mut child = Command::new("bash")
            .current_dir(directory)
            .env("PATH", env::join_paths(paths).unwrap())
            .env("LC_ALL", "C")
            .env("NO_COLOR", "1")
            .env("TAPTOOL_SOCKET", here.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        writeln!(child.stdin.as_mut().unwrap(), "exec 2>&1").unwrap();
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines() {
                let _ = send.send(line.unwrap());
            }
        });
        Self { child, lines }
    }

    /// Runs a command; gives its output and that of others meanwhile: at least `expected` lines if
    /// so many come. A line too many that comes later is seen with the next command, or at the end.
    fn run(&mut self, command: &str, expected: usize) -> Vec<String> {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{command}\necho '{DONE}'").unwrap();
        let (mut lines, mut done) = (Vec::new(), false);
        loop {
            // How many are expected is not known while README is written anew.
            let wait = match (done, updating(), lines.len() >= expected) {
                (true, true, _) => Duration::from_secs(2),
                (true, false, true) => return lines,
                _ => patience(10.0),
            };
            match self.lines.recv_timeout(wait) {
                Ok(line) if line == DONE => done = true,
                // What is missing here is no news to a reader of README.
                Ok(line) if line.contains("open /dev/vhost-net: ") && !updating() => {}
                Ok(line) => lines.push(line.trim_end().to_owned()),
                Err(_) if done => return lines,
                Err(e) => panic!("{command}: {e}: {lines:#?}"),
            }
        }
    }
}

impl Shell {
    /// Ends it; what it and those that it started still print.
    fn rest(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(patience(10.0)) {
                Ok(line) => lines.push(line),
                Err(RecvTimeoutError::Disconnected) => return lines,
                Err(RecvTimeoutError::Timeout) => panic!("somebody still has its output open"),
            }
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_tour_prints_what_readme_says() {
    live(|world| {
        let directory = tempfile::tempdir().unwrap();
        let mut shell = Shell::start(world, directory.path());
        let mut blocks = blocks("tour", "# ");
        for (command, said) in blocks.iter_mut().flatten() {
            said.retain(|line| updating() || !line.contains("open /dev/vhost-net: "));
            let found = shell.run(command, said.len());
            if !updating() {
                let (ours, theirs) = (essences(&found), essences(said));
                assert_eq!(ours, theirs, "{command}:\n{}", found.join("\n"));
            }
            *said = found;
        }
        if updating() {
            write_blocks("tour", "# ", &blocks);
        }
        assert_eq!(shell.rest(), Vec::<String>::new());
        world.nothing_left();
        // Nothing is left: the namespaces have their loopback device alone.
        for netns in ["foo", "left", "right"] {
            assert_eq!(world.links(netns), Vec::<String>::new());
        }
    });
}

#[test]
fn the_shell_prints_what_readme_says() {
    live(|world| {
        world.quiet_netns("foo");
        let kind = Kind { size: (50, 100), env: &[("NO_COLOR", "1")] };
        let mut terminal = Terminal::open(world, "--no-pager", kind);
        terminal.wait(READS);
        let mut blocks = blocks("shell", "taptool# ");
        for (command, said) in blocks.iter_mut().flatten() {
            let text = if command == "quit" {
                terminal.send(command);
                let mut text = terminal.wait(READS).trim_start().to_owned();
                terminal.keys("quit\r");
                text.push_str(&terminal.wait(TAKEN));
                assert_eq!(terminal.ended(), 0);
                text
            } else {
                terminal.line(command)
            };
            // What is missing here is no news to a reader of README.
            let told = |line: &&str| !line.contains("open /dev/vhost-net: ");
            let found: Vec<String> = text.lines().filter(told).map(str::to_owned).collect();
            if !updating() {
                let (ours, theirs) = (essences(&found), essences(said));
                assert_eq!(ours, theirs, "{command}:\n{}", found.join("\n"));
            }
            *said = found;
        }
        if updating() {
            write_blocks("shell", "taptool# ", &blocks);
        }
        world.nothing_left();
        assert_eq!(world.links("foo"), Vec::<String>::new());
    });
}

#[test]
fn the_errors_are_those_that_readme_shows() {
    for (command, said) in blocks("errors", "$ ").into_iter().flatten() {
        let words = shlex::split(&command).unwrap();
        assert_eq!(words[0], "taptool");
        let mut command = Command::new(cargo_bin("taptool"));
        let out = command
            .args(&words[1..])
            .env("NO_COLOR", "1")
            .env("TAPTOOL_SOCKET", "/nonexistent/s")
            .output()
            .unwrap();
        assert_ne!(out.status.code(), Some(0));
        let found = String::from_utf8(out.stderr).unwrap();
        assert_eq!(found.lines().collect::<Vec<_>>(), said, "{words:?}");
    }
}
