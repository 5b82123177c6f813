//! Queues taken away, stopped and resumed while frames move.

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::doubles::{Port, Style};
use super::frames::{assert_lost, check_content, frame, lost};
use super::rig::{Interface, Rig, Shape, until};
use crate::action::Action;
use crate::counters::{BrokenReason, Counter, Direction, DropReason};
use crate::device::{Pool, QueueRecord};
use crate::engine::peers::SLOTS;
use crate::engine::poller::Command;
use crate::engine::{Event, RxParts, StopReason, TxParts};
use crate::units::Kind;
use crate::units::Mtus;

/// Takes the transmit queue of an interface away as `delete` does: off the data path, the device
/// stopped, the ring emptied and its buffers sent home, then off its poller.
fn take_tx(rig: &mut Rig, of: usize) {
    let Interface { poller, tx, peer, .. } = rig.interfaces[of];
    rig.ask(|engine| engine.stop(poller, tx, StopReason::Retired));
    rig.interfaces[of].stop_device();
    rig.ask(|engine| engine.empty(poller, tx));
    rig.ask(|engine| engine.remove_peer(peer));
    rig.ask(|engine| engine.take_tx(poller, tx)).expect("it was there");
}

/// And the receive queue.
fn take_rx(rig: &mut Rig, of: usize) {
    let Interface { poller, rx, .. } = rig.interfaces[of];
    rig.ask(|engine| engine.stop(poller, rx, StopReason::Retired));
    rig.interfaces[of].stop_device();
    rig.ask(|engine| engine.empty(poller, rx));
    rig.ask(|engine| engine.take_rx(poller, rx)).expect("it was there");
}

/// Takes a transmit queue away while frames for it are everywhere; nothing is lost unaccounted.
fn peer_goes_under_traffic(pollers: u16, stalled: bool) {
    let mut rig = Rig::new(pollers);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(pollers - 1, Shape::SMALL));
    rig.connect(a, b);
    rig.interfaces[b].wire.tx_stalled.store(stalled, Ordering::Release);
    let inside: Vec<_> = (0..6_000).map(|i| frame(i, 100)).collect();
    rig.interfaces[a].wire.inject(inside.iter().cloned());
    until("frames are under way", || rig.interfaces[b].out() >= 100);
    take_tx(&mut rig, b);
    let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
    // All the others may have passed by now.
    let late = frame(6_000, 100);
    from.wire.inject([late]);
    until("the others were received", || {
        rig.check();
        from.has_received_all()
    });
    until("all buffers are home", || from.is_home());
    assert_eq!(rig.at_rest(), Ok(()));
    let (received, sent) = (from.received(), to.sent());
    let refused = received.lost(DropReason::PeerGone) + sent.lost(DropReason::AdminDown);
    assert!(refused > 0, "{:?} {:?}", lost(&received), lost(&sent));
    assert_eq!(
        sent.get(Counter::Packets) + sent.lost(DropReason::Torn),
        sent.get(Counter::Enqueued)
    );
    if stalled {
        assert!(sent.lost(DropReason::Torn) > 0);
    } else {
        // What the device used before it stopped was sent, though nobody had looked.
        assert_eq!(sent.get(Counter::Packets), to.out());
    }
    check_content(&inside, &to.wire.collect());
    rig.no_complaints();
}

#[test]
fn buffers_that_find_no_room_on_their_way_home_to_another_poller_come_home_later() {
    /// More than the ring between two pollers has room for.
    const FRAMES: u64 = 2_000;
    const { assert!(FRAMES > SLOTS as u64 + 500) };
    let shape = Shape { ring: 4096, credit: 1024, buffers: 4096, lendable: 3072, ..Shape::SMALL };
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, shape), rig.add(1, shape));
    let busy = rig.add(0, Shape { style: Style::Inline, ..Shape::SMALL });
    rig.connect(a, b);
    let [a, b] = [a, b].map(|i| &rig.interfaces[i]);
    b.wire.tx_stalled.store(true, Ordering::Release);
    for sent in (0..FRAMES).step_by(500) {
        a.wire.inject((sent..sent + 500).map(|i| frame(i, 100)));
        until("b's device has them", || b.sent().get(Counter::InFlight) == sent + 500);
    }
    // The owner of a's buffers is held up while all of them set out for home.
    let held = Arc::clone(&rig.interfaces[busy].wire);
    let gate = held.gate.lock().unwrap();
    held.inject([frame(0, 100)]);
    until("the poller is held up", || held.at_gate.load(Ordering::Acquire));
    b.wire.tx_stalled.store(false, Ordering::Release);
    b.wire.wake();
    until("all were sent", || b.sent().get(Counter::Packets) == FRAMES);
    assert_eq!(u64::from(a.pool.lent()), FRAMES);
    drop(gate);
    rig.settle();
    assert_eq!(b.out(), FRAMES);
}

