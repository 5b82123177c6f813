//! Requests about links, addresses and routes of one namespace.
//!
//! # Theory of operation
//! [`Session::here`] opens the netlink socket in the namespace of the calling thread; the socket
//! works in that namespace for life, and keeps it alive for as long as the session does, so a
//! session is short: opened, asked, dropped. The methods block the calling thread, which must have
//! no tokio runtime of its own. Every refusal names the request in words and carries the
//! errno and the kernel's own sentence (`NETLINK_EXT_ACK`). A request is done when the kernel's
//! acknowledgement (`NLMSG_ERROR` with code 0, or the `NLMSG_DONE` of a dump) was seen, and only
//! then: a request that could not be sent ends without one and fails (`Session::exchange`;
//! rtnetlink's own `execute` cannot tell the two apart, so it is not used). A request that gets no
//! answer within 10 s fails too: a message that cannot be decoded must not block its caller for
//! ever.

use std::future::Future;
use std::io;
use std::num::NonZeroI32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use nix::errno::Errno;
use rtnetlink::packet_core::{
    ErrorMessage, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, NetlinkMessage,
    NetlinkPayload,
};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::sys::{AsyncSocket, TokioSocket, protocols::NETLINK_ROUTE};
use rtnetlink::{Error, Handle, LinkGetRequest, LinkMessageBuilder, LinkUnspec};
use tokio::runtime::{Builder, Runtime};

use super::link::{Link, LinkStats};
use super::refusal;
use crate::diag::{Code, Failure};
use crate::sys::ethtool;
use crate::units::{IfName, MacAddr, Mtu};

const WAIT: Duration = Duration::from_secs(1);
const WAITS: u32 = 10;

/// An open netlink socket in one namespace.
#[derive(Debug)]
pub struct Session {
    // Dropped first: it holds the socket.
    runtime: Runtime,
    pub(super) handle: Handle,
    /// The same socket: requests that are no messages go through it.
    pub(super) socket: OwnedFd,
    pub(super) on: String,
    /// How `ip` is called to work in that namespace, for hints.
    pub(super) ip: String,
}

/// What a session is about, in the user's words.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The object of every request, for errors.
    pub on: String,
    /// How `ip` is called to work in the namespace: `ip -n foo`.
    pub ip: String,
}

impl<T: Into<String>> From<T> for Subject {
    fn from(on: T) -> Self {
        Self { on: on.into(), ip: "ip".to_owned() }
    }
}

