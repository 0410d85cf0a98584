//! The first pass: the least and the greatest element of each column, over the rows that have no NaN, and how many those are.

use crate::kernels::Isa;
use crate::kernels::corr::panels::{Domain, LANES, Lanes, Panels};
use crate::kernels::on_isa::on_isa;

/// The extremes of every lane of every panel, as keys that order as the elements do. Merges exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extremes {
    /// Rows without a NaN.
    pub rows: u64,
    /// The least key of each lane; `u64::MAX` where there is no row.
    pub least: Vec<u64>,
    /// The greatest key of each lane; 0 where there is no row.
    pub greatest: Vec<u64>,
}

impl Extremes {
    /// Those of no rows.
    pub fn empty(lanes: usize) -> Self {
        Self { rows: 0, least: vec![u64::MAX; lanes], greatest: vec![0; lanes] }
    }

    /// Takes those of other rows in.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.least.iter_mut().zip(&other.least).for_each(|(a, b)| *a = (*a).min(*b));
        self.greatest.iter_mut().zip(&other.greatest).for_each(|(a, b)| *a = (*a).max(*b));
    }

    /// Takes a block in, and notes which of its rows are left out.
    pub fn add(&mut self, isa: Isa, panels: &Panels, domains: &[Domain], without: &mut [bool]) {
        mark_rows(isa, panels, domains, without);
        let kept = without.iter().filter(|out| !**out).count();
        self.rows += kept as u64;
        if kept == 0 {
            return;
        }
        for (panel, domain) in domains.iter().enumerate() {
            let lanes = panel * LANES..(panel + 1) * LANES;
            let (least, greatest) = (&mut self.least[lanes.clone()], &mut self.greatest[lanes]);
            let rows = panels.panel(panel);
            let whole = kept == rows.len();
            match domain {
                Domain::Float => {
                    let [low, high] = on_isa!(isa, float_extremes(rows, without, whole));
                    for lane in 0..LANES {
                        least[lane] = least[lane].min(key_of(low[lane]));
                        greatest[lane] = greatest[lane].max(key_of(high[lane]));
                    }
                }
                // Keys are never NaN, but a float of the other table may be.
                Domain::Integer => on_isa!(isa, integer_extremes(rows, without, least, greatest)),
            }
        }
    }
}

/// Notes for each row of a block of elements' words whether it has a NaN.
pub(super) fn mark_rows(isa: Isa, panels: &Panels, domains: &[Domain], without: &mut [bool]) {
    without.fill(false);
    for (panel, domain) in domains.iter().enumerate() {
        if *domain == Domain::Float {
            on_isa!(isa, mark_nans(panels.panel(panel), without));
        }
    }
}

/// Makes keys of the words of a block, as the extremes are kept; those of NaN are anything.
pub(super) fn order_keys(panels: &mut Panels, domains: &[Domain]) {
    for (panel, domain) in domains.iter().enumerate() {
        if *domain == Domain::Float {
            for word in panels.panel_mut(panel).iter_mut().flat_map(|row| &mut row.0) {
                *word = key_of(f64::from_bits(*word));
            }
        }
    }
}

/// A key that orders as the floats do; one for both zeros.
pub(super) fn key_of(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The float with this key.
pub(super) fn float_of(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key ^ 1 << 63 } else { !key })
}

#[inline(always)]
fn mark_nans(rows: &[Lanes], without: &mut [bool]) {
    const INFINITY: u64 = f64::INFINITY.to_bits();
    let magnitude = |word: u64| word & (u64::MAX >> 1);
    // Mostly there is none, and to find that out lane by lane is far quicker than row by row.
    let mut greatest = [0; LANES];
    for row in rows {
        for (greatest, word) in greatest.iter_mut().zip(&row.0) {
            *greatest = (*greatest).max(magnitude(*word));
        }
    }
    if greatest.iter().all(|greatest| *greatest <= INFINITY) {
        return;
    }
    for (row, without) in rows.iter().zip(without) {
        *without |= row.0.iter().any(|word| magnitude(*word) > INFINITY);
    }
}

#[inline(always)]
fn float_extremes(rows: &[Lanes], without: &[bool], whole: bool) -> [[f64; LANES]; 2] {
    let (mut low, mut high) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
    for (row, without) in rows.iter().zip(without) {
        if !whole && *without {
            continue;
        }
        for lane in 0..LANES {
            let x = f64::from_bits(row.0[lane]);
            low[lane] = if x < low[lane] { x } else { low[lane] };
            high[lane] = if x > high[lane] { x } else { high[lane] };
        }
    }
    [low, high]
}

#[inline(always)]
fn integer_extremes(rows: &[Lanes], without: &[bool], least: &mut [u64], greatest: &mut [u64]) {
    let (mut low, mut high) = ([u64::MAX; LANES], [0; LANES]);
    for (row, without) in rows.iter().zip(without) {
        if *without {
            continue;
        }
        for lane in 0..LANES {
            low[lane] = low[lane].min(row.0[lane]);
            high[lane] = high[lane].max(row.0[lane]);
        }
    }
    for lane in 0..LANES {
        least[lane] = least[lane].min(low[lane]);
        greatest[lane] = greatest[lane].max(high[lane]);
    }
}
