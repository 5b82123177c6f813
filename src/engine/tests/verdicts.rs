//! What actions ask for: floods, frames of their own, edits, held frames, timers.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::doubles::Poison;
use super::frames::{assert_lost, check_content, frame};
use super::reset::{halt, revive};
use super::rig::{Interface, Rig, Shape, until};
use crate::action::bridge::{Bridge, Member, Settings};
use crate::action::scripted::Script;
use crate::action::{Action, Context, HeldKey, PeerKey, Verdict};
use crate::counters::{Counter, DropReason};
use crate::engine::{Event, StopReason};
use crate::frame::NetHdr;

/// An action for every frame; called with none when a time has come.
fn scripted(
    call: impl FnMut(&mut Context<'_>, Option<usize>) -> Verdict + Send + 'static,
) -> Action {
    Action::Scripted(Script::new(call))
}

/// Floods to these interfaces.
fn flood(rig: &Rig, to: &[usize]) -> Action {
    let peers: Vec<PeerKey> = to.iter().map(|i| rig.interfaces[*i].peer).collect();
    scripted(move |context, _| {
        peers.iter().for_each(|peer| context.output.flood_to(*peer));
        Verdict::Flood
    })
}

#[test]
fn a_flooded_frame_reaches_every_peer_whole_on_whatever_poller_and_its_buffers_return_once() {
    for (shape, lengths) in
        [(Shape::SMALL, [60, 5_000, 65_553]), (Shape::LARGE, [60, 1_500, 65_553])]
    {
        let mut rig = Rig::new(2);
        for i in 0..5 {
            rig.add(i % 2, if i == 4 { Shape::LARGE } else { shape });
        }
        rig.set_action(0, flood(&rig, &[1, 2, 3, 4]));
        let mut inside = Vec::new();
        for n in 0..40 {
            let burst: Vec<_> = lengths.iter().map(|len| frame(n, *len)).collect();
            inside.extend(burst.iter().cloned());
            rig.interfaces[0].wire.inject(burst);
            rig.settle();
        }
        for to in 1..5 {
            assert_eq!(check_content(&inside, &rig.interfaces[to].wire.collect()), 0, "{to}");
        }
        let received = rig.interfaces[0].received();
        assert_eq!(received.get(Counter::Packets), 120);
        assert_eq!(received.get(Counter::Copies), 360);
        assert_eq!(received.get(Counter::Forwarded), 480);
        assert_eq!(rig.interfaces[0].pool.refused(), 0);
    }
}

#[test]
fn a_peer_that_takes_nothing_keeps_a_flooded_frames_buffers_and_not_the_other_peers_waiting() {
    for pollers in [[0, 0, 0], [0, 0, 1]] {
        let mut rig = Rig::new(2);
        for poller in pollers {
            rig.add(poller, Shape::SMALL);
        }
        rig.set_action(0, flood(&rig, &[1, 2]));
        rig.interfaces[2].wire.tx_stalled.store(true, Ordering::Release);
        rig.interfaces[0].wire.inject((0..100).map(|i| frame(i, 3_000)));
        until("the other peer has all", || rig.interfaces[1].out() == 100);
        until("its share was taken back", || {
            rig.check();
            rig.interfaces[1].sent().get(Counter::InFlight) == 0
        });
        assert_eq!(rig.interfaces[0].pool.lent(), 200);
        rig.interfaces[2].wire.tx_stalled.store(false, Ordering::Release);
        rig.interfaces[2].wire.wake();
        rig.settle();
        assert_eq!(rig.interfaces[2].out(), 100);
    }
}

#[test]
fn a_flood_loses_the_copy_for_a_peer_that_is_gone_with_its_reason_and_no_other() {
    let mut rig = Rig::new(1);
    (0..4).for_each(|_| _ = rig.add(0, Shape::LARGE));
    rig.set_action(0, flood(&rig, &[1, 2, 3]));
    for gone in [1, 2, 3] {
        let peer = rig.interfaces[gone].peer;
        rig.ask(|engine| engine.remove_peer(peer));
        rig.interfaces[0].wire.inject([frame(0, 60)]);
        rig.settle();
    }
    assert_eq!([1, 2, 3].map(|i| rig.interfaces[i].out()), [0, 1, 2]);
    let received = rig.interfaces[0].received();
    assert_lost(&received, &[(DropReason::PeerGone, 6)]);
    assert_eq!((received.get(Counter::Forwarded), received.get(Counter::Copies)), (3, 6));
    // A flood to no peer at all loses the frame.
    rig.set_action(0, flood(&rig, &[]));
    rig.interfaces[0].wire.inject([frame(0, 60)]);
    rig.settle();
    assert_lost(&rig.interfaces[0].received(), &[(DropReason::PeerGone, 7)]);
}

#[test]
fn more_references_than_messages_fit_between_two_pollers_all_return() {
    let mut rig = Rig::new(2);
    rig.add(0, Shape::SMALL);
    (0..12).for_each(|_| _ = rig.add(1, Shape::SMALL));
    let busy = rig.add(0, Shape::LARGE);
    let all: Vec<usize> = (1..13).collect();
    rig.set_action(0, flood(&rig, &all));
    let stall = |stalled: bool| {
        for to in &all {
            rig.interfaces[*to].wire.tx_stalled.store(stalled, Ordering::Release);
            rig.interfaces[*to].wire.wake();
        }
    };
    // A few at a time, so that all find room: 240 frames for 12 peers are 2880 returns.
    stall(true);
    for burst in 0..12 {
        rig.interfaces[0].wire.inject((0..20).map(|i| frame(20 * burst + i, 60)));
        let sent = 20 * (burst + 1);
        until("each has its share", || {
            all.iter().all(|to| rig.interfaces[*to].sent().get(Counter::Enqueued) == sent)
        });
    }
    // The owner is held up until the ring to it is full.
    let owner = Arc::clone(&rig.interfaces[busy].wire);
    let gate = owner.gate.lock().unwrap();
    owner.wake();
    owner.inject([frame(0, 60)]);
    until("the owner is held up", || owner.at_gate.load(Ordering::Acquire));
    stall(false);
    until("all were taken back", || {
        all.iter().all(|to| rig.interfaces[*to].sent().get(Counter::InFlight) == 0)
    });
    assert_eq!(rig.interfaces[0].pool.lent(), 240);
    drop(gate);
    rig.settle();
    let received = rig.interfaces[0].received();
    assert_eq!(received.get(Counter::Copies), 240 * 11);
    assert_eq!(received.get(Counter::Forwarded), 240 * 12);
}

#[test]
fn an_action_edits_the_frame_and_sends_frames_of_its_own_to_any_peer() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(2);
        (0..3).for_each(|i| _ = rig.add(i % 2, shape));
        let [to, other] = [1, 2].map(|i| rig.interfaces[i].peer);
        rig.set_action(
            0,
            scripted(move |context, _| {
                let kind = context.kind;
                assert!(
                    context.output.edit(0, &[2, 7, 7, 7, 7, 7]) && context.output.edit(60, &[1])
                );
                for byte in [8, 9] {
                    context.output.room(kind)[..20].fill(byte);
                    assert!(context.output.originate(other, &NetHdr::plain(), 20));
                }
                Verdict::Forward(to)
            }),
        );
        rig.interfaces[0].wire.inject([frame(5, 60)]);
        rig.settle();
        let mut edited = frame(5, 60);
        edited[12..18].copy_from_slice(&[2, 7, 7, 7, 7, 7]);
        assert_eq!(rig.interfaces[1].wire.collect(), [edited]);
        let own: Vec<_> = rig.interfaces[2].wire.collect();
        assert_eq!(own.iter().map(|f| (f.len(), f[12])).collect::<Vec<_>>(), [(32, 8), (32, 9)]);
        let sent = rig.interfaces[2].sent();
        assert_eq!((sent.get(Counter::Originated), sent.get(Counter::Offered)), (2, 2));
    }
}

