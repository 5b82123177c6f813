//! `set nsim`, `nsim …`: one setting that many wires follow.

use std::sync::Arc;

use super::interface::{Faults, Interface, Mode, vanished};
use super::registry::Registry;
use super::{Resources, Shared, actions, carrier, changes};
use crate::api::{InterfaceRef, Nsim, NsimRequest, NsimSettings, Reply};
use crate::diag::{Code, Failure};
use crate::units::SwIfIndex;

pub(super) async fn nsim(shared: &Arc<Shared>, request: &NsimRequest) -> Result<Reply, Failure> {
    match request {
        NsimRequest::Configure(settings) => configure(shared, *settings).await,
        NsimRequest::CrossConnect { a, b, disable } => {
            let (a, b) = (configured(shared, a)?, configured(shared, b)?);
            cross_connect(shared, a, b, !disable).await?;
            changed(shared, &[a, b])
        }
        NsimRequest::OutputFeature { interface, disable } => {
            let index = configured(shared, interface)?;
            let resources = shared.running()?;
            shared.registry().get_mut(index).ok_or_else(vanished)?.nsim_output = !disable;
            apply_where(shared, &resources, |i| i.mode.peer() == Some(index)).await?;
            changed(shared, &[index])
        }
    }
}

/// The simulator as it is set; none before that.
pub(super) fn shown(registry: &Registry) -> Option<Nsim> {
    let settings = registry.nsim?;
    let impairment = settings.impairment();
    let names = |which: fn(&&Interface) -> bool| {
        registry.all().filter(which).map(|i| i.name.clone()).collect()
    };
    Some(Nsim {
        delay: settings.delay,
        bandwidth: settings.bandwidth,
        packet_size: settings.packet_size,
        loss: impairment.loss,
        reorder: impairment.reorder,
        limit: settings.limit(),
        cross_connects: names(|i| i.faults == Faults::Nsim),
        output_features: names(|i| i.nsim_output),
    })
}

async fn configure(shared: &Arc<Shared>, settings: NsimSettings) -> Result<Reply, Failure> {
    shared.registry().nsim = Some(settings);
    if let Ok(resources) = shared.running() {
        let outputs: Vec<SwIfIndex> = {
            let registry = shared.registry();
            registry.all().filter(|i| i.nsim_output).map(|i| i.sw_if_index).collect()
        };
        let follows = |i: &Interface| {
            i.faults == Faults::Nsim || i.mode.peer().is_some_and(|peer| outputs.contains(&peer))
        };
        apply_where(shared, &resources, follows).await?;
    }
    Ok(Reply::Nsim(shown(&shared.registry()).into_iter().collect()))
}

async fn cross_connect(
    shared: &Arc<Shared>,
    a: SwIfIndex,
    b: SwIfIndex,
    enable: bool,
) -> Result<(), Failure> {
    let resources = shared.running()?;
    if a == b {
        return Err(Failure::usage("", "an interface cannot be its own peer"));
    }
    changes::same_kind(shared, a, b)?;
    for (from, to) in [(a, b), (b, a)] {
        let (mode, faults) = match enable {
            true => (Mode::Xconnect(to), Faults::Nsim),
            false => (Mode::L3, Faults::default()),
        };
        changes::set_mode_and_faults(shared, &resources, from, (mode, faults)).await?;
    }
    for end in [a, b] {
        carrier::follow(shared, &resources, end, false).await?;
    }
    Ok(())
}

/// Has the pollers do what the settings of these interfaces mean now.
async fn apply_where(
    shared: &Arc<Shared>,
    resources: &Resources,
    which: impl Fn(&Interface) -> bool,
) -> Result<(), Failure> {
    let indices: Vec<SwIfIndex> = {
        let registry = shared.registry();
        registry.all().filter(|i| which(i)).map(|i| i.sw_if_index).collect()
    };
    for index in indices {
        actions::apply_action(shared, resources, index).await?;
    }
    Ok(())
}

/// The interface, where the simulator is set.
fn configured(shared: &Shared, interface: &InterfaceRef) -> Result<SwIfIndex, Failure> {
    let registry = shared.registry();
    let index = registry.find(interface)?;
    match registry.nsim {
        Some(_) => Ok(index),
        None => Err(Failure::new(Code::Failed, "", "Not configured, please 'set nsim' first")),
    }
}

fn changed(shared: &Shared, all: &[SwIfIndex]) -> Result<Reply, Failure> {
    let registry = shared.registry();
    let name = |index: &SwIfIndex| registry.get(*index).map(|i| i.name.clone());
    all.iter().map(name).collect::<Option<Vec<_>>>().map(Reply::Changed).ok_or_else(vanished)
}
