//! Values of options that are no type of their own in `units`.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::units::Invalid;

/// Longest `wait`, seconds: a day.
const WAIT_MAX: f64 = 86_400.0;

fn invalid<T>(why: &str) -> Result<T, Invalid> {
    Err(Invalid(why.to_owned()))
}

/// `10.9.0.1/24`: an address that a host may have, and a prefix length.
pub(super) fn prefix4(text: &str) -> Result<Ipv4Net, Invalid> {
    match prefix(text)? {
        IpNet::V4(net) => Ok(net),
        IpNet::V6(_) => invalid("not an IPv4 address (10.9.0.1/24)"),
    }
}

/// `fd00::1/64`.
pub(super) fn prefix6(text: &str) -> Result<Ipv6Net, Invalid> {
    match prefix(text)? {
        IpNet::V6(net) => Ok(net),
        IpNet::V4(_) => invalid("not an IPv6 address (fd00::1/64)"),
    }
}

/// Either.
pub(super) fn prefix(text: &str) -> Result<IpNet, Invalid> {
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
        return invalid(&format!("prefix length is not between 1 and {most}"));
    };
    if net.prefix_len() == 0 {
        return invalid("prefix length 0 would make every address a neighbour");
    }
    unicast(addr)?;
    Ok(net)
}

/// Refuses addresses that no interface and no gateway can have.
pub(super) fn unicast(addr: IpAddr) -> Result<(), Invalid> {
    let broadcast = matches!(addr, IpAddr::V4(v4) if v4.is_broadcast());
    if addr.is_unspecified() || addr.is_multicast() || broadcast {
        return invalid("not an address of one host");
    }
    Ok(())
}

/// A user or group number; the kernel reads the largest as "nobody in particular".
pub(super) fn account(text: &str) -> Result<u32, Invalid> {
    match text.parse::<u32>() {
        Ok(n) if n != u32::MAX => Ok(n),
        _ => invalid("not a number between 0 and 4294967294"),
    }
}

/// A queue length in packets. A tun's queue has that many places: with none it receives nothing.
pub(super) fn packets(text: &str) -> Result<u32, Invalid> {
    match text.parse() {
        Ok(n) if n > 0 => Ok(n),
        _ => invalid("not a number of packets, at least 1"),
    }
}

/// Any number; used where this version takes only one of them.
pub(super) fn count(text: &str) -> Result<u64, Invalid> {
    text.parse().or_else(|_| invalid("not a number"))
}

/// `sw_if_index` of an interface.
pub(super) fn index(text: &str) -> Result<u32, Invalid> {
    text.parse().or_else(|_| invalid("not a number between 0 and 4294967295"))
}

/// `64M`, `1G`, `65536K` or bytes.
pub(super) fn bytes(text: &str) -> Result<u64, Invalid> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let size = digits.parse::<u64>().ok().filter(|_| plain);
    match size.and_then(|n| n.checked_mul(1 << shift)) {
        Some(n) if n > 0 => Ok(n),
        _ => invalid("not a size (bytes, or with K, M or G: 256M)"),
    }
}

/// Seconds, fractions allowed, up to a day.
pub(super) fn seconds(text: &str) -> Result<Duration, Invalid> {
    text.parse::<f64>()
        .ok()
        .filter(|secs| (0.0..=WAIT_MAX).contains(secs))
        .and_then(|secs| Duration::try_from_secs_f64(secs).ok())
        .ok_or_else(|| Invalid("not a number of seconds between 0 and 86400".into()))
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

    #[test]
    fn sizes_and_times_refuse_what_overflows() {
        assert_eq!(bytes("64M"), Ok(64 << 20));
        assert_eq!(bytes("1g"), Ok(1 << 30));
        assert_eq!(bytes("4096"), Ok(4096));
        for bad in ["", "M", "0", "-1M", "+1M", "1.5G", "18446744073709551615G", "é"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["", "-1", "NaN", "inf", "1e9", "x"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
        assert!(account("4294967295").is_err());
    }
}
