//! How devices come to be, and under which name.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;

use rtnetlink::LinkBridge;
use rtnetlink::packet_route::link::{LinkAttribute, Prop};

use super::*;
use crate::diag::Code;
use crate::host::session::change;
use crate::units::MacAddr;

#[test]
fn a_device_for_the_own_namespace_is_born_in_place_and_dies_with_its_file() {
    if !live() {
        return;
    }
    let (own, id) = namespace::own().unwrap();
    let staging = StagingNamespace::new().unwrap();
    let called = format!("tt{}a", std::process::id());
    let spec = TapSpec { owner: Some(1234), group: Some(2345), ..exact(&called) };
    let mut tap = open(&staging, own.as_fd(), &spec).unwrap();
    assert!(!tap.is_staged());
    enter(&mut tap, &staging, own.as_fd()).unwrap();
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
fn a_device_for_another_namespace_is_born_in_the_staging_namespace_and_moved_with_all_its_queues() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let spec = TapSpec { queues: 3, ..exact("eth0") };
    let mut tap = open(&staging, target.as_fd(), &spec).unwrap();
    assert!(tap.is_staged());
    assert_eq!(links(&staging), ["lo", "eth0"]);
    assert_eq!(links(&target), ["lo"]);
    enter(&mut tap, &staging, target.as_fd()).unwrap();
    assert!(!tap.is_staged());
    assert_eq!(links(&staging), ["lo"]);
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
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let spec = TapSpec { kind: Kind::Tun, sndbuf: i32::MAX - 1, ..exact("tun0") };
    let tap = create(&staging, &target, &spec);
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
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    add_link(&target, LinkBridge::new("web0"));
    let stranger = session(&target).link_by_name("web0").unwrap().unwrap();
    let mut tap = open(&staging, target.as_fd(), &exact("web0")).unwrap();
    let failure = enter(&mut tap, &staging, target.as_fd()).unwrap_err();
    assert_eq!(failure.code, Code::Exists);
    assert_eq!(failure.on, "web0");
    assert!(failure.cause.contains("EEXIST") && failure.hint.is_some(), "{failure}");
    assert!(tap.is_staged());
    drop(tap);
    assert_eq!(links(&staging), ["lo"]);
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
    let staging = StagingNamespace::new().unwrap();
    let failure = open(&staging, own.as_fd(), &exact("lo")).unwrap_err();
    assert_eq!(failure.code, Code::Exists);
    assert!(failure.doing.contains("TUNSETIFF"), "{failure}");
    let tap = open(&staging, own.as_fd(), &spec(HostName::FirstFree(name("lo")))).unwrap();
    let number = tap.name().as_str().strip_prefix("tap").unwrap();
    assert!(number.parse::<u32>().is_ok(), "{}", tap.name());
}

#[test]
fn a_free_name_is_chosen_in_the_target_past_strangers_and_their_other_names() {
    if !live() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let wanted = spec(HostName::FirstFree(name("tap5")));
    let five = create(&staging, &target, &wanted);
    assert_eq!(five.name().as_str(), "tap5", "free, so taken as it is");
    add_link(&target, LinkBridge::new("tap0"));
    add_link(&target, LinkBridge::new("other"));
    let there = session(&target);
    let other = there.link_by_name("other").unwrap().unwrap();
    let mut second = change(other.index).build();
    let name_too = Prop::AltIfName("tap1".into());
    second.attributes.push(LinkAttribute::PropList(vec![name_too]));
    there
        .ask("add altname", there.exchange(RouteNetlinkMessage::NewLinkProp(second), ADD))
        .unwrap();
    let next = create(&staging, &target, &wanted);
    assert_eq!(next.name().as_str(), "tap2");
    assert_eq!(facts(first(&next)).unwrap().name, "tap2");
    assert_eq!(links(&target), ["lo", "tap5", "tap0", "other", "tap2"]);
    assert_eq!(links(&staging), ["lo"]);
}

#[test]
fn two_devices_of_one_name_are_born_for_two_namespaces_at_once() {
    if !live() {
        return;
    }
    let staging = StagingNamespace::new().unwrap();
    let targets: Vec<OwnedFd> = (0..4).map(|_| new_namespace()).collect();
    let taps: Vec<Tap> = thread::scope(|scope| {
        let started: Vec<_> = targets
            .iter()
            .map(|target| scope.spawn(|| create(&staging, target, &exact("eth0"))))
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
