use proptest::prelude::*;
use proptest::sample::Index;

use super::Stack;
use super::stack::stacks;
use crate::frame::{HEAD_BYTES, NetHdr, check};
use crate::offload::{Class, HEADERS_MAX, Run, Segments};
use crate::units::Kind;

type Frames = Vec<(NetHdr, Vec<u8>)>;

/// Merges as a queue does that takes frames one after the other: at most one run per flow, and what
/// cannot be merged goes behind what came before it.
fn merge(kind: Kind, frames: &[(NetHdr, Vec<u8>)]) -> Frames {
    fn close((mut run, payload, original): (Run, Vec<u8>, (NetHdr, Vec<u8>)), out: &mut Frames) {
        if run.segments() == 1 {
            out.push(original);
        } else {
            let (hdr, headers) = run.finish();
            out.push((hdr, [headers, &payload].concat()));
        }
    }
    let (mut out, mut runs) = (Vec::new(), Vec::<(Run, Vec<u8>, (NetHdr, Vec<u8>))>::new());
    for (hdr, frame) in frames {
        let original = (*hdr, frame.clone());
        match Class::of(kind, hdr, frame) {
            Class::Piece(piece) => {
                let known = runs.iter().position(|(run, ..)| *run.flow() == piece.flow);
                if let Some((run, payload, _)) = known.and_then(|at| runs.get_mut(at))
                    && run.take(&piece)
                {
                    payload.extend(piece.payload());
                    continue;
                }
                if let Some(at) = known {
                    close(runs.remove(at), &mut out);
                }
                runs.push((Run::begin(&piece), piece.payload().to_vec(), original));
            }
            Class::Flow(flow) => {
                if let Some(at) = runs.iter().position(|(run, ..)| *run.flow() == flow) {
                    close(runs.remove(at), &mut out);
                }
                out.push(original);
            }
            Class::Unknown => {
                runs.drain(..).for_each(|run| close(run, &mut out));
                out.push(original);
            }
        }
    }
    runs.into_iter().for_each(|run| close(run, &mut out));
    out
}

fn segments(kind: Kind, hdr: &NetHdr, frame: &[u8]) -> Vec<Vec<u8>> {
    let (mut room, mut out) = ([0; HEADERS_MAX], Vec::new());
    let mut segments = Segments::of(kind, hdr, frame).unwrap();
    while let Some(segment) = segments.next(&mut room) {
        out.push([segment.headers, segment.payload].concat());
    }
    out
}

/// Splits what is GSO. A kernel would take it.
fn split(kind: Kind, frames: &Frames) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for (hdr, frame) in frames {
        if hdr.is_gso() {
            let head = &frame[..frame.len().min(HEAD_BYTES)];
            assert_eq!(check(kind, hdr, u32::try_from(frame.len()).unwrap(), head), Ok(()));
            out.extend(segments(kind, hdr, frame));
        } else {
            out.push(frame.clone());
        }
    }
    out
}

/// The segments of a stack, whole.
fn segments_of(stack: &Stack, size: u16) -> Vec<Vec<u8>> {
    segments(stack.kind(), &stack.hdr(Some(size)), &stack.build(true))
}

fn plain(frames: Vec<Vec<u8>>) -> Frames {
    frames.into_iter().map(|frame| (NetHdr::plain(), frame)).collect()
}

/// A stack whose segments can be merged.
fn mergeable(payload: std::ops::Range<usize>) -> impl Strategy<Value = Stack> {
    stacks(true, payload).prop_map(|mut stack| {
        // ACK, and PSH at the end.
        stack.flags = 0x10 | stack.flags & 0x08;
        stack
    })
}

