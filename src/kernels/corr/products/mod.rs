//! Sums of products of pairs of columns, as whole numbers: what the coefficients are made of. They merge exactly.
//!
//! A *tile* is what two panels have in common: 8 x 8 pairs of columns. Of the product of two short numbers a tile adds up the high
//! half, `floor(x y / 2^52)`; of two long ones `high high + floor(high low / 2^52) + floor(low high / 2^52)`, in two sums.

mod columns;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod portable;

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Zeroable;

use crate::kernels::Isa;
use crate::kernels::corr::panels::{LANES, Lanes, Panels};

pub(super) use columns::ColumnSums;

/// The instruction set that products are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Portable,
    /// Products of 52 bits in registers of 512.
    #[cfg(target_arch = "x86_64")]
    Ifma,
}

impl Unit {
    /// What there is, where no wider instruction set than this may be used.
    pub fn of(isa: Isa) -> Self {
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Avx512 && is_x86_feature_detected!("avx512ifma") {
            return Self::Ifma;
        }
        let _ = isa;
        Self::Portable
    }
}

/// One sum of 128 bits for each pair of a tile: the pair of column `i` of the first panel and `j` of the second stands at
/// `[j][i]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Plane {
    low: [[u64; LANES]; LANES],
    high: [[u64; LANES]; LANES],
}

impl Plane {
    /// That of column `i` of the first panel and `j` of the second.
    pub fn get(&self, i: usize, j: usize) -> u128 {
        u128::from(self.high[j][i]) << 64 | u128::from(self.low[j][i])
    }

    #[inline(always)]
    pub fn add(&mut self, i: usize, j: usize, value: u128) {
        let sum = self.get(i, j) + value;
        (self.low[j][i], self.high[j][i]) = (sum as u64, (sum >> 64) as u64);
    }

    fn merge(&mut self, other: &Self) {
        for j in 0..LANES {
            for i in 0..LANES {
                let (sum, carry) = self.low[j][i].overflowing_add(other.low[j][i]);
                self.low[j][i] = sum;
                self.high[j][i] += other.high[j][i] + u64::from(carry);
            }
        }
    }
}

/// The tiles of a pass: for each first panel, which second panels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    /// `(first panel, second panels)`, ascending and disjoint; each second panel is at least the first.
    runs: Vec<(usize, Range<usize>)>,
    /// The tile where each run begins.
    starts: Vec<usize>,
    len: usize,
}

impl Tiles {
    /// All pairs of the panels `0..first` with those that follow: themselves from the diagonal on, or the `second` ones after
    /// them.
    pub fn all(first: usize, second: usize) -> Self {
        let runs = (0..first).map(|panel| (panel, if second == 0 { panel..first } else { first..first + second }));
        Self::of(runs.collect())
    }

    /// These runs.
    pub fn of(runs: Vec<(usize, Range<usize>)>) -> Self {
        let mut len = 0;
        let starts = runs
            .iter()
            .map(|(_, run)| {
                len += run.len();
                len - run.len()
            })
            .collect();
        Self { runs, starts, len }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// The runs, each with the number of its first tile.
    pub fn runs(&self) -> impl Iterator<Item = (usize, &(usize, Range<usize>))> {
        self.starts.iter().copied().zip(&self.runs)
    }

    /// The pairs of panels, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.runs.iter().flat_map(|(first, run)| run.clone().map(move |second| (*first, second)))
    }

    /// The number of the tile of two panels.
    pub fn find(&self, first: usize, second: usize) -> Option<usize> {
        let from = self.runs.partition_point(|(panel, _)| *panel < first);
        self.runs[from..]
            .iter()
            .zip(&self.starts[from..])
            .take_while(|((panel, _), _)| *panel == first)
            .find_map(|((_, run), start)| run.contains(&second).then(|| start + second - run.start))
    }
}

/// How wide the numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// 52 bits: one sum a pair.
    Short,
    /// 104 bits: two sums a pair, that of the low halves of products in the second half of the planes.
    Long,
}

impl Width {
    /// Planes a tile.
    pub const fn planes(self) -> usize {
        match self {
            Self::Short => 1,
            Self::Long => 2,
        }
    }
}

/// What a pass over the products gathers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Products {
    /// One a lane of the panels.
    pub columns: Vec<ColumnSums>,
    /// One a tile; of long numbers, after them as many again.
    pub planes: Vec<Plane>,
}

impl Products {
    /// Those of no rows.
    pub fn empty(panels: usize, tiles: &Tiles, width: Width) -> Self {
        Self {
            columns: vec![ColumnSums::default(); panels * LANES],
            planes: vec![Plane::zeroed(); tiles.len() * width.planes()],
        }
    }

    /// Takes those of other rows in.
    pub fn merge(&mut self, other: &Self) {
        self.columns.iter_mut().zip(&other.columns).for_each(|(a, b)| a.merge(b));
        self.planes.iter_mut().zip(&other.planes).for_each(|(a, b)| a.merge(b));
    }

    /// Adds a block of short numbers.
    pub fn add_short(&mut self, unit: Unit, panels: &Panels, tiles: &Arc<Tiles>) {
        columns::add_short(unit, panels, &mut self.columns);
        let planes = &mut self.planes;
        match unit {
            Unit::Portable => portable::add_short(panels, tiles, planes),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Unit::of` has found the instructions.
            Unit::Ifma => unsafe { ifma::add_short(panels, tiles, planes) },
        }
    }

    /// Adds a block of long numbers.
    pub fn add_long(&mut self, unit: Unit, high: &Panels, low: &Panels, tiles: &Arc<Tiles>) {
        columns::add_long(high, low, &mut self.columns);
        let (tops, rests) = self.planes.split_at_mut(tiles.len());
        match unit {
            Unit::Portable => portable::add_long([high, low], tiles, [tops, rests]),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Unit::of` has found the instructions.
            Unit::Ifma => unsafe { ifma::add_long([high, low], tiles, [tops, rests]) },
        }
    }
}

/// Adds what a block came to in 64 bits.
fn add_block(plane: &mut Plane, sums: &[Lanes; LANES]) {
    for (j, sums) in sums.iter().enumerate() {
        for i in 0..LANES {
            let (sum, carry) = plane.low[j][i].overflowing_add(sums.0[i]);
            plane.low[j][i] = sum;
            plane.high[j][i] += u64::from(carry);
        }
    }
}

#[cfg(test)]
mod tests;