#[test]
fn frames_on_their_way_between_two_pollers_belong_to_the_queue_that_is_taken_away() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(1, Shape::SMALL));
    let busy = rig.add(1, Shape { style: Style::Inline, ..Shape::SMALL });
    rig.connect(a, b);
    // The owner of b is held up while 500 frames for it gather.
    let held = Arc::clone(&rig.interfaces[busy].wire);
    let gate = held.gate.lock().unwrap();
    held.wake();
    until("the owner is held up", || held.at_gate.load(Ordering::Acquire));
    rig.interfaces[a].wire.inject((0..500).map(|i| frame(i, 100)));
    until("all were received", || rig.interfaces[a].has_received_all());
    // What `remove_peer` and `take_tx` ask for, so that the owner finds all of it at once.
    let Interface { poller, tx, peer, .. } = rig.interfaces[b];
    let other = rig.interfaces[a].poller;
    rig.ask(|engine| engine.ask(other, Command::RemovePeer(peer)));
    let (answer, taken) = tokio::sync::oneshot::channel();
    let inbox = rig.engine.inbox(poller).unwrap();
    inbox.send(Command::Stop(tx, StopReason::Retired), None);
    inbox.send(Command::RemovePeer(peer), None);
    inbox.send(Command::TakeTx(tx, answer), None);
    drop(gate);
    taken.blocking_recv().unwrap().expect("it was there");
    rig.settle();
    assert_eq!(rig.interfaces[b].sent().get(Counter::Offered), 500);
    assert_lost(&rig.interfaces[b].sent(), &[(DropReason::AdminDown, 500)]);
}

#[test]
fn a_peer_taken_away_under_traffic_on_one_poller_loses_nothing_unaccounted() {
    peer_goes_under_traffic(1, false);
    peer_goes_under_traffic(1, true);
}

#[test]
fn a_peer_taken_away_under_traffic_on_another_poller_loses_nothing_unaccounted() {
    for _ in 0..5 {
        peer_goes_under_traffic(2, false);
    }
    peer_goes_under_traffic(2, true);
}

/// Takes both queues and the pool away; what is left of the interface is returned.
fn remove(rig: &mut Rig, of: usize) -> Arc<Pool> {
    let poller = rig.interfaces[of].poller;
    take_rx(rig, of);
    take_tx(rig, of);
    let slot = rig.interfaces[of].pool.slot();
    rig.ask(|engine| engine.retire_pool(poller, slot));
    let Event::PoolHome(pool) = rig.event() else { panic!("another event") };
    assert_eq!((pool.slot(), pool.lent(), pool.free()), (slot, 0, Shape::SMALL.buffers));
    rig.ask(|engine| engine.forget_pool(slot));
    pool
}

#[test]
fn interfaces_taken_away_under_traffic_come_home_and_free_their_memory() {
    let mut rig = Rig::new(2);
    let memory = Arc::clone(&rig.memory);
    let blocks = || memory.files().map(|f| f.metadata().unwrap().blocks());
    // Reading the records touches their pages, which stay.
    assert_eq!(QueueRecord::read_all(memory.private()).len(), 0);
    let before = blocks();
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(1, Shape::SMALL));
    rig.connect(a, b);
    rig.connect(b, a);
    for i in [a, b] {
        rig.interfaces[i].wire.inject((0..3_000).map(|n| frame(n, 1_000)));
    }
    until("frames are under way", || rig.interfaces[b].out() >= 100);
    let first = remove(&mut rig, a);
    rig.interfaces[b].wire.inject((0..10).map(|n| frame(n, 1_000)));
    until("the other has dropped what it had for it", || rig.interfaces[b].has_received_all());
    assert!(rig.interfaces[b].received().lost(DropReason::PeerGone) >= 10);
    let second = remove(&mut rig, b);
    assert_eq!(rig.at_rest(), Ok(()));
    assert_eq!(QueueRecord::read_all(memory.private()).len(), 4);
    assert!(blocks()[0] > before[0]);
    // Nobody but us holds them any more, and nothing of them is left.
    rig.interfaces.clear();
    assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (1, 1));
    drop((first, second));
    assert_eq!(QueueRecord::read_all(memory.private()).len(), 0);
    assert_eq!(blocks(), before);
}

