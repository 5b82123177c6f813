//! Each condition, alone: the row that it makes, what it costs, and the command that mends it.

mod created;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::*;
use crate::api::{
    Action, BackendChoice, BackendKind, CreateRequest, Namespace, Queue, QueueState, State,
};
use crate::counters::{
    CellBlock, Counter, DROP_REASONS, Direction, DropReason, GROUP_WORDS, QueueCounters,
    QueueSnapshot,
};
use crate::diag::Failure;
use crate::doctor::reasons;
use crate::host::inspect::{Inspection, Way};
use crate::host::link::{Link, LinkStats, PortState};
use crate::units::{IfName, Kind, PollerIndex, QueueIndex, RingSize, SwIfIndex};
use nix::errno::Errno;

fn queue(direction: Direction, lost: &[DropReason]) -> Queue {
    queue_that(direction, |counters| lost.iter().for_each(|reason| counters.lose(*reason)))
}

fn queue_that(direction: Direction, counted: impl FnOnce(&mut QueueCounters)) -> Queue {
    let words: Vec<AtomicU64> = (0..GROUP_WORDS).map(|_| AtomicU64::new(0)).collect();
    let cells: CellBlock = Arc::new(words);
    let mut counters = QueueCounters::resume(Arc::clone(&cells));
    counted(&mut counters);
    counters.publish();
    Queue {
        id: QueueIndex(0),
        size: RingSize::default(),
        poller: PollerIndex(0),
        mode: None,
        threads: Vec::new(),
        state: QueueState::Running,
        counters: QueueSnapshot::read(direction, &cells),
        avail_flags: 0,
        used_flags: 0,
        kick_fd: -1,
        call_fd: -1,
        descriptors: Vec::new(),
    }
}

/// A create of `tap0` in the namespace of that name.
fn create(host_ns: Option<&str>) -> CreateRequest {
    let host_ns = Namespace::from(host_ns.map(ToOwned::to_owned));
    CreateRequest { name: "tap0".parse().ok(), ..CreateRequest::new(Kind::Tap, host_ns) }
}

/// What `tap0` was made with.
fn made() -> CreateRequest {
    CreateRequest {
        mac_addr: "02:fe:11:22:33:44".parse().ok(),
        host_ip4_addr: vec!["10.9.0.1/24".parse().unwrap()],
        backend: BackendChoice::Userspace,
        respond: vec!["10.9.0.7/24".parse().unwrap()],
        gso: true,
        no_gso: false,
        admin_down: true,
        ..create(Some("foo"))
    }
}

/// A responder in foo, all well.
fn tap0() -> Interface {
    Interface {
        name: IfName::new("tap0").unwrap(),
        id: "0".parse().unwrap(),
        sw_if_index: SwIfIndex(1),
        kind: Kind::Tap,
        created_with: made(),
        backend: BackendKind::Userspace,
        backend_reason: None,
        vhost_worker_mode: None,
        state: State::Up,
        admin_up: true,
        link_up: true,
        link_state: false,
        impairment: None,
        action: Action::Respond,
        tag_rewrite: "none".into(),
        sub_interfaces: Vec::new(),
        addresses: vec!["10.9.0.2/24".parse().unwrap()],
        host_if_name: "tap0".into(),
        host_ifindex: 7,
        host_ns: Some("foo".into()),
        host_addresses: vec!["10.9.0.1/24".parse().unwrap(), "fe80::1/64".parse().unwrap()],
        host_bridge: None,
        mtu: 1500,
        qlen: 1000,
        host_tx_dropped: 0,
        persist: false,
        attached: false,
        pinned: false,
        carrier: true,
        speed_mbps: None,
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
        features: Vec::new(),
        features_raw: "0x0".into(),
        backend_features: Vec::new(),
        backend_features_raw: "0x0".into(),
        tap_fds: vec![20],
        vhost_fds: Vec::new(),
        rx_queues: vec![queue(Direction::Rx, &[])],
        tx_queues: vec![queue(Direction::Tx, &[])],
    }
}

fn link() -> Link {
    Link {
        index: 7,
        name: "tap0".into(),
        up: true,
        lower_up: true,
        arp: true,
        mtu: 1500,
        qlen: 1000,
        mac: None,
        master: None,
        carrier: true,
        tun: None,
        port: None,
        kind: Some("tun".into()),
        stats: LinkStats::default(),
    }
}

