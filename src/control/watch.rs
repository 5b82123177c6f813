//! Keeps the registry's facts about host sides and queues current.
//!
//! # Theory of operation
//! One background task. It hears the kernel's link, address and namespace events, what pollers
//! report, and a tick once a second, and makes of each a [`Job`] for the interfaces that it is
//! about. Jobs of different interfaces run side by side, those of one interface in order, so one
//! host side that is slow to look at delays no other. An event names a device by namespace and
//! index; every interface that was last seen there is looked up again by its tap file, whatever its
//! name is now. Where the tap file says that the device is gone, the interface becomes `host-gone`:
//! its backend is stopped, what lay in its transmit ring is lost with that reason, and its
//! configuration stays until it is deleted. The tick is for what no event tells: with vhost-net
//! no thread waits on the tap file, the end of a namespace sends no event about its links, and a look
//! may have failed. It asks each tap file for the device's name and namespace, and has those looked
//! up that differ from what is known, or whose last look failed; where events cannot be heard at
//! all, every one.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

use super::executor::KeyedExecutor;
use super::host_side::HostSide;
use super::interface::Interface;
use super::life::{Life, Seen};
use super::thread::StepThread;
use super::{Resources, Shared, reset, thread};
use crate::api::Level;
use crate::device::Pool;
use crate::diag::Failure;
use crate::engine::{BrokenReason, Event, QueueKey, StopReason};
use crate::host::namespace::NamespaceId;
use crate::host::{self, Difference, HostFacts, Watch, WatchEvent};
use crate::units::SwIfIndex;

const TICK: Duration = Duration::from_secs(1);

/// Jobs that run side by side. Each has a thread or two of its own for a moment; they wait for the
/// kernel, not for a core.
const SIDE_BY_SIDE: usize = 16;

/// What there is to do about one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    /// Look its host side up again.
    Look,
    /// Ask whether its device is still there.
    Check,
    /// The same; where it is, its queues run on.
    Suspect,
    /// The same; where it is, the queue is broken.
    DeviceError(QueueKey),
    /// A queue is broken: stop them all.
    Broken,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    mut host: Watch,
    mut events: UnboundedReceiver<Event>,
    sweeper: StepThread,
) {
    let Ok(resources) = shared.running() else { return };
    let mut executor = {
        let (shared, resources) = (Arc::clone(&shared), Arc::clone(&resources));
        KeyedExecutor::new(SIDE_BY_SIDE, move |index, job| {
            let (shared, resources) = (Arc::clone(&shared), Arc::clone(&resources));
            async move { work(&shared, &resources, index, job).await }
        })
    };
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listening = !shared.options.deaf;
    let mut sweep = tokio::task::JoinSet::new();
    let mut sweeper = Some(Arc::new(sweeper));
    loop {
        tokio::select! {
            heard = host.next(), if listening => match heard {
                Ok(event) => for (index, job) in host_event(&shared, event) {
                    executor.give(index, job);
                },
                // Without events there is still the tick.
                Err(failure) => {
                    listening = false;
                    let text = format!("events of host sides are heard no more: {failure}");
                    log_of_all(&shared, Level::Warn, &text);
                }
            },
            event = events.recv() => match event {
                Some(Event::PoolHome(pool)) => {
                    // In order with nothing, and nothing waits for it.
                    let resources = Arc::clone(&resources);
                    tokio::spawn(async move { free(&resources, pool).await });
                }
                Some(event) => if let Some((index, job)) = poller_event(&event) {
                    executor.give(index, job);
                },
                None => return,
            },
            () = executor.advance() => {}
            _ = tick.tick(), if sweep.is_empty() => {
                if sweeper.is_none() {
                    sweeper = StepThread::start(thread::SWEEP).ok().map(Arc::new);
                }
                if let Some(thread) = &sweeper {
                    sweep.spawn(unnoticed(Arc::clone(&shared), Arc::clone(thread), !listening));
                }
            }
            Some(found) = sweep.join_next() => match found {
                Ok(Ok(found)) => for (index, job) in found {
                    executor.give(index, job);
                },
                // The thread panicked: the next tick has another.
                _ => sweeper = None,
            },
        }
    }
}

