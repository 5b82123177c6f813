//! Every option of `create` has the effect that the kernel shows.

use std::fs;

use serde_json::{Value, json};
use vhost::VhostBackend;
use vhost::vhost_kern::net::Net;
use vm_memory::{GuestAddress, GuestMemoryMmap};

use crate::common::{Hold, World, backend, kernel, live, number, on_vhost_net, queue, report, sum};

/// The flags of a link.
fn flags(link: &Value) -> Vec<&str> {
    link["flags"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect()
}

/// Addresses of a device as `A/L`, without link-local ones.
fn addresses(world: &World, netns: &str, device: &str) -> Vec<String> {
    let said = world.ip_json(&format!("-n {netns} addr show dev {device}"));
    let all = said[0]["addr_info"].as_array().unwrap();
    let global = all.iter().filter(|a| a["scope"] == "global");
    global.map(|a| format!("{}/{}", a["local"].as_str().unwrap(), a["prefixlen"])).collect()
}

#[test]
fn a_new_tap_is_a_plain_tap_device_that_is_up_with_what_show_says_of_it() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let made = hold.one("create tap0 host-ns a");
        let link = world.link("a", "tap0");
        let info = &link["linkinfo"];
        assert_eq!(
            (&info["info_kind"], &info["info_data"]["type"]),
            (&"tun".into(), &"tap".into())
        );
        assert_eq!(info["info_data"]["vnet_hdr"], true, "{link:#}");
        assert_eq!(info["info_data"]["persist"], false, "{link:#}");
        assert_eq!(info["info_data"]["multi_queue"], false, "{link:#}");
        assert!(flags(&link).contains(&"UP"), "{link:#}");
        let shown = hold.tap("tap0");
        for tap in [&made, &shown] {
            for (key, value) in [
                ("name", json!("tap0")),
                ("id", json!(0)),
                ("kind", json!("tap")),
                ("backend", json!(backend())),
                ("state", json!("up")),
                ("admin_up", json!(true)),
                ("link_up", json!(true)),
                ("action", json!("sink")),
                ("addresses", json!([])),
                ("host_if_name", json!("tap0")),
                ("host_ifindex", link["ifindex"].clone()),
                ("host_ns", json!("a")),
                ("host_addresses", json!([])),
                ("host_bridge", Value::Null),
                ("mtu", link["mtu"].clone()),
                ("qlen", link["txqlen"].clone()),
                ("host_mac_addr", link["address"].clone()),
                ("gso", json!(false)),
                ("csum_offload", json!(false)),
                ("offloads", json!([])),
            ] {
                assert_eq!(tap[key], value, "{key} of {tap:#}");
            }
            for direction in ["rx_queues", "tx_queues"] {
                let q = queue(tap, direction);
                assert_eq!(tap[direction].as_array().unwrap().len(), 1);
                assert_eq!((&q["id"], &q["poller"]), (&0.into(), &0.into()));
                assert_eq!((&q["size"], &q["state"]), (&256.into(), &"running".into()));
            }
        }
        hold.close();
    });
}

#[test]
fn name_id_if_name_and_host_if_name_name_the_two_sides() {
    live(|world| {
        world.quiet_netns("a");
        world.ip("-n a link add tap5 type bridge");
        let mut hold = Hold::start(world);
        for (line, name, host, id) in [
            ("create tap id 7 host-ns a", "tap7", "tap7", 7),
            ("create tap host-ns a", "tap0", "tap0", 0),
            ("create eth0b host-if-name eth0 host-ns a", "eth0b", "eth0", 1),
            ("create tap if-name ours host-if-name theirs id 9 host-ns a", "ours", "theirs", 9),
            ("create tap wan host-ns a", "wan", "wan", 2),
        ] {
            let tap = hold.one(line);
            assert_eq!(
                (&tap["name"], &tap["host_if_name"], &tap["id"]),
                (&name.into(), &host.into(), &id.into()),
                "{line}"
            );
            assert_eq!(world.link("a", host)["ifindex"], tap["host_ifindex"], "{line}");
        }
        // An id alone leaves the host side's name to the kernel where a stranger has it.
        let tap = hold.one("create tap id 5 host-ns a");
        let host = tap["host_if_name"].as_str().unwrap();
        assert_eq!(tap["name"], "tap5");
        assert_ne!(host, "tap5");
        assert_eq!(world.link("a", host)["ifindex"], tap["host_ifindex"]);
        hold.close();
        assert_eq!(world.links("a"), ["tap5"]);
    });
}

