//! How far the machine itself has moved between two benchmarks. Pure.
//!
//! The runs of a benchmark say nothing of that: they sample one session, and a clock that is lower or a neighbour that is busy in the
//! other one moves all of them. Two things do say something: the times of a place, most of which no change of the program
//! touches, and the probe of what bounds them, which runs no code that is compared. Where both have moved to the same side, the
//! machine has, by as much as both agree on. The times alone could be the program. A probe is believed where it found the same
//! before and after the rows, in both benchmarks.

use crate::bench::statistics::median;
use crate::bench::{Bound, Ceiling, Place, Report};

/// Of fewer times in a place, nobody can say what is common to them.
const TIMES_MIN: usize = 5;
/// A shift of less is not worth a word.
const TOLD_MIN: f64 = 0.03;
/// This share of the times has to lie on one side.
const TOGETHER_MIN: f64 = 0.75;
/// Probes before and after the rows agree where the better is no more than so many times the worse.
const STEADY: f64 = 1.1;

/// How the times of a place that one thing bounds have moved together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// Which place.
    pub place: Place,
    /// What bounds these times; `None` where nothing that was probed does.
    pub bound: Option<Bound>,
    /// How many of its times both benchmarks have.
    pub times: usize,
    /// How many of them are slower now where `times_ratio` is above 1, and faster where it is below.
    pub together: usize,
    /// How many times as long they take now, by the median.
    pub times_ratio: f64,
    /// What the probe of what bounds them says.
    pub probe: Said,
}

/// What a probe of the machine says of two benchmarks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    /// Nothing: no probe is of what bounds these times, or one of the benchmarks did not probe before and after its rows.
    Nothing,
    /// It found something else after the rows than before them, so that it says nothing of what lies between.
    Unsteady,
    /// How many times as long it took for as much.
    Ratio(f64),
}

impl Shift {
    /// Of the medians then and now in one place, in milliseconds, of times that `bound` bounds; `None` where these are too few to
    /// say.
    pub(super) fn of(
        place: Place,
        bound: Option<Bound>,
        medians: &[(f64, f64)],
        old: &Report,
        new: &Report,
    ) -> Option<Self> {
        let ratios: Vec<f64> =
            medians.iter().filter(|(old, new)| *old > 0.0 && *new > 0.0).map(|(old, new)| new / old).collect();
        if ratios.len() < TIMES_MIN {
            return None;
        }
        let times_ratio = median(&ratios);
        let is_slower = times_ratio >= 1.0;
        Some(Self {
            place,
            bound,
            times: ratios.len(),
            together: ratios.iter().filter(|ratio| (**ratio >= 1.0) == is_slower).count(),
            times_ratio,
            probe: bound.map_or(Said::Nothing, |bound| said(place, bound, old, new)),
        })
    }

    /// How many times as long the machine takes now, as far as times and probe agree; 1 where they do not.
    pub fn machine_ratio(&self) -> f64 {
        match self.probe {
            Said::Ratio(probe) if self.times_ratio >= 1.0 => self.times_ratio.min(probe).max(1.0),
            Said::Ratio(probe) => self.times_ratio.max(probe).min(1.0),
            Said::Nothing | Said::Unsteady => 1.0,
        }
    }

    /// Whether most times of the place have moved to the same side, by so much that it is to be told.
    pub fn is_worth_telling(&self) -> bool {
        (self.times_ratio - 1.0).abs() >= TOLD_MIN && self.together as f64 >= TOGETHER_MIN * self.times as f64
    }
}

/// How many times as long the times of a place take now, by the median, where nearly all of them are slower: of medians then and now in
/// milliseconds. `None` where they are too few to say, or lie on both sides.
pub(super) fn slower_together(medians: &[(f64, f64)]) -> Option<f64> {
    let ratios: Vec<f64> = medians.iter().map(|(old, new)| new / old).collect();
    let slower = ratios.iter().filter(|ratio| **ratio > 1.0).count();
    (ratios.len() >= TIMES_MIN && slower as f64 >= TOGETHER_MIN * ratios.len() as f64).then(|| median(&ratios))
}

