//! Offloads: what the host leaves undone in the frames that it sends us, and what it takes undone.

use std::sync::Arc;

use super::interface::vanished;
use super::{Resources, Shared, thread};
use crate::device::{BufferClass, Pool};
use crate::diag::Failure;
use crate::host;
use crate::units::{HostOffload, IfName, SwIfIndex};

/// Sets what the host leaves undone from now on. Frames that wait in its queue are as they were made,
/// and are taken as they are.
pub(super) async fn of_host(
    shared: &Arc<Shared>,
    index: SwIfIndex,
    wanted: HostOffload,
) -> Result<(), Failure> {
    let files = shared.registry().get(index).map(|i| Arc::clone(&i.files)).ok_or_else(vanished)?;
    let _held = files.lock().await;
    let (name, files, before) = {
        let registry = shared.registry();
        let interface = registry.with_host(index)?;
        let tap = interface.port.tap().ok_or_else(|| no_host_side(&interface.name))?;
        (interface.name.clone(), interface.port.files(), tap.offloads)
    };
    let offloads = thread::run("offload", move || {
        // The files are let go before this thread answers.
        let files = files;
        host::set_offloads(&files.0, wanted, before)
    })
    .await?
    .map_err(|f| f.on(name.as_str()))?;
    let mut registry = shared.registry();
    let interface = registry.get_mut(index).ok_or_else(vanished)?;
    if let Some(tap) = interface.port.tap_mut() {
        tap.set_offloads(wanted, offloads);
    }
    Ok(())
}

pub(super) fn no_host_side(name: &IfName) -> Failure {
    Failure::usage(name.as_str(), "it has no host side")
}

/// Buffers for the segments that a queue of so many entries makes. A ring full of segments of the
/// usual MTU has one each.
const SEGMENTS_LEAST: u32 = 512;

/// Promises that the host gets neither large frames nor partial checksums, or takes that back: from
/// then on every frame of that kind is split or completed here.
///
/// # Errors
/// The memory has no room, or a poller has ended.
pub(super) async fn promise(
    shared: &Shared,
    resources: &Resources,
    index: SwIfIndex,
    on: bool,
) -> Result<(), Failure> {
    let engine = &resources.engine;
    let (places, retired) = {
        let mut registry = shared.registry();
        let interface = registry.get_mut(index).ok_or_else(vanished)?;
        if on != interface.segment_pools.is_empty() {
            return Ok(());
        }
        let queues: Vec<_> = interface.tx.iter().map(|queue| (queue.poller, queue.key)).collect();
        let mut made = Vec::new();
        for queue in interface.tx.iter().filter(|_| on) {
            match segment_pool(resources, u32::from(queue.size.get())) {
                Ok(pool) => made.push(pool),
                Err(failure) => {
                    made.iter().for_each(|pool| engine.release_pool(pool.slot()));
                    return Err(failure.on(interface.name.as_str()));
                }
            }
        }
        let retired = std::mem::replace(&mut interface.segment_pools, made.clone());
        let pools = made.into_iter().map(Some).chain(std::iter::repeat(None));
        (queues.into_iter().zip(pools).collect::<Vec<_>>(), retired)
    };
    let owners: Vec<_> = places.iter().map(|((poller, _), _)| *poller).collect();
    for ((poller, key), pool) in places {
        engine.set_segment_pool(poller, key, pool).await?;
    }
    for (poller, pool) in owners.into_iter().zip(retired) {
        engine.retire_pool(poller, pool.slot()).await?;
    }
    Ok(())
}

fn segment_pool(resources: &Resources, entries: u32) -> Result<Arc<Pool>, Failure> {
    let slot = resources.engine.reserve_pool()?;
    let buffers = (2 * entries).max(SEGMENTS_LEAST);
    Pool::new(&resources.memory, slot, BufferClass::Small, buffers, buffers)
        .map(Arc::new)
        .inspect_err(|_| resources.engine.release_pool(slot))
}
