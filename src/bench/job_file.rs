//! A job file, run on the CPU only, on GPUs where its jobs can, and as it stands: what the choice of devices is worth.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::bench::statistics::{median, median_with_interval};
use crate::device::busy_cpus;
use crate::engine::{CancelFlag, Outcome, OutcomeSink};
use crate::job::{BindContext, DeviceChoice, EarlierResults, JobFile, kind};
use crate::report::{Detail, write_outcome};
use crate::runner::{Incoming, Runner, StreamOptions};

/// Runs in each mode where nobody says how many.
const USUAL_RUNS: u32 = 5;

/// Where the jobs of a file run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All on the CPU.
    Cpu,
    /// All that have a GPU side on the best GPU, the rest on the CPU.
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
    /// How many of them have no GPU side.
    pub without_gpu: u64,
    /// CPUs that others wanted between the runs, where the system tells; earlier reports do not say.
    #[serde(default)]
    pub others_busy_cpus: Option<f64>,
    /// A mode each.
    pub runs: Vec<FileRun>,
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

    /// Whether chance may be what sets `auto` and the best of the others apart: the intervals of their medians overlap, or one of them
    /// ran only once.
    pub fn is_regret_unclear(&self) -> bool {
        self.auto_and_best().is_some_and(|(auto, best)| {
            let once = auto.runs_ms.len().min(best.runs_ms.len()) < 2;
            once || (auto.low_ms <= best.high_ms && best.low_ms <= auto.high_ms)
        })
    }

    /// How much longer `auto` takes than the best of the others: in milliseconds, and as a share of that one's time. Negative
    /// where it is faster than both.
    pub fn regret(&self) -> Option<(f64, f64)> {
        let (auto, best) = self.auto_and_best().filter(|(_, best)| best.median_ms > 0.0)?;
        let regret_ms = auto.median_ms - best.median_ms;
        Some((regret_ms, regret_ms / best.median_ms))
    }
}

/// A job gave another result in another mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}: job `{id}` gave another result with {mode} than with {first}: a program whose results change from run to run cannot \
     be compared; where its kind is none of programs, please report it"
)]
pub struct OtherResult {
    /// The job file.
    pub file: String,
    /// The job.
    pub id: String,
    /// The mode that differs.
    pub mode: String,
    /// The mode that it differs from.
    pub first: String,
}

/// A job file to be run again and again.
#[derive(Debug)]
pub struct FileBench {
    /// What messages call it.
    pub name: String,
    /// Its text.
    pub text: Vec<u8>,
    /// The folder that relative paths in its jobs start from.
    pub base_dir: PathBuf,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Became {
    id: Arc<str>,
    succeeded: bool,
    /// Its outcome without where and how long it ran.
    line: Arc<[u8]>,
}

/// The outcomes of one run.
#[derive(Debug, Default)]
struct Outcomes {
    by_place: Mutex<BTreeMap<u64, Became>>,
    more: Condvar,
}

impl OutcomeSink for Outcomes {
    fn accept(&self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            let mut line = Vec::new();
            // A vector takes everything; where an answer cannot be read again, it differs from the others, and that is told.
            let _ = write_outcome(&mut line, &outcome, Detail::RESULTS_ONLY);
            let became = Became { id: outcome.id, succeeded: outcome.result.is_ok(), line: line.into() };
            self.by_place.lock().unwrap_or_else(PoisonError::into_inner).insert(outcome.index, became);
        }
        self.more.notify_all();
    }
}

