//! `delete`: takes interfaces off the data path at once, and answers when the kernel has freed
//! them.
//!
//! # Theory of operation
//! First every interface leaves the data path: others stop sending to it, its queues stop, and it
//! is shown as `deleting`. Then its backend stops, its rings are emptied, which returns the buffers
//! of other interfaces, its queues are removed from their poller, and its device is closed. Several
//! interfaces are deleted concurrently. The reply lists the steps that could not be undone, and the
//! log the lost frames. Buffers of its own that are in the rings of others return later; their
//! memory is freed then.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::interface::Interface;
use super::life::Life;
use super::port::TapPort;
use super::{Resources, Shared, carrier, changes, domains, sub_interfaces, thread};
use crate::action::PeerKey;
use crate::api::{DeleteRequest, Deleted, Level, NamespaceSpec, Outcome, Reply};
use crate::counters::DropReason;
use crate::device::PortFiles;
use crate::diag::Failure;
use crate::engine::{QueueKey, StopReason};
use crate::host::{self, Offloads};
use crate::units::{HostOffload, IfName, PollerIndex, SwIfIndex};

/// Interfaces that are deleted concurrently: closing waits for the kernel, not for a core.
const SIDE_BY_SIDE: usize = 8;

pub(super) async fn delete(
    shared: &Arc<Shared>,
    request: DeleteRequest,
) -> Result<Outcome, Failure> {
    let destroy =
        matches!(request, DeleteRequest::Destroy(_) | DeleteRequest::All { destroy: true });
    let indices: Vec<SwIfIndex> = {
        let registry = shared.registry();
        match &request {
            DeleteRequest::All { .. } => {
                let all = registry.all().filter(|i| i.life != Life::Deleting);
                all.map(|i| i.sw_if_index).collect()
            }
            DeleteRequest::Named(names) | DeleteRequest::Destroy(names) => {
                let mut found = Vec::new();
                for name in names {
                    let index = registry.find(name)?;
                    if !found.contains(&index) {
                        found.push(index);
                    }
                }
                found
            }
        }
    };
    let everything = matches!(request, DeleteRequest::All { .. });
    if indices.is_empty() {
        if everything {
            domains::remove_all(shared).await?;
        }
        return Ok(Reply::Deleted(Vec::new()).into());
    }
    let resources = shared.running()?;
    for index in &indices {
        if let Some(interface) = shared.registry().get_mut(*index) {
            interface.life.step_to(Life::Deleting);
        }
    }
    for index in &indices {
        carrier::hand_on(shared, &resources, *index).await;
    }
    let mut torn = Vec::new();
    for index in indices {
        let subs = sub_interfaces::remove_all(shared, &resources, index).await;
        let disconnected = changes::disconnect(shared, &resources, index).await;
        let mut off = take_off(shared, &resources, index).await;
        if let Some(torn) = &mut off {
            torn.failures.extend(subs);
            torn.failures.extend(disconnected.err());
        }
        torn.push(off);
    }
    let (mut gone, mut notices) = (Vec::new(), Vec::new());
    while !torn.is_empty() {
        let batch: Vec<Torn> = torn.drain(..torn.len().min(SIDE_BY_SIDE)).flatten().collect();
        let mut running = Vec::new();
        for torn in batch {
            let (shared, resources) = (Arc::clone(shared), Arc::clone(&resources));
            let name = torn.name.clone();
            let task = tokio::spawn(async move { torn.finish(&shared, &resources, destroy).await });
            running.push((name, task));
        }
        for (name, task) in running {
            let (deleted, notice) = task.await.unwrap_or_else(|_| {
                let bug = Failure::bug("", "the delete panicked").to_string();
                (Deleted { name, not_undone: vec![bug] }, None)
            });
            gone.push(deleted);
            notices.extend(notice);
        }
    }
    if everything {
        domains::remove_all(shared).await?;
    }
    Ok(Outcome { reply: Reply::Deleted(gone), notices })
}

