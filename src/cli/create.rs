//! `create [tap|tun] [NAME] [OPTIONS]`.

mod account;

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::{Subcommand, ValueEnum};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::errno::Errno;

use super::{bridge, names, sub_interfaces};
use crate::api::{BackendChoice, CreateRequest, Namespace, NamespaceSpec, Request};
use crate::diag::{Code, Failure};
use crate::sys::userns;
use crate::units::{
    self, IfName, InterfaceId, Kind, MacAddr, Mtu, QueueCount, RingSize, TxQueueLength,
};

const EXAMPLES: &str = "\
Examples:
  create tap0 --netns foo --ip4 10.9.0.1/24 --respond 10.9.0.2/24
  create tap id 3 host-ns foo host-ip4-addr 10.9.0.1/24 host-ip4-gw 10.9.0.2 gso
  create tap id 4 num-rx-queues 4 num-tx-queues 4";

/// Create an interface and print its name.
///
/// NAME names both sides. `id N' alone names them tapN; with neither, the first free id is taken.
/// A create is done whole or not at all: if a step fails, the others are undone. Of an option that is
/// given twice the last value counts, except for addresses, which add up.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    override_usage = "taptool create [tap|tun] [NAME] [OPTIONS]",
    after_help = EXAMPLES
)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Option<KindArgs>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum KindArgs {
    /// Ethernet frames; the default.
    #[command(override_usage = "taptool create tap [NAME] [OPTIONS]", after_help = EXAMPLES)]
    Tap(Options),
    /// IP packets, without an Ethernet header: no MAC, no bridge.
    #[command(
        override_usage = "taptool create tun [NAME] [OPTIONS]",
        after_help = "Example: create tun tun0 --netns foo --ip4 10.9.0.1/24 --respond 10.9.0.2/24"
    )]
    Tun(Options),
    /// A bridge domain: its members' frames go to the member behind which their destination is.
    ///
    /// `set interface l2 bridge' makes an interface a member. A frame for broadcast, multicast or a
    /// MAC that was not learned yet goes to all members but the one that it came from.
    #[command(
        override_usage = "taptool create bridge-domain BD-ID [OPTIONS]",
        after_help = "Examples:\n  create bridge-domain 1\n  create bridge-domain 2 mac-age 5 bd-tag lab\n  create bridge-domain 2 del"
    )]
    BridgeDomain(bridge::Create),
    /// A sub-interface: the frames of an interface with certain VLAN tags.
    ///
    /// With ID alone they are those of VLAN ID, with one dot1q tag. It takes a bridge domain, a
    /// cross-connect and a tag rewrite of its own; its frames are counted on the interface.
    #[command(
        aliases = ["sub-interface", "sub"],
        override_usage = "taptool create sub-interfaces NAME {ID [default|untagged] | MIN-MAX | ID dot1q|dot1ad VLAN|any [inner-dot1q VLAN|any] [exact-match]}",
        after_help = "Examples:\n  create sub-interfaces tap0 10\n  create sub-interfaces tap0 20-29\n  create sub-interfaces tap0 30 dot1ad 100 inner-dot1q any"
    )]
    SubInterfaces(sub_interfaces::Create),
}

// A comment and no doc: clap would print it as the command's own.
#[derive(Debug, clap::Args)]
#[group(skip)]
#[command(args_override_self = true)]
struct Options {
    /// Name of both sides: 1-15 of letters, digits, `.', `_', `-'.
    #[arg(value_name = "NAME")]
    name: Option<IfName>,

