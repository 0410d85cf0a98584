//! Every kind, variant, place and size, within a stated time.

use std::time::{Duration, Instant};

use crate::bench::measure::{Name, measure};
use crate::bench::subject::{KernelSubject, Subject, TaskSubject};
use crate::bench::{Ceiling, Effort, Place, Report, Row, Sizes, Stand, limit};
use crate::device::free_memory_bytes;
use crate::job::Kind;
use crate::kernels::{KERNELS, Work};
use crate::runner::Runner;

/// No made-up job is larger than this where nobody asked for its size, in bytes of input.
const MAX_BYTES: f64 = (512_u64 << 20) as f64;
/// A single run that would take longer ends the sizes of a variant.
const MAX_RUN_MS: f64 = 4_000.0;
/// A row takes at least about this share of the time of its variant.
const ROW_SHARE_MIN: u32 = 16;

/// How many irregular jobs run together: at least so many for each thread, and no more than this in all.
const MIN_JOBS_PER_THREAD: usize = 4;
const MAX_JOBS: usize = 256;

/// Where and how much is measured.
#[derive(Clone, Debug)]
pub struct Sweep<'a> {
    /// A runner of one thread, whose answers are what others are compared with.
    pub oracle: &'a Runner,
    /// Every place.
    pub stands: Vec<Stand<'a>>,
    /// Which sizes of kernels.
    pub sizes: Sizes,
    /// How much of each.
    pub effort: Effort,
    /// What each place can do at best, as far as known.
    pub ceilings: Vec<Ceiling>,
    /// The sizes of earlier rows that these are held against: what is slower now must not thereby be measured at another size.
    pub earlier: Vec<EarlierSize>,
}

/// A size that an earlier benchmark measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlierSize {
    /// Of which kind.
    pub kind: String,
    /// Of which variant.
    pub variant: String,
    /// How many units; of an irregular kind, how many jobs.
    pub units: u64,
}

impl EarlierSize {
    /// Every size of a report.
    pub fn all_of(report: &Report) -> Vec<Self> {
        let size = |row: &Row| Self { kind: row.kind.clone(), variant: row.variant.clone(), units: row.units };
        report.rows.iter().map(size).collect()
    }
}

/// What a sweep tells as it goes.
pub type OnRow<'a> = &'a mut dyn FnMut(&Row) -> anyhow::Result<()>;

impl<'a> Sweep<'a> {
    /// Over one thread, which is `one`'s, all threads and every usable GPU of `all`; sizes by powers, for as long as the time is.
    pub fn new(one: &'a Runner, all: &'a Runner) -> Self {
        let places = every_place(all).into_iter().filter(|place| *place != Place::Split);
        Self {
            oracle: one,
            stands: places.map(|place| stand(one, all, place)).collect(),
            sizes: Sizes::Growing,
            effort: Effort { min_time: None, runs: None, warmup: None },
            ceilings: Vec::new(),
            earlier: Vec::new(),
        }
    }

    /// How large earlier rows of a variant were.
    fn earlier_units(&self, kind: &'static Kind, variant: &'static str) -> impl Iterator<Item = u64> {
        let its = self.earlier.iter().filter(move |size| size.kind == kind.name && size.variant == variant);
        its.map(|size| size.units)
    }

    /// Which sizes of a variant are measured: those that were asked for, else those of earlier rows, else growing ones.
    fn sizes(&self, kind: &'static Kind, variant: &'static str) -> Sizes {
        let mut earlier: Vec<u64> = self.earlier_units(kind, variant).collect();
        if self.sizes != Sizes::Growing || earlier.is_empty() {
            return self.sizes.clone();
        }
        earlier.sort_unstable();
        earlier.dedup();
        Sizes::Given(earlier)
    }