/// An interface that is off the data path.
struct Torn {
    index: SwIfIndex,
    name: IfName,
    /// Receive queues, then transmit queues.
    queues: [Vec<(PollerIndex, QueueKey)>; 2],
    peer: PeerKey,
    failures: Vec<Failure>,
}

async fn take_off(shared: &Arc<Shared>, resources: &Resources, index: SwIfIndex) -> Option<Torn> {
    let mut torn = {
        let registry = shared.registry();
        let interface = registry.get(index)?;
        let queues = [&interface.rx, &interface.tx]
            .map(|queues| queues.iter().map(|q| (q.poller, q.key)).collect());
        let (name, peer) = (interface.name.clone(), interface.peer);
        Torn { index, name, queues, peer, failures: Vec::new() }
    };
    for (poller, key) in torn.queues.concat() {
        let stopped = resources.engine.stop(poller, key, StopReason::Retired).await;
        torn.failures.extend(stopped.err());
    }
    Some(torn)
}

impl Torn {
    /// What it was, and a notice about a device that stays.
    async fn finish(
        mut self,
        shared: &Arc<Shared>,
        resources: &Resources,
        destroy: bool,
    ) -> (Deleted, Option<String>) {
        // Every other user of its files ends first.
        let files = shared.registry().get(self.index).map(|i| Arc::clone(&i.files));
        let _held = match files {
            Some(files) => Some(files.lock_owned().await),
            None => None,
        };
        let backend = shared.registry().get_mut(self.index).and_then(|i| i.backend.take());
        let before = self.lost(shared);
        let stopped = thread::finish("stop", move || {
            backend.map(|mut backend| backend.stop().failures).unwrap_or_default()
        });
        match stopped.await {
            Ok(left) => self.failures.extend(left),
            Err(failure) => self.failures.push(failure),
        }
        let engine = &resources.engine;
        let [rx_at, tx_at] = std::mem::take(&mut self.queues);
        for (poller, key) in rx_at.iter().chain(&tx_at) {
            self.failures.extend(engine.empty(*poller, *key).await.err());
        }
        let lost = self.lost(shared).saturating_sub(before);
        let (mut rx, mut tx) = (Vec::new(), Vec::new());
        for (poller, key) in rx_at {
            match engine.take_rx(poller, key).await {
                Ok(queue) => rx.extend(queue),
                Err(failure) => self.failures.push(failure),
            }
        }
        self.failures.extend(engine.remove_peer(self.peer).await.err());
        for (poller, key) in tx_at {
            match engine.take_tx(poller, key).await {
                Ok(queue) => tx.extend(queue),
                Err(failure) => self.failures.push(failure),
            }
        }
        let staying = shared.registry().get(self.index).and_then(|i| Staying::of(i.port.tap()?));
        let files = shared.registry().get_mut(self.index).map(|i| i.port.take_files());
        let (persists, mut notice) = (staying.is_some(), None);
        let closed = thread::finish("close", move || {
            // Their devices have the files too.
            drop((rx, tx));
            let files = files.unwrap_or_default();
            let stays = if persists { let_go(&files, destroy) } else { Ok(false) };
            (stays, close(files))
        });
        match closed.await {
            Ok((stays, left)) => {
                self.failures.extend(left);
                match stays {
                    Ok(true) => notice = staying.map(|staying| staying.notice(&self.name)),
                    Ok(false) => {}
                    Err(failure) => self.failures.push(failure),
                }
            }
            Err(failure) => self.failures.push(failure),
        }
        let removed = shared.registry().remove(self.index);
        if let Some(interface) = removed {
            self.failures.extend(forget(shared, resources, interface).await);
        }
        let Self { name, failures, .. } = self;
        let mut text = "deleted".to_owned();
        if notice.is_some() {
            text = format!("{text}; its host side stays");
        }
        if lost > 0 {
            text = format!("{text}; {lost} frames in its rings were lost (torn)");
        }
        if !failures.is_empty() {
            text = format!("{text}; {} steps not undone", failures.len());
        }
        let level = if failures.is_empty() { Level::Notice } else { Level::Warn };
        shared.registry().log.add(level, &name, text);
        let not_undone = failures.iter().map(ToString::to_string).collect();
        (Deleted { name, not_undone }, notice)
    }

