//! VPP's own tests of taps in a virtual machine (its configurations 1 to 9 and 24): two namespaces,
//! a wire, and iperf3 across, for each offload at either end, MTU, family, protocol and direction.
//!
//! An ordinary run takes one MTU of each configuration; `tests/run --full` takes all.

use serde_json::Value;

use crate::common::{Hold, World, assert_ledger, at_rest, eventually, live, text};

/// Configurations: VPP's number, and the options of client and server.
const CONFIGURATIONS: [(u32, &str, &str); 4] =
    [(1, "", ""), (2, "gso", ""), (3, "", "gso"), (8, "gso", "gso")];

/// MTUs of the host sides, those of VPP.
const MTUS: [u32; 6] = [9001, 9000, 2048, 2049, 1500, 512];

/// The least MTU of IPv6 (RFC 8200 §5).
const IPV6_LEAST_MTU: u32 = 1280;

/// Whether every MTU and direction is wanted.
fn full() -> bool {
    std::env::var_os("TAPTOOL_TEST_FULL").is_some()
}

/// Packets with a wrong checksum that a namespace has counted, of every protocol and family.
fn checksum_errors(world: &World, netns: &str) -> u64 {
    let mut errors = 0;
    let said = world.must(&format!("ip netns exec {netns} cat /proc/net/snmp"));
    let mut lines = said.lines();
    // A line of names and one of numbers for each protocol.
    while let (Some(names), Some(numbers)) = (lines.next(), lines.next()) {
        let pairs = names.split_whitespace().zip(numbers.split_whitespace());
        let found = pairs.filter(|(name, _)| *name == "InCsumErrors");
        errors += found.map(|(_, number)| number.parse::<u64>().unwrap()).sum::<u64>();
    }
    let said = world.must(&format!("ip netns exec {netns} cat /proc/net/snmp6"));
    for line in said.lines().filter(|line| line.contains("InCsumErrors")) {
        errors += line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
    }
    errors
}

/// One run of iperf3 from `a` to an address in `b`; what arrived is not nothing.
fn transfer(world: &World, address: &str, options: &str, what: &str) {
    let _server = world.iperf_server("b");
    // More than the sockets' buffers hold: the last of it may be unread when iperf3 ends.
    let line = format!("ip netns exec a iperf3 -J -c {address} -n 16M {options}");
    let out = world.start(&line).output(60.0);
    let said: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    assert!(out.status.success() && said["error"].is_null(), "{what}: {}", text(&out.stdout));
    let end = &said["end"];
    let (udp, tcp) = (&end["sum"], &end["sum_received"]);
    let received = if options.contains("-u") {
        let of = |key: &str| udp[key].as_f64().unwrap_or_default();
        of("packets") - of("lost_packets")
    } else {
        tcp["bytes"].as_f64().unwrap_or_default()
    };
    assert!(received > 0.0, "{what}: nothing arrived: {end:#}");
}

/// All transfers of one configuration at one MTU.
fn check(world: &World, (id, client, server): (u32, &str, &str), mtu: u32) {
    let what = format!("configuration {id}, MTU {mtu}");
    let mut hold = Hold::start(world);
    for (netns, end, options) in [("a", 1, client), ("b", 2, server)] {
        let addresses = if mtu >= IPV6_LEAST_MTU {
            format!("host-ip4-addr 10.8.0.{end}/24 host-ip6-addr fd08::{end}/64")
        } else {
            format!("host-ip4-addr 10.8.0.{end}/24")
        };
        let line = format!("create w{netns} host-ns {netns} host-mtu-size {mtu} {addresses}");
        hold.run(&format!("{line} {options}"));
    }
    hold.run("xconnect wa wb");
    let before = ["a", "b"].map(|netns| checksum_errors(world, netns));
    let mut addresses = vec!["10.8.0.2"];
    if mtu >= IPV6_LEAST_MTU {
        // The first answer also shows that neither address is tentative any more.
        world.ping_answered("a", "fd08::2");
        addresses.push("fd08::2");
    }
    for address in addresses {
        for protocol in ["", "-u -b 0"] {
            for direction in if full() { &["", "-R"][..] } else { &[""] } {
                let options = format!("{protocol} {direction}");
                transfer(world, address, &options, &format!("{what}, {address} {options}"));
            }
        }
    }
    let after = ["a", "b"].map(|netns| checksum_errors(world, netns));
    assert_eq!(before, after, "{what}: wrong checksums");
    eventually("nothing moves", 10.0, || at_rest(&hold.run("show tap")));
    assert_ledger(&hold.run("show tap"));
    hold.run("delete wa wb");
    hold.close();
}

#[test]
fn each_offload_at_either_end_carries_tcp_and_udp_at_each_mtu_without_a_wrong_checksum() {
    live(|world| {
        world.netns("a");
        world.netns("b");
        for (i, configuration) in CONFIGURATIONS.into_iter().enumerate() {
            let mtus = if full() { &MTUS[..] } else { &MTUS[i % MTUS.len()..][..1] };
            for mtu in mtus {
                check(world, configuration, *mtu);
            }
        }
    });
}
