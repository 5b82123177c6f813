//! `set interface name|tag|mac|secondary-mac-address|promiscuous`.

use clap::{Subcommand, ValueEnum};

use crate::api::SetInterface;
use crate::cli::names;
use crate::diag::Failure;
use crate::units::{IfName, MacAddr, Tag};

#[derive(Debug, Subcommand)]
pub(super) enum Settings {
    /// Give our side another name; the host side keeps its own.
    #[command(after_help = "Example: set interface name tap0 uplink")]
    Name {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// Its name from now on.
        #[arg(value_name = "NEW")]
        new: IfName,
    },
    /// Mark an interface with a word; `clear interface tag NAME' takes it away.
    ///
    /// `show interface tag' shows it.
    #[command(after_help = "Example: set interface tag tap0 customer-7")]
    Tag {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// Up to 63 printable characters.
        #[arg(value_name = "TAG")]
        tag: Tag,
    },
    /// The MAC of our side.
    #[command(subcommand)]
    Mac(Mac),
    /// Take frames for another MAC too, or no more.
    ///
    /// An interface with addresses drops unicast frames that are for none of its MACs, counted as
    /// l3_mac_mismatch. `show interface secondary-mac-address' shows them.
    #[command(
        override_usage = "taptool set interface secondary-mac-address NAME MAC {add|del}",
        after_help = "Example: set interface secondary-mac-address tap0 02:fe:00:00:00:07 add"
    )]
    SecondaryMacAddress {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// The MAC.
        #[arg(value_name = "MAC")]
        mac: MacAddr,
        /// Take its frames.
        #[arg(long, conflicts_with = "del")]
        add: bool,
        /// Take them no more.
        #[arg(long)]
        del: bool,
    },
    /// Take frames for every MAC, or for our own only (the default).
    ///
    /// It matters to an interface with addresses: a wire and a bridge take every frame anyway.
    #[command(after_help = "Example: set interface promiscuous on tap0")]
    Promiscuous {
        /// on or off.
        #[arg(value_name = "on|off", hide_possible_values = true)]
        switch: Switch,
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Mac {
    /// Give our side another MAC.
    ///
    /// It answers with it at once. Hosts that have the old one in their neighbour table send to that
    /// until they ask again.
    #[command(after_help = "Example: set interface mac address tap0 02:fe:00:00:00:07")]
    Address {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// A unicast address, and not the host side's.
        #[arg(value_name = "MAC")]
        mac: MacAddr,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Switch {
    On,
    Off,
}

impl Settings {
    /// The interface, and the change.
    pub(super) fn change(self) -> Result<(IfName, SetInterface), Failure> {
        Ok(match self {
            Self::Name { name, new } => (name, SetInterface::Name(new)),
            Self::Tag { name, tag } => (name, SetInterface::Tag(tag)),
            Self::Mac(Mac::Address { name, mac }) => (name, SetInterface::MacAddress(mac)),
            Self::SecondaryMacAddress { name, mac, add: true, .. } => {
                (name, SetInterface::AddSecondaryMac(mac))
            }
            Self::SecondaryMacAddress { name, mac, del: true, .. } => {
                (name, SetInterface::DelSecondaryMac(mac))
            }
            Self::SecondaryMacAddress { .. } => {
                return Err(Failure::usage("", "must choose one of add or del"));
            }
            Self::Promiscuous { switch, name } => {
                (name, SetInterface::Promiscuous { on: switch == Switch::On })
            }
        })
    }
}
