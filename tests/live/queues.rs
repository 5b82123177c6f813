//! Several queues of an interface: each is used, no flow is reordered, and nothing is lost.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBufForce;
use serde_json::{Value, json};
use taptool::frame::flow::flow;
use taptool::units::Kind;

use crate::common::{
    Hold, World, assert_ledger, at_rest, backend, eventually, live, number, patience, seen_by_host,
    seen_by_us,
};

/// Where the flows end.
const SERVER: &str = "10.8.0.2:7";
/// Numbered datagrams of a flow in a round: together shorter than a queue of the host side.
const BURST: u32 = 4;

/// Two taps `wa` and `wb` in namespaces `a` and `b`, cross-connected.
fn pair(world: &World, hold: &mut Hold, options: [&str; 2]) {
    for ((netns, end), options) in [("a", 1), ("b", 2)].into_iter().zip(options) {
        world.quiet_netns(netns);
        hold.run(&format!(
            "create w{netns} host-ns {netns} host-ip4-addr 10.8.0.{end}/24 {options}"
        ));
    }
    hold.run("xconnect wa wb");
    // Both know each other: no frame waits for an answer.
    for (here, there, address) in [("a", "b", "10.8.0.2"), ("b", "a", "10.8.0.1")] {
        let mac = world.link(there, &format!("w{there}"))["address"].as_str().unwrap().to_owned();
        let entry = format!("{address} lladdr {mac} dev w{here} nud permanent");
        world.ip(&format!("-n {here} neigh replace {entry}"));
    }
}

/// A socket whose queue holds what all flows send in a round.
fn roomy(address: &str) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    setsockopt(&socket, RcvBufForce, &(16 << 20)).unwrap();
    socket.set_read_timeout(Some(patience(5.0))).unwrap();
    socket
}

/// A source port of `count` flows from `a` to [`SERVER`] such that each of `queues` queues has some.
fn ports(count: u16, queues: usize) -> Vec<u16> {
    let mut ports = Vec::new();
    let mut port = 40_000;
    while ports.len() < usize::from(count) {
        let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 8, 0, 1, 10, 8, 0, 2];
        packet.extend([u16::to_be_bytes(port), 7_u16.to_be_bytes()].concat());
        packet.extend([0; 8]);
        if flow(Kind::Tun, &packet) as usize % queues == ports.len() % queues {
            ports.push(port);
        }
        port += 1;
    }
    ports
}

/// Sends numbered datagrams in so many flows from `a` to `b`; where `back`, each is sent back. All
/// arrive, in the order of their flow. The first round has one datagram a flow: where the first one
/// comes back, the kernel moves the flow to the queue that it came by, and what is on its way by
/// another may be overtaken.
fn exchange(world: &World, ports: &[u16], rounds: u32, back: bool) {
    let server = world.inside("b", || roomy(SERVER));
    let clients: Vec<UdpSocket> = world.inside("a", || {
        let client = |port: &u16| {
            let socket = roomy(&format!("10.8.0.1:{port}"));
            socket.connect(SERVER).unwrap();
            socket
        };
        ports.iter().map(client).collect()
    });
    let (flows, arrived) = (u32::try_from(ports.len()).unwrap(), AtomicU32::new(0));
    let all = flows * (1 + BURST * (rounds - 1));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut next = vec![0_u32; 65_536];
            for _ in 0..all {
                let mut datagram = [0; 4];
                let (_, from) = server.recv_from(&mut datagram).expect("a datagram is lost");
                let next = &mut next[usize::from(from.port())];
                assert_eq!(u32::from_be_bytes(datagram), *next, "from port {}", from.port());
                *next += 1;
                if back {
                    server.send_to(&datagram, from).unwrap();
                }
                arrived.fetch_add(1, Ordering::Release);
            }
        });
        let mut sent = 0;
        for round in 0..rounds {
            let first = round.checked_sub(1).map_or(0, |before| 1 + before * BURST);
            let numbers = first..1 + round * BURST;
            for number in numbers.clone() {
                for client in &clients {
                    client.send(&number.to_be_bytes()).unwrap();
                    sent += 1;
                }
            }
            for client in clients.iter().filter(|_| back) {
                for number in numbers.clone() {
                    let mut datagram = [0; 4];
                    client.recv(&mut datagram).expect("a datagram is lost on its way back");
                    assert_eq!(u32::from_be_bytes(datagram), number);
                }
            }
            eventually("all have arrived", 5.0, || arrived.load(Ordering::Acquire) == sent);
        }
    });
}