    /// Number of the interface, 0-8191 [default: the first free one].
    ///
    /// Without NAME both sides are called tapN. If another device has that name, the host side takes
    /// the kernel's next free one.
    #[arg(long, value_name = "N", help_heading = "Interface")]
    id: Option<InterfaceId>,
    /// Name of our side.
    #[arg(long, value_name = "NAME", help_heading = "Interface")]
    if_name: Option<IfName>,
    /// MAC of our side [default: random 02:fe:...].
    #[arg(long, value_name = "MAC", help_heading = "Interface")]
    hw_addr: Option<MacAddr>,
    /// Our side answers ARP, ND and ping for this address; repeatable.
    ///
    /// The same as `set interface ip address' afterwards.
    #[arg(long, value_name = "ADDR/LEN", value_parser = units::prefix, help_heading = "Interface")]
    respond: Vec<IpNet>,
    /// Start with our side down: frames are dropped until `set interface state NAME up'.
    #[arg(long, help_heading = "Interface")]
    admin_down: bool,

    /// Name of the Linux device.
    #[arg(long, value_name = "HOST-NAME", help_heading = "Host side")]
    host_if_name: Option<IfName>,
    /// Its namespace: a name of `ip netns', an absolute path, or pid:N [default: the caller's].
    ///
    /// It must exist. taptool does not keep it alive: when it is deleted, the device is deleted with
    /// it, and `show' says host-gone.
    #[arg(long, visible_alias = "netns", value_name = "NS", add = names::namespaces(), help_heading = "Host side")]
    host_ns: Option<NamespaceSpec>,
    /// Its MAC [default: the kernel's choice; with --host-bridge random fe:fe:..., so that the bridge
    /// keeps its own].
    #[arg(long, value_name = "MAC", help_heading = "Host side")]
    host_mac_addr: Option<MacAddr>,
    /// Bridge in that namespace of which it becomes a port; excludes addresses and gateways.
    #[arg(long, visible_alias = "bridge", value_name = "BRIDGE", add = names::bridges(), help_heading = "Host side")]
    host_bridge: Option<IfName>,
    /// IPv4 address; repeatable.
    #[arg(
        long,
        visible_alias = "ip4",
        value_name = "ADDR/LEN",
        value_parser = units::prefix4,
        help_heading = "Host side"
    )]
    host_ip4_addr: Vec<Ipv4Net>,
    /// IPv6 address; repeatable.
    #[arg(
        long,
        visible_alias = "ip6",
        value_name = "ADDR/LEN",
        value_parser = units::prefix6,
        help_heading = "Host side"
    )]
    host_ip6_addr: Vec<Ipv6Net>,
    /// Gateway of a default route through the device.
    ///
    /// It must lie in the network of a --host-ip4-addr, unless one has prefix length 32: the gateway
    /// is then reached on the link. An existing default route is never replaced: exit code 4.
    #[arg(long, visible_alias = "gw4", value_name = "ADDR", help_heading = "Host side")]
    host_ip4_gw: Option<Ipv4Addr>,
    /// The same for IPv6; it may be link-local.
    #[arg(long, visible_alias = "gw6", value_name = "ADDR", help_heading = "Host side")]
    host_ip6_gw: Option<Ipv6Addr>,
    /// MTU, bytes, 68-65521, of a tun 68-65535 [default: 1500].
    #[arg(long, visible_alias = "mtu", value_name = "N", help_heading = "Host side")]
    host_mtu_size: Option<Mtu>,
    /// Transmit queue length, packets, 1-32767 [default: the kernel's].
    #[arg(long, value_name = "N", help_heading = "Host side")]
    host_txqueuelen: Option<TxQueueLength>,
    /// Leave the Linux device down; excludes gateways.
    #[arg(long, help_heading = "Host side")]
    host_down: bool,
    /// Let the Linux device stay when the interface is deleted, and when its holder ends or is killed.
    ///
    /// It keeps its name, MAC, addresses and MTU, without carrier, until somebody attaches to it. Its
    /// owner is the user of the holder unless --owner names another. `delete NAME --destroy' removes it.
    #[arg(long, help_heading = "Host side")]
    persist: bool,
    /// Take the Linux device of that name that is there: made by --persist, ip-tuntap(8), a network
    /// manager or a hypervisor.
    ///
    /// It keeps its MAC, addresses and MTU unless an option here sets them, and stays when the interface
    /// is deleted; a create that fails leaves it as it was. No other process may have it open. Its
    /// namespace lives as long as the interface does.
    #[arg(long, help_heading = "Host side")]
    attach: bool,
    /// User, by name or number, who may attach to a device that persists [default: with --persist the
    /// holder's].
    ///
    /// The kernel asks for it when a program attaches to a device that no program holds. taptool holds
    /// its devices, and while it does every other program is told that the device is busy (EBUSY).
    /// /sys/class/net/HOST-NAME/owner shows it.
    #[arg(long, value_name = "USER", help_heading = "Host side")]
    owner: Option<String>,
    /// The same for a group; /sys/class/net/HOST-NAME/group shows it.
    #[arg(long, value_name = "GROUP", help_heading = "Host side")]
    group: Option<String>,

    /// Entries of a receive ring: a power of two, 64-32768 [default: 256].
    #[arg(long, value_name = "N", help_heading = "Rings")]
    rx_ring_size: Option<RingSize>,
    /// Entries of a transmit ring: a power of two, 64-32768 [default: 256].
    #[arg(long, value_name = "N", help_heading = "Rings")]
    tx_ring_size: Option<RingSize>,
    /// Receive queues, 1-256 [default: 1].
    ///
    /// Each is a queue of the Linux device. The kernel spreads flows over them and keeps each flow in
    /// one.
    #[arg(long, value_name = "N", help_heading = "Rings")]
    num_rx_queues: Option<QueueCount>,
    /// Transmit queues, 1-256, and at least one for each poller [default: 1].
    ///
    /// A poller that has several spreads flows over them and keeps each flow in one.
    #[arg(long, value_name = "N", help_heading = "Rings")]
    num_tx_queues: Option<QueueCount>,
    /// The receive queue and the transmit queue of the same number have the same poller.
    #[arg(long, help_heading = "Rings")]
    consistent_qp: bool,
    /// Segmentation offload: the host may send us frames of 64 KiB with unfinished checksums.
    ///
    /// CSUM, TSO4 and TSO6, and USO where the kernel has it. `gso NAME on|off' changes it later.
    #[arg(long, help_heading = "Rings")]
    gso: bool,
    /// The host gets neither large frames nor unfinished checksums, whoever sends them.
    ///
    /// What a peer with gso or csum-offload sends is split and completed here: for a host side that
    /// verifies checksums itself, as router images and appliances do. `set interface feature gso'
    /// changes it later.
    #[arg(long, help_heading = "Rings")]
    no_gso: bool,
    /// Checksum offload alone: the host may send us frames with unfinished checksums.
    ///
    /// `gso' has it with it. `set tap offload' changes it later.
    #[arg(long, help_heading = "Rings")]
    csum_offload: bool,
    /// What serves the rings: auto, vhost-net or userspace [default: auto].
    ///
    /// auto takes /dev/vhost-net where it works, else userspace, and says why on stderr.
    #[arg(long, value_name = "WHICH", hide_possible_values = true, help_heading = "Rings")]
    backend: Option<Backend>,

    /// IP packets instead of Ethernet frames: `create tun', in VPP's words.
    #[arg(long, help_heading = "Interface")]
    tun: bool,

    /// Check everything, print the steps and their undo, change nothing.
    #[arg(long)]
    dry_run: bool,

    // What this version lacks is hidden from help and known to the grammar; the request's check
    // refuses it.
    #[arg(long, hide = true)]
    gro_coalesce: bool,
    #[arg(long, hide = true)]
    packed: bool,
    #[arg(long, hide = true)]
    in_order: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Backend {
    /// Vhost-net where it works, else userspace.
    Auto,
    /// The kernel's /dev/vhost-net.
    VhostNet,
    /// The device embedded in this process.
    Userspace,
}

