//! `create bridge-domain`, `delete bridge-domain`, `set bridge-domain`, `show bridge-domain`,
//! `show l2fib`, `l2fib …`, `test l2patch`.

use clap::{Subcommand, ValueEnum};

use super::{names, values, vpp, xconnect};
use crate::api::{
    BridgeChange, BridgeRequest, BridgeSettings, InterfaceRef, L2FibKind, L2FibRequest, Request,
    SetInterface, SetRequest, ShowRequest,
};
use crate::diag::Failure;
use crate::units::{BridgeDomainId, IfName, MacAddr, Tag};

// A comment and no doc: clap would print it as the command's own.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Number of the domain, 1-16777215.
    #[arg(value_name = "BD-ID")]
    bd_id: Option<BridgeDomainId>,
    /// Learn behind which member a source MAC is [default: 1].
    #[arg(long, value_name = "0|1", value_parser = values::bit)]
    learn: Option<bool>,
    /// Send frames for known MACs to their member; 0 drops them [default: 1].
    #[arg(long, value_name = "0|1", value_parser = values::bit)]
    forward: Option<bool>,
    /// Flood frames for unknown MACs; 0 drops them [default: 1].
    #[arg(long, value_name = "0|1", value_parser = values::bit)]
    uu_flood: Option<bool>,
    /// Flood frames for broadcast and multicast; 0 drops them [default: 1].
    #[arg(long, value_name = "0|1", value_parser = values::bit)]
    flood: Option<bool>,
    /// 0: ARP is bridged, and not answered by the domain.
    #[arg(long, value_name = "0", value_parser = values::bit)]
    arp_term: Option<bool>,
    /// Minutes without a frame after which a learned MAC is forgotten, 0-255; 0 is never [default: 0].
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    mac_age: Option<u8>,
    /// A word to know it by.
    #[arg(long, value_name = "TAG")]
    bd_tag: Option<Tag>,
    /// Delete the domain; it must have no members.
    #[arg(long)]
    del: bool,
}

/// Minutes of `mac-age`.
fn minutes(text: &str) -> Result<u8, crate::units::Invalid> {
    let number = values::count(text)?;
    let why = || crate::units::Invalid("mac age must be less than 256".into());
    u8::try_from(number).map_err(|_| why())
}

