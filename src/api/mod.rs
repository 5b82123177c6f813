//! The contract between the command line, the shell and the socket on one side and `control` on the
//! other: a file per verb with its request, its reply, and the reply's JSON.
//!
//! Requests hold parsed values (`units`) and open files, never paths: the client opens namespaces, in
//! its own mount namespace and with its own rights. JSON keys are part of the contract;
//! `taptool(8)` lists them.

mod address;
mod answers;
mod bridge;
mod clear;
mod create;
mod delete;
mod gso;
mod interface;
mod monitor;
mod namespace;
mod nsim;
mod pieces;
mod process;
mod queue;
mod set;
mod show;
mod sub_interface;
mod wire;
mod xconnect;

pub use answers::Answers;
pub use bridge::{
    BridgeChange, BridgeDomain, BridgeMember, BridgeRequest, BridgeSettings, L2FibEntry, L2FibKind,
    L2FibRequest, no_such_domain,
};
pub use clear::ClearRequest;
pub use create::{BackendChoice, CreateRequest, PlannedStep, lacked};
pub use delete::{DeleteRequest, Deleted};
pub use gso::GsoRequest;
pub use interface::{Action, Interface, State};
pub use monitor::MonitorRequest;
pub use namespace::{Namespace, NamespaceSpec, shell_word};
pub use nsim::{Nsim, NsimRequest, NsimSettings};
pub use pieces::Piece;
pub use process::{Level, LogRow, NodeRow, PollerRow, ThreadRow, Version};
pub use queue::{Queue, QueueState, RingEntry};
pub use set::{MtuOf, SPEED, SetInterface, SetRequest};
pub use show::{Detail, ErrorRow, ShowRequest, View};
pub use sub_interface::{SubInterface, SubInterfaceRequest};
pub use xconnect::XconnectRequest;

use std::future::Future;
use std::os::fd::{BorrowedFd, OwnedFd};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diag::{Code, Failure};
pub use crate::units::BackendKind;
use crate::units::{BridgeDomainId, IfName, SwIfIndex};

/// How a command names an interface of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterfaceRef {
    /// By its name.
    #[serde(rename = "name")]
    Name(IfName),
    /// By its number (`sw_if_index N`).
    #[serde(rename = "sw_if_index")]
    Index(SwIfIndex),
}

impl InterfaceRef {
    /// Whether it names the interface of this name and number.
    pub fn is(&self, name: &IfName, index: SwIfIndex) -> bool {
        match self {
            Self::Name(named) => named == name,
            Self::Index(numbered) => *numbered == index,
        }
    }

    /// The refusal where there is no such interface.
    pub fn missing(&self) -> Failure {
        Failure::new(Code::NotFound, self.to_string(), "no such interface")
    }
}

impl std::fmt::Display for InterfaceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Index(index) => write!(f, "sw_if_index {index}"),
        }
    }
}

/// Answers requests.
pub trait Submit {
    /// Carries out one request. Once begun, it is finished or undone, so the future must not be
    /// dropped while it runs.
    fn submit(&self, request: Request) -> impl Future<Output = Result<Outcome, Failure>>;

    /// Carries out a request of which [`Request::streams`] may be true, and gives its answers.
    fn stream(&self, request: Request) -> impl Future<Output = Result<Answers, Failure>> {
        async { self.submit(request).await.map(Answers::one) }
    }
}

/// One command, its values checked.
///
/// As JSON it is a varlink call: the method, and its parameters as an object.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "method", content = "parameters")]
pub enum Request {
    /// `create tap`.
    #[serde(rename = "io.taptool.Create")]
    Create(Box<CreateRequest>),
    /// `delete tap`.
    #[serde(rename = "io.taptool.Delete")]
    Delete(DeleteRequest),
    /// `gso NAME on|off`, `set tap gso`.
    #[serde(rename = "io.taptool.Gso")]
    Gso(GsoRequest),
    /// `xconnect A B [off]`.
    #[serde(rename = "io.taptool.Xconnect")]
    Xconnect(XconnectRequest),
    /// `set nsim`, `nsim …`.
    #[serde(rename = "io.taptool.Nsim")]
    Nsim(NsimRequest),
    /// `set interface …`.
    #[serde(rename = "io.taptool.Set")]
    Set(SetRequest),
    /// `show …`.
    #[serde(rename = "io.taptool.Show")]
    Show(ShowRequest),
    /// `create bridge-domain`, `set bridge-domain`.
    #[serde(rename = "io.taptool.Bridge")]
    Bridge(BridgeRequest),
    /// `l2fib …`.
    #[serde(rename = "io.taptool.L2Fib")]
    L2Fib(L2FibRequest),
    /// `create sub-interfaces`, `delete sub-interfaces`.
    #[serde(rename = "io.taptool.SubInterfaces")]
    SubInterface(SubInterfaceRequest),
    /// `clear …`.
    #[serde(rename = "io.taptool.Clear")]
    Clear(ClearRequest),
    /// `monitor`.
    #[serde(rename = "io.taptool.Monitor")]
    Monitor(MonitorRequest),
}

