//! Sub-interfaces and tag rewrites: what peers see, whole and at rest.

use super::frames::{assert_lost, frame};
use super::rig::{Rig, Shape};
use crate::action::bridge::{Bridge, Member, Settings};
use crate::action::{Action, Branch, Egress, PeerKey, Retag, Trunk};
use crate::counters::{Counter, DropReason};
use crate::engine::TxPlace;
use crate::units::{Encapsulation, Kind, TagRewrite, TagType, VlanId, VlanTag};

/// Where the first tag of a frame is, behind the virtio header.
const TAGS: usize = 24;

fn tag(id: u64) -> VlanTag {
    VlanTag { kind: TagType::Dot1q, id: VlanId::new(id).unwrap() }
}

fn rewrite(pop: u8, push: &[u64]) -> TagRewrite {
    TagRewrite { pop, push: push.iter().map(|id| tag(*id)).collect() }
}

/// The frame with a tag.
fn tagged(mut frame: Vec<u8>, id: u64) -> Vec<u8> {
    frame.splice(TAGS..TAGS, tag(id).to_bytes());
    frame
}

/// An interface's sub-interface for a VLAN, whose tag is removed on the way in and added on the way
/// out; says how others name it.
fn sub_interface(rig: &Rig, of: usize, id: u64, action: impl FnOnce(PeerKey) -> Action) -> PeerKey {
    let parent = &rig.interfaces[of];
    let own = rig.engine.reserve_peer();
    let pop = rewrite(1, &[]);
    let egress = Egress { up: true, retag: Retag::new(&pop.reverse(&[tag(id)])) };
    let queues = vec![TxPlace::own(parent.poller, parent.tx)];
    rig.ask(|engine| engine.set_peer(own, Kind::Tap, queues, Some(egress)));
    let encapsulation = Encapsulation::of_number(tag(id).id);
    let (retag, action) = (Retag::new(&pop), action(own));
    let branch = Branch { encapsulation, own, up: true, retag, action };
    let trunk = Trunk::new(None, Action::Sink, vec![branch]);
    rig.set_action(of, Action::Trunk(Box::new(trunk)));
    own
}

#[test]
fn a_wire_to_a_sub_interface_adds_its_tag_one_way_and_removes_it_the_other() {
    for (pollers, shape, lengths) in [
        ([0, 0], Shape::SMALL, [60, 2_034, 2_036, 2_040, 9_000, 64_000]),
        ([0, 1], Shape::SMALL, [60, 2_034, 2_036, 2_040, 9_000, 64_000]),
        ([0, 1], Shape::LARGE, [60, 2_034, 2_036, 2_040, 9_000, 64_000]),
    ] {
        let mut rig = Rig::new(2);
        let [access, trunk] = pollers.map(|poller| rig.add(poller, shape));
        let sub = sub_interface(&rig, trunk, 10, |_| Action::Xconnect(rig.interfaces[access].peer));
        rig.set_action(access, Action::Xconnect(sub));
        let plain: Vec<_> = (0..).zip(lengths).map(|(n, len)| frame(n, len)).collect();
        let with_tag: Vec<_> = plain.iter().map(|frame| tagged(frame.clone(), 10)).collect();
        for _ in 0..50 {
            for (n, (plain, with_tag)) in plain.iter().zip(&with_tag).enumerate() {
                rig.interfaces[access].wire.inject([plain.clone()]);
                rig.interfaces[trunk].wire.inject([with_tag.clone()]);
                rig.settle();
                let out = [access, trunk].map(|i| rig.interfaces[i].wire.collect());
                assert!(out[0].last() == Some(plain), "frame {n} without its tag");
                assert!(out[1].last() == Some(with_tag), "frame {n} with its tag");
            }
        }
        // Another VLAN is the trunk's own, which is a sink.
        rig.interfaces[trunk].wire.inject([tagged(frame(99, 60), 11)]);
        rig.settle();
        assert_eq!(rig.interfaces[trunk].received().get(Counter::Consumed), 1);
        assert_eq!(rig.interfaces.iter().map(|i| i.pool.refused()).sum::<u32>(), 0);
    }
}

#[test]
fn a_flood_reaches_each_member_with_the_tags_of_that_member_and_no_other_sees_them() {
    let mut rig = Rig::new(2);
    let [a, b, trunk] = [0, 0, 1].map(|poller| rig.add(poller, Shape::SMALL));
    let domain = rig.engine.reserve_domain();
    let bridge = Action::Bridge(Bridge { domain, group: 0 });
    let sub = sub_interface(&rig, trunk, 10, |_| bridge.clone());
    let peers = [rig.interfaces[a].peer, sub, rig.interfaces[b].peer];
    let members: Vec<_> = peers.map(|peer| Member { peer, group: 0 }).into();
    rig.ask(|engine| engine.set_domain(domain, Settings::default(), members.clone()));
    rig.set_action(a, bridge.clone());
    rig.set_action(b, bridge);
    for length in [60, 2_036, 5_000] {
        let mut sent = frame(7, length);
        sent[12..18].fill(0xff);
        sent[18..24].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        rig.interfaces[a].wire.inject([sent.clone()]);
        rig.settle();
        assert!(rig.interfaces[b].wire.collect().last() == Some(&sent), "{length}");
        let with_tag = tagged(sent.clone(), 10);
        assert!(rig.interfaces[trunk].wire.collect().last() == Some(&with_tag), "{length}");
        assert!(rig.interfaces[a].wire.collect().is_empty());
        // From the trunk's VLAN it reaches both others without its tag.
        sent[18..24].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        rig.interfaces[trunk].wire.inject([tagged(sent.clone(), 10)]);
        rig.settle();
        for i in [a, b] {
            assert!(rig.interfaces[i].wire.collect().last() == Some(&sent), "{length}");
        }
    }
    assert_eq!(rig.interfaces[a].received().get(Counter::Copies), 3);
    assert_eq!(rig.interfaces.iter().map(|i| i.pool.refused()).sum::<u32>(), 0);
}

#[test]
fn a_peer_that_is_down_or_a_frame_without_the_tags_to_remove_has_its_reason() {
    let mut rig = Rig::new(1);
    let [a, b] = [0, 0].map(|poller| rig.add(poller, Shape::SMALL));
    rig.connect(a, b);
    let (key, queues) = (
        rig.interfaces[b].peer,
        vec![TxPlace::own(rig.interfaces[b].poller, rig.interfaces[b].tx)],
    );
    let set =
        |egress| rig.ask(|engine| engine.set_peer(key, Kind::Tap, queues.clone(), Some(egress)));
    set(Egress { up: false, retag: None });
    rig.interfaces[a].wire.inject([frame(1, 60)]);
    rig.settle();
    assert_lost(&rig.interfaces[a].received(), &[(DropReason::AdminDown, 1)]);
    set(Egress { up: true, retag: Retag::new(&rewrite(1, &[5])) });
    rig.interfaces[a].wire.inject([frame(2, 60), tagged(frame(3, 60), 4)]);
    rig.settle();
    let lost = [(DropReason::AdminDown, 1), (DropReason::TooFewTags, 1)];
    assert_lost(&rig.interfaces[a].received(), &lost);
    assert_eq!(rig.interfaces[b].wire.collect(), [tagged(frame(3, 60), 5)]);
}
