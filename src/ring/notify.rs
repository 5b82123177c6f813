//! Notification suppression: whether the other side wants to be notified of a step.

/// Whether moving an index from `old` to `new` passed `event`, modulo 2^16
/// ([VIRTIO-1.3 §2.7.10] "Available Buffer Notification Suppression").
pub(super) const fn passed(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Flag word value of either ring: do not notify me. Ignored once EVENT_IDX is acknowledged.
pub(super) const NO_NOTIFICATION: u16 = 1;

#[cfg(test)]
mod tests {
    use super::passed;

    #[test]
    fn an_event_is_passed_exactly_when_it_lies_between_old_and_new_also_across_the_wrap() {
        for start in [0_u16, 1, 100, 65_000, 65_530, 65_535] {
            for step in 0_u16..20 {
                let new = start.wrapping_add(step);
                for offset in 0_u16..40 {
                    let event = start.wrapping_sub(10).wrapping_add(offset);
                    let within = (0..step).any(|i| start.wrapping_add(i) == event);
                    assert_eq!(passed(event, new, start), within, "{event} {new} {start}");
                }
            }
        }
    }
}
