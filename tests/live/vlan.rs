//! Sub-interfaces and tag rewrites: VLANs over a trunk of two taps on one bridge of the kernel.

use serde_json::Value;

use crate::common::{Hold, World, assert_ledger, at_rest, eventually, live};

/// Taps `t1` to `t4` in namespaces of their own, and the trunk: `u1` and `u2`, whose host sides are
/// ports of one bridge.
fn trunk(world: &World, hold: &mut Hold) {
    world.quiet_netns("mid");
    world.ip("-n mid link add br0 type bridge");
    world.ip("-n mid link set br0 up");
    for name in ["u1", "u2"] {
        hold.run(&format!("create {name} host-ns mid host-bridge br0"));
    }
    for n in 1..=4 {
        world.quiet_netns(&format!("n{n}"));
        let address = if n % 2 == 1 { 1 } else { 2 };
        hold.run(&format!("create t{n} host-ns n{n} host-ip4-addr 10.8.0.{address}/24"));
    }
}

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
fn two_vlans_of_a_trunk_reach_their_taps_and_not_each_others_and_the_ledger_balances() {
    live(|world| {
        let mut hold = Hold::start(world);
        trunk(world, &mut hold);
        for name in ["u1", "u2"] {
            hold.run(&format!("create sub-interfaces {name} 10"));
            hold.run(&format!("create sub {name} 20 dot1ad 20 exact-match"));
            for sub in ["10", "20"] {
                hold.run(&format!("set interface l2 tag-rewrite {name}.{sub} pop 1"));
            }
        }
        // VLAN 10 by bridge domains, VLAN 20 by wires: the same addresses in both.
        for line in [
            "set interface l2 bridge t1 1",
            "set interface l2 bridge u1.10 1",
            "set interface l2 bridge t2 2",
            "set interface l2 bridge u2.10 2",
            "xconnect t3 u1.20",
            "xconnect t4 u2.20",
        ] {
            hold.run(line);
        }
        world.ping_answered("n1", "10.8.0.2");
        world.ping_answered("n3", "10.8.0.2");
        // Beyond one buffer of 2 KiB, whose bytes make room for the tag.
        world.ping_answered("n1", "-s 1472 10.8.0.2");
        let taps = rest(&mut hold);
        let u1 = taps.iter().find(|tap| tap["name"] == "u1").unwrap();
        assert_eq!(u1["sub_interfaces"][0]["encapsulation"], "dot1q 10 exact-match");
        assert_eq!(u1["sub_interfaces"][1]["action"], "xconnect t3");
        assert_eq!(u1["sub_interfaces"][1]["tag_rewrite"], "pop-1");
        let members = &hold.run("show bridge-domain 1 detail")[0]["members"];
        assert_eq!(members[1]["tag_rewrite"], "none");
        // Each VLAN alone: without its sub-interface nobody answers, and the other goes on.
        hold.run("set interface state u2.10 down");
        world.ping_unanswered("n1", "10.8.0.2");
        world.ping_answered("n3", "10.8.0.2");
        hold.run("set interface state u2.10 up");
        world.ping_answered("n1", "10.8.0.2");
        hold.run("delete sub-interface u2.10");
        world.ping_unanswered("n1", "10.8.0.2");
        world.ping_answered("n3", "10.8.0.2");
        // The parent goes with its sub-interfaces, and what led to them leads to layer 3.
        hold.run("delete u1");
        assert_eq!(hold.tap("t3")["action"], "sink");
    });
}

#[test]
fn a_tap_that_pushes_its_tag_speaks_with_a_sub_interface_that_translates_it() {
    live(|world| {
        let mut hold = Hold::start(world);
        trunk(world, &mut hold);
        for line in [
            "set interface l2 tag-rewrite t1 push dot1q 30",
            "xconnect t1 u1",
            "create sub-interfaces u2 7 dot1q 30",
            "set interface l2 tag-rewrite u2.7 translate 1-1 dot1q 40",
            "set interface l2 tag-rewrite t2 push dot1q 40",
            "xconnect t2 u2.7",
        ] {
            hold.run(line);
        }
        world.ping_answered("n1", "10.8.0.2");
        rest(&mut hold);
        assert_eq!(hold.tap("t1")["tag_rewrite"], "push-1 dot1q 30");
    });
}
