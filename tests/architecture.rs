//! The layers of the crate hold: who may import whom, also among the files of a place and of crates
//! that are not ours, where `unsafe` and printing may stand, how long a file may be. The crate's documentation draws the picture; here it is refused to bend it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A place, and the places that it may import. Every place may import [`EVERYWHERE`] and itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("diag", &[]),
    ("sync", &[]),
    ("sys", &[]),
    ("ring", &[]),
    ("frame", &[]),
    ("offload", &["frame"]),
    ("counters", &[]),
    ("host", &["sys"]),
    ("device", &["ring", "sys", "frame", "counters"]),
    ("action", &["frame", "counters"]),
    ("engine", &["device", "ring", "action", "offload", "counters"]),
    ("api", &["counters"]),
    ("control", &["api", "engine", "device", "host", "action", "counters"]),
    ("render", &["api", "counters"]),
    ("holder", &["control", "api", "sys"]),
    ("cli", &["api", "render", "holder", "demo", "doctor", "sys"]),
    ("repl", &["cli", "api", "render", "holder", "doctor", "sys"]),
    ("demo", &["api", "control", "host", "render"]),
    ("doctor", &["api", "host", "device", "sys"]),
    // Starts what the command line was written against.
    ("program", &["cli", "control", "demo", "device", "repl", "sys"]),
    ("main", &["program"]),
];

/// Words that all speak.
const EVERYWHERE: &[&str] = &["units", "diag", "sync"];

/// Arrows beyond [`LAYERS`], each with what it is for. One that nobody needs any more fails.
const EXTRA: &[(&str, &str, &str)] = &[
    (
        "frame",
        "counters",
        "a frame is refused for a reason of the one closed table of drop reasons",
    ),
    (
        "engine",
        "frame",
        "the poller reads each frame's header and has it checked before it is queued",
    ),
    ("demo", "counters", "it checks the ledger of what it moved"),
    ("doctor", "counters", "it says of every drop reason what it comes from"),
    ("demo", "sys", "it takes signals, and enters a user namespace before any thread starts"),
];

/// Places whose files still import each other in a circle, with how many do. No more may.
const CIRCLES: &[(&str, usize)] = &[
    // A poller and its queues and peers are one machine in several rooms.
    ("engine", 4),
];

/// Crates that are not ours, each with the places that may name them. The standard library's are free
/// for all.
const CRATES: &[(&str, &[&str])] = &[
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("color_eyre", &["cli", "program"]),
    ("comfy_table", &["render"]),
    ("etherparse", &["action", "demo", "frame", "offload"]),
    ("futures_util", &["api", "control", "holder", "host"]),
    ("humantime", &["cli", "repl"]),
    ("ipnet", &["action", "api", "cli", "control", "demo", "doctor", "host", "units"]),
    // Named by none: it is there for a feature of what rtnetlink builds on.
    ("netlink_sys", &[]),
    (
        "nix",
        &[
            "api", "cli", "control", "counters", "demo", "device", "diag", "doctor", "engine",
            "holder", "host", "program", "repl", "sys",
        ],
    ),
    ("rtnetlink", &["host"]),
    ("rustyline", &["repl"]),
    ("sd_notify", &["cli"]),
    ("serde", &["api", "counters", "diag", "doctor", "holder", "units"]),
    ("serde_json", &["api", "cli", "demo", "doctor", "holder", "render"]),
    ("shlex", &["api", "cli"]),
    ("strsim", &["cli", "control"]),
    ("tokio", &["cli", "control", "demo", "engine", "holder", "host", "repl", "sys"]),
    ("virtio_bindings", &["device", "frame"]),
    ("vm_memory", &["device", "ring", "sys"]),
];

/// What a place may not import and gets through another that hands it on, with the reason.
const HANDED_ON: &[(&str, &str)] = &[(
    "src/control/show.rs: `control' gets ring::Descriptor through `device'",
    "a queue's memory lists its descriptors",
)];

/// The only files that may say `unsafe`.
const UNSAFE: &[&str] = &["src/sys/", "src/ring/shared.rs", "src/device/pool.rs"];

/// The only places that may print or end the process.
const PRINTING: &[&str] = &["src/cli/", "src/demo/", "src/program.rs"];
const PRINTS: &[&str] = &[
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "stdout()",
    "stderr()",
    "process::exit",
    "process::abort",
];

