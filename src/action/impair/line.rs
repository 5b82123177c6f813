//! How long a line of a certain rate takes for frames that come one behind the other.

use crate::units::BitRate;

const NS: u64 = 1_000_000_000;

/// The line: when it has sent what it was given. Exact over any number of frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    rate: BitRate,
    free_ns: u64,
    /// What is behind the nanosecond, in parts of the rate.
    rest: u64,
}

impl Line {
    /// A line that is free.
    pub(super) const fn new(rate: BitRate) -> Self {
        Self { rate, free_ns: 0, rest: 0 }
    }

    /// How long a frame that comes now waits for its turn.
    pub(super) const fn wait_ns(&self, now_ns: u64) -> u64 {
        self.free_ns.saturating_sub(now_ns)
    }

    /// Gives it a frame; says when it will have sent it.
    pub(super) const fn send(&mut self, now_ns: u64, bytes: u64) -> u64 {
        if self.free_ns <= now_ns {
            (self.free_ns, self.rest) = (now_ns, 0);
        }
        // A frame has at most 17 bits of bytes.
        let parts = bytes.saturating_mul(8 * NS).saturating_add(self.rest);
        self.rest = parts % self.rate.bits();
        self.free_ns = self.free_ns.saturating_add(parts / self.rate.bits());
        self.free_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(rate: &str) -> Line {
        Line::new(rate.parse().unwrap())
    }

    #[test]
    fn a_second_of_frames_takes_a_second_to_the_nanosecond() {
        for (rate, bytes) in [("100Mbit", 1_514), ("7Gbit", 61), ("64kbit", 100), ("3Mbit", 60)] {
            let mut line = line(rate);
            let frames = line.rate.bits() / 8;
            let mut last = 0;
            for _ in 0..10_000 {
                last = line.send(0, bytes);
            }
            let exact =
                u128::from(bytes) * 8 * 10_000 * 1_000_000_000 / u128::from(line.rate.bits());
            assert_eq!(u128::from(last), exact, "{rate} {frames}");
        }
    }

    #[test]
    fn a_line_that_was_idle_begins_anew_and_one_that_is_not_keeps_frames_waiting() {
        let mut line = line("8Mbit");
        assert_eq!(line.send(1_000, 1_000), 1_001_000);
        assert_eq!(line.wait_ns(1_000), 1_000_000);
        assert_eq!(line.send(1_000, 1_000), 2_001_000);
        assert_eq!((line.wait_ns(5_000_000), line.send(5_000_000, 1)), (0, 5_001_000));
    }
}