/// Logs what is about every interface.
pub(super) fn log_of_all(shared: &Shared, level: Level, text: &str) {
    let mut registry = shared.registry();
    let names: Vec<_> = registry.all().map(|interface| interface.name.clone()).collect();
    for name in names {
        registry.log.add(level, &name, text);
    }
}

async fn work(shared: &Arc<Shared>, resources: &Arc<Resources>, index: SwIfIndex, job: Job) {
    match job {
        Job::Look => look(shared, resources, index).await,
        Job::Check => check(shared, resources, index).await,
        Job::Suspect => {
            check(shared, resources, index).await;
            resume(shared, resources, index).await;
        }
        Job::DeviceError(queue) => {
            check(shared, resources, index).await;
            break_queue(shared, resources, index, queue).await;
            halt(shared, resources, index).await;
        }
        Job::Broken => {
            check(shared, resources, index).await;
            halt(shared, resources, index).await;
        }
    }
}

fn host_event(shared: &Shared, event: WatchEvent) -> Vec<(SwIfIndex, Job)> {
    let (job, found) = match event {
        WatchEvent::Link { nsid, ifindex } | WatchEvent::Address { nsid, ifindex } => {
            let there = |i: &Interface| i.nsid == nsid && i.host.ifindex == ifindex;
            (Job::Look, living(shared, there))
        }
        WatchEvent::NamespaceGone { nsid } => {
            (Job::Check, living(shared, |i| i.nsid == Some(nsid)))
        }
        WatchEvent::Overrun => (Job::Look, living(shared, |_| true)),
    };
    found.into_iter().map(|index| (index, job)).collect()
}

fn poller_event(event: &Event) -> Option<(SwIfIndex, Job)> {
    Some(match event {
        Event::QueueBroken { interface, .. } => (*interface, Job::Broken),
        Event::HostSuspect { interface } => (*interface, Job::Suspect),
        Event::DeviceError { interface, queue } => (*interface, Job::DeviceError(*queue)),
        Event::PoolHome(_) => return None,
    })
}

/// The living interfaces that `which` names.
fn living(shared: &Shared, which: impl Fn(&Interface) -> bool) -> Vec<SwIfIndex> {
    let registry = shared.registry();
    let wanted = |i: &&Interface| i.life.is_living() && which(i);
    registry.all().filter(wanted).map(|i| i.sw_if_index).collect()
}

/// The right to use an interface's files; none if the interface is gone.
async fn hold_files(shared: &Shared, index: SwIfIndex) -> Option<OwnedMutexGuard<()>> {
    let files = Arc::clone(&shared.registry().get(index)?.files);
    Some(files.lock_owned().await)
}

/// Looks up a host side again.
async fn look(shared: &Arc<Shared>, resources: &Arc<Resources>, index: SwIfIndex) {
    let Some(held) = hold_files(shared, index).await else { return };
    let (taps, label, known) = match shared.registry().get(index) {
        Some(interface) if interface.life.is_living() => {
            let known = interface.nsid.map(|nsid| (interface.host.namespace, nsid));
            (interface.taps.clone(), interface.label.clone(), known)
        }
        _ => return,
    };
    match HostSide::find(&resources.staging, taps, label, known).await {
        Ok(Some(side)) => {
            if renew(shared, index, side) {
                tell_link(shared, resources, index).await;
            }
        }
        Ok(None) => host_is_gone(shared, resources, index, &held).await,
        // The next event or tick looks again.
        Err(failure) => {
            let mut registry = shared.registry();
            let Some(interface) = registry.get_mut(index) else { return };
            if std::mem::replace(&mut interface.seen, Seen::Stale) != Seen::Stale {
                let name = interface.name.clone();
                let text = format!("host side cannot be looked at: {failure}");
                registry.log.add(Level::Warn, &name, text);
            }
        }
    }
}

