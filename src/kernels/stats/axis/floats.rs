//! Floats: sixteen cells at once, each in a window of exponents of its own.
//!
//! The windows are those of [`moments`](crate::kernels::stats::moments): an element is taken apart into digits by adding magic
//! numbers, here those of its cell. What does not fit the window of its cell is added to the cell one by one.

use crate::exact::Wide;
use crate::kernels::Isa;
use crate::kernels::on_isa::on_isa;
use crate::kernels::stats::Number;
use crate::kernels::stats::axis::cell::Cell;
use crate::kernels::stats::axis::lanes::{Block, Cellular, LANES, MOST_ROWS, Setting};
use crate::kernels::stats::axis::windows::Windows;
use crate::kernels::stats::moments::float::{exponent, significand};

/// How far above the largest magnitude of a block a window begins, so that slightly larger ones fit it too.
const SLACK: i32 = 1;

/// How many blocks of a cell are added one by one where one did not fit a window made for it.
const UNTRIED_BLOCKS: u8 = 16;

/// A float type whose digits are added up in lanes.
pub(super) trait Digits: Number + Default {
    /// How many digits there are of a sum, and of one of squares.
    const SUM_DIGITS: usize;
    const SQUARE_DIGITS: usize;

    /// Which digits of squares count twice, as the power of two that they count more.
    const SQUARES_TWICE: [i32; 5];

    /// The exponents of the digits in a window of numbers below `2^top`, greatest first; `None` where sums would leave the range of
    /// `f64`.
    fn exponents(top: i32) -> Option<([i32; 3], [i32; 5])>;

    /// Its key as a signed integer, which orders as the values do.
    type Key: Copy + Ord + Send + Sync + std::fmt::Debug;
    const LEAST_KEY: Self::Key;
    const GREATEST_KEY: Self::Key;
    fn signed_key(self) -> Self::Key;
    fn key_of(key: Self::Key) -> u64;

    /// Adds up lanes `first..first + N` of `windows`.
    fn sums<const N: usize, const FUSED: bool, const FILTERED: bool>(
        block: Block<'_, Self>,
        at: usize,
        lane: usize,
        windows: &Windows,
        missing: Self,
        sums: &mut Sums<Self>,
    );
}

/// What a block comes to, lane by lane.
#[derive(Clone, Debug)]
pub(super) struct Sums<T: Digits> {
    /// Zero where every element that is summed fits the window.
    pub(super) over: [u64; LANES],
    /// Of the values, infinities included.
    pub(super) min: [T::Key; LANES],
    pub(super) max: [T::Key; LANES],
    /// What follows is of filtered blocks only: the values, and which of them are infinite.
    pub(super) kept: [u64; LANES],
    pub(super) positive_infinities: [u64; LANES],
    pub(super) negative_infinities: [u64; LANES],
    pub(super) sum: [[i64; LANES]; 3],
    pub(super) squares: [[i64; LANES]; 5],
}

impl<T: Digits> Default for Sums<T> {
    fn default() -> Self {
        Self {
            over: [0; LANES],
            min: [T::GREATEST_KEY; LANES],
            max: [T::LEAST_KEY; LANES],
            kept: [0; LANES],
            positive_infinities: [0; LANES],
            negative_infinities: [0; LANES],
            sum: [[0; LANES]; 3],
            squares: [[0; LANES]; 5],
        }
    }
}

/// A group of cells between blocks.
#[derive(Clone, Debug)]
pub(super) struct FloatGroup<T: Digits> {
    windows: Windows,
    /// The rows that `sums` are of.
    rows: usize,
    sums: Sums<T>,
    /// Whether the last block held elements that are not finite values, so that the next one likely does.
    mixed: bool,
    untried: [u8; LANES],
}

impl<T: Digits> Default for FloatGroup<T> {
    fn default() -> Self {
        Self { windows: Windows::default(), rows: 0, sums: Sums::default(), mixed: false, untried: [0; LANES] }
    }
}

macro_rules! cellular {
    ($($float:ty),*) => {$(
        impl Cellular for $float {
            type Group = FloatGroup<Self>;

            fn add(group: &mut Self::Group, block: Block<'_, Self>, first: usize, cells: &mut [Cell], setting: &Setting) {
                group.add(block, first, cells, setting);
            }

            fn finish(group: &mut Self::Group, cells: &mut [Cell], setting: &Setting) {
                (0..cells.len()).for_each(|lane| group.move_sums(lane, &mut cells[lane], setting));
                group.rows = 0;
                group.untried = [0; LANES];
            }
        }
    )*};
}
cellular!(f32, f64);

