//! Replies as people and programs read them. No I/O: strings in, strings out.
//!
//! Layouts that VPP has (`show tap`, `show interface`, `show runtime` …) are VPP's, so that scripts
//! written for it find its words; what is ours stands beside them. Counters that are zero and
//! parts that are empty print nothing, and so does a command that only changes something.

mod bridge;
mod descriptors;
mod errors;
mod escape;
mod hardware;
mod interface;
mod nsim;
mod overview;
mod pad;
mod planned;
mod process;
mod rates;
mod running_config;
mod tap;
#[cfg(test)]
mod tests;
mod views;

pub use escape::{escape, escape_lines};
pub use pad::wrapped;
pub use rates::{has_rates, rates_json, rates_text};

use crate::api::{Interface, Reply, View};

/// The reply as text, every line ended; empty where there is nothing to say. Layouts of ours fit
/// into so many `columns`, where that is said; those of VPP are as wide as VPP's.
pub fn text(reply: &Reply, columns: Option<usize>) -> String {
    match reply {
        Reply::Created(interface) => format!("{}\n", interface.name),
        Reply::Planned(steps) => planned::steps(steps),
        Reply::Deleted(_) | Reply::Changed(_) => String::new(),
        Reply::SubInterfaces(names) => names.iter().map(|name| format!("{name}\n")).collect(),
        Reply::Interfaces(all, view) => interfaces(all, *view, columns),
        Reply::BridgesChanged(ids, true) => {
            ids.iter().map(|bd_id| format!("bridge-domain {bd_id}\n")).collect()
        }
        Reply::BridgesChanged(_, false) => String::new(),
        Reply::BridgeDomains(all, detail) => bridge::domains(all, *detail),
        Reply::L2Fib(all, verbose) => bridge::l2fib(all, *verbose),
        Reply::Errors(rows, verbose) => errors::table(rows, *verbose),
        Reply::Runtime(pollers, verbose) => process::runtime(pollers, *verbose),
        Reply::Threads(all) => process::threads(all),
        Reply::Nsim(all) => nsim::text(all),
        Reply::Logging(rows) => process::logging(rows),
        Reply::Version(all, verbose) => process::version(all, *verbose),
    }
}

fn interfaces(all: &[Interface], view: View, columns: Option<usize>) -> String {
    match view {
        View::Overview => overview::table(all, columns),
        View::Tap => all.iter().map(tap::interface).collect(),
        View::Counters => interface::table(all),
        View::Addresses => views::addresses(all),
        View::RxPlacement => views::rx_placement(all),
        View::TxPlacement => views::tx_placement(all),
        View::Features => views::features(all),
        View::Tags => views::tags(all),
        View::SecondaryMacs => views::secondary_macs(all),
        View::Hardware(detail) => hardware::table(all, detail),
        View::TagRewrites => views::tag_rewrites(all),
        View::Mode => views::mode(all),
        View::RunningConfig => running_config::script(all),
    }
}

/// The reply as an array of JSON objects: one line, or several when `pretty`.
pub fn json(reply: &Reply, pretty: bool) -> String {
    let value = reply.to_json();
    if pretty { format!("{value:#}\n") } else { format!("{value}\n") }
}

/// What a delete left behind on the host, a line each; empty for every other reply.
pub fn left_behind(reply: &Reply) -> Vec<String> {
    let Reply::Deleted(gone) = reply else { return Vec::new() };
    gone.iter()
        .flat_map(|deleted| {
            deleted.not_undone.iter().map(|step| format!("{}: not undone: {step}", deleted.name))
        })
        .collect()
}