/// Keeps what was found of a host side, and logs what is new; whether it was set up or down.
fn renew(shared: &Shared, index: SwIfIndex, side: HostSide) -> bool {
    let mut registry = shared.registry();
    let Some(interface) = registry.get_mut(index) else { return false };
    let name = interface.name.clone();
    let before = std::mem::replace(&mut interface.host, side.facts);
    interface.host_ns = side.namespace;
    interface.nsid = side.nsid;
    interface.seen = Seen::Current;
    let switched = before.up != interface.host.up;
    let news = news(&before, &interface.host, interface.host_ns.as_deref());
    for (level, text) in news {
        registry.log.add(level, &name, text);
    }
    switched
}

/// Tells the transmit queues whether the host side is up.
pub(super) async fn tell_link(shared: &Shared, resources: &Resources, index: SwIfIndex) {
    let (up, queues) = match shared.registry().get(index) {
        Some(interface) => {
            let queues: Vec<_> = interface.tx.iter().map(|q| (q.poller, q.key)).collect();
            (interface.host.up, queues)
        }
        None => return,
    };
    for (poller, key) in queues {
        // A poller that has ended sends nothing either.
        let _ = resources.engine.set_link(poller, key, up).await;
    }
}

/// What others did to a host side that is worth remembering. `namespace` is what the one that it is
/// in now is called.
fn news(before: &HostFacts, now: &HostFacts, namespace: Option<&str>) -> Vec<(Level, String)> {
    let mut news = Vec::new();
    if before.name != now.name {
        let text = format!("host side renamed from {} to {}", before.name, now.name);
        news.push((Level::Warn, text));
    }
    if before.namespace != now.namespace {
        let namespace = namespace.unwrap_or("of the holder");
        news.push((Level::Warn, format!("host side moved to namespace {namespace}")));
    }
    if before.mtu != now.mtu {
        let text = format!("host side's MTU changed from {} to {}", before.mtu, now.mtu);
        news.push((Level::Warn, text));
    }
    match (before.up, now.up) {
        (true, false) => news.push((Level::Warn, "host side set down".to_owned())),
        // The lookup works again.
        (false, true) => news.push((Level::Notice, "host side set up".to_owned())),
        _ => {}
    }
    news
}

/// Asks a tap file whether its device is still there.
async fn check(shared: &Arc<Shared>, resources: &Arc<Resources>, index: SwIfIndex) {
    let Some(held) = hold_files(shared, index).await else { return };
    let tap = match shared.registry().get(index) {
        Some(interface) if interface.life.is_living() => interface.taps.first().cloned(),
        _ => None,
    };
    let Some(tap) = tap else { return };
    // The request waits for the kernel's rtnl lock: not on this thread.
    let gone = thread::run("look", move || {
        let tap = tap;
        host::is_gone(tap.as_fd()) == Ok(true)
    });
    // Without a thread: the next tick asks again.
    if gone.await.unwrap_or_default() {
        host_is_gone(shared, resources, index, &held).await;
    }
}

