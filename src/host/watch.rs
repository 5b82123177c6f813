//! Events of all namespaces that hold devices of ours, from one socket that keeps none of them.
//!
//! # Theory of operation
//! The socket is opened in the staging namespace by a thread that ends, and hears every namespace
//! that has a number there (`NETLINK_LISTEN_ALL_NSID`, [`nsid_of`]); a number does not keep a
//! namespace alive. The control thread awaits [`Watch::next`] and reads the facts anew: an event
//! says where to look, not what is there. When the kernel had to drop events the next one is
//! [`WatchEvent::Overrun`], and everything must be read anew. Not every end is heard: a namespace
//! that dies sends no `RTM_DELLINK` for its links, only [`WatchEvent::NamespaceGone`], and one of a
//! foreign user namespace sends nothing without `CAP_NET_BROADCAST` there; hence the question once
//! a second besides.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, NetlinkAddr, recvmsg, setsockopt};
use rtnetlink::sys::{Socket, protocols::NETLINK_ROUTE};
use tokio::io::unix::AsyncFd;

use super::birth::SETCAP;
use super::staging::StagingNamespace;
use super::thread::{HostThread, in_namespace};
use crate::diag::{Code, Failure};
use crate::sys::readiness;
use crate::sys::userns::rights;

/// Room for events that were not read yet, bytes; a link event takes some 2 KiB of it.
const BUFFER_BYTES: usize = 4 << 20;

/// Largest datagram; the kernel sends single events, of at most some 8 KiB.
const DATAGRAM_BYTES: usize = 64 << 10;

const GROUPS: [u32; 4] =
    [libc::RTNLGRP_LINK, libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR, libc::RTNLGRP_NSID];

/// `NETNSA_NSID` (`linux/net_namespace.h`).
const NETNSA_NSID: u16 = 1;

/// Something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchEvent {
    /// A link came, went or changed.
    Link {
        /// Number of the namespace in the staging namespace; none is the staging namespace itself.
        nsid: Option<i32>,
        /// Index of the link there.
        ifindex: u32,
    },
    /// A link got or lost an address.
    Address {
        /// As in [`WatchEvent::Link`].
        nsid: Option<i32>,
        /// As in [`WatchEvent::Link`].
        ifindex: u32,
    },
    /// A namespace is gone, and its number with it.
    NamespaceGone {
        /// The number that it had.
        nsid: i32,
    },
    /// Events were lost: read everything anew.
    Overrun,
}

/// The number of a namespace in the staging namespace, given if it has none: from then on its
/// events are heard. Blocks. It does not keep the namespace alive; the number may be another's
/// afterwards.
///
/// # Errors
/// Exit code 5: no `CAP_NET_ADMIN` in the staging namespace.
pub fn nsid_of(
    thread: &mut HostThread,
    staging: &StagingNamespace,
    namespace: BorrowedFd<'_>,
) -> Result<i32, Failure> {
    thread.session(staging.as_fd(), "")?.nsid(namespace)
}

/// The events, in the kernel's order.
#[derive(Debug)]
pub struct Watch {
    socket: AsyncFd<OwnedFd>,
    heard: VecDeque<WatchEvent>,
    buffer: Vec<u8>,
}

impl Watch {
    /// Starts listening. Call it on the tokio runtime that will await [`Watch::next`], which must
    /// have been built with I/O.
    ///
    /// # Errors
    /// The staging namespace cannot be entered, or there is no runtime here.
    pub fn new(staging: &StagingNamespace) -> Result<Self, Failure> {
        let socket = in_namespace(staging.as_fd(), || {
            subscribed().map_err(|e| {
                let failure = Failure::io("open a netlink socket for events", "", &e);
                match failure.code {
                    Code::NotPermitted => {
                        let needs = "needs CAP_NET_BROADCAST to hear of all namespaces";
                        failure.hint(rights(needs, Some(SETCAP)))
                    }
                    _ => failure,
                }
            })
        })?;
        // As much as we are allowed; the first needs CAP_NET_ADMIN in the initial namespace.
        if setsockopt(&socket, RcvBufForce, &BUFFER_BYTES).is_err() {
            let _ = setsockopt(&socket, RcvBuf, &BUFFER_BYTES);
        }
        Ok(Self {
            socket: readiness::readable(socket, "netlink events")?,
            heard: VecDeque::new(),
            buffer: vec![0; DATAGRAM_BYTES],
        })
    }

