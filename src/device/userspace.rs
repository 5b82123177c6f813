//! The embedded device: rings on one side, the tap's file on the other.
//!
//! # Theory of operation
//! It has no thread. Its data halves are served inline by the poller that owns the driver's side of
//! the same queue, and see nothing of that side but the ring: whatever the driver did not post,
//! the device cannot fill, and whatever the device does not use, the driver never gets back.
//!
//! *from_tap*: for each posted chain one non-blocking `read` straight into it, up to
//! [`FRAMES`] frames or [`BYTES`] bytes a visit. Where one chain cannot hold a maximal frame, the
//! frame is read aside and spread over as many chains as it needs (MRG_RXBUF); nothing is read
//! unless enough of them are posted. A frame that a virtio_net_hdr cannot describe (a driver's
//! offload that reached the tap over a bridge) is lost with its read, and the next is tried.
//! *to_tap*: for each available chain one non-blocking `write`; a chain of several segments is
//! made contiguous first, which is cheaper than `writev`. What the host side refuses is used up
//! and its errno kept for the driver ([`QueueDevice::refusal`]); on `EAGAIN` the chain stays.
//!
//! Kicks and calls are plain flags: both ends are visited by the same thread. To sleep, the queue
//! waits for the tap's file: one-shot, so that frames that arrive while it is awake cause no
//! wake-up.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use vm_memory::bitmap::BitmapSlice;
use vm_memory::{
    GuestAddress, GuestMemoryBackend, ReadVolatile, VolatileMemoryError, VolatileSlice,
    WriteVolatile,
};

use super::backend::{
    Backend, PortFiles, QueueDevice, QueueDevices, QueueId, Served, Stopped, Wait,
};
use super::features::{has_event_idx, known_features};
use crate::counters::Direction;
use crate::diag::Failure;
use crate::ring::{DeviceRing, DeviceSegment, MAX_SEGMENTS, MemoryMap, RingLayout};
use crate::units::BackendKind;

/// Most frames that a queue moves in one visit.
const FRAMES: u16 = 32;
/// Bytes after which a visit of a receive queue ends: what stays in a core's cache.
const BYTES: usize = 512 << 10;
/// Room for a maximal frame and its header.
const FRAME_BYTES: usize = 12 + 65_553;

const NO_SEGMENT: DeviceSegment = DeviceSegment { addr: 0, len: 0, writable: false };

/// The control half.
#[derive(Debug, Default)]
pub struct Userspace {
    acknowledged: u64,
    map: Option<MemoryMap>,
    rings: Vec<(QueueId, RingLayout, u16)>,
}

impl Userspace {
    /// A device with no rings.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Backend for Userspace {
    fn kind(&self) -> BackendKind {
        BackendKind::Userspace
    }

    fn offered_features(&self) -> u64 {
        known_features()
    }

    fn set_features(&mut self, acknowledged: u64) -> Result<(), Failure> {
        self.acknowledged = acknowledged;
        Ok(())
    }

    fn set_memory(&mut self, shared: &MemoryMap) -> Result<(), Failure> {
        self.map = Some(shared.clone());
        Ok(())
    }

    fn set_ring(&mut self, queue: QueueId, layout: &RingLayout, base: u16) -> Result<(), Failure> {
        self.rings.push((queue, *layout, base));
        Ok(())
    }

    fn start(&mut self, files: &PortFiles) -> Result<QueueDevices, Failure> {
        let map = self.map.clone();
        let map = map.ok_or_else(|| Failure::bug("userspace backend", "started without memory"))?;
        let event_idx = has_event_idx(self.acknowledged);
        let mut devices = QueueDevices::default();
        for (id, layout, base) in &self.rings {
            let ring = DeviceRing::attach(&map, layout, event_idx)
                .map_err(|e| Failure::bug(id.to_string(), e.to_string()))?
                .at(*base);
            let tap = files.of(*id)?;
            match id.direction {
                Direction::Rx => devices.rx.push(Box::new(FromTap::new(&map, ring, tap))),
                Direction::Tx => {
                    let entries = usize::from(layout.size.get());
                    let device = ToTap::new(&map, ring, tap, entries)
                        .map_err(|e| Failure::io("dup of a tap file", "userspace backend", &e))?;
                    devices.tx.push(Box::new(device));
                }
            }
        }
        Ok(devices)
    }

