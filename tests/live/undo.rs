//! A create that fails after any of its steps leaves the machine, the process and the registry as
//! they were.

use std::fs;

use taptool::api::{
    BackendChoice, CreateRequest, DeleteRequest, NamespaceSpec, Reply, Request, ShowRequest, Submit,
};
use taptool::control::{Control, Options};
use taptool::units::{IfName, Kind};

use crate::common::{MachineState, World, eventually, live_alone, on_vhost_net};

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

/// Open files by what they are, and threads by name and network namespace.
fn process() -> (Vec<String>, Vec<String>) {
    let entries = |path: &str| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<String> = entries("/proc/self/fd")
        .filter_map(|path| Some(fs::read_link(path).ok()?.display().to_string()))
        // The directory that is being read.
        .filter(|file| !file.contains("/fd"))
        .collect();
    files.sort();
    let mut threads: Vec<String> = entries("/proc/self/task")
        .filter_map(|path| {
            // One that ends meanwhile is not there.
            let name = fs::read_to_string(path.join("comm")).ok()?;
            let place = fs::read_link(path.join("ns/net")).ok()?;
            Some(format!("{} in {}", name.trim(), place.display()))
        })
        .collect();
    threads.sort();
    (files, threads)
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
        let mut before = process();
        eventually("threads that do one thing have ended", 5.0, || {
            before = process();
            let mut others = before
                .1
                .iter()
                .filter(|thread| !STAYING.iter().any(|name| thread.starts_with(name)));
            !others.any(|thread| PASSING.iter().any(|p| thread.starts_with(p)))
        });
        let failure = create(&control, bridge).await.unwrap_err();
        assert!(failure.cause.starts_with("stopped after"), "step {step}: {failure}");
        assert!(!failure.to_string().contains("not undone"), "step {step}: {failure}");
        world.state().assert_same_as(machine, &format!("after step {step}"));
        eventually("files and threads are as before", 5.0, || process() == before);
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
    control.submit(Request::Delete(DeleteRequest::All {})).await.unwrap();
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
