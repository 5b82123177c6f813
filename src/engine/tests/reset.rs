//! A queue that broke is emptied and runs again on a device that was started anew.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::doubles::{Port, Wire};
use super::frames::frame;
use super::rig::{Rig, Shape, until};
use crate::counters::{BrokenReason, Counter, Direction, DropReason};
use crate::engine::{Event, StopReason};
use crate::units::PollerIndex;

/// What control does with a broken interface.
pub(super) fn halt(rig: &mut Rig, at: usize) {
    let (poller, keys) =
        (rig.interfaces[at].poller, [rig.interfaces[at].rx, rig.interfaces[at].tx]);
    for key in keys {
        rig.ask(|e| e.stop(poller, key, StopReason::Broken(BrokenReason::OtherQueue)));
    }
    rig.interfaces[at].stop_device();
    for key in keys {
        rig.ask(|e| e.empty(poller, key));
    }
}

/// And when it is set up.
pub(super) fn revive(rig: &mut Rig, at: usize) {
    let ports = [restart(rig, at, Direction::Tx), port(rig, at, Direction::Rx)];
    let interface = &rig.interfaces[at];
    for (port, key) in ports.into_iter().zip([interface.tx, interface.rx]) {
        rig.ask(|e| e.revive(interface.poller, key, port));
    }
}

/// Starts the device anew, and has the half of a queue.
pub(super) fn restart(rig: &mut Rig, at: usize, direction: Direction) -> Box<Port> {
    let map = Arc::clone(rig.memory.shared());
    let interface = &mut rig.interfaces[at];
    let [rx, tx] = [0, 1].map(|i| *interface.memory[i].layout());
    let wire = Arc::new(Wire::new(interface.shape.style, &map, &rx, &tx));
    wire.put.store(interface.wire.put.load(Ordering::Acquire), Ordering::Release);
    interface.thread = wire.start();
    interface.wire = wire;
    port(rig, at, direction)
}

fn port(rig: &Rig, at: usize, direction: Direction) -> Box<Port> {
    Box::new(Port { wire: Arc::clone(&rig.interfaces[at].wire), direction })
}

#[test]
fn a_broken_queue_gives_back_what_was_lent_to_it_and_carries_frames_again_after_a_reset() {
    for (shape, pollers) in [(Shape::SMALL, 1), (Shape::SMALL, 2), (Shape::LARGE, 2)] {
        let mut rig = Rig::new(pollers);
        let (a, b) = (rig.add(0, shape), rig.add(pollers - 1, shape));
        rig.connect(a, b);
        rig.connect(b, a);
        // Some frames are eaten, then one is used twice: they stay in the ring for good.
        let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
        to.wire.eat.store(5, Ordering::Relaxed);
        from.wire.inject((0..5).map(|i| frame(i, 3_000)));
        until("five are in flight", || to.sent().get(Counter::InFlight) == 5 && to.out() == 5);
        to.wire.repeat.store(6, Ordering::Relaxed);
        from.wire.inject((0..6).map(|i| frame(i, 3_000)));
        assert!(
            matches!(rig.event(), Event::QueueBroken { queue, .. } if queue == rig.interfaces[b].tx)
        );
        halt(&mut rig, b);
        let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
        until("all buffers of the peer are home", || from.is_home());
        assert_eq!(to.pool.free(), shape.buffers);
        rig.check();
        let lost = to.sent().lost(DropReason::Torn);
        assert!(lost >= 5, "{lost}");
        assert_eq!(to.sent().get(Counter::InFlight), 0);
        // What it was broken by stays shown, and it refuses.
        assert_ne!(to.sent().get(Counter::BrokenReason), BrokenReason::OtherQueue as u64);
        assert_eq!(to.received().get(Counter::BrokenReason), BrokenReason::OtherQueue as u64);
        from.wire.inject([frame(7, 100)]);
        until("it refuses", || to.sent().lost(DropReason::QueueBroken) >= 1);
        revive(&mut rig, b);
        let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
        assert_eq!(to.sent().get(Counter::BrokenReason), 0);
        for _ in 0..3 {
            from.wire.inject((0..400).map(|i| frame(i, 3_000)));
            to.wire.inject((0..400).map(|i| frame(i, 3_000)));
        }
        rig.settle();
        let to = &rig.interfaces[b];
        assert!(to.out() > 0, "nothing passed");
        assert_eq!(to.sent().lost(DropReason::Torn), lost);
    }
}

#[test]
fn every_buffer_of_a_frame_that_broke_its_queue_in_the_middle_comes_back() {
    for hollow in [false, true] {
        let mut rig = Rig::new(1);
        let a = rig.add(0, Shape::SMALL);
        // Five thousand bytes take three buffers.
        let wire = &rig.interfaces[a].wire;
        if hollow { &wire.hollow } else { &wire.tear }.store(1, Ordering::Relaxed);
        wire.inject([frame(1, 5_000)]);
        let Event::QueueBroken { reason, .. } = rig.event() else { panic!("another event") };
        assert_eq!(reason, BrokenReason::BadBufferCount);
        halt(&mut rig, a);
        assert_eq!(rig.interfaces[a].pool.free(), Shape::SMALL.buffers);
    }
}

#[test]
fn what_a_healthy_queue_had_received_when_another_broke_is_counted_and_lost() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::SMALL);
    let (poller, rx) = (rig.interfaces[a].poller, rig.interfaces[a].rx);
    rig.ask(|e| e.stop(poller, rx, StopReason::Broken(BrokenReason::OtherQueue)));
    let from = &rig.interfaces[a];
    from.wire.inject((0..20).map(|i| frame(i, 100)));
    until("the device used them", || from.memory[0].positions().used_idx == 20);
    halt(&mut rig, a);
    let from = &rig.interfaces[a];
    assert_eq!(from.received().get(Counter::Packets), 20);
    assert_eq!(from.received().lost(DropReason::Torn), 20);
    assert_eq!(from.pool.free(), Shape::SMALL.buffers);
    revive(&mut rig, a);
    rig.interfaces[a].wire.inject((0..5).map(|i| frame(i, 100)));
    rig.settle();
    assert_eq!(rig.interfaces[a].received().get(Counter::Packets), 25);
}

#[test]
fn an_error_of_the_last_device_does_not_break_the_next_and_a_queue_that_is_gone_says_so() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::SMALL);
    halt(&mut rig, a);
    revive(&mut rig, a);
    let (poller, key) = (rig.interfaces[a].poller, rig.interfaces[a].rx);
    rig.ask(|e| e.stop(poller, key, StopReason::Broken(BrokenReason::DeviceError)));
    assert_eq!(rig.interfaces[a].received().get(Counter::BrokenReason), 0);
    rig.interfaces[a].wire.inject([frame(1, 100)]);
    rig.settle();
    rig.ask(|e| e.take_rx(PollerIndex(0), key));
    assert!(rig.try_ask(|e| e.empty(poller, key)).is_err());
}
