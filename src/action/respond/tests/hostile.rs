use proptest::prelude::*;

use super::echo::set_v4;
use super::*;

const MALFORMED: Fate = Fate::Lost(DropReason::Malformed);

#[test]
fn wrong_checksums_and_lengths_are_malformed() {
    let v4 = echo_v4(b"data");
    for at in [24, 36, 40] {
        let mut frame = v4.clone();
        frame[at] ^= 1;
        assert_eq!(visit(&frame), MALFORMED, "byte {at}");
    }
    let v6 = echo_v6(b"data");
    for at in [56, 60] {
        let mut frame = v6.clone();
        frame[at] ^= 1;
        assert_eq!(visit(&frame), MALFORMED, "byte {at}");
    }
    for total in [0u16, 19, 27, 33, 0xffff] {
        let mut frame = v4.clone();
        set_v4(&mut frame, 16, &total.to_be_bytes());
        assert_eq!(visit(&frame), MALFORMED, "total length {total}");
    }
    for payload in [0u16, 3, 7, 13, 0xffff] {
        let mut frame = v6.clone();
        frame[18..20].copy_from_slice(&payload.to_be_bytes());
        assert_eq!(visit(&frame), MALFORMED, "payload length {payload}");
    }
    for version in [0x44, 0x54, 0x65, 0x05] {
        let mut frame = v4.clone();
        set_v4(&mut frame, 14, &[version]);
        assert_eq!(visit(&frame), MALFORMED, "{version:x}");
    }
}

#[test]
fn fragments_for_us_are_counted_and_those_for_others_are_not() {
    let fragment = Fate::Lost(DropReason::Fragment);
    for bits in [[0x20, 0], [0, 1], [0x3f, 0xff]] {
        let mut frame = echo_v4(b"data");
        set_v4(&mut frame, 20, &bits);
        assert_eq!(visit(&frame), fragment);
        set_v4(&mut frame, 30, &[10, 0, 0, 77]);
        assert_eq!(visit(&frame), Fate::Lost(DropReason::NotOurs));
    }
    let mut frame = echo_v6(b"data");
    frame.splice(54..54, [58, 0, 0, 1, 0, 0, 0, 1]);
    frame[20] = 44;
    frame[19] += 8;
    assert_eq!(visit(&frame), fragment);
}

#[test]
fn frames_cut_at_any_length_are_never_answered_and_never_panic() {
    let long = [0x5a; 300];
    for whole in [
        echo_v4(&long),
        echo_v6(&long),
        arp(ArpOperation::REQUEST, PEER_V4, V4),
        solicitation(PEER_V6, V6, &SENDER_OPTION),
    ] {
        assert!(answered(&visit(&whole)));
        for len in 0..whole.len() {
            let fate = visit(&whole[..len]);
            let reason = if len < 14 { DropReason::ShortFrame } else { DropReason::Malformed };
            assert_eq!(fate, Fate::Lost(reason), "{len} of {}", whole.len());
        }
        for len in 0..whole.len() - 14 {
            visit_with(Kind::Tun, &NetHdr::plain(), &whole[14..14 + len]);
        }
    }
}

/// Says it is longer than it is, and gives other bytes every time, as a sender may that shares
/// the memory.
struct Shifting<'a> {
    first: &'a [u8],
    later: &'a [u8],
    len: usize,
    reads: std::cell::Cell<u32>,
}

impl FrameBytes for Shifting<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        let bytes =
            if self.reads.replace(self.reads.get() + 1) == 0 { self.first } else { self.later };
        bytes.copy_to(offset, into)
    }
}

#[test]
fn bytes_that_change_between_reads_do_not_get_an_unverified_answer() {
    let honest = echo_v4(b"what was seen first");
    let mut other = honest.clone();
    other[34] = 0;
    let frame =
        Shifting { first: &honest, later: &other, len: honest.len(), reads: Default::default() };
    let hdr = NetHdr::plain();
    assert_eq!(fate_of(&mut us(), Kind::Tap, 0, &hdr, &frame), MALFORMED);
    let frame =
        Shifting { first: &honest, later: &[], len: honest.len(), reads: Default::default() };
    assert_eq!(fate_of(&mut us(), Kind::Tap, 0, &hdr, &frame), MALFORMED);
}

/// Frames that begin like real ones, so that the walk gets deep.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let base = prop_oneof![
        Just(echo_v4(&[1; 40])),
        Just(echo_v6(&[1; 40])),
        Just(arp(ArpOperation::REQUEST, PEER_V4, V4)),
        Just(solicitation(PEER_V6, V6, &SENDER_OPTION)),
        prop::collection::vec(any::<u8>(), 0..400),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5);
    (base, edits).prop_map(|(mut frame, edits)| {
        for (at, byte) in edits {
            if !frame.is_empty() {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
        }
        frame
    })
}

/// So many cases, unless PROPTEST_CASES says another number.
fn cases() -> ProptestConfig {
    let told = std::env::var_os("PROPTEST_CASES").is_some();
    if told { ProptestConfig::default() } else { ProptestConfig::with_cases(2000) }
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn arbitrary_frames_never_panic_and_replies_are_not_answered(
        frame in nearly(), raw in any::<[u8; NetHdr::BYTES]>(), plain in any::<bool>(),
        tun in any::<bool>()
    ) {
        let kind = if tun { Kind::Tun } else { Kind::Tap };
        let hdr = if plain { NetHdr::plain() } else { NetHdr::from_bytes(&raw) };
        let bytes = if tun { frame.get(14..).unwrap_or_default() } else { &frame[..] };
        if let Fate::Answered(reply) = visit_with(kind, &hdr, bytes) {
            prop_assert!(reply.len() <= bytes.len() + 48);
            prop_assert!(!answered(&visit_with(kind, &NetHdr::plain(), &reply)));
        }
    }
}
