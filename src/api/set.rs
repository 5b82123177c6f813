//! `set interface …`.

use ipnet::IpNet;

use super::InterfaceRef;

/// A change of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetRequest {
    /// The interface.
    pub interface: InterfaceRef,
    /// The change.
    pub change: SetInterface,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetInterface {
    /// `set interface state NAME up|down`.
    State {
        /// Up.
        up: bool,
    },
    /// `set interface l2 xconnect NAME PEER`: this direction alone, as in VPP.
    L2Xconnect {
        /// Where received frames go.
        peer: InterfaceRef,
    },
    /// `set interface l3 NAME`: back to `respond` or `sink`.
    L3,
    /// `set interface ip address NAME A/L`.
    AddAddress(IpNet),
    /// `set interface ip address del NAME A/L`.
    DelAddress(IpNet),
    /// `set interface ip address del NAME all`.
    DelAllAddresses,
}
