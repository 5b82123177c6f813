//! Limits: open files and memory.

use super::Facts;
use crate::device::MEMORY_BYTES;
use crate::doctor::finding::{Finding, line};

/// Files that a holder without interfaces has open, rounded up.
const HOLDER_FILES: u64 = 32;
/// Files of an interface with one queue pair on userspace: the tun file.
const USERSPACE_FILES: u64 = 1;
/// On vhost-net: the tun file, the vhost file, and kick, call and error eventfds of two rings.
const VHOST_FILES: u64 = 8;
/// A limit that allows fewer interfaces than this is reported.
const FEW: u64 = 100;
/// Memory below which a few dozen busy interfaces feel their cgroup: 256 MiB.
const TIGHT: u64 = 256 << 20;

pub(super) fn files(facts: &Facts) -> Finding {
    let Some((soft, hard)) = facts.files else {
        return Finding::unknown("files", "the limit of open files cannot be read");
    };
    // The holder raises its own soft limit to the hard one.
    let room = |each: u64| hard.saturating_sub(HOLDER_FILES) / each;
    let (userspace, vhost) = (room(USERSPACE_FILES), room(VHOST_FILES));
    let value = format!(
        "soft {soft}, hard {hard}: a holder takes the hard one, enough for {userspace} interfaces \
         on userspace, {vhost} on vhost-net"
    );
    if vhost >= FEW {
        return Finding::ok("files", value);
    }
    Finding::missing("files", value)
        .cost("the create that does not fit fails with EMFILE")
        .remedy("ulimit -Hn 524288   # in a systemd unit: LimitNOFILE=524288")
}

pub(super) fn memory(facts: &Facts) -> Finding {
    let gib = MEMORY_BYTES >> 30;
    match &facts.memory {
        Ok(()) => Finding::ok(
            "memory",
            format!("{gib} GiB for rings and buffers can be mapped; only pages in use take room"),
        ),
        Err(failure) => {
            let finding = Finding::missing("memory", line(failure))
                .cost(format!("no holder starts with the usual {gib} GiB of sparse memory"));
            finding.remedy(match &failure.hint {
                Some(hint) => format!("taptool hold --memory 1G   # {hint}"),
                None => "taptool hold --memory 1G".to_owned(),
            })
        }
    }
}

pub(super) fn cgroup(facts: &Facts) -> Finding {
    match facts.cgroup_limit {
        None => Finding::ok("memory-cgroup", "no limit"),
        Some(bytes) => {
            let value = format!("limited to {} MiB", bytes >> 20);
            if bytes >= TIGHT {
                return Finding::ok("memory-cgroup", value);
            }
            Finding::note("memory-cgroup", value)
                .cost("rings and buffers in use count, up to some MiB for each busy interface")
                .remedy("systemctl set-property UNIT MemoryMax=1G   # in a container: --memory 1g")
        }
    }
}
