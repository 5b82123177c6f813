//! `set interface …`, `set tap …`.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{InterfaceRef, address, wire};
use crate::diag::Failure;
use crate::units::{
    BridgeDomainId, HostOffload, IfName, Impairment, MacAddr, Mtu, NumberList, PollerIndex,
    QueueIndex, REWRITTEN_TAGS_MAX, RxMode, Tag, TagRewrite,
};

/// A change of one interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRequest {
    /// The interface.
    pub interface: InterfaceRef,
    /// The change.
    pub change: SetInterface,
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
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
        /// What the wire does to them.
        #[serde(default, deserialize_with = "wire::nullable")]
        impairment: Impairment,
    },
    /// `set interface rx-placement NAME queue N worker N`.
    RxPlacement {
        /// The receive queue.
        queue: QueueIndex,
        /// Its poller from now on.
        poller: PollerIndex,
    },
    /// `set interface rx-mode NAME [queue N] polling|interrupt|adaptive`.
    RxMode {
        /// The receive queue; none: all.
        #[serde(default)]
        queue: Option<QueueIndex>,
        /// How its frames are noticed from now on.
        mode: RxMode,
    },
    /// `set interface tx-queue NAME queue N threads LIST`.
    TxQueue {
        /// The transmit queue.
        queue: QueueIndex,
        /// The pollers that it is for, numbers below 1024.
        threads: Vec<PollerIndex>,
    },
    /// `set interface l2 bridge NAME BD [SHG]`: into a bridge domain, which is made where there is
    /// none.
    L2Bridge {
        /// The domain.
        bd_id: BridgeDomainId,
        /// Its split-horizon group there; 0 is none.
        #[serde(default, deserialize_with = "wire::nullable")]
        shg: u8,
    },
    /// `set interface l2 tag-rewrite NAME …`.
    TagRewrite(TagRewrite),
    /// `set interface l3 NAME`: back to `respond` or `sink`.
    L3 {},
    /// `set interface feature gso NAME enable|disable`: as `no-gso` of create.
    NoGso {
        /// On.
        on: bool,
    },
    /// `set tap offload NAME gso-enable|gso-disable|csum-offload-enable|csum-offload-disable`.
    Offload {
        /// What the host leaves undone from now on.
        host: HostOffload,
    },
    /// `set tap carrier NAME up|down`: what the host side sees of its link.
    HostCarrier {
        /// Up.
        up: bool,
    },
    /// `set tap speed NAME MBPS`: what the host side tells whoever asks for its speed.
    HostSpeed {
        /// Mbit/s, 1…2147483647.
        mbps: u32,
    },
    /// `set interface ip address NAME A/L`.
    AddAddress(IpNet),
    /// `set interface ip address del NAME A/L`.
    DelAddress(IpNet),
    /// `set interface ip address del NAME all`.
    DelAllAddresses {},
    /// `set interface name NAME NEW`: of our side; the host side keeps its name.
    Name(IfName),
    /// `set interface tag NAME TAG`.
    Tag(Tag),
    /// `clear interface tag NAME`.
    ClearTag {},
    /// `set interface mac address NAME MAC`: of our side.
    MacAddress(MacAddr),
    /// `set interface secondary-mac-address NAME MAC add`.
    AddSecondaryMac(MacAddr),
    /// `set interface secondary-mac-address NAME MAC del`.
    DelSecondaryMac(MacAddr),
    /// `set interface promiscuous on|off NAME`.
    Promiscuous {
        /// Frames for any MAC are taken.
        on: bool,
    },
    /// `set interface mtu [packet|ip4|ip6|mpls] N NAME`: what our side sends.
    Mtu {
        /// Which packets it is about.
        of: MtuOf,
        /// Bytes behind the link header; null: no limit.
        #[serde(default)]
        mtu: Option<Mtu>,
    },
    /// `set tap host-mtu NAME N`: that of the Linux device.
    HostMtu(Mtu),
}

/// The packets that an MTU is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MtuOf {
    /// All that no other is about.
    Packet,
    /// Those of IPv4.
    Ip4,
    /// Those of IPv6.
    Ip6,
    /// Those of MPLS.
    Mpls,
}

/// Speeds that the kernel takes, Mbit/s.
const SPEEDS: std::ops::RangeInclusive<u32> = 1..=i32::MAX as u32;
/// Why another is refused.
pub const SPEED: &str = "not a number of Mbit/s between 1 and 2147483647";

impl SetRequest {
    /// Checks an address, a speed, and what a wire is to do.
    ///
    /// # Errors
    /// Exit code 2, when no interface can have it.
    pub fn check(&self) -> Result<(), Failure> {
        match &self.change {
            SetInterface::AddAddress(net) => {
                address::ours(*net).map_err(|why| Failure::usage(net.to_string(), why))
            }
            SetInterface::HostSpeed { mbps } if !SPEEDS.contains(mbps) => {
                Err(Failure::usage(format!("speed {mbps}"), SPEED))
            }
            SetInterface::L2Xconnect { impairment, .. } => {
                impairment.check().map_err(|why| Failure::usage("", why.0))
            }
            SetInterface::TxQueue { threads, .. } => {
                let beyond = threads.iter().find(|poller| poller.0 >= NumberList::END);
                beyond.map_or(Ok(()), |poller| {
                    Err(Failure::usage(format!("threads {poller}"), "not a number below 1024"))
                })
            }
            SetInterface::TagRewrite(rewrite)
                if usize::from(rewrite.pop).max(rewrite.push.len()) > REWRITTEN_TAGS_MAX =>
            {
                Err(Failure::usage("tag-rewrite", "it adds or removes more than two tags"))
            }
            _ => Ok(()),
        }
    }
}
