//! `create`: a transaction of steps.
//!
//! # Theory of operation
//! The request is checked whole against itself and the registry ([`Plan`]); then its steps run in
//! order. When one fails, it and all before it are undone, last first, and the machine is as it
//! was. `dry-run` answers with the steps instead of running them. `backend auto` tries vhost-net
//! and, if that cannot be opened or started, the same plan on userspace.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::building::Building;
use super::plan::Plan;
use super::steps::{Step, steps};
use super::thread::StepThread;
use super::{Control, Shared, show};
use crate::api::{self, BackendChoice, BackendKind, CreateRequest, Level, Outcome, Reply};
use crate::device::{Backend, Userspace, VhostNet};
use crate::diag::{Code, Failure};
use crate::host::{self, HostName};
use crate::units::SwIfIndex;

pub(super) async fn create(control: &Control, request: CreateRequest) -> Result<Outcome, Failure> {
    let thread = StepThread::start("create")?;
    let outcome = create_on(control, request, &thread).await;
    thread.end().await;
    outcome
}

async fn create_on(
    control: &Control,
    request: CreateRequest,
    thread: &StepThread,
) -> Result<Outcome, Failure> {
    let shared = &control.shared;
    let mut notices = Vec::new();
    let mut plan = Plan::new(&request, &shared.registry(), shared.options.pollers())?;
    let (choice, dry_run) = (request.backend, request.dry_run);
    let namespace = request.host_ns.into_fd()?;
    let own = in_own_namespace(thread, &plan, &namespace).await?;
    // First, while the thread is in the holder's own namespace. What it says counts later.
    let (kind, pairs) = (plan.backend, plan.sizes.pairs());
    thread.run(move |site| site.opened = Some(open_backend(kind, pairs))).await?;
    let checked = preflight(thread, &plan, &namespace).await;
    if dry_run {
        excuse(&mut notices, checked)?;
        let tun = thread.run(|_| host::check_tun()).await?;
        excuse(&mut notices, tun.map_err(|failure| named(failure, &plan)))?;
        let opened = thread.run(|site| site.opened.take().transpose().map(drop)).await?;
        match opened {
            Err(failure) if choice == BackendChoice::Auto => fall_back(&mut plan, &failure),
            opened => excuse(&mut notices, opened.map_err(|failure| named(failure, &plan)))?,
        }
        notices.extend(told_first(shared, plan.backend_reason.as_deref()));
        let planned = steps(&plan, own).iter().map(|step| step.planned(&plan)).collect();
        return Ok(Outcome { reply: Reply::Planned(planned), notices });
    }
    checked?;
    control.start_watch().await.map_err(|failure| named(failure, &plan))?;
    let index = match run(shared, thread, plan.clone(), &namespace, own).await {
        Err((Step::OpenBackend | Step::StartBackend, failure))
            if choice == BackendChoice::Auto && plan.backend == BackendKind::VhostNet =>
        {
            fall_back(&mut plan, &failure);
            if let Some(reason) = &plan.backend_reason {
                let text = format!("backend userspace: {reason}");
                shared.registry().log.add(Level::Warn, &plan.name, text);
            }
            let (kind, pairs) = (plan.backend, plan.sizes.pairs());
            thread.run(move |site| site.opened = Some(open_backend(kind, pairs))).await?;
            run(shared, thread, plan, &namespace, own).await.map_err(|(_, failure)| failure)?
        }
        done => done.map_err(|(_, failure)| failure)?,
    };
    let mut registry = shared.registry();
    let interface = registry
        .get(index)
        .ok_or_else(|| Failure::new(Code::Failed, "", "the new interface is gone already"))?;
    let shown = show::interface(&registry, interface, false);
    let text = format!("created on {}, host side {}", shown.backend.word(), place_of(&shown));
    registry.log.add(Level::Notice, &shown.name, text);
    drop(registry);
    notices.extend(told_first(shared, shown.backend_reason.as_deref()));
    Ok(Outcome { reply: Reply::Created(Box::new(shown)), notices })
}

/// A dry run without the needed rights is no failure: the note says what would not be permitted.
fn excuse(notices: &mut Vec<String>, checked: Result<(), Failure>) -> Result<(), Failure> {
    match checked {
        Err(failure) if failure.code == Code::NotPermitted => {
            notices.push(format!("would not be permitted: {failure}"));
            Ok(())
        }
        checked => checked,
    }
}

/// The host side's name, and its namespace in the creator's words.
fn place_of(shown: &api::Interface) -> String {
    let namespace = shown.host_ns.as_ref().map(|ns| format!(" in {ns}"));
    format!("{}{}", shown.host_if_name, namespace.unwrap_or_default())
}

