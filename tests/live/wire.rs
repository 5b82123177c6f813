//! Frames between interfaces: cross-connect, offloads, the ledger, the kernel's own counters.

use std::net::UdpSocket;
use std::time::Instant;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGsoSegment;
use serde_json::Value;

use crate::common::{
    Hold, World, assert_ledger, at_rest, eventually, has_hooks, kernel, live, number, patience,
    report, seen_by_host, seen_by_us, sum,
};

/// Two taps `wa` and `wb` in namespaces `a` and `b`, 10.8.0.1 and 10.8.0.2, cross-connected.
pub fn pair(world: &World, hold: &mut Hold, options_a: &str, options_b: &str) {
    world.quiet_netns("a");
    world.quiet_netns("b");
    hold.run(&format!("create wa host-ns a host-ip4-addr 10.8.0.1/24 {options_a}"));
    hold.run(&format!("create wb host-ns b host-ip4-addr 10.8.0.2/24 {options_b}"));
    hold.run("xconnect wa wb");
}

/// Both ends of [`pair`] know each other, so that no frame is sent but what a test sends.
fn acquaint(world: &World) {
    for (here, there, address) in [("a", "b", "10.8.0.2"), ("b", "a", "10.8.0.1")] {
        let mac = world.link(there, &format!("w{there}"))["address"].as_str().unwrap().to_owned();
        let entry = format!("{address} lladdr {mac} dev w{here} nud permanent");
        world.ip(&format!("-n {here} neigh replace {entry}"));
    }
}

/// Packets and bytes of an interface since the last `clear interfaces`: received, sent.
fn carried(tap: &Value) -> [(u64, u64); 2] {
    ["rx_queues", "tx_queues"].map(|d| (sum(tap, d, "packets"), sum(tap, d, "bytes")))
}

/// Mean bytes of the frames that an interface's queues of a direction have carried.
pub fn frame_bytes(tap: &Value, direction: &str) -> u64 {
    sum(tap, direction, "bytes") / sum(tap, direction, "packets").max(1)
}

/// Lets TCP run until 20 MB have crossed from one namespace to the other, and gives the taps then.
pub fn transfer(world: &World, hold: &mut Hold, from: &str, to: &str, address: &str) -> Vec<Value> {
    let transfer = world.iperf(from, to, address);
    let sender = format!("w{from}");
    hold.tap_when(&sender, "20 MB", 30.0, |t| sum(t, "rx_queues", "bytes") > 20_000_000);
    let taps = hold.run("show tap");
    transfer.stop();
    taps
}

/// An offload of a link as `ethtool -k` names it.
pub fn offload(world: &World, netns: &str, link: &str, feature: &str) -> bool {
    let said = world.must(&format!("ip netns exec {netns} ethtool -k {link}"));
    let line = said.lines().find_map(|l| l.trim().strip_prefix(feature)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {feature} in {said}")).starts_with("on")
}

/// Waits until nothing moves and the kernel's counters are ours, for both ends of [`pair`].
pub fn assert_equal_to_the_kernels(world: &World, hold: &mut Hold) {
    for (netns, name) in [("a", "wa"), ("b", "wb")] {
        let mut last = String::new();
        let end = Instant::now() + patience(10.0);
        loop {
            let taps = hold.run("show tap");
            assert_ledger(&taps);
            let ours = seen_by_us(taps.iter().find(|t| t["name"] == name).unwrap());
            let hosts = seen_by_host(&world.link(netns, name));
            if at_rest(&taps) && ours == hosts {
                break;
            }
            assert!(Instant::now() < end, "{last}");
            last = format!("{name}: ours {ours:?}, the kernel's {hosts:?}, {taps:#?}");
        }
    }
}

#[test]
fn a_cross_connect_carries_both_ways_until_it_is_taken_off() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "", "");
        assert_eq!(hold.tap("wa")["action"], "xconnect wb");
        assert_eq!(hold.tap("wb")["action"], "xconnect wa");
        world.ping_answered("a", "10.8.0.2");
        world.ping_answered("b", "-s 1400 10.8.0.1");
        assert_equal_to_the_kernels(world, &mut hold);

        let names = hold.run("xconnect wa wb off");
        assert_eq!(names.len(), 2, "both ends changed: {names:?}");
        assert_eq!(hold.tap("wa")["action"], "sink");
        world.ping_unanswered("a", "10.8.0.2");

        hold.run("xconnect wb wa");
        world.ping_answered("a", "10.8.0.2");
        hold.close();
    });
}

