//! `man/` and `completions/` are what the command tree says.
//!
//! `TAPTOOL_WRITE_FILES=1 cargo test --test generated_files` writes them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is how a test fails; the lints' own exception ends at helper functions"
)]

mod common;
#[path = "generated_files/comparison.rs"]
mod comparison;
#[path = "generated_files/keys.rs"]
mod keys;
#[path = "common/tests_of.rs"]
mod named;
#[path = "generated_files/page.rs"]
mod page;
#[path = "generated_files/program.rs"]
mod program;
#[path = "generated_files/text.rs"]
mod text;
#[path = "generated_files/topics.rs"]
mod topics;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use assert_cmd::cargo::cargo_bin;
use taptool::diag::Code;

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

#[test]
fn the_exit_codes_of_the_manual_are_the_programs() {
    let all = [
        Code::Failed,
        Code::Usage,
        Code::NotFound,
        Code::Exists,
        Code::NotPermitted,
        Code::NoAnswer,
        Code::NoBackend,
    ];
    let ours: Vec<u8> = [0].into_iter().chain(all.map(|code| code as u8)).collect();
    assert_eq!(program::CODES.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ours);
}

#[test]
fn the_page_of_create_names_the_bounds_and_defaults_of_its_numbers() {
    let page = page::pages().remove("taptool-create.8").unwrap().replace("\\-", "-");
    for (option, bounds) in [
        ("--id\\fR", "0-8191"),
        ("--host-mtu-size\\fR", "68-65521, of a tun 68-65535 [default: 1500]"),
        ("--rx-ring-size\\fR", "64-32768 [default: 256]"),
        ("--tx-ring-size\\fR", "64-32768 [default: 256]"),
    ] {
        let (_, after) = page.split_once(option).unwrap_or_else(|| panic!("no {option}"));
        let about: String = after.lines().take(3).collect();
        assert!(about.contains(bounds), "{option} no longer says {bounds}: {about}");
    }
}

#[test]
fn the_manual_has_every_vpp_command_counter_and_drop_reason() {
    use taptool::cli::VPP_COMMANDS;
    use taptool::counters::{COUNTERS, DROP_REASONS};
    let pages = page::pages();
    let refused = pages["taptool-vpp.8"].matches("Instead: ").count();
    let terms = pages["taptool-vpp.8"].matches("\n.TP\n").count();
    let features: usize = comparison::GROUPS.iter().map(|group| group.rows.len()).sum();
    assert_eq!(terms, VPP_COMMANDS.len() + features);
    assert!(refused > 0 && refused < terms);
    let main = &pages["taptool.8"];
    let names = COUNTERS.iter().map(|row| row.name).filter(|name| *name != "broken_reason");
    for name in names.chain(DROP_REASONS.iter().map(|row| row.name)) {
        assert!(main.contains(&format!("\\fB{name}\\fR")), "taptool(8) has no {name}");
    }
}

#[test]
fn every_feature_that_the_comparison_claims_has_a_test() {
    for group in comparison::GROUPS {
        for (feature, .., here) in group.rows {
            if let comparison::Here::Shown(name) = here {
                let (file, test) = name.split_once("::").unwrap();
                assert!(
                    named::tests_of(file).contains(test),
                    "{feature}: no test {test} in {file}"
                );
            }
        }
    }
}

#[test]
fn readme_has_the_table_of_the_comparison() {
    let (path, table) = (root().join("README.md"), comparison::readme());
    let text = fs::read_to_string(&path).unwrap();
    let begin = text.find("| | VPP 2019 |").unwrap();
    let end = begin + text[begin..].find("\n\n").unwrap() + 1;
    if env::var_os("TAPTOOL_WRITE_FILES").is_some_and(|v| v == "1") {
        fs::write(&path, format!("{}{table}{}", &text[..begin], &text[end..])).unwrap();
        return;
    }
    assert_eq!(text[begin..end], table, "write it with: {REGENERATE}");
}
