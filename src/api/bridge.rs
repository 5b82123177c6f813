//! `create bridge-domain`, `set bridge-domain`, `l2fib …`, and what is shown of bridge domains.

use serde::{Deserialize, Serialize};

use super::{InterfaceRef, wire};
use crate::diag::{Code, Failure};
use crate::units::{BridgeDomainId, IfName, MacAddr, SwIfIndex, Tag};

/// What to do with a bridge domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BridgeRequest {
    /// `create bridge-domain N …`: it must not exist.
    Create(BridgeSettings),
    /// `create bridge-domain N del`, `delete bridge-domain N`.
    Delete {
        /// The domain.
        bd_id: BridgeDomainId,
        /// Its members return to layer 3; without this, one that has members is kept.
        #[serde(default, deserialize_with = "wire::nullable")]
        members: bool,
    },
    /// `set bridge-domain …`.
    Set {
        /// The domain.
        bd_id: BridgeDomainId,
        /// What changes.
        change: BridgeChange,
    },
}

/// A bridge domain to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BridgeSettings {
    /// Its number.
    pub bd_id: BridgeDomainId,
    /// Learn behind which member a source is.
    #[serde(default = "yes")]
    pub learn: bool,
    /// Send frames for known MACs to their member.
    #[serde(default = "yes")]
    pub forward: bool,
    /// Flood frames for unknown MACs.
    #[serde(default = "yes")]
    pub uu_flood: bool,
    /// Flood frames for groups.
    #[serde(default = "yes")]
    pub flood: bool,
    /// Minutes without a frame after which a learned MAC is forgotten; 0 is never.
    #[serde(default, deserialize_with = "wire::nullable")]
    pub mac_age: u8,
    /// A text to know it by.
    #[serde(default)]
    pub tag: Option<Tag>,
}

const fn yes() -> bool {
    true
}

impl BridgeSettings {
    /// A domain as VPP makes it: everything on, nothing ages.
    pub const fn new(bd_id: BridgeDomainId) -> Self {
        Self {
            bd_id,
            learn: true,
            forward: true,
            uu_flood: true,
            flood: true,
            mac_age: 0,
            tag: None,
        }
    }
}

/// A change of a bridge domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BridgeChange {
    /// `set bridge-domain learn N [disable]`.
    Learn(bool),
    /// `set bridge-domain forward N [disable]`.
    Forward(bool),
    /// `set bridge-domain uu-flood N [disable]`.
    UuFlood(bool),
    /// `set bridge-domain flood N [disable]`.
    Flood(bool),
    /// `set bridge-domain mac-age N MINUTES`.
    MacAge(u8),
}

/// What to do with the MACs that bridge domains know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum L2FibRequest {
    /// `l2fib add MAC N IF [static]`, `l2fib add MAC N filter`.
    Add {
        /// The MAC.
        mac: MacAddr,
        /// The domain.
        bd_id: BridgeDomainId,
        /// The member behind which it is; none for a filter.
        interface: Option<InterfaceRef>,
        /// No frame moves it to another member.
        #[serde(default, deserialize_with = "wire::nullable")]
        static_mac: bool,
    },
    /// `l2fib del MAC N`.
    Del {
        /// The MAC.
        mac: MacAddr,
        /// The domain.
        bd_id: BridgeDomainId,
    },
    /// `l2fib flush-mac bridge-domain N`: forgets what was learned there.
    FlushDomain(BridgeDomainId),
    /// `l2fib flush-mac interface IF`: forgets what was learned behind it.
    FlushInterface(InterfaceRef),
    /// `l2fib flush-mac all`: forgets what was learned anywhere.
    FlushAll {},
    /// `clear l2fib`: forgets everything, what commands have added too.
    Clear {},
}

/// A bridge domain as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeDomain {
    /// Its number, which is its index too.
    pub bd_id: BridgeDomainId,
    /// How often what it had learned was flushed, modulo 256.
    pub flushes: u8,
    /// It learns behind which member a source is.
    pub learn: bool,
    /// It sends frames for known MACs to their member.
    pub forward: bool,
    /// It floods frames for unknown MACs.
    pub uu_flood: bool,
    /// It floods frames for groups.
    pub flood: bool,
    /// Minutes without a frame after which a learned MAC is forgotten; 0 is never.
    pub mac_age: u8,
    /// The text of `bd-tag`.
    pub tag: Option<Tag>,
    /// Its members, in the order of their numbers.
    pub members: Vec<BridgeMember>,
}

/// A member of a bridge domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeMember {
    /// The interface.
    pub name: IfName,
    /// Its number.
    pub sw_if_index: SwIfIndex,
    /// Its split-horizon group: members of one group do not reach each other; 0 is none.
    pub shg: u8,
    /// What is done with the VLAN tags of its frames: `none`, or as `pop-1`; undone on the way out.
    pub tag_rewrite: String,
}

/// What a bridge domain knows of a MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct L2FibEntry {
    /// The MAC.
    pub mac: MacAddr,
    /// The domain.
    pub bd_id: BridgeDomainId,
    /// The member behind which it is; null for a filter.
    pub name: Option<IfName>,
    /// The member's number.
    pub sw_if_index: Option<SwIfIndex>,
    /// It was learned from a frame; false: a command has added it, and it does not age.
    pub learned: bool,
    /// No frame moves it to another member.
    pub static_mac: bool,
    /// Frames from and to it are dropped.
    pub filter_mac: bool,
    /// Whole seconds since the last frame from it; null where it does not age.
    pub age_seconds: Option<u64>,
    /// It is forgotten after so many minutes; 0 is never.
    pub mac_age: u8,
}

/// The refusal where there is no such domain.
pub fn no_such_domain(bd_id: BridgeDomainId) -> Failure {
    Failure::new(Code::NotFound, "", format!("No such bridge domain {bd_id}"))
}

/// Which MACs to show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum L2FibKind {
    /// All.
    #[default]
    All,
    /// Learned ones.
    Learn,
    /// Those that commands have added.
    Add,
}
