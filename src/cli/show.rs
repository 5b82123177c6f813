//! `show [tap|tun|interface|errors] [NAME…]`.

use clap::Subcommand;

use super::complete;
use crate::api::{InterfaceRef, Request, ShowRequest};
use crate::units::{IfName, Kind};

/// Show interfaces and their counters; alone, one table of everything.
///
/// rx is what the host sent to us, tx what we sent to the host. Counters count since the interface
/// was made or since `clear interfaces'. taptool(8) explains each of them, and the keys of -j.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    override_usage = "taptool show [tap|tun|interface|errors] [NAME...]",
    after_help = "Examples:\n  show\n  show tap tap0 descriptors\n  -j show tap tap0"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Only these interfaces.
    #[arg(value_name = "NAME", add = complete::interfaces())]
    names: Vec<IfName>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Everything about taps: host side, features, rings, counters of each queue.
    #[command(
        override_usage = "taptool show tap [NAME...] [descriptors]",
        after_help = "Examples:\n  show tap\n  show tap tap0 descriptors"
    )]
    Tap(OfKind),
    /// The same for tuns.
    #[command(
        override_usage = "taptool show tun [NAME...] [descriptors]",
        after_help = "Example: show tun"
    )]
    Tun(OfKind),
    /// State, MTU, packets, bytes and drops of interfaces, as VPP lays them out.
    #[command(after_help = "Example: show interface tap0")]
    Interface {
        /// Only these interfaces.
        #[arg(value_name = "NAME", add = complete::interfaces())]
        names: Vec<IfName>,
    },
    /// Lost frames by reason.
    ///
    /// The node is the interface and the direction: tap0-rx, tap0-tx. Queues are added up; JSON
    /// keeps them apart.
    #[command(after_help = "Example: show errors")]
    Errors,
}

#[derive(Debug, clap::Args)]
struct OfKind {
    /// Only these interfaces.
    #[arg(value_name = "NAME", add = complete::interfaces())]
    names: Vec<IfName>,
    /// Also the descriptor tables of the rings.
    #[arg(long)]
    descriptors: bool,
}

fn interfaces(names: Vec<IfName>) -> Vec<InterfaceRef> {
    names.into_iter().map(InterfaceRef::Name).collect()
}

fn of_kind(kind: Kind, args: OfKind) -> ShowRequest {
    let interfaces = interfaces(args.names);
    ShowRequest::Tap { kind, interfaces, descriptors: args.descriptors }
}

impl From<Args> for Request {
    fn from(args: Args) -> Self {
        Self::Show(match args.what {
            None => ShowRequest::Overview(interfaces(args.names)),
            Some(What::Tap(args)) => of_kind(Kind::Tap, args),
            Some(What::Tun(args)) => of_kind(Kind::Tun, args),
            Some(What::Interface { names }) => ShowRequest::Interface(interfaces(names)),
            Some(What::Errors) => ShowRequest::Errors {},
        })
    }
}
