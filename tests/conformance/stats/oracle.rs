//! What `stats` must say, worked out the slow way: big integers for sums, a sort for quantiles, a comparison with every
//! edge for histograms.

use std::cmp::Ordering;
use std::fmt::Write;

use num_bigint::{BigInt, BigUint};

use super::rounding::{Ratio, exact, nearest, nearest_root};

/// A number as the oracle sees it.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    Integer(i128),
    F32(f32),
    F64(f64),
}

impl Value {
    fn wide(self) -> Option<f64> {
        match self {
            Self::Integer(_) => None,
            Self::F32(value) => Some(value.into()),
            Self::F64(value) => Some(value),
        }
    }

    fn is_nan(self) -> bool {
        self.wide().is_some_and(f64::is_nan)
    }

    fn infinity(self) -> Option<f64> {
        self.wide().filter(|value| value.is_infinite())
    }

    /// How many times 2^-1074 (floats) or 1 (integers) it is.
    fn units(self) -> BigInt {
        match self {
            Self::Integer(value) => value.into(),
            Self::F32(value) => exact(value.into()).numerator,
            Self::F64(value) => exact(value).numerator,
        }
    }

    /// Numbers by size, -0 below +0.
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Integer(a), Self::Integer(b)) => a.cmp(b),
            (Self::F32(a), Self::F32(b)) => a.total_cmp(b),
            (Self::F64(a), Self::F64(b)) => a.total_cmp(b),
            _ => unreachable!("all values of a job are of one type"),
        }
    }

    /// How it compares with a finite float, exactly.
    fn compare(self, edge: f64) -> Ordering {
        match self {
            // No integer type reaches 2^100, and below it the whole part of a float is an i128.
            Self::Integer(_) if edge.abs() >= 2f64.powi(100) => 0.0.partial_cmp(&edge).expect("no NaN"),
            Self::Integer(value) => {
                let whole = edge.floor();
                value.cmp(&(whole as i128)).then(if whole < edge { Ordering::Less } else { Ordering::Equal })
            }
            float => float.wide().and_then(|value| value.partial_cmp(&edge)).expect("no NaN"),
        }
    }

    fn json(self) -> String {
        let mut buffer = ryu::Buffer::new();
        match self {
            Self::Integer(value) => value.to_string(),
            Self::F32(value) if value.is_finite() => buffer.format_finite(f64::from(value)).to_owned(),
            Self::F64(value) if value.is_finite() => buffer.format_finite(value).to_owned(),
            float => match float.wide() {
                Some(f64::INFINITY) => "\"Infinity\"".to_owned(),
                Some(f64::NEG_INFINITY) => "\"-Infinity\"".to_owned(),
                _ => "\"NaN\"".to_owned(),
            },
        }
    }
}

/// An element type, on the oracle's side.
pub trait Element: tandem::kernels::stats::Number {
    fn value(self) -> Value;
}

macro_rules! element {
    ($($rust:ty => $variant:ident),*) => {$(
        impl Element for $rust {
            fn value(self) -> Value {
                Value::$variant(self.into())
            }
        }
    )*};
}
element!(f32 => F32, f64 => F64, i32 => Integer, i64 => Integer, u32 => Integer, u64 => Integer);

/// What is asked for, in the oracle's own words.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub ddof: u32,
    /// Whether skewness and kurtosis are asked for.
    pub higher: bool,
    /// As written, as numerator and as denominator.
    pub quantiles: Vec<(&'static str, u64, u64)>,
    /// How many bins, over which range.
    pub histogram: Option<(u32, Option<(f64, f64)>)>,
    /// The number that stands for a missing value; a whole one, which every type has.
    pub missing: Option<i8>,
}

/// Why there is no answer.
pub const INFINITE_RANGE: &str = "has no automatic range";
pub const NARROW_BINS: &str = "too narrow";

