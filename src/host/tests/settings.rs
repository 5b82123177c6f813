//! What is set on a device is what the kernel then says of it.

use std::net::IpAddr;
use std::process::Command;

use rtnetlink::LinkBridge;

use super::*;
use crate::diag::Code;
use crate::host::Gateway;
use crate::host::facts::{Absent, Difference, difference, is_gone, locate};
use crate::host::offloads::{Offloads, set_offloads};
use crate::host::session::change;
use crate::units::{HostOffload, MacAddr, Mtu};

/// A gateway that an address of the device covers.
fn near(address: IpAddr) -> Gateway {
    Gateway { address, on_link: false }
}

#[test]
fn a_bridge_must_exist_in_the_namespace_and_be_one() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let tap = create(&staging, &target, &exact("tap0"));
    let there = session(&target);
    let failure = there.set_master(tap.ifindex(), &name("br7")).unwrap_err();
    assert_eq!((failure.code, failure.on.as_str()), (Code::NotFound, "host-bridge br7"));
    let other = create(&staging, &target, &exact("br7"));
    assert_eq!(other.name().as_str(), "br7");
    let failure = there.set_master(tap.ifindex(), &name("br7")).unwrap_err();
    assert_eq!(failure.code, Code::Usage);
    assert_eq!(failure.cause, "this is a tun device, not a bridge");
    assert_eq!(facts(first(&tap)).unwrap().bridge, None);
    add_link(&target, LinkBridge::new("br8"));
    there.set_master(tap.ifindex(), &name("br8")).unwrap();
    assert_eq!(facts(first(&tap)).unwrap().bridge.as_deref(), Some("br8"));
}

/// Open netlink sockets of this thread's process that were opened in a namespace: its own table.
fn netlink_sockets(namespace: &impl AsFd) -> usize {
    proc_net(namespace, "netlink")
        .lines()
        .skip(1)
        .filter(|line| line.split_whitespace().nth(1) == Some("0"))
        .count()
}

#[test]
fn all_requests_of_a_thread_in_a_namespace_share_one_socket_that_closes_with_them() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let none = [netlink_sockets(&staging), netlink_sockets(&target)];
    on_a_thread(|thread| {
        let mut tap = super::super::open(thread, &staging, target.as_fd(), &exact("tap0"))?;
        tap.enter(thread, &staging, target.as_fd())?;
        let tap = first(&tap);
        let mtu = Mtu::new(1400).unwrap();
        super::super::with_device(thread, tap, "tap0", |there, i| there.set_mtu(i, mtu))?;
        super::super::with_device(thread, tap, "tap0", |there, i| there.set_up(i, true))?;
        let facts = super::super::facts(thread, tap).unwrap();
        assert_eq!((facts.mtu, facts.up), (1400, true));
        let open = [netlink_sockets(&staging), netlink_sockets(&target)];
        assert_eq!(open, none.map(|n| n + 1), "staging, target");
        thread.close();
        assert_eq!([netlink_sockets(&staging), netlink_sockets(&target)], none);
        Ok(())
    })
    .unwrap();
}

#[test]
fn a_request_follows_the_device_and_spares_a_stranger_with_its_name() {
    if !live() {
        return;
    }
    let (staging, target, elsewhere) =
        (StagingNamespace::new().unwrap(), new_namespace(), new_namespace());
    let tap = create(&staging, &target, &exact("tap0"));
    session(&target).set_netns(tap.ifindex(), elsewhere.as_fd()).unwrap();
    add_link(&target, LinkBridge::new("tap0"));
    let mtu = Mtu::new(1400).unwrap();
    with_device(first(&tap), "tap0", |there, ifindex| there.set_mtu(ifindex, mtu)).unwrap();
    assert_eq!(facts(first(&tap)).unwrap().mtu, 1400);
    assert_eq!(session(&target).link_by_name("tap0").unwrap().unwrap().mtu, 1500);
    drop(elsewhere);
    eventually("the device goes with its namespace", || is_gone(first(&tap)).unwrap());
    let gone = with_device(first(&tap), "tap0", |_, _| -> Result<(), _> { panic!("asked") });
    assert_eq!(gone.unwrap_err().to_string(), "tap0: the device vanished");
}

