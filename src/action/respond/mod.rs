//! The responder: makes our side of an interface answer ARP, neighbour discovery and echo
//! requests for its addresses.
//!
//! # Theory of operation
//! A frame's first bytes are copied once and decide, in this order, whether it can be parsed,
//! whether it is for us, and what it asks. Only a message for us is read whole, straight to its
//! place in the reply, where it is verified and turned into the answer.
//!
//! * A frame that contradicts itself (lengths, checksums, rules of its protocol that its receiver
//!   must check) is lost as [`DropReason::Malformed`], a piece of a packet for us as
//!   [`DropReason::Fragment`].
//! * A frame of a VLAN is lost as [`DropReason::VlanTagged`]; VLAN id 0 carries a priority only, and
//!   the frame is untagged ([IEEE 802.1Q] §6.9), as Linux takes it. Its reply has no tag.
//! * A packet to our MAC for another address is lost as [`DropReason::NotOurs`], a frame of another
//!   protocol than ARP and IP as [`DropReason::UnknownProtocol`]. UDP, TCP and other protocols to an
//!   address of ours are refused as their RFCs say (`refuse`), 100 a second; more of them are lost
//!   as [`DropReason::RateLimited`]. What a host discards without an answer is lost as
//!   [`DropReason::NoListener`]. Frames for groups, and answers and errors are consumed.
//! * A frame for another MAC than ours and the secondary ones ([`Station`]) is lost as
//!   [`DropReason::L3MacMismatch`]; a promiscuous interface takes it as its own. Replies come from
//!   our first MAC, whichever the request was for.
//! * IPv4 options and IPv6 options headers are passed over and
//!   not sent back.
//! * Nothing is sent in answer to an answer or an error ([RFC 1122] §3.2.2), to a group, or to
//!   ourselves.
//! * A request whose checksum Linux left to the hardware (`NEEDS_CSUM`) cannot be verified and is
//!   taken; its reply has a whole checksum. The transmit side needs no offload.
//! * There is no link-local address of ours but a configured one, no duplicate address detection
//!   and no neighbour table: a reply goes back where its request came from.

mod arp;
mod bucket;
mod icmpv6;
mod ipv4;
mod ipv6;
mod link;
mod neighbor;
mod refuse;
mod station;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::counters::DropReason;
use crate::frame::{HEAD_BYTES, NetHdr};
use crate::units::Kind;

use super::{Context, FrameBytes, Verdict};
use bucket::Bucket;
use link::Link;
pub use station::Station;

/// Hop limit of replies; neighbour advertisements have 255.
const HOPS: u8 = 64;

/// Answers for a set of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Responder {
    /// Whose frames it takes. A tap without a MAC answers nothing; a tun needs none.
    pub station: Station,
    /// Our addresses, each with the prefix of its subnet.
    pub addresses: Vec<IpNet>,
    /// Its addresses are to be announced when its time comes, since its MAC is new.
    announces: bool,
    refusals: Bucket,
}

/// What was built, and its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// What was asked for.
    Reply(usize),
    /// That nothing takes it here.
    Refusal(usize),
}

/// Why a frame is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unanswered {
    /// It asks nothing of us.
    Ignored,
    /// It is lost.
    Lost(DropReason),
}

use Unanswered::{Ignored, Lost};

const MALFORMED: Unanswered = Lost(DropReason::Malformed);

/// A frame on its way to being answered.
#[derive(Debug)]
struct Request<'a, F: ?Sized> {
    hdr: &'a NetHdr,
    frame: &'a F,
    /// The first bytes, read once.
    head: &'a [u8],
    link: Link,
    /// Offset of what the link header precedes.
    network: usize,
}

impl Responder {
    /// Answers for these addresses.
    pub fn new(station: Station, addresses: Vec<IpNet>) -> Self {
        Self { station, addresses, announces: false, refusals: Bucket::default() }
    }

    /// As [`Responder::new`]; the hosts are told once that the MAC is another one.
    pub fn announcing(station: Station, addresses: Vec<IpNet>) -> Self {
        Self { announces: true, ..Self::new(station, addresses) }
    }

    /// Whether it has to be called without a frame.
    pub(super) const fn is_due(&self) -> bool {
        self.announces
    }

    /// Announces its addresses: by a gratuitous ARP request each ([RFC 5227] §3), or an unsolicited
    /// advertisement ([RFC 4861] §7.2.6).
    pub(super) fn expire(&mut self, context: &mut Context<'_>) {
        let Some(ours) = self.station.mac.filter(|_| std::mem::take(&mut self.announces)) else {
            return;
        };
        for net in &self.addresses {
            let room = context.output.room(context.kind);
            let made = match net.addr() {
                IpAddr::V4(address) => arp::announce(ours, address, room),
                IpAddr::V6(address) => neighbor::announce(ours, address, room),
            };
            if let Ok(bytes) = made {
                context.output.originate(context.own, &NetHdr::plain(), bytes);
            }
        }
    }

