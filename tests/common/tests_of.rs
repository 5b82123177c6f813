//! The tests of a source file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names of the tests in a file: functions under `#[test]`, also in `proptest!`.
pub fn tests_of(file: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"));
    let mut names = BTreeSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            names.insert(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
            is_test = false;
        } else if line.starts_with("#[ignore") {
            is_test = false;
        }
    }
    names
}