proptest! {
    #[test]
    fn the_segments_of_one_packet_become_that_packet_again(
        stack in mergeable(17..9000), size in 8..3000_u16
    ) {
        prop_assume!(stack.payload.len() > size.into());
        // The kernel's limit of datagrams in one frame.
        prop_assume!(stack.tcp || stack.payload.len().div_ceil(size.into()) <= 64);
        let segments = segments_of(&stack, size);
        let merged = merge(stack.kind(), &plain(segments));
        prop_assert_eq!(merged, vec![(stack.hdr(Some(size)), stack.build(true))]);
    }

    #[test]
    fn what_is_merged_and_split_again_is_the_same_segments_of_each_flow_in_the_same_order(
        stacks in prop::collection::vec((mergeable(1..4000), 1..1500_u16), 1..5),
        order in prop::collection::vec(any::<Index>(), 0..300),
        edits in prop::collection::vec((any::<Index>(), any::<Index>(), any::<u8>()), 0..4),
        tun in any::<bool>(),
    ) {
        let kind = if tun { Kind::Tun } else { Kind::Tap };
        let mut flows: Vec<_> = stacks.into_iter().enumerate().map(|(at, (mut stack, size))| {
            stack.tun = tun;
            if tun { stack.tags.clear(); }
            // Each a flow of its own.
            stack.ports[0] = u8::try_from(at).unwrap();
            segments_of(&stack, size).into_iter()
        }).collect();
        let mut frames = Vec::new();
        for at in order {
            let at = at.index(flows.len());
            frames.extend(flows[at].next());
        }
        prop_assume!(!frames.is_empty());
        // Some of them are damaged, or change flow.
        for (which, place, byte) in edits {
            let which = which.index(frames.len());
            let place = place.index(frames[which].len().min(80));
            frames[which][place] = byte;
        }
        let frames = plain(frames);
        let merged = merge(kind, &frames);
        prop_assert!(merged.len() <= frames.len());
        let out = split(kind, &merged);
        let flow = |frame: &[u8]| match Class::of(kind, &NetHdr::plain(), frame) {
            Class::Piece(piece) => Some(piece.flow),
            Class::Flow(flow) => Some(flow),
            Class::Unknown => None,
        };
        let mut seen: Vec<_> = Vec::new();
        for (_, frame) in &frames {
            let of = flow(frame);
            if !seen.contains(&of) { seen.push(of); }
        }
        for of in seen {
            let before: Vec<_> = frames.iter().map(|(_, f)| f).filter(|f| flow(f) == of).collect();
            let after: Vec<_> = out.iter().filter(|f| flow(f) == of).collect();
            prop_assert_eq!(before, after);
        }
        prop_assert_eq!(out.len(), frames.len());
    }

    #[test]
    fn a_damaged_segment_is_not_merged(
        stack in mergeable(200..400), at in any::<Index>(), bit in 0..8_u8
    ) {
        let mut segments = segments_of(&stack, 100);
        let merged = merge(stack.kind(), &plain(segments.clone()));
        prop_assert_eq!(merged.len(), 1);
        // Behind the link header, which has no checksum here.
        let start = stack.network();
        let at = start + at.index(segments[1].len() - start);
        segments[1][at] ^= 1 << bit;
        let damaged = segments[1].clone();
        let merged = merge(stack.kind(), &plain(segments));
        // Hops, IPv6's traffic class and flow label are in no checksum, and make it another header.
        prop_assert!(merged.contains(&(NetHdr::plain(), damaged)));
    }

    #[test]
    fn arbitrary_bytes_are_of_some_class_and_never_a_panic(
        raw in any::<[u8; NetHdr::BYTES]>(), frame in prop::collection::vec(any::<u8>(), 0..300), tun in any::<bool>()
    ) {
        let kind = if tun { Kind::Tun } else { Kind::Tap };
        let _ = merge(kind, &[(NetHdr::from_bytes(&raw), frame.clone()), (NetHdr::plain(), frame)]);
    }
}

/// Three segments of 100, 100 and 50 bytes.
fn three(change: impl Fn(&mut Stack)) -> Vec<(Stack, Vec<u8>)> {
    let one = |at: u16, bytes: usize| {
        let mut stack = Stack {
            tun: false,
            tags: Vec::new(),
            v6: false,
            tcp: true,
            options: Vec::new(),
            extensions: Vec::new(),
            tcp_options: vec![[1, 1, 8, 10], [0, 0, 0, 1], [0, 0, 0, 2]],
            hops: 64,
            addresses: [0x0a; 32],
            ports: [1, 2, 3, 4],
            id: 7 + at,
            sequence: 1000 + 100 * u32::from(at),
            ack: 7,
            flags: 0x10,
            payload: vec![u8::try_from(at).unwrap(); bytes],
        };
        change(&mut stack);
        let frame = stack.build(false);
        (stack, frame)
    };
    vec![one(0, 100), one(1, 100), one(2, 50)]
}

/// How many frames come out when one segment is changed.
fn merged(which: usize, change: impl Fn(&mut Stack)) -> usize {
    let mut all = three(|_| ());
    change(&mut all[which].0);
    let frame = all[which].0.build(false);
    all[which].1 = frame;
    merge(Kind::Tap, &plain(all.into_iter().map(|(_, frame)| frame).collect())).len()
}

