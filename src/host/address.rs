//! Addresses of a device.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_core::NLM_F_DUMP;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};

use super::session::Session;
use crate::diag::Failure;

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
    /// Exit code 4: the link has it.
    pub fn add_address(&self, ifindex: u32, address: IpNet) -> Result<(), Failure> {
        let mut request = self.handle.address().add(ifindex, address.addr(), address.prefix_len());
        if address.addr().is_ipv6() {
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        self.ask(&format!("add address {address}"), request.execute())
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
