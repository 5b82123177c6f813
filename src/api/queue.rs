//! A queue as replies show it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::counters::{COUNTERS, Counter, CounterRow, DROP_REASONS, Direction, QueueSnapshot};
use crate::units::{PollerIndex, QueueIndex, RingSize, RxMode};

/// State of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueState {
    /// Moves frames.
    Running,
    /// The device broke a rule of the ring; the text names the rule.
    Broken(Cow<'static, str>),
}

impl Serialize for QueueState {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Running => s.serialize_str("running"),
            Self::Broken(why) => s.collect_str(&format_args!("broken: {why}")),
        }
    }
}

impl<'de> Deserialize<'de> for QueueState {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Ok(match text.strip_prefix("broken: ") {
            Some(why) => Self::Broken(why.to_owned().into()),
            None => Self::Running,
        })
    }
}

/// One queue and its counters since the last `clear`.
///
/// In JSON the counters of [`crate::counters::COUNTERS`] are beside these keys, and `drops` is
/// an object of reason and count.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Number within its direction.
    pub id: QueueIndex,
    /// Entries.
    pub size: RingSize,
    /// The poller that owns it.
    pub poller: PollerIndex,
    /// How frames of a receive queue are noticed: polling, interrupt or adaptive.
    pub mode: Option<RxMode>,
    /// The pollers that send to a transmit queue.
    pub threads: Vec<PollerIndex>,
    /// `running`, or `broken: ` and the rule that the device broke.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
        if let Some(mode) = self.mode {
            map.serialize_entry("mode", &mode)?;
        }
        if self.counters.direction() == Direction::Tx {
            map.serialize_entry("threads", &self.threads)?;
        }
        map.serialize_entry("state", &self.state)?;
        for row in shown(self.counters.direction()) {
            map.serialize_entry(row.name, &self.counters.get(row.counter))?;
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

/// The counters that replies have for a direction; why a queue broke is said by its state.
fn shown(direction: Direction) -> impl Iterator<Item = &'static CounterRow> {
    COUNTERS
        .iter()
        .filter(move |row| row.sides.has(direction) && row.counter != Counter::BrokenReason)
}

/// A queue as it was written, its direction not known yet.
#[derive(Deserialize)]
struct Written {
    id: QueueIndex,
    size: RingSize,
    poller: PollerIndex,
    #[serde(default)]
    mode: Option<RxMode>,
    #[serde(default)]
    threads: Vec<PollerIndex>,
    state: QueueState,
    drops: BTreeMap<String, u64>,
    avail_flags: u16,
    used_flags: u16,
    kickfd: i32,
    callfd: i32,
    #[serde(default)]
    descriptors: Vec<RingEntry>,
    #[serde(flatten)]
    counters: BTreeMap<String, u64>,
}

impl Written {
    fn queue(self, direction: Direction) -> Queue {
        let counted =
            shown(direction).filter_map(|row| Some((row.counter, *self.counters.get(row.name)?)));
        let lost =
            DROP_REASONS.iter().filter_map(|row| Some((row.reason, *self.drops.get(row.name)?)));
        Queue {
            id: self.id,
            size: self.size,
            poller: self.poller,
            mode: self.mode,
            threads: self.threads,
            counters: QueueSnapshot::from_numbers(direction, counted, lost),
            state: self.state,
            avail_flags: self.avail_flags,
            used_flags: self.used_flags,
            kick_fd: self.kickfd,
            call_fd: self.callfd,
            descriptors: self.descriptors,
        }
    }
}

pub(super) fn rx<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Queue>, D::Error> {
    queues(from, Direction::Rx)
}

pub(super) fn tx<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Queue>, D::Error> {
    queues(from, Direction::Tx)
}

fn queues<'de, D: Deserializer<'de>>(from: D, which: Direction) -> Result<Vec<Queue>, D::Error> {
    let written = Vec::<Written>::deserialize(from)?;
    Ok(written.into_iter().map(|queue| queue.queue(which)).collect())
}
