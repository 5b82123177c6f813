//! Each lack, alone: the row that it makes, the way out, and the exit code.

use nix::errno::Errno;

use super::*;
use crate::device::known_features;
use crate::diag::Code;
use crate::doctor::finding::{Report, Verdict};

/// A machine that has everything.
fn facts() -> Facts {
    let node = || Node { mode: Some(0o666), opened: Ok(()) };
    Facts {
        tun: node(),
        tun_flags: Some(0x7133),
        tun_driver: Driver::Present,
        vhost: node(),
        vhost_features: Some(known_features() | 1 << 26),
        vhost_worker: Some(Worker::Task),
        vhost_driver: Driver::Present,
        namespace: Ok(()),
        tap: Some(Ok(Offloads::ALL)),
        uid: 0,
        capabilities: u64::MAX,
        in_user_namespace: false,
        knobs: Knobs { max_user_namespaces: Some(15000), ..Knobs::default() },
        kernel: "6.12.48-amd64".into(),
        files: Some((1024, 524_288)),
        memory: Ok(()),
        cgroup_limit: None,
        holder: Holder::NotAsked,
    }
}

fn refused(path: &str, errno: Errno) -> Node {
    let mode = (errno != Errno::ENOENT).then_some(0o600);
    Node { mode, opened: Err(Failure::sys(format!("open {path}"), "", errno)) }
}

fn judged(change: impl FnOnce(&mut Facts)) -> Report {
    let mut facts = facts();
    change(&mut facts);
    judge(&facts)
}

/// State, value, cost and remedy of a check; empty for none.
fn row(report: &Report, check: &str) -> (&'static str, String, String, String) {
    let found: Vec<_> = report.findings.iter().filter(|f| f.check == check).collect();
    assert_eq!(found.len(), 1, "{check}: {report:#?}");
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let found = found[0];
    (found.state.word(), found.value.clone(), text(&found.cost), text(&found.remedy))
}

fn is(report: &Report, check: &str, wanted: (&str, &str, &str, &str)) {
    let (state, value, cost, remedy) = row(report, check);
    assert_eq!((state, &*value, &*cost, &*remedy), wanted, "{check}");
}

const NO_TAP: &str = "without it no tap can be made";
const NO_VHOST: &str = "without it: userspace backend, frames copied once more";

#[test]
fn a_machine_that_has_everything_says_so_and_lacks_nothing() {
    let report = judged(|_| ());
    assert!(report.findings.iter().all(|f| f.state == Verdict::Ok), "{report:#?}");
    assert_eq!((report.code, &*report.summary), (None, "taps can be made, on vhost-net"));
    is(&report, "tun", ("ok", "/dev/net/tun opens, mode 0666", "", ""));
    is(
        &report,
        "tun-features",
        (
            "ok",
            "IFF_TUN IFF_TAP IFF_NAPI IFF_NAPI_FRAGS IFF_MULTI_QUEUE IFF_NO_PI IFF_ONE_QUEUE \
         IFF_VNET_HDR",
            "",
            "",
        ),
    );
    is(&report, "tun-offload", ("ok", "CSUM TSO4 TSO6 USO4 USO6", "", ""));
    is(
        &report,
        "vhost-features",
        (
            "ok",
            "0x134008000: VIRTIO_NET_F_MRG_RXBUF VHOST_F_LOG_ALL VIRTIO_RING_F_INDIRECT_DESC \
         VIRTIO_RING_F_EVENT_IDX VIRTIO_F_VERSION_1",
            "",
            "",
        ),
    );
    is(
        &report,
        "files",
        (
            "ok",
            "soft 1024, hard 524288: a holder takes the hard one, enough for 524256 interfaces on \
         userspace, 65532 on vhost-net",
            "",
            "",
        ),
    );
    assert!(report.findings.iter().all(|f| f.check != "holder"), "nobody asked");
}

