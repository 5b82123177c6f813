//! Live tests: real devices, in namespaces that the test makes.

use std::fs;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rtnetlink::{LinkBridge, LinkMessageBuilder};

use super::facts::{Absent, facts, is_gone, locate};
use super::namespace::{self, in_namespace};
use super::nursery::Nursery;
use super::offloads::{Offloads, set_offloads};
use super::session::Session;
use super::tap::{HostName, Tap, TapSpec, open};
use super::watch::{Watch, WatchEvent, nsid_of};
use crate::diag::{Code, Failure};
use crate::sys;
use crate::units::{IfName, Kind, MacAddr, Mtu};

/// Whether live tests can run; says why not.
fn live() -> bool {
    let why = if !nix::unistd::geteuid().is_root() {
        "not root"
    } else if !fs::exists(sys::tun::PATH).unwrap() {
        "no /dev/net/tun"
    } else {
        return true;
    };
    println!("SKIP {why}");
    assert_ne!(std::env::var("TAPTOOL_REQUIRE_LIVE").as_deref(), Ok("1"), "SKIP {why}");
    false
}

fn new_namespace() -> OwnedFd {
    namespace::on_a_thread(|| {
        sys::namespace::unshare_network().unwrap();
        namespace::of_this_thread()
    })
    .unwrap()
    .0
}

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn spec(host_name: HostName) -> TapSpec {
    TapSpec {
        kind: Kind::Tap,
        host_name,
        queues: 1,
        sndbuf: i32::MAX,
        gso: false,
        owner: None,
        group: None,
    }
}

fn exact(text: &str) -> TapSpec {
    spec(HostName::Exact(name(text)))
}

fn create(nursery: &Nursery, target: &OwnedFd, spec: &TapSpec) -> Tap {
    let mut tap = open(nursery, target.as_fd(), spec).unwrap();
    tap.enter(nursery, target.as_fd()).unwrap();
    tap
}

/// A file of /proc/net as seen inside.
fn proc_net(namespace: &impl AsFd, file: &str) -> String {
    let read = || Ok(fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap());
    in_namespace(namespace.as_fd(), read).unwrap()
}

/// Names of the links inside.
fn links(namespace: &impl AsFd) -> Vec<String> {
    let table = proc_net(namespace, "dev");
    table.lines().skip(2).map(|l| l.split(':').next().unwrap().trim().to_owned()).collect()
}

fn session(namespace: &impl AsFd) -> Session {
    Session::open(namespace.as_fd(), "test").unwrap()
}

fn add_link<T>(namespace: &impl AsFd, link: LinkMessageBuilder<T>) {
    let session = session(namespace);
    session.ask("add link", session.handle.link().add(link.build()).execute()).unwrap();
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn first(tap: &Tap) -> BorrowedFd<'_> {
    tap.fds()[0].as_fd()
}

#[test]
fn a_device_for_the_own_namespace_is_born_in_place_and_dies_with_its_file() {
    if !live() {
        return;
    }
    let (own, id) = namespace::own().unwrap();
    let nursery = Nursery::new().unwrap();
    let called = format!("tt{}a", std::process::id());
    let spec = TapSpec { owner: Some(1234), group: Some(2345), ..exact(&called) };
    let mut tap = open(&nursery, own.as_fd(), &spec).unwrap();
    assert!(!tap.is_in_nursery());
    tap.enter(&nursery, own.as_fd()).unwrap();
    assert!(links(&own).contains(&called));
    assert_eq!(facts(first(&tap)).unwrap().namespace, id);
    let attribute =
        |file: &str| fs::read_to_string(format!("/sys/class/net/{called}/{file}")).unwrap();
    assert_eq!(attribute("owner").trim(), "1234");
    assert_eq!(attribute("group").trim(), "2345");
    // TAP | NO_PI | VNET_HDR, and nothing persistent.
    assert_eq!(attribute("tun_flags").trim(), "0x5002");
    drop(tap);
    assert!(!links(&own).contains(&called));
}

