//! Layouts of ours on terminals of 40, 80 and 200 columns.

use std::time::Duration;

use serde_json::Value;

use super::{tap0, wired};
use crate::api::{Interface, Reply, View};
use crate::render::{rates_json, rates_text, text};

const COLUMNS: [usize; 3] = [40, 80, 200];

fn all() -> Vec<Interface> {
    let plain = Interface { host_if_name: "eth0".into(), ..wired() };
    vec![tap0(), plain]
}

#[track_caller]
fn check(shown: &dyn Fn(Option<usize>) -> String, narrow: &str, wide: &str) {
    for (columns, expected) in COLUMNS.into_iter().zip([narrow, wide, wide]) {
        let found = shown(Some(columns));
        assert_eq!(found, expected, "{columns} columns\n{found}");
        assert!(found.lines().all(|line| line.chars().count() <= columns), "{found}");
    }
    assert_eq!(shown(None), wide);
}

#[test]
fn show_is_a_list_on_40_columns_and_a_table_on_80_and_200() {
    check(
        &|columns| text(&Reply::Interfaces(all(), View::Overview), columns),
        "  queue    packets        bytes   drops
tap0  up  vhost-net
  blue:vt0
  respond
  rx 0          10          980       1
  tx 0           9          882       2
abcdefghijklmno  host-gone  userspace
  eth0
  xconnect ABCDEFGHIJKLMNO
  rx 0  12345678901            0       0
  tx 0           0            0       0
",
        "Interface        Host side    Backend    State      Action
  queue              packets      bytes      drops
tap0             blue:vt0     vhost-net  up         respond
  rx 0                    10        980          1
  tx 0                     9        882          2
abcdefghijklmno  eth0         userspace  host-gone  xconnect ABCDEFGHIJKLMNO
  rx 0           12345678901          0          0
  tx 0                     0          0          0
",
    );
}

#[test]
fn rates_stand_under_their_interface_on_40_columns_and_beside_it_on_80_and_200() {
    let (before, now) =
        (Reply::Interfaces(Vec::new(), View::Overview), Reply::Interfaces(all(), View::Overview));
    check(
        &|columns| rates_text(&before, &now, Duration::from_secs(2), columns),
        "  queue  packets/s     bit/s   drops/s
tap0
  rx 0         5.0    3.92 k       0.5
  tx 0         4.5    3.53 k       1.0
abcdefghijklmno
  rx 0      6.17 G         0         0
  tx 0           0         0         0
",
        "Interface        queue      packets/s         bit/s       drops/s
tap0             rx 0             5.0        3.92 k           0.5
tap0             tx 0             4.5        3.53 k           1.0
abcdefghijklmno  rx 0          6.17 G             0             0
abcdefghijklmno  tx 0               0             0             0
",
    );
}

/// `tap0`, of whose frames the host has dropped some.
fn lossy() -> Interface {
    Interface { host_tx_dropped: 41, ..tap0() }
}

#[test]
fn what_the_host_dropped_is_a_rate_of_the_interface() {
    let reply = |all| Reply::Interfaces(all, View::Overview);
    let (before, now) = (reply(Vec::new()), reply(vec![lossy()]));
    check(
        &|columns| rates_text(&before, &now, Duration::from_secs(2), columns),
        "  queue  packets/s     bit/s   drops/s
tap0
  rx 0         5.0    3.92 k       0.5
  tx 0         4.5    3.53 k       1.0
  host                              20
",
        "Interface        queue      packets/s         bit/s       drops/s
tap0             rx 0             5.0        3.92 k           0.5
tap0             tx 0             4.5        3.53 k           1.0
tap0             host                                          20
",
    );
    let later = rates_text(&now, &now, Duration::from_secs(2), None);
    assert!(later.lines().any(|line| line.split_whitespace().eq(["tap0", "host", "0"])), "{later}");
}

#[test]
fn rates_as_json_are_an_object_for_each_queue() {
    let (before, now) = (
        Reply::Interfaces(Vec::new(), View::Overview),
        Reply::Interfaces(vec![lossy()], View::Overview),
    );
    let json = rates_json(&before, &now, Duration::from_secs(2), false);
    let all: Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!([
        { "name": "tap0", "direction": "rx", "queue": 0,
          "packets_per_second": 5.0, "bytes_per_second": 490.0, "drops_per_second": 0.5,
          "host_tx_dropped_per_second": 20.5 },
        { "name": "tap0", "direction": "tx", "queue": 0,
          "packets_per_second": 4.5, "bytes_per_second": 441.0, "drops_per_second": 1.0,
          "host_tx_dropped_per_second": 20.5 },
    ]);
    assert_eq!(all, expected);
}
