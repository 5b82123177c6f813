//! `set tap …`, `set interface …`.

mod settings;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::{names, values, vpp, xconnect};
use crate::api::{GsoRequest, InterfaceRef, Request, SetInterface, SetRequest};
use crate::diag::Failure;
use crate::units::{self, IfName, SwIfIndex};
use settings::Settings;

/// Change an interface, in VPP's words.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Examples:
  set interface state tap0 down
  set interface ip address tap0 10.9.0.2/24
  set interface l2 xconnect tap1 tap2
  set tap gso tap0 enable
  set tap carrier tap0 down")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// State, addresses, action, name and MACs.
    #[command(subcommand)]
    Interface(Interface),
    /// Segmentation offload, and the MTU, carrier and speed of the host side.
    #[command(subcommand)]
    Tap(Tap),
}

#[derive(Debug, Subcommand)]
enum Tap {
    /// Turn segmentation offload on (the default) or off.
    #[command(
        override_usage = "taptool set tap gso {NAME | sw_if_index N} [enable|disable]",
        after_help = "Examples:\n  set tap gso tap0\n  set tap gso sw_if_index 3 disable"
    )]
    Gso(GsoArgs),
    /// Let the host side see its link lost, or there again.
    ///
    /// Down is as if its cable were unplugged: the host sends nothing through the device (its kernel
    /// drops what programs send), and frames that are sent to it are dropped, counted as link_down. The
    /// device stays set up, and the carrier stays as it was set when the device is moved.
    #[command(after_help = "Example: set tap carrier tap0 down")]
    Carrier {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// up or down.
        #[arg(value_name = "up|down", hide_possible_values = true)]
        state: Link,
    },
    /// Set the speed that the host side tells whoever asks.
    ///
    /// Bonding, bridges with STP and monitoring ask for it. Frames are moved no slower and no faster.
    #[command(after_help = "Example: set tap speed tap0 1000")]
    Speed {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// Mbit/s, 1-2147483647.
        #[arg(value_name = "MBPS", value_parser = values::speed)]
        mbps: u32,
    },
    /// Set the MTU of the Linux device, wherever it is now.
    ///
    /// `set interface mtu' is about our side.
    #[command(after_help = "Example: set tap host-mtu tap0 9000")]
    HostMtu(settings::HostMtu),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Link {
    Up,
    Down,
}

#[derive(Debug, ClapArgs)]
struct GsoArgs {
    /// The interface.
    #[arg(value_name = "NAME", add = names::interfaces())]
    name: Option<IfName>,
    /// The interface, by its number in `show interface'.
    #[arg(
        long = "sw_if_index",
        alias = "sw-if-index",
        value_name = "N",
        value_parser = values::index,
        add = names::indices(),
        conflicts_with = "name"
    )]
    sw_if_index: Option<u32>,
    /// Turn it on; the default.
    #[arg(long, aliases = ["en", "ena", "enab", "enabl"], conflicts_with = "disable")]
    enable: bool,
    /// Turn it off.
    #[arg(long, aliases = ["dis", "disa", "disab", "disabl"])]
    disable: bool,
}

#[derive(Debug, Subcommand)]
enum Interface {
    /// Set our side up or down.
    ///
    /// A down interface drops every frame, counted as admin_down. The host side stays as it is. Up
    /// also resets an interface that has a broken queue: its rings are set up again.
    #[command(after_help = "Example: set interface state tap0 down")]
    State {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// up or down.
        #[arg(value_name = "up|down", hide_possible_values = true)]
        state: UpDown,
    },
    /// Layer-2 actions.
    #[command(subcommand)]
    L2(L2),
    /// Back from `l2 xconnect': answer for the addresses again, or sink.
    #[command(after_help = "Example: set interface l3 tap0")]
    L3 {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
    },
    /// Addresses of our side.
    #[command(subcommand)]
    Ip(Ip),
    #[command(flatten)]
    Settings(Settings),
}

#[derive(Debug, Subcommand)]
enum L2 {
    /// Send what NAME receives out of PEER; one direction only.
    #[command(after_help = "Example: set interface l2 xconnect tap1 tap2")]
    Xconnect {
        /// The interface that receives.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// The interface that sends.
        #[arg(value_name = "PEER", add = names::interfaces())]
        peer: IfName,
    },
}

#[derive(Debug, Subcommand)]
enum Ip {
    /// Add an address that our side answers for, or remove it.
    #[command(
        override_usage = "taptool set interface ip address [del] NAME {ADDR/LEN | all}",
        after_help = "\
Examples:
  set interface ip address tap0 10.9.0.2/24
  set interface ip address del tap0 10.9.0.2/24
  set interface ip address del tap0 all"
    )]
    Address {
        /// Remove the address.
        #[arg(long)]
        del: bool,
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// The address with its prefix length; after del also `all'.
        #[arg(value_name = "ADDR/LEN", add = names::addresses())]
        address: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UpDown {
    Up,
    Down,
    #[value(hide = true)]
    Punt,
    #[value(hide = true)]
    Enable,
}

impl TryFrom<Args> for Request {
    type Error = Failure;
    fn try_from(args: Args) -> Result<Self, Failure> {
        let interface = match args.what {
            What::Tap(Tap::Gso(args)) => return gso(args),
            What::Tap(Tap::Carrier { name, state }) => {
                return Ok(set(name, SetInterface::HostCarrier { up: state == Link::Up }));
            }
            What::Tap(Tap::Speed { name, mbps }) => {
                return Ok(set(name, SetInterface::HostSpeed { mbps }));
            }
            What::Tap(Tap::HostMtu(args)) => {
                let (name, change) = args.change();
                return Ok(set(name, change));
            }
            What::Interface(interface) => interface,
        };
        let (name, change) = match interface {
            Interface::State { name, state } => {
                let up = match state {
                    UpDown::Up => true,
                    UpDown::Down => false,
                    UpDown::Punt => return Err(vpp::not_supported("punt", "punt")),
                    UpDown::Enable => return Err(vpp::not_supported("enable", "enable")),
                };
                (name, SetInterface::State { up })
            }
            Interface::Settings(settings) => settings.change()?,
            Interface::L3 { name } => (name, SetInterface::L3 {}),
            Interface::L2(L2::Xconnect { name, peer }) => {
                let (_, peer) = xconnect::ends(name.clone(), peer)?;
                (name, SetInterface::L2Xconnect { peer })
            }
            Interface::Ip(Ip::Address { del, name, address }) => (name, change(del, &address)?),
        };
        Ok(set(name, change))
    }
}

const fn set(name: IfName, change: SetInterface) -> Request {
    Request::Set(SetRequest { interface: InterfaceRef::Name(name), change })
}

fn gso(args: GsoArgs) -> Result<Request, Failure> {
    let interface = match (args.name, args.sw_if_index) {
        (Some(name), _) => InterfaceRef::Name(name),
        (None, Some(index)) => InterfaceRef::Index(SwIfIndex(index)),
        (None, None) => {
            return Err(Failure::usage("", "please specify interface name or sw_if_index"));
        }
    };
    Ok(Request::Gso(GsoRequest { interface, on: !args.disable }))
}

fn change(del: bool, address: &str) -> Result<SetInterface, Failure> {
    if address == "all" {
        if del {
            return Ok(SetInterface::DelAllAddresses {});
        }
        return Err(Failure::usage("all", "valid only with `del'"));
    }
    let net = units::prefix(address)
        .map_err(|why| Failure::usage(crate::render::escape(address), why.0))?;
    Ok(if del { SetInterface::DelAddress(net) } else { SetInterface::AddAddress(net) })
}
