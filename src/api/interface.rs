//! An interface in full, as replies show it.

use std::borrow::Cow;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize};

use super::queue::{self, Queue};
use super::{CreateRequest, SubInterface};
use crate::units::{
    BackendKind, BridgeDomainId, IfName, Impairment, InterfaceId, Invalid, Kind, MacAddr, Mtu,
    SwIfIndex, Tag, digits,
};

/// The state of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Moves frames.
    Up,
    /// Set down by a command; frames are dropped with `admin_down`.
    AdminDown,
    /// At least one queue is broken.
    Broken,
    /// The Linux device is gone; the configuration is kept until `delete`.
    HostGone,
    /// Off the data path; the kernel has not freed the device yet.
    Deleting,
}

impl State {
    /// As shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::AdminDown => "admin-down",
            Self::Broken => "broken",
            Self::HostGone => "host-gone",
            Self::Deleting => "deleting",
        }
    }
}

/// What happens to received frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// They end here.
    Sink,
    /// ARP, ND and echo requests for our addresses are answered.
    Respond,
    /// They go out of a peer.
    Xconnect(IfName),
    /// They go to the members of a bridge domain, but for those of the same split-horizon group.
    Bridge(BridgeDomainId, u8),
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sink => f.write_str("sink"),
            Self::Respond => f.write_str("respond"),
            Self::Xconnect(peer) => write!(f, "xconnect {peer}"),
            Self::Bridge(bd_id, 0) => write!(f, "bridge {bd_id}"),
            Self::Bridge(bd_id, shg) => write!(f, "bridge {bd_id} shg {shg}"),
        }
    }
}

impl FromStr for Action {
    type Err = Invalid;
    fn from_str(s: &str) -> Result<Self, Invalid> {
        if let Some(domain) = s.strip_prefix("bridge ") {
            let (bd_id, shg) = domain.split_once(" shg ").unwrap_or((domain, "0"));
            let shg = digits(shg).ok_or_else(|| Invalid("not a split-horizon group".into()))?;
            return Ok(Self::Bridge(bd_id.parse()?, shg));
        }
        match (s, s.strip_prefix("xconnect ")) {
            ("sink", _) => Ok(Self::Sink),
            ("respond", _) => Ok(Self::Respond),
            (_, Some(peer)) => peer.parse().map(Self::Xconnect),
            _ => Err(Invalid("not an action".into())),
        }
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|why| serde::de::Error::custom(format_args!("{text}: {why}")))
    }
}

impl Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// What a holder of an earlier version does not say.
const fn on() -> bool {
    true
}

/// As [`on`], of a tag rewrite.
fn none() -> String {
    "none".into()
}

