//! What others do to the host side: it is noticed, shown, survived, and strangers are left alone.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use taptool::counters::Direction;
use taptool::device::QueueRecord;
use taptool::ring::RingLayout;
use vm_memory::{FileOffset, GuestAddress, GuestMemoryMmap};

use crate::common::{
    Hold, World, assert_ledger, eventually, live, number, on_vhost_net, queue, sum,
};

/// `tap0` in `a`, answering on 10.9.0.2.
fn responder(world: &World) -> Hold {
    world.quiet_netns("a");
    let mut hold = Hold::start(world);
    hold.run("create tap0 host-ns a host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
    world.ping_answered("a", "10.9.0.2");
    hold
}

#[test]
fn a_namespace_deleted_under_traffic_is_freed_at_once_and_its_tap_is_host_gone() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        // Devices die when the last holder of their namespace lets go, so the end of a veth pair
        // that stays here tells when that is. The kernel takes its time, and as long for a namespace
        // that nobody holds.
        world.quiet_netns("unheld");
        for netns in ["a", "unheld"] {
            world.ip(&format!("link add in-{netns} type veth peer name witness netns {netns}"));
        }
        let inode = fs::metadata("/run/netns/a").unwrap().ino();
        let mut hold = Hold::start(world);
        hold.run("create wa host-ns a host-ip4-addr 10.8.0.1/24");
        hold.run("create wb host-ns b host-ip4-addr 10.8.0.2/24");
        hold.run("xconnect wa wb");
        // The answers come from a's kernel: no process of the test is inside.
        let flood = world.start("ip netns exec b ping -n -q -f 10.8.0.1");
        hold.tap_when("wa", "the flood moves", 5.0, |t| sum(t, "tx_queues", "packets") > 100);
        hold.tap_when("wb", "it is answered", 5.0, |t| sum(t, "tx_queues", "packets") > 100);

        world.ip("netns del a");
        world.ip("netns del unheld");
        let deleted = Instant::now();
        let is_there = |netns: &str| {
            let links = world.ip_json("link");
            let witness = format!("in-{netns}");
            links.as_array().unwrap().iter().any(|l| l["ifname"] == witness.as_str())
        };
        eventually("a namespace that nobody holds is freed", 10.0, || !is_there("unheld"));
        eventually("so is the one with the tap", 1.0, || !is_there("a"));
        println!("freed after {:?}", deleted.elapsed());
        // Its number may be another namespace's by now, which is of another test.
        let ours = format!("/proc/{}/", hold.pid());
        let held = world.holds_netns(inode).into_iter().filter(|path| path.starts_with(&ours));
        assert_eq!(held.collect::<Vec<_>>(), Vec::<String>::new(), "the holder has it open");
        let gone = hold.tap_when("wa", "host-gone", 5.0, |t| t["state"] == "host-gone");
        assert_eq!(gone["link_up"], false, "{gone:#}");
        // The other end, and the process, go on.
        let other = hold.tap("wb");
        assert_eq!((&other["state"], &other["link_up"]), (&"up".into(), &true.into()));
        assert!(crate::common::exists(flood.pid()));
        drop(flood);
        eventually("nothing is held or in flight any more", 5.0, || {
            let taps = hold.run("show tap");
            assert_ledger(&taps);
            taps.iter()
                .all(|t| sum(t, "rx_queues", "held") == 0 && sum(t, "tx_queues", "in_flight") == 0)
        });
        assert_eq!(hold.one("delete wa")["name"], "wa");
        world.quiet_netns("a");
        hold.run("create wa host-ns a host-ip4-addr 10.8.0.1/24");
        hold.run("xconnect wa wb");
        world.ip("-n b neigh flush all");
        world.ping_answered("b", "10.8.0.1");
        hold.close();
    });
}

#[test]
fn a_renamed_host_side_is_tracked_and_a_stranger_with_its_old_name_is_untouched() {
    live(|world| {
        let mut hold = responder(world);
        world.ip("-n a link set dev tap0 down");
        world.ip("-n a link set dev tap0 name other0");
        world.ip("-n a link set other0 up");
        world.ip("-n a link add tap0 address 02:00:00:00:00:01 type bridge");
        let stranger = world.link("a", "tap0");
        let tap = hold.tap_when("tap0", "renamed and up", 5.0, |t| {
            t["host_if_name"] == "other0" && t["link_up"] == true
        });
        assert_eq!(tap["state"], "up", "{tap:#}");
        world.ping_answered("a", "10.9.0.2");
        // What is changed is changed on ours.
        hold.run("gso tap0 on");
        hold.run("set interface state tap0 down");
        hold.run("set interface state tap0 up");
        assert_eq!(hold.one("delete tap0")["name"], "tap0");
        assert_eq!(world.links("a"), ["tap0"], "ours is gone, the stranger is not");
        assert_eq!(world.link("a", "tap0"), stranger);
        hold.close();
    });
}

