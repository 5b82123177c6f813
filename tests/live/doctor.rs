//! `doctor`: what it says is true, and the command that it names mends it.

use std::time::Instant;

use serde_json::{Value, json};

use crate::common::{Hold, World, backend, eventually, live, on_vhost_net, one_shot, patience};

/// The rows of a look that drop frames.
fn drops(rows: &[Value]) -> Vec<Value> {
    rows.iter().filter(|row| row["state"] == "drops").cloned().collect()
}

/// Runs a command as it was told. What is for taptool goes to the holder.
fn run(world: &World, hold: &mut Hold, command: &str) {
    for part in command.split(" && ") {
        match part.strip_prefix("taptool ") {
            Some(line) => drop(hold.run(line)),
            None => drop(world.must(part)),
        }
    }
}

/// Asks until `name` is told to have exactly these `(check, remedy)` in the way, for the holder
/// hears of the kernel's changes a moment later.
fn told(hold: &mut Hold, name: &str, wanted: &[(&str, &str)]) {
    let mut last = Vec::new();
    let mut rows = Vec::new();
    let as_wanted = |found: &[Value]| {
        let found = found.iter().map(|row| (row["check"].as_str(), row["remedy"].as_str()));
        found.eq(wanted.iter().map(|(check, remedy)| (Some(*check), Some(*remedy))))
    };
    let end = Instant::now() + patience(5.0);
    while Instant::now() < end {
        rows = hold.run(&format!("doctor {name}"));
        last = drops(&rows);
        if as_wanted(&last) {
            return;
        }
    }
    panic!("{name}: not {wanted:?} but {last:#?}\nof {rows:#?}");
}

/// Tries each way to break `name`: doctor must name it and nothing else, its command must mend it,
/// and `works` must be true again.
fn mended(
    world: &World,
    hold: &mut Hold,
    name: &str,
    rows: &[(&str, &str, &str)],
    works: impl Fn(&World),
) {
    told(hold, name, &[]);
    works(world);
    for (breaks, check, remedy) in rows {
        run(world, hold, breaks);
        told(hold, name, &[(check, remedy)]);
        run(world, hold, remedy);
        told(hold, name, &[]);
        works(world);
    }
}

#[test]
fn each_thing_in_the_way_of_a_responder_is_named_with_the_command_that_mends_it() {
    live(|world| {
        world.netns("foo");
        world.ip("-n foo link add other type bridge");
        world.ip("-n foo link set other up");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        let rows = [
            ("ip -n foo link set dev tap0 down", "host-link", "ip -n foo link set dev tap0 up"),
            (
                "ip -n foo link set dev tap0 carrier off",
                "host-link",
                "ip -n foo link set dev tap0 carrier on",
            ),
            ("taptool set tap carrier tap0 down", "host-link", "taptool set tap carrier tap0 up"),
            (
                "ip -n foo link set dev tap0 txqueuelen 0",
                "host-queue",
                "ip -n foo link set dev tap0 txqueuelen 1000",
            ),
            (
                "ip -n foo addr del 10.9.0.1/24 dev tap0",
                "host-address",
                "ip -n foo addr add 10.9.0.1/24 dev tap0",
            ),
            (
                "ip -n foo route add 10.9.0.2/32 dev other",
                "route",
                "ip -n foo route replace 10.9.0.2/32 dev tap0",
            ),
            (
                "taptool set interface state tap0 down",
                "admin",
                "taptool set interface state tap0 up",
            ),
        ];
        mended(world, &mut hold, "tap0", &rows, |world| world.ping_answered("foo", "10.9.0.2"));
        hold.run("set interface ip address tap0 fd00::2/64");
        let missing = "ip -n foo addr add fd00::1/64 dev tap0";
        told(&mut hold, "tap0", &[("host-address", missing)]);
        run(world, &mut hold, missing);
        told(&mut hold, "tap0", &[]);
        world.ping_answered("foo", "fd00::2");
        hold.close();
    });
}

#[test]
fn an_address_left_on_a_bridge_port_and_a_bridge_that_is_down_are_both_named() {
    live(|world| {
        world.netns("foo");
        world.ip("-n foo link add br0 type bridge");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        world.ip("-n foo link set dev tap0 master br0");
        let (up, moved) = (
            "ip -n foo link set dev br0 up",
            "ip -n foo addr del 10.9.0.1/24 dev tap0 && ip -n foo addr add 10.9.0.1/24 dev br0",
        );
        told(&mut hold, "tap0", &[("bridge", up), ("host-address", moved)]);
        run(world, &mut hold, up);
        told(&mut hold, "tap0", &[("host-address", moved)]);
        run(world, &mut hold, moved);
        told(&mut hold, "tap0", &[]);
        world.ping_answered("foo", "10.9.0.2");
        // With STP a port listens and learns first.
        world.ip("-n foo link set dev tap0 nomaster");
        world.ip("-n foo link set dev br0 type bridge stp_state 1");
        world.ip("-n foo link set dev tap0 master br0");
        let off = "ip -n foo link set dev br0 type bridge stp_state 0";
        told(&mut hold, "tap0", &[("bridge", off)]);
        hold.close();
    });
}