#[test]
fn a_frame_of_our_own_that_finds_no_peer_is_counted_whatever_becomes_of_the_received_one() {
    let mut rig = Rig::new(1);
    (0..2).for_each(|_| _ = rig.add(0, Shape::LARGE));
    let to = rig.interfaces[1].peer;
    let gone = PeerKey { slot: 99, generation: 1 };
    for (verdict, forwarded, copies) in [(Verdict::Consume, 0, 1), (Verdict::Forward(to), 1, 3)] {
        rig.set_action(
            0,
            scripted(move |context, _| {
                (0..2).for_each(|_| _ = context.output.originate(gone, &NetHdr::plain(), 60));
                verdict
            }),
        );
        rig.interfaces[0].wire.inject([frame(0, 60)]);
        rig.settle();
        let received = rig.interfaces[0].received();
        assert_eq!(received.get(Counter::Forwarded), forwarded, "{verdict:?}");
        assert_eq!(received.get(Counter::Copies), copies, "{verdict:?}");
    }
    let received = rig.interfaces[0].received();
    assert_eq!(received.get(Counter::Consumed), 0);
    assert_lost(&received, &[(DropReason::PeerGone, 4)]);
}

/// Holds every frame; says which.
fn hold(keys: Arc<Mutex<Vec<HeldKey>>>) -> Action {
    scripted(move |context, _| {
        keys.lock().unwrap().push(context.next_held);
        Verdict::Hold
    })
}

