//! What the host leaves undone, and what is done here in its place.

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::json;

use crate::common::{Hold, World, live, sum};
use crate::wire::{assert_equal_to_the_kernels, frame_bytes, offload, pair, transfer};

#[test]
fn csum_offload_alone_leaves_checksums_to_us_and_sends_no_large_frames() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "csum-offload", "");
        let tap = hold.tap("wa");
        let seen = (&tap["gso"], &tap["csum_offload"], &tap["offloads"]);
        assert_eq!(seen, (&json!(false), &json!(true), &json!(["CSUM"])));
        assert!(offload(world, "a", "wa", "tx-checksumming"));
        assert!(!offload(world, "a", "wa", "tx-tcp-segmentation"));
        let taps = transfer(world, &mut hold, "a", "b", "10.8.0.2");
        assert!(frame_bytes(&taps[0], "rx_queues") <= 1514, "{taps:#?}");
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}

#[test]
fn each_word_of_set_tap_offload_sets_all_that_the_host_leaves_undone() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "", "");
        for (word, gso, csum) in [
            ("csum-offload-enable", false, true),
            ("gso-enable", true, true),
            ("csum-offload-enable", false, true),
            ("csum-offload-disable", false, false),
            ("gso-enable", true, true),
            ("gso-disable", false, false),
            ("gso-enable", true, true),
            ("csum-offload-disable", false, false),
        ] {
            hold.run(&format!("set tap offload wa {word}"));
            let tap = hold.tap("wa");
            assert_eq!((&tap["gso"], &tap["csum_offload"]), (&json!(gso), &json!(csum)), "{word}");
            assert_eq!(offload(world, "a", "wa", "tx-checksumming"), csum, "{word}");
            assert_eq!(offload(world, "a", "wa", "tx-tcp-segmentation"), gso, "{word}");
        }
        world.ping_answered("a", "10.8.0.2");
        hold.close();
    });
}

#[test]
fn a_transfer_survives_every_change_of_the_offloads_under_it() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso", "csum-offload");
        let transfer = world.iperf("a", "b", "10.8.0.2");
        for _ in 0..3 {
            for word in ["gso-disable", "csum-offload-enable", "gso-enable"] {
                hold.run(&format!("set tap offload wa {word}"));
                hold.run(&format!("set tap offload wb {word}"));
                let now = sum(&hold.tap("wb"), "tx_queues", "bytes");
                hold.tap_when("wb", "it goes on", 10.0, |t| {
                    sum(t, "tx_queues", "bytes") > now + 1_000_000
                });
            }
        }
        transfer.stop();
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}

/// The internet checksum, 16 bits at a time; 0xffff over what is right.
fn sum_of(parts: &[&[u8]]) -> u16 {
    let bytes = parts.concat();
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap()
}

/// Whether an Ethernet frame of TCP or UDP has nothing undone; none where it is neither.
fn whole(frame: &[u8]) -> Option<bool> {
    let ip = frame.get(14..)?;
    let (addresses, header, protocol, bytes) = match frame.get(12..14)? {
        [0x08, 0x00] => {
            let header = usize::from(ip[0] & 0xf) * 4;
            let bytes = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
            if sum_of(&[&ip[..header]]) != 0xffff {
                return Some(false);
            }
            (&ip[12..20], header, ip[9], bytes)
        }
        [0x86, 0xdd] => {
            let bytes = 40 + usize::from(u16::from_be_bytes([ip[4], ip[5]]));
            (&ip[8..40], 40, ip[6], bytes)
        }
        _ => return None,
    };
    if !matches!(protocol, 6 | 17) {
        return None;
    }
    let Some(message) = ip.get(header..bytes) else { return Some(false) };
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    Some(sum_of(&[addresses, &length, &[0, 0, 0, protocol], message]) == 0xffff)
}

/// What a receiver saw that takes nothing on trust.
#[derive(Debug, Default)]
struct Seen {
    frames: u64,
    longest: usize,
    wrong: u64,
}

/// A socket that gets every frame of a namespace.
fn ear(world: &World, netns: &str) -> OwnedFd {
    world.inside(netns, || {
        let (family, every) = (AddressFamily::Packet, SockProtocol::EthAll);
        let fd = socket(family, SockType::Raw, SockFlag::SOCK_CLOEXEC, every).unwrap();
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50)).unwrap();
        setsockopt(&fd, sockopt::RcvBuf, &(8 << 20)).unwrap();
        fd
    })
}

