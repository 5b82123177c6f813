//! VPP's own lines about taps, script by script, through `taptool exec`: `vpp_lines.txt` says what
//! becomes of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::common::{World, live};

const TABLE: &str = include_str!("vpp_lines.txt");

/// Lines of the table, and of them those that differ.
const LINES: (usize, usize) = (258, 201);

/// What a line of VPP's may need that taptool does not have.
const LACKING: [&str; 4] = ["layer-3", "session", "hardware", "capture"];

/// What is being made.
const UNDER_WAY: [&str; 6] =
    ["(bridge)", "(queues)", "(offload)", "(attach)", "(sub-interface)", "(after)"];

/// A line, and what is expected of it.
#[derive(Debug)]
struct Line {
    taken_by_vpp: bool,
    here: &'static str,
    text: &'static str,
}

/// The scripts, in order.
fn scripts() -> Vec<(&'static str, Vec<Line>)> {
    let mut scripts: Vec<(&str, Vec<Line>)> = Vec::new();
    for row in TABLE.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        if let Some(name) = row.strip_prefix('[') {
            scripts.push((name.trim_end_matches(']'), Vec::new()));
            continue;
        }
        let (vpp, rest) = row.split_once(' ').unwrap();
        let (here, text) = rest.trim_start().split_once(' ').unwrap();
        let line = Line { taken_by_vpp: vpp == "yes", here, text: text.trim_start() };
        scripts.last_mut().unwrap().1.push(line);
    }
    scripts
}

/// What was said of each line that was refused, by its number: the refusal, then its hints.
fn refusals(script: &str, stderr: &str) -> BTreeMap<usize, Vec<String>> {
    let mut all: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut last = 0;
    for line in stderr.lines() {
        let at =
            line.split_once(&format!("/{script}:")).and_then(|(_, rest)| rest.split_once(": "));
        match at.and_then(|(number, said)| Some((number.parse().ok()?, said))) {
            Some((number, said)) => {
                last = number;
                all.entry(number).or_default().push(said.to_owned());
            }
            None => all.entry(last).or_default().push(line.to_owned()),
        }
    }
    all
}

/// Runs a script where VPP's ran: with two namespaces, a bridge and a persistent tap. Gives what was
/// refused of it.
fn run(world: &World, name: &str, lines: &[Line]) -> BTreeMap<usize, Vec<String>> {
    for netns in ["ns1", "ns2"] {
        world.netns(netns);
    }
    world.ip("link add name br type bridge");
    world.ip("tuntap add dev pt0 mode tap user root");
    let script = world.dir().join(name);
    let text: Vec<&str> = lines.iter().map(|line| line.text).collect();
    std::fs::write(&script, text.join("\n") + "\n").unwrap();
    let (_, _, stderr) = world.run(&format!("-q exec {} --keep-going", script.display()));
    let _ = world.run("-q delete --all");
    world.nothing_left();
    for command in
        ["link del dev br", "tuntap del dev pt0 mode tap", "netns del ns1", "netns del ns2"]
    {
        world.ip(command);
    }
    refusals(name, &stderr)
}

#[test]
fn every_line_of_vpps_scripts_is_done_or_refused_as_the_table_says() {
    let scripts = scripts();
    let all: Vec<&Line> = scripts.iter().flat_map(|(_, lines)| lines).collect();
    let different: BTreeSet<&str> = all.iter().map(|line| line.text).collect();
    assert_eq!((all.len(), different.len()), LINES);
    live(move |world| {
        let mut wrong = String::new();
        for (name, lines) in &scripts {
            let refused = run(world, name, lines);
            for (number, line) in (1..).zip(lines) {
                let said = refused.get(&number);
                let right = match (line.here, said) {
                    ("yes", None) | ("no" | "wrong" | "taken" | "after", Some(_)) => true,
                    (here, None) => UNDER_WAY.contains(&here),
                    // With what to do instead.
                    (here, Some(said)) if LACKING.contains(&here) => said.len() > 1,
                    (here, Some(_)) => UNDER_WAY.contains(&here),
                };
                if !right {
                    let (here, text) = (line.here, line.text);
                    writeln!(wrong, "[{name}] {number} {here}: {text}\n  {said:?}").unwrap();
                }
            }
        }
        assert_eq!(wrong, "", "the table says otherwise");
    });
}

#[test]
fn what_vpp_takes_is_done_unless_its_row_says_why_not() {
    for (name, lines) in scripts() {
        for line in lines {
            let why = LACKING.contains(&line.here) || UNDER_WAY.contains(&line.here);
            let known = why || matches!(line.here, "yes" | "no" | "wrong" | "taken" | "after");
            assert!(known, "[{name}] {line:?}");
            assert!(!line.taken_by_vpp || line.here != "no", "[{name}] {line:?}");
        }
    }
}
