//! `set interface rx-placement|rx-mode|tx-queue`.

use clap::Subcommand;

use crate::api::SetInterface;
use crate::cli::{names, values};
use crate::diag::Failure;
use crate::units::{IfName, NumberList, PollerIndex, QueueIndex, RxMode};

#[derive(Debug, Subcommand)]
pub(super) enum Queues {
    /// Move a receive queue to another poller.
    ///
    /// No frame is lost, and no flow is reordered: frames wait until what the queue has forwarded was
    /// sent. `main' is poller 0. `show interface rx-placement' shows which poller has which queue.
    #[command(
        override_usage = "taptool set interface rx-placement NAME [queue N] {worker N | main}",
        after_help = "Example: set interface rx-placement tap0 queue 1 worker 1"
    )]
    RxPlacement {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: Option<IfName>,
        /// The receive queue [default: 0].
        #[arg(long, value_name = "N", value_parser = values::queue)]
        queue: Option<QueueIndex>,
        /// The poller, by its number in `show threads' without the control thread: 0 is the first.
        #[arg(long, value_name = "N", value_parser = values::poller, conflicts_with = "main")]
        worker: Option<PollerIndex>,
        /// Poller 0.
        #[arg(long)]
        main: bool,
    },
    /// Say how the poller of a receive queue learns of frames.
    ///
    /// polling: it looks all the time, and takes a whole processor. interrupt: it sleeps as soon as
    /// there is nothing. adaptive (the default): it looks while frames come and 50 microseconds
    /// longer, then sleeps. `show interface rx-placement' shows it.
    #[command(
        override_usage = "taptool set interface rx-mode NAME [queue N] {polling | interrupt | adaptive}",
        after_help = "Example: set interface rx-mode tap0 queue 0 interrupt"
    )]
    RxMode {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: Option<IfName>,
        /// The receive queue [default: all of the interface].
        #[arg(long, value_name = "N", value_parser = values::queue)]
        queue: Option<QueueIndex>,
        /// Look all the time.
        #[arg(long, conflicts_with_all = ["interrupt", "adaptive"])]
        polling: bool,
        /// Sleep as soon as there is nothing.
        #[arg(long, conflicts_with = "adaptive")]
        interrupt: bool,
        /// Look while frames come, and a moment longer.
        #[arg(long)]
        adaptive: bool,
    },
    /// Say which pollers send to a transmit queue.
    ///
    /// The queue stays with the poller that owns it; others hand their frames over to that one. A
    /// poller that several queues are for spreads flows over them; one that none is for sends to a
    /// queue of the others. Without a list the queue is for no poller.
    #[command(
        override_usage = "taptool set interface tx-queue NAME queue N [threads LIST]",
        after_help = "Example: set interface tx-queue tap0 queue 1 threads 0,2-3"
    )]
    TxQueue {
        /// The interface.
        #[arg(value_name = "NAME", add = names::interfaces())]
        name: Option<IfName>,
        /// The transmit queue [default: 0].
        #[arg(long, value_name = "N", value_parser = values::queue)]
        queue: Option<QueueIndex>,
        /// Numbers of pollers (0,2-3).
        #[arg(long, value_name = "LIST", num_args = 0..=1, default_missing_value = "")]
        threads: Option<String>,
    },
}

impl Queues {
    /// The interface, and the change.
    pub(super) fn change(self) -> Result<(IfName, SetInterface), Failure> {
        let named = |name: Option<IfName>| {
            name.ok_or_else(|| Failure::usage("", "please specify valid interface name"))
        };
        let number = |queue: Option<QueueIndex>| queue.unwrap_or(QueueIndex(0));
        match self {
            Self::RxPlacement { name, queue, worker, main } => {
                let name = named(name)?;
                let poller = worker.or(main.then_some(PollerIndex(0))).ok_or_else(|| {
                    Failure::usage("", "please specify valid worker thread or main")
                })?;
                Ok((name, SetInterface::RxPlacement { queue: number(queue), poller }))
            }
            Self::RxMode { name, queue, polling, interrupt, adaptive } => {
                let name = named(name)?;
                let mode = match (polling, interrupt, adaptive) {
                    (true, ..) => RxMode::Polling,
                    (_, true, _) => RxMode::Interrupt,
                    (_, _, true) => RxMode::Adaptive,
                    _ => return Err(Failure::usage("", "please specify valid rx-mode")),
                };
                Ok((name, SetInterface::RxMode { queue, mode }))
            }
            Self::TxQueue { name, queue, threads } => {
                let list = threads.unwrap_or_default();
                let threads: NumberList = match list.as_str() {
                    "" => NumberList::default(),
                    list => list.parse().map_err(|why| {
                        Failure::usage(format!("threads {list}"), format!("{why}"))
                    })?,
                };
                let threads = threads.iter().map(PollerIndex).collect();
                Ok((named(name)?, SetInterface::TxQueue { queue: number(queue), threads }))
            }
        }
    }
}
