//! Bridge domains: learning, flooding, split horizon, and members that come and go under traffic.

use std::net::UdpSocket;

use serde_json::{Value, json};

use crate::common::{Hold, World, assert_ledger, at_rest, eventually, live, number, queue, sum};

/// Taps `t1`, `t2` … in namespaces `n1`, `n2` …, 10.7.0.1, 10.7.0.2 …, as members of domain 1.
fn members(world: &World, hold: &mut Hold, count: usize) {
    for n in 1..=count {
        world.quiet_netns(&format!("n{n}"));
        hold.run(&format!("create t{n} host-ns n{n} host-ip4-addr 10.7.0.{n}/24"));
        hold.run(&format!("set interface l2 bridge t{n} 1"));
    }
}

/// Frames lost for a reason on an interface's receive queue.
fn lost(hold: &mut Hold, name: &str, reason: &str) -> u64 {
    queue(&hold.tap(name), "rx_queues")["drops"][reason].as_u64().unwrap_or(0)
}

fn mac(world: &World, n: usize) -> String {
    world.link(&format!("n{n}"), &format!("t{n}"))["address"].as_str().unwrap().to_owned()
}

/// Behind which member the domain has a MAC.
fn behind(hold: &mut Hold, mac: &str) -> Value {
    let all = hold.run("show l2fib all");
    all.iter().find(|entry| entry["mac"] == mac).map_or(Value::Null, |entry| entry["name"].clone())
}

/// Waits until nothing is under way, and gives the taps then.
fn rest(hold: &mut Hold) -> Vec<Value> {
    let mut taps = Vec::new();
    eventually("nothing is under way", 5.0, || {
        taps = hold.run("show tap");
        at_rest(&taps)
    });
    assert_ledger(&taps);
    taps
}

#[test]
fn three_members_ping_each_other_and_a_broadcast_reaches_each_once_and_the_ledger_balances() {
    live(|world| {
        let mut hold = Hold::start(world);
        assert_eq!(hold.one("create bridge-domain 1"), json!({"bd_id": 1}));
        members(world, &mut hold, 3);
        for (from, to) in [(1, 2), (2, 3), (3, 1)] {
            world.ping_answered(&format!("n{from}"), &format!("10.7.0.{to}"));
        }
        for n in 1..=3 {
            let mac = mac(world, n);
            assert_eq!(behind(&mut hold, &mac), format!("t{n}"), "{mac}");
        }
        rest(&mut hold);
        hold.run("clear interfaces");
        let sender = world.inside("n1", || UdpSocket::bind("10.7.0.1:0").unwrap());
        sender.set_broadcast(true).unwrap();
        for _ in 0..10 {
            sender.send_to(b"to all", "10.7.0.255:9").unwrap();
        }
        eventually("both others have ten", 5.0, || {
            [2, 3].iter().all(|n| sum(&hold.tap(&format!("t{n}")), "tx_queues", "packets") == 10)
        });
        let taps = rest(&mut hold);
        let rx = queue(taps.iter().find(|tap| tap["name"] == "t1").unwrap(), "rx_queues");
        let counts = ["packets", "forwarded", "copies"].map(|counter| number(rx, counter));
        assert_eq!(counts, [10, 20, 10], "{rx:#}");
        // None came back.
        assert_eq!(sum(&hold.tap("t1"), "tx_queues", "packets"), 0);
    });
}

#[test]
fn a_frame_for_a_mac_that_was_learned_reaches_its_member_alone_also_after_it_has_moved() {
    live(|world| {
        let mut hold = Hold::start(world);
        members(world, &mut hold, 3);
        world.ping_answered("n1", "10.7.0.2");
        rest(&mut hold);
        hold.run("clear interfaces");
        world.ping_answered("n1", "10.7.0.2");
        assert_eq!(sum(&hold.tap("t3"), "tx_queues", "packets"), 0);
        // The host behind t2 moves behind t3.
        let moved = mac(world, 2);
        world.ip("-n n2 link set t2 down");
        world.ip(&format!("-n n3 link set t3 address {moved}"));
        world.ip("-n n3 addr del 10.7.0.3/24 dev t3");
        world.ip("-n n3 addr add 10.7.0.2/24 dev t3");
        world.ping_answered("n3", "10.7.0.1");
        assert_eq!(behind(&mut hold, &moved), "t3");
        world.ping_answered("n1", "10.7.0.2");
        rest(&mut hold);
    });
}

#[test]
fn members_of_one_split_horizon_group_reach_others_and_not_each_other() {
    live(|world| {
        let mut hold = Hold::start(world);
        members(world, &mut hold, 3);
        hold.run("set interface l2 bridge t1 1 7");
        hold.run("set interface l2 bridge t2 1 shg 7");
        assert_eq!(hold.tap("t1")["action"], "bridge 1 shg 7");
        world.ping_unanswered("n1", "10.7.0.2");
        world.ping_answered("n1", "10.7.0.3");
        world.ping_answered("n2", "10.7.0.3");
        rest(&mut hold);
    });
}

