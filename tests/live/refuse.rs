//! What is not accepted is refused with its exit code, its word, and without a trace.

use std::collections::BTreeSet;

use taptool::sys::module;

use crate::common::{
    Hold, Kind, READS, Terminal, World, backend, kernel, live, one_shot, taptool, text,
};

/// Feeds `line` to a new holder, which must refuse it with `code`, name `word` and leave the links
/// of namespace `a` as they were.
fn refused(world: &World, line: &str, code: i32, word: &str) -> String {
    let before: BTreeSet<_> = world.links("a").into_iter().collect();
    let ended = Hold::start(world).refused(line);
    assert_eq!(ended.code, code, "exit code of `{line}'\n{}", ended.stderr);
    assert!(ended.stderr.contains(word), "`{line}' does not say `{word}':\n{}", ended.stderr);
    let after: BTreeSet<_> = world.links("a").into_iter().collect();
    assert_eq!(after, before, "links in a after `{line}'");
    ended.stderr
}

#[test]
fn wrong_values_are_usage_errors_that_name_the_value() {
    live(|world| {
        world.quiet_netns("a");
        world.ip("-n a link add br0 address 02:00:00:00:00:01 type bridge");
        let before = world.state();
        for (option, value) in [
            ("rx-ring-size", "300"),
            ("rx-ring-size", "32"),
            ("rx-ring-size", "65536"),
            ("tx-ring-size", "0"),
            ("tx-ring-size", "many"),
            ("id", "8192"),
            ("id", "x"),
            ("hw-addr", "01:00:5e:00:00:01"),
            ("hw-addr", "00:00:00:00:00:00"),
            ("host-mac-addr", "02:00:00:00:00"),
            ("host-mac-addr", "ff:ff:ff:ff:ff:ff"),
            ("host-mtu-size", "67"),
            ("host-mtu-size", "65522"),
            ("host-txqueuelen", "-1"),
            ("host-txqueuelen", "4294967296"),
            ("host-txqueuelen", "32768"),
            ("host-txqueuelen", "0"),
            ("id", "+3"),
            ("rx-ring-size", "+64"),
            ("host-mtu-size", "+1500"),
            ("num-rx-queues", "+1"),
            ("num-rx-queues", "257"),
            ("num-tx-queues", "65537"),
            ("owner", "+5"),
            ("host-ns", "pid:+1"),
            ("host-ip4-addr", "10.9.0.256/24"),
            ("host-ip4-addr", "10.9.0.1/33"),
            ("host-ip4-addr", "fd00::1/64"),
            ("host-ip6-addr", "10.9.0.1/24"),
            ("host-ip6-addr", "fd00::1/129"),
            ("host-ip4-gw", "10.9.0"),
            ("host-ip6-gw", "10.9.0.2"),
            ("respond", "10.9.0.2/40"),
            ("respond", "10.9.0.0/24"),
            ("respond", "10.9.0.255/24"),
            ("respond", "127.0.0.2/8"),
            ("respond", "0.1.2.3/8"),
            ("respond", "240.0.0.1/24"),
            ("respond", "::1/128"),
            ("host-ip6-addr", "::1/128"),
            ("host-ip6-addr", "ff02::5/64"),
            ("host-ip6-addr", "::/64"),
            ("host-ip4-addr", "224.0.0.1/24"),
            ("owner", "nobody-here"),
            ("group", "-2"),
            ("backend", "vhost-user"),
            ("if-name", "sixteen-letters-"),
            ("host-if-name", "a/b"),
            ("host-bridge", "all"),
            ("host-ns", "pid:0"),
            ("host-ns", "../a"),
        ] {
            // The namespace's own values stand alone.
            let netns = if option == "host-ns" { "" } else { "host-ns a " };
            let line = format!("create tap {netns}{option} {value}");
            refused(world, &line, 2, &format!("create tap: {option} {value}: "));
        }
        world.state().assert_same_as(&before, "after wrong values");
    });
}

