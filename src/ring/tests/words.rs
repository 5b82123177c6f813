//! What either side writes, word for word, and what it makes of a word that the other wrote.

use vm_memory::{Bytes, GuestAddress};

use super::*;

fn at(entry: u64) -> u64 {
    segment(entry).addr
}

#[test]
fn a_chain_of_a_ring_without_tables_is_linked_entries_of_which_the_last_links_nowhere() {
    for (writer, write) in [(Writer::Device, DESC_F_WRITE), (Writer::Driver, 0)] {
        let mut f = fixture_of(writer, 64, true, false);
        f.driver.post(&[segment(0)], 1).unwrap();
        f.driver.post(&[segment(1), segment(2), segment(3)], 2).unwrap();
        let written: Vec<_> = (0..4).map(|entry| f.driver.descriptor(entry)).collect();
        let entry = |n, flags, next| Descriptor { addr: at(n), len: 2048, flags, next };
        let expected = [
            entry(0, write, 0),
            entry(1, write | DESC_F_NEXT, 2),
            entry(2, write | DESC_F_NEXT, 3),
            entry(3, write, 0),
        ];
        assert_eq!(written, expected, "{writer:?}");
        // There is no entry 67: the number is taken modulo the ring's size.
        assert_eq!(f.driver.descriptor(67), expected[3]);
    }
}

#[test]
fn a_chain_of_a_ring_with_tables_is_one_entry_and_its_table_unless_it_is_one_segment() {
    let mut f = fixture_of(Writer::Driver, 64, true, true);
    f.driver.post(&[segment(0)], 1).unwrap();
    f.driver.post(&[segment(1), segment(2), segment(3)], 2).unwrap();
    let direct = Descriptor { addr: at(0), len: 2048, flags: 0, next: 0 };
    assert_eq!(f.driver.descriptor(0), direct);
    let table = f.layout.indirect.unwrap() + 16 * MAX_SEGMENTS as u64;
    let entry = Descriptor { addr: table, len: 48, flags: DESC_F_INDIRECT, next: 0 };
    assert_eq!((f.driver.descriptor(1), f.driver.free()), (entry, 62));
    let next = [(DESC_F_NEXT, 1), (DESC_F_NEXT, 2), (0, 0)];
    for ((n, place), (flags, next)) in (1..).zip([0, 16, 32]).zip(next) {
        let addr: [u8; 8] = f.map.read_obj(GuestAddress(table + place)).unwrap();
        let rest: [u8; 8] = f.map.read_obj(GuestAddress(table + place + 8)).unwrap();
        assert_eq!(u64::from_le_bytes(addr), at(n));
        assert_eq!(unpack(u64::from_le_bytes(rest)), (2048, flags, next));
    }
    let in_use = f.driver.positions().desc_in_use;
    assert_eq!((f.driver.size(), in_use, f.driver.in_flight()), (64, 2, 2));
}