/// The fields of a column, as they stand between the braces of `result`.
pub fn fields(elements: &[Value], asked: &Asked, float: bool) -> Result<String, &'static str> {
    let missing = |value: &Value| {
        asked.missing.is_some_and(|missing| match value {
            Value::Integer(integer) => *integer == missing.into(),
            float => float.wide() == Some(missing.into()),
        })
    };
    let mut values: Vec<Value> = elements.iter().copied().filter(|value| !value.is_nan() && !missing(value)).collect();
    values.sort_by(Value::order);
    let count = values.len() as u64;
    let mut json = String::new();
    let quoted = |text: String| if float { text } else { format!("\"{text}\"") };
    let _ = write!(json, "\"count\":{count},\"nan_count\":{}", elements.len() as u64 - count);
    for (name, value) in [("min", values.first()), ("max", values.last())] {
        let _ = write!(json, ",\"{name}\":{}", value.map_or("null".to_owned(), |value| quoted(value.json())));
    }
    let moments = Moments::of(&values, !float);
    let _ = write!(json, ",\"sum\":{}", quoted(moments.sum()));
    for (name, value) in [
        ("mean", moments.mean()),
        ("variance", moments.spread(asked.ddof, nearest)),
        ("std", moments.spread(asked.ddof, nearest_root)),
    ] {
        let _ = write!(json, ",\"{name}\":{}", value.map_or("null".to_owned(), |value| Value::F64(value).json()));
    }
    let _ = write!(json, ",\"ddof\":{}", asked.ddof);
    if asked.higher {
        let [skewness, kurtosis] = higher(&values);
        let text = |value: Option<f64>| value.map_or("null".to_owned(), |value| Value::F64(value).json());
        let _ = write!(json, ",\"skewness\":{},\"kurtosis\":{}", text(skewness), text(kurtosis));
    }
    if !asked.quantiles.is_empty() {
        let quantiles: Vec<String> = asked
            .quantiles
            .iter()
            .map(|quantile| {
                let value = interpolated(&values, quantile).map_or("null".to_owned(), Value::json);
                format!("{{\"q\":{},\"value\":{value}}}", quantile.0)
            })
            .collect();
        let _ = write!(json, ",\"quantiles\":[{}]", quantiles.join(","));
    }
    if let Some((bins, range)) = asked.histogram {
        let _ = write!(json, ",\"histogram\":{}", histogram(&values, bins, range)?);
    }
    Ok(json)
}

/// Exact sums over the finite values.
struct Moments {
    count: u64,
    infinities: Vec<f64>,
    whole: bool,
    sum: BigInt,
    squares: BigInt,
    /// By what the sum is to be divided to be in ones.
    scale: BigUint,
}

impl Moments {
    fn of(values: &[Value], whole: bool) -> Self {
        let infinities = values.iter().filter_map(|value| value.infinity()).collect();
        let (mut sum, mut squares) = (BigInt::ZERO, BigInt::ZERO);
        for value in values.iter().filter(|value| value.infinity().is_none()) {
            let units = value.units();
            squares += &units * &units;
            sum += units;
        }
        let scale = BigUint::from(1u32) << if whole { 0u32 } else { 1074 };
        Self { count: values.len() as u64, infinities, whole, sum, squares, scale }
    }

    fn infinite(&self) -> Option<f64> {
        // As IEEE adds them: infinities of both signs make a NaN.
        self.infinities.iter().copied().reduce(|sum, infinity| sum + infinity)
    }

    fn sum(&self) -> String {
        match self.infinite() {
            Some(infinite) => Value::F64(infinite).json(),
            None if self.whole => self.sum.to_string(),
            None => Value::F64(nearest(&Ratio { numerator: self.sum.clone(), denominator: self.scale.clone() })).json(),
        }
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| {
            self.infinite().unwrap_or_else(|| {
                nearest(&Ratio { numerator: self.sum.clone(), denominator: &self.scale * self.count })
            })
        })
    }

    /// The variance, Σ(x - mean)² / (n - ddof) = (n Σx² - (Σx)²) / (n (n - ddof)), rounded as asked.
    fn spread(&self, ddof: u32, round: impl Fn(&Ratio) -> f64) -> Option<f64> {
        if u64::from(ddof) >= self.count {
            return None;
        }
        if !self.infinities.is_empty() {
            return Some(f64::NAN);
        }
        let numerator = &self.squares * self.count - &self.sum * &self.sum;
        let denominator = &self.scale * &self.scale * self.count * (self.count - u64::from(ddof));
        Some(round(&Ratio { numerator, denominator }))
    }
}

