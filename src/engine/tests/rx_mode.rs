//! The mode of a receive queue, switched under traffic.

use std::time::{Duration, Instant};

use super::frames::{check_content, frame};
use super::rig::{Rig, Shape, until};
use crate::units::RxMode::{self, Adaptive, Interrupt, Polling};

fn set_mode(rig: &Rig, at: usize, mode: RxMode) {
    let (poller, rx) = (rig.interfaces[at].poller, rig.interfaces[at].rx);
    rig.ask(|engine| engine.set_rx_mode(poller, rx, mode));
}

/// How often the poller has gone to sleep.
fn sleeps(rig: &Rig) -> u64 {
    rig.engine.statistics()[0].2.sleeps
}

/// Frames come while the mode changes, and after pauses long enough for the poller to sleep.
#[test]
fn no_wake_up_is_lost_however_often_the_mode_is_switched_under_traffic() {
    for shape in [Shape::SMALL, Shape::LARGE] {
        let mut rig = Rig::new(1);
        let (a, b) = (rig.add(0, shape), rig.add(0, shape));
        rig.connect(a, b);
        let mut inside = Vec::new();
        for round in 0..300_u64 {
            let mode =
                [Polling, Interrupt, Adaptive, Interrupt][usize::try_from(round % 4).unwrap()];
            let burst: Vec<_> = (0..1 + round % 5).map(|i| frame(round * 10 + i, 100)).collect();
            inside.extend(burst.iter().cloned());
            let (first, last) = burst.split_at(burst.len() / 2);
            rig.interfaces[a].wire.inject(first.iter().cloned());
            set_mode(&rig, a, mode);
            rig.interfaces[a].wire.inject(last.iter().cloned());
            until("all was received", || rig.interfaces[a].has_received_all());
            if round % 16 < 3 {
                std::thread::park_timeout(Duration::from_micros(300));
            }
        }
        rig.settle();
        assert_eq!(check_content(&inside, &rig.interfaces[b].wire.collect()), 0);
    }
}

#[test]
fn a_poller_with_a_polled_queue_never_sleeps_and_with_the_others_it_does() {
    let mut rig = Rig::new(1);
    let a = rig.add(0, Shape::LARGE);
    for mode in [Interrupt, Adaptive] {
        set_mode(&rig, a, mode);
        let before = sleeps(&rig);
        rig.interfaces[a].wire.inject([frame(1, 100)]);
        until("it sleeps again", || sleeps(&rig) > before);
    }
    set_mode(&rig, a, Polling);
    let (before, begin) = (sleeps(&rig), Instant::now());
    while begin.elapsed() < Duration::from_millis(20) {
        rig.interfaces[a].wire.inject([frame(2, 100)]);
        until("it was received", || rig.interfaces[a].has_received_all());
    }
    assert!(sleeps(&rig) <= before + 1);
    // A stopped queue keeps no poller awake.
    let (rx, before) = (rig.interfaces[a].rx, sleeps(&rig));
    rig.ask(|engine| engine.stop(rig.interfaces[a].poller, rx, crate::engine::StopReason::Retired));
    until("it sleeps", || sleeps(&rig) > before);
}
