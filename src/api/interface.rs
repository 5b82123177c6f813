//! An interface as replies show it, whole.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Serialize;

use crate::counters::{Direction, QueueSnapshot};
use crate::units::{
    BackendKind, IfName, InterfaceId, Kind, MacAddr, PollerIndex, QueueIndex, RingSize, SwIfIndex,
};

/// Where an interface stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// Off the data path; the kernel has not let the device go yet.
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
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sink => f.write_str("sink"),
            Self::Respond => f.write_str("respond"),
            Self::Xconnect(peer) => write!(f, "xconnect {peer}"),
        }
    }
}

impl Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// One interface.
#[derive(Debug, Clone, Serialize)]
pub struct Interface {
    /// Our side's name.
    pub name: IfName,
    /// Its `id`.
    pub id: InterfaceId,
    /// Its number.
    pub sw_if_index: SwIfIndex,
    /// Tap or tun.
    pub kind: Kind,
    /// Who serves the rings.
    pub backend: BackendKind,
    /// Why `backend auto` did not take vhost-net.
    pub backend_reason: Option<String>,
    /// vhost-net: `kthread` or `task`; absent on userspace and on kernels that do not say.
    pub vhost_worker_mode: Option<&'static str>,
    /// Where it stands.
    pub state: State,
    /// Not set down by a command.
    pub admin_up: bool,
    /// The host side exists and is up.
    pub link_up: bool,
    /// What happens to received frames.
    pub action: Action,
    /// Our side's addresses, kept while another action is set.
    pub addresses: Vec<IpNet>,
    /// Name of the Linux device now.
    pub host_if_name: String,
    /// Its index in its namespace.
    pub host_ifindex: u32,
    /// The namespace in the words of whoever created it; null for the creator's own.
    pub host_ns: Option<String>,
    /// Addresses of the Linux device now.
    pub host_addresses: Vec<IpNet>,
    /// Bridge that the Linux device is a port of now.
    pub host_bridge: Option<String>,
    /// MTU of the Linux device, bytes.
    pub mtu: u32,
    /// Transmit queue length of the Linux device, packets.
    pub qlen: u32,
    /// MAC of the Linux device; null for a tun.
    pub host_mac_addr: Option<MacAddr>,
    /// Our side's MAC; null for a tun.
    pub mac_addr: Option<MacAddr>,
    /// Segmentation offload is on.
    pub gso: bool,
    /// The host may send us frames with unfinished checksums.
    pub csum_offload: bool,
    /// What the host may send us, by the names of `TUNSETOFFLOAD` (`CSUM`, `TSO4` …).
    pub offloads: Vec<&'static str>,
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
    pub rx_queues: Vec<Queue>,
    /// Transmit queues.
    pub tx_queues: Vec<Queue>,
}

/// State of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueState {
    /// Moves frames.
    Running,
    /// The device broke the ring's rules; says which.
    Broken(&'static str),
}

impl Serialize for QueueState {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Running => s.serialize_str("running"),
            Self::Broken(why) => s.collect_str(&format_args!("broken: {why}")),
        }
    }
}

/// One queue and its counters since the last `clear`.
///
/// In JSON the counters of [`crate::counters::COUNTERS`] stand beside these keys, and `drops` is
/// an object of reason and count.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Number within its direction.
    pub id: QueueIndex,
    /// Entries.
    pub size: RingSize,
    /// The poller that owns it.
    pub poller: PollerIndex,
    /// Whether it runs.
    pub state: QueueState,
    /// The counters.
    pub counters: QueueSnapshot,
    /// Flags of the available ring.
    pub avail_flags: u16,
    /// Flags of the used ring.
    pub used_flags: u16,
    /// Kick eventfd, -1 where driver and device share a thread.
    pub kick_fd: i32,
    /// Call eventfd, -1 likewise.
    pub call_fd: i32,
    /// The descriptor table, when asked for.
    pub descriptors: Vec<RingEntry>,
}

/// One entry of a descriptor table ([VIRTIO-1.3 §2.7.5] "The Virtqueue Descriptor Table").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RingEntry {
    /// Number of the entry.
    pub id: u16,
    /// Address: an offset into the shared memory file.
    pub addr: u64,
    /// Bytes.
    pub len: u32,
    /// Flag bits.
    pub flags: u16,
    /// Next entry of the chain.
    pub next: u16,
    /// The same address in our address space.
    pub user_addr: u64,
}

impl Serialize for Queue {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("id", &self.id)?;
        map.serialize_entry("size", &self.size)?;
        map.serialize_entry("poller", &self.poller)?;
        map.serialize_entry("state", &self.state)?;
        let direction: Direction = self.counters.direction();
        for row in crate::counters::COUNTERS.iter().filter(|row| row.sides.has(direction)) {
            if row.counter != crate::counters::Counter::BrokenReason {
                map.serialize_entry(row.name, &self.counters.get(row.counter))?;
            }
        }
        let drops: BTreeMap<_, _> = self.counters.drops().map(|(r, n)| (r.row().name, n)).collect();
        map.serialize_entry("drops", &drops)?;
        map.serialize_entry("avail_flags", &self.avail_flags)?;
        map.serialize_entry("used_flags", &self.used_flags)?;
        map.serialize_entry("kickfd", &self.kick_fd)?;
        map.serialize_entry("callfd", &self.call_fd)?;
        if !self.descriptors.is_empty() {
            map.serialize_entry("descriptors", &self.descriptors)?;
        }
        map.end()
    }
}
