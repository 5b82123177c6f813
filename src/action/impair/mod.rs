//! The impaired wire: a cross-connect that loses, doubles, damages, slows down and delays frames.
//!
//! # Theory of operation
//! A frame is first lost or not, doubled or not, damaged or not. Then it waits for its turn on a line
//! of the wire's rate, whose time it takes by its bytes, and then for the end of the delay. A frame
//! that has to wait is held; the list here says when each is to be released, and a timer calls
//! `Impaired::expire` at the first of these times. Frames leave in the order in which they came,
//! whatever the jitter; only a frame that is chosen for `reorder` skips the delay. So there are two
//! lists, each in the order of its times, and nothing is sorted or searched.
//!
//! A frame that stands for several segments (GSO) is one frame: it is lost, doubled or delayed as a
//! whole, and takes the line by all its bytes.
//!
//! All randomness comes from one generator with a seed, and each frame takes its numbers in the same
//! order: with the same seed the same frames of a sequence meet the same fate.

mod corrupt;
mod line;
mod random;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::{Context, FrameBytes, HeldKey, Output, PeerKey, Verdict};
use crate::counters::DropReason;
use crate::frame::NetHdr;
use crate::units::Impairment;
use line::Line;
use random::Random;

/// Frames that are released in one call, as many as are received in one visit.
const BATCH: usize = 64;

/// Longest wait for the rate where there is no limit: what comes then is lost.
const WAIT_NS: u64 = 100_000_000;

/// A frame on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Waiting {
    due_ns: u64,
    key: HeldKey,
    /// It leaves twice.
    twice: bool,
}

/// One direction of an impaired wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impaired {
    peer: PeerKey,
    settings: Impairment,
    random: Random,
    line: Option<Line>,
    /// Those in their order, with times that do not go back.
    waiting: VecDeque<Waiting>,
    /// Those that skip the delay, likewise.
    early: VecDeque<Waiting>,
    /// The last time in `waiting`, also once that is empty.
    last_ns: u64,
    /// The key of the frame that was to be held last, and whether it is in `early`.
    newest: Option<(HeldKey, bool)>,
}

impl Impaired {
    /// A wire to `peer`. `seed` is used where the settings have none.
    pub fn new(peer: PeerKey, settings: Impairment, seed: u64) -> Self {
        Self {
            peer,
            settings,
            random: Random::new(settings.seed.unwrap_or(seed)),
            line: settings.rate.map(Line::new),
            waiting: VecDeque::new(),
            early: VecDeque::new(),
            last_ns: 0,
            newest: None,
        }
    }

    /// Where the frames go.
    pub const fn peer(&self) -> PeerKey {
        self.peer
    }

    /// Whether frames may wait on it.
    pub const fn holds(&self) -> bool {
        self.settings.holds()
    }

