//! Which poller visits a receive queue, and how; which transmit queues a poller sends to.

use std::sync::Arc;

use super::interface::{Interface, vanished};
use super::life::Life;
use super::{Resources, Shared, sub_settings};
use crate::diag::{Code, Failure};
use crate::engine::TxPlace;
use crate::units::{NumberList, PollerIndex, QueueIndex, RxMode, SwIfIndex};

impl Interface {
    /// Its transmit queues, for the pollers.
    pub(super) fn tx_places(&self) -> Vec<TxPlace> {
        let place = |q: &super::interface::Queue| TxPlace {
            queue: q.key,
            poller: q.poller,
            users: q.users,
        };
        self.tx.iter().map(place).collect()
    }
}

/// Moves a receive queue to another poller. Frames wait meanwhile; none is lost.
///
/// # Errors
/// Exit code 2: there is no such poller; 3: no such queue.
pub(super) async fn place_rx(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    queue: QueueIndex,
    to: PollerIndex,
) -> Result<(), Failure> {
    if to.0 >= resources.engine.pollers() {
        return Err(Failure::usage("", "please specify valid worker thread or main"));
    }
    let at = usize::from(queue.0);
    let files = shared.registry().get(index).map(|i| Arc::clone(&i.files)).ok_or_else(vanished)?;
    // Nobody stops, starts or deletes it meanwhile.
    let _held = files.lock().await;
    let (from, key, pools) = {
        let registry = shared.registry();
        let interface = registry.get(index).filter(|i| i.life != Life::Deleting);
        let interface = interface.ok_or_else(vanished)?;
        match (interface.rx.get(at), interface.pools.get(at)) {
            (Some(queue), Some(pool)) => {
                let waiting = interface.hold_pools.get(at).cloned();
                let pools: Vec<_> = std::iter::once(Arc::clone(pool)).chain(waiting).collect();
                (queue.poller, queue.key, pools)
            }
            _ => return Err(unknown_queue(queue, interface)),
        }
    };
    if from == to {
        return Ok(());
    }
    let moved = resources.engine.move_rx(from, key, &pools, to).await;
    if let Some(queue) = shared.registry().get_mut(index).and_then(|i| i.rx.get_mut(at)) {
        queue.poller = to;
    }
    moved
}

/// Sets how frames of a receive queue, or of all, are noticed.
///
/// # Errors
/// Exit code 3: there is no such queue.
pub(super) async fn set_rx_mode(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    queue: Option<QueueIndex>,
    mode: RxMode,
) -> Result<(), Failure> {
    let queues: Vec<_> = {
        let mut registry = shared.registry();
        let interface = registry.get_mut(index).filter(|i| i.life != Life::Deleting);
        let interface = interface.ok_or_else(vanished)?;
        let one = queue.map(|queue| usize::from(queue.0));
        if let (Some(queue), Some(at)) = (queue, one)
            && at >= interface.rx.len()
        {
            return Err(unknown_queue(queue, interface));
        }
        let all = interface.rx.iter_mut().enumerate();
        let chosen = all.filter(|(at, _)| one.is_none_or(|one| one == *at));
        let changed = chosen.map(|(_, queue)| {
            queue.mode = mode;
            (queue.poller, queue.key)
        });
        changed.collect()
    };
    for (poller, key) in queues {
        resources.engine.set_rx_mode(poller, key, mode).await?;
    }
    Ok(())
}

/// Says which pollers send to a transmit queue. It stays with the poller that owns it; others hand
/// their frames over.
///
/// # Errors
/// Exit code 2: there is no such poller; 3: no such queue.
pub(super) async fn assign_tx(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    queue: QueueIndex,
    users: NumberList,
) -> Result<(), Failure> {
    let last = resources.engine.pollers().saturating_sub(1);
    if users.iter().any(|poller| poller > last) {
        let why = format!("please specify valid thread(s) - last thread index {last}");
        return Err(Failure::usage(format!("threads {users}"), why));
    }
    {
        let mut registry = shared.registry();
        let interface = registry.get_mut(index).filter(|i| i.life != Life::Deleting);
        let interface = interface.ok_or_else(vanished)?;
        match interface.tx.get_mut(usize::from(queue.0)) {
            Some(queue) => queue.users = users,
            None => return Err(unknown_queue(queue, interface)),
        }
    }
    sub_settings::tell_peers(shared, resources, index).await
}

fn unknown_queue(queue: QueueIndex, interface: &Interface) -> Failure {
    let name = interface.name.as_str();
    Failure::new(Code::NotFound, "", format!("unknown queue {queue} on interface {name}"))
}
