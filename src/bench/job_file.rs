//! A job file, run on the CPU only, on GPUs where its jobs can, and as it stands: what the choice of devices is worth.

mod found;
mod outcomes;

pub use found::{FileComparison, FileRun, Mode, OverBudget};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::bench::statistics::median;
use crate::device::busy_cpus;
use crate::engine::{CancelFlag, Outcome};
use crate::job::{BindContext, Bound, DeviceChoice, JobFile, JobSpec, kind};
use crate::runner::{Incoming, Runner, StreamOptions};
use outcomes::{Became, Outcomes};

/// Runs in each mode where nobody says how many.
const USUAL_RUNS: u32 = 5;
/// No more than this in any case.
const RUNS_MAX: u32 = 1000;

/// How much of a job file is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileEffort {
    /// How many runs there are in each mode.
    pub runs: Option<u32>,
    /// How long the runs of all modes together take at least.
    pub min_time: Option<Duration>,
    /// How long all of it takes at most, where neither is given: what takes longer is ended.
    pub budget: Duration,
    /// Whether it is run on the CPU only.
    pub on_cpu: bool,
    /// The GPU to force jobs onto, where there is one; `None` for none.
    pub on_gpu: Option<DeviceChoice>,
}

/// Which run of a job file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileTurn {
    /// Where its jobs run.
    pub mode: Mode,
    /// Which run in this mode it is, from 0, which warms up.
    pub turn: u32,
}

/// Where a job can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sides {
    cpu: bool,
    gpu: bool,
}

/// One run.
struct Ran {
    ms: f64,
    found: BTreeMap<u64, Became>,
    /// Whether it was ended before its end.
    is_cut: bool,
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

impl FileBench {
    /// Runs the jobs in each mode, in turn, as often as `effort` says, after a run in each that warms up (and counts only where there is no
    /// time for others), from which the model of `runner` learns too. Without a usable GPU, and where no job has a GPU side, there is no
    /// run on GPUs only. `on_turn` is told what begins.
    ///
    /// # Errors
    /// Where a job that succeeds in two modes gives another result.
    pub fn compare(
        &self,
        runner: &Runner,
        effort: &FileEffort,
        on_turn: &mut dyn FnMut(FileTurn),
    ) -> anyhow::Result<FileComparison> {
        let begun = Instant::now();
        let sides = self.sides();
        let without = |has: fn(&Sides) -> bool| sides.iter().filter(|sides| !has(sides)).count() as u64;
        let mut comparison = FileComparison {
            file: self.name.clone(),
            jobs: sides.len() as u64,
            without_gpu: without(|sides| sides.gpu),
            without_cpu: without(|sides| sides.cpu),
            over_budget: None,
            others_busy_cpus: None,
            runs: Vec::new(),
        };
        if sides.is_empty() {
            return Ok(comparison);
        }
        let mut modes = Vec::new();
        if effort.on_cpu && sides.iter().any(|sides| sides.cpu) {
            modes.push(Mode::Cpu);
        }
        let has_gpu = runner.engine().devices().usable().len() > 1;
        let on_gpu = effort.on_gpu.filter(|_| has_gpu && sides.iter().any(|sides| sides.gpu));
        modes.extend(on_gpu.map(|_| Mode::Gpu));
        modes.push(Mode::Auto);
        let is_bounded = effort.runs.is_none() && effort.min_time.is_none();
        let end = is_bounded.then(|| begun + effort.budget);
        let mut first: Option<(Mode, BTreeMap<u64, Became>)> = None;
        let mut failed = vec![0; modes.len()];
        let (mut warm_ms, mut times_ms) = (vec![None; modes.len()], vec![Vec::new(); modes.len()]);
        let mut busy = Vec::new();
        'turns: for turn in 0..=RUNS_MAX {
            if turn > 0 && effort.is_enough(turn - 1, begun.elapsed()) {
                break;
            }
            for at in 0..modes.len() {
                let at = (at + turn as usize) % modes.len();
                let mode = modes[at];
                on_turn(FileTurn { mode, turn });
                let Ran { ms, found, is_cut } = self.run(runner, mode, &sides, on_gpu, end);
                if is_cut {
                    if turn == 0 {
                        let done = found.values().filter(|became| became.succeeded).count() as u64;
                        // Every mode takes as long as this one, as far as is known.
                        let all_ms = ms * sides.len() as f64 / done as f64 * 2.0 * modes.len() as f64;
                        let needed_s = (done > 0).then_some(all_ms / 1e3);
                        comparison.over_budget = Some(OverBudget { mode, after_ms: ms, done, needed_s });
                    }
                    break 'turns;
                }
                if turn == 0 {
                    warm_ms[at] = Some(ms)
                } else {
                    times_ms[at].push(ms)
                }
                failed[at] = found.values().filter(|became| !became.succeeded).count() as u64;
                match &first {
                    None => first = Some((mode, found)),
                    Some((first_mode, expected)) => self.check(*first_mode, expected, mode, &found)?,
                }
            }
            busy.extend(busy_cpus().map(|(_, busy)| busy));
        }
        // The first turn warms up; where it alone takes the time that there is, it is what counts.
        if times_ms.iter().any(Vec::is_empty) {
            times_ms = warm_ms.into_iter().map(|ms| ms.into_iter().collect()).collect();
        }
        let runs = modes.into_iter().zip(times_ms).zip(failed);
        let runs = runs.filter(|((_, times), _)| !times.is_empty());
        comparison.runs = runs.map(|((mode, times), failed)| FileRun::new(mode, times, failed)).collect();
        comparison.others_busy_cpus = (!busy.is_empty()).then(|| median(&busy));
        Ok(comparison)
    }