    pub(super) fn visit<F: FrameBytes + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        hdr: &NetHdr,
        frame: &F,
    ) -> Verdict {
        self.forget_refused(context.next_held);
        if self.random.hits(self.settings.loss) {
            return Verdict::Drop(DropReason::ImpairedLoss);
        }
        let twice = self.random.hits(self.settings.duplicate);
        if self.random.hits(self.settings.corrupt) {
            corrupt::corrupt(&mut self.random, context.kind, hdr, frame, context.output);
        }
        let early = self.random.hits(self.settings.reorder);
        let Some(due_ns) = self.due(context.now_ns, frame.len(), twice, early) else {
            return Verdict::Drop(DropReason::QueueFull);
        };
        let list = if early { &mut self.early } else { &mut self.waiting };
        if due_ns <= context.now_ns && list.is_empty() {
            return self.leave(twice, context.output);
        }
        let key = context.next_held;
        let first = list.is_empty();
        list.push_back(Waiting { due_ns, key, twice });
        self.newest = Some((key, early));
        if first {
            context.output.wake_at(due_ns);
        }
        Verdict::Hold
    }

    /// When a frame that comes now leaves; none where it finds the wire full.
    fn due(&mut self, now_ns: u64, bytes: usize, twice: bool, early: bool) -> Option<u64> {
        let frames = self.waiting.len() + self.early.len();
        let mut sent_ns = now_ns;
        match (&self.settings.limit, &self.line) {
            (Some(limit), _) if frames >= *limit as usize => return None,
            (None, Some(line)) if line.wait_ns(now_ns) > WAIT_NS => return None,
            _ => {}
        }
        if let Some(line) = &mut self.line {
            sent_ns = line.send(now_ns, bytes as u64 * (1 + u64::from(twice)));
        }
        if early {
            return Some(sent_ns);
        }
        let Impairment { delay, jitter, .. } = self.settings;
        let mut delay_ns = delay.ns();
        if jitter.ns() > 0 {
            // At most `delay', so this stays above zero.
            delay_ns = delay_ns - jitter.ns() + self.random.below(2 * jitter.ns() + 1);
        }
        self.last_ns = self.last_ns.max(sent_ns.saturating_add(delay_ns));
        Some(self.last_ns)
    }

    /// A frame leaves the wire.
    fn leave(&self, twice: bool, output: &mut Output) -> Verdict {
        if !twice {
            return Verdict::Forward(self.peer);
        }
        if output.peers().is_empty() {
            (0..2).for_each(|_| output.flood_to(self.peer));
        }
        Verdict::Flood
    }

    /// A frame that was to be held and found no room is not here: its key is then the next one's.
    fn forget_refused(&mut self, next: HeldKey) {
        let refused = self.newest.take_if(|(key, _)| *key >= next);
        match refused {
            Some((_, true)) => _ = self.early.pop_back(),
            Some((_, false)) => _ = self.waiting.pop_back(),
            None => {}
        }
    }

    /// The list whose first frame leaves next.
    fn next_list(&mut self) -> Option<&mut VecDeque<Waiting>> {
        let due = |list: &VecDeque<Waiting>| list.front().map(|frame| frame.due_ns);
        match (due(&self.waiting), due(&self.early)) {
            (None, None) => None,
            (Some(waiting), early) if early.is_none_or(|early| waiting <= early) => {
                Some(&mut self.waiting)
            }
            _ => Some(&mut self.early),
        }
    }

    /// Releases the frames whose time has come.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) {
        self.forget_refused(context.next_held);
        self.release(context.now_ns, BATCH, context.output);
    }

    /// Releases at most `most` frames that leave by `until_ns`, and asks to be called for the next.
    fn release(&mut self, until_ns: u64, most: usize, output: &mut Output) {
        for _ in 0..most {
            let Some(list) = self.next_list() else { return };
            let is_due = list.front().is_some_and(|frame| frame.due_ns <= until_ns);
            let Some(Waiting { key, twice, .. }) = is_due.then(|| list.pop_front()).flatten()
            else {
                break;
            };
            let verdict = self.leave(twice, output);
            output.release(key, verdict);
        }
        if let Some(next) = self.next_list().and_then(|list| list.front()) {
            output.wake_at(next.due_ns);
        }
    }

    /// Releases all frames, in the order in which they were to leave.
    pub(super) fn release_all(&mut self, next_held: HeldKey, output: &mut Output) {
        self.forget_refused(next_held);
        self.release(u64::MAX, usize::MAX, output);
    }

    /// Takes over the frames on `before`, which led to the same peer. None waits longer than if it
    /// came now.
    pub(super) fn inherit(&mut self, before: &mut Self, context: &mut Context<'_>) {
        before.forget_refused(context.next_held);
        let latest = context.now_ns.saturating_add(self.settings.delay.ns());
        self.waiting = std::mem::take(&mut before.waiting);
        self.early = std::mem::take(&mut before.early);
        for frame in self.waiting.iter_mut().chain(&mut self.early) {
            frame.due_ns = frame.due_ns.min(latest);
        }
        self.last_ns = before.last_ns.min(latest);
        if let Some(next) = self.next_list().and_then(|list| list.front()) {
            context.output.wake_at(next.due_ns);
        }
    }
}