#[test]
fn a_cross_connect_of_one_direction_carries_only_that() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "", "");
        // So that a does not depend on the answer to its ARP request.
        let mac = world.link("b", "wb")["address"].as_str().unwrap().to_owned();
        hold.run("xconnect wa wb off");
        hold.run("set interface l2 xconnect wa wb");
        assert_eq!(hold.tap("wa")["action"], "xconnect wb");
        assert_eq!(hold.tap("wb")["action"], "sink");
        world.ip(&format!("-n a neigh replace 10.8.0.2 lladdr {mac} dev wa nud permanent"));

        let before = hold.run("show tap");
        world.ping_unanswered("a", "10.8.0.2");
        let after = hold.run("show tap");
        let grown = |i: usize, direction: &str, counter: &str| {
            sum(&after[i], direction, counter) - sum(&before[i], direction, counter)
        };
        assert!(grown(1, "tx_queues", "packets") >= 2, "requests reach b: {after:#?}");
        assert!(grown(1, "rx_queues", "consumed") >= 1, "b's answers end at wb: {after:#?}");
        assert_eq!(grown(0, "tx_queues", "offered"), 0, "nothing comes back to a: {after:#?}");
        assert_ledger(&after);
        hold.close();
    });
}

#[test]
fn whoever_still_sends_to_an_end_of_a_new_wire_is_told() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        for name in ["t1", "t2", "t3"] {
            hold.run(&format!("create {name} host-ns a"));
        }
        hold.run("xconnect t1 t2");
        hold.run("xconnect t2 t1");
        assert_eq!(hold.stderr(), "", "a wire that is there says nothing new");
        hold.run("xconnect t1 t3");
        eventually("the end that is left is named", 5.0, || !hold.stderr().is_empty());
        assert!(hold.stderr().ends_with("t2 still sends to t1\n"), "{}", hold.stderr());
        assert_eq!(hold.tap("t2")["action"], "xconnect t1");
        hold.close();
    });
}

#[test]
fn gso_is_switched_live_and_the_kernel_shows_it() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "", "gso");
        let segments = |link: &'static str, netns: &'static str| {
            ["tx-checksumming", "tx-tcp-segmentation", "tx-tcp6-segmentation"]
                .map(|feature| offload(world, netns, link, feature))
        };
        let uso = kernel() >= (6, 2);
        let all: Value = if uso {
            serde_json::json!(["CSUM", "TSO4", "TSO6", "USO4", "USO6"])
        } else {
            serde_json::json!(["CSUM", "TSO4", "TSO6"])
        };
        // Born with it, or not.
        let tap = hold.tap("wb");
        assert_eq!(
            (&tap["gso"], &tap["csum_offload"], &tap["offloads"]),
            (&true.into(), &true.into(), &all)
        );
        assert_eq!(segments("wb", "b"), [true; 3]);
        let tap = hold.tap("wa");
        assert_eq!((&tap["gso"], &tap["offloads"]), (&false.into(), &serde_json::json!([])));
        assert_eq!(segments("wa", "a"), [false; 3]);

        hold.run("gso wa on");
        let tap = hold.tap("wa");
        assert_eq!((&tap["gso"], &tap["offloads"]), (&true.into(), &all));
        assert_eq!(segments("wa", "a"), [true; 3]);
        if uso {
            assert!(offload(world, "a", "wa", "tx-udp-segmentation"));
        }
        hold.run("set tap gso wa disable");
        let tap = hold.tap("wa");
        assert_eq!((&tap["gso"], &tap["offloads"]), (&false.into(), &serde_json::json!([])));
        assert_eq!(segments("wa", "a"), [false; 3]);
        world.ping_answered("a", "10.8.0.2");
        hold.close();
    });
}

