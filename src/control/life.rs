//! The life of an interface as a state machine.
//!
//! # Theory of operation
//! ```text
//!  create ─> Running ── a queue broke ─> Halted ── set up ─> Running
//!              │                           │
//!              ├── the device is gone ─────┴─> HostGone
//!              │                                  │
//!              └── delete ────────────────────────┴─> Deleting ─> (not in the registry)
//! ```
//! *Running*: the backend serves the rings, pollers visit the queues. A queue that broke is stopped
//! at once by its poller and shown as broken; the interface is still running until all its queues
//! and the backend are stopped. *Halted*: nothing runs, the rings are empty; setting the interface up
//! starts it again. *HostGone*: the Linux device is gone, the backend is stopped; the configuration
//! is shown until `delete`, the only operation left. *Deleting*: off the data path; no request finds
//! it, and what the kernel and the pollers report of it is no news. A create that fails has never
//! been in the registry. The administrative state is a setting and no part of this.

/// A state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Running,
    Halted,
    HostGone,
    Deleting,
}

impl Life {
    /// The Linux device is there, and the interface stays: it can be looked at and set up.
    pub(super) const fn is_living(self) -> bool {
        matches!(self, Self::Running | Self::Halted)
    }

    /// Takes what happened; `false`, and no change, where that cannot happen in this state.
    pub(super) const fn step_to(&mut self, next: Self) -> bool {
        let may = match next {
            Self::Running => matches!(self, Self::Halted),
            Self::Halted => matches!(self, Self::Running),
            Self::HostGone => self.is_living(),
            Self::Deleting => !matches!(self, Self::Deleting),
        };
        if may {
            *self = next;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_states_is_a_step_or_is_refused_and_changes_nothing() {
        use Life::{Deleting, Halted, HostGone, Running};
        let steps = [
            (Running, Halted),
            (Halted, Running),
            (Running, HostGone),
            (Halted, HostGone),
            (Running, Deleting),
            (Halted, Deleting),
            (HostGone, Deleting),
        ];
        for from in [Running, Halted, HostGone, Deleting] {
            for to in [Running, Halted, HostGone, Deleting] {
                let mut life = from;
                let taken = life.step_to(to);
                assert_eq!(taken, steps.contains(&(from, to)), "{from:?} to {to:?}");
                assert_eq!(life, if taken { to } else { from });
            }
        }
    }
}
