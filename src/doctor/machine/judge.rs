//! The machine's facts → findings.

use nix::errno::Errno;

use super::{Facts, Node, limits};
use crate::device::{feature_names, negotiate};
use crate::diag::Code;
use crate::doctor::Holder;
use crate::doctor::finding::{Finding, Report, line};
use crate::host::Offloads;
use crate::sys::module::Driver;
use crate::sys::vhost::Worker;
use crate::sys::{capability, tun};

/// What a machine without vhost-net loses.
const NO_VHOST: &str = "without it: userspace backend, frames copied once more";

/// What a machine without the rights or the file loses.
const NO_TAP: &str = "without it no tap can be made";

/// Flags of `TUNGETFEATURES` by name (`linux/if_tun.h`), and whether create needs them.
const TUN_FLAGS: [(u32, &str, bool); 8] = [
    (0x0001, "IFF_TUN", false),
    (0x0002, "IFF_TAP", true),
    (0x0010, "IFF_NAPI", false),
    (0x0020, "IFF_NAPI_FRAGS", false),
    (tun::IFF_MULTI_QUEUE as u32, "IFF_MULTI_QUEUE", false),
    (tun::IFF_NO_PI as u32, "IFF_NO_PI", true),
    (0x2000, "IFF_ONE_QUEUE", false),
    (tun::IFF_VNET_HDR as u32, "IFF_VNET_HDR", true),
];

/// Says what there is, what is missing, what that costs, and how to get it.
pub(in crate::doctor) fn judge(facts: &Facts) -> Report {
    let findings: Vec<Finding> = [
        Some(tun_node(facts)),
        tun_flags(facts),
        tap(facts),
        tun_offload(facts),
        Some(module("module-tun", "tun", facts.tun_driver, NO_TAP)),
        Some(vhost_node(facts)),
        vhost_features(facts),
        vhost_worker(facts),
        Some(module("module-vhost_net", "vhost_net", facts.vhost_driver, NO_VHOST)),
        Some(capabilities(facts)),
        Some(user_namespaces(facts)),
        Some(network_namespaces(facts)),
        Some(kernel(facts)),
        Some(limits::files(facts)),
        Some(limits::memory(facts)),
        Some(limits::cgroup(facts)),
        holder(facts),
    ]
    .into_iter()
    .flatten()
    .collect();
    let refused = hindrance(facts);
    let backend = match facts.vhost.opened.is_ok() && lacking(facts) == Some(0) {
        true => "vhost-net",
        false => "userspace",
    };
    let summary = match refused {
        None => format!("taps can be made, on {backend}"),
        Some(Code::NotPermitted) => "taps cannot be made: not permitted".to_owned(),
        Some(Code::NoBackend) => "taps cannot be made: the tun driver is missing".to_owned(),
        Some(Code::NoAnswer) => "taps cannot be made: the holder does not answer".to_owned(),
        Some(_) => "taps cannot be made".to_owned(),
    };
    Report { findings, summary, code: refused }
}

/// What `create` would answer; none when it would be done.
fn hindrance(facts: &Facts) -> Option<Code> {
    if facts.tun.opened.is_err() {
        return Some(if refused(&facts.tun) { Code::NotPermitted } else { Code::NoBackend });
    }
    if facts.namespace.is_err() {
        // Rights or a limit: either way the machine has it and does not give it.
        return Some(Code::NotPermitted);
    }
    match &facts.tap {
        Some(Err(failure)) => Some(failure.code),
        Some(Ok(_)) | None => match (&facts.memory, &facts.holder) {
            (Err(failure), _) | (_, Holder::Silent(failure)) => Some(failure.code),
            (Ok(()), _) => None,
        },
    }
}

/// Whether the device cgroup forbids a file, which no user and no mode helps against.
fn withheld(node: &Node) -> bool {
    node.opened.as_ref().is_err_and(|failure| failure.errno == Some(Errno::EPERM))
}

