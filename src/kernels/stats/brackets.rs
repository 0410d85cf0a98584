//! Where quantiles are likely to be: brackets of keys, from a sample of the elements.
//!
//! The sample is taken at even distances, so it is the same each time. What it says only decides how many passes a selection
//! takes: the first pass counts what lies before, in and after the brackets, and a quantile that is in none is searched for
//! where it is.

use crate::input::{DType, Scratch};
use crate::job::JobError;
use crate::kernels::stats::number::Number;
use crate::kernels::stats::{Column, Layout, Quantile};

/// Neighbouring elements that are read together.
const RUN: u64 = 32;
/// The most runs of a sample.
const RUNS_MAX: u64 = 2048;
/// Elements to one of the sample, at least.
const ROWS_PER_SAMPLE: u64 = 64;
/// Columns shorter than this are not sampled.
const ROWS_MIN: u64 = 1 << 17;
/// The most brackets; more would be slower to tell apart than digits of keys.
pub(super) const BRACKETS_MAX: usize = 16;
/// Half the width of a bracket, in standard deviations of a sample's quantile.
const DEVIATIONS: f64 = 4.0;

/// Whether a column of so many rows is sampled for so many quantiles.
pub(super) fn pays(rows: u64, quantiles: usize) -> bool {
    rows >= ROWS_MIN && (1..=BRACKETS_MAX).contains(&quantiles)
}

/// Brackets, ascending and disjoint, for quantiles of a column: the least and the greatest key of each. The least and the
/// greatest value of all need none. `None` where the sample has no values.
///
/// # Errors
/// Where the column cannot be read.
pub(super) fn of_column(
    column: &Column,
    layout: &Layout,
    missing: Option<(u64, u64)>,
    quantiles: &[Quantile],
) -> Result<Option<Vec<(u64, u64)>>, JobError> {
    let sample = match layout.dtype {
        DType::F32 => Sample::take::<f32>(column, missing)?,
        DType::F64 => Sample::take::<f64>(column, missing)?,
        DType::I32 => Sample::take::<i32>(column, missing)?,
        DType::I64 => Sample::take::<i64>(column, missing)?,
        DType::U32 => Sample::take::<u32>(column, missing)?,
        DType::U64 => Sample::take::<u64>(column, missing)?,
        DType::I8 | DType::I16 | DType::U8 | DType::U16 => unreachable!("there is no layout of these types"),
    };
    let shares = quantiles.iter().map(|quantile| quantile.decimal().to_f64());
    let inner = shares.filter(|share| *share > 0.0 && *share < 1.0);
    Ok((!sample.sorted.is_empty()).then(|| joined(inner.map(|share| sample.bracket(share)).collect())))
}

/// Keys of some values of a column.
struct Sample {
    /// Run by run,
    keys: Vec<u64>,
    /// each of which ends here.
    ends: Vec<usize>,
    sorted: Vec<u64>,
}

impl Sample {
    fn take<T: Number>(column: &Column, missing: Option<(u64, u64)>) -> Result<Self, JobError> {
        let rows = column.source.len();
        let runs = (rows / ROWS_PER_SAMPLE / RUN).clamp(1, RUNS_MAX);
        let (mut keys, mut ends) = (Vec::with_capacity((runs * RUN) as usize), Vec::new());
        let mut scratch = Scratch::default();
        let (least, greatest) = T::LAYOUT.valid_keys;
        for run in 0..runs {
            // In the middle of its share of the rows, so that no period of the data that divides them is followed from its start.
            let start = (rows as u128 * (2 * run + 1) as u128 / (2 * runs) as u128) as u64;
            let values = column.source.read(start..rows.min(start + RUN), &mut scratch)?;
            let found = T::unwrap(&values).unwrap_or_default().iter().map(|value| value.key());
            keys.extend(found.filter(|key| {
                (least..=greatest).contains(key) && !missing.is_some_and(|(lo, hi)| (lo..=hi).contains(key))
            }));
            ends.push(keys.len());
        }
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        Ok(Self { keys, ends, sorted })
    }