impl Session {
    /// Opens one in the namespace of the calling thread.
    ///
    /// # Errors
    /// No socket can be had, or the calling thread runs a tokio runtime.
    pub fn here(subject: impl Into<Subject>) -> Result<Self, Failure> {
        let Subject { on, ip } = subject.into();
        let failed = |e: &io::Error| Failure::io("open a netlink socket", on.clone(), e);
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(failed(&io::Error::other("this thread runs a runtime and must not block")));
        }
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|e| failed(&e))?;
        let (socket, same) = {
            let _inside = runtime.enter();
            let mut socket = TokioSocket::new(NETLINK_ROUTE).map_err(|e| failed(&e))?;
            let options = socket.socket_mut();
            // CAP_ACK cuts our request out of errors, so that attributes have a fixed place.
            options
                .bind_auto()
                .and_then(|_| options.set_ext_ack(true))
                .and_then(|()| options.set_cap_ack(true))
                .map_err(|e| failed(&e))?;
            // Lets the kernel filter dumps; before Linux 4.20 they come whole and are filtered
            // here.
            let _ = options.set_netlink_get_strict_chk(true);
            let same = options.as_fd().try_clone_to_owned().map_err(|e| failed(&e))?;
            (socket, same)
        };
        let (mut connection, handle, _) = rtnetlink::from_socket(socket);
        connection.set_forward_ack(true);
        connection.set_forward_done(true);
        runtime.spawn(connection);
        Ok(Self { runtime, handle, socket: same, on, ip })
    }

    /// What requests are about from now on.
    pub(super) fn about(&mut self, subject: Subject) {
        (self.on, self.ip) = (subject.on, subject.ip);
    }

    /// Runs one request; `doing` is it in words.
    pub(super) fn ask<T>(
        &self,
        doing: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Failure> {
        self.try_ask(doing, request)?.map_err(|e| refusal::failure(doing, &self.on, &e))
    }

    /// As [`Self::ask`], the kernel's refusal left as it came.
    pub(super) fn try_ask<T>(
        &self,
        doing: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Failure> {
        let timed = async {
            let mut request = pin!(request);
            // Several short waits, not a long one: the kernel works on a request while it is being
            // sent, which blocks this thread for as long as others hold the rtnl lock. That uses up
            // one wait, and the answer is there in the next.
            for _ in 0..WAITS {
                if let Ok(answer) = tokio::time::timeout(WAIT, request.as_mut()).await {
                    return Ok(answer);
                }
            }
            let error = io::Error::other("no answer from netlink within 10 s");
            Err(Failure::io(doing, self.on.clone(), &error))
        };
        self.runtime.block_on(timed)
    }

    /// Sends one message and collects what comes back up to the acknowledgement or the end of the
    /// dump.
    ///
    /// # Errors
    /// The kernel's refusal; [`Error::RequestFailed`] where neither acknowledgement nor end of dump
    /// came, so that it is unknown whether the kernel has seen the request.
    pub(super) async fn exchange(
        &self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<Vec<RouteNetlinkMessage>, Error> {
        #[cfg(feature = "test-hooks")]
        let message = unsent::instead_of(message);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        let mut handle = self.handle.clone();
        collect(handle.request(request)?).await
    }

    pub(super) fn link(&self, doing: &str, message: LinkMessage) -> Result<(), Failure> {
        self.ask(doing, self.exchange(RouteNetlinkMessage::SetLink(message), ACK)).map(drop)
    }

    /// The link of this name; none if there is none.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn link_by_name(&self, name: &str) -> Result<Option<Link>, Failure> {
        let request = self.handle.link().get().match_name(name.to_owned());
        self.find(&format!("look up link {name}"), request)
    }

    /// The link of this index; none if there is none.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn link_by_index(&self, ifindex: u32) -> Result<Option<Link>, Failure> {
        let request = self.handle.link().get().match_index(ifindex);
        self.find(&format!("look up link {ifindex}"), request)
    }

    /// What the host has counted on a link of another namespace, by that namespace's number in the
    /// session's (`IFLA_TARGET_NETNSID`, Linux 4.20): nothing enters that namespace, and nothing
    /// keeps it alive. None where link or namespace is gone.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn stats_at(&self, nsid: i32, ifindex: u32) -> Result<Option<LinkStats>, Failure> {
        let mut request = self.handle.link().get().match_index(ifindex);
        request.message_mut().attributes.push(LinkAttribute::IfNetnsId(nsid));
        let doing = format!("look up link {ifindex} of namespace {nsid}");
        Ok(self.find(&doing, request)?.map(|link| link.stats))
    }

    fn find(&self, doing: &str, mut request: LinkGetRequest) -> Result<Option<Link>, Failure> {
        let message = std::mem::take(request.message_mut());
        match self.try_ask(doing, self.exchange(RouteNetlinkMessage::GetLink(message), ACK))? {
            Ok(answers) => Ok(answers.into_iter().find_map(|answer| match answer {
                RouteNetlinkMessage::NewLink(message) => Some(Link::read(&message)),
                _ => None,
            })),
            // EINVAL: the number is that of no namespace any more.
            Err(e) if matches!(refusal::errno(&e), Some(Errno::ENODEV | Errno::EINVAL)) => Ok(None),
            Err(e) => Err(refusal::failure(doing, &self.on, &e)),
        }
    }

    /// Sets the MAC address.
    ///
    /// # Errors
    /// `EOPNOTSUPP`, `EINVAL`: a tun has none.
    pub fn set_mac(&self, ifindex: u32, mac: MacAddr) -> Result<(), Failure> {
        let message = change(ifindex).address(mac.bytes().to_vec()).build();
        self.link(&format!("set MAC address {mac}"), message)
    }

    /// Sets the MTU.
    ///
    /// # Errors
    /// `EINVAL`: outside what the device takes; the sentence says which end.
    pub fn set_mtu(&self, ifindex: u32, mtu: Mtu) -> Result<(), Failure> {
        self.link(&format!("set MTU {mtu}"), change(ifindex).mtu(mtu.get()).build())
    }

    /// Sets the transmit queue length, packets.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn set_txqueuelen(&self, ifindex: u32, packets: u32) -> Result<(), Failure> {
        let message = change(ifindex).txqueuelen(packets).build();
        self.link(&format!("set txqueuelen {packets}"), message)
    }

    /// Sets the speed that the link tells whoever asks, Mbit/s. The kernel takes it by name only, so
    /// the name is looked up right before, and the link after.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: the device has none; or another took the name meanwhile.
    pub fn set_speed(&self, ifindex: u32, mbps: u32) -> Result<(), Failure> {
        let gone = || Failure::new(Code::NotFound, &self.on, "the device was moved meanwhile");
        let name = self.link_by_index(ifindex)?.ok_or_else(gone)?.name;
        ethtool::set_speed(self.socket.as_fd(), &name, mbps).map_err(|e| e.failure(&self.on))?;
        match self.link_by_index(ifindex)? {
            Some(link) if link.name == name => Ok(()),
            _ => Err(gone()),
        }
    }

    /// Speed of the link of this name, Mbit/s; none where it has none.
    pub(super) fn speed(&self, name: &str) -> Option<u32> {
        ethtool::speed(self.socket.as_fd(), name).ok().flatten()
    }

    /// The bridge of this name.
    ///
    /// # Errors
    /// Exit code 3: no such link here; 2: it is no bridge.
    pub fn bridge(&self, bridge: &IfName) -> Result<Link, Failure> {
        let on = || format!("host-bridge {bridge}");
        let Some(found) = self.link_by_name(bridge.as_str())? else {
            return Err(Failure::new(Code::NotFound, on(), "no such bridge in this namespace")
                .hint(format!("make it with `{} link add name {bridge} type bridge'", self.ip)));
        };
        if !found.is_bridge() {
            let kind = found.kind.as_deref().unwrap_or("plain");
            return Err(Failure::usage(on(), format!("this is a {kind} device, not a bridge")));
        }
        Ok(found)
    }

    /// Checks that no link here has this name.
    ///
    /// # Errors
    /// Exit code 4: one has.
    pub fn name_is_free(&self, name: &IfName) -> Result<(), Failure> {
        match self.link_by_name(name.as_str())? {
            None => Ok(()),
            Some(link) if link.tun.is_some() => {
                let taken = refusal::taken(name, String::new());
                let hint = taken.hint.clone().unwrap_or_default();
                Err(taken.hint(format!("{hint}, or take the device as it is with `attach'")))
            }
            Some(_) => Err(refusal::taken(name, String::new())),
        }
    }

    /// Makes the link a port of the bridge of this name.
    ///
    /// # Errors
    /// As [`Session::bridge`], or the kernel's refusal.
    pub fn set_master(&self, ifindex: u32, bridge: &IfName) -> Result<(), Failure> {
        let found = self.bridge(bridge)?;
        let message = change(ifindex).controller(found.index).build();
        self.link(&format!("set master {bridge}"), message)
    }

    /// Sets the link up or down.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn set_up(&self, ifindex: u32, up: bool) -> Result<(), Failure> {
        let (doing, message) = match up {
            true => ("set up", change(ifindex).up().build()),
            false => ("set down", change(ifindex).down().build()),
        };
        self.link(doing, message)
    }

    /// Gives the link another name.
    ///
    /// # Errors
    /// Exit code 4: another link has it.
    pub fn rename(&self, ifindex: u32, name: &IfName) -> Result<(), Failure> {
        self.link(&format!("rename to {name}"), change(ifindex).name(name.as_str()).build())
    }

    /// Moves the link into another namespace under the name it has.
    ///
    /// No name goes with the request. On a collision the kernel would take it and leave the link
    /// moved under it; without one it would rename the link, and a `%d` pattern counts the link's
    /// own name as taken. Without a name a collision changes nothing.
    ///
    /// # Errors
    /// Exit code 4: a link there has the name, and everything is as it was; 5: no `CAP_NET_ADMIN`
    /// there.
    pub fn set_netns(&self, ifindex: u32, target: BorrowedFd<'_>) -> Result<(), Failure> {
        let message = change(ifindex).setns_by_fd(target.as_raw_fd()).build();
        self.link("move into the namespace", message)
    }
}