#[test]
fn a_pool_is_not_home_before_its_last_buffer_is() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(1, Shape::SMALL));
    rig.connect(a, b);
    rig.interfaces[b].wire.tx_stalled.store(true, Ordering::Release);
    rig.interfaces[a].wire.inject((0..10).map(|n| frame(n, 1_000)));
    until("all are in flight", || rig.interfaces[b].sent().get(Counter::InFlight) == 10);
    let poller = rig.interfaces[a].poller;
    take_rx(&mut rig, a);
    let slot = rig.interfaces[a].pool.slot();
    rig.ask(|engine| engine.retire_pool(poller, slot));
    assert!(rig.events.try_recv().is_err());
    assert_eq!(rig.interfaces[a].pool.lent(), 10);
    rig.interfaces[b].wire.tx_stalled.store(false, Ordering::Release);
    rig.interfaces[b].wire.wake();
    let Event::PoolHome(pool) = rig.event() else { panic!("another event") };
    assert_eq!((pool.lent(), pool.free()), (0, Shape::SMALL.buffers));
    assert_eq!(rig.interfaces[b].out(), 10);
}

#[test]
fn a_host_side_that_is_gone_loses_what_is_in_flight_and_nothing_is_offered_to_it_again() {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(1, Shape::SMALL));
    rig.connect(a, b);
    rig.interfaces[b].wire.tx_stalled.store(true, Ordering::Release);
    rig.interfaces[a].wire.inject((0..50).map(|n| frame(n, 3_000)));
    until("all are in flight", || rig.interfaces[b].sent().get(Counter::InFlight) == 50);
    let Interface { poller, tx, .. } = rig.interfaces[b];
    rig.ask(|engine| engine.stop(poller, tx, StopReason::HostSuspect));
    rig.interfaces[b].stop_device();
    rig.ask(|engine| engine.stop(poller, tx, StopReason::HostGone));
    rig.settle();
    assert_lost(&rig.interfaces[b].sent(), &[(DropReason::HostGone, 50)]);
    rig.interfaces[a].wire.inject((0..20).map(|n| frame(n, 100)));
    rig.settle();
    let expected = [(DropReason::HostGone, 50), (DropReason::NoHost, 20)];
    assert_lost(&rig.interfaces[b].sent(), &expected);
}

#[test]
fn what_the_backend_used_before_the_host_side_went_was_sent() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    rig.connect(a, b);
    rig.interfaces[b].wire.tx_stalled.store(true, Ordering::Release);
    rig.interfaces[a].wire.inject((0..50).map(|n| frame(n, 300)));
    until("all are in flight", || rig.interfaces[b].sent().get(Counter::InFlight) == 50);
    let Interface { poller, tx, .. } = rig.interfaces[b];
    rig.ask(|engine| engine.stop(poller, tx, StopReason::HostSuspect));
    // Used by the device between the suspicion and its end; the poller looks no more.
    rig.interfaces[b].wire.tx_stalled.store(false, Ordering::Release);
    rig.interfaces[b].wire.wake();
    let used = || rig.interfaces[b].memory[1].positions().used_idx == 50;
    until("the device used them", used);
    rig.interfaces[b].stop_device();
    rig.ask(|engine| engine.stop(poller, tx, StopReason::HostGone));
    rig.settle();
    assert_lost(&rig.interfaces[b].sent(), &[]);
    assert_eq!(rig.interfaces[b].sent().get(Counter::Packets), 50);
}

