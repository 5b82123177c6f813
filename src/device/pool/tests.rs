use super::*;

#[test]
fn a_pool_at_a_place_that_no_file_has_is_refused() {
    let memory = Memory::new("16M".parse().unwrap()).unwrap();
    let attach =
        |place| Pool::attach(memory.shared(), memory.private(), place).map(|pool| pool.free());
    let small = BufferClass::Small;
    assert!(attach((4096, 4096, 16, small)).is_ok());
    for place in [
        (u64::MAX - 3, 4096, 16, small),
        (u64::MAX - 63, 4096, 16, small),
        (4096, u64::MAX - 4095, 16, small),
        (4096, 4096, u32::MAX, small),
        (4096, 4096, u32::MAX, BufferClass::Large),
        (4096, 0, 1 << 21, small),
    ] {
        assert!(attach(place).is_err(), "{place:?}");
    }
}

fn small_pool() -> Pool {
    let memory = Memory::new("16M".parse().unwrap()).unwrap();
    Pool::new(&memory, PoolSlot(1), BufferClass::Small, 8, 6).unwrap()
}

/// Every buffer can be taken, each once.
fn assert_whole(pool: &Pool) {
    assert_eq!((pool.free(), pool.lent()), (8, 0));
    let mut taken: Vec<u32> = std::iter::from_fn(|| pool.take()).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..8).collect::<Vec<_>>());
}

#[test]
fn a_buffer_given_back_twice_is_refused_and_counted_and_stays_in_one_place() {
    let pool = small_pool();
    let (a, b) = (pool.take().unwrap(), pool.take().unwrap());
    pool.give(a);
    pool.give(a);
    assert_eq!((pool.free(), pool.refused()), (7, 1));
    pool.give(b);
    // The pool is full: there is no place either.
    pool.give(b);
    pool.give(8);
    pool.give(u32::MAX);
    assert_eq!((pool.free(), pool.refused()), (8, 4));
    assert_whole(&pool);
}

#[test]
fn a_lent_frame_given_back_twice_or_as_one_that_is_not_lent_is_refused() {
    let pool = small_pool();
    let frame = pool.compose(&[&[5; 5000]]).unwrap();
    assert_eq!(frame.buffers, 3);
    pool.settle(&frame);
    assert_eq!((pool.lent(), pool.refused()), (0, 1), "it is not lent yet");
    assert!(pool.lend(&frame));
    assert!(!pool.lend(&frame), "it is lent already");
    pool.give_frame(&frame);
    pool.set_length(frame.head, 7);
    assert_eq!((pool.free(), pool.lent(), pool.refused()), (5, 3, 4));
    pool.settle(&frame);
    pool.settle(&frame);
    assert_eq!((pool.free(), pool.lent(), pool.refused()), (8, 0, 5));
    // Nor when its buffers are posted again meanwhile.
    let again = pool.take().unwrap();
    pool.settle(&frame);
    assert_eq!((pool.free(), pool.refused()), (7, 6));
    pool.give(again);
    assert_whole(&pool);
}

#[test]
fn a_frame_of_which_a_later_buffer_is_free_is_not_lent_in_part() {
    let pool = small_pool();
    let frame = pool.compose(&[&[5; 5000]]).unwrap();
    pool.give(pool.next(frame.head));
    assert!(!pool.lend(&frame));
    assert_eq!((pool.free(), pool.lent(), pool.refused()), (6, 0, 1));
    let last = pool.next(pool.next(frame.head));
    pool.give(frame.head);
    pool.give(last);
    assert_whole(&pool);
}

#[test]
fn whatever_the_lists_say_a_successor_derives_them_from_the_rings() {
    let pool = small_pool();
    let posted = [pool.take().unwrap(), pool.take().unwrap()];
    let frame = pool.compose(&[&[5; 5000]]).unwrap();
    assert!(pool.lend(&frame));
    let lost = pool.take().unwrap();
    for garbage in [0, 3, 8, u32::MAX] {
        for buffer in 0..8 {
            pool.free[buffer].store(garbage, Ordering::Relaxed);
            let length = pool.lengths[buffer].load(Ordering::Relaxed) & BYTES;
            pool.lengths[buffer].store(garbage & !BYTES | length, Ordering::Relaxed);
        }
        pool.words[TOP].store(garbage, Ordering::Relaxed);
        pool.words[LENT].store(garbage, Ordering::Relaxed);
        assert_eq!(pool.recover(posted, [frame]), Ok(()));
        assert_eq!((pool.free(), pool.lent()), (3, 3));
        let mut bytes = [0; 6000];
        assert_eq!(pool.copy_from(&frame, 0, &mut bytes), 5000);
    }
    // What was in no ring when the owner was killed is free again.
    let free: Vec<u32> = std::iter::from_fn(|| pool.take()).collect();
    assert!(free.contains(&lost));
    free.into_iter().chain(posted).for_each(|buffer| pool.give(buffer));
    pool.settle(&frame);
    assert_eq!(pool.refused(), 0);
    assert_whole(&pool);
}

