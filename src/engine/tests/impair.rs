//! Impaired wires on doubles: what the engine does with frames that wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::frames::{assert_lost, check_content, frame, lost, number};
use super::reset::{halt, revive};
use super::rig::{Interface, Rig, Shape, until};
use crate::action::{Action, Impaired};
use crate::counters::{Counter, DropReason};
use crate::device::{BufferClass, Pool};
use crate::units::Impairment;

/// Impairs the wire from one interface to another, with a pool of its own for so many small buffers.
fn impair(rig: &Rig, from: usize, to: usize, buffers: u32, settings: Impairment) {
    let slot = rig.engine.reserve_pool().unwrap();
    let pool = Pool::new(&rig.memory, slot, BufferClass::Small, buffers, buffers).unwrap();
    let Interface { poller, rx, .. } = rig.interfaces[from];
    rig.ask(|engine| engine.set_hold_pool(poller, rx, Some(Arc::new(pool))));
    rig.set_action(from, wire(rig, to, settings));
}

fn wire(rig: &Rig, to: usize, settings: Impairment) -> Action {
    Action::Impair(Box::new(Impaired::new(rig.interfaces[to].peer, settings, 1)))
}

fn delay(text: &str) -> Impairment {
    Impairment { delay: text.parse().unwrap(), ..Impairment::default() }
}

#[test]
fn delayed_frames_are_held_outside_the_receive_buffers_and_leave_whole_and_in_order() {
    for (from, to, pollers) in [
        (Shape::LARGE, Shape::LARGE, [0, 0]),
        (Shape::LARGE, Shape::SMALL, [0, 1]),
        (Shape::SMALL, Shape::LARGE, [0, 1]),
    ] {
        let mut rig = Rig::new(2);
        rig.add(pollers[0], from);
        rig.add(pollers[1], to);
        impair(&rig, 0, 1, 4_096, delay("100ms"));
        // Far more than the interface could lend of its own buffers.
        let lengths = [60, 1_500, 2_036, 2_037, 9_000].into_iter().cycle();
        let inside: Vec<_> = (0..800).zip(lengths).map(|(n, bytes)| frame(n, bytes)).collect();
        let mut held = 0;
        for burst in inside.chunks(20) {
            rig.interfaces[0].wire.inject(burst.iter().cloned());
            until("the burst was received", || {
                rig.check();
                rig.interfaces[0].has_received_all()
            });
            held = held.max(rig.interfaces[0].received().get(Counter::Held));
            assert!(rig.interfaces[0].pool.lent() == 0, "it receives in buffers of its own");
        }
        assert!(held > 20, "{held}");
        rig.settle();
        // A ring of the peer may be too short for what comes at once.
        let missing = check_content(&inside, &rig.interfaces[1].wire.collect());
        assert_eq!(rig.interfaces[0].received().get(Counter::Forwarded), 800);
        assert_eq!(missing, rig.interfaces[1].sent().lost(DropReason::NoFreeTxSlots));
        assert!(missing < 500 && (missing == 0 || pollers == [0, 1]), "{missing}");
    }
}

#[test]
fn a_wire_that_loses_doubles_and_damages_balances_and_keeps_within_three_sigma() {
    let mut rig = Rig::new(1);
    rig.add(0, Shape::LARGE);
    rig.add(0, Shape::LARGE);
    let settings = Impairment {
        loss: "1%".parse().unwrap(),
        duplicate: "0.5%".parse().unwrap(),
        corrupt: "2%".parse().unwrap(),
        seed: Some(42),
        ..Impairment::default()
    };
    rig.set_action(0, wire(&rig, 1, settings));
    for burst in 0..1_000 {
        rig.interfaces[0].wire.inject((0..100).map(|n| frame(100 * burst + n, 60)));
        until("received", || rig.interfaces[0].has_received_all());
    }
    rig.settle();
    let received = rig.interfaces[0].received();
    let loss = received.lost(DropReason::ImpairedLoss);
    assert!(loss.abs_diff(1_000) <= 94, "{loss}");
    let copies = received.get(Counter::Copies);
    assert!(copies.abs_diff(495) <= 67, "{copies}");
    let out = rig.interfaces[1].wire.collect();
    assert_eq!(out.len() as u64, 100_000 - loss + copies);
    assert_lost(&received, &[(DropReason::ImpairedLoss, loss)]);
    // Some 50 of 2000 bits make another number of a frame, which is then whole.
    let whole = |f: &Vec<u8>| number(f) < 100_000 && *f == frame(number(f), 60);
    let damaged = out.iter().filter(|f| !whole(f)).count();
    assert!(damaged.abs_diff(1_950) <= 200, "{damaged}");
}

