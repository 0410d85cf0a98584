//! From whole sums to the coefficients, each rounded once.

use num_bigint::BigUint;

use crate::exact::nearest_sqrt_f64;
use crate::kernels::corr::limbs::{Difference, Factor, factor};
use crate::kernels::corr::panels::LANES;
use crate::kernels::corr::products::{ColumnSums, Products, Tiles, Width};
use crate::kernels::corr::scale::{BITS, Scales, Spread};

/// The error of a coefficient at most, as proved in `docs/corr.md`: what short numbers cannot promise is done with long ones.
pub(super) const ERROR_MAX: f64 = 1e-12;

/// What may be lost where the last steps round.
const ROUNDING: f64 = 2e-16;

/// What is needed of a column for its coefficients.
#[derive(Clone, Copy, Debug)]
struct Column {
    varies: bool,
    /// The sum of its numbers.
    sum: Factor,
    /// `n` times the sum of their squares, less the square of their sum.
    spread: Difference,
    /// The root of that, as two floats.
    root: [f64; 2],
    /// Low bits that no number has set.
    free_bits: u32,
}

/// Coefficients out of what was gathered with numbers of one width.
#[derive(Debug)]
pub(super) struct Coefficients<'a> {
    rows: u64,
    width: Width,
    tiles: &'a Tiles,
    products: &'a Products,
    columns: Vec<Column>,
}

impl<'a> Coefficients<'a> {
    /// Those of so many rows.
    pub fn new(rows: u64, width: Width, scales: &Scales, tiles: &'a Tiles, products: &'a Products) -> Self {
        let column = |(spread, sums): (&Spread, &ColumnSums)| {
            let sum = match width {
                Width::Short => factor(sums.sum, 0, 0),
                Width::Long => factor(sums.sum, BITS, sums.sum_low),
            };
            let squares = factor(sums.square_high, BITS, sums.square_low);
            let shift = if width == Width::Long { 2 * BITS } else { 0 };
            let spread_of = Difference::of(rows, &squares, shift, &sum, &sum);
            let root = root_of(spread_of.pair());
            let varies = *spread == Spread::Varies && root[0] > 0.0;
            Column { varies, sum, spread: spread_of, root, free_bits: sums.bits.trailing_zeros() }
        };
        let columns = scales.spreads.iter().zip(&products.columns).map(column).collect();
        Self { rows, width, tiles, products, columns }
    }

    /// The coefficient of two lanes of two panels; `None` where their tile was not gathered.
    pub fn of(&self, first: (usize, usize), second: (usize, usize)) -> Option<f64> {
        let tile = self.tiles.find(first.0, second.0)?;
        let x = &self.columns[first.0 * LANES + first.1];
        let y = &self.columns[second.0 * LANES + second.1];
        if !x.varies || !y.varies {
            return Some(f64::NAN);
        }
        if first == second {
            return Some(1.0);
        }
        let high = self.products.planes[tile].get(first.1, second.1);
        let difference = match self.width {
            Width::Short => {
                // Twice the sum of the products, were each cut off part half of its range.
                let cut_off = u128::from(self.rows) * self.cut_off_range(x, y);
                let twice = [x.sum[0] << 1, x.sum[1] << 1 | x.sum[0] >> 63, x.sum[2] << 1 | x.sum[1] >> 63];
                Difference::of(self.rows, &factor(high, BITS + 1, cut_off), 0, &twice, &y.sum)
            }
            Width::Long => {
                let rest = self.products.planes[self.tiles.len() + tile].get(first.1, second.1);
                Difference::of(self.rows, &factor(high, BITS, rest), 2 * BITS, &x.sum, &y.sum)
            }
        };
        let scale = if self.width == Width::Short { 2.0 } else { 1.0 };
        Some(ratio(&difference, scale, x, y))
    }

    /// The greatest part that was cut off a product, in its lowest bits: 0 where both columns leave enough of them free.
    fn cut_off_range(&self, x: &Column, y: &Column) -> u128 {
        (1 << BITS) - (1 << (x.free_bits + y.free_bits).min(BITS))
    }

    /// Whether the error of the coefficient of two lanes may pass [`ERROR_MAX`].
    pub fn is_uncertain(&self, first: (usize, usize), second: (usize, usize)) -> bool {
        let x = &self.columns[first.0 * LANES + first.1];
        let y = &self.columns[second.0 * LANES + second.1];
        if !x.varies || !y.varies || first == second {
            return false;
        }
        // Standard deviations, in units of the last place.
        let rows = self.rows as f64;
        let (sx, sy) = (x.root[0] / rows, y.root[0] / rows);
        let cut_off = self.cut_off_range(x, y) as f64 * 0.5;
        cut_off / sx / sy + 1.0 / sx + 1.0 / sy > ERROR_MAX * 0.98 - ROUNDING
    }
}

/// The root of a sum of two floats, as such a sum; accurate to 100 bits.
fn root_of(square: [f64; 2]) -> [f64; 2] {
    let root = square[0].sqrt();
    if root == 0.0 {
        return [0.0; 2];
    }
    [root, (root.mul_add(-root, square[0]) + square[1]) / (2.0 * root)]
}

/// The `f64` nearest to `difference / (scale root(x) root(y))`, at most 1 in magnitude.
fn ratio(difference: &Difference, scale: f64, x: &Column, y: &Column) -> f64 {
    let [high, low] = difference.pair();
    // The product of the roots, and the ratio to it, each as a sum of two floats.
    let product = x.root[0] * y.root[0];
    let product_low = x.root[0].mul_add(y.root[0], -product) + (x.root[0] * y.root[1] + x.root[1] * y.root[0]);
    let (product, product_low) = (product * scale, product_low * scale);
    let quotient = high / product;
    let quotient_low = (quotient.mul_add(-product, high) + (low - quotient * product_low)) / product;
    // Its error is far below this; where that could decide how it is rounded, it is done with whole numbers.
    let doubt = quotient * 2_f64.powi(-95);
    let (least, most) = (quotient + (quotient_low - doubt), quotient + (quotient_low + doubt));
    let magnitude = if least == most {
        least
    } else {
        let scale = BigUint::from(scale as u32);
        let square = |number: &BigUint| number * number;
        let denominator = x.spread.magnitude() * y.spread.magnitude() * square(&scale);
        nearest_sqrt_f64(&square(&difference.magnitude()), &denominator, 0)
    };
    let magnitude = magnitude.min(1.0);
    if difference.is_negative { -magnitude } else { magnitude }
}
