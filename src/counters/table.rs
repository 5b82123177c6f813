//! The one table of counters and drop reasons: name, unit, sentence.

use super::Direction;

/// What a number counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Frames.
    Frames,
    /// Bytes of frames, the virtio header not counted, as Linux counts them.
    Bytes,
    /// Events (kicks, calls, bursts).
    Events,
    /// A state of the ring at the end of the last burst; not cumulative.
    Gauge,
}

/// Which directions use a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Receive queues.
    Rx,
    /// Transmit queues.
    Tx,
    /// Both.
    Both,
}

impl Sides {
    /// Whether a queue of this direction has the row.
    pub const fn has(self, direction: Direction) -> bool {
        matches!(
            (self, direction),
            (Self::Both, _) | (Self::Rx, Direction::Rx) | (Self::Tx, Direction::Tx)
        )
    }
}

/// A row of [`COUNTERS`].
#[derive(Debug)]
pub struct CounterRow {
    /// The counter.
    pub counter: Counter,
    /// Its key in JSON.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Which queues have it.
    pub sides: Sides,
    /// One sentence for people.
    pub sentence: &'static str,
}

/// A row of [`DROP_REASONS`].
#[derive(Debug)]
pub struct DropRow {
    /// The reason.
    pub reason: DropReason,
    /// Its key in JSON.
    pub name: &'static str,
    /// Which queues can have it.
    pub sides: Sides,
    /// Whether a tx frame was in the ring already when it was lost. Rx frames always were.
    pub after_enqueue: bool,
    /// One sentence for people; `show errors` prints it.
    pub sentence: &'static str,
}

macro_rules! counters {
    ($($variant:ident $name:literal $unit:ident $sides:ident $sentence:literal;)*) => {
        /// A number that every queue of its direction keeps.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Counter { $(#[doc = $sentence] $variant,)* }

        /// All counters, in the order in which they are stored and shown.
        pub const COUNTERS: &[CounterRow] = &[$(CounterRow {
            counter: Counter::$variant, name: $name, unit: Unit::$unit, sides: Sides::$sides,
            sentence: $sentence,
        },)*];
    };
}

counters! {
    Packets "packets" Frames Both "frames received (rx); frames that the backend took and did not refuse (tx)";
    Bytes "bytes" Bytes Both "bytes of the frames in `packets', virtio header not counted";
    Forwarded "forwarded" Frames Rx "frames handed to another interface";
    Consumed "consumed" Frames Rx "frames that ended in the action";
    Copies "copies" Frames Rx "frames made besides those received: for each further peer of a flood, and each frame of the action's own that found no way out";
    Unreadable "unreadable" Frames Rx "frames that the host side could not hand over (EINVAL); lost, and not in `packets'";
    Held "held" Gauge Rx "frames that the action keeps for later";
    Offered "offered" Frames Tx "frames that actions and peers asked to send";
    Originated "originated" Frames Tx "offered frames that were made here (replies)";
    Segments "segments" Frames Tx "offered frames besides those asked for: the second and later segments of frames that were split here";
    Enqueued "enqueued" Frames Tx "frames put into the ring";
    InFlight "in_flight" Gauge Tx "frames in the ring that the backend has not used";
    Kicks "kicks" Events Both "available-buffer notifications sent to the device";
    Calls "calls" Events Both "used-buffer notifications received from the device";
    Bursts "bursts" Events Both "visits of the poller: those that received (rx), those with frames to send (tx)";
    AvailIdx "avail_idx" Gauge Both "idx of the available ring";
    UsedIdx "used_idx" Gauge Both "idx of the used ring";
    LastUsedIdx "last_used_idx" Gauge Both "used entries that the driver has taken";
    DescInUse "desc_in_use" Gauge Both "descriptors that the device may use";
    BrokenReason "broken_reason" Gauge Both "0, or why the queue was stopped";
}

macro_rules! drops {
    ($($variant:ident $name:literal $sides:ident $after:literal $sentence:literal;)*) => {
        /// Why a frame was lost. Every lost frame has exactly one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DropReason { $(#[doc = $sentence] $variant,)* }

        /// All reasons, in the order in which they are stored and shown.
        pub const DROP_REASONS: &[DropRow] = &[$(DropRow {
            reason: DropReason::$variant, name: $name, sides: Sides::$sides,
            after_enqueue: $after, sentence: $sentence,
        },)*];
    };
}

