//! `show errors` in VPP's layout.
//!
//! The node is the interface and the direction, `tap0-rx` or `tap0-tx`; the queues of a direction
//! are added up. Verbose keeps them apart (`tap0-rx 0`), and so does JSON.

use super::pad::{centred, trimmed};
use crate::api::ErrorRow;
use crate::counters::Direction;

pub(super) fn table(rows: &[ErrorRow], verbose: bool) -> String {
    let mut sums: Vec<(String, &ErrorRow, u64)> = Vec::new();
    for row in rows.iter().filter(|row| row.count > 0) {
        let node = if verbose { format!("{} {}", node(row), row.queue) } else { node(row) };
        match sums.iter_mut().find(|(n, first, _)| *n == node && first.reason == row.reason) {
            Some((_, _, count)) => *count = count.saturating_add(row.count),
            None => sums.push((node, row, row.count)),
        }
    }
    if sums.is_empty() {
        return String::new();
    }
    // VPP's 35, unless a sentence is longer.
    let longest = sums.iter().map(|(_, row, _)| row.sentence.chars().count() + 2).max();
    let wide = longest.unwrap_or_default().max(35);
    let header = [
        centred("Count", 10),
        centred("Node", 35),
        centred("Reason", wide),
        centred("Severity", 10),
    ];
    let lines = sums.into_iter().map(|(node, row, count)| {
        let (node, reason) = (centred(node, 35), centred(&row.sentence, wide));
        format!("{count:>10}{node}{reason}{}", centred("error", 10))
    });
    trimmed(std::iter::once(header.concat()).chain(lines))
}

fn node(row: &ErrorRow) -> String {
    let side = match row.direction {
        Direction::Rx => "rx",
        Direction::Tx => "tx",
    };
    format!("{}-{side}", row.name)
}
