//! A checked create request: all that is known before the first step.

use std::net::IpAddr;

use ipnet::IpNet;

use super::queues::Sizes;
use super::registry::Registry;
use crate::api::{BackendChoice, BackendKind, CreateRequest, NamespaceSpec};
use crate::diag::Failure;
use crate::host::{Gateway, HostName, Subject};
use crate::units::{IfName, InterfaceId, Kind, MacAddr, Mtu, TxQueueLength};

/// What a create will make.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) name: IfName,
    pub(super) id: InterfaceId,
    /// The name that was asked for.
    pub(super) asked_name: Option<IfName>,
    /// The id that was asked for.
    pub(super) asked_id: Option<InterfaceId>,
    pub(super) host_name: HostName,
    pub(super) mac: Option<MacAddr>,
    /// The MAC of our side that was asked for.
    pub(super) asked_mac: Option<MacAddr>,
    /// The MAC that the host side is given; none: the kernel chooses.
    pub(super) host_mac: Option<MacAddr>,
    /// The MAC of the host side that was asked for.
    pub(super) asked_host_mac: Option<MacAddr>,
    pub(super) host_bridge: Option<IfName>,
    pub(super) host_addresses: Vec<IpNet>,
    pub(super) host_gateways: Vec<Gateway>,
    pub(super) host_mtu: Option<Mtu>,
    pub(super) host_txqueuelen: Option<TxQueueLength>,
    pub(super) host_down: bool,
    pub(super) sizes: Sizes,
    pub(super) gso: bool,
    pub(super) respond: Vec<IpNet>,
    pub(super) owner: Option<u32>,
    pub(super) group: Option<u32>,
    pub(super) admin_down: bool,
    /// The backend that was asked for.
    pub(super) asked_backend: BackendChoice,
    pub(super) backend: BackendKind,
    pub(super) backend_reason: Option<String>,
    /// What the namespace is called in messages.
    pub(super) host_ns: Option<String>,
}

impl Plan {
    /// Checks a request, which was checked against itself, against what exists. `backend` is chosen
    /// later.
    ///
    /// # Errors
    /// Exit code 4: a name or id that is taken.
    pub(super) fn new(request: &CreateRequest, registry: &Registry) -> Result<Self, Failure> {
        let kind = request.kind;
        let addresses: Vec<IpNet> = request
            .host_ip4_addr
            .iter()
            .map(|a| IpNet::from(*a))
            .chain(request.host_ip6_addr.iter().map(|a| IpNet::from(*a)))
            .collect();
        let gateways: Vec<Gateway> = request
            .host_ip4_gw
            .map(IpAddr::from)
            .into_iter()
            .chain(request.host_ip6_gw.map(IpAddr::from))
            .map(|address| Gateway::among(&addresses, address))
            .collect();
        let asked_name = request.if_name.as_ref().or(request.name.as_ref()).cloned();
        let (name, id) =
            registry.pick(kind, asked_name.as_ref(), request.id, request.host_if_name.as_ref())?;
        let host_name = match (&request.host_if_name, &request.name) {
            (Some(host), _) => HostName::Exact(host.clone()),
            (None, Some(both)) => HostName::Exact(both.clone()),
            (None, None) => HostName::FirstFree(numbered(kind, id)?),
        };
        let mac = (kind == Kind::Tap)
            .then(|| request.mac_addr.unwrap_or_else(|| MacAddr::local(random())));
        Ok(Self {
            kind,
            name,
            id,
            asked_name,
            asked_id: request.id,
            host_name,
            mac,
            asked_mac: request.mac_addr,
            host_mac: request
                .host_mac_addr
                .or_else(|| request.host_bridge.as_ref().map(|_| MacAddr::bridge_port(random()))),
            asked_host_mac: request.host_mac_addr,
            host_bridge: request.host_bridge.clone(),
            host_addresses: addresses,
            host_gateways: gateways,
            host_mtu: request.host_mtu_size,
            host_txqueuelen: request.host_txqueuelen,
            host_down: request.host_down,
            sizes: Sizes { rx: (1, request.rx_ring_size), tx: (1, request.tx_ring_size) },
            gso: request.gso,
            respond: request.respond.clone(),
            owner: request.owner,
            group: request.group,
            admin_down: request.admin_down,
            asked_backend: request.backend,
            backend: match request.backend {
                BackendChoice::Userspace => BackendKind::Userspace,
                BackendChoice::Auto | BackendChoice::VhostNet => BackendKind::VhostNet,
            },
            backend_reason: None,
            host_ns: request.host_ns.label().map(ToOwned::to_owned),
        })
    }
}

impl Plan {
    /// What requests about the host side are about, in the creator's words.
    pub(super) fn subject(&self) -> Subject {
        let label = self.host_ns.as_deref();
        let namespace = label.and_then(|words| words.parse().ok()).unwrap_or(NamespaceSpec::Own);
        Subject { on: self.name.to_string(), ip: namespace.tool("ip") }
    }

    /// Chooses name and id again: another create may have taken them since the plan was made.
    ///
    /// # Errors
    /// Exit code 4, when one that was asked for is taken.
    pub(super) fn pick(&mut self, registry: &Registry) -> Result<(), Failure> {
        let host_name = match &self.host_name {
            HostName::Exact(name) => Some(name),
            HostName::FirstFree(_) => None,
        };
        let name = self.asked_name.as_ref();
        let picked = registry.pick(self.kind, name, self.asked_id, host_name)?;
        (self.name, self.id) = picked;
        if let HostName::FirstFree(name) = &mut self.host_name {
            *name = numbered(self.kind, self.id)?;
        }
        Ok(())
    }
}

/// `tap7`.
fn numbered(kind: Kind, id: InterfaceId) -> Result<IfName, Failure> {
    IfName::new(&format!("{kind}{id}")).map_err(|e| Failure::usage("id", e.to_string()))
}

/// 32 bits that differ from process to process and from call to call.
fn random() -> u32 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let mixed = RandomState::new().build_hasher().finish();
    (mixed & 0xffff_ffff) as u32
}
