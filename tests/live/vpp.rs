//! Every line of VPP's that the table of its commands has: done with its effect, or refused with
//! what to do instead.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use taptool::cli::{Here, VPP_COMMANDS};

use crate::common::{World, live, on_vhost_net, one_shot};

/// The words that only a person's shell has; the tests of the shell type them.
const SHELL: &[&str] = &["history", "quit", "q", "exit"];

/// Runs a line as a script for VPP's shell has it; gives what it printed.
fn run(world: &World, lines: &str) -> String {
    let script = world.dir().join("script");
    std::fs::write(&script, format!("{lines}\n")).unwrap();
    let (code, stdout, stderr) = world.run(&format!("-q exec {}", script.display()));
    assert_eq!((code, stderr.as_str()), (0, ""), "{lines}");
    stdout
}

fn tap(world: &World, name: &str) -> Value {
    world.objects(&format!("show tap {name}")).remove(0)
}

/// Whether the kernel says that the host side may send frames of many segments.
fn segments(world: &World, netns: &str, link: &str) -> bool {
    let features = world.must(&format!("ip netns exec {netns} ethtool -k {link}"));
    features.lines().any(|line| line.trim() == "tx-tcp-segmentation: on")
}

fn addresses(tap: &Value) -> Vec<&str> {
    tap["addresses"].as_array().unwrap().iter().map(|a| a.as_str().unwrap()).collect()
}

/// A sub-interface of tap0; null where there is none of this name.
fn sub(world: &World, name: &str) -> Value {
    let tap = tap(world, "tap0");
    let found = tap["sub_interfaces"].as_array().unwrap().iter().find(|sub| sub["name"] == name);
    found.cloned().unwrap_or(Value::Null)
}

