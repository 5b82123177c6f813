//! What the Debian package installs is there, and is all that there is to install.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rows of source, destination and mode.
fn assets() -> Vec<[String; 3]> {
    // Not asked of `cargo metadata', which wants a filled registry. A list of TOML is one of JSON but
    // for the comma at its end.
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let (_, list) = manifest.split_once("\nassets = [\n").unwrap();
    let (list, _) = list.split_once("\n]\n").unwrap();
    serde_json::from_str(&format!("[{}]", list.trim_end_matches(','))).unwrap()
}

/// Files in a directory, by their path from the root.
fn files(directory: &str, wanted: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let names = fs::read_dir(root().join(directory)).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| wanted(name)).map(|name| format!("{directory}/{name}")).collect()
}

/// The files that a source stands for.
fn sources(source: &str) -> BTreeSet<String> {
    match source.split_once("/*") {
        Some((directory, ending)) => files(directory, |name| name.ends_with(ending)),
        None => [source.to_owned()].into(),
    }
}

#[test]
fn every_file_of_the_package_exists_and_is_no_program_but_ours() {
    for [source, destination, mode] in assets() {
        let program = source == "target/release/taptool";
        assert_eq!(mode, if program { "755" } else { "644" }, "{source}");
        assert!(destination.starts_with("usr/"), "{destination}");
        let found = sources(&source);
        assert!(!found.is_empty(), "{source}");
        for file in found {
            assert!(program || root().join(&file).is_file(), "no {file}");
        }
    }
}

#[test]
fn every_page_script_and_unit_is_in_the_package() {
    let packed: BTreeSet<String> =
        assets().iter().flat_map(|[source, ..]| sources(source)).collect();
    let mut ours = files("man", |_| true);
    ours.extend(files("completions", |_| true));
    ours.extend(files("src/holder", |name| {
        name.ends_with(".service") || name.ends_with(".socket")
    }));
    assert!(ours.is_subset(&packed), "{:?}", ours.difference(&packed));
}

#[test]
fn the_unit_starts_the_program_that_the_package_installs() {
    let unit = fs::read_to_string(root().join("src/holder/taptool.service")).unwrap();
    let [_, directory, _] =
        assets().into_iter().find(|[source, ..]| source.starts_with("target/")).unwrap();
    let line = format!("ExecStart=/{directory}taptool hold");
    assert!(unit.lines().any(|l| l == line), "no {line}");
}
