//! What a benchmark found, as it is kept in a file: raw timings, the machine, and what follows from them.

use serde::{Deserialize, Serialize};

use crate::bench::statistics::{median_with_interval, outliers, trend};
use crate::bench::{Bound, FileComparison, Limit, Place, Verdict};

/// The number of the format, its `schema`.
pub const SCHEMA: u32 = 1;

/// A trend is told where chance alone would give it this rarely...
const DRIFT_P_MAX: f64 = 0.01;
/// ...and where it is at least so large.
const DRIFT_MIN: f64 = 0.05;

/// A whole benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The version of tandem.
    pub tandem: String,
    /// Whether it was built with optimisation; without, its figures are of no use but to try things out.
    pub optimised: bool,
    /// When it began, in seconds since 1970.
    pub begun_unix_s: u64,
    /// What it ran on.
    pub machine: Machine,
    /// What it was asked for.
    pub settings: Settings,
    /// What each place can do at best, as far as that was measured: before the rows.
    pub ceilings: Vec<Ceiling>,
    /// The same once more after the rows, where the report is to be compared; earlier reports have none.
    #[serde(default)]
    pub ceilings_after: Vec<Ceiling>,
    /// Every size of every variant.
    pub rows: Vec<Row>,
    /// What follows, for each variant.
    pub verdicts: Vec<Verdict>,
    /// Job files that were run on each device.
    pub files: Vec<FileComparison>,
    /// What was measured again, since it seemed slower than a baseline.
    #[serde(default)]
    pub again: Again,
}

/// A second round of what seemed slower than a baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Again {
    /// Rows, in every place.
    pub rows: Vec<Row>,
    /// Job files.
    pub files: Vec<FileComparison>,
}

/// The machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// `linux`, `macos`, `windows`.
    pub os: String,
    /// `x86_64`, `aarch64`.
    pub arch: String,
    /// Threads that were used.
    pub threads: u32,
    /// CPUs that there are, where the system tells; earlier reports do not say.
    #[serde(default)]
    pub cpus: Option<u32>,
    /// The devices that took part: the CPU first.
    pub devices: Vec<DeviceDescription>,
    /// Why no GPU took part, where none did.
    pub no_gpu: Option<String>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceDescription {
    /// `cpu`, `gpu:0`.
    pub device: String,
    /// Its name, as its maker gives it.
    pub name: String,
    /// What kind of hardware it is: `cpu`, `discrete gpu`.
    pub kind: String,
    /// Its driver; of the CPU its instruction set.
    pub driver: String,
    /// Whether it is a GPU in name, whose shaders run on the CPU.
    pub software: bool,
    /// Changes with anything that could change its speed.
    pub fingerprint: String,
    /// Its memory in bytes, where known.
    pub memory_bytes: Option<u64>,
    /// How long opening it took, in milliseconds, where it was opened for this benchmark.
    pub opening_ms: Option<f64>,
}

/// What a benchmark was asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How long to measure at most, in seconds.
    pub budget_s: f64,
    /// How long to measure each size at least, in seconds.
    pub min_time_s: Option<f64>,
    /// How often to run each size in each place.
    pub runs: Option<u32>,
    /// Runs before those that count, besides the one that checks the answer.
    pub warmup: Option<u32>,
}

/// What a place can do at best.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// Which one.
    pub place: Place,
    /// Bytes a second that it reads from its own memory.
    pub read_bytes_per_s: Option<f64>,
    /// Bytes a second that move to it; `None` for the CPU, where data is there already.
    pub upload_bytes_per_s: Option<f64>,
    /// Multiply-adds of 64 bits a second.
    pub operations_per_s: Option<f64>,
}

impl Ceiling {
    /// How much of what bounds a job it does in a second.
    pub fn rate(&self, bound: Bound) -> Option<f64> {
        match bound {
            Bound::Memory => self.read_bytes_per_s,
            Bound::Operations => self.operations_per_s,
            Bound::Upload => self.upload_bytes_per_s,
        }
    }
}

