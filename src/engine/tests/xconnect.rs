//! Frames across a cross-connect, on one poller and over two.

use super::frames::{Random, check_content, frame, number};
use super::rig::{Rig, Shape};
use crate::action::{Action, Responder, Station};
use crate::counters::{Counter, DropReason};
use crate::engine::TxPlace;
use crate::units::Kind;

/// Frames in each direction.
const FRAMES: u64 = 4_000;
/// Frames under way in one direction, below what may be lent.
const WINDOW: u64 = 12;

/// Sends frames of all sizes both ways between two interfaces; every one arrives as it was sent,
/// or is counted as lost.
fn both_ways(pollers: [u16; 2], shapes: [Shape; 2]) {
    let mut rig = Rig::new(pollers[0].max(pollers[1]) + 1);
    let (a, b) = (rig.add(pollers[0], shapes[0]), rig.add(pollers[1], shapes[1]));
    rig.connect(a, b);
    rig.connect(b, a);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut inside = [Vec::new(), Vec::new()];
    let mut next = 0;
    while inside.iter().any(|sent| (sent.len() as u64) < FRAMES) {
        for (side, sent) in inside.iter_mut().enumerate() {
            let (from, to) = (&rig.interfaces[side], &rig.interfaces[1 - side]);
            let gone = to.out() + from.received().lost_in_all() + to.sent().lost_in_all();
            let room = (gone + WINDOW).saturating_sub(sent.len() as u64);
            if room == 0 || sent.len() as u64 >= FRAMES {
                continue;
            }
            let burst: Vec<_> = (0..1 + random.below(room))
                .map(|_| {
                    next += 1;
                    frame(next, random.length())
                })
                .collect();
            sent.extend(burst.iter().cloned());
            from.wire.inject(burst);
        }
        rig.check();
    }
    rig.settle();
    for (from, to) in [(a, b), (b, a)] {
        let outside = rig.interfaces[to].wire.collect();
        let dropped = check_content(&inside[from], &outside);
        let (received, sent) = (rig.interfaces[from].received(), rig.interfaces[to].sent());
        assert_eq!(received.get(Counter::Packets), inside[from].len() as u64);
        assert_eq!(sent.get(Counter::Packets), outside.len() as u64);
        assert_eq!(received.lost_in_all() + sent.lost_in_all(), dropped);
        let bytes: usize = outside.iter().map(|f| f.len() - 12).sum();
        assert_eq!(sent.get(Counter::Bytes), bytes as u64);
        // No more is under way than the peer has room for.
        assert_eq!(dropped, 0, "of {FRAMES}");
    }
}

#[test]
fn frames_over_many_small_buffers_cross_one_poller_both_ways_whole() {
    both_ways([0, 0], [Shape::SMALL, Shape::SMALL]);
}

#[test]
fn frames_over_many_small_buffers_cross_two_pollers_both_ways_whole() {
    both_ways([0, 1], [Shape::SMALL, Shape::SMALL]);
}

#[test]
fn frames_cross_between_a_device_with_a_thread_and_one_without_whole() {
    both_ways([0, 1], [Shape::SMALL, Shape::LARGE]);
    both_ways([0, 0], [Shape::LARGE, Shape::SMALL]);
}

#[test]
fn frames_cross_two_inline_devices_on_two_pollers_both_ways_whole() {
    both_ways([1, 0], [Shape::LARGE, Shape::LARGE]);
}

#[test]
fn an_interface_connected_to_itself_sends_every_frame_back() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::SMALL);
    rig.connect(a, a);
    let inside: Vec<_> = (0..200).map(|i| frame(i, 60)).collect();
    rig.interfaces[a].wire.inject(inside.iter().cloned());
    rig.settle();
    assert_eq!(check_content(&inside, &rig.interfaces[a].wire.collect()), 0);
}

