//! `set interface name|tag|mac|secondary-mac-address|promiscuous|mtu`, `set tap host-mtu`.

use clap::{Args, Subcommand, ValueEnum};

use crate::api::{MtuOf, SetInterface};
use crate::cli::names;
use crate::diag::Failure;
use crate::units::{IfName, Invalid, MacAddr, Mtu, Tag};

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
    /// Send no longer packets than these.
    ///
    /// It is about our side: the host side has an MTU of its own (`set tap host-mtu'), and what is
    /// received does not depend on this one. Packets that are longer are dropped, counted as
    /// mtu_exceeded; a frame of many segments is sent if each of them fits. The MTU of a protocol goes
    /// before that of all packets.
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        override_usage = "taptool set interface mtu [packet|ip4|ip6|mpls] N NAME",
        after_help = "Examples:\n  set interface mtu 1400 tap0\n  set interface mtu ip6 0 tap0"
    )]
    Mtu {
        #[command(subcommand)]
        of: Option<Packets>,
        /// Bytes of a packet, 68-65521, of a tun 68-65535; 0 takes the limit away.
        #[arg(value_name = "N", value_parser = mtu, required = true)]
        mtu: Option<OrNone>,
        /// The interface.
        #[arg(value_name = "NAME", required = true, add = names::interfaces())]
        name: Option<IfName>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum Packets {
    /// Of packets of every other protocol: the same as without a word.
    #[command(after_help = "Example: set interface mtu packet 1400 tap0")]
    Packet(MtuArgs),
    /// Of IPv4.
    #[command(after_help = "Example: set interface mtu ip4 1400 tap0")]
    Ip4(MtuArgs),
    /// Of IPv6.
    #[command(after_help = "Example: set interface mtu ip6 1400 tap0")]
    Ip6(MtuArgs),
    /// Of MPLS.
    #[command(after_help = "Example: set interface mtu mpls 1500 tap0")]
    Mpls(MtuArgs),
}

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct MtuArgs {
    /// Bytes of a packet, 68-65521, of a tun 68-65535; 0 takes the limit away.
    #[arg(value_name = "N", value_parser = mtu)]
    mtu: OrNone,
    /// The interface.
    #[arg(value_name = "NAME", add = names::interfaces())]
    name: IfName,
}

/// An MTU, or 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OrNone(Option<Mtu>);

fn mtu(text: &str) -> Result<OrNone, Invalid> {
    match text {
        "0" => Ok(OrNone(None)),
        text => text.parse().map(|mtu| OrNone(Some(mtu))),
    }
}

/// `set tap host-mtu`.
#[derive(Debug, Args)]
pub(super) struct HostMtu {
    /// The interface.
    #[arg(value_name = "NAME", add = names::interfaces())]
    name: IfName,
    /// Bytes, 68-65521, of a tun 68-65535; 1280 and more where it has IPv6 addresses.
    #[arg(value_name = "N")]
    mtu: Mtu,
}

impl HostMtu {
    /// The interface, and the change.
    pub(super) fn change(self) -> (IfName, SetInterface) {
        (self.name, SetInterface::HostMtu(self.mtu))
    }
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
            Self::Mtu { of, mtu, name } => {
                let (of, args) = match (of, mtu, name) {
                    (Some(Packets::Packet(args)), ..) => (MtuOf::Packet, args),
                    (Some(Packets::Ip4(args)), ..) => (MtuOf::Ip4, args),
                    (Some(Packets::Ip6(args)), ..) => (MtuOf::Ip6, args),
                    (Some(Packets::Mpls(args)), ..) => (MtuOf::Mpls, args),
                    (None, Some(mtu), Some(name)) => (MtuOf::Packet, MtuArgs { mtu, name }),
                    (None, ..) => return Err(Failure::usage("", "N and NAME are missing")),
                };
                (args.name, SetInterface::Mtu { of, mtu: args.mtu.0 })
            }
            Self::Promiscuous { switch, name } => {
                (name, SetInterface::Promiscuous { on: switch == Switch::On })
            }
        })
    }
}
