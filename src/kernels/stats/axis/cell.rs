//! What is gathered of the elements that one cell of the answer is about.

use crate::exact::{FixedPoint, OfCount, Wide, nearest_sum};
use crate::kernels::stats::{Layout, Moments, finish};

/// Counts, extremes and exact sums of one cell, in little room.
///
/// The sums are kept relative to one power of two as long as 120 bits hold the one and 250 the other; what does not fit goes into
/// accumulators as wide as the type's whole range, which few cells ever need.
#[derive(Clone, Debug)]
pub(in crate::kernels::stats) struct Cell {
    /// How many values there are, infinities included.
    pub(super) count: u64,
    pub(super) nan_count: u64,
    /// Those of the least and of the greatest value; `u64::MAX` and 0 where there is none.
    pub(super) min_key: u64,
    pub(super) max_key: u64,
    pub(super) positive_infinities: u64,
    pub(super) negative_infinities: u64,
    /// What one of `sum` is worth, and one of `squares` the square of.
    exp2: i32,
    sum: i128,
    squares: Wide,
    rest: Option<Box<Rest>>,
}

/// What did not fit.
#[derive(Clone, Debug)]
struct Rest {
    sum: FixedPoint,
    squares: FixedPoint,
}

/// Sums of so many bits are added to others.
const SUM_BITS: u32 = 120;
const SQUARES_BITS: u32 = 250;

impl Default for Cell {
    fn default() -> Self {
        Self {
            count: 0,
            nan_count: 0,
            min_key: u64::MAX,
            max_key: 0,
            positive_infinities: 0,
            negative_infinities: 0,
            exp2: 0,
            sum: 0,
            squares: Wide::ZERO,
            rest: None,
        }
    }
}

impl Cell {
    /// Adds a sum of finite values, in units of `2^exp2`, and that of their squares, in units of the square of that.
    pub(super) fn add_sums(&mut self, sum: i128, squares: &Wide, exp2: i32, layout: &Layout) {
        if sum == 0 && squares.is_zero() {
            return;
        }
        if self.sum == 0 && self.squares.is_zero() {
            (self.sum, self.squares, self.exp2) = (sum, *squares, exp2);
            return;
        }
        let fits = |sum: i128, squares: &Wide, up: u32| {
            (128 - sum.unsigned_abs().leading_zeros()) + up <= SUM_BITS && squares.bits() + 2 * up <= SQUARES_BITS
        };
        let up = self.exp2.abs_diff(exp2);
        let (of_self, of_other) = if self.exp2 > exp2 { (up, 0) } else { (0, up) };
        if up <= SUM_BITS && fits(self.sum, &self.squares, of_self) && fits(sum, squares, of_other) {
            self.sum = (self.sum << of_self) + (sum << of_other);
            self.squares = self.squares.shifted(2 * of_self).plus(&squares.shifted(2 * of_other));
            self.exp2 = self.exp2.min(exp2);
            return;
        }
        self.spill(layout);
        (self.sum, self.squares, self.exp2) = (sum, *squares, exp2);
    }

    /// Adds a finite value, `significand * 2^exp2`, of any magnitude, to the sums alone.
    pub(super) fn add_value(&mut self, significand: i64, exp2: i32, layout: &Layout) {
        let rest = self.rest(layout);
        rest.sum.add(significand.into(), exp2);
        rest.squares.add(i128::from(significand).pow(2), 2 * exp2);
    }

    /// Takes in what was gathered of other elements.
    pub(super) fn add_moments(&mut self, moments: &Moments, layout: &Layout) {
        self.count += moments.count;
        self.nan_count += moments.nan_count;
        self.take_in_extremes(moments.min_key, moments.max_key);
        self.positive_infinities += moments.positive_infinities;
        self.negative_infinities += moments.negative_infinities;
        let rest = self.rest(layout);
        rest.sum.merge(&moments.sum);
        rest.squares.merge(&moments.squares);
    }

    pub(super) fn take_in_extremes(&mut self, min_key: u64, max_key: u64) {
        self.min_key = self.min_key.min(min_key);
        self.max_key = self.max_key.max(max_key);
    }

    /// Adds those of other elements.
    pub(super) fn merge(&mut self, other: &Self, layout: &Layout) {
        self.count += other.count;
        self.nan_count += other.nan_count;
        self.take_in_extremes(other.min_key, other.max_key);
        self.positive_infinities += other.positive_infinities;
        self.negative_infinities += other.negative_infinities;
        self.add_sums(other.sum, &other.squares, other.exp2, layout);
        if let Some(other) = &other.rest {
            let rest = self.rest(layout);
            rest.sum.merge(&other.sum);
            rest.squares.merge(&other.squares);
        }
    }

    fn rest(&mut self, layout: &Layout) -> &mut Rest {
        self.rest.get_or_insert_with(|| Box::new(Rest { sum: layout.zero_sum(), squares: layout.zero_squares() }))
    }

    /// Moves the sums to where there is room for any.
    fn spill(&mut self, layout: &Layout) {
        let (sum, squares, exp2) = (std::mem::take(&mut self.sum), std::mem::take(&mut self.squares), self.exp2);
        let rest = self.rest(layout);
        rest.sum.add(sum, exp2);
        for (limb, at) in squares.limbs().into_iter().zip([0, 64, 128, 192]) {
            if limb != 0 {
                rest.squares.add(limb.into(), 2 * exp2 + at);
            }
        }
    }

    /// The statistics, each rounded once. `of_count` is what the last cell was divided by, since most have as many values.
    pub(super) fn finish(mut self, layout: &Layout, ddof: u32, of_count: &mut Option<OfCount>) -> Finished {
        if !of_count.is_some_and(|last| last.is_of(self.count, ddof)) {
            *of_count = OfCount::new(self.count, ddof);
        }
        let has_spread = self.count > u64::from(ddof);
        if self.rest.is_none() && self.positive_infinities == 0 && self.negative_infinities == 0 {
            let spread = match of_count {
                Some(of_count) if has_spread => of_count.variance(self.sum, &self.squares, self.exp2),
                _ => Some((f64::NAN, f64::NAN)),
            };
            if let Some((variance, std)) = spread {
                let mean = of_count.map_or(f64::NAN, |of_count| of_count.mean(self.sum, self.exp2));
                let sum = if layout.float { nearest_sum(self.sum, self.exp2) } else { self.sum as f64 };
                return Finished { sum, whole_sum: self.sum, mean, variance, std };
            }
        }
        self.spill(layout);
        let Some(rest) = self.rest else { unreachable!("the sums were moved there") };
        let moments = Moments {
            count: self.count,
            nan_count: self.nan_count,
            min_key: self.min_key,
            max_key: self.max_key,
            positive_infinities: self.positive_infinities,
            negative_infinities: self.negative_infinities,
            sum: rest.sum,
            squares: rest.squares,
            higher: None,
        };
        let (sum, mean, (variance, std)) = finish::of_moments(layout, &moments, ddof);
        let whole_sum = if let crate::kernels::stats::Scalar::Integer(whole) = sum { whole } else { 0 };
        let or_nan = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Finished { sum: sum.to_f64(), whole_sum, mean: or_nan(mean), variance: or_nan(variance), std: or_nan(std) }
    }
}

/// What a cell comes to; NaN where there is nothing to tell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    /// The exact sum, rounded once.
    pub(super) sum: f64,
    /// Of integers, the whole sum.
    pub(super) whole_sum: i128,
    pub(super) mean: f64,
    pub(super) variance: f64,
    pub(super) std: f64,
}