impl From<Backend> for BackendChoice {
    fn from(word: Backend) -> Self {
        match word {
            Backend::Auto => Self::Auto,
            Backend::VhostNet => Self::VhostNet,
            Backend::Userspace => Self::Userspace,
        }
    }
}

impl TryFrom<Args> for Request {
    type Error = Failure;
    fn try_from(args: Args) -> Result<Self, Failure> {
        let (kind, o) = match args.kind {
            Some(KindArgs::BridgeDomain(domain)) => return domain.request(),
            Some(KindArgs::SubInterfaces(sub)) => return sub.try_into(),
            None => (Kind::Tap, args.options),
            Some(KindArgs::Tap(options)) => (Kind::Tap, options),
            Some(KindArgs::Tun(options)) => (Kind::Tun, options),
        };
        let spec = o.host_ns.unwrap_or(NamespaceSpec::Own);
        let mut request = CreateRequest {
            kind: if o.tun { Kind::Tun } else { kind },
            name: o.name,
            id: o.id,
            if_name: o.if_name,
            mac_addr: o.hw_addr,
            host_if_name: o.host_if_name,
            host_ns: Namespace::default(),
            host_mac_addr: o.host_mac_addr,
            host_bridge: o.host_bridge,
            host_ip4_addr: o.host_ip4_addr,
            host_ip6_addr: o.host_ip6_addr,
            host_ip4_gw: o.host_ip4_gw,
            host_ip6_gw: o.host_ip6_gw,
            host_mtu_size: o.host_mtu_size,
            host_txqueuelen: o.host_txqueuelen,
            host_down: o.host_down,
            rx_ring_size: o.rx_ring_size.unwrap_or_default(),
            tx_ring_size: o.tx_ring_size.unwrap_or_default(),
            gso: o.gso,
            consistent_qp: o.consistent_qp,
            no_gso: o.no_gso,
            csum_offload: o.csum_offload,
            gro_coalesce: o.gro_coalesce,
            persist: o.persist,
            attach: o.attach,
            packed: o.packed,
            in_order: o.in_order,
            num_rx_queues: o.num_rx_queues,
            num_tx_queues: o.num_tx_queues,
            respond: o.respond,
            backend: o.backend.unwrap_or(Backend::Auto).into(),
            owner: o.owner.as_deref().map(account::user).transpose()?,
            group: o.group.as_deref().map(account::group).transpose()?,
            admin_down: o.admin_down,
            dry_run: o.dry_run,
        };
        request.check()?;
        // Last, so that a line that is refused anyway opens nothing.
        request.host_ns = open(&spec)?;
        Ok(Self::Create(Box::new(request)))
    }
}

