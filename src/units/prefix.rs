//! Addresses and prefix lengths that an interface or a gateway may have.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{Invalid, invalid};

/// `10.9.0.1/24`: an address that a host may have, and a prefix length.
pub fn prefix4(text: &str) -> Result<Ipv4Net, Invalid> {
    match prefix(text)? {
        IpNet::V4(net) => Ok(net),
        IpNet::V6(_) => invalid("not an IPv4 address (10.9.0.1/24)"),
    }
}

/// `fd00::1/64`.
pub fn prefix6(text: &str) -> Result<Ipv6Net, Invalid> {
    match prefix(text)? {
        IpNet::V6(net) => Ok(net),
        IpNet::V4(_) => invalid("not an IPv6 address (fd00::1/64)"),
    }
}

/// Reads an IPv4 or IPv6 address with its prefix length.
pub fn prefix(text: &str) -> Result<IpNet, Invalid> {
    let Some((addr, len)) = text.split_once('/') else {
        return invalid("needs a prefix length (10.9.0.1/24, fd00::1/64)");
    };
    let Ok(addr) = addr.parse::<IpAddr>() else {
        return invalid("not an address with its prefix length (10.9.0.1/24, fd00::1/64)");
    };
    let digits = !len.is_empty() && len.bytes().all(|b| b.is_ascii_digit());
    let net = len.parse::<u8>().ok().filter(|_| digits).and_then(|len| IpNet::new(addr, len).ok());
    let Some(net) = net else {
        let most = if addr.is_ipv4() { 32 } else { 128 };
        return invalid(format!("prefix length is not between 1 and {most}"));
    };
    host_net(net)?;
    Ok(net)
}

/// Refuses prefixes that no interface can have.
pub fn host_net(net: IpNet) -> Result<(), Invalid> {
    if net.prefix_len() == 0 {
        return invalid("prefix length 0 would make every address a neighbour");
    }
    unicast(net.addr())
}

/// Refuses addresses that no interface and no gateway can have.
pub fn unicast(addr: IpAddr) -> Result<(), Invalid> {
    let broadcast = matches!(addr, IpAddr::V4(v4) if v4.is_broadcast());
    if addr.is_unspecified() || addr.is_multicast() || broadcast {
        return invalid("must be a unicast address");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_lengths_are_checked_per_family() {
        for good in ["10.9.0.1/24", "10.9.0.1/1", "10.9.0.1/32", "fd00::1/128", "fe80::1/64"] {
            assert!(prefix(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "10.9.0.1",
            "10.9.0.1/",
            "10.9.0.1/0",
            "10.9.0.1/33",
            "10.9.0.1/256",
            "10.9.0.1/+8",
            "10.9.0.1/-1",
            "10.9.0.1/2 4",
            "fd00::1/129",
            "fd00::1/0",
            "fd00::1",
            "0.0.0.0/8",
            "224.0.0.1/4",
            "255.255.255.255/32",
            "ff02::1/64",
            "::/64",
            "a/24",
        ] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
        assert!(prefix4("fd00::1/64").is_err());
        assert!(prefix6("10.9.0.1/24").is_err());
    }
}
