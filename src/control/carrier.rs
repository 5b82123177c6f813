//! The carriers of host sides: what `set tap carrier` says of one, and the losses that a wire with
//! `link-state on` hands on.
//!
//! # Theory of operation
//! The kernel keeps one carrier a device. Two things want it off: the user ([`wanted`](super::port::Carrier::wanted)), and
//! an interface that follows its peer while the peer has no link of its own. A link of its own is
//! what an interface has apart from what is handed on to it: its queues run, it is set up, its host
//! side is up, and nobody switched its carrier off. So the two ends of a wire may follow each other:
//! a carrier that is off because of the peer is no loss that goes back to the peer.
//!
//! [`settle`] compares what is wanted with what is set until they agree, with the interface's files
//! held, so that of several that run at once the last one is right. It is called for those that
//! follow an interface ([`hand_on`]) whenever something of that interface may have changed. An
//! interface whose peer was deleted while it followed keeps its carrier off until it is wired again,
//! set to another action, or its carrier set up by command.

use std::os::fd::AsFd;
use std::sync::Arc;

use super::interface::{Interface, Mode, vanished};
use super::life::Life;
use super::registry::Registry;
use super::{Resources, Shared, thread};
use crate::api::Level;
use crate::diag::Failure;
use crate::host;
use crate::units::SwIfIndex;

/// Whether an interface has a link, whatever its peer has.
fn has_own_link(interface: &Interface) -> bool {
    let carrier = interface.port.carrier();
    let given = carrier.is_none_or(|carrier| carrier.wanted && !carrier.taken);
    interface.life == Life::Running && interface.admin_up && interface.port.is_up() && given
}

/// Whether its carrier is to be on.
fn is_due(registry: &Registry, interface: &Interface) -> bool {
    let handed_on = match (interface.link_state, interface.mode) {
        (true, Mode::Xconnect(peer)) => registry.get(peer).is_some_and(has_own_link),
        // The peer was deleted.
        (true, Mode::L3) => false,
        _ => true,
    };
    handed_on && interface.port.carrier().is_some_and(|carrier| carrier.wanted)
}

/// What has to be set, if it is not set already.
fn missing(registry: &Registry, index: SwIfIndex) -> Option<bool> {
    let interface = registry.get(index).filter(|interface| interface.life.is_living())?;
    let carrier = interface.port.carrier()?;
    let due = is_due(registry, interface);
    (due != carrier.on).then_some(due)
}

/// Makes the carrier of an interface what it is to be.
///
/// # Errors
/// The kernel's refusal.
pub(super) async fn settle(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    while missing(&shared.registry(), index).is_some() {
        let files = shared.registry().get(index).map(|i| Arc::clone(&i.files));
        let Some(files) = files else { return Ok(()) };
        let _held = files.lock().await;
        let (on, file, name) = {
            let registry = shared.registry();
            let Some(on) = missing(&registry, index) else { return Ok(()) };
            let interface = registry.get(index).ok_or_else(vanished)?;
            let file = interface.port.tap().and_then(|tap| tap.file());
            (on, file.ok_or_else(vanished)?, interface.name.clone())
        };
        let set = move || {
            // Let go before the thread answers.
            let file = file;
            host::set_carrier(file.as_fd(), on)
        };
        thread::run("carrier", set).await?.map_err(|f| f.on(name.as_str()))?;
        {
            let mut registry = shared.registry();
            let why = reason(&registry, index, on);
            let tap = registry.get_mut(index).and_then(|i| i.port.tap_mut());
            tap.ok_or_else(vanished)?.carrier.on = on;
            let level = if on { Level::Notice } else { Level::Warn };
            registry.log.add(level, &name, why);
        }
        tell_link(shared, resources, index).await;
    }
    Ok(())
}

/// A change of carrier in words.
fn reason(registry: &Registry, index: SwIfIndex, on: bool) -> String {
    let interface = registry.get(index);
    let wanted = interface.and_then(|i| i.port.carrier()).is_some_and(|carrier| carrier.wanted);
    let peer = interface.filter(|i| i.link_state).map(|i| {
        let peer = i.mode.peer().and_then(|peer| registry.get(peer));
        peer.map_or_else(|| "its peer".to_owned(), |peer| peer.name.to_string())
    });
    match (on, wanted, peer) {
        (false, true, Some(peer)) => format!("carrier off: {peer} has lost its link"),
        (true, _, Some(peer)) => format!("carrier on: {peer} has its link again"),
        (false, ..) => "carrier off".to_owned(),
        (true, ..) => "carrier on".to_owned(),
    }
}

/// Tells those that follow an interface what has become of its link.
pub(super) async fn hand_on(shared: &Arc<Shared>, resources: &Resources, index: SwIfIndex) {
    let followers: Vec<SwIfIndex> = {
        let registry = shared.registry();
        let follows = |i: &&Interface| i.link_state && i.mode.peer() == Some(index);
        registry.all().filter(follows).map(|i| i.sw_if_index).collect()
    };
    for follower in followers {
        if let Err(failure) = settle(shared, resources, follower).await {
            let mut registry = shared.registry();
            let Some(interface) = registry.get(follower) else { continue };
            // A device that is gone has no carrier, and its own look says so.
            let name = interface.name.clone();
            registry.log.add(Level::Warn, &name, format!("carrier not set: {failure}"));
        }
    }
}

/// Lets an interface follow its peer, or no longer.
///
/// # Errors
/// The kernel's refusal to set the carrier that follows from it.
pub(super) async fn follow(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    on: bool,
) -> Result<(), Failure> {
    shared.registry().get_mut(index).ok_or_else(vanished)?.link_state = on;
    settle(shared, resources, index).await
}

/// `set tap carrier`.
///
/// # Errors
/// It has no host side, or the host side is gone.
pub(super) async fn set(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    up: bool,
) -> Result<(), Failure> {
    {
        let mut registry = shared.registry();
        let interface = registry.get_mut(index).ok_or_else(vanished)?;
        // The peer that it followed is gone for good.
        interface.link_state &= !up || interface.mode != Mode::L3;
        let tap = interface.port.tap_mut().ok_or_else(vanished)?;
        tap.carrier.wanted = up;
    }
    settle(shared, resources, index).await?;
    hand_on(shared, resources, index).await;
    Ok(())
}

/// Tells the transmit queues whether the host side takes frames. The caller holds the interface's
/// files, so that what is told last is true.
pub(super) async fn tell_link(shared: &Shared, resources: &Resources, index: SwIfIndex) {
    let (up, queues) = match shared.registry().get(index) {
        Some(interface) => {
            let queues: Vec<_> = interface.tx.iter().map(|q| (q.poller, q.key)).collect();
            (interface.port.takes_frames(), queues)
        }
        None => return,
    };
    for (poller, key) in queues {
        // A poller that has ended sends nothing either.
        let _ = resources.engine.set_link(poller, key, up).await;
    }
}
