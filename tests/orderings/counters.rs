//! A group of counters is read whole.

use loom::sync::Arc;
use loom::thread;

use self::group::{read, write};
use crate::sync::AtomicU64;

#[path = "../../src/counters/group.rs"]
mod group;

/// Writes so many groups, of one number each, the first over `version`; what `reads` readings on
/// another thread see of them. The checker runs this thread first: a reader that began with an odd
/// version would end before it had met a store.
fn race(version: u64, writes: u64, reads: usize) {
    loom::model(move || {
        let group = Arc::new([version, 0, 0].map(AtomicU64::new));
        let theirs = Arc::clone(&group);
        let reader = thread::spawn(move || {
            let mut last = 0;
            for _ in 0..reads {
                let mut values = [0; 2];
                if read(&*theirs, &mut values) {
                    assert_eq!(values[0], values[1], "half of one group and half of another");
                    assert!(values[0] >= last, "an older group after a newer one");
                    last = values[0];
                }
            }
        });
        for number in 1..=writes {
            write(&*group, &[number, number]);
        }
        reader.join().unwrap();
        let mut values = [0; 2];
        assert!(read(&*group, &mut values));
        assert_eq!(values, [writes, writes]);
    });
}

#[test]
fn a_group_is_read_whole_or_not_at_all_while_two_are_written() {
    race(0, 2, 1);
}

#[test]
fn no_older_group_is_read_after_a_newer_one() {
    race(0, 1, 2);
}

#[test]
fn a_group_that_a_killed_writer_left_half_written_is_read_whole_or_not_at_all_while_it_is_written_again()
 {
    race(1, 1, 1);
}
