//! What single values cannot show: options of a create that do not go together.

use std::collections::HashSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::CreateRequest;
use crate::diag::Failure;
use crate::units;

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
    let ours = request.respond.iter().map(|net| ("respond", *net));
    let mut seen = HashSet::new();
    for (option, net) in host.iter().copied().chain(ours) {
        let refused = |why: units::Invalid| Failure::usage(format!("{option} {net}"), why.0);
        units::host_net(net).map_err(refused)?;
        if !seen.insert(net.addr()) {
            return Err(Failure::usage(format!("{option} {net}"), "this address is given twice"));
        }
    }
    for (option, account) in [("owner", request.owner), ("group", request.group)] {
        if account == Some(u32::MAX) {
            return Err(Failure::usage(option, "not a number between 0 and 4294967294"));
        }
    }
    for (option, needs, gateway) in gateways {
        let Some(gateway) = gateway else { continue };
        let of_family = |net: &IpNet| net.addr().is_ipv4() == gateway.is_ipv4();
        let nets: Vec<IpNet> = host.iter().map(|(_, net)| *net).filter(of_family).collect();
        reachable(gateway, &nets, needs)
            .map_err(|why| Failure::usage(format!("{option} {gateway}"), why))?;
    }
    Ok(())
}

/// A gateway is a neighbour: the kernel takes no other.
fn reachable(gateway: IpAddr, nets: &[IpNet], needs: &str) -> Result<(), String> {
    units::unicast(gateway).map_err(|why| why.0)?;
    if nets.is_empty() {
        return Err(format!("a gateway needs a {needs} whose network it is in"));
    }
    if nets.iter().any(|net| net.addr() == gateway) {
        return Err("this is the host side's own address".into());
    }
    let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if link_local || nets.iter().any(|net| net.contains(&gateway)) {
        return Ok(());
    }
    Err(format!("in the network of no {needs}"))
}