/// Looks at every frame for `mac` until told to stop.
fn watch(ear: &OwnedFd, mac: [u8; 6], stop: &AtomicBool) -> Seen {
    let (mut seen, mut buffer) = (Seen::default(), vec![0; 1 << 17]);
    while !stop.load(Ordering::Acquire) {
        let Ok(bytes) = recv(ear.as_raw_fd(), &mut buffer, MsgFlags::empty()) else { continue };
        let frame = &buffer[..bytes];
        if frame[..6] != mac {
            continue;
        }
        seen.frames += 1;
        seen.longest = seen.longest.max(bytes);
        seen.wrong += u64::from(whole(frame) == Some(false));
    }
    seen
}

fn mac_of(world: &World, netns: &str, link: &str) -> [u8; 6] {
    let text = world.link(netns, link)["address"].as_str().unwrap().to_owned();
    let bytes: Vec<u8> = text.split(':').map(|b| u8::from_str_radix(b, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// Lets iperf3 send to `b` and has every byte that arrives looked at.
fn received(world: &World, address: &str, options: &str) -> Seen {
    let (mac, stop) = (mac_of(world, "b", "wb"), AtomicBool::new(false));
    let ear = ear(world, "b");
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| watch(&ear, mac, &stop));
        let _server = world.iperf_server("b");
        let line = format!("ip netns exec a iperf3 -c {address} -n 8M {options}");
        let out = world.start(&line).output(60.0);
        stop.store(true, Ordering::Release);
        assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stdout));
        watching.join().unwrap()
    })
}

#[test]
fn a_no_gso_end_gets_no_large_frame_and_no_partial_checksum_from_a_gso_peer() {
    live(|world| {
        let mut hold = Hold::start(world);
        world.netns("a");
        world.netns("b");
        for (netns, end, options) in [("a", 1, "gso"), ("b", 2, "no-gso")] {
            let addresses = format!("host-ip4-addr 10.8.0.{end}/24 host-ip6-addr fd08::{end}/64");
            hold.run(&format!("create w{netns} host-ns {netns} {addresses} {options}"));
        }
        hold.run("xconnect wa wb");
        let tap = hold.tap("wb");
        assert_eq!((&tap["no_gso"], &tap["gso"]), (&json!(true), &json!(false)));
        world.ping_answered("a", "fd08::2");
        for address in ["10.8.0.2", "fd08::2"] {
            for options in ["", "-u -b 0 -l 1400"] {
                let before = sum(&hold.tap("wb"), "tx_queues", "segments");
                let seen = received(world, address, options);
                // Those that a slow receiver has no room for are not seen.
                assert!(seen.frames > 100 && seen.longest <= 1514, "{address} {options}: {seen:?}");
                assert_eq!(seen.wrong, 0, "{address} {options}: {seen:?}");
                let split = sum(&hold.tap("wb"), "tx_queues", "segments") - before;
                // UDP is sent in datagrams of its own.
                assert!(split > 1000 || !options.is_empty(), "{address}: {split}");
            }
        }
        let taps = hold.run("show tap");
        assert!(taps[1]["tx_queues"][0]["drops"]["gso_off"].is_null(), "{taps:#?}");
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}

#[test]
fn the_promise_is_given_and_taken_back_live_under_a_transfer() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso", "");
        let transfer = world.iperf("a", "b", "10.8.0.2");
        for _ in 0..3 {
            for (word, on) in [("enable", true), ("disable", false)] {
                hold.run(&format!("set interface feature gso wb {word}"));
                assert_eq!(hold.tap("wb")["no_gso"], on);
                let of = |tap: &serde_json::Value, counter| sum(tap, "tx_queues", counter);
                let now = hold.tap("wb");
                let (bytes, split) = (of(&now, "bytes"), of(&now, "segments"));
                let now =
                    hold.tap_when("wb", "it goes on", 10.0, |t| of(t, "bytes") > bytes + 1_000_000);
                assert_eq!(of(&now, "segments") > split, on, "{word}");
            }
        }
        transfer.stop();
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}
