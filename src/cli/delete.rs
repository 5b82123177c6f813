//! `delete [tap|tun] NAME… | sw_if_index N | --all`.

use clap::Subcommand;

use super::{bridge, names, sub_interfaces, values};
use crate::api::{DeleteRequest, InterfaceRef, Request};
use crate::diag::Failure;
use crate::units::{IfName, SwIfIndex};

const EXAMPLES: &str = "\
Examples:
  delete tap0 tap1
  delete tap sw_if_index 3
  delete --destroy tap3";

/// Delete interfaces.
///
/// All named interfaces must exist, or none is deleted. Steps that could not be undone on the host are
/// printed on stderr, with exit code 1. A Linux device that was made with `persist' or attached to stays,
/// which a notice says.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    override_usage = "taptool delete [tap|tun] {NAME... | sw_if_index N | --all} [--destroy]",
    after_help = EXAMPLES
)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Option<KindArgs>,
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Subcommand)]
enum KindArgs {
    /// Delete taps.
    #[command(
        override_usage = "taptool delete tap {NAME... | sw_if_index N | --all} [--destroy]",
        after_help = EXAMPLES
    )]
    Tap(Which),
    /// Delete tuns.
    #[command(
        override_usage = "taptool delete tun {NAME... | sw_if_index N | --all} [--destroy]",
        after_help = "Example: delete tun tun0"
    )]
    Tun(Which),
    /// Delete a bridge domain; its members answer for their addresses again, or sink.
    #[command(after_help = "Example: delete bridge-domain 1")]
    BridgeDomain(bridge::Delete),
    /// Delete a sub-interface; the interface stays.
    #[command(
        aliases = ["sub-interface", "sub"],
        after_help = "Example: delete sub-interfaces tap0.10"
    )]
    SubInterfaces(sub_interfaces::Delete),
}

// A comment and no doc: clap would print it as the command's own.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Which {
    /// Interfaces.
    #[arg(value_name = "NAME", add = names::interfaces())]
    names: Vec<IfName>,
    /// One interface, by its number in `show interface'.
    #[arg(
        long = "sw_if_index",
        alias = "sw-if-index",
        value_name = "N",
        value_parser = values::index,
        add = names::indices(),
        conflicts_with = "names"
    )]
    sw_if_index: Option<u32>,
    /// All interfaces and bridge domains; that there are none is no error.
    #[arg(long, conflicts_with_all = ["names", "sw_if_index"])]
    all: bool,
    /// Remove a Linux device that would stay: one that was made with --persist or attached to.
    #[arg(long)]
    destroy: bool,
}

impl TryFrom<Args> for Request {
    type Error = Failure;
    fn try_from(args: Args) -> Result<Self, Failure> {
        let which = match args.kind {
            None => args.which,
            Some(KindArgs::Tap(which) | KindArgs::Tun(which)) => which,
            Some(KindArgs::BridgeDomain(domain)) => return Ok(domain.into()),
            Some(KindArgs::SubInterfaces(sub)) => return Ok(sub.into()),
        };
        if which.all {
            return Ok(Self::Delete(DeleteRequest::All { destroy: which.destroy }));
        }
        let mut named: Vec<InterfaceRef> = Vec::new();
        named.extend(which.sw_if_index.map(|n| InterfaceRef::Index(SwIfIndex(n))));
        for name in which.names {
            let interface = InterfaceRef::Name(name);
            if named.contains(&interface) {
                return Err(Failure::usage(interface.to_string(), "named twice"));
            }
            named.push(interface);
        }
        if named.is_empty() {
            let hint = "delete {NAME... | sw_if_index N | --all}";
            return Err(Failure::usage("", "Missing <interface>").hint(hint));
        }
        Ok(Self::Delete(match which.destroy {
            true => DeleteRequest::Destroy(named),
            false => DeleteRequest::Named(named),
        }))
    }
}
