//! The threads that a holder starts, and what becomes of it where it gets none.

use std::fs;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use super::users::{User, ground};
use crate::common::{World, eventually, has, live, skipped};

/// What the names of threads begin with that end with their work, or when they have had none for long.
const PASSING: [&str; 2] = ["host-", "tokio"];
/// Host threads that stay.
const STAYING: [&str; 2] = ["host-sweep", "host-counters"];

/// The task directories of a process.
fn tasks(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// Waits until every thread has ended that ends by itself.
fn at_rest(pid: u32) {
    eventually("threads that end by themselves have ended", 20.0, || {
        tasks(pid).iter().all(|task| {
            let name = fs::read_to_string(task.join("comm")).unwrap_or_default();
            STAYING.contains(&name.trim()) || !PASSING.iter().any(|begin| name.starts_with(begin))
        })
    });
}

#[test]
fn where_no_thread_can_be_had_a_create_is_refused_and_the_last_delete_removes_the_socket() {
    live(|world| {
        let program = ground(world, 0o666);
        let user = User::new(world, &program, 64_001, None);
        let able = user.able();
        if !able.unshared {
            skipped("no user namespaces: the limit on processes is not root's");
            return;
        }
        let socket = user.home.join("ctl.sock");
        let named = format!("--socket {}", socket.display());
        let create = |name: &str| format!("{named} create {name} --backend userspace");
        able.done(&create("tap0"));
        let holder = world.holders()[0];
        at_rest(holder);
        // By the user: another one may not do it everywhere, root or not.
        world.must(&user.line(&format!("prlimit --pid {holder} --nproc=1:1")));
        for _ in 0..2 {
            let (code, stdout, stderr) = able.run(&create("tap1"));
            let says = "create: create: start a thread: Try again (EAGAIN)\n";
            assert_eq!((code, stdout.as_str(), stderr.as_str()), (1, "", says));
            let shown = able.done(&format!("-j {named} show"));
            assert!(shown.contains("\"tap0\"") && !shown.contains("\"tap1\""), "{shown}");
        }
        let links = able.inside("ip -br link");
        assert!(links.contains("tap0") && !links.contains("tap1"), "{links}");
        assert_eq!(world.holders(), [holder]);
        assert_eq!(able.done(&format!("{named} delete tap0")), "");
        assert!(!socket.exists(), "the socket of a holder that leaves");
        world.nothing_left();
        assert!(!able.inside("ip -br link").contains("tap"));
    });
}

/// How often a call stands in what strace wrote: `PID<NAME> CALL(…`, once for each that was begun.
fn calls(log: &str, name: &str) -> usize {
    log.lines()
        .filter(|line| line.split_once(' ').is_some_and(|(_, c)| c.trim_start().starts_with(name)))
        .count()
}

/// What strace says of a holder while `work` runs.
fn traced(world: &World, holder: u32, work: impl FnOnce()) -> String {
    let log = world.dir().join("calls");
    let strace = world.start(&format!(
        "strace -f -qq -e trace=clone,clone3,setns,prctl -o {} -p {holder}",
        log.display()
    ));
    let tracer = format!("TracerPid:\t{}\n", strace.pid());
    eventually("every thread is traced", 10.0, || {
        tasks(holder).iter().all(|task| {
            fs::read_to_string(task.join("status")).unwrap_or_default().contains(&tracer)
        })
    });
    work();
    strace.signal(Signal::SIGINT);
    strace.output(10.0);
    fs::read_to_string(log).unwrap()
}

#[test]
fn a_create_of_seven_host_options_starts_two_threads_at_most_and_enters_three_namespaces_at_most() {
    if !has("strace", "strace") {
        return;
    }
    live(|world| {
        world.quiet_netns("a");
        world.done("-q create keep --netns a");
        let holder = world.holders()[0];
        at_rest(holder);
        let log = traced(world, holder, || {
            world.done(
                "-q create tap0 --netns a --host-mac-addr 02:00:00:00:00:07 --mtu 1400 \
                 --host-txqueuelen 77 --ip4 10.9.0.1/24 --ip4 10.8.0.1/24 --ip4 10.7.0.1/24 \
                 --gw4 10.9.0.2",
            );
        });
        // A new interface is looked at once more, which is no part of its create.
        let looks: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("PR_SET_NAME, \"host-look\""))
            .filter_map(|line| line.split([' ', '<']).next())
            .collect();
        let own =
            |line: &&str| !looks.iter().any(|look| line.split([' ', '<']).next() == Some(look));
        let own: String = log.lines().filter(own).map(|line| format!("{line}\n")).collect();
        let (threads, entered) = (calls(&own, "clone") - looks.len(), calls(&own, "setns"));
        assert!((1..=2).contains(&threads), "{threads} threads:\n{log}");
        assert!((1..=3).contains(&entered), "{entered} times in a namespace:\n{log}");
        world.done("delete --all");
        world.nothing_left();
    });
}
