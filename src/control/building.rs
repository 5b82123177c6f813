//! An interface under construction: what each step of a create does, and its undo.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use super::host_side::{HostSide, Label};
use super::interface::{Interface, Queue, local_action};
use super::plan::Plan;
use super::registry::Reservation;
use super::steps::Step;
use super::thread::StepThread;
use super::{Resources, Shared};
use crate::api::BackendKind;
use crate::counters::{Direction, QueueSnapshot};
use crate::device::{
    Backend, BufferClass, Pool, QueueDevices, QueueId, QueueMemory, wanted_features,
};
use crate::diag::{Code, Failure};
use crate::engine::{QueueKey, RxParts, StopReason, TxParts};
use crate::host::{self, HostThread, Session, Tap, TapSpec};
use crate::units::{PollerIndex, QueueIndex, RingSize};

/// Memory of both queues and what goes with it.
struct Queues {
    pool: Arc<Pool>,
    credit: u16,
    records: [usize; 2],
    rx: Arc<QueueMemory>,
    tx: Arc<QueueMemory>,
    keys: Option<(QueueKey, QueueKey)>,
}

/// An interface under construction.
pub(super) struct Building<'a> {
    shared: Arc<Shared>,
    thread: &'a StepThread,
    resources: Arc<Resources>,
    plan: Plan,
    namespace: Arc<OwnedFd>,
    reservation: Option<Reservation>,
    backend: Option<Box<dyn Backend>>,
    tap: Option<Tap>,
    taps: Vec<Arc<OwnedFd>>,
    offloads: host::Offloads,
    queues: Option<Queues>,
    devices: Option<QueueDevices>,
    notify_fds: [(i32, i32); 2],
}

const POLLER: PollerIndex = PollerIndex(0);
const QUEUE: QueueIndex = QueueIndex(0);
const RX: QueueId = QueueId { direction: Direction::Rx, index: QUEUE };
const TX: QueueId = QueueId { direction: Direction::Tx, index: QUEUE };

/// Buffers posted, and buffers that may be lent, on a large-buffer queue. Few, so that they stay in
/// cache.
const LARGE_CREDIT: u16 = 32;
const LARGE_LENDABLE: u32 = 96;
/// Small buffers that may be lent: 62 maximal frames of 33, on their way through a peer's worker.
const SMALL_LENDABLE: u32 = 2048;

fn bug(what: &str) -> Failure {
    Failure::new(Code::Failed, "", format!("{what}; this is a bug"))
}

