//! The windows of a group of cells, and the sums of a block in them.

use crate::kernels::stats::axis::floats::{Digits, Sums};
use crate::kernels::stats::axis::lanes::{Block, LANES};
use crate::kernels::stats::moments::window::{magic, multiply_add, power};

/// One window a lane, as magic numbers.
#[derive(Clone, Debug)]
pub(super) struct Windows {
    top: [Option<i32>; LANES],
    /// Rounds to each digit of a number.
    sum_magic: [[f64; LANES]; 3],
    /// Rounds to each digit of a square.
    square_magic: [[f64; LANES]; 5],
}

impl Default for Windows {
    fn default() -> Self {
        // A NaN is left over whatever is added to it, so that nothing fits.
        Self { top: [None; LANES], sum_magic: [[f64::NAN; LANES]; 3], square_magic: [[f64::NAN; LANES]; 5] }
    }
}

impl Windows {
    /// Numbers of a magnitude below `2^top` fit, where there is a window.
    pub(super) fn top(&self, lane: usize) -> Option<i32> {
        self.top[lane]
    }

    /// Gives a lane the window of numbers below `2^top`, or none where sums would leave the range of `f64`.
    pub(super) fn set<T: Digits>(&mut self, lane: usize, top: i32) {
        let exponents = T::exponents(top);
        self.top[lane] = exponents.map(|_| top);
        for (digit, magics) in self.sum_magic.iter_mut().enumerate().take(T::SUM_DIGITS) {
            magics[lane] = exponents.map_or(f64::NAN, |(sum, _)| magic(sum[digit]));
        }
        for (digit, magics) in self.square_magic.iter_mut().enumerate().take(T::SQUARE_DIGITS) {
            magics[lane] = exponents.map_or(f64::NAN, |(_, squares)| magic(squares[digit]));
        }
    }

    /// Whether values between these, finite all of them, are below the top of a lane's window.
    pub(super) fn holds<T: Digits>(&self, lane: usize, min: T::Key, max: T::Key) -> bool {
        let Some(top) = self.top[lane] else { return false };
        let limit = power(top);
        let value = |key| T::from_key(T::key_of(key)).to_f64();
        value(max) < limit && value(min) > -limit
    }
}

/// Adds what one element has in the low bits of a rounded float.
#[inline(always)]
fn add(sum: &mut i64, rounded: f64) {
    *sum = sum.wrapping_add(rounded.to_bits() as i64);
}

/// Puts lanes into their place, less what the magic numbers themselves added in so many rows.
#[inline(always)]
fn put<const N: usize>(into: &mut [i64; LANES], lane: usize, sums: [i64; N], magics: [f64; N], rows: usize) {
    for i in 0..N {
        into[lane + i] = sums[i].wrapping_sub((magics[i].to_bits() as i64).wrapping_mul(rows as i64));
    }
}

#[inline(always)]
fn lanes<const N: usize, T: Copy>(all: &[T; LANES], lane: usize) -> [T; N] {
    std::array::from_fn(|i| all[lane + i])
}

/// An element, as the lanes take it in.
struct Seen<T: Digits> {
    /// What is to be summed of it.
    summed: f64,
    /// Its key, for the least and for the greatest.
    low: T::Key,
    high: T::Key,
    /// 1 or 0 each: whether it is a value, and whether it is one of these.
    value: u64,
    positive_infinity: u64,
    negative_infinity: u64,
    over: u64,
}

/// Looks at an element. A pure function of it, and all sums in arrays of their own: so that compilers keep lanes in registers.
#[inline(always)]
fn look<T: Digits, const FILTERED: bool>(x: T, missing: T, limit: f64) -> Seen<T> {
    let (wide, key) = (x.to_f64(), x.signed_key());
    if !FILTERED {
        let none = 0;
        return Seen {
            summed: wide,
            low: key,
            high: key,
            value: none,
            positive_infinity: none,
            negative_infinity: none,
            over: none,
        };
    }
    let is_value = !wide.is_nan() & (x != missing);
    let is_summed = is_value & (wide.abs() < f64::INFINITY);
    Seen {
        summed: if is_summed { wide } else { 0.0 },
        low: if is_value { key } else { T::GREATEST_KEY },
        high: if is_value { key } else { T::LEAST_KEY },
        value: is_value.into(),
        positive_infinity: (is_value & (wide == f64::INFINITY)).into(),
        negative_infinity: (is_value & (wide == f64::NEG_INFINITY)).into(),
        over: (is_summed & (wide.abs() >= limit)).into(),
    }
}

