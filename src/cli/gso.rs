//! `gso NAME on|off`.

use clap::ValueEnum;

use super::names;
use crate::api::{GsoRequest, InterfaceRef, Request};
use crate::units::IfName;

/// Turn segmentation offload of an interface on or off, while it runs.
///
/// `off' makes it a plain tap again. Frames in flight are not lost.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: gso tap0 on")]
pub(super) struct Args {
    /// The interface.
    #[arg(value_name = "NAME", add = names::interfaces())]
    name: IfName,
    /// on or off.
    #[arg(value_name = "on|off", hide_possible_values = true)]
    switch: Switch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

impl From<Args> for Request {
    fn from(args: Args) -> Self {
        let interface = InterfaceRef::Name(args.name);
        Self::Gso(GsoRequest { interface, on: args.switch == Switch::On })
    }
}
