//! What a row is likely to cost, by what is asked of it. It decides where a job runs, never the answer. The figures are of
//! one thread of a machine of 2023, a column each, in nanoseconds a row.

use crate::input::DType;
use crate::kernels::stats::{Layout, MomentsUpTo, StatsRequest, brackets, quantiles};

/// To make an element's key and compare it with a bracket or a range; those in one are few.
const RANGES_NS: f64 = 0.6;
/// To count a digit of every key, or to find the range of a key among many,
const DIGIT_NS: f64 = 1.2;
/// and for each doubling of the ranges beyond four.
const SEARCH_NS: f64 = 1.3;
/// To add up third and fourth powers.
const POWERS_NS: f64 = 6.0;
/// To count an element in its bin,
const BIN_NS: f64 = 0.8;
/// and for each doubling of the bins beyond those whose counts stay in a core's nearest caches.
const BINS_NS: f64 = 0.3;
const NEAR_BINS: f64 = 4096.0;

/// What a job asks of its rows, as far as planning goes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cost {
    /// The element type, and what else than moments is asked for.
    pub(super) variant: String,
    pub(super) passes: u32,
    pub(super) ns_per_row: f64,
}

impl Cost {
    /// That of a pass over `rows` of so many columns.
    pub(super) fn of(layout: &Layout, request: &StatsRequest, rows: u64, columns: usize) -> Self {
        let mut variant = layout.dtype.name().to_owned();
        let mut passes = 1;
        let mut ns = moments_ns(layout.dtype);
        if request.moments == MomentsUpTo::Kurtosis {
            variant.push_str(" kurtosis");
            ns += POWERS_NS;
        }
        if !request.quantiles.is_empty() {
            variant.push_str(" quantiles");
            let count = request.quantiles.len();
            let selecting = quantiles::expected_passes(layout, count, rows, columns);
            passes = passes.max(selecting);
            ns += if brackets::pays(rows, count) {
                RANGES_NS * f64::from(selecting)
            } else {
                // The first step has one range; those that follow, one for each element that a quantile lies between.
                let ranges = 2.0 * count as f64;
                let later = DIGIT_NS + SEARCH_NS * (ranges.log2() - 2.0).max(0.0);
                DIGIT_NS + later * f64::from(selecting - 1)
            };
        }
        if let Some(histogram) = &request.histogram {
            variant.push_str(" histogram");
            passes = passes.max(if histogram.range().is_none() { 2 } else { 1 });
            ns += BIN_NS + BINS_NS * (f64::from(histogram.bins()) / NEAR_BINS).log2().max(0.0);
        }
        Self { variant, passes, ns_per_row: ns * columns as f64 / f64::from(passes) }
    }
}

fn moments_ns(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 2.0,
        DType::I64 | DType::U64 => 1.2,
        _ => 0.7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::stats::Histogram;

    fn cost(dtype: DType, quantiles: usize, bins: Option<u32>, columns: usize) -> Cost {
        let request = StatsRequest {
            quantiles: (0..quantiles).map(|i| format!("0.{:03}", i + 1).parse().unwrap()).collect(),
            histogram: bins.map(|bins| Histogram::new(bins, Some((0.0, 1.0))).unwrap()),
            ..StatsRequest::default()
        };
        Cost::of(&Layout::of(dtype).unwrap(), &request, 4_000_000, columns)
    }

    fn all_ns(cost: &Cost) -> f64 {
        cost.ns_per_row * f64::from(cost.passes)
    }

    #[test]
    fn what_is_asked_for_shows_in_the_variant_and_in_the_cost() {
        let plain = cost(DType::F64, 0, None, 1);
        let everything = cost(DType::F64, 4, Some(20), 1);
        assert_eq!((plain.variant.as_str(), plain.passes), ("f64", 1));
        assert_eq!((everything.variant.as_str(), everything.passes), ("f64 quantiles histogram", 2));
        assert_eq!(cost(DType::F32, 0, Some(5), 1).variant, "f32 histogram");
        assert!(all_ns(&everything) > 1.5 * all_ns(&plain), "{everything:?} {plain:?}");
        assert!(all_ns(&cost(DType::F64, 99, None, 1)) > 2.0 * all_ns(&cost(DType::F64, 4, None, 1)));
        assert!(all_ns(&cost(DType::F64, 0, Some(1_000_000), 1)) > all_ns(&cost(DType::F64, 0, Some(2), 1)));
    }

    #[test]
    fn ten_columns_cost_ten_times_as_much_as_one() {
        let ratio = all_ns(&cost(DType::F32, 0, None, 10)) / all_ns(&cost(DType::F32, 0, None, 1));
        assert!((ratio - 10.0).abs() < 1e-9, "{ratio}");
    }
}