#[test]
fn a_change_of_the_wire_keeps_what_is_on_it_and_taking_the_faults_away_sends_it() {
    let mut rig = Rig::new(1);
    (0..3).for_each(|_| _ = rig.add(0, Shape::LARGE));
    impair(&rig, 0, 1, 1_024, delay("60s"));
    rig.interfaces[0].wire.inject((0..300).map(|n| frame(n, 100)));
    until("all are held", || {
        rig.check();
        rig.interfaces[0].received().get(Counter::Held) == 300
    });
    rig.set_action(0, wire(&rig, 1, delay("50s")));
    assert_eq!(rig.interfaces[0].received().get(Counter::Held), 300);
    rig.set_action(0, Action::Xconnect(rig.interfaces[1].peer));
    rig.settle();
    let numbers: Vec<_> = rig.interfaces[1].wire.collect().iter().map(|f| number(f)).collect();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    // Another peer is another wire.
    rig.set_action(0, wire(&rig, 1, delay("60s")));
    rig.interfaces[0].wire.inject((0..10).map(|n| frame(n, 100)));
    until("all are held", || rig.interfaces[0].received().get(Counter::Held) == 10);
    rig.connect(0, 2);
    rig.settle();
    assert_lost(&rig.interfaces[0].received(), &[(DropReason::ActionChanged, 10)]);
    let Interface { poller, rx, .. } = rig.interfaces[0];
    rig.ask(|engine| engine.set_hold_pool(poller, rx, None));
    rig.interfaces[0].wire.inject([frame(0, 100)]);
    rig.settle();
    assert_eq!(rig.interfaces[2].out(), 1);
}

#[test]
fn more_than_the_pool_has_room_for_is_lost_as_hold_full_and_nothing_else_is() {
    let mut rig = Rig::new(1);
    (0..2).for_each(|_| _ = rig.add(0, Shape::LARGE));
    impair(&rig, 0, 1, 100, delay("60s"));
    // Two buffers each.
    rig.interfaces[0].wire.inject((0..80).map(|n| frame(n, 3_000)));
    until("all were received", || rig.interfaces[0].has_received_all());
    rig.check();
    let received = rig.interfaces[0].received();
    assert_eq!(received.get(Counter::Held), 50);
    assert_lost(&received, &[(DropReason::HoldFull, 30)]);
    rig.set_action(0, Action::Xconnect(rig.interfaces[1].peer));
    rig.settle();
    assert_eq!(rig.interfaces[1].out(), 50);
}

#[test]
fn frames_that_wait_for_a_peer_that_goes_are_lost_with_a_reason_and_their_buffers_return() {
    let mut rig = Rig::new(2);
    (0..2).for_each(|i| _ = rig.add(i, Shape::LARGE));
    impair(&rig, 0, 1, 1_024, delay("20ms"));
    rig.interfaces[0].wire.inject((0..200).map(|n| frame(n, 100)));
    until("some are held", || rig.interfaces[0].received().get(Counter::Held) > 0);
    let peer = rig.interfaces[1].peer;
    rig.ask(|engine| engine.remove_peer(peer));
    rig.settle();
    let received = rig.interfaces[0].received();
    let gone = received.lost(DropReason::PeerGone);
    assert_eq!(gone + received.get(Counter::Forwarded), 200);
    assert!(gone > 0, "{:?}", lost(&received));
}

#[test]
fn a_queue_that_is_emptied_while_frames_wait_loses_them_as_torn() {
    let mut rig = Rig::new(1);
    (0..2).for_each(|_| _ = rig.add(0, Shape::LARGE));
    impair(&rig, 0, 1, 1_024, delay("60s"));
    rig.interfaces[0].wire.inject((0..200).map(|n| frame(n, 100)));
    until("all are held", || rig.interfaces[0].received().get(Counter::Held) == 200);
    halt(&mut rig, 0);
    assert_lost(&rig.interfaces[0].received(), &[(DropReason::Torn, 200)]);
    assert_eq!(rig.interfaces[0].received().get(Counter::Held), 0);
    revive(&mut rig, 0);
    // The wire's own list names frames that are gone: they do no harm.
    rig.set_action(0, wire(&rig, 1, delay("1ms")));
    rig.interfaces[0].wire.inject((0..50).map(|n| frame(n, 100)));
    until("they came through", || rig.interfaces[1].out() == 50);
    rig.check();
    assert_eq!(rig.interfaces[1].wire.out.load(Ordering::Acquire), 50);
}

/// Prints how far frames are from their time, at 50000 in a second.
#[test]
fn no_frame_leaves_before_its_delay_and_how_late_they_are_is_printed() {
    use std::time::{Duration, Instant};
    let mut rig = Rig::new(1);
    (0..2).for_each(|_| _ = rig.add(0, Shape::LARGE));
    impair(&rig, 0, 1, 4_096, delay("10ms"));
    let begin = Instant::now();
    let mut came = Vec::new();
    let mut late = Vec::new();
    while late.len() < 5_000 {
        let due = begin + Duration::from_micros(20 * came.len() as u64);
        if came.len() < 5_000 && Instant::now() >= due {
            came.push(Instant::now());
            rig.interfaces[0].wire.inject([frame(came.len() as u64 - 1, 100)]);
        }
        let all = rig.interfaces[1].wire.collect();
        let now = Instant::now();
        for out in all {
            let n = usize::try_from(number(&out)).unwrap();
            assert_eq!(n, late.len(), "frames keep their order");
            let took = now.duration_since(came[n]);
            // What the test itself is late in looking only adds to it.
            assert!(took >= Duration::from_millis(10), "{took:?}");
            late.push(took - Duration::from_millis(10));
        }
    }
    late.sort_unstable();
    let at = |share: usize| late[late.len() * share / 1_000 - 1];
    println!(
        "late by: median {:?}, 90 % {:?}, 99 % {:?}, 99.9 % {:?}, all {:?}",
        at(500),
        at(900),
        at(990),
        at(999),
        at(1_000)
    );
    rig.settle();
}
