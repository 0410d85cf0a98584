//! The passes of a job, and what a chunk folds to in each.

use std::sync::Arc;

use crate::kernels::corr::extremes::Extremes;
use crate::kernels::corr::products::{Products, Tiles, Width};
use crate::kernels::corr::scale::Scales;

/// What a pass looks for.
#[derive(Clone, Debug)]
pub struct CorrPass(pub(super) Stage);

#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// The extremes of the columns, and how many rows have no NaN.
    Extremes,
    /// The sums of the products of these tiles.
    Products {
        width: Width,
        tiles: Arc<Tiles>,
        /// What the passes before this one found.
        found: Arc<Found>,
    },
}

/// What is known before a pass over the products.
#[derive(Debug)]
pub(super) struct Found {
    /// Rows without a NaN.
    pub rows: u64,
    pub scales: Scales,
    /// The products of short numbers, with their tiles, where the pass is one over long ones after that.
    pub short: Option<(Arc<Tiles>, Products)>,
}

/// What a chunk folds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorrPartial(pub(super) Gathered);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gathered {
    Extremes(Extremes),
    Products(Products),
}

impl CorrPartial {
    /// Takes that of other rows in.
    pub(super) fn merge(&mut self, other: &Self) {
        match (&mut self.0, &other.0) {
            (Gathered::Extremes(into), Gathered::Extremes(from)) => into.merge(from),
            (Gathered::Products(into), Gathered::Products(from)) => into.merge(from),
            _ => unreachable!("partials of one pass are of one kind"),
        }
    }
}