#[test]
fn dev_net_tun() {
    let enoent = "open /dev/net/tun: No such file or directory (ENOENT)";
    let rows = [
        (Driver::Loadable, "modprobe tun"),
        (
            Driver::Present,
            "mkdir -p /dev/net && mknod /dev/net/tun c 10 200   # in a container: --device \
             /dev/net/tun",
        ),
        (
            Driver::Absent,
            "# a kernel with CONFIG_TUN; in a container: modprobe tun on its host, then --device",
        ),
    ];
    for (driver, remedy) in rows {
        let report = judged(|f| {
            f.tun = refused("/dev/net/tun", Errno::ENOENT);
            (f.tun_driver, f.tun_flags, f.tap) = (driver, None, None);
        });
        is(&report, "tun", ("missing", enoent, NO_TAP, remedy));
        assert_eq!(report.code, Some(Code::NoBackend));
        assert_eq!(report.summary, "taps cannot be made: the tun driver is missing");
    }
    let rows = [
        (
            0,
            Errno::EACCES,
            "open /dev/net/tun: Permission denied (EACCES), mode 0600",
            "chmod 0666 /dev/net/tun   # gives no other right",
        ),
        (
            1000,
            Errno::EACCES,
            "open /dev/net/tun: Permission denied (EACCES), mode 0600",
            "sudo chmod 0666 /dev/net/tun   # gives no other right; or run it with sudo",
        ),
        (
            0,
            Errno::EPERM,
            "open /dev/net/tun: Operation not permitted (EPERM), mode 0600",
            "# in a container: --device /dev/net/tun; in a systemd unit: DeviceAllow=/dev/net/tun \
             rw",
        ),
    ];
    for (uid, errno, value, remedy) in rows {
        let report = judged(|f| {
            f.tun = refused("/dev/net/tun", errno);
            (f.tun_flags, f.tap) = (None, None);
            f.uid = uid;
        });
        is(&report, "tun", ("missing", value, NO_TAP, remedy));
        assert_eq!(report.code, Some(Code::NotPermitted));
        assert_eq!(report.summary, "taps cannot be made: not permitted");
    }
}

#[test]
fn what_a_tun_driver_lacks() {
    is(
        &judged(|f| f.tun_flags = Some(0x1003)),
        "tun-features",
        (
            "missing",
            "IFF_TUN IFF_TAP IFF_NO_PI, without IFF_VNET_HDR",
            NO_TAP,
            "boot a newer kernel",
        ),
    );
    let report = judged(|f| f.tap = Some(Ok(Offloads::TSO)));
    is(
        &report,
        "tun-offload",
        (
            "missing",
            "CSUM TSO4 TSO6, without USO4 USO6",
            "without it: with gso on, UDP still comes in frames of the MTU",
            "boot Linux 6.2 or newer",
        ),
    );
    assert_eq!(report.code, None);
    let report = judged(|f| {
        let failure = Failure::sys("ioctl(TUNSETIFF) on /dev/net/tun", "doctor0", Errno::EPERM);
        f.tap = Some(Err(failure.hint("needs CAP_NET_ADMIN")));
    });
    is(
        &report,
        "tap",
        (
            "missing",
            "doctor0: ioctl(TUNSETIFF) on /dev/net/tun: Operation not permitted (EPERM)",
            "no tap can be made",
            "needs CAP_NET_ADMIN",
        ),
    );
    assert_eq!(report.code, Some(Code::NotPermitted));
}

#[test]
fn dev_vhost_net_is_missed_and_taps_can_be_made_without_it() {
    let rows = [
        (
            Errno::ENOENT,
            Driver::Loadable,
            "open /dev/vhost-net: No such file or directory (ENOENT)",
            "modprobe vhost_net",
        ),
        (
            Errno::ENOENT,
            Driver::Absent,
            "open /dev/vhost-net: No such file or directory (ENOENT)",
            "# a kernel with CONFIG_VHOST_NET; in a container: modprobe vhost_net on its host, then \
             --device",
        ),
        (
            Errno::ENOENT,
            Driver::Present,
            "open /dev/vhost-net: No such file or directory (ENOENT)",
            "mkdir -p /dev && mknod /dev/vhost-net c 10 238   # in a container: --device \
             /dev/vhost-net",
        ),
        (
            Errno::EACCES,
            Driver::Present,
            "open /dev/vhost-net: Permission denied (EACCES), mode 0600",
            "sudo setfacl -m u:1000:rw /dev/vhost-net   # or run it with sudo",
        ),
        (
            Errno::EPERM,
            Driver::Present,
            "open /dev/vhost-net: Operation not permitted (EPERM), mode 0600",
            "# in a container: --device /dev/vhost-net; in a systemd unit: \
             DeviceAllow=/dev/vhost-net rw",
        ),
    ];
    for (errno, driver, value, remedy) in rows {
        let report = judged(|f| {
            f.vhost = refused("/dev/vhost-net", errno);
            (f.vhost_driver, f.vhost_features, f.vhost_worker) = (driver, None, None);
            f.uid = 1000;
        });
        is(&report, "vhost-net", ("missing", value, NO_VHOST, remedy));
        assert_eq!((report.code, &*report.summary), (None, "taps can be made, on userspace"));
        let about = |check| report.findings.iter().any(|f| f.check == check);
        assert!(!about("vhost-features") && !about("vhost-worker"), "nothing to tell");
    }
    let report = judged(|f| f.vhost_features = Some(1 << 32 | 1 << 15 | 1 << 29));
    is(
        &report,
        "vhost-features",
        (
            "missing",
            "0x120008000: VIRTIO_NET_F_MRG_RXBUF VIRTIO_RING_F_EVENT_IDX VIRTIO_F_VERSION_1, \
         without VIRTIO_RING_F_INDIRECT_DESC",
            NO_VHOST,
            "boot a newer kernel",
        ),
    );
    assert_eq!(report.summary, "taps can be made, on userspace");
}

