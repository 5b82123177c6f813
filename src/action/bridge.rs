//! The bridge: hands each frame to the members of a bridge domain behind which its destination is.
//!
//! # Theory of operation
//! A domain learns behind which member a MAC is from the source of each frame, and forgets it when
//! no frame came from there for the ageing time. A frame for a MAC that is known goes to that member;
//! one for a group, or for a MAC that is not known, to all but the one that it came from. Members
//! of one split-horizon group do not reach each other (group 0 is none).
//!
//! A poller learns from the frames that it receives itself. A table that is full learns nothing
//! new, and its frames are flooded; what is too old makes room first.

use std::collections::HashMap;

use super::{Context, DomainKey, FrameBytes, PeerKey, Verdict};
use crate::counters::DropReason;

/// Most MACs that a domain knows.
pub const MACS_MAX: usize = 1 << 16;
/// Pause between two looks for entries that are too old, ns.
const SWEEP_NS: u64 = 1_000_000_000;

/// An interface's membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    /// The domain.
    pub domain: DomainKey,
    /// The member's split-horizon group; 0 is none.
    pub group: u8,
}

/// An interface in a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// The interface.
    pub peer: PeerKey,
    /// Its split-horizon group; 0 is none.
    pub group: u8,
}

/// What a domain does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Learn sources.
    pub learn: bool,
    /// Forward frames for known MACs.
    pub forward: bool,
    /// Flood frames for groups.
    pub flood: bool,
    /// Flood frames for unknown MACs.
    pub unknown_flood: bool,
    /// How long a MAC is known after its last frame, ns; 0 is for ever.
    pub age_ns: u64,
}

impl Default for Settings {
    /// VPP's: everything on, nothing ages.
    fn default() -> Self {
        Self { learn: true, forward: true, flood: true, unknown_flood: true, age_ns: 0 }
    }
}

/// What a domain knows of a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The member behind which it is.
    pub peer: PeerKey,
    /// The poller's clock at its last frame, ns.
    pub seen_ns: u64,
}

/// A bridge domain, as one poller knows it.
#[derive(Debug, Default)]
pub struct Domain {
    settings: Settings,
    members: Vec<Member>,
    macs: HashMap<[u8; 6], Entry>,
    swept_ns: u64,
}

impl Domain {
    /// Sets what it does and its members. What is known of MACs behind others is forgotten.
    pub fn set(&mut self, settings: Settings, members: &[Member]) {
        self.settings = settings;
        self.members.clear();
        self.members.extend_from_slice(members);
        self.macs.retain(|_, entry| members.iter().any(|member| member.peer == entry.peer));
    }

    /// Forgets all MACs, or those behind one member.
    pub fn flush(&mut self, behind: Option<PeerKey>) {
        self.macs.retain(|_, entry| behind.is_some_and(|peer| entry.peer != peer));
    }

    /// The MACs that are known at `now_ns`, in no order.
    pub fn macs(&self, now_ns: u64) -> impl Iterator<Item = ([u8; 6], Entry)> {
        let old = move |entry: &Entry| self.is_old(entry, now_ns);
        self.macs.iter().filter(move |(_, entry)| !old(entry)).map(|(mac, entry)| (*mac, *entry))
    }

    fn has(&self, peer: PeerKey) -> bool {
        self.members.iter().any(|member| member.peer == peer)
    }

    const fn is_old(&self, entry: &Entry, now_ns: u64) -> bool {
        self.settings.age_ns != 0 && now_ns.saturating_sub(entry.seen_ns) >= self.settings.age_ns
    }

    /// The member behind which a MAC is.
    fn find(&self, mac: [u8; 6], now_ns: u64) -> Option<PeerKey> {
        self.macs.get(&mac).filter(|entry| !self.is_old(entry, now_ns)).map(|entry| entry.peer)
    }

    fn learn(&mut self, mac: [u8; 6], peer: PeerKey, now_ns: u64) {
        // A group is no source, and zero is no address.
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return;
        }
        if let Some(entry) = self.macs.get_mut(&mac) {
            *entry = Entry { peer, seen_ns: now_ns };
            return;
        }
        if self.macs.len() >= MACS_MAX && !self.make_room(now_ns) {
            return;
        }
        self.macs.insert(mac, Entry { peer, seen_ns: now_ns });
    }

    /// Forgets what is too old, at most once a second; whether there is room.
    #[cold]
    fn make_room(&mut self, now_ns: u64) -> bool {
        if self.settings.age_ns != 0 && now_ns.saturating_sub(self.swept_ns) >= SWEEP_NS {
            self.swept_ns = now_ns;
            let age_ns = self.settings.age_ns;
            self.macs.retain(|_, entry| now_ns.saturating_sub(entry.seen_ns) < age_ns);
        }
        self.macs.len() < MACS_MAX
    }

    /// The members that a frame from this one may reach.
    fn reachable(&self, own: PeerKey, group: u8) -> impl Iterator<Item = &Member> {
        let reaches = move |m: &&Member| m.peer != own && (group == 0 || m.group != group);
        self.members.iter().filter(reaches)
    }
}

impl Bridge {
    /// Learns the frame's source and decides about the frame.
    pub fn visit<F: FrameBytes + ?Sized>(self, context: &mut Context<'_>, frame: &F) -> Verdict {
        let mut macs = [0; 12];
        if frame.copy_to(0, &mut macs) < macs.len() {
            return Verdict::Drop(DropReason::ShortFrame);
        }
        let [mut to, mut from] = [[0; 6]; 2];
        to.copy_from_slice(&macs[..6]);
        from.copy_from_slice(&macs[6..]);
        let (own, now_ns) = (context.own, context.now_ns);
        // An interface that is no member, or no more, learns nothing there and reaches no other.
        let domain = context.tables.domain(self.domain);
        let Some(domain) = domain.filter(|domain| domain.has(own)) else {
            return Verdict::Drop(DropReason::NoMember);
        };
        if domain.settings.learn {
            domain.learn(from, own, now_ns);
        }
        let group_address = to[0] & 1 != 0;
        let known = if group_address { None } else { domain.find(to, now_ns) };
        if let Some(peer) = known {
            let reached = domain.reachable(own, self.group).any(|member| member.peer == peer);
            return match (reached, domain.settings.forward) {
                (true, true) => Verdict::Forward(peer),
                (true, false) => Verdict::Drop(DropReason::BridgeRefused),
                (false, _) => Verdict::Drop(DropReason::Reflection),
            };
        }
        let flooded =
            if group_address { domain.settings.flood } else { domain.settings.unknown_flood };
        if !flooded {
            return Verdict::Drop(DropReason::BridgeRefused);
        }
        let mut any = false;
        for member in domain.reachable(own, self.group) {
            context.output.flood_to(member.peer);
            any = true;
        }
        if any { Verdict::Flood } else { Verdict::Drop(DropReason::NoMember) }
    }
}

#[cfg(test)]
mod tests;
