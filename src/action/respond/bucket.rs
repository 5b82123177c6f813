//! How many refusals are sent: a token bucket ([RFC 1812] §4.3.2.8, [RFC 4443] §2.4 (f)).

/// Refusals at once, and in a second.
const TOKENS: u64 = 100;
const NS: u64 = 1_000_000_000;

/// The tokens, in nanoseconds of their making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    saved_ns: u64,
    last_ns: u64,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { saved_ns: NS, last_ns: 0 }
    }
}

impl Bucket {
    /// Takes a token at the time `now_ns`, which does not go back; `false` when there is none.
    pub(super) const fn take(&mut self, now_ns: u64) -> bool {
        let saved = self.saved_ns.saturating_add(now_ns.saturating_sub(self.last_ns));
        self.last_ns = now_ns;
        self.saved_ns = if saved < NS { saved } else { NS };
        let enough = self.saved_ns >= NS / TOKENS;
        if enough {
            self.saved_ns -= NS / TOKENS;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_100_and_then_100_a_second_are_let_through() {
        let mut bucket = Bucket::default();
        let taken = |bucket: &mut Bucket, now| (0..1_000).filter(|_| bucket.take(now)).count();
        assert_eq!(taken(&mut bucket, 5), 100);
        assert_eq!(taken(&mut bucket, 6), 0);
        assert_eq!(taken(&mut bucket, NS / 10 + 6), 10);
        assert_eq!(taken(&mut bucket, 1_000 * NS), 100);
    }
}