/// Whether a device file is there and may not be opened.
fn refused(node: &Node) -> bool {
    node.opened.as_ref().is_err_and(|failure| failure.code == Code::NotPermitted)
}

fn opens(check: &'static str, path: &str, mode: Option<u32>) -> Finding {
    let mode = mode.map_or_else(String::new, |mode| format!(", mode {mode:04o}"));
    Finding::ok(check, format!("{path} opens{mode}"))
}

/// What gets a driver that is nowhere to be seen; no command does.
fn absent(module: &str) -> String {
    let config = format!("CONFIG_{}", module.to_uppercase());
    format!(
        "# a kernel with {config}; in a container: modprobe {module} on its host, then --device"
    )
}

/// What makes a missing device file appear.
fn make_node(path: &str, module: &str, numbers: &str, driver: Driver) -> String {
    match driver {
        Driver::Present => format!(
            "mkdir -p {} && mknod {path} c {numbers}   # in a container: --device {path}",
            path.rsplit_once('/').map_or("/dev", |(directory, _)| directory)
        ),
        Driver::Loadable => format!("modprobe {module}"),
        Driver::Absent => absent(module),
    }
}

fn tun_node(facts: &Facts) -> Finding {
    let Err(failure) = &facts.tun.opened else {
        return opens("tun", tun::PATH, facts.tun.mode);
    };
    let mode = facts.tun.mode.map_or_else(String::new, |mode| format!(", mode {mode:04o}"));
    let finding = Finding::missing("tun", format!("{}{mode}", line(failure))).cost(NO_TAP);
    if !refused(&facts.tun) {
        return finding.remedy(make_node(tun::PATH, "tun", "10 200", facts.tun_driver));
    }
    finding.remedy(match (withheld(&facts.tun), facts.uid) {
        (true, _) => "# in a container: --device /dev/net/tun; in a systemd unit: DeviceAllow=/dev/net/tun rw",
        (false, 0) if !facts.in_user_namespace => "chmod 0666 /dev/net/tun   # gives no other right",
        (false, _) => "sudo chmod 0666 /dev/net/tun   # gives no other right; or run it with sudo",
    })
}

