//! Columns of VPP's fixed layouts.

use std::fmt::Display;

/// `what` in the middle of `width`; an odd space goes to the left, as VPP's `%=` does it.
pub(super) fn centred(what: impl Display, width: usize) -> String {
    let text = what.to_string();
    let space = width.saturating_sub(text.chars().count());
    let left = space.div_ceil(2);
    format!("{:left$}{text}{:right$}", "", "", right = space - left)
}

/// Lines without spaces at their ends, each ended.
pub(super) fn trimmed(lines: impl IntoIterator<Item = String>) -> String {
    lines.into_iter().map(|line| format!("{}\n", line.trim_end())).collect()
}
