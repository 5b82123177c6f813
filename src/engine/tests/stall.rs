//! Devices that stop publishing used entries.

use std::sync::atomic::Ordering;

use super::doubles::Style;
use super::frames::{assert_lost, check_content, frame, lost};
use super::rig::{Rig, Shape, until};
use crate::counters::{Counter, DropReason};

/// Bursts that pass on another pair while a device publishes nothing.
const BURSTS: u64 = 2_000;

/// Both styles of device.
fn shapes() -> [Shape; 2] {
    [Shape::SMALL, Shape { style: Style::Inline, ..Shape::SMALL }]
}

#[test]
fn no_frame_passes_a_device_that_never_publishes_used_entries() {
    for shape in shapes() {
        let mut rig = Rig::new(1);
        let (a, b) = (rig.add(0, shape), rig.add(0, shape));
        rig.connect(a, b);
        let wire = &rig.interfaces[a].wire;
        wire.rx_stalled.store(true, Ordering::Release);
        wire.inject((0..50).map(|i| frame(i, 100)));
        until("the device filled the buffers", || wire.waiting() == 0);
        // Another frame goes all the way on the same poller, so the first 50 had their chance.
        rig.connect(b, b);
        rig.interfaces[b].wire.inject([frame(77, 100)]);
        until("a frame of the other interface is out", || rig.interfaces[b].out() > 0);
        assert_eq!(rig.interfaces[a].received().get(Counter::Packets), 0);
        assert_eq!(rig.interfaces[b].out(), 1);
        wire.rx_stalled.store(false, Ordering::Release);
        wire.wake();
        rig.settle();
        assert_eq!(rig.interfaces[b].out(), 51);
    }
}

/// `a` → `b`, whose device stalls; `c` → `d` on the same poller go on.
fn stall_and_resume(shape: Shape, pollers: u16) {
    let mut rig = Rig::new(pollers);
    let last = pollers - 1;
    let (a, b) = (rig.add(0, shape), rig.add(last, shape));
    let (c, d) = (rig.add(0, shape), rig.add(last, shape));
    rig.connect(a, b);
    rig.connect(c, d);
    let [a, b, c, d] = [a, b, c, d].map(|i| &rig.interfaces[i]);
    b.wire.tx_stalled.store(true, Ordering::Release);
    let mut inside = Vec::new();
    let (mut first, mut others) = (0, 0);
    let stalled = || a.received().lost(DropReason::PeerStalled) > 50;
    let full = || b.sent().lost(DropReason::NoFreeTxSlots) > 50;
    until("the stalled ring fills and its buffers run out", || {
        let burst: Vec<_> = (first..first + 32).map(|i| frame(i, 200)).collect();
        if a.wire.waiting() == 0 {
            first += 32;
            inside.extend(burst.iter().cloned());
            a.wire.inject(burst);
        }
        rig.check();
        full() || stalled()
    });
    assert_eq!(b.sent().get(Counter::Packets), 0);
    assert!(b.sent().get(Counter::InFlight) > 0);
    // The other pair does not notice, for as long as it lasts: fewer frames than its ring has room
    // for are under way at any time, so none may be lost.
    for _ in 0..BURSTS {
        c.wire.inject((others..others + 16).map(|i| frame(i, 200)));
        others += 16;
        until("frames pass on the other pair", || {
            rig.check();
            d.out() == others
        });
    }
    assert_eq!(c.received().lost_in_all() + d.sent().lost_in_all(), 0);
    assert_eq!(b.sent().get(Counter::Packets), 0);
    b.wire.tx_stalled.store(false, Ordering::Release);
    b.wire.wake();
    rig.settle();
    let before = b.out();
    // No wedge: what comes now all passes.
    let more: Vec<_> = (first..first + 100).map(|i| frame(i, 200)).collect();
    inside.extend(more.iter().cloned());
    a.wire.inject(more);
    until("traffic resumes", || b.out() == before + 100);
    rig.settle();
    let dropped = check_content(&inside, &b.wire.collect());
    assert_eq!(dropped, a.received().lost_in_all() + b.sent().lost_in_all());
    let known = [lost(&a.received()), lost(&b.sent())];
    let allowed = ["peer_stalled", "no_free_tx_slots"];
    assert!(known.iter().flat_map(|m| m.keys()).all(|k| allowed.contains(k)), "{known:?}");
}

/// Each shape, side by side.
fn stall_and_resume_each(pollers: u16) {
    std::thread::scope(|scope| {
        for shape in shapes() {
            scope.spawn(move || stall_and_resume(shape, pollers));
        }
    });
}

#[test]
fn a_stalled_device_fills_its_ring_drops_and_resumes_while_others_go_on() {
    stall_and_resume_each(1);
}

#[test]
fn a_stalled_device_on_another_poller_drops_and_resumes_while_others_go_on() {
    stall_and_resume_each(2);
}

#[test]
fn a_stalled_peer_may_not_hold_more_buffers_than_can_be_lent() {
    let shape = Shape { lendable: 100, ..Shape::SMALL };
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, shape), rig.add(0, shape));
    rig.connect(a, b);
    let [a, b] = [a, b].map(|i| &rig.interfaces[i]);
    b.wire.tx_stalled.store(true, Ordering::Release);
    a.wire.inject((0..300).map(|i| frame(i, 200)));
    until("all were received", || a.received().get(Counter::Packets) == 300);
    rig.check();
    assert_eq!(a.pool.lent(), 100);
    assert_lost(&a.received(), &[(DropReason::PeerStalled, 200)]);
    // The receiver still has all its credit posted: it can hear of better times.
    let posted = || a.received().get(Counter::DescInUse) == u64::from(shape.credit);
    until("the credit is posted", posted);
    b.wire.tx_stalled.store(false, Ordering::Release);
    b.wire.wake();
    rig.settle();
    assert_eq!(b.out(), 100);
}