fn out(ifindex: u32, name: &str) -> Way {
    Way::Out { ifindex, name: name.into(), source: Some("10.9.0.1".parse().unwrap()) }
}

fn seen() -> Inspection {
    Inspection {
        link: link(),
        master: None,
        addresses: vec!["10.9.0.1/24".parse().unwrap(), "fe80::1/64".parse().unwrap()],
        ipv6_disabled: Some(false),
        ways: vec![out(7, "tap0")],
        gateways: Vec::new(),
        bridge_there: false,
    }
}

/// tap0 as one end of a wire to tap1 in bar, all well.
fn wired() -> [Interface; 2] {
    let end = |name: &str, peer: &str, host_ns: &str| Interface {
        name: IfName::new(name).unwrap(),
        action: Action::Xconnect(IfName::new(peer).unwrap()),
        addresses: Vec::new(),
        host_if_name: name.into(),
        host_ns: Some(host_ns.into()),
        gso: true,
        no_gso: false,
        offloads: vec!["CSUM".into(), "TSO4".into()],
        ..tap0()
    };
    [end("tap0", "tap1", "foo"), end("tap1", "tap0", "bar")]
}

fn look(seen: Inspection) -> Look {
    Look::Seen(Box::new(seen))
}

fn judged(all: &[Interface], look: &Look) -> Report {
    let home_gone = *look == Look::NoNamespace;
    judge(&Case { interface: &all[0], all, look, peer_seen: true, home_gone })
}

/// Check, state, value, cost, remedy; empty for none.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

fn has(report: &Report, row: Row<'_>) {
    let found: Vec<_> = report
        .findings
        .iter()
        .map(|f| {
            let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
            (f.check.to_string(), f.state.word(), f.value.clone(), text(&f.cost), text(&f.remedy))
        })
        .collect();
    let own = |text: &str| text.to_owned();
    let wanted = (own(row.0), row.1, own(row.2), own(row.3), own(row.4));
    assert!(found.contains(&wanted), "{row:#?}\nis not among\n{found:#?}");
}

/// What breaks a host side that works.
type Change = fn(&mut Inspection);

/// The one thing that drops frames, and the exit code that says so.
fn only(report: &Report, row: Row<'_>) {
    has(report, row);
    let drops: Vec<&Finding> =
        report.findings.iter().filter(|f| f.state == Verdict::Drops).collect();
    assert_eq!(drops.len(), 1, "{drops:#?}");
    assert_eq!(report.code, Some(Code::Failed));
    assert_eq!(report.summary, "tap0: 1 thing drops frames");
}

/// Nothing drops, and this is said besides.
fn noted(report: &Report, row: Row<'_>) {
    has(report, row);
    assert_eq!(report.code, None, "{report:#?}");
}

#[test]
fn an_interface_that_works_has_nothing_but_ok() {
    for all in [vec![tap0()], wired().to_vec()] {
        let report = judged(&all, &look(seen()));
        let words: Vec<&str> = report.findings.iter().map(|f| f.state.word()).collect();
        assert_eq!(words, vec!["ok"; words.len()], "{report:#?}");
        assert!(report.findings.iter().all(|f| f.cost.is_none() && f.remedy.is_none()));
        assert_eq!(report.summary, "tap0: all works, nothing would be dropped");
        assert_eq!(report.code, None);
    }
    let report = judged(&[tap0()], &look(seen()));
    has(
        &report,
        ("route", "ok", "the host reaches 10.9.0.2 through foo:tap0, from 10.9.0.1", "", ""),
    );
}

