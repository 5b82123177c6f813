//! `show runtime` and `show threads`: pollers, threads, and how they spend their time.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::Resources;
use super::interface::{Interface, Queue};
use super::registry::Registry;
use super::thread;
use crate::api::{NodeRow, PollerRow, ThreadRow};
use crate::counters::{Counter, Direction};
use crate::engine;
use crate::host::thread::PREFIX;
use crate::units::{PollerIndex, QueueIndex};

/// What the name of a vhost worker begins with.
const WORKER: &str = "vhost-";
/// Its role.
const VHOST: &str = "vhost";

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
    let up = interface.admin_up && interface.life.is_living();
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

/// The threads of the process, control, pollers, vhost workers, helpers, and its vhost workers that
/// are kernel threads; `workers` are the numbers in their names. Host threads that end with their work
/// are left out. Reads `proc`, which is /proc: call it on a host thread.
pub(super) fn threads(
    proc: &Path,
    control: i32,
    pollers: &[i32],
    workers: &[i32],
) -> Vec<ThreadRow> {
    let mut found: Vec<(u32, ThreadRow)> = Vec::new();
    let tasks = fs::read_dir(proc.join("self/task")).into_iter().flatten().flatten();
    for task in tasks {
        // A thread that has ended meanwhile is left out.
        let Some(mut row) = task_row(&task.path()) else { continue };
        let place = pollers.iter().position(|tid| *tid == row.lwp);
        let (order, role) = match place {
            _ if row.lwp == control => (0, "control"),
            Some(_) => (1, "poller"),
            None if row.name.starts_with(PREFIX) && !thread::stays(&row.name) => continue,
            // In a PID namespace the number is another one than ours.
            None if row.name.starts_with(WORKER) => (2, VHOST),
            None => (3, "helper"),
        };
        row.role = role.into();
        let place = place.and_then(|at| u32::try_from(at).ok()).unwrap_or(0);
        found.push((order << 16 | place, row));
    }
    let ours = found.iter().filter(|(_, row)| row.role == VHOST).count();
    let elsewhere = workers.len().saturating_sub(ours);
    found.extend(kernel_workers(proc, workers, elsewhere).map(|row| (2 << 16, row)));
    found.sort_by_key(|(order, row)| (*order, row.lwp));
    let numbered = found.into_iter().zip(0..);
    numbered.map(|((_, row), id)| ThreadRow { id, ..row }).collect()
}

/// The workers that are no tasks of ours: on Linux before 6.4, and where the kernel was asked for it.
/// Nothing but the name says whose they are. The search ends with the last one that is missing.
fn kernel_workers(proc: &Path, workers: &[i32], missing: usize) -> impl Iterator<Item = ThreadRow> {
    let names: HashSet<String> = workers.iter().map(|tid| format!("{WORKER}{tid}")).collect();
    // Without one that is missing nothing is read.
    let entries = (missing > 0).then(|| fs::read_dir(proc)).into_iter().flatten();
    let is_worker = move |path: &Path| {
        let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
        names.contains(comm.trim_end()) && is_kernel_thread(path)
    };
    let paths = entries.flatten().flatten().map(|entry| entry.path());
    let found = paths.filter(move |path| is_worker(path)).filter_map(|path| task_row(&path));
    found.map(|row| ThreadRow { role: VHOST.into(), ..row }).take(missing)
}

/// Anybody may give a program such a name.
fn is_kernel_thread(process: &Path) -> bool {
    /// `PF_KTHREAD` (`linux/sched.h`).
    const KERNEL_THREAD: u32 = 0x0020_0000;
    let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
    stat_field(&stat, 9).is_some_and(|flags| flags & KERNEL_THREAD != 0)
}

/// A number of a `stat` file by its place in `proc_pid_stat(5)`.
fn stat_field(stat: &str, number: usize) -> Option<u32> {
    // Behind the name, which may hold anything, the first field is number 3.
    stat.rsplit_once(") ")?.1.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// One task directory of /proc (`proc_pid_stat(5)`).
fn task_row(task: &Path) -> Option<ThreadRow> {
    let lwp = task.file_name()?.to_str()?.parse().ok()?;
    let name = fs::read_to_string(task.join("comm")).ok()?.trim_end().to_owned();
    let stat = fs::read_to_string(task.join("stat")).ok()?;
    let field = |number| stat_field(&stat, number);
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
    fn control_comes_first_then_pollers_in_their_order_and_host_threads_that_end_are_left_out() {
        const OTHERS: [&str; 5] =
            ["poller-0", "host-close", "host-sweep", "host-counters", "printer"];
        let [stop, stopped] = [(); 2].map(|()| std::sync::Barrier::new(OTHERS.len() + 1));
        let tid = || nix::unistd::gettid().as_raw();
        std::thread::scope(|scope| {
            let (tids, all) = std::sync::mpsc::channel();
            for name in OTHERS {
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
            let rows = threads(Path::new("/proc"), tid(), &[of("poller-0", &all)], &[]);
            stopped.wait();
            assert_eq!((rows[0].lwp, &*rows[0].role), (tid(), "control"));
            assert_eq!((rows[1].name.as_str(), &*rows[1].role), ("poller-0", "poller"));
            let find = |name: &str| rows.iter().find(|r| r.lwp == of(name, &all));
            for name in ["printer", "host-sweep", "host-counters"] {
                assert_eq!(find(name).map(|r| &*r.role), Some("helper"), "{name}");
            }
            assert_eq!(find("host-close"), None);
            assert!(rows.iter().zip(0..).all(|(row, id)| row.id == id));
        });
    }

    #[test]
    fn vhost_workers_are_found_among_our_threads_and_among_the_kernels() {
        let proc = tempfile::tempdir().unwrap();
        let task = |place: &str, name: &str, flags: u32| {
            let path = proc.path().join(place);
            fs::create_dir_all(&path).unwrap();
            fs::write(path.join("comm"), format!("{name}\n")).unwrap();
            // Fields 3 to 41: flags, priority, processor and policy are read.
            let mut fields = vec!["0".to_owned(); 39];
            fields[9 - 3] = flags.to_string();
            let pid = place.rsplit('/').next().unwrap();
            fs::write(path.join("stat"), format!("{pid} ({name}) {}\n", fields.join(" "))).unwrap();
        };
        let shown = |workers: &[i32]| -> Vec<(i32, String)> {
            let rows = threads(proc.path(), 10, &[11], workers);
            rows.into_iter().map(|row| (row.lwp, row.role.into_owned())).collect()
        };
        let vhost = |lwp: i32| (lwp, "vhost".to_owned());
        task("self/task/10", "taptool", 0);
        task("self/task/11", "poller-0", 0);
        task("self/task/12", "host-close", 0);
        task("40", "vhost-21", 0x0020_8040);
        task("41", "vhost-22", 0x0020_8040);
        // A stranger's worker, and a program that has taken the name.
        task("42", "vhost-99", 0x0020_8040);
        task("43", "vhost-21", 0x0040_0000);
        let ours = || vec![(10, "control".to_owned()), (11, "poller".to_owned())];
        assert_eq!(shown(&[]), ours());
        assert_eq!(shown(&[21, 22]), [ours(), vec![vhost(40), vhost(41)]].concat());
        task("self/task/13", "vhost-22", 0);
        assert_eq!(shown(&[22]), [ours(), vec![vhost(13)]].concat());
        assert_eq!(shown(&[22, 21]).len(), 4);
    }
}
