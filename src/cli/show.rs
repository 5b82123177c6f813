//! `show …`.

use clap::{Subcommand, ValueEnum};

use super::watch::Again;
use super::{bridge, names, vpp};
use crate::api::{Detail, InterfaceRef, ShowRequest};
use crate::diag::Failure;
use crate::units::{IfName, Kind};

/// Show interfaces and their counters; alone, one table of everything.
///
/// rx is what the host sent to us, tx what we sent to the host. Counters count since the interface
/// was made or since `clear interfaces'. taptool(8) explains each of them, and the keys of -j.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    override_usage = "taptool show [tap|tun|interface|hardware-interfaces|mode] [NAME...]\n       taptool show errors|nsim|running-config|runtime|threads|logging|version",
    after_help = "Examples:\n  show\n  show tap tap0 descriptors\n  -j show tap tap0"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// Only these interfaces.
    #[arg(value_name = "NAME", add = names::interfaces())]
    names: Vec<IfName>,
    #[command(flatten)]
    again: Again,
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
    #[command(
        args_conflicts_with_subcommands = true,
        override_usage = "taptool show interface [addr|features|rx-placement|tx-placement|secondary-mac-address|tag] [NAME...]",
        after_help = "Examples:\n  show interface tap0\n  show interface addr"
    )]
    Interface {
        #[command(subcommand)]
        what: Option<OfInterface>,
        /// Only these interfaces.
        #[arg(value_name = "NAME", add = names::interfaces())]
        names: Vec<IfName>,
    },
    /// Link, queues and their pollers, and packets of each queue, as VPP lays them out.
    ///
    /// brief is a row for each interface, verbose adds what `show tap' shows.
    #[command(
        override_usage = "taptool show hardware-interfaces [NAME...] [brief|verbose]",
        after_help = "Examples:\n  show hardware-interfaces\n  show hardware-interfaces tap0 verbose"
    )]
    HardwareInterfaces {
        /// Only these interfaces.
        #[arg(value_name = "NAME", add = names::interfaces())]
        words: Vec<IfName>,
    },
    /// Whether interfaces are cross-connected (l2) or answer for addresses (l3).
    #[command(after_help = "Example: show mode")]
    Mode(Names),
    /// The commands that make what is there, a line each: a script for `exec'.
    ///
    /// `save FILE' writes them to a file. With -j it is the objects of `show tap'.
    #[command(after_help = "Example: show running-config")]
    RunningConfig,
    /// Bridge domains: what each is set to do; with detail, its members.
    #[command(
        override_usage = "taptool show bridge-domain [BD-ID] [detail]",
        after_help = "Examples:\n  show bridge-domain\n  show bridge-domain 1 detail"
    )]
    BridgeDomain(bridge::Show),
    /// What bridge domains know of MACs.
    ///
    /// Alone it says how many they know. The tables of all pollers are shown as one.
    #[command(
        override_usage = "taptool show l2fib [all|verbose] [learn|add] [bd_id BD-ID]",
        after_help = "Examples:\n  show l2fib\n  show l2fib all\n  show l2fib bd_id 1 learn"
    )]
    L2fib(bridge::ShowL2Fib),
    /// How each poller spends its time, and the bursts of its queues.
    ///
    /// Calls are bursts, vectors their frames. verbose shows queues that moved nothing, too.
    #[command(
        alias = "run",
        override_usage = "taptool show runtime [verbose]",
        after_help = "Example: show runtime"
    )]
    Runtime(Extra),
    /// What `set nsim' says, and which interfaces follow it.
    #[command(after_help = "Example: show nsim")]
    Nsim(Extra),
    /// The threads of the process that holds the interfaces.
    #[command(after_help = "Example: show threads")]
    Threads,
    /// The last 512 events: interfaces made, deleted, broken, reset; host sides renamed, moved,
    /// gone.
    ///
    /// Times are UTC.
    #[command(after_help = "Example: show logging")]
    Logging,
    /// The version of this program.
    #[command(
        override_usage = "taptool show version [verbose]",
        after_help = "Example: show version verbose"
    )]
    Version(Extra),
    /// Lost frames by reason.
    ///
    /// The node is the interface and the direction: tap0-rx, tap0-tx. The queues of a node are
    /// added up; verbose and JSON list each queue.
    #[command(
        override_usage = "taptool show errors [verbose]",
        after_help = "Example: show errors"
    )]
    Errors(Extra),
    /// The same as `show errors', as VPP calls it too.
    #[command(hide = true, subcommand)]
    Node(OfNode),
    /// Macros of this script or shell; `define' makes one.
    #[command(after_help = "Example: show macro")]
    Macro,
}

impl Args {
    /// Whether it asks for more than one look, and how.
    pub(super) fn again(&self) -> Option<Again> {
        (self.again != Again::default()).then(|| self.again.clone())
    }

    /// Whether the session answers it itself, without a request.
    pub(super) fn asks_for_macros(&self) -> bool {
        matches!(self.what, Some(What::Macro))
    }
}

#[derive(Debug, Subcommand)]
enum OfNode {
    /// Lost frames by reason.
    #[command(after_help = "Example: show node counters")]
    Counters(Extra),
}

