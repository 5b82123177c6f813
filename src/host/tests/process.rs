//! What is left in the process, and what a process without privilege is told.

use std::process::Command;

use rtnetlink::LinkBridge;

use super::events::{hear, number, with_watch};
use super::*;
use crate::diag::{Code, Failure};
use crate::host::watch::WatchEvent;
use crate::units::HostOffload;

#[test]
fn a_session_on_a_runtime_thread_is_refused_instead_of_blocking_it() {
    if !live() {
        return;
    }
    let target = new_namespace();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let failure = runtime.block_on(async { Session::open(target.as_fd(), "tap0").unwrap_err() });
    assert!(failure.cause.contains("runtime"), "{failure}");
}

#[test]
fn what_is_made_on_a_host_thread_can_be_handed_to_another() {
    fn handed<T: Send>() {}
    handed::<StagingNamespace>();
    handed::<Tap>();
    handed::<Session>();
    handed::<crate::host::watch::Watch>();
}

#[test]
fn what_is_no_network_namespace_is_refused_by_its_kind() {
    let refusal =
        |path: &str| namespace::verify(fs::File::open(path).unwrap().as_fd()).unwrap_err();
    let failure = refusal("/proc/self/ns/mnt");
    assert_eq!(failure.code, Code::Usage);
    assert_eq!(failure.cause, "this is a mount namespace, not a network namespace");
    assert_eq!(
        refusal("/proc/self/status").cause,
        "this is a regular file, not a network namespace"
    );
}

#[test]
fn a_panic_inside_a_namespace_is_a_failure_outside() {
    if !live() {
        return;
    }
    let target = new_namespace();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let failure = in_namespace::<(), _>(target.as_fd(), || panic!("on purpose")).unwrap_err();
    std::panic::set_hook(hook);
    assert!(failure.cause.contains("panicked"));
}

/// Set in a process that runs one of the ignored tests.
const INNER: &str = "TAPTOOL_TEST_INNER";

/// Whether this is such a process; `cargo test -- --ignored` is none.
fn inside() -> bool {
    let inside = std::env::var_os(INNER).is_some();
    if !inside {
        println!("SKIP another test runs this one in a process of its own");
    }
    inside
}

/// Runs the ignored test `inner` alone in a process of its own.
fn run_inner(inner: &str, command: &mut Command) {
    let path = format!("host::tests::process::{inner}");
    let args = [path.as_str(), "--exact", "--ignored", "--test-threads=1", "--nocapture"];
    let out = command.args(args).env(INNER, "1").output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "{text}");
}

fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

#[test]
fn failing_calls_leave_no_file_and_no_thread() {
    if live() {
        run_inner("inner_failing_calls", &mut this_program());
    }
}

fn files() -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let mut all: Vec<String> = entries
        .filter_map(|e| fs::read_link(e.unwrap().path()).ok())
        .map(|target| target.to_string_lossy().into_owned())
        .filter(|target| !target.ends_with("/fd"))
        .collect();
    all.sort();
    all
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
#[ignore = "counts files of the whole process: run alone, by another test"]
fn inner_failing_calls() {
    if !inside() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    add_link(&target, LinkBridge::new("web0"));
    let tap = create(&staging, &target, &exact("tap0"));
    let null = fs::File::open("/dev/null").unwrap();
    let plan: [(&str, &dyn Fn() -> bool); 9] = [
        ("name taken there", &|| {
            let mut tap = open(&staging, target.as_fd(), &exact("web0")).unwrap();
            enter(&mut tap, &staging, target.as_fd()).is_err()
        }),
        ("name taken in place", &|| {
            open(&staging, namespace::own().unwrap().0.as_fd(), &exact("lo")).is_err()
        }),
        ("no queues", &|| {
            open(&staging, target.as_fd(), &TapSpec { queues: 0, ..exact("t") }).is_err()
        }),
        ("a sndbuf that fails after the device is born", &|| {
            open(&staging, target.as_fd(), &TapSpec { sndbuf: -1, queues: 3, ..exact("t") })
                .is_err()
        }),
        ("no namespace", &|| Session::open(null.as_fd(), "x").is_err()),
        ("moved into no namespace", &|| {
            let mut tap = open(&staging, target.as_fd(), &exact("tap9")).unwrap();
            enter(&mut tap, &staging, null.as_fd()).is_err()
        }),
        ("no bridge", &|| session(&target).set_master(tap.ifindex(), &name("br0")).is_err()),
        ("no link", &|| session(&target).set_up(4711, true).is_err()),
        ("no tun file", &|| facts(null.as_fd()).is_err()),
    ];
    let (before, threads_before) = (files(), threads());
    for (what, fails) in plan {
        assert!(fails(), "{what}");
        assert_eq!(files(), before, "{what}");
        // A joined thread leaves the table a moment after the join.
        eventually(what, || threads() == threads_before);
        assert_eq!(links(&staging), ["lo"], "{what}");
        assert_eq!(links(&target), ["lo", "web0", "tap0"], "{what}");
    }
    facts(first(&tap)).unwrap();
    nsid_of(&staging, target.as_fd()).unwrap();
    assert_eq!(files(), before, "successes close what they opened too");
}

