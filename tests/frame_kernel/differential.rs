//! Frames and headers near the limits, shown to the check and to a device.

use std::cell::Cell;
use std::thread;

use etherparse::{PacketBuilder, TcpHeader};
use nix::errno::Errno;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use taptool::frame::{HEAD_BYTES, NetHdr, check};
use taptool::units::Kind;

use super::tap::{Tap, leave};

/// Cases, unless PROPTEST_CASES says another number.
const CASES: u32 = 20_000;

/// A frame that is what it seems, its transport header's offset, and whether that is TCP.
fn built(v6: bool, tcp: bool, tags: usize, payload: usize) -> (Vec<u8>, usize) {
    let link = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let ip = if v6 {
        link.ipv6([0xfd; 16], [0xfe; 16], 64)
    } else {
        link.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
    };
    let mut frame = Vec::new();
    let payload = vec![7; payload];
    if tcp {
        ip.tcp_header(TcpHeader::new(1, 2, 3, 4)).write(&mut frame, &payload).unwrap();
    } else {
        ip.udp(1, 2).write(&mut frame, &payload).unwrap();
    }
    for _ in 0..tags {
        frame.splice(12..12, [0x81, 0, 0, 5]);
    }
    (frame, 14 + 4 * tags + if v6 { 40 } else { 20 })
}

/// A number that is right, a limit, near a limit, or anything.
fn near(right: usize, len: usize, pick: usize, any: u16) -> u16 {
    let all = [0, 1, 2, 7, 8, 13, 14, 19, 20, 39, 40, len - 1, len, len + 1, 0xfffe, 0xffff];
    let value = match pick {
        0..=15 => all[pick],
        16..=99 => right,
        _ => return any,
    };
    u16::try_from(value).unwrap_or(u16::MAX)
}

#[derive(Debug, Clone)]
struct Case {
    hdr: NetHdr,
    frame: Vec<u8>,
}

fn arbitrary(kind: Kind) -> impl Strategy<Value = Case> {
    let shape =
        (any::<bool>(), any::<bool>(), 0usize..3, select(vec![0usize, 1, 30, 1400, 9000, 65_000]));
    let types = prop::option::weighted(
        0.4,
        select(vec![0u8, 0, 0, 1, 4, 5, 3, 2, 0x80, 0x81, 0x84, 0x85, 0x21, 0xff]),
    );
    let flags = select(vec![0u8, 1, 1, 1, 1, 1, 1, 1, 2, 3, 4, 0xff]);
    let sizes = select(vec![0usize, 1, 7, 8, 48, 70, 400, 536, 1448, 65_534, 65_535]);
    let picks = any::<[u16; 4]>();
    let which = prop::array::uniform3(0usize..105);
    let edits = prop::collection::vec((any::<Index>(), any::<u8>()), 0..3);
    let cut = prop::option::weighted(0.1, any::<Index>());
    (shape, types, flags, sizes, picks, which, edits, cut).prop_map(
        move |((v6, tcp, tags, payload), gso_type, flags, size, any, which, edits, cut)| {
            let (mut frame, mut start) =
                built(v6, tcp, if kind == Kind::Tap { tags } else { 0 }, payload);
            if kind == Kind::Tun {
                frame.drain(..14);
                start -= 14;
            }
            for (at, byte) in edits {
                let at = at.index(frame.len().min(80));
                frame[at] = byte;
            }
            if let Some(at) = cut {
                frame.truncate(at.index(frame.len()) + 1);
            }
            let len = frame.len();
            let right_type = match (tcp, v6) {
                (false, _) => NetHdr::GSO_UDP_L4,
                (true, false) => NetHdr::GSO_TCPV4,
                (true, true) => NetHdr::GSO_TCPV6,
            };
            let hdr = NetHdr {
                flags,
                gso_type: gso_type.unwrap_or(right_type),
                hdr_len: near(start + 20, len, which[0], any[0]),
                gso_size: u16::try_from(size).unwrap_or(any[1]),
                csum_start: near(start, len, which[1], any[2]),
                csum_offset: near(if tcp { 16 } else { 6 }, len, which[2], any[3]),
                num_buffers: 0,
            };
            Case { hdr, frame }
        },
    )
}

/// How often each pair of answers came.
#[derive(Debug, Default)]
struct Tally {
    both_accept: Cell<u32>,
    both_refuse: Cell<u32>,
    only_kernel_accepts: Cell<u32>,
    gso_accepted: Cell<u32>,
}

fn count(cell: &Cell<u32>) {
    cell.set(cell.get() + 1);
}

/// What an older kernel refuses although its successors take it.
#[derive(Debug)]
struct Kernel {
    has_uso: bool,
    udp_segments_max: Option<usize>,
}

impl Kernel {
    fn running(has_uso: bool) -> Self {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut numbers = release.split('.').map(|n| n.parse::<u32>().unwrap_or_default());
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        Self { has_uso, udp_segments_max: (version < (6, 9)).then_some(64) }
    }

    fn takes(&self, case: &Case) -> bool {
        let headers = usize::from(case.hdr.csum_start) + 8;
        let payload = case.frame.len().saturating_sub(headers);
        let segments = payload.div_ceil(usize::from(case.hdr.gso_size).max(1));
        case.hdr.gso_type != NetHdr::GSO_UDP_L4
            || (self.has_uso && self.udp_segments_max.is_none_or(|most| segments <= most))
    }
}

pub fn run(kind: Kind) {
    thread::spawn(move || {
        leave();
        let device = Tap::new(kind, "probe0");
        let kernel = Kernel::running(device.has_uso);
        let tally = Tally::default();
        let told = std::env::var_os("PROPTEST_CASES").is_some();
        let cases = if told { Config::default().cases } else { CASES };
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, rng)
            .run(&arbitrary(kind), |case| {
                let head = &case.frame[..case.frame.len().min(HEAD_BYTES)];
                let len = u32::try_from(case.frame.len()).unwrap();
                let ours = check(kind, &case.hdr, len, head);
                let theirs = device.send(&case.hdr, &case.frame);
                match (ours, theirs) {
                    (Ok(()), Err(_)) if !kernel.takes(&case) => count(&tally.both_refuse),
                    (Ok(()), Err(errno)) => {
                        prop_assert!(false, "accepted here, {errno} from the kernel");
                    }
                    (Ok(()), Ok(())) => {
                        count(&tally.both_accept);
                        if case.hdr.is_gso() {
                            count(&tally.gso_accepted);
                        }
                    }
                    (Err(_), Ok(())) => count(&tally.only_kernel_accepts),
                    (Err(_), Err(errno)) => {
                        prop_assert_eq!(errno, Errno::EINVAL);
                        count(&tally.both_refuse);
                    }
                }
                Ok(())
            })
            .unwrap();
        eprintln!("{kind}: {tally:?}");
        // The comparison means something only where all answers came.
        for cell in [&tally.both_accept, &tally.both_refuse, &tally.gso_accepted] {
            assert!(cell.get() > cases / 100, "{tally:?}");
        }
    })
    .join()
    .unwrap();
}
