//! What a process reports about itself: pollers, threads, events, version.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::counters::Direction;
use crate::units::{IfName, PollerIndex, QueueIndex};

/// One poller since it started. The three times add up to its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollerRow {
    /// Its number.
    pub poller: PollerIndex,
    /// Its thread's name.
    pub thread: String,
    /// Loops over the ready queues.
    pub loops: u64,
    /// Visits of queues, including those that moved no frame.
    pub visits: u64,
    /// Number of sleeps.
    pub sleeps: u64,
    /// Time in loops that moved frames, ns.
    pub busy_ns: u64,
    /// Time in loops that moved no frame, ns.
    pub spin_ns: u64,
    /// Time asleep, ns.
    pub asleep_ns: u64,
    /// Its queues.
    pub nodes: Vec<NodeRow>,
}

/// One queue in `show runtime`, since it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The interface.
    pub interface: IfName,
    /// Direction of the queue.
    pub direction: Direction,
    /// The queue.
    pub queue: QueueIndex,
    /// It moves frames: neither broken, nor set down, nor without a host side.
    pub active: bool,
    /// Bursts.
    pub calls: u64,
    /// Frames in them.
    pub vectors: u64,
    /// Frames lost.
    pub drops: u64,
}

/// One thread of the process, or a kernel thread that works for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadRow {
    /// Number: 0 is the control thread, then come the pollers.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// `control`, `poller`, `vhost` (a worker of vhost-net) or `helper`.
    #[serde(rename = "type")]
    pub role: Cow<'static, str>,
    /// Its id in Linux.
    pub lwp: i32,
    /// Scheduling policy: `other`, `fifo`, `rr`, `batch`, `idle`, `deadline`.
    pub policy: Cow<'static, str>,
    /// Its real-time priority; 0 under `other`.
    pub priority: u32,
    /// Processor that it ran on last.
    pub cpu: u32,
    /// Core of that processor; null where the kernel does not report it.
    pub core: Option<u32>,
    /// Socket of that processor.
    pub socket: Option<u32>,
}

/// How much an event matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A command asked for it.
    Notice,
    /// Another program did it, or the result differs from what was asked for.
    Warn,
    /// Frames are lost until the user acts.
    Error,
}

impl Level {
    /// As shown.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// Something that happened to an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRow {
    /// When, milliseconds since 1970 (UTC).
    pub time_ms: u64,
    /// How much it matters.
    pub level: Level,
    /// The interface.
    pub name: IfName,
    /// What, in words.
    pub text: String,
}

/// A program's version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// `taptool`: the program that was called; `holder`: another process, which answered it.
    pub program: Cow<'static, str>,
    /// Its version.
    pub version: Cow<'static, str>,
    /// Its commit, and the day of that.
    pub commit: Cow<'static, str>,
    /// Processor and system that it was built for.
    pub target: Cow<'static, str>,
    /// `release` or `debug`.
    pub profile: Cow<'static, str>,
    /// The process.
    pub pid: u32,
}

impl Version {
    /// Puts this process's version before those of other processes.
    pub fn beside_own(answered: &mut Vec<Self>) {
        let own = Self::own();
        answered.retain(|version| *version != own);
        for version in answered.iter_mut() {
            version.program = "holder".into();
        }
        answered.insert(0, own);
    }

    /// This process's.
    pub fn own() -> Self {
        use std::env::consts::{ARCH, OS};
        Self {
            program: "taptool".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            commit: env!("TAPTOOL_COMMIT").into(),
            target: format!("{ARCH}-{OS}").into(),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.into(),
            pid: std::process::id(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_holder_stands_behind_our_own_and_our_own_only_once() {
        let mut one = vec![Version::own()];
        Version::beside_own(&mut one);
        assert_eq!(one, [Version::own()]);
        let mut other = vec![Version { pid: 0, version: "0.0.9".into(), ..Version::own() }];
        Version::beside_own(&mut other);
        assert_eq!((&other[0], &*other[1].program), (&Version::own(), "holder"));
        assert_eq!(other[1].version, "0.0.9");
    }
}
