//! A benchmark against an earlier one: what has become slower. Pure.

use crate::bench::statistics::{holm, median, slower_p};
use crate::bench::{Place, Report, SCHEMA};

/// How often chance alone may call anything at all slower, over the whole comparison.
const LEVEL: f64 = 0.05;

/// What has become of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Slower by more than is allowed, and not by chance.
    Regressed,
    /// Slower not by chance, but by no more than is allowed.
    Slower,
    /// Chance explains the difference.
    Same,
    /// Faster, not by chance.
    Faster,
    /// Slower by more than is allowed, but with so few runs that even the clearest difference could be chance.
    TooFewRuns,
}

/// A time that both reports have.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// What it is the time of.
    pub key: Key,
    /// The medians then and now, in milliseconds.
    pub old_ms: f64,
    /// See there.
    pub new_ms: f64,
    /// The chance of such a slowdown, or where it is faster of such a gain, corrected for the number of comparisons.
    pub p: f64,
    /// What has become of it.
    pub change: Change,
}

/// What a time is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// A kind; `file` for a job file.
    pub kind: String,
    /// A variant; of a job file its name.
    pub variant: String,
    /// How large; the number of jobs of a job file.
    pub units: u64,
    /// The place, or how a job file was run: `thread`, `cpu`, `gpu:0`, `split`, `auto`.
    pub place: String,
}

/// A benchmark against an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Times of both.
    pub compared: Vec<Compared>,
    /// What only the earlier one has.
    pub only_old: Vec<Key>,
    /// What only the later one has.
    pub only_new: Vec<Key>,
    /// Why the two may not be comparable.
    pub warnings: Vec<String>,
}

/// Why reports cannot be compared at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Incomparable {
    /// Another format.
    #[error("it has schema {found}, and this tandem reads schema {SCHEMA}: make it anew with this version")]
    Schema {
        /// The number that it has.
        found: u32,
    },
    /// Nothing is the same.
    #[error("the two have no row in common: run the same kinds and sizes (--sizes) in the same places (--devices)")]
    NothingInCommon,
}

impl Comparison {
    /// Compares `new` with `old`; a time has regressed where its median has grown by a share of more than `max_regression`, and
    /// the runs themselves lie higher than chance would put them. That is judged by the one-sided test of Mann and Whitney on
    /// the raw runs, since timings are no normal distribution, and corrected by Holm's method, so that a comparison of
    /// hundreds of unchanged times raises a false alarm no more often than once in twenty.
    ///
    /// # Errors
    /// Where the two cannot be compared.
    pub fn of(old: &Report, new: &Report, max_regression: f64) -> Result<Self, Incomparable> {
        if old.schema != SCHEMA {
            return Err(Incomparable::Schema { found: old.schema });
        }
        let (before, after) = (times(old), times(new));
        let known = |times: &[(Key, Vec<f64>)], key: &Key| times.iter().any(|(other, _)| other == key);
        let only = |times: &[(Key, Vec<f64>)], others: &[(Key, Vec<f64>)]| -> Vec<Key> {
            times.iter().map(|(key, _)| key).filter(|key| !known(others, key)).cloned().collect()
        };
        let both: Vec<(&Key, &[f64], &[f64])> = after
            .iter()
            .filter_map(|(key, new)| {
                let (_, old) = before.iter().find(|(other, _)| other == key)?;
                Some((key, &old[..], &new[..]))
            })
            .collect();
        if both.is_empty() {
            return Err(Incomparable::NothingInCommon);
        }
        let slower = holm(&both.iter().map(|(_, old, new)| slower_p(old, new)).collect::<Vec<_>>());
        let faster = holm(&both.iter().map(|(_, old, new)| slower_p(new, old)).collect::<Vec<_>>());
        let compared = both.iter().zip(slower.iter().zip(&faster)).map(|((key, old, new), (&slower, &faster))| {
            let (old_ms, new_ms) = (median(old), median(new));
            let over = new_ms > old_ms * (1.0 + max_regression);
            let change = if slower <= LEVEL && new_ms > old_ms {
                if over { Change::Regressed } else { Change::Slower }
            } else if faster <= LEVEL && new_ms < old_ms {
                Change::Faster
            } else if over && clearest_p(old.len(), new.len()) * both.len() as f64 > LEVEL {
                Change::TooFewRuns
            } else {
                Change::Same
            };
            Compared { key: (*key).clone(), old_ms, new_ms, p: if new_ms >= old_ms { slower } else { faster }, change }
        });
        let compared = compared.collect();
        Ok(Self {
            compared,
            only_old: only(&before, &after),
            only_new: only(&after, &before),
            warnings: warnings(old, new),
        })
    }

    /// How many times have regressed.
    pub fn regressions(&self) -> usize {
        self.compared.iter().filter(|row| row.change == Change::Regressed).count()
    }
}

/// The chance of the clearest of all differences: every run of one above every run of the other.
fn clearest_p(old: usize, new: usize) -> f64 {
    (1..=new).fold(1.0, |orders, i| orders * i as f64 / (old + i) as f64)
}

/// Every time of a report, with its raw runs.
fn times(report: &Report) -> Vec<(Key, Vec<f64>)> {
    let of_rows = report.rows.iter().flat_map(|row| {
        row.cells.iter().map(|cell| {
            let place =
                if cell.place == Place::Cpu { format!("cpu, {} threads", cell.lanes) } else { cell.place.to_string() };
            (Key { kind: row.kind.clone(), variant: row.variant.clone(), units: row.units, place }, cell.times_ms())
        })
    });
    let of_files = report.files.iter().flat_map(|file| {
        file.runs.iter().map(|run| {
            let place = run.mode.to_string();
            (Key { kind: "file".to_owned(), variant: file.file.clone(), units: file.jobs, place }, run.runs_ms.clone())
        })
    });
    of_rows.chain(of_files).collect()
}

