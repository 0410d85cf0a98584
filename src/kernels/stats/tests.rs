//! The whole kernel against a naive oracle, on every instruction set, cut every way.

use std::cmp::Ordering;

use num_bigint::BigInt;
use num_rational::Ratio;
use num_traits::Float;
use proptest::prelude::*;

use crate::input::Scratch;
use crate::kernels::stats::*;
use crate::kernels::{Answer, FoldContext, Isa, Kernel, Next};

mod exactness;
mod hostile;
mod order;

type BigRational = Ratio<BigInt>;

/// The exact value of a finite number.
fn exact(value: Scalar) -> BigRational {
    match value {
        Scalar::Integer(integer) => BigRational::from_integer(integer.into()),
        float => {
            let (significand, exponent, sign) = float.to_f64().integer_decode();
            let value = BigRational::from_integer(BigInt::from(significand) * sign);
            let power = power_of_two(exponent.unsigned_abs().into());
            if exponent < 0 { value / power } else { value * power }
        }
    }
}

fn power_of_two(exponent: u32) -> BigRational {
    BigRational::from_integer(BigInt::from(1) << exponent)
}

/// A float as a rational, with the infinities where the next numbers would be if exponents went on.
fn stretched(value: f64) -> BigRational {
    match value {
        f64::INFINITY => power_of_two(1024),
        f64::NEG_INFINITY => -power_of_two(1024),
        value => exact(Scalar::F64(value)),
    }
}

/// Whether `rounded` is nearest, ties to even, to a number of which only the comparison with others is known.
fn is_nearest(rounded: f64, compare_to: impl Fn(&BigRational) -> Ordering) -> bool {
    let two = BigRational::from_integer(2.into());
    let even = rounded.to_bits() & 1 == 0;
    let below = rounded == f64::NEG_INFINITY || {
        let middle = (stretched(rounded) + stretched(rounded.next_down())) / &two;
        compare_to(&middle).is_gt() || compare_to(&middle).is_eq() && even
    };
    let above = rounded == f64::INFINITY || {
        let middle = (stretched(rounded) + stretched(rounded.next_up())) / &two;
        compare_to(&middle).is_lt() || compare_to(&middle).is_eq() && even
    };
    below && above
}

#[track_caller]
fn assert_nearest(name: &str, rounded: f64, exact: &BigRational) {
    assert!(is_nearest(rounded, |other| exact.cmp(other)), "{name} {rounded:?} of {exact}");
}

/// An element of some type, for the oracle.
pub(super) trait Tested: Number + std::fmt::Debug {
    fn scalar(self) -> Scalar;
}
macro_rules! tested {
    ($($element:ty => $scalar:expr),*) => {$(
        impl Tested for $element {
            fn scalar(self) -> Scalar {
                $scalar(self.into())
            }
        }
    )*};
}
tested!(f32 => Scalar::F32, f64 => Scalar::F64, i32 => Scalar::Integer, i64 => Scalar::Integer, u32 => Scalar::Integer, u64 => Scalar::Integer);

/// The order of the numbers, -0 below +0.
fn order(a: Scalar, b: Scalar) -> Ordering {
    match (a, b) {
        (Scalar::Integer(a), Scalar::Integer(b)) => a.cmp(&b),
        (a, b) => a.to_f64().total_cmp(&b.to_f64()),
    }
}

fn same(a: Option<Scalar>, b: Option<Scalar>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => std::mem::discriminant(&a) == std::mem::discriminant(&b) && order(a, b).is_eq(),
        (None, None) => true,
        _ => false,
    }
}

