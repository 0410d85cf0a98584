//! What the rows of a variant come to: which place to use at which size, from which size on one beats another, and why. Pure.

mod choice;
mod reason;
mod standing;

pub use choice::{AtSize, Because, Choice, Segment, Unused};
pub use reason::{Lost, Reason};
pub use standing::{BreakEven, Standing, ToldApart};

use serde::{Deserialize, Serialize};

use crate::bench::baseline::WAKING_MS;
use crate::bench::{Cell, DeviceDescription, Place, Row};
use reason::lost;

/// A GPU, or a split, against the best of the CPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Challenge {
    /// Who challenges.
    pub place: Place,
    /// From which size on it wins, its input uploaded anew for each job.
    pub fresh: BreakEven,
    /// As [`Standing::band_units`].
    pub band_units: Option<(u64, u64)>,
    /// At which sizes it and the CPU can be told apart; earlier reports do not say.
    #[serde(default)]
    pub told_apart: ToldApart,
    /// From which size on it wins where its input lies on it already.
    pub resident: BreakEven,
    /// From which size on it wins where it is set up first: the only job of a program.
    pub cold: BreakEven,
    /// How long opening it took, in milliseconds.
    pub opening_ms: f64,
    /// How many times as fast as the CPU it is at its best, and at how many units.
    pub best: (f64, u64),
    /// Every size at which it surely wins, in units; earlier reports do not say.
    #[serde(default)]
    pub surely_at: Vec<u64>,
    /// At how many sizes it and the CPU were measured; earlier reports do not say.
    #[serde(default)]
    pub sizes: u32,
    /// Where it loses, and why; `None` where it never does.
    pub lost: Option<Lost>,
}

/// What the rows of a variant come to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Which kind.
    pub kind: String,
    /// Which variant.
    pub variant: String,
    /// Which place to use at which size; earlier reports do not say.
    #[serde(default)]
    pub choice: Choice,
    /// All threads against one: from which size on, how many times as fast at best, at how many units, and how many
    /// threads. `None` where only one was measured.
    pub parallel: Option<Parallel>,
    /// Every GPU that took part, and the split.
    pub challenges: Vec<Challenge>,
}

/// All threads against one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parallel {
    /// How many threads.
    pub threads: u32,
    /// From which size on they win.
    pub break_even: BreakEven,
    /// As [`Standing::band_units`]; earlier reports do not say.
    #[serde(default)]
    pub band_units: Option<(u64, u64)>,
    /// At which sizes they and one thread can be told apart; earlier reports do not say.
    #[serde(default)]
    pub told_apart: ToldApart,
    /// How many times as fast they are at best, and at how many units.
    pub best: (f64, u64),
    /// Every size at which they surely win, in units; earlier reports do not say.
    #[serde(default)]
    pub surely_at: Vec<u64>,
    /// At how many sizes they and one thread were measured; earlier reports do not say.
    #[serde(default)]
    pub sizes: u32,
}

impl Parallel {
    /// How all threads stand against one.
    pub fn standing(&self) -> Standing {
        let Self { break_even, band_units, told_apart, best, sizes, .. } = *self;
        Standing { break_even, band_units, told_apart, best, surely_at: self.surely_at.clone(), sizes }
    }
}

impl Challenge {
    /// How it stands against the CPU, its input uploaded anew for each job.
    pub fn standing(&self) -> Standing {
        let Self { fresh: break_even, band_units, told_apart, best, sizes, .. } = *self;
        Standing { break_even, band_units, told_apart, best, surely_at: self.surely_at.clone(), sizes }
    }
}

impl Verdict {
    /// Of the rows of one variant, ascending in size; `None` where there are none.
    pub fn of(rows: &[Row], devices: &[DeviceDescription]) -> Option<Self> {
        let first = rows.first()?;
        let places = places(rows);
        let challengers = places.iter().filter(|place| !place.is_cpu());
        Some(Self {
            kind: first.kind.clone(),
            variant: first.variant.clone(),
            choice: Choice::of(rows, devices),
            parallel: parallel(rows),
            challenges: challengers.filter_map(|&place| challenge(rows, place, devices)).collect(),
        })
    }
}

/// What the median of a cell is off by where its runs are too few for an interval of 95 %, beyond what they show.
const FEW_RUNS: f64 = 1.25;
/// Runs of which such an interval can be had.
const RUNS_MIN: usize = 6;