#[test]
fn both_mac_addresses_are_those_asked_for() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let tap = hold.one(
            "create tap0 host-ns a hw-addr 02:fe:00:00:00:0a host-mac-addr 02:00:00:00:00:0b \
             host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24",
        );
        assert_eq!(tap["mac_addr"], "02:fe:00:00:00:0a");
        assert_eq!(tap["host_mac_addr"], "02:00:00:00:00:0b");
        assert_eq!(world.link("a", "tap0")["address"], "02:00:00:00:00:0b");
        world.ping_answered("a", "10.9.0.2");
        let neighbour = world.ip_json("-n a neigh show 10.9.0.2");
        assert_eq!(neighbour[0]["lladdr"], "02:fe:00:00:00:0a");
        // Two that were not asked for differ, and are locally administered.
        let (b, c) = (hold.one("create tap1 host-ns a"), hold.one("create tap2 host-ns a"));
        assert_ne!(b["mac_addr"], c["mac_addr"]);
        assert!(b["mac_addr"].as_str().unwrap().starts_with("02:fe:"), "{b:#}");
        hold.close();
    });
}

#[test]
fn several_addresses_of_both_families_and_gateways_through_our_device_are_set() {
    live(|world| {
        world.netns("a");
        let mut hold = Hold::start(world);
        let all = ["10.9.0.1/24", "192.0.2.1/32", "fd00:9::1/64", "fd00:8::1/128"];
        let tap = hold.one(
            "create tap0 host-ns a host-ip4-addr 10.9.0.1/24 host-ip4-addr 192.0.2.1/32 \
             host-ip6-addr fd00:9::1/64 host-ip6-addr fd00:8::1/128 \
             host-ip4-gw 10.9.0.2 host-ip6-gw fd00:9::2 respond 10.9.0.2/24 respond fd00:9::2/64",
        );
        let mut set = addresses(world, "a", "tap0");
        set.sort();
        let mut asked = all.map(str::to_owned);
        asked.sort();
        assert_eq!(set, asked);
        let shown = tap["host_addresses"].as_array().unwrap();
        assert!(all.iter().all(|a| shown.contains(&json!(a))), "{tap:#}");
        for (family, gateway) in [("-4", "10.9.0.2"), ("-6", "fd00:9::2")] {
            let routes = world.ip_json(&format!("-n a {family} route show default"));
            let route = &routes.as_array().unwrap()[..];
            assert_eq!(route.len(), 1, "{routes}");
            assert_eq!((&route[0]["gateway"], &route[0]["dev"]), (&gateway.into(), &"tap0".into()));
        }
        world.ping_answered("a", "10.9.0.2");
        world.ping_answered("a", "fd00:9::2");
        hold.close();
    });
}

#[test]
fn the_host_side_becomes_a_port_of_the_bridge_in_its_namespace() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        world.ip("-n a link add br0 address 02:00:00:00:00:01 type bridge");
        world.ip("-n a link set dev br0 up");
        world.ip("-n a addr add 10.9.0.1/24 dev br0");
        // A bridge of the same name elsewhere is not meant.
        world.ip("-n b link add br0 type bridge");
        let mut hold = Hold::start(world);
        let tap = hold.one("create tap0 host-ns a host-bridge br0 respond 10.9.0.2/24");
        assert_eq!(tap["host_bridge"], "br0");
        assert_eq!(world.link("a", "tap0")["master"], "br0");
        world.ping_answered("a", "10.9.0.2");
        hold.close();
        assert_eq!(world.links("a"), ["br0"]);
    });
}

#[test]
fn mtu_and_queue_length_are_the_links() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        for (name, mtu) in [("tap0", 68), ("tap1", 9000), ("tap2", 65521)] {
            let line = format!("create {name} host-ns a host-mtu-size {mtu} host-txqueuelen 123");
            let tap = hold.one(&line);
            assert_eq!((&tap["mtu"], &tap["qlen"]), (&mtu.into(), &123.into()));
            let link = world.link("a", name);
            assert_eq!((&link["mtu"], &link["txqlen"]), (&mtu.into(), &123.into()));
        }
        hold.close();
    });
}