impl EarlierResults for Outcomes {
    fn outcome(&self, index: u64) -> io::Result<Box<dyn Read + '_>> {
        let mut found = self.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(became) = found.get(&index) {
                return Ok(Box::new(io::Cursor::new(became.line.clone())));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::other("its outcome has not come"));
            }
            found = self.more.wait_timeout(found, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl FileBench {
    /// Runs the jobs `runs` times in each mode (some times in about `budget` where left out), in turn, after a run in each that
    /// warms up (and counts only where there is no time for others), from which the model of `runner` learns too. Without a usable GPU, and where no job has a GPU side, there is
    /// no run on GPUs only.
    ///
    /// # Errors
    /// Where a job that succeeds in two modes gives another result.
    pub fn compare(&self, runner: &Runner, runs: Option<u32>, budget: Duration) -> anyhow::Result<FileComparison> {
        let begun = Instant::now();
        let has_gpu = runner.engine().devices().usable().len() > 1;
        let (jobs, without_gpu) = self.count();
        if jobs == 0 {
            let (file, runs) = (self.name.clone(), Vec::new());
            return Ok(FileComparison { file, jobs, without_gpu, others_busy_cpus: None, runs });
        }
        let mut modes = vec![Mode::Cpu];
        if has_gpu && without_gpu < jobs {
            modes.push(Mode::Gpu);
        }
        modes.push(Mode::Auto);
        let mut first: Option<(Mode, BTreeMap<u64, Became>)> = None;
        let mut failed = vec![0; modes.len()];
        let mut times_ms: Vec<Vec<f64>> = vec![Vec::new(); modes.len()];
        let mut busy = Vec::new();
        for turn in 0..=runs.unwrap_or(USUAL_RUNS) {
            // The first turn warms up; where it alone takes the time that there is, it is what counts.
            let round = begun.elapsed() / turn.max(1);
            if runs.is_none() && turn > 0 && begun.elapsed() + round > budget {
                break;
            }
            if turn == 1 {
                times_ms.iter_mut().for_each(Vec::clear);
            }
            for at in 0..modes.len() {
                let at = (at + turn as usize) % modes.len();
                let mode = modes[at];
                let (ms, found) = self.run(runner, mode);
                times_ms[at].push(ms);
                failed[at] = found.values().filter(|became| !became.succeeded).count() as u64;
                match &first {
                    None => first = Some((mode, found)),
                    Some((first_mode, expected)) => self.check(*first_mode, expected, mode, &found)?,
                }
            }
            busy.extend(busy_cpus().map(|(_, busy)| busy));
        }
        let runs = modes.into_iter().zip(times_ms).zip(failed);
        let runs = runs.map(|((mode, times), failed)| FileRun::new(mode, times, failed)).collect();
        let others_busy_cpus = (!busy.is_empty()).then(|| median(&busy));
        Ok(FileComparison { file: self.name.clone(), jobs, without_gpu, others_busy_cpus, runs })
    }

    fn jobs(&self) -> JobFile<&[u8]> {
        JobFile::new(&self.name, &self.text[..])
    }

    /// How many jobs there are, and how many of them have no GPU side.
    fn count(&self) -> (u64, u64) {
        let (mut jobs, mut without) = (0, 0);
        for line in self.jobs() {
            jobs += 1;
            without += u64::from(line.map_or(true, |spec| !has_gpu_side(spec.kind)));
        }
        (jobs, without)
    }

    fn run(&self, runner: &Runner, mode: Mode) -> (f64, BTreeMap<u64, Became>) {
        let outcomes = Arc::new(Outcomes::default());
        let mut context = BindContext::in_folder(&self.base_dir);
        context.results = Some(outcomes.clone());
        let mut jobs = self.jobs();
        let next = || match jobs.next() {
            None => Incoming::End,
            Some(Err(bad)) => Incoming::Ended(Outcome::from(bad)),
            Some(Ok(mut spec)) => {
                match mode {
                    Mode::Cpu => spec.device = Some(DeviceChoice::Cpu),
                    Mode::Gpu if has_gpu_side(spec.kind) => spec.device = Some(DeviceChoice::Gpu),
                    Mode::Gpu | Mode::Auto => {}
                }
                Incoming::Job(spec)
            }
        };
        let begun = Instant::now();
        runner.stream(next, context, &CancelFlag::default(), StreamOptions::default(), outcomes.clone());
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let mut found = outcomes.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        (ms, std::mem::take(&mut found))
    }

    fn check(
        &self,
        first: Mode,
        expected: &BTreeMap<u64, Became>,
        mode: Mode,
        found: &BTreeMap<u64, Became>,
    ) -> Result<(), OtherResult> {
        for (place, became) in found.iter().filter(|(_, became)| became.succeeded) {
            if expected.get(place).is_some_and(|other| other.succeeded && other.line != became.line) {
                let (mode, first) = (mode.to_string(), first.to_string());
                return Err(OtherResult { file: self.name.clone(), id: became.id.to_string(), mode, first });
            }
        }
        Ok(())
    }
}

fn has_gpu_side(name: &str) -> bool {
    kind(name).is_some_and(|kind| !(kind.shaders)().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Location;

    const JOBS: &str = "{\"kind\":\"primes\",\"numbers\":[97,91]}\n{\"kind\":\"factor\",\"n\":12}\n\
        {\"kind\":\"stats\",\"values\":[1,2,3]}\n{\"kind\":\"nonsense\"}\n";

    fn bench(text: &str) -> FileBench {
        FileBench { name: "jobs.jsonl".to_owned(), text: text.into(), base_dir: PathBuf::new() }
    }

    #[test]
    fn a_job_file_is_run_in_each_mode_and_what_failed_is_told() {
        let runner = Runner::builder().threads(2).model(Location::Nowhere).gpus(Vec::new()).build().unwrap();
        let found = bench(JOBS).compare(&runner, Some(3), Duration::ZERO).unwrap();
        assert_eq!((found.jobs, found.without_gpu), (4, 2));
        assert!(found.runs.iter().map(|run| run.mode).eq([Mode::Cpu, Mode::Auto]));
        assert!(found.runs.iter().all(|run| run.runs_ms.len() == 3 && run.failed == 1 && run.median_ms > 0.0));
        assert!(found.regret().unwrap().1.is_finite());
        let empty = bench("\n").compare(&runner, Some(1), Duration::ZERO).unwrap();
        assert_eq!((empty.jobs, empty.runs.len(), empty.regret()), (0, 0, None), "as `run` does, it has nothing to do");
    }

    #[test]
    fn another_result_in_another_mode_is_an_error_and_a_failure_is_not() {
        let became = |line: &str, succeeded| Became { id: "a".into(), succeeded, line: line.as_bytes().into() };
        let of = |line, succeeded| BTreeMap::from([(0, became(line, succeeded))]);
        let check = |found| bench(JOBS).check(Mode::Cpu, &of("1", true), Mode::Gpu, &found);
        assert!(check(of("1", true)).is_ok() && check(of("2", false)).is_ok());
        let error = check(of("2", true)).unwrap_err().to_string();
        assert!(error.starts_with("jobs.jsonl: job `a` gave another result with gpu than with cpu"), "{error}");
    }

    #[test]
    fn regret_is_against_the_best_that_was_forced() {
        let run = |mode, ms| FileRun::new(mode, vec![ms], 0);
        let runs = vec![run(Mode::Cpu, 100.0), run(Mode::Gpu, 80.0), run(Mode::Auto, 84.0)];
        let found = FileComparison { file: String::new(), jobs: 1, without_gpu: 0, others_busy_cpus: None, runs };
        let (ms, share) = found.regret().unwrap();
        assert!((ms - 4.0).abs() < 1e-9 && (share - 0.05).abs() < 1e-9);
    }
}
