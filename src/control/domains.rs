//! Bridge domains: what they are set to do and know by command. Their members are the interfaces of
//! that mode.
//!
//! # Theory of operation
//! A domain is in the registry from its first command on; the pollers know it from its first member
//! on, so that making one needs no right. Each change is made in the registry and then sent to all
//! pollers whole, settings and members; one change is sent at a time, so that the last one counts.
//! An interface joins before its action leads there, and its action leads elsewhere before it leaves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::actions::apply_action;
use super::domain::{Domain, Given};
use super::ends::End;
use super::interface::{Mode, vanished};
use super::registry::Registry;
use super::{Resources, Shared};
use crate::action::PeerKey;
use crate::action::bridge::{Entry, Member, Origin};
use crate::api::{
    BridgeChange, BridgeDomain, BridgeMember, BridgeRequest, BridgeSettings, L2FibEntry, L2FibKind,
    L2FibRequest, Reply, no_such_domain,
};
use crate::diag::{Code, Failure};
use crate::units::{BridgeDomainId, Kind, MacAddr, SwIfIndex};

const NS_PER_SECOND: u64 = 1_000_000_000;

/// The domain of this number; a new one, as VPP makes it, if there was none.
pub(super) fn ensure(registry: &mut Registry, bd_id: BridgeDomainId) {
    let new = || Domain::new(BridgeSettings::new(bd_id), false);
    registry.domains.entry(bd_id).or_insert_with(new);
}

