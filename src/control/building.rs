//! An interface under construction: what each step of a create does, and its undo.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::carrier::tell_link;
use super::interface::{Faults, Interface, Mode, local_action};
use super::life::Life;
use super::plan::Plan;
use super::port::NewTap;
use super::queues::{Placed, Queues};
use super::registry::Reservation;
use super::steps::Step;
use super::thread::StepThread;
use super::{Resources, Shared, offload};
use crate::action::Station;
use crate::device::{Backend, QueueDevices, has_event_idx, negotiate};
use crate::diag::Failure;
use crate::host::Session;
use crate::units::{Mtus, TagRewrite};

/// An interface under construction.
pub(super) struct Building<'a> {
    shared: Arc<Shared>,
    thread: &'a StepThread,
    resources: Arc<Resources>,
    plan: Plan,
    namespace: Arc<OwnedFd>,
    reservation: Option<Reservation>,
    backend: Option<Box<dyn Backend>>,
    tap: NewTap,
    /// Acknowledged.
    features: u64,
    queues: Queues,
    devices: Option<QueueDevices>,
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
            tap: NewTap::default(),
            features: 0,
            queues: Queues::default(),
            devices: None,
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
            Step::AttachTap => {
                let (spec, subject) = (self.plan.tap(), self.plan.subject());
                let place = (&self.namespace, subject);
                self.tap.attach(self.thread, place, spec, self.plan.additions()).await
            }
            Step::Persist => self.tap.set_persist(self.thread, true).await,
            Step::EnterNamespace => {
                self.tap.enter(self.thread, &self.resources.staging, &self.namespace).await
            }
            Step::Memory => self.make_queues(),
            Step::StartBackend => self.start_backend().await,
            Step::HostMac => {
                let mac =
                    self.plan.host_mac.ok_or_else(|| Failure::bug("", "no MAC in the plan"))?;
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
            Step::HostAddress(address) if self.tap.had_address(address) => Ok(()),
            Step::HostAddress(address) => {
                let address = *address;
                self.host(move |s, i| s.add_address(i, address)).await
            }
            Step::HostUp => self.host(|s, i| s.set_up(i, true)).await,
            Step::HostGateway(gateway) if self.tap.had_gateway(gateway) => Ok(()),
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
                return self.tap.close(self.thread).await.err().into_iter().collect();
            }
            Step::AttachTap => return self.tap.put_back(self.thread).await,
            Step::Persist => {
                let undone = self.tap.set_persist(self.thread, false).await;
                return undone.err().into_iter().collect();
            }
            Step::Memory => {
                let (memory, numbers) = self.queues.take();
                // Freeing punches holes, which takes a moment.
                let freed = self.thread.finish(move || drop(memory)).await;
                numbers.release(&self.shared, &self.resources.engine);
                return freed.err().into_iter().collect();
            }
            Step::StartBackend => {
                self.devices = None;
                return self.stop_backend().await;
            }
            Step::Place => return self.take_back().await,
            Step::Announce => {
                if let Some(reservation) = &self.reservation {
                    let index = reservation.sw_if_index;
                    // Nothing more can be done about what a poller that has ended had.
                    let _ = offload::promise(&self.shared, &self.resources, index, false).await;
                    // Its name and id stay reserved until `Reserve` is undone.
                    let removed = self.shared.registry().withdraw(reservation.sw_if_index);
                    if let Some(interface) = removed {
                        self.tap.take_back(interface.port);
                        self.backend = interface.backend;
                    }
                }
            }
            // These end with the device, or are put back with it.
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
        self.reservation = Some(registry.reserve(plan.asked.kind, plan.name.clone(), plan.id));
        Ok(())
    }

    async fn open_backend(&mut self) -> Result<(), Failure> {
        let opened = self.thread.run(|site| site.opened.take()).await?;
        self.backend = Some(opened.ok_or_else(|| Failure::bug("", "no backend was opened"))??);
        Ok(())
    }

    async fn open_tap(&mut self) -> Result<(), Failure> {
        let spec = self.plan.tap();
        self.tap.open(self.thread, &self.resources.staging, &self.namespace, spec).await
    }

    fn make_queues(&mut self) -> Result<(), Failure> {
        let of =
            self.reservation.as_ref().ok_or_else(|| Failure::bug("", "nothing is reserved"))?;
        let (backend, sizes) = (self.plan.backend, self.plan.sizes);
        let offered = self.backend.as_ref().map_or(0, |backend| backend.offered_features());
        // Opening a backend that lacks a required bit has failed.
        self.features = negotiate(offered).unwrap_or(0);
        let event_idx = has_event_idx(self.features);
        let consistent = self.plan.asked.consistent_qp;
        self.queues.make(
            &self.shared,
            &self.resources,
            of,
            (backend, event_idx),
            (sizes, consistent),
        )
    }

    async fn start_backend(&mut self) -> Result<(), Failure> {
        let mut backend = self.backend.take().ok_or_else(|| Failure::bug("", "no backend"))?;
        let (rings, features) = (self.queues.memory(), self.features);
        let (memory, files) = (Arc::clone(&self.resources.memory), self.tap.files());
        let start = move || {
            let started = backend
                .set_features(features)
                .and_then(|()| backend.set_memory(memory.shared()))
                .and_then(|()| {
                    rings.iter().try_for_each(|ring| backend.set_ring(ring.id(), ring.layout(), 0))
                })
                .and_then(|()| backend.start(&files));
            // Let go before the thread answers: the undo frees them.
            drop(rings);
            (backend, started)
        };
        let (backend, started) = self.thread.run(move |_| start()).await?;
        self.backend = Some(backend);
        self.devices = Some(started?);
        Ok(())
    }

    /// One request about the device.
    async fn host(
        &self,
        request: impl FnOnce(&Session, u32) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), Failure> {
        self.tap.request(self.thread, self.plan.subject(), request).await
    }

    async fn place(&mut self) -> Result<(), Failure> {
        let devices = self.devices.take().ok_or_else(|| Failure::bug("", "no started backend"))?;
        let of =
            self.reservation.as_ref().ok_or_else(|| Failure::bug("", "nothing is reserved"))?;
        let plan = &self.plan;
        let action = local_action(&Station::new(plan.mac), &plan.asked.respond);
        let what = (of.sw_if_index, plan.asked.kind);
        let up = (!plan.asked.admin_down, !plan.asked.host_down);
        self.queues.place(&self.resources, what, devices, &action, up).await
    }

    async fn take_back(&mut self) -> Vec<Failure> {
        let resources = Arc::clone(&self.resources);
        let mut failures = self.queues.stop(&resources).await;
        // The device stops before its buffers are reused.
        failures.extend(self.stop_backend().await);
        failures.extend(self.queues.take_back(&resources).await);
        failures
    }

    /// Stops the backend, which waits for its worker. A second stop does nothing.
    async fn stop_backend(&mut self) -> Vec<Failure> {
        let Some(mut backend) = self.backend.take() else { return Vec::new() };
        let stopped = self.thread.finish(move || {
            let left = backend.stop().failures;
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
        let reservation =
            self.reservation.clone().ok_or_else(|| Failure::bug("", "nothing is reserved"))?;
        let (plan, staging) = (&self.plan, &self.resources.staging);
        let namespace = (plan.host_ns(), &*self.namespace);
        let port =
            self.tap.finish(self.thread, staging, namespace, plan.asked.host_offload()).await?;
        let backend = self.backend.take().ok_or_else(|| Failure::bug("", "no backend"))?;
        let Placed { rx, tx, pools, peer } = self.queues.of_interface()?;
        let interface = Interface {
            sw_if_index: reservation.sw_if_index,
            id: reservation.id,
            name: reservation.name,
            created_with: plan.again(),
            kind: plan.asked.kind,
            station: Station::new(plan.mac),
            tag: None,
            mtus: Mtus::default(),
            backend_kind: plan.backend,
            backend_reason: plan.backend_reason.clone(),
            offered_features: backend.offered_features(),
            features: self.features,
            worker_mode: backend.worker_mode(),
            vhost_fds: backend.fds(),
            backend: Some(backend),
            port,
            admin_up: !plan.asked.admin_down,
            addresses: plan.asked.respond.clone(),
            mode: Mode::L3,
            faults: Faults::default(),
            nsim_output: false,
            tag_rewrite: TagRewrite::default(),
            link_state: false,
            pools,
            hold_pools: Vec::new(),
            segment_pools: Vec::new(),
            files: Arc::default(),
            rx,
            tx,
            peer,
            life: Life::Running,
        };
        let (queues, index) = (interface.queues(), interface.sw_if_index);
        self.shared.registry().insert(interface);
        if self.plan.asked.no_gso {
            offload::promise(&self.shared, &self.resources, index, true).await?;
        }
        tell_link(&self.shared, &self.resources, index).await;
        // What pollers suspected of it before it was known led to no look. Where the device is gone
        // indeed, they say so again.
        for (poller, key) in queues {
            self.resources.engine.resume(poller, key).await?;
        }
        Ok(())
    }

    /// The number of the interface that was built.
    pub(super) fn sw_if_index(&self) -> Option<crate::units::SwIfIndex> {
        self.reservation.as_ref().map(|r| r.sw_if_index)
    }
}