/// One size of one variant, everywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which kind.
    pub kind: String,
    /// Which variant.
    pub variant: String,
    /// How many units; of an irregular kind, how many jobs.
    pub units: u64,
    /// Bytes of input that are read, over all passes.
    pub bytes: f64,
    /// Integer operations that its work takes, where its kind knows.
    pub operations: Option<f64>,
    /// CPUs that others wanted meanwhile, where the system tells: threads that ran or waited for a CPU, which may be more than
    /// there are CPUs.
    pub others_busy_cpus: Option<f64>,
    /// Its times, a place each.
    pub cells: Vec<Cell>,
}

/// One size of one variant in one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Where.
    pub place: Place,
    /// Threads of the CPU; 1 for a GPU.
    pub lanes: u32,
    /// The first run, which opened the device where it was not open, and compiled shaders.
    pub cold: Run,
    /// Every run that counts, in the order in which they were made.
    pub runs: Vec<Run>,
    /// The median of their times.
    pub median_ms: f64,
    /// The least that the true median is likely to be.
    pub low_ms: f64,
    /// The greatest.
    pub high_ms: f64,
    /// How likely it lies between.
    pub confidence: f64,
    /// How many runs lie far off.
    pub outliers: u32,
    /// How much slower the last run was than the first, as a share, where that is more than chance.
    pub drift: Option<f64>,
    /// How close it comes to what the place can do.
    pub limit: Option<Limit>,
}

/// One run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its place in the order of all runs of its row.
    pub order: u32,
    /// From the job's submission to its answer.
    pub ms: f64,
    /// Of that, waiting for a lane and between chunks.
    pub waiting_ms: f64,
    /// Opening the device, compiling shaders.
    pub setup_ms: f64,
    /// The part of `setup_ms` that opened the device.
    pub opening_ms: f64,
    /// Moving input to the device.
    pub upload_ms: f64,
    /// Computing.
    pub compute_ms: f64,
    /// Moving results back.
    pub readback_ms: f64,
}

impl Report {
    /// What is wrong with a report that was read from a file, where anything is: a time without runs, or with one that no clock gives.
    pub fn fault(&self) -> Option<String> {
        let wrong = |runs_ms: &[f64]| match runs_ms.iter().find(|ms| !(ms.is_finite() && **ms > 0.0)) {
            Some(ms) => Some(format!("has a run of {ms} ms")),
            None => runs_ms.is_empty().then(|| "has no runs".to_owned()),
        };
        let rows =
            self.rows.iter().chain(&self.again.rows).flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
        let rows = rows.filter_map(|(row, cell)| {
            let wrong = wrong(&cell.times_ms())?;
            Some(format!("{} {}, {} units, {}: it {wrong}", row.kind, row.variant, row.units, cell.place))
        });
        let files = self.files.iter().chain(&self.again.files);
        let files = files.flat_map(|file| file.runs.iter().map(move |run| (file, run)));
        let files =
            files.filter_map(|(file, run)| Some(format!("{}, {}: it {}", file.file, run.mode, wrong(&run.runs_ms)?)));
        rows.chain(files).next()
    }
}

impl Cell {
    /// What follows from these runs, at least one of them.
    pub fn new(place: Place, lanes: u32, cold: Run, runs: Vec<Run>) -> Self {
        let times: Vec<f64> = runs.iter().map(|run| run.ms).collect();
        let middle = median_with_interval(&times);
        let drift = trend(&times).filter(|found| found.p <= DRIFT_P_MAX && found.change.abs() >= DRIFT_MIN);
        Self {
            place,
            lanes,
            cold,
            median_ms: middle.map_or(cold.ms, |middle| middle.value),
            low_ms: middle.map_or(cold.ms, |middle| middle.low),
            high_ms: middle.map_or(cold.ms, |middle| middle.high),
            confidence: middle.map_or(0.0, |middle| middle.confidence),
            outliers: u32::try_from(outliers(&times)).unwrap_or(u32::MAX),
            drift: drift.map(|found| found.change),
            limit: None,
            runs,
        }
    }

