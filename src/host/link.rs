//! A link as the kernel describes it.

use rtnetlink::packet_core::Nla;
use rtnetlink::packet_route::link::{
    BridgePortState, InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoTun, LinkAttribute,
    LinkFlags, LinkInfo, LinkMessage, Stats64,
};

use crate::sys::tun;
use crate::units::{Kind, MacAddr};

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
    /// The same, also while it is down (`IFLA_CARRIER`).
    pub carrier: bool,
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
    /// What the kernel says of a tap or tun; none for others, and before Linux 4.17.
    pub tun: Option<TunFacts>,
    /// What the host counted.
    pub stats: LinkStats,
}

/// What the kernel says of a tap or tun (`IFLA_TUN_…` of `linux/if_link.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TunFacts {
    /// User who may attach to it.
    pub owner: Option<u32>,
    /// Group that may.
    pub group: Option<u32>,
    /// Frames or packets.
    pub kind: Option<Kind>,
    /// A protocol word stands before each frame.
    pub pi: bool,
    /// A virtio header does.
    pub vnet_hdr: bool,
    /// It stays when no process has it open.
    pub persist: bool,
    /// It may have several queues.
    pub multi_queue: bool,
    /// Queues that processes have open.
    pub queues: u32,
}

impl TunFacts {
    /// The flags that whoever attaches sets anew.
    pub(super) const FLAGS: u16 = tun::IFF_NO_PI | tun::IFF_VNET_HDR;

    /// As `TUNSETIFF` takes them.
    pub(super) fn flags(&self) -> u16 {
        let given = [
            (self.kind == Some(Kind::Tun), tun::IFF_TUN),
            (self.kind != Some(Kind::Tun), tun::IFF_TAP),
            (!self.pi, tun::IFF_NO_PI),
            (self.vnet_hdr, tun::IFF_VNET_HDR),
            (self.multi_queue, tun::IFF_MULTI_QUEUE),
        ];
        given.iter().filter(|(given, _)| *given).fold(0, |flags, (_, flag)| flags | flag)
    }

    fn read(data: &[InfoTun]) -> Self {
        let mut facts = Self::default();
        for attribute in data {
            let mut value = vec![0; attribute.value_len()];
            attribute.emit_value(&mut value);
            let number = value.first_chunk().map_or(0, |four| u32::from_ne_bytes(*four));
            let on = value.first().is_some_and(|byte| *byte != 0);
            match attribute.kind() {
                1 => facts.owner = Some(number),
                2 => facts.group = Some(number),
                3 if value == [1] => facts.kind = Some(Kind::Tun),
                3 if value == [2] => facts.kind = Some(Kind::Tap),
                4 => facts.pi = on,
                5 => facts.vnet_hdr = on,
                6 => facts.persist = on,
                7 => facts.multi_queue = on,
                8 => facts.queues = number,
                _ => {}
            }
        }
        facts
    }
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
            carrier: false,
            arp: !flags.contains(LinkFlags::Noarp),
            mtu: 0,
            qlen: 0,
            mac: None,
            master: None,
            port: None,
            tun: None,
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
                LinkAttribute::Carrier(carrier) => link.carrier = *carrier != 0,
                LinkAttribute::Stats64(stats) => link.stats = stats.into(),
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(InfoKind::Other(kind)) => Some(kind.clone()),
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                    link.port = infos.iter().find_map(port_state);
                    link.tun = infos.iter().find_map(|info| match info {
                        LinkInfo::Data(InfoData::Tun(data)) => Some(TunFacts::read(data)),
                        _ => None,
                    });
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
