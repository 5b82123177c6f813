//! The queues of an interface under construction: made, placed and taken back, one after another.

use std::sync::Arc;

use super::interface::Queue;
use super::registry::Reservation;
use super::{Resources, Shared};
use crate::action::{Action, PeerKey};
use crate::api::BackendKind;
use crate::counters::{Direction, QueueSnapshot};
use crate::device::{BufferClass, Pool, PoolSlot, QueueDevices, QueueId, QueueMemory};
use crate::diag::Failure;
use crate::engine::{Engine, QueueKey, RxParts, StopReason, TxParts, TxPlace};
use crate::units::Mtus;
use crate::units::{Kind, NumberList, PollerIndex, QueueIndex, RingSize, RxMode, SwIfIndex};

/// Buffers posted, and buffers that may be lent, on a large-buffer queue. Few, so that they stay in
/// cache.
const LARGE_CREDIT: u16 = 32;
const LARGE_LENDABLE: u32 = 96;
/// The same where frames may be on their way to another poller, which has other work too.
const LARGE_LENDABLE_AFAR: u32 = 512;
/// Small buffers that may be lent: 62 maximal frames of 33, on their way through a peer's worker.
const SMALL_LENDABLE: u32 = 2048;

/// How many queues there are to be, and their sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Receive queues, at least 1, and entries of each.
    pub(super) rx: (u16, RingSize),
    /// Transmit queues.
    pub(super) tx: (u16, RingSize),
}

impl Sizes {
    /// Queue pairs: a receive and a transmit queue, or one of them.
    pub(super) fn pairs(&self) -> u16 {
        self.rx.0.max(self.tx.0)
    }
}

/// A queue that was made.
struct Made {
    queue: Queue,
    /// A receive queue's buffers, and how many are posted at a time.
    buffers: Option<(Arc<Pool>, u16)>,
    /// A poller may know it.
    placed: bool,
}

/// All queues, receive queues first.
#[derive(Default)]
pub(super) struct Queues {
    made: Vec<Made>,
    peer: Option<PeerKey>,
}

impl Queues {
    /// Makes rings, counters and buffers of all queues, and spreads them over the pollers. What was
    /// made before a failure stays here, for [`Queues::take`].
    ///
    /// # Errors
    /// The memory has no room, or no number is free.
    pub(super) fn make(
        &mut self,
        shared: &Shared,
        resources: &Resources,
        of: &Reservation,
        (backend, event_idx): (BackendKind, bool),
        (sizes, consistent): (Sizes, bool),
    ) -> Result<(), Failure> {
        let class = shared.options.buffers.unwrap_or(match backend {
            BackendKind::VhostNet => BufferClass::Small,
            BackendKind::Userspace => BufferClass::Large,
        });
        self.peer = Some(resources.engine.reserve_peer());
        let pollers = resources.engine.pollers();
        // Receive queues go round over the pollers, whichever interface they are of.
        let first = shared.registry().next_poller(sizes.rx.0, pollers);
        for (direction, (count, size)) in [(Direction::Rx, sizes.rx), (Direction::Tx, sizes.tx)] {
            let first = match direction {
                Direction::Tx if !consistent => 0,
                Direction::Rx | Direction::Tx => first,
            };
            for number in 0..count {
                let id = QueueId { direction, index: QueueIndex(number) };
                let poller = PollerIndex(first.wrapping_add(number) % pollers);
                let of = (of.sw_if_index, poller);
                self.made.push(make(shared, resources, of, id, (size, event_idx), class)?);
            }
        }
        Ok(())
    }

    /// Takes all out: the memory, to be dropped on a thread that may wait, and then the numbers, to
    /// be given back.
    pub(super) fn take(&mut self) -> (impl Send + use<>, Numbers) {
        let made = std::mem::take(&mut self.made);
        let pools = made.iter().filter_map(|made| Some(made.buffers.as_ref()?.0.slot()));
        let numbers = Numbers {
            records: made.iter().map(|made| made.queue.record).collect(),
            keys: made.iter().map(|made| made.queue.key).collect(),
            pools: pools.collect(),
            peer: self.peer.take(),
        };
        let memory: Vec<_> = made.into_iter().map(|m| (m.queue.memory, m.buffers)).collect();
        (memory, numbers)
    }