#[test]
fn a_device_for_another_namespace_is_born_in_the_nursery_and_moved_with_all_its_queues() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let spec = TapSpec { queues: 3, ..exact("eth0") };
    let mut tap = open(&nursery, target.as_fd(), &spec).unwrap();
    assert!(tap.is_in_nursery());
    assert_eq!(links(&nursery), ["lo", "eth0"]);
    assert_eq!(links(&target), ["lo"]);
    tap.enter(&nursery, target.as_fd()).unwrap();
    assert!(!tap.is_in_nursery());
    assert_eq!(links(&nursery), ["lo"]);
    assert_eq!(links(&target), ["lo", "eth0"]);
    assert_eq!(tap.fds().len(), 3);
    for fd in tap.fds() {
        let attached = sys::tun::get_iff(fd.as_fd()).unwrap().unwrap();
        assert_eq!(attached.name, "eth0");
        assert_ne!(attached.flags & sys::tun::IFF_MULTI_QUEUE, 0);
        let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFL).unwrap();
        assert_ne!(flags & nix::libc::O_NONBLOCK, 0);
        let flags = nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_GETFD).unwrap();
        assert_ne!(flags & nix::libc::FD_CLOEXEC, 0);
    }
    let seen = facts(first(&tap)).unwrap();
    assert_eq!(seen.namespace, namespace::verify(target.as_fd()).unwrap());
    assert_eq!((seen.name.as_str(), seen.ifindex), ("eth0", tap.ifindex()));
    let fds = tap.into_fds().unwrap();
    drop(fds);
    eventually("the device is gone", || links(&target) == ["lo"]);
}

#[test]
fn a_tun_has_no_mac_and_works_as_a_tap_does() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let spec = TapSpec { kind: Kind::Tun, sndbuf: i32::MAX - 1, ..exact("tun0") };
    let tap = create(&nursery, &target, &spec);
    let seen = facts(first(&tap)).unwrap();
    assert_eq!((seen.mac, seen.name.as_str()), (None, "tun0"));
    let mac = MacAddr::local(1);
    let failure = session(&target).set_mac(tap.ifindex(), mac).unwrap_err();
    assert_eq!(failure.doing, format!("set MAC address {mac}"));
}

#[test]
fn a_name_taken_in_the_target_is_refused_and_nothing_is_left() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    add_link(&target, LinkBridge::new("web0"));
    let stranger = session(&target).link_by_name("web0").unwrap().unwrap();
    let mut tap = open(&nursery, target.as_fd(), &exact("web0")).unwrap();
    let failure = tap.enter(&nursery, target.as_fd()).unwrap_err();
    assert_eq!(failure.code, Code::Exists);
    assert_eq!(failure.on, "web0");
    assert!(failure.cause.contains("EEXIST") && failure.hint.is_some(), "{failure}");
    assert!(tap.is_in_nursery());
    drop(tap);
    assert_eq!(links(&nursery), ["lo"]);
    assert_eq!(links(&target), ["lo", "web0"]);
    let still = session(&target).link_by_name("web0").unwrap().unwrap();
    assert_eq!((still.index, still.kind), (stranger.index, Some("bridge".into())));
}

#[test]
fn a_taken_name_in_place_is_refused_or_replaced_by_the_next_free_one() {
    if !live() {
        return;
    }
    let (own, _) = namespace::own().unwrap();
    let nursery = Nursery::new().unwrap();
    let failure = open(&nursery, own.as_fd(), &exact("lo")).unwrap_err();
    assert_eq!(failure.code, Code::Exists);
    assert!(failure.doing.contains("TUNSETIFF"), "{failure}");
    let tap = open(&nursery, own.as_fd(), &spec(HostName::FirstFree(name("lo")))).unwrap();
    let number = tap.name().as_str().strip_prefix("tap").unwrap();
    assert!(number.parse::<u32>().is_ok(), "{}", tap.name());
}

