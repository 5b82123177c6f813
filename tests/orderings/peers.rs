//! Messages cross from one poller to another whole and in order.

use loom::sync::Arc;
use loom::thread;

use super::handoff::{Handoff, Message};
use crate::device::{Frame, PoolSlot};
use crate::engine::QueueKey;

/// A message that is another in each of its words.
fn message(number: u32) -> Message {
    Message::Offer {
        to: QueueKey { slot: number, generation: number },
        frame: Frame { pool: PoolSlot(0), head: number, buffers: 1, bytes: number },
        originated: false,
    }
}

#[test]
fn messages_are_whole_and_in_order_also_where_the_room_of_one_is_used_again() {
    loom::model(|| {
        // So little room that the second message waits for that of the first.
        let ring = Arc::new(Handoff::<1>::new());
        let theirs = Arc::clone(&ring);
        let writer = thread::spawn(move || {
            for number in 1..=2 {
                while !theirs.push(message(number)) {
                    thread::yield_now();
                }
            }
        });
        let mut next = 1;
        while next <= 2 {
            match ring.pop() {
                Some(taken) => {
                    assert_eq!(taken, message(next));
                    next += 1;
                }
                None => thread::yield_now(),
            }
        }
        writer.join().unwrap();
        assert!(ring.is_empty());
    });
}