#[test]
fn the_host_side_and_its_link() {
    let rows: [(Change, Row<'_>); 2] = [
        (
            |s| (s.link.up, s.link.lower_up) = (false, false),
            (
                "host-link",
                "drops",
                "foo:tap0 is down",
                "the host sends nothing through it, and our frames to it are dropped (link_down)",
                "ip -n foo link set dev tap0 up",
            ),
        ),
        (
            |s| s.link.lower_up = false,
            (
                "host-link",
                "drops",
                "foo:tap0 is up and has no carrier: it was switched off",
                "the host drops every frame that it sends through it",
                "ip -n foo link set dev tap0 carrier on",
            ),
        ),
    ];
    for (change, row) in rows {
        let mut seen = seen();
        change(&mut seen);
        only(&judged(&[tap0()], &look(seen)), row);
    }
    // vhost-net alike.
    let mut seen = seen();
    seen.link.up = false;
    let tap = Interface { backend: BackendKind::VhostNet, ..tap0() };
    has(
        &judged(&[tap], &look(seen)),
        (
            "host-link",
            "drops",
            "foo:tap0 is down",
            "the host sends nothing through it, and our frames to it are dropped (link_down)",
            "ip -n foo link set dev tap0 up",
        ),
    );
}

#[test]
fn the_summary_agrees_with_every_pair_of_findings() {
    let states = [Verdict::Ok, Verdict::Note, Verdict::Unknown, Verdict::Drops];
    let finding = |check: &'static str, state| Finding {
        check: check.into(),
        state,
        value: String::new(),
        cost: None,
        remedy: None,
    };
    for seen in states {
        for lost in states {
            let said = super::summary(&[finding("mtu", seen), finding("lost", lost)]);
            let any = |state| seen == state || lost == state;
            let drops = usize::from(seen == Verdict::Drops) + usize::from(lost == Verdict::Drops);
            let clean = drops == 0 && !any(Verdict::Unknown) && lost == Verdict::Ok;
            assert_eq!(said.contains("all works"), clean, "{seen:?} {lost:?}: {said}");
            let counted = match drops {
                0 => "noth",
                1 => "1 thing drops",
                _ => "2 things drop",
            };
            assert!(clean || said.starts_with(counted), "{seen:?} {lost:?}: {said}");
            let told = drops > 0 || said.contains("lost before") == (lost != Verdict::Ok);
            assert!(told, "{seen:?} {lost:?}: {said}");
        }
    }
}

#[test]
fn packets_that_would_have_to_be_forwarded_are_something_that_drops_frames() {
    let tap = Interface { rx_queues: vec![queue(Direction::Rx, &[DropReason::NotOurs])], ..tap0() };
    let report = judged(&[tap], &look(seen()));
    assert_eq!(report.summary, "tap0: 1 thing drops frames");
    assert!(report.code.is_some());
}

#[test]
fn a_gateway_of_ours_is_told_before_the_first_packet_and_drops_where_a_router_is_meant() {
    let mut seen = seen();
    seen.gateways = vec!["10.9.0.2".parse().unwrap()];
    let row = |state| {
        (
            "gateway",
            state,
            "foo:tap0 sends what is for other networks to 10.9.0.2",
            "it is dropped (not_ours): this version does not route between interfaces",
            "",
        )
    };
    let tap1 = Interface { name: IfName::new("tap1").unwrap(), ..tap0() };
    only(&judged(&[tap0(), tap1.clone()], &look(seen.clone())), row("drops"));
    let sink = Interface { action: Action::Sink, ..tap1 };
    let report = judged(&[tap0(), sink], &look(seen.clone()));
    has(&report, row("note"));
    assert_eq!(report.code, None);
    seen.gateways = vec!["10.9.0.3".parse().unwrap()];
    let report = judged(&[tap0()], &look(seen));
    assert!(report.findings.iter().all(|finding| finding.check != "gateway"));
}

#[test]
fn a_host_side_without_a_transmit_queue_drops_everything_and_the_summary_says_so() {
    let mut seen = seen();
    seen.link.qlen = 0;
    let report = judged(&[tap0()], &look(seen));
    only(
        &report,
        (
            "host-queue",
            "drops",
            "foo:tap0 has a transmit queue of 0 frames",
            "the host drops every frame that it sends through it",
            "ip -n foo link set dev tap0 txqueuelen 1000",
        ),
    );
    assert_eq!(report.summary, "tap0: 1 thing drops frames");
}

#[test]
fn a_link_that_is_down_is_the_only_thing_said_about_routes_and_bridges() {
    let mut seen = seen();
    seen.link.up = false;
    seen.link.lower_up = false;
    seen.link.port = Some(PortState::Stopped("disabled"));
    seen.ways = vec![Way::Unreachable("x".into())];
    let report = judged(&[tap0()], &look(seen));
    assert_eq!(report.findings.iter().filter(|f| f.state == Verdict::Drops).count(), 1);
}

