//! Sleeping and waking.

use std::sync::atomic::Ordering;

use super::doubles::Style;
use super::frames::frame;
use super::rig::{Interface, Rig, Shape, until};
use crate::counters::Counter;

/// How often a thread of this process has left a core, if it sleeps now; none while it runs or
/// waits for a core (`proc_pid_status(5)`).
fn sleeps(tid: i32) -> Option<Vec<u64>> {
    let status = std::fs::read_to_string(format!("/proc/self/task/{tid}/status")).unwrap();
    let values = |name: &'static str| {
        status.lines().filter_map(move |line| Some(line.split_once(name)?.1.trim()))
    };
    let asleep = values("State:").all(|state| state.starts_with('S'));
    asleep.then(|| values("ctxt_switches:").map(|count| count.parse().unwrap()).collect())
}

/// Looks, some milliseconds apart, that must find a poller in one and the same sleep.
const LOOKS: u32 = 100;

fn poller_of(interface: &Interface) -> i32 {
    interface.wire.poller_tid.load(Ordering::Acquire)
}

#[test]
fn a_poller_with_nothing_to_do_spends_no_time_on_a_core() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(2);
        let (a, b) = (rig.add(0, shape), rig.add(1, shape));
        rig.connect(a, b);
        rig.connect(b, a);
        rig.interfaces[a].wire.inject((0..20).map(|i| frame(i, 100)));
        // One frame that the device keeps: the ring is not empty and nobody may spin for it.
        rig.interfaces[b]
            .wire
            .eat
            .store(u32::from(shape.style == Style::Threaded), Ordering::Relaxed);
        until("frames passed", || rig.interfaces[b].out() == 20);
        let tids = [a, b].map(|i| poller_of(&rig.interfaces[i]));
        assert_ne!(tids[0], tids[1]);
        // A poller that spins never sleeps, or waits for a core; one that wakes up in between,
        // every 20 ms say, has left a core once more by the next look.
        let (mut last, mut looks) = ([None, None], 0);
        until("both pollers sleep on", || {
            let now = tids.map(sleeps);
            looks = if now == last && now.iter().all(Option::is_some) { looks + 1 } else { 0 };
            last = now;
            std::thread::sleep(std::time::Duration::from_millis(3));
            looks == LOOKS
        });
        for counts in last.iter().flatten() {
            assert_eq!(counts.len(), 2, "voluntary and other switches: {counts:?}");
        }
    }
}

/// Hops of the one frame; a build without optimisation takes ten times as long for each.
const HOPS: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

/// One frame goes round two interfaces on two pollers: whoever sleeps through its one
/// notification ends the game.
fn ping_pong(shapes: [Shape; 2]) {
    let mut rig = Rig::new(2);
    let (a, b) = (rig.add(0, shapes[0]), rig.add(1, shapes[1]));
    rig.connect(a, b);
    rig.connect(b, a);
    let [a, b] = [a, b].map(|i| &rig.interfaces[i]);
    for interface in [a, b] {
        interface.wire.echo.store(true, Ordering::Relaxed);
    }
    a.wire.inject([frame(1, 60)]);
    let mut passed = 0;
    while passed < HOPS {
        until("the frame goes on", || a.out() + b.out() > passed);
        passed = a.out() + b.out();
    }
    a.wire.echo.store(false, Ordering::Relaxed);
    b.wire.echo.store(false, Ordering::Relaxed);
    until("the frame came to rest", || a.wire.collect().len() + b.wire.collect().len() == 1);
    rig.settle();
    for i in [a, b] {
        assert_eq!(i.received().lost_in_all() + i.sent().lost_in_all(), 0);
    }
}

#[test]
fn a_frame_alone_on_its_way_round_inline_devices_is_never_slept_through() {
    ping_pong([Shape::LARGE, Shape::LARGE]);
}

#[test]
fn a_frame_alone_on_its_way_round_devices_with_threads_is_never_slept_through() {
    ping_pong([Shape::SMALL, Shape::SMALL]);
}

#[test]
fn a_frame_alone_on_its_way_round_both_kinds_of_device_is_never_slept_through() {
    ping_pong([Shape::LARGE, Shape::SMALL]);
}

#[test]
fn a_call_is_counted_once_and_no_call_is_counted_that_was_not_made() {
    let mut rig = Rig::new(1);
    let (a, b, idle) =
        (rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL), rig.add(0, Shape::SMALL));
    rig.connect(a, b);
    for i in 0..200 {
        rig.interfaces[a].wire.inject([frame(i, 60)]);
        until("it is out", || rig.interfaces[b].out() == i + 1);
    }
    rig.settle();
    let calls = |i: usize| {
        let i = &rig.interfaces[i];
        (
            i.received().get(Counter::Calls) + i.sent().get(Counter::Calls),
            i.wire.calls.load(Ordering::Relaxed),
        )
    };
    for i in [a, b] {
        let (counted, made) = calls(i);
        assert!(counted <= made, "{counted} counted, {made} made");
    }
    assert!(calls(a).0 > 0);
    assert_eq!(calls(idle), (0, 0));
}
