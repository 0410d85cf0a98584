//! What is known of a column between passes, and what the next pass has to look for.

use std::sync::Arc;

use crate::job::{Cause, JobError};
use crate::kernels::stats::quantiles::Selection;
use crate::kernels::stats::{
    Bins, Column, ColumnPartial, ColumnPass, Layout, Moments, MomentsUpTo, StatsRequest, brackets, histogram,
};

/// What the passes so far have found of a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) moments: Option<Moments>,
    pub(super) selection: Option<Selection>,
    /// The bins, and the count of each of their cells.
    pub(super) histogram: Option<(Bins, Vec<u64>)>,
}

/// The job as a column sees it.
pub(super) struct Setting<'a> {
    pub(super) layout: &'a Layout,
    pub(super) request: &'a StatsRequest,
    pub(super) rows: u64,
    pub(super) columns: usize,
    pub(super) missing: Option<(u64, u64)>,
}

impl Setting<'_> {
    /// The first pass over this column.
    pub(super) fn first_pass(&self, column: &Column) -> Result<ColumnPass, JobError> {
        let quantiles = &self.request.quantiles;
        let sampled = brackets::pays(self.rows, quantiles.len()) && column.source.is_scattered_cheap();
        let brackets = if sampled { brackets::of_column(column, self.layout, self.missing, quantiles)? } else { None };
        let digits = (!quantiles.is_empty())
            .then(|| Selection::first_digits(self.layout, self.rows, self.columns, brackets.as_deref()))
            .flatten();
        let bins = match &self.request.histogram {
            Some(asked) => asked.range().map(|range| histogram::given(self.layout, asked, range)).transpose()?,
            None => None,
        };
        Ok(ColumnPass {
            moments: true,
            higher: self.request.moments == MomentsUpTo::Kurtosis,
            digits,
            bins,
            found: Arc::default(),
        })
    }

    /// The pass that follows one that gathered `partial`; an idle one when all is found.
    pub(super) fn next_pass(&self, pass: &ColumnPass, partial: ColumnPartial) -> Result<ColumnPass, JobError> {
        let mut found = Found::clone(&pass.found);
        if let Some(moments) = partial.moments {
            if moments.count.checked_add(moments.nan_count) != Some(self.rows) {
                return Err(JobError::new(
                    Cause::DeviceLost,
                    format!(
                        "{} values and {} NaN were counted in {} rows",
                        moments.count, moments.nan_count, self.rows
                    ),
                ));
            }
            found.moments = Some(moments);
        }
        let Some(moments) = &found.moments else { unreachable!("the first pass gathers moments") };
        if moments.count > 0 && !self.request.quantiles.is_empty() {
            let selection =
                found.selection.take().unwrap_or_else(|| Selection::new(self.layout, &self.request.quantiles, moments));
            found.selection = Some(match &pass.digits {
                Some(digits) => selection.refine(digits, partial.digits).ok_or_else(|| self.changed())?,
                None => selection,
            });
        }
        if let Some(bins) = &pass.bins {
            if partial.bins.iter().sum::<u64>() != moments.count {
                return Err(self.changed());
            }
            found.histogram = Some((bins.clone(), partial.bins));
        }
        let digits = found.selection.as_ref().and_then(|s| s.next_digits(self.rows, self.columns));
        let bins = match &self.request.histogram {
            Some(asked) if found.histogram.is_none() => Some(histogram::automatic(self.layout, asked, moments)?),
            _ => None,
        };
        Ok(ColumnPass { moments: false, higher: false, digits, bins, found: Arc::new(found) })
    }

    fn changed(&self) -> JobError {
        JobError::new(
            Cause::Io,
            "the input changed while it was read: what a later pass counted is not what an earlier one had counted; \
             run the job again when nothing writes to its input",
        )
    }
}
