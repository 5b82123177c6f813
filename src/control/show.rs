//! `show` and `clear`: makes the replies from the registry.

use std::path::Path;
use std::sync::Arc;

use super::interface::{Interface, Mode, Queue, SubInterface};
use super::life::Life;
use super::port::{Baseline, Port};
use super::registry::Registry;
use super::{Shared, domains, impairment, nsim, process, thread};
use crate::api::{
    self, ClearRequest, ErrorRow, InterfaceRef, QueueState, Reply, RingEntry, ShowRequest, State,
};
use crate::counters::{Direction, QueueSnapshot};
use crate::device::{Descriptor, feature_names};
use crate::diag::Failure;
use crate::units::{HostOffload, Kind, PollerIndex, QueueIndex};

pub(super) async fn show(shared: &Arc<Shared>, request: &ShowRequest) -> Result<Reply, Failure> {
    if let ShowRequest::Threads {} = request {
        return threads(shared).await.map(Reply::Threads);
    }
    if let ShowRequest::L2Fib { bd_id, kind, verbose } = request {
        let entries = domains::show_l2fib(shared, *bd_id, *kind).await?;
        return Ok(Reply::L2Fib(entries, *verbose));
    }
    // The others show nothing of it, and wait for no kernel.
    if request.view().is_some() || matches!(request, ShowRequest::Errors { .. }) {
        refresh(shared).await;
    }
    let registry = shared.registry();
    if let Some(view) = request.view() {
        let (kind, descriptors) = match request {
            ShowRequest::Tap { kind, descriptors, .. } => (Some(*kind), *descriptors),
            _ => (None, false),
        };
        let found = select(&registry, request.names(), kind)?.into_iter();
        let all = found.map(|i| interface(&registry, i, descriptors)).collect();
        return Ok(Reply::Interfaces(all, view));
    }
    Ok(match request {
        ShowRequest::BridgeDomains { bd_id, detail } => {
            Reply::BridgeDomains(domains::show(&registry, *bd_id)?, *detail)
        }
        ShowRequest::Errors { verbose } => {
            Reply::Errors(registry.all().flat_map(errors).collect(), *verbose)
        }
        ShowRequest::Runtime { verbose } => {
            let resources = shared.resources.get();
            let pollers = resources.map(|all| process::pollers(all, &registry));
            Reply::Runtime(pollers.unwrap_or_default(), *verbose)
        }
        ShowRequest::Nsim {} => Reply::Nsim(nsim::shown(&registry).into_iter().collect()),
        ShowRequest::Logging {} => Reply::Logging(registry.log.rows()),
        _ => request.empty(),
    })
}

/// Reads what the kernel alone counts.
async fn refresh(shared: &Arc<Shared>) {
    if let Ok(resources) = shared.running() {
        resources.host_counters.refresh(shared).await;
    }
}

/// The process's threads, read on one of its own.
async fn threads(shared: &Shared) -> Result<Vec<api::ThreadRow>, Failure> {
    let control = nix::unistd::gettid().as_raw();
    let pollers = shared.resources.get().map(|all| process::poller_threads(all));
    let workers: Vec<i32> = {
        let registry = shared.registry();
        let backends = registry.all().filter_map(|interface| interface.backend.as_ref());
        backends.flat_map(|backend| backend.workers().iter().copied()).collect()
    };
    thread::run("threads", move || {
        process::threads(Path::new("/proc"), control, &pollers.unwrap_or_default(), &workers)
    })
    .await
}

/// The named interfaces, each once, in the order of their names; all if none is named.
fn select<'a>(
    registry: &'a Registry,
    names: &[InterfaceRef],
    kind: Option<Kind>,
) -> Result<Vec<&'a Interface>, Failure> {
    let of_kind = |i: &&Interface| kind.is_none_or(|k| i.kind == k);
    if names.is_empty() {
        return Ok(registry.all().filter(of_kind).collect());
    }
    let mut found: Vec<&Interface> = Vec::new();
    for name in names {
        let named = registry.all().find(|i| match name {
            InterfaceRef::Name(name) => i.name == *name,
            InterfaceRef::Index(index) => i.sw_if_index == *index,
        });
        // A sub-interface is shown with its parent.
        let sub = || registry.subs.values().find(|sub| name.is(&sub.name, sub.sw_if_index));
        let named = named.or_else(|| registry.get(sub()?.parent));
        let interface = named.ok_or_else(|| registry.no_such(name))?;
        if !of_kind(&interface) {
            let kind = kind.map_or_else(String::new, |k| k.to_string());
            return Err(Failure::usage(name.to_string(), format!("not a {kind} interface")));
        }
        if found.iter().all(|i| i.sw_if_index != interface.sw_if_index) {
            found.push(interface);
        }
    }
    Ok(found)
}

