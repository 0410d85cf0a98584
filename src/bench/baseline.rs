//! A benchmark against an earlier one: what has become slower. Pure.

use std::fmt;

use crate::bench::shift::Shift;
use crate::bench::statistics::{holm, median, slower_p};
use crate::bench::{Mode, Place, Report, SCHEMA, Sizes};
use crate::kernels::KERNELS;

/// How often chance alone may call anything at all slower, over the whole comparison.
const LEVEL: f64 = 0.05;

/// What two runs of one program differ by, however short they are, in milliseconds: it wakes a thread or two, and how long that
/// takes depends on which cores sleep.
const WAKING_MS: f64 = 0.02;

/// What has become of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Slower by more than is allowed, and not by chance.
    Regressed,
    /// Slower by more than is allowed, and no more so than the machine itself.
    AsMachine,
    /// Slower not by chance, but by no more than is allowed.
    SlowerWithin,
    /// Chance explains the difference.
    Same,
    /// Faster not by chance, but by no more than a regression would be allowed.
    FasterWithin,
    /// Faster by more than that, and not by chance.
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
    /// The chance of such a slowdown, or where it is faster of such a gain, corrected for the number of comparisons and, where the
    /// machine has moved, for that.
    pub p: f64,
    /// CPUs that others kept busy then and now, where the system tells.
    pub others_busy_cpus: [Option<f64>; 2],
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
    /// Where.
    pub at: At,
}

/// Where a time was taken. As text: `thread`, `cpu`, `gpu:0`, `split`; of a job file `cpu`, `gpu`, `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// A place, and how many threads of the CPU it has.
    Place(Place, u32),
    /// Where the jobs of a file were made to run.
    Mode(Mode),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place, _) => place.fmt(f),
            Self::Mode(mode) => mode.fmt(f),
        }
    }
}

/// What a benchmark is going to measure.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Which kinds.
    pub kinds: &'a [&'static str],
    /// Which sizes of kernels.
    pub sizes: &'a Sizes,
    /// Where, and with how many threads.
    pub places: &'a [(Place, u32)],
    /// Which job files.
    pub files: &'a [&'a str],
}

impl Scope<'_> {
    /// Whether a report has anything that this could measure too.
    pub fn meets(&self, report: &Report) -> bool {
        let is_kernel = |kind: &str| KERNELS.iter().any(|kernel| kernel.name == kind);
        let rows = report.rows.iter().any(|row| {
            self.kinds.contains(&row.kind.as_str())
                && (!is_kernel(&row.kind) || self.sizes.may_hold(row.units))
                && row.cells.iter().any(|cell| self.places.contains(&as_compared(cell.place, cell.lanes)))
        });
        rows || report.files.iter().any(|file| self.files.contains(&file.file.as_str()))
    }
}

/// A place and its threads as they are compared: what is one thing in both.
fn as_compared(place: Place, lanes: u32) -> (Place, u32) {
    // How many threads share in a split is a warning about the machine.
    if place == Place::Cpu { (place, lanes) } else { (place, 1) }
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
    /// How the times of each place have moved together.
    pub shifts: Vec<Shift>,
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
        found: u64,
    },
    /// Nothing is the same.
    #[error("the two have no row in common: run the same kinds and sizes (--sizes) in the same places (--devices)")]
    NothingInCommon,
}

