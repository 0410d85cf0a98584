//! From exact sums and found elements to the numbers of the answer, each rounded once.

use num_bigint::{BigInt, BigUint};
use num_traits::ToPrimitive;

use crate::exact::{Dyadic, FixedPoint, nearest_f64, nearest_sqrt_f64};
use crate::kernels::stats::found::Found;
use crate::kernels::stats::{
    Column, ColumnStats, HigherMoments, HigherSums, HistogramCounts, Layout, Moments, QuantileValue, Scalar,
    StatsRequest,
};

/// The statistics of a column of which everything is found.
pub(super) fn column(column: &Column, layout: &Layout, request: &StatsRequest, found: &Found) -> ColumnStats {
    let Some(moments) = &found.moments else { unreachable!("the first pass gathers moments") };
    let element = |key| Scalar::from_key(layout.dtype, key).filter(|_| moments.count > 0);
    let (sum, mean, (variance, std)) = of_moments(layout, moments, request.ddof);
    let quantile = |quantile: &super::Quantile| QuantileValue {
        q: quantile.decimal().clone(),
        value: found.selection.as_ref().map(|selection| selection.value(layout, quantile, moments.count)),
    };
    let histogram = found.histogram.as_ref().map(|(bins, cells)| HistogramCounts {
        edges: bins.edges.clone(),
        below: cells[0],
        counts: cells[1..=bins.bins].to_vec(),
        above: cells[bins.bins + 1],
    });
    ColumnStats {
        name: column.name.clone(),
        dtype: layout.dtype,
        count: moments.count,
        nan_count: moments.nan_count,
        min: element(moments.min_key),
        max: element(moments.max_key),
        sum,
        mean,
        variance,
        std,
        ddof: request.ddof,
        higher: moments.higher.as_ref().map(|sums| higher(moments, sums)),
        quantiles: request.quantiles.iter().map(quantile).collect(),
        histogram,
    }
}

/// Sum, mean, and variance with standard deviation.
pub(super) fn of_moments(
    layout: &Layout,
    moments: &Moments,
    ddof: u32,
) -> (Scalar, Option<f64>, (Option<f64>, Option<f64>)) {
    let exact_sum = moments.sum.to_dyadic();
    (sum(layout, moments, &exact_sum), mean(moments, &exact_sum), spread(moments, &exact_sum, ddof))
}

/// What a sum with infinities comes to; `None` where there are none.
fn infinite_sum(moments: &Moments) -> Option<f64> {
    match (moments.positive_infinities, moments.negative_infinities) {
        (0, 0) => None,
        (_, 0) => Some(f64::INFINITY),
        (0, _) => Some(f64::NEG_INFINITY),
        _ => Some(f64::NAN),
    }
}

fn sum(layout: &Layout, moments: &Moments, exact: &Dyadic) -> Scalar {
    if layout.float {
        return Scalar::F64(infinite_sum(moments).unwrap_or_else(|| exact.nearest_f64()));
    }
    // No memory holds the 2^63 elements that it would take to pass an i128.
    let whole = &exact.integer << exact.exp2.max(0);
    Scalar::Integer(whole.to_i128().unwrap_or(i128::MAX))
}

fn mean(moments: &Moments, sum: &Dyadic) -> Option<f64> {
    if moments.count == 0 {
        return None;
    }
    Some(infinite_sum(moments).unwrap_or_else(|| nearest_f64(&sum.integer, &moments.count.into(), sum.exp2)))
}

/// Variance and standard deviation: both from the exact `(n Σx² - (Σx)²) / (n (n - ddof))`.
fn spread(moments: &Moments, sum: &Dyadic, ddof: u32) -> (Option<f64>, Option<f64>) {
    let count = moments.count;
    let Some(freedom) = count.checked_sub(ddof.into()).filter(|freedom| *freedom > 0) else {
        return (None, None);
    };
    if moments.finite() < count {
        return (Some(f64::NAN), Some(f64::NAN));
    }
    let squares = moments.squares.to_dyadic();
    let scaled = Dyadic { integer: squares.integer * count, exp2: squares.exp2 };
    let square = Dyadic { integer: &sum.integer * &sum.integer, exp2: 2 * sum.exp2 };
    let (scaled, square, exp2) = scaled.align(&square);
    let numerator: BigInt = scaled - square;
    let denominator = BigUint::from(count) * freedom;
    let variance = nearest_f64(&numerator, &denominator, exp2);
    (Some(variance), Some(nearest_sqrt_f64(numerator.magnitude(), &denominator, exp2)))
}

/// Skewness and kurtosis. With S_k the sum of the k-th powers of n values, and
/// - A = n S2 - S1², which is n² times the variance,
/// - B = n² S3 - 3 n S1 S2 + 2 S1³, which is n³ times the third central moment,
/// - C = n³ S4 - 4 n² S1 S3 + 6 n S1² S2 - 3 S1⁴, which is n⁴ times the fourth,
///
/// the skewness is B / A^(3/2), and the kurtosis C / A² - 3: n falls out, and so does the unit of the values.
fn higher(moments: &Moments, sums: &HigherSums) -> HigherMoments {
    let both = |value| HigherMoments { skewness: value, kurtosis: value };
    if moments.count == 0 {
        return both(None);
    }
    if moments.finite() < moments.count {
        return both(Some(f64::NAN));
    }
    let sums = [&moments.sum, &moments.squares, &sums.cubes, &sums.fourths].map(FixedPoint::to_dyadic);
    let not_zero = sums.iter().zip(1..).filter(|(sum, _)| sum.integer != BigInt::ZERO);
    // In units of a power of two of which the k-th power is in every sum of k-th powers.
    let unit = not_zero.map(|(sum, power)| sum.exp2.div_euclid(power)).min().unwrap_or(0);
    let mut power = 0;
    let [s1, s2, s3, s4] = sums.map(|sum| {
        power += 1;
        if sum.integer == BigInt::ZERO { sum.integer } else { sum.integer << (sum.exp2 - power * unit) }
    });
    let n = BigInt::from(moments.count);
    let a = &n * &s2 - &s1 * &s1;
    if a == BigInt::ZERO {
        return both(Some(f64::NAN));
    }
    let b = (&n * &s3 - &s1 * &s2 * 3) * &n + &s1 * &s1 * &s1 * 2;
    let c = ((&n * &s4 - &s1 * &s3 * 4) * &n + &s1 * &s1 * &s2 * 6) * &n - &s1 * &s1 * &s1 * &s1 * 3;
    let square: BigInt = &a * &a;
    let (b_square, a_cube): (BigInt, BigInt) = (&b * &b, &square * &a);
    let skewness = nearest_sqrt_f64(b_square.magnitude(), a_cube.magnitude(), 0);
    let kurtosis = nearest_f64(&(c - &square * 3), square.magnitude(), 0);
    HigherMoments { skewness: Some(if b < BigInt::ZERO { -skewness } else { skewness }), kurtosis: Some(kurtosis) }
}
