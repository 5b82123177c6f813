//! What is known of the carrier of a host side.

/// What is known of a carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::control) struct Carrier {
    /// What `set tap carrier` said last.
    pub(in crate::control) wanted: bool,
    /// What was set last.
    pub(in crate::control) on: bool,
    /// It was found off while it should have been on: others switched it off.
    pub(in crate::control) taken: bool,
}

impl Default for Carrier {
    fn default() -> Self {
        Self { wanted: true, on: true, taken: false }
    }
}

impl Carrier {
    /// Keeps what a look found of a host side that is up.
    pub(in crate::control) const fn seen(&mut self, lower_up: bool) {
        // While it is off by our doing, a look does not tell what others do.
        if self.on {
            self.taken = !lower_up;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_that_others_switched_off_stays_noted_while_it_is_off_by_our_doing_too() {
        let mut carrier = Carrier::default();
        carrier.seen(true);
        assert!(!carrier.taken);
        carrier.on = false;
        carrier.seen(false);
        assert!(!carrier.taken, "off by our own doing");
        carrier.on = true;
        carrier.seen(false);
        assert!(carrier.taken);
        carrier.on = false;
        carrier.seen(false);
        assert!(carrier.taken);
        carrier.on = true;
        carrier.seen(true);
        assert!(!carrier.taken);
    }
}