    /// Frames that were lost in its rings so far.
    fn lost(&self, shared: &Shared) -> u64 {
        let registry = shared.registry();
        let queues = registry.get(self.index).map(|i| i.rx.iter().chain(&i.tx));
        queues.into_iter().flatten().map(|queue| queue.snapshot().lost(DropReason::Torn)).sum()
    }
}

/// A device that stays when its files are closed.
struct Staying {
    place: String,
    /// What removes it.
    remedy: String,
}

impl Staying {
    fn of(tap: &TapPort) -> Option<Self> {
        if !tap.stay.persist {
            return None;
        }
        let name = &tap.facts().name;
        let namespace = tap.namespace().and_then(|words| words.parse().ok());
        let ip = namespace.unwrap_or(NamespaceSpec::Own).tool("ip");
        let place = tap.namespace().map(|namespace| format!(" in {namespace}"));
        let place = format!("{name}{}", place.unwrap_or_default());
        Some(Self { place, remedy: format!("{ip} link del dev {name}") })
    }

    fn notice(self, name: &IfName) -> String {
        format!("{}, the host side of {name}, stays; `{}' removes it", self.place, self.remedy)
    }
}

/// Before the files of a device that persists are closed: it shall go with them, or stay as one that
/// nobody has. Whether it stays; not where it is gone already.
fn let_go(files: &PortFiles, destroy: bool) -> Result<bool, Failure> {
    let Some(file) = files.0.first().filter(|file| host::is_gone(file.as_fd()) == Ok(false)) else {
        return Ok(false);
    };
    if destroy {
        host::set_persist(file.as_fd(), false)?;
        return Ok(false);
    }
    // Whoever has it next may not expect large frames.
    let _ = host::set_offloads(&files.0, HostOffload::Off, Offloads::NONE);
    Ok(true)
}

/// Closes a port's files: with a tap's last one the kernel removes the device. Returns an error if
/// one is still in use elsewhere, which is a bug.
fn close(files: PortFiles) -> Option<Failure> {
    let left = files.0.into_iter().filter_map(|file| Arc::try_unwrap(file).err()).count();
    (left > 0).then(|| Failure::bug("port's file", "still in use"))
}

/// Frees what a deleted interface had in the engine and in memory.
async fn forget(shared: &Arc<Shared>, resources: &Resources, interface: Interface) -> Vec<Failure> {
    let records: Vec<_> = interface.rx.iter().chain(&interface.tx).map(|q| q.record).collect();
    let (keys, peer) = (interface.queues(), interface.peer);
    let pools = interface.rx.iter().map(|queue| queue.poller).zip(&interface.pools);
    let waiting = interface.rx.iter().map(|queue| queue.poller).zip(&interface.hold_pools);
    let made = interface.tx.iter().map(|queue| queue.poller).zip(&interface.segment_pools);
    let pools: Vec<_> =
        pools.chain(waiting).chain(made).map(|(owner, pool)| (owner, pool.slot())).collect();
    // Its rings go with it, and each erases its record: only then is the number another's.
    let dropped = thread::finish("free", move || drop(interface)).await;
    for record in records {
        shared.registry().release_record(record);
    }
    for (_, key) in keys {
        resources.engine.release_queue(key);
    }
    resources.engine.release_peer(peer);
    let mut failures: Vec<Failure> = dropped.err().into_iter().collect();
    for (owner, pool) in pools {
        failures.extend(resources.engine.retire_pool(owner, pool).await.err());
    }
    failures
}
