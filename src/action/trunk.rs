//! The trunk: an interface with sub-interfaces, or with a tag rewrite.
//!
//! # Theory of operation
//! A received frame is the first sub-interface's that its VLAN tags fit: those that name VLANs come
//! before those that take any, those with two tags before those with one, `default` last. What no
//! sub-interface takes is the interface's own. The frame meets the action of what it belongs to, as if
//! that had received it: in a bridge domain a sub-interface is a member of its own.
//!
//! A tag rewrite is asked for together with the action's verdict, and done before the frame goes
//! anywhere. What it undoes on the way out is the peer's ([`Egress`]).

use std::collections::HashMap;

use super::{Action, Context, FrameBytes, PeerKey, Verdict};
use crate::counters::DropReason;
use crate::frame::NetHdr;
use crate::frame::vlan::{TAGS_BYTES, Tags};
use crate::units::{Encapsulation, InnerTag, TagRewrite, TagType, VlanId, VlanTag};

/// Most bytes that a rewrite adds.
const PUSHED_BYTES_MAX: usize = crate::units::REWRITTEN_TAGS_MAX * VlanTag::BYTES;

/// A tag rewrite, as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retag {
    /// Tags to remove.
    pub pop: u8,
    push: [u8; PUSHED_BYTES_MAX],
    push_bytes: u8,
}

impl Retag {
    /// None where the rewrite does nothing.
    pub fn new(rewrite: &TagRewrite) -> Option<Self> {
        if rewrite.is_none() {
            return None;
        }
        let mut push = [0; PUSHED_BYTES_MAX];
        let (mut room, mut push_bytes) = (push.chunks_exact_mut(VlanTag::BYTES), 0);
        for tag in &rewrite.push {
            room.next()?.copy_from_slice(&tag.to_bytes());
            push_bytes += 4;
        }
        Some(Self { pop: rewrite.pop, push, push_bytes })
    }

    /// Bytes that it removes.
    pub fn removed(&self) -> usize {
        usize::from(self.pop) * VlanTag::BYTES
    }

    /// The tags that it adds.
    pub fn added(&self) -> &[u8] {
        self.push.get(..self.push_bytes.into()).unwrap_or_default()
    }
}

/// What becomes of the frames that are sent to a peer, besides that they are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Egress {
    /// The peer is set up; what is sent to one that is down is lost.
    pub up: bool,
    /// How tags change.
    pub retag: Option<Retag>,
}

/// A sub-interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Which frames are its own.
    pub encapsulation: Encapsulation,
    /// The sub-interface.
    pub own: PeerKey,
    /// It is set up.
    pub up: bool,
    /// How tags change.
    pub retag: Option<Retag>,
    /// What happens to its frames.
    pub action: Action,
}

impl Branch {
    fn takes(&self, tags: &Tags) -> bool {
        let Encapsulation::Tagged { outer_type, outer, inner, exact_match } = self.encapsulation
        else {
            return match self.encapsulation {
                Encapsulation::Untagged {} => tags.outer.is_none(),
                _ => true,
            };
        };
        let outer_fits = matches!(tags.outer, Some((kind, id))
            if kind == outer_type && outer.is_none_or(|wanted| wanted == id));
        let inner_fits = match (inner, tags.inner) {
            (None, _) => true,
            (Some(InnerTag::Any {}), Some((TagType::Dot1q, _))) => true,
            (Some(InnerTag::Id(wanted)), Some((TagType::Dot1q, id))) => wanted == id,
            _ => false,
        };
        let depth = 1 + u8::from(inner.is_some());
        outer_fits && inner_fits && (!exact_match || tags.count() == depth)
    }

    /// What is asked first has the least.
    fn rank(&self) -> (u8, u8, u8) {
        match self.encapsulation {
            Encapsulation::Untagged {} => (0, 0, 0),
            Encapsulation::Tagged { outer, inner, exact_match, .. } => {
                let inner = match inner {
                    Some(InnerTag::Id(_)) => 0,
                    Some(InnerTag::Any {}) => 1,
                    None => 2,
                };
                (u8::from(outer.is_none()), inner, u8::from(!exact_match))
            }
            Encapsulation::Default {} => (2, 0, 0),
        }
    }

