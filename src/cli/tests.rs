//! Lines → requests or the exact refusal.

use std::collections::BTreeSet;

use super::grammar::{Parsed, Unparsed, Verb, parse, tree};
use super::place::Place;
use super::vpp::{Here, VPP_COMMANDS};
use super::words::Refusal;
use crate::api::{
    BackendChoice, ClearRequest, CreateRequest, DeleteRequest, Detail, GsoRequest, InterfaceRef,
    MtuOf, NamespaceSpec, Request, SetInterface, SetRequest, ShowRequest, XconnectRequest,
};
use crate::units::{
    IfName, Impairment, Kind, MacAddr, Mtu, PollerIndex, QueueIndex, RxMode, SwIfIndex,
};

fn split(line: &str) -> Vec<String> {
    shlex::split(line).unwrap()
}

fn parsed(line: &str) -> Parsed {
    parse(&split(line), Place::CommandLine).unwrap_or_else(|refused| panic!("{line}: {refused:?}"))
}

fn request(line: &str) -> Request {
    match parsed(line).verb {
        Verb::Request(request) => request,
        other => panic!("{line}: {other:?}"),
    }
}

fn refused(line: &str) -> (u8, String) {
    match parse(&split(line), Place::CommandLine) {
        Err(Unparsed::Refused(Refusal { path, failure, .. })) => {
            (failure.code as u8, format!("{path}: {failure}"))
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn name(name: &str) -> InterfaceRef {
    InterfaceRef::Name(IfName::new(name).unwrap())
}

/// A request without the numbers of its open files.
fn plain(request: &Request) -> String {
    let text = format!("{request:?}");
    match text.split_once("OwnedFd { fd: ") {
        Some((before, after)) => {
            format!("{before}{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => text,
    }
}

fn create(change: impl FnOnce(&mut CreateRequest)) -> String {
    let mut request = CreateRequest::new(Kind::Tap, NamespaceSpec::Own.open().unwrap());
    change(&mut request);
    plain(&Request::Create(Box::new(request)))
}

#[test]
fn the_tree_is_sound_and_every_example_parses() {
    fn check(command: &clap::Command, path: &str) {
        let path = format!("{path} {}", command.get_name());
        assert!(command.get_about().is_some(), "{path}: no description");
        let group = command.is_subcommand_required_set();
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples: Vec<&str> = help
            .lines()
            .filter_map(|l| l.strip_prefix("  ").or_else(|| l.strip_prefix("Example: ")))
            .collect();
        assert!(group || command.is_hide_set() || !examples.is_empty(), "{path}: no example");
        let lines = examples.into_iter().filter(|_| command.get_name() != "taptool");
        for line in lines.filter(|line| !line.contains('|') && !line.contains("$(")) {
            let line = line.trim_start_matches("sudo ").trim_start_matches("taptool ");
            let line = line.split(" > ").next().unwrap();
            match parse(&split(line), Place::CommandLine) {
                Ok(_) => {}
                // The namespace of the examples need not be there.
                Err(Unparsed::Refused(refusal)) => assert_eq!(refusal.failure.code as u8, 3),
                Err(Unparsed::Help(_)) => panic!("{line}"),
            }
        }
        command.get_subcommands().for_each(|child| check(child, &path));
    }
    tree().debug_assert();
    check(&tree(), "");
}

#[test]
fn doctor_takes_one_name_or_none() {
    let named = |line: &str| match parsed(line).verb {
        Verb::Doctor(name) => name.map(|name| name.to_string()),
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(named("doctor"), None);
    assert_eq!(named("doc tap0").as_deref(), Some("tap0"));
    assert_eq!(refused("doctor tap0 tap1"), (2, "doctor: unknown input `tap1'".into()));
    assert!(parsed("-j doctor tap0").globals.json);
}

#[test]
fn create_without_a_word_asks_for_nothing() {
    assert_eq!(plain(&request("create")), create(|_| ()));
    assert_eq!(plain(&request("create tap")), create(|_| ()));
}

#[test]
fn the_words_of_a_create_ask_for_the_same() {
    let lines = [
        "create",
        "create a netns /proc/self/ns/net respond 10.9.0.2/24 respond fd00::2/64",
        "create id 7 if-name a host-if-name b hw-addr 02:fe:00:00:00:01 bridge br0 host-down gso",
        "create a mtu 9000 ip4 10.9.0.1/24 ip6 fd00::1/64 gw4 10.9.0.2 gw6 fd00::2 admin-down",
        "create a host-mac-addr 02:fe:00:00:00:02 host-txqueuelen 7 rx-ring-size 512 dry-run",
        "create tx-ring-size 64 num-rx-queues 4 num-tx-queues 2 owner 1 group 2 consistent-qp",
        "create backend userspace",
        "create backend vhost-net",
    ];
    for line in lines {
        let Request::Create(asked) = request(line) else { panic!("{line}") };
        let Request::Create(again) = request(&format!("create {}", asked.words().join(" "))) else {
            panic!("{line}")
        };
        assert_eq!(again, asked, "{line}");
    }
}

#[test]
fn every_option_of_create_in_both_spellings_makes_the_same_request() {
    type Change = fn(&mut CreateRequest);
    let rows: &[(&[&str], &str, Change)] = &[
        (&["id"], "7", |r| r.id = Some("7".parse().unwrap())),
        (&["if-name"], "x0", |r| r.if_name = Some("x0".parse().unwrap())),
        (&["hw-addr"], "02:fe:00:00:00:01", |r| {
            r.mac_addr = Some("02fe.0000.0001".parse().unwrap());
        }),
        (&["host-if-name"], "eth0", |r| r.host_if_name = Some("eth0".parse().unwrap())),
        (&["host-ns", "netns"], "/proc/self/ns/net", |r| {
            r.host_ns = NamespaceSpec::Path("/proc/self/ns/net".into()).open().unwrap();
        }),
        (&["host-mac-addr"], "02:fe:00:00:00:02", |r| {
            r.host_mac_addr = Some("02fe.0000.0002".parse().unwrap());
        }),
        (&["host-bridge", "bridge"], "br0", |r| r.host_bridge = Some("br0".parse().unwrap())),
        (&["host-ip4-addr", "ip4"], "10.9.0.1/24", |r| {
            r.host_ip4_addr = vec!["10.9.0.1/24".parse().unwrap()];
        }),
        (&["host-ip6-addr", "ip6"], "fd00::1/64", |r| {
            r.host_ip6_addr = vec!["fd00::1/64".parse().unwrap()];
        }),
        (&["host-mtu-size", "mtu"], "9000", |r| r.host_mtu_size = Some("9000".parse().unwrap())),
        (&["rx-ring-size"], "512", |r| r.rx_ring_size = "512".parse().unwrap()),
        (&["tx-ring-size"], "1024", |r| r.tx_ring_size = "1024".parse().unwrap()),
        (&["gso"], "", |r| r.gso = true),
        (&["no-gso"], "", |r| r.no_gso = true),
        (&["csum-offload"], "", |r| r.csum_offload = true),
        (&["tun"], "", |r| r.kind = Kind::Tun),
        (&["respond"], "10.9.0.2/24", |r| r.respond = vec!["10.9.0.2/24".parse().unwrap()]),
        (&["backend"], "userspace", |r| r.backend = BackendChoice::Userspace),
        (&["owner"], "1000", |r| r.owner = Some(1000)),
        (&["owner"], "root", |r| r.owner = Some(0)),
        (&["group"], "100", |r| r.group = Some(100)),
        (&["host-txqueuelen"], "77", |r| r.host_txqueuelen = "77".parse().ok()),
        (&["host-down"], "", |r| r.host_down = true),
        (&["admin-down"], "", |r| r.admin_down = true),
        (&["dry-run"], "", |r| r.dry_run = true),
        (&["persist"], "", |r| r.persist = true),
        (&["num-rx-queues"], "4", |r| r.num_rx_queues = "4".parse().ok()),
        (&["num-tx-queues"], "0", |r| r.num_tx_queues = "1".parse().ok()),
        (&["consistent-qp"], "", |r| r.consistent_qp = true),
    ];
    for (words, value, change) in rows {
        let expected = create(change);
        for word in *words {
            for command in ["create", "create tap"] {
                for line in [
                    format!("{command} {word} {value}"),
                    format!("{command} --{word} {value}"),
                    format!("{command} --{word}{}{value}", if value.is_empty() { "" } else { "=" }),
                ] {
                    assert_eq!(plain(&request(&line)), expected, "{line}");
                }
            }
        }
    }
    // A device that is there has a name.
    let attach = create(|r| (r.attach, r.host_if_name) = (true, Some(IfName::new("vm0").unwrap())));
    for line in ["create attach host-if-name vm0", "create tap --host-if-name vm0 --attach"] {
        assert_eq!(plain(&request(line)), attach, "{line}");
    }
    // Gateways need an address beside them.
    let with_gateways = create(|r| {
        r.host_ip4_addr = vec!["10.9.0.1/24".parse().unwrap()];
        r.host_ip6_addr = vec!["fd00::1/64".parse().unwrap()];
        r.host_ip4_gw = Some("10.9.0.2".parse().unwrap());
        r.host_ip6_gw = Some("fe80::1".parse().unwrap());
    });
    for line in [
        "create tap host-ip4-gw 10.9.0.2 host-ip6-gw fe80::1 host-ip4-addr 10.9.0.1/24 host-ip6-addr fd00::1/64",
        "create --ip4 10.9.0.1/24 --ip6 fd00::1/64 --gw4 10.9.0.2 --gw6 fe80::1",
    ] {
        assert_eq!(plain(&request(line)), with_gateways, "{line}");
    }
    let known: BTreeSet<String> =
        rows.iter().flat_map(|(words, ..)| *words).map(|w| (*w).to_owned()).collect();
    let all = tree();
    let options = all.find_subcommand("create").unwrap().find_subcommand("tap").unwrap();
    for option in options.get_opts().filter(|o| !o.is_hide_set()) {
        let long = option.get_long().unwrap();
        let elsewhere = ["host-ip4-gw", "host-ip6-gw", "attach"];
        assert!(known.contains(long) || elsewhere.contains(&long), "{long} is in no row");
    }
}

#[test]
fn the_order_of_options_changes_nothing() {
    let options = [
        "id 3",
        "rx-ring-size 1024",
        "gso",
        "tx-ring-size 512",
        "host-ip4-addr 10.9.0.1/24",
        "host-ip6-addr fd00::1/64",
        "host-mtu-size 9000",
        "host-mac-addr 02:fe:00:00:00:02",
        "num-rx-queues 3",
        "host-txqueuelen 77",
    ];
    let line = |order: &[&str]| format!("create tap {}", order.join(" "));
    let expected = plain(&request(&line(&options)));
    let mut order = options;
    for turn in 0..options.len() {
        order.rotate_left(1);
        // Every pair stands both ways round in some of these.
        let mut other = order;
        other.swap(turn, (turn + 3) % options.len());
        for order in [order, other] {
            assert_eq!(plain(&request(&line(&order))), expected, "{order:?}");
        }
    }
}

#[test]
fn a_repeat_overrides_and_addresses_add_up() {
    assert_eq!(
        plain(&request("create tap rx-ring-size 512 --rx-ring-size 1024 gso gso")),
        create(|r| {
            r.rx_ring_size = "1024".parse().unwrap();
            r.gso = true;
        })
    );
    assert_eq!(
        plain(&request(
            "create tap0 --ip4 10.9.0.1/24 host-ip4-addr 10.8.0.1/24 respond fd00::2/64"
        )),
        create(|r| {
            r.name = Some("tap0".parse().unwrap());
            r.host_ip4_addr = vec!["10.9.0.1/24".parse().unwrap(), "10.8.0.1/24".parse().unwrap()];
            r.respond = vec!["fd00::2/64".parse().unwrap()];
        })
    );
}

#[test]
fn lines_of_the_other_verbs() {
    let delete = |names: Vec<InterfaceRef>| Request::Delete(DeleteRequest::Named(names));
    let gso = |interface, on| Request::Gso(GsoRequest { interface, on });
    let set = |n: &str, change| Request::Set(SetRequest { interface: name(n), change });
    let tap = |interfaces, descriptors| {
        Request::Show(ShowRequest::Tap { kind: Kind::Tap, interfaces, descriptors })
    };
    let show = Request::Show;
    let both = || vec![name("t1"), name("t2")];
    let hardware = |interfaces, detail| show(ShowRequest::Hardware { interfaces, detail });
    let mtu = |of, bytes| SetInterface::Mtu { of, mtu: Mtu::new(bytes).ok() };
    let mac: MacAddr = "02:fe:00:00:00:01".parse().unwrap();
    let linked = |link_state, off| {
        let (a, b) = (name("t1"), name("t2"));
        let impairment = Impairment::default();
        Request::Xconnect(XconnectRequest { a, b, off, link_state, impairment })
    };
    let wire = |off| linked(false, off);
    for (line, expected) in [
        ("delete tap tap0", delete(vec![name("tap0")])),
        ("delete tap0 tap1", delete(vec![name("tap0"), name("tap1")])),
        ("delete tap sw_if_index 3", delete(vec![InterfaceRef::Index(SwIfIndex(3))])),
        ("delete --sw-if-index 3", delete(vec![InterfaceRef::Index(SwIfIndex(3))])),
        ("delete --destroy tap0", Request::Delete(DeleteRequest::Destroy(vec![name("tap0")]))),
        ("delete tap --all --destroy", Request::Delete(DeleteRequest::All { destroy: true })),
        ("delete --all", Request::Delete(DeleteRequest::All { destroy: false })),
        ("delete tap --all", Request::Delete(DeleteRequest::All { destroy: false })),
        ("gso tap0 on", gso(name("tap0"), true)),
        ("gso tap0 off", gso(name("tap0"), false)),
        ("set tap gso tap0", gso(name("tap0"), true)),
        ("set tap gso tap0 enable", gso(name("tap0"), true)),
        ("set tap gso tap0 en", gso(name("tap0"), true)),
        ("set tap gso tap0 disable", gso(name("tap0"), false)),
        ("set tap gso sw_if_index 3 disable", gso(InterfaceRef::Index(SwIfIndex(3)), false)),
        ("set tap gso disable sw_if_index 3", gso(InterfaceRef::Index(SwIfIndex(3)), false)),
        ("xconnect t1 t2", wire(false)),
        ("xconnect t1 t2 off", wire(true)),
        (
            "set interface l2 xconnect t1 t2",
            set(
                "t1",
                SetInterface::L2Xconnect { peer: name("t2"), impairment: Impairment::default() },
            ),
        ),
        (
            "set interface l2 xconnect t1 t2 loss 2.5%",
            set(
                "t1",
                SetInterface::L2Xconnect {
                    peer: name("t2"),
                    impairment: Impairment {
                        loss: "2.5%".parse().unwrap(),
                        ..Impairment::default()
                    },
                },
            ),
        ),
        (
            "xconnect t1 t2 delay 10ms jitter 2ms loss 1% duplicate 0.1% reorder 1% corrupt 0.01% \
             rate 100Mbit limit 50 seed 7 link-state on",
            Request::Xconnect(XconnectRequest {
                a: name("t1"),
                b: name("t2"),
                off: false,
                link_state: true,
                impairment: Impairment {
                    delay: "10ms".parse().unwrap(),
                    jitter: "2ms".parse().unwrap(),
                    loss: "1%".parse().unwrap(),
                    duplicate: "0.1%".parse().unwrap(),
                    reorder: "1%".parse().unwrap(),
                    corrupt: "0.01%".parse().unwrap(),
                    rate: "100Mbit".parse().ok(),
                    limit: Some(50),
                    seed: Some(7),
                },
            }),
        ),
        ("xconnect t1 t2 link-state on", linked(true, false)),
        ("xconnect --link-state on t1 t2", linked(true, false)),
        ("xconnect t1 t2 link-state off", wire(false)),
        ("set tap carrier t1 up", set("t1", SetInterface::HostCarrier { up: true })),
        ("set tap carrier t1 down", set("t1", SetInterface::HostCarrier { up: false })),
        ("set tap speed t1 2500", set("t1", SetInterface::HostSpeed { mbps: 2500 })),
        ("set interface l3 t1", set("t1", SetInterface::L3 {})),
        ("set interface state t1 up", set("t1", SetInterface::State { up: true })),
        ("set interface state t1 down", set("t1", SetInterface::State { up: false })),
        (
            "set interface ip address t1 10.0.0.1/24",
            set("t1", SetInterface::AddAddress("10.0.0.1/24".parse().unwrap())),
        ),
        (
            "set interface ip address del t1 fd00::1/64",
            set("t1", SetInterface::DelAddress("fd00::1/64".parse().unwrap())),
        ),
        ("set interface ip address del t1 all", set("t1", SetInterface::DelAllAddresses {})),
        ("set interface name t1 up", set("t1", SetInterface::Name("up".parse().unwrap()))),
        ("set interface tag t1 a:b/c", set("t1", SetInterface::Tag("a:b/c".parse().unwrap()))),
        ("clear interface tag t1", set("t1", SetInterface::ClearTag {})),
        (
            "set interface mac address t1 02:fe:00:00:00:01",
            set("t1", SetInterface::MacAddress(mac)),
        ),
        (
            "set interface secondary-mac-address t1 02:fe:00:00:00:01 add",
            set("t1", SetInterface::AddSecondaryMac(mac)),
        ),
        ("set int sec t1 02:fe:00:00:00:01 del", set("t1", SetInterface::DelSecondaryMac(mac))),
        ("set interface mtu 1400 t1", set("t1", mtu(MtuOf::Packet, 1400))),
        ("set interface mtu packet 1400 t1", set("t1", mtu(MtuOf::Packet, 1400))),
        ("set int mtu ip4 1400 t1", set("t1", mtu(MtuOf::Ip4, 1400))),
        ("set interface mtu ip6 0 t1", set("t1", mtu(MtuOf::Ip6, 0))),
        ("set interface mtu mpls 1400 t1", set("t1", mtu(MtuOf::Mpls, 1400))),
        ("set tap host-mtu t1 9000", set("t1", SetInterface::HostMtu("9000".parse().unwrap()))),
        (
            "set interface rx-placement t1 queue 3 worker 2",
            set("t1", SetInterface::RxPlacement { queue: QueueIndex(3), poller: PollerIndex(2) }),
        ),
        (
            "set int rx-placement t1 main",
            set("t1", SetInterface::RxPlacement { queue: QueueIndex(0), poller: PollerIndex(0) }),
        ),
        (
            "set interface rx-mode t1 queue 3 polling",
            set("t1", SetInterface::RxMode { queue: Some(QueueIndex(3)), mode: RxMode::Polling }),
        ),
        (
            "set int rx-mode t1 adaptive",
            set("t1", SetInterface::RxMode { queue: None, mode: RxMode::Adaptive }),
        ),
        (
            "set interface tx-queue t1 queue 1 threads 0,2-3",
            set(
                "t1",
                SetInterface::TxQueue {
                    queue: QueueIndex(1),
                    threads: [0, 2, 3].map(PollerIndex).to_vec(),
                },
            ),
        ),
        (
            "set interface tx-queue t1 queue 4 threads",
            set("t1", SetInterface::TxQueue { queue: QueueIndex(4), threads: Vec::new() }),
        ),
        ("set int prom on t1", set("t1", SetInterface::Promiscuous { on: true })),
        ("set interface promiscuous off t1", set("t1", SetInterface::Promiscuous { on: false })),
        ("show interface tag t1", show(ShowRequest::Tags(vec![name("t1")]))),
        ("show interface t1 tag", show(ShowRequest::Tags(vec![name("t1")]))),
        ("sh int sec", show(ShowRequest::SecondaryMacs(vec![]))),
        ("show", Request::Show(ShowRequest::Overview(vec![]))),
        ("show tap0", Request::Show(ShowRequest::Overview(vec![name("tap0")]))),
        ("show tap", tap(vec![], false)),
        ("show tap tap0 tap1 descriptors", tap(vec![name("tap0"), name("tap1")], true)),
        ("show tap descriptors tap0", tap(vec![name("tap0")], true)),
        (
            "show tun",
            Request::Show(ShowRequest::Tap {
                kind: Kind::Tun,
                interfaces: vec![],
                descriptors: false,
            }),
        ),
        ("show interface tap0", Request::Show(ShowRequest::Interface(vec![name("tap0")]))),
        ("show errors", Request::Show(ShowRequest::Errors { verbose: false })),
        ("show node counters", show(ShowRequest::Errors { verbose: false })),
        ("sh err verbose", Request::Show(ShowRequest::Errors { verbose: true })),
        ("sh int addr", show(ShowRequest::Addresses(vec![]))),
        ("show interface address t1", show(ShowRequest::Addresses(vec![name("t1")]))),
        ("show interface rx-placement t1", show(ShowRequest::RxPlacement(vec![name("t1")]))),
        ("show interface t1 tx-placement", show(ShowRequest::TxPlacement(vec![name("t1")]))),
        ("sh int feat t1", show(ShowRequest::Features(vec![name("t1")]))),
        ("show interface t1 addr", show(ShowRequest::Addresses(vec![name("t1")]))),
        ("show interface t1 address t2", show(ShowRequest::Addresses(both()))),
        ("show interface t1 t2 features", show(ShowRequest::Features(both()))),
        ("show interface t1 feat", show(ShowRequest::Features(vec![name("t1")]))),
        ("show interface verbose", show(ShowRequest::Interface(vec![]))),
        ("show interface t1 t2 verbose", show(ShowRequest::Interface(both()))),
        ("show interface addr verbose t1", show(ShowRequest::Addresses(vec![name("t1")]))),
        ("sh hard", hardware(vec![], Detail::Normal)),
        ("sh hard t1 verbose", hardware(vec![name("t1")], Detail::Verbose)),
        ("show hardware-interfaces detail", hardware(vec![], Detail::Verbose)),
        ("show hardware-interfaces t1 t2 brief", hardware(both(), Detail::Brief)),
        ("show hardware-interfaces brief t1 t2", hardware(both(), Detail::Brief)),
        ("show hardware-interfaces t1 verbose t2", hardware(both(), Detail::Verbose)),
        ("show running-config", show(ShowRequest::RunningConfig {})),
        ("sh mode t1 t2", show(ShowRequest::Mode(both()))),
        ("show runtime", show(ShowRequest::Runtime { verbose: false })),
        ("sh run verbose", show(ShowRequest::Runtime { verbose: true })),
        ("sh thr", show(ShowRequest::Threads {})),
        ("sh log", show(ShowRequest::Logging {})),
        ("sh ver", show(ShowRequest::Version { verbose: false })),
        ("show version verbose", show(ShowRequest::Version { verbose: true })),
        ("clear interfaces", Request::Clear(ClearRequest::Interfaces(vec![]))),
        ("clear interfaces tap0", Request::Clear(ClearRequest::Interfaces(vec![name("tap0")]))),
        ("clear errors", Request::Clear(ClearRequest::Errors {})),
    ] {
        assert_eq!(format!("{:?}", request(line)), format!("{expected:?}"), "{line}");
    }
}

#[test]
fn wrong_values_are_refused_with_the_option_and_the_reason() {
    for (line, expected) in [
        (
            "create tap rx-ring-size 300",
            "create tap: rx-ring-size 300: not a power of two between 64 and 32768",
        ),
        (
            "create tap rx-ring-size 65536",
            "create tap: rx-ring-size 65536: not a power of two between 64 and 32768",
        ),
        (
            "create tap num-rx-queues 257",
            "create tap: num-rx-queues 257: not a number of queues between 1 and 256",
        ),
        (
            "create tap tx-ring-size 0",
            "create tap: tx-ring-size 0: not a power of two between 64 and 32768",
        ),
        ("create tap id 8192", "create tap: id 8192: not an id between 0 and 8191"),
        ("create tap id -1", "create tap: id -1: not an id between 0 and 8191"),
        ("create tap --id=", "create tap: id `': not an id between 0 and 8191"),
        (
            "create tap hw-addr 00:00:00:00:00:00",
            "create tap: hw-addr 00:00:00:00:00:00: an interface MAC cannot be zero",
        ),
        (
            "create tap host-mac-addr 01:00:5e:00:00:01",
            "create tap: host-mac-addr 01:00:5e:00:00:01: an interface MAC cannot be a multicast address",
        ),
        (
            "create tap host-if-name 0123456789abcdef",
            "create tap: host-if-name 0123456789abcdef: an interface name has 1 to 15 characters",
        ),
        (
            "create tap tap%d",
            "create tap: tap%d: an interface name is made of letters, digits, `.', `_' and `-'",
        ),
        ("create tap if-name all", "create tap: if-name all: this name is reserved by the kernel"),
        ("create all", "create: all: this name is reserved by the kernel"),
        ("create default", "create: default: this name is reserved by the kernel"),
        (
            "create tap host-ns pid:abc",
            "create tap: host-ns pid:abc: `pid:' is followed by a process number",
        ),
        (
            "create tap host-mtu-size 67",
            "create tap: host-mtu-size 67: not an MTU between 68 and 65521, of a tun 65535",
        ),
        (
            "create tap mtu 65522",
            "create tap: host-mtu-size 65522: not an MTU between 68 and 65521, of a tun 65535",
        ),
        (
            "create tap host-ip4-addr 10.0.0.1",
            "create tap: host-ip4-addr 10.0.0.1: needs a prefix length (10.9.0.1/24, fd00::1/64)",
        ),
        (
            "create tap host-ip4-addr 10.0.0.1/33",
            "create tap: host-ip4-addr 10.0.0.1/33: prefix length is not between 1 and 32",
        ),
        (
            "create tap host-ip6-addr fd00::1/129",
            "create tap: host-ip6-addr fd00::1/129: prefix length is not between 1 and 128",
        ),
        (
            "create tap host-ip4-addr 10.0.0.1/0",
            "create tap: host-ip4-addr 10.0.0.1/0: prefix length 0 would make every address a neighbour",
        ),
        (
            "create tap host-ip4-addr fd00::1/64",
            "create tap: host-ip4-addr fd00::1/64: not an IPv4 address (10.9.0.1/24)",
        ),
        ("create tap host-ip4-gw x", "create tap: host-ip4-gw x: invalid IPv4 address syntax"),
        (
            "create tap backend dpdk",
            "create tap: backend dpdk: not one of auto, vhost-net, userspace",
        ),
        (
            "create tap owner no-such-user",
            "create tap: owner no-such-user: no such user, and not a number up to 4294967294\n  \
             `getent passwd' lists the users by name and number",
        ),
        (
            "create tap group no-such-group",
            "create tap: group no-such-group: no such group, and not a number up to 4294967294\n  \
             `getent group' lists the groups by name and number",
        ),
        (
            "create tap group 4294967295",
            "create tap: group 4294967295: not a number between 0 and 4294967294",
        ),
        (
            "create tap host-bridge br0 host-ip4-addr 10.0.0.1/24",
            "create tap: Please specify either host ip address or host bridge",
        ),
        (
            "create tap host-bridge br0 host-ip4-gw 10.0.0.1",
            "create tap: Please specify either host ip address or host bridge",
        ),
        (
            "create tap host-ip4-gw 10.0.0.1",
            "create tap: host-ip4-gw 10.0.0.1: a gateway needs a host-ip4-addr in the same network",
        ),
        (
            "create tap host-ip4-addr 10.0.0.1/24 host-ip6-gw fe80::1",
            "create tap: host-ip6-gw fe80::1: a gateway needs a host-ip6-addr in the same network",
        ),
        (
            "create tap host-ip4-addr 10.0.0.1/24 host-ip4-gw 10.0.1.1",
            "create tap: host-ip4-gw 10.0.1.1: not in the network of any host-ip4-addr; \
             with a host-ip4-addr of prefix length 32 it is reached on the link",
        ),
        (
            "create tap host-ip4-addr 10.0.0.1/24 host-ip4-gw 10.0.0.1",
            "create tap: host-ip4-gw 10.0.0.1: this is the host side's own address",
        ),
        (
            "create tap ip4 10.0.0.1/24 ip4 10.0.0.1/24",
            "create tap: host-ip4-addr 10.0.0.1/24: this address is given twice",
        ),
        (
            "create tap ip4 10.0.0.1/24 respond 10.0.0.1/24",
            "create tap: respond 10.0.0.1/24: this address is given twice",
        ),
        ("create tap --gso=1", "create tap: gso: takes no value"),
        ("delete", "delete: Missing <interface>\n  delete {NAME... | sw_if_index N | --all}"),
        (
            "delete tap",
            "delete tap: Missing <interface>\n  delete {NAME... | sw_if_index N | --all}",
        ),
        ("delete tap0 tap0", "delete: tap0: named twice"),
        ("delete tap0 --all", "delete: <NAME> cannot be used with `--all'"),
        (
            "delete tap sw_if_index x",
            "delete tap: sw_if_index x: not a number between 0 and 4294967295",
        ),
        ("gso tap0", "gso: Missing <on|off>\n  gso <NAME> <on|off>"),
        ("gso tap0 maybe", "gso: maybe: not one of on, off"),
        ("set tap gso", "set tap gso: please specify interface name or sw_if_index"),
        ("set interface state tap0 flat", "set interface state: flat: not one of up, down"),
        (
            "show interface addr tap0 feat",
            "show interface addr: feat: one of addr, features, rx-placement, tx-placement, tag, vtr, secondary-mac-address at a time",
        ),
        (
            "set interface ip address tap0 10.0.0.1/33",
            "set interface ip address: 10.0.0.1/33: prefix length is not between 1 and 32",
        ),
        (
            "set interface ip address tap0 all",
            "set interface ip address: all: valid only with `del'",
        ),
        (
            "set interface l2 xconnect t1 t1",
            "set interface l2 xconnect: t1: an interface cannot be wired to itself",
        ),
        ("xconnect t1", "xconnect: Missing <B>\n  xconnect A B [OPTION]..."),
        ("--socket= show", "show: socket `': its value is empty"),
        ("show --color blue", "show: color blue: not one of auto, always, never"),
        ("hold --memory 0", "hold: memory 0: not a size between 16M and 1T (512M, 4G)"),
        (
            "set interface state GigabitEthernet3/0/0 up",
            "set interface state: GigabitEthernet3/0/0: hardware interfaces are Linux's, not \
             taptool's\n  there they have another name: `ip link set dev NAME up'; `show' lists \
             taptool's",
        ),
        (
            "gso tap0/1 on",
            "gso: tap0/1: an interface name is made of letters, digits, `.', `_' and `-'",
        ),
        ("history x", "history: x: not a number of lines between 1 and 1000"),
        ("history 0", "history: 0: not a number of lines between 1 and 1000"),
        ("wait -1", "wait: unknown input `-1'"),
        ("create -x", "create: unknown input `-x'"),
        ("create -- tap0 tap1", "create: unknown input `tap1'"),
    ] {
        assert_eq!(refused(line), (2, expected.to_owned()), "{line}");
    }
}

#[test]
fn what_this_version_lacks_is_refused_by_its_name_with_what_to_do_instead() {
    let refusal = |path: &str, given: &str, instead: &str| {
        let given = if given.is_empty() { String::new() } else { format!("{given}: ") };
        format!("{path}: {given}not supported in this version\n  {instead}")
    };
    let mut options = 0;
    for row in VPP_COMMANDS {
        let Here::Refuses { line, instead } = row.here else { continue };
        let words: Vec<&str> = row.grammar.split(' ').collect();
        let given = match words.last() {
            Some(&"N") => line[line.find("num-").unwrap()..].to_owned(),
            Some(word) => (*word).to_owned(),
            None => panic!("{row:?}"),
        };
        if !line.starts_with("create tap") {
            let names = |word: &&&str| !word.contains(|c: char| c.is_uppercase() || c == '[');
            let path: Vec<&str> = words.iter().take_while(names).copied().collect();
            let path = path.join(" ");
            assert_eq!(refused(line), (2, refusal(&path, &given, instead)));
            continue;
        }
        assert_eq!(refused(line), (2, refusal("create tap", &given, instead)));
        let dashed = line.replace(&format!(" {given}"), &format!(" --{given}"));
        assert_eq!(refused(&dashed), (2, refusal("create tap", &given, instead)));
        options += 1;
    }
    assert!(options > 0);
    // All of them at once, and nothing is opened for such a line.
    let expected = "create tap: packed, in-order: not supported in this version\n  \
                    packed: leave it out: neither backend offers VIRTIO_F_RING_PACKED (bit 34), and VPP ignored the word\n  \
                    in-order: leave it out: no backend before the vhost-net of Linux 7.3 offers VIRTIO_F_IN_ORDER (bit 35), and VPP \
     ignored the word";
    let line = "create tap id 7 host-ns nonesuch-7 packed num-rx-queues 4 in-order num-tx-queues 2";
    assert_eq!(refused(line), (2, expected.to_owned()));
}

#[test]
fn every_alternative_of_a_command_of_vpps_is_among_its_lines() {
    for row in VPP_COMMANDS {
        let Here::Does(lines, _) = row.here else { continue };
        let typed: BTreeSet<&str> = lines.iter().flat_map(|line| line.split(' ')).collect();
        for word in row.grammar.split(' ') {
            let alternatives: Vec<&str> =
                word.trim_matches(['[', ']', '{', '}']).split('|').collect();
            let value = |word: &str| word.contains(|c: char| c.is_uppercase());
            for one in alternatives.iter().filter(|one| alternatives.len() > 1 && !value(one)) {
                assert!(one.is_empty() || typed.contains(one), "{one} in no line of {row:?}");
            }
        }
    }
}

#[test]
fn a_namespace_that_is_not_there_is_exit_3_and_names_the_path() {
    let (code, text) = refused("create tap host-ns nonesuch-7");
    assert_eq!(code, 3);
    assert_eq!(
        text,
        "create tap: host-ns nonesuch-7: open /run/netns/nonesuch-7: No such file or directory (ENOENT)\n  `ip netns add nonesuch-7' makes a namespace of this name"
    );
    let (code, text) = refused("create tap host-ns pid:4194304");
    assert_eq!((code, text.ends_with("\n  there is no process 4194304")), (3, true), "{text}");
    assert_eq!(refused("create tap host-ns /nonesuch/net").0, 3);
}

#[test]
fn help_and_version_are_not_refusals() {
    for line in ["--help", "-h", "create --help", "cr tap -h", "set", "--version", "show -V"] {
        match parse(&split(line), Place::CommandLine) {
            Err(Unparsed::Help(_)) => assert_ne!(line, "set"),
            Err(Unparsed::Refused(_)) => assert!(matches!(line, "set" | "show -V"), "{line}"),
            Ok(other) => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn options_of_every_command_are_explained_behind_the_programs_name_and_not_with_each_line() {
    for (place, explained) in [(Place::CommandLine, true), (Place::Script, false)] {
        match parse(&split("set interface state --help"), place) {
            Err(Unparsed::Help(text)) => {
                let text = text.to_string();
                assert_eq!(text.contains("--socket"), explained, "{text}");
                assert!(text.contains("<up|down>"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    }
}