    /// Where the rings lie.
    pub(super) fn memory(&self) -> Vec<Arc<QueueMemory>> {
        self.made.iter().map(|made| Arc::clone(&made.queue.memory)).collect()
    }

    /// Gives all queues to their pollers, transmit queues first: a receive queue may send as soon as
    /// it runs.
    ///
    /// # Errors
    /// The engine's; [`Queues::take_back`] undoes it also half-way.
    pub(super) async fn place(
        &mut self,
        resources: &Resources,
        (interface, kind): (SwIfIndex, Kind),
        devices: QueueDevices,
        action: &Action,
        (admin_up, link_up): (bool, bool),
    ) -> Result<(), Failure> {
        let engine = &resources.engine;
        let peer = self.peer.ok_or_else(|| Failure::bug("", "no peer key"))?;
        let (mut rx, mut tx) = (devices.rx.into_iter(), devices.tx.into_iter());
        let mut to = Vec::new();
        for made in self.made.iter_mut().filter(|made| made.buffers.is_none()) {
            let device =
                tx.next().ok_or_else(|| Failure::bug("", "not a device for each queue"))?;
            let Queue { key, poller, ref memory, .. } = made.queue;
            let ring = memory.driver_ring()?;
            let memory = Arc::clone(memory);
            made.queue.notify_fds = device.notify_fds();
            made.placed = true;
            let parts = TxParts {
                interface,
                kind,
                memory,
                ring,
                device,
                admin_up,
                link_up,
                mtus: Mtus::default(),
            };
            engine.add_tx(poller, key, parts).await?;
            to.push(TxPlace { queue: key, poller, users: made.queue.users });
        }
        engine.set_peer(peer, kind, to, None).await?;
        for made in &mut self.made {
            let Some((pool, credit)) = &made.buffers else { continue };
            let (pool, credit) = (Arc::clone(pool), *credit);
            let device =
                rx.next().ok_or_else(|| Failure::bug("", "not a device for each queue"))?;
            let Queue { key, poller, ref memory, .. } = made.queue;
            let ring = memory.driver_ring()?;
            let memory = Arc::clone(memory);
            made.queue.notify_fds = device.notify_fds();
            made.placed = true;
            let parts = RxParts { interface, kind, memory, ring, device, pool, credit, admin_up };
            engine.add_rx(poller, key, parts, peer, action.clone()).await?;
        }
        Ok(())
    }

    /// Stops the queues that a poller may know. The backend stops before [`Queues::take_back`].
    pub(super) async fn stop(&self, resources: &Resources) -> Vec<Failure> {
        let engine = &resources.engine;
        let mut failures = Vec::new();
        if let Some(peer) = self.peer {
            failures.extend(engine.remove_peer(peer).await.err());
        }
        for (poller, key) in self.placed() {
            failures.extend(engine.stop(poller, key, StopReason::Retired).await.err());
        }
        failures
    }

    /// Takes the queues from their pollers; their backend has stopped.
    pub(super) async fn take_back(&mut self, resources: &Resources) -> Vec<Failure> {
        let engine = &resources.engine;
        let mut failures = Vec::new();
        for (poller, key) in self.placed() {
            // It is missing if placing failed half-way.
            let _ = engine.empty(poller, key).await;
        }
        for made in &mut self.made {
            if !std::mem::take(&mut made.placed) {
                continue;
            }
            let (poller, key) = (made.queue.poller, made.queue.key);
            match &made.buffers {
                Some((pool, _)) => {
                    failures.extend(engine.take_rx(poller, key).await.err());
                    failures.extend(engine.forget_pool(pool.slot()).await.err());
                }
                None => failures.extend(engine.take_tx(poller, key).await.err()),
            }
        }
        failures
    }

    fn placed(&self) -> Vec<(PollerIndex, QueueKey)> {
        let placed = self.made.iter().filter(|made| made.placed);
        placed.map(|made| (made.queue.poller, made.queue.key)).collect()
    }