/// Between what the median of a cell surely lies, in milliseconds.
fn sure_interval(cell: &Cell) -> (f64, f64) {
    if cell.runs.len() < RUNS_MIN {
        // Two runs lie above two others by chance one time in six.
        return (cell.low_ms / FEW_RUNS, cell.high_ms * FEW_RUNS);
    }
    (cell.low_ms, cell.high_ms)
}

/// Whether a cell is surely faster than another: where their medians lie does not meet, and they are apart by more than waking a thread
/// takes, which differs from run to run and from session to session.
fn is_surely_faster(cell: &Cell, other: &Cell) -> bool {
    sure_interval(cell).1 <= sure_interval(other).0 && other.median_ms - cell.median_ms > WAKING_MS
}

/// Every place that any row has, in their order.
fn places(rows: &[Row]) -> Vec<Place> {
    let mut places: Vec<Place> = rows.iter().flat_map(|row| row.cells.iter().map(|cell| cell.place)).collect();
    places.sort_unstable();
    places.dedup();
    places
}

/// Whether a place is a GPU in name only.
fn is_software(place: Place, devices: &[DeviceDescription]) -> bool {
    place.is_gpu() && devices.iter().any(|device| device.software && device.device == place.to_string())
}

fn parallel(rows: &[Row]) -> Option<Parallel> {
    let pairs: Vec<(&Row, &Cell, &Cell)> =
        rows.iter().filter_map(|row| Some((row, row.cell(Place::Cpu)?, row.cell(Place::Thread)?))).collect();
    let Standing { break_even, band_units, told_apart, best, surely_at, sizes } = Standing::of(&pairs)?;
    let threads = pairs.iter().map(|(_, all, _)| all.lanes).max()?;
    Some(Parallel { threads, break_even, band_units, told_apart, best, surely_at, sizes })
}

