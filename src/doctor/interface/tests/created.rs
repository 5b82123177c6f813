//! What an interface was created with: made again, or put back where it is gone.

use std::net::IpAddr;

use super::*;

#[test]
fn making_it_again_takes_the_host_side_as_created_and_our_side_as_it_is_now() {
    let made = |host_ns| CreateRequest {
        id: "3".parse().ok(),
        host_mac_addr: "02:fe:00:00:00:02".parse().ok(),
        host_bridge: "br0".parse().ok(),
        host_mtu_size: "1400".parse().ok(),
        host_txqueuelen: "77".parse().ok(),
        owner: Some(1),
        group: Some(2),
        respond: vec!["10.9.0.7/24".parse().unwrap(), "fd00::7/64".parse().unwrap()],
        ..create(host_ns)
    };
    let tap = Interface {
        created_with: made(Some("foo")),
        state: State::HostGone,
        // What others did to the host side is not asked for.
        host_if_name: "eth 0".into(),
        host_bridge: Some("br9".into()),
        mtu: 9000,
        gso: true,
        admin_up: false,
        action: Action::Xconnect(IfName::new("tap1").unwrap()),
        ..tap0()
    };
    let again = crate::doctor::commands::recreate;
    let create = |netns: &str| {
        format!(
            "taptool create tap tap0 --id 3{netns} --host-mac-addr 02:fe:00:00:00:02 --bridge br0 \
             --mtu 1400 --host-txqueuelen 77 --owner 1 --group 2 --respond 10.9.0.2/24 --gso \
             --admin-down && taptool xconnect tap0 tap1"
        )
    };
    let delete = "taptool delete tap0";
    assert_eq!(again(&tap, false), format!("{delete} && {}", create(" --netns foo")));
    assert_eq!(
        again(&tap, true),
        format!("ip netns add foo && {delete} && {}", create(" --netns foo"))
    );
    // One that named no namespace: where the device is, if that has a name.
    let unnamed = |host_ns: Option<&str>| Interface {
        created_with: made(None),
        host_ns: host_ns.map(Into::into),
        ..tap.clone()
    };
    let rows = [(None, ""), (Some("bar"), " --netns bar")];
    for (host_ns, option) in rows {
        assert_eq!(again(&unnamed(host_ns), false), format!("{delete} && {}", create(option)));
    }
    let left_open = format!(
        "{}   # with a namespace for NETNS; first: taptool delete tap0",
        create(" --netns NETNS")
    );
    assert_eq!(again(&unnamed(Some("net:[7]")), true), left_open);
    // Absent makes a namespace of a process or a file again.
    for label in ["pid:4711", "/run/x/net"] {
        let tap = Interface {
            created_with: made(Some(label)),
            host_ns: Some(label.into()),
            ..tap.clone()
        };
        assert_eq!(again(&tap, true), left_open);
        let here = create(&format!(" --netns {label}"));
        assert_eq!(again(&tap, false), format!("{delete} && {here}"));
    }
}

#[test]
fn what_create_asked_for_and_is_gone_is_named_with_what_puts_it_back() {
    let made = |created_with| [Interface { created_with, ..tap0() }];
    let routed = made(CreateRequest {
        host_ip4_gw: "10.9.0.2".parse().ok(),
        host_ip6_addr: vec!["fd00::1/64".parse().unwrap()],
        host_ip6_gw: "fd00::2".parse().ok(),
        ..super::made()
    });
    let both = || Inspection {
        addresses: vec!["10.9.0.1/24".parse().unwrap(), "fd00::1/64".parse().unwrap()],
        gateways: vec!["10.9.0.2".parse().unwrap(), "fd00::2".parse().unwrap()],
        ..seen()
    };
    assert_eq!(judged(&routed, &look(both())).code, None);
    let cost = "the host sends only packets for the networks of its addresses here";
    let gone = |gateway: &str| {
        format!("the default route via {gateway} through foo:tap0, which create made, is gone")
    };
    let rows: [(Change, &str, &str); 3] = [
        (
            |s| s.gateways.retain(IpAddr::is_ipv6),
            "10.9.0.2",
            "ip -n foo -4 route replace default via 10.9.0.2 dev tap0",
        ),
        (
            |s| s.gateways.retain(IpAddr::is_ipv4),
            "fd00::2",
            "ip -n foo -6 route replace default via fd00::2 dev tap0",
        ),
        // An address that is gone took it along.
        (
            |s| {
                s.gateways.remove(1);
                s.addresses.remove(1);
            },
            "fd00::2",
            "ip -n foo addr replace fd00::1/64 dev tap0 && \
             ip -n foo -6 route replace default via fd00::2 dev tap0",
        ),
    ];
    for (change, gateway, remedy) in rows {
        let mut seen = both();
        change(&mut seen);
        only(&judged(&routed, &look(seen)), ("route", "drops", &gone(gateway), cost, remedy));
    }
    // Moved elsewhere it had no use for them.
    let moved = Interface { host_ns: Some("bar".into()), ..routed[0].clone() };
    let nothing = Inspection { gateways: Vec::new(), ..both() };
    assert_eq!(judged(&[moved], &look(nothing)).code, None);

    let bridged = made(CreateRequest { host_bridge: "br0".parse().ok(), ..super::made() });
    let cost = "no frame passes between it and br0";
    let join = "ip -n foo link set dev tap0 master br0";
    let there = Inspection { bridge_there: true, ..seen() };
    let value = "foo:tap0 is no longer a port of br0";
    only(&judged(&bridged, &look(there.clone())), ("bridge", "drops", value, cost, join));
    let value = "br0, the bridge that foo:tap0 was a port of, is gone";
    let remedy = format!(
        "ip -n foo link add name br0 type bridge && ip -n foo link set dev br0 up && {join}"
    );
    only(&judged(&bridged, &look(seen())), ("bridge", "drops", value, cost, &remedy));
    let other = Link { index: 9, name: "br1".into(), kind: Some("bridge".into()), ..link() };
    noted(
        &judged(
            &bridged,
            &look(Inspection { master: Some(other), addresses: Vec::new(), ..there }),
        ),
        (
            "bridge",
            "note",
            "it was made a port of br0 by its create",
            "its frames are on br1 now",
            join,
        ),
    );
}

#[test]
fn a_device_without_arp_and_two_ends_of_one_mac_are_named_with_the_command_that_mends_it() {
    let mut mute = seen();
    mute.link.arp = false;
    let cost =
        "the host resolves no MAC and sends to its own, so every receiver ignores its packets";
    let value = "foo:tap0 has ARP switched off (NOARP)";
    let remedy = "ip -n foo link set dev tap0 arp on";
    only(&judged(&[tap0()], &look(mute.clone())), ("arp", "drops", value, cost, remedy));
    let tun = Interface { kind: Kind::Tun, mac_addr: None, ..tap0() };
    assert_eq!(judged(&[tun], &look(mute)).code, None, "a tun has none");
    let mut twin = seen();
    twin.link.mac = tap0().mac_addr;
    let row = (
        "hw-addr",
        "drops",
        "tap0 and foo:tap0 are both 02:fe:11:22:33:44",
        "frames for one end are taken for the other's, and a bridge forwards neither",
        "ip -n foo link set dev tap0 address 02:fe:11:22:33:45",
    );
    only(&judged(&[tap0()], &look(twin)), row);
}