/// At rest, the ledger balances, the kernel has counted the same, and its queues were never full.
fn assert_accounted(world: &World, hold: &mut Hold) {
    eventually("nothing moves", 10.0, || at_rest(&hold.run("show tap")));
    let taps = hold.run("show tap");
    assert_ledger(&taps);
    for (tap, netns) in taps.iter().zip(["a", "b"]) {
        let link = world.link(netns, &format!("w{netns}"));
        assert_eq!(seen_by_us(tap), seen_by_host(&link), "{netns}");
        assert_eq!(link["stats64"]["tx"]["dropped"], 0, "{netns}");
        assert_eq!(tap["host_tx_dropped"], 0, "{netns}");
    }
}

/// What each queue of a direction has carried.
fn packets(tap: &Value, direction: &str) -> Vec<u64> {
    tap[direction].as_array().unwrap().iter().map(|queue| number(queue, "packets")).collect()
}

#[test]
fn two_hundred_flows_cross_four_queues_and_one_either_way_round_and_the_host_drops_none() {
    live(|world| {
        for (a, b) in [
            ("num-rx-queues 1 num-tx-queues 4", "num-rx-queues 4 num-tx-queues 1"),
            ("num-rx-queues 4 num-tx-queues 1", "num-rx-queues 1 num-tx-queues 4"),
        ] {
            let mut hold = Hold::start(world);
            // A round of all flows fits into a ring: vhost-net may be slower than its poller.
            let rings = "rx-ring-size 1024 tx-ring-size 1024";
            let [long_a, long_b] = [a, b].map(|options| format!("{options} {rings}"));
            pair(world, &mut hold, [&long_a, &long_b]);
            // The kernel spreads what has no answer over all its queues.
            exchange(world, &ports(200, 4), 5, false);
            let spread = packets(&hold.tap("wa"), "rx_queues");
            assert!(spread.iter().all(|n| *n > 0), "{spread:?}");
            exchange(world, &ports(200, 4), 5, true);
            let taps = hold.run("show tap");
            for (tap, options) in taps.iter().zip([a, b]) {
                let counts = |word: &str| options.contains(word);
                let (rx, tx) = (packets(tap, "rx_queues"), packets(tap, "tx_queues"));
                assert_eq!(rx.len(), if counts("num-rx-queues 4") { 4 } else { 1 });
                assert_eq!(tx.len(), if counts("num-tx-queues 4") { 4 } else { 1 });
                assert!(tx.iter().all(|n| *n > 0), "{options}: {tx:?}");
                assert!(rx.iter().sum::<u64>() >= 3400, "{options}: {rx:?}");
            }
            assert_accounted(world, &mut hold);
            hold.run("delete --all");
            hold.close();
            for netns in ["a", "b"] {
                world.ip(&format!("netns delete {netns}"));
            }
        }
    });
}

