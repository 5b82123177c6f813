//! `create sub-interfaces`, `delete sub-interfaces`.
//!
//! # Theory of operation
//! A sub-interface has no queues: it has those of its parent, whose action is a trunk that tells the
//! frames of each apart. To others it is a peer of its own; what is sent to it leaves by the parent's
//! transmit queues, its tags rewritten. It becomes a peer before any action leads to it, and is one no
//! more when none does.

use std::sync::Arc;

use super::actions::apply_action;
use super::interface::{Mode, SubInterface, vanished};
use super::sub_settings::tell_peer;
use super::{Resources, Shared, changes};
use crate::api::{InterfaceRef, Level, Reply, SubInterfaceRequest};
use crate::diag::{Code, Failure};
use crate::units::{Encapsulation, IfName, Kind, SwIfIndex, TagRewrite, VlanId};

/// `create sub-interfaces`, `delete sub-interfaces`.
pub(super) async fn sub_interface(
    shared: &Arc<Shared>,
    request: &SubInterfaceRequest,
) -> Result<Reply, Failure> {
    match request {
        SubInterfaceRequest::Create { interface, first, last, encapsulation } => {
            create(shared, interface, *first..=*last, *encapsulation).await
        }
        SubInterfaceRequest::Delete { interface } => {
            let (index, name) = {
                let registry = shared.registry();
                let end = registry.end(registry.find_end(interface)?).ok_or_else(vanished)?;
                if !end.is_sub() {
                    return Err(Failure::usage(end.name.as_str(), "it is no sub-interface")
                        .hint(format!("`delete {}' deletes it", end.name)));
                }
                (end.sw_if_index, end.name.clone())
            };
            let resources = shared.running()?;
            remove(shared, &resources, index).await?;
            Ok(Reply::Changed(vec![name]))
        }
    }
}

async fn create(
    shared: &Arc<Shared>,
    interface: &InterfaceRef,
    numbers: std::ops::RangeInclusive<u32>,
    encapsulation: Option<Encapsulation>,
) -> Result<Reply, Failure> {
    let parent = shared.registry().find(interface)?;
    let resources = shared.running()?;
    let several = numbers.clone().nth(1).is_some();
    let mut wanted = Vec::new();
    {
        let registry = shared.registry();
        let above = registry.get(parent).ok_or_else(vanished)?;
        if above.kind == Kind::Tun {
            let why = "a tun has no Ethernet frames, and so no VLAN tags";
            return Err(Failure::usage(above.name.as_str(), why));
        }
        for number in numbers {
            let name = name_of(&above.name, number)?;
            let exists = registry.has_name(&name);
            if exists && several {
                continue;
            }
            if exists {
                return Err(Failure::new(Code::Exists, name.as_str(), "interface already exists"));
            }
            let encapsulation = match encapsulation {
                Some(encapsulation) => encapsulation,
                None => VlanId::new(number.into())
                    .map(Encapsulation::of_number)
                    .map_err(|why| Failure::usage(number.to_string(), why.to_string()))?,
            };
            if let Some(same) = registry.subs_of(parent).find(|s| s.encapsulation == encapsulation)
            {
                let why = format!("vlan is already in use: {} has {encapsulation}", same.name);
                return Err(Failure::new(Code::Exists, name.as_str(), why));
            }
            wanted.push((name, encapsulation));
        }
    }
    let mut made = Vec::new();
    for (name, encapsulation) in wanted {
        let index = {
            let mut registry = shared.registry();
            let sw_if_index = registry.reserve_name(name.clone())?;
            let peer = resources.engine.reserve_peer();
            registry.subs.insert(
                sw_if_index,
                SubInterface {
                    sw_if_index,
                    name: name.clone(),
                    parent,
                    encapsulation,
                    admin_up: true,
                    mode: Mode::L3,
                    tag_rewrite: TagRewrite::default(),
                    peer,
                },
            );
            registry.log.add(Level::Notice, &name, format!("created: {encapsulation}"));
            sw_if_index
        };
        tell_peer(shared, &resources, index).await?;
        made.push(name);
    }
    apply_action(shared, &resources, parent).await?;
    Ok(Reply::SubInterfaces(made))
}

/// `PARENT.NUMBER`.
fn name_of(parent: &IfName, number: u32) -> Result<IfName, Failure> {
    let name = format!("{parent}.{number}");
    IfName::new(&name).map_err(|why| {
        Failure::usage(name, why.to_string())
            .hint(format!("`set interface name {parent} NEW' gives the interface a shorter one"))
    })
}

/// Deletes a sub-interface. What led to it leads to layer 3, and it is no member of anything.
pub(super) async fn remove(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    changes::unwire(shared, resources, index).await?;
    changes::set_mode(shared, resources, index, Mode::L3).await?;
    let gone = shared.registry().remove_sub(index);
    let Some(SubInterface { parent, peer, name, .. }) = gone else { return Ok(()) };
    apply_action(shared, resources, parent).await?;
    resources.engine.remove_peer(peer).await?;
    resources.engine.release_peer(peer);
    shared.registry().log.add(Level::Notice, &name, "deleted".to_owned());
    Ok(())
}

/// Deletes all sub-interfaces of an interface, whether it is being deleted or not; what went wrong.
pub(super) async fn remove_all(
    shared: &Arc<Shared>,
    resources: &Resources,
    parent: SwIfIndex,
) -> Vec<Failure> {
    let all: Vec<_> = shared.registry().subs_of(parent).map(|sub| sub.sw_if_index).collect();
    let mut failures = Vec::new();
    for index in all {
        failures.extend(remove(shared, resources, index).await.err());
    }
    failures
}
