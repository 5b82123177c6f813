//! Wires that delay, lose, double and damage frames, between real hosts.

use serde_json::{Value, json};

use crate::common::{Hold, World, assert_ledger, at_rest, eventually, live, one_shot, sum};

/// Two taps `wa` and `wb` in namespaces `a` and `b`, 10.8.0.1 and 10.8.0.2, which know each other's MACs.
fn pair(world: &World, hold: &mut Hold) {
    for (netns, address) in [("a", "10.8.0.1"), ("b", "10.8.0.2")] {
        world.quiet_netns(netns);
        hold.run(&format!("create w{netns} host-ns {netns} host-ip4-addr {address}/24"));
    }
    for (here, there, address) in [("a", "b", "10.8.0.2"), ("b", "a", "10.8.0.1")] {
        let mac = world.link(there, &format!("w{there}"))["address"].as_str().unwrap().to_owned();
        let entry = format!("{address} lladdr {mac} dev w{here} nud permanent");
        world.ip(&format!("-n {here} neigh replace {entry}"));
    }
}

fn dropped(tap: &Value, reason: &str) -> u64 {
    let queues = tap["rx_queues"].as_array().unwrap().iter();
    queues.map(|queue| queue["drops"][reason].as_u64().unwrap_or(0)).sum()
}

/// Sends so many pings without a look at the answers.
fn send_pings(world: &World, count: u16) {
    let line = format!("-n -i 0.01 -c {count} -W 0.1 10.8.0.2");
    world.start(&format!("ip netns exec a ping {line}")).output(60.0);
}

/// Smallest round trip of some pings, ms.
fn fastest(world: &World) -> f64 {
    let said = world.must("ip netns exec a ping -n -c 5 -i 0.05 -W 10 10.8.0.2");
    let times = said.lines().find_map(|line| line.strip_prefix("rtt min/avg/max/mdev = "));
    times.unwrap_or_else(|| panic!("{said}")).split('/').next().unwrap().parse().unwrap()
}

#[test]
fn a_ping_over_a_delayed_wire_takes_twice_the_delay_and_the_ledger_balances_meanwhile() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold);
        hold.run("xconnect wa wb delay 20ms jitter 5ms seed 7");
        let tap = hold.tap("wa");
        assert_eq!(tap["impairment"], json!({"delay": "20ms", "jitter": "5ms", "seed": 7}));
        assert_eq!(hold.tap("wb")["impairment"]["seed"], 8);
        assert_eq!(tap["action"], "xconnect wb");
        assert!(fastest(world) >= 30.0, "two delays of at least 15 ms");

        // One direction alone, changed while frames are on the wire.
        hold.run("set interface l2 xconnect wa wb delay 60s");
        hold.run("set interface l2 xconnect wb wa");
        assert_eq!(hold.tap("wb")["impairment"], Value::Null);
        send_pings(world, 20);
        let held = hold.run("show tap");
        assert_ledger(&held);
        assert_eq!(sum(&held[0], "rx_queues", "held"), 20, "{held:#?}");
        hold.run("set interface l2 xconnect wa wb delay 50ms");
        let came = |t: &Value| sum(t, "tx_queues", "packets") >= 20;
        let before = sum(&held[1], "tx_queues", "packets");
        hold.tap_when("wb", "none was lost", 10.0, |t| {
            sum(t, "tx_queues", "packets") == before + 20 && came(t)
        });
        assert!(fastest(world) >= 50.0);

        hold.run("xconnect wa wb");
        assert_eq!(hold.tap("wa")["impairment"], Value::Null);
        assert!(fastest(world) < 20.0, "a plain wire again");
        eventually("all is sent", 5.0, || at_rest(&hold.run("show tap")));
        let taps = hold.run("show tap");
        assert_ledger(&taps);
        assert_eq!(sum(&taps[0], "rx_queues", "forwarded"), sum(&taps[0], "rx_queues", "packets"));
        hold.close();
    });
}

#[test]
fn all_that_a_wire_loses_doubles_or_holds_up_is_counted_with_its_reason() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold);
        hold.run("xconnect wa wb loss 100%");
        world.ping_unanswered("a", "10.8.0.2");
        let tap = hold.tap("wa");
        assert!(dropped(&tap, "impaired_loss") > 0);
        assert_eq!(dropped(&tap, "impaired_loss"), sum(&tap, "rx_queues", "packets"));

        hold.run("xconnect wa wb duplicate 100%");
        let said = world.must("ip netns exec a ping -n -c 1 -W 10 10.8.0.2");
        assert!(said.contains(" 0% packet loss"), "{said}");
        hold.tap_when("wb", "both of each", 5.0, |t| sum(t, "rx_queues", "copies") == 2);

        // A flipped bit is noticed by the receiver.
        hold.run("set interface l2 xconnect wb wa");
        hold.run("set interface l2 xconnect wa wb corrupt 100%");
        world.ping_unanswered("a", "10.8.0.2");

        hold.run("set interface l2 xconnect wa wb delay 60s limit 5");
        send_pings(world, 12);
        let taps = hold.run("show tap");
        assert_ledger(&taps);
        assert_eq!(sum(&taps[0], "rx_queues", "held"), 5, "{taps:#?}");
        assert_eq!(dropped(&taps[0], "queue_full"), 7);
        hold.close();
    });
}

