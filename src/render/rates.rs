//! What queues move per second, from two looks at them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{Interface, Queue, Reply, View};
use crate::counters::Counter;

/// One queue between two looks, per second.
struct Rate<'a> {
    name: &'a str,
    direction: &'static str,
    queue: &'a Queue,
    packets: f64,
    bytes: f64,
    drops: f64,
    /// What the host dropped of the interface before there was anything to read; none where it never
    /// did.
    by_the_host: Option<f64>,
}

/// The interfaces of a reply whose queues can be compared.
fn interfaces(reply: &Reply) -> Option<&[Interface]> {
    match reply {
        Reply::Interfaces(all, View::Overview | View::Tap | View::Counters) => Some(all),
        _ => None,
    }
}

/// Whether rates can be told of such replies.
pub fn has_rates(reply: &Reply) -> bool {
    interfaces(reply).is_some()
}

fn rates<'a>(before: &'a Reply, now: &'a Reply, elapsed: Duration) -> Vec<Rate<'a>> {
    let (Some(before), Some(now)) = (interfaces(before), interfaces(now)) else {
        return Vec::new();
    };
    let seconds = elapsed.as_secs_f64().max(1e-6);
    let mut all = Vec::new();
    for interface in now {
        // One that was not there before began with nothing.
        let was = before.iter().find(|was| was.sw_if_index == interface.sw_if_index);
        let sides = [
            ("rx", &interface.rx_queues, was.map(|was| &was.rx_queues)),
            ("tx", &interface.tx_queues, was.map(|was| &was.tx_queues)),
        ];
        let per_second = |then: u64, now: u64| {
            // Cleared in between: all of it came since.
            let new = now.checked_sub(then).unwrap_or(now);
            #[expect(clippy::cast_precision_loss, reason = "rates are rounded anyway")]
            let new = new as f64;
            new / seconds
        };
        let (then, dropped) = (was.map_or(0, |was| was.host_tx_dropped), interface.host_tx_dropped);
        let by_the_host = (dropped > 0).then(|| per_second(then, dropped));
        for (direction, queues, were) in sides {
            for queue in queues {
                let was = were.and_then(|were| were.iter().find(|was| was.id == queue.id));
                let per_second =
                    |count: &dyn Fn(&Queue) -> u64| per_second(was.map_or(0, count), count(queue));
                all.push(Rate {
                    name: interface.name.as_str(),
                    direction,
                    queue,
                    packets: per_second(&|queue| queue.counters.get(Counter::Packets)),
                    bytes: per_second(&|queue| queue.counters.get(Counter::Bytes)),
                    drops: per_second(&|queue| queue.counters.lost_in_all()),
                    by_the_host,
                });
            }
        }
    }
    all
}

/// Columns that a table of rates takes where there is room.
const WIDE: usize = 65;

/// Rates as a table, a line for each queue, and one for what the host dropped; one that fits 40 columns, where there are no more than
/// `columns`.
pub fn rates_text(
    before: &Reply,
    now: &Reply,
    elapsed: Duration,
    columns: Option<usize>,
) -> String {
    let rows = rates(before, now, elapsed);
    if rows.is_empty() {
        return String::new();
    }
    let narrow = columns.is_some_and(|columns| columns < WIDE);
    // Where there is no room, a name stands above its queues.
    let line = |name: &str, [queue, packets, bits, drops]: [&str; 4]| match narrow {
        true => format!("  {queue:<6}{packets:>10}{bits:>10}{drops:>10}\n"),
        false => format!("{name:<15}  {queue:<6}{packets:>14}{bits:>14}{drops:>14}\n"),
    };
    let mut text = line("Interface", ["queue", "packets/s", "bit/s", "drops/s"]);
    for of_one in rows.chunk_by(|a, b| a.name == b.name) {
        if narrow {
            text.extend(of_one.first().map(|rate| format!("{}\n", rate.name)));
        }
        for rate in of_one {
            let queue = format!("{} {}", rate.direction, rate.queue.id);
            let (packets, bits, drops) =
                (short(rate.packets), short(rate.bytes * 8.0), short(rate.drops));
            text.push_str(&line(rate.name, [&queue, &packets, &bits, &drops]));
        }
        let by_the_host = of_one.first().and_then(|rate| Some((rate.name, rate.by_the_host?)));
        text.extend(by_the_host.map(|(name, drops)| line(name, ["host", "", "", &short(drops)])));
    }
    text
}

/// Rates as an array of objects, on one line or on several.
pub fn rates_json(before: &Reply, now: &Reply, elapsed: Duration, pretty: bool) -> String {
    let object = |rate: &Rate<'_>| {
        json!({
            "name": rate.name,
            "direction": rate.direction,
            "queue": rate.queue.id,
            "packets_per_second": rate.packets,
            "bytes_per_second": rate.bytes,
            "drops_per_second": rate.drops,
            "host_tx_dropped_per_second": rate.by_the_host.unwrap_or(0.0),
        })
    };
    let array = Value::Array(rates(before, now, elapsed).iter().map(object).collect());
    if pretty { format!("{array:#}\n") } else { format!("{array}\n") }
}

/// `0`, `12.3`, `4.56 M`: three digits that count.
fn short(number: f64) -> String {
    let (mut number, mut unit) = (number, "");
    for larger in ["k", "M", "G", "T"] {
        if number < 999.5 {
            break;
        }
        number /= 1000.0;
        unit = larger;
    }
    let digits = if number < 0.05 || (unit.is_empty() && number >= 9.95) || number >= 99.95 {
        0
    } else if number >= 9.95 || unit.is_empty() {
        1
    } else {
        2
    };
    let space = if unit.is_empty() { "" } else { " " };
    format!("{number:.digits$}{space}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_three_digits_and_a_unit() {
        for (number, text) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (12.3, "12"),
            (999.4, "999"),
            (999.6, "1.00 k"),
            (12_345.0, "12.3 k"),
            (123_456.0, "123 k"),
            (9.87e9, "9.87 G"),
        ] {
            assert_eq!(short(number), text, "{number}");
        }
    }
}
