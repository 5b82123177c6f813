//! No poller sleeps through what it is sent, and no sleep is counted twice.

use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

use super::inbox::{Command, Inbox};
use super::statistics::{PollerStatistics, StatisticsCells};
use crate::sync::AtomicU64;

/// Goes to sleep as a poller does; `true` where it found nothing and would sleep now.
fn sleeps(inbox: &Inbox, has_work: impl FnOnce() -> bool) -> bool {
    inbox.fall_asleep();
    !has_work()
}

/// Whether somebody rang the bell. Its file is real, and nobody waits for it in a model.
fn rang(inbox: &Inbox) -> bool {
    let mut file = [nix::poll::PollFd::new(inbox.bell(), nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut file, nix::poll::PollTimeout::ZERO).unwrap() == 1
}

#[test]
fn what_is_stored_for_a_poller_that_falls_asleep_is_seen_or_rings_its_bell() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new().unwrap());
        // Stands for a handoff ring's tail.
        let tail = Arc::new(AtomicU64::new(0));
        let (theirs, stored) = (Arc::clone(&inbox), Arc::clone(&tail));
        let sender = thread::spawn(move || {
            stored.store(1, Ordering::Release);
            theirs.ring();
        });
        let slept = sleeps(&inbox, || tail.load(Ordering::Acquire) == 1);
        sender.join().unwrap();
        assert!(!slept || rang(&inbox), "it sleeps, and nobody wakes it");
    });
}

#[test]
fn of_two_senders_to_a_sleeper_one_at_least_rings() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new().unwrap());
        let tails = Arc::new([0, 0].map(AtomicU64::new));
        let senders = [0, 1].map(|n| {
            let (theirs, stored) = (Arc::clone(&inbox), Arc::clone(&tails));
            thread::spawn(move || {
                stored[n].store(1, Ordering::Release);
                theirs.ring();
            })
        });
        let slept = sleeps(&inbox, || tails.iter().any(|t| t.load(Ordering::Acquire) == 1));
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        assert!(!slept || rang(&inbox), "it sleeps, and nobody wakes it");
    });
}

#[test]
fn a_command_sent_to_a_poller_that_falls_asleep_is_seen_or_rings_its_bell_and_is_taken_once() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::new().unwrap());
        let theirs = Arc::clone(&inbox);
        let sender = thread::spawn(move || theirs.send(Command::CatchUp, None));
        // A loop that may meet the sender with the lock, and then a sleep.
        let mut taken = inbox.take().len();
        let slept = sleeps(&inbox, || inbox.has_commands());
        if !slept {
            inbox.wake_up();
            taken += inbox.take().len();
        }
        sender.join().unwrap();
        assert!(
            !slept || taken == 1 || rang(&inbox),
            "a command waits, and nobody wakes the poller"
        );
        // Whatever the first looks missed, the next loop does not.
        assert!(taken == 1 || inbox.has_commands(), "a command waits that the poller cannot see");
        taken += inbox.take().len();
        assert_eq!(taken, 1);
    });
}

#[test]
fn the_time_of_a_sleep_that_ends_while_it_is_read_is_counted_once() {
    // Longer than any model runs.
    const SLEPT: u64 = 1 << 40;
    loom::model(|| {
        let cells = Arc::new(StatisticsCells::new(std::time::Instant::now()));
        cells.publish(&PollerStatistics::default(), Some(0));
        let theirs = Arc::clone(&cells);
        let poller = thread::spawn(move || {
            let woken = PollerStatistics { sleeps: 1, asleep_ns: SLEPT, ..Default::default() };
            theirs.publish(&woken, None);
        });
        let seen = cells.read().asleep_ns;
        assert!(seen <= SLEPT, "{} ns of the sleep are counted twice", seen - SLEPT);
        poller.join().unwrap();
        assert_eq!(cells.read().asleep_ns, SLEPT);
    });
}
