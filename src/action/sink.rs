//! The action of an interface that was given nothing to do.

use super::Verdict;

/// Takes the frame.
pub const fn visit() -> Verdict {
    Verdict::Consume
}