impl<T: Digits> FloatGroup<T> {
    fn add(&mut self, block: Block<'_, T>, first: usize, cells: &mut [Cell], setting: &Setting) {
        let rows = block.rows();
        if self.rows + rows > MOST_ROWS {
            (0..cells.len()).for_each(|lane| self.move_sums(lane, &mut cells[lane], setting));
            self.rows = 0;
        }
        self.rows += rows;
        let missing = setting.missing.map(|(key, _)| T::from_key(key));
        let mut open: [bool; LANES] = std::array::from_fn(|lane| lane < cells.len() && self.untried[lane] == 0);
        let untried = self.untried;
        self.untried.iter_mut().for_each(|blocks| *blocks = blocks.saturating_sub(1));
        // First as the last block was; then in windows made for this one; what still does not fit goes one by one.
        if (0..cells.len()).any(|lane| open[lane] && self.windows.top(lane).is_some()) {
            let sums = sums(setting.isa, block, first, &self.windows, self.mixed || missing.is_some(), missing);
            self.take_in(&sums, rows, self.mixed || missing.is_some(), &mut open, cells);
        }
        if open.contains(&true) {
            // No element equals a NaN.
            let left_out = missing.unwrap_or_else(|| T::from_key(u64::MAX));
            let found = on_isa!(setting.isa, Magnitudes::of(block, first, left_out));
            let tops = found.tops(&open);
            for lane in (0..cells.len()).filter(|lane| open[*lane]) {
                self.move_sums(lane, &mut cells[lane], setting);
                self.windows.set::<T>(lane, tops[lane]);
            }
            self.mixed = (0..LANES).any(|lane| open[lane] && found.has_others[lane] != 0);
            let sums = sums(setting.isa, block, first, &self.windows, true, missing);
            self.take_in(&sums, rows, true, &mut open, cells);
            for lane in (0..cells.len()).filter(|lane| open[*lane]) {
                self.untried[lane] = UNTRIED_BLOCKS;
            }
        }
        for (lane, cell) in cells.iter_mut().enumerate() {
            if open[lane] || untried[lane] > 0 {
                add_one_by_one(block, first, lane, cell, setting);
            }
        }
    }

    /// Takes in those open lanes whose elements fit their windows, and closes them.
    fn take_in(&mut self, sums: &Sums<T>, rows: usize, filtered: bool, open: &mut [bool; LANES], cells: &mut [Cell]) {
        let into = &mut self.sums;
        let mut fits = [false; LANES];
        let mut all = true;
        for lane in 0..LANES {
            let within = filtered || self.windows.holds::<T>(lane, sums.min[lane], sums.max[lane]);
            fits[lane] = open[lane] && sums.over[lane] == 0 && within;
            all &= fits[lane] | !open[lane];
        }
        let mask: [i64; LANES] = fits.map(|fits| -i64::from(fits));
        for (into, from) in into.sum.iter_mut().zip(&sums.sum).take(T::SUM_DIGITS) {
            (0..LANES).for_each(|lane| into[lane] = into[lane].wrapping_add(from[lane] & mask[lane]));
        }
        for (into, from) in into.squares.iter_mut().zip(&sums.squares).take(T::SQUARE_DIGITS) {
            (0..LANES).for_each(|lane| into[lane] = into[lane].wrapping_add(from[lane] & mask[lane]));
        }
        for (lane, fits) in fits.iter().enumerate() {
            let (min, max) = (into.min[lane].min(sums.min[lane]), into.max[lane].max(sums.max[lane]));
            into.min[lane] = if *fits { min } else { into.min[lane] };
            into.max[lane] = if *fits { max } else { into.max[lane] };
        }
        for (lane, cell) in cells.iter_mut().enumerate().filter(|(lane, _)| fits[*lane]) {
            let kept = if filtered { sums.kept[lane] } else { rows as u64 };
            cell.count += kept;
            cell.nan_count += rows as u64 - kept;
            if filtered {
                cell.positive_infinities += sums.positive_infinities[lane];
                cell.negative_infinities += sums.negative_infinities[lane];
            }
        }
        *open = std::array::from_fn(|lane| open[lane] && !fits[lane]);
        if all && filtered {
            self.mixed = (0..cells.len()).any(|lane| {
                sums.kept[lane] < rows as u64 || sums.positive_infinities[lane] + sums.negative_infinities[lane] > 0
            });
        }
    }

    /// Moves what was added up of a lane to its cell.
    fn move_sums(&mut self, lane: usize, cell: &mut Cell, setting: &Setting) {
        let sums = &mut self.sums;
        let (min, max) = (sums.min[lane], sums.max[lane]);
        (sums.min[lane], sums.max[lane]) = (T::GREATEST_KEY, T::LEAST_KEY);
        if min <= max {
            cell.take_in_extremes(T::key_of(min), T::key_of(max));
        }
        let Some((of_sum, of_squares)) = self.windows.top(lane).and_then(T::exponents) else { return };
        // The last digits are worth least: one of a square what the square of one of a sum is.
        let (exp2, square_exp2) = (of_sum[T::SUM_DIGITS - 1], of_squares[T::SQUARE_DIGITS - 1]);
        debug_assert_eq!(2 * exp2, square_exp2, "digits of one window");
        let mut sum = 0_i128;
        for (digit, at) in sums.sum.iter_mut().zip(of_sum).take(T::SUM_DIGITS) {
            sum += i128::from(std::mem::take(&mut digit[lane])) << (at - exp2);
        }
        let mut squares = Wide::ZERO;
        // From the least on, as many together as 127 bits hold.
        let (mut part, mut part_shift) = (0_i128, 0);
        for digit in (0..T::SQUARE_DIGITS).rev() {
            let shift = (of_squares[digit] + T::SQUARES_TWICE[digit] - square_exp2) as u32;
            if shift - part_shift > 60 {
                squares.add(std::mem::take(&mut part), part_shift);
                part_shift = shift;
            }
            part += i128::from(std::mem::take(&mut sums.squares[digit][lane])) << (shift - part_shift);
        }
        squares.add(part, part_shift);
        cell.add_sums(sum, &squares, exp2, &setting.layout);
    }
}

