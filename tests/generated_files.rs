//! `man/` and `completions/` are what the command tree says.
//!
//! `TAPTOOL_WRITE_FILES=1 cargo test --test generated_files` writes them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;
#[path = "generated_files/keys.rs"]
mod keys;
#[path = "generated_files/page.rs"]
mod page;
#[path = "generated_files/program.rs"]
mod program;
#[path = "generated_files/text.rs"]
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use assert_cmd::cargo::cargo_bin;

const REGENERATE: &str = "TAPTOOL_WRITE_FILES=1 cargo test --test generated_files";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a directory with the files that it should have, or writes them.
fn check(directory: &str, files: &BTreeMap<String, String>) {
    let directory = root().join(directory);
    if env::var_os("TAPTOOL_WRITE_FILES").is_some_and(|v| v == "1") {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir(&directory).unwrap();
        for (name, text) in files {
            fs::write(directory.join(name), text).unwrap();
        }
        return;
    }
    let entries = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
    let found: BTreeMap<String, String> = entries
        .map(|path: PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(files), "write them with: {REGENERATE}");
    for (name, text) in files {
        let line = text.lines().zip(found[name].lines()).position(|(new, old)| new != old);
        let place = line.map_or_else(|| "at its end".into(), |n| format!("from line {}", n + 1));
        assert!(
            found[name] == *text,
            "{} is stale {place}; write it with: {REGENERATE}",
            directory.join(name).display()
        );
    }
}

#[test]
fn the_manual_is_that_of_the_command_tree() {
    check("man", &page::pages());
}

#[test]
fn the_completion_scripts_are_those_that_the_program_prints() {
    // As Debian installs them, `taptool.bash' and `taptool.zsh' under names of the shells' own.
    let files = ["bash", "zsh", "fish"].map(|shell| {
        let out = Command::new(cargo_bin("taptool")).args(["completions", shell]).output().unwrap();
        assert!(out.status.success() && out.stderr.is_empty(), "{out:?}");
        (format!("taptool.{shell}"), String::from_utf8(out.stdout).unwrap())
    });
    check("completions", &files.into());
}

#[test]
fn man_renders_every_page_without_a_warning() {
    if !common::has("man", "man-db") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in page::pages() {
        let path = directory.path().join(&name);
        fs::write(&path, text).unwrap();
        let out = Command::new("man")
            .args(["--warnings=w", "-E", "UTF-8", "-l"])
            .arg(path)
            .env("MANROFFSEQ", "")
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{name}: {said}");
        let page = String::from_utf8_lossy(&out.stdout);
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS", "SEE ALSO"] {
            assert!(page.contains(&format!("\n{section}\n")), "{name}: no {section}");
        }
    }
}
