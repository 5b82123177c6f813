//! `show`: everything in one table that fits 80 columns.
//!
//! An interface is a row, and under it each of its queues; both kinds of row share the columns, so
//! the heading has two lines.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};

use super::escape;
use super::pad::trimmed;
use crate::api::{Action, Interface, Queue};
use crate::counters::Counter;

pub(super) fn table(all: &[Interface]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.add_row(["Interface", "Host side", "Backend", "State", "Action"]);
    table.add_row(queue_row(["queue", "packets", "bytes", "drops"].map(str::to_owned)));
    for interface in all {
        table.add_row([
            interface.name.to_string(),
            host_side(interface),
            interface.backend.word().to_owned(),
            interface.state.word().to_owned(),
            action(&interface.action),
        ]);
        for (side, queues) in [("rx", &interface.rx_queues), ("tx", &interface.tx_queues)] {
            for queue in queues {
                table.add_row(queue_row(numbers(side, queue)));
            }
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(table.lines())
}

fn numbers(side: &str, queue: &Queue) -> [String; 4] {
    [
        format!("{side} {}", queue.id),
        queue.counters.get(Counter::Packets).to_string(),
        queue.counters.get(Counter::Bytes).to_string(),
        queue.counters.lost_in_all().to_string(),
    ]
}

fn queue_row([queue, packets, bytes, drops]: [String; 4]) -> Vec<Cell> {
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    vec![Cell::new(format!("  {queue}")), right(packets), right(bytes), right(drops)]
}

/// `foo:eth0`; the name alone in the namespace of whoever made it.
fn host_side(interface: &Interface) -> String {
    let name = escape(&interface.host_if_name);
    match &interface.host_ns {
        Some(ns) => format!("{}:{name}", escape(ns)),
        None => name.into_owned(),
    }
}

fn action(action: &Action) -> String {
    escape(&action.to_string()).into_owned()
}
