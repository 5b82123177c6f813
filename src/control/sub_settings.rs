//! `set interface l2 tag-rewrite`, and the settings that a sub-interface has.

use std::sync::Arc;

use super::actions::apply_action;
use super::interface::vanished;
use super::{Resources, Shared, domains};
use crate::action::{Egress, Retag};
use crate::api::SetInterface;
use crate::diag::Failure;
use crate::units::{Kind, SwIfIndex, TagRewrite};

/// Tells the pollers how frames leave by an interface and its sub-interfaces.
pub(super) async fn tell_peers(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    let subs: Vec<_> = shared.registry().subs_of(index).map(|sub| sub.sw_if_index).collect();
    for end in std::iter::once(index).chain(subs) {
        tell_peer(shared, resources, end).await?;
    }
    Ok(())
}

/// Tells the pollers how frames leave by an interface or sub-interface.
pub(super) async fn tell_peer(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    let (peer, kind, queues, egress) = {
        let registry = shared.registry();
        let end = registry.end(index).ok_or_else(vanished)?;
        let parent = registry.get(end.carrier).ok_or_else(vanished)?;
        let queues = parent.tx_places();
        let sub = registry.subs.get(&index);
        let known = sub.map(|sub| sub.encapsulation.known_tags()).unwrap_or_default();
        let retag = Retag::new(&end.tag_rewrite.reverse(&known));
        let up = sub.is_none_or(|sub| sub.admin_up);
        let egress = (retag.is_some() || !up).then_some(Egress { up, retag });
        (end.peer, end.kind, queues, egress)
    };
    resources.engine.set_peer(peer, kind, queues, egress).await
}

/// `set interface l2 tag-rewrite`.
pub(super) async fn rewrite(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    rewrite: &TagRewrite,
) -> Result<(), Failure> {
    let carrier = {
        let mut registry = shared.registry();
        let end = registry.end(index).ok_or_else(vanished)?;
        let (name, carrier, kind) = (end.name.clone(), end.carrier, end.kind);
        let sub = registry.subs.get(&index);
        let known = sub.map_or(0, |sub| sub.encapsulation.known_tags().len());
        if usize::from(rewrite.pop) > known || (kind == Kind::Tun && !rewrite.is_none()) {
            let why = "vlan tag rewrite is not compatible with interface";
            let hint = match kind {
                Kind::Tun => "a tun has no Ethernet frames, and so no VLAN tags".to_owned(),
                Kind::Tap => format!(
                    "it removes {} tags; of those of {name}, {known} have a VLAN that was given, which \
                     is put back on the way out",
                    rewrite.pop
                ),
            };
            return Err(Failure::usage(name.as_str(), why).hint(hint));
        }
        match registry.subs.get_mut(&index) {
            Some(sub) => sub.tag_rewrite = rewrite.clone(),
            None => {
                registry.get_mut(index).ok_or_else(vanished)?.tag_rewrite = rewrite.clone();
            }
        }
        carrier
    };
    tell_peer(shared, resources, index).await?;
    apply_action(shared, resources, carrier).await
}

/// A change of a sub-interface.
pub(super) async fn set(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    change: &SetInterface,
) -> Result<(), Failure> {
    match change {
        SetInterface::State { up } => {
            let parent = {
                let mut registry = shared.registry();
                let sub = registry.subs.get_mut(&index).ok_or_else(vanished)?;
                sub.admin_up = *up;
                sub.parent
            };
            tell_peer(shared, resources, index).await?;
            apply_action(shared, resources, parent).await?;
            if !up {
                domains::flush_behind(shared, resources, index).await?;
            }
            Ok(())
        }
        _ => {
            let registry = shared.registry();
            let end = registry.end(index).ok_or_else(vanished)?;
            let parent = registry.get(end.carrier).ok_or_else(vanished)?;
            let why = "a sub-interface has a state, a layer-2 mode and a tag rewrite; the rest is its \
                       parent's";
            Err(Failure::usage(end.name.as_str(), why)
                .hint(format!("the parent is {}", parent.name)))
        }
    }
}
