//! A link as the kernel describes it.

use rtnetlink::packet_route::link::{
    BridgePortState, InfoBridgePort, InfoKind, InfoPortData, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage, Stats64,
};

use crate::units::MacAddr;

/// A network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its index in its namespace.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Administratively up (`IFF_UP`).
    pub up: bool,
    /// Something is at the other end (`IFF_LOWER_UP`): of a tap, an attached file.
    pub lower_up: bool,
    /// It asks for MAC addresses (no `IFF_NOARP`); a tun does not.
    pub arp: bool,
    /// MTU, bytes.
    pub mtu: u32,
    /// Transmit queue length, packets.
    pub qlen: u32,
    /// MAC address; none for a tun.
    pub mac: Option<MacAddr>,
    /// Index of the bridge or other device that it is a port of.
    pub master: Option<u32>,
    /// What the bridge does with it as a port of its own; none for what is no bridge's port.
    pub port: Option<PortState>,
    /// Kind of a virtual device (`bridge`, `tun` …).
    pub kind: Option<String>,
    /// What the host counted.
    pub stats: LinkStats,
}

/// State of a bridge's port (`BR_STATE_…` of `linux/if_bridge.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortState {
    /// Moves frames.
    Forwarding,
    /// Everything else moves none; the word that `bridge link` prints.
    Stopped(&'static str),
}

impl From<BridgePortState> for PortState {
    fn from(state: BridgePortState) -> Self {
        Self::Stopped(match state {
            BridgePortState::Forwarding => return Self::Forwarding,
            BridgePortState::Disabled => "disabled",
            BridgePortState::Listening => "listening",
            BridgePortState::Learning => "learning",
            BridgePortState::Blocking => "blocking",
            _ => "of an unknown state",
        })
    }
}

/// Counters of the host side, from the host's view: `rx` is what we sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkStats {
    /// Frames that the host received.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames to the host that it dropped.
    pub rx_dropped: u64,
    /// Frames that the host sent.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames of the host that the device dropped, as when its queue was full.
    pub tx_dropped: u64,
}

impl From<&Stats64> for LinkStats {
    fn from(stats: &Stats64) -> Self {
        Self {
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            rx_dropped: stats.rx_dropped,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            tx_dropped: stats.tx_dropped,
        }
    }
}

impl Link {
    /// Whether it is a bridge (`IFLA_INFO_KIND`).
    pub fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some("bridge")
    }

    pub(super) fn read(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            up: flags.contains(LinkFlags::Up),
            lower_up: flags.contains(LinkFlags::LowerUp),
            arp: !flags.contains(LinkFlags::Noarp),
            mtu: 0,
            qlen: 0,
            mac: None,
            master: None,
            port: None,
            kind: None,
            stats: LinkStats::default(),
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::TxQueueLen(packets) => link.qlen = *packets,
                LinkAttribute::Controller(index) if *index != 0 => link.master = Some(*index),
                LinkAttribute::Address(bytes) => {
                    let six = <[u8; 6]>::try_from(bytes.as_slice()).ok();
                    link.mac = six.and_then(|six| MacAddr::new(six).ok());
                }
                LinkAttribute::Stats64(stats) => link.stats = stats.into(),
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(InfoKind::Other(kind)) => Some(kind.clone()),
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                    link.port = infos.iter().find_map(port_state);
                }
                _ => {}
            }
        }
        link
    }
}

fn port_state(info: &LinkInfo) -> Option<PortState> {
    let LinkInfo::PortData(InfoPortData::BridgePort(port)) = info else { return None };
    port.iter().find_map(|attribute| match attribute {
        InfoBridgePort::State(state) => Some((*state).into()),
        _ => None,
    })
}