#[test]
fn frames_larger_than_the_mtu_cross_between_gso_taps_whole() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso", "gso");
        let taps = transfer(world, &mut hold, "a", "b", "10.8.0.2");
        assert!(frame_bytes(&taps[0], "rx_queues") > 1514, "{taps:#?}");
        assert!(frame_bytes(&taps[1], "tx_queues") > 1514, "{taps:#?}");
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}

#[test]
fn a_plain_tap_takes_large_frames_from_a_gso_peer_and_sends_none() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso", "");
        let taps = transfer(world, &mut hold, "a", "b", "10.8.0.2");
        assert!(frame_bytes(&taps[1], "tx_queues") > 1514, "{taps:#?}");
        hold.run("clear interfaces");
        let taps = transfer(world, &mut hold, "b", "a", "10.8.0.1");
        assert!(sum(&taps[1], "rx_queues", "packets") > 100, "{taps:#?}");
        assert!(frame_bytes(&taps[1], "rx_queues") <= 1514, "{taps:#?}");
        assert_ledger(&taps);
        hold.close();
    });
}

#[test]
fn a_transfer_survives_gso_being_switched_under_it() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso", "gso");
        let transfer = world.iperf("a", "b", "10.8.0.2");
        for _ in 0..5 {
            for state in ["off", "on"] {
                hold.run(&format!("gso wa {state}"));
                hold.run(&format!("gso wb {state}"));
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

#[test]
fn the_ledger_balances_in_100_snapshots_of_a_transfer_and_ends_equal_to_the_kernels() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso", "gso");
        let transfer = world.iperf("a", "b", "10.8.0.2");
        let began = Instant::now();
        // So many in which there are more frames than in the one before.
        let (mut moved, mut last) = (0, 0);
        eventually("frames move between 100 snapshots", 300.0, || {
            let taps = hold.run("show tap");
            assert_ledger(&taps);
            let now = sum(&taps[0], "rx_queues", "packets");
            assert!(now >= last, "counters run backwards: {last}, {now}");
            moved += u32::from(now > last);
            last = now;
            moved == 100
        });
        let bytes = sum(&hold.tap("wb"), "tx_queues", "bytes");
        report(&format!("tcp {:.0} Mbit/s", bytes as f64 * 8e-6 / began.elapsed().as_secs_f64()));
        transfer.stop();
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}

/// A holder whose frames are whole in their buffers, and one that has them in pieces of 2 KiB, as
/// on vhost-net anyway.
const BUFFERS: [fn(&World) -> Hold; 2] = [Hold::start, Hold::start_with_small_buffers];

#[test]
fn each_frame_of_65535_bytes_crosses_as_one_frame_of_65535_bytes() {
    if !has_hooks() {
        return;
    }
    for start in BUFFERS {
        live(move |world| {
            let mut hold = start(world);
            let mtu = "host-mtu-size 65521";
            pair(world, &mut hold, mtu, mtu);
            acquaint(world);
            for [a, b] in [["off", "off"], ["on", "off"], ["on", "on"]] {
                hold.run(&format!("gso wa {a}"));
                hold.run(&format!("gso wb {b}"));
                hold.run("clear interfaces");
                // 8 bytes of ICMP and 20 of IP fill the MTU; ping compares what comes back.
                assert_eq!(world.ping("a", "-s 65493 10.8.0.2", 10), 10, "gso {a}, {b}");
                let crossed = [(10, 10 * 65535); 2];
                for name in ["wa", "wb"] {
                    hold.tap_when(name, "ten frames each way", 5.0, |t| carried(t) == crossed);
                }
            }
            hold.close();
        });
    }
}

#[test]
fn a_frame_that_the_host_left_to_be_segmented_crosses_as_it_is_also_to_a_plain_tap() {
    if !has_hooks() {
        return;
    }
    for start in BUFFERS {
        for gso in ["gso", ""] {
            live(move |world| {
                let mut hold = start(world);
                pair(world, &mut hold, "gso", gso);
                acquaint(world);
                let bind = |netns, at: &'static str| {
                    world.inside(netns, move || UdpSocket::bind(at).unwrap())
                };
                let (from, to) = (bind("a", "10.8.0.1:7000"), bind("b", "10.8.0.2:7000"));
                to.set_read_timeout(Some(patience(5.0))).unwrap();
                // Sixty datagrams that leave as one frame where the kernel can leave the rest to us.
                setsockopt(&from, UdpGsoSegment, &1000).unwrap();
                let sent: Vec<u8> = (0..60_000_u32).map(|i| (i / 7 % 251) as u8).collect();
                hold.run("clear interfaces");
                assert_eq!(from.send_to(&sent, "10.8.0.2:7000").unwrap(), sent.len());
                let mut received = Vec::new();
                while received.len() < sent.len() {
                    let mut datagram = [0; 2000];
                    let bytes = to.recv(&mut datagram).unwrap();
                    received.extend_from_slice(&datagram[..bytes]);
                }
                assert!(received == sent, "the bytes are others");
                let headers = 14 + 20 + 8;
                let (frames, bytes) = match kernel() >= (6, 2) {
                    true => (1, 60_000 + headers),
                    false => (60, 60 * (1000 + headers)),
                };
                let crossed =
                    [("wa", [(frames, bytes), (0, 0)]), ("wb", [(0, 0), (frames, bytes)])];
                for (name, crossed) in crossed {
                    hold.tap_when(name, "one frame", 5.0, |t| carried(t) == crossed);
                }
                hold.close();
            });
        }
    }
}

