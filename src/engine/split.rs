//! Frames for an end that takes no large frames and no partial checksums: split and completed here.
//!
//! # Theory of operation
//! A queue that has promised this has a pool of its own for what it makes ([`TxQueue::segments`]).
//! A frame that needs it is copied aside once, so that what is summed is what is sent; each segment
//! is composed in the pool and posted as a frame of its own, and its buffers return like those of any
//! other. Then the frame that was offered is released. Where the ring or the pool is full, the device
//! is run once; what still has no room is lost, each segment as a frame.

use std::sync::Arc;

use super::capture::Point;
use super::poller::Core;
use super::tx::TxQueue;
use crate::counters::{Counter, DropReason};
use crate::device::{Frame, Pool};
use crate::frame::NetHdr;
use crate::offload::{HEADERS_MAX, Segments, checksum};

impl Core {
    /// Sends a frame that was admitted as frames that have nothing undone, and counts each. Its
    /// buffers are the caller's.
    #[cold]
    pub(super) fn offer_whole(
        &mut self,
        queue: &mut TxQueue,
        pool: &Arc<Pool>,
        (frame, hdr, originated): (&Frame, &NetHdr, bool),
    ) -> Result<(), DropReason> {
        // As long as the header says that was admitted, whatever lies behind it.
        let mut bytes = std::mem::take(&mut self.aside);
        bytes.resize((frame.bytes as usize).saturating_sub(NetHdr::BYTES), 0);
        let copied = self
            .pool(frame.pool)
            .map_or(0, |from| from.copy_from(frame, NetHdr::BYTES, &mut bytes));
        bytes.truncate(copied);
        let made = self.make_whole(queue, pool, hdr, originated, &mut bytes);
        self.aside = bytes;
        made
    }

    fn make_whole(
        &mut self,
        queue: &mut TxQueue,
        pool: &Arc<Pool>,
        hdr: &NetHdr,
        originated: bool,
        frame: &mut [u8],
    ) -> Result<(), DropReason> {
        if !hdr.is_gso() {
            if !checksum::complete(hdr, frame) {
                return Err(DropReason::GsoOff);
            }
            let sent = self.send_made(queue, pool, &[frame]);
            queue.count_offer(originated, sent);
            return Ok(());
        }
        let kind = queue.common.kind;
        let mut segments = Segments::of(kind, hdr, frame).ok_or(DropReason::GsoOff)?;
        let (mut room, mut first) = ([0; HEADERS_MAX], true);
        while let Some(segment) = segments.next(&mut room) {
            let sent = self.send_made(queue, pool, &[segment.headers, segment.payload]);
            queue.count_offer(originated && first, sent);
            queue.common.counters.add(Counter::Segments, u64::from(!first));
            self.touched.in_parts = true;
            first = false;
        }
        Ok(())
    }

    /// Composes a frame of these parts in the queue's own pool, and posts it.
    fn send_made(
        &mut self,
        queue: &mut TxQueue,
        pool: &Arc<Pool>,
        parts: &[&[u8]],
    ) -> Result<(), DropReason> {
        let hdr = NetHdr::plain();
        let header = hdr.to_bytes();
        let mut all: [&[u8]; 3] = [&header, &[], &[]];
        for (to, part) in all[1..].iter_mut().zip(parts) {
            *to = part;
        }
        for again in [true, false] {
            queue.accepts()?;
            if let Some(made) = pool.compose(&all) {
                queue.common.capture(Point::Offered, self.now_ns, Some(pool), &made);
                if !pool.lend(&made) {
                    pool.give_frame(&made);
                } else if queue.post(pool, &made, &hdr).is_ok() {
                    return Ok(());
                } else {
                    pool.settle(&made);
                }
            }
            if again && !queue.stuck {
                queue.stuck = !self.run_device(queue);
            } else {
                break;
            }
        }
        Err(DropReason::NoFreeTxSlots)
    }
}
