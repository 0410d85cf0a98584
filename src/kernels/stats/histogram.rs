//! The edges of a histogram, correctly rounded, and the keys at which its cells begin.

use num_bigint::BigInt;

use crate::exact::{Dyadic, nearest_f64};
use crate::input::DType;
use crate::job::JobError;
use crate::kernels::stats::answer::text_of_f64;
use crate::kernels::stats::number::Number;
use crate::kernels::stats::{Bins, Histogram, Layout, Moments, Scalar};

/// The bins of a histogram whose range was given.
///
/// # Errors
/// Where the bins are too narrow to have edges of their own.
pub(super) fn given(layout: &Layout, histogram: &Histogram, (lo, hi): (f64, f64)) -> Result<Bins, JobError> {
    let exact =
        |end| Dyadic::from_f64(end).ok_or_else(|| JobError::bad_input("the range of a histogram must be finite"));
    let edges = edges(&exact(lo)?, &exact(hi)?, histogram.bins())?;
    let mut starts = Vec::with_capacity(edges.len());
    for (i, edge) in edges.iter().enumerate() {
        // The last bin is closed: what lies above it is greater than its edge.
        match least_key(layout.dtype, *edge, i + 1 == edges.len()) {
            Some(key) => starts.push(key),
            None => break,
        }
    }
    Ok(Bins::new(layout.dtype, starts, edges))
}

/// The bins from the least to the greatest value of the data.
///
/// As in numpy, the range of no values is 0 to 1, and that of values that are all equal reaches 0.5 to either side.
/// Nothing lies outside the bins, even where the range's ends are rounded (large integers).
///
/// # Errors
/// Where there are infinities, or the bins are too narrow to have edges of their own.
pub(super) fn automatic(layout: &Layout, histogram: &Histogram, moments: &Moments) -> Result<Bins, JobError> {
    if moments.positive_infinities + moments.negative_infinities > 0 {
        return Err(JobError::bad_input(format!(
            "the data has infinities ({} of +inf, {} of -inf), so a histogram has no automatic range: give one, as in `{}:0..1`",
            moments.positive_infinities,
            moments.negative_infinities,
            histogram.bins(),
        )));
    }
    let end = |key| Scalar::from_key(layout.dtype, key).and_then(Scalar::exact).expect("finite, of a supported type");
    let (lo, hi) = if moments.count == 0 {
        (Dyadic::from_integer(0), Dyadic::from_integer(1))
    } else {
        (end(moments.min_key), end(moments.max_key))
    };
    let (a, b, exp2) = lo.align(&hi);
    let (lo, hi) = if a == b {
        let half = Dyadic { integer: BigInt::from(1), exp2: -1 };
        let (value, half, exp2) = Dyadic { integer: a, exp2 }.align(&half);
        let ends = (Dyadic { integer: &value - &half, exp2 }, Dyadic { integer: &value + half, exp2 });
        if ends.0.nearest_f64() >= ends.1.nearest_f64() {
            let value = text_of_f64(Dyadic { integer: value, exp2 }.nearest_f64());
            let bins = histogram.bins();
            return Err(JobError::bad_input(format!(
                "a histogram of values that are all the same number, near {value}, so large that bins over half a unit \
                 to either side of it are too narrow: give a range, as in `{bins}:LO..HI`"
            )));
        }
        ends
    } else {
        (lo, hi)
    };
    let edges = edges(&lo, &hi, histogram.bins())?;
    let mut starts = vec![0];
    for edge in &edges[1..edges.len() - 1] {
        match least_key(layout.dtype, *edge, false) {
            Some(key) => starts.push(key),
            None => break,
        }
    }
    Ok(Bins::new(layout.dtype, starts, edges))
}

/// Edge `i` is the `f64` nearest to `lo + i * (hi - lo) / bins`.
fn edges(lo: &Dyadic, hi: &Dyadic, bins: u32) -> Result<Vec<f64>, JobError> {
    let (lo, hi, exp2) = lo.align(hi);
    let step = hi - &lo;
    let mut numerator = lo * bins;
    let mut edges: Vec<f64> = Vec::with_capacity(bins as usize + 1);
    for _ in 0..=bins {
        let edge = nearest_f64(&numerator, &bins.into(), exp2);
        if !edge.is_finite() || edges.last().is_some_and(|last| *last >= edge) {
            let first = text_of_f64(edges.first().copied().unwrap_or(edge));
            let last = text_of_f64(edge);
            return Err(JobError::bad_input(format!(
                "a histogram of {bins} bins from {first} has bins that are too narrow: two edges are the same number \
                 ({last}); use fewer bins, or give a wider range, as in `{bins}:LO..HI`"
            )));
        }
        edges.push(edge);
        numerator += &step;
    }
    Ok(edges)
}

