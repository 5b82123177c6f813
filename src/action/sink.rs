//! The default action: frames end here.

use super::Verdict;

/// Takes the frame.
pub const fn visit() -> Verdict {
    Verdict::Consume
}