/// What lanes have seen besides what is summed.
struct Ends<T: Digits, const N: usize> {
    min: [T::Key; N],
    max: [T::Key; N],
    over: [u64; N],
    kept: [u64; N],
    positive: [u64; N],
    negative: [u64; N],
}

impl<T: Digits, const N: usize> Default for Ends<T, N> {
    #[inline(always)]
    fn default() -> Self {
        let none = [0; N];
        Self {
            min: [T::GREATEST_KEY; N],
            max: [T::LEAST_KEY; N],
            over: none,
            kept: none,
            positive: none,
            negative: none,
        }
    }
}

impl<T: Digits, const N: usize> Ends<T, N> {
    #[inline(always)]
    fn note<const FILTERED: bool>(&mut self, i: usize, seen: &Seen<T>) {
        self.min[i] = if seen.low < self.min[i] { seen.low } else { self.min[i] };
        self.max[i] = if seen.high > self.max[i] { seen.high } else { self.max[i] };
        if FILTERED {
            self.kept[i] += seen.value;
            self.positive[i] += seen.positive_infinity;
            self.negative[i] += seen.negative_infinity;
            self.over[i] |= seen.over;
        }
    }

    #[inline(always)]
    fn put(self, sums: &mut Sums<T>, lane: usize) {
        copy(&mut sums.min, lane, self.min);
        copy(&mut sums.max, lane, self.max);
        copy(&mut sums.over, lane, self.over);
        copy(&mut sums.kept, lane, self.kept);
        copy(&mut sums.positive_infinities, lane, self.positive);
        copy(&mut sums.negative_infinities, lane, self.negative);
    }
}

/// Puts lanes into their place.
#[inline(always)]
fn copy<const N: usize, T: Copy>(into: &mut [T; LANES], lane: usize, from: [T; N]) {
    into[lane..lane + N].copy_from_slice(&from);
}

/// The tops of lanes' windows, from the magic number of a digit so many places below.
#[inline(always)]
fn limits<const N: usize>(magics: [f64; N], places: i32) -> [f64; N] {
    // A magic number is 1.5 · 2^52 digits.
    magics.map(|magic| magic / 1.5 * power(places - 52))
}

impl Digits for f32 {
    const SUM_DIGITS: usize = 1;
    const SQUARE_DIGITS: usize = 2;
    const SQUARES_TWICE: [i32; 5] = [0; 5];

    fn exponents(top: i32) -> Option<([i32; 3], [i32; 5])> {
        // One digit of 50 bits, and two of 50 for squares.
        let (sum, squares) = (top - 50, [2 * top - 50, 2 * top - 100]);
        (-147..=130).contains(&top).then_some(([sum, 0, 0], [squares[0], squares[1], 0, 0, 0]))
    }

    type Key = i32;
    const LEAST_KEY: i32 = i32::MIN;
    const GREATEST_KEY: i32 = i32::MAX;

    #[inline(always)]
    fn signed_key(self) -> i32 {
        let bits = self.to_bits() as i32;
        bits ^ ((bits >> 31) as u32 >> 1) as i32
    }

    fn key_of(key: i32) -> u64 {
        (key as u32 ^ 1 << 31).into()
    }

    #[inline(always)]
    fn sums<const N: usize, const FUSED: bool, const FILTERED: bool>(
        block: Block<'_, Self>,
        at: usize,
        lane: usize,
        windows: &Windows,
        missing: Self,
        sums: &mut Sums<Self>,
    ) {
        let magic: [f64; N] = lanes(&windows.sum_magic[0], lane);
        let [first, second]: [[f64; N]; 2] = [0, 1].map(|digit| lanes(&windows.square_magic[digit], lane));
        let limit = limits(magic, 50);
        let (mut sum, mut high, mut low) = ([0; N], [0; N], [0; N]);
        let mut ends = Ends::<Self, N>::default();
        let mut rows = 0;
        for row in block.group::<N>(at + lane) {
            rows += 1;
            for i in 0..N {
                let seen = look::<Self, FILTERED>(row[i], missing, limit[i]);
                ends.note::<FILTERED>(i, &seen);
                let x = seen.summed;
                let rounded = x + magic[i];
                add(&mut sum[i], rounded);
                // The sign of a zero is nothing left over.
                ends.over[i] |= (x - (rounded - magic[i])).to_bits() << 1;
                let square = x * x;
                let rounded = square + first[i];
                add(&mut high[i], rounded);
                add(&mut low[i], (square - (rounded - first[i])) + second[i]);
            }
        }
        put(&mut sums.sum[0], lane, sum, magic, rows);
        put(&mut sums.squares[0], lane, high, first, rows);
        put(&mut sums.squares[1], lane, low, second, rows);
        ends.put(sums, lane);
    }
}

