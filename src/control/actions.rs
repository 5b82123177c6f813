//! What is done with an interface's received frames, as its settings mean it, told to the pollers.

use std::sync::Arc;

use super::interface::{Interface, Mode, local_action, vanished, wire_action};
use super::registry::Registry;
use super::{Resources, Shared, impairment};
use crate::action::{Action, Bridge};
use crate::diag::Failure;
use crate::units::SwIfIndex;

/// The action that an interface's settings mean, of receive queue `queue`.
fn action_of(registry: &Registry, interface: &Interface, queue: u64) -> Action {
    let away = match interface.mode {
        Mode::L3 => None,
        Mode::Xconnect(peer) => {
            let impairment = impairment::of(registry, interface);
            let wire = |peer: &Interface| wire_action(peer.peer, &impairment, queue);
            registry.get(peer).map(wire)
        }
        Mode::Bridge { domain, group } => {
            let key = registry.domains.get(&domain).and_then(|domain| domain.key);
            key.map(|domain| Action::Bridge(Bridge { domain, group }))
        }
    };
    away.unwrap_or_else(|| local_action(&interface.station, &interface.addresses))
}

/// Sends the pollers the action that follows from an interface's settings.
pub(super) async fn apply_action(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    apply(shared, resources, index, |action| action).await
}

/// As [`apply_action`]; the first queue's action is `first` of it.
pub(super) async fn apply(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    first: impl FnOnce(Action) -> Action,
) -> Result<(), Failure> {
    let mut first = Some(first);
    impairment::make_pools(shared, resources, index).await?;
    let queues: Vec<_> = {
        let registry = shared.registry();
        let interface = registry.get(index).ok_or_else(vanished)?;
        let queues = interface.rx.iter().zip(0..);
        let action = |number| action_of(&registry, interface, number);
        queues.map(|(q, number)| (q.poller, q.key, action(number))).collect()
    };
    for (poller, key, action) in queues {
        let action = match first.take() {
            Some(first) => first(action),
            None => action,
        };
        resources.engine.set_action(poller, key, action).await?;
    }
    impairment::free_pools(shared, resources, index).await
}
