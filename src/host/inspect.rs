//! A device and its surroundings seen from inside its namespace, by a process that has no tun file
//! of it and knows only how it was called there.

use std::fs;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};

use super::link::Link;
use super::refusal;
use super::route::family;
use super::session::{ACK, Session};
use super::thread::HostThread;
use crate::diag::{Failure, errno_text};

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The device.
    pub link: Link,
    /// The bridge, or other device, that it is a port of.
    pub master: Option<Link>,
    /// Its addresses.
    pub addresses: Vec<IpNet>,
    /// IPv6 is switched off on it; none on a kernel without IPv6.
    pub ipv6_disabled: Option<bool>,
    /// Where the namespace would send packets for the addresses asked about, in their order.
    pub ways: Vec<Way>,
    /// Gateways of the default routes that go through it.
    pub gateways: Vec<IpAddr>,
    /// The bridge that was asked about is there.
    pub bridge_there: bool,
}

/// Where a namespace sends packets for an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Out of a device.
    Out {
        /// Its index.
        ifindex: u32,
        /// Its name.
        name: String,
        /// The address they come from; none where the kernel has none to give.
        source: Option<IpAddr>,
    },
    /// Nowhere: the address is one of its own.
    Local,
    /// Nowhere; the kernel's answer.
    Unreachable(String),
}

/// Looks at the device called `name` in `namespace`; none if there is none of that name. Blocks for
/// some milliseconds.
///
/// # Errors
/// Exit code 5: the namespace may not be entered; or the kernel's refusal.
pub fn inspect(
    thread: &mut HostThread,
    namespace: BorrowedFd<'_>,
    name: &str,
    towards: &[IpAddr],
    bridge: Option<&str>,
) -> Result<Option<Inspection>, Failure> {
    let session = thread.session(namespace, name)?;
    let Some(link) = session.link_by_name(name)? else { return Ok(None) };
    let master = match link.master {
        Some(index) => session.link_by_index(index)?,
        None => None,
    };
    let addresses = session.addresses(link.index)?;
    let ways = towards.iter().map(|to| session.way(*to)).collect::<Result<_, _>>()?;
    let gateways = session.gateways(link.index)?;
    let bridge_there = match bridge {
        Some(bridge) => session.link_by_name(bridge)?.is_some_and(|found| found.is_bridge()),
        None => false,
    };
    // /proc/sys/net is that of the reading thread's namespace.
    thread.enter(namespace)?;
    let path = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
    let ipv6_disabled = fs::read_to_string(path).ok().map(|text| text.trim() != "0");
    Ok(Some(Inspection { link, master, addresses, ipv6_disabled, ways, gateways, bridge_there }))
}

impl Session {
    /// Where packets for `to` go.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub fn way(&self, to: IpAddr) -> Result<Way, Failure> {
        let doing = format!("look up the route to {to}");
        let mut message = RouteMessage::default();
        message.header.address_family = family(to);
        message.header.destination_prefix_length = if to.is_ipv6() { 128 } else { 32 };
        let address = match to {
            IpAddr::V4(to) => RouteAddress::Inet(to),
            IpAddr::V6(to) => RouteAddress::Inet6(to),
        };
        message.attributes = vec![RouteAttribute::Destination(address)];
        let request = RouteNetlinkMessage::GetRoute(message);
        let answers = match self.try_ask(&doing, self.exchange(request, ACK))? {
            Ok(answers) => answers,
            // What a route of kind unreachable, prohibit or blackhole answers, or no route.
            Err(e) => match refusal::errno(&e) {
                Some(
                    errno @ (Errno::ENETUNREACH
                    | Errno::EHOSTUNREACH
                    | Errno::EACCES
                    | Errno::EINVAL
                    | Errno::ENETDOWN),
                ) => return Ok(Way::Unreachable(errno_text(errno))),
                _ => return Err(refusal::failure(doing, &self.on, &e)),
            },
        };
        let route = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(route) => Some(route),
            _ => None,
        });
        let Some(route) = route else {
            return Ok(Way::Unreachable("no answer".into()));
        };
        let out = route.attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
        match (route.header.kind, out) {
            (RouteType::Local, _) => Ok(Way::Local),
            // IPv6 answers with the route that refuses instead of its errno.
            (RouteType::Unicast | RouteType::Broadcast | RouteType::Multicast, Some(ifindex)) => {
                let name = self.link_by_index(ifindex)?.map_or_else(String::new, |link| link.name);
                let source = route.attributes.iter().find_map(|attribute| match attribute {
                    RouteAttribute::PrefSource(RouteAddress::Inet(from)) => Some((*from).into()),
                    RouteAttribute::PrefSource(RouteAddress::Inet6(from)) => Some((*from).into()),
                    _ => None,
                });
                Ok(Way::Out { ifindex, name, source })
            }
            _ => Ok(Way::Unreachable(errno_text(Errno::ENETUNREACH))),
        }
    }
}