#[test]
fn owner_and_group_are_the_devices() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a owner 1234 group 567");
        assert_eq!(world.class_net("a", "tap0", "owner"), "1234");
        assert_eq!(world.class_net("a", "tap0", "group"), "567");
        hold.run("create tap2 host-ns a owner root group root");
        let of = |account: Option<u32>| account.unwrap().to_string();
        let user = nix::unistd::User::from_name("root").unwrap();
        let group = nix::unistd::Group::from_name("root").unwrap();
        let (user, group) = (user.map(|u| u.uid.as_raw()), group.map(|g| g.gid.as_raw()));
        assert_eq!(world.class_net("a", "tap2", "owner"), of(user));
        assert_eq!(world.class_net("a", "tap2", "group"), of(group));
        hold.run("create tap1 host-ns a");
        assert_eq!(world.class_net("a", "tap1", "owner"), "-1");
        assert_eq!(world.class_net("a", "tap1", "group"), "-1");
        hold.close();
    });
}

#[test]
fn host_down_leaves_the_link_down_with_its_addresses() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let tap = hold
            .one("create tap0 host-ns a host-down host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        assert_eq!((&tap["link_up"], &tap["admin_up"]), (&false.into(), &true.into()));
        assert!(!flags(&world.link("a", "tap0")).contains(&"UP"));
        assert_eq!(addresses(world, "a", "tap0"), ["10.9.0.1/24"]);
        world.ip("-n a link set dev tap0 up");
        world.ping_answered("a", "10.9.0.2");
        hold.close();
    });
}

#[test]
fn an_interface_that_is_admin_down_drops_with_that_reason_until_it_is_set_up() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let tap = hold
            .one("create tap0 host-ns a admin-down host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        assert_eq!((&tap["state"], &tap["admin_up"]), (&"admin-down".into(), &false.into()));
        let lost = |tap: &Value| tap["rx_queues"][0]["drops"]["admin_down"].as_u64().unwrap_or(0);

        world.ping_unanswered("a", "10.9.0.2");
        let tap = hold.tap("tap0");
        assert!(lost(&tap) > 0, "{tap:#}");
        assert_eq!(lost(&tap), sum(&tap, "rx_queues", "packets"));
        assert_eq!(sum(&tap, "tx_queues", "offered"), 0);

        hold.run("set interface state tap0 up");
        assert_eq!(hold.tap("tap0")["state"], "up");
        world.ping_answered("a", "10.9.0.2");
        assert_eq!(lost(&hold.tap("tap0")), lost(&tap), "no drop while up");

        hold.run("set interface state tap0 down");
        assert_eq!(hold.tap("tap0")["state"], "admin-down");
        world.ping_unanswered("a", "10.9.0.2");
        assert!(lost(&hold.tap("tap0")) > lost(&tap));
        hold.close();
    });
}

#[test]
fn ring_sizes_are_those_asked_for_and_carry_frames() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        for (i, (rx, tx)) in [(64, 64), (64, 1024), (32768, 64)].into_iter().enumerate() {
            let tap = hold.one(&format!(
                "create tap{i} host-ns a rx-ring-size {rx} tx-ring-size {tx} host-mtu-size 65521 \
                 host-ip4-addr 10.9.{i}.1/24 respond 10.9.{i}.2/24"
            ));
            assert_eq!(queue(&tap, "rx_queues")["size"], rx);
            assert_eq!(queue(&tap, "tx_queues")["size"], tx);
            world.ping_answered("a", &format!("-s 60000 10.9.{i}.2"));
            // Past the end of the smallest ring.
            assert_eq!(world.ping("a", &format!("10.9.{i}.2"), 150), 150);
        }
        hold.close();
    });
}

#[test]
fn a_new_interface_has_buffers_posted_before_its_first_frame() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        for line in ["create tap0 host-ns a", "create tap1 host-ns a admin-down host-down"] {
            hold.run(line);
            let name = line.split(' ').nth(1).unwrap();
            let tap = hold.tap_when(name, "buffers are posted", 5.0, |t| {
                sum(t, "rx_queues", "desc_in_use") > 0
            });
            assert_eq!(sum(&tap, "rx_queues", "packets"), 0, "{tap:#}");
        }
        hold.close();
    });
}

