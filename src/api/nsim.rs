//! `set nsim`, `nsim …`, `show nsim`: impaired wires as VPP's network simulator has them.

use serde::{Deserialize, Serialize};

use super::{InterfaceRef, wire};
use crate::diag::Failure;
use crate::units::{BitRate, Delay, IfName, Impairment, Share};

/// What the simulator does to frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NsimSettings {
    /// How long a frame is on the wire; not 0.
    pub delay: Delay,
    /// How much the wire carries: as many frames are on it at a time as that makes of `packet_size`.
    pub bandwidth: BitRate,
    /// Size of a frame that is counted with, bytes, 64…9000.
    pub packet_size: u32,
    /// One of so many frames is lost, at random; 0: none.
    #[serde(default, deserialize_with = "wire::nullable")]
    pub packets_per_drop: u32,
    /// One of so many frames skips the delay, at random; 0: none.
    #[serde(default, deserialize_with = "wire::nullable")]
    pub packets_per_reorder: u32,
}

impl NsimSettings {
    /// Most frames on the wire at a time.
    pub fn limit(&self) -> u32 {
        let bits = u128::from(self.delay.ns()) * u128::from(self.bandwidth.bits()) / 1_000_000_000;
        let frames = bits / 8 / u128::from(self.packet_size.max(1)) + 1;
        u32::try_from(frames).unwrap_or(u32::MAX)
    }

    /// The same as settings of a wire.
    pub fn impairment(&self) -> Impairment {
        Impairment {
            delay: self.delay,
            loss: Share::one_in(self.packets_per_drop),
            reorder: Share::one_in(self.packets_per_reorder),
            limit: Some(self.limit()),
            ..Impairment::default()
        }
    }

    /// Checks what the types let through.
    ///
    /// # Errors
    /// Exit code 2, in VPP's words.
    pub fn check(&self) -> Result<(), Failure> {
        if self.delay.ns() == 0 {
            return Err(Failure::usage("", "invalid delay 0.00"));
        }
        if !(64..=9000).contains(&self.packet_size) {
            let why = format!("invalid packet size {}: 64-9000 bytes", self.packet_size);
            return Err(Failure::usage("", why));
        }
        Ok(())
    }
}

/// A command of the simulator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum NsimRequest {
    /// `set nsim`; wires that follow it change at once.
    Configure(NsimSettings),
    /// `nsim cross-connect enable-disable A B [disable]`.
    CrossConnect {
        /// One end.
        a: InterfaceRef,
        /// The other; not the same.
        b: InterfaceRef,
        /// Take the wire away.
        #[serde(default, deserialize_with = "wire::nullable")]
        disable: bool,
    },
    /// `nsim output-feature enable-disable IF [disable]`.
    OutputFeature {
        /// The interface whose wires are impaired toward it.
        interface: InterfaceRef,
        /// No more.
        #[serde(default, deserialize_with = "wire::nullable")]
        disable: bool,
    },
}

/// The simulator as it is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nsim {
    /// How long a frame is on the wire.
    pub delay: Delay,
    /// What the wire carries.
    pub bandwidth: BitRate,
    /// Size of a frame that is counted with, bytes.
    pub packet_size: u32,
    /// Share of the frames that are lost.
    pub loss: Share,
    /// Share of the frames that skip the delay.
    pub reorder: Share,
    /// Most frames on a wire at a time.
    pub limit: u32,
    /// Interfaces whose received frames it handles: both ends of each `nsim cross-connect`.
    pub cross_connects: Vec<IfName>,
    /// Interfaces with `nsim output-feature`.
    pub output_features: Vec<IfName>,
}
