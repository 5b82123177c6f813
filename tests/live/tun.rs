//! Tuns: IP packets without an Ethernet header.

use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, sendto, socket,
};
use serde_json::{Value, json};

use crate::common::{
    Hold, World, assert_ledger, at_rest, eventually, live, number, one_shot, queue, sum,
};

/// Two tuns `wa` and `wb` in namespaces `a` and `b`, 10.8.0.1 and 10.8.0.2, cross-connected.
fn pair(world: &World, hold: &mut Hold, options: &str) {
    for (netns, end) in [("a", 1), ("b", 2)] {
        world.netns(netns);
        hold.run(&format!(
            "create tun w{netns} host-ns {netns} host-ip4-addr 10.8.0.{end}/24 \
             host-ip6-addr fd08::{end}/64 {options}"
        ));
    }
    hold.run("xconnect wa wb");
}

/// The frames that a reason has cost on the queue of a direction.
fn lost(tap: &Value, direction: &str, reason: &str) -> u64 {
    queue(tap, direction)["drops"][reason].as_u64().unwrap_or(0)
}

/// Lets the host send a packet whose first byte is `first` to 10.9.0.2 of the tun in `netns`. Linux
/// looks at no version of a packet that comes with its header.
fn send_version(world: &World, netns: &str, first: u8, to: [u8; 4]) {
    world.inside(netns, || {
        let (family, kind) = (AddressFamily::Inet, SockType::Raw);
        let socket = socket(family, kind, SockFlag::empty(), SockProtocol::Raw).unwrap();
        let mut packet = [0; 28];
        packet[0] = first;
        packet[8] = 64;
        packet[9] = 17;
        packet[16..20].copy_from_slice(&to);
        let [a, b, c, d] = to;
        let to = SockaddrIn::new(a, b, c, d, 0);
        sendto(socket.as_raw_fd(), &packet, &to, MsgFlags::empty()).unwrap();
    });
}

#[test]
fn a_tun_is_a_point_to_point_device_without_a_mac_that_answers_ping_over_both_families() {
    live(|world| {
        world.netns("a");
        let mut hold = Hold::start(world);
        let made = hold.one(
            "create tun tun0 host-ns a host-ip4-addr 10.9.0.1/24 host-ip6-addr fd00:9::1/64 \
             respond 10.9.0.2/24 respond fd00:9::2/64 respond fe80::2/64",
        );
        let link = world.link("a", "tun0");
        assert_eq!(link["linkinfo"]["info_data"]["type"], "tun", "{link:#}");
        assert_eq!(link["linkinfo"]["info_data"]["vnet_hdr"], true, "{link:#}");
        for (key, value) in [
            ("kind", json!("tun")),
            ("mac_addr", Value::Null),
            ("host_mac_addr", Value::Null),
            ("mtu", json!(1500)),
            ("action", json!("respond")),
        ] {
            assert_eq!(made[key], value, "{key} of {made:#}");
        }
        for args in ["10.9.0.2", "-s 1400 10.9.0.2", "fd00:9::2", "-s 1400 fd00:9::2"] {
            world.ping_answered("a", args);
        }
        for address in ["fe80::2%tun0", "ff02::1%tun0"] {
            let line = format!("ip netns exec a ping -n -q -c 5 -i 0.02 -W 5 {address}");
            assert!(world.must(&line).contains(" 5 received"), "{line}");
        }
        let taps = hold.run("show tun");
        assert_eq!(taps.len(), 1);
        assert!(sum(&taps[0], "tx_queues", "originated") >= 30, "{taps:#?}");
        assert_ledger(&taps);
        // Nothing was resolved: there is nobody else on such a link.
        assert_eq!(world.ip_json("-n a neigh show dev tun0 nud reachable"), json!([]));
        hold.close();
    });
}