/// Lines of a file in src, its tests not counted.
const LONGEST: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `directory`, as its path from the package's root and its text.
fn rust_files(directory: &str) -> BTreeMap<String, String> {
    fn walk(directory: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(directory), &mut paths);
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

/// The text with comments and the insides of strings blanked, line for line.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    let newlines = |from: &str| "\n".repeat(from.matches('\n').count());
    while at < bytes.len() {
        let rest = &text[at..];
        let hashes = rest.strip_prefix('r').map(|r| r.len() - r.trim_start_matches('#').len());
        let raw = hashes.filter(|n| rest[1 + n..].starts_with('"'));
        let word_before = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |n| n + 2)
        } else if let (Some(hashes), false) = (raw, word_before) {
            let end = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            body + rest[body..].find(&end).unwrap() + end.len()
        } else if rest.starts_with('"') {
            let mut end = 1;
            while bytes[at + end] != b'"' {
                end += if bytes[at + end] == b'\\' { 2 } else { 1 };
            }
            end + 1
        } else if rest.starts_with("'\\''") || rest.starts_with("'\"'") {
            rest[1..].find("'").unwrap() + if rest.starts_with("'\\''") { 3 } else { 2 }
        } else {
            let next = rest.chars().next().unwrap();
            code.push(next);
            at += next.len_utf8();
            continue;
        };
        code.push_str(&newlines(&rest[..skipped]));
        at += skipped;
    }
    code
}

/// Without items under `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    without(code, "#[cfg(test)]")
}

/// Without items under an attribute. The formatter ends an item that begins in column 0 there.
fn without(code: &str, attribute: &str) -> String {
    let mut kept = String::new();
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        if line != attribute {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        let item = lines.find(|line| !line.starts_with("#[")).unwrap_or_default();
        if item.ends_with('{') {
            lines.find(|line| *line == "}");
        }
    }
    kept
}

/// Whether the whole file is compiled for tests only.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// The place that a file belongs to, and how deep its module lies.
fn place_of(path: &str) -> (String, usize) {
    let inside = path.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    (inside.split('/').next().unwrap().to_owned(), inside.split('/').count())
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The places named right behind each `prefix`, also in braces: `crate::{units, diag::Failure}`.
fn named_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.insert(identifier(rest).to_owned());
            continue;
        };
        let mut depth = 0_usize;
        let mut first = true;
        for (i, c) in list.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                c if first && !c.is_whitespace() => {
                    names.insert(identifier(&list[i..]).to_owned());
                    first = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// How many `super::` stand in a row at most.
fn most_supers(code: &str) -> usize {
    let chains = code.match_indices("super::").map(|(at, _)| {
        let rest = &code[at..];
        (rest.len() - rest.trim_start_matches("super::").len()) / "super::".len()
    });
    chains.max().unwrap_or(0)
}

/// What the code outside tests imports: place → places, with a file for each.
fn imports() -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for (path, text) in rust_files("src") {
        if path == "src/lib.rs" || is_test_file(&path) {
            continue;
        }
        let code = without_tests(&code_of(&text));
        let (place, depth) = place_of(&path);
        assert!(most_supers(&code) < depth, "{path}: `super::' leaves its place; say `crate::'");
        let prefix = if place == "main" { "taptool::" } else { "crate::" };
        for other in named_behind(&code, prefix) {
            if other != place {
                found.insert((place.clone(), other), path.clone());
            }
        }
    }
    found
}

fn allowed(place: &str) -> Option<BTreeSet<&'static str>> {
    let (_, row) = LAYERS.iter().find(|(name, _)| *name == place)?;
    let extra = EXTRA.iter().filter(|(from, ..)| *from == place).map(|(_, to, _)| *to);
    Some(row.iter().chain(EVERYWHERE).copied().chain(extra).collect())
}