#[test]
fn a_namespace_is_named_by_name_path_or_process_and_else_is_the_holders_own() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        let inside = world.start("ip netns exec b sleep 1000");
        let mut hold = Hold::start(world);
        assert_eq!(hold.one("create t0 host-ns a")["host_ns"], "a");
        assert_eq!(hold.one("create t1 host-ns /run/netns/a")["host_ns"], "/run/netns/a");
        // The process enters the namespace before it becomes what it runs.
        crate::common::eventually("sleep runs", 5.0, || {
            fs::read_to_string(format!("/proc/{}/comm", inside.pid())).is_ok_and(|c| c == "sleep\n")
        });
        let named = format!("pid:{}", inside.pid());
        assert_eq!(hold.one(&format!("create t2 host-ns {named}"))["host_ns"], json!(named));
        assert_eq!(hold.one("create t3")["host_ns"], Value::Null);
        assert_eq!(
            (world.links("a"), world.links("b")),
            (vec!["t0".into(), "t1".into()], vec!["t2".into()])
        );
        let own = world.ip_json("link");
        let own = own.as_array().unwrap().iter().map(|l| l["ifname"].as_str().unwrap());
        assert_eq!(own.collect::<Vec<_>>(), ["lo", "t3"]);
        hold.close();
    });
}

#[test]
fn options_are_words_or_dashed_and_commands_abbreviate() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 --netns a --ip4 10.9.0.1/24 --ip4 10.9.1.1/24 --mtu 1400 --gso --respond 10.9.0.2/24");
        assert_eq!(addresses(world, "a", "tap0"), ["10.9.0.1/24", "10.9.1.1/24"]);
        let tap = hold.one("sh tap tap0");
        assert_eq!((&tap["mtu"], &tap["gso"]), (&1400.into(), &true.into()));
        world.ping_answered("a", "10.9.0.2");
        assert_eq!(hold.one("del tap tap0")["name"], "tap0");
        assert_eq!(world.links("a"), Vec::<String>::new());
        hold.close();
    });
}

/// What the kernel's vhost-net offers; none where there is no such device.
fn offered_by_the_kernel() -> Option<u64> {
    let memory: GuestMemoryMmap = GuestMemoryMmap::from_ranges(&[(GuestAddress(0), 4096)]).unwrap();
    let net = Net::new(&memory).ok()?;
    Some(net.get_features().unwrap())
}

#[test]
fn the_features_shown_are_the_backends_and_only_wanted_ones_are_acknowledged() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let tap = hold.one("create tap0 host-ns a");
        let word = |key: &str| {
            let text = tap[key].as_str().unwrap();
            u64::from_str_radix(text.strip_prefix("0x").expect("hexadecimal"), 16).unwrap()
        };
        let (offered, taken) = (word("backend_features_raw"), word("features_raw"));
        if on_vhost_net() {
            assert_eq!(Some(offered), offered_by_the_kernel());
            report(&format!("features {offered:#x}"));
            let files = tap["vhost_fds"].as_array().unwrap();
            assert_eq!(files.len(), 1, "{tap:#}");
            for direction in ["rx_queues", "tx_queues"] {
                assert!(queue(&tap, direction)["kickfd"].as_i64().unwrap() >= 0, "{tap:#}");
            }
            let mode = if kernel() >= (6, 12) { json!("kthread") } else { Value::Null };
            assert_eq!(tap["vhost_worker_mode"], mode);
        } else {
            assert_eq!(tap["vhost_fds"], json!([]));
            assert_eq!(queue(&tap, "rx_queues")["kickfd"], -1, "{tap:#}");
        }
        assert_eq!(tap["tap_fds"].as_array().unwrap().len(), 1);
        // MRG_RXBUF, INDIRECT_DESC, EVENT_IDX, VERSION_1.
        assert_eq!(taken, 1 << 15 | 1 << 28 | 1 << 29 | 1 << 32);
        assert_eq!(taken & !offered, 0, "{taken:#x} of {offered:#x}");
        for (names, bits) in [("features", taken), ("backend_features", offered)] {
            let names = tap[names].as_array().unwrap();
            assert_eq!(names.len(), usize::try_from(bits.count_ones()).unwrap(), "{names:?}");
            let mut texts = names.iter().filter_map(Value::as_str);
            assert!(texts.any(|n| n.starts_with("VIRTIO_NET_F_MRG_RXBUF")), "{names:?}");
        }
        hold.close();
    });
}

