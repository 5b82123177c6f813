//! `xconnect A B [off]`.

use super::names;
use crate::api::{InterfaceRef, Request, XconnectRequest};
use crate::diag::Failure;
use crate::units::IfName;

/// Wire two interfaces together, both ways.
///
/// What one receives the other sends. The same as `set interface l2 xconnect' once for each.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "taptool xconnect A B [off]",
    after_help = "Examples:\n  xconnect tap1 tap2\n  xconnect tap1 tap2 off"
)]
pub(super) struct Args {
    /// One end.
    #[arg(value_name = "A", add = names::interfaces())]
    a: IfName,
    /// The other end.
    #[arg(value_name = "B", add = names::interfaces())]
    b: IfName,
    /// Take the wire away: both answer for their addresses again, or sink.
    #[arg(long)]
    off: bool,
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
        Ok(Self::Xconnect(XconnectRequest { a, b, off: args.off }))
    }
}
