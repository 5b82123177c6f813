//! What is done with an interface's received frames, as its settings mean it, told to the pollers.

use std::sync::Arc;

use super::interface::{Interface, Mode, SubInterface, local_action, vanished, wire_action};
use super::registry::Registry;
use super::{Resources, Shared, impairment};
use crate::action::{Action, Branch, Bridge, Retag, Trunk};
use crate::diag::Failure;
use crate::units::{Impairment, SwIfIndex};

/// The action that a mode means, of receive queue `queue`; none where frames stay on our side.
fn away(registry: &Registry, mode: Mode, impairment: &Impairment, queue: u64) -> Option<Action> {
    match mode {
        Mode::L3 => None,
        Mode::Xconnect(peer) => {
            registry.end(peer).map(|peer| wire_action(peer.peer, impairment, queue))
        }
        Mode::Bridge { domain, group } => {
            let key = registry.domains.get(&domain).and_then(|domain| domain.key);
            key.map(|domain| Action::Bridge(Bridge { domain, group }))
        }
    }
}

/// The action that an interface's own settings mean.
fn own_action(registry: &Registry, interface: &Interface, queue: u64) -> Action {
    away(registry, interface.mode, &impairment::of(registry, interface), queue)
        .unwrap_or_else(|| local_action(&interface.station, &interface.addresses))
}

/// The interface's sub-interfaces, each with what its settings mean.
fn branches(registry: &Registry, interface: &Interface) -> Vec<Branch> {
    let branch = |sub: &SubInterface| Branch {
        encapsulation: sub.encapsulation,
        own: sub.peer,
        up: sub.admin_up,
        retag: Retag::new(&sub.tag_rewrite),
        action: away(registry, sub.mode, &Impairment::default(), 0).unwrap_or(Action::Sink),
    };
    registry.subs_of(interface.sw_if_index).map(branch).collect()
}

/// Sends the pollers the action that follows from an interface's settings, or from those of the
/// interface that a sub-interface is part of.
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
    let carrier = shared.registry().subs.get(&index).map_or(index, |sub| sub.parent);
    impairment::make_pools(shared, resources, carrier).await?;
    let (queues, retag, branches) = {
        let registry = shared.registry();
        let interface = registry.get(carrier).ok_or_else(vanished)?;
        let retag = Retag::new(&interface.tag_rewrite);
        let queues = interface.rx.iter().zip(0..);
        let action = |number| own_action(&registry, interface, number);
        let queues = queues.map(|(q, number)| (q.poller, q.key, action(number)));
        (queues.collect::<Vec<_>>(), retag, branches(&registry, interface))
    };
    for (poller, key, action) in queues {
        let action = match first.take() {
            Some(first) => first(action),
            None => action,
        };
        let action = if branches.is_empty() && retag.is_none() {
            action
        } else {
            Action::Trunk(Box::new(Trunk::new(retag, action, branches.clone())))
        };
        resources.engine.set_action(poller, key, action).await?;
    }
    impairment::free_pools(shared, resources, carrier).await
}