    /// Refuses sizes of these kinds whose made-up data has no room.
    ///
    /// # Errors
    /// Which size of what.
    pub fn check_sizes(&self, kinds: &[&'static Kind]) -> anyhow::Result<()> {
        for kind in kinds.iter().filter(|kind| is_kernel(kind)) {
            for variant in kind.variants {
                if let Sizes::Given(sizes) = self.sizes(kind, variant) {
                    sizes.into_iter().try_for_each(|units| check_memory(kind, variant, units))?;
                }
            }
        }
        Ok(())
    }

    /// Times one variant over sizes, until about `until`. Gives its rows, each as soon as it is there.
    ///
    /// # Errors
    /// Where a job fails, an answer differs, or `on_row` fails.
    pub fn variant(
        &self,
        kind: &'static Kind,
        variant: &'static str,
        until: Instant,
        on_row: OnRow<'_>,
    ) -> anyhow::Result<Vec<Row>> {
        if is_kernel(kind) {
            self.kernel(kind, variant, until, on_row)
        } else {
            self.tasks(kind, variant, until, on_row)
        }
    }

    fn kernel(
        &self,
        kind: &'static Kind,
        variant: &'static str,
        until: Instant,
        on_row: OnRow<'_>,
    ) -> anyhow::Result<Vec<Row>> {
        let budget = until.saturating_duration_since(Instant::now());
        let mut rows: Vec<Row> = Vec::new();
        let sizes = self.sizes(kind, variant);
        let mut next = sizes.first();
        while let Some(units) = next {
            if sizes != Sizes::Growing {
                check_memory(kind, variant, units)?;
            }
            let left = until.saturating_duration_since(Instant::now());
            // Small sizes leave most of theirs to larger ones.
            let share = (left / sizes.left_from(units)).max(budget / ROW_SHARE_MIN);
            let mut subject = KernelSubject::new(kind, variant, units)?;
            let work = subject.work().clone();
            let capable = |stand: &&Stand<'_>| stand.place.is_cpu() || work.gpu;
            let stands: Vec<Stand<'_>> = self.stands.iter().filter(capable).copied().collect();
            if stands.is_empty() {
                return Ok(rows);
            }
            let begun = Instant::now();
            let row = self.row(kind, variant, &mut subject, &stands, share, Some(&work))?;
            let took = begun.elapsed();
            on_row(&row)?;
            let round_ms: f64 = row.cells.iter().map(|cell| cell.median_ms).sum();
            let slowest_ms = row.cells.iter().map(|cell| cell.median_ms).fold(0.0, f64::max);
            let bytes = work.bytes_per_unit * work.units as f64;
            rows.push(row);
            next = sizes.after(units.max(work.units));
            if sizes != Sizes::Growing {
                continue;
            }
            let growth = next.map_or(1.0, |next| next as f64 / units as f64);
            // The least that the next size takes: one run in each place for its answer alone, and those that count.
            let runs = 1 + self.effort.runs.unwrap_or(1) + self.effort.warmup.unwrap_or(0);
            let next_ms = round_ms * growth * f64::from(runs);
            let left_ms = until.saturating_duration_since(Instant::now()).as_secs_f64() * 1e3;
            if bytes * growth > MAX_BYTES
                || slowest_ms * growth > MAX_RUN_MS
                || next_ms.max(took.as_secs_f64() * 1e3 * 0.5) > left_ms
            {
                return Ok(rows);
            }
        }
        Ok(rows)
    }

    /// Measures a row once more: the same size, places and number of runs.
    ///
    /// # Errors
    /// As [`Self::variant`].
    pub fn again(&self, kind: &'static Kind, variant: &'static str, row: &Row) -> anyhow::Result<Row> {
        let has = |stand: &&Stand<'_>| row.cell(stand.place).is_some();
        let stands: Vec<Stand<'_>> = self.stands.iter().filter(has).copied().collect();
        let runs = row.cells.iter().map(|cell| cell.runs.len()).max().unwrap_or(1) as u32;
        let effort = Effort { min_time: None, runs: Some(runs), warmup: self.effort.warmup };
        let sweep = Self { effort, ..self.clone() };
        // The share says only whether a warm-up is worth it.
        let share = Duration::from_secs_f64(row.cells.iter().map(|cell| cell.median_ms).sum::<f64>() / 1e3 * 10.0);
        if is_kernel(kind) {
            let mut subject = KernelSubject::new(kind, variant, row.units)?;
            let work = subject.work().clone();
            return sweep.row(kind, variant, &mut subject, &stands, share, Some(&work));
        }
        let mut subject = TaskSubject::new(kind, variant);
        subject.grow(row.units as usize);
        sweep.row(kind, variant, &mut subject, &stands, share, None)
    }

    fn tasks(
        &self,
        kind: &'static Kind,
        variant: &'static str,
        until: Instant,
        on_row: OnRow<'_>,
    ) -> anyhow::Result<Vec<Row>> {
        let stands: Vec<Stand<'_>> = self.stands.iter().filter(|stand| stand.place.is_cpu()).copied().collect();
        if stands.is_empty() {
            return Ok(Vec::new());
        }
        let budget = until.saturating_duration_since(Instant::now());
        let mut subject = TaskSubject::new(kind, variant);
        if let Some(jobs) = self.earlier_units(kind, variant).next() {
            subject.grow((jobs as usize).clamp(1, MAX_JOBS));
            let row = self.row(kind, variant, &mut subject, &stands, budget / 2, None)?;
            on_row(&row)?;
            return Ok(vec![row]);
        }
        subject.run(self.oracle, Place::Thread, false)?;
        let (each, _) = subject.run(self.oracle, Place::Thread, false)?;
        // A twenty-fifth of the time for all of them on one thread leaves enough for ten runs of each.
        let fitting = (budget.as_secs_f64() * 1e3 / 25.0 / each.ms.max(1e-6)) as usize;
        let threads = stands.iter().map(|stand| stand.lanes as usize).max().unwrap_or(1);
        let least = (MIN_JOBS_PER_THREAD * threads).min(MAX_JOBS);
        subject.grow(fitting.clamp(least, MAX_JOBS));
        let row = self.row(kind, variant, &mut subject, &stands, budget / 2, None)?;
        on_row(&row)?;
        Ok(vec![row])
    }

    fn row(
        &self,
        kind: &'static Kind,
        variant: &'static str,
        subject: &mut dyn Subject,
        stands: &[Stand<'_>],
        share: Duration,
        work: Option<&Work>,
    ) -> anyhow::Result<Row> {
        let name = Name { kind: kind.name, variant };
        let found = measure(subject, name, self.oracle, stands, &self.effort, share)?;
        let units = subject.units();
        let mut row = Row {
            kind: kind.name.to_owned(),
            variant: variant.to_owned(),
            units,
            bytes: work.map_or(0.0, |work| work.bytes_per_unit * units as f64 * f64::from(work.passes.max(1))),
            operations: work.and((kind.operations_per_unit)(variant)).map(|each| each * units as f64),
            others_busy_cpus: found.others_busy_cpus,
            cells: found.cells,
        };
        let limits: Vec<_> = row
            .cells
            .iter()
            .map(|cell| {
                let ceiling = self.ceilings.iter().find(|ceiling| ceiling.place == cell.place)?;
                limit(&row, cell, ceiling)
            })
            .collect();
        for (cell, limit) in row.cells.iter_mut().zip(limits) {
            cell.limit = limit;
        }
        Ok(row)
    }
}

fn is_kernel(kind: &Kind) -> bool {
    KERNELS.iter().any(|kernel| kernel.name == kind.name)
}

/// Refuses a size whose made-up data has no room.
fn check_memory(kind: &'static Kind, variant: &'static str, units: u64) -> anyhow::Result<()> {
    const SMALL: u64 = 64;
    let Some(free) = free_memory_bytes().filter(|_| units > SMALL) else {
        return Ok(());
    };
    let work = KernelSubject::new(kind, variant, SMALL)?.work().clone();
    let bytes = (work.bytes_per_unit + work.bytes_out_per_unit) * units as f64;
    // The data is made up once, and a copy of it is under way to a device.
    anyhow::ensure!(
        bytes * 2.0 < free as f64,
        "{} {variant}, {units} units: the made-up data takes {:.0} bytes, and {free} bytes are free: leave this size out of \
         --sizes",
        kind.name,
        bytes * 2.0
    );
    Ok(())
}

/// Where jobs can be timed: one thread, all of them, each usable GPU, all together.
pub fn every_place(all: &Runner) -> Vec<Place> {
    let mut places = vec![Place::Thread];
    if all.engine().settings().threads > 1 {
        places.push(Place::Cpu);
    }
    let before = places.len();
    places.extend(all.engine().devices().usable().iter().filter_map(|device| match device.info().id {
        crate::device::DeviceId::Gpu(index) => Some(Place::Gpu(index)),
        crate::device::DeviceId::Cpu => None,
    }));
    if places.len() > before {
        places.push(Place::Split);
    }
    places
}

/// Who runs jobs in this place.
pub fn stand<'a>(one: &'a Runner, all: &'a Runner, place: Place) -> Stand<'a> {
    match place {
        Place::Thread => Stand { place, runner: one, lanes: 1 },
        Place::Cpu => Stand { place, runner: all, lanes: all.engine().settings().threads },
        Place::Gpu(_) => Stand { place, runner: all, lanes: 1 },
        Place::Split => Stand { place, runner: all, lanes: all.engine().settings().threads },
    }
}

/// Runs made-up jobs of every kind and variant on one thread (`one`), all threads and every usable GPU (`all`) until the
/// time is up, smallest sizes first, so that both runners learn. Gives each row as soon as it is there.
///
/// # Errors
/// As [`Sweep::variant`].
pub fn calibrate(
    kinds: &[&'static Kind],
    one: &Runner,
    all: &Runner,
    budget: Duration,
    on_row: OnRow<'_>,
) -> anyhow::Result<()> {
    let mut sweep = Sweep::new(one, all);
    // A model is better served by more sizes than by more runs of one; it learns from the run that checks the answer too.
    sweep.effort = Effort { min_time: None, runs: Some(3), warmup: Some(0) };
    let end = Instant::now() + budget;
    let variants: Vec<_> =
        kinds.iter().flat_map(|kind| kind.variants.iter().map(move |variant| (*kind, *variant))).collect();
    for (i, &(kind, variant)) in variants.iter().enumerate() {
        // What one variant leaves is shared by those after it.
        let now = Instant::now();
        let share = end.saturating_duration_since(now) / (variants.len() - i) as u32;
        sweep.variant(kind, variant, now + share, on_row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::kind;
    use crate::model::Location;

    fn runner(threads: u32) -> Runner {
        Runner::builder().threads(threads).model(Location::Nowhere).build().unwrap()
    }

    #[test]
    fn a_sweep_keeps_to_its_time_and_its_sizes_grow() {
        let (one, two) = (runner(1), runner(2));
        let sweep = Sweep::new(&one, &two);
        let sizes = |time: Duration| {
            let mut seen = Vec::new();
            let mut note = |row: &Row| {
                seen.push(row.units);
                Ok(())
            };
            let rows = sweep.variant(kind("primes").unwrap(), "numbers", Instant::now() + time, &mut note).unwrap();
            assert!(seen.is_sorted() && rows.iter().map(|row| row.units).eq(seen.iter().copied()), "{seen:?}");
            assert!(rows.iter().all(|row| row.cells.len() >= 2));
            seen
        };
        // Without any time there is one size, and its runs are as few as can be.
        assert_eq!(sizes(Duration::ZERO), [512]);
        let some = sizes(Duration::from_millis(300));
        assert!(some.windows(2).all(|pair| pair[1] == pair[0] * 8), "{some:?}");
        // Each takes eight times as long as the one before: nobody has the next after twenty in that time.
        assert!(some.len() < 8, "{some:?}");
    }

    #[test]
    fn sizes_that_were_asked_for_are_all_measured() {
        let (one, two) = (runner(1), runner(2));
        let mut sweep = Sweep::new(&one, &two);
        sweep.sizes = Sizes::parse("100,7000").unwrap();
        sweep.effort.runs = Some(2);
        let rows = sweep.variant(kind("stats").unwrap(), "i32", Instant::now(), &mut |_| Ok(())).unwrap();
        assert!(rows.iter().map(|row| row.units).eq([100, 7000]));
        assert!(rows.iter().flat_map(|row| &row.cells).all(|cell| cell.runs.len() == 2));
        sweep.sizes = Sizes::parse("1e15").unwrap();
        let error = sweep.variant(kind("stats").unwrap(), "i32", Instant::now(), &mut |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("leave this size out of --sizes"), "{error}");
    }

    #[test]
    fn what_is_held_against_earlier_rows_has_their_sizes_however_slow_it_is() {
        let (one, two) = (runner(1), runner(2));
        let mut sweep = Sweep::new(&one, &two);
        sweep.effort.runs = Some(1);
        let size = |kind: &str, variant: &str, units| EarlierSize { kind: kind.into(), variant: variant.into(), units };
        sweep.earlier = vec![size("factor", "u64", 9), size("stats", "i32", 700), size("stats", "i32", 70)];
        // By the time that there is, each would have other sizes.
        for time in [Duration::ZERO, Duration::from_secs(2)] {
            let until = Instant::now() + time;
            let units = |name, variant| -> Vec<u64> {
                let rows = sweep.variant(kind(name).unwrap(), variant, until, &mut |_| Ok(())).unwrap();
                rows.iter().map(|row| row.units).collect()
            };
            assert_eq!((units("factor", "u64"), units("stats", "i32")), (vec![9], vec![70, 700]));
        }
    }

    #[test]
    fn sizes_that_have_no_room_are_refused_before_anything_runs() {
        let one = runner(1);
        let mut sweep = Sweep::new(&one, &one);
        let stats = [kind("stats").unwrap()];
        sweep.check_sizes(&stats).unwrap();
        sweep.sizes = Sizes::parse("100,1e15").unwrap();
        let error = sweep.check_sizes(&stats).unwrap_err().to_string();
        assert!(error.contains("leave this size out of --sizes"), "{error}");
        sweep.check_sizes(&[kind("factor").unwrap()]).unwrap();
    }

    #[test]
    fn irregular_jobs_are_timed_many_at_once_on_the_cpu_alone() {
        let (one, three) = (runner(1), runner(3));
        let mut sweep = Sweep::new(&one, &three);
        sweep.effort.runs = Some(2);
        let until = Instant::now() + Duration::from_millis(200);
        let rows = sweep.variant(kind("factor").unwrap(), "u64", until, &mut |_| Ok(())).unwrap();
        assert!((12..=MAX_JOBS as u64).contains(&rows[0].units), "{rows:?}");
        assert!(rows[0].cells.iter().map(|cell| cell.lanes).eq([1, 3]));
    }
}