    fn jobs(&self) -> JobFile<&[u8]> {
        JobFile::new(&self.name, &self.text[..])
    }

    /// How many jobs there are.
    pub fn count(&self) -> u64 {
        self.jobs().count() as u64
    }

    /// Where each job can run. What cannot be read as one fails anywhere.
    fn sides(&self) -> Vec<Sides> {
        let context = BindContext::in_folder(&self.base_dir);
        self.jobs().map(|line| line.map_or(Sides { cpu: true, gpu: false }, |spec| sides(&spec, &context))).collect()
    }

    /// Runs all jobs; where `end` comes before, ends those under way.
    fn run(
        &self,
        runner: &Runner,
        mode: Mode,
        sides: &[Sides],
        on_gpu: Option<DeviceChoice>,
        end: Option<Instant>,
    ) -> Ran {
        let outcomes = Arc::new(Outcomes::default());
        let mut context = BindContext::in_folder(&self.base_dir);
        context.results = Some(outcomes.clone());
        let mut jobs = self.jobs().zip(sides);
        let next = || match jobs.next() {
            None => Incoming::End,
            Some((Err(bad), _)) => Incoming::Ended(Outcome::from(bad)),
            Some((Ok(mut spec), sides)) => {
                spec.device = match mode {
                    Mode::Cpu if sides.cpu => Some(DeviceChoice::Cpu),
                    Mode::Gpu if sides.gpu => on_gpu,
                    Mode::Gpu => Some(DeviceChoice::Cpu),
                    Mode::Cpu | Mode::Auto => spec.device,
                };
                Incoming::Job(spec)
            }
        };
        let cancel = CancelFlag::default();
        let begun = Instant::now();
        let is_cut = thread::scope(|scope| {
            let (ended, is_over) = mpsc::channel::<()>();
            let watch = end.map(|end| {
                let cancel = cancel.clone();
                scope.spawn(move || {
                    let left = end.saturating_duration_since(Instant::now());
                    let is_late = is_over.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout);
                    if is_late {
                        cancel.cancel();
                    }
                    is_late
                })
            });
            runner.stream(next, context, &cancel, StreamOptions::default(), outcomes.clone());
            drop(ended);
            watch.is_some_and(|watch| watch.join().unwrap_or(false))
        });
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        let mut found = outcomes.by_place.lock().unwrap_or_else(PoisonError::into_inner);
        Ran { ms, found: std::mem::take(&mut found), is_cut }
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

/// Where a job can run: a kernel anywhere where it has a shader, a task where it has a variant.
fn sides(spec: &JobSpec, context: &BindContext) -> Sides {
    if kind(spec.kind).is_some_and(|kind| !(kind.shaders)().is_empty()) {
        return Sides { cpu: true, gpu: true };
    }
    // One that takes values from other jobs cannot be bound yet, and goes to the CPU.
    let variants = match spec.params.bind(context) {
        Ok(Bound::Task(task)) => task.variants(),
        Ok(Bound::Kernel(_)) | Err(_) => None,
    };
    variants.map_or(Sides { cpu: true, gpu: false }, |variants| Sides { cpu: variants.cpu, gpu: variants.gpu })
}

impl FileEffort {
    /// Whether `made` runs of each mode that count, after so long in all, are enough.
    fn is_enough(&self, made: u32, elapsed: Duration) -> bool {
        match (self.runs, self.min_time) {
            (Some(runs), _) => made >= runs,
            (None, Some(least)) => made >= USUAL_RUNS && elapsed >= least,
            // One more round would take as long as those before.
            (None, None) => made >= USUAL_RUNS || elapsed + elapsed / (made + 1) > self.budget,
        }
    }
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