#[test]
fn options_that_cannot_work_together_are_refused_before_anything_is_made() {
    live(|world| {
        world.netns("a");
        let before = world.state();
        let ip4 = "host-ip4-addr 10.9.0.1/24 host-ip4-gw";
        for (options, word) in [
            (format!("{ip4} 10.9.0.0"), "the network address of 10.9.0.0/24"),
            (format!("{ip4} 10.9.0.255"), "the broadcast address of 10.9.0.0/24"),
            ("host-ip6-addr fd00::1/64 host-ip6-gw ::1".into(), "loopback"),
            ("host-ip6-addr fd00::1/64 host-mtu-size 1279".into(), "host-mtu-size 1279"),
            (format!("{ip4} 10.9.0.2 host-down"), "host-down: a gateway needs the host side up"),
            (
                "hw-addr 02:fe:00:00:00:01 host-mac-addr 02:fe:00:00:00:01".into(),
                "hw-addr 02:fe:00:00:00:01: host-mac-addr is the same",
            ),
        ] {
            refused(world, &format!("create tap0 host-ns a {options}"), 2, word);
        }
        world.state().assert_same_as(&before, "after options that do not go together");
        // The next values are taken, and by the kernel too.
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a host-ip4-addr 10.9.0.0/31 host-ip4-gw 10.9.0.1");
        hold.run("create tap1 host-ns a host-ip6-addr fd00::1/64 host-mtu-size 1280");
        hold.run("create tap2 host-ns a host-ip4-addr 10.8.0.255/24 host-mtu-size 1279");
        hold.close();
    });
}

#[test]
fn an_address_where_ipv6_is_switched_off_fails_and_names_the_sysctl() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        let said =
            refused(world, "create tap0 host-ns a host-ip6-addr fd00::1/64", 1, "fd00::1/64");
        assert!(said.contains("net.ipv6.conf.default.disable_ipv6"), "{said}");
        if kernel() >= (6, 6) {
            assert!(said.contains("IPv6 is disabled on this device"), "{said}");
        }
        world.state().assert_same_as(&before, "after an IPv6 address without IPv6");
    });
}

#[test]
fn words_that_are_no_command_option_or_name_are_usage_errors() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        for (line, word) in [
            ("create tap tap0 host-ns a gsoo", "unknown input `gsoo'"),
            ("create tap tap0 host-ns a tap1", "tap1"),
            ("create tap tap0 host-ns", "host-ns"),
            ("create tap tap0 host-ns a --wibble", "--wibble"),
            ("create tap sixteen-letters- host-ns a", "sixteen-letters-"),
            ("frobnicate tap0", "frobnicate"),
            ("delete", "delete"),
            ("wait soon", "soon"),
            ("create tap0 host-ns a host-bridge br0 host-ip4-addr 10.9.0.1/24", "bridge"),
            ("create tap0 host-ns a host-bridge br0 host-ip6-gw fd00::1", "bridge"),
        ] {
            refused(world, line, 2, word);
        }
        world.state().assert_same_as(&before, "after words that mean nothing");
    });
}

#[test]
fn what_this_version_lacks_is_refused_and_not_ignored() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        for option in ["gro-coalesce", "packed", "in-order"] {
            let line = format!("create tap id 4 host-ns a {option}");
            refused(world, &line, 2, "not supported in this version");
        }
        let several = "create tap id 4 host-ns a in-order packed";
        refused(world, several, 2, "packed, in-order: not supported in this version");
        world.state().assert_same_as(&before, "after what this version lacks");
    });
}

