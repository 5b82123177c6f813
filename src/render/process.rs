//! `show runtime`, `show threads`, `show logging`, `show version` in VPP's layouts.

use super::escape;
use super::pad::{centred, trimmed};
use crate::api::{LogRow, NodeRow, PollerRow, ThreadRow, Version};
use crate::counters::Direction;

/// A nanosecond count as seconds.
#[expect(clippy::cast_precision_loss, reason = "printed with a few digits")]
fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// `n` a second or a call; 0 where there was none.
#[expect(clippy::cast_precision_loss, reason = "printed with a few digits")]
fn per(n: u64, of: f64) -> f64 {
    if of > 0.0 { n as f64 / of } else { 0.0 }
}

pub(super) fn runtime(pollers: &[PollerRow], verbose: bool) -> String {
    let several = pollers.len() > 1;
    let mut lines = Vec::new();
    for p in pollers {
        if several {
            lines.push("---------------".to_owned());
            lines.push(format!("Thread {} {}", p.poller, escape(&p.thread)));
        }
        poller(p, verbose, &mut lines);
    }
    trimmed(lines)
}

fn poller(p: &PollerRow, verbose: bool, lines: &mut Vec<String>) {
    let time = seconds(p.busy_ns.saturating_add(p.spin_ns).saturating_add(p.asleep_ns));
    let sum = |side: Direction, of: fn(&NodeRow) -> u64| -> f64 {
        per(p.nodes.iter().filter(|n| n.direction == side).map(of).sum(), time)
    };
    let (vectors, calls) =
        p.nodes.iter().fold((0, 0.0), |(v, c), n| (v + n.vectors, c + per(n.calls, 1.0)));
    lines.push(format!(
        "Time {time:.1}, average vectors/node {:.2} loops/sec {:.2}",
        per(vectors, calls),
        per(p.loops, time)
    ));
    lines.push(format!(
        "  vector rates in {:.4e}, out {:.4e}, drop {:.4e}, punt 0.0000e0",
        sum(Direction::Rx, |n| n.vectors),
        sum(Direction::Tx, |n| n.vectors.saturating_sub(n.drops)),
        per(p.nodes.iter().map(|n| n.drops).sum(), time)
    ));
    let share = |ns| 100.0 * seconds(ns) / time.max(f64::MIN_POSITIVE);
    lines.push(format!(
        "  busy {:.1} %, spinning {:.1} %, asleep {:.1} %; visits {}, sleeps {}",
        share(p.busy_ns),
        share(p.spin_ns),
        share(p.asleep_ns),
        p.visits,
        p.sleeps
    ));
    let heads = ["Name", "State", "Calls", "Vectors", "Suspends", "Packet-Clocks", "Vectors/Call"];
    let widths = [30, 12, 16, 16, 16, 16, 16];
    lines.push(heads.into_iter().zip(widths).map(|(head, w)| centred(head, w)).collect());
    for n in p.nodes.iter().filter(|n| verbose || n.calls > 0) {
        let side = match n.direction {
            Direction::Rx => "rx",
            Direction::Tx => "tx",
        };
        let name = match n.queue.0 {
            0 => format!("{}-{side}", n.interface),
            queue => format!("{}-{side}-{queue}", n.interface),
        };
        let state = centred(if n.active { "active" } else { "disabled" }, 12);
        // Queues do not sleep one by one, and no clock is read for a frame.
        let average = per(n.vectors, per(n.calls, 1.0));
        lines.push(format!(
            "{name:<30}{state}{:>16}{:>16}{:>16}{:>16}{average:>16.2}",
            n.calls, n.vectors, 0, "-"
        ));
    }
}

pub(super) fn threads(all: &[ThreadRow]) -> String {
    if all.is_empty() {
        return String::new();
    }
    let row = |cells: [&str; 8]| {
        let [id, name, role, lwp, policy, cpu, core, socket] = cells;
        format!("{id:<7}{name:<20}{role:<12}{lwp:<8}{policy:<25}{cpu:<7}{core:<7}{socket:<7}")
    };
    let head =
        row(["ID", "Name", "Type", "LWP", "Sched Policy (Priority)", "lcore", "Core", "Socket"]);
    let number = |n: Option<u32>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows = all.iter().map(|t| {
        row([
            &t.id.to_string(),
            &escape(&t.name),
            &escape(&t.role),
            &t.lwp.to_string(),
            &format!("{} ({})", escape(&t.policy), t.priority),
            &t.cpu.to_string(),
            &number(t.core),
            &number(t.socket),
        ])
    });
    trimmed(std::iter::once(head).chain(rows))
}

/// Times are UTC.
pub(super) fn logging(rows: &[LogRow]) -> String {
    let line = |row: &LogRow| {
        let (time, level) = (time(row.time_ms), row.level.word());
        format!("{time} {level:<10} {:<14} {}: {}", "tap", row.name, escape(&row.text))
    };
    trimmed(rows.iter().map(line))
}

/// `2026/11/24 04:23:24:123`, as VPP's log has it.
fn time(ms: u64) -> String {
    let (days, ms) = (ms / 86_400_000, ms % 86_400_000);
    let (hour, minute) = (ms / 3_600_000, ms / 60_000 % 60);
    let (second, milli) = (ms / 1000 % 60, ms % 1000);
    let (year, month, day) = date(days);
    format!("{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}:{milli:03}")
}

/// Year, month and day of a day number, 1970-01-01 being 0. Years begin in March here, so that the
/// odd day is the last one; 400 of them are 146,097 days.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + if month <= 2 { 1 } else { 0 }, month, day)
}

pub(super) fn version(all: &[Version], verbose: bool) -> String {
    let one = |v: &Version| {
        if !verbose {
            return format!(
                "{} {} ({})\n",
                escape(&v.program),
                escape(&v.version),
                escape(&v.commit)
            );
        }
        let lines = [
            ("Program:", escape(&v.program)),
            ("Version:", escape(&v.version)),
            ("Commit:", escape(&v.commit)),
            ("Built for:", escape(&v.target)),
            ("Profile:", escape(&v.profile)),
            ("PID:", v.pid.to_string().into()),
        ];
        lines.map(|(label, value)| format!("{label:<27}{value}\n")).concat()
    };
    all.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_day_and_hour_in_utc() {
        assert_eq!(time(0), "1970/01/01 00:00:00:000");
        assert_eq!(time(951_782_400_000 - 1), "2000/02/28 23:59:59:999");
        assert_eq!(time(951_782_400_000), "2000/02/29 00:00:00:000");
        assert_eq!(time(1_767_225_599_123), "2025/12/31 23:59:59:123");
        assert_eq!(time(4_107_542_400_000), "2100/03/01 00:00:00:000");
    }
}
