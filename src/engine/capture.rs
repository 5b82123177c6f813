//! Capture points: copies of frames for a reader.
//!
//! # Theory of operation
//! A queue has four points: where a frame was received, where it is about to be put into a transmit
//! ring, where the device has used it, and where it is lost. While there is no reader, each point
//! costs one branch. Else the poller copies the frame's first bytes into a ring, from which another
//! thread reads. The poller never waits for it: what finds no room is counted ([`Reader::lost`]). All
//! queues that write to one ring are of one poller, so there is one writer. A record's time is the
//! begin of the poller's loop, so records of two pollers may be out of order by a loop.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::bell::Bell;
use crate::counters::{DROP_REASONS, DropReason};
use crate::device::{Frame, Pool};
use crate::diag::Failure;
use crate::frame::NetHdr;
use crate::sync::{AtomicU64, AtomicUsize};
use crate::units::{PollerIndex, SwIfIndex};

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// A receive queue has taken it out of its ring; the action has not seen it.
    Received,
    /// A transmit queue takes it and is about to put it into its ring.
    Offered,
    /// The device has used it, and did not refuse it.
    Sent,
    /// It is lost.
    Dropped(DropReason),
}

impl Point {
    /// Its bit in a set of points.
    const fn bit(self) -> u8 {
        match self {
            Self::Received => 1,
            Self::Offered => 2,
            Self::Sent => 4,
            Self::Dropped(_) => 8,
        }
    }

    /// As two bytes of a record: the bit, and the place of the reason.
    fn to_code(self) -> u64 {
        let reason = match self {
            Self::Dropped(reason) => reason.index() as u64,
            _ => 0,
        };
        u64::from(self.bit()) | reason << 8
    }

    fn from_code(code: u64) -> Option<Self> {
        let reason = usize::try_from(code >> 8 & 0xff).ok().and_then(|at| DROP_REASONS.get(at));
        match code & 0xff {
            1 => Some(Self::Received),
            2 => Some(Self::Offered),
            4 => Some(Self::Sent),
            8 => reason.map(|row| Self::Dropped(row.reason)),
            _ => None,
        }
    }
}

/// Which points are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points(u8);

impl Points {
    /// Frames that are received and frames that are about to be sent, as `tcpdump' sees a device.
    pub const PASSING: Self = Self(1 | 2);
    /// Frames that the device has used.
    pub const SENT: Self = Self(4);
    /// Frames that are lost.
    pub const DROPPED: Self = Self(8);
    /// All of them.
    pub const ALL: Self = Self(15);

    const fn has(self, point: Point) -> bool {
        self.0 & point.bit() != 0
    }
}

/// A frame that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Where.
    pub point: Point,
    /// The interface of the queue.
    pub interface: SwIfIndex,
    /// The poller's clock, ns.
    pub at_ns: u64,
    /// Length of the frame, the virtio header not included.
    pub frame_bytes: u32,
    /// The virtio header, then as many of the frame's bytes as were asked for.
    pub bytes: Vec<u8>,
}

/// Words of a record before its bytes.
const HEAD_WORDS: usize = 3;
/// Most bytes of a frame that a record keeps: the longest frame.
const SNAP_BYTES_MAX: u32 = 65_553;

/// Index on a cache line of its own.
#[repr(align(64))]
#[derive(Debug)]
struct Index(AtomicUsize);

/// Records on their way, as words, one behind the other.
#[derive(Debug)]
struct Ring {
    words: Box<[AtomicU64]>,
    head: Index,
    tail: Index,
    lost: AtomicU64,
    bell: Bell,
    /// The one that writes.
    poller: OnceLock<PollerIndex>,
}

/// The writing end: what a poller needs to capture the frames of queues. Clones share one ring.
#[derive(Debug, Clone)]
pub struct Writer(Arc<Ring>);

/// The reading end.
#[derive(Debug)]
pub struct Reader(Arc<Ring>);

