//! The one contract between those who ask (command line, shell, socket) and `control`: a file per
//! verb with its request and its reply, and how replies look as JSON.
//!
//! Requests hold values that were parsed once (`units`) and open files, never paths: whoever asks
//! opens namespaces in its own world. JSON keys are part of the contract; `taptool(8)` lists them.

mod clear;
mod create;
mod delete;
mod gso;
mod interface;
mod namespace;
mod set;
mod show;
mod xconnect;

pub use clear::ClearRequest;
pub use create::{BackendChoice, CreateRequest, PlannedStep};
pub use delete::{DeleteRequest, Deleted};
pub use gso::GsoRequest;
pub use interface::{Action, Interface, Queue, QueueState, RingEntry, State};
pub use namespace::{Namespace, NamespaceSpec};
pub use set::{SetInterface, SetRequest};
pub use show::{ErrorRow, ShowRequest};
pub use xconnect::XconnectRequest;

use std::future::Future;

use serde_json::Value;

use crate::diag::Failure;
pub use crate::units::BackendKind;
use crate::units::{IfName, SwIfIndex};

/// How a command names an interface of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceRef {
    /// By its name.
    Name(IfName),
    /// By its number (`sw_if_index N`).
    Index(SwIfIndex),
}

impl std::fmt::Display for InterfaceRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Index(index) => write!(f, "sw_if_index {index}"),
        }
    }
}

/// Whoever answers requests.
pub trait Submit {
    /// Carries out one request. A request that was begun is carried to its end or undone, so the
    /// future is not dropped while it runs.
    fn submit(&self, request: Request) -> impl Future<Output = Result<Outcome, Failure>>;
}

/// One command, its values checked.
#[derive(Debug)]
pub enum Request {
    /// `create tap`.
    Create(Box<CreateRequest>),
    /// `delete tap`.
    Delete(DeleteRequest),
    /// `gso NAME on|off`, `set tap gso`.
    Gso(GsoRequest),
    /// `xconnect A B [off]`.
    Xconnect(XconnectRequest),
    /// `set interface …`.
    Set(SetRequest),
    /// `show …`.
    Show(ShowRequest),
    /// `clear …`.
    Clear(ClearRequest),
}

/// What came of a command.
#[derive(Debug, Clone)]
pub enum Reply {
    /// The new interface, whole.
    Created(Box<Interface>),
    /// The steps that `dry-run` would take, in order.
    Planned(Vec<PlannedStep>),
    /// What is gone, and what of it could not be undone.
    Deleted(Vec<Deleted>),
    /// Names of the interfaces that changed (gso, xconnect, set, clear).
    Changed(Vec<IfName>),
    /// `show`: one compact table of everything.
    Overview(Vec<Interface>),
    /// `show tap`: VPP's layout; ring entries when `descriptors` was asked for.
    Tap(Vec<Interface>),
    /// `show interface`: VPP's counter table.
    Counters(Vec<Interface>),
    /// `show errors`: a row per interface, direction, queue and reason that lost frames.
    Errors(Vec<ErrorRow>),
}

impl Reply {
    /// The reply as JSON: always an array of objects.
    pub fn to_json(&self) -> Value {
        let named = |name: &IfName| serde_json::json!({ "name": name });
        let array = match self {
            Self::Created(interface) => vec![json(interface)],
            Self::Planned(steps) => steps.iter().map(json).collect(),
            Self::Deleted(gone) => gone.iter().map(json).collect(),
            Self::Changed(names) => names.iter().map(named).collect(),
            Self::Overview(all) | Self::Tap(all) | Self::Counters(all) => {
                all.iter().map(json).collect()
            }
            Self::Errors(rows) => rows.iter().map(json).collect(),
        };
        Value::Array(array)
    }
}

/// Every type here has string keys and no failing serializer, so this cannot be `Null` in practice.
fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

/// A reply and what people should hear beside it (on stderr; `-q` silences it).
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What came of it.
    pub reply: Reply,
    /// Sentences such as why `backend auto` took the user-space one.
    pub notices: Vec<String>,
}

impl From<Reply> for Outcome {
    fn from(reply: Reply) -> Self {
        Self { reply, notices: Vec::new() }
    }
}