#[test]
fn each_thing_in_the_way_of_a_wire_is_named_with_the_command_that_mends_it() {
    live(|world| {
        world.netns("foo");
        world.netns("bar");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.8.0.1/24 gso");
        hold.run("create tap1 host-ns bar host-ip4-addr 10.8.0.2/24 gso");
        told(
            &mut hold,
            "tap0",
            &[(
                "action",
                "taptool set interface ip address tap0 ADDRESS/LENGTH   # or: taptool xconnect \
                 tap0 PEER",
            )],
        );
        run(world, &mut hold, "taptool xconnect tap0 tap1");
        let rows = [
            ("taptool set interface l3 tap1", "peer", "taptool xconnect tap0 tap1"),
            ("ip -n bar link set dev tap1 down", "peer", "ip -n bar link set dev tap1 up"),
            (
                "taptool set interface state tap1 down",
                "peer",
                "taptool set interface state tap1 up",
            ),
        ];
        mended(world, &mut hold, "tap0", &rows, |world| world.ping_answered("foo", "10.8.0.2"));
        // Notes are mended by their commands as well.
        let mut noted = |breaks: &str, check: &str, remedy: &str| {
            run(world, &mut hold, breaks);
            let is = |rows: &[Value], state: &str| {
                let row = rows.iter().find(|row| row["check"] == check);
                row.is_some_and(|row| row["state"] == state)
            };
            eventually("it is noted with the command", 5.0, || {
                let rows = hold.run("doctor tap0");
                is(&rows, "note") && rows.iter().any(|row| row["remedy"] == remedy)
            });
            run(world, &mut hold, remedy);
            eventually("it is mended", 5.0, || is(&hold.run("doctor tap0"), "ok"));
        };
        noted(
            "ip -n bar link set dev tap1 mtu 9000",
            "mtu",
            "ip -n foo link set dev tap0 mtu 9000",
        );
        noted(
            "ip -n foo link set dev tap0 mtu 1500",
            "mtu",
            "ip -n foo link set dev tap0 mtu 9000",
        );
        noted("taptool gso tap0 off", "gso", "taptool gso tap0 on");
        world.ip("-n foo link set dev tap0 mtu 1500");
        world.ip("-n bar link set dev tap1 mtu 1500");
        // MTUs that differ: said, and what is said of them is so.
        world.ip("-n bar link set dev tap1 mtu 9000");
        eventually("the larger MTU of the peer is told", 5.0, || {
            let rows = hold.run("doctor tap0");
            let mtu = rows.iter().find(|row| row["check"] == "mtu").unwrap();
            mtu["state"] == "note" && mtu["remedy"] == "ip -n foo link set dev tap0 mtu 9000"
        });
        told(&mut hold, "tap0", &[]);
        world.ping_answered("bar", "-s 5000 10.8.0.1");
        hold.close();
    });
}

#[test]
fn a_member_of_a_bridge_domain_that_reaches_nobody_is_named_with_the_command_that_mends_it() {
    live(|world| {
        world.netns("foo");
        world.netns("bar");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.8.0.1/24");
        hold.run("create tap1 host-ns bar host-ip4-addr 10.8.0.2/24");
        hold.run("set interface l2 bridge tap0 7");
        told(&mut hold, "tap0", &[("action", "taptool set interface l2 bridge MEMBER 7")]);
        run(world, &mut hold, "taptool set interface l2 bridge tap1 7");
        let rows = [
            (
                "taptool set interface l2 bridge tap0 7 2 && taptool set interface l2 bridge tap1 7 2",
                "action",
                "taptool set interface l2 bridge tap0 7",
            ),
            (
                "taptool set interface state tap1 down",
                "peer",
                "taptool set interface state tap1 up",
            ),
        ];
        mended(world, &mut hold, "tap0", &rows, |world| world.ping_answered("foo", "10.8.0.2"));
    });
}