impl Create {
    pub(super) fn request(self) -> Result<Request, Failure> {
        let bd_id =
            self.bd_id.ok_or_else(|| Failure::usage("", "bridge-domain-id not specified"))?;
        if self.arp_term == Some(true) {
            return Err(vpp::not_supported("arp-term", "arp-term"));
        }
        if self.del {
            return Ok(Request::Bridge(BridgeRequest::Delete { bd_id, members: false }));
        }
        Ok(Request::Bridge(BridgeRequest::Create(BridgeSettings {
            bd_id,
            learn: self.learn.unwrap_or(true),
            forward: self.forward.unwrap_or(true),
            uu_flood: self.uu_flood.unwrap_or(true),
            flood: self.flood.unwrap_or(true),
            mac_age: self.mac_age.unwrap_or(0),
            tag: self.bd_tag,
        })))
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// The domain.
    #[arg(value_name = "BD-ID", add = names::domains())]
    bd_id: BridgeDomainId,
}

impl From<Delete> for Request {
    fn from(Delete { bd_id }: Delete) -> Self {
        Self::Bridge(BridgeRequest::Delete { bd_id, members: true })
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Set {
    /// Learn behind which member a source MAC is, or no more.
    #[command(
        override_usage = "taptool set bridge-domain learn BD-ID [disable]",
        after_help = "Example: set bridge-domain learn 7 disable"
    )]
    Learn(Switch),
    /// Send frames for known MACs to their member, or drop them.
    #[command(
        override_usage = "taptool set bridge-domain forward BD-ID [disable]",
        after_help = "Example: set bridge-domain forward 7"
    )]
    Forward(Switch),
    /// Flood frames for unknown MACs, or drop them.
    #[command(
        override_usage = "taptool set bridge-domain uu-flood BD-ID [disable]",
        after_help = "Example: set bridge-domain uu-flood 7 disable"
    )]
    UuFlood(Switch),
    /// Flood frames for broadcast and multicast, or drop them.
    #[command(
        override_usage = "taptool set bridge-domain flood BD-ID [disable]",
        after_help = "Example: set bridge-domain flood 7 disable"
    )]
    Flood(Switch),
    /// Forget a learned MAC after so many minutes without a frame from it.
    #[command(after_help = "Example: set bridge-domain mac-age 7 5")]
    MacAge {
        /// The domain.
        #[arg(value_name = "BD-ID", add = names::domains())]
        bd_id: BridgeDomainId,
        /// 0-255; 0 is never.
        #[arg(value_name = "MINUTES", value_parser = minutes)]
        minutes: u8,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Switch {
    /// The domain.
    #[arg(value_name = "BD-ID", add = names::domains())]
    bd_id: BridgeDomainId,
    /// Stop doing it.
    #[arg(long)]
    disable: bool,
}

impl From<Set> for Request {
    fn from(set: Set) -> Self {
        let (bd_id, change) = match set {
            Set::Learn(Switch { bd_id, disable }) => (bd_id, BridgeChange::Learn(!disable)),
            Set::Forward(Switch { bd_id, disable }) => (bd_id, BridgeChange::Forward(!disable)),
            Set::UuFlood(Switch { bd_id, disable }) => (bd_id, BridgeChange::UuFlood(!disable)),
            Set::Flood(Switch { bd_id, disable }) => (bd_id, BridgeChange::Flood(!disable)),
            Set::MacAge { bd_id, minutes } => (bd_id, BridgeChange::MacAge(minutes)),
        };
        Self::Bridge(BridgeRequest::Set { bd_id, change })
    }
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// Only this domain.
    #[arg(value_name = "BD-ID", add = names::domains())]
    bd_id: Option<BridgeDomainId>,
    /// Also the members, and the tag.
    #[arg(long, aliases = ["det", "int"])]
    detail: bool,
}

impl From<Show> for ShowRequest {
    fn from(Show { bd_id, detail }: Show) -> Self {
        Self::BridgeDomains { bd_id, detail }
    }
}

// `verbose' and `all' are words and no options: --verbose is the program's own, and an option --all
// never stands bare.
#[derive(Debug, clap::Args)]
pub(super) struct ShowL2Fib {
    /// What to list: all or verbose everything, learn what was learned, add what was added.
    #[arg(value_name = "all|learn|add", hide_possible_values = true)]
    words: Vec<Word>,
    /// Only of this domain.
    #[arg(
        long = "bd_id",
        aliases = ["bd-id", "bd_index", "bd-index"],
        value_name = "BD-ID",
        add = names::domains()
    )]
    bd_id: Option<BridgeDomainId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    All,
    Verbose,
    Learn,
    Add,
}

impl From<ShowL2Fib> for ShowRequest {
    fn from(ShowL2Fib { words, bd_id }: ShowL2Fib) -> Self {
        let verbose = bd_id.is_some() || !words.is_empty();
        let kind = words.into_iter().fold(L2FibKind::All, |kind, word| match word {
            Word::All | Word::Verbose => kind,
            Word::Learn => L2FibKind::Learn,
            Word::Add => L2FibKind::Add,
        });
        Self::L2Fib { bd_id, kind, verbose }
    }
}

/// What bridge domains know of MACs: add, delete, forget.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  l2fib add 02:fe:00:00:00:07 1 tap0 static\n  l2fib flush-mac all"
)]
pub(super) struct L2Fib {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say behind which member a MAC is, or filter its frames.
    ///
    /// The entry does not age. A frame that comes from the MAC behind another member moves it there,
    /// unless it is static: then such frames are dropped (mac_moved).
    #[command(
        override_usage = "taptool l2fib add MAC BD-ID {NAME [static] | filter}",
        after_help = "Examples:\n  l2fib add 02:fe:00:00:00:07 1 tap0 static\n  l2fib add 02:fe:00:00:00:08 1 filter"
    )]
    Add {
        /// The MAC.
        #[arg(value_name = "MAC")]
        mac: MacAddr,
        /// The domain.
        #[arg(value_name = "BD-ID", add = names::domains())]
        bd_id: BridgeDomainId,
        /// The member behind which it is.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: Option<IfName>,
        /// No frame moves it to another member.
        #[arg(long = "static")]
        fixed: bool,
        /// Drop frames from and to it (mac_filtered).
        #[arg(long, conflicts_with_all = ["name", "fixed"])]
        filter: bool,
        #[arg(long, hide = true)]
        bvi: bool,
    },
    /// Forget a MAC, however it is known.
    #[command(after_help = "Example: l2fib del 02:fe:00:00:00:07 1")]
    Del {
        /// The MAC.
        #[arg(value_name = "MAC")]
        mac: MacAddr,
        /// The domain.
        #[arg(value_name = "BD-ID", add = names::domains())]
        bd_id: BridgeDomainId,
    },
    /// Forget what was learned; what commands have added stays.
    #[command(subcommand)]
    FlushMac(Flush),
}