#[test]
fn frames_of_64_kib_cross_in_buffers_of_2_kib() {
    if !has_hooks() {
        return;
    }
    live(|world| {
        // vhost-net has these buffers anyway; the embedded device prefers whole frames.
        let mut hold = Hold::start_with_small_buffers(world);
        pair(world, &mut hold, "gso", "gso");
        for name in ["wa", "wb"] {
            let tap = hold.one(&format!("show tap {name} descriptors"));
            let entries = tap["rx_queues"][0]["descriptors"].as_array().unwrap();
            let posted = entries.iter().filter(|e| number(e, "len") > 0);
            assert!(posted.clone().count() >= 33, "one maximal frame is posted: {tap:#}");
            assert!(posted.clone().all(|e| number(e, "len") <= 2048), "{tap:#}");
        }
        let taps = transfer(world, &mut hold, "a", "b", "10.8.0.2");
        assert!(frame_bytes(&taps[0], "rx_queues") > 1514, "{taps:#?}");
        assert_equal_to_the_kernels(world, &mut hold);
        hold.close();
    });
}

#[test]
fn a_peer_that_is_deleted_stops_the_wire_and_nothing_else() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "", "");
        world.quiet_netns("c");
        hold.run("create wc host-ns c host-ip4-addr 10.7.0.1/24 respond 10.7.0.2/24");
        let flood = world.start("ip netns exec a ping -n -q -f 10.8.0.2");
        hold.tap_when("wa", "the flood moves", 5.0, |t| sum(t, "rx_queues", "packets") > 100);
        assert_eq!(hold.one("delete wb")["name"], "wb");
        assert_eq!(world.link("b", "wb"), Value::Null);
        world.ping_answered("c", "10.7.0.2");
        let tap = hold.tap("wa");
        assert_eq!(tap["state"], "up", "{tap:#}");
        drop(flood);
        eventually("the rest is at rest", 5.0, || {
            let taps = hold.run("show tap");
            assert_ledger(&taps);
            taps.iter().all(|t| sum(t, "rx_queues", "held") == 0)
        });
        // Another of that name takes its place.
        hold.run("create wb host-ns b host-ip4-addr 10.8.0.2/24");
        hold.run("xconnect wa wb");
        world.ip("-n a neigh flush all");
        world.ping_answered("a", "10.8.0.2");
        hold.close();
    });
}
