//! Typical data, made up in memory for calibration and benchmarks.

use crate::job::{JobParams, Sample};
use crate::kernels::stats::{Number, StatsParams, StatsRequest};
use crate::random::{SplitMix64, bell};

/// A job over `units` made-up numbers of the variant's type, count to standard deviation. Floats are of both signs and
/// bell-shaped, integers of all magnitudes.
///
/// # Panics
/// Where the variant is none of the kind's.
pub(super) fn sample(sample: &Sample) -> Box<dyn JobParams> {
    let mut random = SplitMix64(sample.seed);
    let bits = std::iter::repeat_with(|| random.next_u64());
    match sample.variant {
        "f32" => params(sample, bits, |bits| bell(bits) as f32),
        "f64" => params(sample, bits, bell),
        "i32" => params(sample, bits, |bits| bits as i32),
        "i64" => params(sample, bits, |bits| bits as i64),
        "u32" => params(sample, bits, |bits| bits as u32),
        "u64" => params(sample, bits, |bits| bits),
        other => panic!("`{other}` is no variant of stats"),
    }
}

fn params<T: Number>(
    sample: &Sample,
    bits: impl Iterator<Item = u64>,
    number: impl Fn(u64) -> T,
) -> Box<dyn JobParams> {
    let values = bits.take(sample.units as usize).map(number).collect();
    Box::new(StatsParams::of_values(values, StatsRequest::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::stats::KIND;

    #[test]
    fn every_variant_has_a_sample_of_its_type_and_size() {
        for variant in KIND.variants {
            let job = sample(&Sample { variant, units: 1000, seed: 1 });
            let work = job.bind(&Default::default()).unwrap().kernel().unwrap().work();
            assert_eq!((work.variant.as_str(), work.units), (*variant, 1000));
            assert!(job.in_memory());
        }
    }
}
