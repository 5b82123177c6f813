//! Names that are there at the moment of the TAB.

use std::cell::RefCell;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use clap_complete::engine::{
    ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use tokio::time::timeout;

use super::reach::Reach;
use super::world::block_on;
use crate::api::{Action, Interface, Outcome, Reply, Request, ShowRequest, SubInterface};
use crate::holder::Client;

/// Where `ip netns` keeps its names.
const NAMESPACES: &str = "/run/netns";

/// Most processes that `pid:` offers.
const PROCESSES_MAX: usize = 64;

/// How long a holder may take to say what it has: people wait at their keyboards.
const PATIENCE: Duration = Duration::from_secs(1);

thread_local! {
    /// Which holder the line is about. The engine asks for names without saying for which line.
    static REACH: RefCell<Reach> = RefCell::new(Reach::default());

    /// The interfaces as the shell knows them.
    static KNOWN: RefCell<Option<Vec<Seen>>> = const { RefCell::new(None) };

    /// The interface whose addresses the line is about.
    static LOSING: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What of an interface is worth offering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its name.
    pub name: String,
    /// Its number.
    pub sw_if_index: String,
    /// Our side's addresses.
    pub addresses: Vec<String>,
    /// The bridge domain that it is a member of.
    pub domain: Option<String>,
}

impl Seen {
    /// An interface and its sub-interfaces.
    pub fn of(interface: &Interface) -> impl Iterator<Item = Self> {
        let sub = |sub: &SubInterface| Self {
            name: sub.name.to_string(),
            sw_if_index: sub.sw_if_index.0.to_string(),
            addresses: Vec::new(),
            domain: match sub.action {
                Action::Bridge(bd_id, _) => Some(bd_id.to_string()),
                _ => None,
            },
        };
        std::iter::once(Self::from(interface)).chain(interface.sub_interfaces.iter().map(sub))
    }
}

impl From<&Interface> for Seen {
    fn from(interface: &Interface) -> Self {
        Self {
            name: interface.name.to_string(),
            sw_if_index: interface.sw_if_index.0.to_string(),
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
            domain: match interface.action {
                Action::Bridge(bd_id, _) => Some(bd_id.to_string()),
                _ => None,
            },
        }
    }
}

/// Sets the known interfaces: then no holder is asked.
pub(super) fn set_known(seen: Option<Vec<Seen>>) {
    KNOWN.set(seen);
}

/// Says from which interface the line takes an address away.
pub(super) fn set_losing(name: Option<String>) {
    LOSING.set(name);
}

/// Sets the holder that is asked for names.
pub(super) fn set_reach(reach: Reach) {
    REACH.set(reach);
}

/// The interfaces of the holder on the control socket; none if no holder answers. Never starts a
/// holder.
fn seen() -> Vec<Seen> {
    if let Some(known) = KNOWN.with_borrow(Clone::clone) {
        return known;
    }
    match ask(ShowRequest::Overview(Vec::new())) {
        Some(Reply::Interfaces(interfaces, _)) => interfaces.iter().flat_map(Seen::of).collect(),
        _ => Vec::new(),
    }
}

/// What the holder on the control socket answers; none where none does.
fn ask(show: ShowRequest) -> Option<Reply> {
    let reach = REACH.with_borrow(Clone::clone);
    let place = if reach.private { None } else { reach.place().ok() };
    let client = Client::new(place?);
    let all = Request::Show(show);
    match block_on(async { Ok(timeout(PATIENCE, client.submit(all)).await) }) {
        Ok(Ok(Ok(Ok(Outcome { reply, .. })))) => Some(reply),
        _ => None,
    }
}

/// For arguments that name an interface.
pub(super) fn interfaces() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        seen().into_iter().map(|interface| CompletionCandidate::new(interface.name)).collect()
    })
}

/// Values that show how such ones are written.
pub(super) fn examples(values: &'static [&'static str]) -> ArgValueCandidates {
    ArgValueCandidates::new(|| values.iter().map(CompletionCandidate::new).collect())
}