#[test]
fn an_unknown_namespace_bridge_or_interface_is_not_found() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        world.ip("-n b link add br0 type bridge");
        let before = world.state();
        refused(world, "create tap0 host-ns nowhere", 3, "nowhere");
        refused(world, "create tap0 host-ns /run/netns/nowhere", 3, "nowhere");
        refused(world, "create tap0 host-ns pid:4194305", 3, "4194305");
        for (netns, ip) in [("a", "ip -n a"), ("/run/netns/a", "nsenter --net=/run/netns/a ip")] {
            let line = format!("create tap0 host-ns {netns} host-bridge br0");
            let said = refused(world, &line, 3, "host-bridge br0: no such bridge");
            let hint = format!("\n  make it with `{ip} link add name br0 type bridge'\n");
            assert!(said.contains(&hint), "{said}");
        }
        for (line, word) in [
            ("delete tap9", "delete: tap9: no such interface"),
            ("gso tap9 on", "gso: tap9: no such interface"),
            ("show tap tap9", "show tap: tap9: no such interface"),
            ("set interface state tap9 up", "set interface state: tap9: no such interface"),
            ("delete tap sw_if_index 99", "delete tap: sw_if_index 99: no such interface"),
        ] {
            refused(world, line, 3, word);
        }
        world.state().assert_same_as(&before, "after unknown objects");
    });
}

#[test]
fn a_file_that_is_no_network_namespace_is_refused() {
    live(|world| {
        world.quiet_netns("a");
        // Opening a FIFO waits for a writer, if one does not take care.
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("net");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let before = world.state();
        for path in ["/proc/self/ns/mnt", "/dev/null", "/etc", fifo.to_str().unwrap()] {
            let ended = Hold::start(world).refused(&format!("create tap0 host-ns {path}"));
            assert_eq!(ended.code, 2, "{}", ended.stderr);
            assert!(ended.stderr.contains(path), "{}", ended.stderr);
        }
        world.state().assert_same_as(&before, "after files that are no network namespace");
    });
}

#[test]
fn a_name_taken_in_the_target_namespace_is_refused_and_changes_nothing() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        world.ip("-n a link add tap0 address 02:00:00:00:00:01 type bridge");
        let before = world.state();
        let line = "create tap0 host-ns a host-ip4-addr 10.9.0.1/24 host-mtu-size 9000";
        refused(world, line, 4, "tap0");
        refused(world, "create tap x0 host-if-name tap0 host-ns a", 4, "tap0");
        world.state().assert_same_as(&before, "after a taken name");
        // Elsewhere the name is free.
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns b");
        hold.close();
    });
}

#[test]
fn a_persistent_tap_of_that_name_is_refused_and_stays_as_it_was() {
    live(|world| {
        world.quiet_netns("a");
        // In the own namespace a device is born in place, where its name meets the stranger's.
        for place in ["", "-n a "] {
            world.ip(&format!("{place}tuntap add dev tap7 mode tap user 1234"));
            world.ip(&format!("{place}link set dev tap7 address 02:00:00:00:00:07"));
            world.ip(&format!("{place}addr add 10.1.0.1/24 dev tap7"));
        }
        let before = world.state();
        for netns in ["", "host-ns a"] {
            let line = format!("create tap7 {netns} host-ip4-addr 10.9.0.1/24");
            let ended = Hold::start(world).refused(&line);
            assert_eq!(ended.code, 4, "{line}: {}", ended.stderr);
            assert!(ended.stderr.contains("tap7"), "{}", ended.stderr);
            world.state().assert_same_as(&before, &line);
        }
    });
}

#[test]
fn the_name_of_a_sub_interface_is_not_its_parents() {
    live(|world| {
        world.quiet_netns("a");
        for line in ["delete tap tap0.10", "gso tap0.10 off", "show tap tap0.10"] {
            let mut hold = Hold::start(world);
            hold.run("create tap0 host-ns a");
            let ended = hold.refused(line);
            assert_eq!(ended.code, 3, "{line}: {}", ended.stderr);
            assert!(ended.stderr.contains("tap0.10: no such interface"), "{}", ended.stderr);
        }
    });
}