#[derive(Debug, Subcommand)]
enum Flush {
    /// In every domain.
    #[command(after_help = "Example: l2fib flush-mac all")]
    All,
    /// Behind one interface.
    #[command(after_help = "Example: l2fib flush-mac interface tap0")]
    Interface {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
    },
    /// In one domain.
    #[command(after_help = "Example: l2fib flush-mac bridge-domain 1")]
    BridgeDomain {
        /// The domain.
        #[arg(value_name = "BD-ID", add = names::domains())]
        bd_id: BridgeDomainId,
    },
}

impl TryFrom<L2Fib> for Request {
    type Error = Failure;
    fn try_from(L2Fib { what }: L2Fib) -> Result<Self, Failure> {
        Ok(Self::L2Fib(match what {
            What::Add { bvi: true, .. } => return Err(vpp::not_supported("bvi", "bvi")),
            What::Add { name: None, filter: false, .. } => {
                let hint = "name the member behind which it is, or write `filter'";
                return Err(Failure::usage("", "Missing <interface>").hint(hint));
            }
            What::Add { mac, bd_id, name, fixed: static_mac, .. } => {
                let interface = name.map(InterfaceRef::Name);
                L2FibRequest::Add { mac, bd_id, interface, static_mac }
            }
            What::Del { mac, bd_id } => L2FibRequest::Del { mac, bd_id },
            What::FlushMac(Flush::All) => L2FibRequest::FlushAll {},
            What::FlushMac(Flush::Interface { name }) => {
                L2FibRequest::FlushInterface(InterfaceRef::Name(name))
            }
            What::FlushMac(Flush::BridgeDomain { bd_id }) => L2FibRequest::FlushDomain(bd_id),
        }))
    }
}

/// VPP's `test l2patch': a one-way wire.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: test l2patch rx tap0 tx tap1")]
pub(super) struct Test {
    #[command(subcommand)]
    what: TestWhat,
}

#[derive(Debug, Subcommand)]
enum TestWhat {
    /// Send what one interface receives out of another; the same as `set interface l2 xconnect'.
    #[command(
        override_usage = "taptool test l2patch rx NAME tx PEER [del]",
        after_help = "Examples:\n  test l2patch rx tap0 tx tap1\n  test l2patch rx tap0 tx tap1 del"
    )]
    L2patch {
        /// The interface that receives.
        #[arg(long, value_name = "NAME", add = names::interfaces())]
        rx: Option<IfName>,
        /// The interface that sends.
        #[arg(long, value_name = "PEER", add = names::interfaces())]
        tx: Option<IfName>,
        /// Take the wire away; the same as `set interface l3'.
        #[arg(long)]
        del: bool,
    },
}

impl TryFrom<Test> for Request {
    type Error = Failure;
    fn try_from(Test { what }: Test) -> Result<Self, Failure> {
        let TestWhat::L2patch { rx, tx, del } = what;
        let rx = rx.ok_or_else(|| Failure::usage("", "rx interface not set"))?;
        let tx = tx.ok_or_else(|| Failure::usage("", "tx interface not set"))?;
        let (interface, peer) = xconnect::ends(rx, tx)?;
        let change = match del {
            true => SetInterface::L3 {},
            false => SetInterface::L2Xconnect { peer, impairment: Default::default() },
        };
        Ok(Self::Set(SetRequest { interface, change }))
    }
}
