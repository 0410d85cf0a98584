//! Random numbers for made-up data, for cuts that are tried, and for tests: the same from the same seed, everywhere.

/// The generator SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014), with its seed. No
/// secret is safe with it.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(pub u64);

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

impl SplitMix64 {
    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// The number at this index of those from seed 0, the first at 0.
    #[cfg(test)]
    pub fn at(index: u64) -> u64 {
        Self(index.wrapping_mul(STEP)).next_u64()
    }
}

/// The sum of three uniform numbers that these bits give, about 0, scaled so that all bits of the significand are in use.
pub(crate) fn bell(bits: u64) -> f64 {
    let third = |shift: u32| (bits >> shift & 0x1f_ffff) as f64 / f64::from(1 << 20) - 1.0;
    (third(0) + third(21) + third(42)) * std::f64::consts::FRAC_1_SQRT_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_its_authors_publish() {
        // The first of seed 0 and 1234567, as in the reference implementation's test vectors.
        let mut zero = SplitMix64(0);
        assert_eq!([zero.next_u64(), zero.next_u64()], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
        assert_eq!([SplitMix64::at(0), SplitMix64::at(1)], [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4]);
        assert_eq!(SplitMix64(1_234_567).next_u64(), 6_457_827_717_110_365_317);
    }
}