#[test]
fn a_shared_frame_is_free_after_as_many_returns_as_it_has_references() {
    let pool = small_pool();
    let frame = pool.compose(&[&[5; 3000]]).unwrap();
    assert!(!pool.share(&frame), "it is not lent yet");
    assert!(pool.lend(&frame));
    assert!(pool.share(&frame) && pool.share(&frame));
    for _ in 0..2 {
        pool.settle(&frame);
        assert_eq!((pool.free(), pool.lent()), (6, 2));
        let mut bytes = [0; 6000];
        assert_eq!(pool.copy_from(&frame, 0, &mut bytes), 3000);
    }
    pool.settle(&frame);
    assert_eq!((pool.free(), pool.lent(), pool.refused()), (8, 0, 1));
    pool.settle(&frame);
    assert_eq!((pool.free(), pool.lent(), pool.refused()), (8, 0, 2));
    assert_whole(&pool);
}

#[test]
fn an_edit_beyond_the_first_buffers_bytes_writes_nothing() {
    let pool = small_pool();
    let frame = pool.compose(&[&[5; 2050]]).unwrap();
    pool.edit(&frame, 2046, &[9, 9, 9]);
    pool.edit(&frame, usize::MAX, &[9]);
    pool.edit(&frame, 2046, &[7, 8]);
    let mut bytes = [0; 2050];
    assert_eq!(pool.copy_from(&frame, 0, &mut bytes), 2050);
    assert_eq!(bytes[2045..], [5, 7, 8, 5, 5]);
    let short = pool.compose(&[&[5; 60]]).unwrap();
    pool.edit(&short, 59, &[9, 9]);
    assert_eq!(pool.copy_from(&short, 59, &mut bytes), 1);
    assert_eq!(bytes[0], 5);
}

#[test]
fn a_frame_has_at_most_8192_references_and_one_more_is_refused() {
    let pool = small_pool();
    let frame = pool.compose(&[&[5; 60]]).unwrap();
    assert!(pool.lend(&frame));
    assert!((1..8192).all(|_| pool.share(&frame)));
    assert!(!pool.share(&frame));
    assert_eq!(pool.word(frame.head) & STATE, ON_LOAN);
    let mut bytes = [0; 100];
    assert_eq!(pool.copy_from(&frame, 0, &mut bytes), 60);
    (0..8192).for_each(|_| pool.settle(&frame));
    assert_eq!((pool.lent(), pool.refused()), (0, 0));
    assert_whole(&pool);
}

#[test]
fn a_successor_counts_a_frame_once_for_each_ring_that_it_is_in() {
    let pool = small_pool();
    let frame = pool.compose(&[&[5; 3000]]).unwrap();
    assert!(pool.lend(&frame));
    assert_eq!(pool.recover([], [frame, frame, frame]), Ok(()));
    assert_eq!((pool.free(), pool.lent()), (6, 2));
    (0..2).for_each(|_| pool.settle(&frame));
    assert_eq!((pool.free(), pool.lent()), (6, 2));
    pool.settle(&frame);
    let longer = Frame { buffers: 3, ..frame };
    assert_eq!(pool.recover([], [frame, longer]), Err(Misplaced(frame.head)));
    assert_eq!(pool.refused(), 0);
    assert_whole(&pool);
}

#[test]
fn a_successor_is_told_of_a_buffer_that_is_in_two_rings_or_in_no_pool() {
    let pool = small_pool();
    let frame = pool.compose(&[&[5; 60]]).unwrap();
    assert_eq!(pool.recover([frame.head], [frame]), Err(Misplaced(frame.head)));
    assert_eq!(pool.recover([8], []), Err(Misplaced(8)));
    assert_eq!((pool.free(), pool.lent()), (7, 0));
}

#[test]
fn a_composed_frame_reads_back_across_buffers_and_its_buffers_return() {
    let memory = Memory::new("16M".parse().unwrap()).unwrap();
    let pool = Pool::new(&memory, PoolSlot(3), BufferClass::Small, 40, 36).unwrap();
    let body: Vec<u8> = (0..65_000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let frame = pool.compose(&[&[7; 12], &body]).unwrap();
    assert_eq!((frame.buffers, frame.bytes, pool.free()), (32, 65_012, 8));
    let mut read = vec![0; 70_000];
    assert_eq!(pool.copy_from(&frame, 12, &mut read), 65_000);
    assert_eq!(read[..65_000], body);
    let mut some = [0; 5];
    assert_eq!(pool.copy_from(&frame, 2046, &mut some), 5);
    assert_eq!(some, body[2034..2039]);
    assert_eq!(Frame::from_token(frame.token(), frame.bytes), frame);
    assert!(pool.lend(&frame));
    assert!(!pool.lend(&frame));
    pool.settle(&frame);
    assert_eq!((pool.free(), pool.lent()), (40, 0));
    assert!(pool.compose(&[&vec![0; 41 * 2048]]).is_none());
    assert_eq!(pool.free(), 40);
}
