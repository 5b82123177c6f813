//! Frames whose VLAN tags change, on the way in or on the way out.

use crate::action::{Egress, PeerKey, Retag};
use crate::counters::DropReason;
use crate::device::{Frame, Pool};
use crate::frame::NetHdr;
use crate::frame::vlan::{TAGS_AT, TAGS_BYTES, Tags, shifted};

use super::{Core, Slots, TxQueue};

/// Changes the tags of a frame that nobody else sees. On failure it is as it was.
pub(in crate::engine) fn retagged(
    pool: &Pool,
    frame: &Frame,
    retag: &Retag,
) -> Result<Frame, DropReason> {
    let mut head = [0; NetHdr::BYTES + TAGS_BYTES];
    let copied = pool.copy_from(frame, 0, &mut head);
    let Some((hdr, link)) = head[..copied].split_first_chunk() else {
        return Err(DropReason::ShortFrame);
    };
    if Tags::of(link).count() < retag.pop {
        return Err(DropReason::TooFewTags);
    }
    let (removed, added) = (retag.removed(), retag.added());
    let at = NetHdr::BYTES + TAGS_AT;
    let spliced = pool.splice(frame, at..at + removed, added).ok_or(DropReason::NoBuffer)?;
    // Both are at most 8.
    let by = i16::try_from(added.len()).unwrap_or(0) - i16::try_from(removed).unwrap_or(0);
    pool.patch(&spliced, 0, &shifted(&NetHdr::from_bytes(hdr), by).to_bytes());
    Ok(spliced)
}

impl Core {
    /// As [`Core::dispatch`], to a peer with an egress. A frame that others see too, or that has no
    /// room, is copied, and the copy changed.
    #[cold]
    pub(super) fn dispatch_changed(
        &mut self,
        tx: &mut Slots<TxQueue>,
        to: PeerKey,
        egress: Egress,
        frame: Frame,
        originated: bool,
    ) -> Result<(), DropReason> {
        if !egress.up {
            return Err(DropReason::AdminDown);
        }
        let Some(retag) = egress.retag else { return self.pass(tx, to, frame, originated, true) };
        let pool = self.pool(frame.pool).ok_or(DropReason::PeerGone)?;
        if pool.is_spliceable(&frame, retag.added().len()) {
            let changed = retagged(pool, &frame, &retag)?;
            return self.pass(tx, to, changed, originated, true);
        }
        let copy = pool.duplicate(&frame).ok_or(DropReason::NoBuffer)?;
        let changed = retagged(pool, &copy, &retag).inspect_err(|_| pool.give_frame(&copy))?;
        if !pool.lend(&changed) {
            pool.give_frame(&changed);
            return Err(DropReason::PeerStalled);
        }
        let sent = self.pass(tx, to, changed, originated, true);
        self.release(if sent.is_ok() { &frame } else { &changed });
        sent
    }
}
