//! Keeps what control knows about host sides and queues current.
//!
//! # Theory of operation
//! One background task. It hears the kernel's link, address and namespace events, what pollers
//! report, and a tick once a second. An event names a device by namespace and index; every
//! interface that was last seen there is looked up again by its tap file, whatever its name is now.
//! Where the tap file says that the device is gone, the interface becomes `host-gone`: its backend
//! is stopped, what lay in its transmit ring is lost with that reason, and its configuration stays
//! until it is deleted. The tick is for what no event tells: with vhost-net nobody waits on the tap
//! file, and the end of a namespace sends no event about its links.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

use super::host_side::HostSide;
use super::interface::Interface;
use super::{Resources, Shared, thread};
use crate::engine::{BrokenReason, Event, QueueKey, StopReason};
use crate::host::{self, Watch, WatchEvent};
use crate::units::SwIfIndex;

const TICK: Duration = Duration::from_secs(1);

pub(super) async fn run(
    shared: Arc<Shared>,
    mut host: Watch,
    mut events: UnboundedReceiver<Event>,
) {
    let Ok(resources) = shared.running() else { return };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listening = true;
    loop {
        tokio::select! {
            heard = host.next(), if listening => match heard {
                Ok(event) => host_event(&shared, &resources, event).await,
                // Without events there is still the tick.
                Err(failure) => {
                    listening = false;
                    shared.registry().notices.push(format!("host side events: {failure}"));
                }
            },
            event = events.recv() => match event {
                Some(event) => poller_event(&shared, &resources, event).await,
                None => return,
            },
            _ = tick.tick() => check(&shared, &resources, |_| true).await,
        }
    }
}

async fn host_event(shared: &Arc<Shared>, resources: &Arc<Resources>, event: WatchEvent) {
    match event {
        WatchEvent::Link { nsid, ifindex } | WatchEvent::Address { nsid, ifindex } => {
            let there = |i: &Interface| i.nsid == nsid && i.host.ifindex == ifindex;
            refresh(shared, resources, there).await;
        }
        WatchEvent::NamespaceGone { nsid } => {
            check(shared, resources, |i| i.nsid == Some(nsid)).await;
        }
        WatchEvent::Overrun => refresh(shared, resources, |_| true).await,
    }
}

/// The living interfaces that `which` names.
fn living(shared: &Shared, which: impl Fn(&Interface) -> bool) -> Vec<SwIfIndex> {
    let registry = shared.registry();
    let wanted = |i: &&Interface| !i.host_gone && !i.deleting && which(i);
    registry.all().filter(wanted).map(|i| i.sw_if_index).collect()
}

/// The right to use an interface's files; none if it is not there any more.
async fn hold_files(shared: &Shared, index: SwIfIndex) -> Option<OwnedMutexGuard<()>> {
    let files = Arc::clone(&shared.registry().get(index)?.files);
    Some(files.lock_owned().await)
}

/// Looks host sides up again.
async fn refresh(
    shared: &Arc<Shared>,
    resources: &Arc<Resources>,
    which: impl Fn(&Interface) -> bool,
) {
    for index in living(shared, which) {
        let Some(held) = hold_files(shared, index).await else { continue };
        let taps = match shared.registry().get(index) {
            Some(interface) if !interface.deleting => interface.taps.clone(),
            _ => continue,
        };
        let found = HostSide::find(&resources.nursery, taps).await;
        match found {
            Ok(Some(side)) => {
                if let Some(interface) = shared.registry().get_mut(index) {
                    interface.host = side.facts;
                    interface.nsid = side.nsid;
                }
            }
            Ok(None) => host_is_gone(shared, resources, index, &held).await,
            // It is on its way somewhere; the next event or tick finds it.
            Err(_) => {}
        }
    }
}

