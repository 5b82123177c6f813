//! What one interface would drop: facts in, findings out.
//!
//! The walk goes as a frame does, from the host side to the action. Where a step is broken, what
//! hangs on it is not judged: a link that is down has no carrier and no routes either, and says so
//! once.

mod action;
mod created;
mod host;
mod queues;
#[cfg(test)]
mod tests;

use super::finding::{Finding, Report, Verdict};
use super::look::Look;
use crate::api::{Action, Interface};
use crate::diag::Code;

/// All that is known.
#[derive(Debug)]
pub(super) struct Case<'a> {
    /// The interface, as its holder tells.
    pub(super) interface: &'a Interface,
    /// All interfaces of that holder.
    pub(super) all: &'a [Interface],
    /// What was seen of the host side.
    pub(super) look: &'a Look,
    /// The host side of its peer was found where the peer's label says.
    pub(super) peer_seen: bool,
    /// The namespace that it would be made in again is not there any more.
    pub(super) home_gone: bool,
}

/// The interface that it sends to.
pub(super) fn peer<'a>(interface: &Interface, all: &'a [Interface]) -> Option<&'a Interface> {
    match &interface.action {
        Action::Xconnect(peer) => all.iter().find(|other| other.name == *peer),
        Action::Sink | Action::Respond | Action::Bridge(..) => None,
    }
}

/// Says what works and what would drop.
pub(super) fn judge(case: &Case<'_>) -> Report {
    let mut findings = Vec::new();
    host::judge(case, &mut findings);
    created::judge(case, &mut findings);
    queues::judge(case, &mut findings);
    action::judge(case, &mut findings);
    queues::counted(case, &mut findings);
    let drops = count(&findings, Verdict::Drops) > 0;
    let summary = format!("{}: {}", case.interface.name, summary(&findings));
    Report { findings, summary, code: drops.then_some(Code::Failed) }
}

fn count(findings: &[Finding], state: Verdict) -> usize {
    findings.iter().filter(|finding| finding.state == state).count()
}

/// What the findings come to. It never says more than they do.
fn summary(findings: &[Finding]) -> String {
    let lost = findings.iter().any(|f| f.check == queues::LOST && f.state != Verdict::Ok);
    let unseen = count(findings, Verdict::Unknown) > 0;
    let before = if lost { "; frames were lost before" } else { "" };
    match (count(findings, Verdict::Drops), unseen) {
        (0, false) if !lost => "all works, nothing would be dropped".to_owned(),
        (0, false) => format!("nothing is in the way of frames now{before}"),
        (0, true) => format!("nothing would be dropped, as far as could be seen{before}"),
        (1, _) => "1 thing drops frames".to_owned(),
        (n, _) => format!("{n} things drop frames"),
    }
}

/// `foo:tap0`, the host side in its user's words.
fn place(interface: &Interface) -> String {
    match &interface.host_ns {
        Some(label) => format!("{label}:{}", interface.host_if_name),
        None => interface.host_if_name.clone(),
    }
}
