//! Devices that outlive the interface: made to persist, or there before it and attached to.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use taptool::api::{
    BackendChoice, CreateRequest, DeleteRequest, NamespaceSpec, Reply, Request, Submit,
};
use taptool::control::{Control, Options};
use taptool::units::{IfName, Kind};

use crate::common::{Hold, World, assert_ledger, eventually, live, live_alone, on_vhost_net};

/// A device as `ip` made it, with all that an attach might change.
fn make(world: &World, netns: &str, name: &str, options: &str) {
    world.ip(&format!("-n {netns} tuntap add dev {name} {options}"));
    world.ip(&format!("-n {netns} link set dev {name} mtu 1400 txqueuelen 77"));
    // What is up for the first time gets a queueing discipline for good.
    world.ip(&format!("-n {netns} link set dev {name} up"));
    world.ip(&format!("-n {netns} link set dev {name} down"));
}

/// What of a link an attach leaves alone.
fn kept(world: &World, netns: &str, name: &str) -> Value {
    let link = world.link(netns, name);
    let data = &link["linkinfo"]["info_data"];
    let addresses = world.ip_json(&format!("-n {netns} -4 addr show dev {name}"));
    let addresses = addresses[0]["addr_info"].as_array().cloned().unwrap_or_default();
    let addresses: Vec<_> = addresses.iter().map(|address| address["local"].clone()).collect();
    json!([
        ([&link["ifindex"], &link["address"], &link["mtu"], &link["txqlen"]]),
        ([&data["persist"], &data["user"], &data["multi_queue"]]),
        addresses,
    ])
}

#[test]
fn a_device_that_was_there_keeps_what_it_has_and_stays_when_the_interface_is_deleted() {
    live(|world| {
        world.quiet_netns("a");
        make(world, "a", "vm0", "mode tap user 1234");
        world.ip("-n a link set dev vm0 address 02:00:00:00:00:07");
        world.ip("-n a addr add 10.9.0.1/24 dev vm0");
        make(world, "a", "vm1", "mode tap multi_queue");
        let (before, several) = (kept(world, "a", "vm0"), kept(world, "a", "vm1"));
        let mut hold = Hold::start(world);
        hold.run("create vm0 host-ns a attach respond 10.9.0.2/24");
        world.ping_answered("a", "10.9.0.2");
        let tap = hold.tap("vm0");
        assert_eq!(kept(world, "a", "vm0"), before);
        assert_eq!(
            (&tap["attached"], &tap["persist"], &tap["pinned"]),
            (&json!(true), &json!(true), &json!(true))
        );
        assert_eq!(
            (&tap["mtu"], &tap["host_mac_addr"]),
            (&json!(1400), &json!("02:00:00:00:00:07"))
        );
        // One queue of a device that may have several.
        hold.run("create id 1 host-if-name vm1 host-ns a attach");
        hold.tap_when("tap1", "its link is up", 5.0, |t| t["link_up"] == true);
        assert_ledger(&hold.run("show tap"));
        hold.run("delete vm0");
        hold.run("delete tap1");
        assert_eq!(kept(world, "a", "vm0"), before);
        assert_eq!(kept(world, "a", "vm1"), several);
        let said = hold.stderr();
        assert!(
            said.contains(
                "vm0 in a, the host side of vm0, stays; `ip -n a link del dev vm0' removes it"
            ),
            "{said}"
        );
        // All of its queues are ours where we ask for them.
        let several = hold.one("create vm1 host-ns a attach num-rx-queues 2");
        assert_eq!(several["tap_fds"].as_array().unwrap().len(), 2);
        assert_eq!(world.link("a", "vm1")["linkinfo"]["info_data"]["numqueues"], 2);
        hold.run("delete vm1");
        // Again, and this time with the device.
        hold.run("create vm0 host-ns a attach");
        hold.run("create id 1 host-if-name vm1 host-ns a attach");
        hold.run("delete --destroy vm0");
        assert_eq!(world.links("a"), ["vm1"]);
        hold.run("delete --all --destroy");
        assert_eq!(world.links("a"), Vec::<String>::new());
        hold.close();
    });
}

#[test]
fn options_of_the_host_side_change_a_device_that_was_there_and_what_it_has_already_is_no_error() {
    live(|world| {
        world.quiet_netns("a");
        make(world, "a", "vm0", "mode tap");
        world.ip("-n a addr add 10.9.0.1/24 dev vm0");
        let line = "create vm0 host-ns a attach host-ip4-addr 10.9.0.1/24 host-ip4-addr 10.8.0.1/24 \
                    host-ip4-gw 10.9.0.2 mtu 1300 host-mac-addr 02:00:00:00:00:08 respond 10.9.0.2/24";
        let mut hold = Hold::start(world);
        // The second time everything is there.
        for _ in 0..2 {
            hold.run(line);
            world.ping_answered("a", "10.9.0.2");
            let tap = hold.tap("vm0");
            assert_eq!(
                (&tap["mtu"], &tap["host_mac_addr"]),
                (&json!(1300), &json!("02:00:00:00:00:08"))
            );
            assert_eq!(tap["host_addresses"], json!(["10.9.0.1/24", "10.8.0.1/24"]));
            hold.run("delete vm0");
        }
        hold.close();
    });
}

