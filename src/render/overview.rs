//! `show`: everything in one table that fits 80 columns, or in a list that fits 40.
//!
//! An interface is a row, and under it each of its queues; both kinds of row share the columns, so
//! the heading has two lines. On a terminal that is too narrow for it, what an interface is stands
//! in two lines, and only its queues make a table.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};

use super::escape;
use super::pad::trimmed;
use crate::api::{Interface, Queue, State};
use crate::counters::Counter;

pub(super) fn table(all: &[Interface], columns: Option<usize>) -> String {
    if all.is_empty() {
        return String::new();
    }
    let table = wide(all);
    let longest = table.lines().map(|line| line.chars().count()).max();
    if columns.is_some_and(|columns| longest > Some(columns)) { narrow(all) } else { table }
}

fn wide(all: &[Interface]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.add_row(["Interface", "Host side", "Backend", "State", "Action"]);
    table.add_row(queue_row(["queue", "packets", "bytes", "drops"].map(str::to_owned)));
    for interface in all {
        table.add_row([
            interface.name.to_string(),
            host_side(interface),
            interface.backend.word().to_owned(),
            state(interface).to_owned(),
            action(interface),
        ]);
        rows(interface).for_each(|row| {
            table.add_row(queue_row(row));
        });
        for sub in &interface.sub_interfaces {
            let state = if sub.admin_up { State::Up } else { State::AdminDown };
            table.add_row([
                sub.name.to_string(),
                sub.encapsulation.clone(),
                String::new(),
                state.word().to_owned(),
                escape(&sub.action.to_string()).into_owned(),
            ]);
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    trimmed(table.lines())
}

fn narrow(all: &[Interface]) -> String {
    let line = |[queue, packets, bytes, drops]: [String; 4]| {
        format!("  {queue:<5} {packets:>10} {bytes:>12} {drops:>7}")
    };
    let mut lines = vec![line(["queue", "packets", "bytes", "drops"].map(str::to_owned))];
    for interface in all {
        let (backend, state) = (interface.backend.word(), state(interface));
        lines.push(format!("{}  {state}  {backend}", interface.name));
        lines.push(format!("  {}", host_side(interface)));
        lines.push(format!("  {}", action(interface)));
        lines.extend(rows(interface).map(line));
        for sub in &interface.sub_interfaces {
            lines.push(format!("{}  {}", sub.name, sub.encapsulation));
            lines.push(format!("  {}", escape(&sub.action.to_string()).into_owned()));
        }
    }
    trimmed(lines)
}

/// A row a queue, and one for what the host dropped before there was anything to read.
fn rows(interface: &Interface) -> impl Iterator<Item = [String; 4]> {
    let rx = interface.rx_queues.iter().map(|queue| numbers("rx", queue));
    let tx = interface.tx_queues.iter().map(|queue| numbers("tx", queue));
    let dropped = interface.host_tx_dropped;
    let by_the_host = ["host".into(), String::new(), String::new(), dropped.to_string()];
    rx.chain(tx).chain((dropped > 0).then_some(by_the_host))
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

/// Our side's state, and where that is up what the host side's link is.
const fn state(interface: &Interface) -> &'static str {
    match interface.state {
        State::Up if !interface.link_up => "link-down",
        state => state.word(),
    }
}

/// `foo:eth0`; the name alone in the namespace of its creator.
fn host_side(interface: &Interface) -> String {
    let name = escape(&interface.host_if_name);
    match &interface.host_ns {
        Some(ns) => format!("{}:{name}", escape(ns)),
        None => name.into_owned(),
    }
}

/// What happens to received frames; and whether by a wire that is not a plain one.
fn action(interface: &Interface) -> String {
    let faults = if interface.impairment.is_some() { ", impaired" } else { "" };
    format!("{}{faults}", escape(&interface.action.to_string()))
}