#[test]
fn held_frames_are_in_the_ledger_and_go_on_at_their_time_in_the_order_that_the_action_wants() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(1);
        (0..2).for_each(|_| _ = rig.add(0, shape));
        let to = rig.interfaces[1].peer;
        let mut keys = Vec::new();
        let go = Arc::new(Mutex::new(false));
        let may_go = Arc::clone(&go);
        // A frame is held; every millisecond it is looked whether all may go, the last one first.
        rig.set_action(
            0,
            scripted(move |context, frame| {
                if frame.is_some() {
                    keys.push(context.next_held);
                } else if *may_go.lock().unwrap() {
                    for key in keys.drain(..).rev() {
                        context.output.release(key, Verdict::Forward(to));
                        // Nothing is held under it any more.
                        context.output.release(key, Verdict::Forward(to));
                    }
                }
                if !keys.is_empty() {
                    context.output.wake_at(context.now_ns + 1_000_000);
                }
                Verdict::Hold
            }),
        );
        let inside: Vec<_> = (0..10).map(|i| frame(i, 3_000)).collect();
        rig.interfaces[0].wire.inject(inside.iter().cloned());
        until("all are held", || {
            rig.check();
            rig.interfaces[0].received().get(Counter::Held) == 10
        });
        assert_eq!(rig.interfaces[1].out(), 0);
        *go.lock().unwrap() = true;
        rig.settle();
        let mut outside = rig.interfaces[1].wire.collect();
        outside.reverse();
        assert_eq!(outside, inside);
        assert_eq!(rig.interfaces[0].received().get(Counter::Forwarded), 10);
    }
}

#[test]
fn a_held_frame_can_be_flooded_consumed_and_lost() {
    let mut rig = Rig::new(1);
    (0..3).for_each(|_| _ = rig.add(0, Shape::SMALL));
    let peers = [1, 2].map(|i| rig.interfaces[i].peer);
    let mut keys = Vec::new();
    rig.set_action(
        0,
        scripted(move |context, _| {
            if let [first, second, third] = keys[..] {
                peers.iter().for_each(|peer| context.output.flood_to(*peer));
                context.output.release(first, Verdict::Flood);
                context.output.release(second, Verdict::Consume);
                context.output.release(third, Verdict::Drop(DropReason::NoMember));
                return Verdict::Consume;
            }
            keys.push(context.next_held);
            Verdict::Hold
        }),
    );
    rig.interfaces[0].wire.inject((0..4).map(|i| frame(i, 3_000)));
    rig.settle();
    assert_eq!(
        [1, 2].map(|i| rig.interfaces[i].wire.collect()),
        [[frame(0, 3_000)], [frame(0, 3_000)]]
    );
    let received = rig.interfaces[0].received();
    assert_eq!((received.get(Counter::Consumed), received.get(Counter::Forwarded)), (2, 2));
    assert_lost(&received, &[(DropReason::NoMember, 1)]);
}