#[test]
fn no_place_imports_one_that_its_layer_does_not_name() {
    let mut wrong = Vec::new();
    for ((place, other), file) in imports() {
        match allowed(&place) {
            None => wrong.push(format!("{file}: `{place}' has no row in LAYERS")),
            Some(row) if !row.contains(other.as_str()) => {
                wrong.push(format!("{file}: `{place}' must not import `{other}'"));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The modules of one place, each with those of the same place that it names by `super::` or
/// `crate::PLACE::`. What a module takes from those that it declares is not counted: they are its
/// parts. What is named through the module above counts as that module's.
fn inside(place: &str) -> BTreeMap<String, BTreeSet<String>> {
    let files: BTreeMap<String, String> = rust_files("src")
        .into_iter()
        .filter(|(path, _)| place_of(path).0 == place && !is_test_file(path))
        .map(|(path, text)| (module_of(&path), without_tests(&code_of(&text))))
        .collect();
    let mut found = BTreeMap::new();
    for (module, code) in &files {
        let mut named = BTreeSet::new();
        let mut name = |from: &str, below: &str| {
            // The longest module that is a file: what follows is an item of it.
            let mut path = format!("{from}::{below}");
            while !files.contains_key(&path) {
                let Some((shorter, _)) = path.rsplit_once("::") else { return };
                path.truncate(shorter.len());
            }
            named.insert(path);
        };
        for path in paths_behind(code, "crate::") {
            if path == place || path.starts_with(&format!("{place}::")) {
                name(place, path.strip_prefix(place).unwrap().trim_start_matches("::"));
            }
        }
        for path in paths_behind(code, "super::") {
            let ups = path.matches("super::").count() + 1;
            let from =
                (0..ups).fold(module.as_str(), |m, _| m.rsplit_once("::").map_or("", |s| s.0));
            if !from.is_empty() {
                name(from, path.trim_start_matches("super::"));
            }
        }
        named.remove(module);
        found.insert(module.clone(), named);
    }
    found
}

/// `src/engine/poller/mod.rs` → `engine::poller`.
fn module_of(path: &str) -> String {
    let inside = path.strip_prefix("src/").unwrap().strip_suffix(".rs").unwrap();
    inside.strip_suffix("/mod").unwrap_or(inside).replace('/', "::")
}

/// Every path behind `prefix`, also in braces, without the prefix.
fn paths_behind(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let before = &code[..at];
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        spread("", &code[at + prefix.len()..], &mut paths);
    }
    paths
}

/// Adds the path, or the paths in braces, with which `rest` begins; how many bytes they are.
fn spread(before: &str, rest: &str, paths: &mut BTreeSet<String>) -> usize {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let end = rest.find(|c: char| !is_part(c)).unwrap_or(rest.len());
    let path = format!("{before}{}", &rest[..end]);
    if !rest[end..].starts_with('{') || !(path.is_empty() || path.ends_with("::")) {
        paths.insert(path.trim_end_matches(':').to_owned());
        return end;
    }
    let mut at = end + 1;
    while let Some(c) = rest[at..].chars().next() {
        if c == '}' {
            return at + 1;
        }
        at += if is_part(c) { spread(&path, &rest[at..], paths) } else { c.len_utf8() };
    }
    at
}

/// The modules that reach themselves.
fn in_circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<&str> {
    let reaches = |from: &str| {
        let mut seen = BTreeSet::new();
        let mut left: Vec<&str> = arrows[from].iter().map(String::as_str).collect();
        while let Some(module) = left.pop() {
            if seen.insert(module) {
                left.extend(arrows[module].iter().map(String::as_str));
            }
        }
        seen
    };
    arrows.keys().map(String::as_str).filter(|module| reaches(module).contains(module)).collect()
}

#[test]
fn inside_a_place_no_more_files_than_are_known_import_each_other_in_a_circle() {
    let mut wrong = Vec::new();
    for (place, _) in LAYERS {
        let arrows = inside(place);
        let circle = in_circles(&arrows);
        let known = CIRCLES.iter().find(|(name, _)| name == place).map_or(0, |(_, count)| *count);
        if circle.len() > known {
            wrong.push(format!("(\"{place}\", {}), not {known}: {circle:?}", circle.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_crate_is_named_only_by_the_places_of_its_row() {
    let mut found: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in rust_files("src") {
        if path == "src/lib.rs" || is_test_file(&path) {
            continue;
        }
        let code = without_tests(&code_of(&text));
        for (name, _) in CRATES {
            let names = code.match_indices(&format!("{name}::")).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            if names {
                found.entry(name).or_default().insert(place_of(&path).0);
            }
        }
    }
    let may = |name: &str, row: &[&str]| {
        let row: BTreeSet<String> = row.iter().map(|place| (*place).to_owned()).collect();
        let does = found.get(name).cloned().unwrap_or_default();
        (row != does).then(|| format!("(\"{name}\", &{does:?}), not {row:?}"))
    };
    let wrong: Vec<_> = CRATES.iter().filter_map(|(name, row)| may(name, row)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_paths_sees_those_in_braces_and_circles_are_found() {
    let code = "use super::{a, b::{self, C}};\nuse super::super::d::E;\nfn f(x: super::g::H) {}";
    let paths: Vec<String> = paths_behind(code, "super::").into_iter().collect();
    assert_eq!(paths, ["a", "b::C", "b::self", "g::H", "super::d::E"]);
    let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "d")];
    let arrows: BTreeMap<String, BTreeSet<String>> =
        arrows.iter().map(|(from, to)| ((*from).to_owned(), [(*to).to_owned()].into())).collect();
    assert_eq!(in_circles(&arrows).into_iter().collect::<Vec<_>>(), ["b", "c", "d"]);
    assert!(!inside("engine").values().all(BTreeSet::is_empty), "no arrow is seen");
}

#[test]
fn every_dependency_has_a_row_of_places() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, list) = manifest.split_once("\n[dependencies]\n").unwrap();
    let (list, _) = list.split_once("\n[").unwrap();
    let names: BTreeSet<String> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0.replace('-', "_")))
        .collect();
    let rows: BTreeSet<String> = CRATES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, rows);
}

#[test]
fn no_place_hands_on_what_another_place_may_not_import() {
    // What comes through a re-export comes from where it is: who may import the one place and not the
    // other must not get at it so.
    let mut wrong = Vec::new();
    for (path, text) in rust_files("src") {
        if path == "src/lib.rs" || is_test_file(&path) {
            continue;
        }
        let code = without_tests(&code_of(&text));
        let by = place_of(&path).0;
        for line in code.split(';').map(str::trim_start) {
            let Some(rest) = line.rsplit_once("pub use crate::").map(|(_, rest)| rest) else {
                continue;
            };
            let from = identifier(rest);
            for item in paths_behind(&format!("crate::{rest} "), "crate::") {
                let item = item.rsplit("::").next().unwrap().to_owned();
                for (user, file) in users(&by, &item) {
                    let row = allowed(&user).unwrap_or_default();
                    if user != by && user != from && !row.contains(from) {
                        wrong.push(format!("{file}: `{user}' gets {from}::{item} through `{by}'"));
                    }
                }
            }
        }
    }
    let known: BTreeSet<&str> = HANDED_ON.iter().map(|(line, _)| *line).collect();
    let wrong: BTreeSet<&str> = wrong.iter().map(String::as_str).collect();
    assert_eq!(wrong, known);
}

/// Who names an item of a place, with the file.
fn users(place: &str, item: &str) -> BTreeSet<(String, String)> {
    let named = |path: &str, code: &str| {
        let prefix = if place_of(path).0 == "main" { "taptool::" } else { "crate::" };
        paths_behind(code, prefix).contains(&format!("{place}::{item}"))
    };
    rust_files("src")
        .into_iter()
        .filter(|(path, _)| path != "src/lib.rs" && !is_test_file(path))
        .filter(|(path, text)| named(path, &without_tests(&code_of(text))))
        .map(|(path, _)| (place_of(&path).0, path))
        .collect()
}

#[test]
fn every_place_has_a_row_and_every_row_a_place() {
    let places: BTreeSet<String> = rust_files("src")
        .keys()
        .map(|path| place_of(path).0)
        .filter(|place| place != "lib")
        .collect();
    let rows: BTreeSet<String> = LAYERS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(places, rows);
}

#[test]
fn an_exception_that_nobody_needs_is_taken_back() {
    let imports = imports();
    for (from, to, why) in EXTRA {
        let pair = ((*from).to_owned(), (*to).to_owned());
        assert!(imports.contains_key(&pair), "`{from}' no longer imports `{to}' ({why})");
    }
}

#[test]
fn the_crates_documentation_has_the_same_table() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let rows = text.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("//! | [`")?.strip_suffix(" |")?.split(" | ");
        let place = cells.next()?.strip_suffix("`]")?;
        let row = cells.nth(1).unwrap_or_default().split(", ").filter(|other| !other.is_empty());
        Some((place, row.collect::<BTreeSet<_>>()))
    });
    let said: BTreeMap<_, _> = rows.collect();
    let mut ours = BTreeMap::new();
    for (place, _) in LAYERS.iter().filter(|(place, _)| *place != "main") {
        let mut row = allowed(place).unwrap();
        row.retain(|other| !EVERYWHERE.contains(other));
        ours.insert(*place, row);
    }
    assert_eq!(said, ours);
}

