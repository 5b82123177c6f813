//! `doctor`: what this machine offers, and what one interface would drop.
//!
//! # Theory of operation
//! Two halves each time. Collecting asks the kernel and judges nothing: [`machine`] opens the
//! device files, makes a tap in a private namespace and maps the memory that a holder would, all of
//! which is gone when it answers; [`interface`] asks the process that holds interfaces for all of
//! them, and looks at the host side itself, in the namespace that the interface's label means to
//! the caller. Judging takes facts and returns findings, and needs no kernel.
//!
//! What blocks or enters a namespace runs on a thread of its own that ends with it, so both may be
//! awaited on a control thread. Nothing is repaired: a finding says what would.

mod commands;
mod finding;
mod interface;
mod look;
mod machine;
mod reasons;

use look::Look;

use crate::api::{BackendKind, InterfaceRef, Reply, Request, ShowRequest, Submit};
use crate::device::VhostNet;
use crate::diag::{Code, Failure};
use crate::host;

pub use finding::{Finding, Report, Verdict};
pub use look::resolve;

/// Whether a holder answers, as far as the caller has found out: `doctor` itself asks none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Holder {
    /// The caller does not say: no row about it.
    #[default]
    NotAsked,
    /// No holder, which is no fault: none runs while there are no interfaces.
    Absent,
    /// One answers; more about it in a few words (`with 2 interfaces`).
    Answers(String),
    /// Something listens and does not answer as a holder does.
    Silent(Failure),
}

/// Looks at the machine. The exit code is none when taps can be made, else 5, 6 or 7 as `create`
/// would answer.
///
/// # Errors
/// No thread is to be had.
pub async fn machine(holder: Holder) -> Result<Report, Failure> {
    host::aside("doctor", move |_| machine::judge(&machine::collect(holder))).await
}

/// The backend that `auto` takes here.
pub fn backend() -> BackendKind {
    let probed = host::open_vhost_net().and_then(|file| VhostNet::new(vec![file]));
    if probed.is_ok() { BackendKind::VhostNet } else { BackendKind::Userspace }
}

/// Looks at one interface. The exit code is 1 when something would be dropped.
///
/// # Errors
/// Exit code 3: no such interface; or the holder does not answer.
pub async fn interface(holder: &impl Submit, name: &InterfaceRef) -> Result<Report, Failure> {
    // Two questions, since the refusal of an unknown name is the holder's to word.
    let named = overview(holder, vec![name.clone()]).await?;
    let mut all = overview(holder, Vec::new()).await?;
    let Some(mut interface) = named.into_iter().next() else {
        return Err(name.missing());
    };
    host::aside("doctor", move |thread| {
        all.iter_mut().chain([&mut interface]).for_each(look::resolve);
        let look = look::look(thread, &interface);
        let peer = interface::peer(&interface, &all);
        let peer_seen = peer.is_some_and(|peer| matches!(look::look(thread, peer), Look::Seen(_)));
        let (interface, all, look) = (&interface, all.as_slice(), &look);
        let home_gone = look::home_gone(interface);
        interface::judge(&interface::Case { interface, all, look, peer_seen, home_gone })
    })
    .await
}

async fn overview(
    holder: &impl Submit,
    names: Vec<InterfaceRef>,
) -> Result<Vec<crate::api::Interface>, Failure> {
    match holder.submit(Request::Show(ShowRequest::Overview(names))).await?.reply {
        Reply::Interfaces(all, _) => Ok(all),
        other => Err(Failure::new(Code::Failed, "show", format!("answered {other:?}"))),
    }
}