/// Checks an answer about `values` number by number, each in the most obvious way.
#[track_caller]
pub(super) fn check<T: Tested>(values: &[T], request: &StatsRequest, answer: &ColumnStats) {
    let missing = request.missing.as_ref().map(|number| number.to_ratio());
    let missing = missing.map(|(numerator, denominator)| BigRational::new(numerator, denominator.into()));
    let is_missing = |value: Scalar| match (&missing, value) {
        (None, _) => false,
        (Some(_), float) if !matches!(float, Scalar::Integer(_)) && !float.to_f64().is_finite() => false,
        (Some(_), Scalar::F32(float)) => float == request.missing.as_ref().unwrap().to_f32(),
        (Some(_), Scalar::F64(float)) => float == request.missing.as_ref().unwrap().to_f64(),
        (Some(missing), integer) => exact(integer) == *missing,
    };
    let all = values.iter().map(|value| value.scalar());
    let mut sorted: Vec<Scalar> = all.filter(|value| !value.to_f64().is_nan() && !is_missing(*value)).collect();
    sorted.sort_by(|a, b| order(*a, *b));
    let count = sorted.len();
    assert_eq!((answer.count, answer.nan_count), (count as u64, (values.len() - count) as u64), "counts");
    assert!(same(answer.min, sorted.first().copied()), "min {:?}", answer.min);
    assert!(same(answer.max, sorted.last().copied()), "max {:?}", answer.max);

    let infinite = |value: &&Scalar| value.to_f64().is_infinite();
    let infinities: f64 = sorted.iter().filter(infinite).map(|value| value.to_f64()).sum();
    let total: BigRational = sorted.iter().filter(|value| !infinite(value)).map(|value| exact(*value)).sum();
    let n = BigRational::from_integer(count.into());
    if sorted.iter().any(|value| infinite(&value)) {
        let agree = |value: f64| value.to_bits() == infinities.to_bits() || value.is_nan() && infinities.is_nan();
        assert!(agree(answer.sum.to_f64()) && agree(answer.mean.unwrap()), "{:?} {:?}", answer.sum, answer.mean);
    } else {
        match answer.sum {
            Scalar::Integer(sum) => assert_eq!(BigRational::from_integer(sum.into()), total),
            Scalar::F64(sum) => assert_nearest("sum", sum, &total),
            Scalar::F32(_) => panic!("a sum is f64"),
        }
        match answer.mean {
            None => assert_eq!(count, 0),
            Some(mean) => assert_nearest("mean", mean, &(&total / &n)),
        }
    }
    if count <= request.ddof as usize {
        assert_eq!((answer.variance, answer.std), (None, None));
    } else if sorted.iter().any(|value| infinite(&value)) {
        assert!(answer.variance.unwrap().is_nan() && answer.std.unwrap().is_nan());
    } else {
        let mean = &total / &n;
        let deviations = sorted.iter().map(|value| exact(*value) - &mean);
        let squares: BigRational = deviations.map(|deviation| &deviation * &deviation).sum();
        let variance = squares / (n - BigRational::from_integer(request.ddof.into()));
        assert_nearest("variance", answer.variance.unwrap(), &variance);
        let std = answer.std.unwrap();
        let zero = BigRational::from_integer(0.into());
        assert!(
            is_nearest(std, |other| if *other < zero { Ordering::Greater } else { variance.cmp(&(other * other)) }),
            "std {std}"
        );
    }
    for (asked, answered) in request.quantiles.iter().zip(&answer.quantiles) {
        check_quantile(&sorted, asked, answered);
    }
    assert_eq!(request.quantiles.len(), answer.quantiles.len());
    match (&request.histogram, &answer.histogram) {
        (None, None) => {}
        (Some(asked), Some(answered)) => check_histogram(&sorted, asked, answered),
        _ => panic!("a histogram where one was asked for"),
    }
}

#[track_caller]
fn check_quantile(sorted: &[Scalar], asked: &Quantile, answered: &QuantileValue) {
    assert_eq!(&answered.q, asked.decimal());
    if sorted.is_empty() {
        return assert_eq!(answered.value, None);
    }
    let (numerator, denominator) = asked.decimal().to_ratio();
    let position = BigRational::new(numerator * (sorted.len() - 1), denominator.into());
    let rank: usize = position.floor().to_integer().try_into().unwrap();
    let weight = position.fract();
    let low = sorted[rank];
    let value = answered.value.unwrap();
    if weight == BigRational::from_integer(0.into())
        || low.to_f64() == sorted[rank + 1].to_f64() && order_of_values(low, sorted[rank + 1]).is_eq()
    {
        return assert!(same(Some(value), Some(low)), "{value:?} {low:?}");
    }
    let high = sorted[rank + 1];
    match (low.to_f64(), high.to_f64()) {
        (f64::NEG_INFINITY, f64::INFINITY) => assert!(value.to_f64().is_nan()),
        (f64::NEG_INFINITY, _) if matches!(low, Scalar::F32(_) | Scalar::F64(_)) => {
            assert_eq!(value.to_f64(), f64::NEG_INFINITY)
        }
        (_, f64::INFINITY) => assert_eq!(value.to_f64(), f64::INFINITY),
        _ => assert_nearest("quantile", value.to_f64(), &(exact(low) + (exact(high) - exact(low)) * weight)),
    }
}

fn order_of_values(a: Scalar, b: Scalar) -> Ordering {
    if a.to_f64().is_infinite() || b.to_f64().is_infinite() { order(a, b) } else { exact(a).cmp(&exact(b)) }
}

