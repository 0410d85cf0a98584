//! From exact sums and found elements to the numbers of the answer, each rounded once.

use num_bigint::{BigInt, BigUint};
use num_traits::ToPrimitive;

use crate::exact::{Dyadic, nearest_f64, nearest_sqrt_f64};
use crate::kernels::stats::found::Found;
use crate::kernels::stats::{
    Column, ColumnStats, HistogramCounts, Layout, Moments, QuantileValue, Scalar, StatsRequest,
};

/// The statistics of a column of which everything is found.
pub(super) fn column(column: &Column, layout: &Layout, request: &StatsRequest, found: &Found) -> ColumnStats {
    let Some(moments) = &found.moments else { unreachable!("the first pass gathers moments") };
    let element = |key| Scalar::from_key(layout.dtype, key).filter(|_| moments.count > 0);
    let exact_sum = moments.sum.to_dyadic();
    let (variance, std) = spread(moments, &exact_sum, request.ddof);
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
        sum: sum(layout, moments, &exact_sum),
        mean: mean(moments, &exact_sum),
        variance,
        std,
        ddof: request.ddof,
        quantiles: request.quantiles.iter().map(quantile).collect(),
        histogram,
    }
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