    /// The outer tag that all its frames have.
    const fn outer(&self) -> Option<(TagType, VlanId)> {
        match self.encapsulation {
            Encapsulation::Tagged { outer_type, outer: Some(id), .. } => Some((outer_type, id)),
            _ => None,
        }
    }
}

/// An interface with sub-interfaces, or with a tag rewrite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    branches: Vec<Branch>,
    /// Those for one outer tag, in the order in which they are asked.
    of_outer: HashMap<(TagType, VlanId), Vec<usize>>,
    /// The others, likewise.
    others: Vec<usize>,
    retag: Option<Retag>,
    action: Action,
}

impl Trunk {
    /// An interface's own rewrite and action, and its sub-interfaces.
    pub fn new(retag: Option<Retag>, action: Action, mut branches: Vec<Branch>) -> Self {
        branches.sort_by_key(Branch::rank);
        let mut of_outer: HashMap<_, Vec<usize>> = HashMap::new();
        let mut others = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            match branch.outer() {
                Some(outer) => of_outer.entry(outer).or_default().push(at),
                None => others.push(at),
            }
        }
        Self { branches, of_outer, others, retag, action }
    }

    /// The action of the interface itself.
    pub const fn own_action(&self) -> &Action {
        &self.action
    }

    /// The action of the interface itself, to be called when it is due.
    pub const fn own_action_mut(&mut self) -> &mut Action {
        &mut self.action
    }

    /// Where the sub-interface stands that takes a frame with these tags.
    fn branch_for(&self, tags: &Tags) -> Option<usize> {
        let of_outer = tags.outer.and_then(|outer| self.of_outer.get(&outer));
        let mut asked = of_outer.into_iter().flatten().chain(&self.others);
        asked.find(|at| self.branches[**at].takes(tags)).copied()
    }

    /// Decides about a frame for what it belongs to.
    pub fn visit<F: FrameBytes + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        hdr: &NetHdr,
        frame: &F,
    ) -> Verdict {
        let mut head = [0; TAGS_BYTES];
        let copied = frame.copy_to(0, &mut head);
        let tags = Tags::of(&head[..copied]);
        let (retag, action) = match self.branch_for(&tags) {
            None => (self.retag, &mut self.action),
            Some(at) => {
                let branch = &mut self.branches[at];
                if !branch.up {
                    return Verdict::Drop(DropReason::AdminDown);
                }
                context.own = branch.own;
                (branch.retag, &mut branch.action)
            }
        };
        match (retag, &*action) {
            (Some(retag), Action::Xconnect(_) | Action::Impair(_) | Action::Bridge(_)) => {
                if retag.pop > tags.count() {
                    return Verdict::Drop(DropReason::TooFewTags);
                }
                let verdict = action.visit(context, hdr, frame);
                if matches!(verdict, Verdict::Forward(_) | Verdict::Flood | Verdict::Hold) {
                    context.output.retag(retag);
                }
                verdict
            }
            _ => action.visit(context, hdr, frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{HeldKey, Output, Tables};
    use crate::units::Kind;

    fn key(slot: u32) -> PeerKey {
        PeerKey { slot, generation: 1 }
    }

    fn tagged(
        kind: TagType,
        outer: Option<u64>,
        inner: Option<InnerTag>,
        exact: bool,
    ) -> Encapsulation {
        let outer = outer.map(|n| VlanId::new(n).unwrap());
        Encapsulation::Tagged { outer_type: kind, outer, inner, exact_match: exact }
    }

    fn branch(slot: u32, encapsulation: Encapsulation) -> Branch {
        let action = Action::Xconnect(key(100 + slot));
        Branch { encapsulation, own: key(slot), up: true, retag: None, action }
    }

    fn frame(tags: &[(TagType, u64)]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        for (kind, id) in tags {
            let id = VlanId::new(*id).unwrap();
            frame.extend(VlanTag { kind: *kind, id }.to_bytes());
        }
        frame.extend([8, 0]);
        frame.resize(64, 0);
        frame
    }

    fn visit(trunk: &mut Trunk, frame: &[u8]) -> (Verdict, PeerKey, Option<Retag>) {
        let (mut tables, mut output) = (Tables::default(), Output::new());
        let mut context = Context {
            own: key(0),
            kind: Kind::Tap,
            now_ns: 0,
            next_held: HeldKey(0),
            tables: &mut tables,
            output: &mut output,
        };
        let verdict = trunk.visit(&mut context, &NetHdr::plain(), frame);
        let own = context.own;
        (verdict, own, output.retagged())
    }

    #[test]
    fn a_frame_is_the_sub_interfaces_that_names_it_most_closely() {
        use TagType::{Dot1ad, Dot1q};
        let inner = |n| Some(InnerTag::Id(VlanId::new(n).unwrap()));
        let mut trunk = Trunk::new(
            None,
            Action::Sink,
            vec![
                branch(9, Encapsulation::Default {}),
                branch(8, tagged(Dot1q, None, None, false)),
                branch(7, tagged(Dot1q, Some(5), None, false)),
                branch(6, tagged(Dot1q, Some(5), Some(InnerTag::Any {}), false)),
                branch(5, tagged(Dot1q, Some(5), inner(6), false)),
                branch(4, tagged(Dot1q, Some(7), None, true)),
                branch(3, tagged(Dot1ad, Some(5), None, false)),
                branch(2, Encapsulation::Untagged {}),
            ],
        );
        for (tags, slot) in [
            (vec![], 2),
            (vec![(Dot1q, 5)], 7),
            (vec![(Dot1q, 5), (Dot1q, 7)], 6),
            (vec![(Dot1q, 5), (Dot1q, 6)], 5),
            (vec![(Dot1q, 5), (Dot1ad, 6)], 7),
            (vec![(Dot1q, 7)], 4),
            (vec![(Dot1q, 7), (Dot1q, 1)], 8),
            (vec![(Dot1ad, 5)], 3),
            (vec![(Dot1ad, 6)], 9),
        ] {
            let (verdict, own, _) = visit(&mut trunk, &frame(&tags));
            assert_eq!((verdict, own), (Verdict::Forward(key(100 + slot)), key(slot)), "{tags:?}");
        }
    }

    #[test]
    fn what_no_sub_interface_takes_is_the_interfaces_own_and_one_that_is_down_loses_its_frames() {
        let mut ten = branch(1, tagged(TagType::Dot1q, Some(10), None, true));
        ten.up = false;
        let mut trunk = Trunk::new(None, Action::Xconnect(key(50)), vec![ten]);
        let (verdict, own, _) = visit(&mut trunk, &frame(&[(TagType::Dot1q, 11)]));
        assert_eq!((verdict, own), (Verdict::Forward(key(50)), key(0)));
        let (verdict, ..) = visit(&mut trunk, &frame(&[(TagType::Dot1q, 10)]));
        assert_eq!(verdict, Verdict::Drop(DropReason::AdminDown));
    }

    #[test]
    fn a_rewrite_is_asked_for_where_the_frame_goes_on_and_has_the_tags_to_remove() {
        let rewrite = |pop, push: &[u64]| {
            let tag = |n: &u64| VlanTag { kind: TagType::Dot1q, id: VlanId::new(*n).unwrap() };
            Retag::new(&TagRewrite { pop, push: push.iter().map(tag).collect() })
        };
        let pop = rewrite(1, &[]);
        assert_eq!(rewrite(0, &[]), None);
        let push = rewrite(0, &[10, 11]).unwrap();
        assert_eq!((push.added(), push.removed()), (&[0x81, 0, 0, 10, 0x81, 0, 0, 11][..], 0));
        let mut trunk = Trunk::new(pop, Action::Xconnect(key(50)), Vec::new());
        assert_eq!(visit(&mut trunk, &frame(&[(TagType::Dot1q, 3)])).2, pop);
        let (verdict, _, asked) = visit(&mut trunk, &frame(&[]));
        assert_eq!((verdict, asked), (Verdict::Drop(DropReason::TooFewTags), None));
        let mut trunk = Trunk::new(pop, Action::Sink, Vec::new());
        assert_eq!(visit(&mut trunk, &frame(&[])), (Verdict::Consume, key(0), None));
    }
}