#[test]
fn the_tokens_are_those_of_the_chains_in_flight_also_of_those_that_were_used() {
    let mut f = fixture(64, true, false);
    for token in [7, 8, 9] {
        f.driver.post(&[segment(token)], token).unwrap();
    }
    f.driver.publish();
    forge(&f, 0, 1, 0, 2);
    forge(&f, 1, 0, 0, 2);
    assert_eq!(f.driver.look(), Ok(2));
    assert_eq!(f.driver.tokens().collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(f.driver.take().unwrap().unwrap().token, 8);
    assert_eq!(f.driver.tokens().collect::<Vec<_>>(), [7, 9]);
}

#[test]
fn a_chain_may_be_written_to_its_last_byte_and_the_length_of_one_that_is_only_read_says_nothing() {
    for (writer, len, written) in [(Writer::Device, 2048, 2048), (Writer::Driver, u32::MAX, 0)] {
        let mut f = fixture_of(writer, 64, true, false);
        f.driver.post(&[segment(0)], 1).unwrap();
        f.driver.publish();
        forge(&f, 0, 0, len, 1);
        assert_eq!(f.driver.look(), Ok(1));
        let used = f.driver.take().unwrap().unwrap();
        assert_eq!((used.written, used.posted, used.head), (written, 2048, 0));
    }
}

#[test]
fn without_event_idx_a_flag_alone_suppresses_kicks_and_calls() {
    let mut f = fixture(64, false, false);
    let (avail, used) =
        (AvailRing::new(&f.map, &f.layout).unwrap(), UsedRing::new(&f.map, &f.layout).unwrap());
    let mut into = [NONE; MAX_SEGMENTS];
    // Bit 0 is the flag; others mean nothing.
    for (flags, wanted) in [(0, true), (1, false), (2, true), (3, false)] {
        used.set_flags(flags);
        avail.set_flags(flags);
        f.driver.post(&[segment(0)], 1).unwrap();
        let at = f.driver.positions();
        assert_eq!((at.avail_flags, at.used_flags), (flags, flags));
        assert_eq!(f.driver.publish(), wanted);
        assert!(!f.driver.publish(), "nothing is new");
        assert_eq!(f.device.available(), 1);
        let head = f.device.pop(&mut into).head;
        f.device.push_used(head, 9);
        assert_eq!(f.device.publish(), wanted);
        assert!(!f.device.publish(), "nothing is new");
        assert_eq!(f.driver.look(), Ok(1));
        assert_eq!(f.driver.take().unwrap().unwrap().written, 9);
    }
    f.driver.disarm();
    f.device.disarm();
    assert_eq!((avail.flags(), used.flags()), (1, 1));
    assert!(!f.driver.arm());
    assert!(!f.device.arm());
    assert_eq!((avail.flags(), used.flags()), (0, 0));
}

#[test]
fn with_event_idx_a_side_asks_for_the_next_entry_or_for_one_that_is_65535_away() {
    let mut f = fixture(64, true, false);
    let (avail, used) =
        (AvailRing::new(&f.map, &f.layout).unwrap(), UsedRing::new(&f.map, &f.layout).unwrap());
    for number in 0..3 {
        assert!(!f.driver.arm());
        assert!(!f.device.arm());
        let words = (avail.used_event(), used.avail_event());
        assert_eq!(words, (Wrapping(number), Wrapping(number)));
        f.driver.post(&[segment(0)], 1).unwrap();
        assert!(f.driver.publish());
        assert!(f.device.arm());
        let head = f.device.pop(&mut [NONE; MAX_SEGMENTS]).head;
        f.device.push_used(head, 0);
        assert!(f.device.publish());
        assert!(f.driver.arm());
        assert_eq!(f.driver.look(), Ok(1));
        f.driver.take().unwrap();
        f.driver.disarm();
        f.device.disarm();
        let words = (avail.used_event(), used.avail_event());
        assert_eq!(words, (Wrapping(number), Wrapping(number)));
    }
    assert_eq!((avail.flags(), used.flags()), (0, 0));
}

#[test]
fn a_ring_that_was_reset_is_as_new_whatever_stood_in_it() {
    let mut f = fixture(64, true, true);
    for token in 1..=5 {
        f.driver.post(&[segment(0), segment(1)], token).unwrap();
    }
    f.driver.publish();
    forge(&f, 0, 3, 0, 2);
    f.driver.look().unwrap();
    f.driver.take().unwrap();
    let (avail, used) =
        (AvailRing::new(&f.map, &f.layout).unwrap(), UsedRing::new(&f.map, &f.layout).unwrap());
    avail.set_flags(5);
    used.set_flags(5);
    avail.set_used_event(Wrapping(5));
    used.set_avail_event(Wrapping(5));
    f.driver.drain(drop);
    f.driver.reset();
    assert_eq!(f.driver.positions(), Positions::default());
    assert_eq!((f.driver.free(), f.driver.in_flight(), f.driver.tokens().count()), (64, 0, 0));
    let words = (avail.idx(), used.idx(), avail.used_event(), used.avail_event());
    assert_eq!(words, (Wrapping(0), Wrapping(0), Wrapping(0), Wrapping(0)));
    assert_eq!(f.driver.look(), Ok(0));
    assert_eq!(f.driver.take(), Ok(None));
    for token in 1..=64 {
        f.driver.post(&[segment(token)], token).unwrap();
    }
    assert_eq!(f.driver.post(&[segment(0)], 65), Err(Full));
}

#[test]
fn a_device_begins_where_the_used_index_stands_or_where_it_is_told_and_says_where_it_is() {
    let mut f = fixture(64, true, false);
    let (avail, used) =
        (AvailRing::new(&f.map, &f.layout).unwrap(), UsedRing::new(&f.map, &f.layout).unwrap());
    for head in 0..9 {
        f.driver.post(&[segment(head)], head + 1).unwrap();
    }
    used.set_idx(Wrapping(65_530));
    avail.set_idx(Wrapping(3));
    let heads = [(65_530, 5), (65_535, 6), (0, 7), (2, 8)];
    for (number, head) in heads {
        avail.set_head(Wrapping(number), head);
    }
    let mut into = [NONE; MAX_SEGMENTS];
    let mut device = DeviceRing::attach(&f.map, &f.layout, true).unwrap();
    assert_eq!((device.base(), device.available()), (65_530, 9));
    for (number, head) in heads {
        let ahead = Wrapping(number) - Wrapping(65_530);
        let chain = device.peek(ahead.0, &mut into);
        assert_eq!((chain.head, chain.segments, chain.malformed), (head, 1, false));
        assert_eq!(into[0].addr, at(head.into()));
    }
    device.advance(5);
    assert_eq!((device.base(), device.available()), (65_535, 4));
    let mut device = DeviceRing::attach(&f.map, &f.layout, true).unwrap().at(2);
    assert_eq!((device.base(), device.available()), (2, 1));
    assert_eq!(device.pop(&mut into).segments, 1);
    assert_eq!((device.base(), device.available()), (3, 0));
}

#[test]
fn a_device_reads_a_table_of_1_to_64_whole_entries_at_the_end_of_its_chain_and_no_other() {
    let mut f = fixture_of(Writer::Driver, 64, true, true);
    let segments: Vec<Segment> = (0..64).map(segment).collect();
    f.driver.post(&segments, 1).unwrap();
    f.driver.publish();
    let desc = AtomicArray::<AtomicDesc>::new(&f.map, f.layout.desc, 64).unwrap();
    let mut into = [NONE; MAX_SEGMENTS];
    let mut read = |len, flags| {
        desc[0][1].store(pack(len, flags, 0).to_le(), Ordering::Relaxed);
        let chain = f.device.peek(0, &mut into);
        for (n, seen) in (0..).zip(&into[..chain.segments]) {
            assert_eq!(*seen, DeviceSegment { addr: at(n), len: 2048, writable: false });
        }
        (chain.segments, chain.malformed)
    };
    assert_eq!(read(16 * 64, DESC_F_INDIRECT), (64, false));
    // Whoever may write the memory that the table itself is in is not asked.
    assert_eq!(read(16 * 64, DESC_F_INDIRECT | DESC_F_WRITE), (64, false));
    for len in [0, 1, 15, 17, 16 * 64 - 1, 16 * 64 + 1, 16 * 65, u32::MAX] {
        assert_eq!(read(len, DESC_F_INDIRECT), (0, true), "len {len}");
    }
    assert_eq!(read(16 * 64, DESC_F_INDIRECT | DESC_F_NEXT), (0, true));
    // The chain goes on behind the table's end.
    assert_eq!(read(16 * 63, DESC_F_INDIRECT), (63, true));
}

#[test]
fn a_device_follows_a_chain_to_its_64th_segment_and_no_further() {
    let mut f = fixture(128, true, false);
    let segments: Vec<Segment> = (0..64).map(segment).collect();
    f.driver.post(&segments, 1).unwrap();
    f.driver.publish();
    let mut into = [NONE; MAX_SEGMENTS];
    let chain = f.device.peek(0, &mut into);
    assert_eq!((chain.segments, chain.malformed), (64, false));
    for (n, seen) in (0..).zip(into) {
        assert_eq!(seen, DeviceSegment { addr: at(n), len: 2048, writable: true });
    }
    let desc = AtomicArray::<AtomicDesc>::new(&f.map, f.layout.desc, 128).unwrap();
    desc[63][1].store(pack(2048, DESC_F_NEXT, 64).to_le(), Ordering::Relaxed);
    let chain = f.device.peek(0, &mut into);
    assert_eq!((chain.segments, chain.malformed), (64, true));
    // The last entry of the table is in it, the one behind it is not; a table within a table is none.
    for (next, flags, read) in
        [(127, 0, (2, false)), (128, 0, (1, true)), (127, DESC_F_INDIRECT, (1, true))]
    {
        desc[0][1].store(pack(2048, DESC_F_NEXT, next).to_le(), Ordering::Relaxed);
        desc[127][1].store(pack(2048, flags, 0).to_le(), Ordering::Relaxed);
        let chain = f.device.peek(0, &mut into);
        assert_eq!((chain.segments, chain.malformed), read);
    }
    // Nor is a head that is in no table.
    AvailRing::new(&f.map, &f.layout).unwrap().set_head(Wrapping(0), 128);
    let chain = f.device.peek(0, &mut into);
    assert_eq!((chain.head, chain.segments, chain.malformed), (128, 0, true));
}
