//! Settings of an interface: its name, its tag, its MACs, which frames it takes, and both MTUs.

use serde_json::json;

use crate::common::{Hold, World, assert_ledger, at_rest, eventually, live, number, queue, sum};

/// The frames that a reason has cost on the receive queue.
fn lost(hold: &mut Hold, name: &str, reason: &str) -> u64 {
    let tap = hold.tap(name);
    queue(&tap, "rx_queues")["drops"][reason].as_u64().unwrap_or(0)
}

/// Sends to `to` behind `mac`, whatever answers there.
fn behind(world: &World, netns: &str, to: &str, mac: &str) {
    world.ip(&format!("-n {netns} neigh replace {to} lladdr {mac} dev vt0 nud permanent"));
}

#[test]
fn a_renamed_interface_is_found_under_its_new_name_alone_and_made_again_with_it() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        hold.run("create tap9 host-ns a");
        hold.run("xconnect tap9 tap0");
        let said = hold.one("set interface name tap0 up.link");
        assert_eq!(said, json!({"name": "up.link"}));
        let tap = hold.tap("up.link");
        assert_eq!((&tap["host_if_name"], &tap["id"]), (&json!("tap0"), &json!(0)));
        assert_eq!(hold.tap("tap9")["action"], "xconnect up.link");
        let made = &tap["created_with"];
        assert_eq!((&made["if_name"], &made["host_if_name"]), (&json!("up.link"), &json!("tap0")));
        assert_eq!((made.get("name"), &made["id"]), (None, &json!(0)));
        let rows = hold.run("show logging");
        let last = rows.last().unwrap();
        assert_eq!(
            (&last["name"], &last["text"]),
            (&json!("up.link"), &json!("renamed; it was tap0"))
        );
        // The old name is free, the new one is not.
        hold.run("create tap if-name tap0 host-if-name tap00 host-ns a");
        hold.run("set interface l3 up.link");
        world.ping_answered("a", "10.9.0.2");
        let ended = hold.refused("set interface name tap0 up.link");
        assert_eq!(ended.code, 4, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("set interface name: up.link: interface already exists"),
            "{}",
            ended.stderr
        );
    });
}

#[test]
fn our_side_answers_with_its_new_mac_and_tells_the_hosts_that_had_the_old_one() {
    live(|world| {
        world.netns("a");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-if-name vt0 host-ns a host-ip4-addr 10.9.0.1/24 \
             host-ip6-addr fd00:9::1/64 respond 10.9.0.2/24 respond fd00:9::2/64",
        );
        let known = |address: &str| {
            let all = world.ip_json(&format!("-n a neigh show {address}"));
            all[0]["lladdr"].as_str().unwrap_or_default().to_owned()
        };
        world.ping_answered("a", "10.9.0.2");
        world.ping_answered("a", "fd00:9::2");
        hold.run("set interface mac address tap0 02:fe:00:00:00:77");
        for address in ["10.9.0.2", "fd00:9::2"] {
            eventually("the host knows the new MAC", 5.0, || known(address) == "02:fe:00:00:00:77");
        }
        world.ping_answered("a", "10.9.0.2");
        world.ping_answered("a", "fd00:9::2");
        let tap = hold.tap("tap0");
        assert_eq!(tap["mac_addr"], "02:fe:00:00:00:77");
        assert_eq!(tap["created_with"]["mac_addr"], "02:fe:00:00:00:77");
        // Announcements are no copies of what was received.
        assert_eq!(number(queue(&tap, "rx_queues"), "copies"), 0, "{tap:#}");
        assert_ledger(std::slice::from_ref(&tap));
        let host = tap["host_mac_addr"].as_str().unwrap();
        let ended = hold.refused(&format!("set interface mac address tap0 {host}"));
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("the host side has this MAC"), "{}", ended.stderr);
    });
}

#[test]
fn frames_for_other_macs_are_lost_with_that_reason_and_taken_where_a_setting_says_so() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-if-name vt0 host-ns a host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24",
        );
        behind(world, "a", "10.9.0.2", "02:fe:00:00:00:55");
        world.ping_unanswered("a", "10.9.0.2");
        let mut dropped = lost(&mut hold, "tap0", "l3_mac_mismatch");
        assert!(dropped > 0);
        for (on, off) in [
            ("set interface promiscuous on tap0", "set interface promiscuous off tap0"),
            (
                "set interface secondary-mac-address tap0 02:fe:00:00:00:55 add",
                "set interface secondary-mac-address tap0 02:fe:00:00:00:55 del",
            ),
        ] {
            hold.run(on);
            world.ping_answered("a", "10.9.0.2");
            assert_eq!(lost(&mut hold, "tap0", "l3_mac_mismatch"), dropped, "{on}");
            hold.run(off);
            world.ping_unanswered("a", "10.9.0.2");
            let now = lost(&mut hold, "tap0", "l3_mac_mismatch");
            assert!(now > dropped, "{off}");
            dropped = now;
        }
        assert_ledger(&[hold.tap("tap0")]);
        let text = "set interface secondary-mac-address tap0 02:fe:00:00:00:55 del";
        let ended = hold.refused(text);
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert!(ended.stderr.contains("tap0: it has no secondary MAC 02:fe"), "{}", ended.stderr);
    });
}