#[test]
fn an_arp_request_is_answered_and_counted_as_originated() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(2);
        let a = rig.add(1, shape);
        let mac = "02:fe:00:00:00:01".parse().unwrap();
        let responder =
            Responder::new(Station::new(Some(mac)), vec!["10.9.0.2/24".parse().unwrap()]);
        rig.set_action(a, Action::Respond(responder));
        let mut request = vec![0; 12];
        request.extend([0xff; 6]);
        request.extend([2, 0, 0, 0, 0, 9, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        request.extend([2, 0, 0, 0, 0, 9, 10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2]);
        let wire = &rig.interfaces[a].wire;
        wire.inject([request.clone(), frame(1, 60)]);
        rig.settle();
        let replies = rig.interfaces[a].wire.collect();
        assert_eq!(replies.len(), 1);
        let reply = &replies[0][12..];
        assert_eq!(reply[..6], [2, 0, 0, 0, 0, 9]);
        assert_eq!(reply[20..22], [0, 2]);
        assert_eq!(reply[22..32], [2, 0xfe, 0, 0, 0, 1, 10, 9, 0, 2]);
        let (received, sent) = (rig.interfaces[a].received(), rig.interfaces[a].sent());
        // The second frame is for another MAC.
        assert_eq!(received.get(Counter::Consumed), 1);
        assert_eq!(received.lost(DropReason::L3MacMismatch), 1);
        assert_eq!(sent.get(Counter::Originated), 1);
        assert_eq!((sent.get(Counter::Offered), sent.get(Counter::Packets)), (1, 1));
    }
}

/// An interface with a transmit queue on each poller: a frame takes the queue of the poller that
/// received it, and crosses no handoff ring.
#[test]
fn a_poller_sends_to_the_queue_of_its_peer_that_it_owns_itself() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, Shape::LARGE), rig.add(1, Shape::LARGE));
    // Two interfaces of the rig stand for one of two queues.
    let (c, d) = (rig.add(0, Shape::LARGE), rig.add(1, Shape::LARGE));
    let both: Vec<_> = [c, d]
        .iter()
        .map(|i| TxPlace::own(rig.interfaces[*i].poller, rig.interfaces[*i].tx))
        .collect();
    let peer = rig.engine.reserve_peer();
    rig.ask(|engine| engine.set_peer(peer, Kind::Tap, both.clone(), None));
    for from in [a, b] {
        rig.set_action(from, Action::Xconnect(peer));
    }
    rig.interfaces[a].wire.inject((0..10).map(|i| frame(i, 100)));
    rig.interfaces[b].wire.inject((0..20).map(|i| frame(i, 100)));
    rig.settle();
    assert_eq!((rig.interfaces[c].out(), rig.interfaces[d].out()), (10, 20));
    // With a queue on one poller only, all take that one.
    rig.ask(|engine| engine.set_peer(peer, Kind::Tap, both[1..].to_vec(), None));
    rig.interfaces[a].wire.inject((0..10).map(|i| frame(i, 100)));
    rig.settle();
    assert_eq!((rig.interfaces[c].out(), rig.interfaces[d].out()), (10, 30));
    // With two of its own, a poller spreads the flows over them, and keeps each in one.
    let own: Vec<_> = [a, c]
        .iter()
        .map(|i| TxPlace::own(rig.interfaces[*i].poller, rig.interfaces[*i].tx))
        .collect();
    rig.ask(|engine| engine.set_peer(peer, Kind::Tap, own, None));
    let flow = |i: u64| {
        let mut frame = frame(i, 100);
        frame[23] = (i % 8).try_into().unwrap();
        frame
    };
    rig.interfaces[a].wire.collect();
    rig.interfaces[c].wire.collect();
    rig.interfaces[a].wire.inject((0..40).map(flow));
    rig.settle();
    let sides = [a, c].map(|i| rig.interfaces[i].wire.collect());
    assert!(sides.iter().all(|side| !side.is_empty()));
    for i in 0..8_u8 {
        let numbers = sides.each_ref().map(|side| -> Vec<u64> {
            side.iter().filter(|f| f[23] == i).map(|f| number(f)).collect()
        });
        assert!(numbers.iter().any(Vec::is_empty), "flow {i} is in two queues");
        let whole: Vec<u64> = (0..5).map(|round| u64::from(i) + 8 * round).collect();
        assert_eq!(numbers.concat(), whole);
    }
    // Forgotten, it takes nothing.
    rig.ask(|engine| engine.remove_peer(peer));
    rig.interfaces[b].wire.inject([frame(0, 100)]);
    rig.settle();
    assert_eq!(rig.interfaces[b].received().lost(DropReason::PeerGone), 1);
}
