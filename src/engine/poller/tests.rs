//! What a poller shares with other threads. They stand apart from what they test because
//! `tests/orderings.rs` compiles that with other primitives.

use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::statistics::Round;
use super::{Inbox, PollerStatistics, StatisticsCells};
use crate::device::{Frame, PoolSlot};
use crate::engine::peers::{Handoff, Message};

/// One message at a time, each into a sleep that begins: the sender rings or the sleeper looks.
#[test]
fn a_message_that_meets_a_poller_on_its_way_to_sleep_is_seen_or_rings_the_bell() {
    const MESSAGES: u32 = 100_000;
    let inbox = Arc::new(Inbox::new().unwrap());
    let handoff = Arc::new(<Handoff>::new());
    let (theirs, ring) = (Arc::clone(&inbox), Arc::clone(&handoff));
    let sender = std::thread::spawn(move || {
        for head in 0..MESSAGES {
            while !ring.is_empty() {
                std::thread::yield_now();
            }
            for _ in 0..head % 64 {
                std::hint::spin_loop();
            }
            let frame = Frame { pool: PoolSlot(0), head, buffers: 1, bytes: 60 };
            assert!(ring.push(Message::Return(frame)));
            theirs.ring();
        }
    });
    let mut taken = 0;
    while taken < MESSAGES {
        inbox.fall_asleep();
        if handoff.is_empty() {
            let mut bell = [PollFd::new(inbox.bell(), PollFlags::POLLIN)];
            let woken = poll(&mut bell, PollTimeout::from(60_000_u16)).unwrap();
            assert_eq!(woken, 1, "slept through message {taken}");
        }
        inbox.wake_up();
        // The poller watches for edges; here the bell is silenced by hand.
        let _ = nix::unistd::read(inbox.bell(), &mut [0; 8]);
        while handoff.pop().is_some() {
            taken += 1;
        }
    }
    sender.join().unwrap();
}

#[test]
fn a_sleep_that_lasts_is_counted_and_one_that_is_over_is_not_counted_twice() {
    let cells = StatisticsCells::new(std::time::Instant::now());
    let mut statistics = PollerStatistics { loops: 3, ..PollerStatistics::default() };
    statistics.spend(Round::Busy, 5);
    statistics.spend(Round::Idle, 7);
    cells.publish(&statistics, Some(0));
    let first = cells.read();
    let second = cells.read();
    assert!(first.asleep_ns > 0 && second.asleep_ns >= first.asleep_ns);
    assert_eq!((first.loops, first.busy_ns, first.spin_ns), (3, 5, 7));
    statistics.spend(Round::Asleep, 100);
    cells.publish(&statistics, None);
    assert_eq!(cells.read(), statistics);
}