#[test]
fn each_queue_of_a_four_queue_tap_carries_its_share_of_eight_flows() {
    live(|world| {
        let mut hold = Hold::start(world);
        let four = "num-rx-queues 4 num-tx-queues 4 gso";
        pair(world, &mut hold, [four; 2]);
        exchange(world, &ports(8, 4), 50, true);
        for name in ["wa", "wb"] {
            let tap = hold.tap(name);
            for direction in ["rx_queues", "tx_queues"] {
                let counts = packets(&tap, direction);
                assert_eq!(counts.len(), 4);
                // Two flows of almost 200 datagrams each.
                assert!(counts.iter().all(|n| *n >= 300), "{name} {direction}: {counts:?}");
            }
            assert_eq!(tap["tap_fds"].as_array().unwrap().len(), 4);
        }
        // The kernel has as many queues, and their offloads are one setting.
        let queues = world.must("ip netns exec a ls /sys/class/net/wa/queues");
        assert_eq!(queues.lines().filter(|line| line.starts_with("tx-")).count(), 4, "{queues}");
        assert_accounted(world, &mut hold);
        hold.run("gso wa off");
        assert_eq!(hold.tap("wa")["gso"], json!(false));
        exchange(world, &ports(8, 4), 2, true);
        // All counters of all queues are taken for zero.
        hold.run("clear interfaces");
        assert_eq!(packets(&hold.tap("wb"), "rx_queues"), [0; 4]);
        // Down, no queue forwards; up, all of them do again.
        hold.run("set interface state wb down");
        world.ping_unanswered("a", "10.8.0.2");
        hold.run("set interface state wb up");
        exchange(world, &ports(8, 4), 2, true);
        let made = hold.tap("wa")["created_with"].clone();
        assert_eq!((&made["num_rx_queues"], &made["num_tx_queues"]), (&json!(4), &json!(4)));
    });
}

#[test]
fn several_queues_leave_nothing_behind_when_they_are_deleted_or_their_create_fails() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        let mut hold = Hold::start(world);
        // What the first create starts stays.
        hold.run("create t0 host-ns a");
        hold.run("delete t0");
        let files =
            |hold: &Hold| std::fs::read_dir(format!("/proc/{}/fd", hold.pid())).unwrap().count();
        let open = files(&hold);
        for _ in 0..3 {
            hold.run("create t1 host-ns a num-rx-queues 8 num-tx-queues 3");
            assert!(files(&hold) >= open + 8);
            hold.run("delete t1");
            eventually("all files are closed", 5.0, || files(&hold) == open);
        }
        world.state().assert_same_as(&before, "after the deletes");
        // The host side of all queues goes at once.
        hold.run("create t2 host-ns a num-rx-queues 4 num-tx-queues 4");
        world.ip("-n a link delete t2");
        hold.tap_when("t2", "it is gone", 5.0, |tap| tap["state"] == "host-gone");
        hold.run("delete t2");
        eventually("all files are closed", 5.0, || files(&hold) == open);
        let ended = hold.refused("create t3 host-ns a num-rx-queues 4 rx-ring-size 63");
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        world.state().assert_same_as(&before, "after the last");
    });
}

#[test]
fn a_create_whose_queues_do_not_fit_into_the_memory_is_undone_and_says_what_to_change() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        let script = world.dir().join("script");
        let create = format!("create t0 --netns a --num-rx-queues 256 --backend {}", backend());
        std::fs::write(&script, create).unwrap();
        let hold = format!("{} hold --memory 16M --exec {}", world.taptool(), script.display());
        let out = world.start(&hold).output(30.0);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{said}");
        assert!(said.contains("t0: ") && said.contains("--memory"), "{said}");
        world.state().assert_same_as(&before, "after the create");
    });
}

/// What a poller has forwarded and received as the poller of a queue.
fn poller_of(tap: &Value, queue: usize) -> u64 {
    number(&tap["rx_queues"][queue], "poller")
}