#[test]
fn arrows_never_lead_back() {
    let mut left: BTreeMap<&str, BTreeSet<&str>> =
        LAYERS.iter().map(|(name, _)| (*name, allowed(name).unwrap())).collect();
    left.retain(|name, _| !EVERYWHERE.contains(name));
    // Takes away the places that import nothing that is left, until none is.
    while !left.is_empty() {
        let ends: BTreeSet<&str> = left
            .iter()
            .filter(|(_, row)| row.iter().all(|other| !left.contains_key(other)))
            .map(|(name, _)| *name)
            .collect();
        assert!(!ends.is_empty(), "a circle among {:?}", left.keys());
        left.retain(|name, _| !ends.contains(name));
    }
}

#[test]
fn unsafe_code_stands_only_where_memory_and_system_calls_are() {
    for (path, text) in rust_files("src") {
        let code = code_of(&text);
        let says = code.match_indices("unsafe").any(|(at, word)| {
            let before = code[..at].chars().next_back();
            let after = code[at + word.len()..].chars().next();
            let joined = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !joined(before) && !joined(after)
        });
        let may = UNSAFE.iter().any(|place| path.starts_with(place));
        assert!(may || !says, "{path} says `unsafe'");
    }
}

#[test]
fn library_modules_neither_print_nor_end_the_process() {
    for (path, text) in rust_files("src") {
        if is_test_file(&path) || PRINTING.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        let code = without_tests(&code_of(&text));
        for word in PRINTS {
            assert!(!code.contains(word), "{path} says `{word}'");
        }
    }
}