#[test]
fn a_host_side_moved_to_another_namespace_is_tracked_shown_there_and_works_there() {
    live(|world| {
        let mut hold = responder(world);
        world.quiet_netns("b");
        // A stranger takes its place.
        world.ip("-n a link set dev tap0 netns b");
        world.ip("-n a link add tap0 type bridge");
        // Moving sets it down and takes its addresses.
        hold.tap_when("tap0", "down after the move", 5.0, |t| {
            t["link_up"] == false && t["host_addresses"] == json!([]) && t["host_ns"] == "b"
        });
        world.ip("-n b addr add 10.9.0.1/24 dev tap0");
        world.ip("-n b link set dev tap0 up");
        let tap = hold.tap_when("tap0", "up with its address", 5.0, |t| {
            t["link_up"] == true && t["host_addresses"] == json!(["10.9.0.1/24"])
        });
        assert_eq!(tap["state"], "up", "{tap:#}");
        assert_eq!(tap["host_ifindex"], world.link("b", "tap0")["ifindex"]);
        world.ping_answered("b", "10.9.0.2");
        let log = hold.run("show logging");
        let moved = |row: &Value| row["text"] == "host side moved to namespace b";
        assert!(log.iter().any(moved), "{log:#?}");
        assert_eq!(hold.one("delete tap0")["name"], "tap0");
        assert_eq!(world.links("b"), Vec::<String>::new());
        hold.close();
    });
}

#[test]
fn a_host_side_is_shown_in_its_creators_words_only_while_it_is_in_the_namespace_they_meant() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns /run/netns/a");
        let unnamed = world.unnamed_netns();
        let inode = world.netns_inode(unnamed.pid());
        let number = format!("net:[{inode}]");
        let shown = |hold: &mut Hold, namespace: Value| {
            hold.tap_when("tap0", "its namespace", 5.0, |t| t["host_ns"] == namespace);
        };
        // Without a name: as the kernel calls it.
        world.ip(&format!("-n a link set dev tap0 netns {}", unnamed.pid()));
        shown(&mut hold, json!(number));
        // Nobody but the process in it keeps it.
        let pid = unnamed.pid();
        assert_eq!(world.holds_netns(inode), [format!("/proc/{pid}/task/{pid}/ns/net")]);
        // A name that it gets later is found at the next look.
        world.ip(&format!("netns attach z {}", unnamed.pid()));
        world.ip("-n z link set dev tap0 mtu 1400");
        shown(&mut hold, json!("z"));
        // The holder's own needs no name.
        world.ip(&format!("-n z link set dev tap0 netns {}", hold.pid()));
        shown(&mut hold, Value::Null);
        // Back where it was made: the creator's words hold again.
        world.ip("link set dev tap0 netns a");
        shown(&mut hold, json!("/run/netns/a"));
        assert_eq!(hold.one("delete tap0")["name"], "tap0");
        hold.close();
    });
}

#[test]
fn a_host_side_set_down_and_up_by_others_is_shown_and_answers_again() {
    live(|world| {
        let mut hold = responder(world);
        world.ip("-n a link set dev tap0 down");
        let tap = hold.tap_when("tap0", "link down", 5.0, |t| t["link_up"] == false);
        assert_eq!((&tap["state"], &tap["admin_up"]), (&"up".into(), &true.into()));
        world.ip("-n a link set dev tap0 up");
        hold.tap_when("tap0", "link up", 5.0, |t| t["link_up"] == true);
        world.ping_answered("a", "10.9.0.2");
        hold.close();
    });
}

#[test]
fn addresses_mtu_and_bridge_set_by_others_are_shown() {
    live(|world| {
        let mut hold = responder(world);
        world.ip("-n a addr add 10.9.1.1/24 dev tap0");
        world.ip("-n a addr del 10.9.0.1/24 dev tap0");
        world.ip("-n a link set dev tap0 mtu 9000 txqueuelen 77 address 02:00:00:00:00:02");
        hold.tap_when("tap0", "address, MTU, queue length and MAC", 5.0, |t| {
            t["host_addresses"] == json!(["10.9.1.1/24"])
                && t["mtu"] == 9000
                && t["qlen"] == 77
                && t["host_mac_addr"] == "02:00:00:00:00:02"
        });
        world.ip("-n a link add br0 type bridge");
        world.ip("-n a link set dev tap0 master br0");
        hold.tap_when("tap0", "bridge", 5.0, |t| t["host_bridge"] == "br0");
        world.ip("-n a link set dev tap0 nomaster");
        hold.tap_when("tap0", "no bridge", 5.0, |t| t["host_bridge"] == Value::Null);
        hold.close();
    });
}