/// What no event told: what there is to do about interfaces whose tap file says something else than
/// what is known. `all`: every host side that is there is to be looked up.
///
/// # Errors
/// The thread panicked.
async fn unnoticed(
    shared: Arc<Shared>,
    thread: Arc<StepThread>,
    all: bool,
) -> Result<Vec<(SwIfIndex, Job)>, Failure> {
    struct Asked {
        index: SwIfIndex,
        tap: Weak<OwnedFd>,
        files: Arc<tokio::sync::Mutex<()>>,
        name: String,
        namespace: NamespaceId,
        look: bool,
    }
    let asked: Vec<Asked> = {
        let living = living(&shared, |_| true);
        let registry = shared.registry();
        let interfaces = living.into_iter().filter_map(|index| registry.get(index));
        let asked = |i: &Interface| {
            Some(Asked {
                index: i.sw_if_index,
                files: Arc::clone(&i.files),
                tap: Arc::downgrade(i.taps.first()?),
                name: i.host.name.clone(),
                namespace: i.host.namespace,
                look: all || i.seen != Seen::Current,
            })
        };
        interfaces.filter_map(asked).collect()
    };
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let sweep = move || {
        let ask = |Asked { index, tap, files, name, namespace, look }: Asked| {
            // Who has the files now finds out by itself. One at a time: asking may wait for the
            // kernel's rtnl lock, and no other interface waits with it.
            let files = files.try_lock().ok()?;
            let tap = tap.upgrade()?;
            let difference = host::difference(tap.as_fd(), &name, namespace);
            // The file is let go before the right to it.
            drop(tap);
            drop(files);
            match difference {
                Difference::Gone => Some((index, Job::Check)),
                Difference::Elsewhere => Some((index, Job::Look)),
                Difference::None => look.then_some((index, Job::Look)),
            }
        };
        asked.into_iter().filter_map(ask).collect()
    };
    thread.run(move |_| sweep()).await
}

/// Stops an interface that has a broken queue.
async fn halt(shared: &Arc<Shared>, resources: &Resources, index: SwIfIndex) {
    let Some(held) = hold_files(shared, index).await else { return };
    let queues = shared.registry().get(index).map(Interface::queues).unwrap_or_default();
    for (poller, _) in queues {
        // A queue is told of in the middle of a burst, and shown as broken from its end on.
        let _ = resources.engine.catch_up(poller).await;
    }
    if let Err(failure) = reset::halt(shared, resources, index, &held).await {
        // Its queues stay stopped and shown as broken; setting it up tries again.
        let mut registry = shared.registry();
        if let Some(name) = registry.get(index).map(|interface| interface.name.clone()) {
            registry.log.add(Level::Error, &name, format!("not stopped whole: {failure}"));
        }
    }
}

/// Frees a deleted interface's buffers.
async fn free(resources: &Resources, pool: Arc<Pool>) {
    let slot = pool.slot();
    let _ = resources.engine.forget_pool(slot).await;
    // Freeing punches a hole, which takes a moment.
    let _ = thread::finish("free", move || drop(pool)).await;
    resources.engine.release_pool(slot);
}

/// `_held`: the caller has the interface's files.
async fn host_is_gone(
    shared: &Arc<Shared>,
    resources: &Arc<Resources>,
    index: SwIfIndex,
    _held: &OwnedMutexGuard<()>,
) {
    let (mut backend, queues) = {
        let mut registry = shared.registry();
        let interface = match registry.get_mut(index) {
            Some(interface) if interface.life.is_living() => interface,
            _ => return,
        };
        interface.life.step_to(Life::HostGone);
        let taken = (interface.backend.take(), interface.queues());
        let name = interface.name.clone();
        registry.log.add(Level::Error, &name, "host side is gone");
        taken
    };
    // First the poller stops posting, then the device stops, then its ring is emptied.
    for (poller, key) in &queues {
        let _ = resources.engine.stop(*poller, *key, StopReason::HostSuspect).await;
    }
    let stopped = thread::finish("stop", move || {
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

/// A false alarm: the device is there, so its queues run on.
async fn resume(shared: &Arc<Shared>, resources: &Resources, index: SwIfIndex) {
    let queues = match shared.registry().get(index) {
        Some(interface) if interface.life.is_living() => interface.queues(),
        _ => return,
    };
    for (poller, key) in queues {
        let _ = resources.engine.resume(poller, key).await;
    }
}

/// The device exists, but the queue is broken.
async fn break_queue(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    queue: QueueKey,
) {
    let place = match shared.registry().get(index) {
        Some(interface) if interface.life.is_living() => {
            interface.queues().into_iter().find(|(_, key)| *key == queue)
        }
        _ => None,
    };
    if let Some((poller, key)) = place {
        let reason = StopReason::Broken(BrokenReason::DeviceError);
        let _ = resources.engine.stop(poller, key, reason).await;
    }
}