fn said(place: Place, bound: Bound, old: &Report, new: &Report) -> Said {
    let rate = |ceilings: &[Ceiling]| ceilings.iter().find(|ceiling| ceiling.place == place)?.rate(bound);
    let mut best = [0.0; 2];
    for (best, report) in best.iter_mut().zip([old, new]) {
        let (Some(before), Some(after)) = (rate(&report.ceilings), rate(&report.ceilings_after)) else {
            return Said::Nothing;
        };
        // Nothing makes a device faster than it is.
        *best = before.max(after);
        if *best > before.min(after) * STEADY {
            return Said::Unsteady;
        }
    }
    let ratio = best[0] / best[1];
    if ratio.is_finite() && ratio > 0.0 { Said::Ratio(ratio) } else { Said::Nothing }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    const MEMORY: Option<Bound> = Some(Bound::Memory);

    /// A report whose probes of one thread read and computed so fast before and after its rows.
    fn report(before: [f64; 2], after: [f64; 2]) -> Report {
        let ceiling = |[reads, operations]: [f64; 2]| Ceiling {
            place: Place::Thread,
            read_bytes_per_s: Some(reads),
            upload_bytes_per_s: None,
            operations_per_s: Some(operations),
        };
        Report { ceilings: vec![ceiling(before)], ceilings_after: vec![ceiling(after)], ..examples::report() }
    }

    fn steady(rates: [f64; 2]) -> Report {
        report(rates, rates)
    }

    fn shift(ratio: f64, bound: Option<Bound>, new: &Report) -> Shift {
        let medians: Vec<(f64, f64)> = (1..9).map(|ms| (f64::from(ms), f64::from(ms) * ratio)).collect();
        Shift::of(Place::Thread, bound, &medians, &steady([10.0, 10.0]), new).unwrap()
    }

    #[test]
    fn the_machine_has_moved_as_far_as_times_and_the_probe_of_what_bounds_them_agree() {
        for (ratio, bound, new, expected) in [
            (1.5, MEMORY, [5.0, 10.0], 1.5),
            (1.5, MEMORY, [8.0, 10.0], 1.25),
            (1.5, MEMORY, [10.0, 10.0], 1.0),
            (1.5, MEMORY, [20.0, 20.0], 1.0),
            (0.5, MEMORY, [12.5, 10.0], 0.8),
            (0.5, MEMORY, [5.0, 10.0], 1.0),
            // Memory that is slower excuses nothing that arithmetic bounds, nor what neither does.
            (1.5, Some(Bound::Operations), [5.0, 10.0], 1.0),
            (1.5, Some(Bound::Operations), [10.0, 5.0], 1.5),
            (1.5, None, [5.0, 5.0], 1.0),
        ] {
            let found = shift(ratio, bound, &steady(new));
            assert!((found.machine_ratio() - expected).abs() < 1e-9, "{found:?}");
            assert!(found.is_worth_telling() && found.together == 8, "{found:?}");
        }
        assert!(!shift(1.01, MEMORY, &steady([10.0, 5.0])).is_worth_telling());
    }

    #[test]
    fn a_probe_that_found_something_else_after_the_rows_excuses_nothing() {
        let found = shift(1.5, MEMORY, &report([5.0, 10.0], [8.0, 10.0]));
        assert_eq!((found.probe, found.machine_ratio()), (Said::Unsteady, 1.0));
        let found = shift(1.5, MEMORY, &report([5.0, 10.0], [5.4, 10.0]));
        assert!(matches!(found.probe, Said::Ratio(ratio) if (ratio - 10.0 / 5.4).abs() < 1e-9), "{found:?}");
        // An earlier version probed once.
        let once = Report { ceilings_after: Vec::new(), ..steady([5.0, 5.0]) };
        assert_eq!(shift(1.5, MEMORY, &once).probe, Said::Nothing);
    }

    #[test]
    fn without_ceilings_or_with_few_times_nothing_is_laid_to_the_machine() {
        let medians = [(1.0, 2.0); 8];
        let (old, new) = (steady([10.0, 10.0]), steady([5.0, 5.0]));
        let found = Shift::of(Place::Split, MEMORY, &medians, &old, &new).unwrap();
        assert_eq!((found.probe, found.machine_ratio()), (Said::Nothing, 1.0));
        assert_eq!(Shift::of(Place::Thread, MEMORY, &medians[..4], &old, &new), None);
    }
}
