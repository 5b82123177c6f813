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
//! may have failed. It asks each tap file whether the device is where it was ([`sweep`]).

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::MissedTickBehavior;

use super::executor::KeyedExecutor;
use super::interface::Interface;
use super::life::Life;
use super::port::{HostSide, Place, TapPort};
use super::thread::StepThread;
use super::{Resources, Shared, carrier, reset, sweep, thread};
use crate::api::Level;
use crate::device::Pool;
use crate::engine::{BrokenReason, Event, QueueKey, StopReason};
use crate::host::{self, Difference, Watch, WatchEvent};
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
    let mut sweeps = tokio::task::JoinSet::new();
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
            _ = tick.tick(), if sweeps.is_empty() => {
                if sweeper.is_none() {
                    sweeper = StepThread::start(thread::SWEEP).ok().map(Arc::new);
                }
                if let Some(thread) = &sweeper {
                    sweeps.spawn(sweep::unnoticed(
                        Arc::clone(&shared),
                        Arc::clone(thread),
                        !listening,
                    ));
                }
            }
            Some(found) = sweeps.join_next() => match found {
                Ok(Ok(found)) => for (index, difference) in found {
                    match difference {
                        Difference::Gone => executor.give(index, Job::Check),
                        Difference::Elsewhere => executor.give(index, Job::Look),
                        Difference::None => {}
                    }
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
    carrier::hand_on(shared, resources, index).await;
}

fn host_event(shared: &Shared, event: WatchEvent) -> Vec<(SwIfIndex, Job)> {
    let (job, found) = match event {
        WatchEvent::Link { nsid, ifindex } | WatchEvent::Address { nsid, ifindex } => {
            let place = nsid.map(|nsid| Place { nsid, ifindex });
            let there = |tap: &TapPort| place.is_some() && tap.place() == place;
            (Job::Look, living(shared, there))
        }
        WatchEvent::NamespaceGone { nsid } => {
            let there = |tap: &TapPort| tap.place().is_some_and(|place| place.nsid == nsid);
            (Job::Check, living(shared, there))
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

/// The living interfaces with a host side that `which` names.
fn living(shared: &Shared, which: impl Fn(&TapPort) -> bool) -> Vec<SwIfIndex> {
    let registry = shared.registry();
    let wanted = |i: &&Interface| i.life.is_living() && i.port.tap().is_some_and(&which);
    registry.all().filter(wanted).map(|i| i.sw_if_index).collect()
}

/// The right to use an interface's files; none if the interface is gone.
async fn hold_files(shared: &Shared, index: SwIfIndex) -> Option<OwnedMutexGuard<()>> {
    let files = Arc::clone(&shared.registry().get(index)?.files);
    Some(files.lock_owned().await)
}

/// Looks up a host side again.
pub(super) async fn look(shared: &Arc<Shared>, resources: &Arc<Resources>, index: SwIfIndex) {
    let Some(held) = hold_files(shared, index).await else { return };
    let lookup = match shared.registry().get(index) {
        Some(interface) if interface.life.is_living() => interface.port.tap().map(TapPort::lookup),
        _ => None,
    };
    let Some(lookup) = lookup else { return };
    match lookup.find(&resources.staging).await {
        Ok(Some(side)) => {
            if renew(shared, index, side) {
                carrier::tell_link(shared, resources, index).await;
            }
        }
        Ok(None) => host_is_gone(shared, resources, index, &held).await,
        // The next event or tick looks again.
        Err(failure) => {
            let mut registry = shared.registry();
            let Some(interface) = registry.get_mut(index) else { return };
            if interface.port.tap_mut().is_some_and(TapPort::look_failed) {
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
    let (name, before) = (interface.name.clone(), interface.port.is_up());
    let news = interface.port.tap_mut().map(|tap| tap.renew(side));
    let switched = before != interface.port.is_up();
    for (level, text) in news.unwrap_or_default() {
        registry.log.add(level, &name, text);
    }
    switched
}

/// Asks a tap file whether its device is still there.
async fn check(shared: &Arc<Shared>, resources: &Arc<Resources>, index: SwIfIndex) {
    let Some(held) = hold_files(shared, index).await else { return };
    let file = match shared.registry().get(index) {
        Some(interface) if interface.life.is_living() => {
            interface.port.tap().and_then(TapPort::file)
        }
        _ => None,
    };
    let Some(file) = file else { return };
    // The request waits for the kernel's rtnl lock: not on this thread.
    let gone = thread::run("look", move || {
        let file = file;
        host::is_gone(file.as_fd()) == Ok(true)
    });
    // Without a thread: the next tick asks again.
    if gone.await.unwrap_or_default() {
        host_is_gone(shared, resources, index, &held).await;
    }
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
