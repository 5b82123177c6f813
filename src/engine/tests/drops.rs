//! Frames that do not get to the other side, and what they are counted as.

use std::sync::atomic::Ordering;

use super::doubles::Style;
use super::frames::{assert_lost, check_content, frame};
use super::rig::{Rig, Shape, until};
use crate::counters::{Counter, DropReason};
use crate::frame::NetHdr;

/// A frame with `hdr` in front.
fn with_hdr(hdr: NetHdr, bytes: usize) -> Vec<u8> {
    let mut whole = frame(0, bytes);
    whole[..NetHdr::BYTES].copy_from_slice(&hdr.to_bytes());
    whole
}

#[test]
fn an_interface_that_is_down_drops_what_it_receives_and_what_it_is_offered() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(1, Shape::SMALL));
    rig.connect(a, b);
    let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
    rig.ask(|engine| engine.set_admin(to.poller, to.tx, false));
    from.wire.inject((0..10).map(|i| frame(i, 60)));
    rig.settle();
    assert_lost(&to.sent(), &[(DropReason::AdminDown, 10)]);
    rig.ask(|engine| engine.set_admin(from.poller, from.rx, false));
    from.wire.inject((0..20).map(|i| frame(i, 60)));
    rig.settle();
    assert_lost(&from.received(), &[(DropReason::AdminDown, 20)]);
    assert_eq!(to.out(), 0);
    rig.ask(|engine| engine.set_admin(from.poller, from.rx, true));
    rig.ask(|engine| engine.set_admin(to.poller, to.tx, true));
    from.wire.inject((0..5).map(|i| frame(i, 60)));
    rig.settle();
    assert_eq!(to.out(), 5);
}

#[test]
fn a_host_side_that_is_down_is_offered_frames_that_never_reach_the_ring() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(1);
        let (a, b) = (rig.add(0, shape), rig.add(0, shape));
        rig.connect(a, b);
        let (poller, tx) = (rig.interfaces[b].poller, rig.interfaces[b].tx);
        rig.ask(|engine| engine.set_link(poller, tx, false));
        rig.interfaces[a].wire.inject((0..20).map(|i| frame(i, 100)));
        rig.settle();
        assert_lost(&rig.interfaces[b].sent(), &[(DropReason::LinkDown, 20)]);
        assert_eq!(
            (rig.interfaces[b].sent().get(Counter::Enqueued), rig.interfaces[b].out()),
            (0, 0)
        );
        rig.ask(|engine| engine.set_link(poller, tx, true));
        rig.interfaces[a].wire.inject((0..20).map(|i| frame(i, 100)));
        rig.settle();
        assert_eq!(rig.interfaces[b].out(), 20);
    }
}

#[test]
fn frames_that_the_host_side_cannot_hand_over_are_counted_beside_those_received() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape { style: Style::Inline, ..Shape::SMALL });
    let from = &rig.interfaces[a];
    for (times, frames) in [(1, 0), (2, 5)] {
        from.wire.unreadable.store(3, Ordering::Relaxed);
        from.wire.inject((0..frames).map(|i| frame(i, 60)));
        until("they are counted", || from.received().get(Counter::Unreadable) == times * 3);
    }
    rig.settle();
    let from = &rig.interfaces[a];
    assert_eq!(from.received().get(Counter::Packets), 5);
    assert_lost(&from.received(), &[]);
    assert_eq!(from.received().get(Counter::BrokenReason), 0);
}

#[test]
fn short_oversize_and_badly_described_frames_are_dropped_before_the_backend_sees_them() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    rig.connect(a, b);
    let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
    let short = |bytes: usize| frame(0, 22)[..NetHdr::BYTES + bytes].to_vec();
    let plain = NetHdr::plain();
    from.wire.inject([
        short(0),
        short(1),
        short(13),
        // The least that passes.
        short(14),
        // The most that passes, and one more.
        frame(0, 65_553),
        frame(0, 65_554),
        with_hdr(NetHdr { gso_type: 9, ..plain }, 60),
        with_hdr(NetHdr { flags: 0x80, ..plain }, 60),
        with_hdr(
            NetHdr { flags: NetHdr::NEEDS_CSUM, csum_start: 59, csum_offset: 16, ..plain },
            60,
        ),
        with_hdr(NetHdr { hdr_len: 61, ..plain }, 60),
        with_hdr(NetHdr { gso_type: NetHdr::GSO_TCPV4, gso_size: 0, ..plain }, 60),
    ]);
    rig.settle();
    assert_eq!(to.out(), 2);
    assert_lost(&from.received(), &[(DropReason::Oversize, 1)]);
    assert_lost(&to.sent(), &[(DropReason::ShortFrame, 3), (DropReason::BadHeader, 5)]);
}

#[test]
fn a_handoff_ring_that_nobody_empties_fills_and_its_frames_are_counted_as_handoff_full() {
    let mut rig = Rig::new(2);
    let many = Shape { buffers: 4096, lendable: 3500, ..Shape::SMALL };
    let (a, b) = (rig.add(0, many), rig.add(1, many));
    let busy = rig.add(1, Shape { style: Style::Inline, ..Shape::SMALL });
    rig.connect(a, b);
    let [from, to, busy] = [a, b, busy].map(|i| &rig.interfaces[i]);
    // The other poller is held up in a visit of a third interface.
    let gate = busy.wire.gate.lock().unwrap();
    busy.wire.wake();
    until("the other poller is held up", || {
        busy.wire.at_gate.load(std::sync::atomic::Ordering::Acquire)
    });
    let inside: Vec<_> = (0..2_000).map(|i| frame(i, 100)).collect();
    from.wire.inject(inside.iter().cloned());
    until("all were received", || from.has_received_all());
    rig.check();
    assert_lost(&from.received(), &[(DropReason::HandoffFull, 2_000 - 1_024)]);
    assert_eq!(from.pool.lent(), 1_024);
    drop(gate);
    rig.settle();
    let dropped = check_content(&inside, &to.wire.collect());
    assert_eq!(dropped, from.received().lost_in_all() + to.sent().lost_in_all());
    assert!(to.out() > 0);
}

#[test]
fn frames_for_a_peer_that_was_never_there_are_counted_as_peer_gone() {
    let mut rig = Rig::new(2);
    let a = rig.add(0, Shape::LARGE);
    let nobody = rig.engine.reserve_peer();
    rig.set_action(a, crate::action::Action::Xconnect(nobody));
    rig.interfaces[a].wire.inject((0..100).map(|i| frame(i, 100)));
    rig.settle();
    assert_lost(&rig.interfaces[a].received(), &[(DropReason::PeerGone, 100)]);
    assert_eq!(rig.interfaces[a].received().get(Counter::Forwarded), 0);
}

#[test]
fn replies_that_find_no_way_out_are_counted_on_one_side_only() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape { lendable: 0, ..Shape::LARGE });
    rig.connect(a, a);
    rig.interfaces[a].wire.inject((0..100).map(|i| frame(i, 100)));
    rig.settle();
    assert_lost(&rig.interfaces[a].received(), &[(DropReason::PeerStalled, 100)]);
    assert_eq!(rig.interfaces[a].sent().get(Counter::Offered), 0);
}