fn tun_flags(facts: &Facts) -> Option<Finding> {
    let flags = facts.tun_flags?;
    let named = |row: &&(u32, &str, bool)| flags & row.0 != 0;
    let names: Vec<&str> = TUN_FLAGS.iter().filter(named).map(|row| row.1).collect();
    let value = names.join(" ");
    let lacks = |row: &&(u32, &'static str, bool)| row.2 && flags & row.0 == 0;
    let lacking: Vec<&str> = TUN_FLAGS.iter().filter(lacks).map(|row| row.1).collect();
    if lacking.is_empty() {
        return Some(Finding::ok("tun-features", value));
    }
    let without = format!("{value}, without {}", lacking.join(" "));
    Some(Finding::missing("tun-features", without).cost(NO_TAP).remedy("boot a newer kernel"))
}

fn tap(facts: &Facts) -> Option<Finding> {
    Some(match facts.tap.as_ref()? {
        Ok(_) => Finding::ok("tap", "one was made in a namespace of its own and removed again"),
        Err(failure) => {
            Finding::missing("tap", line(failure)).cost("no tap can be made").hinted(failure)
        }
    })
}

fn tun_offload(facts: &Facts) -> Option<Finding> {
    let Ok(offloads) = facts.tap.as_ref()? else { return None };
    let names = offloads.names().join(" ");
    if offloads.contains(Offloads::ALL) {
        return Some(Finding::ok("tun-offload", names));
    }
    Some(
        Finding::missing("tun-offload", format!("{names}, without USO4 USO6"))
            .cost("without it: with gso on, UDP still comes in frames of the MTU")
            .remedy("boot Linux 6.2 or newer"),
    )
}

fn module(check: &'static str, name: &str, driver: Driver, cost: &'static str) -> Finding {
    match driver {
        Driver::Present => Finding::ok(check, "in the kernel"),
        Driver::Loadable => Finding::missing(check, "not loaded")
            .cost(cost)
            .remedy(format!("modprobe {name} && echo {name} >/etc/modules-load.d/{name}.conf")),
        Driver::Absent => Finding::missing(
            check,
            "neither in this kernel nor among the modules that can be seen from here",
        )
        .cost(cost)
        .remedy(absent(name)),
    }
}

/// Feature bits that we need and this vhost-net does not offer.
fn lacking(facts: &Facts) -> Option<u64> {
    facts.vhost_features.map(|offered| negotiate(offered).err().unwrap_or(0))
}

fn vhost_node(facts: &Facts) -> Finding {
    let path = crate::sys::vhost::PATH;
    let Err(failure) = &facts.vhost.opened else {
        return opens("vhost-net", path, facts.vhost.mode);
    };
    let mode = facts.vhost.mode.map_or_else(String::new, |mode| format!(", mode {mode:04o}"));
    let finding = Finding::missing("vhost-net", format!("{}{mode}", line(failure))).cost(NO_VHOST);
    if !refused(&facts.vhost) && facts.vhost.mode.is_some() {
        return finding.remedy(format!(
            "umount {path} || rm {path}; modprobe vhost_net; test -e {path} || mknod {path} c 10 238"
        ));
    }
    if !refused(&facts.vhost) {
        return finding.remedy(make_node(path, "vhost_net", "10 238", facts.vhost_driver));
    }
    finding.remedy(match (withheld(&facts.vhost), facts.uid) {
        (true, _) => "# in a container: --device /dev/vhost-net; in a systemd unit: DeviceAllow=/dev/vhost-net rw".to_owned(),
        (false, 0) if !facts.in_user_namespace => "chmod 0666 /dev/vhost-net".to_owned(),
        (false, uid) => format!("sudo setfacl -m u:{uid}:rw /dev/vhost-net   # or run it with sudo"),
    })
}

fn vhost_features(facts: &Facts) -> Option<Finding> {
    let offered = facts.vhost_features?;
    let names = format!("{offered:#x}: {}", feature_names(offered).join(" "));
    match lacking(facts) {
        Some(missing) if missing != 0 => {
            let missing = feature_names(missing).join(" ");
            Some(
                Finding::missing("vhost-features", format!("{names}, without {missing}"))
                    .cost(NO_VHOST)
                    .remedy("boot a newer kernel"),
            )
        }
        _ => Some(Finding::ok("vhost-features", names)),
    }
}

fn vhost_worker(facts: &Facts) -> Option<Finding> {
    facts.vhost_features?;
    Some(match facts.vhost_worker {
        Some(Worker::Kthread) => Finding::ok("vhost-worker", "kernel thread; can be chosen"),
        Some(Worker::Task) => Finding::ok(
            "vhost-worker",
            "task of its owner unless chosen: taptool asks for a kernel thread",
        ),
        None => Finding::ok("vhost-worker", "the kernel's default; this kernel offers no choice"),
    })
}

fn capabilities(facts: &Facts) -> Finding {
    let has = |bit| facts.capabilities & bit != 0;
    let needed = [
        (capability::NET_ADMIN, "CAP_NET_ADMIN"),
        (capability::SYS_ADMIN, "CAP_SYS_ADMIN"),
        (capability::NET_BROADCAST, "CAP_NET_BROADCAST"),
    ];
    let listed = |wanted: &dyn Fn(u64) -> bool| {
        let names = needed.iter().filter(|row| wanted(row.0)).map(|row| row.1);
        names.collect::<Vec<_>>().join(", ")
    };
    let missing = listed(&|bit| !has(bit));
    let whose = match (facts.uid, facts.in_user_namespace) {
        (0, false) => "root".to_owned(),
        (uid, false) => format!("user {uid}"),
        (0, true) => "root of a user namespace".to_owned(),
        (uid, true) => format!("user {uid} of a user namespace"),
    };
    if missing.is_empty() {
        return Finding::ok("capabilities", format!("{whose}, with {}", listed(&|_| true)));
    }
    Finding::missing("capabilities", format!("{whose}, without {missing}"))
        .cost(NO_TAP)
        .remedy(more_rights(facts))
}

fn more_rights(facts: &Facts) -> &'static str {
    match facts.uid {
        0 => "# in a container: --cap-add NET_ADMIN --cap-add SYS_ADMIN --cap-add NET_BROADCAST",
        _ => "sudo taptool ...   # or, for namespaces made in there: unshare -Urn",
    }
}

