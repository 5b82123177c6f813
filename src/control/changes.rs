//! Verbs that change an interface: gso, xconnect, set.

use std::os::fd::AsFd;
use std::sync::Arc;

use ipnet::IpNet;
use tokio::sync::Mutex;

use super::actions::{apply, apply_action};
use super::interface::{Faults, Mode, announcing, host_gone, vanished};
use super::life::Life;
use super::{
    Resources, Shared, carrier, domains, impairment, offload, placement, reset, settings,
    sub_settings,
};
use crate::api::{GsoRequest, Outcome, Reply, SetInterface, SetRequest, XconnectRequest};
use crate::diag::{Code, Failure};
use crate::host;
use crate::units::{HostOffload, IfName, Impairment, NumberList, SwIfIndex};

fn name_of(shared: &Shared, index: SwIfIndex) -> Result<IfName, Failure> {
    shared.registry().end(index).map(|i| i.name.clone()).ok_or_else(vanished)
}

pub(super) async fn gso(shared: &Arc<Shared>, request: &GsoRequest) -> Result<Reply, Failure> {
    let index = shared.registry().find(&request.interface)?;
    let wanted = if request.on { HostOffload::Gso } else { HostOffload::Off };
    offload::of_host(shared, index, wanted).await?;
    Ok(Reply::Changed(vec![name_of(shared, index)?]))
}

/// As [`offload::promise`], while nobody else changes the interface's files or queues.
async fn no_gso(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    on: bool,
) -> Result<(), Failure> {
    let files = shared.registry().get(index).map(|i| Arc::clone(&i.files)).ok_or_else(vanished)?;
    let _held = files.lock().await;
    if shared.registry().get(index).is_none_or(|i| i.life == Life::Deleting) {
        return Err(vanished());
    }
    offload::promise(shared, resources, index, on).await
}

pub(super) async fn xconnect(
    shared: &Arc<Shared>,
    request: &XconnectRequest,
) -> Result<Outcome, Failure> {
    let (a, b) = {
        let registry = shared.registry();
        (registry.find_end(&request.a)?, registry.find_end(&request.b)?)
    };
    let resources = shared.running()?;
    if request.link_state && (is_sub(shared, a) || is_sub(shared, b)) {
        let both = format!("{} and {}", request.a, request.b);
        return Err(Failure::usage(both, "a sub-interface has no carrier to hand on"));
    }
    if a == b {
        return Err(Failure::usage(request.b.to_string(), "an interface cannot be its own peer"));
    }
    let mut notices = Vec::new();
    if request.off {
        let connected =
            |from, to| shared.registry().end(from).is_some_and(|i| i.mode == Mode::Xconnect(to));
        if !connected(a, b) && !connected(b, a) {
            let both = format!("{} and {}", request.a, request.b);
            return Err(Failure::new(Code::NotFound, both, "they are not cross-connected"));
        }
        for (from, to) in [(a, b), (b, a)] {
            if connected(from, to) {
                set_mode(shared, &resources, from, Mode::L3).await?;
                unfollow(shared, &resources, from).await?;
            }
        }
    } else {
        same_kind(shared, a, b)?;
        let (there, back) = (request.impairment, request.impairment.of_other_direction());
        check_impairment(shared, a, &there)?;
        check_impairment(shared, b, &back)?;
        set_wire(shared, &resources, a, b, there).await?;
        set_wire(shared, &resources, b, a, back).await?;
        for end in [a, b] {
            if !is_sub(shared, end) {
                carrier::follow(shared, &resources, end, request.link_state).await?;
            }
        }
        notices = senders(shared, a, b);
    }
    let reply = Reply::Changed(vec![name_of(shared, a)?, name_of(shared, b)?]);
    Ok(Outcome { reply, notices })
}

/// Refuses a wire between a tap and a tun: their frames differ.
pub(super) fn same_kind(shared: &Shared, a: SwIfIndex, b: SwIfIndex) -> Result<(), Failure> {
    let registry = shared.registry();
    let (a, b) = (registry.end(a).ok_or_else(vanished)?, registry.end(b).ok_or_else(vanished)?);
    if a.kind == b.kind {
        return Ok(());
    }
    Err(Failure::usage(b.name.as_str(), format!("a {} cannot be the peer of a {}", b.kind, a.kind)))
}

