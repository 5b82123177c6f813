//! The default route through a device of ours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_core::NLM_F_DUMP;
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use super::refusal;
use super::session::{ACK, ADD, Session};
use crate::diag::{Code, Failure};

/// The gateway of a default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// No address of the device covers it: it is a neighbour all the same (`RTNH_F_ONLINK`).
    pub on_link: bool,
}

impl Gateway {
    /// The gateway beside these addresses of its device.
    pub fn among(addresses: &[IpNet], address: IpAddr) -> Self {
        let link_local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let covered = link_local || addresses.iter().any(|net| net.contains(&address));
        Self { address, on_link: !covered }
    }

    /// As ip-route(8) writes it behind `via ADDRESS dev DEVICE`.
    pub fn onlink(self) -> &'static str {
        if self.on_link { " onlink" } else { "" }
    }
}

impl Session {
    /// Adds the default route of the gateway's family through the device `ifindex`, as
    /// `ip route add default via GATEWAY dev … [onlink]` does: the device must be up, and the
    /// gateway, unless it is on the link, covered by an address of the device.
    ///
    /// # Errors
    /// Exit code 4: the main table has a default route of that family, of whatever metric; it is
    /// left as it is. Exit code 1 with a hint: no address of the device covers the gateway.
    pub fn add_default_route(&self, ifindex: u32, to: Gateway) -> Result<(), Failure> {
        let gateway = to.address;
        self.default_route_is_free(gateway)?;
        let doing = adding(gateway);
        let request = RouteNetlinkMessage::NewRoute(default_route(ifindex, to));
        match self.try_ask(&doing, self.exchange(request, ADD))? {
            Ok(_) => Ok(()),
            Err(e) => {
                let failure = refusal::failure(doing.clone(), &self.on, &e);
                Err(match refusal::errno(&e) {
                    Some(Errno::EEXIST) => self.default_route_exists(gateway),
                    Some(Errno::ENETUNREACH | Errno::EHOSTUNREACH | Errno::EINVAL) => {
                        failure.hint(format!(
                            "no address of the device covers {gateway}: give one whose prefix does"
                        ))
                    }
                    Some(Errno::ENETDOWN) => {
                        failure.hint("a route needs the device up: leave `host-down' out")
                    }
                    _ => failure,
                })
            }
        }
    }

    /// Removes the default route through the device to the gateway; that there is none is no error.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn remove_default_route(&self, ifindex: u32, to: Gateway) -> Result<(), Failure> {
        let doing = format!("remove default route via {}", to.address);
        let request = RouteNetlinkMessage::DelRoute(default_route(ifindex, to));
        match self.try_ask(&doing, self.exchange(request, ACK))? {
            Err(e) if refusal::errno(&e) != Some(Errno::ESRCH) => {
                Err(refusal::failure(doing, &self.on, &e))
            }
            _ => Ok(()),
        }
    }

    /// Checks that the main table has no default route of the gateway's family, of whatever metric:
    /// the kernel refuses only one of the same metric, and one of a larger metric would silently
    /// lose its traffic to ours.
    ///
    /// # Errors
    /// Exit code 4: it has one.
    pub fn default_route_is_free(&self, gateway: IpAddr) -> Result<(), Failure> {
        if self.has_default_route(family(gateway))? {
            return Err(self.default_route_exists(gateway));
        }
        Ok(())
    }

    fn default_route_exists(&self, gateway: IpAddr) -> Failure {
        let mut failure = Failure::new(
            Code::Exists,
            self.on.clone(),
            "there is a default route already (EEXIST)",
        )
        .hint(format!(
            "it is left as it is; see it with `{} {} route show default'",
            self.ip,
            if gateway.is_ipv6() { "-6" } else { "-4" }
        ));
        failure.doing = adding(gateway);
        failure
    }

    fn has_default_route(&self, family: AddressFamily) -> Result<bool, Failure> {
        self.default_routes(family).map(|found| !found.is_empty())
    }

    /// Gateways of the main table's default routes through the device, of both families.
    ///
    /// # Errors
    /// The kernel refuses to tell.
    pub fn gateways(&self, ifindex: u32) -> Result<Vec<IpAddr>, Failure> {
        let mut routes = self.default_routes(AddressFamily::Inet)?;
        routes.extend(self.default_routes(AddressFamily::Inet6)?);
        let through = |route: &RouteMessage| {
            let ours = |a: &RouteAttribute| matches!(a, RouteAttribute::Oif(i) if *i == ifindex);
            route.attributes.iter().any(ours)
        };
        let gateway = |route: RouteMessage| {
            route.attributes.into_iter().find_map(|attribute| match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => Some(gateway.into()),
                RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => Some(gateway.into()),
                _ => None,
            })
        };
        Ok(routes.into_iter().filter(through).filter_map(gateway).collect())
    }

    /// The main table's default routes of a family.
    fn default_routes(&self, family: AddressFamily) -> Result<Vec<RouteMessage>, Failure> {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        message.header.table = RouteHeader::RT_TABLE_MAIN;
        let request = RouteNetlinkMessage::GetRoute(message);
        let doing = "list routes";
        let answers = match self.try_ask(doing, self.exchange(request, NLM_F_DUMP))? {
            Ok(answers) => answers,
            // The main table comes into being with its first route.
            Err(e) if refusal::errno(&e) == Some(Errno::ENOENT) => Vec::new(),
            Err(e) => return Err(refusal::failure(doing, &self.on, &e)),
        };
        let is_default = |route: &RouteMessage| {
            let header = &route.header;
            header.address_family == family
                && header.table == RouteHeader::RT_TABLE_MAIN
                && header.destination_prefix_length == 0
                && header.kind == RouteType::Unicast
                && !route.attributes.iter().any(|a| matches!(a, RouteAttribute::Source(_)))
        };
        let routes = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(route) if is_default(&route) => Some(route),
            _ => None,
        });
        Ok(routes.collect())
    }
}

fn adding(gateway: IpAddr) -> String {
    format!("add default route via {gateway}")
}

pub(super) fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn default_route(ifindex: u32, to: Gateway) -> RouteMessage {
    let mut message = match to.address {
        IpAddr::V4(gateway) => RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(gateway)
            .output_interface(ifindex)
            .build(),
        IpAddr::V6(gateway) => RouteMessageBuilder::<Ipv6Addr>::new()
            .gateway(gateway)
            .output_interface(ifindex)
            .build(),
    };
    message.header.flags.set(RouteFlags::Onlink, to.on_link);
    message
}
