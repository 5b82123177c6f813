//! `hold --exec`: lines in, results out, and nothing left at the end.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::common::{
    Hold, World, assert_ledger, backend, eventually, live, number, one_shot, queue, sum,
};

/// Three taps with everything: addresses, routes, a bridge port, a cross-connect.
fn everything(world: &World, hold: &mut Hold) {
    hold.run(
        "create tap0 host-ns a host-ip4-addr 10.9.0.1/24 host-ip6-addr fd00:9::1/64 \
         host-ip4-gw 10.9.0.2 host-ip6-gw fd00:9::2 respond 10.9.0.2/24 gso",
    );
    hold.run("create tap1 host-ns b host-bridge br0");
    hold.run("create tap2 host-ip4-addr 10.7.0.1/24");
    hold.run("xconnect tap1 tap2");
    world.ping_answered("a", "10.9.0.2");
}

fn places(world: &World) {
    world.netns("a");
    world.netns("b");
    // Down: with its first port a bridge that is up gets addresses and a state of its own, which
    // stay a while after the port.
    world.ip("-n b link add br0 address 02:00:00:00:00:01 type bridge");
}

#[test]
fn sigterm_and_sigint_under_traffic_leave_nothing() {
    live(|world| {
        places(world);
        let before = world.state();
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            let mut hold = Hold::start(world);
            everything(world, &mut hold);
            let flood = world.start("ip netns exec a ping -n -q -f 10.9.0.2");
            hold.tap_when("tap0", "the flood moves", 5.0, |t| sum(t, "rx_queues", "packets") > 200);
            let ended = hold.stop(signal);
            assert_eq!(ended.code, 0, "{signal}: {}", ended.stderr);
            drop(flood);
            world.state().assert_same_as(&before, signal.as_str());
        }
    });
}

#[test]
fn a_killed_holder_leaves_nothing_either() {
    live(|world| {
        places(world);
        let before = world.state();
        let mut hold = Hold::start(world);
        everything(world, &mut hold);
        assert_eq!(hold.stop(Signal::SIGKILL).code, -1);
        world.state().assert_same_as(&before, "after SIGKILL");
    });
}

#[test]
fn delete_gives_back_every_file_and_thread() {
    live(|world| {
        places(world);
        let before = world.state();
        let mut hold = Hold::start(world);
        // The first interface may start what then serves all.
        everything(world, &mut hold);
        assert_eq!(hold.run("delete --all").len(), 3);
        let (files, threads) = hold.files_and_threads();
        for _ in 0..5 {
            everything(world, &mut hold);
            hold.run("delete tap tap0 tap1");
            hold.run("delete tap tap2");
            world.state().assert_same_as(&before, "after delete");
        }
        // A thread of the first round may have been counted; fifteen interfaces' worth was not.
        eventually("no more files and threads than after the first round", 5.0, || {
            let now = hold.files_and_threads();
            now.0 <= files && now.1 <= threads
        });
        hold.close();
    });
}

#[test]
fn what_the_holder_does_is_shown_by_poller_thread_and_event() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        world.ping_answered("a", "10.9.0.2");
        let runtime = hold.one("show runtime");
        let nodes = runtime["nodes"].as_array().unwrap();
        assert_eq!(nodes.len(), 2, "{runtime:#}");
        for node in nodes {
            assert_eq!(node["active"], true, "{runtime:#}");
            assert!(number(node, "calls") > 0, "{runtime:#}");
            assert!(number(node, "vectors") >= number(node, "calls"), "{runtime:#}");
        }
        let visits = number(&runtime, "visits");
        assert!(visits > 0 && number(&runtime, "sleeps") > 0, "{runtime:#}");
        // Asleep since the ping: the time goes on without a visit.
        let later = hold.one("show runtime");
        assert!(number(&later, "asleep_ns") > number(&runtime, "asleep_ns"), "{later:#}");
        let threads = hold.run("show threads");
        let roles: Vec<&str> = threads.iter().map(|t| t["type"].as_str().unwrap()).collect();
        assert_eq!(&roles[..2], ["control", "poller"], "{threads:#?}");
        for name in ["host-sweep", "host-counters"] {
            assert!(threads.iter().any(|thread| thread["name"] == name), "{threads:#?}");
        }
        assert_eq!(number(&threads[0], "lwp"), u64::from(hold.pid()));
        world.ip("-n a link set dev tap0 down");
        hold.tap_when("tap0", "down", 5.0, |t| t["link_up"] == false);
        world.ip("-n a link set dev tap0 name eth9");
        hold.tap_when("tap0", "renamed", 5.0, |t| t["host_if_name"] == "eth9");
        world.ip("-n a link del eth9");
        hold.tap_when("tap0", "host-gone", 5.0, |t| t["state"] == "host-gone");
        hold.run("delete tap0");
        let log = hold.run("show logging");
        let said: Vec<&str> = log.iter().map(|row| row["text"].as_str().unwrap()).collect();
        let wanted = [
            "created on ",
            "host side set down",
            "host side renamed from tap0 to eth9",
            "host side is gone",
            "deleted",
        ];
        let mut rest = said.iter();
        for text in wanted {
            assert!(rest.any(|row| row.starts_with(text)), "{text} in {said:?}");
        }
        hold.close();
    });
}

