//! Which bit of a frame is flipped.
//!
//! A bit of what is behind the link header, at most of the first 2036 bytes, which are in one buffer.
//! Where the sender left the checksum to its hardware (as a host does towards a tap with `csum` or
//! `gso` offload), nobody would notice a flipped bit of the payload; the bit is then one of the IP
//! addresses, so that the frame is lost to its receiver as on a real wire.

use super::random::Random;
use crate::action::{FrameBytes, Output};
use crate::frame::NetHdr;
use crate::units::Kind;

/// Bytes that are in the first buffer of any frame.
const FIRST_BUFFER: usize = 2048 - NetHdr::BYTES;

const ETHERNET: usize = 14;
const VLAN: [[u8; 2]; 2] = [[0x81, 0x00], [0x88, 0xa8]];

/// Flips a bit of the frame; one without bytes behind its link header stays as it is.
pub(super) fn corrupt<F: FrameBytes + ?Sized>(
    random: &mut Random,
    kind: Kind,
    hdr: &NetHdr,
    frame: &F,
    output: &mut Output,
) {
    let link = match kind {
        Kind::Tap => link_bytes(frame),
        Kind::Tun => 0,
    };
    let all = link..frame.len().min(FIRST_BUFFER);
    let among = if hdr.needs_csum() || hdr.is_gso() { addresses(frame, link) } else { all };
    let bytes = among.end.min(frame.len()).saturating_sub(among.start);
    // It is below a usize.
    let at = usize::try_from(random.below(bytes as u64)).unwrap_or(0) + among.start;
    let mut byte = [0];
    if bytes > 0 && frame.copy_to(at, &mut byte) == 1 {
        output.edit(at, &[byte[0] ^ (1 << random.below(8))]);
    }
}

/// Bytes of the Ethernet header and of its VLAN tags.
fn link_bytes<F: FrameBytes + ?Sized>(frame: &F) -> usize {
    let mut link = ETHERNET;
    let mut kind = [0; 2];
    while frame.copy_to(link - 2, &mut kind) == 2 && VLAN.contains(&kind) && link < FIRST_BUFFER / 2
    {
        link += 4;
    }
    link
}

/// Where the addresses of the IP header are.
fn addresses<F: FrameBytes + ?Sized>(frame: &F, link: usize) -> std::ops::Range<usize> {
    let mut version = [0];
    frame.copy_to(link, &mut version);
    match version[0] >> 4 {
        6 => link + 8..link + 40,
        _ => link + 12..link + 20,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrupted(kind: Kind, hdr: NetHdr, frame: &[u8], seed: u64) -> Option<(usize, u8)> {
        let mut output = Output::new();
        corrupt(&mut Random::new(seed), kind, &hdr, frame, &mut output);
        let mut edits = output.edits();
        let edit = edits.next().map(|(at, bytes)| (at, bytes[0] ^ frame[at]));
        assert!(edits.next().is_none());
        edit
    }

    #[test]
    fn one_bit_behind_the_link_header_is_flipped_wherever_it_is() {
        let mut tagged = [0; 100];
        tagged[12..18].copy_from_slice(&[0x88, 0xa8, 0, 5, 0x81, 0]);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..2_000 {
            let (at, bits) = corrupted(Kind::Tap, NetHdr::plain(), &tagged, seed).unwrap();
            assert!((22..100).contains(&at) && bits.count_ones() == 1);
            seen.insert((at, bits));
            let (at, _) = corrupted(Kind::Tap, NetHdr::plain(), &[7; 9_000], seed).unwrap();
            assert!((14..2036).contains(&at));
            let (at, _) = corrupted(Kind::Tun, NetHdr::plain(), &[0x45; 28], seed).unwrap();
            assert!(at < 28);
        }
        assert!(seen.len() > 500, "{}", seen.len());
        assert_eq!(corrupted(Kind::Tap, NetHdr::plain(), &[0; 14], 1), None);
    }

    #[test]
    fn a_frame_whose_checksum_is_unfinished_has_the_bit_in_its_addresses() {
        let partial = NetHdr { flags: NetHdr::NEEDS_CSUM, ..NetHdr::plain() };
        let gso = NetHdr { gso_type: NetHdr::GSO_TCPV6, ..NetHdr::plain() };
        let frame = |version: u8| [&[0; 14][..], &[version; 60]].concat();
        for seed in 0..200 {
            let (at, _) = corrupted(Kind::Tap, partial, &frame(0x45), seed).unwrap();
            assert!((26..34).contains(&at), "{at}");
            let (at, _) = corrupted(Kind::Tap, gso, &frame(0x60), seed).unwrap();
            assert!((22..54).contains(&at), "{at}");
            let (at, _) = corrupted(Kind::Tun, gso, &frame(0x60)[14..], seed).unwrap();
            assert!((8..40).contains(&at), "{at}");
        }
    }
}
