//! `create … dry-run`: the steps in their order.

use std::fmt::Write;

use super::escape;
use crate::api::PlannedStep;

pub(super) fn steps(steps: &[PlannedStep]) -> String {
    let mut out = String::new();
    for (i, step) in steps.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{:>3}. {}", i + 1, escape(&step.step));
        if let Some(undo) = &step.undo {
            let _ = writeln!(out, "       undo: {}", escape(undo));
        }
    }
    out
}
