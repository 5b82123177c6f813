//! `set tap …`.

use clap::{Args, Subcommand, ValueEnum};

use super::settings::HostMtu;
use crate::api::{GsoRequest, InterfaceRef, Request, SetInterface, SetRequest};
use crate::cli::{names, values, vpp};
use crate::diag::Failure;
use crate::units::{HostOffload, IfName, SwIfIndex};

#[derive(Debug, Subcommand)]
pub(super) enum Tap {
    /// Turn segmentation offload on (the default) or off.
    #[command(
        override_usage = "taptool set tap gso {NAME | sw_if_index N} [enable|disable]",
        after_help = "Examples:\n  set tap gso tap0\n  set tap gso sw_if_index 3 disable"
    )]
    Gso(GsoArgs),
    /// Set what the host leaves undone in the frames that it sends us, while it runs.
    ///
    /// Each of the words sets all of it: one that disables leaves nothing on. Frames that wait in the
    /// host's queue meanwhile are as they were made, and are taken as they are.
    #[command(
        override_usage = "\
taptool set tap offload {NAME | sw_if_index N}
       {gso-enable | gso-disable | csum-offload-enable | csum-offload-disable}",
        after_help = "Examples:\n  set tap offload tap0 gso-enable\n  set tap offload tap0 csum-offload-enable"
    )]
    Offload(OffloadArgs),
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
    HostMtu(HostMtu),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Link {
    Up,
    Down,
}

/// `set interface feature`.
#[derive(Debug, Subcommand)]
pub(super) enum Feature {
    /// Split large frames and complete checksums for the host (the default), or no more.
    ///
    /// As `no-gso' of create. What the host sends us is `set tap offload'.
    #[command(
        override_usage = "taptool set interface feature gso NAME [enable|disable]",
        after_help = "Example: set interface feature gso tap0 enable"
    )]
    Gso {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: IfName,
        /// Split and complete; the default.
        #[arg(long, conflicts_with = "disable")]
        enable: bool,
        /// Hand frames on as they are.
        #[arg(long)]
        disable: bool,
    },
}

impl Feature {
    pub(super) fn change(self) -> (IfName, SetInterface) {
        let Self::Gso { name, disable, .. } = self;
        (name, SetInterface::NoGso { on: !disable })
    }
}

/// The interface, by name or by number.
#[derive(Debug, Args)]
struct Target {
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
}

#[derive(Debug, Args)]
pub(super) struct GsoArgs {
    #[command(flatten)]
    target: Target,
    /// Turn it on; the default.
    #[arg(long, aliases = ["en", "ena", "enab", "enabl"], conflicts_with = "disable")]
    enable: bool,
    /// Turn it off.
    #[arg(long, aliases = ["dis", "disa", "disab", "disabl"])]
    disable: bool,
}

#[derive(Debug, Args)]
pub(super) struct OffloadArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    what: What,
    #[arg(long, hide = true, requires = "gso_enable")]
    gro_coalesce: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Checksums and segmentation: frames of 64 KiB.
    #[arg(long)]
    gso_enable: bool,
    /// Nothing.
    #[arg(long)]
    gso_disable: bool,
    /// Checksums alone.
    #[arg(long)]
    csum_offload_enable: bool,
    /// Nothing.
    #[arg(long)]
    csum_offload_disable: bool,
}

impl Target {
    fn interface(self) -> Result<InterfaceRef, Failure> {
        match (self.name, self.sw_if_index) {
            (Some(name), _) => Ok(InterfaceRef::Name(name)),
            (None, Some(index)) => Ok(InterfaceRef::Index(SwIfIndex(index))),
            (None, None) => Err(Failure::usage("", "please specify interface name or sw_if_index")),
        }
    }
}

impl Tap {
    pub(super) fn request(self) -> Result<Request, Failure> {
        Ok(match self {
            Self::Gso(GsoArgs { target, disable, .. }) => {
                Request::Gso(GsoRequest { interface: target.interface()?, on: !disable })
            }
            Self::Offload(OffloadArgs { gro_coalesce: true, .. }) => {
                return Err(vpp::not_supported("gro-coalesce", "gro-coalesce"));
            }
            Self::Offload(OffloadArgs { target, what, .. }) => {
                let host = if what.gso_enable {
                    HostOffload::Gso
                } else if what.csum_offload_enable {
                    HostOffload::Csum
                } else {
                    HostOffload::Off
                };
                let interface = target.interface()?;
                Request::Set(SetRequest { interface, change: SetInterface::Offload { host } })
            }
            Self::Carrier { name, state } => {
                set(name, SetInterface::HostCarrier { up: state == Link::Up })
            }
            Self::Speed { name, mbps } => set(name, SetInterface::HostSpeed { mbps }),
            Self::HostMtu(args) => {
                let (name, change) = args.change();
                set(name, change)
            }
        })
    }
}

/// A change of an interface.
pub(super) const fn set(name: IfName, change: SetInterface) -> Request {
    Request::Set(SetRequest { interface: InterfaceRef::Name(name), change })
}
