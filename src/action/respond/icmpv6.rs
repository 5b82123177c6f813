//! What the messages of ICMPv6 have in common.

use std::net::Ipv6Addr;

use etherparse::ip_number;

use super::{MALFORMED, Unanswered};
use crate::frame::checksum::Sum;

/// The checksum over `message` as it is; 0 when it contains a right one.
pub(super) fn checksum(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    message: &[u8],
) -> Result<u16, Unanswered> {
    let bytes = u32::try_from(message.len()).map_err(|_| MALFORMED)?;
    Ok(Sum::new()
        .add_pseudo_v6(source.octets(), destination.octets(), ip_number::IPV6_ICMP.0, bytes)
        .add_slice(message)
        .checksum())
}

/// Completes `message`, whose checksum field must be 0.
pub(super) fn write_checksum(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    message: &mut [u8],
) -> Result<(), Unanswered> {
    let sum = checksum(source, destination, message)?;
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Ok(())
}

/// The group that every host with `address` listens to ([RFC 4291] §2.7.1).
pub(super) const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [_, _, _, _, _, _, g, h] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (g & 0xff), h)
}
