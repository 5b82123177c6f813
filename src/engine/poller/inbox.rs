//! Commands for a poller, and an eventfd (the bell) that wakes it when it sleeps.

use std::os::fd::BorrowedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, TryLockError};

use nix::errno::Errno;
use tokio::sync::oneshot;

use crate::action::bridge::{Entry, Member, Settings};
use crate::action::{Action, DomainKey, Egress, News, PeerKey};
use crate::device::{Pool, PoolSlot, QueueDevice};
use crate::engine::bell::Bell;
use crate::engine::capture::Capture;
use crate::engine::{QueueKey, TxPlace};

use crate::engine::queue::StopReason;
use crate::engine::rx::RxQueue;
use crate::engine::tx::TxQueue;
use crate::sync::{AtomicBool, Mutex};
use crate::units::Mtus;
use crate::units::{Kind, PollerIndex, RxMode};

/// The MACs that a poller knows in a bridge domain, and its clock, ns.
pub type Macs = (u64, Vec<([u8; 6], Entry)>);

/// A command from control to a poller. Each is answered when it is done.
#[derive(Debug)]
pub(in crate::engine) enum Command {
    AddPool(Arc<Pool>, PollerIndex),
    AddRx(Box<RxQueue>, oneshot::Sender<Result<(), Errno>>),
    AddTx(Box<TxQueue>, oneshot::Sender<Result<(), Errno>>),
    SetPeer(PeerKey, Kind, Arc<[TxPlace]>, Option<Egress>),
    RemovePeer(PeerKey),
    TakeRx(QueueKey, oneshot::Sender<Option<Box<RxQueue>>>),
    TakeTx(QueueKey, oneshot::Sender<Option<Box<TxQueue>>>),
    /// Visits a receive queue no more, until it is moved.
    Park(QueueKey),
    /// Hands a receive queue and its pool to another poller.
    MoveRx(QueueKey, PollerIndex, oneshot::Sender<Result<(), Errno>>),
    /// The owner of the pool forgets it as soon as nothing of it is lent.
    RetirePool(PoolSlot),
    ForgetPool(PoolSlot),
    SetAction(QueueKey, Action),
    /// Frames that are held so far are lost.
    SetHoldPool(QueueKey, Option<Arc<Pool>>),
    SetSegmentPool(QueueKey, Option<Arc<Pool>>),
    SetRxMode(QueueKey, RxMode),
    SetAdmin(QueueKey, bool),
    SetCapture(QueueKey, Option<Box<Capture>>),
    SetLink(QueueKey, bool),
    SetMtus(QueueKey, Mtus),
    Stop(QueueKey, StopReason),
    Resume(QueueKey),
    Empty(QueueKey, oneshot::Sender<bool>),
    Revive(QueueKey, Box<dyn QueueDevice>, oneshot::Sender<Option<Result<(), Errno>>>),
    SetDomain(DomainKey, Settings, Arc<[Member]>),
    RemoveDomain(DomainKey),
    FlushMacs(DomainKey, Option<PeerKey>),
    Macs(DomainKey, oneshot::Sender<Macs>),
    /// What a command says of a MAC.
    GiveMac(DomainKey, [u8; 6], Option<Entry>),
    /// What another poller has learned.
    Hear(Arc<[News]>),
    /// Does nothing: it is answered when all commands before it are done.
    CatchUp,
    Shutdown,
}

impl Command {
    /// The queue that it is about.
    pub(super) const fn queue(&self) -> Option<QueueKey> {
        match self {
            Self::TakeRx(key, _)
            | Self::TakeTx(key, _)
            | Self::Park(key)
            | Self::MoveRx(key, ..)
            | Self::SetAction(key, _)
            | Self::SetHoldPool(key, _)
            | Self::SetSegmentPool(key, _)
            | Self::SetRxMode(key, _)
            | Self::SetAdmin(key, _)
            | Self::SetMtus(key, _)
            | Self::SetCapture(key, _)
            | Self::SetLink(key, _)
            | Self::Stop(key, _)
            | Self::Resume(key)
            | Self::Empty(key, _)
            | Self::Revive(key, ..) => Some(*key),
            _ => None,
        }
    }
}

/// A command, and the channel that hears when it is done.
pub(super) type Given = (Command, Option<oneshot::Sender<()>>);
type Commands = Vec<Given>;

/// One poller's inbox.
#[derive(Debug)]
pub(in crate::engine) struct Inbox {
    /// None once the poller has ended: commands are then dropped, and their senders hear it.
    commands: Mutex<Option<Commands>>,
    waiting: AtomicBool,
    bell: Bell,
}

impl Inbox {
    pub(in crate::engine) fn new() -> Result<Self, Errno> {
        Ok(Self {
            commands: Mutex::new(Some(Vec::new())),
            waiting: AtomicBool::new(false),
            bell: Bell::new()?,
        })
    }

    pub(in crate::engine) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.file()
    }

    /// Adds a command; `done` hears when it was carried out.
    pub(in crate::engine) fn send(&self, command: Command, done: Option<oneshot::Sender<()>>) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(list) = commands.as_mut() else { return };
        list.push((command, done));
        drop(commands);
        self.waiting.store(true, Ordering::Release);
        self.ring();
    }

    /// As [`send`](Self::send), from a poller, which does not wait: `false` where another thread is
    /// adding a command.
    pub(in crate::engine) fn send_now(&self, command: Command) -> bool {
        let mut commands = match self.commands.try_lock() {
            Ok(commands) => commands,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        let Some(list) = commands.as_mut() else { return true };
        list.push((command, None));
        drop(commands);
        self.waiting.store(true, Ordering::Release);
        self.ring();
        true
    }

    /// The poller ends.
    pub(in crate::engine) fn close(&self) {
        *self.commands.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Wakes the poller if it sleeps. Call it after storing what the poller should see.
    pub(in crate::engine) fn ring(&self) {
        self.bell.ring();
    }

    /// Announces that the poller is about to sleep. The poller then checks for work once more.
    pub(in crate::engine) fn fall_asleep(&self) {
        self.bell.fall_asleep();
    }

    /// The poller is awake.
    pub(in crate::engine) fn wake_up(&self) {
        self.bell.wake_up();
    }

    pub(in crate::engine) fn has_commands(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes the commands; none while another thread is adding one, because the poller does not
    /// wait for the lock: it looks again in its next loop.
    pub(super) fn take(&self) -> Commands {
        let mut commands = match self.commands.try_lock() {
            Ok(commands) => commands,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Commands::new(),
        };
        self.waiting.store(false, Ordering::Relaxed);
        commands.as_mut().map(std::mem::take).unwrap_or_default()
    }
}