#[test]
fn a_namespace_that_is_gone_is_made_again_by_the_command_that_doctor_names() {
    live(|world| {
        world.netns("foo");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24 \
             hw-addr 02:fe:00:00:00:09",
        );
        world.ip("netns del foo");
        hold.tap_when("tap0", "host-gone", 5.0, |tap| tap["state"] == "host-gone");
        let rows = hold.run("doctor tap0");
        let gone = drops(&rows).remove(0);
        assert_eq!(gone["value"], "namespace foo is gone, and tap0 with it");
        let remedy = gone["remedy"].as_str().unwrap().to_owned();
        let wanted = format!(
            "ip netns add foo && taptool delete tap0 && taptool create tap tap0 \
             --netns foo --hw-addr 02:fe:00:00:00:09 --ip4 10.9.0.1/24 --backend {} \
             --respond 10.9.0.2/24",
            backend()
        );
        assert_eq!(remedy, wanted);
        run(world, &mut hold, &remedy);
        told(&mut hold, "tap0", &[]);
        world.ping_answered("foo", "10.9.0.2");
        hold.close();
    });
}

#[test]
fn a_host_side_that_is_gone_is_made_again_with_all_that_its_create_was_told() {
    live(|world| {
        world.netns("foo");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 host-ip6-addr fd00::1/64 \
             host-ip4-gw 10.9.0.2 host-ip6-gw fd00::2 host-mac-addr 02:00:00:00:00:0b \
             hw-addr 02:fe:00:00:00:09 host-mtu-size 1400 host-txqueuelen 77 owner 1001 group 1002 \
             rx-ring-size 512 respond 10.9.0.2/24 respond 10.9.0.3/24",
        );
        // Of our side counts what is set now.
        hold.run("gso tap0 on");
        hold.run("set interface ip address del tap0 10.9.0.3/24");
        hold.run("set interface ip address tap0 fd00::2/64");
        let whole = |world: &World, hold: &mut Hold| {
            let tap = hold.tap("tap0");
            let keys = [
                "host_addresses host_mac_addr mac_addr mtu qlen gso addresses",
                "host_if_name host_ns admin_up rx_queues",
            ];
            let mut kept: Vec<Value> =
                keys.join(" ").split(' ').map(|key| tap[key].clone()).collect();
            let last = kept.pop().unwrap();
            kept.push(last[0]["size"].clone());
            for family in ["-4", "-6"] {
                let routes = world.ip_json(&format!("-n foo {family} route show default"));
                kept.push(json!([routes[0]["gateway"], routes[0]["dev"]]));
            }
            for file in ["owner", "group"] {
                kept.push(json!(world.class_net("foo", "tap0", file)));
            }
            kept
        };
        // The kernel adds link-local addresses a moment later.
        let settled = |hold: &mut Hold| {
            hold.tap_when("tap0", "addresses", 5.0, |tap| {
                tap["host_addresses"].as_array().unwrap().len() == 3
            });
            hold.run("doctor tap0");
        };
        settled(&mut hold);
        let before = whole(world, &mut hold);
        world.ip("-n foo link del tap0");
        hold.tap_when("tap0", "host-gone", 5.0, |tap| tap["state"] == "host-gone");
        let rows = hold.run("doctor tap0");
        let remedy = drops(&rows)[0]["remedy"].as_str().unwrap().to_owned();
        run(world, &mut hold, &remedy);
        settled(&mut hold);
        assert_eq!(whole(world, &mut hold), before);
        told(&mut hold, "tap0", &[]);
        world.ping_answered("foo", "10.9.0.2");
        world.ping_answered("foo", "fd00::2");
        hold.close();
    });
}

#[test]
fn a_namespace_that_nobody_can_make_again_is_left_open_and_nothing_is_to_be_deleted_first() {
    live(|world| {
        let mut hold = Hold::start(world);
        let unnamed = world.unnamed_netns();
        let pid = unnamed.pid();
        hold.run(&format!("create tap0 host-ns pid:{pid} hw-addr 02:fe:00:00:00:09"));
        drop(unnamed);
        hold.tap_when("tap0", "host-gone", 5.0, |tap| tap["state"] == "host-gone");
        let rows = hold.run("doctor tap0");
        let remedy = format!(
            "taptool create tap tap0 --netns NETNS --hw-addr 02:fe:00:00:00:09 --backend {}   \
             # with a namespace for NETNS; first: taptool delete tap0",
            backend()
        );
        assert_eq!(drops(&rows)[0]["remedy"], remedy);
        hold.close();
    });
}