#[test]
fn backend_auto_takes_vhost_net_where_it_is_and_else_says_once_why_not() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let first = hold.one("create tap0 host-ns a backend auto");
        let second = hold.one("create tap1 host-ns a backend auto");
        let there = fs::exists("/dev/vhost-net").unwrap();
        let ended = hold.term();
        assert_eq!(ended.code, 0);
        for tap in [&first, &second] {
            assert_eq!(tap["backend"], if there { "vhost-net" } else { "userspace" });
            assert_eq!(tap["backend_reason"].is_null(), there, "{tap:#}");
        }
        let said = ended.stderr.matches("/dev/vhost-net").count();
        assert_eq!(said, usize::from(!there), "{}", ended.stderr);
        if !there {
            let why = first["backend_reason"].as_str().unwrap();
            assert!(why.contains("/dev/vhost-net"), "{why}");
            let hold = Hold::start(world);
            let refused = hold.refused("create tap0 host-ns a backend vhost-net");
            assert_eq!(refused.code, 7, "{}", refused.stderr);
            assert!(refused.stderr.contains("/dev/vhost-net"), "{}", refused.stderr);
            assert_eq!(world.links("a"), Vec::<String>::new());
        }
    });
}

#[test]
fn fifty_taps_live_together_and_numbers_are_not_used_again() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        let mut last = 0;
        for i in 0..50 {
            let tap = hold.one(&format!(
                "create tap host-ns a host-ip4-addr 10.9.{i}.1/24 respond 10.9.{i}.2/24"
            ));
            assert_eq!(tap["id"], i);
            assert!(number(&tap, "sw_if_index") > last, "{tap:#}");
            last = number(&tap, "sw_if_index");
        }
        world.ping_answered("a", "10.9.0.2");
        world.ping_answered("a", "10.9.49.2");
        assert_eq!(hold.one("delete tap tap3")["name"], "tap3");
        // The id is free again, the number is not.
        let tap = hold.one("create tap host-ns a");
        assert_eq!((&tap["id"], number(&tap, "sw_if_index")), (&3.into(), last + 1));
        assert_eq!(hold.one(&format!("delete tap sw_if_index {}", last + 1))["name"], "tap3");
        assert_eq!(hold.run("delete --all").len(), 49);
        assert_eq!(world.links("a"), Vec::<String>::new());
        hold.close();
    });
}

#[test]
fn a_gateway_outside_the_network_of_an_address_alone_is_reached_on_the_link() {
    live(|world| {
        world.netns("a");
        world.done(
            "create eth0 --netns a --ip4 192.0.2.5/32 --gw4 169.254.1.1 --respond 169.254.1.1/32",
        );
        let routes = world.ip_json("-n a route show default");
        assert_eq!(routes[0]["gateway"], "169.254.1.1", "{routes}");
        assert_eq!(routes[0]["flags"][0], "onlink", "{routes}");
        world.ping_answered("a", "169.254.1.1");
        // With a network, a gateway that is not in it is a slip.
        let (code, _, stderr) =
            world.run("create eth1 --netns a --ip4 198.51.100.5/24 --gw4 198.51.101.1");
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.contains("of prefix length 32 it is reached on the link"), "{stderr}");
    });
}

#[test]
fn a_tap_under_a_bridge_without_a_mac_of_its_own_leaves_it_the_one_that_it_has_20_times() {
    live(|world| {
        world.quiet_netns("a");
        world.ip("-n a link add name br0 type bridge");
        world.ip("-n a link add e0 type veth peer name e1");
        world.ip("-n a link set dev e0 address 52:54:00:00:00:01 master br0 up");
        let mac = || world.class_net("a", "br0", "address");
        assert_eq!(mac(), "52:54:00:00:00:01");
        for _ in 0..20 {
            world.done("create t0 --netns a --bridge br0");
            assert_eq!(mac(), "52:54:00:00:00:01");
            assert!(world.class_net("a", "t0", "address").starts_with("fe:fe:"));
            world.done("delete t0");
        }
        // One that is asked for is taken as it is.
        world.done("create t0 --netns a --bridge br0 --host-mac-addr 02:00:00:00:00:07");
        assert_eq!(world.class_net("a", "t0", "address"), "02:00:00:00:00:07");
    });
}
