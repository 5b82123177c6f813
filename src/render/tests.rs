mod widths;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use serde_json::Value;

use super::*;
use crate::api::{
    Action, BackendKind, CreateRequest, Deleted, Detail, ErrorRow, Interface, Level, LogRow,
    Namespace, NodeRow, PlannedStep, PollerRow, Queue, QueueState, RingEntry, State, ThreadRow,
    Version,
};
use crate::counters::{
    CellBlock, Counter, Direction, DropReason, GROUP_WORDS, QueueCounters, QueueSnapshot,
};
use crate::units::{IfName, Kind, PollerIndex, QueueIndex, RingSize, RxMode, SwIfIndex};

/// As where nobody says how many columns there are.
fn text(reply: &Reply) -> String {
    super::text(reply, None)
}

fn queue(direction: Direction, counted: &[(Counter, u64)], lost: &[DropReason]) -> Queue {
    let words: Vec<AtomicU64> = (0..GROUP_WORDS).map(|_| AtomicU64::new(0)).collect();
    let cells: CellBlock = Arc::new(words);
    let mut counters = QueueCounters::resume(Arc::clone(&cells));
    for (counter, n) in counted {
        counters.set(*counter, *n);
    }
    lost.iter().for_each(|reason| counters.lose(*reason));
    counters.publish();
    Queue {
        id: QueueIndex(0),
        size: RingSize::default(),
        poller: PollerIndex(0),
        mode: (direction == Direction::Rx).then_some(RxMode::Adaptive),
        threads: vec![PollerIndex(0)],
        state: QueueState::Running,
        counters: QueueSnapshot::read(direction, &cells),
        avail_flags: 1,
        used_flags: 0,
        kick_fd: 24,
        call_fd: 23,
        descriptors: Vec::new(),
    }
}

fn tap0() -> Interface {
    let rx = [
        (Counter::Packets, 10),
        (Counter::Bytes, 980),
        (Counter::Consumed, 9),
        (Counter::LastUsedIdx, 10),
        (Counter::DescInUse, 246),
        (Counter::AvailIdx, 256),
        (Counter::UsedIdx, 10),
    ];
    let tx = [(Counter::Packets, 9), (Counter::Bytes, 882), (Counter::Originated, 9)];
    Interface {
        name: IfName::new("tap0").unwrap(),
        id: "0".parse().unwrap(),
        sw_if_index: SwIfIndex(1),
        kind: Kind::Tap,
        backend: BackendKind::VhostNet,
        backend_reason: None,
        created_with: CreateRequest::new(Kind::Tap, Namespace::default()),
        vhost_worker_mode: Some("kthread".into()),
        state: State::Up,
        admin_up: true,
        link_up: true,
        link_state: false,
        impairment: None,
        action: Action::Respond,
        tag_rewrite: "none".into(),
        sub_interfaces: Vec::new(),
        addresses: vec!["10.9.0.2/24".parse().unwrap()],
        host_if_name: "vt0".into(),
        host_ifindex: 7,
        host_ns: Some("blue".into()),
        host_addresses: vec!["10.9.0.1/24".parse().unwrap(), "fe80::1/64".parse().unwrap()],
        host_bridge: None,
        mtu: 1500,
        qlen: 1000,
        host_tx_dropped: 0,
        persist: false,
        attached: false,
        pinned: false,
        carrier: true,
        speed_mbps: Some(10_000),
        host_mac_addr: Some("02:fe:aa:bb:cc:dd".parse().unwrap()),
        mac_addr: Some("02:fe:11:22:33:44".parse().unwrap()),
        secondary_mac_addrs: Vec::new(),
        promiscuous: false,
        tag: None,
        packet_mtu: None,
        ip4_mtu: None,
        ip6_mtu: None,
        mpls_mtu: None,
        gso: false,
        no_gso: false,
        csum_offload: false,
        offloads: Vec::new(),
        features: ["VIRTIO_NET_F_MRG_RXBUF", "VIRTIO_RING_F_EVENT_IDX", "VIRTIO_F_VERSION_1"]
            .map(String::from)
            .to_vec(),
        features_raw: "0x120008000".into(),
        backend_features: vec!["VIRTIO_NET_F_MRG_RXBUF".into(), "unknown(41)".into()],
        backend_features_raw: "0x20000008000".into(),
        tap_fds: vec![20],
        vhost_fds: vec![21],
        rx_queues: vec![queue(Direction::Rx, &rx, &[DropReason::Malformed])],
        tx_queues: vec![queue(Direction::Tx, &tx, &[DropReason::NoFreeTxSlots; 2])],
    }
}