#[test]
fn a_wire_between_taps_of_two_pollers_loses_nothing_and_keeps_every_flow_in_order() {
    live(|world| {
        let mut hold = Hold::start_as(world, &["--pollers", "2"]);
        pair(world, &mut hold, ["num-rx-queues 2", ""]);
        // Receive queues go round over the pollers; there is a transmit queue for each.
        let taps = hold.run("show tap");
        assert_eq!(
            [poller_of(&taps[0], 0), poller_of(&taps[0], 1), poller_of(&taps[1], 0)],
            [0, 1, 0]
        );
        for tap in &taps {
            let tx = tap["tx_queues"].as_array().unwrap();
            let threads: Vec<_> = tx.iter().map(|q| (&q["poller"], &q["threads"])).collect();
            assert_eq!(threads, [(&json!(0), &json!([0])), (&json!(1), &json!([1]))]);
        }
        exchange(world, &ports(40, 2), 8, true);
        assert!(packets(&hold.tap("wa"), "tx_queues").iter().sum::<u64>() > 0);
        // All that poller 1 sends to `wb' goes by the queue of poller 0.
        hold.run("set interface rx-placement wa queue 0 worker 1");
        hold.run("set interface tx-queue wb queue 1 threads");
        hold.run("set interface tx-queue wb queue 0 threads 0-1");
        let before = packets(&hold.tap("wb"), "tx_queues");
        exchange(world, &ports(40, 2), 8, true);
        let after = packets(&hold.tap("wb"), "tx_queues");
        assert_eq!(after[1], before[1]);
        assert!(after[0] >= before[0] + 40 * (1 + 7 * u64::from(BURST)));
        assert_accounted(world, &mut hold);
        let shown = hold.tap("wb");
        assert_eq!(shown["tx_queues"][0]["threads"], json!([0, 1]));
        assert_eq!(shown["tx_queues"][1]["threads"], json!([]));
    });
}

#[test]
fn queues_that_change_their_poller_under_traffic_lose_nothing_and_reorder_no_flow() {
    live(|world| {
        let mut hold = Hold::start_as(world, &["--pollers", "2"]);
        pair(world, &mut hold, ["num-rx-queues 2 gso", "gso"]);
        let flows = ports(20, 2);
        let moved = &AtomicUsize::new(0);
        thread::scope(|scope| {
            // The world belongs to this thread, and so do its sockets.
            let world = &world;
            let mover = {
                let (stop, stopped) = std::sync::mpsc::channel::<()>();
                let hold = &mut hold;
                let thread = scope.spawn(move || {
                    let mut moves = 0;
                    while stopped.try_recv().is_err() {
                        for (queue, name) in [(0, "wa"), (1, "wa"), (0, "wb")] {
                            let worker = (moves + queue) % 2;
                            hold.run(&format!(
                                "set interface rx-placement {name} queue {queue} worker {worker}"
                            ));
                        }
                        moves += 1;
                        moved.store(moves, Ordering::Relaxed);
                    }
                });
                (stop, thread)
            };
            while moved.load(Ordering::Relaxed) < 4 {
                exchange(world, &flows, 60, true);
            }
            mover.0.send(()).unwrap();
            mover.1.join().unwrap();
        });
        let taps = hold.run("show tap");
        assert!(taps.iter().all(|tap| tap["rx_queues"][0]["drops"] == json!({})), "{taps:#?}");
        assert_accounted(world, &mut hold);
        // Deleted, all buffers return, wherever they were.
        hold.run("delete --all");
        assert!(hold.run("show logging").iter().all(|row| row["level"] != "error"));
    });
}

#[test]
fn pollers_run_on_the_processors_that_cpu_names_and_nothing_else_does() {
    live(|world| {
        world.quiet_netns("a");
        let allowed = |pid: u32, task: &str| {
            let status =
                std::fs::read_to_string(format!("/proc/{pid}/task/{task}/status")).unwrap();
            let line = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
            line.unwrap().trim().to_owned()
        };
        let here = allowed(std::process::id(), &std::process::id().to_string());
        let first: u32 = here.split(['-', ',']).next().unwrap().parse().unwrap();
        let mut hold = Hold::start_as(world, &["--cpu", &first.to_string()]);
        hold.run("create t0 host-ns a");
        for thread in hold.run("show threads") {
            let task = thread["lwp"].to_string();
            if thread["type"] == "poller" {
                assert_eq!(allowed(hold.pid(), &task), first.to_string());
            } else if thread["type"] == "control" {
                assert_eq!(allowed(hold.pid(), &task), here);
            }
        }
        hold.close();
        // A processor that is not there, and too few of them.
        for (options, code, said) in [
            ("--cpu 1023", 1, "processor 1023: sched_setaffinity: "),
            ("--cpu 0 --pollers 2", 2, "cpu 0: 1 processors for 2 pollers"),
            ("--pollers 33", 2, "pollers 33: not a number of pollers between 1 and 32"),
            ("--cpu 0-32", 2, "cpu 0-32: 33 pollers, and 32 are the most"),
        ] {
            let (ended, _, stderr) = world.run(&format!("{options} hold"));
            assert_eq!(ended, code, "{options}: {stderr}");
            assert!(stderr.contains(said), "{options}: {stderr}");
        }
        // The command that starts a holder says how; one that is there goes on as it is.
        world.done("-q --pollers 2 create t1 host-ns a");
        let pollers = world.objects("show threads");
        assert_eq!(pollers.iter().filter(|row| row["type"] == "poller").count(), 2);
        let (code, _, stderr) = world.run("--pollers 3 create t2 host-ns a");
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains("--pollers 3: a holder is there"), "{stderr}");
        world.done("delete --all");
        world.nothing_left();
    });
}