#[test]
fn several_addresses_of_both_families_are_set_and_not_tentative_and_none_twice() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let tap = create(&staging, &target, &exact("tap0"));
    let there = session(&target);
    let all = ["10.9.0.1/24", "10.9.0.2/24", "192.0.2.1/32", "2001:db8::1/64", "fd00::1/128"];
    for address in all {
        there.add_address(tap.ifindex(), address.parse().unwrap()).unwrap();
    }
    there.set_up(tap.ifindex(), true).unwrap();
    let seen = facts(first(&tap)).unwrap();
    for address in all {
        assert!(seen.addresses.contains(&address.parse().unwrap()), "{address}");
    }
    let table = proc_net(&target, "if_inet6");
    let line = table.lines().find(|l| l.starts_with("20010db8")).unwrap();
    let flags = u32::from_str_radix(line.split_whitespace().nth(4).unwrap(), 16).unwrap();
    assert_eq!(flags & 0x40, 0, "not tentative");
    let failure = there.add_address(tap.ifindex(), all[0].parse().unwrap()).unwrap_err();
    assert_eq!((failure.code, failure.doing.as_str()), (Code::Exists, "add address 10.9.0.1/24"));
    assert!(failure.cause.contains("(EEXIST)"), "{failure}");
}

#[test]
fn a_default_route_goes_through_our_device_and_never_replaces_another() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let (a, b) =
        (create(&staging, &target, &exact("tap0")), create(&staging, &target, &exact("tap1")));
    let there = session(&target);
    let gateways: [IpAddr; 2] = ["10.9.0.254".parse().unwrap(), "2001:db8::fe".parse().unwrap()];
    for (tap, v4, v6) in [(&a, "10.9.0.1/24", "2001:db8::1/64"), (&b, "10.8.0.1/24", "fd08::1/64")]
    {
        there.add_address(tap.ifindex(), v4.parse().unwrap()).unwrap();
        there.add_address(tap.ifindex(), v6.parse().unwrap()).unwrap();
    }
    let failure = there.add_default_route(a.ifindex(), near(gateways[0])).unwrap_err();
    assert!(
        failure.cause.contains("ENETDOWN") || failure.cause.contains("ENETUNREACH"),
        "{failure}"
    );
    assert!(failure.hint.is_some(), "{failure}");
    for tap in [&a, &b] {
        there.set_up(tap.ifindex(), true).unwrap();
    }
    // Covered by an address of tap0, not of tap1.
    for gateway in gateways {
        let failure = there.add_default_route(b.ifindex(), near(gateway)).unwrap_err();
        assert_eq!(failure.doing, format!("add default route via {gateway}"));
        // IPv6 says only EHOSTUNREACH here.
        let sentence = failure.cause.contains(": Nexthop has invalid gateway");
        assert!(sentence || gateway.is_ipv6(), "{failure}");
        assert!(failure.hint.as_ref().unwrap().contains("covers"), "{failure}");
    }
    for gateway in gateways {
        there.add_default_route(a.ifindex(), near(gateway)).unwrap();
    }
    let route = proc_net(&target, "route");
    let default = route.lines().find(|l| l.split('\t').nth(1) == Some("00000000")).unwrap();
    assert!(default.starts_with("tap0\t"), "{default}");
    let route6 = proc_net(&target, "ipv6_route");
    let through =
        |l: &&str| l.starts_with(&"0".repeat(32)) && l.contains("20010db80000000000000000000000fe");
    assert!(route6.lines().find(through).unwrap().ends_with("tap0"));
    for (gateway, tap) in [("10.8.0.254", &b), ("fd08::fe", &b)] {
        let failure =
            there.add_default_route(tap.ifindex(), near(gateway.parse().unwrap())).unwrap_err();
        assert_eq!(failure.code, Code::Exists, "{failure}");
    }
    assert_eq!(proc_net(&target, "route"), route);
}

#[test]
fn a_gateway_outside_every_network_is_taken_on_the_link() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let tap = create(&staging, &target, &exact("tap0"));
    let there = session(&target);
    for (address, gateway) in [("192.0.2.5/32", "169.254.1.1"), ("fd00::5/128", "fd01::1")] {
        let address: ipnet::IpNet = address.parse().unwrap();
        there.add_address(tap.ifindex(), address).unwrap();
        there.set_up(tap.ifindex(), true).unwrap();
        let gateway = Gateway::among(&[address], gateway.parse().unwrap());
        assert!(gateway.on_link);
        there.add_default_route(tap.ifindex(), gateway).unwrap();
        assert!(there.gateways(tap.ifindex()).unwrap().contains(&gateway.address));
    }
}