#[test]
fn a_create_that_does_not_fit_the_memory_is_refused_with_the_limit_and_undone() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        let script = tempfile::NamedTempFile::new().unwrap();
        let text = format!(
            "create tap0 host-ns a rx-ring-size 64 tx-ring-size 64 backend {0}\n\
             create tap1 host-ns a rx-ring-size 32768 tx-ring-size 32768 backend {0}\n",
            backend()
        );
        std::fs::write(script.path(), text).unwrap();
        let line = format!("hold --memory 16M --exec {}", script.path().display());
        let (code, stdout, stderr) = one_shot(world, &line);
        assert_eq!((code, stdout.as_str()), (1, "tap0\n"), "{stderr}");
        assert!(stderr.contains("memory of 16 MiB") && stderr.contains("--memory"), "{stderr}");
        world.state().assert_same_as(&before, "after a create that does not fit");
    });
}

#[test]
fn two_interfaces_of_one_name_or_id_are_refused_and_the_cure_is_told() {
    live(|world| {
        world.quiet_netns("a");
        world.quiet_netns("b");
        for (first, second) in [
            ("create tap eth0 host-ns a", "create tap eth0 host-ns b"),
            ("create tap id 3 host-ns a", "create tap id 3 host-ns b if-name other"),
        ] {
            let mut hold = Hold::start(world);
            hold.run(first);
            let ended = hold.refused(second);
            assert_eq!(ended.code, 4, "{second}: {}", ended.stderr);
            if first.contains("eth0") {
                assert!(ended.stderr.contains("host-if-name eth0"), "{}", ended.stderr);
            }
            assert_eq!((world.links("a"), world.links("b")), (vec![], vec![]));
        }
    });
}

#[test]
fn what_the_kernel_refuses_late_is_undone_whole() {
    live(|world| {
        world.quiet_netns("a");
        world.ip("-n a link add up0 type veth peer name up1");
        world.ip("-n a addr add 10.1.0.1/24 dev up0");
        world.ip("-n a link set up1 up");
        world.ip("-n a link set up0 up");
        let stateful = || world.state();
        let before = stateful();
        // A gateway that no address of the host side reaches is no gateway.
        let line = "create tap0 host-ns a host-ip4-addr 10.9.0.1/24 host-ip4-gw 10.77.0.1";
        let ended = Hold::start(world).refused(line);
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("10.77.0.1"), "{}", ended.stderr);
        stateful().assert_same_as(&before, "after a gateway that cannot be reached");
        // A default route that exists is not replaced.
        world.ip("-n a route add default via 10.1.0.2");
        let before = stateful();
        let line = "create tap0 host-ns a host-ip4-addr 10.9.0.1/24 host-ip4-gw 10.9.0.2";
        let ended = Hold::start(world).refused(line);
        assert_eq!(ended.code, 4, "{}", ended.stderr);
        let hint = "see it with `ip -n a -4 route show default'\n";
        assert!(ended.stderr.ends_with(hint), "{}", ended.stderr);
        stateful().assert_same_as(&before, "after a second default route");
        let (code, _, stderr) = one_shot(world, &format!("{line} dry-run"));
        assert_eq!(code, 4, "{stderr}");
        assert!(stderr.contains("there is a default route already"), "{stderr}");
        // Something that is there but is no bridge.
        let ended = Hold::start(world).refused("create tap0 host-ns a host-bridge up0");
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("up0"), "{}", ended.stderr);
        stateful().assert_same_as(&before, "after a bridge that is none");
    });
}

#[test]
fn an_interface_is_not_connected_to_itself_and_switches_are_on_or_off() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        for line in [
            "xconnect tap0 tap0",
            "set interface l2 xconnect tap0 tap0",
            "gso tap0 maybe",
            "set interface state tap0 sideways",
            "set interface ip address tap0 10.9.0.300/24",
            "set interface ip address tap0 10.9.0.255/24",
            "set interface ip address tap0 127.0.0.1/8",
        ] {
            let mut hold = Hold::start(world);
            hold.run("create tap0 host-ns a");
            let ended = hold.refused(line);
            assert_eq!(ended.code, 2, "{line}: {}", ended.stderr);
            assert_eq!(world.links("a"), Vec::<String>::new(), "after `{line}'");
        }
        world.state().assert_same_as(&before, "after wires to oneself and half switches");
    });
}

