//! Jobs made up for benchmarks.

use crate::job::Sample;
use crate::random::SplitMix64;
use crate::tasks::factor::FactorParams;

/// A random number of as many bits as the variant says, which depends on the seed alone: a job has one number.
pub(super) fn sample(sample: &Sample) -> FactorParams {
    let mut random = SplitMix64(sample.seed);
    let high = if sample.variant == "u128" { random.next_u64() } else { 0 };
    let n = u128::from(high) << 64 | u128::from(random.next_u64()).max(1);
    FactorParams::new(n).expect("it is not 0")
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
