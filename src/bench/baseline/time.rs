//! What is compared: every time of a report, and what it is of. Pure.

use std::fmt;

use crate::bench::{Bound, FileComparison, Mode, Place, Report, Row, Sizes};
use crate::kernels::KERNELS;

/// What takes less than this share of a time does not bound it.
const BOUND_SHARE_MIN: f64 = 0.1;

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
    /// Whether just these places were asked for, and not all that there are.
    pub in_places_only: bool,
    /// Which job files, each with how many jobs it has.
    pub files: &'a [(&'a str, u64)],
}

impl Scope<'_> {
    /// Whether a report has anything that this could measure too.
    pub fn meets(&self, report: &Report) -> bool {
        let is_met = |kind: &&str| report.rows.iter().any(|row| self.meets_row(kind, row));
        self.kinds.iter().any(is_met) || self.files.iter().any(|file| meets_file(*file, report))
    }

    /// The kinds and job files of which none of these reports has anything that this could measure too.
    pub fn without_partner(&self, reports: &[Report]) -> Vec<String> {
        let rows = |kind: &&&str| !reports.iter().any(|report| report.rows.iter().any(|row| self.meets_row(kind, row)));
        let file = |file: &&(&str, u64)| !reports.iter().any(|report| meets_file(**file, report));
        let kinds = self.kinds.iter().filter(rows).map(|kind| (*kind).to_owned());
        kinds.chain(self.files.iter().filter(file).map(|(name, _)| (*name).to_owned())).collect()
    }

    fn meets_row(&self, kind: &str, row: &Row) -> bool {
        row.kind == kind
            && self.may_size(&row.kind, row.units)
            && row.cells.iter().any(|cell| self.places.contains(&as_compared(cell.place, cell.lanes)))
    }

    fn may_size(&self, kind: &str, units: u64) -> bool {
        !is_kernel(kind) || self.sizes.may_hold(units)
    }

    /// Whether a time was to be measured, as far as what was asked for says.
    pub fn asks_for(&self, key: &Key) -> bool {
        match key.at {
            At::Mode(_) => self.files.iter().any(|(name, _)| *name == key.variant),
            At::Place(place, _) => {
                self.kinds.contains(&key.kind.as_str())
                    && self.may_size(&key.kind, key.units)
                    && (!self.in_places_only || self.places.iter().any(|(other, _)| *other == place))
            }
        }
    }
}

fn is_kernel(kind: &str) -> bool {
    KERNELS.iter().any(|kernel| kernel.name == kind)
}

fn meets_file((name, jobs): (&str, u64), report: &Report) -> bool {
    report.files.iter().any(|file| file.file == name && file.jobs == jobs)
}

/// A place and its threads as they are compared: what is one thing in both.
fn as_compared(place: Place, lanes: u32) -> (Place, u32) {
    // How many threads share in a split is a warning about the machine.
    if place == Place::Cpu { (place, lanes) } else { (place, 1) }
}

/// A time of a report, with its raw runs in milliseconds.
pub(super) struct Time {
    pub key: Key,
    pub runs_ms: Vec<f64>,
    /// What bounds it, where anything that is probed does.
    pub bound: Option<Bound>,
    /// CPUs that others wanted, where the system tells.
    pub others_busy_cpus: Option<f64>,
    /// CPUs that it wants itself, and how many there are.
    pub wanted_cpus: [f64; 2],
}

/// Every time of a report.
pub(super) fn times(report: &Report) -> Vec<Time> {
    times_of(report, &report.rows, &report.files)
}

/// Every time of its second round.
pub(super) fn times_again(report: &Report) -> Vec<Time> {
    times_of(report, &report.again.rows, &report.again.files)
}

fn times_of(report: &Report, rows: &[Row], files: &[FileComparison]) -> Vec<Time> {
    let threads = f64::from(report.machine.threads);
    let cpus = report.machine.cpus.map_or(threads, f64::from);
    let is_software = |place: Place| {
        report.machine.devices.iter().any(|device| device.software && device.device == place.to_string())
    };
    let of_rows = rows.iter().flat_map(|row| {
        row.cells.iter().map(move |cell| {
            let (place, lanes) = as_compared(cell.place, cell.lanes);
            let at = At::Place(place, lanes);
            let key = Key { kind: row.kind.clone(), variant: row.variant.clone(), units: row.units, at };
            let bound = cell.limit.filter(|limit| limit.share >= BOUND_SHARE_MIN).map(|limit| limit.bound);
            let wanted = if is_software(place) { cpus } else { f64::from(cell.lanes) };
            let others_busy_cpus = row.others_busy_cpus;
            Time { key, runs_ms: cell.times_ms(), bound, others_busy_cpus, wanted_cpus: [wanted, cpus] }
        })
    });
    let of_files = files.iter().flat_map(|file| {
        file.runs.iter().map(move |run| {
            let at = At::Mode(run.mode);
            let key = Key { kind: "file".to_owned(), variant: file.file.clone(), units: file.jobs, at };
            let (runs_ms, others_busy_cpus) = (run.runs_ms.clone(), file.others_busy_cpus);
            Time { key, runs_ms, bound: None, others_busy_cpus, wanted_cpus: [threads, cpus] }
        })
    });
    of_rows.chain(of_files).collect()
}