drops! {
    AdminDown "admin_down" Both false "interface is down";
    ShortFrame "short_frame" Both false "frame shorter than its link header";
    Oversize "oversize" Both false "frame longer than the maximum";
    BadHeader "bad_header" Both false "virtio_net_hdr does not fit the frame";
    BadVersion "bad_version" Both false "packet of a tun that is neither IPv4 nor IPv6";
    Malformed "malformed" Rx false "packet that the responder cannot parse";
    Fragment "fragment" Rx false "IP fragment, which the responder does not reassemble";
    VlanTagged "vlan_tagged" Rx false "frame of a VLAN, in which the responder has no address";
    NotOurs "not_ours" Rx false "packet for another address, which the responder does not forward";
    NoListener "no_listener" Rx false "packet for our address that is discarded unanswered";
    RateLimited "rate_limited" Rx false "packet for our address that nothing takes, beyond 100 refusals a second";
    L3MacMismatch "l3_mac_mismatch" Rx false "unicast frame for another MAC, and the interface is not promiscuous";
    UnknownProtocol "unknown_protocol" Rx false "frame for our MAC that is neither ARP nor IP";
    PeerStalled "peer_stalled" Rx false "peer holds all buffers that may be lent";
    PeerGone "peer_gone" Rx false "peer was deleted";
    NoMember "no_member" Rx false "no other member of the bridge domain may have the frame, or the interface is no member";
    Reflection "reflection" Rx false "destination is behind the interface that the frame came from, or in its split-horizon group";
    BridgeRefused "bridge_refused" Rx false "bridge domain is set not to forward or flood such a frame";
    MacFiltered "mac_filtered" Rx false "source or destination MAC is filtered in the bridge domain";
    MacMoved "mac_moved" Rx false "source MAC has a static entry behind another member of the bridge domain";
    ImpairedLoss "impaired_loss" Rx false "frame was lost by the wire's `loss'";
    QueueFull "queue_full" Rx false "frame found as many others on the wire as its `limit', or its `rate' in 100 ms, allows";
    TooFewTags "too_few_tags" Rx false "frame has fewer VLAN tags than a tag rewrite removes";
    HoldFull "hold_full" Rx false "as many frames are held as may be";
    ActionChanged "action_changed" Rx false "frame was held when the interface was set to do something else";
    NoBuffer "no_buffer" Rx false "no free buffer for a frame of our own";
    HandoffFull "handoff_full" Rx false "handoff ring to the peer's poller is full";
    MtuExceeded "mtu_exceeded" Tx false "packet longer than the interface's MTU";
    NoFreeTxSlots "no_free_tx_slots" Tx false "no free tx slots";
    QueueBroken "queue_broken" Tx false "queue is broken: set its state up";
    GsoOff "gso_off" Tx false "host takes neither large frames nor partial checksums, and this one cannot be split or completed";
    LinkDown "link_down" Tx false "host side is down; the frame was not put into the ring";
    NoHost "no_host" Tx false "host side is gone, or about to be; the frame was not put into the ring";
    WriteEinval "write_einval" Tx true "host side refused the frame (EINVAL)";
    WriteEio "write_eio" Tx true "host side had just been set down (EIO)";
    WriteEnomem "write_enomem" Tx true "kernel had no memory for the frame (ENOMEM, ENOBUFS)";
    WriteOther "write_other" Tx true "host side refused the frame (another errno)";
    HostGone "host_gone" Both true "host side is gone";
    Torn "torn" Both true "frame was in the ring when the queue was taken down";
}

impl Counter {
    /// Place in a group of words.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The row about it.
    pub fn row(self) -> &'static CounterRow {
        &COUNTERS[self.index()]
    }
}

impl DropReason {
    /// Place among the drop words of a group.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The row about it.
    pub fn row(self) -> &'static DropRow {
        &DROP_REASONS[self.index()]
    }

    /// The reason for a frame that a tap write refused with `errno`.
    pub const fn from_write_errno(errno: nix::errno::Errno) -> Self {
        use nix::errno::Errno;
        match errno {
            Errno::EINVAL => Self::WriteEinval,
            Errno::EIO => Self::WriteEio,
            Errno::ENOMEM | Errno::ENOBUFS => Self::WriteEnomem,
            Errno::EBADFD => Self::HostGone,
            _ => Self::WriteOther,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn rows_stand_where_their_variant_points_and_names_are_unique() {
        for row in COUNTERS {
            assert_eq!(row.counter.row().name, row.name);
        }
        for row in DROP_REASONS {
            assert_eq!(row.reason.row().name, row.name);
        }
        let names: HashSet<_> = COUNTERS.iter().map(|r| r.name).collect();
        assert_eq!(names.len(), COUNTERS.len());
        let names: HashSet<_> = DROP_REASONS.iter().map(|r| r.name).collect();
        assert_eq!(names.len(), DROP_REASONS.len());
    }

    #[test]
    fn a_row_is_for_the_direction_that_it_says() {
        let has = |sides: Sides| [sides.has(Direction::Rx), sides.has(Direction::Tx)];
        let all = (has(Sides::Rx), has(Sides::Tx), has(Sides::Both));
        assert_eq!(all, ([true, false], [false, true], [true, true]));
    }

    #[test]
    fn a_refused_write_is_counted_by_its_errno() {
        use nix::errno::Errno;
        for (errno, reason) in [
            (Errno::EINVAL, DropReason::WriteEinval),
            (Errno::EIO, DropReason::WriteEio),
            (Errno::ENOMEM, DropReason::WriteEnomem),
            (Errno::ENOBUFS, DropReason::WriteEnomem),
            (Errno::EBADFD, DropReason::HostGone),
            (Errno::EFAULT, DropReason::WriteOther),
        ] {
            assert_eq!(DropReason::from_write_errno(errno), reason);
        }
    }
}