fn state(interface: &Interface) -> State {
    if interface.life == Life::Deleting {
        State::Deleting
    } else if interface.life == Life::HostGone {
        State::HostGone
    } else if interface.is_broken() {
        State::Broken
    } else if interface.admin_up {
        State::Up
    } else {
        State::AdminDown
    }
}

/// What a mode is called; `local` where frames stay on our side.
fn action(registry: &Registry, mode: Mode, local: api::Action) -> api::Action {
    match mode {
        Mode::L3 => local,
        Mode::Xconnect(peer) => {
            registry.end(peer).map_or(local, |peer| api::Action::Xconnect(peer.name.clone()))
        }
        Mode::Bridge { domain, group } => api::Action::Bridge(domain, group),
    }
}

/// A sub-interface.
fn sub_interface(registry: &Registry, sub: &SubInterface) -> api::SubInterface {
    api::SubInterface {
        name: sub.name.clone(),
        sw_if_index: sub.sw_if_index,
        encapsulation: sub.encapsulation.to_string(),
        admin_up: sub.admin_up,
        action: action(registry, sub.mode, api::Action::Sink),
        tag_rewrite: sub.tag_rewrite.to_string(),
    }
}

/// One interface in full.
pub(super) fn interface(
    registry: &Registry,
    interface: &Interface,
    descriptors: bool,
) -> api::Interface {
    use std::os::fd::AsRawFd;
    let Port::Tap(tap) = &interface.port;
    let host = tap.facts();
    let local = match interface.addresses.is_empty() {
        true => api::Action::Sink,
        false => api::Action::Respond,
    };
    let action = action(registry, interface.mode, local);
    let subs = registry.subs_of(interface.sw_if_index);
    let sub_interfaces = subs.map(|sub| sub_interface(registry, sub)).collect();
    api::Interface {
        name: interface.name.clone(),
        id: interface.id,
        sw_if_index: interface.sw_if_index,
        kind: interface.kind,
        created_with: interface.created_with.clone(),
        backend: interface.backend_kind,
        backend_reason: interface.backend_reason.clone(),
        vhost_worker_mode: interface.worker_mode.map(Into::into),
        state: state(interface),
        admin_up: interface.admin_up,
        link_up: interface.life.is_living() && interface.port.has_link(),
        link_state: interface.link_state,
        impairment: Some(impairment::of(registry, interface)).filter(|faults| !faults.is_none()),
        action,
        tag_rewrite: interface.tag_rewrite.to_string(),
        sub_interfaces,
        addresses: interface.addresses.clone(),
        host_if_name: host.name.clone(),
        host_ifindex: host.ifindex,
        host_ns: tap.namespace().map(ToOwned::to_owned),
        host_addresses: host.addresses.clone(),
        host_bridge: host.bridge.clone(),
        mtu: host.mtu,
        qlen: host.qlen,
        host_tx_dropped: tap.dropped(Baseline::Counters),
        persist: tap.stay.persist,
        attached: tap.stay.attached,
        pinned: tap.stay.pinned,
        carrier: tap.carrier.on,
        speed_mbps: host.speed,
        host_mac_addr: host.mac,
        mac_addr: interface.station.mac,
        secondary_mac_addrs: interface.station.secondary.clone(),
        promiscuous: interface.station.promiscuous,
        tag: interface.tag.clone(),
        packet_mtu: interface.mtus.packet,
        ip4_mtu: interface.mtus.ip4,
        ip6_mtu: interface.mtus.ip6,
        mpls_mtu: interface.mtus.mpls,
        gso: tap.offload == HostOffload::Gso,
        no_gso: !interface.segment_pools.is_empty(),
        csum_offload: tap.offloads.contains(crate::host::Offloads::CSUM),
        offloads: tap.offloads.names().into_iter().map(Into::into).collect(),
        features: feature_names(interface.features),
        features_raw: format!("{:#x}", interface.features),
        backend_features: feature_names(interface.offered_features),
        backend_features_raw: format!("{:#x}", interface.offered_features),
        tap_fds: interface.port.files().0.iter().map(|fd| fd.as_raw_fd()).collect(),
        vhost_fds: interface.vhost_fds.clone(),
        rx_queues: queues(&interface.rx, descriptors),
        tx_queues: queues(&interface.tx, descriptors),
    }
}