/// The bridge domains of the holder, with their members; where the shell knows the interfaces, those
/// that have members.
fn seen_domains() -> Vec<(String, String)> {
    let mut found = std::collections::BTreeMap::<String, Vec<String>>::new();
    if let Some(known) = KNOWN.with_borrow(Clone::clone) {
        for Seen { name, domain, .. } in known {
            if let Some(domain) = domain {
                found.entry(domain).or_default().push(name);
            }
        }
    } else if let Some(Reply::BridgeDomains(all, _)) =
        ask(ShowRequest::BridgeDomains { bd_id: None, detail: true })
    {
        for domain in all {
            let members = domain.members.into_iter().map(|member| member.name.to_string());
            found.insert(domain.bd_id.to_string(), members.collect());
        }
    }
    found.into_iter().map(|(domain, members)| (domain, members.join(", "))).collect()
}

/// For arguments that number a bridge domain.
pub(super) fn domains() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |(domain, members): (String, String)| {
            let help = (!members.is_empty()).then(|| members.into());
            CompletionCandidate::new(domain).help(help)
        };
        seen_domains().into_iter().map(candidate).collect()
    })
}

/// For arguments that number an interface.
pub(super) fn indices() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let candidate = |interface: Seen| {
            CompletionCandidate::new(interface.sw_if_index).help(Some(interface.name.into()))
        };
        seen().into_iter().map(candidate).collect()
    })
}

/// For arguments that name an address of ours that may go.
pub(super) fn addresses() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let Some(losing) = LOSING.with_borrow(Clone::clone) else { return Vec::new() };
        let interface = seen().into_iter().find(|interface| interface.name == losing);
        let addresses = interface.into_iter().flat_map(|interface| interface.addresses);
        addresses.chain(["all".to_owned()]).map(CompletionCandidate::new).collect()
    })
}

/// For arguments that name a network namespace: a name of `ip netns`, a path, `pid:N`.
pub(super) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let Some(begun) = begun.to_str() else { return Vec::new() };
        if begun.starts_with('/') {
            return PathCompleter::any().complete(OsStr::new(begun));
        }
        if begun.starts_with("pid:") {
            let mut found = processes(Path::new("/proc"));
            found.retain(|candidate| starts_with(candidate, begun));
            return found;
        }
        let mut found: Vec<_> =
            entries(Path::new(NAMESPACES)).into_iter().map(CompletionCandidate::new).collect();
        found.push(CompletionCandidate::new("pid:").help(Some("that of a process".into())));
        found.retain(|candidate| starts_with(candidate, begun));
        found
    })
}

/// For arguments that name a bridge.
pub(super) fn bridges() -> ArgValueCandidates {
    ArgValueCandidates::new(|| {
        let devices = Path::new("/sys/class/net");
        let mut names = entries(devices);
        names.retain(|name| devices.join(name).join("bridge").is_dir());
        names.into_iter().map(CompletionCandidate::new).collect()
    })
}

/// For arguments that take a script, `-` for standard input.
pub(super) fn files() -> ArgValueCompleter {
    ArgValueCompleter::new(|begun: &OsStr| {
        let mut found = PathCompleter::file().complete(begun);
        if begun.is_empty() {
            found.push(CompletionCandidate::new("-").help(Some("standard input".into())));
        }
        found
    })
}

fn starts_with(candidate: &CompletionCandidate, begun: &str) -> bool {
    candidate.get_value().to_str().is_some_and(|value| value.starts_with(begun))
}

/// Names in a directory, sorted; none where it cannot be read.
fn entries(directory: &Path) -> Vec<String> {
    let found = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        found.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

/// The first process of each network namespace that is not ours and that we may look at.
fn processes(proc: &Path) -> Vec<CompletionCandidate> {
    let namespace = |process: &str| fs::read_link(proc.join(process).join("ns/net")).ok();
    let mut seen: HashSet<_> = namespace("self").into_iter().collect();
    let mut numbers: Vec<u32> = entries(proc).iter().filter_map(|name| name.parse().ok()).collect();
    numbers.sort_unstable();
    let new = |pid: &u32| namespace(&pid.to_string()).is_some_and(|link| seen.insert(link));
    let first = numbers.into_iter().filter(new).take(PROCESSES_MAX);
    first
        .map(|pid| {
            let called = fs::read_to_string(proc.join(pid.to_string()).join("comm"));
            let called = called.ok().map(|name| crate::render::escape(name.trim()).into_owned());
            CompletionCandidate::new(format!("pid:{pid}")).help(called.map(Into::into))
        })
        .collect()
}