/// Whether the namespace is the process's own. Checks that it is one.
async fn in_own_namespace(
    thread: &StepThread,
    plan: &Plan,
    namespace: &Arc<OwnedFd>,
) -> Result<bool, Failure> {
    let (namespace, label) = (Arc::clone(namespace), plan.host_ns().map(ToOwned::to_owned));
    let check = move || {
        let id = host::namespace::verify(namespace.as_fd()).map_err(|f| {
            f.on_if_none(&format!("host-ns {}", label.as_deref().unwrap_or("own namespace")))
        })?;
        Ok(host::namespace::own()?.1 == id)
    };
    thread.run(move |_| check()).await?
}

/// Checks what the namespace must have or must not have, before anything is made.
async fn preflight(
    thread: &StepThread,
    plan: &Plan,
    namespace: &Arc<OwnedFd>,
) -> Result<(), Failure> {
    let (namespace, subject) = (Arc::clone(namespace), plan.subject());
    let (host_name, bridge) = (plan.host_name.clone(), plan.asked.host_bridge.clone());
    let (gateways, attached) = (plan.host_gateways.clone(), plan.asked.attach.then(|| plan.tap()));
    let check = move |session: &host::Session| {
        let mut has = Vec::new();
        if let Some(spec) = &attached {
            let (link, _) = host::attachable(session, spec)?;
            has = session.gateways(link.index)?;
        } else if let HostName::Exact(wanted) = &host_name {
            session.name_is_free(wanted)?;
        }
        if let Some(bridge) = &bridge {
            session.bridge(bridge)?;
        }
        let mut missing = gateways.into_iter().filter(|gateway| !has.contains(&gateway.address));
        missing.try_for_each(|gateway| session.default_route_is_free(gateway.address))
    };
    thread.run(move |site| check(site.thread.session(namespace.as_fd(), subject)?)).await?
}

/// Opens the backend for so many queue pairs, on a thread that is in the holder's own namespace.
fn open_backend(kind: BackendKind, pairs: u16) -> Result<Box<dyn Backend>, Failure> {
    Ok(match kind {
        BackendKind::Userspace => Box::new(Userspace::new()),
        BackendKind::VhostNet => {
            let files: Result<_, _> = (0..pairs).map(|_| host::open_vhost_net()).collect();
            Box::new(VhostNet::new(files?)?)
        }
    })
}

/// Changes a plan to the userspace backend.
fn fall_back(plan: &mut Plan, failure: &Failure) {
    let reason = format!("{}: {}", failure.doing, failure.cause);
    plan.backend = BackendKind::Userspace;
    plan.backend_reason = Some(reason.trim_start_matches(": ").to_owned());
}

/// Why `auto` fell back, once per process. A create that failed for another reason has said
/// enough.
fn told_first(shared: &Shared, reason: Option<&str>) -> Option<String> {
    let reason = reason?;
    let told = std::mem::replace(&mut shared.registry().fallback_told, true);
    (!told).then(|| format!("backend userspace: {reason}"))
}

/// A failure that names no object is about the new interface.
fn named(failure: Failure, plan: &Plan) -> Failure {
    failure.on_if_none(plan.name.as_str())
}

/// Runs the steps of a plan; on failure undoes them and names the step that failed.
async fn run(
    shared: &Arc<Shared>,
    thread: &StepThread,
    plan: Plan,
    namespace: &Arc<OwnedFd>,
    own: bool,
) -> Result<SwIfIndex, (Step, Failure)> {
    let resources = shared.resources().await.map_err(|f| (Step::Reserve, f))?;
    let steps = steps(&plan, own);
    let name = plan.name.to_string();
    let mut building = Building::new(shared, &resources, thread, plan, Arc::clone(namespace));
    for (done, step) in steps.iter().enumerate() {
        let mut result = building.apply(step).await;
        if result.is_ok() && shared.options.fail_after_steps == Some(done + 1) {
            result = Err(Failure::new(Code::Failed, "", format!("stopped after {step:?}")));
        }
        if let Err(failure) = result {
            let mut failure = failure.on_if_none(&name);
            let mut left = Vec::new();
            for step in steps[..=done].iter().rev() {
                left.extend(building.undo(step).await.iter().map(ToString::to_string));
            }
            if !left.is_empty() {
                let hint = failure.hint.take().map_or_else(String::new, |h| format!("{h}\n"));
                failure = failure.hint(format!("{hint}not undone: {}", left.join("; ")));
            }
            return Err((step.clone(), failure));
        }
    }
    building.sw_if_index().ok_or_else(|| (Step::Announce, Failure::bug(name, "built nothing")))
}
