//! The accounting that a reply must keep.

use serde_json::Value;
use taptool::counters::DROP_REASONS;

/// A number in a reply.
pub fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_else(|| panic!("no number `{key}' in {object}"))
}

/// Queue 0 of a direction (`rx_queues`, `tx_queues`).
pub fn queue<'a>(tap: &'a Value, direction: &str) -> &'a Value {
    &tap[direction][0]
}

/// A counter summed over an interface's queues of a direction.
pub fn sum(tap: &Value, direction: &str, counter: &str) -> u64 {
    tap[direction].as_array().unwrap().iter().map(|q| number(q, counter)).sum()
}

/// Drops of a queue: those after the frame was in the ring, or the others.
fn drops(queue: &Value, after_enqueue: bool) -> u64 {
    let all = queue["drops"].as_object().unwrap();
    let one = |(name, count): (&String, &Value)| {
        let row = DROP_REASONS.iter().find(|row| row.name == name.as_str());
        let row = row.unwrap_or_else(|| panic!("unknown drop reason {name}"));
        if row.after_enqueue == after_enqueue { count.as_u64().unwrap() } else { 0 }
    };
    all.iter().map(one).sum()
}

/// Every queue's ledger balances.
pub fn assert_ledger(taps: &[Value]) {
    for tap in taps {
        for q in tap["rx_queues"].as_array().unwrap() {
            let kept = number(q, "forwarded") + number(q, "consumed") + number(q, "held");
            let lost = drops(q, false) + drops(q, true);
            let came = number(q, "packets") + number(q, "copies");
            assert_eq!(came, kept + lost, "rx ledger of {}: {q:#}", tap["name"]);
        }
        for q in tap["tx_queues"].as_array().unwrap() {
            let enqueued = number(q, "enqueued");
            let offered = enqueued + drops(q, false);
            assert_eq!(number(q, "offered"), offered, "tx ledger of {}: {q:#}", tap["name"]);
            let used = number(q, "packets") + drops(q, true) + number(q, "in_flight");
            assert_eq!(enqueued, used, "tx ring ledger of {}: {q:#}", tap["name"]);
        }
    }
}

/// At rest nothing is under way, and what was handed on and made is what was offered.
pub fn at_rest(taps: &[Value]) -> bool {
    let total = |direction, counter| taps.iter().map(|t| sum(t, direction, counter)).sum::<u64>();
    total("rx_queues", "held") == 0
        && total("tx_queues", "in_flight") == 0
        && total("rx_queues", "forwarded")
            + total("tx_queues", "originated")
            + total("tx_queues", "segments")
            == total("tx_queues", "offered")
}

/// Packets and bytes of an interface as the Linux device must have counted them: our transmission
/// is its reception.
pub fn seen_by_us(tap: &Value) -> [u64; 4] {
    [
        sum(tap, "tx_queues", "packets"),
        sum(tap, "tx_queues", "bytes"),
        sum(tap, "rx_queues", "packets"),
        sum(tap, "rx_queues", "bytes"),
    ]
}

/// Received and sent packets and bytes of a link.
pub fn seen_by_host(link: &Value) -> [u64; 4] {
    let stats = &link["stats64"];
    [
        number(&stats["rx"], "packets"),
        number(&stats["rx"], "bytes"),
        number(&stats["tx"], "packets"),
        number(&stats["tx"], "bytes"),
    ]
}