#[test]
fn without_a_holder_there_are_no_interfaces() {
    live(|world| {
        world.quiet_netns("a");
        let before = world.state();
        assert_eq!(one_shot(world, "show"), (0, String::new(), String::new()));
        assert_eq!(one_shot(world, "-j show tap"), (0, "[]\n".into(), String::new()));
        assert_eq!(one_shot(world, "delete --all").0, 0);
        assert_eq!(one_shot(world, "delete tap0").0, 3);
        assert_eq!(one_shot(world, "show tap tap0").0, 3);
        world.state().assert_same_as(&before, "without a holder");
    });
}

#[test]
fn a_dry_run_sets_mtu_and_addresses_before_up_and_routes_last() {
    live(|world| {
        world.quiet_netns("a");
        let line = "-j create tap0 --netns a --gw4 10.9.0.2 --mtu 9000 --ip4 10.9.0.1/24 \
                    --backend userspace --dry-run";
        let (code, stdout, stderr) = one_shot(world, line);
        assert_eq!(code, 0, "{stderr}");
        let steps: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let texts: Vec<_> =
            steps.as_array().unwrap().iter().map(|s| s["step"].as_str().unwrap()).collect();
        let at = |words: &str| {
            let found = texts.iter().position(|text| text.starts_with(words));
            found.unwrap_or_else(|| panic!("no step `{words}' in {texts:#?}"))
        };
        let order = [
            at("move tap0 to namespace a"),
            at("set MTU 9000"),
            at("add address 10.9.0.1/24"),
            at("set tap0 up"),
            at("add a default route via 10.9.0.2 dev tap0"),
        ];
        assert!(order.is_sorted(), "{texts:#?}");
    });
}

#[test]
fn the_longest_queue_that_is_accepted_is_one_that_the_kernel_makes() {
    live(|world| {
        world.quiet_netns("a");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns a host-txqueuelen 32767");
        assert_eq!(hold.tap("tap0")["qlen"], 32_767);
        hold.close();
    });
}

#[test]
fn a_dry_run_is_refused_where_the_create_would_be_and_says_what_is_not_permitted() {
    live(|world| {
        world.quiet_netns("a");
        // Files that this test can take away.
        let line = |dev: &str, who: &str, backend: &str| {
            let run = format!(
                "mount -t tmpfs -o mode=0755 net /dev/net; {dev} exec {who} {} create tap0 \
                 --netns a --backend {backend} --dry-run",
                taptool().display()
            );
            let out = world.start(&format!("unshare --mount sh -euc '{run}'")).output(20.0);
            (out.status.code(), text(&out.stdout), text(&out.stderr))
        };
        let (code, out, err) = line("", "", "userspace");
        assert_eq!((code, out.as_str()), (Some(7), ""), "{err}");
        assert!(err.contains("open /dev/net/tun: No such file or directory (ENOENT)"), "{err}");
        let node = "mknod -m 0600 /dev/net/tun c 10 200;";
        let (code, out, err) = line(node, "", "userspace");
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        // A /dev with nothing else in it.
        let empty = "mount -t tmpfs -o mode=0755 dev /dev; mkdir /dev/net; \
                     mknod -m 0666 /dev/null c 1 3; mknod -m 0600 /dev/net/tun c 10 200;";
        let (code, out, err) = line(empty, "", "vhost-net");
        assert_eq!((code, out.as_str()), (Some(7), ""), "{err}");
        assert!(err.contains("open /dev/vhost-net: No such file or directory (ENOENT)"), "{err}");
        assert!(err.contains("use `backend userspace'"), "{err}");
        // Nobody is told to load a module that is nowhere.
        let driver = module::driver("vhost-net", "vhost_net");
        assert_eq!(err.contains("modprobe"), driver == module::Driver::Loadable, "{err}");
        let other = format!("{empty} mknod -m 0600 /dev/vhost-net c 1 3;");
        let (code, out, err) = line(&other, "", "vhost-net");
        assert_eq!((code, out.as_str()), (Some(7), ""), "{err}");
        assert!(err.contains("ioctl(VHOST_SET_OWNER) on /dev/vhost-net: "), "{err}");
        assert!(err.contains("is not the device of vhost_net"), "{err}");
    });
}

