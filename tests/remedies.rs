//! Each command that doctor gives is run by a test in the situation that prints it, or has the reason
//! why it is not. A remedy that is added has to be entered here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What becomes of the remedies of a function.
enum Fate {
    /// A live test breaks the thing, runs the command, and sees that it is mended.
    Run(&'static str),
    /// It looks, and mends nothing by itself.
    Looks,
    /// It has a place for what only the reader knows: an address, a peer, a card.
    Choose,
    /// It changes the machine and not the interface; a test compares its text with the fact.
    Machine,
    /// It is the hint of a failure, which is that failure's.
    Hint,
    /// The situation needs a fault of a device or of the network card.
    Fault,
}

use Fate::{Choose, Fault, Hint, Looks, Machine, Run};

const RESPONDER: Fate =
    Run("each_thing_in_the_way_of_a_responder_is_named_with_the_command_that_mends_it");
const WIRE: Fate = Run("each_thing_in_the_way_of_a_wire_is_named_with_the_command_that_mends_it");
const BRIDGE: Fate =
    Run("a_member_of_a_bridge_domain_that_reaches_nobody_is_named_with_the_command_that_mends_it");
const CREATED: Fate =
    Run("what_create_asked_for_and_somebody_took_away_is_named_with_the_command_that_puts_it_back");
const PORT: Fate = Run("an_address_left_on_a_bridge_port_and_a_bridge_that_is_down_are_both_named");

/// File below src/doctor, function, number of remedies.
const REMEDIES: &[(&str, &str, usize, Fate)] = &[
    ("finding.rs", "hinted", 1, Hint),
    ("interface/action.rs", "sink", 1, Choose),
    ("interface/action.rs", "xconnect", 2, WIRE),
    ("interface/action.rs", "peer_state", 1, WIRE),
    ("interface/action.rs", "bridge", 2, BRIDGE),
    ("interface/action.rs", "respond", 1, Choose),
    ("interface/action.rs", "on_a_port", 1, PORT),
    ("interface/action.rs", "reach", 4, RESPONDER),
    ("interface/action.rs", "no_address", 2, RESPONDER),
    ("interface/created.rs", "same_mac", 1, CREATED),
    ("interface/created.rs", "arp", 1, CREATED),
    ("interface/created.rs", "bridge", 2, CREATED),
    ("interface/created.rs", "route", 1, CREATED),
    (
        "interface/host.rs",
        "gone",
        1,
        Run("a_host_side_that_is_gone_is_made_again_with_all_that_its_create_was_told"),
    ),
    ("interface/host.rs", "link_down", 1, RESPONDER),
    ("interface/host.rs", "no_queue", 1, RESPONDER),
    ("interface/host.rs", "no_carrier", 4, RESPONDER),
    ("interface/host.rs", "mtu", 3, WIRE),
    ("interface/host.rs", "bridge", 4, PORT),
    ("interface/queues.rs", "judge", 1, Looks),
    ("interface/queues.rs", "admin", 1, RESPONDER),
    ("interface/queues.rs", "broken", 1, Fault),
    ("interface/queues.rs", "gso", 1, WIRE),
    ("interface/queues.rs", "counted", 1, Looks),
    ("interface/queues.rs", "unreadable", 1, Choose),
    ("interface/queues.rs", "by_the_host", 1, Looks),
    ("machine/judge.rs", "tun_node", 2, Machine),
    ("machine/judge.rs", "tun_flags", 1, Machine),
    ("machine/judge.rs", "tun_offload", 1, Machine),
    ("machine/judge.rs", "module", 2, Machine),
    ("machine/judge.rs", "vhost_node", 3, Machine),
    ("machine/judge.rs", "vhost_features", 1, Machine),
    ("machine/judge.rs", "capabilities", 1, Machine),
    ("machine/judge.rs", "user_namespaces", 2, Machine),
    ("machine/judge.rs", "network_namespaces", 2, Machine),
    ("machine/judge.rs", "kernel", 1, Machine),
    ("machine/judge.rs", "holder", 1, Machine),
    ("machine/limits.rs", "files", 1, Machine),
    ("machine/limits.rs", "memory", 1, Machine),
    ("machine/limits.rs", "cgroup", 1, Machine),
];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Calls of `.remedy(` by the function that they stand in.
fn remedies(code: &str) -> BTreeMap<String, usize> {
    let (mut found, mut function) = (BTreeMap::new(), String::new());
    for line in code.lines() {
        if let Some((before, after)) = line.split_once("fn ")
            && before.trim().is_empty() | before.trim_start().starts_with("pub")
        {
            function = after.split(['(', '<']).next().unwrap().to_owned();
        }
        let calls = line.matches(".remedy(").count();
        if calls > 0 {
            *found.entry(function.clone()).or_default() += calls;
        }
    }
    found
}

#[test]
fn every_remedy_of_doctor_has_a_row_and_every_row_its_remedies() {
    let files: std::collections::BTreeSet<_> = REMEDIES.iter().map(|(file, ..)| *file).collect();
    for file in files {
        let rows = REMEDIES.iter().filter(|(of, ..)| *of == file);
        let rows: BTreeMap<_, _> =
            rows.map(|(_, function, count, _)| ((*function).to_owned(), *count)).collect();
        assert_eq!(remedies(&read(&format!("src/doctor/{file}"))), rows, "src/doctor/{file}");
    }
    for file in ["mod.rs", "look.rs", "commands.rs", "reasons.rs", "interface/mod.rs"] {
        let none = remedies(&read(&format!("src/doctor/{file}")));
        assert!(none.is_empty(), "src/doctor/{file} has remedies and no row: {none:?}");
    }
}

#[test]
fn every_test_that_a_row_names_exists_and_runs_commands() {
    let live = read("tests/live/doctor.rs");
    for (file, function, _, fate) in REMEDIES {
        if let Run(test) = fate {
            let at = live.find(&format!("fn {test}()"));
            let body = &live[at.unwrap_or_else(|| panic!("{file} {function}: no test {test}"))..];
            let body = &body[..body.find("\n}\n").unwrap()];
            assert!(body.contains("run(world") | body.contains("mended(world"), "{test}");
        }
    }
}
