//! The answers when no process holds interfaces: there are none.

use crate::api::{
    BridgeRequest, ClearRequest, DeleteRequest, InterfaceRef, L2FibRequest, NsimRequest, Outcome,
    Reply, Request, ShowRequest, SubInterfaceRequest, no_such_domain,
};
use crate::diag::{Code, Failure};

/// The note about interfaces that root may hold.
const ASK_ROOT: &str = "you have no interfaces; `sudo taptool show' shows root's";

/// Answers if the user has no holder. `root_may_hold`: root may have one.
pub(super) fn answer(request: &Request, root_may_hold: bool) -> Result<Outcome, Failure> {
    let reply = reply(request).map_err(|failure| match root_may_hold {
        true => failure.hint(ASK_ROOT),
        false => failure,
    })?;
    let shows = matches!(request, Request::Show(_));
    let notices = if shows && root_may_hold { vec![ASK_ROOT.to_owned()] } else { Vec::new() };
    Ok(Outcome { reply, notices })
}

fn reply(request: &Request) -> Result<Reply, Failure> {
    Ok(match request {
        Request::Create(_) => return Err(Failure::new(Code::NoAnswer, "", "no holder")),
        Request::Delete(DeleteRequest::All { .. }) => Reply::Deleted(Vec::new()),
        Request::Delete(DeleteRequest::Named(names) | DeleteRequest::Destroy(names)) => {
            return Err(missing(names));
        }
        Request::Gso(gso) => return Err(gso.interface.missing()),
        Request::Xconnect(wire) => return Err(wire.a.missing()),
        Request::Nsim(NsimRequest::Configure(_)) => {
            let why = "create the interfaces first: without one nothing keeps the settings";
            return Err(Failure::new(Code::NotFound, "", why));
        }
        Request::Nsim(
            NsimRequest::CrossConnect { a: interface, .. }
            | NsimRequest::OutputFeature { interface, .. },
        ) => return Err(interface.missing()),
        Request::Set(set) => return Err(set.interface.missing()),
        Request::SubInterface(
            SubInterfaceRequest::Create { interface, .. }
            | SubInterfaceRequest::Delete { interface },
        ) => return Err(interface.missing()),
        Request::Clear(ClearRequest::Interfaces(names)) if !names.is_empty() => {
            return Err(missing(names));
        }
        Request::Bridge(BridgeRequest::Create(_)) => {
            return Err(Failure::new(Code::NoAnswer, "", "no holder"));
        }
        Request::Bridge(BridgeRequest::Delete { bd_id, .. } | BridgeRequest::Set { bd_id, .. })
        | Request::Show(
            ShowRequest::BridgeDomains { bd_id: Some(bd_id), .. }
            | ShowRequest::L2Fib { bd_id: Some(bd_id), .. },
        ) => return Err(no_such_domain(*bd_id)),
        Request::L2Fib(fib) => match fib {
            L2FibRequest::Add { bd_id, .. }
            | L2FibRequest::Del { bd_id, .. }
            | L2FibRequest::FlushDomain(bd_id) => return Err(no_such_domain(*bd_id)),
            L2FibRequest::FlushInterface(name) => return Err(name.missing()),
            L2FibRequest::FlushAll {} | L2FibRequest::Clear {} => {
                Reply::BridgesChanged(Vec::new(), false)
            }
        },
        Request::Show(show) if show.names().is_empty() => show.empty(),
        Request::Show(show) => return Err(missing(show.names())),
        Request::Clear(_) => Reply::Changed(Vec::new()),
        Request::Monitor(_) => Reply::Logging(Vec::new()),
    })
}

/// The refusal of the first.
fn missing(names: &[InterfaceRef]) -> Failure {
    names.first().map_or_else(|| Failure::usage("", "no interface is named"), InterfaceRef::missing)
}
