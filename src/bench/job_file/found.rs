//! What running a job file in each mode came to. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bench::statistics::{median_with_interval, slower_p};

/// Chance sets two apart, to one side, no more often than this where they count as apart.
const LEVEL: f64 = 0.025;

/// Where the jobs of a file run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All on the CPU.
    Cpu,
    /// All that have a GPU side on a GPU, the rest on the CPU.
    Gpu,
    /// Wherever tandem puts them; a job's own `device` holds.
    Auto,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
            Self::Auto => "auto",
        })
    }
}

/// How long a job file took in each mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileComparison {
    /// Its name.
    pub file: String,
    /// How many jobs it has.
    pub jobs: u64,
    /// How many of them have no GPU side: no shader, and no variant for a GPU.
    pub without_gpu: u64,
    /// How many of them have no CPU side: a variant for a GPU alone; earlier reports do not say.
    #[serde(default)]
    pub without_cpu: u64,
    /// Where a first run took longer than there was time for.
    #[serde(default)]
    pub over_budget: Option<OverBudget>,
    /// CPUs that others wanted between the runs, where the system tells; earlier reports do not say.
    #[serde(default)]
    pub others_busy_cpus: Option<f64>,
    /// A mode each.
    pub runs: Vec<FileRun>,
}

/// A run that took longer than there was time for, and was ended.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverBudget {
    /// Where its jobs ran.
    pub mode: Mode,
    /// After how long it was ended, in milliseconds.
    pub after_ms: f64,
    /// How many jobs had succeeded by then.
    pub done: u64,
    /// How long a first run and one that counts would take in every mode, in seconds, by what was done; `None` where nothing was.
    pub needed_s: Option<f64>,
}

/// How long a job file took in one mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileRun {
    /// Where its jobs ran.
    pub mode: Mode,
    /// From its first job's submission to its last outcome, every run.
    pub runs_ms: Vec<f64>,
    /// The median of these.
    pub median_ms: f64,
    /// The least that the true median is likely to be.
    pub low_ms: f64,
    /// The greatest.
    pub high_ms: f64,
    /// How likely it lies between.
    pub confidence: f64,
    /// Jobs that failed.
    pub failed: u64,
}

impl FileRun {
    /// What follows from these runs.
    pub fn new(mode: Mode, runs_ms: Vec<f64>, failed: u64) -> Self {
        let middle = median_with_interval(&runs_ms);
        Self {
            mode,
            median_ms: middle.map_or(0.0, |middle| middle.value),
            low_ms: middle.map_or(0.0, |middle| middle.low),
            high_ms: middle.map_or(0.0, |middle| middle.high),
            confidence: middle.map_or(0.0, |middle| middle.confidence),
            failed,
            runs_ms,
        }
    }
}

impl FileComparison {
    fn auto_and_best(&self) -> Option<(&FileRun, &FileRun)> {
        let auto = self.runs.iter().find(|run| run.mode == Mode::Auto)?;
        let forced = self.runs.iter().filter(|run| run.mode != Mode::Auto);
        let best = forced.min_by(|a, b| a.median_ms.total_cmp(&b.median_ms))?;
        Some((auto, best))
    }

    /// Whether chance may be what sets `auto` and the best of the others apart, by the test of Mann and Whitney: with fewer than four runs
    /// of each it always may.
    pub fn is_regret_unclear(&self) -> bool {
        self.auto_and_best().is_some_and(|(auto, best)| {
            let chances = [(&auto.runs_ms, &best.runs_ms), (&best.runs_ms, &auto.runs_ms)].map(|(a, b)| slower_p(a, b));
            chances[0].min(chances[1]) > LEVEL
        })
    }

    /// Whether no job succeeded in any mode.
    pub fn has_all_failed(&self) -> bool {
        self.jobs > 0 && !self.runs.is_empty() && self.runs.iter().all(|run| run.failed == self.jobs)
    }

    /// How much longer `auto` takes than the best of the others: in milliseconds, and as a share of that one's time. Negative
    /// where it is faster than both.
    pub fn regret(&self) -> Option<(f64, f64)> {
        let (auto, best) = self.auto_and_best().filter(|(_, best)| best.median_ms > 0.0)?;
        let regret_ms = auto.median_ms - best.median_ms;
        Some((regret_ms, regret_ms / best.median_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cpu: &[f64], auto: &[f64]) -> FileComparison {
        let runs = vec![FileRun::new(Mode::Cpu, cpu.to_vec(), 0), FileRun::new(Mode::Auto, auto.to_vec(), 0)];
        FileComparison {
            file: String::new(),
            jobs: 1,
            without_gpu: 0,
            without_cpu: 0,
            over_budget: None,
            others_busy_cpus: None,
            runs,
        }
    }

    #[test]
    fn regret_is_against_the_best_that_was_forced() {
        let mut found = of(&[100.0], &[84.0]);
        found.runs.push(FileRun::new(Mode::Gpu, vec![80.0], 0));
        let (ms, share) = found.regret().unwrap();
        assert!((ms - 4.0).abs() < 1e-9 && (share - 0.05).abs() < 1e-9);
    }

    #[test]
    fn few_runs_that_lie_apart_may_do_so_by_chance_and_more_of_them_do_not() {
        // Two against two lie apart by chance one time in three, three against three one time in ten.
        assert!(of(&[10.0, 11.0], &[20.0, 21.0]).is_regret_unclear());
        assert!(of(&[10.0, 11.0, 12.0], &[20.0, 21.0, 22.0]).is_regret_unclear());
        assert!(!of(&[10.0, 11.0, 12.0, 13.0], &[20.0, 21.0, 22.0, 23.0]).is_regret_unclear());
        assert!(!of(&[20.0, 21.0, 22.0, 23.0], &[10.0, 11.0, 12.0, 13.0]).is_regret_unclear());
        assert!(of(&[10.0, 11.0, 12.0, 13.0], &[10.5, 11.5, 12.5, 13.5]).is_regret_unclear());
    }
}
