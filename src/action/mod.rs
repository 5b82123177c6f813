//! Actions: what an interface does with each received frame.
//!
//! # Theory of operation
//! The poller that owns a receive queue calls [`Action::visit`] for every frame, with a [`Context`]:
//! the frame's header, the poller's clock and its [`Reply`] buffer. The action decides and returns a
//! [`Verdict`]; the poller carries it out and counts it. An action knows neither rings nor file descriptors nor threads: it reads the frame
//! through [`FrameBytes`], which may be scattered over several buffers, writes at most one frame
//! into the reply, allocates nothing, never waits, and never fails otherwise than by
//! [`Verdict::Drop`].
#![forbid(unsafe_code)]

mod reply;
pub mod respond;
pub mod sink;
pub mod xconnect;

pub use reply::Reply;
pub use respond::Responder;
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
    /// It ends here, and the [`Reply`] holds a frame to send on the same interface.
    Reply,
    /// It goes to this peer as it is.
    Forward(PeerKey),
    /// It is lost for this reason.
    Drop(DropReason),
}

/// What an action may use besides the frame.
#[derive(Debug)]
pub struct Context<'a> {
    /// Kind of the interface.
    pub kind: Kind,
    /// The frame's virtio header.
    pub hdr: &'a NetHdr,
    /// The poller's clock, ns; it does not go back.
    pub now_ns: u64,
    /// Room for a frame of the action's own.
    pub reply: &'a mut Reply,
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
    /// A bug.
    #[cfg(test)]
    Panic,
}

impl Action {
    /// The action's name, as `show` spells it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::Respond(_) => "respond",
            Self::Xconnect(_) => "xconnect",
            #[cfg(test)]
            Self::Panic => "panic",
        }
    }

    /// Decides about one frame. What the reply held before is gone.
    pub fn visit<F: FrameBytes + ?Sized>(
        &mut self,
        context: &mut Context<'_>,
        frame: &F,
    ) -> Verdict {
        context.reply.clear();
        match self {
            Self::Sink => sink::visit(),
            Self::Respond(responder) => responder.visit(context, frame),
            Self::Xconnect(peer) => xconnect::visit(*peer),
            #[cfg(test)]
            Self::Panic => panic!("on purpose"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sink_consumes_and_xconnect_names_its_peer() {
        let mut reply = Reply::new();
        let frame: &[u8] = &[0; 60];
        let visit = |mut action: Action, reply: &mut Reply| {
            let hdr = &NetHdr::plain();
            let mut context = Context { kind: Kind::Tap, hdr, now_ns: 0, reply };
            action.visit(&mut context, frame)
        };
        assert_eq!(visit(Action::Sink, &mut reply), Verdict::Consume);
        let peer = PeerKey { slot: 3, generation: 9 };
        assert_eq!(visit(Action::Xconnect(peer), &mut reply), Verdict::Forward(peer));
        assert!(reply.is_empty());
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