    /// The keys between which the quantile `share` of the whole column most likely is.
    fn bracket(&self, share: f64) -> (u64, u64) {
        let len = self.sorted.len() as f64;
        let middle = share * (len - 1.0);
        let pivot = self.sorted[middle as usize];
        let half = DEVIATIONS * (len * share * (1.0 - share) * self.clustering(pivot)).sqrt() + 2.0;
        // What lies outside the sample is little, whatever its keys are.
        let (low, high) = ((middle - half).floor().max(0.0), (middle + half).ceil().min(len - 1.0));
        // The key 0 is left out, since it stands for what is no value while counting.
        (self.sorted[low as usize].max(1), self.sorted[high as usize].max(1))
    }

    /// How many times as much as that of independent elements the share of elements below `pivot` varies: 1 and more, since
    /// neighbours may be alike; in data that is in order, as many times as a run has elements.
    fn clustering(&self, pivot: u64) -> f64 {
        let (mut start, mut squares, mut runs) = (0, 0.0, 0.0);
        let share = self.sorted.partition_point(|key| *key < pivot) as f64 / self.sorted.len() as f64;
        for &end in &self.ends {
            let run = &self.keys[start..end];
            start = end;
            if !run.is_empty() {
                let below = run.iter().filter(|key| **key < pivot).count() as f64;
                squares += (below - share * run.len() as f64).powi(2) / run.len() as f64;
                runs += 1.0;
            }
        }
        let ratio = squares / runs / (share * (1.0 - share));
        // Of a share of 0 nothing can be said.
        if ratio.is_finite() { ratio.clamp(1.0, RUN as f64) } else { 1.0 }
    }
}

/// The brackets in order, those that meet as one.
fn joined(mut brackets: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    brackets.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(brackets.len());
    for (least, greatest) in brackets {
        match joined.last_mut() {
            Some(last) if least <= last.1.saturating_add(1) => last.1 = last.1.max(greatest),
            _ => joined.push((least, greatest)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::input::InMemory;
    use crate::random::SplitMix64;

    fn brackets<T: Number>(values: Vec<T>, shares: &[&str]) -> Option<Vec<(u64, u64)>> {
        let column = Column { name: None, source: Arc::new(InMemory::new("values", values)) };
        let quantiles: Vec<Quantile> = shares.iter().map(|share| share.parse().unwrap()).collect();
        of_column(&column, &T::LAYOUT, None, &quantiles).unwrap()
    }

    /// Checks that each bracket holds the element of its quantile, and at most so many of all.
    fn check(name: &str, values: Vec<f64>, share_max: f64) {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for share in ["0.01", "0.5", "0.9"] {
            let found = brackets(values.clone(), &[share]).unwrap();
            let [(least, greatest)] = found[..] else { panic!("one bracket: {found:?}") };
            let key = sorted[(share.parse::<f64>().unwrap() * (sorted.len() - 1) as f64) as usize].key();
            assert!((least..=greatest).contains(&key), "{name} {share}");
            let within = values.iter().filter(|value| (least..=greatest).contains(&value.key())).count();
            assert!((within as f64) < share_max * values.len() as f64, "{name} {share}: {within}");
        }
    }

    #[test]
    fn brackets_hold_their_quantiles_and_little_else() {
        let len = 1 << 19;
        let uniform = |i: u64| (SplitMix64::at(i) >> 11) as f64;
        check("shuffled", (0..len).map(uniform).collect(), 0.06);
        check("in order", (0..len).map(|i| i as f64).collect(), 0.35);
        check("steps", (0..len).map(|i| (i / 1000 % 7) as f64 + uniform(i) * 1e-17).collect(), 0.35);
    }

    #[test]
    fn brackets_that_meet_are_one_and_extremes_need_none() {
        let values: Vec<u32> = (0..200_000).map(|i| SplitMix64::at(i) as u32).collect();
        assert_eq!(brackets(values.clone(), &["0", "1"]), Some(Vec::new()));
        assert_eq!(brackets(values.clone(), &["0.5", "0.5001", "0"]).unwrap().len(), 1);
        assert_eq!(brackets(values, &["0.75", "0.25", "0.5"]).unwrap().len(), 3);
        assert_eq!(brackets(vec![f32::NAN; 200_000], &["0.5"]), None);
        assert_eq!(brackets(vec![1.5f32; 200_000], &["0.5"]), Some(vec![(1.5f32.key(), 1.5f32.key())]));
    }
}