impl Comparison {
    /// Compares `new` with `old`; a time has regressed where its median has grown by a share of more than `max_regression` and by
    /// more than waking a thread takes, and the runs themselves lie higher than chance would put them. That is judged by the
    /// one-sided test of Mann and Whitney on the raw runs, since timings are no normal distribution, and corrected by Holm's
    /// method, so that a comparison of hundreds of unchanged times raises a false alarm no more often than once in twenty. What
    /// the machine itself is slower by is taken off the new runs first, as far as [`Shift`] knows of it; what it is faster by, before
    /// anything counts as faster.
    ///
    /// # Errors
    /// Where the two cannot be compared.
    pub fn of(old: &Report, new: &Report, max_regression: f64) -> Result<Self, Incomparable> {
        if old.schema != SCHEMA {
            return Err(Incomparable::Schema { found: old.schema.into() });
        }
        let (before, after) = (times(old), times(new));
        let only = |times: &[Time], others: &[Time]| -> Vec<Key> {
            let is_alone = |key: &&Key| !others.iter().any(|other| other.key == **key);
            times.iter().map(|time| &time.key).filter(is_alone).cloned().collect()
        };
        let both: Vec<(&Time, &Time)> =
            after.iter().filter_map(|new| Some((before.iter().find(|old| old.key == new.key)?, new))).collect();
        if both.is_empty() {
            return Err(Incomparable::NothingInCommon);
        }
        let shifts = shifts(&both, old, new);
        let pairs: Vec<Pair> = both.iter().map(|(old, new)| Pair::new(old, new, &shifts)).collect();
        let slower = holm(&pairs.iter().map(|pair| slower_p(&pair.old, &pair.if_slower)).collect::<Vec<_>>());
        let faster = holm(&pairs.iter().map(|pair| slower_p(&pair.if_faster, &pair.old)).collect::<Vec<_>>());
        let compared =
            both.iter().zip(&pairs).zip(slower.into_iter().zip(faster)).map(|(((old, new), pair), chances)| {
                let (old_ms, new_ms) = (median(&old.runs_ms), median(&new.runs_ms));
                let (slower, faster) = chances;
                Compared {
                    key: new.key.clone(),
                    old_ms,
                    new_ms,
                    p: if new_ms >= old_ms { slower } else { faster },
                    others_busy_cpus: [old.others_busy_cpus, new.others_busy_cpus],
                    change: pair.change(chances, max_regression, both.len()),
                }
            });
        Ok(Self {
            compared: compared.collect(),
            only_old: only(&before, &after),
            only_new: only(&after, &before),
            shifts,
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

/// A time of a report, with its raw runs in milliseconds.
struct Time {
    key: Key,
    runs_ms: Vec<f64>,
    others_busy_cpus: Option<f64>,
}

/// Every time of a report.
fn times(report: &Report) -> Vec<Time> {
    let of_rows = report.rows.iter().flat_map(|row| {
        row.cells.iter().map(|cell| {
            let (place, lanes) = as_compared(cell.place, cell.lanes);
            let at = At::Place(place, lanes);
            let key = Key { kind: row.kind.clone(), variant: row.variant.clone(), units: row.units, at };
            Time { key, runs_ms: cell.times_ms(), others_busy_cpus: row.others_busy_cpus }
        })
    });
    let of_files = report.files.iter().flat_map(|file| {
        file.runs.iter().map(|run| {
            let at = At::Mode(run.mode);
            let key = Key { kind: "file".to_owned(), variant: file.file.clone(), units: file.jobs, at };
            Time { key, runs_ms: run.runs_ms.clone(), others_busy_cpus: None }
        })
    });
    of_rows.chain(of_files).collect()
}

/// How the times of each place have moved.
fn shifts(both: &[(&Time, &Time)], old: &Report, new: &Report) -> Vec<Shift> {
    let place = |time: &Time| if let At::Place(place, _) = time.key.at { Some(place) } else { None };
    let mut places: Vec<Place> = both.iter().filter_map(|(_, new)| place(new)).collect();
    places.sort_unstable();
    places.dedup();
    let of = |at: Place| {
        let here = both.iter().filter(|(_, new)| place(new) == Some(at));
        let medians: Vec<(f64, f64)> = here.map(|(old, new)| (median(&old.runs_ms), median(&new.runs_ms))).collect();
        Shift::of(at, &medians, &old.ceilings, &new.ceilings)
    };
    places.into_iter().filter_map(of).collect()
}

/// The runs of a time as they are held against each other, in milliseconds.
struct Pair {
    old: Vec<f64>,
    new: Vec<f64>,
    /// The new ones without what the machine is slower by...
    if_slower: Vec<f64>,
    /// ...and without what it is faster by: a shift never makes a claim stronger.
    if_faster: Vec<f64>,
}

impl Pair {
    fn new(old: &Time, new: &Time, shifts: &[Shift]) -> Self {
        let shift = shifts.iter().find(|shift| matches!(new.key.at, At::Place(place, _) if place == shift.place));
        let ratio = shift.map_or(1.0, Shift::machine_ratio);
        let without = |ratio: f64| new.runs_ms.iter().map(|ms| ms / ratio).collect();
        Self {
            old: old.runs_ms.clone(),
            new: new.runs_ms.clone(),
            if_slower: without(ratio.max(1.0)),
            if_faster: without(ratio.min(1.0)),
        }
    }

    /// What has become of it, by the chances that it is no slower and no faster, among so many comparisons.
    fn change(&self, (slower, faster): (f64, f64), max_regression: f64, comparisons: usize) -> Change {
        let [old, new, if_slower, if_faster] =
            [&self.old, &self.new, &self.if_slower, &self.if_faster].map(|ms| median(ms));
        let over = |less: f64, more: f64| more > less * (1.0 + max_regression) && more - less > WAKING_MS;
        let regressed = over(old, if_slower);
        if slower <= LEVEL && regressed {
            Change::Regressed
        } else if regressed && clearest_p(self.old.len(), self.new.len()) * comparisons as f64 > LEVEL {
            Change::TooFewRuns
        } else if !regressed && over(old, new) && slower_p(&self.old, &self.new) * comparisons as f64 <= LEVEL {
            Change::AsMachine
        } else if slower <= LEVEL && if_slower > old {
            Change::SlowerWithin
        } else if faster <= LEVEL && if_faster < old {
            if over(if_faster, old) { Change::Faster } else { Change::FasterWithin }
        } else {
            Change::Same
        }
    }
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
        let mut random = Random::new(seed);
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
        let mut random = Random::new(seed);
        let old = noisy(&mut random, 10, &|_| 1.0);
        let new = noisy(&mut random, 10, &|at| if at % 10 == 3 { 1.2 } else { 1.0 });
        let found = Comparison::of(&old, &new, 0.1).unwrap();
        let regressed = found.compared.iter().filter(|row| row.change == Change::Regressed);
        let variants: Vec<&str> = regressed.map(|row| row.key.variant.as_str()).collect();
        assert_eq!(variants, ["v3", "v13", "v23", "v33"], "seed {seed}");
        let allowed = Comparison::of(&old, &new, 0.3).unwrap();
        assert_eq!(allowed.regressions(), 0, "as much as that is allowed");
        assert_eq!(allowed.compared.iter().filter(|row| row.change == Change::SlowerWithin).count(), 4);
        let back = Comparison::of(&new, &old, 0.1).unwrap();
        assert_eq!(back.compared.iter().filter(|row| row.change == Change::Faster).count(), 4);
    }

    /// `report` with ceilings of one thread that are so many times what they were.
    fn with_ceilings(mut report: Report, factor: f64) -> Report {
        report.ceilings = vec![crate::bench::Ceiling {
            place: Place::Thread,
            read_bytes_per_s: Some(1e10 * factor),
            upload_bytes_per_s: None,
            operations_per_s: Some(1e9 * factor),
        }];
        report
    }

    #[test]
    fn a_machine_that_is_slower_on_one_of_the_days_accuses_nobody_and_hides_nobody() {
        let seed = 14;
        let mut random = Random::new(seed);
        let old = with_ceilings(noisy(&mut random, 10, &|_| 1.0), 1.0);
        let factor = |at: usize| if at % 10 == 3 { 1.2 * 1.2 } else { 1.2 };
        let timed = noisy(&mut random, 10, &factor);
        let of = |found: &Comparison, change| found.compared.iter().filter(|row| row.change == change).count();
        // The probe is slower by as much.
        let found = Comparison::of(&old, &with_ceilings(timed.clone(), 1.0 / 1.2), 0.1).unwrap();
        let regressed = found.compared.iter().filter(|row| row.change == Change::Regressed);
        let variants: Vec<&str> = regressed.map(|row| row.key.variant.as_str()).collect();
        assert_eq!(variants, ["v3", "v13", "v23", "v33"], "seed {seed}");
        assert!(of(&found, Change::AsMachine) > 30, "seed {seed}: {found:?}");
        let shift = found.shifts[0];
        assert!(shift.is_worth_telling() && (shift.machine_ratio() - 1.2).abs() < 0.02, "{shift:?}");
        // The probe is as fast as it was: then all of them are slower, and that is the program.
        let found = Comparison::of(&old, &with_ceilings(timed, 1.0), 0.1).unwrap();
        assert_eq!(of(&found, Change::Regressed), 40, "seed {seed}");
        // Then the baseline is the slow one: nothing is faster but by what it gains beyond that.
        let fast = with_ceilings(noisy(&mut random, 10, &|_| 1.0), 1.0);
        let slow = with_ceilings(noisy(&mut random, 10, &factor), 1.0 / 1.2);
        assert_eq!(of(&Comparison::of(&slow, &fast, 0.1).unwrap(), Change::Faster), 4, "seed {seed}");
    }

    #[test]
    fn what_waking_a_thread_takes_is_no_regression() {
        let mut random = Random::new(15);
        let short = |report: Report| {
            let mut report = report;
            let runs = report.rows.iter_mut().flat_map(|row| &mut row.cells).flat_map(|cell| &mut cell.runs);
            runs.for_each(|run| run.ms /= 200.0);
            report
        };
        let (old, new) = (noisy(&mut random, 10, &|_| 1.0), noisy(&mut random, 10, &|_| 1.3));
        assert_eq!(Comparison::of(&old, &new, 0.1).unwrap().regressions(), 40, "10 ms and 13 ms");
        let found = Comparison::of(&short(old.clone()), &short(new), 0.1).unwrap();
        assert_eq!(found.regressions(), 0, "50 us and 65 us");
        assert!(found.compared.iter().all(|row| row.change == Change::SlowerWithin), "{found:?}");
        let twice = noisy(&mut random, 10, &|_| 2.0);
        assert_eq!(Comparison::of(&short(old), &short(twice), 0.1).unwrap().regressions(), 40, "50 us and 100 us");
    }

    #[test]
    fn what_has_nothing_in_common_is_known_before_anything_is_measured() {
        let report = examples::report();
        let scope = Scope { kinds: &["stats"], sizes: &Sizes::Growing, places: &[(Place::Cpu, 8)], files: &[] };
        assert!(scope.meets(&report));
        let (there, elsewhere) = (Sizes::parse("7,1e4").unwrap(), Sizes::parse("7").unwrap());
        assert!(Scope { sizes: &there, ..scope }.meets(&report));
        assert!(!Scope { sizes: &elsewhere, ..scope }.meets(&report));
        assert!(!Scope { kinds: &["primes"], ..scope }.meets(&report));
        assert!(!Scope { places: &[(Place::Cpu, 4), (Place::Gpu(1), 1)], ..scope }.meets(&report));
        assert!(Scope { places: &[], files: &["jobs.jsonl"], ..scope }.meets(&report));
    }

    #[test]
    fn too_few_runs_are_said_to_be_too_few() {
        let mut random = Random::new(13);
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
