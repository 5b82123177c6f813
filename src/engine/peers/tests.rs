//! The ring between two pollers. They stand apart from what they test because
//! `tests/orderings.rs` compiles that with other primitives.

use std::sync::Arc;

use super::{Handoff, Message};
use crate::device::{Frame, PoolSlot};
use crate::engine::QueueKey;

fn frame(head: u32) -> Frame {
    Frame { pool: PoolSlot(9), head, buffers: 33, bytes: 65_000 }
}

#[test]
fn messages_cross_two_threads_in_order_and_whole() {
    let ring = Arc::new(<Handoff>::new());
    let theirs = Arc::clone(&ring);
    const COUNT: u32 = 200_000;
    let writer = std::thread::spawn(move || {
        for i in 0..COUNT {
            let message = match i % 3 {
                0 => Message::Return(frame(i)),
                n => Message::Offer {
                    to: QueueKey { slot: i, generation: i + 1 },
                    frame: frame(i),
                    originated: n == 1,
                },
            };
            while !theirs.push(message) {
                std::thread::yield_now();
            }
        }
    });
    let mut expected = 0;
    while expected < COUNT {
        match ring.pop() {
            None => std::thread::yield_now(),
            Some(Message::Return(f)) => {
                assert_eq!((f, expected % 3), (frame(expected), 0));
                expected += 1;
            }
            Some(Message::Offer { to, frame: f, originated }) => {
                assert_eq!(f, frame(expected));
                assert_eq!((to.slot, to.generation), (expected, expected + 1));
                assert_eq!(originated, expected % 3 == 1);
                expected += 1;
            }
        }
    }
    writer.join().unwrap();
    assert!(ring.is_empty());
}

#[test]
fn a_full_ring_refuses() {
    let ring = <Handoff>::new();
    for i in 0..1024 {
        assert!(ring.push(Message::Return(frame(i))));
    }
    assert!(!ring.push(Message::Return(frame(0))));
    ring.pop();
    assert!(ring.push(Message::Return(frame(0))));
}
