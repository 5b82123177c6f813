//! `xconnect A B [IMPAIRMENT] [link-state on|off] [off]`.

use super::faults::Faults;
use super::gso::Switch;
use super::names;
use crate::api::{InterfaceRef, Request, XconnectRequest};
use crate::diag::Failure;
use crate::units::IfName;

/// Wire two interfaces together, both ways.
///
/// What one receives the other sends. The same as `set interface l2 xconnect' once for each. Without
/// link-state each host side keeps its carrier, whatever becomes of the other.
///
/// The wire delays, loses or damages frames where that is said, each direction for itself; `set interface l2
/// xconnect' says it of one direction. Said again with other values, it changes while frames are on it, and
/// said again without, the wire is perfect.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "taptool xconnect A B [OPTION]...\n       taptool xconnect A B off",
    after_help = "Examples:\n  xconnect tap1 tap2\n  xconnect tap1 tap2 link-state on\n  xconnect tap1 tap2 delay 10ms jitter 2ms loss 1% rate 100Mbit\n  xconnect tap1 tap2 off"
)]
pub(super) struct Args {
    /// One end.
    #[arg(value_name = "A", add = names::interfaces())]
    a: IfName,
    /// The other end.
    #[arg(value_name = "B", add = names::interfaces())]
    b: IfName,
    /// Take the wire away: both answer for their addresses again, or sink.
    #[arg(long, conflicts_with_all = ["link_state", "delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate", "limit", "seed"])]
    off: bool,
    /// Hand the loss of link at one end on to the other's carrier, on or off [default: off].
    ///
    /// An end loses its link when its host side is set down, deleted or its carrier switched off, and
    /// when it is set down itself. The host side of the other end then has no carrier until the link
    /// is back. Where the end was deleted, that is until another command about the other end: xconnect,
    /// `set interface l3', or `set tap carrier NAME up'.
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    link_state: Option<Switch>,
    #[command(flatten)]
    faults: Faults,
}

/// Both ends; refused when they are one.
pub(super) fn ends(a: IfName, b: IfName) -> Result<(InterfaceRef, InterfaceRef), Failure> {
    if a == b {
        return Err(Failure::usage(a.as_str(), "an interface cannot be wired to itself"));
    }
    Ok((InterfaceRef::Name(a), InterfaceRef::Name(b)))
}

impl TryFrom<Args> for Request {
    type Error = Failure;
    fn try_from(args: Args) -> Result<Self, Failure> {
        let (a, b) = ends(args.a, args.b)?;
        Ok(Self::Xconnect(XconnectRequest {
            a,
            b,
            off: args.off,
            link_state: args.link_state == Some(Switch::On),
            impairment: args.faults.into(),
        }))
    }
}
