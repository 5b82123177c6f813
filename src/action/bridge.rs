//! The bridge: hands each frame to the members of a bridge domain behind which its destination is.
//!
//! # Theory of operation
//! A domain learns behind which member a MAC is from the source of each frame, and forgets it when
//! no frame came from there for the ageing time. A frame for a MAC that is known goes to that member;
//! one for a group, or for a MAC that is not known, to all but the one that it came from. Members
//! of one split-horizon group do not reach each other (group 0 is none).
//!
//! Besides what it learns, a domain knows what a command has told it: an entry that does not age, one
//! that no frame moves to another member either (static), and a filter, which loses the frames from
//! and to a MAC. A source is checked against them only where the domain learns, as in VPP.
//!
//! Each poller learns from the frames that it receives itself, and tells the others of a MAC that is
//! new to it or has moved, and of one that is still there each quarter of the ageing time. A poller
//! that was not told yet, or whose neighbour had too much to tell, floods until it is. A table that is
//! full learns nothing new, and its frames are flooded; what is too old makes room first.

use std::collections::HashMap;

use super::{Context, DomainKey, FrameBytes, Output, PeerKey, Verdict};
use crate::counters::DropReason;

pub use crate::units::MACS_MAX;

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

/// How a domain came to know a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// From a frame; it ages.
    Learned,
    /// From a command, until a frame comes from it behind another member.
    Added,
    /// From a command, whatever frames say.
    Static,
}

/// What a domain knows of a MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The member behind which it is; none where frames from and to it are lost.
    pub peer: Option<PeerKey>,
    /// How that is known.
    pub origin: Origin,
    /// The poller's clock at its last frame, ns.
    pub seen_ns: u64,
    /// When the other pollers were told, by the same clock.
    pub told_ns: u64,
}

impl Entry {
    /// What a command says of a MAC: the member behind which it is, or none for a filter.
    pub const fn given(peer: Option<PeerKey>, origin: Origin) -> Self {
        Self { peer, origin, seen_ns: 0, told_ns: 0 }
    }

    const fn learned(peer: PeerKey, now_ns: u64) -> Self {
        Self { peer: Some(peer), origin: Origin::Learned, seen_ns: now_ns, told_ns: now_ns }
    }
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
        let stays = |peer| members.iter().any(|member| member.peer == peer);
        self.macs.retain(|_, entry| entry.peer.is_none_or(stays));
    }

    /// Forgets what it has learned, of all MACs or of those behind one member.
    pub fn flush(&mut self, behind: Option<PeerKey>) {
        let other = |entry: &Entry| behind.is_some_and(|peer| entry.peer != Some(peer));
        self.macs.retain(|_, entry| entry.origin != Origin::Learned || other(entry));
    }

    /// Knows of a MAC what a command says; with none, nothing any more.
    pub fn give(&mut self, mac: [u8; 6], entry: Option<Entry>) {
        match entry {
            Some(entry) => drop(self.macs.insert(mac, entry)),
            None => drop(self.macs.remove(&mac)),
        }
    }

    /// Another poller has learned where a MAC is.
    pub fn hear(&mut self, mac: [u8; 6], peer: PeerKey, now_ns: u64) {
        if self.settings.learn && self.has(peer) {
            // A filter or a static entry of ours stays.
            let _ = self.learn(mac, peer, now_ns);
        }
    }

    /// The MACs that are known at `now_ns`, in no order.
    pub fn macs(&self, now_ns: u64) -> impl Iterator<Item = ([u8; 6], Entry)> {
        let old = move |entry: &Entry| self.is_old(entry, now_ns);
        self.macs.iter().filter(move |(_, entry)| !old(entry)).map(|(mac, entry)| (*mac, *entry))
    }

    fn has(&self, peer: PeerKey) -> bool {
        self.members.iter().any(|member| member.peer == peer)
    }

    fn is_old(&self, entry: &Entry, now_ns: u64) -> bool {
        self.settings.age_ns != 0
            && entry.origin == Origin::Learned
            && now_ns.saturating_sub(entry.seen_ns) >= self.settings.age_ns
    }

    /// What is known of a MAC.
    fn find(&self, mac: [u8; 6], now_ns: u64) -> Option<&Entry> {
        self.macs.get(&mac).filter(|entry| !self.is_old(entry, now_ns))
    }

    /// Learns where a source is; whether the other pollers should know.
    fn learn(&mut self, mac: [u8; 6], peer: PeerKey, now_ns: u64) -> Result<bool, DropReason> {
        // A group is no source, and zero is no address.
        if mac[0] & 1 != 0 || mac == [0; 6] {
            return Ok(false);
        }
        let remind_ns = self.settings.age_ns / 4;
        if let Some(entry) = self.macs.get_mut(&mac) {
            return match (entry.peer, entry.origin) {
                (None, _) => Err(DropReason::MacFiltered),
                (Some(known), Origin::Learned) if known == peer => {
                    entry.seen_ns = now_ns;
                    let remind = remind_ns > 0 && now_ns.saturating_sub(entry.told_ns) >= remind_ns;
                    if remind {
                        entry.told_ns = now_ns;
                    }
                    Ok(remind)
                }
                (Some(known), _) if known == peer => Ok(false),
                (_, Origin::Static) => Err(DropReason::MacMoved),
                _ => {
                    *entry = Entry::learned(peer, now_ns);
                    Ok(true)
                }
            };
        }
        if self.macs.len() >= MACS_MAX && !self.make_room(now_ns) {
            return Ok(false);
        }
        self.macs.insert(mac, Entry::learned(peer, now_ns));
        Ok(true)
    }

    /// Forgets what is too old, at most once a second; whether there is room.
    #[cold]
    fn make_room(&mut self, now_ns: u64) -> bool {
        if self.settings.age_ns != 0 && now_ns.saturating_sub(self.swept_ns) >= SWEEP_NS {
            self.swept_ns = now_ns;
            let age_ns = self.settings.age_ns;
            self.macs.retain(|_, entry| {
                entry.origin != Origin::Learned || now_ns.saturating_sub(entry.seen_ns) < age_ns
            });
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
        let news = match domain.settings.learn.then(|| domain.learn(from, own, now_ns)) {
            Some(Err(reason)) => return Verdict::Drop(reason),
            Some(Ok(news)) => news,
            None => false,
        };
        let verdict = self.decide(domain, context.output, (own, now_ns), to);
        if news {
            context.tables.tell(self.domain, from, own);
        }
        verdict
    }

    /// Where a frame for a MAC goes that came from this member at this time.
    fn decide(
        self,
        domain: &Domain,
        output: &mut Output,
        (own, now_ns): (PeerKey, u64),
        to: [u8; 6],
    ) -> Verdict {
        let group_address = to[0] & 1 != 0;
        let known = if group_address { None } else { domain.find(to, now_ns) };
        if let Some(entry) = known {
            let Some(peer) = entry.peer else { return Verdict::Drop(DropReason::MacFiltered) };
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
            output.flood_to(member.peer);
            any = true;
        }
        if any { Verdict::Flood } else { Verdict::Drop(DropReason::NoMember) }
    }
}

#[cfg(test)]
mod tests;
