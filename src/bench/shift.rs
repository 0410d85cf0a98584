//! How far the machine itself has moved between two benchmarks. Pure.
//!
//! The runs of a benchmark say nothing of that: they sample one session, and a clock that is lower or a neighbour that is busy in the
//! other one moves all of them. Two things do say something: the times of a place, most of which no change of the program
//! touches, and the probe of its ceilings, which runs no code that is compared. Where both have moved to the same side, the
//! machine has, by as much as both agree on. The times alone could be the program.

use crate::bench::statistics::median;
use crate::bench::{Ceiling, Place};

/// Of fewer times in a place, nobody can say what is common to them.
const TIMES_MIN: usize = 5;
/// A shift of less is not worth a word.
const TOLD_MIN: f64 = 0.03;
/// This share of the times has to lie on one side.
const TOGETHER_MIN: f64 = 0.75;

/// How the times of a place have moved together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Which place.
    pub place: Place,
    /// How many of its times both benchmarks have.
    pub times: usize,
    /// How many of them are slower now where `times_ratio` is above 1, and faster where it is below.
    pub together: usize,
    /// How many times as long they take now, by the median.
    pub times_ratio: f64,
    /// How many times as long the probe took for as much: of reading, multiply-adds and uploads the one that explains most of
    /// `times_ratio`. `None` where the place has no ceilings in both.
    pub ceilings_ratio: Option<f64>,
}

impl Shift {
    /// Of the medians then and now in one place, in milliseconds; `None` where these are too few to say.
    pub(super) fn of(place: Place, medians: &[(f64, f64)], old: &[Ceiling], new: &[Ceiling]) -> Option<Self> {
        let ratios: Vec<f64> =
            medians.iter().filter(|(old, new)| *old > 0.0 && *new > 0.0).map(|(old, new)| new / old).collect();
        if ratios.len() < TIMES_MIN {
            return None;
        }
        let times_ratio = median(&ratios);
        let is_slower = times_ratio >= 1.0;
        Some(Self {
            place,
            times: ratios.len(),
            together: ratios.iter().filter(|ratio| (**ratio >= 1.0) == is_slower).count(),
            times_ratio,
            ceilings_ratio: ceilings_ratio(place, is_slower, old, new),
        })
    }

    /// How many times as long the machine takes now, as far as times and ceilings agree; 1 where they do not.
    pub fn machine_ratio(&self) -> f64 {
        match self.ceilings_ratio {
            Some(ceilings) if self.times_ratio >= 1.0 => self.times_ratio.min(ceilings).max(1.0),
            Some(ceilings) => self.times_ratio.max(ceilings).min(1.0),
            None => 1.0,
        }
    }

    /// Whether most times of the place have moved to the same side, by so much that it is to be told.
    pub fn is_worth_telling(&self) -> bool {
        (self.times_ratio - 1.0).abs() >= TOLD_MIN && self.together as f64 >= TOGETHER_MIN * self.times as f64
    }
}

fn ceilings_ratio(place: Place, is_slower: bool, old: &[Ceiling], new: &[Ceiling]) -> Option<f64> {
    let of = |ceilings: &[Ceiling]| ceilings.iter().find(|ceiling| ceiling.place == place).copied();
    let (old, new) = (of(old)?, of(new)?);
    let rates = [
        (old.read_bytes_per_s, new.read_bytes_per_s),
        (old.operations_per_s, new.operations_per_s),
        (old.upload_bytes_per_s, new.upload_bytes_per_s),
    ];
    let ratios = rates.into_iter().filter_map(|(old, new)| Some(old? / new?)).filter(|ratio| ratio.is_finite());
    if is_slower { ratios.max_by(f64::total_cmp) } else { ratios.min_by(f64::total_cmp) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ceiling(reads: f64, operations: f64) -> [Ceiling; 1] {
        [Ceiling {
            place: Place::Thread,
            read_bytes_per_s: Some(reads),
            upload_bytes_per_s: None,
            operations_per_s: Some(operations),
        }]
    }

    fn shift(ratio: f64, new: [Ceiling; 1]) -> Shift {
        let medians: Vec<(f64, f64)> = (1..9).map(|ms| (f64::from(ms), f64::from(ms) * ratio)).collect();
        Shift::of(Place::Thread, &medians, &ceiling(10.0, 10.0), &new).unwrap()
    }

    #[test]
    fn the_machine_has_moved_as_far_as_times_and_ceilings_agree() {
        for (ratio, new, expected) in [
            (1.5, ceiling(10.0, 5.0), 1.5),
            (1.5, ceiling(8.0, 10.0), 1.25),
            (1.5, ceiling(10.0, 10.0), 1.0),
            (1.5, ceiling(20.0, 20.0), 1.0),
            (0.5, ceiling(10.0, 12.5), 0.8),
            (0.5, ceiling(10.0, 5.0), 1.0),
        ] {
            let found = shift(ratio, new);
            assert!((found.machine_ratio() - expected).abs() < 1e-9, "{found:?}");
            assert!(found.is_worth_telling() && found.together == 8, "{found:?}");
        }
        assert!(!shift(1.01, ceiling(10.0, 5.0)).is_worth_telling());
    }

    #[test]
    fn without_ceilings_or_with_few_times_nothing_is_laid_to_the_machine() {
        let medians = [(1.0, 2.0); 8];
        let found = Shift::of(Place::Split, &medians, &ceiling(10.0, 10.0), &ceiling(5.0, 5.0)).unwrap();
        assert_eq!((found.ceilings_ratio, found.machine_ratio()), (None, 1.0));
        assert_eq!(Shift::of(Place::Thread, &medians[..4], &ceiling(10.0, 10.0), &ceiling(5.0, 5.0)), None);
    }
}
