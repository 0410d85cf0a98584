//! Typical data, made up in memory for calibration and benchmarks.

use crate::job::{JobParams, Sample};
use crate::kernels::stats::{Number, StatsParams, StatsRequest};

/// A job over `units` made-up numbers of the variant's type, count to standard deviation. Floats are of both signs and
/// bell-shaped, integers of all magnitudes.
///
/// # Panics
/// Where the variant is none of the kind's.
pub(super) fn sample(sample: &Sample) -> Box<dyn JobParams> {
    let bits = Bits(sample.seed);
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

fn params<T: Number>(sample: &Sample, bits: Bits, number: impl Fn(u64) -> T) -> Box<dyn JobParams> {
    let values = bits.take(sample.units as usize).map(number).collect();
    Box::new(StatsParams::of_values(values, StatsRequest::default()))
}

/// The sum of three uniform numbers, about 0, scaled so that all bits of the significand are in use.
fn bell(bits: u64) -> f64 {
    let third = |shift: u32| (bits >> shift & 0x1f_ffff) as f64 / f64::from(1 << 20) - 1.0;
    (third(0) + third(21) + third(42)) * std::f64::consts::FRAC_1_SQRT_2
}

/// Random bits: SplitMix64 (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014).
struct Bits(u64);

impl Iterator for Bits {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Some(mixed ^ mixed >> 31)
    }
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
