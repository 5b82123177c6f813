//! Requests to the kernel that cannot be sent.

use std::fs;

use serde_json::{Value, json};

use crate::common::{World, backend, eventually, has_hooks, live};

/// Host options that are a request each, beside those that every create makes.
const OPTIONS: &str = "--netns a --host-mac-addr 02:00:00:00:00:07 --mtu 1400 --host-txqueuelen 77 \
    --ip4 10.9.0.1/24 --ip4 10.8.0.1/24 --ip6 fd00::1/64 --gw4 10.9.0.2 --gw6 fd00::2";

/// What those requests do, as a failure names it.
const REQUESTS: [&str; 9] = [
    "move into the namespace",
    "set MAC address 02:00:00:00:00:07",
    "set MTU 1400",
    "set txqueuelen 77",
    "add address 10.9.0.1/24",
    "add address fd00::1/64",
    "set up",
    "add default route via 10.9.0.2",
    "add default route via fd00::2",
];

/// What the requests have made, as `ip` says it.
fn host_side(world: &World) -> Value {
    let all = world.ip_json("-n a addr show dev tap0");
    let link = &all[0];
    let addresses: Vec<String> = link["addr_info"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|address| address["scope"] == "global")
        .map(|address| format!("{}/{}", address["local"].as_str().unwrap(), address["prefixlen"]))
        .collect();
    let gateways = ["-4", "-6"].map(|family| {
        let routes = world.ip_json(&format!("-n a {family} route show default dev tap0"));
        routes[0]["gateway"].clone()
    });
    let up = link["flags"].as_array().unwrap().iter().any(|flag| flag == "UP");
    json!([link["address"], link["mtu"], link["txqlen"], up, addresses, gateways])
}

#[test]
fn a_create_one_of_whose_requests_cannot_be_sent_fails_and_leaves_nothing() {
    if !has_hooks() {
        return;
    }
    live(|world| {
        world.netns("a");
        let number = world.dir().join("number");
        world.must(&format!(
            "env TAPTOOL_TEST_UNSENT={} {} -q create keep --netns a --backend {}",
            number.display(),
            world.taptool(),
            backend()
        ));
        let holder = world.holders()[0];
        let count = |what| fs::read_dir(format!("/proc/{holder}/{what}")).unwrap().count();
        let create = format!("-q create tap0 {OPTIONS}");
        // The first create may leave what stays.
        world.done(&create);
        world.done("delete tap0");
        let (machine, files) = (world.state(), count("fd"));
        let mut refused = Vec::new();
        loop {
            let request = refused.len() + 1;
            fs::write(&number, request.to_string()).unwrap();
            let (code, stdout, stderr) = world.run(&create);
            if number.exists() {
                // It has made fewer.
                assert_eq!((code, stderr.as_str()), (0, ""));
                fs::remove_file(&number).unwrap();
                break;
            }
            assert_eq!((code, stdout.as_str()), (1, ""), "request {request}: {stderr}");
            assert!(!stderr.contains("not undone"), "request {request}: {stderr}");
            let shown = world.objects("show");
            assert!(
                shown.len() == 1 && shown[0]["name"] == "keep",
                "request {request}: {shown:#?}"
            );
            world.state().assert_same_as(&machine, &format!("request {request}: {stderr}"));
            eventually("no file is left", 10.0, || count("fd") == files);
            refused.push(stderr);
        }
        for what in REQUESTS {
            let is_of = |said: &String| said.starts_with(&format!("create: tap0: {what}: "));
            assert!(refused.iter().any(is_of), "{what}: {refused:#?}");
        }
        let whole = json!([
            "02:00:00:00:00:07",
            1400,
            77,
            true,
            ["10.9.0.1/24", "10.8.0.1/24", "fd00::1/64"],
            ["10.9.0.2", "fd00::2"]
        ]);
        assert_eq!(host_side(world), whole);
        assert_eq!(world.holders(), [holder]);
        world.done("delete --all");
        world.nothing_left();
    });
}