#[test]
fn a_free_name_is_chosen_in_the_target_past_strangers_and_their_other_names() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let wanted = spec(HostName::FirstFree(name("tap5")));
    let five = create(&nursery, &target, &wanted);
    assert_eq!(five.name().as_str(), "tap5", "free, so taken as it is");
    add_link(&target, LinkBridge::new("tap0"));
    add_link(&target, LinkBridge::new("other"));
    let there = session(&target);
    let other = there.link_by_name("other").unwrap().unwrap();
    let second_name = there.handle.link().property_add(other.index).alt_ifname(&["tap1"]);
    there.ask("add altname", second_name.execute()).unwrap();
    let next = create(&nursery, &target, &wanted);
    assert_eq!(next.name().as_str(), "tap2");
    assert_eq!(facts(first(&next)).unwrap().name, "tap2");
    assert_eq!(links(&target), ["lo", "tap5", "tap0", "other", "tap2"]);
    assert_eq!(links(&nursery), ["lo"]);
}

#[test]
fn two_devices_of_one_name_are_born_for_two_namespaces_at_once() {
    if !live() {
        return;
    }
    let nursery = Nursery::new().unwrap();
    let targets: Vec<OwnedFd> = (0..4).map(|_| new_namespace()).collect();
    let taps: Vec<Tap> = thread::scope(|scope| {
        let started: Vec<_> = targets
            .iter()
            .map(|target| scope.spawn(|| create(&nursery, target, &exact("eth0"))))
            .collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (tap, target) in taps.iter().zip(&targets) {
        assert_eq!(
            facts(first(tap)).unwrap().namespace,
            namespace::identity(target.as_fd()).unwrap()
        );
    }
}

#[test]
fn a_bridge_must_exist_in_the_namespace_and_be_one() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let tap = create(&nursery, &target, &exact("tap0"));
    let there = session(&target);
    let failure = there.set_master(tap.ifindex(), &name("br7")).unwrap_err();
    assert_eq!((failure.code, failure.on.as_str()), (Code::NotFound, "host-bridge br7"));
    let other = create(&nursery, &target, &exact("br7"));
    assert_eq!(other.name().as_str(), "br7");
    let failure = there.set_master(tap.ifindex(), &name("br7")).unwrap_err();
    assert_eq!(failure.code, Code::Usage);
    assert_eq!(failure.cause, "this is a tun device, not a bridge");
    assert_eq!(facts(first(&tap)).unwrap().bridge, None);
    add_link(&target, LinkBridge::new("br8"));
    there.set_master(tap.ifindex(), &name("br8")).unwrap();
    assert_eq!(facts(first(&tap)).unwrap().bridge.as_deref(), Some("br8"));
    there.clear_master(tap.ifindex()).unwrap();
    assert_eq!(facts(first(&tap)).unwrap().bridge, None);
}

#[test]
fn several_addresses_of_both_families_answer_at_once_and_can_be_taken_back() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let tap = create(&nursery, &target, &exact("tap0"));
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
    // Backwards: with the first of a subnet the kernel takes the others of it.
    for address in all.into_iter().rev() {
        there.del_address(tap.ifindex(), address.parse().unwrap()).unwrap();
    }
    let left = there.addresses(tap.ifindex()).unwrap();
    assert!(left.iter().all(|a| a.to_string().starts_with("fe80")), "{left:?}");
    let failure = there.del_address(tap.ifindex(), all[0].parse().unwrap()).unwrap_err();
    assert!(failure.cause.contains("EADDRNOTAVAIL"), "{failure}");
}

