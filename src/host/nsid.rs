//! Numbers of namespaces as another namespace sees them (`RTM_NEWNSID`, `linux/net_namespace.h`).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::nsid::{NsidAttribute, NsidMessage};

use super::refusal;
use super::session::{ACK, Session};
use crate::diag::{Code, Failure};

const DOING: &str = "number the namespace";

impl Session {
    /// The number of the file's namespace in the session's, given by the kernel if there was none.
    /// It does not keep that namespace alive.
    pub(super) fn nsid(&self, namespace: BorrowedFd<'_>) -> Result<i32, Failure> {
        if let Some(id) = lookup(self, namespace)? {
            return Ok(id);
        }
        // -1: the kernel chooses.
        let message = message(namespace, Some(NsidAttribute::Id(-1)));
        match self.try_ask(DOING, self.exchange(RouteNetlinkMessage::NewNsId(message), ACK))? {
            Ok(_) => {}
            // Another process was faster.
            Err(e) if refusal::errno(&e) == Some(Errno::EEXIST) => {}
            Err(e) => return Err(refusal::failure(DOING, &self.on, &e)),
        }
        lookup(self, namespace)?.ok_or_else(|| {
            Failure::new(Code::Failed, self.on.clone(), "the kernel gave the namespace no id")
        })
    }
}

fn lookup(session: &Session, namespace: BorrowedFd<'_>) -> Result<Option<i32>, Failure> {
    let request = RouteNetlinkMessage::GetNsId(message(namespace, None));
    let answers = session.ask(DOING, session.exchange(request, ACK))?;
    Ok(answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewNsId(m) => m.attributes.iter().find_map(|a| match a {
            NsidAttribute::Id(id) if *id >= 0 => Some(*id),
            _ => None,
        }),
        _ => None,
    }))
}

fn message(namespace: BorrowedFd<'_>, more: Option<NsidAttribute>) -> NsidMessage {
    let mut message = NsidMessage::default();
    // An open file's number is never negative.
    let fd = u32::try_from(namespace.as_raw_fd()).unwrap_or(u32::MAX);
    message.attributes = vec![NsidAttribute::Fd(fd)];
    message.attributes.extend(more);
    message
}