    const ONCE: FileEffort = FileEffort {
        runs: Some(1),
        min_time: None,
        budget: Duration::ZERO,
        on_cpu: true,
        on_gpu: Some(DeviceChoice::Gpu),
    };

    fn runner() -> Runner {
        Runner::builder().threads(2).model(Location::Nowhere).gpus(Vec::new()).build().unwrap()
    }

    fn compare(text: &str, effort: FileEffort) -> FileComparison {
        bench(text).compare(&runner(), &effort, &mut |_| ()).unwrap()
    }

    #[test]
    fn a_job_file_is_run_in_each_mode_and_what_failed_is_told() {
        let found = compare(JOBS, FileEffort { runs: Some(3), ..ONCE });
        assert_eq!((found.jobs, found.without_gpu), (4, 2));
        assert!(found.runs.iter().map(|run| run.mode).eq([Mode::Cpu, Mode::Auto]));
        assert!(found.runs.iter().all(|run| run.runs_ms.len() == 3 && run.failed == 1 && run.median_ms > 0.0));
        assert!(found.regret().unwrap().1.is_finite());
        assert!(!found.has_all_failed() && compare("{\"kind\":\"nonsense\"}", ONCE).has_all_failed());
        let empty = compare("\n", ONCE);
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
    fn a_command_has_the_sides_of_its_variants() {
        let sides = |line: &str| bench(line).sides()[0];
        for (line, cpu, gpu) in [
            (r#"{"kind":"primes","numbers":[7]}"#, true, true),
            (r#"{"kind":"factor","n":12}"#, true, false),
            (r#"{"kind":"command","argv":["true"]}"#, true, false),
            (r#"{"kind":"command","variants":{"cpu":["true"],"gpu":["true"]}}"#, true, true),
            (r#"{"kind":"command","variants":{"gpu":["true"]}}"#, false, true),
            (r#"{"kind":"nonsense"}"#, true, false),
        ] {
            assert_eq!(sides(line), Sides { cpu, gpu }, "{line}");
        }
    }

    #[test]
    fn only_the_modes_that_were_asked_for_are_run() {
        let mut turns = Vec::new();
        let effort = FileEffort { on_cpu: false, ..ONCE };
        let found = bench(JOBS).compare(&runner(), &effort, &mut |turn| turns.push(turn)).unwrap();
        assert!(found.runs.iter().map(|run| run.mode).eq([Mode::Auto]));
        assert_eq!(turns, [0, 1].map(|turn| FileTurn { mode: Mode::Auto, turn }));
    }

    #[cfg(unix)]
    #[test]
    fn a_run_that_takes_longer_than_the_time_there_is_is_ended_and_that_is_told() {
        let jobs = "{\"kind\":\"factor\",\"n\":12}\n{\"kind\":\"command\",\"argv\":[\"sleep\",\"600\"]}\n";
        let effort = FileEffort { runs: None, budget: Duration::from_millis(300), ..ONCE };
        let begun = Instant::now();
        let found = compare(jobs, effort);
        assert!(begun.elapsed() < Duration::from_secs(300), "it was not waited for");
        let over = found.over_budget.unwrap();
        assert_eq!((over.mode, over.done, found.runs.len()), (Mode::Cpu, 1, 0));
        assert!(over.after_ms >= 300.0 && over.needed_s.unwrap() >= 300.0 * 2.0 * 4.0 / 1e3, "{over:?}");
        // What was asked for by number is kept to.
        let quick = compare("{\"kind\":\"factor\",\"n\":12}", ONCE);
        assert_eq!((quick.over_budget, quick.runs[0].runs_ms.len()), (None, 1));
    }

    #[test]
    fn runs_of_a_file_end_when_they_are_enough() {
        let s = Duration::from_secs_f64;
        let usual = FileEffort { runs: None, budget: s(10.0), ..ONCE };
        assert!(usual.is_enough(0, s(6.0)) && !usual.is_enough(0, s(4.0)), "one more has to fit");
        assert!(usual.is_enough(USUAL_RUNS, s(1.0)) && !usual.is_enough(USUAL_RUNS - 1, s(1.0)));
        let long = FileEffort { min_time: Some(s(3.0)), ..usual };
        assert!(!long.is_enough(50, s(2.9)) && long.is_enough(5, s(3.0)) && !long.is_enough(4, s(60.0)));
        assert!(ONCE.is_enough(1, s(0.0)) && !ONCE.is_enough(0, s(99.0)));
    }
}