    /// Decides about one frame. The answer to one that is consumed is in the output.
    pub fn visit<F: FrameBytes + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        hdr: &NetHdr,
        frame: &F,
    ) -> Verdict {
        let Context { own, kind, now_ns, ref mut output, .. } = *context;
        match self.answer(kind, hdr, frame, output.room(kind)) {
            Ok(Answer::Refusal(_)) if !self.refusals.take(now_ns) => {
                Verdict::Drop(DropReason::RateLimited)
            }
            Ok(Answer::Reply(bytes) | Answer::Refusal(bytes)) => {
                // The output is empty, so there is room for it.
                output.originate(own, &NetHdr::plain(), bytes);
                Verdict::Consume
            }
            Err(Ignored) => Verdict::Consume,
            Err(Lost(reason)) => Verdict::Drop(reason),
        }
    }

    /// Builds the answer at the start of `room` and returns its length.
    fn answer<F: FrameBytes + ?Sized>(
        &self,
        kind: Kind,
        hdr: &NetHdr,
        frame: &F,
        room: &mut [u8],
    ) -> Result<Answer, Unanswered> {
        let mut head = [0; HEAD_BYTES];
        let head_bytes = frame.copy_to(0, &mut head).min(HEAD_BYTES);
        let head = &head[..head_bytes];
        let (link, network, protocol) = link::parse(kind, &self.station, head)?;
        let request = Request { hdr, frame, head, link, network };
        match protocol {
            link::Protocol::Arp => arp::answer(self, &request, room),
            link::Protocol::Ipv4 => ipv4::answer(self, &request, room),
            link::Protocol::Ipv6 => ipv6::answer(self, &request, room),
        }
    }

    fn has_v4(&self, address: Ipv4Addr) -> bool {
        self.addresses.iter().any(|net| net.addr() == IpAddr::V4(address))
    }

    fn has_v6(&self, address: Ipv6Addr) -> bool {
        self.addresses.iter().any(|net| net.addr() == IpAddr::V6(address))
    }

    /// The address of ours from which `address` is answered: one in its subnet, else the first.
    fn v6_towards(&self, address: Ipv6Addr) -> Option<Ipv6Addr> {
        let ours = self.addresses.iter().filter_map(|net| match net {
            IpNet::V6(net) => Some(net),
            IpNet::V4(_) => None,
        });
        let near = ours.clone().find(|net| net.contains(&address));
        near.or_else(|| ours.clone().next()).map(|net| net.addr())
    }

    /// Whether a host can have `address`, and it is not ours.
    fn is_other_host_v4(&self, address: Ipv4Addr) -> bool {
        let group = address.is_multicast() || address.is_broadcast() || address.octets()[0] == 0;
        let directed = self.addresses.iter().any(|net| match net {
            IpNet::V4(net) => net.prefix_len() < 31 && net.broadcast() == address,
            IpNet::V6(_) => false,
        });
        !(group || directed || address.is_loopback() || self.has_v4(address))
    }

    /// As [`Responder::is_other_host_v4`].
    fn is_other_host_v6(&self, address: Ipv6Addr) -> bool {
        let nobody = address.is_unspecified() || address.is_multicast() || address.is_loopback();
        !(nobody || self.has_v6(address))
    }
}

impl<F: FrameBytes + ?Sized> Request<'_, F> {
    /// The head from the network header on.
    fn packet_head(&self) -> &[u8] {
        self.head.get(self.network..).unwrap_or_default()
    }

    /// Bytes of the frame from the network header on, padding included.
    fn packet_bytes(&self) -> usize {
        self.frame.len().saturating_sub(self.network)
    }

    /// Reads `into.len()` bytes, beginning `offset` bytes into the packet.
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), Unanswered> {
        let wanted = into.len();
        let read = self.frame.copy_to(self.network + offset, into);
        if read == wanted { Ok(()) } else { Err(MALFORMED) }
    }

    /// Whether the checksum of the ICMP message that begins `offset` bytes into the packet is
    /// still to be completed. The header must mean that message and nothing else.
    fn is_partial(&self, offset: usize) -> Result<bool, Unanswered> {
        /// Of the checksum in an ICMP or ICMPv6 header.
        const CSUM_OFFSET: u16 = 2;
        if self.hdr.is_gso() {
            return Err(MALFORMED);
        }
        if !self.hdr.needs_csum() {
            return Ok(false);
        }
        let here = usize::from(self.hdr.csum_start) == self.network + offset;
        if here && self.hdr.csum_offset == CSUM_OFFSET { Ok(true) } else { Err(MALFORMED) }
    }
}

#[cfg(test)]
mod tests;
