//! Words of VPP's `create tap` that this version lacks: each refused by its name.

use crate::cli::values;
use crate::cli::vpp::not_supported;
use crate::diag::Failure;

// Hidden from help, known to the grammar. A comment and no doc: clap would print it.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Options {
    #[arg(long, hide = true)]
    no_gso: bool,
    #[arg(long, hide = true)]
    csum_offload: bool,
    #[arg(long, hide = true)]
    gro_coalesce: bool,
    #[arg(long, hide = true)]
    persist: bool,
    #[arg(long, hide = true)]
    attach: bool,
    #[arg(long, hide = true)]
    tun: bool,
    #[arg(long, hide = true)]
    packed: bool,
    #[arg(long, hide = true)]
    in_order: bool,
    #[arg(long, hide = true)]
    consistent_qp: bool,
    /// Receive queues; this version has 1.
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "Rings")]
    num_rx_queues: Option<u64>,
    /// Transmit queues; this version has 1.
    #[arg(long, value_name = "N", value_parser = values::count, help_heading = "Rings")]
    num_tx_queues: Option<u64>,
}

/// The refusal of `create tun`.
pub(super) fn tun() -> Failure {
    not_supported("tun", "")
}

impl Options {
    pub(super) fn check(&self) -> Result<(), Failure> {
        let flags = [
            ("no-gso", self.no_gso),
            ("csum-offload", self.csum_offload),
            ("gro-coalesce", self.gro_coalesce),
            ("persist", self.persist),
            ("attach", self.attach),
            ("tun", self.tun),
            ("packed", self.packed),
            ("in-order", self.in_order),
            ("consistent-qp", self.consistent_qp),
        ];
        if let Some((word, _)) = flags.iter().find(|(_, given)| *given) {
            return Err(not_supported(word, *word));
        }
        let queues = [("num-rx-queues", self.num_rx_queues), ("num-tx-queues", self.num_tx_queues)];
        for (word, number) in queues {
            if let Some(number) = number.filter(|n| *n != 1) {
                return Err(not_supported(word, format!("{word} {number}")));
            }
        }
        Ok(())
    }
}