#[test]
fn a_vhost_net_file_that_is_another_is_claimed_neither_by_the_banner_nor_by_doctor_nor_by_auto() {
    live(|world| {
        world.quiet_netns("a");
        // A /dev of this test's own, in which the file is another driver's, or no driver's.
        let aside = world.dir().join("pts");
        world.must(&format!(
            "sh -euc 'mkdir {aside}; mount --rbind /dev/pts {aside}; \
             mount -t tmpfs -o mode=0755 dev /dev; mkdir /dev/net /dev/pts; \
             mount --rbind {aside} /dev/pts; umount -l {aside}; ln -s pts/ptmx /dev/ptmx; \
             mknod -m 0666 /dev/null c 1 3; mknod -m 0666 /dev/tty c 5 0; \
             mknod -m 0600 /dev/net/tun c 10 200'",
            aside = aside.display()
        ));
        for file in ["mknod -m 0600 /dev/vhost-net c 1 3", "touch /dev/vhost-net"] {
            world.must("rm -f /dev/vhost-net");
            world.must(file);
            let run = |args: &str| format!("{} {args}", world.taptool());
            let mut terminal = Terminal::open(world, "--private", Kind::default());
            let banner = terminal.wait(READS);
            assert!(banner.contains("owner, private, backend userspace\n"), "{file}: {banner}");
            terminal.quit();
            let doctor = world.start(&run("doctor")).output(60.0);
            let report = text(&doctor.stdout);
            let summary = report.lines().last().unwrap_or_default();
            assert!(summary.ends_with("on userspace"), "{file}: {report}");
            assert!(report.contains("/dev/vhost-net: "), "{file}: {report}");
            let dry_run = world.start(&run("create tap0 --netns a --dry-run")).output(60.0);
            let notes = text(&dry_run.stderr);
            assert_eq!(dry_run.status.code(), Some(0), "{file}: {notes}");
            assert!(notes.contains("/dev/vhost-net") && notes.contains("userspace"), "{notes}");
        }
    });
}

#[test]
fn dry_run_tells_the_steps_and_takes_none() {
    live(|world| {
        world.quiet_netns("a");
        world.ip("-n a link add br0 address 02:00:00:00:00:01 type bridge");
        let before = world.state();
        let line = "create tap0 host-ns a host-mtu-size 9000 host-mac-addr 02:00:00:00:00:0b \
                    hw-addr 02:fe:00:00:00:0c host-bridge br0 owner 1001 group 1002 dry-run";
        let mut hold = Hold::start(world);
        let steps = hold.run(line);
        assert!(
            steps.iter().all(|s| s["step"].is_string() && s.get("undo").is_some()),
            "{steps:#?}"
        );
        let all: String =
            steps.iter().map(|s| s["step"].as_str().unwrap().to_owned() + "\n").collect();
        for word in [
            "tap0",
            "9000",
            "02:00:00:00:00:0b",
            "br0",
            "make tap tap0 with owner 1001, group 1002\n",
            "show tap0 as an interface with MAC 02:fe:00:00:00:0c\n",
        ] {
            assert!(all.contains(word), "no step says {word}:\n{all}");
        }
        world.state().assert_same_as(&before, "after dry-run");
        assert!(hold.run("show tap").is_empty());
        // The words hold for the real thing, and dry-run checks what it would.
        hold.run(line.strip_suffix(" dry-run").unwrap());
        let ended = hold.refused("create tap0 host-ns a dry-run");
        assert_eq!(ended.code, 4, "{}", ended.stderr);
        world.state().assert_same_as(&before, "at the end");

        let (code, stdout, stderr) =
            one_shot(world, "-j create tap0 --netns a --mtu 9000 --dry-run");
        assert_eq!((code, stdout.contains("9000")), (0, true), "{stdout}{stderr}");
        world.state().assert_same_as(&before, "after a one-shot dry-run");
    });
}