impl<'a> Building<'a> {
    pub(super) fn new(
        shared: &Arc<Shared>,
        resources: &Arc<Resources>,
        thread: &'a StepThread,
        plan: Plan,
        namespace: Arc<OwnedFd>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            thread,
            resources: Arc::clone(resources),
            plan,
            namespace,
            reservation: None,
            backend: None,
            tap: None,
            taps: Vec::new(),
            offloads: host::Offloads::default(),
            queues: None,
            devices: None,
            notify_fds: [(-1, -1); 2],
        }
    }

    /// Does one step.
    ///
    /// # Errors
    /// The step's; what it had begun is undone with [`Building::undo`] of the same step.
    pub(super) async fn apply(&mut self, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Reserve => self.reserve(),
            Step::OpenBackend => self.open_backend().await,
            Step::OpenTap => self.open_tap().await,
            Step::EnterNamespace => self.enter().await,
            Step::Memory => self.make_queues(),
            Step::StartBackend => self.start_backend().await,
            Step::HostMac => {
                let mac = self.plan.host_mac.ok_or_else(|| bug("no MAC in the plan"))?;
                self.host(move |s, i| s.set_mac(i, mac)).await
            }
            Step::HostMtu(mtu) => {
                let mtu = *mtu;
                self.host(move |s, i| s.set_mtu(i, mtu)).await
            }
            Step::HostTxQueueLen(n) => {
                let n = *n;
                self.host(move |s, i| s.set_txqueuelen(i, n.get())).await
            }
            Step::HostBridge(bridge) => {
                let bridge = bridge.clone();
                self.host(move |s, i| s.set_master(i, &bridge)).await
            }
            Step::HostAddress(address) => {
                let address = *address;
                self.host(move |s, i| s.add_address(i, address)).await
            }
            Step::HostUp => self.host(|s, i| s.set_up(i, true)).await,
            Step::HostGateway(gateway) => {
                let gateway = *gateway;
                self.host(move |s, i| s.add_default_route(i, gateway)).await
            }
            Step::Place => self.place().await,
            Step::Announce => self.announce().await,
        }
    }

    /// Undoes one step, also one that failed half-way. Returns what could not be undone.
    pub(super) async fn undo(&mut self, step: &Step) -> Vec<Failure> {
        match step {
            Step::Reserve => {
                if let Some(reservation) = self.reservation.take() {
                    self.shared.registry().release(&reservation);
                }
            }
            Step::OpenBackend => {
                let backend = self.backend.take();
                let closed = self.thread.finish(move || drop(backend)).await;
                return closed.err().into_iter().collect();
            }
            Step::OpenTap => {
                let (tap, taps) = (self.tap.take(), std::mem::take(&mut self.taps));
                // Closing the last file removes the device, which takes the kernel some 20 ms.
                let closed = self.thread.finish(move || drop((tap, taps))).await;
                return closed.err().into_iter().collect();
            }
            Step::Memory => {
                if let Some(queues) = self.queues.take() {
                    let (pool, records) = (queues.pool.slot(), queues.records);
                    // Freeing punches holes, which takes a moment.
                    let freed = self.thread.finish(move || drop(queues)).await;
                    self.resources.engine.release_pool(pool);
                    for record in records {
                        self.shared.registry().release_record(record);
                    }
                    return freed.err().into_iter().collect();
                }
            }
            Step::StartBackend => {
                self.devices = None;
                return self.stop_backend().await;
            }
            Step::Place => return self.take_back().await,
            Step::Announce => {
                if let Some(reservation) = &self.reservation {
                    // Its name and id stay reserved until `Reserve` is undone.
                    let removed = self.shared.registry().withdraw(reservation.sw_if_index);
                    if let Some(interface) = removed {
                        self.taps = interface.taps;
                        self.backend = interface.backend;
                    }
                }
            }
            // These end with the device.
            Step::EnterNamespace
            | Step::HostMac
            | Step::HostMtu(_)
            | Step::HostTxQueueLen(_)
            | Step::HostBridge(_)
            | Step::HostAddress(_)
            | Step::HostUp
            | Step::HostGateway(_) => {}
        }
        Vec::new()
    }

    fn reserve(&mut self) -> Result<(), Failure> {
        let mut registry = self.shared.registry();
        let plan = &mut self.plan;
        plan.pick(&registry)?;
        self.reservation = Some(registry.reserve(plan.kind, plan.name.clone(), plan.id));
        Ok(())
    }

    async fn open_backend(&mut self) -> Result<(), Failure> {
        let opened = self.thread.run(|site| site.opened.take()).await?;
        self.backend = Some(opened.ok_or_else(|| bug("no backend was opened"))??);
        Ok(())
    }

    async fn open_tap(&mut self) -> Result<(), Failure> {
        let tun_on_vhost =
            self.plan.kind == crate::units::Kind::Tun && self.plan.backend == BackendKind::VhostNet;
        let spec = TapSpec {
            kind: self.plan.kind,
            host_name: self.plan.host_name.clone(),
            queues: 1,
            // One less keeps vhost off its batches, which presume an Ethernet header.
            sndbuf: i32::MAX - i32::from(tun_on_vhost),
            gso: self.plan.gso,
            owner: self.plan.owner,
            group: self.plan.group,
        };
        let (staging, namespace) =
            (Arc::clone(&self.resources.staging), Arc::clone(&self.namespace));
        let open =
            move |thread: &mut HostThread| host::open(thread, &staging, namespace.as_fd(), &spec);
        let tap = self.thread.run(move |site| open(&mut site.thread)).await??;
        self.offloads = tap.offloads();
        if tap.is_staged() {
            self.tap = Some(tap);
        } else {
            self.taps = tap.into_fds()?.into_iter().map(Arc::new).collect();
        }
        Ok(())
    }

    async fn enter(&mut self) -> Result<(), Failure> {
        let mut tap = self.tap.take().ok_or_else(|| bug("no tap to move"))?;
        let (staging, namespace) =
            (Arc::clone(&self.resources.staging), Arc::clone(&self.namespace));
        let moving = move |thread: &mut HostThread| {
            let moved = tap.enter(thread, &staging, namespace.as_fd());
            (tap, moved)
        };
        let (tap, moved) = self.thread.run(move |site| moving(&mut site.thread)).await?;
        if moved.is_err() {
            self.tap = Some(tap);
            return moved;
        }
        self.taps = tap.into_fds()?.into_iter().map(Arc::new).collect();
        Ok(())
    }

    fn make_queues(&mut self) -> Result<(), Failure> {
        let reservation = self.reservation.as_ref().ok_or_else(|| bug("nothing is reserved"))?;
        let (memory, engine) = (&self.resources.memory, &self.resources.engine);
        let (rx_size, tx_size) = (self.plan.rx_ring_size, self.plan.tx_ring_size);
        let class = self.shared.options.buffers.unwrap_or(match self.plan.backend {
            BackendKind::VhostNet => BufferClass::Small,
            BackendKind::Userspace => BufferClass::Large,
        });
        let (credit, lendable) = credit_of(class, rx_size);
        let slot = engine.reserve_pool()?;
        let records = {
            let mut registry = self.shared.registry();
            let first = registry.reserve_record();
            first.and_then(|first| match registry.reserve_record() {
                Ok(second) => Ok([first, second]),
                Err(failure) => {
                    registry.release_record(first);
                    Err(failure)
                }
            })
        };
        let records = records.inspect_err(|_| engine.release_pool(slot))?;
        let made = (|| {
            let count = u32::from(credit) + lendable;
            let pool = Arc::new(Pool::new(memory, slot, class, count, lendable)?);
            let index = reservation.sw_if_index;
            let rx = QueueMemory::new(memory, records[0], index, RX, rx_size, true, Some(&pool))?;
            let tx = QueueMemory::new(memory, records[1], index, TX, tx_size, true, None)?;
            Ok((pool, Arc::new(rx), Arc::new(tx)))
        })();
        match made {
            Ok((pool, rx, tx)) => {
                self.queues = Some(Queues { pool, credit, records, rx, tx, keys: None });
                Ok(())
            }
            Err(failure) => {
                engine.release_pool(slot);
                for record in records {
                    self.shared.registry().release_record(record);
                }
                Err(failure)
            }
        }
    }

    async fn start_backend(&mut self) -> Result<(), Failure> {
        let mut backend = self.backend.take().ok_or_else(|| bug("no backend"))?;
        let queues = self.queues.as_ref().ok_or_else(|| bug("no rings"))?;
        let (rx, tx) = (*queues.rx.layout(), *queues.tx.layout());
        let (memory, taps) = (Arc::clone(&self.resources.memory), self.taps.clone());
        let start = move || {
            let started = backend
                .set_features(wanted_features())
                .and_then(|()| backend.set_memory(memory.shared()))
                .and_then(|()| backend.set_ring(RX, &rx))
                .and_then(|()| backend.set_ring(TX, &tx))
                .and_then(|()| backend.start(&taps));
            (backend, started)
        };
        let (backend, started) = self.thread.run(move |_| start()).await?;
        self.backend = Some(backend);
        self.devices = Some(started?);
        Ok(())
    }

    /// One request about the device, where it is by now.
    async fn host(
        &self,
        request: impl FnOnce(&Session, u32) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        let tap = self.taps.first().cloned().ok_or_else(|| bug("no tap"))?;
        let subject = self.plan.subject();
        let ask = move |thread: &mut HostThread| {
            // The file is let go before the thread answers: the undo closes the last one.
            let tap = tap;
            host::with_device(thread, tap.as_fd(), subject, request)
        };
        self.thread.run(move |site| ask(&mut site.thread)).await?
    }

    async fn place(&mut self) -> Result<(), Failure> {
        let devices = self.devices.take().ok_or_else(|| bug("no started backend"))?;
        let QueueDevices { mut rx, mut tx } = devices;
        let (Some(rx), Some(tx)) = (rx.pop(), tx.pop()) else {
            return Err(bug("no queue devices"));
        };
        self.notify_fds = [rx.notify_fds(), tx.notify_fds()];
        let interface =
            self.reservation.as_ref().ok_or_else(|| bug("nothing is reserved"))?.sw_if_index;
        let queues = self.queues.as_mut().ok_or_else(|| bug("no rings"))?;
        let engine = &self.resources.engine;
        let (kind, admin_up) = (self.plan.kind, !self.plan.admin_down);
        let (rx_ring, tx_ring) = (queues.rx.driver_ring(true)?, queues.tx.driver_ring(true)?);
        let (rx_key, tx_key) = (engine.reserve_queue(), engine.reserve_queue());
        queues.keys = Some((rx_key, tx_key));
        let memory = Arc::clone(&queues.tx);
        let parts = TxParts { interface, kind, memory, ring: tx_ring, device: tx, admin_up };
        engine.add_tx(POLLER, tx_key, parts).await?;
        let (memory, pool) = (Arc::clone(&queues.rx), Arc::clone(&queues.pool));
        let credit = queues.credit;
        let parts =
            RxParts { interface, kind, memory, ring: rx_ring, device: rx, pool, credit, admin_up };
        let action = local_action(self.plan.mac, &self.plan.respond);
        engine.add_rx(POLLER, rx_key, parts, tx_key, action).await
    }

    async fn take_back(&mut self) -> Vec<Failure> {
        let mut failures = Vec::new();
        let Some(queues) = &mut self.queues else { return failures };
        let Some((rx_key, tx_key)) = queues.keys.take() else { return failures };
        let (pool, resources) = (queues.pool.slot(), Arc::clone(&self.resources));
        let engine = &resources.engine;
        for key in [rx_key, tx_key] {
            failures.extend(engine.stop(POLLER, key, StopReason::Retired).await.err());
        }
        // The device stops before its buffers are reused.
        failures.extend(self.stop_backend().await);
        for key in [rx_key, tx_key] {
            // It is missing if placing failed half-way.
            let _ = engine.empty(POLLER, key).await;
        }
        failures.extend(engine.take_rx(POLLER, rx_key).await.err());
        failures.extend(engine.take_tx(POLLER, tx_key).await.err());
        failures.extend(engine.forget_pool(pool).await.err());
        engine.release_queue(rx_key);
        engine.release_queue(tx_key);
        failures
    }

    /// Stops the backend, which waits for its worker. A second stop does nothing.
    async fn stop_backend(&mut self) -> Vec<Failure> {
        let Some(mut backend) = self.backend.take() else { return Vec::new() };
        let stopped = self.thread.finish(move || {
            let left = backend.stop();
            (backend, left)
        });
        match stopped.await {
            Ok((backend, left)) => {
                self.backend = Some(backend);
                left
            }
            Err(failure) => vec![failure],
        }
    }

    async fn announce(&mut self) -> Result<(), Failure> {
        let reservation = self.reservation.clone().ok_or_else(|| bug("nothing is reserved"))?;
        let label = match &self.plan.host_ns {
            Some(words) => {
                let meant = host::namespace::identity(self.namespace.as_fd())?;
                Some(Label { words: words.clone(), meant })
            }
            None => None,
        };
        let staging = Arc::clone(&self.resources.staging);
        let (tap, words) = (self.taps.first().cloned(), label.clone());
        let look = move |thread: &mut HostThread| {
            let tap = tap.ok_or_else(|| bug("no tap"))?;
            HostSide::look(thread, &staging, tap.as_fd(), words.as_ref(), None)?
                .ok_or_else(|| Failure::new(Code::NotFound, "", "the host side is gone"))
        };
        let side = self.thread.run(move |site| look(&mut site.thread)).await??;
        let queues = self.queues.as_ref().ok_or_else(|| bug("no rings"))?;
        let (rx_key, tx_key) = queues.keys.ok_or_else(|| bug("queues are not placed"))?;
        let backend = self.backend.take().ok_or_else(|| bug("no backend"))?;
        let queue = |key, memory: &Arc<QueueMemory>, size: RingSize, notify_fds| Queue {
            key,
            poller: POLLER,
            memory: Arc::clone(memory),
            size,
            notify_fds,
            baseline: QueueSnapshot::zero(memory.id().direction),
            errors_baseline: QueueSnapshot::zero(memory.id().direction),
            seen: QueueSnapshot::zero(memory.id().direction).into(),
        };
        let plan = &self.plan;
        let interface = Interface {
            sw_if_index: reservation.sw_if_index,
            id: reservation.id,
            name: reservation.name,
            created_with: plan.words(),
            kind: plan.kind,
            mac: plan.mac,
            backend_kind: plan.backend,
            backend_reason: plan.backend_reason.clone(),
            offered_features: backend.offered_features(),
            features: wanted_features(),
            worker_mode: backend.worker_mode(),
            vhost_fds: backend.fds(),
            backend: Some(backend),
            taps: std::mem::take(&mut self.taps),
            offloads: self.offloads,
            gso: plan.gso,
            admin_up: !plan.admin_down,
            addresses: plan.respond.clone(),
            xconnect: None,
            pool: queues.pool.slot(),
            _buffers: Arc::clone(&queues.pool),
            files: Arc::default(),
            records: queues.records,
            rx: vec![queue(rx_key, &queues.rx, plan.rx_ring_size, self.notify_fds[0])],
            tx: vec![queue(tx_key, &queues.tx, plan.tx_ring_size, self.notify_fds[1])],
            label,
            host_ns: side.namespace,
            host: side.facts,
            unseen: false,
            fresh: true,
            nsid: side.nsid,
            host_gone: false,
            halted: false,
            deleting: false,
        };
        self.shared.registry().insert(interface);
        // What pollers suspected of it before it was known led to no look. Where the device is gone
        // indeed, they say so again.
        for key in [rx_key, tx_key] {
            self.resources.engine.resume(POLLER, key).await?;
        }
        Ok(())
    }

    /// The number of the interface that was built.
    pub(super) fn sw_if_index(&self) -> Option<crate::units::SwIfIndex> {
        self.reservation.as_ref().map(|r| r.sw_if_index)
    }
}

/// Buffers to post and buffers to lend for a receive queue.
fn credit_of(class: BufferClass, size: RingSize) -> (u16, u32) {
    match class {
        // The whole ring is posted: one maximal frame takes 33 of at least 64.
        BufferClass::Small => (size.get(), u32::from(size.get()).max(SMALL_LENDABLE)),
        BufferClass::Large => (LARGE_CREDIT, LARGE_LENDABLE),
    }
}
