//! How the elements of a column become whole numbers from 0 on: shifted by its least element and scaled by a power of two, so
//! that its greatest one fills the bits that there are.
//!
//! The *short* form has 52 bits, the *long* one 104. What is lost is stated in `docs/corr.md`: less than 1 in the last place.

use crate::kernels::Isa;
use crate::kernels::corr::extremes::{Extremes, float_of};
use crate::kernels::corr::panels::{Domain, LANES, Lanes, Panels};
use crate::kernels::on_isa::on_isa;

/// Bits of a short number, and of each half of a long one.
pub(super) const BITS: u32 = 52;
/// The greatest short number.
pub(super) const MASK: u64 = (1 << BITS) - 1;

/// What a column is, by its extremes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    /// It varies, within finite bounds: it has correlations.
    Varies,
    /// All its elements are equal, or there is none.
    Constant,
    /// It has an infinity.
    Infinite,
}

/// The scales of the lanes of a panel.
#[derive(Clone, Debug)]
pub(super) struct PanelScale {
    domain: Domain,
    /// All ones where a lane counts, else 0.
    mask: [u64; LANES],
    float: FloatScale,
    long: [LongScale; LANES],
    integer: IntegerScale,
}

/// A short number is the nearest whole number to `(x * pre - least) * scale`, ties to even.
#[derive(Clone, Copy, Debug, Default)]
struct FloatScale {
    /// A power of two that keeps the difference from overflowing, or from being subnormal; mostly 1.
    pre: [f64; LANES],
    /// The least element, times `pre`.
    least: [f64; LANES],
    scale: [f64; LANES],
}

/// A long number of a float is `floor(x * 2^exp2) - floor(least * 2^exp2)`.
#[derive(Clone, Copy, Debug, Default)]
struct LongScale {
    exp2: i32,
    /// The second floor, modulo 2^128.
    least: u128,
}

/// A short number of a key is `key - least`, shifted so far.
#[derive(Clone, Copy, Debug, Default)]
struct IntegerScale {
    least: [u64; LANES],
    left: [u32; LANES],
    right: [u32; LANES],
    /// And a long one.
    left_long: [u32; LANES],
}

/// The scales of all panels, and what each lane is.
#[derive(Clone, Debug)]
pub(super) struct Scales {
    pub panels: Vec<PanelScale>,
    /// One a lane; lanes past the last column of a table are constant.
    pub spreads: Vec<Spread>,
}

impl Scales {
    /// Those that follow from the extremes.
    pub fn of(extremes: &Extremes, domains: &[Domain]) -> Self {
        let mut spreads = Vec::with_capacity(domains.len() * LANES);
        let mut panels = Vec::with_capacity(domains.len());
        for (panel, domain) in domains.iter().enumerate() {
            let mut scale = PanelScale {
                domain: *domain,
                mask: [0; LANES],
                float: FloatScale::default(),
                long: [LongScale::default(); LANES],
                integer: IntegerScale::default(),
            };
            for lane in 0..LANES {
                let at = panel * LANES + lane;
                let spread = scale.set(lane, extremes.least[at], extremes.greatest[at]);
                spreads.push(if extremes.rows == 0 { Spread::Constant } else { spread });
            }
            panels.push(scale);
        }
        Self { panels, spreads }
    }
}

impl PanelScale {
    /// Sets a lane by its extremes.
    fn set(&mut self, lane: usize, least: u64, greatest: u64) -> Spread {
        if least >= greatest {
            return Spread::Constant;
        }
        match self.domain {
            Domain::Integer => {
                let bits = u64::BITS - (greatest - least).leading_zeros();
                self.integer.least[lane] = least;
                self.integer.left[lane] = BITS.saturating_sub(bits);
                self.integer.right[lane] = bits.saturating_sub(BITS);
                self.integer.left_long[lane] = 2 * BITS - 1 - bits;
            }
            Domain::Float => {
                let (least, greatest) = (float_of(least), float_of(greatest));
                if !least.is_finite() || !greatest.is_finite() {
                    return Spread::Infinite;
                }
                let range = greatest - least;
                let pre = match range {
                    range if range.is_infinite() => 0.5,
                    // No element is then far from 0, since its neighbours would be further apart than this.
                    range if range < power(-500) => power(600),
                    _ => 1.0,
                };
                let range = greatest * pre - least * pre;
                // The exponent of a normal number: 2^exponent <= range < 2^(exponent + 1).
                let exponent = (range.to_bits() >> 52) as i32 - 1023;
                let scale = power(BITS as i32 - 1 - exponent);
                // Where the greatest would be rounded up to one bit more, all have one bit less.
                let scale = if range * scale > MASK as f64 { scale * 0.5 } else { scale };
                self.float.pre[lane] = pre;
                self.float.least[lane] = least * pre;
                self.float.scale[lane] = scale;
                let exp2 = 2 * BITS as i32 - 2 - (exponent - (power_of(pre)));
                self.long[lane] = LongScale { exp2, least: fixed(least, exp2) };
            }
        }
        self.mask[lane] = u64::MAX;
        Spread::Varies
    }

