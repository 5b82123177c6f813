//! `create sub-interfaces`, `delete sub-interfaces`, and what is shown of sub-interfaces.

use serde::{Deserialize, Serialize};

use super::{Action, InterfaceRef};
use crate::diag::Failure;
use crate::units::{Encapsulation, IfName, SwIfIndex};

/// What to do with sub-interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SubInterfaceRequest {
    /// `create sub-interfaces NAME N[-N] …`.
    Create {
        /// The interface that they are parts of.
        interface: InterfaceRef,
        /// The first number: the sub-interface is called NAME.N.
        first: u32,
        /// The last number.
        last: u32,
        /// Which frames are its own; none: those of the VLAN of its number, with one dot1q tag.
        #[serde(default)]
        encapsulation: Option<Encapsulation>,
    },
    /// `delete sub-interfaces NAME.N`.
    Delete {
        /// The sub-interface.
        interface: InterfaceRef,
    },
}

/// Most sub-interfaces that one command makes.
const RANGE_MAX: u32 = 4096;

impl SubInterfaceRequest {
    /// Checks the numbers.
    ///
    /// # Errors
    /// Exit code 2.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Create { first, last, encapsulation, .. } => {
                let several = first != last;
                if first > last || last - first >= RANGE_MAX || (several && encapsulation.is_some())
                {
                    let got = format!("expected ID or ID MIN-MAX, got `{first}-{last}'");
                    return Err(Failure::usage("", got));
                }
                Ok(())
            }
            Self::Delete { .. } => Ok(()),
        }
    }
}

/// A sub-interface: frames of an interface, told apart by their VLAN tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubInterface {
    /// Its name: that of the interface, a dot, and its number.
    pub name: IfName,
    /// Its number among interfaces.
    pub sw_if_index: SwIfIndex,
    /// Which frames are its own, as `create sub-interfaces` takes it: `dot1q 10 exact-match`.
    pub encapsulation: String,
    /// False after `set interface state NAME down`.
    pub admin_up: bool,
    /// What happens to its frames: `sink`, `xconnect PEER`, or `bridge BD-ID`.
    pub action: Action,
    /// What is done with their VLAN tags, `none` or as `pop-1`, `push-1 dot1q 10`, `trans-1-1 dot1q 10`;
    /// undone on the way out.
    pub tag_rewrite: String,
}