/// Members of a domain, each with its split-horizon group.
fn members(
    registry: &Registry,
    bd_id: BridgeDomainId,
) -> impl Iterator<Item = (End<'_>, u8)> + use<'_> {
    registry.ends().filter_map(move |end| match end.mode {
        Mode::Bridge { domain, group } if domain == bd_id => Some((end, group)),
        _ => None,
    })
}

/// Refuses an interface that can be no member.
pub(super) fn may_join(registry: &Registry, index: SwIfIndex) -> Result<(), Failure> {
    let interface = registry.end(index).ok_or_else(vanished)?;
    match interface.kind {
        Kind::Tap => Ok(()),
        Kind::Tun => {
            let why = "a tun has no Ethernet frames, which a bridge domain forwards";
            Err(Failure::usage(interface.name.as_str(), why))
        }
    }
}

/// Sends the pollers a domain as it is now. The caller holds [`Shared::domains`].
pub(super) async fn push(
    shared: &Arc<Shared>,
    resources: &Resources,
    bd_id: BridgeDomainId,
) -> Result<(), Failure> {
    let engine = &resources.engine;
    let (key, settings, all, given) = {
        let mut registry = shared.registry();
        let mut all = Vec::new();
        let mut peers = HashMap::new();
        for (interface, group) in members(&registry, bd_id) {
            all.push(Member { peer: interface.peer, group });
            peers.insert(interface.sw_if_index, interface.peer);
        }
        let Some(domain) = registry.domains.get_mut(&bd_id) else { return Ok(()) };
        domain.given.retain(|_, given| given.behind.is_none_or(|i| peers.contains_key(&i)));
        let new = domain.key.is_none();
        let key = *domain.key.get_or_insert_with(|| engine.reserve_domain());
        // The pollers know the others.
        let given = domain.given.iter().filter(|_| new).map(|(mac, given)| {
            let peer = given.behind.and_then(|index| peers.get(&index).copied());
            (mac.bytes(), Entry::given(peer, given.origin))
        });
        let given: Vec<_> = given.collect();
        (key, domain.actions_settings(), all, given)
    };
    engine.set_domain(key, settings, all).await?;
    for (mac, entry) in given {
        engine.give_mac(key, mac, Some(entry)).await?;
    }
    Ok(())
}

/// Forgets what was learned behind an interface, as where it was set down.
pub(super) async fn flush_behind(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<Option<BridgeDomainId>, Failure> {
    let found = {
        let registry = shared.registry();
        let interface = registry.end(index).ok_or_else(vanished)?;
        match interface.mode {
            Mode::Bridge { domain, .. } => {
                let key = registry.domains.get(&domain).and_then(|domain| domain.key);
                key.map(|key| (domain, key, interface.peer))
            }
            _ => None,
        }
    };
    let Some((bd_id, key, peer)) = found else { return Ok(None) };
    resources.engine.flush_macs(key, Some(peer)).await?;
    Ok(Some(bd_id))
}

/// `create bridge-domain`, `set bridge-domain`, `delete bridge-domain`.
pub(super) async fn bridge(
    shared: &Arc<Shared>,
    request: &BridgeRequest,
) -> Result<Reply, Failure> {
    let _one_at_a_time = shared.domains.lock().await;
    let (bd_id, said) = match request {
        BridgeRequest::Create(settings) => {
            let bd_id = settings.bd_id;
            let mut registry = shared.registry();
            match registry.domains.get_mut(&bd_id) {
                Some(_) => {
                    let on = format!("bridge domain {bd_id}");
                    return Err(Failure::new(Code::Exists, on, "it exists already")
                        .hint("`set bridge-domain' changes it"));
                }
                None => registry.domains.insert(bd_id, Domain::new(settings.clone(), true)),
            };
            (bd_id, true)
        }
        BridgeRequest::Delete { bd_id, members } => {
            remove(shared, *bd_id, *members).await?;
            (*bd_id, false)
        }
        BridgeRequest::Set { bd_id, change } => {
            {
                let mut registry = shared.registry();
                let domain =
                    registry.domains.get_mut(bd_id).ok_or_else(|| no_such_domain(*bd_id))?;
                let settings = &mut domain.settings;
                match change {
                    BridgeChange::Learn(on) => settings.learn = *on,
                    BridgeChange::Forward(on) => settings.forward = *on,
                    BridgeChange::UuFlood(on) => settings.uu_flood = *on,
                    BridgeChange::Flood(on) => settings.flood = *on,
                    BridgeChange::MacAge(minutes) => settings.mac_age = *minutes,
                }
            }
            if let Ok(resources) = shared.running() {
                push(shared, &resources, *bd_id).await?;
            }
            (*bd_id, false)
        }
    };
    Ok(Reply::BridgesChanged(vec![bd_id], said))
}

/// Deletes a domain; its members return to layer 3, or it is kept. The caller holds
/// [`Shared::domains`].
async fn remove(
    shared: &Arc<Shared>,
    bd_id: BridgeDomainId,
    with_members: bool,
) -> Result<(), Failure> {
    let inside: Vec<SwIfIndex> = {
        let registry = shared.registry();
        if !registry.domains.contains_key(&bd_id) {
            return Err(Failure::new(Code::NotFound, "", "bridge domain ID does not exist"));
        }
        members(&registry, bd_id).map(|(interface, _)| interface.sw_if_index).collect()
    };
    if !inside.is_empty() && !with_members {
        return Err(Failure::new(Code::Exists, "", "bridge domain in use - remove members").hint(
            format!(
                "`set interface l3 NAME' takes each out; `delete bridge-domain {bd_id}' all of them"
            ),
        ));
    }
    let key = shared.registry().domains.get(&bd_id).and_then(|domain| domain.key);
    if let (Ok(resources), Some(key)) = (shared.running(), key) {
        for index in inside {
            if let Some(mode) = shared.registry().mode_mut(index) {
                *mode = Mode::L3;
            }
            apply_action(shared, &resources, index).await?;
        }
        resources.engine.remove_domain(key).await?;
        resources.engine.release_domain(key);
    }
    shared.registry().domains.remove(&bd_id);
    Ok(())
}

/// Deletes all domains. There are no members.
pub(super) async fn remove_all(shared: &Arc<Shared>) -> Result<(), Failure> {
    let _one_at_a_time = shared.domains.lock().await;
    let all: Vec<_> = shared.registry().domains.keys().copied().collect();
    for bd_id in all {
        remove(shared, bd_id, true).await?;
    }
    Ok(())
}

/// `l2fib …`.
pub(super) async fn l2fib(shared: &Arc<Shared>, request: &L2FibRequest) -> Result<Reply, Failure> {
    let _one_at_a_time = shared.domains.lock().await;
    let changed = match request {
        L2FibRequest::Add { mac, bd_id, interface, static_mac } => {
            let (given, peer) = {
                let registry = shared.registry();
                let index = interface.as_ref().map(|name| registry.find_end(name)).transpose()?;
                domain_of(&registry, *bd_id)?;
                let member = |index| {
                    let mut inside = members(&registry, *bd_id);
                    inside.find(|(member, _)| member.sw_if_index == index).map(|(m, _)| m.peer)
                };
                let peer = match (index, interface) {
                    (Some(index), Some(name)) => Some(member(index).ok_or_else(|| {
                        let why = format!("it is no member of bridge domain {bd_id}");
                        Failure::usage(name.to_string(), why)
                            .hint(format!("`set interface l2 bridge {name} {bd_id}' makes it one"))
                    })?),
                    _ => None,
                };
                let added = peer.is_some() && !static_mac;
                let origin = if added { Origin::Added } else { Origin::Static };
                (Given { behind: index, origin }, peer)
            };
            give(shared, *bd_id, *mac, Some((given, peer))).await?;
            vec![*bd_id]
        }
        L2FibRequest::Del { mac, bd_id } => {
            domain_of(&shared.registry(), *bd_id)?;
            let known = table(shared, *bd_id).await?.iter().any(|entry| entry.mac == *mac);
            if !known {
                return Err(Failure::new(Code::NotFound, "", "mac entry not found"));
            }
            give(shared, *bd_id, *mac, None).await?;
            vec![*bd_id]
        }
        L2FibRequest::FlushDomain(bd_id) => {
            domain(&shared.registry(), *bd_id)?;
            flush(shared, *bd_id, false).await?;
            vec![*bd_id]
        }
        L2FibRequest::FlushInterface(name) => {
            let index = shared.registry().find_end(name)?;
            let resources = shared.running()?;
            flush_behind(shared, &resources, index).await?.into_iter().collect()
        }
        L2FibRequest::FlushAll {} | L2FibRequest::Clear {} => {
            let all: Vec<_> = shared.registry().domains.keys().copied().collect();
            for bd_id in &all {
                flush(shared, *bd_id, matches!(request, L2FibRequest::Clear {})).await?;
            }
            all
        }
    };
    Ok(Reply::BridgesChanged(changed, false))
}

fn domain(registry: &Registry, bd_id: BridgeDomainId) -> Result<&Domain, Failure> {
    registry.domains.get(&bd_id).ok_or_else(|| no_such_domain(bd_id))
}

/// As [`domain`], in the words of VPP's `l2fib add` and `del`.
fn domain_of(registry: &Registry, bd_id: BridgeDomainId) -> Result<&Domain, Failure> {
    let missing = || Failure::new(Code::NotFound, "", format!("bridge domain ID {bd_id} invalid"));
    registry.domains.get(&bd_id).ok_or_else(missing)
}

/// Says what is known of a MAC, in the registry and to the pollers that know the domain.
async fn give(
    shared: &Arc<Shared>,
    bd_id: BridgeDomainId,
    mac: MacAddr,
    given: Option<(Given, Option<PeerKey>)>,
) -> Result<(), Failure> {
    let key = {
        let mut registry = shared.registry();
        let Some(domain) = registry.domains.get_mut(&bd_id) else { return Ok(()) };
        match given {
            Some((given, _)) => drop(domain.given.insert(mac, given)),
            None => drop(domain.given.remove(&mac)),
        }
        domain.key
    };
    let (Some(key), Ok(resources)) = (key, shared.running()) else { return Ok(()) };
    let entry = given.map(|(given, peer)| Entry::given(peer, given.origin));
    resources.engine.give_mac(key, mac.bytes(), entry).await
}

/// Forgets what a domain has learned, and with `all` what commands have told it.
async fn flush(shared: &Arc<Shared>, bd_id: BridgeDomainId, all: bool) -> Result<(), Failure> {
    let (key, given) = {
        let mut registry = shared.registry();
        let Some(domain) = registry.domains.get_mut(&bd_id) else { return Ok(()) };
        domain.flushes = domain.flushes.wrapping_add(1);
        let given = if all { std::mem::take(&mut domain.given) } else { BTreeMap::new() };
        (domain.key, given)
    };
    let (Some(key), Ok(resources)) = (key, shared.running()) else { return Ok(()) };
    for mac in given.into_keys() {
        resources.engine.give_mac(key, mac.bytes(), None).await?;
    }
    resources.engine.flush_macs(key, None).await
}

/// The chosen domains; all if none is.
fn chosen(
    registry: &Registry,
    bd_id: Option<BridgeDomainId>,
) -> Result<Vec<BridgeDomainId>, Failure> {
    match bd_id {
        Some(bd_id) => domain(registry, bd_id).map(|_| vec![bd_id]),
        None => Ok(registry.domains.keys().copied().collect()),
    }
}

/// `show bridge-domain`.
pub(super) fn show(
    registry: &Registry,
    bd_id: Option<BridgeDomainId>,
) -> Result<Vec<BridgeDomain>, Failure> {
    let mut shown = Vec::new();
    for bd_id in chosen(registry, bd_id)? {
        let Domain { settings, flushes, .. } = domain(registry, bd_id)?;
        let inside = members(registry, bd_id).map(|(interface, shg)| BridgeMember {
            name: interface.name.clone(),
            sw_if_index: interface.sw_if_index,
            shg,
            tag_rewrite: interface.tag_rewrite.to_string(),
        });
        shown.push(BridgeDomain {
            bd_id,
            flushes: *flushes,
            learn: settings.learn,
            forward: settings.forward,
            uu_flood: settings.uu_flood,
            flood: settings.flood,
            mac_age: settings.mac_age,
            tag: settings.tag.clone(),
            members: inside.collect(),
        });
    }
    Ok(shown)
}

/// `show l2fib`.
pub(super) async fn show_l2fib(
    shared: &Arc<Shared>,
    bd_id: Option<BridgeDomainId>,
    kind: L2FibKind,
) -> Result<Vec<L2FibEntry>, Failure> {
    let mut shown = Vec::new();
    let domains = match chosen(&shared.registry(), bd_id) {
        Err(_) if bd_id.is_some() => {
            let which = bd_id.map_or_else(String::new, |bd_id| bd_id.to_string());
            let why = format!("bridge domain id {which} doesn't exist");
            return Err(Failure::new(Code::NotFound, "", why));
        }
        domains => domains?,
    };
    for bd_id in domains {
        shown.extend(table(shared, bd_id).await?);
    }
    shown.retain(|entry| match kind {
        L2FibKind::All => true,
        L2FibKind::Learn => entry.learned,
        L2FibKind::Add => !entry.learned,
    });
    Ok(shown)
}

/// What a domain knows, all pollers' tables as one: of a MAC, what was heard of last.
async fn table(shared: &Arc<Shared>, bd_id: BridgeDomainId) -> Result<Vec<L2FibEntry>, Failure> {
    let key = shared.registry().domains.get(&bd_id).and_then(|domain| domain.key);
    let mut youngest: BTreeMap<MacAddr, (u64, Entry)> = BTreeMap::new();
    if let (Some(key), Ok(resources)) = (key, shared.running()) {
        for (now_ns, macs) in resources.engine.macs(key).await? {
            for (mac, entry) in macs {
                let Ok(mac) = MacAddr::new(mac) else { continue };
                let age = match entry.origin {
                    Origin::Learned => now_ns.saturating_sub(entry.seen_ns),
                    Origin::Added | Origin::Static => 0,
                };
                if youngest.get(&mac).is_none_or(|(known, _)| age < *known) {
                    youngest.insert(mac, (age, entry));
                }
            }
        }
    }
    let registry = shared.registry();
    let Some(domain) = registry.domains.get(&bd_id) else { return Ok(Vec::new()) };
    // Those that no poller knows, because the domain never had a member: filters.
    if key.is_none() {
        for (mac, given) in &domain.given {
            youngest.insert(*mac, (0, Entry::given(None, given.origin)));
        }
    }
    let mac_age = domain.settings.mac_age;
    let entries = youngest.into_iter().filter_map(|(mac, (age, entry))| {
        let member = entry.peer.map(|peer| registry.ends().find(|end| end.peer == peer));
        let behind = match member {
            // It was deleted meanwhile.
            Some(None) => return None,
            Some(Some(interface)) => Some(interface),
            None => None,
        };
        let learned = entry.origin == Origin::Learned;
        Some(L2FibEntry {
            mac,
            bd_id,
            name: behind.map(|end| end.name.clone()),
            sw_if_index: behind.map(|end| end.sw_if_index),
            learned,
            static_mac: entry.origin == Origin::Static,
            filter_mac: entry.peer.is_none(),
            age_seconds: learned.then_some(age / NS_PER_SECOND),
            mac_age,
        })
    });
    Ok(entries.collect())
}