#[test]
fn no_more_frames_are_held_than_may_be_lent_and_receiving_goes_on() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::LARGE);
    rig.set_action(a, hold(Arc::default()));
    rig.interfaces[a].wire.inject((0..100).map(|i| frame(i, 60)));
    until("all were received", || rig.interfaces[a].has_received_all());
    let received = rig.interfaces[a].received();
    let most = u64::from(Shape::LARGE.lendable);
    assert_eq!(received.get(Counter::Held), most);
    assert_lost(&received, &[(DropReason::HoldFull, 100 - most)]);
    // Another action does not know them.
    rig.set_action(a, Action::Sink);
    rig.settle();
    let expected = [(DropReason::HoldFull, 100 - most), (DropReason::ActionChanged, most)];
    assert_lost(&rig.interfaces[a].received(), &expected);
}

#[test]
fn frames_that_are_held_when_their_queue_is_emptied_are_lost_as_torn() {
    for retire in [true, false] {
        let mut rig = Rig::new(1);
        let a = rig.add(0, Shape::SMALL);
        let keys = Arc::default();
        rig.set_action(a, hold(Arc::clone(&keys)));
        rig.interfaces[a].wire.inject((0..10).map(|i| frame(i, 3_000)));
        until("they are held", || rig.interfaces[a].received().get(Counter::Held) == 10);
        if retire {
            let Interface { poller, rx, .. } = rig.interfaces[a];
            rig.ask(|engine| engine.stop(poller, rx, StopReason::Retired));
            rig.interfaces[a].stop_device();
            rig.ask(|engine| engine.empty(poller, rx));
            assert_eq!(rig.interfaces[a].pool.free(), Shape::SMALL.buffers);
        } else {
            halt(&mut rig, a);
            revive(&mut rig, a);
            // The frames of before are not held any more.
            let last = keys.lock().unwrap()[9];
            rig.set_action(
                a,
                scripted(move |context, _| {
                    context.output.release(last, Verdict::Consume);
                    Verdict::Consume
                }),
            );
            rig.interfaces[a].wire.inject([frame(0, 60)]);
            rig.settle();
        }
        assert_lost(&rig.interfaces[a].received(), &[(DropReason::Torn, 10)]);
        assert_eq!(rig.at_rest(), Ok(()));
    }
}

#[test]
fn a_time_that_comes_while_the_queue_is_stopped_is_not_lost() {
    let mut rig = Rig::new(1);
    (0..2).for_each(|_| _ = rig.add(0, Shape::SMALL));
    let to = rig.interfaces[1].peer;
    let key = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&key);
    rig.set_action(
        0,
        scripted(move |context, frame| {
            let mut kept = kept.lock().unwrap();
            if frame.is_some() {
                *kept = Some(context.next_held);
                // The time comes with the commands below, and not before.
                context.output.wake_at(context.now_ns + 3_600_000_000_000);
            } else if let Some(key) = kept.take() {
                context.output.release(key, Verdict::Forward(to));
            }
            Verdict::Hold
        }),
    );
    rig.interfaces[0].wire.inject([frame(0, 60)]);
    until("it is held", || rig.interfaces[0].received().get(Counter::Held) == 1);
    let Interface { poller, rx, .. } = rig.interfaces[0];
    rig.ask(|engine| engine.stop(poller, rx, StopReason::HostSuspect));
    rig.ask(|engine| engine.resume(poller, rx));
    rig.settle();
    assert_eq!(rig.interfaces[1].out(), 1);
}

#[test]
fn an_action_is_called_again_after_its_queue_was_reset() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::LARGE);
    let calls = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&calls);
    rig.set_action(
        a,
        scripted(move |_, frame| {
            *seen.lock().unwrap() += u32::from(frame.is_none());
            Verdict::Consume
        }),
    );
    halt(&mut rig, a);
    revive(&mut rig, a);
    until("it was called", || *calls.lock().unwrap() == 1);
}

