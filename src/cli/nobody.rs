//! The answers when no process holds interfaces: there are none.

use crate::api::{
    ClearRequest, DeleteRequest, InterfaceRef, Outcome, Reply, Request, ShowRequest, Submit,
};
use crate::diag::{Code, Failure};

/// Answers for a machine without a holder.
#[derive(Debug)]
pub(super) struct Nobody;

impl Submit for Nobody {
    async fn submit(&self, request: Request) -> Result<Outcome, Failure> {
        answer(&request).map(Outcome::from)
    }
}

fn answer(request: &Request) -> Result<Reply, Failure> {
    let reply = match request {
        Request::Create(_) => {
            return Err(Failure::usage("", "not supported in this version")
                .hint("create from a line of `taptool hold --exec FILE', or look with `dry-run'"));
        }
        Request::Delete(DeleteRequest::All {}) => Reply::Deleted(Vec::new()),
        Request::Delete(DeleteRequest::Named(names)) => return Err(missing(names)),
        Request::Gso(gso) => return Err(missing([&gso.interface])),
        Request::Xconnect(wire) => return Err(missing([&wire.a])),
        Request::Set(set) => return Err(missing([&set.interface])),
        Request::Show(ShowRequest::Overview(names)) if names.is_empty() => {
            Reply::Overview(Vec::new())
        }
        Request::Show(ShowRequest::Tap { interfaces, .. }) if interfaces.is_empty() => {
            Reply::Tap(Vec::new())
        }
        Request::Show(ShowRequest::Interface(names)) if names.is_empty() => {
            Reply::Counters(Vec::new())
        }
        Request::Show(ShowRequest::Errors {}) => Reply::Errors(Vec::new()),
        Request::Show(
            ShowRequest::Overview(names)
            | ShowRequest::Interface(names)
            | ShowRequest::Tap { interfaces: names, .. },
        ) => return Err(missing(names)),
        Request::Clear(ClearRequest::Interfaces(names)) if !names.is_empty() => {
            return Err(missing(names));
        }
        Request::Clear(_) => Reply::Changed(Vec::new()),
    };
    Ok(reply)
}

fn missing<'a>(names: impl IntoIterator<Item = &'a InterfaceRef>) -> Failure {
    let on = names.into_iter().next().map(ToString::to_string).unwrap_or_default();
    Failure::new(Code::NotFound, on, "no such interface")
        .hint("a `taptool hold' takes commands for its interfaces as lines of its --exec script")
}
