//! Commands that mend something, ready to be pasted: every name in them is quoted for a shell,
//! since whoever named a device or a namespace file need not be the one who pastes.

use std::net::IpAddr;

use ipnet::IpNet;

pub(super) use crate::api::shell_word as word;
use crate::api::{Action, BackendKind, Interface, NamespaceSpec};
use crate::units::RingSize;

/// `ip ARGS` in the namespace that `label` means.
pub(super) fn ip(label: Option<&str>, args: &str) -> String {
    tool("ip", label, args)
}

/// `bridge ARGS` in the namespace that `label` means.
pub(super) fn bridge(label: Option<&str>, args: &str) -> String {
    tool("bridge", label, args)
}

/// Nobody enters a namespace without a name, so what stands there is the command alone.
fn tool(tool: &str, label: Option<&str>, args: &str) -> String {
    let spec = spec(label).unwrap_or(NamespaceSpec::Own);
    format!("{} {args}", spec.tool(tool))
}

/// Any command in the namespace that `label` means.
pub(super) fn run(label: Option<&str>, command: &str) -> String {
    spec(label).unwrap_or(NamespaceSpec::Own).command(command)
}

/// The namespace that a label means to whoever asks: without a label the caller's own, none for
/// `net:[INODE]`, which is no name.
pub(super) fn spec(label: Option<&str>) -> Option<NamespaceSpec> {
    label.map_or(Some(NamespaceSpec::Own), |label| label.parse().ok())
}

/// Deletes the interface and makes it again as far as `show` tells how it was made.
pub(super) fn recreate(interface: &Interface, namespace_gone: bool) -> String {
    let mut line = String::new();
    let spec = spec(interface.host_ns.as_deref());
    if let (true, Some(NamespaceSpec::Name(name))) = (namespace_gone, &spec) {
        line.push_str(&format!("ip netns add {} && ", word(name)));
    }
    let name = word(interface.name.as_str());
    line.push_str(&format!("taptool delete {name} && taptool create {} {name}", interface.kind));
    let mut option = |word: &str, value: &str| {
        line.push_str(&format!(" --{word}"));
        if !value.is_empty() {
            line.push(' ');
            line.push_str(&self::word(value));
        }
    };
    if let Some(label) = &interface.host_ns {
        // A placeholder, as for addresses, where there is no name to give.
        option("netns", if spec.is_some() { label } else { "NAMESPACE" });
    }
    if interface.host_if_name != interface.name.as_str() {
        option("host-if-name", &interface.host_if_name);
    }
    if let Some(mac) = &interface.mac_addr {
        option("hw-addr", &mac.to_string());
    }
    if let Some(bridge) = &interface.host_bridge {
        option("bridge", bridge);
    } else {
        for net in interface.host_addresses.iter().filter(|net| !is_link_local(net.addr())) {
            option(if net.addr().is_ipv6() { "ip6" } else { "ip4" }, &net.to_string());
        }
    }
    if !matches!(interface.mtu, 0 | 1500) {
        option("mtu", &interface.mtu.to_string());
    }
    for (word, queues) in
        [("rx-ring-size", &interface.rx_queues), ("tx-ring-size", &interface.tx_queues)]
    {
        if let Some(queue) = queues.first()
            && queue.size != RingSize::default()
        {
            option(word, &queue.size.to_string());
        }
    }
    if interface.gso {
        option("gso", "");
    }
    for net in &interface.addresses {
        option("respond", &net.to_string());
    }
    // `auto` that fell back says why; without a reason it was asked for.
    if interface.backend == BackendKind::Userspace && interface.backend_reason.is_none() {
        option("backend", interface.backend.word());
    }
    if let Action::Xconnect(peer) = &interface.action {
        line.push_str(&format!(" && taptool xconnect {name} {}", word(peer.as_str())));
    }
    line
}

pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The first address of the network that is not its own end: what the other side could have.
pub(super) fn neighbor(net: IpNet) -> Option<IpNet> {
    let other = net.hosts().find(|host| *host != net.addr() && *host != net.network())?;
    IpNet::new(other, net.prefix_len()).ok()
}
