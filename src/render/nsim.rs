//! `show nsim` in VPP's layout.

use crate::api::Nsim;
use crate::units::{IfName, Share};

pub(super) fn text(all: &[Nsim]) -> String {
    let Some(nsim) = all.first() else { return String::new() };
    let mut out = format!(
        "configuration\n delay: {}\n buffer: 1 bdp (fixed-delay model)\n loss model: {}\n reorder \
         fraction: {}\n packet size: {}\n worker wheel size: {}\n throughput: {}\n\n",
        nsim.delay,
        match nsim.loss.is_none() {
            true => "none".to_owned(),
            false => format!("uniform: drop fraction {}", fraction(nsim.loss)),
        },
        fraction(nsim.reorder),
        nsim.packet_size,
        nsim.limit,
        nsim.bandwidth,
    );
    let list = |names: &[IfName]| -> String { names.iter().map(|n| format!(" {n}\n")).collect() };
    if nsim.cross_connects.is_empty() && nsim.output_features.is_empty() {
        out.push_str(" nsim not enabled\n");
    }
    if !nsim.cross_connects.is_empty() {
        out += &format!("cross-connect\n{}", list(&nsim.cross_connects));
    }
    if !nsim.output_features.is_empty() {
        out += &format!("output feature arcs to:\n{}", list(&nsim.output_features));
    }
    out
}

/// Of one, as VPP writes it.
fn fraction(share: Share) -> String {
    match share.billionths() {
        0 => "0".to_owned(),
        Share::WHOLE => "1".to_owned(),
        n => format!("0.{}", format!("{n:09}").trim_end_matches('0')),
    }
}