fn user_namespaces(facts: &Facts) -> Finding {
    let knobs = facts.knobs;
    let forbidden = |setting: &str, value: u64, remedy: &str| {
        Finding::missing("user-namespaces", format!("forbidden: {setting} is {value}"))
            .cost("an ordinary user cannot try taps in `unshare -Urn', nor the demo")
            .remedy(format!("sysctl -w {remedy}"))
    };
    match (knobs.max_user_namespaces, knobs.unprivileged_userns_clone, knobs.apparmor_restrict) {
        (None, ..) => Finding::missing("user-namespaces", "this kernel has none")
            .cost("an ordinary user cannot try taps in `unshare -Urn', nor the demo")
            .remedy("a kernel with CONFIG_USER_NS"),
        (Some(0), ..) => forbidden("user.max_user_namespaces", 0, "user.max_user_namespaces=15000"),
        (_, Some(0), _) => {
            forbidden("kernel.unprivileged_userns_clone", 0, "kernel.unprivileged_userns_clone=1")
        }
        (_, _, Some(value @ 1..)) => forbidden(
            "kernel.apparmor_restrict_unprivileged_userns",
            value,
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (Some(_), ..) => Finding::ok("user-namespaces", "allowed to ordinary users"),
    }
}

fn network_namespaces(facts: &Facts) -> Finding {
    let Err(failure) = &facts.namespace else {
        return Finding::ok("network-namespaces", "can be made and entered");
    };
    let finding = Finding::missing("network-namespaces", line(failure)).cost(NO_TAP);
    match failure.code {
        Code::NotPermitted => finding.remedy(more_rights(facts)),
        // The limit of user.max_net_namespaces.
        _ if failure.errno == Some(Errno::ENOSPC) => {
            finding.remedy("sysctl -w user.max_net_namespaces=15000")
        }
        _ => finding.hinted(failure),
    }
}

/// Since Linux 5.8 a tun file tells where its device is (`TUNGETDEVNETNS`).
const FOLLOWS: (u64, u64) = (5, 8);

fn kernel(facts: &Facts) -> Finding {
    let mut numbers = facts.kernel.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let version = match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => return Finding::unknown("kernel", format!("Linux {}", facts.kernel)),
    };
    let value = format!("Linux {}", facts.kernel);
    if version >= FOLLOWS {
        return Finding::ok("kernel", value);
    }
    Finding::missing("kernel", format!("{value}, before 5.8"))
        .cost("a host side in another namespace can be made, but not looked at afterwards")
        .remedy("boot Linux 5.8 or newer")
}

fn holder(facts: &Facts) -> Option<Finding> {
    Some(match &facts.holder {
        Holder::NotAsked => return None,
        Holder::Absent => Finding::ok("holder", "none runs: there are no interfaces"),
        Holder::Answers(more) => Finding::ok("holder", format!("one answers, {more}")),
        Holder::Silent(failure) => {
            let finding = Finding::missing("holder", line(failure)).cost(
                "no command reaches the interfaces that it holds; their frames move all the same",
            );
            match &failure.hint {
                Some(hint) => finding.remedy(hint.clone()),
                None => finding,
            }
        }
    })
}