/// What is so after `line`, which printed `out`.
fn effect(world: &World, line: &str, out: &str) {
    let has =
        |words: &[&str]| words.iter().for_each(|w| assert!(out.contains(w), "{line}: {w}: {out}"));
    let silent = || assert_eq!(out, "", "{line}");
    let tap = |name| tap(world, name);
    let first = line.split_whitespace().take(6).collect::<Vec<_>>().join(" ");
    match first.as_str() {
        "create tap id 0 host-ns a" => {
            assert_eq!(out, "tap0\n");
            let (ours, host) = (tap("tap0"), world.link("a", "vt0"));
            assert_eq!(ours["mac_addr"], "02:fe:00:00:00:01");
            assert_eq!(ours["rx_queues"][0]["size"], 512);
            assert_eq!(host["ifindex"], ours["host_ifindex"]);
            assert!(world.must("ip -n a -4 addr show vt0").contains("10.9.0.1/24"));
        }
        "cr tap id 1 host-ns b" => {
            assert_eq!(out, "tap1\n");
            assert_eq!(tap("tap1")["tx_queues"][0]["size"], 64);
            assert!(segments(world, "b", "vt1"));
        }
        "create tap id 3 consistent-qp num-rx-queues" => {
            assert_eq!(out, "tap3\n");
            assert_eq!(tap("tap3")["tx_queues"].as_array().unwrap().len(), 2);
        }
        "create tap id 8 num-rx-queues 2" => {
            assert_eq!(out, "tap8\n");
            assert_eq!(tap("tap8")["rx_queues"].as_array().unwrap().len(), 2);
            assert_eq!(tap("tap8")["tap_fds"].as_array().unwrap().len(), 2);
            assert_eq!(tap("tap8")["tx_queues"].as_array().unwrap().len(), 4);
        }
        "create tap id 5 host-ns a" => {
            assert_eq!(out, "tap5\n");
            assert_eq!(
                (&tap("tap5")["persist"], &tap("tap5")["attached"]),
                (&true.into(), &false.into())
            );
        }
        "create tap id 6 host-ns a" => {
            assert_eq!(out, "tap6\n");
            assert_eq!(tap("tap6")["attached"], true);
        }
        "delete tap tap5" | "del tap tap6" => {
            silent();
            let link = world.link("a", "vt5");
            assert_eq!(link["linkinfo"]["info_data"]["persist"], true, "{line}: {link:#}");
        }
        "create tap id 7 tun host-ns" => {
            assert_eq!(out, "tun7\n");
            assert_eq!(world.link("a", "tun7")["linkinfo"]["info_data"]["type"], "tun");
        }
        "show tun tun7" => has(&["Interface: tun7 ", "  name \"tun7\"\n"]),
        "delete tap tun7" | "delete tap tap9" => silent(),
        "create tap id 9 no-gso" => assert_eq!(tap("tap9")["no_gso"], true),
        "set interface feature gso tap3 enable" => assert_eq!(tap("tap3")["no_gso"], true),
        "set interface feature gso tap3 disable" => assert_eq!(tap("tap3")["no_gso"], false),
        "create tap id 4 csum-offload" => {
            let tap = tap("tap4");
            assert_eq!(
                (out, &tap["gso"], &tap["csum_offload"]),
                ("tap4\n", &false.into(), &true.into())
            );
        }
        "create tap" => {
            assert_eq!(out, "tap2\n");
            assert_eq!(world.ip_json("link show tap2")[0]["ifname"], "tap2");
        }
        "show tap" => has(&["Interface: tap0 (ifindex 1)\n  name \"vt0\"\n", "Interface: tap2 "]),
        "show tap tap0" => {
            has(&["Interface: tap0 ", "  Virtqueue (RX) 0\n    qsz 512, last_used_idx "]);
            assert!(!out.contains("Interface: tap1"), "{out}");
        }
        "sh tap tap0 tap1 descriptors" => has(&["descriptor table:", "Interface: tap1 "]),
        "show tun" | "clear interfaces" | "clear errors" => silent(),
        "set tap gso tap0 enable" => assert!(segments(world, "a", "vt0")),
        "set tap gso tap1 disable" => assert!(!segments(world, "b", "vt1")),
        "set tap gso sw_if_index 1" => assert_eq!(tap("tap0")["gso"], true),
        "set tap offload tap1 csum-offload-enable" => {
            assert_eq!(tap("tap1")["offloads"], serde_json::json!(["CSUM"]));
            assert!(!segments(world, "b", "vt1"));
        }
        "set tap offload tap1 gso-enable" => assert!(segments(world, "b", "vt1")),
        "set tap offload sw_if_index 2 gso-disable" => assert_eq!(tap("tap1")["gso"], false),
        "set tap offload tap1 csum-offload-disable" => {
            assert_eq!(tap("tap1")["offloads"], serde_json::json!([]));
        }
        "set interface state tap0 down" => {
            assert_eq!(tap("tap0")["admin_up"], false);
            world.ping_unanswered("a", "10.9.0.9");
            assert!(run(world, "show errors").contains("interface is down"));
        }
        "set int state tap0 up" => assert_eq!(tap("tap0")["state"], "up"),
        "set interface l2 xconnect tap0 tap1" => assert_eq!(tap("tap0")["action"], "xconnect tap1"),
        "set interface l2 xconnect tap1 tap0" => world.ping_answered("a", "10.9.0.2"),
        "show mode" => has(&["l2 xconnect tap0 tap1\n", "l2 xconnect tap1 tap0\n", "l3 tap2\n"]),
        "set interface l3 tap0" => assert_eq!(tap("tap0")["action"], "sink"),
        "set interface l3 tap1" => world.ping_unanswered("a", "10.9.0.2"),
        "set interface ip address tap0 10.9.0.7/24" => world.ping_answered("a", "10.9.0.7"),
        "set interface ip address tap1 10.9.0.8/24" => world.ping_answered("b", "10.9.0.8"),
        "set interface ip address del tap1" => {
            assert_eq!(addresses(&tap("tap1")), Vec::<&str>::new());
            assert_eq!(tap("tap1")["action"], "sink");
        }
        "set int ip addr del tap0" => assert_eq!(addresses(&tap("tap0")), Vec::<&str>::new()),
        "show interface" => has(&["Name", "Counter", "rx packets", "tap1 ", "1500/0/0/0"]),
        "sh int tap0" => assert!(out.contains("rx bytes") && !out.contains("tap1"), "{out}"),
        "show interface addr" => has(&["tap0 (up):\n", "tap2 (up):\n"]),
        "show interface address tap0" | "show interface tap0 addr" => {
            assert_eq!(out, "tap0 (up):\n");
        }
        "show interface rx-placement" => {
            has(&["Thread 0 (poller-0):\n", "    tap1 queue 0 (adaptive)\n"])
        }
        "show interface tx-placement" => {
            has(&["Thread 0 (poller-0):\n node tap-tx:\n", "    tap1 queue 0\n"]);
        }
        "set interface rx-placement tap0 queue 0" | "set interface rx-placement tap1 worker 0" => {
            silent();
            assert_eq!(tap("tap0")["rx_queues"][0]["poller"], 0);
        }
        "set interface rx-mode tap0 queue 0"
        | "set interface rx-mode tap0 interrupt"
        | "set interface rx-mode tap0 adaptive" => {
            silent();
            let mode = line.rsplit(' ').next().unwrap();
            assert_eq!(tap("tap0")["rx_queues"][0]["mode"], mode);
            let shown = run(world, "show interface rx-placement");
            assert!(shown.contains(&format!("tap0 queue 0 ({mode})\n")), "{shown}");
        }
        "set interface tx-queue tap0 queue 0" => {
            silent();
            let threads = if line.ends_with('0') { json!([0]) } else { json!([]) };
            assert_eq!(tap("tap0")["tx_queues"][0]["threads"], threads);
        }
        "show interface features" => has(&["on tap0...", "on tap2..."]),
        "show interface tap0 verbose" => assert_eq!(out, run(world, "show interface tap0")),
        "show interface feat tap0" | "show interface tap0 features" => {
            assert!(!out.contains("tap1"), "{out}")
        }
        "show hardware-interfaces" => {
            has(&["Link speed: unknown", "RX Queues:", "  Ethernet address 02:fe:"])
        }
        "sh hard tap0 verbose" | "show hardware-interfaces detail tap0" => {
            has(&["qsz 512", "VIRTIO interface"])
        }
        "show hardware-interfaces brief" => assert_eq!(out.lines().count(), 8, "{out}"),
        "set interface name tap2 uplink" => assert_eq!(tap("uplink")["id"], 2),
        "set int name uplink tap2" => assert_eq!(tap("tap2")["name"], "tap2"),
        "set interface tag tap0 blue" => assert_eq!(tap("tap0")["tag"], "blue"),
        "show interface tag tap0" => assert_eq!(out, "tap0: blue\n"),
        "show interface tap1 tag" => assert_eq!(out, "tap1: (none)\n"),
        "clear interface tag tap0" => assert_eq!(tap("tap0")["tag"], Value::Null),
        "set interface mac address tap1 02fe.0000.0011" => {
            assert_eq!(tap("tap1")["mac_addr"], "02:fe:00:00:00:11");
        }
        "set interface secondary-mac-address tap1 02:fe:00:00:00:12 add" => {
            assert_eq!(tap("tap1")["secondary_mac_addrs"][0], "02:fe:00:00:00:12");
        }
        "show interface secondary-mac-address tap1" => {
            assert_eq!(out, "tap1 (up):\n  02:fe:00:00:00:12\n");
        }
        "set interface secondary-mac-address tap1 02:fe:00:00:00:12 del" => {
            assert_eq!(tap("tap1")["secondary_mac_addrs"], serde_json::json!([]));
        }
        "set interface promiscuous on tap1" => assert_eq!(tap("tap1")["promiscuous"], true),
        "set interface promiscuous off tap1" => assert_eq!(tap("tap1")["promiscuous"], false),
        "set interface mtu packet 1400 tap1" => assert_eq!(tap("tap1")["packet_mtu"], 1400),
        "set interface mtu ip4 1300 tap1" => assert_eq!(tap("tap1")["ip4_mtu"], 1300),
        "set int mtu ip6 1280 tap1" => assert_eq!(tap("tap1")["ip6_mtu"], 1280),
        "set interface mtu mpls 9000 tap1" => {
            assert_eq!(tap("tap1")["mpls_mtu"], 9000);
            assert!(run(world, "show interface tap1").contains(" 1400/1300/1280/9000 "));
        }
        "set interface mtu 9000 tap1" => assert_eq!(tap("tap1")["packet_mtu"], 9000),
        "set interface mtu ip4 0 tap1" => assert_eq!(tap("tap1")["ip4_mtu"], Value::Null),
        "show node counters" => has(&["tap0-rx", "interface is down"]),
        "show node counters verbose" => has(&["tap0-rx 0"]),
        "show errors" => has(&["Count", "tap0-rx", "interface is down"]),
        "show errors verbose" => has(&["tap0-rx 0"]),
        "show runtime" => has(&["Calls", "Vectors/Call", "tap0-rx"]),
        "show threads" => {
            has(&["poller-0"]);
            assert_eq!(out.contains(" vhost-"), on_vhost_net(), "{out}");
        }
        "show logging" => has(&["tap0", "created"]),
        "show version" => has(&["taptool "]),
        "show version verbose" => has(&["Version:", "PID:"]),
        "delete tap tap0" => assert_eq!(world.links("a"), ["vt5"], "it persists"),
        "delete tap sw_if_index 2" => assert!(world.links("b").is_empty()),
        "del tap tap2 tap3 tap4 tap8" => {
            silent();
            world.nothing_left();
        }
        "exec script" => assert_eq!(out, "run from a script\n"),
        "comment nothing of this is read" | "wait 0.01" | "define NS a" | "undefine NS" => silent(),
        "echo taps" => assert_eq!(out, "taps\n"),
        "echo $(NS)" => assert_eq!(out, "a\n"),
        "show macro" => has(&["NS", " a\n"]),
        "help" | "?" => has(&["  create ", "  show ", "  quit "]),
        "help create tap" => has(&["Usage: taptool create tap", "Example"]),
        "create tap ?" => has(&["  host-ns NS ", "  <Enter> "]),
        word if SHELL.contains(&word) => {
            let (code, _, stderr) = one_shot(world, line);
            assert_eq!(code, 2);
            assert!(stderr.contains("valid only in the interactive shell"), "{stderr}");
        }
        word if word.starts_with("create sub") => {
            let here = tap("tap0");
            let subs = here["sub_interfaces"].as_array().unwrap();
            assert!(out.starts_with("tap0."), "{line}: {out}");
            for name in out.lines() {
                assert!(subs.iter().any(|sub| sub["name"] == name), "{line}: {name}: {here:#}");
            }
        }
        "set interface l2 tag-rewrite tap0.10 pop" => {
            assert_eq!(sub(world, "tap0.10")["tag_rewrite"], "pop-1");
        }
        "set interface l2 tag-rewrite tap0.10 translate" => {
            assert_eq!(sub(world, "tap0.10")["tag_rewrite"], "trans-1-1 dot1q 7");
        }
        "set interface l2 tag-rewrite tap1 push" => {
            assert_eq!(tap("tap1")["tag_rewrite"], "push-1 dot1q 10");
        }
        "set interface l2 tag-rewrite tap1 disable" => {
            assert_eq!(tap("tap1")["tag_rewrite"], "none")
        }
        "show interface tap0 vtr" => has(&["tap0"]),
        "delete sub-interface tap0.10" => assert_eq!(sub(world, "tap0.10"), Value::Null),
        "delete sub-interfaces tap0.20" => assert_eq!(sub(world, "tap0.20"), Value::Null),
        "create bridge-domain 1 learn 1 forward" => assert_eq!(out, "bridge-domain 1\n"),
        "create bridge-domain 2 mac-age 60 bd-tag" => {
            assert!(run(world, "show bridge-domain 2 detail").contains("BD-Tag: lab"));
        }
        "create bridge-domain 2 del" => {
            assert!(!run(world, "show bridge-domain").contains("    2  "));
        }
        "set interface l2 bridge tap0 1" => assert_eq!(tap("tap0")["action"], "bridge 1"),
        "set int l2 bridge tap1 1" => world.ping_answered("a", "10.9.0.2"),
        "show mode tap1" => assert_eq!(out, "l2 bridge tap1 bd_id 1 shg 2\n"),
        "show bridge-domain" => has(&["BD-ID   Index", "flood"]),
        "show bridge-domain 1 detail" | "sh bridge 1 int" => has(&["tap0", "TxFlood"]),
        "set bridge-domain learn 1 disable" => {
            assert_eq!(world.objects("show bridge-domain 1")[0]["learn"], false);
        }
        "set bridge-domain learn 1" => {
            assert_eq!(world.objects("show bridge-domain 1")[0]["learn"], true);
        }
        "set bridge-domain forward 1" | "set bridge-domain flood 1" => {
            world.ping_answered("a", "10.9.0.2");
        }
        "set bridge-domain uu-flood 1 disable" => {
            assert_eq!(world.objects("show bridge-domain 1")[0]["uu_flood"], false);
        }
        "set bridge-domain mac-age 1 5" => {
            assert_eq!(world.objects("show bridge-domain 1")[0]["mac_age"], 5);
        }
        "l2fib add 02:fe:00:00:00:21 1 tap0 static" | "l2fib add 02:fe:00:00:00:22 1 filter" => {
            silent();
            assert!(run(world, "show l2fib add").contains(line.split(' ').nth(2).unwrap()));
        }
        "l2fib del 02:fe:00:00:00:21 1" => {
            assert!(!run(world, "show l2fib all").contains("02:fe:00:00:00:21"));
        }
        "show l2fib" => has(&["L2FIB total/learned entries: "]),
        "show l2fib all" | "show l2fib verbose" => has(&["Mac-Address", "02:fe:00:00:00:22"]),
        "show l2fib bd_id 1 add" => has(&["02:fe:00:00:00:22"]),
        "show l2fib learn" => assert!(!out.contains("02:fe:00:00:00:22"), "{out}"),
        "l2fib flush-mac all"
        | "l2fib flush-mac interface tap0"
        | "l2fib flush-mac bridge-domain 1" => silent(),
        "clear l2fib" => assert!(!run(world, "show l2fib all").contains("02:fe:00:00:00:22")),
        "delete bridge-domain 1" => assert_eq!(tap("tap0")["action"], "sink"),
        "test l2patch rx tap0 tx tap1" => {
            let wanted = if line.ends_with(" del") { "sink" } else { "xconnect tap1" };
            assert_eq!(tap("tap0")["action"], wanted);
        }
        other => panic!("no effect is known of `{other}'"),
    }
}