fn wired() -> Interface {
    Interface {
        name: IfName::new("abcdefghijklmno").unwrap(),
        sw_if_index: SwIfIndex(12),
        backend: BackendKind::Userspace,
        backend_reason: Some("/dev/vhost-net: No such file or directory (ENOENT)".into()),
        vhost_worker_mode: None,
        state: State::HostGone,
        admin_up: false,
        link_up: false,
        action: Action::Xconnect(IfName::new("ABCDEFGHIJKLMNO").unwrap()),
        addresses: Vec::new(),
        host_if_name: "evil\u{1b}[2J".into(),
        host_ns: None,
        rx_queues: vec![queue(Direction::Rx, &[(Counter::Packets, 12_345_678_901)], &[])],
        tx_queues: vec![queue(Direction::Tx, &[], &[])],
        ..tap0()
    }
}

#[test]
fn show_is_one_table_that_fits_80_columns() {
    let table = text(&Reply::Interfaces(vec![tap0(), wired()], View::Overview));
    let expected = "\
Interface        Host side      Backend    State      Action
  queue                packets      bytes      drops
tap0             blue:vt0       vhost-net  up         respond
  rx 0                      10        980          1
  tx 0                       9        882          2
abcdefghijklmno  evil\\u{1b}[2J  userspace  host-gone  xconnect ABCDEFGHIJKLMNO
  rx 0             12345678901          0          0
  tx 0                       0          0          0
";
    assert_eq!(table, expected, "\n{table}\n{expected}");
    assert!(table.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn what_the_host_dropped_has_a_row_beside_the_queues() {
    let tap = Interface { host_tx_dropped: 41, ..tap0() };
    let table = text(&Reply::Interfaces(vec![tap.clone()], View::Overview));
    let last: Vec<_> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(last, ["host", "41"], "{table}");
    let narrow = super::text(&Reply::Interfaces(vec![tap], View::Overview), Some(40));
    assert!(narrow.lines().last().unwrap().starts_with("  host"), "{narrow}");
}

#[test]
fn show_tap_has_the_layout_of_vpp_and_the_counters() {
    let mut tap = tap0();
    tap.rx_queues[0].descriptors = vec![RingEntry {
        id: 0,
        addr: 0x10_01f0_00f4,
        len: 2060,
        flags: 2,
        next: 0,
        user_addr: 0x7f00_1001_f000,
    }];
    let shown = text(&Reply::Interfaces(vec![tap], View::Tap));
    let expected = "\
Interface: tap0 (ifindex 1)
  name \"vt0\"
  host-ns \"blue\"
  host-ifindex 7
  host-mtu-size \"1500\"
  host-mac-addr: 02:fe:aa:bb:cc:dd
  host-ip4-addr: 10.9.0.1/24
  host-ip6-addr: fe80::1/64
  host-txqueuelen 1000
  host-carrier-up: 1
  host-speed: 10000 Mbit/s
  backend: vhost-net
  vhost-fds 21
  vhost-worker-mode: kthread
  tap-fds 20
  gso-enabled 0
  csum-enabled 0
  mac Address: 02:fe:11:22:33:44
  device instance: 0
  admin state: up
  state: up
  action: respond
  address: 10.9.0.2/24
  features 0x120008000
     VIRTIO_NET_F_MRG_RXBUF(15)
     VIRTIO_RING_F_EVENT_IDX(29)
     VIRTIO_F_VERSION_1(32)
  remote-features 0x20000008000
    VIRTIO_NET_F_MRG_RXBUF(15)
    unknown(41)
  Number of RX Virtqueue  1
  Number of TX Virtqueue  1
  Virtqueue (RX) 0
    qsz 256, last_used_idx 10, desc_in_use 246
    avail.flags 0x1 avail.idx 256 used.flags 0x0 used.idx 10
    kickfd 24, callfd 23
    poller 0, running
    packets 10, bytes 980, consumed 9
    drops: malformed 1

  descriptor table:
   id          addr         len  flags  next/id      user_addr
  ===== ================== ===== ====== ======= ==================
  0     0x0000001001f000f4 2060  0x0002 0        0x00007f001001f000
  Virtqueue (TX) 0
    qsz 256, last_used_idx 0, desc_in_use 0
    avail.flags 0x1 avail.idx 0 used.flags 0x0 used.idx 0
    kickfd 24, callfd 23
    poller 0, running
    packets 9, bytes 882, originated 9
    drops: no_free_tx_slots 2
";
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn show_tap_of_the_userspace_backend_says_why_and_has_no_vhost_lines() {
    let mut tap = wired();
    tap.tx_queues[0].state = QueueState::Broken("used id out of range".into());
    tap.state = State::Broken;
    let shown = text(&Reply::Interfaces(vec![tap], View::Tap));
    assert!(shown.contains(
        "  backend: userspace (/dev/vhost-net: No such file or directory (ENOENT))\n  tap-fds 20\n"
    ));
    assert!(shown.contains("  name \"evil\\u{1b}[2J\"\n"));
    assert!(shown.contains("    poller 0, broken: used id out of range\n"));
    assert!(
        shown.contains("  state: broken (`set interface state abcdefghijklmno up' resets it)\n")
    );
    assert!(!shown.contains("vhost-fds") && !shown.contains('\u{1b}'));
}

#[test]
fn show_interface_has_the_columns_of_vpp() {
    let shown = text(&Reply::Interfaces(vec![tap0(), wired()], View::Counters));
    let expected = [
        "              Name               Idx    State  MTU (L3/IP4/IP6/MPLS)     Counter          Count",
        "tap0                              1      up          1500/0/0/0     rx packets                    10",
        "                                                                    rx bytes                     980",
        "                                                                    tx packets                     9",
        "                                                                    tx bytes                     882",
        "                                                                    drops                          3",
        "abcdefghijklmno                   12  host-gone      1500/0/0/0     rx packets           12345678901",
        "",
    ];
    assert_eq!(shown, expected.join("\n"), "\n{shown}");
}

#[test]
fn a_host_side_that_is_down_is_told_where_ours_is_up() {
    let mut tap = tap0();
    for (state, link_up, word) in [
        (State::Up, true, "up "),
        (State::Up, false, "link-down "),
        (State::AdminDown, false, "admin-down "),
    ] {
        (tap.state, tap.link_up) = (state, link_up);
        let shown = text(&Reply::Interfaces(vec![tap.clone()], View::Overview));
        assert!(shown.lines().nth(2).unwrap().contains(&format!(" {word}")), "\n{shown}");
    }
}

#[test]
fn show_errors_has_the_columns_of_vpp_and_adds_queues_up() {
    let row = |queue, count, direction, reason: DropReason| ErrorRow {
        count,
        name: IfName::new("tap0").unwrap(),
        direction,
        queue: QueueIndex(queue),
        reason: reason.row().name.into(),
        sentence: reason.row().sentence.into(),
    };
    let rows = vec![
        row(0, 10, Direction::Tx, DropReason::NoFreeTxSlots),
        row(1, 2, Direction::Tx, DropReason::NoFreeTxSlots),
        row(0, 16701, Direction::Rx, DropReason::AdminDown),
        row(0, 0, Direction::Rx, DropReason::Oversize),
    ];
    let verbose = text(&Reply::Errors(rows.clone(), true));
    let nodes: Vec<&str> = verbose.lines().skip(1).map(|line| line[10..45].trim()).collect();
    assert_eq!(nodes, ["tap0-tx 0", "tap0-tx 1", "tap0-rx 0"], "{verbose}");

    let long = vec![row(0, 7, Direction::Rx, DropReason::Fragment), rows[0].clone()];
    let shown = text(&Reply::Errors(long, false));
    let places: Vec<_> = shown.lines().map(|line| line.find("error")).collect();
    assert_eq!(places[1], places[2], "\n{shown}");
    let shown = text(&Reply::Errors(rows, false));
    let expected = [
        "   Count                  Node                              Reason               Severity",
        "        12              tap0-tx                        no free tx slots            error",
        "     16701              tap0-rx                       interface is down            error",
        "",
    ];
    assert_eq!(shown, expected.join("\n"), "\n{shown}");
}

#[test]
fn small_tables_of_interfaces_have_the_layout_of_vpp() {
    let mut broken = tap0();
    broken.name = IfName::new("tap1").unwrap();
    broken.state = State::Broken;
    broken.action = Action::Xconnect(IfName::new("tap0").unwrap());
    broken.addresses = Vec::new();
    broken.rx_queues[0].poller = PollerIndex(1);
    broken.tx_queues[0].threads = vec![PollerIndex(0), PollerIndex(1)];
    let both = || vec![tap0(), broken.clone()];
    assert_eq!(
        text(&Reply::Interfaces(both(), View::Addresses)),
        "tap0 (up):\n  L3 10.9.0.2/24\ntap1 (dn):\n  L2 xconnect tap0\n"
    );
    assert_eq!(text(&Reply::Interfaces(both(), View::Mode)), "l3 tap0\nl2 xconnect tap1 tap0\n");
    assert_eq!(
        text(&Reply::Interfaces(both(), View::RxPlacement)),
        "Thread 0 (poller-0):\n node tap-input:\n    tap0 queue 0 (adaptive)\n\
         Thread 1 (poller-1):\n node tap-input:\n    tap1 queue 0 (adaptive)\n"
    );
    let reply = Reply::Interfaces(both(), View::TxPlacement);
    assert_eq!(
        text(&reply),
        "Thread 0 (poller-0):\n node tap-tx:\n    tap0 queue 0\n    tap1 queue 0 (shared)\n\
         Thread 1 (poller-1):\n node tap-tx:\n    tap1 queue 0 (shared)\n"
    );
    let features = text(&Reply::Interfaces(both(), View::Features));
    assert!(features.contains("on tap0...\n\ndevice-input:\n  respond\n"), "{features}");
    assert!(features.contains("on tap1...\n\ndevice-input:\n  xconnect tap0\n"), "{features}");
    for nothing in [View::Addresses, View::Mode, View::RxPlacement] {
        assert_eq!(text(&Reply::Interfaces(Vec::new(), nothing)), "");
    }
}

#[test]
fn show_hardware_interfaces_has_the_layout_of_vpp() {
    let head = "              Name                Idx   Link  Hardware
tap0                               1     up   tap0
";
    let body = "  Link speed: unknown
  RX Queues:
    queue thread         mode
    0     poller-0 (0)   adaptive
  TX Queues:
    queue shared thread(s)
    0     no     0
";
    let shown = |detail| text(&Reply::Interfaces(vec![tap0()], View::Hardware(detail)));
    assert_eq!(shown(Detail::Brief), head);
    let normal = shown(Detail::Normal);
    assert!(normal.starts_with(&format!("{head}{body}  Ethernet address ")), "{normal}");
    assert!(normal.contains("\n  VIRTIO interface\n     instance 0\n"), "{normal}");
    assert!(normal.contains("       RX QUEUE : Total Packets\n              0 : "), "{normal}");
    let verbose = shown(Detail::Verbose);
    assert!(verbose.starts_with(&normal) && verbose.contains("Virtqueue (TX) 0"), "{verbose}");
}

#[test]
fn show_runtime_has_the_columns_of_vpp_and_says_where_the_time_went() {
    let node = |direction, calls, vectors, drops| NodeRow {
        interface: IfName::new("tap0").unwrap(),
        direction,
        queue: QueueIndex(0),
        active: true,
        calls,
        vectors,
        drops,
    };
    let poller = PollerRow {
        poller: PollerIndex(0),
        thread: "poller-0".into(),
        loops: 20_000,
        visits: 30_000,
        sleeps: 7,
        busy_ns: 2_000_000_000,
        spin_ns: 1_000_000_000,
        asleep_ns: 7_000_000_000,
        nodes: vec![node(Direction::Rx, 100, 6_400, 12), node(Direction::Tx, 0, 0, 0)],
    };
    let expected = "\
Time 10.0, average vectors/node 64.00 loops/sec 2000.00
  vector rates in 6.4000e2, out 0.0000e0, drop 1.2000e0, punt 0.0000e0
  busy 20.0 %, spinning 10.0 %, asleep 70.0 %; visits 30000, sleeps 7
             Name                 State         Calls          Vectors        Suspends      Packet-Clocks   Vectors/Call
tap0-rx                          active                100            6400               0               -           64.00
";
    assert_eq!(text(&Reply::Runtime(vec![poller.clone()], false)), expected);
    let verbose = text(&Reply::Runtime(vec![poller.clone()], true));
    assert!(verbose.contains("\ntap0-tx "), "{verbose}");
    let two = text(&Reply::Runtime(vec![poller.clone(), poller], false));
    assert!(two.starts_with("---------------\nThread 0 poller-0\nTime 10.0"), "{two}");
}

#[test]
fn show_threads_logging_and_version_have_the_layout_of_vpp() {
    let thread = ThreadRow {
        id: 1,
        name: "poller-0".into(),
        role: "poller".into(),
        lwp: 1234,
        policy: "other".into(),
        priority: 0,
        cpu: 3,
        core: Some(1),
        socket: None,
    };
    assert_eq!(
        text(&Reply::Threads(vec![thread])),
        "\
ID     Name                Type        LWP     Sched Policy (Priority)  lcore  Core   Socket
1      poller-0            poller      1234    other (0)                3      1      -
"
    );
    let row = LogRow {
        time_ms: 1_767_225_599_123,
        level: Level::Warn,
        name: IfName::new("tap0").unwrap(),
        text: "host side renamed from tap0 to \u{1b}[2J".into(),
    };
    assert_eq!(
        text(&Reply::Logging(vec![row])),
        "2025/12/31 23:59:59:123 warn       tap            \
         tap0: host side renamed from tap0 to \\u{1b}[2J\n"
    );
    let shown = text(&Reply::Version(vec![Version::own()], false));
    assert_eq!(
        shown,
        format!("taptool {} ({})\n", env!("CARGO_PKG_VERSION"), env!("TAPTOOL_COMMIT"))
    );
}

#[test]
fn changes_print_nothing_and_a_create_its_name() {
    assert_eq!(text(&Reply::Created(Box::new(tap0()))), "tap0\n");
    let name = || IfName::new("tap0").unwrap();
    let stuck = Deleted { name: name(), not_undone: vec!["a".into(), "b".into()] };
    let deleted = Reply::Deleted(vec![Deleted { name: name(), not_undone: vec![] }, stuck]);
    assert_eq!(text(&deleted), "");
    assert_eq!(left_behind(&deleted), ["tap0: not undone: a", "tap0: not undone: b"]);
    assert_eq!(text(&Reply::Changed(vec![name()])), "");
    assert!(left_behind(&Reply::Changed(vec![name()])).is_empty());
    for empty in [
        Reply::Interfaces(vec![], View::Overview),
        Reply::Interfaces(vec![], View::Tap),
        Reply::Interfaces(vec![], View::Counters),
        Reply::Errors(vec![], false),
    ] {
        assert_eq!(text(&empty), "");
        assert_eq!(json(&empty, false), "[]\n");
        assert_eq!(json(&empty, true), "[]\n");
    }
}

#[test]
fn a_dry_run_numbers_its_steps() {
    let step = |step: &str, undo: Option<&str>| PlannedStep {
        step: step.into(),
        undo: undo.map(str::to_owned),
    };
    let steps =
        Reply::Planned(vec![step("reserve id 0", Some("free id 0")), step("tap0 up", None)]);
    assert_eq!(text(&steps), "  1. reserve id 0\n       undo: free id 0\n  2. tap0 up\n");
    assert_eq!(
        json(&steps, false),
        "[{\"step\":\"reserve id 0\",\"undo\":\"free id 0\"},{\"step\":\"tap0 up\",\"undo\":null}]\n"
    );
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Programs rely on these keys: a change here is a change of the contract.
#[test]
fn json_keys() {
    let all: Value =
        serde_json::from_str(&json(&Reply::Interfaces(vec![tap0()], View::Tap), false)).unwrap();
    let tap = &all[0];
    assert_eq!(
        keys(tap).join(" "),
        "action addresses admin_up attached backend backend_features backend_features_raw backend_reason carrier \
         created_with csum_offload features features_raw gso host_addresses host_bridge host_if_name \
         host_ifindex host_mac_addr host_ns host_tx_dropped id impairment ip4_mtu ip6_mtu kind link_state link_up mac_addr mpls_mtu mtu name no_gso offloads packet_mtu persist pinned promiscuous qlen \
         rx_queues secondary_mac_addrs speed_mbps state sub_interfaces sw_if_index tag tag_rewrite tap_fds tx_queues vhost_fds vhost_worker_mode"
    );
    assert_eq!(
        keys(&tap["rx_queues"][0]).join(" "),
        "avail_flags avail_idx bursts bytes callfd calls consumed copies desc_in_use drops \
         forwarded held id kickfd kicks last_used_idx mode packets poller size state unreadable used_flags used_idx"
    );
    assert_eq!(
        keys(&tap["tx_queues"][0]).join(" "),
        "avail_flags avail_idx bursts bytes callfd calls desc_in_use drops enqueued id in_flight \
         kickfd kicks last_used_idx offered originated packets poller segments size state threads used_flags \
         used_idx"
    );
    assert_eq!(tap["rx_queues"][0]["drops"]["malformed"], 1);
    assert_eq!(tap["backend"], "vhost-net");
    assert_eq!(tap["action"], "respond");
    assert_eq!(tap["state"], "up");
    assert_eq!(tap["host_mac_addr"], "02:fe:aa:bb:cc:dd");
    let overview: Value =
        serde_json::from_str(&json(&Reply::Interfaces(vec![tap0()], View::Overview), false))
            .unwrap();
    assert_eq!(overview, all, "one shape of an interface wherever it is shown");
    let created: Value =
        serde_json::from_str(&json(&Reply::Created(Box::new(tap0())), true)).unwrap();
    assert_eq!(created, all);
}

#[test]
fn every_key_of_an_interface_and_its_queues_is_in_the_manual() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("man/taptool.8");
    let manual = std::fs::read_to_string(path).unwrap();
    let shown: Value =
        serde_json::from_str(&json(&Reply::Interfaces(vec![tap0()], View::Tap), false)).unwrap();
    let interface = shown[0].as_object().unwrap();
    let queues = ["rx_queues", "tx_queues"].map(|key| interface[key][0].as_object().unwrap());
    for key in queues.into_iter().chain([interface]).flat_map(|object| object.keys()) {
        let term = format!(".TP\n\\fB{key}\\fR (");
        assert!(manual.contains(&term), "`{key}' is not in man/taptool.8");
    }
}
