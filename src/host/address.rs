//! Addresses of a device.

use std::net::IpAddr;

use ipnet::IpNet;
use nix::errno::Errno;
use rtnetlink::packet_core::NLM_F_DUMP;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

use super::refusal;
use super::session::{ACK, ADD, Session};
use crate::diag::{Code, Failure};

const IPV6_OFF: &str = "IPv6 is switched off for new devices in that namespace: set sysctl \
                        net.ipv6.conf.default.disable_ipv6 to 0 there";

impl Session {
    /// Addresses of a link, in the kernel's order.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn addresses(&self, ifindex: u32) -> Result<Vec<IpNet>, Failure> {
        let mut message = AddressMessage::default();
        message.header.index = ifindex;
        let request = RouteNetlinkMessage::GetAddress(message);
        let answers = self.ask("list addresses", self.exchange(request, NLM_F_DUMP))?;
        let address = |answer| match answer {
            RouteNetlinkMessage::NewAddress(m) if m.header.index == ifindex => read_address(&m),
            _ => None,
        };
        Ok(answers.into_iter().filter_map(address).collect())
    }

    /// Adds an address. An IPv6 one answers at once: it is added without duplicate address
    /// detection (`IFA_F_NODAD`), which would keep it silent for a second or two.
    ///
    /// # Errors
    /// Exit code 4: the link has it. Exit code 1 with a hint: IPv6 is switched off there.
    pub fn add_address(&self, ifindex: u32, address: IpNet) -> Result<(), Failure> {
        let mut request = self.handle.address().add(ifindex, address.addr(), address.prefix_len());
        if address.addr().is_ipv6() {
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        let doing = format!("add address {address}");
        let message = RouteNetlinkMessage::NewAddress(request.message_mut().clone());
        self.try_ask(&doing, self.exchange(message, ADD))?.map(drop).map_err(|e| {
            let mut failure = refusal::failure(doing, &self.on, &e);
            // No right is missing: so the kernel answers where IPv6 is switched off, and before
            // Linux 6.6 without a sentence.
            if address.addr().is_ipv6() && refusal::errno(&e) == Some(Errno::EACCES) {
                failure.code = Code::Failed;
                failure.hint = Some(IPV6_OFF.into());
            }
            failure
        })
    }
}

impl Session {
    /// Removes an address.
    ///
    /// # Errors
    /// The link does not have it, or the kernel's refusal.
    pub fn remove_address(&self, ifindex: u32, address: IpNet) -> Result<(), Failure> {
        let mut request = self.handle.address().add(ifindex, address.addr(), address.prefix_len());
        let message = RouteNetlinkMessage::DelAddress(request.message_mut().clone());
        self.ask(&format!("remove address {address}"), self.exchange(message, ACK)).map(drop)
    }
}

fn read_address(message: &AddressMessage) -> Option<IpNet> {
    let mut address: Option<IpAddr> = None;
    for attribute in &message.attributes {
        match attribute {
            // Of a point-to-point address, the local end; `Address` is then the peer's.
            AddressAttribute::Local(local) => address = Some(*local),
            AddressAttribute::Address(other) if address.is_none() => address = Some(*other),
            _ => {}
        }
    }
    IpNet::new(address?, message.header.prefix_len).ok()
}