#[test]
fn a_default_route_goes_through_our_device_and_never_replaces_another() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let (a, b) =
        (create(&nursery, &target, &exact("tap0")), create(&nursery, &target, &exact("tap1")));
    let there = session(&target);
    let gateways: [IpAddr; 2] = ["10.9.0.254".parse().unwrap(), "2001:db8::fe".parse().unwrap()];
    for (tap, v4, v6) in [(&a, "10.9.0.1/24", "2001:db8::1/64"), (&b, "10.8.0.1/24", "fd08::1/64")]
    {
        there.add_address(tap.ifindex(), v4.parse().unwrap()).unwrap();
        there.add_address(tap.ifindex(), v6.parse().unwrap()).unwrap();
    }
    let failure = there.add_default_route(a.ifindex(), gateways[0]).unwrap_err();
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
        let failure = there.add_default_route(b.ifindex(), gateway).unwrap_err();
        assert_eq!(failure.doing, format!("add default route via {gateway}"));
        // IPv6 says only EHOSTUNREACH here.
        let sentence = failure.cause.contains(": Nexthop has invalid gateway");
        assert!(sentence || gateway.is_ipv6(), "{failure}");
        assert!(failure.hint.as_ref().unwrap().contains("covers"), "{failure}");
    }
    for gateway in gateways {
        there.add_default_route(a.ifindex(), gateway).unwrap();
    }
    let route = proc_net(&target, "route");
    let default = route.lines().find(|l| l.split('\t').nth(1) == Some("00000000")).unwrap();
    assert!(default.starts_with("tap0\t"), "{default}");
    let route6 = proc_net(&target, "ipv6_route");
    let through =
        |l: &&str| l.starts_with(&"0".repeat(32)) && l.contains("20010db80000000000000000000000fe");
    assert!(route6.lines().find(through).unwrap().ends_with("tap0"));
    for (gateway, tap) in [("10.8.0.254", &b), ("fd08::fe", &b)] {
        let failure = there.add_default_route(tap.ifindex(), gateway.parse().unwrap()).unwrap_err();
        assert_eq!(failure.code, Code::Exists, "{failure}");
        assert!(there.del_default_route(tap.ifindex(), gateway.parse().unwrap()).is_err());
    }
    assert_eq!(proc_net(&target, "route"), route);
    for gateway in gateways {
        there.del_default_route(a.ifindex(), gateway).unwrap();
    }
    assert!(!proc_net(&target, "route").contains("\t00000000\tFE00090A"));
}

#[test]
fn an_existing_default_route_of_a_larger_metric_is_not_outbid() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let tap = create(&nursery, &target, &exact("tap0"));
    let there = session(&target);
    there.add_address(tap.ifindex(), "10.9.0.1/24".parse().unwrap()).unwrap();
    there.set_up(tap.ifindex(), true).unwrap();
    let route = rtnetlink::RouteMessageBuilder::<std::net::Ipv4Addr>::new()
        .gateway("10.9.0.9".parse().unwrap())
        .priority(100)
        .build();
    there.ask("add route", there.handle.route().add(route).execute()).unwrap();
    let failure =
        there.add_default_route(tap.ifindex(), "10.9.0.254".parse().unwrap()).unwrap_err();
    assert_eq!(failure.code, Code::Exists);
}

#[test]
fn mac_mtu_and_queue_length_are_what_was_set_and_the_kernel_explains_what_it_refuses() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let tap = create(&nursery, &target, &exact("tap0"));
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
    let message = super::session::change(tap.ifindex()).mtu(70000).build();
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
    let (nursery, target, elsewhere) = (Nursery::new().unwrap(), new_namespace(), new_namespace());
    let tap = create(&nursery, &target, &exact("tap0"));
    session(&target).rename(tap.ifindex(), &name("moved0")).unwrap();
    session(&target).set_netns(tap.ifindex(), elsewhere.as_fd()).unwrap();
    // A stranger takes the name that it had.
    add_link(&target, LinkBridge::new("tap0"));
    let seen = facts(first(&tap)).unwrap();
    assert_eq!(seen.name, "moved0");
    assert_eq!(seen.namespace, namespace::identity(elsewhere.as_fd()).unwrap());
    assert!(!is_gone(first(&tap)).unwrap());
    let there = session(&elsewhere);
    there.ask("delete", there.handle.link().del(seen.ifindex).execute()).unwrap();
    assert_eq!(facts(first(&tap)), Err(Absent::Gone));
    assert!(is_gone(first(&tap)).unwrap());
    assert!(matches!(locate(first(&tap)), Err(Absent::Gone)));
    assert!(session(&target).link_by_name("tap0").unwrap().is_some(), "the stranger is untouched");
}