#[test]
fn one_name_made_and_deleted_two_hundred_times_in_a_row_leaves_nothing() {
    live(|world| {
        world.netns("a");
        let before = world.state();
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a");
        hold.run("delete tap tap0");
        let (files, threads) = hold.files_and_threads();
        let mut last = 0;
        for _ in 0..200 {
            let made = hold.one("create tap0 host-ns a host-ip4-addr 10.9.0.1/24");
            let index = number(&made, "sw_if_index");
            assert!(index > last, "{index} after {last}");
            last = index;
            hold.run("delete tap tap0");
        }
        world.state().assert_same_as(&before, "after 200 deletes");
        assert_eq!(hold.run("show"), Vec::<Value>::new());
        eventually("no more files and threads than after the first", 5.0, || {
            let now = hold.files_and_threads();
            now.0 <= files && now.1 <= threads
        });
        hold.close();
    });
}

#[test]
fn delete_gives_back_the_pages_of_both_memory_files() {
    live(|world| {
        places(world);
        let mut hold = Hold::start(world);
        let used = |hold: &Hold| {
            let files = hold.files().into_iter().filter(|(_, to)| to.starts_with("/memfd:"));
            files.map(|(fd, _)| hold.file(fd).metadata().unwrap().blocks()).sum::<u64>()
        };
        everything(world, &mut hold);
        hold.run("delete --all");
        let at_rest = used(&hold);
        for _ in 0..3 {
            everything(world, &mut hold);
            // Buffers lie in rings of their owner and of its peer when they are deleted.
            let flood = world.start("ip netns exec a ping -n -q -f 10.9.0.2");
            hold.tap_when("tap0", "the flood moves", 5.0, |t| sum(t, "rx_queues", "packets") > 200);
            assert!(used(&hold) > at_rest);
            hold.run("delete --all");
            drop(flood);
        }
        eventually("every page is given back", 5.0, || used(&hold) <= at_rest);
        hold.close();
    });
}

#[test]
fn no_file_of_the_holder_would_be_inherited_and_no_eventfd_blocks() {
    live(|world| {
        places(world);
        let mut hold = Hold::start(world);
        everything(world, &mut hold);
        let files = hold.files();
        assert!(files.iter().any(|(_, to)| to.contains("net/tun")), "{files:?}");
        let flags = |process: &str, fd: i32| {
            let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{fd}")).ok()?;
            let flags = info.lines().find_map(|l| l.strip_prefix("flags:"))?;
            i32::from_str_radix(flags.trim(), 8).ok()
        };
        for (fd, to) in files {
            // What every child of the test inherits is not the holder's.
            if flags("self", fd).is_some_and(|flags| flags & nix::libc::O_CLOEXEC == 0) {
                continue;
            }
            let flags = flags(&hold.pid().to_string(), fd).unwrap_or_else(|| panic!("{fd} {to}"));
            assert!(fd <= 2 || flags & nix::libc::O_CLOEXEC != 0, "{fd} {to}: {flags:o}");
            if to.contains("eventfd") || to.contains("net/tun") {
                assert_ne!(flags & nix::libc::O_NONBLOCK, 0, "{fd} {to}: {flags:o}");
            }
        }
        hold.close();
    });
}