/// Interfaces besides `a` and `b` that send to one of them. A wire between `a` and `b` leaves their
/// cross-connects one-way.
fn senders(shared: &Shared, a: SwIfIndex, b: SwIfIndex) -> Vec<String> {
    let registry = shared.registry();
    let name = |index| registry.end(index).map(|i| i.name.clone());
    let others = registry.ends().filter(|i| ![a, b].contains(&i.sw_if_index));
    let told = others.filter_map(|other| {
        let to = other.mode.peer().filter(|to| [a, b].contains(to)).and_then(name)?;
        Some(format!("{} still sends to {to}", other.name))
    });
    told.collect()
}

fn is_sub(shared: &Shared, index: SwIfIndex) -> bool {
    shared.registry().subs.contains_key(&index)
}

/// Refuses what an interface cannot do to the frames that it receives, and a sub-interface at all.
fn check_impairment(
    shared: &Shared,
    index: SwIfIndex,
    impairment: &Impairment,
) -> Result<(), Failure> {
    if !is_sub(shared, index) {
        return impairment::check(shared, index, impairment);
    }
    if impairment.is_none() {
        return Ok(());
    }
    let name = name_of(shared, index)?;
    Err(Failure::usage(name.as_str(), "a sub-interface does nothing to the frames of its wire"))
}

/// Has an interface follow the link of no other; a sub-interface never does.
async fn unfollow(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    if is_sub(shared, index) {
        return Ok(());
    }
    carrier::follow(shared, resources, index, false).await
}

/// Sets where the received frames of an interface or a sub-interface go.
pub(super) async fn set_mode(
    shared: &Arc<Shared>,
    resources: &Resources,
    from: SwIfIndex,
    mode: Mode,
) -> Result<(), Failure> {
    set_mode_and_faults(shared, resources, from, (mode, Faults::default())).await
}

/// Sends an interface's received frames out of another one.
async fn set_wire(
    shared: &Arc<Shared>,
    resources: &Resources,
    from: SwIfIndex,
    to: SwIfIndex,
    impairment: Impairment,
) -> Result<(), Failure> {
    let wire = (Mode::Xconnect(to), Faults::Own(impairment));
    set_mode_and_faults(shared, resources, from, wire).await
}

pub(super) async fn set_mode_and_faults(
    shared: &Arc<Shared>,
    resources: &Resources,
    from: SwIfIndex,
    (mode, faults): (Mode, Faults),
) -> Result<(), Failure> {
    let _one_at_a_time = shared.domains.lock().await;
    let before = {
        let mut registry = shared.registry();
        let peer_is_there = mode.peer().is_none_or(|peer| registry.end(peer).is_some());
        if let Mode::Bridge { domain, .. } = mode {
            domains::ensure(&mut registry, domain);
        }
        match registry.mode_mut(from) {
            Some(now) if peer_is_there => {
                let before = std::mem::replace(now, mode);
                if let Some(interface) = registry.get_mut(from) {
                    interface.faults = faults;
                }
                before
            }
            _ => return Err(vanished()),
        }
    };
    if let Mode::Bridge { domain, .. } = mode {
        domains::push(shared, resources, domain).await?;
    }
    apply_action(shared, resources, from).await?;
    match (before, mode) {
        (Mode::Bridge { domain: left, .. }, Mode::Bridge { domain, .. }) if left == domain => {}
        (Mode::Bridge { domain: left, .. }, _) => domains::push(shared, resources, left).await?,
        _ => {}
    }
    Ok(())
}

/// Takes away every cross-connect that leads to an interface or a sub-interface.
pub(super) async fn unwire(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    let pointing: Vec<SwIfIndex> = {
        let registry = shared.registry();
        let ends = registry.ends().filter(|end| end.mode == Mode::Xconnect(index));
        ends.map(|end| end.sw_if_index).collect()
    };
    for from in pointing {
        set_mode(shared, resources, from, Mode::L3).await?;
        if !is_sub(shared, from) {
            carrier::settle(shared, resources, from).await?;
        }
    }
    Ok(())
}

/// Takes an interface that is being deleted out of every cross-connect that leads to it, and out of
/// its bridge domain.
pub(super) async fn disconnect(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    unwire(shared, resources, index).await?;
    let mode = shared.registry().get(index).map(|i| i.mode);
    if let Some(Mode::Bridge { domain, .. }) = mode {
        let _one_at_a_time = shared.domains.lock().await;
        domains::push(shared, resources, domain).await?;
    }
    Ok(())
}

