//! Actions: what an interface does with each received frame.
//!
//! # Theory of operation
//! The poller that owns a receive queue calls [`Action::visit`] for every frame, with a [`Context`]:
//! the interface, the poller's clock, its [`Tables`] and its [`Output`]. The action decides and
//! returns a [`Verdict`], which is the one fate of this frame; what else it wants done goes into the
//! output: edits of the frame, the peers of a flood, frames of its own, decisions about frames that
//! it held before, and a time at which [`Action::expire`] is called. The poller carries all of it
//! out and counts it.
//!
//! An action knows neither rings nor file descriptors nor threads: it reads the frame through
//! [`FrameBytes`], which may be scattered over several buffers. It never waits, and never fails
//! otherwise than by [`Verdict::Drop`].
#![forbid(unsafe_code)]

pub mod bridge;
pub mod impair;
mod output;
pub mod respond;
pub mod sink;
mod tables;
pub mod trunk;
pub mod xconnect;

pub use bridge::Bridge;
pub use impair::Impaired;
pub use output::{EDIT_BYTES_MAX, HeldKey, ORIGINATED_MAX, Originated, Output};
pub use respond::{Responder, Station};
pub use tables::{DomainKey, News, Tables};
pub use trunk::{Branch, Egress, Retag, Trunk};
pub use xconnect::PeerKey;

use crate::counters::DropReason;
use crate::frame::NetHdr;
use crate::units::Kind;

/// The bytes of one received frame, the virtio header not included.
///
/// If the sender shares the memory, the bytes may change at any time: an action decides about the
/// bytes that it has read and does not read them again.
pub trait FrameBytes {
    /// Length of the frame.
    fn len(&self) -> usize;

    /// Whether the frame has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies from `offset` on into `into`; returns how many bytes there were to copy.
    fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize;
}

impl FrameBytes for [u8] {
    fn len(&self) -> usize {
        <[u8]>::len(self)
    }

    fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        let rest = self.get(offset..).unwrap_or_default();
        let bytes = rest.len().min(into.len());
        into[..bytes].copy_from_slice(&rest[..bytes]);
        bytes
    }
}

/// The decision about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It ends here.
    Consume,
    /// It goes to this peer.
    Forward(PeerKey),
    /// It goes to every peer in [`Output::peers`]; its bytes are not copied.
    Flood,
    /// It stays here under [`Context::next_held`] until it is released.
    Hold,
    /// It is lost for this reason.
    Drop(DropReason),
}

/// What an action may use besides the frame.
#[derive(Debug)]
pub struct Context<'a> {
    /// The interface that received the frame.
    pub own: PeerKey,
    /// Kind of the interface.
    pub kind: Kind,
    /// The poller's clock, ns; it does not go back.
    pub now_ns: u64,
    /// The key that the frame gets with [`Verdict::Hold`].
    pub next_held: HeldKey,
    /// What the actions of this poller share.
    pub tables: &'a mut Tables,
    /// What is to be done besides the verdict; empty.
    pub output: &'a mut Output,
}

/// What an interface does with received frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Takes all frames and does nothing with them.
    Sink,
    /// Answers ARP, neighbour discovery and echo requests for its addresses.
    Respond(Responder),
    /// Hands every frame to one peer.
    Xconnect(PeerKey),
    /// Hands frames to one peer as a wire with faults does.
    Impair(Box<Impaired>),
    /// Hands every frame to the members of a bridge domain behind which its destination is.
    Bridge(Bridge),
    /// Hands each frame to the action of the sub-interface that it belongs to.
    Trunk(Box<Trunk>),
    /// What a test says.
    #[cfg(test)]
    Scripted(scripted::Script),
}