/// The messages of an answer that ended as an answer ends.
async fn collect(
    mut answers: impl Stream<Item = NetlinkMessage<RouteNetlinkMessage>> + Unpin,
) -> Result<Vec<RouteNetlinkMessage>, Error> {
    let mut all = Vec::new();
    let mut acknowledged = false;
    while let Some(answer) = answers.next().await {
        match answer.payload {
            NetlinkPayload::Error(e) if e.code.is_some() => return Err(Error::NetlinkError(e)),
            NetlinkPayload::Error(_) => acknowledged = true,
            // The code of a dump that broke off is in its last message.
            NetlinkPayload::Done(done) => match NonZeroI32::new(done.code) {
                Some(code) => return Err(Error::NetlinkError(broken_off(code))),
                None => acknowledged = true,
            },
            NetlinkPayload::InnerMessage(inner) => all.push(inner),
            _ => {}
        }
    }
    if acknowledged { Ok(all) } else { Err(Error::RequestFailed) }
}

fn broken_off(code: NonZeroI32) -> ErrorMessage {
    let mut error = ErrorMessage::default();
    error.code = Some(code);
    error
}

/// A message that changes the link and nothing else of it.
pub(super) fn change(ifindex: u32) -> LinkMessageBuilder<LinkUnspec> {
    LinkUnspec::new_with_index(ifindex)
}