/// The least key of an element that is at least `edge`, or above it where `above`; `None` where there is none.
fn least_key(dtype: DType, edge: f64, above: bool) -> Option<u64> {
    macro_rules! float {
        ($float:ty) => {{
            let nearest = edge as $float;
            let there = if above { f64::from(nearest) > edge } else { f64::from(nearest) >= edge };
            let least = if there { nearest } else { nearest.next_up() };
            // Both zeros are the same number, and -0 has the lower key.
            Some(if least == 0.0 { -0.0 } else { least }.key())
        }};
    }
    macro_rules! integer {
        ($integer:ty) => {{
            // Conversion saturates, so edges past every integer stay past them.
            let least = if above { (edge.floor() as i128).saturating_add(1) } else { edge.ceil() as i128 };
            let least = least.max(<$integer>::MIN.into());
            <$integer>::try_from(least).ok().map(Number::key)
        }};
    }
    match dtype {
        DType::F32 => float!(f32),
        DType::F64 => float!(f64),
        DType::I32 => integer!(i32),
        DType::I64 => integer!(i64),
        DType::U32 => integer!(u32),
        DType::U64 => integer!(u64),
        DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("there is no layout of these types"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks against a search through the keys around the edge.
    fn check<T: Number + PartialOrd>(values: &[T], edges: &[f64], compare: impl Fn(T, f64) -> std::cmp::Ordering) {
        for edge in edges {
            for above in [false, true] {
                let least = values.iter().copied().filter(|value| {
                    let order = compare(*value, *edge);
                    order.is_gt() || !above && order.is_eq()
                });
                let least = least.map(Number::key).min();
                let found = least_key(T::DTYPE, *edge, above);
                // Among the listed values, the least one past the edge is the least one whose key is not below.
                let listed =
                    values.iter().map(|value| value.key()).filter(|key| found.is_some_and(|found| *key >= found)).min();
                assert_eq!(listed, least, "{edge:?} {above}");
            }
        }
    }

    const EDGES: [f64; 21] = [
        f64::MIN,
        -1e39,
        -9.3e18,
        -9223372036854775808.0,
        -4294967297.0,
        -2147483648.5,
        -1.5,
        -1.0,
        -1e-60,
        -5e-324,
        -0.0,
        0.0,
        5e-324,
        0.1,
        1.0,
        2147483647.0,
        4294967295.5,
        9223372036854775808.0,
        18446744073709551616.0,
        3.5e38,
        f64::MAX,
    ];

    #[test]
    fn cells_begin_at_the_least_element_past_their_edge() {
        let floats =
            [f64::NEG_INFINITY, f64::MIN, -1.5, -1.0, -5e-324, -0.0, 0.0, 5e-324, 0.1, 1.0, f64::MAX, f64::INFINITY];
        check(&floats, &EDGES, |value, edge| value.partial_cmp(&edge).unwrap());
        let floats = [
            f32::NEG_INFINITY,
            f32::MIN,
            -1.5,
            -1e-45,
            -0.0,
            0.0,
            1e-45,
            0.1,
            0.1f32.next_down(),
            1.0,
            f32::MAX,
            f32::INFINITY,
        ];
        check(&floats, &EDGES, |value, edge| f64::from(value).partial_cmp(&edge).unwrap());
        let order = |value: i128, edge: f64| {
            let (a, b, _) = Dyadic::from_integer(value).align(&Dyadic::from_f64(edge).unwrap());
            a.cmp(&b)
        };
        check(&[i32::MIN, -2, -1, 0, 1, i32::MAX], &EDGES, |value, edge| order(value.into(), edge));
        check(&[i64::MIN, -2, -1, 0, 1, i64::MAX - 1, i64::MAX], &EDGES, |value, edge| order(value.into(), edge));
        check(&[0, 1, u32::MAX - 1, u32::MAX], &EDGES, |value, edge| order(value.into(), edge));
        check(&[0, 1, 1 << 63, u64::MAX], &EDGES, |value, edge| order(value.into(), edge));
    }
}