/// The largest magnitudes of the finite values of a block, lane by lane.
struct Magnitudes {
    largest: [f64; LANES],
    /// Other than 0 where there is something else, too.
    has_others: [u64; LANES],
}

impl Magnitudes {
    #[inline(always)]
    fn of<T: Digits>(block: Block<'_, T>, first: usize, missing: T) -> Self {
        let (mut largest, mut has_others) = ([0.0_f64; LANES], [0; LANES]);
        for row in block.group::<LANES>(first) {
            for lane in 0..LANES {
                let magnitude = row[lane].to_f64().abs();
                let is_finite_value = (magnitude < f64::INFINITY) & (row[lane] != missing);
                has_others[lane] |= u64::from(!is_finite_value);
                let magnitude = if is_finite_value { magnitude } else { 0.0 };
                largest[lane] = if magnitude > largest[lane] { magnitude } else { largest[lane] };
            }
        }
        Self { largest, has_others }
    }

    /// Where the windows of open lanes are to begin: all at the same place where they would be near each other anyway, since that place
    /// will suit the next cells, too.
    fn tops(&self, open: &[bool; LANES]) -> [i32; LANES] {
        const NEAR: i32 = 6;
        let tops = self.largest.map(|largest| if largest == 0.0 { 0 } else { exponent(largest) + 1 + SLACK });
        let of_open = || (0..LANES).filter(|lane| open[*lane] && self.largest[*lane] > 0.0).map(|lane| tops[lane]);
        match (of_open().min(), of_open().max()) {
            (Some(least), Some(greatest)) if greatest - least <= NEAR => [greatest; LANES],
            _ => tops,
        }
    }
}

/// Adds the elements of one lane to its cell, whatever they are.
fn add_one_by_one<T: Digits>(block: Block<'_, T>, first: usize, lane: usize, cell: &mut Cell, setting: &Setting) {
    let valid = setting.layout.valid_keys;
    let missing = setting.missing.unwrap_or((1, 0));
    for row in block.group::<LANES>(first) {
        let value = row[lane];
        let key = value.key();
        if !(valid.0..=valid.1).contains(&key) || (missing.0..=missing.1).contains(&key) {
            cell.nan_count += 1;
            continue;
        }
        cell.count += 1;
        cell.take_in_extremes(key, key);
        if key == valid.0 {
            cell.negative_infinities += 1;
        } else if key == valid.1 {
            cell.positive_infinities += 1;
        } else {
            let (significand, exp2) = significand(value.to_f64());
            cell.add_value(significand, exp2, &setting.layout);
        }
    }
}

fn sums<T: Digits>(
    isa: Isa,
    block: Block<'_, T>,
    at: usize,
    windows: &Windows,
    filtered: bool,
    missing: Option<T>,
) -> Sums<T> {
    // No element equals a NaN.
    let missing = missing.unwrap_or_else(|| T::from_key(u64::MAX));
    let mut sums = Sums::default();
    if filtered {
        on_isa::<T, true>(isa, block, at, windows, missing, &mut sums);
    } else {
        on_isa::<T, false>(isa, block, at, windows, missing, &mut sums);
    }
    sums
}

fn on_isa<T: Digits, const FILTERED: bool>(
    isa: Isa,
    block: Block<'_, T>,
    at: usize,
    windows: &Windows,
    missing: T,
    sums: &mut Sums<T>,
) {
    match isa {
        // SAFETY: `Setting::isa` is never wider than the machine's.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::<T, FILTERED>(block, at, windows, missing, sums) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::<T, FILTERED>(block, at, windows, missing, sums) },
        _ => {
            const FUSED: bool = cfg!(any(target_feature = "fma", target_arch = "aarch64"));
            (0..LANES).step_by(4).for_each(|lane| {
                T::sums::<4, FUSED, FILTERED>(block, at, lane, windows, missing, sums);
            });
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
fn avx512<T: Digits, const FILTERED: bool>(
    block: Block<'_, T>,
    at: usize,
    windows: &Windows,
    missing: T,
    sums: &mut Sums<T>,
) {
    for lane in (0..LANES).step_by(8) {
        T::sums::<8, true, FILTERED>(block, at, lane, windows, missing, sums);
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Digits, const FILTERED: bool>(
    block: Block<'_, T>,
    at: usize,
    windows: &Windows,
    missing: T,
    sums: &mut Sums<T>,
) {
    for lane in (0..LANES).step_by(4) {
        T::sums::<4, true, FILTERED>(block, at, lane, windows, missing, sums);
    }
}