/// Skewness and kurtosis by their definitions, with d = n x - Σx for the distance of a value from the mean, times n:
/// √n Σd³ / (Σd²)^(3/2), and n Σd⁴ / (Σd²)² - 3.
fn higher(values: &[Value]) -> [Option<f64>; 2] {
    if values.is_empty() {
        return [None; 2];
    }
    if values.iter().any(|value| value.infinity().is_some()) {
        return [Some(f64::NAN); 2];
    }
    let n = BigInt::from(values.len());
    let sum: BigInt = values.iter().map(|value| value.units()).sum();
    let mut sums = [BigInt::ZERO, BigInt::ZERO, BigInt::ZERO];
    for value in values {
        let distance = value.units() * &n - &sum;
        let mut power = distance.clone();
        for sum in &mut sums {
            power *= &distance;
            *sum += &power;
        }
    }
    let [squares, cubes, fourths] = sums;
    if squares == BigInt::ZERO {
        return [Some(f64::NAN); 2];
    }
    let skewness = nearest_root(&Ratio {
        numerator: &cubes * &cubes * &n,
        denominator: squares.magnitude() * squares.magnitude() * squares.magnitude(),
    });
    let square = &squares * &squares;
    let kurtosis = nearest(&Ratio { numerator: n * fourths - &square * 3, denominator: square.magnitude().clone() });
    [Some(if cubes < BigInt::ZERO { -skewness } else { skewness }), Some(kurtosis)]
}

/// The quantile of sorted values: at position q (n - 1).
fn interpolated(sorted: &[Value], (_, numerator, denominator): &(&str, u64, u64)) -> Option<Value> {
    let last = u128::try_from(sorted.len()).unwrap().checked_sub(1)?;
    let position = last * u128::from(*numerator);
    let denominator = u128::from(*denominator);
    let (rank, rest) = ((position / denominator) as usize, position % denominator);
    let low = sorted[rank];
    if rest == 0 {
        return Some(low);
    }
    let high = sorted[rank + 1];
    match (low.infinity(), high.infinity()) {
        (Some(a), Some(b)) if a != b => return Some(Value::F64(f64::NAN)),
        (Some(infinity), _) | (None, Some(infinity)) => return Some(Value::F64(infinity)),
        (None, None) => {}
    }
    let (a, b) = (low.units(), high.units());
    if a == b {
        return Some(low);
    }
    let scale = if matches!(low, Value::Integer(_)) { 0u32 } else { 1074 };
    let numerator = a * BigInt::from(denominator - rest) + b * BigInt::from(rest);
    Some(Value::F64(nearest(&Ratio { numerator, denominator: BigUint::from(denominator) << scale })))
}

fn histogram(sorted: &[Value], bins: u32, range: Option<(f64, f64)>) -> Result<String, &'static str> {
    // The ends in units of 2^-1075, so that halves are whole.
    let end = |value: &Value| match value {
        Value::Integer(integer) => BigInt::from(*integer) << 1075u32,
        float => float.units() << 1u32,
    };
    let (low, high) = match (range, sorted) {
        (Some((low, high)), _) => (exact(low).numerator << 1u32, exact(high).numerator << 1u32),
        (None, []) => (BigInt::ZERO, BigInt::from(1) << 1075u32),
        (None, [.., last]) if sorted[0].infinity().or(last.infinity()).is_some() => return Err(INFINITE_RANGE),
        (None, [first, ..]) => {
            let (low, high) = (end(first), end(&sorted[sorted.len() - 1]));
            let half = BigInt::from(1) << 1074u32;
            if low == high { (&low - &half, high + half) } else { (low, high) }
        }
    };
    let edge = |i: u32| {
        nearest(&Ratio { numerator: &low * (bins - i) + &high * i, denominator: BigUint::from(bins) << 1075u32 })
    };
    let edges: Vec<f64> = (0..=bins).map(edge).collect();
    if edges.iter().any(|edge| !edge.is_finite()) || edges.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(NARROW_BINS);
    }
    let (mut counts, mut below, mut above) = (vec![0u64; bins as usize], 0u64, 0u64);
    for value in sorted {
        // How many edges it has reached.
        let reached = edges.iter().filter(|edge| value.compare(**edge).is_ge()).count();
        let last = edges[bins as usize];
        match reached {
            // The ends of an automatic range may be rounded past the extremes, which are in the bins all the same.
            0 if range.is_none() => counts[0] += 1,
            0 => below += 1,
            _ if reached <= bins as usize => counts[reached - 1] += 1,
            _ if range.is_none() || value.compare(last).is_eq() => counts[bins as usize - 1] += 1,
            _ => above += 1,
        }
    }
    let edges: Vec<String> = edges.iter().map(|edge| Value::F64(*edge).json()).collect();
    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
    Ok(format!(
        "{{\"edges\":[{}],\"counts\":[{}],\"below\":{below},\"above\":{above}}}",
        edges.join(","),
        counts.join(",")
    ))
}