fn challenge(rows: &[Row], place: Place, devices: &[DeviceDescription]) -> Option<Challenge> {
    let pairs: Vec<(&Row, &Cell, &Cell)> =
        rows.iter().filter_map(|row| Some((row, row.cell(place)?, row.best_of_cpu()?))).collect();
    let of = |gpu_ms: &dyn Fn(&Cell) -> f64, cpu_ms: &dyn Fn(&Cell) -> f64| {
        BreakEven::of(pairs.iter().map(|(row, gpu, cpu)| (row.units, gpu_ms(gpu), cpu_ms(cpu))))
    };
    let median = |cell: &Cell| cell.median_ms;
    let opened = pairs.iter().map(|(_, gpu, _)| gpu.cold.opening_ms);
    // The device is opened once, and shaders are compiled with the first job of a variant.
    let setup_ms = pairs.iter().map(|(_, gpu, _)| gpu.cold.setup_ms - gpu.cold.opening_ms).fold(0.0, f64::max);
    let devices: Vec<&DeviceDescription> =
        devices.iter().filter(|device| device.device == place.device().to_string()).collect();
    let opening_ms = devices.iter().filter_map(|device| device.opening_ms).chain(opened).fold(0.0, f64::max);
    let software = place.is_gpu() && devices.iter().any(|device| device.software);
    let Standing { break_even, band_units, told_apart, best, surely_at, sizes } = Standing::of(&pairs)?;
    Some(Challenge {
        place,
        fresh: break_even,
        band_units,
        told_apart,
        resident: of(&|gpu| (gpu.median_ms - gpu.phase_ms(|run| run.upload_ms)).max(f64::MIN_POSITIVE), &median)?,
        cold: of(&|gpu| gpu.median_ms + opening_ms + setup_ms, &median)?,
        opening_ms,
        best,
        surely_at,
        sizes,
        lost: lost(&pairs, software),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    const GPU: Place = Place::Gpu(0);

    fn verdict(times: &[(u64, f64, f64)], devices: &[DeviceDescription]) -> Verdict {
        let row = |&(units, cpu, gpu)| examples::row("k", "v", units, &[(Place::Thread, cpu), (GPU, gpu)]);
        Verdict::of(&times.iter().map(row).collect::<Vec<_>>(), devices).unwrap()
    }

    #[test]
    fn the_break_even_size_lies_where_the_times_cross() {
        // The ratio goes from 4 to 1/4 over two decades: it is 1 in their middle.
        assert_eq!(BreakEven::of([(100, 4.0, 1.0), (10_000, 25.0, 100.0)]), Some(BreakEven::From(1000)));
        assert_eq!(BreakEven::of([(100, 4.0, 1.0)]), Some(BreakEven::Never));
        assert_eq!(BreakEven::of([(100, 1.0, 4.0)]), Some(BreakEven::Always));
        assert_eq!(BreakEven::of([]), None);
        // Once more slower at the end: it never pays for good.
        assert_eq!(BreakEven::of([(1, 1.0, 2.0), (2, 2.0, 1.0)]), Some(BreakEven::Never));
    }

    #[test]
    fn a_gpu_that_wins_does_so_earlier_with_its_input_there_and_later_when_it_is_cold() {
        let found = verdict(&[(100, 1.0, 4.0), (10_000, 100.0, 25.0)], &[]);
        let challenge = &found.challenges[0];
        assert_eq!(challenge.fresh, BreakEven::From(1000));
        let (low, high) = challenge.band_units.unwrap();
        assert!(low < 1000 && high > 1000 && low > 900 && high < 1100, "{challenge:?}");
        assert!(matches!(challenge.resident, BreakEven::From(units) if units < 1000), "{challenge:?}");
        assert_eq!(challenge.cold, BreakEven::Never, "setting it up takes 200 ms");
        assert_eq!(challenge.best, (4.0, 10_000));
        assert_eq!(found.parallel, None);
    }

    #[test]
    fn why_a_gpu_loses_is_what_takes_longer_than_the_cpu() {
        let reason = |times: &[(u64, f64, f64)]| verdict(times, &[]).challenges[0].lost.map(|lost| lost.reason);
        // A quarter of the example's GPU time is upload.
        assert!(matches!(reason(&[(10, 0.1, 0.5), (100, 1.0, 6.0)]), Some(Reason::Upload { .. })));
        assert!(matches!(reason(&[(10, 0.01, 0.5), (100, 0.1, 0.6)]), Some(Reason::FixedCost { .. })));
        assert!(matches!(reason(&[(10, 0.1, 0.5), (100, 1.0, 2.0)]), Some(Reason::Compute { .. })));
        assert!(matches!(reason(&[(10, 0.1, 0.5), (100, 1.0, 1.2)]), Some(Reason::Sum { .. })));
        assert_eq!(reason(&[(10, 1.0, 0.5)]), None);
        let mut devices = examples::report().machine.devices;
        devices[1].software = true;
        let found = verdict(&[(10, 0.1, 0.5)], &devices);
        assert_eq!(found.challenges[0].lost.unwrap().reason, Reason::Software);
    }

    #[test]
    fn all_threads_are_held_against_one() {
        let row = |units, one, all| examples::row("k", "v", units, &[(Place::Thread, one), (Place::Cpu, all)]);
        let found = Verdict::of(&[row(100, 1.0, 4.0), row(10_000, 100.0, 25.0)], &[]).unwrap().parallel.unwrap();
        assert_eq!((found.threads, found.break_even, found.best), (8, BreakEven::From(1000), (4.0, 10_000)));
    }
    /// Verdicts of cells with medians, and intervals that reach as far as `reach` times the median to both sides.
    fn held_against_one(times: &[(u64, f64, f64)], reach: f64) -> Parallel {
        let row = |&(units, one, all): &(u64, f64, f64)| {
            let mut row = examples::row("k", "v", units, &[(Place::Thread, one), (Place::Cpu, all)]);
            for cell in &mut row.cells {
                (cell.low_ms, cell.high_ms) = (cell.median_ms * (1.0 - reach), cell.median_ms * (1.0 + reach));
            }
            row
        };
        Verdict::of(&times.iter().map(row).collect::<Vec<_>>(), &[]).unwrap().parallel.unwrap()
    }

    #[test]
    fn where_intervals_meet_two_cannot_be_told_apart() {
        // By the medians all threads win at both sizes, by three in a thousand.
        let even = [(100, 1.003, 1.0), (10_000, 100.3, 100.0)];
        let found = held_against_one(&even, 0.02);
        assert_eq!((found.break_even, found.told_apart), (BreakEven::Always, ToldApart::Never));
        assert_eq!(found.band_units, Some((100, 10_000)));
        let sure = held_against_one(&even, 0.0001);
        assert_eq!((sure.told_apart, sure.band_units), (ToldApart::Largest, None), "narrow intervals tell them apart");
        let late = held_against_one(&[(100, 1.0, 4.0), (10_000, 100.0, 99.0)], 0.02);
        assert_eq!(late.told_apart, ToldApart::Smaller);
        assert!(matches!(late.band_units, Some((from, 10_000)) if from > 5_000), "{late:?}");
        let once = held_against_one(&[(100, 4.0, 1.0), (10_000, 100.0, 99.0)], 0.02);
        assert_eq!((once.told_apart, once.band_units), (ToldApart::Smaller, None));
    }
}