/// Opens the namespace in the caller's world: its mounts, its rights.
fn open(spec: &NamespaceSpec) -> Result<Namespace, Failure> {
    spec.open().map_err(|error| {
        let on = if *spec == NamespaceSpec::Own {
            "own namespace".into()
        } else {
            format!("host-ns {spec}")
        };
        let failure = Failure::io(format!("open {}", spec.path().display()), on, &error);
        match (error.raw_os_error().map(Errno::from_raw), spec) {
            (Some(Errno::ENOENT | Errno::ENOTDIR), NamespaceSpec::Name(name)) => failure
                .code(Code::NotFound)
                .hint(format!("`ip netns add {name}' makes a namespace of this name")),
            (Some(Errno::ENOENT | Errno::ENOTDIR), NamespaceSpec::Pid(pid)) => {
                failure.code(Code::NotFound).hint(format!("there is no process {pid}"))
            }
            (Some(Errno::ENOENT | Errno::ENOTDIR), _) => failure.code(Code::NotFound),
            (Some(Errno::EACCES | Errno::EPERM), _) if userns::is_root() => failure
                .hint("opening the namespace of another user's process needs that user's rights (CAP_SYS_PTRACE)"),
            (Some(Errno::EACCES | Errno::EPERM), _) => failure
                .hint("opening the namespace of another user's process needs that user's rights: run it with sudo"),
            _ => failure,
        }
    })
}
