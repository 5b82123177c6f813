//! A tap as a port: its files and all that is known of its host side.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use super::Baseline;
use super::carrier::Carrier;
use super::look::{HostSide, Label, Lookup};
use crate::api::Level;
use crate::device::PortFiles;
use crate::host::link::LinkStats;
use crate::host::{HostFacts, Offloads};
use crate::units::HostOffload;

/// What is known of the host side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Looked at by its create; events between that look and its entry in the registry were missed.
    AtCreate,
    /// As the last event or look said.
    Current,
    /// The last look failed; the known facts are older.
    Stale,
}

/// Where a device is, as events of the kernel say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct Place {
    /// Number of its namespace in the staging namespace.
    pub(in crate::control) nsid: i32,
    /// Its index there.
    pub(in crate::control) ifindex: u32,
}

/// Whether a device outlives its interface, and what it keeps alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::control) struct Stay {
    /// It stays when nobody holds it.
    pub(in crate::control) persist: bool,
    /// It was there before us.
    pub(in crate::control) attached: bool,
    /// Our file keeps alive the namespace that it was attached to in.
    pub(in crate::control) pinned: bool,
}

/// A tap or tun device.
#[derive(Debug)]
pub(in crate::control) struct TapPort {
    pub(super) files: PortFiles,
    /// What the host may send us.
    pub(in crate::control) offloads: Offloads,
    /// What it was asked to leave undone.
    pub(in crate::control) offload: HostOffload,
    /// The namespace that it was created in, if the creator named one.
    label: Option<Label>,
    /// The host side when it was last looked at.
    pub(super) side: HostSide,
    seen: Seen,
    pub(in crate::control) carrier: Carrier,
    pub(in crate::control) stay: Stay,
    /// Frames that it had dropped at `clear interfaces`, and at `clear errors`.
    cleared: u64,
    cleared_errors: u64,
}

impl TapPort {
    /// A device that its create has looked at.
    pub(super) fn new(
        files: PortFiles,
        (offload, offloads): (HostOffload, Offloads),
        stay: Stay,
        label: Option<Label>,
        side: HostSide,
    ) -> Self {
        Self {
            files,
            offloads,
            offload,
            label,
            side,
            seen: Seen::AtCreate,
            carrier: Carrier::default(),
            stay,
            cleared: 0,
            cleared_errors: 0,
        }
    }

    /// The facts of the last look.
    pub(in crate::control) const fn facts(&self) -> &HostFacts {
        &self.side.facts
    }

    /// What the host side's namespace was called at the last look; none is the holder's own.
    pub(in crate::control) fn namespace(&self) -> Option<&str> {
        self.side.namespace.as_deref()
    }

    /// Where it was at the last look; none where its namespace has no number.
    pub(in crate::control) fn place(&self) -> Option<Place> {
        Some(Place { nsid: self.side.nsid?, ifindex: self.side.facts.ifindex })
    }

    /// Whether only a new look can tell how it is.
    pub(in crate::control) fn is_unsure(&self) -> bool {
        self.seen != Seen::Current
    }

    /// Keeps what the host may send us now.
    pub(in crate::control) const fn set_offloads(
        &mut self,
        offload: HostOffload,
        offloads: Offloads,
    ) {
        (self.offload, self.offloads) = (offload, offloads);
    }

    /// Keeps the speed that was set.
    pub(in crate::control) const fn set_speed(&mut self, mbps: u32) {
        self.side.facts.speed = Some(mbps);
    }

    /// Its first file, to ask about the device; none once the files were taken.
    pub(in crate::control) fn file(&self) -> Option<Arc<OwnedFd>> {
        self.files.0.first().cloned()
    }

    /// As [`TapPort::file`], without keeping the device.
    pub(in crate::control) fn weak_file(&self) -> Option<Weak<OwnedFd>> {
        self.files.0.first().map(Arc::downgrade)
    }

    /// What it takes to look at it again.
    pub(in crate::control) fn lookup(&self) -> Lookup {
        let known = self.side.nsid.map(|nsid| (self.side.facts.namespace, nsid));
        Lookup { file: self.file(), label: self.label.clone(), known }
    }

    /// Keeps what a look found; what others did to the host side that is worth remembering.
    pub(in crate::control) fn renew(&mut self, side: HostSide) -> Vec<(Level, String)> {
        let before = std::mem::replace(&mut self.side, side);
        self.seen = Seen::Current;
        if self.side.facts.up {
            self.carrier.seen(self.side.facts.lower_up);
        }
        news(&before.facts, &self.side)
    }

    /// A look failed; whether the one before it had not.
    pub(in crate::control) fn look_failed(&mut self) -> bool {
        std::mem::replace(&mut self.seen, Seen::Stale) != Seen::Stale
    }

    /// What the kernel counted in the place that it was asked about, if the device is still there.
    pub(in crate::control) fn count(&mut self, place: Place, stats: LinkStats) {
        if self.place() == Some(place) {
            self.side.facts.stats = stats;
        }
    }

    /// Frames that the host dropped before they came here, since then.
    pub(in crate::control) const fn dropped(&self, since: Baseline) -> u64 {
        let baseline = match since {
            Baseline::Counters => self.cleared,
            Baseline::Errors => self.cleared_errors,
        };
        self.side.facts.stats.tx_dropped.saturating_sub(baseline)
    }

    pub(super) const fn clear(&mut self, which: Baseline) {
        let now = self.side.facts.stats.tx_dropped;
        match which {
            Baseline::Counters => self.cleared = now,
            Baseline::Errors => self.cleared_errors = now,
        }
    }
}

/// What others did to a host side.
fn news(before: &HostFacts, side: &HostSide) -> Vec<(Level, String)> {
    let now = &side.facts;
    let mut news = Vec::new();
    if before.name != now.name {
        let text = format!("host side renamed from {} to {}", before.name, now.name);
        news.push((Level::Warn, text));
    }
    if before.namespace != now.namespace {
        let namespace = side.namespace.as_deref().unwrap_or("of the holder");
        news.push((Level::Warn, format!("host side moved to namespace {namespace}")));
    }
    if before.mtu != now.mtu {
        let text = format!("host side's MTU changed from {} to {}", before.mtu, now.mtu);
        news.push((Level::Warn, text));
    }
    match (before.up, now.up) {
        (true, false) => news.push((Level::Warn, "host side set down".to_owned())),
        // The lookup works again.
        (false, true) => news.push((Level::Notice, "host side set up".to_owned())),
        _ => {}
    }
    news
}
