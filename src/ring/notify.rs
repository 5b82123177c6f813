//! Notification suppression: whether the other side wants to be notified of a step.

use std::num::Wrapping;

/// Whether moving an index from `old` to `new` passed `event`, modulo 2^16
/// ([VIRTIO-1.3 §2.7.10] "Available Buffer Notification Suppression").
pub(super) fn passed(event: Wrapping<u16>, new: Wrapping<u16>, old: Wrapping<u16>) -> bool {
    new - event - Wrapping(1) < new - old
}

/// Flag word value of either ring: do not notify me. Ignored once EVENT_IDX is acknowledged.
pub(super) const NO_NOTIFICATION: u16 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_passed_exactly_when_it_lies_between_old_and_new_also_across_the_wrap() {
        for start in [0_u16, 1, 100, 65_000, 65_530, 65_535].map(Wrapping) {
            for step in 0_u16..20 {
                let new = start + Wrapping(step);
                for offset in 0_u16..40 {
                    let event = start - Wrapping(10) + Wrapping(offset);
                    let within = (0..step).any(|i| start + Wrapping(i) == event);
                    assert_eq!(passed(event, new, start), within, "{event} {new} {start}");
                }
            }
        }
    }
}
