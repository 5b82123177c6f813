//! A bridge domain, as the registry has it.

use std::collections::BTreeMap;

use crate::action::DomainKey;
use crate::action::bridge::{Origin, Settings};
use crate::api::BridgeSettings;
use crate::units::{BridgeDomainId, MacAddr, SwIfIndex};

const NS_PER_MINUTE: u64 = 60_000_000_000;

/// What a command has said of a MAC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    /// None is a filter.
    pub(super) behind: Option<SwIfIndex>,
    pub(super) origin: Origin,
}

/// A bridge domain.
#[derive(Debug)]
pub(super) struct Domain {
    pub(super) settings: BridgeSettings,
    /// `create bridge-domain` made it, and not its first member.
    made: bool,
    pub(super) flushes: u8,
    /// The pollers' name for it; none while they do not know it.
    pub(super) key: Option<DomainKey>,
    pub(super) given: BTreeMap<MacAddr, Given>,
}

impl Domain {
    pub(super) const fn new(settings: BridgeSettings, made: bool) -> Self {
        Self { settings, made, flushes: 0, key: None, given: BTreeMap::new() }
    }

    /// What the pollers are told of it.
    pub(super) fn actions_settings(&self) -> Settings {
        let BridgeSettings { learn, forward, uu_flood, flood, mac_age, .. } = self.settings;
        let age_ns = u64::from(mac_age) * NS_PER_MINUTE;
        Settings { learn, forward, flood, unknown_flood: uu_flood, age_ns }
    }
}

/// The domains of a registry.
pub(super) type Domains = BTreeMap<BridgeDomainId, Domain>;

/// How many domains `create bridge-domain` has made; others live as long as something else does.
pub(super) fn made(domains: &Domains) -> usize {
    domains.values().filter(|domain| domain.made).count()
}