fn queues(all: &[Queue], descriptors: bool) -> Vec<api::Queue> {
    let number = |i: usize| QueueIndex(u16::try_from(i).unwrap_or(u16::MAX));
    all.iter().enumerate().map(|(i, q)| queue(number(i), q, descriptors)).collect()
}

fn queue(id: QueueIndex, queue: &Queue, descriptors: bool) -> api::Queue {
    let positions = queue.memory.positions();
    api::Queue {
        id,
        size: queue.size,
        poller: queue.poller,
        mode: (queue.memory.id().direction == Direction::Rx).then_some(queue.mode),
        threads: queue.users.iter().map(PollerIndex).collect(),
        state: queue
            .broken()
            .map_or(QueueState::Running, |reason| QueueState::Broken(reason.sentence().into())),
        counters: queue.snapshot().since(&queue.baseline),
        avail_flags: positions.avail_flags,
        used_flags: positions.used_flags,
        kick_fd: queue.notify_fds.0,
        call_fd: queue.notify_fds.1,
        descriptors: if descriptors { entries(queue) } else { Vec::new() },
    }
}

fn entries(queue: &Queue) -> Vec<RingEntry> {
    let entry = |(id, (at, user_addr)): (u16, (Descriptor, u64))| RingEntry {
        id,
        addr: at.addr,
        len: at.len,
        flags: at.flags,
        next: at.next,
        user_addr,
    };
    (0..).zip(queue.memory.entries()).map(entry).collect()
}

fn errors(interface: &Interface) -> Vec<ErrorRow> {
    let row = |direction: Direction, i: usize, queue: &Queue| {
        let lost = queue.snapshot().since(&queue.errors_baseline);
        let id = QueueIndex(u16::try_from(i).unwrap_or(u16::MAX));
        lost.drops()
            .map(|(reason, count)| ErrorRow {
                count,
                name: interface.name.clone(),
                direction,
                queue: id,
                reason: reason.row().name.into(),
                sentence: reason.row().sentence.into(),
            })
            .collect::<Vec<_>>()
    };
    let rx = interface.rx.iter().enumerate().flat_map(|(i, q)| row(Direction::Rx, i, q));
    let tx = interface.tx.iter().enumerate().flat_map(|(i, q)| row(Direction::Tx, i, q));
    let by_the_host = ErrorRow {
        count: interface.port.tap().map_or(0, |tap| tap.dropped(Baseline::Errors)),
        name: interface.name.clone(),
        direction: Direction::Rx,
        // The kernel keeps one number for all queues.
        queue: QueueIndex(0),
        reason: HOST_TX_DROPPED.into(),
        sentence: HOST_TX_DROPPED_SENTENCE.into(),
    };
    let by_the_host = (by_the_host.count > 0).then_some(by_the_host);
    rx.chain(tx).chain(by_the_host).collect()
}

/// The key of what the host dropped, among the reasons of `show errors`.
const HOST_TX_DROPPED: &str = "host_tx_dropped";
const HOST_TX_DROPPED_SENTENCE: &str = "the host side's queue was full: raise its txqueuelen";

pub(super) async fn clear(shared: &Arc<Shared>, request: &ClearRequest) -> Result<Reply, Failure> {
    refresh(shared).await;
    let mut registry = shared.registry();
    let chosen: Vec<_> = match request {
        ClearRequest::Interfaces(names) => {
            select(&registry, names, None)?.iter().map(|i| i.sw_if_index).collect()
        }
        ClearRequest::Errors {} => registry.all().map(|i| i.sw_if_index).collect(),
    };
    let which = match request {
        ClearRequest::Interfaces(_) => Baseline::Counters,
        ClearRequest::Errors {} => Baseline::Errors,
    };
    let mut changed = Vec::new();
    for index in chosen {
        let Some(interface) = registry.get_mut(index) else { continue };
        changed.push(interface.name.clone());
        interface.port.clear(which);
        for queue in interface.rx.iter_mut().chain(&mut interface.tx) {
            let now: QueueSnapshot = queue.snapshot();
            match which {
                Baseline::Counters => queue.baseline = now,
                Baseline::Errors => queue.errors_baseline = now,
            }
        }
    }
    Ok(Reply::Changed(changed))
}