#[test]
fn no_thread_that_stays_is_in_a_namespace_of_a_tap() {
    live(|world| {
        places(world);
        let mut hold = Hold::start(world);
        let own = fs::read_link(format!("/proc/{}/ns/net", hold.pid())).unwrap();
        everything(world, &mut hold);
        hold.run("create tap3 host-ns b");
        // Born in the holder's own: the one that it was started in.
        assert_eq!(hold.one("create tap4")["host_ns"], Value::Null);
        let links = world.ip_json("link");
        assert!(links.as_array().unwrap().iter().any(|l| l["ifname"] == "tap4"), "{links}");
        let elsewhere = || {
            let tasks = fs::read_dir(format!("/proc/{}/task", hold.pid())).unwrap();
            let spaces = tasks.filter_map(|t| fs::read_link(t.unwrap().path().join("ns/net")).ok());
            spaces.filter(|space| *space != own).count()
        };
        eventually("all threads are in the own namespace", 5.0, || elsewhere() == 0);
        hold.close();
    });
}

#[test]
fn taps_stay_at_the_end_of_input_until_sigterm() {
    live(|world| {
        places(world);
        let before = world.state();
        let mut hold = Hold::start(world);
        everything(world, &mut hold);
        hold.end_of_input();
        world.ping_answered("a", "10.9.0.2");
        world.ping_answered("a", "-s 1400 10.9.0.2");
        hold.close();
        world.state().assert_same_as(&before, "after SIGTERM");
    });
}

#[test]
fn the_first_failing_line_removes_everything_and_its_code_is_the_holders() {
    live(|world| {
        places(world);
        let before = world.state();
        for (line, code) in [
            ("create tap9 host-ns nowhere", 3),
            ("create tap0 host-ns b", 4),
            ("create tap9 host-ns a rx-ring-size 3", 2),
        ] {
            let mut hold = Hold::start(world);
            everything(world, &mut hold);
            assert_eq!(hold.refused(line).code, code, "{line}");
            world.state().assert_same_as(&before, line);
        }
    });
}

#[test]
fn a_script_file_stops_at_its_failing_line_which_is_named() {
    live(|world| {
        places(world);
        let before = world.state();
        let script = tempfile::NamedTempFile::new().unwrap();
        let path = script.path().display();
        let text = format!(
            "# a comment\ncreate tap0 host-ns a \\\n  backend {}\n\nshow tap nosuch\nbogus\n",
            backend()
        );
        fs::write(script.path(), text).unwrap();
        let (code, stdout, stderr) = one_shot(world, &format!("hold -j --exec {path}"));
        assert_eq!(code, 3, "{stderr}");
        assert!(stderr.contains(&format!("{path}:5:")), "{stderr}");
        // One line, from the command before it.
        let made: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(made[0]["name"], "tap0");
        world.state().assert_same_as(&before, "after the script");
    });
}

#[test]
fn a_script_of_vpp_runs_as_it_is() {
    live(|world| {
        places(world);
        let mut hold = Hold::start(world);
        let made = hold.one(
            "create tap id 0 hw-addr 02:fe:00:00:00:01 rx-ring-size 1024 tx-ring-size 1024 \
             host-ns a host-if-name vpp0 host-mac-addr 02:00:00:00:00:02 \
             host-ip4-addr 10.9.0.1/24 host-ip6-addr fd00:9::1/64 gso",
        );
        assert_eq!((&made["name"], &made["host_if_name"]), (&"tap0".into(), &"vpp0".into()));
        hold.run("set interface ip address tap0 10.9.0.2/24");
        hold.run("set interface state tap0 up");
        world.ping_answered("a", "10.9.0.2");
        hold.run("set tap gso tap0 disable");
        hold.run("create tap id 1 host-ns b host-if-name vpp1");
        hold.run("set interface state tap1 up");
        hold.run("set interface l2 xconnect tap0 tap1");
        hold.run("set interface l2 xconnect tap1 tap0");
        hold.run("show interface");
        hold.run("set interface l3 tap0");
        hold.run("delete tap tap0");
        let index = number(&hold.tap("tap1"), "sw_if_index");
        hold.run(&format!("delete tap sw_if_index {index}"));
        assert_eq!(world.links("b"), ["br0"]);
        hold.close();
    });
}

