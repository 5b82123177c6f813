//! `respond`: our side answers ARP, ND and echo requests for its addresses.

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use crate::common::{Hold, World, assert_ledger, eventually, live, number, queue, sum};

/// Which lladdr the kernel of a namespace has for an address.
fn neighbour(world: &World, netns: &str, address: &str) -> String {
    let known = world.ip_json(&format!("-n {netns} neigh show {address}"));
    known[0]["lladdr"].as_str().unwrap_or_else(|| panic!("no neighbour: {known}")).to_owned()
}

#[test]
fn ipv4_echo_and_arp_are_answered_and_counted_both_ways_on_queue_0() {
    live(|world| {
        world.quiet_netns("foo");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        world.ping_answered("foo", "10.9.0.2");
        world.ping_answered("foo", "-s 1400 10.9.0.2");
        let tap = hold.tap("tap0");
        assert_eq!(neighbour(world, "foo", "10.9.0.2"), tap["mac_addr"].as_str().unwrap());
        // Ten requests and at least one ARP request, each with its answer; nothing else speaks.
        let (rx, tx) = (queue(&tap, "rx_queues"), queue(&tap, "tx_queues"));
        assert!(number(rx, "packets") >= 11, "{rx:#}");
        assert_eq!(number(rx, "consumed"), number(rx, "packets"), "{rx:#}");
        assert_eq!(number(tx, "originated"), number(rx, "packets"), "{tx:#}");
        assert!(number(rx, "bytes") > 5 * 1400, "{rx:#}");
        assert_eq!(tap["action"], "respond");
        assert_ledger(&[tap]);
        hold.close();
    });
}

#[test]
fn ipv6_echo_and_neighbour_solicitations_are_answered() {
    live(|world| {
        world.netns("foo");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip6-addr fd00:9::1/64 respond fd00:9::2/64");
        world.ping_answered("foo", "fd00:9::2");
        world.ping_answered("foo", "-s 1400 fd00:9::2");
        let tap = hold.tap("tap0");
        assert_eq!(neighbour(world, "foo", "fd00:9::2"), tap["mac_addr"].as_str().unwrap());
        assert!(sum(&tap, "tx_queues", "packets") >= 11, "{tap:#}");
        assert_ledger(&[tap]);
        hold.close();
    });
}

#[test]
fn an_echo_of_60000_bytes_is_answered_when_the_mtu_allows_it() {
    live(|world| {
        world.netns("foo");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-ns foo host-mtu-size 65521 host-ip4-addr 10.9.0.1/24 \
             host-ip6-addr fd00:9::1/64 respond 10.9.0.2/24 respond fd00:9::2/64",
        );
        world.ping_answered("foo", "-s 60000 10.9.0.2");
        world.ping_answered("foo", "-s 60000 fd00:9::2");
        let tap = hold.tap("tap0");
        assert!(sum(&tap, "rx_queues", "bytes") > 10 * 60_000, "{tap:#}");
        assert!(sum(&tap, "tx_queues", "bytes") > 10 * 60_000, "{tap:#}");
        assert_ledger(&[tap]);
        hold.close();
    });
}

#[test]
fn fragments_are_dropped_with_that_reason() {
    live(|world| {
        world.quiet_netns("foo");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        world.ping_answered("foo", "10.9.0.2");
        world.ping_unanswered("foo", "-s 60000 10.9.0.2");
        let rows = hold.run("show errors");
        let row = rows.iter().find(|r| r["reason"] == "fragment").expect("a row for fragments");
        assert_eq!((&row["name"], &row["direction"]), (&"tap0".into(), &"rx".into()));
        // 60008 bytes in pieces of 1480, twice.
        assert_eq!(number(row, "count"), 2 * 41);
        assert_ledger(&[hold.tap("tap0")]);
        hold.close();
    });
}

#[test]
fn several_addresses_answer_and_those_of_others_do_not() {
    live(|world| {
        world.quiet_netns("foo");
        let mut hold = Hold::start(world);
        hold.run(
            "create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24 \
             respond 10.9.0.7/24",
        );
        let tap = hold.tap("tap0");
        assert_eq!(tap["addresses"], serde_json::json!(["10.9.0.2/24", "10.9.0.7/24"]));
        world.ping_answered("foo", "10.9.0.2");
        world.ping_answered("foo", "10.9.0.7");
        world.ping_unanswered("foo", "10.9.0.3");
        hold.close();
    });
}

