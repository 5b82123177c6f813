//! What happens to a host side is noticed where no event tells of it.

use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use taptool::api::{
    BackendChoice, CreateRequest, Interface, LogRow, NamespaceSpec, Reply, Request, ShowRequest,
    Submit,
};
use taptool::control::{Control, Options};
use taptool::units::{IfName, Kind};

use crate::common::{World, live_alone, on_vhost_net, patience};

async fn ask(control: &Control, request: ShowRequest) -> Reply {
    control.submit(Request::Show(request)).await.unwrap().reply
}

async fn log(control: &Control) -> Vec<LogRow> {
    match ask(control, ShowRequest::Logging {}).await {
        Reply::Logging(rows) => rows,
        other => panic!("{other:?}"),
    }
}

/// Waits until `tap0` is as wanted, while control does its work.
async fn until(control: &Control, what: &str, wanted: impl Fn(&Interface) -> bool) {
    let end = Instant::now() + patience(5.0);
    loop {
        let Reply::Interfaces(all, _) = ask(control, ShowRequest::Overview(Vec::new())).await
        else {
            panic!("no overview")
        };
        if wanted(&all[0]) {
            return;
        }
        assert!(Instant::now() < end, "not within {:?}: {what}: {all:#?}", patience(5.0));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// `tap0` and `tap1` in `a`, there being a `b` too, and the rest of a test under the control that
/// made them.
fn with_taps(world: &World, options: Options, test: impl AsyncFnOnce(&Control)) {
    world.quiet_netns("a");
    world.quiet_netns("b");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let control = Control::new(options);
        for name in ["tap0", "tap1"] {
            let namespace = NamespaceSpec::Name("a".into()).open().unwrap();
            let mut request = CreateRequest::new(Kind::Tap, namespace);
            request.name = Some(IfName::new(name).unwrap());
            request.backend =
                if on_vhost_net() { BackendChoice::VhostNet } else { BackendChoice::Userspace };
            control.submit(Request::Create(Box::new(request))).await.unwrap();
        }
        test(&control).await;
    });
}

#[test]
fn without_events_renames_moves_and_settings_of_a_host_side_are_seen_within_seconds() {
    let name =
        "unheard::without_events_renames_moves_and_settings_of_a_host_side_are_seen_within_seconds";
    live_alone(name, |world| {
        with_taps(world, Options { deaf: true, ..Options::default() }, async |control| {
            world.ip("-n a link set dev tap0 down");
            until(control, "down", |tap| !tap.link_up).await;
            world.ip("-n a link set dev tap0 name other0");
            until(control, "its new name", |tap| tap.host_if_name == "other0").await;
            world.ip("-n a link set other0 netns b");
            until(control, "its namespace", |tap| tap.host_ns.as_deref() == Some("b")).await;
            world.ip("-n b link set other0 mtu 1400");
            until(control, "its MTU", |tap| tap.mtu == 1400).await;
        });
    });
}

#[test]
fn a_host_side_that_could_not_be_looked_at_is_seen_once_it_can_without_another_event() {
    let name = "unheard::a_host_side_that_could_not_be_looked_at_is_seen_once_it_can_without_another_event";
    live_alone(name, |world| {
        with_taps(world, Options::default(), async |control| {
            let path = world.dir().join("go");
            nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
            let mut go = File::options().read(true).write(true).open(&path).unwrap();
            let change = "ip -n a link set dev tap0 down && \
                          ip -n a link set dev tap0 name other0 mtu 1400 && ip -n a link set dev tap1 down";
            let mut other =
                world.start(&format!("sh -c 'read go <{} && {change}'", path.display()));
            // No file can be opened any more, so no look succeeds.
            let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
            setrlimit(Resource::RLIMIT_NOFILE, 3, hard).unwrap();
            go.write_all(b"go\n").unwrap();
            // Events come in order: with tap1's, all of tap0's have been heard in vain.
            let failed = |rows: &[LogRow], name: &str| {
                let text = "host side cannot be looked at: ";
                rows.iter().any(|row| row.name.as_str() == name && row.text.starts_with(text))
            };
            let end = Instant::now() + patience(5.0);
            loop {
                let rows = log(control).await;
                if ["tap0", "tap1"].iter().all(|name| failed(&rows, name)) && !other.running() {
                    break;
                }
                assert!(Instant::now() < end, "no look failed: {rows:#?}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
            let out = other.output(5.0);
            assert!(out.status.success(), "{out:?}");
            until(control, "its name and MTU", |tap| {
                (tap.host_if_name.as_str(), tap.mtu) == ("other0", 1400) && !tap.link_up
            })
            .await;
        });
    });
}