#[test]
fn gso_goes_on_and_off_on_every_queue() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let spec = TapSpec { queues: 2, gso: true, ..exact("tap0") };
    let tap = create(&nursery, &target, &spec);
    assert!(tap.offloads().contains(Offloads::TSO));
    // The kernel shows what it may send as features of the device.
    let large = || {
        in_namespace(target.as_fd(), || {
            let out = Command::new("ethtool").args(["-k", "tap0"]).output();
            Ok(out.ok().map(|o| String::from_utf8(o.stdout).unwrap()))
        })
        .unwrap()
    };
    if let Some(features) = large() {
        assert!(features.contains("tcp-segmentation-offload: on"), "{features}");
    }
    let off = set_offloads(tap.fds(), false, tap.offloads()).unwrap();
    assert_eq!(off, Offloads::NONE);
    if let Some(features) = large() {
        assert!(features.contains("tcp-segmentation-offload: off"), "{features}");
    }
}

/// Runs `test` with a watch.
fn with_watch(nursery: &Nursery, test: impl AsyncFnOnce(&mut Watch)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(&mut Watch::new(nursery).unwrap()).await });
}

fn number(nursery: &Nursery, namespace: &OwnedFd) -> i32 {
    nsid_of(nursery, namespace.as_fd()).unwrap()
}

async fn hear(watch: &mut Watch, wanted: WatchEvent) {
    let search = async { while watch.next().await.unwrap() != wanted {} };
    let heard = tokio::time::timeout(Duration::from_secs(20), search).await;
    heard.unwrap_or_else(|_| panic!("not heard within 20 s: {wanted:?}"));
}

/// What somebody else does meanwhile, on a thread of its own, as sessions block.
async fn meanwhile(work: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(work).join().unwrap());
}

#[test]
fn the_watch_hears_rename_up_down_address_and_move_in_the_target() {
    if !live() {
        return;
    }
    let (nursery, target, elsewhere) = (Nursery::new().unwrap(), new_namespace(), new_namespace());
    let numbers = [number(&nursery, &target), number(&nursery, &elsewhere)];
    with_watch(&nursery, async |watch| {
        let nsid = Some(numbers[0]);
        let mut made = None;
        meanwhile(|| made = Some(create(&nursery, &target, &exact("tap0")))).await;
        let tap = made.unwrap();
        let ifindex = tap.ifindex();
        hear(watch, WatchEvent::Link { nsid, ifindex }).await;
        type Change = fn(&Session, u32);
        let changes: [Change; 3] = [
            |s, i| s.rename(i, &name("new0")).unwrap(),
            |s, i| s.set_up(i, true).unwrap(),
            |s, i| s.set_up(i, false).unwrap(),
        ];
        for change in changes {
            // Nothing old may stand in for the event.
            drain(watch).await;
            meanwhile(|| change(&session(&target), ifindex)).await;
            hear(watch, WatchEvent::Link { nsid, ifindex }).await;
        }
        for address in ["10.9.0.1/24", "2001:db8::1/64"] {
            drain(watch).await;
            let address = address.parse().unwrap();
            meanwhile(|| session(&target).add_address(ifindex, address).unwrap()).await;
            hear(watch, WatchEvent::Address { nsid, ifindex }).await;
        }
        drain(watch).await;
        meanwhile(|| session(&target).set_netns(ifindex, elsewhere.as_fd()).unwrap()).await;
        hear(watch, WatchEvent::Link { nsid, ifindex }).await;
        let mut there = 0;
        meanwhile(|| there = facts(first(&tap)).unwrap().ifindex).await;
        hear(watch, WatchEvent::Link { nsid: Some(numbers[1]), ifindex: there }).await;
    });
}

async fn drain(watch: &mut Watch) {
    while tokio::time::timeout(Duration::ZERO, watch.next()).await.is_ok() {}
}