    /// Makes short numbers of the words of a panel.
    pub fn shorten(&self, isa: Isa, rows: &mut [Lanes]) {
        match self.domain {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `isa` is never wider than the machine's.
            Domain::Float if isa == Isa::Avx512 => unsafe { avx512::shorten_floats(rows, &self.float, &self.mask) },
            Domain::Float => on_isa!(isa, shorten_floats(rows, &self.float, &self.mask)),
            Domain::Integer => on_isa!(isa, shorten_keys(rows, &self.integer, &self.mask)),
        }
    }

    /// Makes long numbers of the words of a panel: their high halves in their place, the low ones in `low`.
    pub fn lengthen(&self, rows: &mut [Lanes], low: &mut [Lanes]) {
        for (row, low) in rows.iter_mut().zip(low) {
            for lane in 0..LANES {
                let long = match self.domain {
                    _ if self.mask[lane] == 0 => 0,
                    Domain::Float => {
                        let scale = &self.long[lane];
                        fixed(f64::from_bits(row.0[lane]), scale.exp2).wrapping_sub(scale.least)
                    }
                    Domain::Integer => {
                        u128::from(row.0[lane].wrapping_sub(self.integer.least[lane])) << self.integer.left_long[lane]
                    }
                };
                row.0[lane] = (long >> BITS) as u64 & MASK;
                low.0[lane] = long as u64 & MASK;
            }
        }
    }
}

/// In the range of `f64` from here on the distance of neighbours is 1, so that adding it rounds to whole numbers.
const WHOLE: f64 = (1_u64 << BITS) as f64;

/// The same as below, a row in a register: compilers take several rows at once for it, lane by lane, which is far slower.
#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{FloatScale, LANES, Lanes, MASK, WHOLE};

    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
    pub fn shorten_floats(rows: &mut [Lanes], scale: &FloatScale, mask: &[u64; LANES]) {
        // SAFETY: each array has eight lanes of 64 bits.
        let floats = |lanes: &[f64; LANES]| unsafe { _mm512_loadu_pd(lanes.as_ptr()) };
        let [pre, least, scale] = [floats(&scale.pre), floats(&scale.least), floats(&scale.scale)];
        let mask = mask.map(|mask| mask & MASK);
        // SAFETY: as above.
        let mask = unsafe { _mm512_loadu_si512(mask.as_ptr().cast()) };
        for row in rows {
            let place = row.0.as_mut_ptr();
            // SAFETY: a row has eight lanes, and this is the only borrow of it.
            unsafe {
                let x = _mm512_loadu_pd(place.cast());
                let scaled = _mm512_mul_pd(_mm512_sub_pd(_mm512_mul_pd(x, pre), least), scale);
                let whole = _mm512_castpd_si512(_mm512_add_pd(scaled, _mm512_set1_pd(WHOLE)));
                _mm512_storeu_si512(place.cast(), _mm512_and_si512(whole, mask));
            }
        }
    }
}

#[inline(always)]
fn shorten_floats(rows: &mut [Lanes], scale: &FloatScale, mask: &[u64; LANES]) {
    let FloatScale { pre, least, scale } = *scale;
    for row in rows {
        let lanes = row.0.iter_mut().zip(pre).zip(least).zip(scale).zip(mask);
        for ((((word, pre), least), scale), mask) in lanes {
            let scaled = (f64::from_bits(*word) * pre - least) * scale;
            *word = (scaled + WHOLE).to_bits() & MASK & mask;
        }
    }
}

#[inline(always)]
fn shorten_keys(rows: &mut [Lanes], scale: &IntegerScale, mask: &[u64; LANES]) {
    for row in rows {
        let lanes = row.0.iter_mut().zip(scale.least).zip(scale.left).zip(scale.right).zip(mask);
        for ((((word, least), left), right), mask) in lanes {
            *word = (word.wrapping_sub(least) << left >> right) & MASK & mask;
        }
    }
}

/// Sets the rows that are left out to zeros.
pub(super) fn clear_rows(panels: &mut Panels, without: &[bool]) {
    if !without.contains(&true) {
        return;
    }
    for panel in 0..panels.len() {
        for (row, without) in panels.panel_mut(panel).iter_mut().zip(without) {
            if *without {
                row.0 = [0; LANES];
            }
        }
    }
}

/// `2^exponent`, of normal numbers.
fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The exponent of a power of two.
fn power_of(power: f64) -> i32 {
    (power.to_bits() >> 52) as i32 - 1023
}

