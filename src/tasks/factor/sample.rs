//! Jobs made up for benchmarks.

use crate::job::Sample;
use crate::tasks::factor::FactorParams;

/// A random number of as many bits as the variant says, which depends on the seed alone: a job has one number.
pub(super) fn sample(sample: &Sample) -> FactorParams {
    let mut state = sample.seed;
    let high = if sample.variant == "u128" { split_mix(&mut state) } else { 0 };
    let n = u128::from(high) << 64 | u128::from(split_mix(&mut state)).max(1);
    FactorParams::new(n).expect("it is not 0")
}

/// The next number of the generator SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_as_wide_as_its_variant_and_depends_on_its_seed() {
        for seed in 0..1000 {
            assert!(u64::try_from(sample(&Sample { variant: "u64", units: 1, seed }).n()).is_ok());
        }
        let wide = |seed| sample(&Sample { variant: "u128", units: 1, seed }).n();
        assert!((0..10).any(|seed| wide(seed) > 1 << 120));
        assert_eq!(wide(5), wide(5));
        assert_ne!(wide(5), wide(6));
    }
}
