//! Typical data, made up in memory for calibration and benchmarks.

use crate::input::Element;
use crate::job::{JobParams, Sample};
use crate::kernels::corr::{CorrInput, CorrParams, Table};
use crate::random::{SplitMix64, bell};

/// Columns of a sample: few, so that one of many rows fits the memory.
pub(super) const COLUMNS: usize = 16;

/// What a row of a sample adds to the sums: the product of each pair of columns, and the square of each. What a device does for that
/// on top, halves of products and pairs of a panel that nobody asked for, is its own affair.
pub(super) const MULTIPLY_ADDS_PER_ROW: f64 = (COLUMNS * (COLUMNS + 1) / 2) as f64;

/// A job over `units` made-up rows of the variant's type, in columns that have something in common with their neighbours.
///
/// # Panics
/// Where the variant is none of the kind's.
pub(super) fn sample(sample: &Sample) -> Box<dyn JobParams> {
    match sample.variant {
        "f32" => params(sample, |value| value as f32),
        "f64" => params(sample, |value| value),
        "i32" => params(sample, |value| (value * 1e8) as i32),
        "i64" => params(sample, |value| (value * 1e17) as i64),
        "u32" => params(sample, |value| ((value + 8.0) * 1e8) as u32),
        "u64" => params(sample, |value| ((value + 8.0) * 1e17) as u64),
        other => panic!("`{other}` is no variant of corr"),
    }
}

fn params<T: Element>(sample: &Sample, number: impl Fn(f64) -> T) -> Box<dyn JobParams> {
    let mut random = SplitMix64(sample.seed);
    let mut values = Vec::with_capacity(sample.units as usize * COLUMNS);
    for _ in 0..sample.units {
        let mut last = 0.0;
        for _ in 0..COLUMNS {
            last = last * 0.5 + bell(random.next_u64());
            values.push(number(last));
        }
    }
    let table = Table::of_rows(values, COLUMNS).expect("whole rows of a column at least");
    Box::new(CorrParams::of(CorrInput::Here(table)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::corr::KIND;

    #[test]
    fn every_variant_has_a_sample_of_its_type_and_size() {
        for variant in KIND.variants {
            let job = sample(&Sample { variant, units: 100, seed: 1 });
            let work = job.bind(&Default::default()).unwrap().kernel().unwrap().work();
            assert_eq!((work.variant.as_str(), work.units), (*variant, 100));
            assert!(job.in_memory());
            assert_eq!((KIND.operations_per_unit)(variant), Some((0..COLUMNS).map(|at| at + 1).sum::<usize>() as f64));
        }
    }
}