/// Asks for the kernel's acknowledgement.
pub(super) const ACK: u16 = NLM_F_ACK;
/// Adds what is not there, and asks for the kernel's acknowledgement.
pub(super) const ADD: u16 = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;

#[cfg(feature = "test-hooks")]
mod unsent {
    //! `TAPTOOL_TEST_UNSENT=FILE`: of the requests of creates, the one whose number is in the file
    //! cannot be sent. The file goes with it.

    use std::{fs, thread};

    use super::*;

    /// More than the send buffer of a socket takes: the kernel refuses it with EMSGSIZE, unread.
    const PIECES: usize = 64;

    /// The message, or in its place one that cannot be sent.
    pub(super) fn instead_of(message: RouteNetlinkMessage) -> RouteNetlinkMessage {
        let is_a_creates = thread::current().name() == Some("host-create");
        let Some(file) = std::env::var_os("TAPTOOL_TEST_UNSENT").filter(|_| is_a_creates) else {
            return message;
        };
        let number = fs::read_to_string(&file).ok().and_then(|text| text.parse::<u32>().ok());
        match number {
            None => message,
            Some(1) => {
                let _ = fs::remove_file(file);
                let piece = LinkAttribute::IfAlias("x".repeat(60_000));
                let mut large = LinkMessage::default();
                large.attributes = vec![piece; PIECES];
                RouteNetlinkMessage::SetLink(large)
            }
            Some(number) => {
                let _ = fs::write(file, (number - 1).to_string());
                message
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use rtnetlink::packet_core::{DoneMessage, NetlinkHeader};

    use super::*;

    type Payload = NetlinkPayload<RouteNetlinkMessage>;

    fn link() -> Payload {
        Payload::InnerMessage(RouteNetlinkMessage::NewLink(LinkMessage::default()))
    }

    fn error(code: i32) -> Payload {
        let mut error = ErrorMessage::default();
        error.code = NonZeroI32::new(code);
        Payload::Error(error)
    }

    fn done(code: i32) -> Payload {
        let mut done = DoneMessage::default();
        done.code = code;
        Payload::Done(done)
    }

    fn collected(answers: Vec<Payload>) -> Result<usize, Error> {
        let header = NetlinkHeader::default();
        let messages = answers.into_iter().map(|payload| NetlinkMessage::new(header, payload));
        let runtime = Builder::new_current_thread().build().unwrap();
        runtime.block_on(collect(stream::iter(messages.collect::<Vec<_>>()))).map(|all| all.len())
    }

    #[test]
    fn an_answer_without_an_acknowledgement_is_a_failure_whatever_came_before() {
        assert_eq!(collected(vec![]), Err(Error::RequestFailed));
        assert_eq!(collected(vec![link()]), Err(Error::RequestFailed));
        assert_eq!(collected(vec![error(0)]), Ok(0));
        assert_eq!(collected(vec![link(), error(0)]), Ok(1));
        assert_eq!(collected(vec![link(), link(), done(0)]), Ok(2));
    }

    #[test]
    fn a_dump_that_broke_off_is_the_errno_of_its_last_message() {
        let refused = collected(vec![link(), done(-105)]).unwrap_err();
        assert_eq!(refusal::errno(&refused), Some(Errno::ENOBUFS));
        let refused = collected(vec![error(-1)]).unwrap_err();
        assert_eq!(refusal::errno(&refused), Some(Errno::EPERM));
    }
}