#[test]
fn every_line_of_vpp_has_its_effect_or_is_refused_with_what_to_do_instead() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        let nested = world.dir().join("nested");
        std::fs::write(&nested, "# of another script\necho run \\\n  from a script\n").unwrap();
        let mut seen = BTreeSet::new();
        for row in VPP_COMMANDS {
            match row.here {
                Here::Does(lines, _) => {
                    for line in lines {
                        let out = match *line {
                            word if SHELL.contains(&word) => String::new(),
                            "exec script" => run(world, &format!("exec {}", nested.display())),
                            // What it needs is gone with the script before.
                            "echo $(NS)" | "show macro" | "undefine NS" => {
                                run(world, &format!("define NS a\n{line}"))
                            }
                            line => {
                                // The world's own way to say which backend is tested.
                                let creates = line.contains("tap id") || line == "create tap";
                                let backend = if creates && on_vhost_net() {
                                    " backend vhost-net"
                                } else {
                                    ""
                                };
                                run(world, &format!("{line}{backend}"))
                            }
                        };
                        effect(world, line, &out);
                        assert!(seen.insert(*line), "{line}: twice in the table");
                    }
                }
                Here::Lacks { arguments, instead, .. } => {
                    for path in row.paths() {
                        let said = format!("{path}: not supported in this version\n  {instead}\n");
                        let line = format!("{path} {arguments}");
                        assert_eq!(one_shot(world, &line), (2, String::new(), said), "{line}");
                    }
                }
                Here::Refuses { line, instead } => {
                    let (code, out, err) = one_shot(world, line);
                    assert_eq!((code, out.as_str()), (2, ""), "{line}");
                    let end = format!(": not supported in this version\n  {instead}\n");
                    assert!(err.ends_with(&end), "{line}: {err}");
                }
            }
        }
        world.nothing_left();
    });
}
