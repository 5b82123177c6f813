//! Each hint that a failure prints is followed by a test in the situation that prints it, or has the
//! reason why it is not. A hint that is added has to be entered here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What becomes of the hints of a function.
enum Fate {
    /// A test meets the failure, does what the hint says, and sees that it helps: `file::test`.
    Followed(&'static str),
    /// It names what the reader has to choose; a test meets the failure and compares these words of
    /// it: `file::test`, words.
    Words(&'static str, &'static str),
    /// Nothing here can do it: the reason.
    Not(&'static str),
}

use Fate::{Followed, Not, Words};

/// It comes where a program, a container or another user has to do something.
const OTHERS: &str =
    "what helps is another program's, another user's or a container manager's to do";
/// It comes of a fault of the machine that no test makes.
const FAULT: &str =
    "the kernel answers so only where it is short of something that all tests share";
/// The commands of a holder that does not answer: it may be stopped.
const SAME: &str = "the commands are those of a holder that is stopped, and its test runs them";
/// The command line's own table of words.
const LINE: &str = "src/cli/words/tests.rs::what_is_nothing_is_refused_with_its_token";

const ABBREVIATED: &str = "src/cli/words/tests.rs::command_paths_abbreviate_and_an_exact_word_wins";

const BRIDGE: &str = "tests/live/bridge.rs::members_are_deleted_and_their_domain_taken_away_under_traffic_and_no_frame_is_unaccounted";
const CREATE: &str =
    "tests/live/hints.rs::what_a_create_misses_is_there_once_its_hint_was_followed";
const TUN: &str = "tests/live/hints.rs::without_dev_net_tun_the_last_command_of_the_hint_makes_it";
const TAKEN: &str = "tests/live/hints.rs::what_is_taken_is_had_in_the_way_that_the_hint_says";
const ATTACH: &str = "tests/live/attach.rs::what_cannot_be_attached_to_is_refused_with_what_is_in_the_way_and_stays_as_it_was";
const MEMORY: &str =
    "tests/live/hints.rs::a_create_that_does_not_fit_fits_with_smaller_rings_and_with_more_memory";
const MOVED: &str =
    "tests/live/hints.rs::a_file_in_the_place_of_the_lock_is_moved_away_by_the_hint";
const STOPPED: &str = "tests/holder/versions.rs::a_holder_that_is_stopped_is_named_with_the_signal_that_lets_it_go_on";
const NO_HOLDER: &str =
    "tests/holder/versions.rs::whoever_listens_but_is_no_holder_is_exit_6_and_named";
const USERS: &str =
    "tests/holder/users.rs::a_create_that_is_not_permitted_says_what_to_do_and_starts_one_holder";
const SOCKET: &str =
    "tests/holder/users.rs::another_users_holder_is_not_reached_whatever_the_mode_of_its_socket";

/// File below src, function, number of hints, and what becomes of each.
#[rustfmt::skip]
const HINTS: &[(&str, &str, usize, &[Fate])] = &[
    ("api/create/lacked.rs", "check", 1, &[Followed("tests/live/hints.rs::a_word_that_is_to_be_left_out_is_all_that_was_in_the_way")]),
    // A namespace; a process; rights, once for root and once for others.
    ("cli/bridge.rs", "try_from", 1, &[Not("behind which member the MAC is, only the reader knows")]),
    ("control/sub_interfaces.rs", "name_of", 1, &[Not("the shorter name, only the reader knows")]),
    ("control/sub_interfaces.rs", "sub_interface", 1, &[Not("whether the interface is to go, only the reader knows")]),
    ("control/sub_settings.rs", "rewrite", 1, &[Not("which tags there are to be, only the reader knows")]),
    ("control/sub_settings.rs", "set", 1, &[Not("what of the parent is to change, only the reader knows")]),
    ("control/domains.rs", "bridge", 1, &[Not("what is to change, only the reader knows")]),
    ("control/domains.rs", "l2fib", 1, &[Words(BRIDGE, "set interface l2 bridge t2 1")]),
    ("control/domains.rs", "remove", 1, &[Words(BRIDGE, "delete bridge-domain 1")]),
    ("cli/create.rs", "open", 4, &[Followed(CREATE), Not(OTHERS)]),
    ("cli/create/account.rs", "user", 1, &[Words("src/cli/tests.rs::wrong_values_are_refused_with_the_option_and_the_reason", "getent passwd")]),
    ("cli/create/account.rs", "group", 1, &[Words("src/cli/tests.rs::wrong_values_are_refused_with_the_option_and_the_reason", "getent group")]),
    ("cli/delete.rs", "try_from", 1, &[Words("src/cli/tests.rs::wrong_values_are_refused_with_the_option_and_the_reason", "delete {NAME")]),
    ("cli/grammar.rs", "advise", 1, &[Words("src/cli/words/tests.rs::a_name_may_resemble_what_is_made", "did you mean")]),
    ("cli/meta.rs", "expand_deep", 2, &[Not("what the macro is to stand for, only the reader knows")]),
    ("cli/no_holder.rs", "answer", 1, &[Not(OTHERS)]),
    ("cli/usage.rs", "failure", 2, &[Words("src/cli/tests.rs::wrong_values_are_refused_with_the_option_and_the_reason", "ip link set dev NAME up"), Not("which value is missing, only the reader knows")]),
    ("cli/vpp.rs", "not_supported", 1, &[Words("tests/live/vpp.rs::every_line_of_vpp_has_its_effect_or_is_refused_with_what_to_do_instead", "instead")]),
    ("cli/words/mod.rs", "abbreviates_safely", 1, &[Words(ABBREVIATED, "write `tap', or as a name")]),
    ("cli/words/mod.rs", "complete", 1, &[Words(LINE, "goes on with")]),
    ("cli/words/mod.rs", "may_name", 2, &[Words(LINE, "as a name all the same")]),
    ("cli/words/mod.rs", "refused_word", 1, &[Words(LINE, "as a name all the same")]),
    ("cli/words/mod.rs", "unknown_word", 7, &[Words(LINE, "begins with the command")]),
    ("cli/words/mod.rs", "unknown_short", 1, &[Words("src/cli/words/tests.rs::a_short_option_of_other_programs_is_refused_by_its_letter_with_the_long_one", "did you mean")]),
    ("cli/words/mod.rs", "unknown_option", 1, &[Words(LINE, "did you mean")]),
    ("cli/words/mod.rs", "ambiguous", 1, &[Words(ABBREVIATED, "could be")]),
    ("cli/words/mod.rs", "not_supported", 1, &[Words("src/cli/words/tests.rs::what_vpp_has_and_this_lacks_is_refused_with_what_to_do_instead", "{instead}")]),
    ("control/interface.rs", "host_gone", 1, &[Followed(CREATE)]),
    ("control/changes.rs", "reset", 1, &[Not("a reset fails only where the kernel refuses a thread, a file or memory")]),
    ("control/create.rs", "run", 1, &[Not("it lists what an undo left, and no undo that can be made to fail leaves anything")]),
    // A name, an id, a name of an id; all ids.
    ("control/registry.rs", "pick", 4, &[Followed(TAKEN), Not("all 8192 ids taken is an hour of creates")]),
    ("control/registry.rs", "no_such", 2, &[Followed(TAKEN), Not("whether the sub-interface is to go, only the reader knows")]),
    ("demo/ground.rs", "find", 1, &[Not(OTHERS)]),
    ("demo/ledger.rs", "at_rest", 1, &[Not("it says that frames were lost unaccounted, which is a bug")]),
    ("demo/mod.rs", "perform", 1, &[Not("it carries on the hint of what failed, and adds what could not be removed")]),
    ("device/memory.rs", "open_file", 1, &[Not("a limit of address space that low stops the program before it maps its memory")]),
    ("device/memory.rs", "extent", 1, &[Followed(MEMORY)]),
    ("device/vhost_net.rs", "owner_failure", 1, &[Not("the module of the kernel under test is not taken away from other tests")]),
    ("device/vhost_net.rs", "start", 1, &[Not("no kernel that runs the tests refuses the memory table")]),
    // Files, raised before the holder starts.
    ("diag.rs", "sys", 1, &[Words("tests/holder/crowd.rs::files_that_the_holder_has_no_room_for_are_refused_with_the_limit_that_is_to_be_raised", "RLIMIT_NOFILE")]),
    ("doctor/machine/collect.rs", "map_memory", 1, &[Not("a limit of file size is the shell's, and ends other programs of a test, too")]),
    ("engine/mod.rs", "unwatched", 1, &[Not(FAULT)]),
    ("engine/placement.rs", "begin", 1, &[Not("it tells where the processors are listed, and mends nothing by itself")]),
    ("holder/client.rs", "submit", 1, &[Not("it tells where to look, and mends nothing by itself")]),
    ("holder/client.rs", "connect", 2, &[Not("they tell which log to read, or what shows the pollers, and mend nothing by themselves")]),
    ("holder/client.rs", "greet", 1, &[Words("tests/holder/versions.rs::a_client_and_a_holder_of_two_versions_do_not_talk_and_both_versions_are_named", "the program that the holder was started from")]),
    ("holder/client.rs", "mute", 1, &[Followed(STOPPED), Words(NO_HOLDER, "it may be busy: try again; `kill ")]),
    ("holder/client.rs", "full", 1, &[Not(SAME)]),
    ("holder/client.rs", "other", 1, &[Words(NO_HOLDER, "name another socket with --socket or TAPTOOL_SOCKET")]),
    ("holder/control_socket.rs", "rebind", 1, &[Followed("tests/holder/place.rs::a_file_in_the_place_of_the_socket_is_left_alone_and_reported_once_until_it_goes")]),
    ("holder/control_socket.rs", "bind", 1, &[Followed(TAKEN)]),
    ("holder/file.rs", "other", 1, &[Followed(MOVED)]),
    ("holder/lock.rs", "failure", 1, &[Followed("tests/holder/place.rs::a_stopped_holder_without_its_socket_is_named_and_no_second_one_starts")]),
    ("holder/outgoing.rs", "refusal", 1, &[Not(OTHERS)]),
    ("holder/place.rs", "connect", 2, &[Words(SOCKET, "name a socket of your own with --socket or TAPTOOL_SOCKET")]),
    ("holder/place.rs", "checked", 1, &[Words("tests/holder/users.rs::a_holder_is_neither_made_nor_found_in_a_directory_that_is_a_link", "name a socket in a directory of your own")]),
    ("holder/place.rs", "no_place", 1, &[Not("which directory a socket could be in, only the reader knows")]),
    ("holder/start.rs", "leave_namespace", 1, &[Followed(USERS)]),
    ("host/address.rs", "add_address", 1, &[Followed(CREATE)]),
    // Not there; not for this user; not for this container.
    ("host/attach.rs", "attachable", 3, &[Followed(ATTACH)]),
    ("host/attach.rs", "busy", 1, &[Followed(ATTACH)]),
    ("host/attach.rs", "refused", 1, &[Not("the rights that are missing are asked for before, with the host side's settings")]),
    ("host/birth.rs", "open_file", 4, &[Followed(TUN), Followed(USERS), Not(OTHERS)]),
    ("host/birth.rs", "permitted", 1, &[Not("the rights that are missing are given before a holder starts, which says so first")]),
    ("host/facts.rs", "unseen", 1, &[Not(OTHERS)]),
    ("host/namespace.rs", "verify", 2, &[Followed(CREATE), Not("a program that hands over such a file is not this one")]),
    ("host/namespace.rs", "open", 1, &[Not("without /proc no test can look at a process")]),
    ("host/namespace.rs", "entering", 2, &[Not(OTHERS), Not(FAULT)]),
    ("host/refusal.rs", "failure", 1, &[Not(OTHERS)]),
    ("host/route.rs", "add_default_route", 2, &[Not("a create with such words is refused before, unless others change the device in between")]),
    ("host/route.rs", "default_route_exists", 1, &[Followed(TAKEN)]),
    ("host/session.rs", "name_is_free", 1, &[Followed(ATTACH)]),
    ("host/session.rs", "bridge", 1, &[Followed(CREATE)]),
    ("host/refusal.rs", "taken", 1, &[Followed(TAKEN)]),
    ("host/vhost_net.rs", "open_failure", 3, &[Not("the device of the kernel under test is not taken away from other tests")]),
    ("host/watch.rs", "new", 1, &[Followed("tests/holder/users.rs::a_user_with_three_capabilities_makes_taps_anywhere_and_with_two_is_told_of_the_third")]),
    ("sys/userns.rs", "refused", 4, &[Not(FAULT)]),
    ("sys/userns.rs", "write", 1, &[Not("only AppArmor of another distribution refuses there")]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The files below `dir` that are no tests.
fn sources(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            sources(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            all.push(path);
        }
    }
}

/// Hints of failures, by the function that they stand in.
fn hints(code: &str) -> BTreeMap<String, usize> {
    // The method itself, and what else is called so: the editor's, the guide's, the processor's.
    const OTHERS: [&str; 3] = ["guide().hint(line)", "guide.hint(line)", "self.hint = Some("];
    const GIVEN: [&str; 4] = [".hint(", "hint = Some(", "hint: Some(", "=> Some(FILES_HINT"];
    let code = code.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let (mut found, mut function) = (BTreeMap::new(), String::new());
    for line in code.lines() {
        if let Some((before, after)) = line.split_once("fn ")
            && ["", "pub", "async", "const"].iter().any(|b| before.trim().starts_with(b))
            && !before.trim_start().starts_with("//")
        {
            function = after.split(['(', '<']).next().unwrap().to_owned();
        }
        if OTHERS.iter().any(|other| line.contains(other)) {
            continue;
        }
        let given: usize = GIVEN.iter().map(|given| line.matches(given).count()).sum();
        if given > 0 {
            *found.entry(function.clone()).or_default() += given;
        }
    }
    found
}

#[test]
fn every_hint_has_a_row_and_every_row_its_hints() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let mut found = BTreeMap::new();
    for file in files {
        let name = file.strip_prefix(root().join("src")).unwrap().display().to_string();
        for (function, count) in hints(&fs::read_to_string(&file).unwrap()) {
            found.insert((name.clone(), function), count);
        }
    }
    let rows: BTreeMap<_, _> = HINTS
        .iter()
        .map(|(file, function, count, _)| (((*file).to_owned(), (*function).to_owned()), *count))
        .collect();
    assert_eq!(rows.len(), HINTS.len(), "a function has two rows");
    let missing: Vec<_> = found.iter().filter(|row| !rows.contains_key(row.0)).collect();
    assert!(missing.is_empty(), "hints without a row: {missing:?}");
    assert_eq!(found, rows);
}

#[test]
fn every_test_that_a_row_names_exists_and_every_reason_says_something() {
    for (file, function, _, fates) in HINTS {
        assert!(!fates.is_empty(), "{file} {function}");
        for fate in *fates {
            let test = match fate {
                Followed(test) | Words(test, _) => test,
                Not(reason) => {
                    assert!(reason.len() > 30, "{file} {function}: {reason}");
                    continue;
                }
            };
            let (path, name) = test.split_once("::").unwrap();
            let text = read(path);
            let at = text.find(&format!("fn {name}()"));
            let body = &text[at.unwrap_or_else(|| panic!("{file} {function}: no test {test}"))..];
            let body = &body[..body.find("\n}\n").unwrap()];
            let runs = [".done(", ".must(", "shell(world", "(0, ", ".run("];
            match fate {
                Words(_, words) => assert!(body.contains(words), "{test} compares no {words}"),
                _ => assert!(runs.iter().any(|run| body.contains(run)), "{test} runs nothing"),
            }
        }
    }
}