#[test]
fn what_tests_set_from_outside_is_read_by_no_program_that_a_user_has() {
    let mut hooks = 0;
    for (path, text) in rust_files("src") {
        if is_test_file(&path) {
            continue;
        }
        let users = without(&without_tests(&text), "#[cfg(feature = \"test-hooks\")]");
        assert!(!users.contains("TAPTOOL_TEST"), "{path} reads a variable that is for tests alone");
        hooks += without_tests(&text).matches("TAPTOOL_TEST").count();
    }
    assert!(hooks > 0, "no hook is left: neither is there a use for the feature");
}

#[test]
fn no_file_is_longer_than_600_lines_without_its_tests() {
    for (path, text) in rust_files("src") {
        if !is_test_file(&path) {
            // Comments count: they are read too.
            let lines = without_tests(&text).lines().count();
            assert!(lines <= LONGEST, "{path} has {lines} lines");
        }
    }
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut in_dependencies = false;
    let mut before = "";
    let mut seen = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.ends_with("dependencies]");
        } else if in_dependencies && !line.is_empty() && !line.starts_with('#') {
            assert!(before.starts_with("# "), "no comment above `{line}'");
            seen += 1;
        }
        before = line;
    }
    assert!(seen >= 10, "{seen} dependencies found: is the file read rightly?");
}

#[test]
fn the_reader_of_sources_sees_code_and_nothing_else() {
    let text = r##"
//! crate::comment
use crate::{units::A, diag::{B, C}, ring};
const S: &str = "crate::string \" crate::more"; // unsafe
const R: &str = r#"crate::raw "quoted" "#;
const Q: char = '"'; const P: char = '\'';
fn f<'a>(x: &'a str) -> crate::frame::F { super::super::g(x) }
#[cfg(test)]
mod tests {
    use crate::host;
}
fn after() -> crate::sys::G {}
"##;
    let code = without_tests(&code_of(text));
    let names: Vec<String> = named_behind(&code, "crate::").into_iter().collect();
    assert_eq!(names, ["diag", "frame", "ring", "sys", "units"]);
    assert_eq!(most_supers(&code), 2);
    assert!(!code.contains("unsafe"));
    assert_eq!(code_of(text).lines().count(), text.lines().count());
}
