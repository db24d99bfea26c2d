//! Chance that can be repeated.

/// Numbers from a seed: `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dice(u64);

impl Dice {
    /// The same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The next number as one from 0 to 1, without 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: f64) -> bool {
        self.share() * 100.0 < percent
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next().checked_rem(end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_itself() {
        let numbers = |seed| {
            let mut dice = Dice::new(seed);
            [dice.next(), dice.next(), dice.next()]
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
        // The algorithm's published first number for seed 0.
        assert_eq!(numbers(0)[0], 0xE220_A839_7B1D_CDAF);
    }

    #[test]
    fn chances_are_what_they_say() {
        let mut dice = Dice::new(1);
        let hits = |dice: &mut Dice, percent| (0..10_000).filter(|_| dice.chance(percent)).count();
        assert_eq!(hits(&mut dice, 0.0), 0);
        assert_eq!(hits(&mut dice, 100.0), 10_000);
        let fifth = hits(&mut dice, 20.0);
        assert!((1_800..2_200).contains(&fifth), "{fifth}");
        assert_eq!(dice.below(0), 0);
        assert!((0..1_000).all(|_| dice.below(3) < 3));
    }
}
