//! What each reason for a lost frame comes from, and what keeps the next one.

use crate::counters::DropReason;

/// The cause in a sentence, and the command that helps, with `NAME` for the interface.
pub(super) const fn about(reason: DropReason) -> (&'static str, Option<&'static str>) {
    match reason {
        DropReason::AdminDown => (
            "the interface was set down when they came",
            Some("taptool set interface state NAME up"),
        ),
        DropReason::ShortFrame => ("the sender sends frames without a whole link header", None),
        DropReason::Oversize => ("the sender sends frames beyond 65553 bytes", None),
        DropReason::BadHeader => (
            "the sender's offload fields contradict the frame: a fault of its kernel or driver",
            None,
        ),
        DropReason::BadVersion => {
            ("the sender writes packets to a tun that begin with neither a 4 nor a 6", None)
        }
        DropReason::Malformed => {
            ("packets for our addresses with wrong lengths or checksums", None)
        }
        DropReason::Fragment => (
            "packets for our addresses larger than the sender's MTU, as of `ping -s'; use smaller ones",
            None,
        ),
        DropReason::VlanTagged => (
            "the sender tags its frames with a VLAN id; our addresses are in none (id 0 is untagged)",
            None,
        ),
        DropReason::NotOurs => (
            "they came to our MAC for an address that is not ours, as through a gateway: an interface \
             with addresses answers for them and does not forward between interfaces",
            None,
        ),
        DropReason::NoListener => (
            "they came for our address and ask for what a host need not answer, as an ICMP timestamp",
            None,
        ),
        DropReason::RateLimited => (
            "they came for our address, where nothing takes them: more than 100 in a second are not \
             refused one by one",
            None,
        ),
        DropReason::L3MacMismatch => (
            "they came for another MAC: a bridge floods what it has not learned, and a neighbour \
             entry of the host may be older than our MAC; `promiscuous' takes them",
            Some("taptool set interface promiscuous on NAME"),
        ),
        DropReason::UnknownProtocol => (
            "they came to our MAC and are neither ARP nor IP: an interface with addresses speaks no \
             other protocol",
            None,
        ),
        DropReason::PeerStalled => (
            "the peer's host side takes frames more slowly than they come, or not at all",
            Some("taptool show tap"),
        ),
        DropReason::PeerGone => ("the other end of the cross-connect was deleted", None),
        DropReason::NoMember => (
            "the bridge domain has no other member, or only members of the same split-horizon group",
            Some("taptool show bridge-domain"),
        ),
        DropReason::Reflection => (
            "the sender reaches the destination without the bridge: both are behind one interface, \
             or in one split-horizon group",
            None,
        ),
        DropReason::BridgeRefused => (
            "the bridge domain is set not to forward or flood such frames",
            Some("taptool show bridge-domain"),
        ),
        DropReason::MacFiltered => (
            "`l2fib add ... filter' filters their source or destination",
            Some("taptool show l2fib all"),
        ),
        DropReason::MacMoved => (
            "a static entry says that their source is behind another member",
            Some("taptool show l2fib all"),
        ),
        DropReason::ImpairedLoss => ("the wire is set to lose a share of its frames", None),
        DropReason::QueueFull => (
            "more frames came than the wire's `rate' carries; a larger `limit' lets more of them wait",
            None,
        ),
        DropReason::TooFewTags => (
            "the tag rewrite of an interface on their way removes more VLAN tags than they have",
            Some("taptool show interface"),
        ),
        DropReason::HoldFull => {
            ("more frames came than may wait at a time: the wire is slower than its sender", None)
        }
        DropReason::ActionChanged => {
            ("they waited here when the interface was set to do something else with them", None)
        }
        DropReason::NoBuffer => (
            "replies wait in a full ring: the host side takes them more slowly than it asks",
            Some("taptool show tap NAME"),
        ),
        DropReason::HandoffFull => ("the peer's poller has more work than processor time", None),
        DropReason::MtuExceeded => (
            "they are longer than `set interface mtu' lets our side send; 0 takes the limit away",
            Some("taptool show interface NAME"),
        ),
        DropReason::NoFreeTxSlots => (
            "the transmit ring was full: bursts beyond it, or a host side that takes nothing; \
             a larger `tx-ring-size' at create rides out bursts",
            None,
        ),
        DropReason::QueueBroken => ("they came after the queue had been stopped", None),
        DropReason::NoHost | DropReason::HostGone => {
            ("the Linux device was deleted, or its namespace", None)
        }
        DropReason::WriteEinval => ("the kernel found the frame or its offload fields wrong", None),
        DropReason::GsoOff => (
            "the sender's large frames have headers that cannot be repeated, and the host takes none",
            None,
        ),
        DropReason::LinkDown | DropReason::WriteEio => {
            ("the host side was down when they came", None)
        }
        DropReason::WriteEnomem => (
            "the machine or the memory cgroup of the process is out of memory",
            Some("cat /sys/fs/cgroup/$(cut -d: -f3 /proc/self/cgroup)/memory.events; free -m"),
        ),
        DropReason::WriteOther => ("`dmesg' may say more", Some("dmesg | tail")),
        DropReason::Torn => {
            ("they were in the ring when a queue was taken down, as by delete or gso", None)
        }
    }
}
