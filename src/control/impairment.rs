//! What wires do to frames: the settings of each direction, and the memory that frames wait in.
//!
//! # Theory of operation
//! A direction of a wire belongs to the interface that receives. Its frames wait outside of the few
//! buffers that the interface receives in: in a pool of each receive queue, which is made when a delay
//! or a rate is set for the first time and freed when the wire is plain again, once the last frame in
//! it has been sent. The engine decides what becomes of the frames that wait when the wire changes.

use std::sync::Arc;

use super::interface::{Faults, Interface, vanished};
use super::registry::Registry;
use super::{Resources, Shared};
use crate::device::{BufferClass, Pool};
use crate::diag::Failure;
use crate::units::{Impairment, SwIfIndex};

/// Buffers in which the frames of one receive queue wait, of 2 KiB: 128 MiB, which are used only as
/// far as frames wait.
const BUFFERS: u32 = 65_536;

/// Refuses what an interface cannot do to the frames that it receives.
///
/// # Errors
/// It has several receive queues, which would each have the rate.
pub(super) fn check(
    shared: &Shared,
    index: SwIfIndex,
    impairment: &Impairment,
) -> Result<(), Failure> {
    let registry = shared.registry();
    let interface = registry.get(index).ok_or_else(vanished)?;
    let queues = interface.rx.len();
    if impairment.rate.is_some() && queues > 1 {
        let why =
            format!("it has {queues} receive queues, and `rate' needs one that sees all frames");
        return Err(Failure::usage(interface.name.as_str(), why));
    }
    Ok(())
}

/// Makes the pools in which frames wait, where this direction needs them and has none.
///
/// # Errors
/// The memory has no room, or a poller has ended.
pub(super) async fn make_pools(
    shared: &Shared,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    let places = {
        let mut registry = shared.registry();
        let holds = holds(&registry, index)?;
        let interface = registry.get_mut(index).ok_or_else(vanished)?;
        if !holds || !interface.hold_pools.is_empty() {
            return Ok(());
        }
        let made: Result<Vec<_>, Failure> = interface.rx.iter().map(|_| pool(resources)).collect();
        interface.hold_pools = made.map_err(|f| f.on(interface.name.as_str()))?;
        let queues = interface.rx.iter().map(|queue| (queue.poller, queue.key));
        queues.zip(interface.hold_pools.clone()).collect::<Vec<_>>()
    };
    for ((poller, key), pool) in places {
        resources.engine.set_hold_pool(poller, key, Some(pool)).await?;
    }
    Ok(())
}

/// Frees the pools where no frame waits any more. The new action of the queues was set before.
///
/// # Errors
/// A poller has ended.
pub(super) async fn free_pools(
    shared: &Shared,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    let places = {
        let mut registry = shared.registry();
        if holds(&registry, index)? {
            return Ok(());
        }
        let interface = registry.get_mut(index).ok_or_else(vanished)?;
        let pools = std::mem::take(&mut interface.hold_pools);
        let queues = interface.rx.iter().map(|queue| (queue.poller, queue.key));
        queues.zip(pools.into_iter().map(|pool| pool.slot())).collect::<Vec<_>>()
    };
    for ((poller, key), slot) in places {
        resources.engine.set_hold_pool(poller, key, None).await?;
        resources.engine.retire_pool(poller, slot).await?;
    }
    Ok(())
}

/// What the wire of an interface does to the frames that it receives; nothing where there is none.
pub(super) fn of(registry: &Registry, interface: &Interface) -> Impairment {
    let Some(peer) = interface.mode.peer() else { return Impairment::default() };
    let to_output = || registry.get(peer).is_some_and(|peer| peer.nsim_output);
    match interface.faults {
        Faults::Own(own) if !own.is_none() || !to_output() => own,
        _ => registry.nsim.map(|nsim| nsim.impairment()).unwrap_or_default(),
    }
}

/// Whether frames that it receives may have to wait.
fn holds(registry: &Registry, index: SwIfIndex) -> Result<bool, Failure> {
    registry.get(index).map(|i| of(registry, i).holds()).ok_or_else(vanished)
}

fn pool(resources: &Resources) -> Result<Arc<Pool>, Failure> {
    let slot = resources.engine.reserve_pool()?;
    Pool::new(&resources.memory, slot, BufferClass::Small, BUFFERS, BUFFERS)
        .map(Arc::new)
        .inspect_err(|_| resources.engine.release_pool(slot))
}