#[test]
fn commands_go_into_the_namespace_by_the_words_it_was_named_with() {
    let rows = [
        (None, "ip link set dev tap0 up"),
        (Some("foo"), "ip -n foo link set dev tap0 up"),
        (Some("/run/x y"), "nsenter --net='/run/x y' ip link set dev tap0 up"),
        (Some("pid:7"), "nsenter -t 7 -n ip link set dev tap0 up"),
    ];
    for (label, command) in rows {
        let mut seen = seen();
        seen.link.up = false;
        let tap = Interface { host_ns: label.map(Into::into), ..tap0() };
        let report = judged(&[tap], &look(seen));
        let down = report.findings.iter().find(|f| f.check == "host-link").unwrap();
        assert_eq!(down.remedy.as_deref(), Some(command));
    }
}

#[test]
fn a_device_with_a_hostile_name_stays_one_word_of_the_command() {
    let tap = Interface { host_if_name: "a;reboot".into(), ..tap0() };
    let mut seen = seen();
    seen.link.up = false;
    let report = judged(&[tap], &look(seen));
    let down = report.findings.iter().find(|f| f.check == "host-link").unwrap();
    assert_eq!(down.remedy.as_deref(), Some("ip -n foo link set dev 'a;reboot' up"));
}

const AGAIN: &str = "taptool delete tap0 && taptool create tap tap0 \
    --netns foo --hw-addr 02:fe:11:22:33:44 --ip4 10.9.0.1/24 --backend userspace \
    --respond 10.9.0.2/24";

#[test]
fn a_host_side_that_is_gone_is_told_from_a_namespace_that_is_gone() {
    let gone = || Interface { state: State::HostGone, link_up: false, ..tap0() };
    let cost =
        "no frame arrives, and frames sent to it are dropped (no_host); the interface is kept";
    let with_namespace = format!("ip netns add foo && {AGAIN}");
    let rows = [
        (Look::NotThere, "foo:tap0 was deleted, or its namespace was", AGAIN),
        (
            Look::Stranger,
            "foo:tap0 was deleted; the device that has that name now is another one",
            AGAIN,
        ),
        (Look::NoNamespace, "namespace foo is gone, and tap0 with it", with_namespace.as_str()),
    ];
    for (look, value, remedy) in rows {
        only(&judged(&[gone()], &look), ("host-side", "drops", value, cost, remedy));
    }
    // Where it was moved to counts for nothing.
    let moved = Interface { host_ns: Some("net:[7]".into()), ..gone() };
    let value = "net:[7]:tap0 was deleted, or its namespace was";
    only(&judged(&[moved], &Look::Unnamed), ("host-side", "drops", value, cost, AGAIN));
    only(
        &judged(&[Interface { state: State::Deleting, ..tap0() }], &Look::NotThere),
        ("host-side", "drops", "tap0 is being deleted", "no frame is moved any more", ""),
    );
}

#[test]
fn what_cannot_be_looked_at_is_said_and_not_guessed() {
    let unknown = "the holder has the device; only this look at it is missing";
    let denied = Failure::sys("open /run/netns/foo", "", Errno::EACCES).hint("run it with sudo");
    let own = || Interface { host_ns: None, ..tap0() };
    let rows = [
        (
            tap0(),
            Look::NoNamespace,
            "there is no namespace foo here: it was renamed or unmounted, or its name is another \
             mount namespace's",
            "",
        ),
        (
            tap0(),
            Look::Stranger,
            "tap0 with ifindex 7 is not in namespace foo: it was moved, or the name means another \
             namespace here",
            "",
        ),
        (
            Interface { host_ns: Some("net:[4026532180]".into()), ..tap0() },
            Look::Unnamed,
            "tap0 with ifindex 7 is in the namespace net:[4026532180], which has no name here; run \
             doctor in it",
            "",
        ),
        (
            own(),
            Look::NotThere,
            "tap0 with ifindex 7 is not in this namespace: it is in the holder's; run doctor there",
            "",
        ),
        (
            tap0(),
            Look::Refused(denied),
            "open /run/netns/foo: Permission denied (EACCES)",
            "run it with sudo",
        ),
    ];
    for (tap, look, value, remedy) in rows {
        let report = judged(std::slice::from_ref(&tap), &look);
        noted(&report, ("host-side", "unknown", value, unknown, remedy));
        assert_eq!(report.summary, "tap0: nothing would be dropped, as far as could be seen");
        // What the holder saw last still counts.
        let report = judged(&[Interface { link_up: false, ..tap }], &look);
        assert_eq!(report.code, Some(Code::Failed));
        let down = report.findings.iter().find(|f| f.check == "host-link").unwrap();
        assert_eq!(down.remedy, None, "it might be for a stranger");
    }
}