impl Request {
    /// Checks the rules that the types of single values do not enforce.
    ///
    /// # Errors
    /// Exit code 2, naming the value.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.check(),
            Self::Set(set) => set.check(),
            Self::Xconnect(wire) => wire.check(),
            Self::Nsim(NsimRequest::Configure(settings)) => settings.check(),
            Self::SubInterface(request) => request.check(),
            _ => Ok(()),
        }
    }

    /// Whether it can make an interface or a bridge domain. Only such a request starts a holder.
    pub fn creates(&self) -> bool {
        match self {
            Self::Create(create) => !create.dry_run,
            Self::Bridge(bridge) => matches!(bridge, BridgeRequest::Create(_)),
            _ => false,
        }
    }

    /// Whether it has several answers, so that [`Submit::stream`] is the way to ask.
    pub const fn streams(&self) -> bool {
        matches!(self, Self::Monitor(_))
    }

    /// Whether it may change anything.
    pub const fn changes(&self) -> bool {
        !matches!(self, Self::Show(_) | Self::Monitor(_))
    }

    /// The files that travel beside it, in order.
    pub fn files(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Create(create) => create.host_ns.fd().into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Takes the files that came beside it; surplus ones are closed.
    pub fn attach(&mut self, files: Vec<OwnedFd>) {
        if let (Self::Create(create), Some(namespace)) = (self, files.into_iter().next()) {
            create.host_ns.attach(namespace);
        }
    }

    /// How the answer to this is read from what [`Outcome::into_pieces`] made.
    pub fn reader(&self) -> Reader {
        match self {
            Self::Create(create) if create.dry_run => {
                Box::new(|wire| list(wire, "steps").map(Reply::Planned))
            }
            Self::Create(_) => Box::new(|wire| {
                let made = list(wire, "interfaces")?.pop();
                made.map(Reply::Created)
                    .ok_or_else(|| serde::de::Error::missing_field("interfaces"))
            }),
            Self::Delete(_) => Box::new(|wire| list(wire, "interfaces").map(Reply::Deleted)),
            Self::Nsim(NsimRequest::Configure(_)) => {
                Box::new(|wire| list(wire, "nsim").map(Reply::Nsim))
            }
            Self::Gso(_) | Self::Xconnect(_) | Self::Nsim(_) | Self::Set(_) | Self::Clear(_) => {
                Box::new(|wire| {
                    let changed: Vec<Named> = list(wire, "interfaces")?;
                    Ok(Reply::Changed(changed.into_iter().map(|named| named.name).collect()))
                })
            }
            Self::Bridge(request) => {
                let said = matches!(request, BridgeRequest::Create(_));
                Box::new(move |wire| bridges(wire, said))
            }
            Self::L2Fib(_) => Box::new(|wire| bridges(wire, false)),
            Self::SubInterface(request) => {
                let said = matches!(request, SubInterfaceRequest::Create { .. });
                Box::new(move |wire| {
                    let changed: Vec<Named> = list(wire, "interfaces")?;
                    let names = changed.into_iter().map(|named| named.name).collect();
                    Ok(if said { Reply::SubInterfaces(names) } else { Reply::Changed(names) })
                })
            }
            Self::Show(show) => show.reader(),
            Self::Monitor(_) => Box::new(|wire| list(wire, "events").map(Reply::Logging)),
        }
    }
}

/// Reads the wire form of an answer.
pub type Reader = Box<dyn FnOnce(Value) -> serde_json::Result<Reply> + Send>;

/// A list of a wire reply; absent is empty.
fn list<T: serde::de::DeserializeOwned>(
    mut wire: Value,
    key: &'static str,
) -> serde_json::Result<Vec<T>> {
    wire.get_mut(key).map_or_else(|| Ok(Vec::new()), |list| serde_json::from_value(list.take()))
}

fn bridges(wire: Value, said: bool) -> serde_json::Result<Reply> {
    let changed: Vec<Numbered> = list(wire, "bridge_domains")?;
    Ok(Reply::BridgesChanged(changed.into_iter().map(|one| one.bd_id).collect(), said))
}

/// A bridge domain by its number alone.
#[derive(Debug, Serialize, Deserialize)]
struct Numbered {
    bd_id: BridgeDomainId,
}