#[test]
fn vhost_workers() {
    let rows = [
        (Some(Worker::Kthread), "kernel thread; can be chosen"),
        (Some(Worker::Task), "task of its owner unless chosen: taptool asks for a kernel thread"),
        (None, "the kernel's default; this kernel offers no choice"),
    ];
    for (worker, value) in rows {
        is(&judged(|f| f.vhost_worker = worker), "vhost-worker", ("ok", value, "", ""));
    }
}

#[test]
fn modules() {
    is(
        &judged(|f| f.vhost_driver = Driver::Loadable),
        "module-vhost_net",
        (
            "missing",
            "not loaded",
            NO_VHOST,
            "modprobe vhost_net && echo vhost_net >/etc/modules-load.d/vhost_net.conf",
        ),
    );
    is(
        &judged(|f| f.tun_driver = Driver::Absent),
        "module-tun",
        (
            "missing",
            "neither in this kernel nor among the modules that can be seen from here",
            NO_TAP,
            "# a kernel with CONFIG_TUN; in a container: modprobe tun on its host, then --device",
        ),
    );
}

#[test]
fn rights() {
    let eperm = || Err(Failure::sys("unshare(CLONE_NEWNET)", "", Errno::EPERM).hint("sudo"));
    let sudo = "sudo taptool ...   # or, for namespaces made in there: unshare -Urn";
    let container =
        "# in a container: --cap-add NET_ADMIN --cap-add SYS_ADMIN --cap-add NET_BROADCAST";
    let none = "without CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_NET_BROADCAST";
    let rows = [
        (1000, false, 0, format!("user 1000, {none}"), sudo),
        (1000, true, 0, format!("user 1000 of a user namespace, {none}"), sudo),
        (0, false, 3 << 11, "root, without CAP_SYS_ADMIN".to_owned(), container),
        (0, false, 1 << 12 | 1 << 21, "root, without CAP_NET_BROADCAST".to_owned(), container),
        (
            0,
            true,
            1 << 21 | 1 << 11,
            "root of a user namespace, without CAP_NET_ADMIN".to_owned(),
            container,
        ),
    ];
    for (uid, inside, capabilities, value, remedy) in rows {
        let report = judged(|f| {
            (f.uid, f.in_user_namespace, f.capabilities) = (uid, inside, capabilities);
            (f.namespace, f.tap) = (eperm(), None);
        });
        is(&report, "capabilities", ("missing", &value, NO_TAP, remedy));
        is(
            &report,
            "network-namespaces",
            ("missing", "unshare(CLONE_NEWNET): Operation not permitted (EPERM)", NO_TAP, remedy),
        );
        assert_eq!(report.code, Some(Code::NotPermitted));
    }
    let report = judged(|f| {
        f.namespace = Err(Failure::sys("unshare(CLONE_NEWNET)", "", Errno::ENOSPC));
        f.tap = None;
    });
    let (state, _, _, remedy) = row(&report, "network-namespaces");
    assert_eq!((state, &*remedy), ("missing", "sysctl -w user.max_net_namespaces=15000"));
    assert_eq!(report.code, Some(Code::NotPermitted));
}