#[test]
fn without_its_last_address_an_interface_is_a_sink_and_answers_again_with_one() {
    live(|world| {
        world.quiet_netns("foo");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.9.0.1/24");
        assert_eq!(hold.tap("tap0")["action"], "sink");
        world.ping_unanswered("foo", "10.9.0.2");

        hold.run("set interface ip address tap0 10.9.0.2/24");
        assert_eq!(hold.tap("tap0")["action"], "respond");
        world.ping_answered("foo", "10.9.0.2");

        hold.run("set interface ip address del tap0 10.9.0.2/24");
        assert_eq!(hold.tap("tap0")["action"], "sink");
        let before = hold.tap("tap0");
        world.ping_unanswered("foo", "10.9.0.2");
        let after = hold.tap("tap0");
        let sent = |tap| sum(tap, "tx_queues", "packets");
        assert_eq!(sent(&after), sent(&before), "a sink sends nothing");
        let consumed = |tap| sum(tap, "rx_queues", "consumed");
        assert!(consumed(&after) > consumed(&before), "a sink consumes");

        hold.run("set interface ip address tap0 10.9.0.2/24");
        hold.run("set interface ip address tap0 10.9.0.4/24");
        hold.run("set interface ip address del tap0 all");
        let tap = hold.tap("tap0");
        assert_eq!((&tap["action"], &tap["addresses"]), (&"sink".into(), &serde_json::json!([])));
        hold.close();
    });
}

#[test]
fn addresses_are_kept_during_a_cross_connect_and_answer_after_l3() {
    live(|world| {
        world.quiet_netns("foo");
        world.quiet_netns("bar");
        let mut hold = Hold::start(world);
        hold.run("create tap0 host-ns foo host-ip4-addr 10.9.0.1/24 respond 10.9.0.2/24");
        hold.run("create tap1 host-ns bar");
        hold.run("xconnect tap0 tap1");
        let tap = hold.tap("tap0");
        assert_eq!(tap["action"], "xconnect tap1");
        assert_eq!(tap["addresses"], serde_json::json!(["10.9.0.2/24"]));
        world.ping_unanswered("foo", "10.9.0.2");
        hold.run("set interface l3 tap0");
        assert_eq!(hold.tap("tap0")["action"], "respond");
        world.ping_answered("foo", "10.9.0.2");
        hold.close();
    });
}

#[test]
fn what_nothing_takes_is_refused_as_a_host_refuses_it_and_what_is_for_others_is_lost_with_a_reason()
{
    live(|world| {
        world.netns("a");
        world.done(
            "create t0 --netns a --ip4 192.0.2.1/24 --gw4 192.0.2.2 --ip6 fd00::1/64 \
             --respond 192.0.2.2/24 --respond fd00::2/64",
        );
        // The kernel asks for our MAC before it sends, so that packets come to it.
        world.ping_answered("a", "192.0.2.2");
        world.ping_answered("a", "fd00::2");
        for [us, them] in [["192.0.2.1:0", "192.0.2.2:33434"], ["[fd00::1]:0", "[fd00::2]:33434"]] {
            world.inside("a", || {
                let socket = UdpSocket::bind(us).unwrap();
                socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
                socket.connect(them).unwrap();
                socket.send(b"x").unwrap();
                let refused = socket.recv(&mut [0; 1]).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "UDP to {them}");
                let refused = TcpStream::connect(them).unwrap_err();
                assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "TCP to {them}");
            });
        }
        assert_eq!(world.done("show errors"), "", "a refusal is an answer");
        world.inside("a", || {
            let socket = UdpSocket::bind("192.0.2.1:0").unwrap();
            socket.send_to(b"x", "198.51.100.1:9").unwrap();
        });
        eventually("it is counted", 60.0, || {
            world.done("show errors").contains("does not forward")
        });
        let found = world.run("doctor t0").1;
        assert!(found.contains("not_ours"), "{found}");
        assert!(found.contains("t0: 1 thing drops frames"), "{found}");
    });
}