/// Two taps `wa` and `wb` in namespaces `a` and `b`, 10.8.0.1 and 10.8.0.2, cross-connected.
fn pair(world: &World, hold: &mut Hold, options: &str) {
    for (netns, end) in [("a", 1), ("b", 2)] {
        world.quiet_netns(netns);
        let line = format!("create w{netns} host-ns {netns} host-ip4-addr 10.8.0.{end}/24");
        hold.run(&format!("{line} {options}"));
    }
    hold.run("xconnect wa wb");
    world.ping_answered("a", "10.8.0.2");
}

#[test]
fn packets_longer_than_our_mtu_are_not_sent_and_are_received_all_the_same() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "");
        let exceeded = |hold: &mut Hold, name: &str| {
            let drops = queue(&hold.tap(name), "tx_queues")["drops"]["mtu_exceeded"].as_u64();
            drops.unwrap_or(0)
        };
        // 972 bytes of data make a packet of 1000.
        hold.run("set interface mtu packet 1000 wb");
        world.ping_answered("a", "-s 972 10.8.0.2");
        world.ping_unanswered("a", "-s 973 10.8.0.2");
        assert_eq!((exceeded(&mut hold, "wa"), exceeded(&mut hold, "wb")), (0, 2));
        // The requests of b were received; the answers to them were not sent.
        world.ping_unanswered("b", "-s 973 10.8.0.1");
        assert_eq!((exceeded(&mut hold, "wa"), exceeded(&mut hold, "wb")), (0, 4));
        // That of the protocol goes first, and 0 is none.
        hold.run("set interface mtu ip4 1400 wb");
        world.ping_answered("a", "-s 1372 10.8.0.2");
        hold.run("set interface mtu ip4 0 wb");
        hold.run("set interface mtu 0 wb");
        world.ping_answered("a", "-s 1472 10.8.0.2");
        let tap = hold.tap("wb");
        assert_eq!((&tap["packet_mtu"], &tap["ip4_mtu"]), (&json!(null), &json!(null)));
        eventually("nothing moves", 10.0, || at_rest(&hold.run("show tap")));
        assert_ledger(&hold.run("show tap"));
        hold.close();
    });
}

#[test]
fn a_large_frame_is_sent_if_its_segments_fit_our_mtu_and_else_not() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold, "gso");
        hold.run("set interface mtu 1500 wb");
        let transfer = world.iperf("a", "b", "10.8.0.2");
        hold.tap_when("wb", "20 MB", 30.0, |t| sum(t, "tx_queues", "bytes") > 20_000_000);
        let tap = hold.tap("wb");
        let mean = sum(&tap, "tx_queues", "bytes") / sum(&tap, "tx_queues", "packets");
        assert!(mean > 2000, "frames of {mean} bytes");
        assert_eq!(queue(&tap, "tx_queues")["drops"], json!({}));
        hold.run("set interface mtu 1400 wb");
        hold.tap_when("wb", "segments of 1500 bytes are refused", 10.0, |t| {
            queue(t, "tx_queues")["drops"]["mtu_exceeded"].as_u64().is_some_and(|n| n > 0)
        });
        transfer.stop();
        eventually("nothing moves", 10.0, || at_rest(&hold.run("show tap")));
        assert_ledger(&hold.run("show tap"));
        hold.close();
    });
}

#[test]
fn the_host_mtu_is_set_on_the_device_wherever_it_is_and_shown_at_once() {
    live(|world| {
        world.quiet_netns("a");
        world.netns("b");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a host-ip4-addr 10.9.0.1/24");
        hold.run("set tap host-mtu tap0 9000");
        assert_eq!(world.link("a", "tap0")["mtu"], 9000);
        let tap = hold.tap("tap0");
        assert_eq!((&tap["mtu"], &tap["packet_mtu"]), (&json!(9000), &json!(null)));
        assert_eq!(tap["created_with"]["host_mtu_size"], 9000);
        world.ip("-n a link set tap0 netns b");
        hold.run("set tap host-mtu tap0 65521");
        assert_eq!(world.link("b", "tap0")["mtu"], 65521);
        world.ip("-n b addr add fd00:9::1/64 dev tap0");
        hold.tap_when("tap0", "the address is seen", 5.0, |tap| {
            tap["host_addresses"].to_string().contains("fd00:9::1")
        });
        let ended = hold.refused("set tap host-mtu tap0 1000");
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        let why = "1000: Linux needs an MTU of 1280 bytes for IPv6, and it has fd00:9::1/64";
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
    });
}
