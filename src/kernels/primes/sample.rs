//! Jobs made up for calibration and benchmarks.

use crate::job::Sample;
use crate::kernels::primes::combinatorial::greatest_of_units;
use crate::kernels::primes::wheel::NUMBERS_PER_WORD;
use crate::kernels::primes::{NumberRange, NumbersMode, PrimesParams, RangeMethod, RangeMode};
use crate::random::SplitMix64;

/// Where the sampled range starts: far enough out for every part of the sieve to be at work.
const RANGE_START: u64 = 1_000_000_000_080;

/// A typical job of `sample.units` units: for `numbers` random odd numbers of 64 bits, for `range` the count of a range from
/// 10^12 on, for `combinatorial` the count of all primes below the greatest number that takes so many units, less up to 1,000.
pub(super) fn sample(sample: &Sample) -> PrimesParams {
    if sample.variant == "combinatorial" {
        if sample.units == 0 {
            let none = NumberRange::new(0, 0).expect("an empty range");
            return PrimesParams::Range(none, RangeMode::Count, RangeMethod::Combinatorial);
        }
        // Numbers of each seed are others, and nearly as large.
        let end = greatest_of_units(sample.units) - SplitMix64(sample.seed).next_u64() % 1000;
        let range = NumberRange::new(0, i128::from(end)).expect("it ends before 2^64");
        return PrimesParams::Range(range, RangeMode::Count, RangeMethod::Combinatorial);
    }
    if sample.variant == "range" {
        const { assert!(RANGE_START.is_multiple_of(NUMBERS_PER_WORD), "the range fills its words") };
        let numbers = sample.units.min((u64::MAX - RANGE_START) / NUMBERS_PER_WORD) * NUMBERS_PER_WORD;
        let start = i128::from(RANGE_START);
        let range = NumberRange::new(start, start + i128::from(numbers)).expect("it ends before 2^64");
        return PrimesParams::Range(range, RangeMode::Count, RangeMethod::Sieve);
    }
    let mut random = SplitMix64(sample.seed);
    let numbers: Vec<u64> = (0..sample.units).map(|_| random.next_u64() | 1).collect();
    PrimesParams::Numbers(numbers.into(), NumbersMode::Each)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{BindContext, JobParams};

    #[test]
    fn a_sample_has_as_many_units_as_asked_for_and_depends_on_its_seed() {
        for units in [0, 1, 1000, 50_000, 1_000_000] {
            let kernel = sample(&Sample { variant: "combinatorial", units, seed: 5 });
            let work = kernel.bind(&BindContext::default()).unwrap().kernel().unwrap().work();
            // In steps of 4,096, two of them at least.
            assert!(work.units <= units.next_multiple_of(4096).max(8192), "{units}: {work:?}");
            assert!(work.units * 2 >= units && (work.units > 0) == (units > 0), "{units}: {work:?}");
        }
        for variant in ["numbers", "range"] {
            for units in [0, 1, 1000] {
                let kernel = sample(&Sample { variant, units, seed: 5 })
                    .bind(&BindContext::default())
                    .unwrap()
                    .kernel()
                    .unwrap();
                assert_eq!(kernel.work().units, units, "{variant}");
                assert_eq!(kernel.work().variant, variant);
            }
        }
        let numbers = |seed| format!("{:?}", sample(&Sample { variant: "numbers", units: 9, seed }));
        assert_eq!(numbers(5), numbers(5));
        assert_ne!(numbers(5), numbers(6));
    }

    #[test]
    fn a_range_of_any_length_stays_below_2_to_the_64() {
        assert!(matches!(sample(&Sample { variant: "range", units: u64::MAX, seed: 0 }), PrimesParams::Range(..)));
    }
}