#[test]
fn an_existing_default_route_of_a_larger_metric_is_not_outbid() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let tap = create(&staging, &target, &exact("tap0"));
    let there = session(&target);
    there.add_address(tap.ifindex(), "10.9.0.1/24".parse().unwrap()).unwrap();
    there.set_up(tap.ifindex(), true).unwrap();
    let route = rtnetlink::RouteMessageBuilder::<std::net::Ipv4Addr>::new()
        .gateway("10.9.0.9".parse().unwrap())
        .priority(100)
        .build();
    there.ask("add route", there.exchange(RouteNetlinkMessage::NewRoute(route), ADD)).unwrap();
    let failure =
        there.add_default_route(tap.ifindex(), near("10.9.0.254".parse().unwrap())).unwrap_err();
    assert_eq!(failure.code, Code::Exists);
}

#[test]
fn mac_mtu_and_queue_length_are_what_was_set_and_the_kernel_explains_what_it_refuses() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let tap = create(&staging, &target, &exact("tap0"));
    let there = session(&target);
    let mac: MacAddr = "02:fe:00:00:00:07".parse().unwrap();
    there.set_mac(tap.ifindex(), mac).unwrap();
    there.set_mtu(tap.ifindex(), Mtu::new(9000).unwrap()).unwrap();
    there.set_txqueuelen(tap.ifindex(), 77).unwrap();
    let seen = facts(first(&tap)).unwrap();
    assert_eq!((seen.mac, seen.mtu, seen.qlen, seen.up), (Some(mac), 9000, 77, false));
    there.set_up(tap.ifindex(), true).unwrap();
    let seen = facts(first(&tap)).unwrap();
    assert!(seen.up && seen.lower_up);
    there.set_up(tap.ifindex(), false).unwrap();
    assert!(!facts(first(&tap)).unwrap().up);
    let message = crate::host::session::change(tap.ifindex()).mtu(70000).build();
    let failure = there.link("set MTU 70000", message).unwrap_err();
    assert_eq!(
        failure.to_string(),
        "test: set MTU 70000: Invalid argument (EINVAL): mtu greater than device maximum"
    );
}

#[test]
fn facts_follow_a_device_that_strangers_rename_and_move_and_end_when_they_delete_it() {
    if !live() {
        return;
    }
    let (staging, target, elsewhere) =
        (StagingNamespace::new().unwrap(), new_namespace(), new_namespace());
    let tap = create(&staging, &target, &exact("tap0"));
    let known = namespace::identity(target.as_fd()).unwrap();
    let told = |name: &str| difference(first(&tap), name, known);
    assert_eq!(told("tap0"), Difference::None);
    session(&target).rename(tap.ifindex(), &name("moved0")).unwrap();
    assert_eq!((told("tap0"), told("moved0")), (Difference::Elsewhere, Difference::None));
    session(&target).set_netns(tap.ifindex(), elsewhere.as_fd()).unwrap();
    assert_eq!(told("moved0"), Difference::Elsewhere);
    // A stranger takes the name that it had.
    add_link(&target, LinkBridge::new("tap0"));
    let seen = facts(first(&tap)).unwrap();
    assert_eq!(seen.name, "moved0");
    assert_eq!(seen.namespace, namespace::identity(elsewhere.as_fd()).unwrap());
    assert!(!is_gone(first(&tap)).unwrap());
    let there = session(&elsewhere);
    let gone = change(seen.ifindex).build();
    there.ask("delete", there.exchange(RouteNetlinkMessage::DelLink(gone), ACK)).unwrap();
    assert_eq!(facts(first(&tap)), Err(Absent::Gone));
    assert!(is_gone(first(&tap)).unwrap());
    assert_eq!(told("moved0"), Difference::Gone);
    assert!(matches!(locate(first(&tap)), Err(Absent::Gone)));
    assert!(session(&target).link_by_name("tap0").unwrap().is_some(), "the stranger is untouched");
}

#[test]
fn gso_goes_on_and_off_on_every_queue() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let spec = TapSpec { queues: 2, offload: HostOffload::Gso, ..exact("tap0") };
    let tap = create(&staging, &target, &spec);
    assert!(tap.offloads().contains(Offloads::TSO));
    // The kernel shows what it may send as features of the device.
    let large = || {
        in_namespace(target.as_fd(), || {
            let out = Command::new("ethtool").args(["-k", "tap0"]).output();
            Ok(out.ok().map(|o| String::from_utf8(o.stdout).unwrap()))
        })
        .unwrap()
    };
    match large() {
        Some(features) => {
            assert!(features.contains("tcp-segmentation-offload: on"), "{features}");
        }
        None => skip("no ethtool: what the kernel made of the offloads is not looked at"),
    }
    let off = set_offloads(tap.fds(), HostOffload::Off, tap.offloads()).unwrap();
    assert_eq!(off, Offloads::NONE);
    if let Some(features) = large() {
        assert!(features.contains("tcp-segmentation-offload: off"), "{features}");
    }
}