#[test]
fn only_a_segment_that_differs_in_what_splitting_changes_is_merged() {
    assert_eq!(merged(1, |_| ()), 1);
    type Change = fn(&mut Stack);
    let others: [(&str, Change); 12] = [
        ("sequence", |s| s.sequence += 1),
        ("id", |s| s.id = 7),
        ("hops", |s| s.hops -= 1),
        ("ack", |s| s.ack += 1),
        ("timestamp", |s| s.tcp_options[1][3] = 9),
        ("number of options", |s| s.tcp_options.truncate(2)),
        ("tag", |s| s.tags = vec![[0x81, 0, 0, 5]]),
        ("FIN", |s| s.flags |= 0x01),
        ("URG", |s| s.flags |= 0x20),
        ("ECE", |s| s.flags |= 0x40),
        ("CWR", |s| s.flags |= 0x80),
        ("IPv4 options", |s| s.options = vec![[1; 4]]),
    ];
    for (what, change) in others {
        assert!(merged(1, change) > 1, "{what}");
        assert!(merged(2, change) > 1, "{what}");
    }
    // A longer one ends the run, a shorter or pushed one is its last.
    assert_eq!(merged(1, |s| s.payload = vec![1; 101]), 3);
    assert_eq!(merged(1, |s| s.payload = vec![1; 99]), 2);
    assert_eq!(merged(1, |s| s.flags |= 0x08), 2);
    assert_eq!(merged(2, |s| s.flags |= 0x08), 1);
    assert_eq!(merged(0, |s| s.payload.clear()), 2);
}

#[test]
fn a_push_of_the_last_segment_is_in_the_merged_frame() {
    let mut all = three(|_| ());
    all[2].0.flags |= 0x08;
    all[2].1 = all[2].0.build(false);
    let frames: Vec<_> = all.into_iter().map(|(_, frame)| frame).collect();
    let out = merge(Kind::Tap, &plain(frames.clone()));
    assert_eq!((out.len(), out[0].1[47]), (1, 0x18));
    assert_eq!(split(Kind::Tap, &out), frames);
}

#[test]
fn partial_checksums_are_merged_and_udp_without_one_is_not() {
    let partial: Frames = three(|_| ()).iter().map(|(s, _)| (s.hdr(None), s.build(true))).collect();
    assert_eq!(merge(Kind::Tap, &partial).len(), 1);
    let elsewhere: Frames = partial
        .iter()
        .map(|(hdr, frame)| (NetHdr { csum_offset: 14, ..*hdr }, frame.clone()))
        .collect();
    assert_eq!(merge(Kind::Tap, &elsewhere).len(), 3);
    let udp = three(|s| s.tcp = false);
    let frames: Vec<_> = udp.iter().map(|(_, frame)| frame.clone()).collect();
    assert_eq!(merge(Kind::Tap, &plain(frames.clone())).len(), 1);
    let mut none = frames;
    for (frame, (stack, _)) in none.iter_mut().zip(&udp) {
        frame[stack.csum_at()..stack.csum_at() + 2].fill(0);
    }
    assert_eq!(merge(Kind::Tap, &plain(none)).len(), 3);
}

#[test]
fn a_run_ends_at_the_longest_frame_and_at_64_datagrams() {
    let long = |tcp: bool, size: usize, count: u16| {
        let frames = (0..count).map(|at| {
            let (mut stack, _) = three(|_| ()).remove(0);
            stack.tcp = tcp;
            stack.id = at;
            stack.sequence = u32::from(at) * u32::try_from(size).unwrap();
            stack.payload = vec![0; size];
            stack.build(false)
        });
        let out = merge(Kind::Tap, &plain(frames.collect()));
        assert!(out.iter().all(|(_, frame)| frame.len() <= 65_535));
        out.iter().map(|(hdr, frame)| (hdr.is_gso(), frame.len())).collect::<Vec<_>>()
    };
    assert_eq!(long(true, 1448, 46), [(true, 66 + 45 * 1448), (false, 66 + 1448)]);
    assert_eq!(long(false, 500, 65), [(true, 42 + 64 * 500), (false, 42 + 500)]);
    assert_eq!(long(true, 7, 3), [(false, 73); 3], "as small as the check refuses");
}