#[track_caller]
fn check_histogram(sorted: &[Scalar], asked: &Histogram, answered: &HistogramCounts) {
    let bins = asked.bins() as usize;
    assert_eq!((answered.edges.len(), answered.counts.len()), (bins + 1, bins));
    let half = BigRational::new(1.into(), 2.into());
    let (lo, hi) = match asked.range() {
        Some((lo, hi)) => (exact(Scalar::F64(lo)), exact(Scalar::F64(hi))),
        None if sorted.is_empty() => (BigRational::from_integer(0.into()), BigRational::from_integer(1.into())),
        None => {
            let (lo, hi) = (exact(sorted[0]), exact(sorted[sorted.len() - 1]));
            if lo == hi { (&lo - &half, hi + half) } else { (lo, hi) }
        }
    };
    for (i, edge) in answered.edges.iter().enumerate() {
        let at = &lo + (&hi - &lo) * BigRational::new(i.into(), bins.into());
        assert_nearest("edge", *edge, &at);
    }
    let edges: Vec<BigRational> = answered.edges.iter().map(|edge| exact(Scalar::F64(*edge))).collect();
    let (mut below, mut counts, mut above) = (0, vec![0; bins], 0);
    for value in sorted {
        let position = match value.to_f64() {
            f64::INFINITY if !matches!(value, Scalar::Integer(_)) => bins + 1,
            f64::NEG_INFINITY if !matches!(value, Scalar::Integer(_)) => 0,
            _ => {
                let value = exact(*value);
                let passed = edges.iter().filter(|edge| **edge <= value).count();
                if passed == bins + 1 && value == edges[bins] { bins } else { passed }
            }
        };
        // With an automatic range nothing lies outside, however its ends are rounded.
        let position = if asked.range().is_none() { position.clamp(1, bins) } else { position };
        match position {
            0 => below += 1,
            position if position > bins => above += 1,
            position => counts[position - 1] += 1,
        }
    }
    assert_eq!((answered.below, &answered.counts, answered.above), (below, &counts, above));
}

/// Runs a job on one thread with this instruction set, its rows cut at `cuts`, the partials merged in an order that `seed`
/// shuffles.
fn run_cut(kernel: &StatsKernel, isa: Isa, cuts: &[u64], seed: u64) -> Result<StatsAnswer, String> {
    let rows = kernel.work().units;
    let mut ends: Vec<u64> = cuts.iter().map(|cut| cut % (rows + 1)).chain([0, rows]).collect();
    ends.sort_unstable();
    let mut scratch = Scratch::default();
    let mut pass = kernel.first_pass().map_err(|error| error.message)?;
    loop {
        let mut context = FoldContext { isa, scratch: &mut scratch };
        let mut partials: Vec<StatsPartial> =
            ends.windows(2).map(|cut| kernel.fold(&pass, cut[0]..cut[1], &mut context).unwrap()).collect();
        let mut state = seed;
        while partials.len() > 1 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let from = partials.swap_remove((state >> 33) as usize % partials.len());
            let into = (state >> 17) as usize % partials.len();
            kernel.merge(&mut partials[into], from);
        }
        match kernel.next(&pass, partials.remove(0)).map_err(|error| error.message)? {
            Next::Pass(next) => pass = next,
            Next::Done(answer) => {
                let answer: Box<dyn std::any::Any> = answer;
                return Ok(*answer.downcast().expect("the answer of stats"));
            }
        }
    }
}

fn json(answer: &StatsAnswer) -> String {
    let mut out = Vec::new();
    answer.write_json(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Every instruction set of this machine.
pub(super) fn every_isa() -> Vec<Isa> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| *isa <= Isa::detect()).collect()
}

/// Checks the answer about `values` against the oracle, and that no instruction set and no cut changes its bytes.
#[track_caller]
fn check_job<T: Tested>(values: &[T], request: &StatsRequest, cuts: &[u64], seed: u64) {
    let kernel = StatsKernel::of_values(values.to_vec(), request.clone()).unwrap();
    let whole = run_cut(&kernel, Isa::Portable, &[], 0);
    match &whole {
        Ok(answer) => check(values, request, &answer.columns[0]),
        Err(message) => assert!(message.contains("histogram"), "{message}"),
    }
    let whole = whole.map(|answer| json(&answer));
    if let Ok(json) = &whole {
        serde_json::from_str::<serde_json::Value>(json).unwrap();
    }
    for isa in every_isa() {
        for cuts in [&[], cuts] {
            let cut = run_cut(&kernel, isa, cuts, seed).map(|answer| json(&answer));
            assert_eq!(cut, whole, "{} cut at {cuts:?}, seed {seed}", isa.name());
        }
    }
}

fn request(quantiles: &str, histogram: Option<&str>, missing: Option<&str>, ddof: u32) -> StatsRequest {
    StatsRequest {
        ddof,
        quantiles: quantiles.split_whitespace().map(|text| text.parse().unwrap()).collect(),
        histogram: histogram.map(|text| text.parse().unwrap()),
        missing: missing.map(|text| text.parse().unwrap()),
        ..StatsRequest::default()
    }
}
