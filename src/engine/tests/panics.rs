//! A panic on a poller's thread stops the queues that it was about, and nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::doubles::{Poison, Wire};
use super::frames::frame;
use super::reset::{halt, restart, revive};
use super::rig::{Rig, Shape, until};
use crate::action::scripted::Script;
use crate::action::{Action, Verdict};
use crate::counters::{BrokenReason, Counter, Direction, DropReason};
use crate::engine::{Event, QueueKey};

/// Two wires, a to b and c to d, all on one poller.
fn rig(shape: Shape) -> Rig {
    let mut rig = Rig::new(1);
    for _ in 0..4 {
        rig.add(0, shape);
    }
    rig.connect(0, 1);
    rig.connect(2, 3);
    rig
}

/// Hears that these queues broke, in any order.
fn hear(rig: &mut Rig, mut queues: Vec<QueueKey>) {
    while !queues.is_empty() {
        let event = rig.event();
        let Event::QueueBroken { queue, reason: BrokenReason::PollerPanicked, .. } = event else {
            panic!("{event:?}");
        };
        let at = queues.iter().position(|key| *key == queue);
        queues.swap_remove(at.unwrap_or_else(|| panic!("{queue:?} is none of {queues:?}")));
    }
}

/// The other wire carries frames; the ledger balances in every snapshot.
fn others_go_on(rig: &Rig) {
    let before = rig.interfaces[3].out();
    rig.interfaces[2].wire.inject((0..50).map(|i| frame(i, 1_000)));
    until("the other wire goes on", || {
        rig.check();
        rig.interfaces[3].out() == before + 50
    });
}

/// Resets these interfaces; both wires then carry frames, and no buffer is lost.
fn works_after_reset(rig: &mut Rig, broken: &[usize]) {
    for at in broken {
        halt(rig, *at);
    }
    for at in broken {
        revive(rig, *at);
    }
    rig.connect(0, 1);
    let out = rig.interfaces[1].out();
    rig.interfaces[0].wire.inject((0..200).map(|i| frame(i, 3_000)));
    others_go_on(rig);
    rig.settle();
    assert!(rig.interfaces[1].out() > out, "nothing passed");
    rig.at_rest().unwrap();
}

fn poison(wire: &Wire, here: Poison) {
    *wire.poison.lock().unwrap() = Some(here);
}

#[test]
fn a_panic_in_a_receive_visit_breaks_that_queue_alone_until_it_is_reset() {
    let mut rig = rig(Shape::LARGE);
    poison(&rig.interfaces[0].wire, Poison::Receive);
    rig.interfaces[0].wire.wake();
    let rx = rig.interfaces[0].rx;
    hear(&mut rig, vec![rx]);
    others_go_on(&rig);
    let broken = rig.interfaces[0].received().get(Counter::BrokenReason);
    assert_eq!(broken, BrokenReason::PollerPanicked as u64);
    works_after_reset(&mut rig, &[0]);
}

#[test]
fn a_panic_over_a_received_frame_loses_that_frame_with_a_reason_and_no_buffer() {
    for shape in [Shape::LARGE, Shape::SMALL] {
        let mut rig = rig(shape);
        let script = Script::new(|_, frame| {
            assert!(frame.is_none(), "on purpose");
            Verdict::Consume
        });
        rig.set_action(0, Action::Scripted(script));
        rig.interfaces[0].wire.inject([frame(0, 5_000)]);
        let rx = rig.interfaces[0].rx;
        hear(&mut rig, vec![rx]);
        let received = rig.interfaces[0].received();
        assert_eq!(received.get(Counter::Packets), 1);
        assert_eq!(received.lost(DropReason::Torn), 1);
        others_go_on(&rig);
        works_after_reset(&mut rig, &[0]);
    }
}

#[test]
fn a_panic_while_a_frame_is_sent_breaks_both_queues_and_its_buffers_come_home() {
    for (shape, here) in [
        (Shape::LARGE, Poison::Send),
        (Shape::LARGE, Poison::Kick),
        (Shape::LARGE, Poison::Refusal),
        (Shape::SMALL, Poison::Kick),
    ] {
        let mut rig = rig(shape);
        poison(&rig.interfaces[1].wire, here);
        rig.interfaces[0].wire.inject((0..3).map(|i| frame(i, 3_000)));
        let (rx, tx) = (rig.interfaces[0].rx, rig.interfaces[1].tx);
        hear(&mut rig, vec![rx, tx]);
        others_go_on(&rig);
        let refused = |rig: &Rig| rig.interfaces[1].sent().lost(DropReason::Torn);
        assert_eq!(refused(&rig), u64::from(here == Poison::Refusal), "{here:?}");
        works_after_reset(&mut rig, &[1, 0]);
    }
}

#[test]
fn a_panic_over_a_full_ring_counts_the_frame_that_was_being_offered() {
    let mut rig = rig(Shape { ring: 64, buffers: 256, lendable: 200, ..Shape::LARGE });
    let [from, to] = [0, 1].map(|i| Arc::clone(&rig.interfaces[i].wire));
    to.tx_stalled.store(true, Ordering::Release);
    from.inject((0..64).map(|i| frame(i, 200)));
    until("the ring is full", || rig.interfaces[1].sent().get(Counter::InFlight) == 64);
    // The poller is held in the visit whose frame finds the ring full.
    let gate = from.gate.lock().unwrap();
    from.wake();
    until("the poller is held", || from.at_gate.load(Ordering::Acquire));
    poison(&to, Poison::Send);
    from.inject([frame(64, 200)]);
    drop(gate);
    let (rx, tx) = (rig.interfaces[0].rx, rig.interfaces[1].tx);
    hear(&mut rig, vec![rx, tx]);
    others_go_on(&rig);
    assert_eq!(rig.interfaces[1].sent().get(Counter::Offered), 65);
    assert_eq!(rig.interfaces[1].sent().lost(DropReason::Torn), 1);
    assert_eq!(rig.interfaces[0].received().get(Counter::Forwarded), 65);
    works_after_reset(&mut rig, &[1, 0]);
}

#[test]
fn a_panic_over_a_command_is_told_to_its_sender_and_the_poller_goes_on() {
    let mut rig = rig(Shape::LARGE);
    halt(&mut rig, 0);
    let port = restart(&mut rig, 0, Direction::Rx);
    poison(&rig.interfaces[0].wire, Poison::Register);
    let (poller, rx) = (rig.interfaces[0].poller, rig.interfaces[0].rx);
    let told = rig.try_ask(|engine| engine.revive(poller, rx, port)).unwrap_err();
    assert!(told.cause.contains("panicked"), "{told}");
    hear(&mut rig, vec![rx]);
    others_go_on(&rig);
    works_after_reset(&mut rig, &[0]);
}
