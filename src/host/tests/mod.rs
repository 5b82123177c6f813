//! Live tests: real devices, in namespaces that the test makes.

mod birth;
mod events;
mod process;
mod settings;

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rtnetlink::LinkMessageBuilder;
use rtnetlink::packet_route::RouteNetlinkMessage;

use super::facts::{Absent, HostFacts};
use super::namespace;
use super::session::{ACK, ADD, Session};
use super::spec::{HostName, TapSpec};
use super::staging::StagingNamespace;
use super::tap::Tap;
use super::thread::{in_namespace, on_a_thread};
use super::{Subject, watch};
use crate::diag::Failure;
use crate::sys;
use crate::units::{HostOffload, IfName, Kind};

/// Whether live tests can run; says why not.
fn live() -> bool {
    let why = if !nix::unistd::geteuid().is_root() {
        "not root"
    } else if !fs::exists(sys::tun::PATH).unwrap() {
        "no /dev/net/tun"
    } else {
        return true;
    };
    skip(why);
    false
}

/// Says that something was not tested, which is a failure where everything must be.
fn skip(why: &str) {
    println!("SKIP {why}");
    assert_ne!(std::env::var("TAPTOOL_REQUIRE_LIVE").as_deref(), Ok("1"), "SKIP {why}");
}

fn new_namespace() -> OwnedFd {
    on_a_thread(|_| {
        sys::namespace::unshare_network().unwrap();
        namespace::of_this_thread()
    })
    .unwrap()
    .0
}

fn name(text: &str) -> IfName {
    text.parse().unwrap()
}

fn spec(host_name: HostName) -> TapSpec {
    TapSpec {
        kind: Kind::Tap,
        host_name,
        queues: 1,
        sndbuf: i32::MAX,
        offload: HostOffload::Off,
        owner: None,
        group: None,
    }
}

fn exact(text: &str) -> TapSpec {
    spec(HostName::Exact(name(text)))
}

fn create(staging: &StagingNamespace, target: &OwnedFd, spec: &TapSpec) -> Tap {
    let mut tap = open(staging, target.as_fd(), spec).unwrap();
    enter(&mut tap, staging, target.as_fd()).unwrap();
    tap
}

// Each of these on a host thread of its own.

fn open(
    staging: &StagingNamespace,
    target: BorrowedFd<'_>,
    spec: &TapSpec,
) -> Result<Tap, Failure> {
    on_a_thread(|thread| super::open(thread, staging, target, spec))
}

fn enter(tap: &mut Tap, staging: &StagingNamespace, target: BorrowedFd<'_>) -> Result<(), Failure> {
    on_a_thread(|thread| tap.enter(thread, staging, target))
}

fn facts(tap: BorrowedFd<'_>) -> Result<HostFacts, Absent> {
    on_a_thread(|thread| Ok(super::facts(thread, tap))).unwrap()
}

fn with_device<T: Send>(
    tap: BorrowedFd<'_>,
    subject: impl Into<Subject> + Send,
    request: impl FnOnce(&Session, u32) -> Result<T, Failure> + Send,
) -> Result<T, Failure> {
    on_a_thread(|thread| super::with_device(thread, tap, subject, request))
}

fn nsid_of(staging: &StagingNamespace, namespace: BorrowedFd<'_>) -> Result<i32, Failure> {
    on_a_thread(|thread| watch::nsid_of(thread, staging, namespace))
}

/// A file of /proc/net as seen inside.
fn proc_net(namespace: &impl AsFd, file: &str) -> String {
    let read = || Ok(fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap());
    in_namespace(namespace.as_fd(), read).unwrap()
}

/// Names of the links inside.
fn links(namespace: &impl AsFd) -> Vec<String> {
    let table = proc_net(namespace, "dev");
    table.lines().skip(2).map(|l| l.split(':').next().unwrap().trim().to_owned()).collect()
}

fn session(namespace: &impl AsFd) -> Session {
    Session::open(namespace.as_fd(), "test").unwrap()
}

fn add_link<T>(namespace: &impl AsFd, link: LinkMessageBuilder<T>) {
    let session = session(namespace);
    let message = RouteNetlinkMessage::NewLink(link.build());
    session.ask("add link", session.exchange(message, ADD)).unwrap();
}

/// When something is taken for hung. On a busy machine a thread may get no processor for many
/// seconds, and that is no verdict.
const PATIENCE: Duration = Duration::from_secs(120);

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn first(tap: &Tap) -> BorrowedFd<'_> {
    tap.fds()[0].as_fd()
}