fn warnings(old: &Report, new: &Report) -> Vec<String> {
    let mut warnings = Vec::new();
    for device in &new.machine.devices {
        match old.machine.devices.iter().find(|other| other.device == device.device) {
            Some(other) if other.name != device.name => warnings.push(format!(
                "{} is another device: `{}` then, `{}` now, so that differences say nothing about the program",
                device.device, other.name, device.name
            )),
            Some(other) if other.driver != device.driver => warnings.push(format!(
                "{} has another driver: `{}` then, `{}` now",
                device.device, other.driver, device.driver
            )),
            _ => {}
        }
    }
    if old.machine.threads != new.machine.threads {
        warnings.push(format!("{} threads then, {} now", old.machine.threads, new.machine.threads));
    }
    if old.optimised != new.optimised {
        let built = |optimised| if optimised { "with" } else { "without" };
        let (then, now) = (built(old.optimised), built(new.optimised));
        warnings.push(format!("built {then} optimisation then, {now} now"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::testing::Random;
    use crate::bench::{Cell, Run, examples};

    /// A report of 40 times with noise of a few per cent, lopsided, and now and then a run far off.
    fn noisy(random: &mut Random, runs: usize, factor: &dyn Fn(usize) -> f64) -> Report {
        let mut report = examples::report();
        report.files.clear();
        report.rows = (0..40)
            .map(|at| {
                let mut row = examples::row("k", &format!("v{at}"), 1000, &[]);
                let mut run = || {
                    let stray = if random.unit() < 0.02 { 2.0 } else { 1.0 };
                    Run { ms: 10.0 * factor(at) * (0.98 + 0.02 * random.timing(0.0)) * stray, ..Run::default() }
                };
                let cold = run();
                let runs = (0..runs).map(|_| run()).collect();
                row.cells = vec![Cell::new(Place::Thread, 1, cold, runs)];
                row
            })
            .collect();
        report
    }

    #[test]
    fn the_same_program_is_hardly_ever_accused() {
        let seed = 11;
        let mut random = Random(seed);
        let (mut significant, mut regressed) = (0, 0);
        for _ in 0..200 {
            let (old, new) = (noisy(&mut random, 10, &|_| 1.0), noisy(&mut random, 10, &|_| 1.0));
            // Even where no slowdown is allowed, so that the test alone has to hold.
            let found = Comparison::of(&old, &new, 0.0).unwrap();
            significant += usize::from(found.regressions() > 0);
            regressed += Comparison::of(&old, &new, 0.1).unwrap().regressions();
        }
        assert!(significant <= 16, "{significant} of 200 comparisons of 40 times (seed {seed})");
        assert_eq!(regressed, 0, "seed {seed}");
    }

    #[test]
    fn what_is_a_fifth_slower_is_found_and_nothing_else() {
        let seed = 12;
        let mut random = Random(seed);
        let old = noisy(&mut random, 10, &|_| 1.0);
        let new = noisy(&mut random, 10, &|at| if at % 10 == 3 { 1.2 } else { 1.0 });
        let found = Comparison::of(&old, &new, 0.1).unwrap();
        let regressed = found.compared.iter().filter(|row| row.change == Change::Regressed);
        let variants: Vec<&str> = regressed.map(|row| row.key.variant.as_str()).collect();
        assert_eq!(variants, ["v3", "v13", "v23", "v33"], "seed {seed}");
        let allowed = Comparison::of(&old, &new, 0.3).unwrap();
        assert_eq!(allowed.regressions(), 0, "as much as that is allowed");
        assert_eq!(allowed.compared.iter().filter(|row| row.change == Change::Slower).count(), 4);
        let back = Comparison::of(&new, &old, 0.1).unwrap();
        assert_eq!(back.compared.iter().filter(|row| row.change == Change::Faster).count(), 4);
    }

    #[test]
    fn too_few_runs_are_said_to_be_too_few() {
        let mut random = Random(13);
        let (old, new) = (noisy(&mut random, 3, &|_| 1.0), noisy(&mut random, 3, &|_| 2.0));
        let found = Comparison::of(&old, &new, 0.1).unwrap();
        assert!(found.compared.iter().filter(|row| row.change == Change::TooFewRuns).count() > 30);
        assert!((clearest_p(3, 3) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn what_only_one_has_and_what_differs_between_machines_is_told() {
        let (old, mut new) = (examples::report(), examples::report());
        new.rows.remove(0);
        new.rows[0].cells.remove(0);
        new.rows[0].units = 7;
        new.machine.devices[0].name = "Another".to_owned();
        new.optimised = false;
        let found = Comparison::of(&old, &new, 0.1).unwrap();
        assert_eq!((found.compared.len(), found.only_old.len(), found.only_new.len()), (3, 6, 2), "{found:?}");
        assert!(found.warnings[0].contains("`A CPU` then, `Another` now") && found.warnings.len() == 2, "{found:?}");
        new.files.clear();
        assert_eq!(Comparison::of(&old, &new, 0.1), Err(Incomparable::NothingInCommon));
        let stranger = Report { schema: 99, ..examples::report() };
        assert_eq!(Comparison::of(&stranger, &new, 0.1), Err(Incomparable::Schema { found: 99 }));
    }
}
