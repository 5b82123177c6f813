//! `clear interfaces|errors`.

use clap::Subcommand;

use super::names;
use crate::api::{ClearRequest, InterfaceRef, L2FibRequest, Request, SetInterface, SetRequest};
use crate::units::IfName;

/// Count from zero again; counting itself is not disturbed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  clear interfaces\n  clear errors")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Packets, bytes, drops, everything.
    #[command(after_help = "Examples:\n  clear interfaces\n  clear interfaces tap0")]
    Interfaces {
        /// Only these interfaces.
        #[arg(value_name = "NAME", add = names::interfaces())]
        names: Vec<IfName>,
    },
    // Hidden, so that it makes no abbreviation of `interfaces' ambiguous.
    /// As `clear interfaces', or what `set interface' has given.
    #[command(hide = true, args_conflicts_with_subcommands = true)]
    Interface {
        #[command(subcommand)]
        what: Option<OfInterface>,
        /// Only these interfaces.
        #[arg(value_name = "NAME", add = names::interfaces())]
        names: Vec<IfName>,
    },
    /// What bridge domains know of MACs, what commands have added too.
    #[command(after_help = "Example: clear l2fib")]
    L2fib,
    /// The rows of `show errors'.
    #[command(after_help = "Example: clear errors")]
    Errors,
}

#[derive(Debug, Subcommand)]
enum OfInterface {
    /// Take the tag of an interface away.
    #[command(after_help = "Example: clear interface tag tap0")]
    Tag {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
    },
}

impl From<Args> for Request {
    fn from(args: Args) -> Self {
        Self::Clear(match args.what {
            What::Interfaces { names } | What::Interface { what: None, names } => {
                ClearRequest::Interfaces(names.into_iter().map(InterfaceRef::Name).collect())
            }
            What::Errors => ClearRequest::Errors {},
            What::L2fib => return Self::L2Fib(L2FibRequest::Clear {}),
            What::Interface { what: Some(OfInterface::Tag { name }), .. } => {
                let interface = InterfaceRef::Name(name);
                return Self::Set(SetRequest { interface, change: SetInterface::ClearTag {} });
            }
        })
    }
}
