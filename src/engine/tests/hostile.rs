//! Backends that break the rules or lose what they were given.

use std::sync::atomic::Ordering;

use super::frames::{assert_lost, frame};
use super::rig::{Rig, Shape, until};
use crate::counters::{BrokenReason, Counter, DropReason};
use crate::engine::Event;

#[test]
fn a_backend_that_eats_one_frame_makes_the_ledger_at_rest_fail() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(1, Shape::SMALL));
    rig.connect(a, b);
    let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
    to.wire.eat.store(1, Ordering::Relaxed);
    from.wire.inject((0..100).map(|i| frame(i, 100)));
    until("99 frames are home", || to.sent().get(Counter::Packets) == 99 && from.pool.lent() == 1);
    // Every queue's own ledger balances: it says where the frame is.
    rig.check();
    assert_eq!(to.sent().get(Counter::InFlight), 1);
    let imbalance = rig.at_rest().unwrap_err();
    assert_eq!((imbalance.rule, imbalance.left), ("in_flight = 0 at rest", 1));
    // All others were sent and nothing else happens: it stays so, however long one waits.
    from.wire.inject((0..100).map(|i| frame(i, 100)));
    until("the next 100 are home", || {
        to.sent().get(Counter::Packets) == 199 && from.pool.lent() == 1
    });
    assert!(rig.at_rest().is_err());
}

#[test]
fn a_frame_used_twice_breaks_its_queue_and_no_other() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    let (c, d) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    rig.connect(a, b);
    rig.connect(c, d);
    rig.interfaces[b].wire.repeat.store(1, Ordering::Relaxed);
    rig.interfaces[a].wire.inject([frame(1, 100)]);
    let Event::QueueBroken { interface, reason, .. } = rig.event() else { panic!("another event") };
    assert_eq!(interface, rig.interfaces[b].index);
    // One was in flight, so a second used entry is one too many.
    assert_eq!(reason, BrokenReason::UsedIndexJumped);
    let [a, b, c, d] = [a, b, c, d].map(|i| &rig.interfaces[i]);
    until("the reason is shown", || {
        b.sent().get(Counter::BrokenReason) == BrokenReason::UsedIndexJumped as u64
    });
    // The broken queue takes nothing more and says why; the others move.
    a.wire.inject((0..10).map(|i| frame(i, 100)));
    c.wire.inject((0..100).map(|i| frame(i, 100)));
    until("the others move", || d.sent().get(Counter::Packets) == 100);
    until("the broken queue refuses", || b.sent().lost(DropReason::QueueBroken) == 10);
    rig.check();
    assert_eq!(d.sent().lost_in_all(), 0);
    assert_eq!(rig.events.try_recv().ok().map(|e| format!("{e:?}")), None);
}

#[test]
fn a_frame_used_twice_among_others_is_found_and_every_snapshot_balances() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    rig.connect(a, b);
    // Forty in flight, the first of them used twice: the index is plausible, the entry is not.
    let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
    to.wire.tx_stalled.store(true, Ordering::Release);
    to.wire.repeat.store(1, Ordering::Relaxed);
    to.wire.eat.store(20, Ordering::Relaxed);
    from.wire.inject((0..40).map(|i| frame(i, 100)));
    until("all are in flight", || to.out() == 40 && to.sent().get(Counter::InFlight) == 40);
    to.wire.tx_stalled.store(false, Ordering::Release);
    to.wire.wake();
    until("the queue is broken", || {
        rig.check();
        to.sent().get(Counter::BrokenReason) == BrokenReason::UsedIdNotInFlight as u64
    });
    assert_eq!(to.sent().get(Counter::Packets), 1);
    assert_eq!(to.sent().get(Counter::InFlight), 39);
}

#[test]
fn a_frame_that_claims_more_buffers_than_there_are_breaks_its_queue_and_the_poller_sleeps() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    rig.connect(a, b);
    rig.interfaces[a].wire.inject([frame(1, 5_000)]);
    until("a whole frame passes", || rig.interfaces[b].out() == 1);
    rig.interfaces[a].wire.tear.store(1, Ordering::Relaxed);
    rig.interfaces[a].wire.inject([frame(2, 5_000)]);
    let Event::QueueBroken { interface, reason, .. } = rig.event() else { panic!("another event") };
    assert_eq!(interface, rig.interfaces[a].index);
    assert_eq!(reason, BrokenReason::BadBufferCount);
    rig.check();
    assert_lost(&rig.interfaces[a].received(), &[]);
    assert_eq!(rig.interfaces[b].out(), 1);
}