#[test]
fn what_was_received_before_the_host_side_went_is_counted_and_lost() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::SMALL);
    let Interface { poller, rx, .. } = rig.interfaces[a];
    rig.ask(|engine| engine.stop(poller, rx, StopReason::HostSuspect));
    // Used by the device after the suspicion; frames of three buffers each.
    let from = &rig.interfaces[a];
    from.wire.inject((0..10).map(|n| frame(n, 5_000)));
    until("the device used them", || from.memory[0].positions().used_idx == 30);
    rig.interfaces[a].stop_device();
    rig.ask(|engine| engine.stop(poller, rx, StopReason::HostGone));
    rig.settle();
    let from = &rig.interfaces[a];
    assert_eq!(from.received().get(Counter::Packets), 10);
    assert_lost(&from.received(), &[(DropReason::HostGone, 10)]);
    assert_eq!(from.pool.free(), Shape::SMALL.buffers);
}

#[test]
fn a_false_alarm_resumes_a_suspended_queue_but_not_a_broken_one() {
    let mut rig = Rig::new(1);
    let (a, b) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    rig.connect(a, b);
    let [from, to] = [a, b].map(|i| &rig.interfaces[i]);
    rig.ask(|engine| engine.stop(to.poller, to.tx, StopReason::HostSuspect));
    from.wire.inject((0..10).map(|n| frame(n, 100)));
    rig.settle();
    assert_lost(&to.sent(), &[(DropReason::NoHost, 10)]);
    rig.ask(|engine| engine.resume(to.poller, to.tx));
    from.wire.inject((0..10).map(|n| frame(n, 100)));
    rig.settle();
    assert_eq!(to.out(), 10);
    let broken = StopReason::Broken(BrokenReason::ReadFailed);
    rig.ask(|engine| engine.stop(to.poller, to.tx, broken));
    rig.ask(|engine| engine.resume(to.poller, to.tx));
    from.wire.inject((0..10).map(|n| frame(n, 100)));
    rig.settle();
    assert_lost(&to.sent(), &[(DropReason::NoHost, 10), (DropReason::QueueBroken, 10)]);
    assert_eq!(to.sent().get(Counter::BrokenReason), BrokenReason::ReadFailed as u64);
}

#[test]
fn a_queue_whose_files_cannot_be_watched_is_refused_with_the_errno_and_can_be_taken_off() {
    // The files are watched already, for the queues that are there.
    let refused = |result: Result<(), crate::diag::Failure>| {
        let text = result.unwrap_err().to_string();
        assert!(text.contains("epoll_ctl(EPOLL_CTL_ADD)") && text.contains("EEXIST"), "{text}");
    };
    let mut rig = Rig::new(1);
    let (at, other) = (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    let [interface, other] = [at, other].map(|i| &rig.interfaces[i]);
    let poller = interface.poller;
    let port = |direction| Box::new(Port { wire: Arc::clone(&interface.wire), direction });
    let (rx, tx) = (rig.engine.reserve_queue(), rig.engine.reserve_queue());
    let parts = TxParts {
        interface: interface.index,
        kind: Kind::Tap,
        memory: Arc::clone(&interface.memory[1]),
        ring: interface.memory[1].driver_ring().unwrap(),
        device: port(Direction::Tx),
        admin_up: true,
        link_up: true,
        mtus: Mtus::default(),
    };
    refused(rig.try_ask(|engine| engine.add_tx(poller, tx, parts)));
    // As the undo of a create does it.
    rig.ask(|engine| engine.stop(poller, tx, StopReason::Retired));
    rig.ask(|engine| engine.take_tx(poller, tx)).expect("it was placed");
    let parts = RxParts {
        interface: interface.index,
        kind: Kind::Tap,
        memory: Arc::clone(&interface.memory[0]),
        ring: interface.memory[0].driver_ring().unwrap(),
        device: port(Direction::Rx),
        pool: Arc::clone(&interface.pool),
        credit: 0,
        admin_up: true,
    };
    refused(rig.try_ask(|engine| engine.add_rx(poller, rx, parts, other.peer, Action::Sink)));
    rig.ask(|engine| engine.stop(poller, rx, StopReason::Retired));
    rig.ask(|engine| engine.take_rx(poller, rx)).expect("it was placed");
}