#[test]
fn a_queue_or_poller_that_is_not_there_is_refused_as_vpp_does() {
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create tap0 host-ns a");
        for (line, code, said) in [
            ("set interface rx-placement", 2, "please specify valid interface name"),
            ("set interface rx-placement tap0", 2, "please specify valid worker thread or main"),
            (
                "set interface rx-placement tap0 worker 1",
                2,
                "please specify valid worker thread or main",
            ),
            (
                "set interface rx-placement tap0 queue 1 main",
                3,
                "unknown queue 1 on interface tap0",
            ),
            (
                "set interface tx-queue tap0 queue 1 threads 0",
                3,
                "unknown queue 1 on interface tap0",
            ),
            (
                "set interface tx-queue tap0 queue 0 threads 0-1",
                2,
                "threads 0-1: please specify valid thread(s) - last thread index 0",
            ),
        ] {
            let (ended, _, stderr) = world.run(line);
            assert_eq!(ended, code, "{line}: {stderr}");
            assert!(stderr.contains(said), "{line}: {stderr}");
        }
        world.done("delete tap0");
        world.nothing_left();
    });
}

#[test]
fn the_mode_of_a_queue_is_switched_under_traffic_and_no_answer_is_late() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-ns a num-rx-queues 2 host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24",
        );
        world.ping_answered("a", "10.9.0.2");
        let mode = |tap: &Value, at: usize| tap["rx_queues"][at]["mode"].clone();
        let sleeps = |hold: &mut Hold| number(&hold.one("show runtime"), "sleeps");
        for (word, polls) in [("interrupt", false), ("polling", true), ("adaptive", false)] {
            let pinging = world.start("ip netns exec a ping -n -q -c 100 -i 0.002 -W 5 10.9.0.2");
            for word in ["polling", "adaptive", "interrupt", "polling", "interrupt", word] {
                hold.run(&format!("set interface rx-mode tap0 {word}"));
            }
            let said = String::from_utf8_lossy(&pinging.output(30.0).stdout).into_owned();
            assert!(said.contains(" 100 received"), "{word}: {said}");
            let tap = hold.tap("tap0");
            assert_eq!([mode(&tap, 0), mode(&tap, 1)], [json!(word), json!(word)]);
            let before = sleeps(&mut hold);
            world.ping_answered("a", "10.9.0.2");
            assert_eq!(sleeps(&mut hold) == before, polls, "{word}");
        }
        // One queue alone.
        hold.run("set interface rx-mode tap0 queue 1 interrupt");
        let tap = hold.tap("tap0");
        assert_eq!([mode(&tap, 0), mode(&tap, 1)], [json!("adaptive"), json!("interrupt")]);
        assert_ledger(&[tap]);
        let ended = hold.refused("set interface rx-mode tap0 queue 2 polling");
        assert_eq!(ended.code, 3, "{}", ended.stderr);
        assert!(ended.stderr.contains("unknown queue 2 on interface tap0"), "{}", ended.stderr);
    });
}