impl Action {
    /// The action's name, as `show` spells it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::Respond(_) => "respond",
            Self::Xconnect(_) | Self::Impair(_) => "xconnect",
            Self::Bridge(_) => "bridge",
            Self::Trunk(trunk) => trunk.own_action().word(),
            #[cfg(test)]
            Self::Scripted(_) => "scripted",
        }
    }

    /// Decides about one frame behind its virtio header.
    pub fn visit<F: FrameBytes + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        hdr: &NetHdr,
        frame: &F,
    ) -> Verdict {
        match self {
            Self::Sink => sink::visit(),
            Self::Respond(responder) => responder.visit(context, hdr, frame),
            Self::Xconnect(peer) => xconnect::visit(*peer),
            Self::Impair(wire) => wire.visit(context, hdr, frame),
            Self::Bridge(bridge) => bridge.visit(context, frame),
            Self::Trunk(trunk) => trunk.visit(context, hdr, frame),
            #[cfg(test)]
            Self::Scripted(script) => script.visit(context, frame.len()),
        }
    }

    /// Whether it wants [`Action::expire`] to be called as soon as it is set.
    pub fn is_due(&self) -> bool {
        match self {
            Self::Respond(responder) => responder.is_due(),
            Self::Trunk(trunk) => trunk.own_action().is_due(),
            _ => false,
        }
    }

    /// Does what is due at the time that [`Output::wake_at`] set. There is no frame: what is to be
    /// done goes into the output.
    pub fn expire(&mut self, context: &mut Context<'_>) {
        match (self, context) {
            (Self::Respond(responder), context) => responder.expire(context),
            (Self::Impair(wire), context) => wire.expire(context),
            (Self::Trunk(trunk), context) => trunk.own_action_mut().expire(context),
            (Self::Sink | Self::Xconnect(_) | Self::Bridge(_), _) => {}
            #[cfg(test)]
            (Self::Scripted(script), context) => script.expire(context),
        }
    }

    /// Whether it decides by the time at which a frame came, to the microsecond.
    pub fn is_timed(&self) -> bool {
        match self {
            Self::Impair(_) => true,
            Self::Trunk(trunk) => trunk.own_action().is_timed(),
            _ => false,
        }
    }

    /// Takes over the frames that the action before this one holds, where both lead to the same
    /// peer: they stay held, or are released into the output. `false`: they are lost.
    pub fn take_over(&mut self, before: &mut Self, context: &mut Context<'_>) -> bool {
        match (self, before) {
            (Self::Impair(wire), Self::Impair(before)) if wire.peer() == before.peer() => {
                if wire.holds() {
                    wire.inherit(before, context);
                } else {
                    before.release_all(context.next_held, context.output);
                }
                true
            }
            (Self::Xconnect(peer), Self::Impair(before)) if *peer == before.peer() => {
                before.release_all(context.next_held, context.output);
                true
            }
            (Self::Trunk(trunk), before) => {
                let before = match before {
                    Self::Trunk(before) => before.own_action_mut(),
                    other => other,
                };
                trunk.own_action_mut().take_over(before, context)
            }
            (after, Self::Trunk(before)) => after.take_over(before.own_action_mut(), context),
            _ => false,
        }
    }
}

#[cfg(test)]
pub(crate) mod scripted;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sink_consumes_and_xconnect_names_its_peer() {
        let (mut tables, mut output) = (Tables::default(), Output::new());
        let frame: &[u8] = &[0; 60];
        let own = PeerKey { slot: 0, generation: 1 };
        let mut visit = |mut action: Action| {
            let (tables, output) = (&mut tables, &mut output);
            let next_held = HeldKey(0);
            let mut context =
                Context { own, kind: Kind::Tap, now_ns: 0, next_held, tables, output };
            action.visit(&mut context, &NetHdr::plain(), frame)
        };
        assert_eq!(visit(Action::Sink), Verdict::Consume);
        let peer = PeerKey { slot: 3, generation: 9 };
        assert_eq!(visit(Action::Xconnect(peer)), Verdict::Forward(peer));
        let plain = Box::new(Impaired::new(peer, crate::units::Impairment::default(), 1));
        assert_eq!(visit(Action::Impair(plain)), Verdict::Forward(peer));
        assert!(output.is_empty());
    }

    #[test]
    fn copying_from_a_slice_stops_at_its_end() {
        let frame: &[u8] = &[1, 2, 3, 4];
        let mut into = [0; 3];
        assert_eq!(frame.copy_to(0, &mut into), 3);
        assert_eq!(frame.copy_to(3, &mut into), 1);
        assert_eq!(into, [4, 2, 3]);
        assert_eq!(frame.copy_to(4, &mut into), 0);
        assert_eq!(frame.copy_to(usize::MAX, &mut into), 0);
    }
}