#[test]
fn the_watch_hears_the_holders_own_namespace() {
    if !live() {
        return;
    }
    let nursery = Nursery::new().unwrap();
    let (own, _) = namespace::own().unwrap();
    let nsid = number(&nursery, &own);
    with_watch(&nursery, async |watch| {
        let mut made = None;
        let called = format!("tt{}b", std::process::id());
        meanwhile(|| made = Some(open(&nursery, own.as_fd(), &exact(&called)).unwrap())).await;
        let ifindex = made.as_ref().unwrap().ifindex();
        hear(watch, WatchEvent::Link { nsid: Some(nsid), ifindex }).await;
    });
}

#[test]
fn a_namespace_is_freed_with_its_last_outside_reference_though_tap_watch_and_number_are_held() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let nsid = number(&nursery, &target);
    with_watch(&nursery, async |watch| {
        let mut made = None;
        meanwhile(|| {
            let tap = create(&nursery, &target, &TapSpec { queues: 2, ..exact("tap0") });
            session(&target).add_address(tap.ifindex(), "10.9.0.1/24".parse().unwrap()).unwrap();
            facts(first(&tap)).unwrap();
            made = Some(tap);
        })
        .await;
        let tap = made.unwrap();
        meanwhile(|| assert_eq!(number(&nursery, &target), nsid, "the number stays")).await;
        drop(target);
        hear(watch, WatchEvent::NamespaceGone { nsid }).await;
        eventually("the tap knows", || is_gone(first(&tap)).unwrap());
        meanwhile(|| assert_eq!(facts(first(&tap)), Err(Absent::Gone))).await;
    });
}

#[test]
fn a_full_socket_is_reported_as_an_overrun() {
    if !live() {
        return;
    }
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let nsid = number(&nursery, &target);
    with_watch(&nursery, async |watch| {
        watch.shrink();
        meanwhile(|| {
            let there = session(&target);
            for _ in 0..100 {
                there.set_up(1, true).unwrap();
                there.set_up(1, false).unwrap();
            }
        })
        .await;
        hear(watch, WatchEvent::Overrun).await;
        drain(watch).await;
        meanwhile(|| session(&target).set_up(1, true).unwrap()).await;
        hear(watch, WatchEvent::Link { nsid: Some(nsid), ifindex: 1 }).await;
    });
}

#[test]
fn a_session_on_a_runtime_thread_is_refused_instead_of_blocking_it() {
    if !live() {
        return;
    }
    let target = new_namespace();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failure = runtime.block_on(async { Session::open(target.as_fd(), "tap0").unwrap_err() });
    assert!(failure.cause.contains("runtime"), "{failure}");
}

#[test]
fn what_is_no_network_namespace_is_refused_by_its_kind() {
    let refusal =
        |path: &str| namespace::verify(fs::File::open(path).unwrap().as_fd()).unwrap_err();
    let failure = refusal("/proc/self/ns/mnt");
    assert_eq!(failure.code, Code::Usage);
    assert_eq!(failure.cause, "this is a mount namespace, not a network namespace");
    assert_eq!(
        refusal("/proc/self/status").cause,
        "this is a regular file, not a network namespace"
    );
}

#[test]
fn a_panic_inside_a_namespace_is_a_failure_outside() {
    if !live() {
        return;
    }
    let target = new_namespace();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let failure = in_namespace::<(), _>(target.as_fd(), || panic!("on purpose")).unwrap_err();
    std::panic::set_hook(hook);
    assert!(failure.cause.contains("panicked"));
}