    fn stop(&mut self) -> Stopped {
        // The data halves are with the poller; without them nothing of it runs. They use up what
        // they read in the same visit, so the ring says where they stand.
        let map = self.map.as_ref();
        let base = |(id, layout, _)| {
            let ring = DeviceRing::attach(map?, &layout, false).ok()?;
            Some((id, ring.base()))
        };
        let bases = std::mem::take(&mut self.rings).into_iter().filter_map(base).collect();
        Stopped { bases, failures: Vec::new() }
    }
}

fn slice_at<'a>(
    map: &'a MemoryMap,
    segment: &DeviceSegment,
) -> Option<VolatileSlice<'a, impl BitmapSlice + 'a>> {
    map.get_slice(GuestAddress(segment.addr), segment.len as usize).ok()
}

fn errno_of(error: &VolatileMemoryError) -> Errno {
    match error {
        VolatileMemoryError::IOError(e) => e.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        _ => Errno::EFAULT,
    }
}

/// Whether the tap's file is with an epoll instance: one-shot, and not armed at first.
#[derive(Debug, Default)]
struct Watched(bool);

impl Watched {
    fn begin(&mut self, epoll: &Epoll, tap: BorrowedFd<'_>, key: u64) -> Result<(), Errno> {
        epoll.add(tap, EpollEvent::new(EpollFlags::EPOLLONESHOT, key))?;
        self.0 = true;
        Ok(())
    }

    fn end(&mut self, epoll: &Epoll, tap: BorrowedFd<'_>) {
        if std::mem::take(&mut self.0) {
            let _ = epoll.delete(tap);
        }
    }
}

/// The data half of a receive queue.
#[derive(Debug)]
struct FromTap {
    map: MemoryMap,
    ring: DeviceRing,
    tap: Arc<OwnedFd>,
    segments: [DeviceSegment; MAX_SEGMENTS],
    /// Room for a maximal frame and a byte more; its pages are touched when it is first used.
    aside: Vec<u8>,
    watched: Watched,
}

/// How reading one frame ended.
enum Read {
    Frame(usize),
    NothingThere,
    /// Too few buffers are posted for a maximal frame.
    NoRoom,
    /// The driver posted something that no frame can be read into.
    Unusable,
    /// There was a frame, and it is lost.
    Unreadable,
    Suspect,
    /// The tap is there and will not be read.
    Refused,
}

impl FromTap {
    fn new(map: &MemoryMap, ring: DeviceRing, tap: &Arc<OwnedFd>) -> Self {
        Self {
            map: map.clone(),
            ring,
            tap: Arc::clone(tap),
            segments: [NO_SEGMENT; MAX_SEGMENTS],
            aside: Vec::with_capacity(FRAME_BYTES + 1),
            watched: Watched::default(),
        }
    }

    fn read_frame(&mut self, available: u16) -> Read {
        let chain = self.ring.peek(0, &mut self.segments);
        let first = self.segments[0];
        if chain.malformed || chain.segments == 0 || !first.writable {
            self.ring.advance(1);
            self.ring.push_used(chain.head, 0);
            return Read::Unusable;
        }
        if chain.segments > 1 || (first.len as usize) < FRAME_BYTES {
            return self.read_spread(available);
        }
        let Some(mut slice) = slice_at(&self.map, &first) else {
            self.ring.advance(1);
            self.ring.push_used(chain.head, 0);
            return Read::Unusable;
        };
        match self.tap.as_fd().read_volatile(&mut slice) {
            Ok(n) => {
                // num_buffers, which the tap leaves as it was: one ([VIRTIO-1.3 §5.1.6.4]).
                if let Ok(tail) = slice.subslice(10, 2) {
                    tail.copy_from(&1_u16.to_le_bytes());
                }
                self.ring.advance(1);
                // A read returns at most the length of the segment, a u32.
                self.ring.push_used(chain.head, u32::try_from(n).unwrap_or(u32::MAX));
                Read::Frame(n)
            }
            Err(e) => Self::not_read(errno_of(&e)),
        }
    }

