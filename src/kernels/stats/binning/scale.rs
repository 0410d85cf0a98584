//! Where a value lies among the edges of a histogram, in floating point, and how far that can be trusted.
//!
//! The position of a value is `(value - first edge) * bins per unit`. Each of its steps, roundings included, keeps the order
//! of values, so position never falls where the value rises. It is therefore enough to know the positions of the two
//! elements next to each edge, the last below it and the first at it: every element below the edge has at most the position
//! of the one, every element from it on has at least the position of the other. No bound on rounding errors is needed, and
//! none has to hold for hostile ranges: where the positions next to the edges are not close to the whole number that they
//! should be, there is no scale, and cells are searched for by key.

use crate::kernels::stats::number::Number;

/// How far from a whole number the position of an element next to an edge may be.
const STRAY_MAX: f64 = 0.25;

/// Rounds what is added to it to a whole number, and leaves that in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// Positions of elements among the starts of cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::kernels::stats) struct Scale {
    origin: f64,
    cells_per_unit: f64,
    /// Positions are kept between these; both are in the middle of a cell.
    least: f64,
    greatest: f64,
    /// An element lies from edge number `round(position)` on where its position is more than this past the edge,
    turn: f64,
    /// but where it is between these past the edge, its key decides.
    doubt: (f64, f64),
}

/// What the position of an element says.
pub(super) struct Place {
    /// The number of the nearest edge.
    pub(super) edge: u32,
    /// Whether the element lies from that edge on; holds where there is no doubt.
    pub(super) past: bool,
    /// Whether its key has to be compared with the start of the cell past that edge.
    pub(super) doubtful: bool,
}

impl Scale {
    /// The scale of cells that begin at the keys `starts`, of bins from the first of `edges` to the last; `None` where
    /// positions tell too little.
    pub(in crate::kernels::stats) fn new<T: Number>(starts: &[u64], edges: &[f64]) -> Option<Self> {
        let (Some(first_start), [origin, .., last]) = (starts.first(), edges) else { return None };
        let cells_per_unit = (edges.len() - 1) as f64 / (last - origin);
        if !cells_per_unit.is_normal() {
            return None;
        }
        let mut scale = Self {
            origin: *origin,
            cells_per_unit,
            // Where the first cell begins with the least key, nothing lies before it.
            least: if *first_start == 0 { 0.5 } else { -0.5 },
            greatest: starts.len() as f64 - 0.5,
            turn: 0.0,
            doubt: (1.0, -1.0),
        };
        let (mut first_past, mut last_before) = (f64::INFINITY, f64::NEG_INFINITY);
        for (edge, &start) in starts.iter().enumerate() {
            let past = |key| scale.position(T::from_key(key).to_f64()) - edge as f64;
            first_past = first_past.min(past(start));
            if let Some(before) = start.checked_sub(1) {
                last_before = last_before.max(past(before));
            }
        }
        if first_past <= -STRAY_MAX || last_before >= STRAY_MAX {
            return None;
        }
        scale.turn = last_before.max(-STRAY_MAX);
        if first_past <= last_before {
            scale.doubt = (first_past, last_before);
        }
        Some(scale)
    }

    /// NaN has the position of the least value.
    #[inline(always)]
    fn position(&self, value: f64) -> f64 {
        let position = (value - self.origin) * self.cells_per_unit;
        let position = if position > self.least { position } else { self.least };
        if position < self.greatest { position } else { self.greatest }
    }

    #[inline(always)]
    pub(super) fn place(&self, value: f64) -> Place {
        let position = self.position(value);
        let rounded = position + ROUND;
        let past = position - (rounded - ROUND);
        Place {
            edge: rounded.to_bits() as u32,
            past: past > self.turn,
            doubtful: (past >= self.doubt.0) & (past <= self.doubt.1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(edges: &[f64]) -> Vec<u64> {
        edges.iter().map(|edge| edge.key()).collect()
    }

    #[test]
    fn where_the_last_element_below_an_edge_is_told_from_the_first_at_it_nothing_is_in_doubt() {
        let edges: Vec<f64> = (0..=1000).map(f64::from).collect();
        let starts: Vec<u64> = (0..=1000i32).map(Number::key).collect();
        let scale = Scale::new::<i32>(&starts, &edges).unwrap();
        assert!(scale.doubt.0 > scale.doubt.1, "{scale:?}");
        let tenths: Vec<f64> = (0..=10).map(|i| f64::from(i) / 10.0).collect();
        let scale = Scale::new::<f64>(&keys(&tenths), &tenths).unwrap();
        assert!(scale.doubt.0 <= scale.doubt.1 && scale.doubt.1 - scale.doubt.0 < 1e-14, "{scale:?}");
    }

    #[test]
    fn bins_that_floating_point_cannot_tell_apart_have_no_scale() {
        let narrow: Vec<f64> = (0..=10).map(|i| f64::from_bits(1e300f64.to_bits() + i)).collect();
        assert!(Scale::new::<f64>(&keys(&narrow), &narrow).is_some(), "differences of neighbours are exact");
        let uneven = [0.0, 1.0, 5.0, 6.0];
        assert_eq!(Scale::new::<f64>(&keys(&uneven), &uneven), None);
        let wide = [f64::MIN, 0.0, f64::MAX];
        assert_eq!(Scale::new::<f64>(&keys(&wide), &wide), None);
        let subnormal = [0.0, 5e-324, 1e-323];
        assert_eq!(Scale::new::<f64>(&keys(&subnormal), &subnormal), None);
        assert_eq!(Scale::new::<f64>(&[], &[0.0, 1.0]), None);
    }
}