#[test]
fn every_answer_of_show_is_the_same_interface() {
    live(|world| {
        places(world);
        let mut hold = Hold::start(world);
        everything(world, &mut hold);
        for line in ["show", "show tap", "show interface", "show tap tap0 tap1 tap2"] {
            let names: Vec<_> = hold.run(line).iter().map(|t| t["name"].clone()).collect();
            assert_eq!(names, ["tap0", "tap1", "tap2"], "{line}");
        }
        let plain = hold.tap("tap0");
        assert_eq!(queue(&plain, "rx_queues").get("descriptors"), None);
        let more = hold.one("show tap tap0 descriptors");
        let entries = queue(&more, "rx_queues")["descriptors"].as_array().unwrap();
        assert_eq!(entries.len(), 256);
        hold.close();
    });
}

#[test]
fn clear_is_a_baseline_of_ours_alone() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        world.ping_answered("a", "10.9.0.2");
        let kernels = || {
            let link = world.link("a", "tap0");
            number(&link["stats64"]["tx"], "packets")
        };
        let counted = kernels();
        assert!(counted >= 6);
        let named = hold.run("clear interfaces");
        assert_eq!(named, [json!({"name": "tap0"})]);
        let tap = hold.tap("tap0");
        // The kernel may ask again for a neighbour at any time; requests of the test are gone.
        assert!(sum(&tap, "rx_queues", "packets") <= kernels() - counted, "{tap:#}");
        assert_eq!(tap["rx_queues"][0]["drops"], json!({}));
        // Reading does not clear.
        world.ping_answered("a", "10.9.0.2");
        let (first, second) = (hold.tap("tap0"), hold.tap("tap0"));
        assert!(sum(&first, "rx_queues", "packets") >= 5, "{first:#}");
        assert!(sum(&second, "rx_queues", "packets") >= sum(&first, "rx_queues", "packets"));
        assert_eq!(sum(&second, "rx_queues", "packets"), kernels() - counted);
        assert_ledger(&[first, second]);
        hold.close();
    });
}

#[test]
fn show_errors_has_a_row_a_reason_until_it_is_cleared() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a admin-down host-ip4-addr 10.9.0.1/24");
        assert_eq!(hold.run("show errors"), Vec::<Value>::new());
        world.ping_unanswered("a", "10.9.0.2");
        let rows = hold.run("show errors");
        assert_eq!(rows.len(), 1, "{rows:#?}");
        let tap = hold.tap("tap0");
        for (key, value) in [
            ("name", json!("tap0")),
            ("direction", json!("rx")),
            ("queue", json!(0)),
            ("reason", json!("admin_down")),
            ("sentence", json!("interface is down")),
        ] {
            assert_eq!(rows[0][key], value, "{key}");
        }
        assert!(number(&rows[0], "count") >= 1);
        assert!(number(&rows[0], "count") <= sum(&tap, "rx_queues", "packets"));
        let packets = sum(&tap, "rx_queues", "packets");
        hold.run("clear errors");
        assert_eq!(hold.run("show errors"), Vec::<Value>::new());
        // Only the errors: packets were not asked for.
        assert!(sum(&hold.tap("tap0"), "rx_queues", "packets") >= packets);
        hold.close();
    });
}

#[test]
fn results_are_text_without_j_and_arrive_one_command_at_a_time() {
    live(|world| {
        places(world);
        let script = tempfile::NamedTempFile::new().unwrap();
        let text = format!("create tap0 host-ns a backend {}\nshow\nbogus\n", backend());
        fs::write(script.path(), text).unwrap();
        let (code, stdout, _) =
            one_shot(world, &format!("hold --exec {}", script.path().display()));
        assert_eq!(code, 2);
        // `create' prints the name, `show' a table with the interface in it.
        let mut lines = stdout.lines();
        assert_eq!(lines.next(), Some("tap0"), "{stdout}");
        assert!(lines.any(|l| l.contains("tap0") && l.contains(backend())), "{stdout}");
    });
}