/// Asks tap files whether their device is still there.
async fn check(
    shared: &Arc<Shared>,
    resources: &Arc<Resources>,
    which: impl Fn(&Interface) -> bool,
) {
    let mut asked = Vec::new();
    let mut held = Vec::new();
    {
        let living = living(shared, which);
        let registry = shared.registry();
        for interface in living.into_iter().filter_map(|index| registry.get(index)) {
            // Who has the files now finds out by itself.
            let Ok(files) = Arc::clone(&interface.files).try_lock_owned() else { continue };
            let Some(tap) = interface.taps.first() else { continue };
            asked.push((interface.sw_if_index, Arc::clone(tap)));
            held.push((interface.sw_if_index, files));
        }
    }
    if asked.is_empty() {
        return;
    }
    // The request waits for the kernel's rtnl lock: not on this thread.
    let gone = thread::run("look", move || {
        let gone = |(index, tap): (SwIfIndex, Arc<OwnedFd>)| {
            (host::is_gone(tap.as_fd()) == Ok(true)).then_some(index)
        };
        asked.into_iter().filter_map(gone).collect::<Vec<_>>()
    });
    // Without a thread: the next tick asks again.
    let gone = gone.await.unwrap_or_default();
    for (index, files) in held {
        if gone.contains(&index) {
            host_is_gone(shared, resources, index, &files).await;
        }
    }
}

/// `_held`: the caller has the interface's files.
async fn host_is_gone(
    shared: &Arc<Shared>,
    resources: &Arc<Resources>,
    index: SwIfIndex,
    _held: &OwnedMutexGuard<()>,
) {
    let (mut backend, queues) = match shared.registry().get_mut(index) {
        Some(interface) if !interface.host_gone && !interface.deleting => {
            interface.host_gone = true;
            (interface.backend.take(), interface.queues())
        }
        _ => return,
    };
    // First nobody posts any more, then the device stops, then its ring is emptied.
    for (poller, key) in &queues {
        let _ = resources.engine.stop(*poller, *key, StopReason::HostSuspect).await;
    }
    let stopped = thread::run("stop", move || {
        // What a backend of a device that is gone cannot undo is no news.
        backend.as_mut().map(|b| b.stop());
        backend
    })
    .await;
    for (poller, key) in &queues {
        let _ = resources.engine.stop(*poller, *key, StopReason::HostGone).await;
    }
    if let (Ok(backend), Some(interface)) = (stopped, shared.registry().get_mut(index)) {
        interface.backend = backend;
    }
}

async fn poller_event(shared: &Arc<Shared>, resources: &Arc<Resources>, event: Event) {
    match event {
        // The counters say so; `show` reads it there.
        Event::QueueBroken { .. } => {}
        Event::HostSuspect { interface } => {
            check(shared, resources, |i| i.sw_if_index == interface).await;
            resume(shared, resources, interface).await;
        }
        Event::DeviceError { interface, queue } => {
            check(shared, resources, |i| i.sw_if_index == interface).await;
            break_queue(shared, resources, interface, queue).await;
        }
        Event::PoolHome(pool) => {
            let slot = pool.slot();
            let _ = resources.engine.forget_pool(slot).await;
            // Freeing punches a hole, which takes a moment.
            let _ = thread::run("free", move || drop(pool)).await;
            resources.engine.release_pool(slot);
        }
    }
}

/// A false alarm: the device is there, so its queues run on.
async fn resume(shared: &Arc<Shared>, resources: &Resources, index: SwIfIndex) {
    let queues = match shared.registry().get(index) {
        Some(interface) if !interface.host_gone && !interface.deleting => interface.queues(),
        _ => return,
    };
    for (poller, key) in queues {
        let _ = resources.engine.resume(poller, key).await;
    }
}

/// The device is there but gave the queue up.
async fn break_queue(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    queue: QueueKey,
) {
    let place = match shared.registry().get(index) {
        Some(interface) if !interface.host_gone && !interface.deleting => {
            interface.queues().into_iter().find(|(_, key)| *key == queue)
        }
        _ => None,
    };
    if let Some((poller, key)) = place {
        let reason = StopReason::Broken(BrokenReason::DeviceError);
        let _ = resources.engine.stop(poller, key, reason).await;
    }
}