pub(super) async fn set(shared: &Arc<Shared>, request: &SetRequest) -> Result<Reply, Failure> {
    let index = shared.registry().find_end(&request.interface)?;
    let resources = shared.running()?;
    let sub = is_sub(shared, index);
    match &request.change {
        SetInterface::TagRewrite(rewrite) => {
            sub_settings::rewrite(shared, &resources, index, rewrite).await?;
        }
        SetInterface::L2Xconnect { peer, impairment } => {
            let to = shared.registry().find_end(peer)?;
            if to == index {
                return Err(Failure::usage(
                    peer.to_string(),
                    "an interface cannot be its own peer",
                ));
            }
            same_kind(shared, index, to)?;
            check_impairment(shared, index, impairment)?;
            // Of the wire that it is on already it goes on following the other end.
            let follows = {
                let registry = shared.registry();
                let interface = registry.get(index).filter(|i| i.mode == Mode::Xconnect(to));
                interface.is_some_and(|interface| interface.link_state)
            };
            set_wire(shared, &resources, index, to, *impairment).await?;
            if !sub {
                carrier::follow(shared, &resources, index, follows).await?;
            }
        }
        SetInterface::L3 {} => {
            set_mode(shared, &resources, index, Mode::L3).await?;
            unfollow(shared, &resources, index).await?;
        }
        SetInterface::L2Bridge { bd_id, shg } => {
            domains::may_join(&shared.registry(), index)?;
            let mode = Mode::Bridge { domain: *bd_id, group: *shg };
            set_mode(shared, &resources, index, mode).await?;
            unfollow(shared, &resources, index).await?;
        }
        change if sub => sub_settings::set(shared, &resources, index, change).await?,
        SetInterface::State { up } => set_state(shared, &resources, index, *up).await?,
        SetInterface::RxPlacement { queue, poller } => {
            placement::place_rx(shared, &resources, index, *queue, *poller).await?;
        }
        SetInterface::RxMode { queue, mode } => {
            placement::set_rx_mode(shared, &resources, index, *queue, *mode).await?;
        }
        SetInterface::TxQueue { queue, threads } => {
            let users = threads.iter().fold(NumberList::default(), |all, p| all.with(p.0));
            placement::assign_tx(shared, &resources, index, *queue, users).await?;
        }
        SetInterface::HostCarrier { up } => {
            living(shared, index)?;
            carrier::set(shared, &resources, index, *up).await?;
        }
        SetInterface::HostSpeed { mbps } => {
            set_speed(shared, index, *mbps).await?;
        }
        SetInterface::AddAddress(address) => {
            change_addresses(shared, index, |all, name| add(all, *address, name))?;
            apply_action(shared, &resources, index).await?;
        }
        SetInterface::DelAddress(address) => {
            change_addresses(shared, index, |all, name| remove(all, *address, name))?;
            apply_action(shared, &resources, index).await?;
        }
        SetInterface::NoGso { on } => no_gso(shared, &resources, index, *on).await?,
        SetInterface::Offload { host } => offload::of_host(shared, index, *host).await?,
        SetInterface::Name(new) => shared.registry().rename(index, new)?,
        SetInterface::Tag(tag) => settings::tag(shared, index, Some(tag))?,
        SetInterface::ClearTag {} => settings::tag(shared, index, None)?,
        SetInterface::MacAddress(mac) => {
            settings::mac(shared, index, *mac)?;
            apply(shared, &resources, index, announcing).await?;
        }
        SetInterface::AddSecondaryMac(mac) => {
            settings::add_secondary(shared, index, *mac)?;
            apply_action(shared, &resources, index).await?;
        }
        SetInterface::DelSecondaryMac(mac) => {
            settings::del_secondary(shared, index, *mac)?;
            apply_action(shared, &resources, index).await?;
        }
        SetInterface::Mtu { of, mtu } => {
            settings::mtu(shared, &resources, index, *of, *mtu).await?;
        }
        SetInterface::HostMtu(mtu) => {
            settings::host_mtu(shared, &resources, index, *mtu).await?;
        }
        SetInterface::Promiscuous { on } => {
            settings::promiscuous(shared, index, *on)?;
            apply_action(shared, &resources, index).await?;
        }
        SetInterface::DelAllAddresses {} => {
            change_addresses(shared, index, |all, _| {
                all.clear();
                Ok(())
            })?;
            apply_action(shared, &resources, index).await?;
        }
    }
    Ok(Reply::Changed(vec![name_of(shared, index)?]))
}

