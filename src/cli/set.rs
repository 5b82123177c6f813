//! `set tap …`, `set interface …`.

mod queues;
mod settings;
mod tap;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::faults::Faults;
use super::{bridge, names, nsim, sub_interfaces, vpp, xconnect};
use crate::api::{NsimRequest, Request, SetInterface};
use crate::diag::Failure;
use crate::units::{self, BridgeDomainId, IfName};
use queues::Queues;
use settings::Settings;
use tap::{Feature, Tap, set};

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
    /// What a bridge domain does with frames.
    #[command(subcommand)]
    BridgeDomain(bridge::Set),
    /// Offloads, and the MTU, carrier and speed of the host side.
    #[command(subcommand)]
    Tap(Tap),
    /// What `nsim cross-connect' and `nsim output-feature' do to frames, in VPP's words.
    ///
    /// Frames are delayed, some are lost or overtake others at random. As many are on a wire at a time as
    /// delay and bandwidth make of packets of packet-size; what comes then is dropped, counted as queue_full.
    /// Wires that follow it change at once.
    #[command(
        override_usage = "taptool set nsim delay TIME bandwidth RATE [packet-size N] [packets-per-drop N] [packets-per-reorder N]",
        after_help = "Example: set nsim delay 10 ms bandwidth 1 gbit packet-size 1500 packets-per-drop 1000"
    )]
    Nsim(nsim::Set),
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
    /// Back from `l2 xconnect' or `l2 bridge': answer for the addresses again, or sink.
    #[command(after_help = "Example: set interface l3 tap0")]
    L3 {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
    },
    /// Addresses of our side.
    #[command(subcommand)]
    Ip(Ip),
    /// What is done here in the host's place.
    #[command(subcommand)]
    Feature(Feature),
    #[command(flatten)]
    Settings(Settings),
    #[command(flatten)]
    Queues(Queues),
}

#[derive(Debug, Subcommand)]
enum L2 {
    /// Send what NAME receives out of PEER; one direction only.
    ///
    /// The options are about the frames of this direction.
    #[command(
        after_help = "Examples:\n  set interface l2 xconnect tap1 tap2\n  set interface l2 xconnect tap1 tap2 delay 50ms loss 0.1%"
    )]
    Xconnect {
        /// The interface that receives.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// The interface that sends.
        #[arg(value_name = "PEER", add = names::interfaces())]
        peer: IfName,
        #[command(flatten)]
        faults: Faults,
    },
    /// Make NAME a member of a bridge domain; one that is missing is made.
    ///
    /// `set interface l3' takes it out.
    #[command(
        override_usage = "taptool set interface l2 bridge NAME BD-ID [SHG]",
        after_help = "Examples:\n  set interface l2 bridge tap0 1\n  set interface l2 bridge tap1 1 shg 2"
    )]
    Bridge {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// The domain.
        #[arg(value_name = "BD-ID", add = names::domains())]
        bd_id: BridgeDomainId,
        /// Its split-horizon group, 0-255: members of one group do not reach each other [default: 0,
        /// none].
        #[arg(value_name = "SHG")]
        group: Option<u8>,
        /// The same.
        #[arg(long, value_name = "SHG", conflicts_with = "group", hide = true)]
        shg: Option<u8>,
        #[arg(long, hide = true)]
        bvi: bool,
        #[arg(long, hide = true)]
        uu_fwd: bool,
    },
    /// Remove, add or replace the outer VLAN tags of what NAME receives.
    ///
    /// It counts where the frames go to a cross-connect or a bridge domain. What is sent to NAME has it
    /// undone: tags that were added are removed, and those that were removed are the sub-interface's
    /// own, and so must have been given with it. Added tags have priority 0.
    #[command(
        override_usage = "taptool set interface l2 tag-rewrite NAME {disable | pop 1|2 | push dot1q|dot1ad VLAN [VLAN] | translate 1|2-1|2 dot1q|dot1ad VLAN [VLAN]}",
        after_help = "Examples:\n  set interface l2 tag-rewrite tap0.10 pop 1\n  set interface l2 tag-rewrite tap1 push dot1q 10\n  set interface l2 tag-rewrite tap0.10 translate 1-1 dot1q 20"
    )]
    TagRewrite {
        /// The interface or sub-interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// What is done with the tags.
        #[arg(value_name = "OPERATION", num_args = 0..=5, add = sub_interfaces::operations())]
        operation: Vec<String>,
    },
}

/// The split-horizon group, in VPP's spelling or by its word.
fn group(shg: Option<u8>, bare: Option<u8>) -> u8 {
    shg.or(bare).unwrap_or(0)
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
            What::BridgeDomain(set) => return Ok(set.into()),
            What::Tap(tap) => return tap.request(),
            What::Nsim(args) => {
                return Ok(Self::Nsim(NsimRequest::Configure(args.settings()?)));
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
            Interface::Feature(feature) => feature.change(),
            Interface::Settings(settings) => settings.change()?,
            Interface::Queues(queues) => queues.change()?,
            Interface::L3 { name } => (name, SetInterface::L3 {}),
            Interface::L2(L2::Xconnect { name, peer, faults }) => {
                let (_, peer) = xconnect::ends(name.clone(), peer)?;
                (name, SetInterface::L2Xconnect { peer, impairment: faults.into() })
            }
            Interface::L2(L2::Bridge { bvi: true, .. }) => {
                return Err(vpp::not_supported("bvi", "bvi"));
            }
            Interface::L2(L2::Bridge { uu_fwd: true, .. }) => {
                return Err(vpp::not_supported("uu-fwd", "uu-fwd"));
            }
            Interface::L2(L2::Bridge { name, bd_id, group: bare, shg, .. }) => {
                (name, SetInterface::L2Bridge { bd_id, shg: group(shg, bare) })
            }
            Interface::L2(L2::TagRewrite { name, operation }) => {
                (name, SetInterface::TagRewrite(sub_interfaces::rewrite(&operation)?))
            }
            Interface::Ip(Ip::Address { del, name, address }) => (name, change(del, &address)?),
        };
        Ok(set(name, change))
    }
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