#[test]
fn what_a_domain_is_set_not_to_flood_learn_or_forward_is_lost_with_its_reason() {
    live(|world| {
        let mut hold = Hold::start(world);
        members(world, &mut hold, 2);
        // So that the second host sends nothing by itself, from which its MAC would be learned again.
        for (here, there) in [(1, 2), (2, 1)] {
            let entry =
                format!("10.7.0.{there} lladdr {} dev t{here} nud permanent", mac(world, there));
            world.ip(&format!("-n n{here} neigh replace {entry}"));
        }
        world.ping_answered("n1", "10.7.0.2");
        hold.run("set bridge-domain forward 1 disable");
        world.ping_unanswered("n1", "10.7.0.2");
        assert!(lost(&mut hold, "t1", "bridge_refused") > 0);
        hold.run("set bridge-domain forward 1");
        world.ping_answered("n1", "10.7.0.2");
        let (first, second) = (mac(world, 1), mac(world, 2));
        hold.run(&format!("l2fib add {second} 1 filter"));
        world.ping_unanswered("n1", "10.7.0.2");
        assert!(lost(&mut hold, "t1", "mac_filtered") > 0);
        hold.run(&format!("l2fib del {second} 1"));
        world.ping_answered("n1", "10.7.0.2");
        // A static entry says that the first host is behind t2.
        hold.run(&format!("l2fib add {first} 1 t2 static"));
        world.ping_unanswered("n1", "10.7.0.2");
        assert!(lost(&mut hold, "t1", "mac_moved") > 0);
        // A flush takes what was learned, and not that.
        hold.run("l2fib flush-mac all");
        assert_eq!(behind(&mut hold, &first), "t2");
        assert_eq!(behind(&mut hold, &second), Value::Null);
        hold.run("clear l2fib");
        assert!(hold.run("show l2fib").is_empty());
        world.ping_answered("n1", "10.7.0.2");
        rest(&mut hold);
    });
}

#[test]
fn members_are_deleted_and_their_domain_taken_away_under_traffic_and_no_frame_is_unaccounted() {
    live(|world| {
        let mut hold = Hold::start(world);
        members(world, &mut hold, 4);
        hold.run("set interface ip address t1 10.7.0.9/24");
        let flood = |n: usize| {
            world.start(&format!("ip netns exec n{n} ping -q -f -b -W 1 -w 20 10.7.0.255"))
        };
        let floods = [flood(1), flood(2), flood(3)];
        for n in [1, 2, 3] {
            hold.tap_when(&format!("t{n}"), "it sends", 10.0, |tap| {
                sum(tap, "rx_queues", "packets") > 50
            });
        }
        hold.run("delete t4");
        let left = hold.one("show bridge-domain 1");
        let names: Vec<_> =
            left["members"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
        assert_eq!(names, ["t1", "t2", "t3"]);
        hold.run("set interface l3 t3");
        assert_eq!(hold.tap("t3")["action"], "sink");
        let before = sum(&hold.tap("t2"), "tx_queues", "packets");
        hold.tap_when("t2", "the others go on", 10.0, |tap| {
            sum(tap, "tx_queues", "packets") > before + 50
        });
        // As the refusals of a deletion and of an entry say: `set interface l2 bridge t2 1',
        // `delete bridge-domain 1'.
        hold.run("delete bridge-domain 1");
        assert!(hold.run("show bridge-domain").is_empty());
        let actions = ["t1", "t2"].map(|name| hold.tap(name)["action"].clone());
        assert_eq!(actions, ["respond", "sink"]);
        drop(floods);
        world.ping_answered("n1", "10.7.0.9");
        let taps = hold.run("show tap");
        assert_ledger(&taps);
        hold.run("delete --all");
    });
}

#[test]
fn a_domain_with_members_is_kept_and_one_without_an_interface_keeps_a_holder() {
    live(|world| {
        assert_eq!(world.done("create bridge-domain 7 mac-age 5 bd-tag lab"), "bridge-domain 7\n");
        assert_eq!(world.holders().len(), 1);
        let shown = &world.objects("show bridge-domain")[0];
        let said = ["bd_id", "mac_age", "tag"].map(|key| shown[key].clone());
        assert_eq!(said, [json!(7), json!(5), json!("lab")]);
        world.netns("a");
        world.done("create tap0 --netns a");
        world.done("set interface l2 bridge tap0 7");
        let (code, _, err) = world.run("create bridge-domain 7 del");
        assert_eq!(code, 4, "{err}");
        assert!(err.contains("bridge domain in use - remove members"), "{err}");
        let (code, _, err) = world.run("create bridge-domain 7");
        assert_eq!(code, 4, "{err}");
        world.done("delete tap0");
        assert_eq!(world.holders().len(), 1);
        world.done("create bridge-domain 7 del");
        eventually("the holder leaves", 5.0, || world.holders().is_empty());
        let (code, _, err) = world.run("set interface l2 bridge tap0 7");
        assert_eq!(code, 3, "{err}");
    });
}
