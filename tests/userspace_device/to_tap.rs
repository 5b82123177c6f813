//! The transmit half.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollTimeout};
use nix::sys::socket::{SockType, setsockopt, sockopt};
use taptool::device::{BufferClass, Wait};
use taptool::ring::AtomicArray;

use super::bench::{Bench, MAXIMAL, Random, read_host, socket_tap};

#[test]
fn frames_in_one_piece_and_in_many_arrive_whole_and_in_order() {
    for class in [BufferClass::Large, BufferClass::Small] {
        let (tap, host) = socket_tap(SockType::Datagram);
        let mut bench = Bench::new(tap, class);
        let mut random = Random(0x1234_5678);
        for round in 0..1_000 {
            let most = if round % 4 == 0 { MAXIMAL } else { 1526 };
            let frames: Vec<_> = (0..1 + random.below(3))
                .map(|_| {
                    let bytes = 26 + random.below(most as u64 - 25);
                    random.frame(usize::try_from(bytes).unwrap())
                })
                .collect();
            for frame in &frames {
                bench.send(frame);
            }
            bench.to_tap.serve();
            assert_eq!(bench.reclaim(), vec![None; frames.len()]);
            for frame in &frames {
                assert_eq!(read_host(&host).as_ref(), Some(frame));
            }
            assert_eq!(read_host(&host), None);
        }
        assert_eq!(bench.pool.free(), 256);
    }
}

#[test]
fn a_device_that_stopped_goes_on_at_its_ring_bases_and_no_frame_is_lost_or_sent_twice() {
    let (tap, host) = socket_tap(SockType::SeqPacket);
    setsockopt(&tap, sockopt::SndBuf, &(64 << 10)).unwrap();
    let mut bench = Bench::new(tap, BufferClass::Small);
    bench.post(40);
    let mut random = Random(9);
    let frames: Vec<_> = (0..16).map(|_| random.frame(10_000)).collect();
    for frame in &frames {
        bench.send(frame);
    }
    // The host side takes some of them.
    bench.to_tap.serve();
    let sent = bench.reclaim().len();
    assert!(sent > 0 && sent < frames.len(), "{sent}");
    assert_eq!(bench.restart(), [0, u16::try_from(sent).unwrap()]);
    let mut arrived = Vec::new();
    while arrived.len() < frames.len() {
        arrived.extend(read_host(&host));
        bench.to_tap.serve();
        bench.reclaim();
    }
    assert_eq!(arrived, frames);
    assert_eq!(read_host(&host), None);
    assert_eq!(bench.restart(), [0, 16]);
    nix::unistd::write(&host, &frames[0]).unwrap();
    bench.from_tap.serve();
    assert_eq!(bench.receive().map(|(_, buffers)| buffers), Some(5));
    assert_eq!(bench.restart(), [5, 16]);
}

#[test]
fn a_full_host_side_leaves_the_chains_in_the_ring_and_wakes_the_queue_when_it_has_room() {
    let (tap, host) = socket_tap(SockType::SeqPacket);
    setsockopt(&tap, sockopt::SndBuf, &(64 << 10)).unwrap();
    let mut bench = Bench::new(tap, BufferClass::Small);
    let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
    let mut events = [EpollEvent::empty(); 4];
    bench.to_tap.register(&epoll, 5).unwrap();
    let mut random = Random(0x1234_5678);
    let frames: Vec<_> = (0..50).map(|_| random.frame(10_000)).collect();
    let (mut sent, mut arrived, mut stalls) = (0, Vec::new(), 0);
    while arrived.len() < frames.len() {
        while sent < frames.len() && bench.pool.free() >= 5 {
            bench.send(&frames[sent]);
            sent += 1;
        }
        bench.to_tap.serve();
        assert!(bench.reclaim().iter().all(Option::is_none));
        if bench.tx.in_flight() > 0 {
            // Nothing of the frame that did not fit was written, and nothing of it is lost.
            stalls += 1;
            let before = bench.tx.in_flight();
            bench.to_tap.serve();
            assert_eq!((bench.reclaim().len(), bench.tx.in_flight()), (0, before));
            assert_eq!(bench.to_tap.sleep(&epoll, 5), Ok(Wait::Armed));
            assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
            arrived.extend(std::iter::from_fn(|| read_host(&host)));
            assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(1));
            assert_eq!(events[0].data(), 5);
        }
        arrived.extend(std::iter::from_fn(|| read_host(&host)));
    }
    assert!(stalls > 0, "the socket took everything");
    assert_eq!(arrived, frames);
    bench.to_tap.unregister(&epoll);
}

#[test]
fn a_queue_that_is_not_blocked_sleeps_without_asking_for_room() {
    let (tap, _host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Large);
    let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
    bench.to_tap.register(&epoll, 5).unwrap();
    bench.to_tap.serve();
    assert_eq!(bench.to_tap.sleep(&epoll, 5), Ok(Wait::Armed));
    let mut events = [EpollEvent::empty(); 4];
    assert_eq!(epoll.wait(&mut events, EpollTimeout::ZERO), Ok(0));
    bench.to_tap.unregister(&epoll);
}

#[test]
fn a_frame_that_the_host_side_refuses_is_used_up_with_its_errno_and_others_pass() {
    let (tap, host) = socket_tap(SockType::Datagram);
    setsockopt(&tap, sockopt::SndBuf, &(16 << 10)).unwrap();
    let mut bench = Bench::new(tap, BufferClass::Large);
    let mut random = Random(5);
    let (small, large) = (random.frame(100), random.frame(MAXIMAL));
    for frame in [&small, &large, &small] {
        bench.send(frame);
    }
    assert!(!bench.to_tap.serve().host_suspect);
    assert_eq!(bench.reclaim(), [None, Some(Errno::EMSGSIZE), None]);
    assert_eq!(read_host(&host), Some(small.clone()));
    assert_eq!(read_host(&host), Some(small));
    assert_eq!(read_host(&host), None);
}

#[test]
fn a_host_side_that_is_gone_refuses_every_frame_and_none_is_left() {
    let (tap, host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Small);
    drop(host);
    let frame = Random(5).frame(5_000);
    for _ in 0..20 {
        bench.send(&frame);
    }
    bench.to_tap.serve();
    let refusals = bench.reclaim();
    assert_eq!((refusals.len(), refusals.iter().filter(|r| r.is_some()).count()), (20, 20));
    assert_eq!((bench.tx.in_flight(), bench.pool.free()), (0, 256));
}

#[test]
fn chains_that_cannot_be_followed_or_lie_outside_the_memory_are_refused_and_not_written() {
    let (tap, host) = socket_tap(SockType::Datagram);
    let mut bench = Bench::new(tap, BufferClass::Large);
    let frame = Random(5).frame(100);
    for _ in 0..3 {
        bench.send(&frame);
    }
    let layout = *bench.queues[1].layout();
    let desc = AtomicArray::<AtomicU64>::new(bench.memory.shared(), layout.desc, 6).unwrap();
    // The first goes on behind the table's end, the second lies far outside.
    desc[1].store(100 | 1 << 32 | 9_999 << 48, Ordering::Relaxed);
    desc[2].store(1 << 40, Ordering::Relaxed);
    bench.to_tap.serve();
    assert_eq!(bench.reclaim(), [Some(Errno::EINVAL), Some(Errno::EFAULT), None]);
    assert_eq!(read_host(&host), Some(frame));
    assert_eq!(read_host(&host), None);
}
