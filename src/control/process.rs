//! `show runtime` and `show threads`: pollers, threads, and how they spend their time.

use std::fs;
use std::path::Path;

use super::Resources;
use super::interface::{Interface, Queue};
use super::registry::Registry;
use crate::api::{NodeRow, PollerRow, ThreadRow};
use crate::counters::{Counter, Direction};
use crate::engine;
use crate::host::thread::PREFIX;
use crate::units::{PollerIndex, QueueIndex};

/// Every poller with its queues.
pub(super) fn pollers(resources: &Resources, registry: &Registry) -> Vec<PollerRow> {
    let row = |(poller, _, statistics): (PollerIndex, i32, engine::PollerStatistics)| PollerRow {
        poller,
        thread: engine::thread_name(poller),
        loops: statistics.loops,
        visits: statistics.visits,
        sleeps: statistics.sleeps,
        busy_ns: statistics.busy_ns,
        spin_ns: statistics.spin_ns,
        asleep_ns: statistics.asleep_ns,
        nodes: registry.all().flat_map(|i| nodes(i, poller)).collect(),
    };
    resources.engine.statistics().into_iter().map(row).collect()
}

fn nodes(interface: &Interface, poller: PollerIndex) -> Vec<NodeRow> {
    let up = interface.admin_up && !interface.host_gone && !interface.deleting;
    let row = |i: usize, queue: &Queue| {
        let counted = queue.snapshot();
        NodeRow {
            interface: interface.name.clone(),
            direction: counted.direction(),
            queue: QueueIndex(u16::try_from(i).unwrap_or(u16::MAX)),
            active: up && queue.broken().is_none(),
            calls: counted.get(Counter::Bursts),
            vectors: match counted.direction() {
                Direction::Rx => counted.get(Counter::Packets),
                // What a burst was offered, as VPP counts it; packets are what came of it.
                Direction::Tx => counted.get(Counter::Offered),
            },
            drops: counted.lost_in_all(),
        }
    };
    let ours = |queues: &[Queue]| -> Vec<NodeRow> {
        let all = queues.iter().enumerate().filter(|(_, q)| q.poller == poller);
        all.map(|(i, q)| row(i, q)).collect()
    };
    [ours(&interface.rx), ours(&interface.tx)].concat()
}

/// Linux ids of the pollers' threads, in order.
pub(super) fn poller_threads(resources: &Resources) -> Vec<i32> {
    resources.engine.statistics().into_iter().map(|(_, tid, _)| tid).collect()
}

/// The threads of the process: control, pollers, helpers. Those that end with their work are left
/// out. Reads /proc: call it on a host thread.
pub(super) fn threads(control: i32, pollers: &[i32]) -> Vec<ThreadRow> {
    let mut found: Vec<(u32, ThreadRow)> = Vec::new();
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    for task in tasks {
        // A thread that has ended meanwhile is left out.
        let Some(mut row) = thread(&task.path()) else { continue };
        let place = pollers.iter().position(|tid| *tid == row.lwp);
        let (order, role) = match place {
            _ if row.lwp == control => (0, "control"),
            Some(_) => (1, "poller"),
            None if row.name.starts_with(PREFIX) => continue,
            None => (2, "helper"),
        };
        row.role = role.into();
        let place = place.and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
        found.push((order << 16 | place, row));
    }
    found.sort_by_key(|(order, row)| (*order, row.lwp));
    let numbered = found.into_iter().zip(0..);
    numbered.map(|((_, row), id)| ThreadRow { id, ..row }).collect()
}

/// One task directory of /proc (`proc_pid_stat(5)`).
fn thread(task: &Path) -> Option<ThreadRow> {
    let lwp = task.file_name()?.to_str()?.parse().ok()?;
    let name = fs::read_to_string(task.join("comm")).ok()?.trim_end().to_owned();
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    // Behind the name, which may hold anything, the first field is number 3.
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u32>().ok();
    let cpu = field(39)?;
    let topology = |what: &str| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/{what}");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some(ThreadRow {
        id: 0,
        name,
        role: "helper".into(),
        lwp,
        policy: policy(field(41)?).into(),
        priority: field(40)?,
        cpu,
        core: topology("core_id"),
        socket: topology("physical_package_id"),
    })
}

/// `SCHED_…` in words.
const fn policy(number: u32) -> &'static str {
    match number {
        1 => "fifo",
        2 => "rr",
        3 => "batch",
        5 => "idle",
        6 => "deadline",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_comes_first_then_pollers_in_their_order_and_host_threads_are_left_out() {
        let (stop, stopped) = (std::sync::Barrier::new(4), std::sync::Barrier::new(4));
        let tid = || nix::unistd::gettid().as_raw();
        std::thread::scope(|scope| {
            let (tids, all) = std::sync::mpsc::channel();
            for name in ["poller-0", "host-close", "printer"] {
                let (tids, stop, stopped) = (tids.clone(), &stop, &stopped);
                let thread = std::thread::Builder::new().name(name.into());
                thread
                    .spawn_scoped(scope, move || {
                        tids.send((name, tid())).unwrap();
                        stop.wait();
                        stopped.wait();
                    })
                    .unwrap();
            }
            stop.wait();
            let of = |name: &str, all: &[(&str, i32)]| {
                all.iter().find(|(n, _)| *n == name).map(|(_, tid)| *tid).unwrap()
            };
            let all: Vec<_> = all.try_iter().collect();
            let rows = threads(tid(), &[of("poller-0", &all)]);
            stopped.wait();
            assert_eq!((rows[0].lwp, &*rows[0].role), (tid(), "control"));
            assert_eq!((rows[1].name.as_str(), &*rows[1].role), ("poller-0", "poller"));
            let find = |name: &str| rows.iter().find(|r| r.lwp == of(name, &all));
            assert_eq!(find("printer").map(|r| &*r.role), Some("helper"));
            assert_eq!(find("host-close"), None);
            assert!(rows.iter().zip(0..).all(|(row, id)| row.id == id));
        });
    }
}
