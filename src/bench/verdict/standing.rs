//! From which size on one of two is faster, and where that cannot be told. Pure.

use serde::{Deserialize, Serialize};

use super::{is_surely_faster, sure_interval};
use crate::bench::{Cell, Row};

/// From which size on a place beats another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BreakEven {
    /// From about this many units on, between two sizes that were measured.
    From(u64),
    /// At every size that was measured.
    Always,
    /// At none, or not at the largest.
    Never,
}

impl BreakEven {
    /// Of sizes in units, ascending, each with the times of the challenger and of the other. Between two sizes the times are
    /// taken to follow a power of the size. `None` where nothing was measured.
    pub fn of(times: impl IntoIterator<Item = (u64, f64, f64)>) -> Option<Self> {
        let slower: Vec<(f64, f64)> = times
            .into_iter()
            .filter(|(_, challenger, other)| *challenger > 0.0 && *other > 0.0)
            .map(|(units, challenger, other)| ((units.max(1) as f64).ln(), (challenger / other).ln()))
            .collect();
        let &(_, last) = slower.last()?;
        if last >= 0.0 {
            return Some(Self::Never);
        }
        Some(match slower.iter().rposition(|&(_, slower)| slower >= 0.0) {
            None => Self::Always,
            Some(at) => {
                let ((x0, y0), (x1, y1)) = (slower[at], slower[at + 1]);
                Self::From((x0 + (x1 - x0) * y0 / (y0 - y1)).exp().round() as u64)
            }
        })
    }
}

/// At which sizes two can be told apart: where the intervals of their medians do not meet, and are apart by more than waking a thread takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToldApart {
    /// At the largest that was measured, so that a break-even size says something.
    #[default]
    Largest,
    /// At some, and not at the largest.
    Smaller,
    /// At none.
    Never,
}

/// How a challenger stands against another over all sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// From which size on it is faster by the medians.
    pub break_even: BreakEven,
    /// Between which sizes the two cannot be told apart: from where it may win by the intervals of the medians to where it
    /// surely does. `None` where there is no such size.
    pub band_units: Option<(u64, u64)>,
    /// At which sizes the two can be told apart.
    pub told_apart: ToldApart,
    /// How many times as fast it is at best, and at how many units.
    pub best: (f64, u64),
    /// Every size at which it is surely faster, in units.
    pub surely_at: Vec<u64>,
    /// At how many sizes both were measured.
    pub sizes: u32,
}

impl Standing {
    /// Of rows ascending in size, each with the cells of the challenger and of the other; `None` where there are none.
    pub(super) fn of(pairs: &[(&Row, &Cell, &Cell)]) -> Option<Self> {
        let of = |challenger: fn(&Cell) -> f64, other: fn(&Cell) -> f64| {
            BreakEven::of(pairs.iter().map(|(row, cell, held)| (row.units, challenger(cell), other(held))))
        };
        let early = of(|cell| sure_interval(cell).0, |other| sure_interval(other).1)?;
        let late = of(|cell| sure_interval(cell).1, |other| sure_interval(other).0)?;
        let unclear =
            |(_, cell, other): &(&Row, &Cell, &Cell)| !is_surely_faster(cell, other) && !is_surely_faster(other, cell);
        let told_apart = if !pairs.last().is_some_and(unclear) {
            ToldApart::Largest
        } else if pairs.iter().all(unclear) {
            ToldApart::Never
        } else {
            ToldApart::Smaller
        };
        let (least, most) = (pairs.first()?.0.units, pairs.last()?.0.units);
        let band_units = match (early, late) {
            (BreakEven::Never, _) | (_, BreakEven::Always) => None,
            // It surely wins at some smaller size, and what lies between is no single band.
            (BreakEven::Always, BreakEven::Never) if told_apart != ToldApart::Never => None,
            (early, late) => {
                let edge = |found, otherwise| if let BreakEven::From(units) = found { units } else { otherwise };
                Some((edge(early, least), edge(late, most)))
            }
        };
        let ratios = pairs.iter().map(|(row, cell, other)| (other.median_ms / cell.median_ms, row.units));
        Some(Self {
            break_even: of(|cell| cell.median_ms, |other| other.median_ms)?,
            band_units,
            told_apart,
            best: ratios.max_by(|a, b| a.0.total_cmp(&b.0))?,
            surely_at: pairs
                .iter()
                .filter(|(_, cell, other)| is_surely_faster(cell, other))
                .map(|(row, ..)| row.units)
                .collect(),
            sizes: pairs.len() as u32,
        })
    }
}