#[test]
fn what_others_set_on_a_host_side_is_an_event_and_only_what_may_hurt_is_a_warning() {
    live(|world| {
        let mut hold = responder(world);
        for set in ["mtu 9000", "down", "up"] {
            world.ip(&format!("-n a link set dev tap0 {set}"));
            let up = set != "down";
            hold.tap_when("tap0", set, 5.0, |t| t["mtu"] == 9000 && t["link_up"] == up);
        }
        let log = hold.run("show logging");
        let said: Vec<_> = log.iter().map(|row| (&row["level"], &row["text"])).skip(1).collect();
        let wanted = [
            ("warn", "host side's MTU changed from 1500 to 9000"),
            ("warn", "host side set down"),
            ("notice", "host side set up"),
        ]
        .map(|(level, text)| (json!(level), json!(text)));
        assert_eq!(said, wanted.iter().map(|(level, text)| (level, text)).collect::<Vec<_>>());
        hold.close();
    });
}

#[test]
fn what_cannot_be_done_without_a_host_side_is_refused_with_the_way_out() {
    for line in ["set interface state tap0 up", "gso tap0 on"] {
        live(move |world| {
            let mut hold = responder(world);
            world.ip("-n a link del tap0");
            hold.tap_when("tap0", "host-gone", 5.0, |t| t["state"] == "host-gone");
            // It stays down however often it is told.
            hold.run("set interface state tap0 down");
            let ended = hold.refused(line);
            assert_eq!(ended.code, 3, "{}", ended.stderr);
            let said = "tap0: its host side is gone\n  `delete tap0' and create it again";
            assert!(ended.stderr.contains(said), "{}", ended.stderr);
        });
    }
}

#[test]
fn a_host_side_deleted_by_others_is_host_gone_and_a_stranger_of_its_name_outlives_delete() {
    live(|world| {
        let mut hold = responder(world);
        world.ip("-n a link del tap0");
        let tap = hold.tap_when("tap0", "host-gone", 5.0, |t| t["state"] == "host-gone");
        assert_eq!((&tap["name"], &tap["link_up"]), (&"tap0".into(), &false.into()));
        // The configuration is kept.
        assert_eq!(tap["addresses"], json!(["10.9.0.2/24"]));
        world.ip("-n a link add tap0 address 02:00:00:00:00:01 type bridge");
        let stranger = world.link("a", "tap0");
        assert_eq!(hold.one("delete tap0")["name"], "tap0");
        assert_eq!(world.link("a", "tap0"), stranger);
        assert_eq!(hold.run("show tap"), Vec::<Value>::new());
        hold.close();
    });
}

#[test]
fn a_ring_that_somebody_overwrites_is_broken_with_a_reason_and_other_taps_go_on() {
    live(|world| {
        let mut hold = responder(world);
        world.quiet_netns("b");
        hold.run("create tap1 host-ns b host-ip4-addr 10.8.0.1/24 respond 10.8.0.2/24");
        // The heads in the available ring become entries that no ring has. Nothing is under way.
        let memory = |name: &str| {
            let named = |(_, to): &(i32, String)| to.starts_with(&format!("/memfd:{name}"));
            hold.files().into_iter().find(named).map(|(fd, _)| hold.file(fd)).unwrap()
        };
        let (private, shared) = (memory("private"), memory("shared"));
        let size = usize::try_from(private.metadata().unwrap().len()).unwrap();
        let range = (GuestAddress(0), size, Some(FileOffset::new(private, 0)));
        let map = Arc::new(GuestMemoryMmap::from_ranges_with_files([range]).unwrap());
        let index = number(&hold.tap("tap0"), "sw_if_index");
        let (_, record) = QueueRecord::read_all(&map)
            .into_iter()
            .find(|(_, r)| u64::from(r.interface.0) == index && r.direction == Direction::Rx)
            .unwrap();
        let ring = RingLayout::new(record.ring, record.size, false);
        let entries = vec![0xff; 2 * usize::from(record.size.get())];
        let reason = if on_vhost_net() {
            "broken: the backend reported an error on the queue"
        } else {
            "broken: used id is outside the ring"
        };
        for command in ["set interface state tap0 up", "set interface state tap0 down"] {
            shared.write_all_at(&entries, ring.avail + 4).unwrap();
            world.ping_unanswered("a", "10.9.0.2");
            let stopped = |t: &Value| queue(t, "tx_queues")["state"] != "running";
            let tap = hold.tap_when("tap0", "stopped", 5.0, stopped);
            assert_eq!(tap["state"], "broken");
            assert_eq!(queue(&tap, "rx_queues")["state"], reason);
            let other = "broken: stopped with another queue of the interface";
            assert_eq!(queue(&tap, "tx_queues")["state"], other);
            world.ping_answered("b", "10.8.0.2");
            // Setting it up resets it; setting it down before that changes nothing of it.
            hold.run(command);
            hold.run("set interface state tap0 up");
            world.ping_answered("a", "10.9.0.2");
            let tap = hold.tap("tap0");
            assert_eq!(tap["state"], "up", "{tap:#}");
            assert_ledger(&[tap]);
        }
        assert_eq!(hold.one("delete tap0")["name"], "tap0");
        assert_eq!(world.links("a"), Vec::<String>::new());
        world.ping_answered("b", "10.8.0.2");
        hold.close();
    });
}