/// Runs the ignored test `inner` of this file alone in a process of its own.
fn run_inner(inner: &str, command: &mut Command) {
    let path = format!("host::tests::{inner}");
    let args = [path.as_str(), "--exact", "--ignored", "--test-threads=1", "--nocapture"];
    let out = command.args(args).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

#[test]
fn failing_calls_leave_no_file_and_no_thread() {
    if live() {
        run_inner("inner_failing_calls", &mut this_program());
    }
}

fn files() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut all: Vec<String> = entries
        .filter_map(|e| fs::read_link(e.unwrap().path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| !target.ends_with("/fd"))
        .collect();
    all.sort();
    all
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
#[ignore = "counts files of the whole process: run alone, by another test"]
fn inner_failing_calls() {
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    add_link(&target, LinkBridge::new("web0"));
    let tap = create(&nursery, &target, &exact("tap0"));
    let null = fs::File::open("/dev/null").unwrap();
    let plan: [(&str, &dyn Fn() -> bool); 9] = [
        ("name taken there", &|| {
            let mut tap = open(&nursery, target.as_fd(), &exact("web0")).unwrap();
            tap.enter(&nursery, target.as_fd()).is_err()
        }),
        ("name taken in place", &|| {
            open(&nursery, namespace::own().unwrap().0.as_fd(), &exact("lo")).is_err()
        }),
        ("no queues", &|| {
            open(&nursery, target.as_fd(), &TapSpec { queues: 0, ..exact("t") }).is_err()
        }),
        ("a sndbuf that fails after the device is born", &|| {
            open(&nursery, target.as_fd(), &TapSpec { sndbuf: -1, queues: 3, ..exact("t") })
                .is_err()
        }),
        ("no namespace", &|| Session::open(null.as_fd(), "x").is_err()),
        ("moved into no namespace", &|| {
            let mut tap = open(&nursery, target.as_fd(), &exact("tap9")).unwrap();
            tap.enter(&nursery, null.as_fd()).is_err()
        }),
        ("no bridge", &|| session(&target).set_master(tap.ifindex(), &name("br0")).is_err()),
        ("no link", &|| session(&target).set_up(4711, true).is_err()),
        ("no tun file", &|| facts(null.as_fd()).is_err()),
    ];
    let (before, threads_before) = (files(), threads());
    for (what, fails) in plan {
        assert!(fails(), "{what}");
        assert_eq!(files(), before, "{what}");
        // A joined thread leaves the table a moment after the join.
        eventually(what, || threads() == threads_before);
        assert_eq!(links(&nursery), ["lo"], "{what}");
        assert_eq!(links(&target), ["lo", "web0", "tap0"], "{what}");
    }
    facts(first(&tap)).unwrap();
    nsid_of(&nursery, target.as_fd()).unwrap();
    assert_eq!(files(), before, "successes close what they opened too");
}

#[test]
fn without_privilege_the_refusal_is_exit_code_5_with_a_remedy() {
    if !live() {
        return;
    }
    // The build directory may be closed to others, so the program is copied to where it is not.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    use std::os::unix::process::CommandExt;
    run_inner("inner_unprivileged", Command::new(copy).uid(65534).gid(65534).current_dir("/"));
}

#[test]
#[ignore = "runs as nobody, by another test"]
fn inner_unprivileged() {
    let check = |failure: Failure| {
        assert_eq!(failure.code, Code::NotPermitted, "{failure}");
        assert!(failure.hint.as_ref().unwrap().contains("unshare -Urn"), "{failure}");
    };
    check(Nursery::new().unwrap_err());
    let (own, _) = namespace::own().unwrap();
    check(Session::open(own.as_fd(), "tap0").unwrap_err());
}

#[test]
fn root_of_a_user_namespace_makes_moves_and_addresses_a_device() {
    if live() {
        let program = std::env::current_exe().unwrap();
        run_inner("inner_rootless", Command::new("unshare").arg("-Urn").arg(program));
    }
}

#[test]
#[ignore = "runs in a user namespace, by another test"]
fn inner_rootless() {
    let (nursery, target) = (Nursery::new().unwrap(), new_namespace());
    let tap = create(&nursery, &target, &TapSpec { gso: true, ..exact("tap0") });
    let there = session(&target);
    there.add_address(tap.ifindex(), "10.9.0.1/24".parse().unwrap()).unwrap();
    there.set_up(tap.ifindex(), true).unwrap();
    assert!(facts(first(&tap)).unwrap().up);
    drop(there);
    let nsid = number(&nursery, &target);
    with_watch(&nursery, async |watch| {
        drop(target);
        hear(watch, WatchEvent::NamespaceGone { nsid }).await;
    });
    let (own, _) = namespace::own().unwrap();
    let in_place = open(&nursery, own.as_fd(), &exact("tap0")).unwrap();
    assert!(!in_place.is_in_nursery());
}