#[test]
fn what_cannot_be_attached_to_is_refused_with_what_is_in_the_way_and_stays_as_it_was() {
    live(|world| {
        world.quiet_netns("a");
        make(world, "a", "tun5", "mode tun");
        make(world, "a", "busy", "mode tap");
        make(world, "a", "many", "mode tap multi_queue");
        make(world, "a", "one", "mode tap");
        world.ip("-n a link add br0 type bridge");
        let mut other = Hold::start(world);
        other.run("create busy host-ns a attach");
        other.run("create many host-ns a attach");
        // The kernel tells of a carrier later than it sets it.
        for name in ["busy", "many"] {
            eventually("it has carrier", 5.0, || world.link("a", name)["operstate"] == "UP");
        }
        let before = world.state();
        let rows = [
            (
                "nothing",
                3,
                "there is no device of this name to attach to (ENODEV)\n  make it with `ip -n a tuntap add dev nothing mode tap'",
            ),
            ("tun5", 2, "this is a tun, not a tap (EINVAL)\n  `create tun tun5 ... attach'"),
            ("br0", 2, "this is a bridge device, not a tap or tun (EINVAL)"),
            ("busy", 4, "another process has it open (EBUSY)\n  `grep -ls \"iff:.busy$\""),
            ("many", 4, "another process has it open (EBUSY)"),
            (
                "one num-rx-queues 2",
                2,
                "it has one queue, and 2 are wanted (EINVAL)\n  leave `num-rx-queues' out, or make it \
                 anew: `ip -n a tuntap del dev one mode tap && ip -n a tuntap add dev one mode tap \
                 multi_queue'",
            ),
        ];
        for (name, code, why) in rows {
            for dry in ["", "dry-run"] {
                let ended =
                    Hold::start(world).refused(&format!("create {name} host-ns a attach {dry}"));
                assert_eq!(ended.code, code, "{}", ended.stderr);
                assert!(ended.stderr.contains(why), "{}", ended.stderr);
            }
        }
        for (line, why) in [
            ("create id 3 host-ns a attach", "create: host_if_name is not provided"),
            (
                "create busy host-ns a attach owner 5",
                "owner 5: with `attach' the device keeps the owner",
            ),
        ] {
            let ended = Hold::start(world).refused(line);
            assert_eq!(ended.code, 2, "{}", ended.stderr);
            assert!(ended.stderr.contains(why), "{}", ended.stderr);
        }
        world.state().assert_same_as(&before, "after what was refused");
        // What the hint finds is who has it.
        let found = world.must("sh -c 'grep -ls \"iff:.busy$\" /proc/[0-9]*/fdinfo/*; true'");
        assert!(found.starts_with(&format!("/proc/{}/", other.pid())), "{found}");
        // A create without `attach' says how to take it.
        other.run("delete busy");
        let ended = Hold::start(world).refused("create busy host-ns a");
        assert_eq!(ended.code, 4);
        assert!(
            ended.stderr.contains("or take the device as it is with `attach'"),
            "{}",
            ended.stderr
        );
        other.run("create busy host-ns a attach");
        // What the other hints say helps.
        for command in [
            "ip -n a tuntap add dev nothing mode tap",
            "ip -n a tuntap del dev one mode tap",
            "ip -n a tuntap add dev one mode tap multi_queue",
        ] {
            world.must(command);
        }
        other.run("create nothing host-ns a attach");
        other.run("create one num-rx-queues 2 host-ns a attach");
        other.run("create tun tun5 host-ns a attach");
        other.close();
    });
}

#[test]
fn a_device_that_persists_survives_its_killed_holder_and_is_attached_to_again() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let made =
            hold.one("create p0 host-ns a host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24 persist");
        assert_eq!(
            (&made["persist"], &made["attached"], &made["pinned"]),
            (&json!(true), &json!(false), &json!(false))
        );
        assert_eq!(made["created_with"]["owner"], 0, "nobody else may attach to it");
        assert_eq!(world.class_net("a", "p0", "owner").trim(), "0");
        world.ping_answered("a", "10.9.0.2");
        let before = kept(world, "a", "p0");
        assert_eq!(hold.stop(Signal::SIGKILL).code, -1);
        assert_eq!(kept(world, "a", "p0"), before);
        assert_eq!(world.class_net("a", "p0", "carrier").trim(), "0", "nobody has it");
        let mut hold = Hold::start(world);
        hold.run("create p0 host-ns a attach respond 10.9.0.2/24");
        assert_eq!(kept(world, "a", "p0"), before);
        world.ping_answered("a", "10.9.0.2");
        assert_ledger(&hold.run("show tap"));
        // An ordinary end leaves it as well.
        let ended = hold.term();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(kept(world, "a", "p0"), before);
        let mut hold = Hold::start(world);
        hold.run("create p0 host-ns a attach");
        hold.run("create p1 host-ns a owner 1234 persist");
        assert_eq!(world.class_net("a", "p1", "owner").trim(), "1234");
        hold.run("delete --destroy p0 p1");
        assert_eq!(world.links("a"), Vec::<String>::new());
        hold.close();
    });
}