/// `floor(x * 2^exp2)` modulo 2^128; of NaN and infinities, anything.
fn fixed(x: f64, exp2: i32) -> u128 {
    let bits = x.to_bits();
    let (field, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & MASK);
    let significand = i128::from(if field == 0 { fraction } else { fraction | 1 << 52 });
    let signed = if bits >> 63 == 1 { -significand } else { significand };
    let shift = exp2 + field.max(1) - 1075;
    match shift {
        128.. => 0,
        0.. => (signed as u128) << shift,
        _ => (signed >> (-shift).min(127)) as u128,
    }
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;

    use super::*;
    use crate::exact::Dyadic;
    use crate::kernels::corr::extremes::key_of;
    use crate::kernels::corr::tests::every_isa;
    use crate::random::SplitMix64;

    fn check(values: &[f64]) {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut extremes = Extremes::empty(LANES);
        extremes.rows = values.len() as u64;
        (extremes.least[0], extremes.greatest[0]) = (key_of(least), key_of(greatest));
        let scales = Scales::of(&extremes, &[Domain::Float]);
        assert_eq!(scales.spreads[0], Spread::Varies, "{values:?}");
        let scale = &scales.panels[0];
        let exact = |x: f64| Dyadic::from_f64(x).unwrap();
        let row = |x: &f64| Lanes([x.to_bits(), 0, 0, 0, 0, 0, 0, 0]);
        let mut short: Vec<Lanes> = values.iter().map(row).collect();
        let (mut high, mut low) = (short.clone(), short.clone());
        scale.shorten(Isa::Portable, &mut short);
        for isa in every_isa() {
            let mut other = high.clone();
            scale.shorten(isa, &mut other);
            assert!(other.iter().zip(&short).all(|(other, short)| other.0 == short.0), "{isa:?} of {values:?}");
        }
        scale.lengthen(&mut high, &mut low);
        let full = short.iter().map(|row| row.0[0]).max().unwrap();
        assert!(full >> (BITS - 2) != 0, "{values:?} fill but {full:#x}");
        for (i, x) in values.iter().enumerate() {
            let (x, least) = (exact(*x), exact(least));
            // x - least in units of 2^-1200, and what the numbers stand for.
            let units = |number: &Dyadic| &number.integer << (number.exp2 + 1200);
            let difference = units(&x) - units(&least);
            let near = |found: BigInt, log2_unit: i64, name: &str| {
                let error = (found << (1200 - log2_unit)) - &difference;
                assert!(error.magnitude().bits() as i64 <= 1200 - log2_unit, "{name} of {values:?}[{i}]");
            };
            let log2_unit = i64::from(power_of(scale.float.scale[0]) + power_of(scale.float.pre[0]));
            near(BigInt::from(short[i].0[0]), log2_unit, "short");
            let long = BigInt::from(u128::from(high[i].0[0]) << BITS | u128::from(low[i].0[0]));
            near(long, i64::from(scale.long[0].exp2), "long");
        }
    }

    #[test]
    fn numbers_are_less_than_one_in_the_last_place_from_the_element() {
        check(&[0.0, 1.0]);
        check(&[1.0, 2.0 - f64::EPSILON, 1.5]);
        check(&[0.0, 5e-324, 1e-323]);
        check(&[-1e-310, 1e-308, 3e-309]);
        check(&[1e8 + 1.0, 1e8 + 2.0, 1e8 + 1.25]);
        check(&[1.0, 1.0 + f64::EPSILON]);
        check(&[-1e300, -1e300 * (1.0 - f64::EPSILON)]);
        check(&[1e-3, 1e300, -1e-300, 7.0]);
        let mut random = SplitMix64(5);
        for _ in 0..200 {
            let exponent = random.next_u64() % 600;
            let values: Vec<f64> = (0..20)
                .map(|_| {
                    let spread = (random.next_u64() % 60) as f64;
                    (random.next_u64() as f64 - 9e18) * spread.exp2() * (exponent as f64 - 300.0).exp2()
                })
                .collect();
            check(&values);
        }
    }

    #[test]
    fn a_range_beyond_the_greatest_float_is_halved_first() {
        let values = [f64::MIN, f64::MAX, 0.0];
        let mut extremes = Extremes::empty(LANES);
        extremes.rows = 3;
        (extremes.least[0], extremes.greatest[0]) = (key_of(f64::MIN), key_of(f64::MAX));
        let scales = Scales::of(&extremes, &[Domain::Float]);
        let mut rows = values.map(|x| Lanes([x.to_bits(), 0, 0, 0, 0, 0, 0, 0]));
        scales.panels[0].shorten(Isa::Portable, &mut rows);
        assert!(rows[0].0[0] == 0 && rows[1].0[0] >> 51 == 1);
        assert!(rows[2].0[0].abs_diff(rows[1].0[0] / 2) <= 1);
    }
}