    /// The median of a part of its runs' time, in milliseconds.
    pub fn phase_ms(&self, phase: impl Fn(&Run) -> f64) -> f64 {
        let times: Vec<f64> = self.runs.iter().map(phase).collect();
        median_with_interval(&times).map_or(0.0, |median| median.value)
    }

    /// The times of its runs, in milliseconds.
    pub fn times_ms(&self) -> Vec<f64> {
        self.runs.iter().map(|run| run.ms).collect()
    }
}

impl Row {
    /// The cell of this place.
    pub fn cell(&self, place: Place) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.place == place)
    }

    /// The faster of one thread and all.
    pub fn best_of_cpu(&self) -> Option<&Cell> {
        let cpu = self.cells.iter().filter(|cell| cell.place.is_cpu());
        cpu.min_by(|a, b| a.median_ms.total_cmp(&b.median_ms))
    }

    /// How many times as fast as the fastest of the CPU's a cell is.
    pub fn ratio_to_cpu(&self, cell: &Cell) -> Option<f64> {
        self.best_of_cpu().map(|cpu| cpu.median_ms / cell.median_ms)
    }

    /// How many times as fast as one thread a cell is.
    pub fn ratio_to_thread(&self, cell: &Cell) -> Option<f64> {
        self.cell(Place::Thread).map(|thread| thread.median_ms / cell.median_ms)
    }

    /// Units a second.
    pub fn units_per_s(&self, cell: &Cell) -> f64 {
        self.units as f64 / cell.median_ms * 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::examples;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let report = examples::report();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn a_time_without_runs_or_of_no_time_is_a_fault_that_names_its_row() {
        let mut report = examples::report();
        assert_eq!(report.fault(), None);
        report.rows[1].cells[2].runs[3].ms = -1.0;
        assert_eq!(report.fault().unwrap(), "stats f32, 1000000 units, gpu:0: it has a run of -1 ms");
        report.rows[1].cells[2].runs.clear();
        assert_eq!(report.fault().unwrap(), "stats f32, 1000000 units, gpu:0: it has no runs");
        report.rows.clear();
        report.files[0].runs[1].runs_ms.clear();
        assert_eq!(report.fault().unwrap(), "jobs.jsonl, gpu: it has no runs");
    }

    #[test]
    fn a_cell_says_what_its_runs_show() {
        let run = |ms| Run { ms, ..Run::default() };
        let times = [10.0, 10.4, 10.9, 11.2, 11.6, 12.1, 12.5, 12.9, 13.4];
        let cell = Cell::new(Place::Cpu, 2, run(50.0), times.map(run).to_vec());
        assert_eq!((cell.median_ms, cell.low_ms, cell.high_ms), (11.6, 10.4, 12.9));
        assert!(cell.drift.unwrap() > 0.2 && cell.confidence > 0.95 && cell.outliers == 0, "{cell:?}");
        let still = Cell::new(Place::Cpu, 2, run(50.0), [10.0, 10.2, 9.9, 10.1, 10.0, 10.2].map(run).to_vec());
        assert_eq!(still.drift, None);
    }

    #[test]
    fn ratios_are_against_the_fastest_of_the_cpu_and_against_one_thread() {
        let row =
            examples::row("stats", "f32", 1000, &[(Place::Thread, 20.0), (Place::Cpu, 10.0), (Place::Gpu(0), 5.0)]);
        let gpu = row.cell(Place::Gpu(0)).unwrap();
        assert_eq!((row.ratio_to_cpu(gpu), row.ratio_to_thread(gpu)), (Some(2.0), Some(4.0)));
    }
}
