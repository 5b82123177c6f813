//! Two threads, one side each, and the moments in which a notification can be lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::{MAX_SEGMENTS, NONE, fixture, segment};

/// Where two threads meet. Plain stores and loads only: a locked instruction would be the very
/// fence whose absence is to be found.
#[derive(Debug, Default)]
struct Meeting([AtomicU32; 2]);

impl Meeting {
    fn meet(&self, me: usize, round: u32) {
        self.0[me].store(round, Ordering::Release);
        let mut spins = 0_u32;
        while self.0[1 - me].load(Ordering::Acquire) < round {
            spins += 1;
            if spins.is_multiple_of(2_000) {
                // The other is not on a core.
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
    }
}

/// Of two that meet neither is always the first: each waits a little, another while every round.
fn dither(round: u32, step: u32) {
    for _ in 0..(round / step) % 24 {
        std::hint::spin_loop();
    }
}

/// Each round both races are run once: the driver publishes while the device arms, then the device
/// publishes while the driver arms. Whoever loses must notice: without either fence both look
/// before the other's store is out, and both would sleep.
#[test]
fn of_publishing_and_arming_at_once_one_side_sees_the_other() {
    const ROUNDS: u32 = if cfg!(debug_assertions) { 50_000 } else { 500_000 };
    for event_idx in [false, true] {
        let f = fixture(64, event_idx, false);
        let meeting = Arc::new(Meeting::default());
        let seen = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let (theirs, their_seen) = (Arc::clone(&meeting), Arc::clone(&seen));
        let mut device = f.device;
        let worker = std::thread::spawn(move || {
            let mut into = [NONE; MAX_SEGMENTS];
            for round in 0..ROUNDS {
                device.disarm();
                theirs.meet(1, 4 * round + 1);
                dither(round, 1);
                let pending = device.arm();
                their_seen[0].store(pending, Ordering::Relaxed);
                theirs.meet(1, 4 * round + 2);
                assert_eq!(device.available(), 1);
                let chain = device.pop(&mut into);
                device.push_used(chain.head, 0);
                theirs.meet(1, 4 * round + 3);
                dither(round, 24);
                let call = device.publish();
                their_seen[1].store(call, Ordering::Relaxed);
                theirs.meet(1, 4 * round + 4);
            }
        });
        let mut driver = f.driver;
        let mut lost = [0; 2];
        for round in 0..ROUNDS {
            driver.post(&[segment(0)], 1).unwrap();
            driver.disarm();
            meeting.meet(0, 4 * round + 1);
            dither(round, 24);
            let kick = driver.publish();
            meeting.meet(0, 4 * round + 2);
            lost[0] += u32::from(!kick && !seen[0].load(Ordering::Relaxed));
            meeting.meet(0, 4 * round + 3);
            dither(round, 1);
            let pending = driver.arm();
            meeting.meet(0, 4 * round + 4);
            lost[1] += u32::from(!pending && !seen[1].load(Ordering::Relaxed));
            assert_eq!(driver.look(), Ok(1));
            assert!(driver.take().unwrap().is_some());
        }
        worker.join().unwrap();
        assert_eq!(lost, [0, 0], "kicks and calls lost, event_idx {event_idx}");
    }
}

/// Both sides on threads of their own, each sleeping on a parked thread when it has nothing to do:
/// a lost notification is a test that never ends.
#[test]
fn no_notification_is_lost_when_two_sides_race_to_sleep() {
    const FRAMES: u64 = 200_000;
    for event_idx in [false, true] {
        let f = fixture(64, event_idx, false);
        let (kick, kicked) = sync_channel::<()>(65_536);
        let (call, called) = sync_channel::<()>(65_536);
        let mut device = f.device;
        let worker = std::thread::spawn(move || {
            let mut into = [NONE; MAX_SEGMENTS];
            let mut done = 0;
            while done < FRAMES {
                while device.available() > 0 {
                    let chain = device.pop(&mut into);
                    device.push_used(chain.head, 0);
                    done += 1;
                    if done % 3 == 0 && device.publish() {
                        call.send(()).unwrap();
                    }
                }
                if device.publish() {
                    call.send(()).unwrap();
                }
                if done < FRAMES && !device.arm() {
                    kicked.recv_timeout(Duration::from_secs(120)).expect("a kick was lost");
                }
                device.disarm();
            }
        });
        let mut driver = f.driver;
        let (mut posted, mut taken) = (0, 0);
        while taken < FRAMES {
            while posted < FRAMES && driver.post(&[segment(0)], posted + 1).is_ok() {
                posted += 1;
            }
            if driver.publish() {
                kick.send(()).unwrap();
            }
            driver.look().unwrap();
            while driver.take().unwrap().is_some() {
                taken += 1;
            }
            let room = posted < FRAMES && driver.free() > 0;
            if taken < FRAMES && !room && !driver.arm() {
                called.recv_timeout(Duration::from_secs(120)).expect("a call was lost");
            }
            driver.disarm();
        }
        worker.join().unwrap();
    }
}
