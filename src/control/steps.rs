//! The steps of a create, as data, and as `dry-run` shows them.

use ipnet::IpNet;

use super::plan::Plan;
use crate::api::PlannedStep;
use crate::host::Gateway;
use crate::units::{HostOffload, IfName, Mtu, TxQueueLength};

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Takes name, id and number.
    Reserve,
    /// Opens the backend.
    OpenBackend,
    /// Makes the Linux device.
    OpenTap,
    /// Attaches to a Linux device that is there.
    AttachTap,
    /// Moves it from the staging namespace to its namespace.
    EnterNamespace,
    /// Rings, shadows, counters, buffers.
    Memory,
    /// Shows the backend memory, rings and device, and starts it.
    StartBackend,
    HostMac,
    HostMtu(Mtu),
    HostTxQueueLen(TxQueueLength),
    HostBridge(IfName),
    HostAddress(IpNet),
    HostUp,
    HostGateway(Gateway),
    /// Lets the Linux device outlive us.
    Persist,
    /// Gives the queues to a poller.
    Place,
    /// Enters the interface into the registry.
    Announce,
}

/// The steps of a plan, in order.
pub(super) fn steps(plan: &Plan, own_namespace: bool) -> Vec<Step> {
    let mut steps = vec![Step::OpenBackend, Step::Reserve];
    if plan.asked.attach {
        steps.push(Step::AttachTap);
    } else {
        steps.push(Step::OpenTap);
        if !own_namespace {
            steps.push(Step::EnterNamespace);
        }
    }
    steps.extend([Step::Memory, Step::StartBackend]);
    steps.extend(plan.host_mac.map(|_| Step::HostMac));
    steps.extend(plan.asked.host_mtu_size.map(Step::HostMtu));
    steps.extend(plan.asked.host_txqueuelen.map(Step::HostTxQueueLen));
    steps.extend(plan.asked.host_bridge.clone().map(Step::HostBridge));
    steps.extend(plan.asked.host_addresses().map(Step::HostAddress));
    if !plan.asked.host_down {
        steps.push(Step::HostUp);
    }
    steps.extend(plan.host_gateways.iter().copied().map(Step::HostGateway));
    // Late, so that a create that is cut off before leaves nothing.
    if plan.asked.persist && !plan.asked.attach {
        steps.push(Step::Persist);
    }
    steps.extend([Step::Place, Step::Announce]);
    steps
}

impl Step {
    /// As `dry-run` shows it.
    pub(super) fn planned(&self, plan: &Plan) -> PlannedStep {
        let device = plan.host_name.wanted();
        let there = plan.host_ns().map_or_else(String::new, |ns| format!(" in {ns}"));
        let removed = Some(format!("remove {} {device}", plan.asked.kind));
        let (step, undo) = match self {
            Self::Reserve => (
                format!("reserve name {} and id {}", plan.name, plan.id),
                Some("free name and id".into()),
            ),
            Self::OpenBackend => {
                (format!("open the {} backend", plan.backend.word()), Some("close it".into()))
            }
            Self::OpenTap => {
                let of = |word: &str, id: Option<u32>| id.map(|id| format!("{word} {id}"));
                let more = [
                    (plan.sizes.rx.0 > 1).then(|| format!("{} queues", plan.sizes.rx.0)),
                    match plan.asked.host_offload() {
                        HostOffload::Off => None,
                        HostOffload::Csum => Some("csum-offload".to_owned()),
                        HostOffload::Gso => Some("gso".to_owned()),
                    },
                    of("owner", plan.asked.owner),
                    of("group", plan.asked.group),
                ];
                let more: Vec<String> = more.into_iter().flatten().collect();
                let with = if more.is_empty() { "" } else { " with " };
                (format!("make {} {device}{with}{}", plan.asked.kind, more.join(", ")), removed)
            }
            Self::AttachTap => (
                format!("attach to {} {device}{there}", plan.asked.kind),
                Some("make it what it was, and let go of it".into()),
            ),
            Self::Persist => (
                format!("let {device} stay when nobody holds it"),
                Some("let it go with its last file".into()),
            ),
            Self::EnterNamespace => {
                let namespace = match plan.host_ns() {
                    Some(namespace) => format!("namespace {namespace}"),
                    None => "the namespace of the caller".to_owned(),
                };
                (format!("move {device} to {namespace}"), None)
            }
            Self::Memory => (
                match (plan.sizes.rx, plan.sizes.tx) {
                    ((1, rx), (1, tx)) => format!("make rings of {rx} (rx) and {tx} (tx) entries"),
                    ((n, rx), (m, tx)) => {
                        format!("make {n} rx rings of {rx} entries and {m} tx rings of {tx}")
                    }
                },
                Some("free their memory".into()),
            ),
            Self::StartBackend => {
                (format!("start {} on the rings", plan.backend.word()), Some("stop it".into()))
            }
            Self::HostMac => {
                let mac = plan.host_mac.map_or_else(String::new, |m| m.to_string());
                (format!("set MAC {mac} on {device}{there}"), None)
            }
            Self::HostMtu(mtu) => (format!("set MTU {mtu} on {device}{there}"), None),
            Self::HostTxQueueLen(n) => (format!("set txqueuelen {n} on {device}{there}"), None),
            Self::HostBridge(bridge) => (format!("make {device} a port of {bridge}{there}"), None),
            Self::HostAddress(address) => {
                (format!("add address {address} to {device}{there}"), None)
            }
            Self::HostUp => (format!("set {device} up{there}"), None),
            Self::HostGateway(gateway) => {
                let (via, onlink) = (gateway.address, gateway.onlink());
                (format!("add a default route via {via} dev {device}{onlink}{there}"), None)
            }
            Self::Place => {
                ("give the queues to their pollers".into(), Some("take them back".into()))
            }
            Self::Announce => {
                let mac =
                    plan.asked.mac_addr.map_or_else(String::new, |mac| format!(" with MAC {mac}"));
                (format!("show {} as an interface{mac}", plan.name), Some("forget it".into()))
            }
        };
        PlannedStep { step, undo }
    }
}