    /// The queues as the interface's, and its key as a peer.
    ///
    /// # Errors
    /// They were never made.
    pub(super) fn of_interface(&self) -> Result<Placed, Failure> {
        let mut placed = Placed {
            rx: Vec::new(),
            tx: Vec::new(),
            pools: Vec::new(),
            peer: self.peer.ok_or_else(|| Failure::bug("", "no peer key"))?,
        };
        for Made { queue, buffers, .. } in &self.made {
            match buffers {
                Some((pool, _)) => {
                    placed.rx.push(queue.clone());
                    placed.pools.push(Arc::clone(pool));
                }
                None => placed.tx.push(queue.clone()),
            }
        }
        Ok(placed)
    }
}

/// The queues of an interface, as it has them.
pub(super) struct Placed {
    pub(super) rx: Vec<Queue>,
    pub(super) tx: Vec<Queue>,
    /// Buffers of the receive queues.
    pub(super) pools: Vec<Arc<Pool>>,
    pub(super) peer: PeerKey,
}

/// Numbers that others may have once the memory is gone.
pub(super) struct Numbers {
    records: Vec<usize>,
    keys: Vec<QueueKey>,
    pools: Vec<PoolSlot>,
    peer: Option<PeerKey>,
}

impl Numbers {
    /// Gives them back.
    pub(super) fn release(self, shared: &Shared, engine: &Engine) {
        for record in self.records {
            shared.registry().release_record(record);
        }
        self.keys.into_iter().for_each(|key| engine.release_queue(key));
        self.pools.into_iter().for_each(|pool| engine.release_pool(pool));
        if let Some(peer) = self.peer {
            engine.release_peer(peer);
        }
    }
}

/// Makes one queue; nothing is kept where it fails.
fn make(
    shared: &Shared,
    resources: &Resources,
    (interface, poller): (SwIfIndex, PollerIndex),
    id: QueueId,
    (size, event_idx): (RingSize, bool),
    class: BufferClass,
) -> Result<Made, Failure> {
    let (memory, engine) = (&resources.memory, &resources.engine);
    let record = shared.registry().reserve_record()?;
    let made = (|| {
        let buffers = match id.direction {
            Direction::Rx => Some(buffers(resources, class, size)?),
            Direction::Tx => None,
        };
        let pool = buffers.as_ref().map(|(pool, _)| &**pool);
        match QueueMemory::new(memory, record, interface, id, size, event_idx, pool) {
            Ok(memory) => Ok((Arc::new(memory), buffers)),
            Err(failure) => {
                if let Some((pool, _)) = buffers {
                    engine.release_pool(pool.slot());
                }
                Err(failure)
            }
        }
    })();
    let (memory, buffers) = made.inspect_err(|_| shared.registry().release_record(record))?;
    let zero = QueueSnapshot::zero(id.direction);
    let queue = Queue {
        key: engine.reserve_queue(),
        poller,
        mode: RxMode::default(),
        users: match id.direction {
            Direction::Rx => NumberList::default(),
            Direction::Tx => NumberList::of(poller.0),
        },
        memory,
        record,
        size,
        notify_fds: (-1, -1),
        baseline: zero.clone(),
        errors_baseline: zero.clone(),
        seen: zero.into(),
    };
    Ok(Made { queue, buffers, placed: false })
}

/// The buffers of a receive queue, and how many are posted at a time.
fn buffers(
    resources: &Resources,
    class: BufferClass,
    size: RingSize,
) -> Result<(Arc<Pool>, u16), Failure> {
    let (credit, lendable) = match class {
        // The whole ring is posted: one maximal frame takes 33 of at least 64.
        BufferClass::Small => (size.get(), u32::from(size.get()).max(SMALL_LENDABLE)),
        BufferClass::Large if resources.engine.pollers() > 1 => (LARGE_CREDIT, LARGE_LENDABLE_AFAR),
        BufferClass::Large => (LARGE_CREDIT, LARGE_LENDABLE),
    };
    let slot = resources.engine.reserve_pool()?;
    let pool = Pool::new(&resources.memory, slot, class, u32::from(credit) + lendable, lendable);
    let pool = pool.inspect_err(|_| resources.engine.release_pool(slot))?;
    Ok((Arc::new(pool), credit))
}