#[test]
fn either_end_may_be_deleted_while_frames_are_on_the_wire() {
    live(|world| {
        let mut hold = Hold::start(world);
        pair(world, &mut hold);
        hold.run("xconnect wa wb delay 60s");
        send_pings(world, 10);
        assert_eq!(sum(&hold.tap("wa"), "rx_queues", "held"), 10);
        hold.run("delete wb");
        let tap = hold.tap("wa");
        assert_eq!((&tap["action"], &tap["impairment"]), (&json!("sink"), &Value::Null));
        assert_eq!(sum(&tap, "rx_queues", "held"), 0);
        assert_eq!(dropped(&tap, "action_changed"), 10, "{tap:#}");
        assert_ledger(&[tap]);

        hold.run("create wb host-ns b host-ip4-addr 10.8.0.2/24");
        hold.run("xconnect wa wb delay 60s");
        send_pings(world, 10);
        assert_eq!(sum(&hold.tap("wa"), "rx_queues", "held"), 10);
        hold.run("delete wa");
        assert_eq!(hold.tap("wb")["action"], "sink");
        hold.run("create wa host-ns a host-ip4-addr 10.8.0.1/24");
        hold.run("xconnect wa wb rate 1Mbit");
        world.ping_answered("a", "10.8.0.2");
        hold.close();
    });
}

#[test]
fn values_that_a_wire_cannot_have_are_refused_with_the_reason_and_leave_it_as_it_is() {
    live(|world| {
        let create = |name: &str, words: &str| {
            world.done(&format!("create {name} {words}"));
        };
        create("t1", "num-rx-queues 2");
        create("t2", "");
        world.done("xconnect t1 t2 delay 5ms");
        for (line, code, why) in [
            ("xconnect t1 t2 delay 10", 2, "as 10ms"),
            ("xconnect t1 t2 loss 101%", 2, "between 0% and 100%"),
            ("xconnect t1 t2 rate 10", 2, "as 100Mbit"),
            ("xconnect t1 t2 jitter 2ms", 2, "`jitter' may not be more than `delay'"),
            ("xconnect t1 t2 rate 1Gbit", 2, "t1: it has 2 receive queues"),
            ("xconnect t1 t2 off loss 1%", 2, "loss"),
            ("set interface l2 xconnect t2 t1 seed 5", 2, "`seed' needs something random"),
        ] {
            let (ended, _, stderr) = one_shot(world, line);
            assert_eq!(ended, code, "{line}: {stderr}");
            assert!(stderr.contains(why), "{line}: {stderr}");
        }
        assert_eq!(world.objects("show tap t2")[0]["impairment"], json!({"delay": "5ms"}));
        let shown = world.done("show tap t1");
        assert!(shown.contains("  impairment: delay 5ms\n"), "{shown}");
        let shown = world.done("show");
        assert!(shown.contains("xconnect t2, impaired"), "{shown}");
        world.done("delete --all");
    });
}

#[test]
fn the_simulator_delays_the_wires_that_follow_it_and_a_new_setting_changes_them() {
    live(|world| {
        world.done("create x1");
        world.done("create x2");
        for line in
            ["nsim cross-connect enable-disable x1 x2", "nsim output-feature enable-disable x1"]
        {
            let (code, _, stderr) = one_shot(world, line);
            assert_eq!(code, 1, "{line}");
            assert!(stderr.contains("Not configured, please 'set nsim' first"), "{stderr}");
        }
        world.done("delete --all");
        let mut hold = Hold::start(world);
        pair(world, &mut hold);
        let set = hold.one("set nsim delay 20.0 ms bandwidth 1 gbit packet-size 1500");
        assert_eq!((&set["delay"], &set["limit"]), (&json!("20ms"), &json!(1667)));
        hold.run("nsim cross-connect enable-disable wa wb");
        assert_eq!(hold.one("show nsim")["cross_connects"], json!(["wa", "wb"]));
        assert_eq!(hold.tap("wa")["impairment"], json!({"delay": "20ms", "limit": 1667}));
        assert!(fastest(world) >= 40.0);
        hold.run("set nsim delay 1 us bandwidth 1 gbit");
        assert!(fastest(world) < 20.0);
        hold.run("nsim cross-connect enable-disable wa wb disable");
        assert_eq!(hold.tap("wa")["action"], "sink");

        hold.run("set nsim delay 30 ms bandwidth 10 mbps");
        hold.run("nsim output-feature enable-disable wb");
        hold.run("xconnect wa wb");
        assert_eq!(hold.tap("wb")["impairment"], Value::Null);
        let once = fastest(world);
        assert!((30.0..60.0).contains(&once), "one direction: {once}");
        hold.run("nsim output-feature enable-disable wb disable");
        assert!(fastest(world) < 20.0);
        assert_ledger(&hold.run("show tap"));
        hold.close();
    });
}