/// One interface.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Interface {
    /// Our side's name.
    pub name: IfName,
    /// Its number as `create id N` gave it; free again once it is deleted.
    pub id: InterfaceId,
    /// Its number in VPP's way, never used again while the holder lives.
    pub sw_if_index: SwIfIndex,
    /// `tap` or `tun`.
    pub kind: Kind,
    /// The request of `create` that makes the same interface again, with the keys that were given and
    /// the id and MAC address that were chosen.
    pub created_with: CreateRequest,
    /// The backend that serves the rings: `vhost-net` or `userspace`.
    pub backend: BackendKind,
    /// Why `backend auto` did not take vhost-net.
    pub backend_reason: Option<String>,
    /// Kind of the vhost-net worker: `kthread` or `task`; null on userspace, and on kernels that do not
    /// report it.
    pub vhost_worker_mode: Option<Cow<'static, str>>,
    /// `up`, `admin-down`, `broken`, `host-gone` or `deleting`. Where it is `up` and `link_up` is
    /// false, the table of `show` has `link-down`.
    pub state: State,
    /// False after `set interface state NAME down`.
    pub admin_up: bool,
    /// The host side exists, is up and has carrier.
    pub link_up: bool,
    /// Its carrier follows the link of its peer: `xconnect ... link-state on`.
    #[serde(default)]
    pub link_state: bool,
    /// What the wire to its peer does to the frames that it receives, by the options of `xconnect` and
    /// as they are spelled (`delay`, `jitter`, `loss`, `duplicate`, `reorder`, `corrupt`, `rate`, `limit`,
    /// `seed`), those that were given; null for a plain wire, and where there is none.
    #[serde(default)]
    pub impairment: Option<Impairment>,
    /// What happens to received frames: `sink`, `respond`, `xconnect PEER`, or `bridge BD-ID` with
    /// ` shg GROUP` where it is in a split-horizon group.
    pub action: Action,
    /// What is done with the VLAN tags of received frames: `none`, or as `push-1 dot1q 10`.
    #[serde(default = "none")]
    pub tag_rewrite: String,
    /// Its sub-interfaces; their frames are counted here.
    #[serde(default)]
    pub sub_interfaces: Vec<SubInterface>,
    /// Our side's addresses, kept while another action is set.
    pub addresses: Vec<IpNet>,
    /// Name of the Linux device now.
    pub host_if_name: String,
    /// Its index in its namespace.
    pub host_ifindex: u32,
    /// The namespace in which the Linux device is now: as `create` named it, if it is still that one;
    /// else its name under /run/netns; else `net:[INODE]`. Null if it is the holder's namespace or the
    /// client's.
    pub host_ns: Option<String>,
    /// Addresses of the Linux device now.
    pub host_addresses: Vec<IpNet>,
    /// Bridge that the Linux device is a port of now.
    pub host_bridge: Option<String>,
    /// MTU of the Linux device, bytes.
    pub mtu: u32,
    /// Transmit queue length of the Linux device, packets.
    pub qlen: u32,
    /// Frames that the host dropped before taptool could read them, as when its queue of `qlen`
    /// packets was full, since `clear interfaces`; beside the ledger, since they never came.
    #[serde(default)]
    pub host_tx_dropped: u64,
    /// The Linux device stays when the interface is deleted and when the holder ends.
    #[serde(default)]
    pub persist: bool,
    /// The Linux device was there before the interface: `create ... attach`.
    #[serde(default)]
    pub attached: bool,
    /// The interface keeps alive the namespace that it attached to a device in.
    #[serde(default)]
    pub pinned: bool,
    /// taptool keeps the carrier of the Linux device on: false after `set tap carrier NAME down`, and
    /// while `link_state` hands on that the peer has no link.
    #[serde(default = "on")]
    pub carrier: bool,
    /// Speed that the Linux device tells whoever asks, Mbit/s; null where it tells none.
    #[serde(default)]
    pub speed_mbps: Option<u32>,
    /// MAC of the Linux device; null for a tun.
    pub host_mac_addr: Option<MacAddr>,
    /// Our side's MAC; null for a tun.
    pub mac_addr: Option<MacAddr>,
    /// Further MACs whose frames our side takes.
    #[serde(default)]
    pub secondary_mac_addrs: Vec<MacAddr>,
    /// Our side takes frames for any MAC.
    #[serde(default)]
    pub promiscuous: bool,
    /// The text of `set interface tag`.
    #[serde(default)]
    pub tag: Option<Tag>,
    /// MTU of our side: longer packets are not sent to the host (`mtu_exceeded`); null: no limit.
    #[serde(default)]
    pub packet_mtu: Option<Mtu>,
    /// The same of IPv4 packets; null: `packet_mtu`.
    #[serde(default)]
    pub ip4_mtu: Option<Mtu>,
    /// The same of IPv6 packets; null: `packet_mtu`.
    #[serde(default)]
    pub ip6_mtu: Option<Mtu>,
    /// The same of MPLS packets; null: `packet_mtu`.
    #[serde(default)]
    pub mpls_mtu: Option<Mtu>,
    /// Segmentation offload is on.
    pub gso: bool,
    /// The host gets neither large frames nor unfinished checksums: they are split and completed here.
    pub no_gso: bool,
    /// The host may send us frames with unfinished checksums.
    pub csum_offload: bool,
    /// What the host may send us, by the names of `TUNSETOFFLOAD` (`CSUM`, `TSO4` …).
    pub offloads: Vec<Cow<'static, str>>,
    /// Acknowledged feature bits by name.
    pub features: Vec<String>,
    /// The same as a hexadecimal word.
    pub features_raw: String,
    /// Feature bits that the backend offers.
    pub backend_features: Vec<String>,
    /// The same as a hexadecimal word.
    pub backend_features_raw: String,
    /// Files of the device: the tun queues.
    pub tap_fds: Vec<i32>,
    /// Files of the device: /dev/vhost-net, a file a queue pair.
    pub vhost_fds: Vec<i32>,
    /// Receive queues.
    #[serde(deserialize_with = "queue::rx")]
    pub rx_queues: Vec<Queue>,
    /// Transmit queues.
    #[serde(deserialize_with = "queue::tx")]
    pub tx_queues: Vec<Queue>,
}
