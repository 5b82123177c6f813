use super::*;
use etherparse::checksum::Sum16BitWords;
use etherparse::{PacketBuilder, ip_number};
use proptest::prelude::*;

#[test]
fn the_example_of_rfc_1071_sums_to_ddf2() {
    let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
    assert_eq!(Sum::new().add_slice(&bytes).folded(), 0xddf2);
    assert_eq!(internet(&bytes), !0xddf2);
    assert_eq!(internet(&[]), 0xffff);
    assert_eq!(internet(&[0xff]), 0x00ff);
}

#[test]
fn the_longest_frame_of_ones_does_not_overflow() {
    let ones = vec![0xff; 65553];
    assert_eq!(
        internet(&ones),
        etherparse::checksum::Sum16BitWords::new().add_slice(&ones).ones_complement().to_be()
    );
}

proptest! {
    #[test]
    fn any_bytes_sum_as_etherparse_sums_them(bytes in prop::collection::vec(any::<u8>(), 0..2100)) {
        let theirs = Sum16BitWords::new().add_slice(&bytes).ones_complement().to_be();
        prop_assert_eq!(internet(&bytes), theirs);
    }

    #[test]
    fn a_number_that_is_added_and_taken_away_again_changes_nothing(
        bytes in prop::collection::vec(any::<u8>(), 1..80), number in any::<u16>()
    ) {
        let sum = Sum::new().add_slice(&bytes).plus(1);
        let same = sum.plus(number).minus(number).folded();
        // 0 and 0xffff are the two zeros of the sum.
        prop_assert_eq!(same % 0xffff, sum.folded() % 0xffff);
    }

    #[test]
    fn cutting_at_even_places_does_not_change_the_sum(
        bytes in prop::collection::vec(any::<u8>(), 0..400), cut in 0usize..200
    ) {
        let (a, b) = bytes.split_at((cut * 2).min(bytes.len() & !1));
        prop_assert_eq!(Sum::new().add_slice(a).add_slice(b).checksum(), internet(&bytes));
    }

    #[test]
    fn a_message_that_etherparse_built_sums_to_nothing_with_its_pseudo_header(
        source in any::<[u8; 16]>(), destination in any::<[u8; 16]>(),
        payload in prop::collection::vec(any::<u8>(), 0..1500)
    ) {
        let mut packet = Vec::new();
        PacketBuilder::ipv6(source, destination, 64)
            .tcp(1, 2, 3, 4)
            .write(&mut packet, &payload)
            .unwrap();
        let message = &packet[40..];
        let bytes = u32::try_from(message.len()).unwrap();
        let sum = Sum::new().add_pseudo_v6(source, destination, ip_number::TCP.0, bytes);
        prop_assert_eq!(sum.add_slice(message).checksum(), 0);
    }
}
