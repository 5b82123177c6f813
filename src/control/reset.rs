//! A broken queue: all queues of its interface stop, and start again when the interface is set up.
//!
//! # Theory of operation
//! Neither backend can reset a single queue, so a broken queue stops all queues of its interface.
//! [`halt`] stops the backend and empties the rings. Frames of other interfaces in them are lost
//! with a reason, and their buffers return, so no peer waits for them. `show` keeps the cause.
//! [`revive`] gives the backend the rings again and lets the queues run. The caller of either holds
//! the interface's files.

use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use super::interface::{Interface, Queue, vanished};
use super::life::Life;
use super::{Resources, Shared, thread};
use crate::api::Level;
use crate::counters::Counter;
use crate::device::{QueueDevice, QueueId};
use crate::diag::Failure;
use crate::engine::{BrokenReason, StopReason};
use crate::units::SwIfIndex;

impl Queue {
    /// Why it moves nothing; none while it runs.
    pub(super) fn broken(&self) -> Option<BrokenReason> {
        BrokenReason::from_code(self.snapshot().get(Counter::BrokenReason))
    }
}

impl Interface {
    /// Queues that broke by themselves, and why.
    fn broken_queues(&self) -> Vec<(QueueId, BrokenReason)> {
        let all = self.rx.iter().chain(&self.tx).filter_map(|q| Some((q.memory.id(), q.broken()?)));
        all.filter(|(_, reason)| *reason != BrokenReason::OtherQueue).collect()
    }

    /// Whether a queue is broken.
    pub(super) fn is_broken(&self) -> bool {
        self.rx.iter().chain(&self.tx).any(|queue| queue.broken().is_some())
    }
}

/// Stops what is broken: nothing of the interface runs afterwards, and its rings are empty. Does
/// nothing where nothing is broken, or that was done.
///
/// # Errors
/// The backend could not be stopped, so the rings are still its own; or the interface is being
/// deleted.
pub(super) async fn halt(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    _held: &OwnedMutexGuard<()>,
) -> Result<(), Failure> {
    let queues = {
        let mut registry = shared.registry();
        let interface = match registry.get_mut(index) {
            Some(i) if i.life != Life::Running || !i.is_broken() => return Ok(()),
            Some(interface) => interface,
            None => return Ok(()),
        };
        let (name, broken) = (interface.name.clone(), interface.broken_queues());
        let queues = interface.queues();
        for (queue, reason) in broken {
            let text =
                format!("{queue} broken: {reason}; `set interface state {name} up' resets it");
            registry.log.add(Level::Error, &name, text);
        }
        queues
    };
    for (poller, key) in &queues {
        let reason = StopReason::Broken(BrokenReason::OtherQueue);
        resources.engine.stop(*poller, *key, reason).await?;
    }
    let mut backend = shared.registry().get_mut(index).and_then(|i| i.backend.take());
    let (backend, left) = thread::finish("stop", move || {
        let left = backend.as_mut().map(|b| b.stop().failures).unwrap_or_default();
        (backend, left)
    })
    .await?;
    if let Some(interface) = shared.registry().get_mut(index) {
        interface.backend = backend;
    }
    if let Some(failure) = left.into_iter().next() {
        return Err(failure);
    }
    for (poller, key) in &queues {
        resources.engine.empty(*poller, *key).await?;
    }
    if let Some(interface) = shared.registry().get_mut(index) {
        interface.life.step_to(Life::Halted);
    }
    Ok(())
}

/// Starts a halted interface again.
///
/// # Errors
/// The backend's refusal; the interface stays halted.
pub(super) async fn revive(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    _held: &OwnedMutexGuard<()>,
) -> Result<(), Failure> {
    let (name, mut backend, rings, files, places) = match shared.registry().get_mut(index) {
        Some(interface) if interface.life == Life::Halted => {
            let all = || interface.rx.iter().chain(&interface.tx);
            let rings: Vec<_> = all().map(|q| (q.memory.id(), *q.memory.layout())).collect();
            let places = interface.queues();
            let backend = interface.backend.take().ok_or_else(vanished)?;
            (interface.name.clone(), backend, rings, interface.port.files(), places)
        }
        _ => return Ok(()),
    };
    let (backend, started) = thread::finish("backend", move || {
        // The files are let go before this thread answers.
        let files = files;
        let started = rings
            .iter()
            .try_for_each(|(id, layout)| backend.set_ring(*id, layout, 0))
            .and_then(|()| backend.start(&files));
        if started.is_err() {
            backend.stop();
        }
        (backend, started)
    })
    .await?;
    if let Some(interface) = shared.registry().get_mut(index) {
        interface.backend = Some(backend);
    }
    let devices = started.map_err(|f| if f.on.is_empty() { f.on(name.as_str()) } else { f })?;
    let devices: Vec<Box<dyn QueueDevice>> = devices.rx.into_iter().chain(devices.tx).collect();
    if devices.len() != places.len() {
        return Err(Failure::bug(name.as_str(), "not a device for each queue"));
    }
    let notify: Vec<_> = devices.iter().map(|device| device.notify_fds()).collect();
    if let Some(interface) = shared.registry().get_mut(index) {
        interface.life.step_to(Life::Running);
        let queues = interface.rx.iter_mut().chain(&mut interface.tx);
        for (queue, fds) in queues.zip(notify) {
            queue.notify_fds = fds;
        }
    }
    // Transmit queues first: a receive queue may send as soon as it runs.
    for ((poller, key), device) in places.into_iter().zip(devices).rev() {
        resources.engine.revive(poller, key, device).await?;
    }
    shared.registry().log.add(Level::Notice, &name, "reset; its queues run again");
    Ok(())
}
