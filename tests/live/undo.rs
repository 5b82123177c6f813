//! A create that fails after any of its steps leaves the machine, the process and the registry as
//! they were.

use std::time::{Duration, Instant};
use std::{fs, thread};

use taptool::api::{
    BackendChoice, CreateRequest, DeleteRequest, NamespaceSpec, Reply, Request, ShowRequest, Submit,
};
use taptool::control::{Control, Options};
use taptool::units::{IfName, Kind};

use crate::common::{MachineState, World, eventually, live_alone, on_vhost_net, patience};

/// Threads that end with their work.
const PASSING: [&str; 2] = ["host-", "vhost-"];
/// Host threads that stay.
const STAYING: [&str; 2] = ["host-sweep", "host-counters"];

/// A create with every step that there is, a bridge or addresses.
fn request(bridge: bool) -> CreateRequest {
    let namespace = NamespaceSpec::Name("a".into()).open().unwrap();
    let mut request = CreateRequest::new(Kind::Tap, namespace);
    request.name = Some(IfName::new("tap0").unwrap());
    request.host_mac_addr = Some("02:00:00:00:00:07".parse().unwrap());
    request.host_mtu_size = Some("1400".parse().unwrap());
    request.host_txqueuelen = Some("77".parse().unwrap());
    request.gso = true;
    request.respond = vec!["10.9.0.2/24".parse().unwrap()];
    if on_vhost_net() {
        request.backend = BackendChoice::VhostNet;
    } else {
        request.backend = BackendChoice::Userspace;
    }
    if bridge {
        request.host_bridge = Some(IfName::new("br0").unwrap());
    } else {
        request.host_ip4_addr =
            vec!["10.9.0.1/24".parse().unwrap(), "10.8.0.1/24".parse().unwrap()];
        request.host_ip6_addr = vec!["fd00::1/64".parse().unwrap()];
        request.host_ip4_gw = Some("10.9.0.2".parse().unwrap());
        request.host_ip6_gw = Some("fd00::2".parse().unwrap());
    }
    request
}

/// What a process has: open files by what they are, and threads by name and network namespace.
#[derive(Debug, PartialEq, Eq)]
struct Process {
    files: Vec<String>,
    threads: Vec<String>,
}

impl Process {
    /// None while a thread is there that ends with its work, or one that stays is not there yet (a
    /// new thread has its name only once it runs). Threads are read before the files and after, so
    /// that the files of a thread that has just ended are not among those that stay.
    fn at_rest() -> Option<Self> {
        let threads = Self::threads();
        let files = Self::files();
        let is = |name: &&str, thread: &String| thread.starts_with(*name);
        let passes = |thread: &String| {
            PASSING.iter().any(|name| is(name, thread))
                && !STAYING.iter().any(|name| is(name, thread))
        };
        let stays = |name: &&str| threads.iter().any(|thread| is(name, thread));
        let quiet = !threads.iter().any(passes) && STAYING.iter().all(stays);
        (quiet && threads == Self::threads()).then_some(Self { files, threads })
    }

    fn files() -> Vec<String> {
        let files = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<String> = files
            .filter_map(|path| Some(fs::read_link(path).ok()?.display().to_string()))
            // The directory that is being read.
            .filter(|file| !file.contains("/fd"))
            .collect();
        files.sort();
        files
    }

    fn threads() -> Vec<String> {
        let tasks = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path());
        let mut threads: Vec<String> = tasks
            .filter_map(|path| {
                // One that ends meanwhile is not there.
                let name = fs::read_to_string(path.join("comm")).ok()?;
                let place = fs::read_link(path.join("ns/net")).ok()?;
                Some(format!("{} in {}", name.trim(), place.display()))
            })
            .collect();
        threads.sort();
        threads
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn create(control: &Control, bridge: bool) -> Result<Reply, taptool::diag::Failure> {
    control.submit(Request::Create(Box::new(request(bridge)))).await.map(|outcome| outcome.reply)
}

async fn steps(bridge: bool) -> usize {
    let mut request = request(bridge);
    request.dry_run = true;
    let control = Control::new(Options::default());
    let outcome = control.submit(Request::Create(Box::new(request))).await.unwrap();
    match outcome.reply {
        Reply::Planned(steps) => steps.len(),
        other => panic!("{other:?}"),
    }
}

/// Fails a create after each of its steps in turn; `machine` is what must be there afterwards.
async fn check(world: &World, machine: &MachineState, bridge: bool) {
    let last = steps(bridge).await;
    assert!(last >= 12, "{last} steps");
    for step in 1..=last {
        let control = Control::new(Options { fail_after_steps: Some(step), ..Options::default() });
        // The first failure also makes what lives as long as control does: poller, memory, watch.
        create(&control, bridge).await.unwrap_err();
        let mut before = None;
        eventually("threads that do one thing have ended", 5.0, || {
            before = Process::at_rest();
            before.is_some()
        });
        let failure = create(&control, bridge).await.unwrap_err();
        assert!(failure.cause.starts_with("stopped after"), "step {step}: {failure}");
        assert!(!failure.to_string().contains("not undone"), "step {step}: {failure}");
        world.state().assert_same_as(machine, &format!("after step {step}"));
        let mut after = None;
        let end = Instant::now() + patience(5.0);
        while after != before && Instant::now() < end {
            thread::sleep(Duration::from_millis(5));
            after = Process::at_rest();
        }
        assert_eq!(after, before, "files and threads after step {step}");
        let outcome = control.submit(Request::Show(ShowRequest::Overview(vec![]))).await.unwrap();
        assert!(
            matches!(outcome.reply, Reply::Interfaces(all, _) if all.is_empty()),
            "step {step}"
        );
        let mut again = request(bridge);
        again.dry_run = true;
        let outcome = control.submit(Request::Create(Box::new(again))).await.unwrap();
        let Reply::Planned(planned) = outcome.reply else { panic!("step {step}") };
        assert!(
            planned.iter().any(|p| p.step.contains("name tap0 and id 0")),
            "step {step}: name or id stays taken: {planned:?}"
        );
    }
    let control = Control::new(Options { fail_after_steps: Some(last + 1), ..Options::default() });
    create(&control, bridge).await.unwrap();
    control.submit(Request::Delete(DeleteRequest::All { destroy: false })).await.unwrap();
}

#[test]
fn a_create_that_fails_after_any_step_leaves_machine_process_and_registry_as_they_were() {
    let name =
        "undo::a_create_that_fails_after_any_step_leaves_machine_process_and_registry_as_they_were";
    live_alone(name, |world| {
        world.netns("a");
        world.ip("-n a link add br0 address 02:00:00:00:00:01 type bridge");
        // A bridge takes over limits of its first port for good: it has one before we look.
        world.ip("-n a link add keep0 type veth peer name keep1");
        world.ip("-n a link set keep0 master br0");
        let machine = world.state();
        for bridge in [false, true] {
            runtime().block_on(check(world, &machine, bridge));
            world.state().assert_same_as(&machine, "at the end");
        }
    });
}