#[test]
fn what_create_asked_for_and_somebody_took_away_is_named_with_the_command_that_puts_it_back() {
    live(|world| {
        world.netns("foo");
        world.ip("-n foo link add br0 type bridge");
        world.ip("-n foo link set dev br0 up");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 host-ip4-gw 10.9.0.2 \
             host-ip6-addr fd00::1/64 host-ip6-gw fd00::2 host-mac-addr 02:fe:00:00:00:0b \
             hw-addr 02:fe:00:00:00:09 respond 10.9.0.2/24",
        );
        let rows = [
            (
                "ip -n foo route del default via 10.9.0.2 dev tap0",
                "route",
                "ip -n foo -4 route replace default via 10.9.0.2 dev tap0",
            ),
            (
                "ip -n foo -6 route del default via fd00::2 dev tap0",
                "route",
                "ip -n foo -6 route replace default via fd00::2 dev tap0",
            ),
            (
                "ip -n foo -6 route del default dev tap0 && ip -n foo addr del fd00::1/64 dev tap0",
                "route",
                "ip -n foo addr replace fd00::1/64 dev tap0 && ip -n foo -6 route replace default \
                 via fd00::2 dev tap0",
            ),
            ("ip -n foo link set dev tap0 arp off", "arp", "ip -n foo link set dev tap0 arp on"),
            (
                "ip -n foo link set dev tap0 address 02:fe:00:00:00:09",
                "hw-addr",
                "ip -n foo link set dev tap0 address 02:fe:00:00:00:08",
            ),
        ];
        mended(world, &mut hold, "tap0", &rows, |world| world.ping_answered("foo", "10.9.0.2"));
        hold.run("create tap1 host-ns foo host-bridge br0 respond 10.8.0.2/24");
        let rows = [(
            "ip -n foo link set dev tap1 nomaster",
            "bridge",
            "ip -n foo link set dev tap1 master br0",
        )];
        world.ip("-n foo addr add 10.8.0.1/24 dev br0");
        mended(world, &mut hold, "tap1", &rows, |world| world.ping_answered("foo", "10.8.0.2"));
        hold.close();
    });
}

#[test]
fn commands_for_a_device_that_was_moved_go_where_it_is_or_are_not_given() {
    live(|world| {
        world.netns("foo");
        world.netns("bar");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.9.0.1/24");
        hold.run("create tap1 host-ns bar");
        hold.run("xconnect tap0 tap1");
        world.ip("-n foo link set dev tap0 netns bar");
        // A stranger takes its place, and is down as it is.
        world.ip("-n foo link add tap0 type bridge");
        told(&mut hold, "tap0", &[("host-link", "ip -n bar link set dev tap0 up")]);
        told(&mut hold, "tap1", &[("peer", "ip -n bar link set dev tap0 up")]);
        run(world, &mut hold, "ip -n bar link set dev tap0 up");
        told(&mut hold, "tap0", &[]);
        // Where its namespace has no name, no command is given, for either end.
        let unnamed = world.unnamed_netns();
        world.ip(&format!("-n bar link set dev tap0 netns {}", unnamed.pid()));
        let number = format!("net:[{}]", world.netns_inode(unnamed.pid()));
        hold.tap_when("tap0", "moved on", 5.0, |tap| tap["host_ns"] == json!(number));
        let rows = hold.run("doctor tap0");
        assert_eq!(rows[0]["state"], "unknown", "{rows:#?}");
        let value = rows[0]["value"].as_str().unwrap();
        assert!(value.contains(&format!("is in the namespace {number}, which has no name")));
        let remedies = |rows: &[Value]| {
            drops(rows).iter().map(|row| row["remedy"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(remedies(&rows), [Value::Null], "{rows:#?}");
        assert_eq!(remedies(&hold.run("doctor tap1")), ["taptool doctor tap0"]);
        hold.close();
    });
}

#[test]
fn the_machine_is_looked_at_without_a_holder_and_left_as_it_was() {
    live(|world| {
        let before = world.state();
        let (code, out, err) = one_shot(world, "-j doctor");
        assert_eq!((code, err.as_str()), (0, ""));
        let rows: Vec<Value> = serde_json::from_str(&out).unwrap();
        let row = |check: &str| rows.iter().find(|row| row["check"] == check).unwrap().clone();
        for check in ["tun", "tun-features", "tap", "capabilities", "network-namespaces", "memory"]
        {
            assert_eq!(row(check)["state"], "ok", "{}", row(check));
        }
        if on_vhost_net() {
            for check in ["vhost-net", "vhost-features"] {
                assert_eq!(row(check)["state"], "ok", "{}", row(check));
            }
        }
        let (code, out, _) = one_shot(world, "doctor");
        assert_eq!(code, 0);
        let last = out.lines().last().unwrap();
        assert!(last.starts_with("taps can be made, on "), "{out}");
        world.state().assert_same_as(&before, "after doctor");
        let (code, out, err) = one_shot(world, "doctor tap0");
        assert_eq!((code, out.as_str()), (3, ""));
        assert!(err.starts_with("doctor: tap0: no such interface\n"), "{err}");
    });
}

#[test]
fn an_unknown_name_ends_a_script_and_a_finding_does_not() {
    live(|world| {
        world.netns("foo");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-down");
        assert!(!drops(&hold.run("doctor tap0")).is_empty());
        assert!(!hold.run("doctor").is_empty());
        let ended = hold.refused("doctor tap7");
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert!(ended.stderr.contains("doctor: tap7: no such interface"), "{}", ended.stderr);
    });
}
