//! Random numbers that are the same in every run with the same seed: SplitMix64 (Steele, Lea, Flood:
//! Fast splittable pseudorandom number generators, 2014).

use crate::units::Share;

/// The generator; every seed is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Random(u64);

impl Random {
    /// Begins with this seed.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 where that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next()) * u128::from(bound);
        // The upper half of a product is below either factor.
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// Whether a frame is one of this share. A share of none takes no number.
    pub(super) fn hits(&mut self, share: Share) -> bool {
        !share.is_none() && self.below(Share::WHOLE.into()) < share.billionths().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_reference() {
        // The first ones of the published generator for seed 1234567.
        let mut random = Random::new(1_234_567);
        let first = [(); 3].map(|()| random.next());
        assert_eq!(
            first,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_share_is_hit_as_often_as_it_says_and_the_bounds_are_exact() {
        let mut random = Random::new(0);
        let share = |text: &str| text.parse::<Share>().unwrap();
        let mut count = |share| (0..100_000).filter(|_| random.hits(share)).count();
        assert_eq!((count(share("0%")), count(share("100%"))), (0, 100_000));
        // 3 sigma of 100000 draws at 10 %: 285.
        assert!(count(share("10%")).abs_diff(10_000) < 285);
        assert_eq!(random.below(0), 0);
        assert!((0..1_000).all(|_| random.below(3) < 3));
    }
}
