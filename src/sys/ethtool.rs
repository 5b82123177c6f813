//! Settings of a link that only `SIOCETHTOOL` of `linux/ethtool.h` has: its speed.
#![expect(unsafe_code, reason = "SIOCETHTOOL of linux/sockios.h")]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::libc;

use super::ioctl::{Refused, Request};

/// Reads speed, duplex and link modes.
pub const ETHTOOL_GLINKSETTINGS: Request = request("ETHTOOL_GLINKSETTINGS");
/// Sets them.
pub const ETHTOOL_SLINKSETTINGS: Request = request("ETHTOOL_SLINKSETTINGS");

const GLINKSETTINGS: u32 = 0x4c;
const SLINKSETTINGS: u32 = 0x4d;
/// `SPEED_UNKNOWN`.
const UNKNOWN: u32 = u32::MAX;
/// Three masks of link modes of at most 127 words each.
const MASK_WORDS: usize = 3 * 127;

const fn request(name: &'static str) -> Request {
    Request { name, file: "a socket", code: libc::SIOCETHTOOL }
}

/// `struct ethtool_link_settings` with room for its masks.
#[repr(C)]
#[derive(Clone, Copy)]
struct LinkSettings {
    cmd: u32,
    speed: u32,
    /// Duplex, port, address, autonegotiation, MDIO, both of MDI-X.
    before_words: [u8; 7],
    link_mode_masks_nwords: i8,
    /// Transceiver, master and slave, rate matching.
    after_words: [u8; 4],
    reserved: [u32; 7],
    masks: [u32; MASK_WORDS],
}

const _: () = assert!(size_of::<LinkSettings>() == 48 + 4 * MASK_WORDS);

/// Carries out one command on the device `name` of the socket's namespace.
fn call(
    socket: BorrowedFd<'_>,
    name: &str,
    request: Request,
    settings: &mut LinkSettings,
) -> Result<(), Refused> {
    let mut ifreq = libc::ifreq {
        ifr_name: [0; libc::IFNAMSIZ],
        ifr_ifru: libc::__c_anonymous_ifr_ifru {
            ifru_data: std::ptr::from_mut(settings).cast::<libc::c_char>(),
        },
    };
    for (to, from) in ifreq.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from.cast_signed() as libc::c_char;
    }
    let address = std::ptr::from_mut(&mut ifreq);
    // SAFETY: SIOCETHTOOL reads one ifreq and, at the address in it, the command and a structure
    // that the command tells; both commands of this file have an ethtool_link_settings with masks of
    // at most 127 words, for which LinkSettings has room. Any bytes are a valid one.
    let returned = unsafe { libc::ioctl(socket.as_raw_fd(), request.code, address) };
    Errno::result(returned).map(drop).map_err(|errno| Refused { request, errno })
}

/// The settings as they are.
fn settings(socket: BorrowedFd<'_>, name: &str) -> Result<LinkSettings, Refused> {
    let mut settings = LinkSettings {
        cmd: GLINKSETTINGS,
        speed: 0,
        before_words: [0; 7],
        link_mode_masks_nwords: 0,
        after_words: [0; 4],
        reserved: [0; 7],
        masks: [0; MASK_WORDS],
    };
    call(socket, name, ETHTOOL_GLINKSETTINGS, &mut settings)?;
    // Asked with the wrong number of words, the kernel answers with the right one, negated.
    if settings.link_mode_masks_nwords < 0 {
        settings.cmd = GLINKSETTINGS;
        settings.link_mode_masks_nwords = settings.link_mode_masks_nwords.wrapping_neg();
        call(socket, name, ETHTOOL_GLINKSETTINGS, &mut settings)?;
    }
    Ok(settings)
}

/// Speed of the device `name` of the socket's namespace, Mbit/s; none where the device knows none.
///
/// # Errors
/// `EOPNOTSUPP`: it is not of a kind that has a speed; `ENODEV`: no such device.
pub fn speed(socket: BorrowedFd<'_>, name: &str) -> Result<Option<u32>, Refused> {
    Ok(Some(settings(socket, name)?.speed).filter(|speed| *speed != UNKNOWN))
}

/// Sets the speed, Mbit/s: 1…2147483647, and leaves the other settings as they are. A tap does
/// nothing with it but tell it to whoever asks.
///
/// # Errors
/// `EPERM`: no `CAP_NET_ADMIN` there; `ENODEV`: no such device; `EOPNOTSUPP`: it has no speed, or
/// the kernel's tun driver is from before Linux 4.17.
pub fn set_speed(socket: BorrowedFd<'_>, name: &str, mbps: u32) -> Result<(), Refused> {
    let mut settings = settings(socket, name)?;
    (settings.cmd, settings.speed) = (SLINKSETTINGS, mbps);
    call(socket, name, ETHTOOL_SLINKSETTINGS, &mut settings)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn the_loopback_device_has_no_speed_and_a_device_that_is_not_there_is_enodev() {
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        assert_eq!(speed(socket.as_fd(), "lo").unwrap_err().errno, Errno::EOPNOTSUPP);
        let refused = set_speed(socket.as_fd(), "nonesuch-7", 10).unwrap_err();
        assert_eq!(
            refused.failure("nonesuch-7").to_string(),
            "nonesuch-7: ioctl(ETHTOOL_GLINKSETTINGS) on a socket: No such device (ENODEV)"
        );
    }
}