#[test]
fn an_attached_device_keeps_its_namespace_alive_which_show_says_and_one_that_persists_does_not() {
    live(|world| {
        world.quiet_netns("a");
        make(world, "a", "vm0", "mode tap");
        let mut hold = Hold::start(world);
        hold.run("create vm0 host-ns a attach");
        world.ip("netns del a");
        let tap = hold.tap("vm0");
        assert_eq!((&tap["state"], &tap["pinned"]), (&json!("up"), &json!(true)));
        hold.run("delete vm0");
        world.quiet_netns("b");
        hold.run("create p0 host-ns b persist");
        world.ip("netns del b");
        hold.tap_when("p0", "gone with its namespace", 10.0, |t| t["state"] == "host-gone");
        hold.run("delete p0");
        // In the holder's own namespace there is nothing to pin.
        world.ip("tuntap add dev own0 mode tap");
        hold.run("create own0 attach");
        assert_eq!(hold.tap("own0")["pinned"], false);
        hold.run("delete --destroy own0");
        hold.close();
    });
}

fn request(persist: bool) -> CreateRequest {
    let namespace: NamespaceSpec = NamespaceSpec::Name("a".into());
    let mut request = CreateRequest::new(Kind::Tap, namespace.open().unwrap());
    request.name = Some(IfName::new("vm0").unwrap());
    (request.attach, request.persist) = (!persist, persist);
    request.host_mac_addr = Some("02:00:00:00:00:09".parse().unwrap());
    request.host_mtu_size = Some("1280".parse().unwrap());
    request.host_txqueuelen = Some("99".parse().unwrap());
    request.host_ip4_addr = vec!["10.9.0.1/24".parse().unwrap(), "10.8.0.1/24".parse().unwrap()];
    request.host_ip4_gw = Some("10.9.0.2".parse().unwrap());
    request.gso = true;
    request.backend =
        if on_vhost_net() { BackendChoice::VhostNet } else { BackendChoice::Userspace };
    request
}

async fn check(world: &World, persist: bool) {
    let before = world.state();
    let mut planned = request(persist);
    planned.dry_run = true;
    let control = Control::new(Options::default());
    let outcome = control.submit(Request::Create(Box::new(planned))).await.unwrap();
    let Reply::Planned(steps) = outcome.reply else { panic!("no steps") };
    let own = if persist { "let vm0 stay" } else { "attach to tap vm0" };
    assert!(steps.iter().any(|step| step.step.contains(own)), "{steps:?}");
    for step in 1..=steps.len() {
        let control = Control::new(Options { fail_after_steps: Some(step), ..Options::default() });
        let failed = control.submit(Request::Create(Box::new(request(persist)))).await;
        let failure = failed.unwrap_err();
        assert!(failure.cause.starts_with("stopped after"), "step {step}: {failure}");
        assert!(!failure.to_string().contains("not undone"), "step {step}: {failure}");
        // The kernel tells of a lost carrier a little later.
        let end = Instant::now() + Duration::from_secs(5);
        while world.state() != before && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
        }
        world.state().assert_same_as(&before, &format!("after step {step}"));
    }
}

#[test]
fn an_attach_that_fails_after_any_step_leaves_the_device_as_it_was() {
    // A process that another test forks has our files until it executes its program.
    let name = "attach::an_attach_that_fails_after_any_step_leaves_the_device_as_it_was";
    live_alone(name, |world| {
        world.quiet_netns("a");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Down, with one of the addresses; up, with another; with the protocol word.
        make(world, "a", "vm0", "mode tap user 1234");
        world.ip("-n a addr add 10.9.0.1/24 dev vm0");
        runtime.block_on(check(world, false));
        world.ip("-n a link set dev vm0 up");
        world.ip("-n a addr add 10.7.0.1/24 dev vm0");
        runtime.block_on(check(world, false));
        world.ip("-n a link del dev vm0");
        make(world, "a", "vm0", "mode tap pi multi_queue");
        runtime.block_on(check(world, false));
        world.ip("-n a link del dev vm0");
        // A create that persists goes whole, too.
        runtime.block_on(check(world, true));
        let control = Control::new(Options::default());
        runtime.block_on(async {
            control.submit(Request::Create(Box::new(request(true)))).await.unwrap();
            control.submit(Request::Delete(DeleteRequest::All { destroy: true })).await.unwrap();
        });
        assert_eq!(world.links("a"), Vec::<String>::new());
    });
}
