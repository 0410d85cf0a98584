//! Exact sums of third and fourth powers, by exponent: each a sum of powers of integers.

use crate::kernels::stats::HigherSums;
use crate::kernels::stats::number::Number;

/// A number as a sign, an integer below 2^64 and a power of two.
pub(in crate::kernels::stats) struct Parts {
    negative: bool,
    magnitude: u64,
    /// The integer times 2^exponent, in units of the least bit that a sum has.
    exponent: usize,
}

/// An element type whose finite elements have parts.
pub(in crate::kernels::stats) trait Powered: Number {
    fn parts(self) -> Parts;
}

macro_rules! float {
    ($float:ty) => {
        impl Powered for $float {
            #[inline(always)]
            fn parts(self) -> Parts {
                const FRACTION: u32 = <$float>::MANTISSA_DIGITS - 1;
                let bits = self.abs().to_bits();
                let (field, fraction) = ((bits >> FRACTION) as usize, u64::from(bits & ((1 << FRACTION) - 1)));
                let magnitude = if field == 0 { fraction } else { fraction | 1 << FRACTION };
                Parts { negative: self.is_sign_negative(), magnitude, exponent: field.max(1) - 1 }
            }
        }
    };
}
float!(f32);
float!(f64);

macro_rules! integer {
    ($($integer:ty),*) => {$(
        impl Powered for $integer {
            #[inline(always)]
            fn parts(self) -> Parts {
                let wide = i128::from(self);
                Parts { negative: wide < 0, magnitude: wide.unsigned_abs() as u64, exponent: 0 }
            }
        }
    )*};
}
integer!(i32, i64, u32, u64);

/// Sums of third and fourth powers of integers, by the power of two that goes with them.
#[derive(Default)]
pub(in crate::kernels::stats) struct PowerBins {
    bins: Vec<Bin>,
}

/// Sums of 64-bit words of powers, from the lowest on: 128 bits have room for 2^63 of them.
#[derive(Clone, Copy, Default)]
struct Bin {
    cubes: [i128; 3],
    fourths: [i128; 4],
}

impl PowerBins {
    /// Adds the elements of a block that are finite values.
    pub(super) fn add_block<T: Powered>(&mut self, missing: Option<(u64, u64)>, block: &[T]) {
        let (least, greatest) = T::LAYOUT.valid_keys;
        for value in block {
            let key = value.key();
            let finite = !T::LAYOUT.float || least < key && key < greatest;
            if finite && missing.is_none_or(|(least, greatest)| key < least || greatest < key) {
                self.add(value.parts());
            }
        }
    }

    #[inline(always)]
    fn add(&mut self, Parts { negative, magnitude, exponent }: Parts) {
        if self.bins.len() <= exponent {
            self.bins.resize(exponent + 1, Bin::default());
        }
        let bin = &mut self.bins[exponent];
        let wide = u128::from(magnitude);
        let square = wide * wide;
        let (low, high) = (square & u128::from(u64::MAX), square >> 64);
        let mut cubes = [0; 3];
        add_words(&mut cubes, 0, low * wide);
        add_words(&mut cubes, 1, high * wide);
        for (sum, word) in bin.cubes.iter_mut().zip(cubes) {
            *sum += if negative { -word } else { word };
        }
        add_words(&mut bin.fourths, 0, low * low);
        add_words(&mut bin.fourths, 1, low * high);
        add_words(&mut bin.fourths, 1, low * high);
        add_words(&mut bin.fourths, 2, high * high);
    }

    /// Moves everything into these sums.
    pub(super) fn drain(&mut self, sums: &mut HigherSums) {
        let [cubes_lsb, fourths_lsb] = [sums.cubes.lsb(), sums.fourths.lsb()];
        for (exponent, bin) in self.bins.drain(..).enumerate() {
            for (word, sum) in bin.cubes.into_iter().enumerate().filter(|(_, sum)| *sum != 0) {
                sums.cubes.add(sum, cubes_lsb + (3 * exponent + 64 * word) as i32);
            }
            for (word, sum) in bin.fourths.into_iter().enumerate().filter(|(_, sum)| *sum != 0) {
                sums.fourths.add(sum, fourths_lsb + (4 * exponent + 64 * word) as i32);
            }
        }
    }
}

/// Adds both words of a product to sums of words, the lower one to that at `first`.
#[inline(always)]
fn add_words(sums: &mut [i128], first: usize, product: u128) {
    sums[first] += i128::from(product as u64);
    sums[first + 1] += i128::from((product >> 64) as u64);
}
