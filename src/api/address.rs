//! Refuses addresses that have the right form but can never work in their place.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::units;

/// Checks an address of our side: the host must be able to send packets to it.
///
/// # Errors
/// A sentence without the address itself.
pub(super) fn ours(net: IpNet) -> Result<(), String> {
    units::host_net(net).map_err(|why| why.0)?;
    match net.addr() {
        IpAddr::V4(addr) => match addr.octets()[0] {
            0 => return Err("0.0.0.0/8 has no hosts".into()),
            127 => return Err("a loopback address is local to every host".into()),
            240.. => return Err("240.0.0.0/4 is reserved and has no hosts".into()),
            _ => {}
        },
        IpAddr::V6(_) => not_loopback6(net.addr())?,
    }
    match end_of(net, net.addr()) {
        Some(end) => {
            Err(format!("this is the {end} address of {}, not a host address", net.trunc()))
        }
        None => Ok(()),
    }
}

/// Checks an address of the host side. Linux accepts nearly all, also the ends of a subnet.
///
/// # Errors
/// As [`ours`].
pub(super) fn hosts(net: IpNet) -> Result<(), String> {
    units::host_net(net).map_err(|why| why.0)?;
    not_loopback6(net.addr())
}

/// Checks a gateway against the addresses of the host side, of which `needs` is the option: the
/// kernel takes a neighbour, or, on the link, any address (`onlink` of ip-route(8)).
///
/// # Errors
/// As [`ours`].
pub(super) fn gateway(gateway: IpAddr, nets: &[IpNet], needs: &str) -> Result<(), String> {
    units::unicast(gateway).map_err(|why| why.0)?;
    not_loopback6(gateway)?;
    if nets.is_empty() {
        return Err(format!("a gateway needs a {needs} in the same network"));
    }
    if nets.iter().any(|net| net.addr() == gateway) {
        return Err("this is the host side's own address".into());
    }
    for net in nets.iter().filter(|net| net.contains(&gateway)) {
        if let Some(end) = end_of(*net, gateway) {
            return Err(format!(
                "this is the {end} address of {}, not a host address",
                net.trunc()
            ));
        }
    }
    let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
    // An address without a network beside it, as pods and cloud machines have: all neighbours,
    // the gateway too, are reached on the link.
    let alone = |net: &IpNet| net.prefix_len() == net.max_prefix_len();
    if link_local || nets.iter().any(|net| net.contains(&gateway) || alone(net)) {
        return Ok(());
    }
    let whole = if gateway.is_ipv4() { 32 } else { 128 };
    Err(format!(
        "not in the network of any {needs}; with a {needs} of prefix length {whole} it is reached on the link"
    ))
}

fn not_loopback6(addr: IpAddr) -> Result<(), String> {
    if addr.is_ipv6() && addr.is_loopback() {
        return Err("the loopback address is local to every host".into());
    }
    Ok(())
}

/// Which end of the subnet an address is. IPv6 has no broadcast, and two addresses are both hosts'
/// ([RFC 3021]).
fn end_of(net: IpNet, addr: IpAddr) -> Option<&'static str> {
    let ends = addr.is_ipv4() && net.prefix_len() < 31;
    if ends && addr == net.network() {
        Some("network")
    } else if ends && addr == net.broadcast() {
        Some("broadcast")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_side_answers_for_no_address_that_hosts_do_not_send_to() {
        for bad in [
            "10.9.0.0/24",
            "10.9.0.255/24",
            "10.9.3.255/22",
            "10.9.0.4/30",
            "0.1.2.3/8",
            "127.0.0.1/8",
            "127.9.0.1/32",
            "224.0.0.1/24",
            "240.0.0.1/24",
            "255.255.255.254/8",
            "::1/128",
            "::/64",
            "ff02::1/64",
        ] {
            assert!(ours(bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in [
            "10.9.0.0/31",
            "10.9.0.1/31",
            "10.9.0.0/32",
            "10.9.3.255/21",
            "fd00::/64",
            "fe80::2/64",
        ] {
            assert_eq!(ours(good.parse().unwrap()), Ok(()), "{good}");
        }
    }

    #[test]
    fn the_host_side_has_what_linux_gives_a_device() {
        for bad in ["::1/128", "::/64", "ff02::1/64", "224.0.0.1/24", "10.9.0.1/0"] {
            assert!(hosts(bad.parse().unwrap()).is_err(), "{bad}");
        }
        for good in ["10.9.0.0/24", "10.9.0.255/24", "127.0.0.5/24", "240.0.0.1/24", "fd00::/64"] {
            assert_eq!(hosts(good.parse().unwrap()), Ok(()), "{good}");
        }
    }

    #[test]
    fn a_gateway_is_a_neighbour_and_no_end_of_a_subnet() {
        let nets: Vec<IpNet> = ["10.9.0.5/24", "10.9.1.4/31", "10.8.0.1/20"]
            .iter()
            .map(|net| net.parse().unwrap())
            .collect();
        let told = |gateway: &str| super::gateway(gateway.parse().unwrap(), &nets, "host-ip4-addr");
        for good in ["10.9.0.1", "10.9.0.254", "10.9.1.5", "10.8.0.255"] {
            assert_eq!(told(good), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("10.9.0.0", "the network address of 10.9.0.0/24"),
            ("10.9.0.255", "the broadcast address of 10.9.0.0/24"),
            ("10.8.15.255", "the broadcast address of 10.8.0.0/20"),
            ("10.9.0.5", "own address"),
            ("10.7.0.1", "not in the network of any host-ip4-addr"),
        ] {
            assert!(told(bad).is_err_and(|told| told.contains(why)), "{bad}: {:?}", told(bad));
        }
    }
}
