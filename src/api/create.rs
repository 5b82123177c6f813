//! `create tap`: request, and the steps that `dry-run` answers with.

mod check;
pub mod lacked;
mod words;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::{Namespace, wire};
use crate::diag::Failure;
use crate::units::{
    HostOffload, IfName, InterfaceId, Kind, MacAddr, Mtu, QueueCount, RingSize, TxQueueLength,
};

/// Which device serves the rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackendChoice {
    /// vhost-net where it works, else userspace.
    #[default]
    Auto,
    /// The kernel's /dev/vhost-net or nothing.
    VhostNet,
    /// The embedded device.
    Userspace,
}

/// All options of `create`. [`CreateRequest::new`] has the defaults.
///
/// On the wire every key but `kind` may be absent or null; the namespace is the one file that
/// comes with the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateRequest {
    /// Tap or tun.
    pub kind: Kind,
    /// NAME: the name of both sides unless other options name them.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub name: Option<IfName>,
    /// `id N`; none: the first free id of which the name is free too.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub id: Option<InterfaceId>,
    /// `if-name`: our side's name.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub if_name: Option<IfName>,
    /// `hw-addr`: our side's MAC; none: random.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub mac_addr: Option<MacAddr>,
    /// `host-if-name`.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_if_name: Option<IfName>,
    /// `host-ns`, open; the caller's own namespace when none was named.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_ns: Namespace,
    /// `host-mac-addr`; none: the kernel's choice.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_mac_addr: Option<MacAddr>,
    /// `host-bridge`: must exist in the namespace. Excludes addresses and gateways.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_bridge: Option<IfName>,
    /// `host-ip4-addr`, in order.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub host_ip4_addr: Vec<Ipv4Net>,
    /// `host-ip6-addr`, in order.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub host_ip6_addr: Vec<Ipv6Net>,
    /// `host-ip4-gw`: default route through our device.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_ip4_gw: Option<Ipv4Addr>,
    /// `host-ip6-gw`.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_ip6_gw: Option<Ipv6Addr>,
    /// `host-mtu-size`; none: the kernel's 1500.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_mtu_size: Option<Mtu>,
    /// `host-txqueuelen`; none: the kernel's.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub host_txqueuelen: Option<TxQueueLength>,
    /// `host-down`: leave the host side down.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub host_down: bool,
    /// `rx-ring-size`.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub rx_ring_size: RingSize,
    /// `tx-ring-size`.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub tx_ring_size: RingSize,
    /// `gso`: CSUM, TSO4, TSO6, and USO where the kernel has it.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub gso: bool,
    /// `consistent-qp`: a receive queue and the transmit queue of its number have one poller.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub consistent_qp: bool,
    /// `no-gso`: the host gets neither large frames nor unfinished checksums; excludes `gso`.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub no_gso: bool,
    /// `csum-offload`: CSUM alone.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub csum_offload: bool,
    /// `gro-coalesce`; refused.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub gro_coalesce: bool,
    /// `persist`: the Linux device stays when nobody holds it. Without `owner` it is the holder's
    /// user's.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub persist: bool,
    /// `attach`: take the Linux device of that name that is there; it needs `host-if-name` or NAME.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub attach: bool,
    /// `packed`; refused.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub packed: bool,
    /// `in-order`; refused.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub in_order: bool,
    /// `num-rx-queues N`; none: 1.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub num_rx_queues: Option<QueueCount>,
    /// `num-tx-queues N`, and at least one for each poller; none: 1.
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub num_tx_queues: Option<QueueCount>,
    /// `respond A/L`: our side's addresses.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub respond: Vec<IpNet>,
    /// `backend`.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub backend: BackendChoice,
    /// `owner USER` of the tap, as a number (`TUNSETOWNER`).
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub owner: Option<u32>,
    /// `group GROUP` of the tap, as a number (`TUNSETGROUP`).
    #[serde(default, skip_serializing_if = "wire::is_default")]
    pub group: Option<u32>,
    /// `admin-down`: the interface starts down.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub admin_down: bool,
    /// `dry-run`: check, and answer with the steps.
    #[serde(
        default,
        deserialize_with = "wire::nullable",
        skip_serializing_if = "wire::is_default"
    )]
    pub dry_run: bool,
}

impl CreateRequest {
    /// Refuses what this version lacks, then checks options against each other. The command line and
    /// the socket have no refusals of their own.
    ///
    /// # Errors
    /// Exit code 2, naming the option and its value.
    pub fn check(&self) -> Result<(), Failure> {
        lacked::check(self)?;
        check::check(self)
    }

    /// What the host is to leave undone in the frames that it sends us.
    pub const fn host_offload(&self) -> HostOffload {
        match (self.gso, self.csum_offload) {
            // It has checksums with it.
            (true, _) => HostOffload::Gso,
            (false, true) => HostOffload::Csum,
            (false, false) => HostOffload::Off,
        }
    }

    /// The name of our side, where one is asked for.
    pub const fn our_name(&self) -> Option<&IfName> {
        match &self.if_name {
            Some(name) => Some(name),
            None => self.name.as_ref(),
        }
    }

    /// The name of the host side, where one is asked for.
    pub const fn host_name(&self) -> Option<&IfName> {
        match &self.host_if_name {
            Some(name) => Some(name),
            None => self.name.as_ref(),
        }
    }

    /// Asks for another name of our side, which has the id `id`; the host side's stays.
    pub fn rename(&mut self, ours: &IfName, id: InterfaceId) {
        let host = self.host_name().cloned();
        (self.name, self.id) = (None, Some(id));
        (self.if_name, self.host_if_name) = (Some(ours.clone()), host);
    }

    /// Addresses of the host side, IPv4 first.
    pub fn host_addresses(&self) -> impl Iterator<Item = IpNet> {
        let ip4 = self.host_ip4_addr.iter().copied().map(IpNet::from);
        ip4.chain(self.host_ip6_addr.iter().copied().map(IpNet::from))
    }

    /// Gateways of the host side, IPv4 first.
    pub fn host_gateways(&self) -> impl Iterator<Item = IpAddr> {
        let ip4 = self.host_ip4_gw.map(IpAddr::from).into_iter();
        ip4.chain(self.host_ip6_gw.map(IpAddr::from))
    }

    /// A request with the defaults.
    pub fn new(kind: Kind, host_ns: Namespace) -> Self {
        Self {
            kind,
            name: None,
            id: None,
            if_name: None,
            mac_addr: None,
            host_if_name: None,
            host_ns,
            host_mac_addr: None,
            host_bridge: None,
            host_ip4_addr: Vec::new(),
            host_ip6_addr: Vec::new(),
            host_ip4_gw: None,
            host_ip6_gw: None,
            host_mtu_size: None,
            host_txqueuelen: None,
            host_down: false,
            rx_ring_size: RingSize::default(),
            tx_ring_size: RingSize::default(),
            gso: false,
            consistent_qp: false,
            no_gso: false,
            csum_offload: false,
            gro_coalesce: false,
            persist: false,
            attach: false,
            packed: false,
            in_order: false,
            num_rx_queues: None,
            num_tx_queues: None,
            respond: Vec::new(),
            backend: BackendChoice::default(),
            owner: None,
            group: None,
            admin_down: false,
            dry_run: false,
        }
    }
}

/// A step of a create, as `dry-run` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// What it does, with its values.
    pub step: String,
    /// Its undo; none where the undo of an earlier step covers it.
    pub undo: Option<String>,
}
