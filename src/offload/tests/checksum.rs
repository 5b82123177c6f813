use proptest::prelude::*;

use super::stack::{reference_sum, stacks};
use crate::frame::NetHdr;
use crate::offload::checksum::complete;

proptest! {
    #[test]
    fn a_partial_checksum_is_completed_to_the_frame_that_was_whole(stack in stacks(false, 0..2000)) {
        let mut frame = stack.build(true);
        prop_assert!(complete(&stack.hdr(None), &mut frame));
        stack.assert_whole(&frame);
        prop_assert_eq!(frame, stack.build(false));
    }

    #[test]
    fn any_header_leaves_all_bytes_but_the_checksum(
        mut frame in prop::collection::vec(any::<u8>(), 0..100), start in 0..120_u16, offset in 0..20_u16
    ) {
        let hdr = NetHdr { csum_start: start, csum_offset: offset, ..NetHdr::plain() };
        let before = frame.clone();
        let at = usize::from(start + offset);
        let done = complete(&hdr, &mut frame);
        prop_assert_eq!(done, at + 2 <= before.len());
        for (i, (a, b)) in before.iter().zip(&frame).enumerate() {
            prop_assert!(a == b || (done && (at..at + 2).contains(&i)));
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_ones_and_one_of_tcp_as_zero() {
    for (offset, wanted) in [(6, [0xff, 0xff]), (16, [0, 0])] {
        let mut frame = vec![0x11; 60];
        let at = 20 + usize::from(offset);
        frame[at..at + 2].fill(0);
        // What is missing to a sum of 0xffff, whose complement is 0.
        let missing = 0xffff - reference_sum(&[&frame[20..]]);
        frame[at..at + 2].copy_from_slice(&missing.to_be_bytes());
        let hdr = NetHdr { csum_start: 20, csum_offset: offset, ..NetHdr::plain() };
        assert!(complete(&hdr, &mut frame));
        assert_eq!(frame[at..at + 2], wanted);
    }
}
