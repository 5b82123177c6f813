//! Whether a device outlives the files of whoever made it.

use std::os::fd::BorrowedFd;

use crate::diag::Failure;
use crate::sys::tun;

/// Lets the device stay when its last file is closed, or go with it.
///
/// # Errors
/// The device is gone.
pub fn set_persist(tap: BorrowedFd<'_>, on: bool) -> Result<(), Failure> {
    tun::set_persist(tap, on).map_err(Failure::from)
}