#[test]
fn a_panic_in_the_middle_of_a_flood_costs_no_buffer_and_the_ledger_balances() {
    for (shape, here) in [
        (Shape::LARGE, Poison::Send),
        (Shape::LARGE, Poison::Refusal),
        (Shape::SMALL, Poison::Kick),
    ] {
        let mut rig = Rig::new(1);
        (0..4).for_each(|_| _ = rig.add(0, shape));
        rig.set_action(0, flood(&rig, &[1, 2, 3]));
        *rig.interfaces[2].wire.poison.lock().unwrap() = Some(here);
        rig.interfaces[0].wire.inject([frame(0, 3_000)]);
        for _ in 0..2 {
            assert!(matches!(rig.event(), Event::QueueBroken { .. }));
        }
        // What was posted for another peer before is sent without further traffic.
        until("the first peer has its copy", || rig.interfaces[1].out() == 1);
        rig.check();
        for broken in [0, 2] {
            halt(&mut rig, broken);
        }
        for broken in [0, 2] {
            revive(&mut rig, broken);
        }
        rig.interfaces[0].wire.inject((0..50).map(|i| frame(i, 3_000)));
        rig.settle();
        assert!(rig.interfaces[2].out() >= 50, "{here:?}");
    }
}

#[test]
fn a_panic_when_a_time_has_come_breaks_that_queue_alone() {
    let mut rig = Rig::new(1);
    (0..4).for_each(|_| _ = rig.add(0, Shape::LARGE));
    rig.connect(2, 3);
    rig.set_action(
        0,
        scripted(|context, frame| {
            assert!(frame.is_some(), "on purpose");
            context.output.wake_at(0);
            Verdict::Hold
        }),
    );
    rig.interfaces[0].wire.inject([frame(0, 60)]);
    let rx = rig.interfaces[0].rx;
    assert!(matches!(rig.event(), Event::QueueBroken { queue, .. } if queue == rx));
    rig.interfaces[2].wire.inject([frame(0, 60)]);
    until("the other wire goes on", || rig.interfaces[3].out() == 1);
    halt(&mut rig, 0);
    assert_lost(&rig.interfaces[0].received(), &[(DropReason::Torn, 1)]);
}

#[test]
fn a_bridge_floods_until_it_has_learned_and_then_sends_to_one_member() {
    let mut rig = Rig::new(1);
    (0..3).for_each(|_| _ = rig.add(0, Shape::SMALL));
    let domain = rig.engine.reserve_domain();
    let members: Vec<_> =
        rig.interfaces.iter().map(|i| Member { peer: i.peer, group: 0 }).collect();
    rig.ask(|engine| engine.set_domain(domain, Settings::default(), members.clone()));
    for member in 0..3 {
        rig.set_action(member, Action::Bridge(Bridge { domain, group: 0 }));
    }
    let between = |from: u8, to: u8| {
        let mut whole = frame(0, 60);
        whole[12..24].copy_from_slice(&[2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from]);
        whole
    };
    rig.interfaces[0].wire.inject([between(10, 11)]);
    rig.settle();
    assert_eq!([0, 1, 2].map(|i| rig.interfaces[i].out()), [0, 1, 1]);
    rig.interfaces[1].wire.inject([between(11, 10)]);
    rig.settle();
    assert_eq!([0, 1, 2].map(|i| rig.interfaces[i].out()), [1, 1, 1]);
    rig.interfaces[0].wire.inject([between(10, 11)]);
    rig.settle();
    assert_eq!([0, 1, 2].map(|i| rig.interfaces[i].out()), [1, 2, 1]);
    let known = rig.ask(|engine| engine.macs(domain));
    let mut known: Vec<_> = known[0].1.iter().map(|(mac, entry)| (mac[5], entry.peer)).collect();
    known.sort_by_key(|(mac, _)| *mac);
    let [a, b] = [0, 1].map(|i| rig.interfaces[i].peer);
    assert_eq!(known, [(10, Some(a)), (11, Some(b))]);
    // A member that left, and what was behind it, is forgotten.
    rig.ask(|engine| engine.set_domain(domain, Settings::default(), members[1..].to_vec()));
    rig.interfaces[2].wire.inject([between(12, 10)]);
    rig.settle();
    assert_eq!([0, 1, 2].map(|i| rig.interfaces[i].out()), [1, 3, 1]);
    rig.ask(|engine| engine.remove_domain(domain));
    rig.interfaces[2].wire.inject([between(12, 10)]);
    rig.settle();
    assert_lost(&rig.interfaces[2].received(), &[(DropReason::NoMember, 1)]);
}