#[test]
fn without_privilege_the_refusal_is_exit_code_5_with_a_remedy() {
    if !live() {
        return;
    }
    // The build directory may be closed to others, so the program is copied to where it is not.
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    use std::os::unix::process::CommandExt;
    run_inner("inner_unprivileged", Command::new(copy).uid(65534).gid(65534).current_dir("/"));
}

#[test]
#[ignore = "runs as nobody, by another test"]
fn inner_unprivileged() {
    if !inside() {
        return;
    }
    let check = |failure: Failure| {
        assert_eq!(failure.code, Code::NotPermitted, "{failure}");
        assert!(failure.hint.as_ref().unwrap().contains("unshare -Urn"), "{failure}");
    };
    check(StagingNamespace::new().unwrap_err());
    let (own, _) = namespace::own().unwrap();
    check(Session::open(own.as_fd(), "tap0").unwrap_err());
}

#[test]
fn root_of_a_user_namespace_makes_moves_and_addresses_a_device() {
    if live() {
        let program = std::env::current_exe().unwrap();
        run_inner("inner_rootless", Command::new("unshare").arg("-Urn").arg(program));
    }
}

#[test]
#[ignore = "runs in a user namespace, by another test"]
fn inner_rootless() {
    if !inside() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let tap = create(&staging, &target, &TapSpec { offload: HostOffload::Gso, ..exact("tap0") });
    let there = session(&target);
    there.add_address(tap.ifindex(), "10.9.0.1/24".parse().unwrap()).unwrap();
    there.set_up(tap.ifindex(), true).unwrap();
    assert!(facts(first(&tap)).unwrap().up);
    drop(there);
    let nsid = number(&staging, &target);
    with_watch(&staging, async |watch| {
        drop(target);
        hear(watch, WatchEvent::NamespaceGone { nsid }).await;
    });
    let (own, _) = namespace::own().unwrap();
    let in_place = open(&staging, own.as_fd(), &exact("tap0")).unwrap();
    assert!(!in_place.is_staged());
}

#[test]
fn without_dev_net_tun_the_refusal_is_exit_code_7_and_names_the_driver() {
    if live() {
        let hide = "mount -t tmpfs none /dev/net && exec \"$0\" \"$@\"";
        let program = std::env::current_exe().unwrap();
        let mut command = Command::new("unshare");
        run_inner("inner_no_tun", command.args(["-m", "sh", "-c", hide]).arg(program));
    }
}

#[test]
#[ignore = "runs where /dev/net is empty, by another test"]
fn inner_no_tun() {
    if !inside() {
        return;
    }
    let (staging, target) = (StagingNamespace::new().unwrap(), new_namespace());
    let failure = open(&staging, target.as_fd(), &exact("tap0")).unwrap_err();
    assert_eq!((failure.code, failure.doing.as_str()), (Code::NoBackend, "open /dev/net/tun"));
    assert!(failure.hint.as_ref().unwrap().contains("modprobe tun"), "{failure}");
}