fn port(state: PortState) -> Inspection {
    let master = Link { index: 9, name: "br0".into(), kind: Some("bridge".into()), ..link() };
    let link = Link { master: Some(9), port: Some(state), ..link() };
    Inspection { link, master: Some(master), addresses: Vec::new(), ..seen() }
}

#[test]
fn a_bridge_and_its_port() {
    let bridged = || [Interface { host_bridge: Some("br0".into()), ..tap0() }];
    let fine = judged(&bridged(), &look(port(PortState::Forwarding)));
    noted(&fine, ("bridge", "ok", "foo:tap0 is a port of br0 and forwards", "", ""));

    let mut down = port(PortState::Stopped("disabled"));
    down.master.as_mut().unwrap().up = false;
    only(
        &judged(&bridged(), &look(down)),
        (
            "bridge",
            "drops",
            "foo:tap0 is a port of br0, which is down",
            "nothing passes it in either direction",
            "ip -n foo link set dev br0 up",
        ),
    );
    for (state, cost, remedy) in [
        (
            "listening",
            "STP forwards nothing until its delay is over (30 s); without STP there is none",
            "ip -n foo link set dev br0 type bridge stp_state 0",
        ),
        (
            "learning",
            "STP forwards nothing until its delay is over (30 s); without STP there is none",
            "ip -n foo link set dev br0 type bridge stp_state 0",
        ),
        (
            "blocking",
            "STP sees a loop through it, or it was blocked by hand; only without a loop:",
            "bridge -n foo link set dev tap0 state 3",
        ),
        ("disabled", "br0 passes nothing from or to it", "bridge -n foo link set dev tap0 state 3"),
    ] {
        let value = format!("foo:tap0 is a port of br0, and the port is {state}");
        let report = judged(&bridged(), &look(port(PortState::Stopped(state))));
        only(&report, ("bridge", "drops", &value, cost, remedy));
    }
}

#[test]
fn an_address_on_a_port_is_told_where_it_belongs() {
    let mut seen = port(PortState::Forwarding);
    seen.addresses = vec!["fe80::1/64".parse().unwrap(), "10.9.0.1/24".parse().unwrap()];
    only(
        &judged(&[tap0()], &look(seen)),
        (
            "host-address",
            "drops",
            "foo:tap0 is a port of br0 and has 10.9.0.1/24",
            "replies to 10.9.0.1 go to br0, which does not have it",
            "ip -n foo addr del 10.9.0.1/24 dev tap0 && ip -n foo addr add 10.9.0.1/24 dev br0",
        ),
    );
}

#[test]
fn mtu() {
    let mut small = seen();
    small.link.mtu = 1000;
    small.ways = vec![out(7, "tap0")];
    small.addresses.push("fd00::1/64".parse().unwrap());
    let tap = Interface { addresses: vec!["fd00::2/64".parse().unwrap()], ..tap0() };
    only(
        &judged(&[tap], &look(small.clone())),
        (
            "mtu",
            "drops",
            "foo:tap0 has MTU 1000, too little for IPv6",
            "Linux needs an MTU of 1280 bytes for IPv6, and our side has IPv6 addresses",
            "ip -n foo link set dev tap0 mtu 1500",
        ),
    );
    noted(
        &judged(&[tap0()], &look(small)),
        ("mtu", "ok", "foo:tap0 sends packets of up to 1000 bytes", "", ""),
    );

    let mut bridged = port(PortState::Forwarding);
    bridged.master.as_mut().unwrap().mtu = 9000;
    only(
        &judged(&[tap0()], &look(bridged)),
        (
            "mtu",
            "drops",
            "foo:tap0 has MTU 1500, its bridge br0 9000",
            "br0 drops frames above 1500 bytes on their way to it",
            "ip -n foo link set dev tap0 mtu 9000",
        ),
    );

    let [a, b] = wired();
    let jumbo = Interface { mtu: 9000, ..b };
    let report = judged(&[a.clone(), jumbo.clone()], &look(seen()));
    noted(
        &report,
        (
            "mtu",
            "note",
            "foo:tap0 has MTU 1500, the peer bar:tap1 has 9000",
            "packets above 1500 bytes get through in one direction only, and no router passes them on",
            "ip -n foo link set dev tap0 mtu 9000",
        ),
    );
    let port = Interface { host_bridge: Some("br0".into()), ..a };
    only(
        &judged(&[port, jumbo], &look(seen())),
        (
            "mtu",
            "drops",
            "foo:tap0 has MTU 1500, the peer bar:tap1 has 9000",
            "br0 drops frames above 1500 bytes that come across",
            "ip -n foo link set dev tap0 mtu 9000",
        ),
    );
}

