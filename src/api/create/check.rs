//! Checks the options of a create against each other.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::CreateRequest;
use crate::api::address;
use crate::diag::Failure;
use crate::units::{Kind, Mtu};

pub(super) fn check(request: &CreateRequest) -> Result<(), Failure> {
    let host4 = request.host_ip4_addr.iter().copied().map(IpNet::V4);
    let host6 = request.host_ip6_addr.iter().copied().map(IpNet::V6);
    let host: Vec<(&str, IpNet)> = host4
        .map(|net| ("host-ip4-addr", net))
        .chain(host6.map(|net| ("host-ip6-addr", net)))
        .collect();
    let gateways = [
        ("host-ip4-gw", "host-ip4-addr", request.host_ip4_gw.map(IpAddr::V4)),
        ("host-ip6-gw", "host-ip6-addr", request.host_ip6_gw.map(IpAddr::V6)),
    ];
    let any_gateway = gateways.iter().any(|(_, _, gateway)| gateway.is_some());
    if request.host_bridge.is_some() && (any_gateway || !host.is_empty()) {
        return Err(Failure::usage("", "Please specify either host ip address or host bridge"));
    }
    if request.gso && request.no_gso {
        return Err(Failure::usage("no-gso", "`gso' says the opposite; give one of the two"));
    }
    if request.host_down && any_gateway {
        return Err(Failure::usage("host-down", "a gateway needs the host side up"));
    }
    if request.attach {
        if request.host_name().is_none() {
            return Err(Failure::usage("", "host_if_name is not provided"));
        }
        let given = [("owner", request.owner), ("group", request.group)];
        if let Some((option, Some(id))) = given.into_iter().find(|(_, id)| id.is_some()) {
            let why = "with `attach' the device keeps the owner and group that it has";
            return Err(Failure::usage(format!("{option} {id}"), why));
        }
    }
    if request.kind == Kind::Tun {
        no_ethernet(request)?;
    }
    let ours = request.respond.iter().map(|net| ("respond", *net, address::ours(*net)));
    let hosts = host.iter().map(|(option, net)| (*option, *net, address::hosts(*net)));
    let mut seen = HashSet::new();
    for (option, net, checked) in hosts.chain(ours) {
        checked.map_err(|why| Failure::usage(format!("{option} {net}"), why))?;
        if !seen.insert(net.addr()) {
            return Err(Failure::usage(format!("{option} {net}"), "this address is given twice"));
        }
    }
    if let (Some(mac), true) = (request.mac_addr, request.mac_addr == request.host_mac_addr) {
        let why = "host-mac-addr is the same, and the two ends of a tap must differ";
        return Err(Failure::usage(format!("hw-addr {mac}"), why));
    }
    for (option, account) in [("owner", request.owner), ("group", request.group)] {
        if account == Some(u32::MAX) {
            let why = "not a number between 0 and 4294967294";
            return Err(Failure::usage(format!("{option} {}", u32::MAX), why));
        }
    }
    if let Some(mtu) = request.host_mtu_size {
        mtu.check(request.kind)
            .map_err(|why| Failure::usage(format!("host-mtu-size {mtu}"), why.0))?;
    }
    let ipv6 = [
        ("host-ip6-addr", !request.host_ip6_addr.is_empty()),
        ("host-ip6-gw", request.host_ip6_gw.is_some()),
    ];
    if let (Some(mtu), Some((option, _))) =
        (request.host_mtu_size, ipv6.iter().find(|(_, given)| *given))
        && mtu.get() < Mtu::IPV6_LEAST
    {
        let why = format!("Linux needs an MTU of 1280 bytes for IPv6, and {option} is given");
        return Err(Failure::usage(format!("host-mtu-size {mtu}"), why));
    }
    for (option, needs, gateway) in gateways {
        let Some(gateway) = gateway else { continue };
        let of_family = |net: &IpNet| net.addr().is_ipv4() == gateway.is_ipv4();
        let nets: Vec<IpNet> = host.iter().map(|(_, net)| *net).filter(of_family).collect();
        address::gateway(gateway, &nets, needs)
            .map_err(|why| Failure::usage(format!("{option} {gateway}"), why))?;
    }
    Ok(())
}

/// Refuses what only an Ethernet device has.
fn no_ethernet(request: &CreateRequest) -> Result<(), Failure> {
    if let Some(bridge) = &request.host_bridge {
        let why = "a tun has no Ethernet header and cannot be a bridge port";
        return Err(Failure::usage(format!("host-bridge {bridge}"), why));
    }
    let macs = [("hw-addr", request.mac_addr), ("host-mac-addr", request.host_mac_addr)];
    match macs.into_iter().find_map(|(option, mac)| Some((option, mac?))) {
        Some((option, mac)) => {
            Err(Failure::usage(format!("{option} {mac}"), "a tun has no Ethernet address"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Namespace;

    #[test]
    fn a_tun_has_neither_bridge_nor_mac() {
        type Change = fn(&mut CreateRequest);
        let rows: [(Change, &str); 3] = [
            (
                |r| r.host_bridge = "br0".parse().ok(),
                "host-bridge br0: a tun has no Ethernet header",
            ),
            (
                |r| r.mac_addr = "02fe.0000.0001".parse().ok(),
                "hw-addr 02:fe:00:00:00:01: a tun has no",
            ),
            (
                |r| r.host_mac_addr = "02fe.0000.0001".parse().ok(),
                "host-mac-addr 02:fe:00:00:00:01: a",
            ),
        ];
        for (change, why) in rows {
            let mut request = CreateRequest::new(Kind::Tun, Namespace::default());
            assert_eq!(check(&request), Ok(()));
            change(&mut request);
            let failure = check(&request).unwrap_err().to_string();
            assert!(failure.starts_with(why), "{failure}");
        }
    }
}