/// An interface by its name alone.
#[derive(Debug, Serialize, Deserialize)]
struct Named {
    name: IfName,
}

/// The result of a command.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The new interface, whole.
    Created(Box<Interface>),
    /// The steps that `dry-run` would take, in order.
    Planned(Vec<PlannedStep>),
    /// The deleted interfaces, each with the steps that could not be undone.
    Deleted(Vec<Deleted>),
    /// Names of the interfaces that changed (gso, xconnect, set, clear).
    Changed(Vec<IfName>),
    /// Names of new sub-interfaces.
    SubInterfaces(Vec<IfName>),
    /// Interfaces, and how they were asked to be laid out.
    Interfaces(Vec<Interface>, View),
    /// Numbers of the bridge domains that changed; whether to say so, as of a new one.
    BridgesChanged(Vec<BridgeDomainId>, bool),
    /// `show bridge-domain`; whether with members.
    BridgeDomains(Vec<BridgeDomain>, bool),
    /// `show l2fib`; whether each MAC.
    L2Fib(Vec<L2FibEntry>, bool),
    /// `show errors`: a row per interface, direction, queue and reason that lost frames; whether
    /// queues are kept apart.
    Errors(Vec<ErrorRow>, bool),
    /// `show runtime`; whether with queues that moved nothing.
    Runtime(Vec<PollerRow>, bool),
    /// `show threads`.
    Threads(Vec<ThreadRow>),
    /// `set nsim`, `show nsim`: one, or none before it was set.
    Nsim(Vec<Nsim>),
    /// `show logging`, oldest first.
    Logging(Vec<LogRow>),
    /// `show version`; whether with everything.
    Version(Vec<Version>, bool),
}

impl Reply {
    /// The reply as JSON: always an array of objects.
    pub fn to_json(&self) -> Value {
        fn of<T: Serialize>(all: &[T]) -> Value {
            Value::Array(all.iter().map(json).collect())
        }
        match self {
            Self::Created(interface) => of(std::slice::from_ref(interface)),
            Self::Planned(steps) => of(steps),
            Self::Deleted(gone) => of(gone),
            Self::Changed(names) | Self::SubInterfaces(names) => {
                let named = |name: &IfName| Named { name: name.clone() };
                of(&names.iter().map(named).collect::<Vec<_>>())
            }
            Self::Interfaces(all, _) => of(all),
            Self::BridgesChanged(ids, _) => {
                of(&ids.iter().map(|&bd_id| Numbered { bd_id }).collect::<Vec<_>>())
            }
            Self::BridgeDomains(all, _) => of(all),
            Self::L2Fib(all, _) => of(all),
            Self::Errors(rows, _) => of(rows),
            Self::Runtime(pollers, _) => of(pollers),
            Self::Threads(threads) => of(threads),
            Self::Nsim(all) => of(all),
            Self::Logging(rows) => of(rows),
            Self::Version(versions, _) => of(versions),
        }
    }

    /// The interfaces that it contains in full.
    pub fn interfaces_mut(&mut self) -> &mut [Interface] {
        match self {
            Self::Created(interface) => std::slice::from_mut(interface),
            Self::Interfaces(all, _) => all,
            Self::Planned(_)
            | Self::Deleted(_)
            | Self::Changed(_)
            | Self::SubInterfaces(_)
            | Self::BridgesChanged(..)
            | Self::BridgeDomains(..)
            | Self::L2Fib(..)
            | Self::Errors(..)
            | Self::Runtime(..)
            | Self::Threads(_)
            | Self::Nsim(_)
            | Self::Logging(_)
            | Self::Version(..) => &mut [],
        }
    }

    /// The name under which it travels.
    fn key(&self) -> &'static str {
        match self {
            Self::Created(_)
            | Self::Deleted(_)
            | Self::Changed(_)
            | Self::SubInterfaces(_)
            | Self::Interfaces(..) => "interfaces",
            Self::Planned(_) => "steps",
            Self::BridgesChanged(..) | Self::BridgeDomains(..) => "bridge_domains",
            Self::L2Fib(..) => "l2fib",
            Self::Errors(..) => "errors",
            Self::Runtime(..) => "pollers",
            Self::Threads(_) => "threads",
            Self::Nsim(_) => "nsim",
            Self::Logging(_) => "events",
            Self::Version(..) => "versions",
        }
    }
}

/// Every type here has string keys and no failing serializer, so this cannot be `Null` in practice.
fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// A reply and its notes for the user (on stderr; `-q` silences them).
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The result.
    pub reply: Reply,
    /// Sentences, such as why `backend auto` chose userspace.
    pub notices: Vec<String>,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self { reply, notices: Vec::new() }
    }
}