#[derive(Debug, Subcommand)]
enum OfInterface {
    /// Addresses of our side, and cross-connects.
    #[command(alias = "address", after_help = "Example: show interface addr")]
    Addr(Names),
    /// Which poller receives for which queue.
    #[command(after_help = "Example: show interface rx-placement")]
    RxPlacement(Names),
    /// Which transmit queues each poller sends to.
    #[command(after_help = "Example: show interface tx-placement")]
    TxPlacement(Names),
    /// What `set interface tag' has marked each with.
    #[command(after_help = "Example: show interface tag tap0")]
    Tag(Names),
    /// What is done with VLAN tags: `set interface l2 tag-rewrite'.
    #[command(after_help = "Example: show interface vtr")]
    Vtr(Names),
    /// Further MACs whose frames are taken.
    #[command(after_help = "Example: show interface secondary-mac-address")]
    SecondaryMacAddress(Names),
    /// What is done with the frames of an interface.
    #[command(alias = "feat", after_help = "Example: show interface features tap0")]
    Features(Names),
}

#[derive(Debug, clap::Args)]
struct Names {
    /// Only these interfaces.
    #[arg(value_name = "NAME", add = names::interfaces())]
    names: Vec<IfName>,
}

// `verbose' is a word and no option: --verbose is the program's own.
#[derive(Debug, clap::Args)]
struct Extra {
    /// Show more.
    #[arg(value_name = "verbose", hide_possible_values = true)]
    extra: Option<Word>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    Verbose,
}

/// The words after `show hardware-interfaces': names, and among them, how much; the last counts.
fn hardware(mut words: Vec<IfName>) -> ShowRequest {
    let mut detail = Detail::Normal;
    words.retain(|word| {
        detail = match word.as_str() {
            "brief" => Detail::Brief,
            "verbose" | "detail" => Detail::Verbose,
            _ => return true,
        };
        false
    });
    ShowRequest::Hardware { interfaces: interfaces(words), detail }
}

/// The words after `show interface': names, and before, among or behind them, what to show.
fn of_interface(what: Option<OfInterface>, names: Vec<IfName>) -> Result<ShowRequest, Failure> {
    type What = fn(Vec<InterfaceRef>) -> ShowRequest;
    let word = |word: &str| -> Option<(&'static str, What)> {
        match word {
            "addr" | "address" => Some(("addr", ShowRequest::Addresses)),
            "features" | "feat" => Some(("features", ShowRequest::Features)),
            "rx-placement" => Some(("rx-placement", ShowRequest::RxPlacement)),
            "tx-placement" => Some(("tx-placement", ShowRequest::TxPlacement)),
            "tag" => Some(("tag", ShowRequest::Tags)),
            "vtr" => Some(("vtr", ShowRequest::TagRewrites)),
            "secondary-mac-address" => Some(("secondary-mac-address", ShowRequest::SecondaryMacs)),
            _ => None,
        }
    };
    let (mut asked, words) = match what {
        None => (None, names),
        Some(OfInterface::Addr(Names { names })) => (word("addr"), names),
        Some(OfInterface::Features(Names { names })) => (word("features"), names),
        Some(OfInterface::RxPlacement(Names { names })) => (word("rx-placement"), names),
        Some(OfInterface::TxPlacement(Names { names })) => (word("tx-placement"), names),
        Some(OfInterface::Tag(Names { names })) => (word("tag"), names),
        Some(OfInterface::Vtr(Names { names })) => (word("vtr"), names),
        Some(OfInterface::SecondaryMacAddress(Names { names })) => {
            (word("secondary-mac-address"), names)
        }
    };
    let (mut named, mut verbose) = (Vec::new(), false);
    for name in words {
        match (name.as_str(), word(name.as_str())) {
            (given, Some((also, _))) if asked.is_some_and(|(asked, _)| asked != also) => {
                return Err(Failure::usage(
                    given,
                    "one of addr, features, rx-placement, tx-placement, tag, vtr, secondary-mac-address at a time",
                ));
            }
            (_, Some(what)) => asked = Some(what),
            ("verbose", _) => verbose = true,
            _ => named.push(name),
        }
    }
    match asked {
        // As in VPP, it changes nothing elsewhere.
        Some(("features", _)) if verbose => Err(vpp::not_supported("verbose", "verbose")),
        Some((_, what)) => Ok(what(interfaces(named))),
        None => Ok(ShowRequest::Interface(interfaces(named))),
    }
}

#[derive(Debug, clap::Args)]
struct OfKind {
    /// Only these interfaces.
    #[arg(value_name = "NAME", add = names::interfaces())]
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

impl TryFrom<Args> for ShowRequest {
    type Error = Failure;
    fn try_from(args: Args) -> Result<Self, Failure> {
        Ok(match args.what {
            None | Some(What::Macro) => ShowRequest::Overview(interfaces(args.names)),
            Some(What::Tap(args)) => of_kind(Kind::Tap, args),
            Some(What::Tun(args)) => of_kind(Kind::Tun, args),
            Some(What::Interface { what, names }) => of_interface(what, names)?,
            Some(What::HardwareInterfaces { words }) => hardware(words),
            Some(What::RunningConfig) => ShowRequest::RunningConfig {},
            Some(What::Mode(all)) => ShowRequest::Mode(interfaces(all.names)),
            Some(What::BridgeDomain(args)) => args.into(),
            Some(What::L2fib(args)) => args.into(),
            Some(What::Runtime(Extra { extra })) => {
                ShowRequest::Runtime { verbose: extra.is_some() }
            }
            Some(What::Nsim(_)) => ShowRequest::Nsim {},
            Some(What::Threads) => ShowRequest::Threads {},
            Some(What::Logging) => ShowRequest::Logging {},
            Some(What::Version(Extra { extra })) => {
                ShowRequest::Version { verbose: extra.is_some() }
            }
            Some(What::Errors(Extra { extra }) | What::Node(OfNode::Counters(Extra { extra }))) => {
                ShowRequest::Errors { verbose: extra.is_some() }
            }
        })
    }
}
