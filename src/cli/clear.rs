//! `clear interfaces|errors`.

use clap::Subcommand;

use super::names;
use crate::api::{ClearRequest, InterfaceRef, Request};
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
    /// The rows of `show errors'.
    #[command(after_help = "Example: clear errors")]
    Errors,
}

impl From<Args> for Request {
    fn from(args: Args) -> Self {
        Self::Clear(match args.what {
            What::Interfaces { names } => {
                ClearRequest::Interfaces(names.into_iter().map(InterfaceRef::Name).collect())
            }
            What::Errors => ClearRequest::Errors {},
        })
    }
}