    /// Waits for the next event. Dropping the future loses none.
    ///
    /// # Errors
    /// The socket is broken; no more will come.
    pub async fn next(&mut self) -> Result<WatchEvent, Failure> {
        loop {
            if let Some(event) = self.heard.pop_front() {
                return Ok(event);
            }
            let mut ready = self
                .socket
                .readable()
                .await
                .map_err(|e| Failure::io("wait for netlink events", "", &e))?;
            match receive(ready.get_inner().as_fd(), &mut self.buffer, &mut self.heard) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => ready.clear_ready(),
                Err(Errno::ENOBUFS) => return Ok(WatchEvent::Overrun),
                Err(e) => return Err(Failure::sys("recvmsg of netlink events", "", e)),
            }
        }
    }
}

#[cfg(test)]
impl Watch {
    /// Leaves room for a few events only.
    pub(super) fn shrink(&self) {
        setsockopt(self.socket.get_ref(), RcvBuf, &4096).unwrap();
    }
}

fn subscribed() -> std::io::Result<OwnedFd> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.set_non_blocking(true)?;
    socket.set_listen_all_namespaces(true)?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    // A duplicate, close-on-exec: netlink-sys gives its own away only as a bare number.
    socket.as_fd().try_clone_to_owned()
}

/// Reads one datagram and appends what it says.
fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    heard: &mut VecDeque<WatchEvent>,
) -> Result<(), Errno> {
    let mut space = cmsg_space!(libc::c_int);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<NetlinkAddr>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::empty(),
    )?;
    // Any process in the staging namespace could send us a message; only port 0 is the kernel.
    if message.address.is_some_and(|from| from.pid() != 0) {
        return Ok(());
    }
    if message.flags.contains(MsgFlags::MSG_TRUNC) {
        heard.push_back(WatchEvent::Overrun);
        return Ok(());
    }
    let mut nsid = None;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::Unknown(control) = control {
            let header = control.cmsg_header;
            if (header.cmsg_level, header.cmsg_type)
                == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID)
            {
                let bytes = control.data_bytes.first_chunk();
                nsid = bytes.map(|bytes| i32::from_ne_bytes(*bytes));
            }
        }
    }
    let bytes = message.bytes;
    parse(buffer.get(..bytes).unwrap_or_default(), nsid, heard);
    Ok(())
}

/// Reads the messages of a datagram. Only headers are looked at, so that no attribute of a kernel
/// to come can be in the way.
fn parse(mut datagram: &[u8], nsid: Option<i32>, heard: &mut VecDeque<WatchEvent>) {
    while let Some(length) = word(datagram, 0).and_then(|n| usize::try_from(n).ok()) {
        let Some(message) = datagram.get(..length) else { break };
        let Some(kind) = message.get(4..6).and_then(|b| b.first_chunk()) else { break };
        let event = match u16::from_ne_bytes(*kind) {
            // `ifinfomsg` and `ifaddrmsg` both have the index at byte 4.
            libc::RTM_NEWLINK | libc::RTM_DELLINK => {
                word(message, 20).map(|ifindex| WatchEvent::Link { nsid, ifindex })
            }
            libc::RTM_NEWADDR | libc::RTM_DELADDR => {
                word(message, 20).map(|ifindex| WatchEvent::Address { nsid, ifindex })
            }
            // Those of other namespaces tell how they number each other.
            libc::RTM_DELNSID if nsid.is_none() => {
                message.get(20..).and_then(number).map(|nsid| WatchEvent::NamespaceGone { nsid })
            }
            _ => None,
        };
        if let Some(event) = event
            && heard.back() != Some(&event)
        {
            heard.push_back(event);
        }
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
}

/// The number in the attributes of an `RTM_DELNSID`.
fn number(mut attributes: &[u8]) -> Option<i32> {
    while let [a, b, c, d, ..] = *attributes {
        let length = usize::from(u16::from_ne_bytes([a, b]));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes([c, d]) == NETNSA_NSID {
            return value.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes));
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod parser {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(16 + payload.len()).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn truncated_and_lying_datagrams_end_the_parse_without_harm() {
        let mut datagram = message(16, &[0, 0, 0, 0, 7, 0, 0, 0]);
        datagram.extend(message(libc::RTM_DELNSID, &[0, 0, 0, 0, 8, 0, 1, 0, 3, 0, 0, 0]));
        let mut heard = VecDeque::new();
        parse(&datagram, None, &mut heard);
        assert_eq!(
            heard,
            [WatchEvent::Link { nsid: None, ifindex: 7 }, WatchEvent::NamespaceGone { nsid: 3 }]
        );
        for end in 0..datagram.len() {
            parse(&datagram[..end], Some(1), &mut VecDeque::new());
        }
        for length in [0u8, 1, 3, 4, 15, 255] {
            let mut lying = datagram.clone();
            lying[0] = length;
            parse(&lying, None, &mut VecDeque::new());
        }
        assert_eq!(number(&[0, 0, 9, 0]), None);
    }
}
