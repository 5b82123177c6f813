//! A receive queue that changes its poller under traffic.

use std::sync::Arc;

use super::frames::{check_content, frame};
use super::rig::{Rig, Shape, until};
use crate::action::Action;
use crate::counters::Counter;
use crate::engine::{StopReason, TxPlace};
use crate::units::{Kind, PollerIndex};

/// Moves of one run, and frames put in at each.
const MOVES: u64 = 60;
const BURST: u64 = 8;

fn move_to(rig: &mut Rig, at: usize, to: u16) {
    let (from, rx, pools) = {
        let interface = &rig.interfaces[at];
        (interface.poller, interface.rx, [Arc::clone(&interface.pool)])
    };
    rig.ask(|engine| engine.move_rx(from, rx, &pools, PollerIndex(to)));
    rig.interfaces[at].poller = PollerIndex(to);
}

/// Frames cross while their queue goes round the pollers; the peer has a transmit queue on each.
fn moved(shape: Shape) {
    let mut rig = Rig::new(3);
    let a = rig.add(0, shape);
    let sides: Vec<usize> = (0..3).map(|poller| rig.add(poller, shape)).collect();
    let places = |rig: &Rig| -> Vec<TxPlace> {
        sides
            .iter()
            .map(|i| TxPlace::own(rig.interfaces[*i].poller, rig.interfaces[*i].tx))
            .collect()
    };
    let peer = rig.engine.reserve_peer();
    let all = places(&rig);
    rig.ask(|engine| engine.set_peer(peer, Kind::Tap, all, None));
    rig.set_action(a, Action::Xconnect(peer));
    let mut inside = Vec::new();
    for round in 0..MOVES {
        let burst: Vec<_> = (0..BURST)
            .map(|i| frame(round * BURST + i, if i % 2 == 0 { 100 } else { 3100 }))
            .collect();
        inside.extend(burst.iter().cloned());
        rig.interfaces[a].wire.inject(burst);
        move_to(&mut rig, a, u16::try_from((round + 1) % 3).unwrap());
        rig.check();
    }
    rig.settle();
    let received = rig.interfaces[a].received();
    assert_eq!(received.get(Counter::Packets), MOVES * BURST);
    assert_eq!(received.lost_in_all(), 0, "{received:?}");
    let mut all = 0;
    for i in &sides {
        let outside = rig.interfaces[*i].wire.collect();
        all += outside.len();
        assert!(!outside.is_empty(), "no frame went by the queue of each poller");
        check_content(&inside, &outside);
    }
    assert_eq!(all, inside.len());
}

#[test]
fn a_queue_that_goes_round_the_pollers_under_traffic_loses_no_frame_and_gets_its_buffers_back() {
    moved(Shape::SMALL);
    moved(Shape::LARGE);
}

/// All frames of a flow go through one queue: their order is that in which they were received.
#[test]
fn frames_keep_their_order_while_their_queue_changes_its_poller() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(2);
        let (a, b) = (rig.add(0, shape), rig.add(0, shape));
        rig.connect(a, b);
        let mut inside = Vec::new();
        for round in 0..MOVES {
            let burst: Vec<_> = (0..BURST).map(|i| frame(round * BURST + i, 100)).collect();
            inside.extend(burst.iter().cloned());
            rig.interfaces[a].wire.inject(burst);
            move_to(&mut rig, a, u16::try_from((round + 1) % 2).unwrap());
        }
        rig.settle();
        let outside = rig.interfaces[b].wire.collect();
        assert_eq!(check_content(&inside, &outside), 0);
    }
}

#[test]
fn commands_for_the_poller_before_reach_a_moved_queue() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, Shape::LARGE), rig.add(0, Shape::LARGE));
    move_to(&mut rig, a, 1);
    // Who asks knows nothing of the move.
    rig.interfaces[a].poller = PollerIndex(0);
    rig.connect(a, b);
    rig.interfaces[a].wire.inject((0..5).map(|i| frame(i, 100)));
    rig.settle();
    assert_eq!(rig.interfaces[b].out(), 5);
    // A stopped queue stays stopped where it goes.
    let rx = rig.interfaces[a].rx;
    rig.ask(|engine| engine.stop(PollerIndex(0), rx, StopReason::Retired));
    rig.interfaces[a].poller = PollerIndex(1);
    move_to(&mut rig, a, 0);
    rig.interfaces[a].wire.inject([frame(9, 100)]);
    rig.interfaces[b].wire.inject([frame(10, 100)]);
    until("the other runs", || rig.interfaces[b].has_received_all());
    assert_eq!(rig.interfaces[b].out(), 5);
    // A queue that is nowhere is not found.
    let (pools, nobody) = ([Arc::clone(&rig.interfaces[b].pool)], rig.engine.reserve_queue());
    let gone = rig.try_ask(|engine| engine.move_rx(PollerIndex(1), nobody, &pools, PollerIndex(0)));
    assert!(gone.is_err());
}