/// A ring of at least `bytes` bytes, and at least one maximal frame.
///
/// # Errors
/// When the kernel refuses a file.
pub fn ring(bytes: usize) -> Result<(Writer, Reader), Failure> {
    let bell = Bell::new().map_err(|e| Failure::sys("eventfd", "capture", e))?;
    let most = HEAD_WORDS + (NetHdr::BYTES + SNAP_BYTES_MAX as usize).div_ceil(8);
    let words = bytes.div_ceil(8).max(most);
    let index = || Index(AtomicUsize::new(0));
    let ring = Arc::new(Ring {
        words: (0..words).map(|_| AtomicU64::new(0)).collect(),
        head: index(),
        tail: index(),
        lost: AtomicU64::new(0),
        bell,
        poller: OnceLock::new(),
    });
    Ok((Writer(Arc::clone(&ring)), Reader(ring)))
}

impl Ring {
    /// Adds a record; counts it as lost where it finds no room. Only the writing poller calls it.
    fn push(&self, head: [u64; HEAD_WORDS], bytes: &[u8]) {
        let tail = self.tail.0.load(Ordering::Relaxed);
        let room = self.words.len() - tail.wrapping_sub(self.head.0.load(Ordering::Acquire));
        let words = HEAD_WORDS + bytes.len().div_ceil(8);
        if words > room {
            self.lost.store(self.lost.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return;
        }
        let body = bytes.chunks(8).map(|chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_ne_bytes(word)
        });
        let mut at = tail % self.words.len();
        for word in head.into_iter().chain(body) {
            self.words[at].store(word, Ordering::Relaxed);
            at += 1;
            if at == self.words.len() {
                at = 0;
            }
        }
        self.tail.0.store(tail.wrapping_add(words), Ordering::Release);
        self.bell.ring();
    }
}

impl Reader {
    /// Takes the oldest record.
    pub fn take(&mut self) -> Option<Record> {
        loop {
            // One with a code of no point is passed over.
            if let Some(record) = self.take_one()? {
                return Some(record);
            }
        }
    }

    fn take_one(&mut self) -> Option<Option<Record>> {
        let ring = &*self.0;
        let head = ring.head.0.load(Ordering::Relaxed);
        if head == ring.tail.0.load(Ordering::Acquire) {
            return None;
        }
        let word =
            |i: usize| ring.words[head.wrapping_add(i) % ring.words.len()].load(Ordering::Relaxed);
        let [first, at_ns, lengths] = [0, 1, 2].map(word);
        let low = |word: u64| u32::try_from(word & 0xffff_ffff).unwrap_or(0);
        let most = 8 * (ring.words.len() - HEAD_WORDS);
        let kept = (low(lengths >> 32) as usize).min(most);
        let words = kept.div_ceil(8);
        let mut bytes: Vec<u8> =
            (0..words).flat_map(|i| word(HEAD_WORDS + i).to_ne_bytes()).collect();
        bytes.truncate(kept);
        ring.head.0.store(head.wrapping_add(HEAD_WORDS + words), Ordering::Release);
        let (interface, frame_bytes) = (SwIfIndex(low(first >> 32)), low(lengths));
        let point = Point::from_code(first & 0xffff);
        Some(point.map(|point| Record { point, interface, at_ns, frame_bytes, bytes }))
    }

    /// Frames that found no room.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Announces that the reader waits until [`Reader::file`] is readable; `false` when there is a record
    /// already.
    pub fn fall_asleep(&self) -> bool {
        self.0.bell.clear();
        self.0.bell.fall_asleep();
        let empty = self.0.head.0.load(Ordering::Relaxed) == self.0.tail.0.load(Ordering::Acquire);
        if !empty {
            self.0.bell.wake_up();
        }
        empty
    }

    /// Readable when there is a record after [`Reader::fall_asleep`].
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.bell.file()
    }
}

/// What a queue captures.
#[derive(Debug)]
pub struct Capture {
    points: Points,
    writer: Writer,
    /// Room for the header and so many bytes of a frame.
    copy: Box<[u8]>,
}

impl Capture {
    /// Copies the first `snap_bytes` of each frame at these points.
    pub fn new(writer: Writer, points: Points, snap_bytes: u32) -> Self {
        let room = NetHdr::BYTES + snap_bytes.min(SNAP_BYTES_MAX) as usize;
        Self { points, writer, copy: vec![0; room].into_boxed_slice() }
    }

    /// Whether this poller may write to the ring: the first that is named is the only one.
    pub(super) fn is_written_by(&self, poller: PollerIndex) -> bool {
        *self.writer.0.poller.get_or_init(|| poller) == poller
    }

