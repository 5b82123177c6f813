//! The receive half.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use nix::sys::socket::SockType;
use nix::unistd::write;
use taptool::device::{BufferClass, Wait};
use taptool::ring::AtomicArray;

use super::bench::{Bench, MAXIMAL, Random, socket_tap};

#[test]
fn frames_of_all_sizes_are_read_whole_into_one_large_buffer_each() {
    let (tap, host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Large);
    let mut random = Random(0x9e37_79b9);
    for round in 0..2_000 {
        let bytes = [MAXIMAL, 26, 1526][round % 3] - usize::try_from(random.below(12)).unwrap();
        let frame = random.frame(bytes.max(26));
        write(&host, &frame).unwrap();
        bench.post(usize::from(16 - bench.rx.in_flight()));
        bench.from_tap.serve();
        let (mut seen, buffers) = bench.receive().unwrap();
        assert_eq!((buffers, seen[10], seen[11]), (1, 1, 0));
        seen[10..12].fill(0);
        assert_eq!(seen, frame);
    }
}

#[test]
fn maximal_frames_are_spread_over_2_kib_buffers_and_say_how_many() {
    let (tap, host) = socket_tap(SockType::SeqPacket);
    let mut bench = Bench::new(tap, BufferClass::Small);
    let mut random = Random(0x9e37_79b9);
    // Beyond the wrap of the indices: 70,000 buffers.
    let mut used = 0;
    while used < 70_000 {
        let bytes = 26 + usize::try_from(random.below(MAXIMAL as u64 - 25)).unwrap();
        let frame = random.frame(bytes);
        write(&host, &frame).unwrap();
        bench.post(usize::from(100 - bench.rx.in_flight()));
        bench.from_tap.serve();
        let (mut seen, buffers) = bench.receive().unwrap();
        assert_eq!(usize::from(buffers), bytes.div_ceil(2048));
        assert_eq!(u16::from_le_bytes([seen[10], seen[11]]), buffers);
        seen[10..12].fill(0);
        assert_eq!(seen, frame);
        used += u64::from(buffers);
    }
    assert_eq!(bench.receive(), None);
}

#[test]
fn nothing_is_read_while_too_few_buffers_for_a_maximal_frame_are_posted() {
    let (tap, host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Small);
    let frame = Random(1).frame(MAXIMAL);
    write(&host, &frame).unwrap();
    bench.post(32);
    assert!(!bench.from_tap.serve().host_suspect);
    assert_eq!(bench.receive(), None);
    bench.post(1);
    bench.from_tap.serve();
    let (seen, buffers) = bench.receive().unwrap();
    assert_eq!((seen.len(), buffers), (MAXIMAL, 33));
}

#[test]
fn without_a_posted_buffer_the_frame_stays_with_the_tap() {
    let (tap, host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Large);
    write(&host, &Random(1).frame(60)).unwrap();
    for _ in 0..3 {
        let served = bench.from_tap.serve();
        assert_eq!((served.call, served.host_suspect, served.more), (false, false, false));
    }
    bench.post(1);
    bench.from_tap.serve();
    assert_eq!(bench.receive().unwrap().0.len(), 60);
}

#[test]
fn a_visit_ends_at_its_budget_and_says_that_there_is_more() {
    let (tap, host) = socket_tap(SockType::SeqPacket);
    let mut bench = Bench::new(tap, BufferClass::Large);
    for _ in 0..40 {
        write(&host, &Random(1).frame(100)).unwrap();
    }
    bench.post(100);
    assert!(bench.from_tap.serve().more);
    assert_eq!(std::iter::from_fn(|| bench.receive()).count(), 32);
    assert!(!bench.from_tap.serve().more);
    assert_eq!(std::iter::from_fn(|| bench.receive()).count(), 8);
}

#[test]
fn a_call_is_due_exactly_when_the_driver_armed() {
    let (tap, host) = socket_tap(SockType::SeqPacket);
    let mut bench = Bench::new(tap, BufferClass::Large);
    bench.post(10);
    for armed in [true, false, true] {
        if armed {
            assert!(!bench.rx.arm());
        } else {
            bench.rx.disarm();
        }
        write(&host, &Random(1).frame(100)).unwrap();
        assert_eq!(bench.from_tap.serve().call, armed);
        assert!(bench.receive().is_some());
    }
}

#[test]
fn only_a_sleeping_queue_is_woken_by_the_tap_and_once() {
    let (tap, host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Large);
    let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
    let mut events = [EpollEvent::empty(); 4];
    bench.from_tap.register(&epoll, 7).unwrap();
    write(&host, &Random(1).frame(100)).unwrap();
    assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
    assert_eq!(bench.from_tap.sleep(&epoll, 7), Ok(Wait::Armed));
    assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(1));
    assert_eq!(events[0].data(), 7);
    write(&host, &Random(1).frame(100)).unwrap();
    assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
    bench.from_tap.unregister(&epoll);
    bench.from_tap.unregister(&epoll);
}

#[test]
fn a_tap_that_is_there_and_refuses_to_be_read_is_reported_as_that() {
    for class in [BufferClass::Small, BufferClass::Large] {
        // The end of a pipe that only takes bytes.
        let (_read, tap) = nix::unistd::pipe().unwrap();
        let mut bench = Bench::new(tap, class);
        bench.post(40);
        let served = bench.from_tap.serve();
        assert!(served.refused && !served.host_suspect);
        assert_eq!(bench.receive(), None);
        assert_eq!(bench.rx.in_flight(), 40);
    }
}

#[test]
fn a_frame_that_the_tap_cannot_hand_over_is_counted_and_breaks_nothing() {
    for class in [BufferClass::Small, BufferClass::Large] {
        // An epoll instance answers a read as a tap does for a frame that no header describes.
        let mut bench = Bench::new(Epoll::new(EpollCreateFlags::empty()).unwrap().0, class);
        bench.post(40);
        let served = bench.from_tap.serve();
        assert!(!served.refused && !served.host_suspect);
        // As many as a visit may take: more may wait.
        assert_eq!((served.unreadable, served.more), (32, true));
        assert_eq!(bench.receive(), None);
        assert_eq!(bench.rx.in_flight(), 40);
    }
}

#[test]
fn a_buffer_outside_the_memory_is_used_up_unread_and_the_next_takes_the_frame() {
    let (tap, host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Large);
    bench.post(2);
    let layout = *bench.queues[0].layout();
    let desc = AtomicArray::<AtomicU64>::new(bench.memory.shared(), layout.desc, 4).unwrap();
    desc[0].store(1 << 40, Ordering::Relaxed);
    write(&host, &Random(1).frame(100)).unwrap();
    bench.from_tap.serve();
    assert_eq!(bench.rx.look(), Ok(2));
    assert_eq!(bench.rx.take().unwrap().unwrap().written, 0);
    assert_eq!(bench.rx.take().unwrap().unwrap().written, 100);
}
