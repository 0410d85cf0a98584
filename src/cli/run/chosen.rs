//! The jobs that `--only` names, out of a job file.

use std::fs::File;
use std::ops::Range;

use crate::cli::terminal::tell;
use crate::job::{BadLine, JobError, JobFile, JobSpec};
use crate::report::visible;

/// The places of jobs in a run: ranges, ascending and apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Places(Vec<Range<u64>>);

impl Places {
    /// All places in these ranges.
    pub fn new(mut ranges: Vec<Range<u64>>) -> Self {
        ranges.sort_unstable_by_key(|range| range.start);
        let mut apart: Vec<Range<u64>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => apart.push(range),
            }
        }
        Self(apart)
    }

    /// The places, ascending.
    pub fn due(&self) -> impl Iterator<Item = u64> + Send + use<> {
        self.0.clone().into_iter().flatten()
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// The parts of a range that are among them.
    fn common(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let first = self.0.partition_point(|part| part.end <= range.start);
        self.0[first..]
            .iter()
            .take_while(|part| part.start < range.end)
            .map(|part| part.start.max(range.start)..part.end.min(range.end))
    }

    fn contains(&self, place: u64) -> bool {
        self.common(&(place..place + 1)).next().is_some()
    }

    fn are_over_at(&self, place: u64) -> bool {
        self.0.last().is_none_or(|last| last.end <= place)
    }
}

/// The lines of a job file whose jobs were chosen.
pub(in crate::cli) struct Chosen {
    pub jobs: JobFile<File>,
    pub places: Places,
}

impl Iterator for Chosen {
    type Item = Result<JobSpec, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        for line in self.jobs.by_ref() {
            let place = line.as_ref().map_or_else(|bad| bad.index, |spec| spec.index);
            if self.places.contains(place) {
                return Some(line.and_then(|spec| self.alone(spec)));
            }
            if self.places.are_over_at(place) {
                return None;
            }
        }
        None
    }
}

impl Chosen {
    /// A job that waits for none but those that were chosen too.
    fn alone(&self, mut spec: JobSpec) -> Result<JobSpec, BadLine> {
        if spec.params.results_of().iter().any(|parent| !self.places.contains(*parent)) {
            let error = JobError::bad_input(
                "it takes a value of a job that is not run with it (`$result`, --only): name that one with --only too",
            );
            return Err(BadLine { index: spec.index, id: spec.id, kind: spec.kind, error });
        }
        let count = |groups: &[Range<u64>]| groups.iter().map(|group| group.end - group.start).sum::<u64>();
        let all = count(&spec.terms.after);
        spec.terms.after = spec.terms.after.iter().flat_map(|group| self.places.common(group)).collect();
        if count(&spec.terms.after) < all {
            tell(format_args!("`{}` does not wait for what is not run with it (--only)", visible(&spec.id)));
        }
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_taken_once_and_ascending_and_shared_with_ranges() {
        let places = Places::new(vec![7..9, 1..3, 2..5, 9..10, 20..21]);
        assert_eq!(places, Places(vec![1..5, 7..10, 20..21]));
        assert_eq!(places.due().collect::<Vec<_>>(), [1, 2, 3, 4, 7, 8, 9, 20]);
        assert_eq!(places.common(&(4..9)).collect::<Vec<_>>(), [4..5, 7..9]);
        assert!(places.contains(4) && !places.contains(5) && !places.contains(0));
        assert!(places.are_over_at(21) && !places.are_over_at(20));
    }
}
