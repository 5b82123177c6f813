//! A checked create request: all that is known before the first step.

use super::queues::Sizes;
use super::registry::Registry;
use crate::api::{BackendChoice, BackendKind, CreateRequest, NamespaceSpec};
use crate::diag::Failure;
use crate::host::{Additions, Gateway, HostName, Subject, TapSpec};
use crate::units::{IfName, InterfaceId, Kind, MacAddr, QueueCount};

/// What a create will make.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The request, without its namespace file.
    pub(super) asked: CreateRequest,
    pub(super) name: IfName,
    pub(super) id: InterfaceId,
    pub(super) host_name: HostName,
    /// The MAC of our side; none for a tun.
    pub(super) mac: Option<MacAddr>,
    /// The MAC that the host side is given; none: the kernel chooses.
    pub(super) host_mac: Option<MacAddr>,
    pub(super) host_gateways: Vec<Gateway>,
    pub(super) sizes: Sizes,
    pub(super) backend: BackendKind,
    pub(super) backend_reason: Option<String>,
}

impl Plan {
    /// Checks a request, which was checked against itself, against what exists. There are `pollers`
    /// pollers. `backend` is chosen later.
    ///
    /// # Errors
    /// Exit code 4: a name or id that is taken.
    pub(super) fn new(
        request: &CreateRequest,
        registry: &Registry,
        pollers: u16,
    ) -> Result<Self, Failure> {
        let mut asked = CreateRequest { host_ns: request.host_ns.words(), ..request.clone() };
        if asked.persist && !asked.attach {
            // Without an owner everybody could attach to it.
            asked.owner = asked.owner.or_else(|| Some(nix::unistd::geteuid().as_raw()));
        }
        let kind = asked.kind;
        let addresses: Vec<_> = asked.host_addresses().collect();
        let gateways = asked.host_gateways().map(|address| Gateway::among(&addresses, address));
        let (name, id) =
            registry.pick(kind, asked.our_name(), asked.id, asked.host_if_name.as_ref())?;
        let host_name = match asked.host_name() {
            Some(host) => HostName::Exact(host.clone()),
            None => HostName::FirstFree(numbered(kind, id)?),
        };
        let mac =
            (kind == Kind::Tap).then(|| asked.mac_addr.unwrap_or_else(|| MacAddr::local(random())));
        // A device that is there keeps its own.
        let bridge = asked.host_bridge.as_ref().filter(|_| !asked.attach);
        let of_port = || bridge.map(|_| MacAddr::bridge_port(random()));
        Ok(Self {
            name,
            id,
            host_name,
            mac,
            host_mac: asked.host_mac_addr.or_else(of_port),
            host_gateways: gateways.collect(),
            sizes: Sizes {
                rx: (asked.num_rx_queues.unwrap_or(QueueCount::ONE).get(), asked.rx_ring_size),
                tx: (
                    asked.num_tx_queues.unwrap_or(QueueCount::ONE).at_least(pollers).get(),
                    asked.tx_ring_size,
                ),
            },
            backend: match asked.backend {
                BackendChoice::Userspace => BackendKind::Userspace,
                BackendChoice::Auto | BackendChoice::VhostNet => BackendKind::VhostNet,
            },
            backend_reason: None,
            asked,
        })
    }

    /// What the namespace is called in messages.
    pub(super) fn host_ns(&self) -> Option<&str> {
        self.asked.host_ns.label()
    }

    /// The request that makes it again: what was asked for, and of what was chosen the id and our
    /// side's MAC, without which it would be another one.
    pub(super) fn again(&self) -> CreateRequest {
        let mut again = CreateRequest { mac_addr: self.mac, dry_run: false, ..self.asked.clone() };
        let (ours, host) = (self.asked.our_name(), self.asked.host_name());
        if ours.is_some() && ours == host {
            // One name for both sides stands alone, and is enough.
            (again.name, again.if_name, again.host_if_name) = (ours.cloned(), None, None);
        } else {
            again.id = Some(self.id);
            (again.name, again.if_name, again.host_if_name) = (None, ours.cloned(), host.cloned());
        }
        again
    }

    /// What requests about the host side are about, in the creator's words.
    pub(super) fn subject(&self) -> Subject {
        let namespace = self.host_ns().and_then(|words| words.parse().ok());
        let namespace = namespace.unwrap_or(NamespaceSpec::Own);
        Subject { on: self.name.to_string(), ip: namespace.tool("ip") }
    }

    /// What the device is to be. `queues` are those of ours that are backed by one of its own.
    pub(super) fn tap(&self) -> TapSpec {
        // One less keeps vhost off its batches, which presume an Ethernet header.
        let tun_on_vhost = self.asked.kind == Kind::Tun && self.backend == BackendKind::VhostNet;
        TapSpec {
            kind: self.asked.kind,
            host_name: self.host_name.clone(),
            queues: self.sizes.rx.0,
            sndbuf: i32::MAX - i32::from(tun_on_vhost),
            offload: self.asked.host_offload(),
            owner: self.asked.owner,
            group: self.asked.group,
        }
    }

    /// What the device may be given beside.
    pub(super) fn additions(&self) -> Additions {
        Additions {
            addresses: self.asked.host_addresses().collect(),
            gateways: self.host_gateways.clone(),
        }
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
        let (kind, name) = (self.asked.kind, self.asked.our_name());
        (self.name, self.id) = registry.pick(kind, name, self.asked.id, host_name)?;
        if let HostName::FirstFree(name) = &mut self.host_name {
            *name = numbered(kind, self.id)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Namespace;

    fn again(change: impl FnOnce(&mut CreateRequest)) -> String {
        let mut request = CreateRequest::new(Kind::Tap, Namespace::default());
        request.mac_addr = Some("02:fe:00:00:00:01".parse().unwrap());
        change(&mut request);
        Plan::new(&request, &Registry::default(), 1).unwrap().again().words().join(" ")
    }

    #[test]
    fn names_and_id_come_out_as_they_were_settled() {
        let mac = "--hw-addr 02:fe:00:00:00:01";
        let name = |name: &str| Some(name.parse().unwrap());
        assert_eq!(again(|_| ()), format!("tap --id 0 {mac}"));
        assert_eq!(again(|r| r.name = name("a")), format!("tap a {mac}"));
        let numbered = again(|r| {
            r.name = name("a");
            r.id = Some("7".parse().unwrap());
        });
        assert_eq!(numbered, format!("tap a --id 7 {mac}"));
        let apart = again(|r| {
            r.name = name("a");
            r.host_if_name = name("b");
        });
        assert_eq!(apart, format!("tap --id 0 --if-name a --host-if-name b {mac}"));
        assert_eq!(again(|r| r.if_name = name("a")), format!("tap --id 0 --if-name a {mac}"));
    }

    #[test]
    fn what_the_host_side_was_given_by_default_is_not_asked_for_again() {
        let bridged = again(|r| r.host_bridge = Some("br0".parse().unwrap()));
        assert_eq!(bridged, "tap --id 0 --hw-addr 02:fe:00:00:00:01 --bridge br0");
    }
}