    const fn not_read(errno: Errno) -> Read {
        match errno {
            Errno::EAGAIN | Errno::EINTR => Read::NothingThere,
            // What a device that goes away answers, now and then.
            Errno::EBADFD | Errno::EIO | Errno::EFAULT => Read::Suspect,
            // `tun_put_user`: no virtio_net_hdr can say what the frame is.
            Errno::EINVAL => Read::Unreadable,
            _ => Read::Refused,
        }
    }

    /// Reads a frame aside and spreads it over chains of one small segment each.
    fn read_spread(&mut self, available: u16) -> Read {
        let (mut room, mut chains) = (0, 0);
        while room < FRAME_BYTES && chains < available {
            self.ring.peek(chains, &mut self.segments);
            room += self.segments[0].len as usize;
            chains += 1;
        }
        if room < FRAME_BYTES {
            return Read::NoRoom;
        }
        self.aside.resize(FRAME_BYTES + 1, 0);
        let n = match nix::unistd::read(self.tap.as_fd(), &mut self.aside) {
            Ok(n) => n,
            Err(errno) => return Self::not_read(errno),
        };
        let mut rest = &self.aside[..n];
        let mut used: u16 = 0;
        let mut header = None;
        while !rest.is_empty() && used < chains {
            let chain = self.ring.peek(0, &mut self.segments);
            let segment = self.segments[0];
            let taken = rest.len().min(segment.len as usize);
            let slice = slice_at(&self.map, &segment).filter(|_| segment.writable);
            if let Some(slice) = slice {
                slice.copy_from(&rest[..taken]);
                header = header.or_else(|| slice.subslice(10, 2).ok());
            }
            rest = &rest[taken..];
            self.ring.advance(1);
            self.ring.push_used(chain.head, u32::try_from(taken).unwrap_or(u32::MAX));
            used += 1;
        }
        if let Some(header) = header {
            header.copy_from(&used.to_le_bytes());
        }
        Read::Frame(n)
    }
}

impl QueueDevice for FromTap {
    fn register(&mut self, epoll: &Epoll, key: u64) -> Result<(), Errno> {
        self.watched.begin(epoll, self.tap.as_fd(), key)
    }

    fn unregister(&mut self, epoll: &Epoll) {
        self.watched.end(epoll, self.tap.as_fd());
    }

    fn kick(&mut self) {}

    fn serve(&mut self) -> Served {
        let mut served = Served::default();
        let mut bytes = 0;
        let mut available = self.ring.available();
        let budget = available.min(FRAMES);
        let mut frames = 0;
        while available > 0 {
            if frames == budget || bytes >= BYTES {
                served.more = true;
                break;
            }
            match self.read_frame(available) {
                Read::Frame(n) => {
                    bytes += n;
                    frames += 1;
                }
                Read::Unusable => frames += 1,
                Read::Unreadable => {
                    frames += 1;
                    served.unreadable += 1;
                }
                Read::NothingThere | Read::NoRoom => break,
                Read::Suspect => {
                    served.host_suspect = true;
                    break;
                }
                Read::Refused => {
                    served.refused = true;
                    break;
                }
            }
            available = self.ring.available();
        }
        served.call = self.ring.publish();
        self.ring.arm();
        served
    }

    fn sleep(&mut self, epoll: &Epoll, key: u64) -> Result<Wait, Errno> {
        let wake = EpollFlags::EPOLLIN | EpollFlags::EPOLLONESHOT;
        epoll.modify(self.tap.as_fd(), &mut EpollEvent::new(wake, key))?;
        Ok(Wait::Armed)
    }

    fn refusal(&mut self, _head: u16) -> Option<Errno> {
        None
    }

    fn notify_fds(&self) -> (i32, i32) {
        (-1, -1)
    }
}