#[test]
fn the_way_back_to_each_address_of_ours() {
    let no_route = "Network is unreachable (ENETUNREACH)";
    let bare: Change = |seen| seen.addresses.clear();
    let rows: [(&str, Change, Way, Row<'_>); 7] = [
        (
            "10.9.0.2/24",
            bare,
            Way::Unreachable(no_route.into()),
            (
                "host-address",
                "drops",
                "foo:tap0 has no IPv4 address",
                "the host has no source address for 10.9.0.2, so it sends nothing",
                "ip -n foo addr add 10.9.0.1/24 dev tap0",
            ),
        ),
        // A route without an address to come from.
        (
            "10.9.0.2/32",
            bare,
            Way::Out { ifindex: 7, name: "tap0".into(), source: None },
            (
                "host-address",
                "drops",
                "foo:tap0 has no IPv4 address",
                "the host has no source address for 10.9.0.2, so it sends nothing",
                "ip -n foo addr add ADDRESS peer 10.9.0.2 dev tap0",
            ),
        ),
        (
            "10.7.0.2/24",
            |_| (),
            Way::Unreachable(no_route.into()),
            (
                "route",
                "drops",
                "the host has no route to 10.7.0.2: Network is unreachable (ENETUNREACH)",
                "no program in its namespace can send to 10.7.0.2",
                "ip -n foo route add 10.7.0.2/32 dev tap0",
            ),
        ),
        (
            "10.7.0.2/24",
            |_| (),
            out(3, "eth0"),
            (
                "route",
                "drops",
                "the host sends packets for 10.7.0.2 to eth0, not to foo:tap0",
                "they do not come here",
                "ip -n foo route replace 10.7.0.2/32 dev tap0",
            ),
        ),
        (
            "10.9.0.1/24",
            |_| (),
            Way::Local,
            (
                "route",
                "drops",
                "10.9.0.1 is an address of the host side's namespace too",
                "the host answers itself, and we get no packet for it",
                "taptool set interface ip address del tap0 10.9.0.1/24",
            ),
        ),
        (
            "fd00::2/64",
            |_| (),
            Way::Unreachable(no_route.into()),
            (
                "host-address",
                "drops",
                "foo:tap0 has no IPv6 address",
                "the host has no source address for fd00::2, so it sends nothing",
                "ip -n foo addr add fd00::1/64 dev tap0",
            ),
        ),
        (
            "fd00::2/64",
            |seen| seen.ipv6_disabled = Some(true),
            Way::Unreachable(no_route.into()),
            (
                "host-address",
                "drops",
                "IPv6 is switched off on foo:tap0",
                "fd00::2 cannot be reached",
                "ip netns exec foo sysctl -w net/ipv6/conf/tap0/disable_ipv6=0",
            ),
        ),
    ];
    for (ours, change, way, row) in rows {
        let mut seen = seen();
        change(&mut seen);
        seen.ways = vec![way.clone()];
        let tap = Interface { addresses: vec![ours.parse().unwrap()], ..tap0() };
        only(&judged(&[tap], &look(seen)), row);
    }
}

#[test]
fn our_side() {
    let down = Interface { admin_up: false, state: State::AdminDown, ..tap0() };
    only(
        &judged(&[down], &look(seen())),
        (
            "admin",
            "drops",
            "tap0 was set down by a command",
            "every frame from and to it is dropped (admin_down)",
            "taptool set interface state tap0 up",
        ),
    );
    let broken = |mut queue: Queue| {
        queue.state = QueueState::Broken("used id out of range".into());
        vec![queue]
    };
    let state = State::Broken;
    let rx = Interface { state, rx_queues: broken(queue(Direction::Rx, &[])), ..tap0() };
    only(
        &judged(&[rx], &look(seen())),
        (
            "queues",
            "drops",
            "rx queue 0 is broken: used id out of range",
            "nothing is received on it any more",
            "taptool set interface state tap0 up",
        ),
    );
    let tx = Interface { state, tx_queues: broken(queue(Direction::Tx, &[])), ..tap0() };
    only(
        &judged(&[tx], &look(seen())),
        (
            "queues",
            "drops",
            "tx queue 0 is broken: used id out of range",
            "frames sent on it are dropped (queue_broken)",
            "taptool set interface state tap0 up",
        ),
    );
}

#[test]
fn backend_and_offload() {
    let reason = "open /dev/vhost-net: No such file or directory (ENOENT)";
    let fallen = Interface { backend_reason: Some(reason.into()), ..tap0() };
    noted(
        &judged(&[fallen], &look(seen())),
        (
            "backend",
            "note",
            "userspace (open /dev/vhost-net: No such file or directory (ENOENT))",
            "frames are copied once more than on vhost-net, by the poller's processor",
            "taptool doctor",
        ),
    );
    let vhost = Interface {
        backend: BackendKind::VhostNet,
        vhost_worker_mode: Some("kthread".into()),
        ..tap0()
    };
    has(&judged(&[vhost], &look(seen())), ("backend", "ok", "vhost-net, worker kthread", "", ""));
    has(
        &judged(&[tap0()], &look(seen())),
        ("gso", "ok", "off: the host sends frames of its MTU at most", "", ""),
    );
    let [a, b] = wired();
    has(
        &judged(&[a.clone(), b.clone()], &look(seen())),
        ("gso", "ok", "on: the host may send frames of 64 KiB (CSUM TSO4)", "", ""),
    );
    noted(
        &judged(&[Interface { gso: false, ..a }, b], &look(seen())),
        (
            "gso",
            "note",
            "off: the host sends frames of its MTU at most",
            "bulk TCP crosses the wire in frames of the MTU instead of 64 KiB, and slower",
            "taptool gso tap0 on",
        ),
    );
}

#[test]
fn a_sink_and_a_responder_without_an_address_say_what_to_set() {
    let sink = Interface { action: Action::Sink, addresses: Vec::new(), ..tap0() };
    only(
        &judged(&[sink], &look(seen())),
        (
            "action",
            "drops",
            "sink: every received frame ends here, and nothing answers",
            "add an address that answers ping, or a wire to another interface",
            "taptool set interface ip address tap0 ADDRESS/LENGTH   # or: taptool xconnect tap0 PEER",
        ),
    );
    let mute = Interface { addresses: Vec::new(), ..tap0() };
    only(
        &judged(&[mute], &look(seen())),
        (
            "action",
            "drops",
            "respond without an address: nothing is answered",
            "every received frame ends here",
            "taptool set interface ip address tap0 ADDRESS/LENGTH",
        ),
    );
}

#[test]
fn the_peer_of_a_wire() {
    let [a, b] = wired();
    let down = "bar:tap1, the host side of tap1, is down or has no carrier";
    let rows: Vec<(Interface, Row<'_>)> = vec![
        (
            Interface { action: Action::Sink, ..b.clone() },
            (
                "peer",
                "drops",
                "tap1 does not send back: its action is sink",
                "the wire is one-way: what tap1 receives does not come here",
                "taptool xconnect tap0 tap1",
            ),
        ),
        (
            Interface { state: State::HostGone, link_up: false, ..b.clone() },
            (
                "peer",
                "drops",
                "the host side of tap1, bar:tap1, is gone",
                "frames sent to it are dropped (no_host)",
                "taptool doctor tap1",
            ),
        ),
        (
            Interface { state: State::Deleting, ..b.clone() },
            (
                "peer",
                "drops",
                "tap1 is being deleted",
                "frames sent to it are dropped (peer_gone)",
                "taptool show",
            ),
        ),
        (
            Interface { state: State::Broken, ..b.clone() },
            (
                "peer",
                "drops",
                "tap1 has a broken queue",
                "frames sent to it are dropped (queue_broken)",
                "taptool doctor tap1",
            ),
        ),
        (
            Interface { state: State::AdminDown, admin_up: false, ..b.clone() },
            (
                "peer",
                "drops",
                "tap1 was set down by a command",
                "frames sent to it are dropped (admin_down)",
                "taptool set interface state tap1 up",
            ),
        ),
        (
            Interface { link_up: false, ..b.clone() },
            (
                "peer",
                "drops",
                down,
                "our frames to it are dropped (link_down)",
                "ip -n bar link set dev tap1 up",
            ),
        ),
    ];
    let own = Interface { link_up: false, host_ns: None, ..b };
    let report = judged(&[a.clone(), own], &look(seen()));
    let peer = report.findings.iter().find(|f| f.check == "peer").unwrap();
    assert_eq!(peer.remedy.as_deref(), Some("taptool doctor tap1"), "nobody knows where it is");
    let elsewhere = [a.clone(), rows[rows.len() - 1].0.clone()];
    let report = judge(&Case {
        interface: &a,
        all: &elsewhere,
        look: &look(seen()),
        peer_seen: false,
        home_gone: false,
    });
    let peer = report.findings.iter().find(|f| f.check == "peer").unwrap();
    assert_eq!(peer.remedy.as_deref(), Some("taptool doctor tap1"), "it might be for a stranger");
    for (peer, row) in rows {
        only(&judged(&[a.clone(), peer], &look(seen())), row);
    }
    only(
        &judged(&[a], &look(seen())),
        (
            "action",
            "drops",
            "xconnect to tap1, which was deleted",
            "every received frame is dropped (peer_gone)",
            "taptool set interface l3 tap0",
        ),
    );
}

#[test]
fn what_was_lost_is_told_by_reason_with_its_cause_and_fails_nothing() {
    let tap = Interface {
        rx_queues: vec![queue(Direction::Rx, &[DropReason::AdminDown]); 2],
        tx_queues: vec![queue(Direction::Tx, &[DropReason::WriteEio])],
        ..tap0()
    };
    let mut seen = seen();
    seen.link.stats.tx_dropped = 3;
    let report = judged(&[tap], &look(seen));
    assert_eq!(
        report.summary,
        "tap0: nothing is in the way of frames now; frames were lost before"
    );
    noted(
        &report,
        (
            "lost",
            "note",
            "rx has lost 2 frames: interface is down (admin_down)",
            "the interface was set down when they came",
            "taptool set interface state tap0 up",
        ),
    );
    noted(
        &report,
        (
            "lost",
            "note",
            "tx has lost 1 frame: host side had just been set down (EIO) (write_eio)",
            "the host side was down when they came",
            "",
        ),
    );
    noted(
        &report,
        (
            "lost",
            "note",
            "foo:tap0 has dropped 3 frames of the host before we saw them",
            "its queue was full (bursts longer than it, or a poller without time), or it was without \
         carrier",
            "ip -n foo link set dev tap0 txqueuelen 4000",
        ),
    );
}

#[test]
fn frames_that_the_host_could_not_hand_over_are_told_with_what_makes_them() {
    let unreadable = |counters: &mut QueueCounters| counters.add(Counter::Unreadable, 7);
    let tap = Interface { rx_queues: vec![queue_that(Direction::Rx, unreadable)], ..tap0() };
    noted(
        &judged(&[tap], &look(seen())),
        (
            "lost",
            "note",
            "rx has lost 7 frames that no virtio header describes (unreadable)",
            "a network card's own offload made them, and a bridge brought them to the tap",
            "ethtool -K CARD lro off gro off   # of the card that is a port of the bridge",
        ),
    );
}

#[test]
fn frames_that_vhost_net_lost_in_the_kernel_are_told_from_the_hosts_counter() {
    let mut seen = seen();
    seen.link.stats.rx_dropped = 4;
    let vhost = Interface { backend: BackendKind::VhostNet, ..tap0() };
    noted(
        &judged(&[vhost], &look(seen.clone())),
        (
            "lost",
            "note",
            "foo:tap0 has dropped 4 frames that we sent",
            "it was down, or nothing in its namespace takes such frames",
            "",
        ),
    );
    // On userspace they are counted by their reason already.
    noted(&judged(&[tap0()], &look(seen)), ("lost", "ok", "no frame was lost so far", "", ""));
}

#[test]
fn every_reason_has_a_cause_in_a_sentence_of_its_own() {
    for row in DROP_REASONS {
        let (why, _) = reasons::about(row.reason);
        assert!(why.len() > 10 && why != row.sentence, "{}: {why}", row.name);
        assert!(!why.ends_with('.'), "{why}");
    }
}