#[test]
fn user_namespaces_are_forbidden_by_a_setting_that_is_named() {
    let cost = "an ordinary user cannot try taps in `unshare -Urn', nor the demo";
    let fine = facts().knobs;
    let rows = [
        (
            Knobs { max_user_namespaces: None, ..fine },
            "this kernel has none",
            "a kernel with CONFIG_USER_NS",
        ),
        (
            Knobs { max_user_namespaces: Some(0), ..fine },
            "forbidden: user.max_user_namespaces is 0",
            "sysctl -w user.max_user_namespaces=15000",
        ),
        (
            Knobs { unprivileged_userns_clone: Some(0), ..fine },
            "forbidden: kernel.unprivileged_userns_clone is 0",
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            Knobs { apparmor_restrict: Some(1), ..fine },
            "forbidden: kernel.apparmor_restrict_unprivileged_userns is 1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ];
    for (knobs, value, remedy) in rows {
        let report = judged(|f| f.knobs = knobs);
        is(&report, "user-namespaces", ("missing", value, cost, remedy));
        assert_eq!(report.code, None, "root needs none");
    }
    let allowed = Knobs { unprivileged_userns_clone: Some(1), apparmor_restrict: Some(0), ..fine };
    let report = judged(|f| f.knobs = allowed);
    is(&report, "user-namespaces", ("ok", "allowed to ordinary users", "", ""));
}

#[test]
fn kernel_and_limits() {
    is(
        &judged(|f| f.kernel = "5.4.0-150-generic".into()),
        "kernel",
        (
            "missing",
            "Linux 5.4.0-150-generic, before 5.8",
            "a host side in another namespace can be made, but not looked at afterwards",
            "boot Linux 5.8 or newer",
        ),
    );
    is(&judged(|f| f.kernel = "strange".into()), "kernel", ("unknown", "Linux strange", "", ""));
    is(
        &judged(|f| f.files = Some((256, 512))),
        "files",
        (
            "missing",
            "soft 256, hard 512: a holder takes the hard one, enough for 480 interfaces on userspace, \
         60 on vhost-net",
            "the create that does not fit fails with EMFILE",
            "ulimit -Hn 524288   # in a systemd unit: LimitNOFILE=524288",
        ),
    );
    let report = judged(|f| {
        let failure = Failure::new(Code::Failed, "", "no room").hint("ulimit -v unlimited");
        f.memory = Err(failure);
    });
    is(
        &report,
        "memory",
        (
            "missing",
            "no room",
            "no holder starts with the usual 64 GiB of sparse memory",
            "taptool hold --memory 1G   # ulimit -v unlimited",
        ),
    );
    assert_eq!(report.code, Some(Code::Failed));
    is(
        &judged(|f| f.cgroup_limit = Some(100 << 20)),
        "memory-cgroup",
        (
            "note",
            "limited to 100 MiB",
            "rings and buffers in use count, up to some MiB for each busy interface",
            "systemctl set-property UNIT MemoryMax=1G   # in a container: --memory 1g",
        ),
    );
    let roomy = judged(|f| f.cgroup_limit = Some(2 << 30));
    is(&roomy, "memory-cgroup", ("ok", "limited to 2048 MiB", "", ""));
}

#[test]
fn a_holder_is_told_as_the_caller_found_it() {
    let report = judged(|f| f.holder = Holder::Answers("with 2 interfaces".into()));
    is(&report, "holder", ("ok", "one answers, with 2 interfaces", "", ""));
    let report = judged(|f| f.holder = Holder::Absent);
    is(&report, "holder", ("ok", "none runs: there are no interfaces", "", ""));
    let silent = Failure::new(Code::NoAnswer, "/run/taptool/ctl.sock", "no answer within 2 s");
    let report = judged(|f| f.holder = Holder::Silent(silent));
    is(
        &report,
        "holder",
        (
            "missing",
            "/run/taptool/ctl.sock: no answer within 2 s",
            "no command reaches the interfaces that it holds; their frames move all the same",
            "",
        ),
    );
    assert_eq!(report.code, Some(Code::NoAnswer));
    assert_eq!(report.summary, "taps cannot be made: the holder does not answer");
}

#[test]
fn this_machine_can_be_asked_and_every_check_has_one_row() {
    let report = judge(&collect(Holder::Absent));
    let mut checks: Vec<&str> = report.findings.iter().map(|f| &*f.check).collect();
    checks.sort_unstable();
    let all = checks.len();
    checks.dedup();
    assert_eq!(checks.len(), all, "{checks:?}");
    for check in ["tun", "vhost-net", "capabilities", "network-namespaces", "kernel", "memory"] {
        assert!(checks.contains(&check), "{checks:?}");
    }
    for object in report.to_json().as_array().unwrap() {
        let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["check", "cost", "remedy", "state", "value"]);
    }
}