#[test]
fn tcp_crosses_a_wire_of_tuns_with_and_without_large_frames_and_the_ledger_balances() {
    live(|world| {
        for (options, large) in [("", false), ("gso", true)] {
            let mut hold = Hold::start(world);
            pair(world, &mut hold, options);
            world.ping_answered("a", "fd08::2");
            for address in ["10.8.0.2", "fd08::2"] {
                hold.run("clear interfaces");
                let transfer = world.iperf("a", "b", address);
                hold.tap_when("wb", "20 MB", 30.0, |t| sum(t, "tx_queues", "bytes") > 20_000_000);
                let taps = hold.run("show tun");
                transfer.stop();
                let sent = &taps[0];
                let mean = sum(sent, "rx_queues", "bytes") / sum(sent, "rx_queues", "packets");
                assert_eq!(mean > 2000, large, "{options} {address}: frames of {mean} bytes");
                // Before the counters are cleared, too: what moves then is in one of two alone.
                eventually("nothing moves", 10.0, || at_rest(&hold.run("show tun")));
            }
            let taps = hold.run("show tun");
            assert_ledger(&taps);
            for tap in &taps {
                let refused = lost(tap, "tx_queues", "write_einval");
                assert_eq!((refused, lost(tap, "tx_queues", "bad_header")), (0, 0), "{tap:#}");
            }
            hold.run("delete wa wb");
            hold.close();
            world.ip("netns delete a");
            world.ip("netns delete b");
        }
    });
}

#[test]
fn a_packet_that_is_neither_ipv4_nor_ipv6_is_lost_with_its_reason_by_a_responder_and_by_a_wire() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "");
        hold.run("set interface l3 wb");
        hold.run("set interface ip address wb 10.8.0.9/24");
        for first in [0x05, 0x55, 0x75, 0xf5] {
            send_version(world, "a", first, [10, 8, 0, 2]);
            send_version(world, "b", first, [10, 8, 0, 1]);
        }
        hold.tap_when("wb", "both ways", 5.0, |t| {
            (lost(t, "tx_queues", "bad_version"), lost(t, "rx_queues", "bad_version")) == (4, 4)
        });
        world.ping_answered("b", "10.8.0.9");
        eventually("nothing moves", 10.0, || at_rest(&hold.run("show tun")));
        assert_ledger(&hold.run("show tun"));
        hold.close();
    });
}

#[test]
fn a_tap_and_a_tun_are_no_wire_and_what_only_ethernet_has_is_refused_to_a_tun() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tun tun0 --netns a");
        world.done("-q create tap tap0 --netns a");
        for (line, why) in [
            ("xconnect tap0 tun0", "tun0: a tun cannot be the peer of a tap"),
            ("set interface l2 xconnect tun0 tap0", "tap0: a tap cannot be the peer of a tun"),
            (
                "set interface mac address tun0 02:fe:00:00:00:01",
                "set interface mac address: tun0: a tun has no Ethernet address",
            ),
            ("set interface promiscuous on tun0", "tun0: a tun has no Ethernet address"),
            ("create tun tun1 --bridge br0", "a tun has no Ethernet header and cannot be a bridge"),
            ("create tun tun1 --hw-addr 02:fe:00:00:00:01", "a tun has no Ethernet address"),
            ("show tap tun0", "show tap: tun0: not a tap interface"),
            ("show tun tap0", "show tun: tap0: not a tun interface"),
            ("create tap tap1 --mtu 65535", "host-mtu-size 65535: not an MTU between 68 and 65521"),
        ] {
            let (code, out, err) = one_shot(world, line);
            assert_eq!((code, out.as_str()), (2, ""), "{line}: {err}");
            assert!(err.contains(why), "{line}: {err}");
        }
        // The largest packet of IP, and ids of their own.
        world.done("-q create tun --id 7 --if-name big --netns a --mtu 65535");
        let shown = world.objects("show tun");
        assert_eq!(shown.len(), 2, "{shown:#?}");
        let big = shown.iter().find(|tun| tun["name"] == "big").unwrap();
        assert_eq!(big["mtu"], 65535);
        assert_eq!(number(queue(big, "rx_queues"), "packets"), 0);
        world.done("delete tun big tun0");
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn doctor_finds_nothing_wrong_with_a_tun_that_routes_by_default_through_us() {
    live(|world| {
        world.netns("a");
        world.done(
            "-q create tun tun0 --netns a --ip4 10.9.0.1/24 --gw4 10.9.0.2 --ip6 fd00:9::1/64 \
             --respond 10.9.0.2/24 --respond fd00:9::2/64",
        );
        world.ping_answered("a", "10.9.0.2");
        world.ping_answered("a", "fd00:9::2");
        let (code, out, err) = world.run("doctor tun0");
        assert_eq!(code, 0, "{out}{err}");
        assert!(out.ends_with("tun0: all works, nothing would be dropped\n"), "{out}");
        for absent in ["hw-addr", "arp "] {
            assert!(!out.contains(absent), "{out}");
        }
        world.done("delete --all");
        world.nothing_left();
    });
}
