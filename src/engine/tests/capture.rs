//! What listeners at the capture points see.

use std::sync::atomic::Ordering;

use super::frames::frame;
use super::reset::halt;
use super::rig::{Rig, Shape, until};
use crate::action::Action;
use crate::counters::{Counter, DropReason};
use crate::engine::capture::{self, Capture, Point, Points, Reader, Record};

/// Captures both queues of an interface.
fn listen(rig: &Rig, of: usize, points: Points, snap_bytes: u32) -> Reader {
    let (writer, reader) = capture::ring(1 << 20).unwrap();
    let interface = &rig.interfaces[of];
    for key in [interface.rx, interface.tx] {
        let capture = Capture::new(writer.clone(), points, snap_bytes);
        rig.ask(|engine| engine.set_capture(interface.poller, key, Some(capture)));
    }
    reader
}

fn all(reader: &mut Reader) -> Vec<Record> {
    std::iter::from_fn(|| reader.take()).collect()
}

fn points(records: &[Record]) -> Vec<Point> {
    records.iter().map(|record| record.point).collect()
}

#[test]
fn a_frame_across_a_wire_is_seen_at_every_point_with_its_bytes_as_far_as_asked_for() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(2);
        let (a, b) = (rig.add(0, shape), rig.add(1, shape));
        rig.connect(a, b);
        let mut from = listen(&rig, a, Points::ALL, 65_553);
        let mut to = listen(&rig, b, Points::ALL, 100);
        let whole = frame(1, 5_000);
        rig.interfaces[a].wire.inject([whole.clone()]);
        rig.settle();
        let from = all(&mut from);
        assert_eq!(points(&from), [Point::Received]);
        assert_eq!((from[0].frame_bytes, from[0].interface), (5_000, rig.interfaces[a].index));
        assert_eq!(from[0].bytes[12..], whole[12..]);
        let to = all(&mut to);
        assert_eq!(points(&to), [Point::Offered, Point::Sent]);
        for record in &to {
            assert_eq!((record.frame_bytes, record.interface), (5_000, rig.interfaces[b].index));
            assert_eq!(record.bytes[12..], whole[12..112]);
        }
        assert!(to[0].at_ns <= to[1].at_ns);
    }
}

#[test]
fn a_lost_frame_is_seen_with_its_reason_wherever_it_is_lost() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    let [mut from, mut to] = [a, b].map(|i| listen(&rig, i, Points::DROPPED, 60));
    let inject = |rig: &Rig| {
        rig.interfaces[a].wire.inject([frame(1, 3_000)]);
        until("it was received", || rig.interfaces[a].has_received_all());
    };
    // By the action, by the transmit queue, by a peer that is gone.
    let key = rig.interfaces[a].rx;
    rig.ask(|engine| engine.set_admin(rig.interfaces[a].poller, key, false));
    inject(&rig);
    assert_eq!(points(&all(&mut from)), [Point::Dropped(DropReason::AdminDown)]);
    rig.ask(|engine| engine.set_admin(rig.interfaces[a].poller, key, true));
    rig.connect(a, b);
    let key = rig.interfaces[b].tx;
    rig.ask(|engine| engine.set_link(rig.interfaces[b].poller, key, false));
    inject(&rig);
    until("it was offered", || rig.interfaces[b].sent().get(Counter::Offered) == 1);
    let lost = all(&mut to);
    assert_eq!(points(&lost), [Point::Dropped(DropReason::LinkDown)]);
    assert_eq!((lost[0].frame_bytes, lost[0].bytes.len()), (3_000, 72));
    // In the ring when the queue is emptied.
    rig.ask(|engine| engine.set_link(rig.interfaces[b].poller, key, true));
    rig.interfaces[b].wire.tx_stalled.store(true, Ordering::Release);
    inject(&rig);
    until("it is in the ring", || rig.interfaces[b].sent().get(Counter::InFlight) == 1);
    halt(&mut rig, b);
    let lost = all(&mut to);
    assert_eq!(points(&lost), [Point::Dropped(DropReason::Torn)]);
    assert_eq!(lost[0].frame_bytes, 3_000);
    let peer = rig.interfaces[b].peer;
    rig.ask(|engine| engine.remove_peer(peer));
    inject(&rig);
    assert_eq!(points(&all(&mut from)), [Point::Dropped(DropReason::PeerGone)]);
    rig.check();
}

#[test]
fn a_listener_that_does_not_read_holds_nothing_up_and_learns_how_many_it_missed() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::LARGE);
    let (writer, mut reader) = capture::ring(0).unwrap();
    let interface = &rig.interfaces[a];
    let capture = Capture::new(writer, Points::PASSING, u32::MAX);
    rig.ask(|engine| engine.set_capture(interface.poller, interface.rx, Some(capture)));
    interface.wire.inject((0..10).map(|i| frame(i, 65_553)));
    rig.settle();
    assert_eq!((all(&mut reader).len(), reader.lost()), (1, 9));
    // Nobody looks any more.
    rig.ask(|engine| engine.set_capture(interface.poller, interface.rx, None));
    interface.wire.inject([frame(0, 60)]);
    rig.settle();
    assert_eq!((all(&mut reader).len(), reader.lost()), (0, 9));
}

#[test]
fn a_reader_that_sleeps_is_woken_by_the_next_frame() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::SMALL);
    rig.set_action(a, Action::Sink);
    let mut reader = listen(&rig, a, Points::PASSING, 60);
    for n in 0..20 {
        let injector = std::sync::Arc::clone(&rig.interfaces[a].wire);
        let thread = std::thread::spawn(move || injector.inject([frame(n, 60)]));
        while reader.fall_asleep() {
            let mut file = [nix::poll::PollFd::new(reader.file(), nix::poll::PollFlags::POLLIN)];
            let woken = nix::poll::poll(&mut file, nix::poll::PollTimeout::from(60_000_u16));
            assert_eq!(woken, Ok(1), "frame {n}");
        }
        assert_eq!(all(&mut reader).len(), 1);
        thread.join().unwrap();
    }
}