    pub(super) fn record(
        &mut self,
        point: Point,
        interface: SwIfIndex,
        at_ns: u64,
        pool: &Pool,
        frame: &Frame,
    ) {
        if !self.points.has(point) {
            return;
        }
        let kept = pool.copy_from(frame, 0, &mut self.copy);
        // A frame from an emptied ring does not know its length.
        let frame_bytes = u64::from(pool.bytes(frame)).saturating_sub(NetHdr::BYTES as u64);
        let first = point.to_code() | u64::from(interface.0) << 32;
        let lengths = frame_bytes | (kept as u64) << 32;
        self.writer.0.push([first, at_ns, lengths], &self.copy[..kept]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of so many bytes, each of which says which one it is.
    fn push(ring: &Ring, number: u8, bytes: usize) {
        let first = Point::Dropped(DropReason::PeerGone).to_code() | 7 << 32;
        let lengths = 60 | (bytes as u64) << 32;
        ring.push([first, number.into(), lengths], &vec![number; bytes]);
    }

    #[test]
    fn records_come_out_as_they_went_in_also_where_they_wrap_and_those_without_room_are_counted() {
        let (writer, mut reader) = ring(0).unwrap();
        let words = writer.0.words.len();
        let (mut next, mut without_room) = (0_u8, 0);
        for round in 0..40 {
            let (mut pushed, mut room) = (Vec::new(), words);
            for i in 0..12 {
                let bytes = (round * 977 + i * 313) % 9_000;
                push(&writer.0, next, bytes);
                let needs = HEAD_WORDS + bytes.div_ceil(8);
                if needs <= room {
                    room -= needs;
                    pushed.push((next, bytes));
                } else {
                    without_room += 1;
                }
                next = next.wrapping_add(1);
            }
            for (number, bytes) in &pushed {
                let record = reader.take().unwrap();
                assert_eq!(record.bytes, vec![*number; *bytes]);
                assert_eq!((record.at_ns, record.frame_bytes), (u64::from(*number), 60));
                assert_eq!(record.point, Point::Dropped(DropReason::PeerGone));
                assert_eq!(record.interface, SwIfIndex(7));
            }
            assert_eq!(reader.take(), None);
        }
        assert!(without_room > 0);
        assert_eq!(reader.lost(), without_room);
        (0..3).for_each(|_| push(&writer.0, 1, 65_565));
        assert_eq!(reader.lost(), without_room + 2);
        assert_eq!(reader.take().unwrap().bytes.len(), 65_565);
        push(&writer.0, 1, 65_565);
        assert_eq!(reader.lost(), without_room + 2);
    }

    #[test]
    fn every_point_survives_its_code() {
        let drops = DROP_REASONS.iter().map(|row| Point::Dropped(row.reason));
        for point in [Point::Received, Point::Offered, Point::Sent].into_iter().chain(drops) {
            assert_eq!(Point::from_code(point.to_code()), Some(point));
            assert!(Points::ALL.has(point));
        }
        assert_eq!(Point::from_code(8 | 255 << 8), None);
        assert_eq!(Point::from_code(0), None);
        assert!(Points::PASSING.has(Point::Offered) && !Points::PASSING.has(Point::Sent));
        assert!(Points::DROPPED.has(Point::Dropped(DropReason::Torn)));
    }

    #[test]
    fn a_reader_that_sleeps_is_rung_and_one_with_records_does_not_fall_asleep() {
        let (writer, mut reader) = ring(0).unwrap();
        let rung = |reader: &Reader| {
            let mut file = [nix::poll::PollFd::new(reader.file(), nix::poll::PollFlags::POLLIN)];
            nix::poll::poll(&mut file, nix::poll::PollTimeout::ZERO).unwrap() == 1
        };
        push(&writer.0, 1, 10);
        assert!(!reader.fall_asleep() && !rung(&reader));
        reader.take().unwrap();
        assert!(reader.fall_asleep() && !rung(&reader));
        push(&writer.0, 1, 10);
        assert!(rung(&reader) && !reader.fall_asleep());
        reader.take().unwrap();
        assert!(reader.fall_asleep() && !rung(&reader));
    }
}