fn change_addresses(
    shared: &Shared,
    index: SwIfIndex,
    change: impl FnOnce(&mut Vec<IpNet>, &IfName) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut registry = shared.registry();
    let interface = registry.get_mut(index).ok_or_else(vanished)?;
    let name = interface.name.clone();
    change(&mut interface.addresses, &name)
}

fn add(all: &mut Vec<IpNet>, address: IpNet, name: &IfName) -> Result<(), Failure> {
    if all.iter().any(|a| a.addr() == address.addr()) {
        return Err(Failure::new(
            Code::Exists,
            name.as_str(),
            format!("it has {} already", address.addr()),
        ));
    }
    all.push(address);
    Ok(())
}

fn remove(all: &mut Vec<IpNet>, address: IpNet, name: &IfName) -> Result<(), Failure> {
    match all.iter().position(|a| *a == address) {
        Some(at) => {
            all.remove(at);
            Ok(())
        }
        None => {
            Err(Failure::new(Code::NotFound, name.as_str(), format!("it has no address {address}")))
        }
    }
}

/// Starts an interface again that has a broken queue; others are left as they are.
async fn reset(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
) -> Result<(), Failure> {
    let (files, name) = match shared.registry().get(index).ok_or_else(vanished)? {
        i if !i.life.is_living() => return Ok(()),
        i if i.life == Life::Running && !i.is_broken() => return Ok(()),
        i => (Arc::clone(&i.files), i.name.clone()),
    };
    let held = files.lock_owned().await;
    let named = |f: Failure| {
        let f = if f.on.is_empty() { f.on(name.as_str()) } else { f };
        f.hint(format!("it stays broken; try again, or `delete {name}' and create it again"))
    };
    reset::halt(shared, resources, index, &held).await.map_err(named)?;
    reset::revive(shared, resources, index, &held).await.map_err(named)
}

async fn set_state(
    shared: &Arc<Shared>,
    resources: &Resources,
    index: SwIfIndex,
    up: bool,
) -> Result<(), Failure> {
    if up {
        reset(shared, resources, index).await?;
    }
    let queues = {
        let mut registry = shared.registry();
        let interface = registry.get_mut(index).ok_or_else(vanished)?;
        if up && interface.life == Life::HostGone {
            return Err(host_gone(&interface.name));
        }
        interface.admin_up = up;
        interface.queues()
    };
    for (poller, key) in queues {
        resources.engine.set_admin(poller, key, up).await?;
    }
    carrier::hand_on(shared, resources, index).await;
    if !up {
        domains::flush_behind(shared, resources, index).await?;
    }
    Ok(())
}

/// `set tap speed`: the kernel takes it by name, so a thread asks it in the device's namespace.
async fn set_speed(shared: &Arc<Shared>, index: SwIfIndex, mbps: u32) -> Result<(), Failure> {
    let (files, name) = living(shared, index)?;
    let _held = files.lock().await;
    let file = shared.registry().get(index).and_then(|i| i.port.tap()?.file());
    let file = file.ok_or_else(vanished)?;
    let subject = name.to_string();
    let side = host::aside("speed", move |thread| {
        // The file is let go before the thread answers.
        let file = file;
        let set = |session: &host::Session, i| session.set_speed(i, mbps);
        host::with_device(thread, file.as_fd(), subject.as_str(), set)
    });
    side.await??;
    let mut registry = shared.registry();
    let tap = registry.get_mut(index).and_then(|i| i.port.tap_mut()).ok_or_else(vanished)?;
    tap.set_speed(mbps);
    Ok(())
}

/// The right to use an interface's files, and its name.
///
/// # Errors
/// Its host side is gone, or it is being deleted.
fn living(shared: &Shared, index: SwIfIndex) -> Result<(Arc<Mutex<()>>, IfName), Failure> {
    let registry = shared.registry();
    let interface = registry.get(index).filter(|i| i.life != Life::Deleting);
    let interface = interface.ok_or_else(vanished)?;
    if interface.life == Life::HostGone {
        return Err(host_gone(&interface.name));
    }
    interface.port.tap().ok_or_else(|| offload::no_host_side(&interface.name))?;
    Ok((Arc::clone(&interface.files), interface.name.clone()))
}