impl Digits for f64 {
    const SUM_DIGITS: usize = 3;
    const SQUARE_DIGITS: usize = 5;
    const SQUARES_TWICE: [i32; 5] = [0, 1, 0, 1, 0];

    fn exponents(top: i32) -> Option<([i32; 3], [i32; 5])> {
        // Digits a, b, c of 24, 26 and 26 bits; aa, ab (twice), ac (twice) with bb, bc (twice), cc.
        let [a, b, c] = [top - 24, top - 50, top - 76];
        (-430..=500).contains(&top).then_some(([a, b, c], [2 * a, a + b, 2 * b, b + c, 2 * c]))
    }

    type Key = i64;
    const LEAST_KEY: i64 = i64::MIN;
    const GREATEST_KEY: i64 = i64::MAX;

    #[inline(always)]
    fn signed_key(self) -> i64 {
        let bits = self.to_bits() as i64;
        bits ^ ((bits >> 63) as u64 >> 1) as i64
    }

    fn key_of(key: i64) -> u64 {
        key as u64 ^ 1 << 63
    }

    #[inline(always)]
    fn sums<const N: usize, const FUSED: bool, const FILTERED: bool>(
        block: Block<'_, Self>,
        at: usize,
        lane: usize,
        windows: &Windows,
        missing: Self,
        sums: &mut Sums<Self>,
    ) {
        let [first, second, third]: [[f64; N]; 3] = [0, 1, 2].map(|digit| lanes(&windows.sum_magic[digit], lane));
        let square: [[f64; N]; 5] = [0, 1, 2, 3, 4].map(|digit| lanes(&windows.square_magic[digit], lane));
        let limit = limits(first, 24);
        let (mut sum0, mut sum1, mut sum2) = ([0; N], [0; N], [0; N]);
        let (mut square0, mut square1, mut square2) = ([0; N], [0; N], [0; N]);
        let (mut square3, mut square4) = ([0; N], [0; N]);
        let mut ends = Ends::<Self, N>::default();
        let mut rows = 0;
        for row in block.group::<N>(at + lane) {
            rows += 1;
            for i in 0..N {
                let seen = look::<Self, FILTERED>(row[i], missing, limit[i]);
                ends.note::<FILTERED>(i, &seen);
                let x = seen.summed;
                let rounded = x + first[i];
                add(&mut sum0[i], rounded);
                let a = rounded - first[i];
                let rest = x - a;
                let rounded = rest + second[i];
                add(&mut sum1[i], rounded);
                let b = rounded - second[i];
                let c = rest - b;
                let rounded = c + third[i];
                add(&mut sum2[i], rounded);
                ends.over[i] |= (c - (rounded - third[i])).to_bits() << 1;
                add(&mut square0[i], multiply_add::<FUSED>(a, a, square[0][i]));
                add(&mut square1[i], multiply_add::<FUSED>(a, b, square[1][i]));
                let twice = multiply_add::<FUSED>(a + a, c, square[2][i]);
                add(&mut square2[i], multiply_add::<FUSED>(b, b, twice));
                add(&mut square3[i], multiply_add::<FUSED>(b, c, square[3][i]));
                add(&mut square4[i], multiply_add::<FUSED>(c, c, square[4][i]));
            }
        }
        for (digit, (sum, magics)) in [(sum0, first), (sum1, second), (sum2, third)].into_iter().enumerate() {
            put(&mut sums.sum[digit], lane, sum, magics, rows);
        }
        for (digit, of_digit) in [square0, square1, square2, square3, square4].into_iter().enumerate() {
            put(&mut sums.squares[digit], lane, of_digit, square[digit], rows);
        }
        ends.put(sums, lane);
    }
}
