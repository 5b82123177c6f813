//! One ring of a double, and what it does with chains.

use std::sync::Mutex;

use vm_memory::{Bytes, GuestAddress};

use crate::frame::{HEAD_BYTES, NetHdr, check};
use crate::ring::{DeviceRing, DeviceSegment, MAX_SEGMENTS, MemoryMap, RingLayout};
use crate::units::Kind;

const NONE: DeviceSegment = DeviceSegment { addr: 0, len: 0, writable: false };

/// What is wrong with a frame that is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// It claims one buffer more than it has.
    Torn,
    /// Its last buffer is used without a byte in it.
    Hollow,
}

/// One ring as the double sees it.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) ring: DeviceRing,
    map: MemoryMap,
}

impl Half {
    pub(super) fn new(map: &MemoryMap, layout: &RingLayout) -> Self {
        Self { ring: DeviceRing::attach(map, layout, true).unwrap(), map: map.clone() }
    }

    /// How many posted chains a frame of so many bytes takes; none if there are too few.
    pub(super) fn room(&self, bytes: usize) -> Option<u16> {
        let mut into = [NONE; MAX_SEGMENTS];
        let (mut room, mut chains) = (0, 0);
        let available = self.ring.available();
        while room < bytes {
            if chains == available {
                return None;
            }
            self.ring.peek(chains, &mut into);
            room += into[0].len as usize;
            chains += 1;
        }
        Some(chains).filter(|n| *n > 0)
    }

    /// Spreads a frame over so many chains.
    pub(super) fn fill(&mut self, frame: &[u8], chains: u16, fault: Fault) {
        let mut frame = frame.to_vec();
        let claimed = if fault == Fault::Torn { chains + 1 } else { chains };
        if let Some(field) = frame.get_mut(10..12) {
            field.copy_from_slice(&claimed.to_le_bytes());
        }
        let mut rest = &frame[..];
        for nth in 1..=chains {
            let mut into = [NONE; MAX_SEGMENTS];
            let chain = self.ring.pop(&mut into);
            let (now, later) = rest.split_at(rest.len().min(into[0].len as usize));
            self.map.write_slice(now, GuestAddress(into[0].addr)).unwrap();
            let hollow = fault == Fault::Hollow && nth == chains;
            let written = if hollow { 0 } else { u32::try_from(now.len()).unwrap() };
            self.ring.push_used(chain.head, written);
            rest = later;
        }
    }

    /// Takes the next frame that the driver sent, and complains of what it must not contain.
    pub(super) fn read(&mut self, complaints: &Mutex<Vec<String>>) -> (u16, Vec<u8>) {
        let mut into = [NONE; MAX_SEGMENTS];
        let chain = self.ring.pop(&mut into);
        let complain = |what: String| complaints.lock().unwrap().push(what);
        if chain.malformed {
            complain("malformed chain".into());
        }
        let mut frame = Vec::new();
        for segment in &into[..chain.segments] {
            if segment.writable || segment.len == 0 {
                complain(format!("{segment:?} in a transmit chain"));
            }
            let at = frame.len();
            frame.resize(at + segment.len as usize, 0);
            self.map.read_slice(&mut frame[at..], GuestAddress(segment.addr)).unwrap();
        }
        let Some((hdr, body)) = frame.split_first_chunk() else {
            complain("a frame shorter than its virtio header".into());
            return (chain.head, frame);
        };
        let hdr = NetHdr::from_bytes(hdr);
        let head = &body[..body.len().min(HEAD_BYTES)];
        if let Err(reason) = check(Kind::Tap, &hdr, u32::try_from(body.len()).unwrap(), head) {
            complain(format!("a frame that must not be seen: {reason:?}"));
        }
        if hdr.num_buffers != 0 {
            complain(format!("num_buffers {} in a transmitted frame", hdr.num_buffers));
        }
        (chain.head, frame)
    }
}
