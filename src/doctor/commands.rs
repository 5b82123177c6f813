//! Commands that mend something, ready to be pasted: every name in them is quoted for a shell,
//! since the user who pastes a command may not be the user who named the device or namespace file.

use std::net::IpAddr;

use ipnet::IpNet;

pub(super) use crate::api::shell_word as word;
use crate::api::{Action, CreateRequest, Interface, Namespace, NamespaceSpec};

/// `ip ARGS` in the namespace that `label` means.
pub(super) fn ip(label: Option<&str>, args: &str) -> String {
    tool("ip", label, args)
}

/// `bridge ARGS` in the namespace that `label` means.
pub(super) fn bridge(label: Option<&str>, args: &str) -> String {
    tool("bridge", label, args)
}

/// A namespace without a name cannot be entered by name: the command is printed without a prefix.
fn tool(tool: &str, label: Option<&str>, args: &str) -> String {
    let spec = spec(label).unwrap_or(NamespaceSpec::Own);
    format!("{} {args}", spec.tool(tool))
}

/// Any command in the namespace that `label` means.
pub(super) fn run(label: Option<&str>, command: &str) -> String {
    spec(label).unwrap_or(NamespaceSpec::Own).command(command)
}

/// The namespace that a label means to the caller: without a label the caller's own, none for
/// `net:[INODE]`, which is no name.
pub(super) fn spec(label: Option<&str>) -> Option<NamespaceSpec> {
    label.map_or(Some(NamespaceSpec::Own), |label| label.parse().ok())
}

/// The namespace that a new create would name: the one that the first did; of one that named none,
/// the one that the device is in.
pub(super) fn home(interface: &Interface) -> Option<&str> {
    interface.created_with.host_ns.label().or(interface.host_ns.as_deref())
}

/// Deletes the interface and makes it again: its host side as it was created, our side as it is set
/// now. `home_gone`: there is no such namespace any more.
pub(super) fn recreate(interface: &Interface, home_gone: bool) -> String {
    let name = word(interface.name.as_str());
    let home = home(interface);
    let spec = spec(home);
    // The namespace of a process or of a file cannot be made again, and one without a name was
    // never named.
    let lost = match &spec {
        Some(NamespaceSpec::Own | NamespaceSpec::Name(_)) => false,
        Some(NamespaceSpec::Path(_) | NamespaceSpec::Pid(_)) => home_gone,
        None => true,
    };
    let again = CreateRequest {
        host_ns: Namespace::from(home.map(|label| if lost { "NETNS" } else { label }.to_owned())),
        respond: interface.addresses.clone(),
        gso: interface.gso && !interface.no_gso,
        no_gso: interface.no_gso,
        csum_offload: interface.csum_offload && !interface.gso,
        admin_down: !interface.admin_up,
        ..interface.created_with.clone()
    };
    let words: Vec<_> = again.words().iter().map(|next| word(next)).collect();
    let mut line = format!("taptool create {}", words.join(" "));
    if let Action::Xconnect(peer) = &interface.action {
        line.push_str(&format!(" && taptool xconnect {name} {}", word(peer.as_str())));
    }
    match spec {
        // The first command must not delete the interface before a namespace is filled in.
        _ if lost => format!("{line}   # with a namespace for NETNS; first: taptool delete {name}"),
        Some(NamespaceSpec::Name(netns)) if home_gone => {
            format!("ip netns add {} && taptool delete {name} && {line}", word(&netns))
        }
        _ => format!("taptool delete {name} && {line}"),
    }
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
