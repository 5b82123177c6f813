//! The registry of interfaces, and the verbs that change it.
//!
//! # Theory of operation
//! [`Control`] lives on one tokio `current_thread` runtime. [`Control::submit`] carries out one
//! request; several may be under way at once, and none holds the registry across an `await`. What
//! blocks (netlink, closing a device, stopping a backend) runs on a host thread that ends with it;
//! a create has one for all its steps. A background task hears what pollers and the kernel report and keeps every
//! interface's host side current.
//!
//! Nothing privileged happens before the first create: the staging namespace, the watch and the
//! memory files are made then.

mod actions;
mod building;
mod carrier;
mod changes;
mod create;
mod delete;
mod domain;
mod domains;
mod ends;
mod executor;
mod host_counters;
mod impairment;
mod interface;
mod life;
mod log;
mod nsim;
mod offload;
mod placement;
mod plan;
mod port;
mod process;
mod queues;
mod registry;
mod reset;
mod settings;
mod show;
mod steps;
mod sub_interfaces;
mod sub_settings;
mod sweep;
pub(crate) mod thread;
mod watch;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use crate::api::{Answers, Level, Outcome, Request, Submit};
use crate::device::{BufferClass, Memory};
use crate::diag::Failure;
use crate::engine::{self, Engine};
use crate::host::{StagingNamespace, Watch};
use crate::units::{MemorySize, NumberList};

use host_counters::HostCounters;
use interface::Interface;
use registry::Registry;
use thread::StepThread;

/// How to start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Size of the shared memory file.
    pub memory: MemorySize,
    /// Poller threads; 0 is one for each of `processors`, at least one.
    pub pollers: u16,
    /// Where they run, one on each; empty: wherever the scheduler has them.
    pub processors: NumberList,
    /// Size of buffers whatever the backend: how 64 KiB frames are put through small ones in tests.
    #[doc(hidden)]
    pub buffers: Option<BufferClass>,
    /// Lets every create fail after this many steps, and undo them: how the undo is tested.
    #[doc(hidden)]
    pub fail_after_steps: Option<usize>,
    /// Receives no events of host sides, so that lookups without events can be tested.
    #[doc(hidden)]
    pub deaf: bool,
}

impl Options {
    /// Whether pollers can be where they are to be.
    ///
    /// # Errors
    /// There is no such processor, or it is not for this process.
    pub fn check(&self) -> Result<(), Failure> {
        engine::check_processors(&self.processors)
    }

    /// How many pollers there will be.
    fn pollers(&self) -> u16 {
        if self.pollers > 0 { self.pollers } else { self.processors.count().max(1) }
    }
}

/// What exists once there was a create.
#[derive(Debug)]
struct Resources {
    engine: Engine,
    memory: Arc<Memory>,
    staging: Arc<StagingNamespace>,
    host_counters: HostCounters,
    /// What pollers report, until the watch takes it.
    events: Mutex<Option<UnboundedReceiver<engine::Event>>>,
}

/// What all requests share.
#[derive(Debug)]
struct Shared {
    options: Options,
    registry: Mutex<Registry>,
    /// Held while a change of a bridge domain is sent to the pollers.
    domains: tokio::sync::Mutex<()>,
    resources: tokio::sync::OnceCell<Arc<Resources>>,
}

impl Shared {
    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine, memory and staging namespace, made when first asked for.
    async fn resources(&self) -> Result<Arc<Resources>, Failure> {
        let options = self.options;
        let made = self.resources.get_or_try_init(|| async move {
            thread::run("start", move || {
                let staging = Arc::new(StagingNamespace::new()?);
                let memory = Arc::new(Memory::new(options.memory)?);
                let (engine, events) = Engine::start_on(options.pollers(), &options.processors)?;
                let events = Mutex::new(Some(events));
                let host_counters = HostCounters::start(&staging)?;
                Ok(Arc::new(Resources { engine, memory, staging, host_counters, events }))
            })
            .await?
        });
        made.await.cloned()
    }

    /// The resources, where an interface exists and so they do.
    fn running(&self) -> Result<Arc<Resources>, Failure> {
        self.resources.get().cloned().ok_or_else(|| Failure::bug("", "nothing runs yet"))
    }
}

/// Owns interfaces and answers requests.
#[derive(Debug)]
pub struct Control {
    shared: Arc<Shared>,
    watch: tokio::sync::OnceCell<JoinHandle<()>>,
}

impl Control {
    /// A control without interfaces. Call it on the runtime that will run its requests.
    pub fn new(options: Options) -> Self {
        let shared = Shared {
            options,
            registry: Mutex::new(Registry::default()),
            domains: tokio::sync::Mutex::default(),
            resources: tokio::sync::OnceCell::new(),
        };
        Self { shared: Arc::new(shared), watch: tokio::sync::OnceCell::new() }
    }

    /// How many interfaces there are.
    pub fn interfaces(&self) -> usize {
        self.shared.registry().all().count()
    }

    /// How many bridge domains `create bridge-domain` has made.
    pub fn bridge_domains(&self) -> usize {
        domain::made(&self.shared.registry().domains)
    }

    /// Starts to listen to pollers and kernel, once.
    async fn start_watch(&self) -> Result<(), Failure> {
        let resources = self.shared.resources().await?;
        let start = || async move {
            let sweeper = StepThread::start(thread::SWEEP)?;
            let (staging, runtime) = (Arc::clone(&resources.staging), Handle::current());
            let host = thread::run("watch", move || {
                let _here = runtime.enter();
                Watch::new(&staging)
            })
            .await??;
            let events = resources.events.lock().unwrap_or_else(PoisonError::into_inner).take();
            let events = events.ok_or_else(|| Failure::bug("", "the pollers' events are taken"))?;
            let shared = Arc::clone(&self.shared);
            Ok(tokio::spawn(async move {
                let watched = watch::run(Arc::clone(&shared), host, events, sweeper);
                if AssertUnwindSafe(watched).catch_unwind().await.is_err() {
                    let text = "host side and queues are watched no more: a panic, which is a bug";
                    watch::log_of_all(&shared, Level::Error, text);
                }
            }))
        };
        self.watch.get_or_try_init(start).await.map(drop)
    }
}

impl Submit for Control {
    async fn submit(&self, request: Request) -> Result<Outcome, Failure> {
        let shared = &self.shared;
        request.check()?;
        let done = match request {
            Request::Create(request) => return create::create(self, *request).await,
            Request::Delete(request) => return delete::delete(shared, request).await,
            Request::Gso(request) => changes::gso(shared, &request).await,
            Request::Xconnect(request) => return changes::xconnect(shared, &request).await,
            Request::Nsim(request) => nsim::nsim(shared, &request).await,
            Request::Set(request) => changes::set(shared, &request).await,
            Request::Bridge(request) => domains::bridge(shared, &request).await,
            Request::L2Fib(request) => domains::l2fib(shared, &request).await,
            Request::SubInterface(request) => sub_interfaces::sub_interface(shared, &request).await,
            Request::Show(request) => show::show(shared, &request).await,
            Request::Clear(request) => show::clear(shared, &request).await,
            Request::Monitor(_) => Err(Failure::bug("monitor", "it has no single answer")),
        };
        done.map(Outcome::from)
    }

    async fn stream(&self, request: Request) -> Result<Answers, Failure> {
        match request {
            Request::Monitor(_) => Ok(self.shared.registry().log.listen()),
            request => self.submit(request).await.map(Answers::one),
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(task) = self.watch.take() {
            task.abort();
        }
    }
}