#[test]
fn neither_an_idle_interface_nor_one_that_is_host_gone_takes_processor_time() {
    live(|world| {
        let mut hold = responder(world);
        world.quiet_netns("b");
        hold.run("create tap1 host-ns b");
        // The share of a core that the holder takes, and the loops of its pollers, over the time of
        // two looks at the host sides.
        let spent = |hold: &mut Hold| {
            let before = number(&hold.one("show runtime"), "loops");
            let (cpu, began) = (hold.cpu_seconds(), Instant::now());
            std::thread::sleep(Duration::from_secs(2));
            let share = (hold.cpu_seconds() - cpu) / began.elapsed().as_secs_f64();
            (share, number(&hold.one("show runtime"), "loops") - before)
        };
        let idle = spent(&mut hold);
        world.ip("netns del b");
        world.ip("-n a link del tap0");
        for name in ["tap0", "tap1"] {
            hold.tap_when(name, "host-gone", 5.0, |t| t["state"] == "host-gone");
        }
        let gone = spent(&mut hold);
        // A loop that spins takes what it gets of a core, and a poller's goes round more often than
        // this in a millisecond.
        for (share, loops) in [idle, gone] {
            assert!(share < 0.25 && loops < 1_000, "idle {idle:?}, gone {gone:?}");
        }
        hold.close();
    });
}

#[test]
fn a_host_side_that_is_down_leaves_another_pair_untouched_and_resumes() {
    live(|world| {
        for netns in ["a", "b", "c", "d"] {
            world.quiet_netns(netns);
        }
        let mut hold = Hold::start(world);
        for (name, address) in
            [("a", "10.8.0.1"), ("b", "10.8.0.2"), ("c", "10.7.0.1"), ("d", "10.7.0.2")]
        {
            hold.run(&format!("create w{name} host-ns {name} host-ip4-addr {address}/24"));
        }
        hold.run("xconnect wa wb");
        hold.run("xconnect wc wd");
        world.ping_answered("a", "10.8.0.2");
        // b goes on sending to a, resolved or not.
        let mac = world.link("a", "wa")["address"].as_str().unwrap().to_owned();
        world.ip(&format!("-n b neigh replace 10.8.0.1 lladdr {mac} dev wb nud permanent"));
        let flood = world.start("ip netns exec b ping -n -q -f 10.8.0.1");
        world.ip("-n a link set wa down");
        let before = hold.tap_when("wa", "link down", 5.0, |t| t["link_up"] == false);
        for _ in 0..10 {
            assert_eq!(world.ping("c", "10.7.0.2", 50), 50, "answers on the other pair");
        }
        let offered = |tap: &Value| sum(tap, "tx_queues", "offered");
        // On either backend; those from before the event was heard have another reason, or none.
        hold.tap_when("wa", "the flood goes on", 10.0, |tap| {
            let lost = tap["tx_queues"][0]["drops"]["link_down"].as_u64().unwrap_or(0);
            offered(tap) > offered(&before) + 1_000 && lost > 1_000
        });
        world.ip("-n a link set wa up");
        hold.tap_when("wa", "link up", 5.0, |t| t["link_up"] == true);
        drop(flood);
        world.ping_answered("a", "10.8.0.2");
        world.ping_answered("b", "10.8.0.1");
        let taps = hold.run("show tap");
        assert!(taps.iter().all(|t| t["state"] == "up"), "{taps:#?}");
        assert_ledger(&taps);
        hold.close();
    });
}