/// The data half of a transmit queue.
#[derive(Debug)]
struct ToTap {
    map: MemoryMap,
    ring: DeviceRing,
    /// A descriptor of its own: the epoll instance knows the receive queue's by the other.
    tap: OwnedFd,
    refused: Vec<Option<Errno>>,
    /// Room for a maximal frame; its pages are touched when it is first used.
    aside: Vec<u8>,
    blocked: bool,
    watched: Watched,
}

impl ToTap {
    fn new(
        map: &MemoryMap,
        ring: DeviceRing,
        tap: &OwnedFd,
        entries: usize,
    ) -> std::io::Result<Self> {
        Ok(Self {
            map: map.clone(),
            ring,
            tap: tap.try_clone()?,
            refused: vec![None; entries],
            aside: Vec::with_capacity(FRAME_BYTES),
            blocked: false,
            watched: Watched::default(),
        })
    }

    fn write_frame(&mut self, segments: &[DeviceSegment]) -> Result<(), Errno> {
        let written = match segments {
            [] => return Err(Errno::EINVAL),
            [one] => match slice_at(&self.map, one) {
                Some(slice) => {
                    self.tap.as_fd().write_volatile(&slice).map_err(|e| errno_of(&e)).map(drop)
                }
                None => Err(Errno::EFAULT),
            },
            many => {
                self.aside.resize(FRAME_BYTES, 0);
                let mut bytes = 0;
                for segment in many {
                    let slice = slice_at(&self.map, segment).ok_or(Errno::EFAULT)?;
                    let room = self.aside.get_mut(bytes..).unwrap_or_default();
                    if slice.len() > room.len() {
                        return Err(Errno::EINVAL);
                    }
                    bytes += slice.copy_to(room);
                }
                nix::unistd::write(self.tap.as_fd(), &self.aside[..bytes]).map(drop)
            }
        };
        // Nothing was written: the next visit writes it again.
        written.map_err(|errno| if errno == Errno::EINTR { Errno::EAGAIN } else { errno })
    }
}

impl QueueDevice for ToTap {
    fn register(&mut self, epoll: &Epoll, key: u64) -> Result<(), Errno> {
        self.watched.begin(epoll, self.tap.as_fd(), key)
    }

    fn unregister(&mut self, epoll: &Epoll) {
        self.watched.end(epoll, self.tap.as_fd());
    }

    fn kick(&mut self) {}

    fn serve(&mut self) -> Served {
        let mut served = Served::default();
        let mut segments = [NO_SEGMENT; MAX_SEGMENTS];
        self.blocked = false;
        while self.ring.available() > 0 {
            let chain = self.ring.peek(0, &mut segments);
            let result = if chain.malformed {
                Err(Errno::EINVAL)
            } else {
                self.write_frame(&segments[..chain.segments])
            };
            if result == Err(Errno::EAGAIN) {
                self.blocked = true;
                break;
            }
            served.host_suspect |= result == Err(Errno::EBADFD);
            if let Some(slot) = self.refused.get_mut(usize::from(chain.head)) {
                *slot = result.err();
            }
            self.ring.advance(1);
            self.ring.push_used(chain.head, 0);
        }
        served.call = self.ring.publish();
        self.ring.arm();
        served
    }

    fn sleep(&mut self, epoll: &Epoll, key: u64) -> Result<Wait, Errno> {
        if self.blocked {
            let wake = EpollFlags::EPOLLOUT | EpollFlags::EPOLLONESHOT;
            epoll.modify(self.tap.as_fd(), &mut EpollEvent::new(wake, key))?;
        }
        Ok(Wait::Armed)
    }

    fn refusal(&mut self, head: u16) -> Option<Errno> {
        self.refused.get_mut(usize::from(head)).and_then(Option::take)
    }

    fn notify_fds(&self) -> (i32, i32) {
        (-1, -1)
    }
}

impl Drop for FromTap {
    fn drop(&mut self) {
        debug_assert!(!self.watched.0, "fd {} is still watched", self.tap.as_raw_fd());
    }
}
