//! The carrier of a device: whether its host sees a link.

use std::os::fd::BorrowedFd;

use crate::diag::Failure;
use crate::sys::tun;

/// Switches the carrier on or off; it is one of the device, whichever of its files is asked. Waits
/// for the kernel's rtnl lock.
///
/// # Errors
/// The device is gone, or its kernel is from before 4.20.
pub fn set_carrier(tap: BorrowedFd<'_>, on: bool) -> Result<(), Failure> {
    tun::set_carrier(tap, on).map_err(Failure::from)
}
