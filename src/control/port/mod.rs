//! Ports: what is behind an interface, where its frames come from and go to.
//!
//! # Theory of operation
//! An interface has queues, an action, addresses and a life; none of these depends on what its
//! frames come from. That is the port's: the open files, the state of the link, and for a tap all
//! that is about its host side. The other files of control ask the port for what every port has,
//! and [`Port::tap`] for what a host side alone has.

mod carrier;
mod look;
mod new_tap;
mod tap;

use crate::device::PortFiles;

pub(super) use carrier::Carrier;
pub(super) use look::HostSide;
pub(super) use new_tap::NewTap;
pub(super) use tap::{Place, Stay, TapPort};

/// What is behind an interface.
#[derive(Debug)]
pub(super) enum Port {
    /// A tap or tun device of the kernel.
    Tap(TapPort),
}

impl Port {
    /// The host side; none where there is no Linux device.
    pub(super) const fn tap(&self) -> Option<&TapPort> {
        match self {
            Self::Tap(tap) => Some(tap),
        }
    }

    /// As [`Port::tap`], to be changed.
    pub(super) const fn tap_mut(&mut self) -> Option<&mut TapPort> {
        match self {
            Self::Tap(tap) => Some(tap),
        }
    }

    /// What a backend puts behind the rings.
    pub(super) fn files(&self) -> PortFiles {
        match self {
            Self::Tap(tap) => tap.files.clone(),
        }
    }

    /// Takes the files away, to be closed.
    pub(super) fn take_files(&mut self) -> PortFiles {
        match self {
            Self::Tap(tap) => std::mem::take(&mut tap.files),
        }
    }

    /// The carrier that the other end sees; none where it sees none.
    pub(super) const fn carrier(&self) -> Option<Carrier> {
        match self {
            Self::Tap(tap) => Some(tap.carrier),
        }
    }

    /// Whether frames may be sent: the other end is set up, and we keep its carrier on.
    pub(super) const fn takes_frames(&self) -> bool {
        match self {
            Self::Tap(tap) => tap.side.facts.up && tap.carrier.on,
        }
    }

    /// Whether the other end is set up to take frames.
    pub(super) const fn is_up(&self) -> bool {
        match self {
            Self::Tap(tap) => tap.side.facts.up,
        }
    }

    /// Whether frames pass as far as the port goes: it is up, and the device is there.
    pub(super) const fn has_link(&self) -> bool {
        match self {
            Self::Tap(tap) => tap.side.facts.up && tap.side.facts.lower_up,
        }
    }

    /// Takes the frames that were dropped before they came here for zero, in what `which` says.
    pub(super) const fn clear(&mut self, which: Baseline) {
        match self {
            Self::Tap(tap) => tap.clear(which),
        }
    }
}

/// What of the counters is taken for zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Baseline {
    /// `clear interfaces`.
    Counters,
    /// `clear errors`.
    Errors,
}
