//! What is there as a script, and the script as what was there.

use std::fs;

use crate::common::{assert_ledger, live};

/// Everything that a script of this version can say.
const LINES: &[&str] = &[
    "create tap id 0 host-ns a host-if-name va host-ip4-addr 10.8.0.1/24 host-ip6-addr fd08::1/64 rx-ring-size 512 gso",
    "create wb host-ns b host-ip4-addr 10.8.0.2/24 host-ip4-gw 10.8.0.9 num-rx-queues 2 host-txqueuelen 77",
    "create id 7 if-name up host-ns a host-down",
    "create tun tun3 host-ns b",
    "create t9 host-ns b respond 10.7.0.9/24",
    "create t8 host-ns b csum-offload",
    "set interface name tap0 wa",
    "set interface ip address t9 fd07::9/64",
    "set interface secondary-mac-address up 02:fe:00:00:00:77 add",
    "set interface promiscuous on up",
    "set interface mtu 1400 wb",
    "set interface mtu ip6 1300 wb",
    "set interface tag t9 '#7'",
    "set tap speed t9 2500",
    "set tap host-mtu up 9000",
    "set tap gso wb",
    "xconnect wa wb delay 5ms jitter 1ms loss 0.5% seed 3 link-state on",
    "xconnect t9 t8 link-state on",
    "set interface l2 xconnect t9 t8 delay 1ms",
    "set interface l2 xconnect up t8",
    "set tap carrier up down",
    "set interface state tun3 down",
];

#[test]
fn what_was_saved_makes_the_same_again() {
    live(|world| {
        world.netns("a");
        world.netns("b");
        let (script, saved) = (world.dir().join("script"), world.dir().join("saved.conf"));
        fs::write(&script, LINES.join("\n")).unwrap();
        world.done(&format!("-q exec {}", script.display()));
        assert_eq!(world.done(&format!("save {}", saved.display())), "");
        let text = fs::read_to_string(&saved).unwrap();
        assert_eq!(world.done("show running-config"), text);
        assert_eq!(world.done("save"), text);
        for line in [
            "create tun tun3 host-ns b\n",
            "xconnect wa wb delay 5ms jitter 1ms loss 0.5% seed 3 link-state on\n",
            "set interface l2 xconnect up t8\n",
            "set interface tag t9 '#7'\n",
            "set interface state tun3 down\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
        let tap = |name: &str| world.objects(&format!("show tap {name}")).remove(0);
        let keys =
            ["mac_addr", "id", "impairment", "link_state", "addresses", "tag", "gso", "carrier"];
        let facts = || ["wa", "wb", "t9", "up"].map(|name| keys.map(|key| tap(name)[key].clone()));
        let before = facts();

        world.done("delete --all");
        world.done(&format!("-q exec {}", saved.display()));
        assert_eq!(world.done("save"), text, "the same text");
        assert_eq!(facts(), before);
        world.ping_answered("a", "10.8.0.2");
        assert_ledger(&world.objects("show tap"));
        world.done("delete --all");
        assert_eq!(world.done("save"), "", "nothing is there");
    });
}
