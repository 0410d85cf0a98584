//! One subject, timed in several places in turn.

use std::time::{Duration, Instant};

use crate::bench::statistics::median;
use crate::bench::subject::{AnswerHash, Subject};
use crate::bench::{Cell, Place, Run};
use crate::device::busy_cpus;
use crate::runner::Runner;

/// So many runs are made where time permits: with ten on each side a comparison of a hundred times can still tell.
const USUAL_RUNS: u32 = 10;
/// No more than this where nobody asked for a time.
const MOST_RUNS: u32 = 30;
/// No more than this in any case.
pub(super) const RUNS_MAX: u32 = 1000;

/// The answer of a place is not that of one CPU thread.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{kind} {variant}, {units} units: the answer of {place} differs from that of one cpu thread: please report it; \
     `--verify` with a job like it shows more"
)]
pub struct Difference {
    /// Which kind of job.
    pub kind: &'static str,
    /// Which variant of it.
    pub variant: &'static str,
    /// How large.
    pub units: u64,
    /// Where it went wrong.
    pub place: Place,
}

/// Somewhere to run.
#[derive(Clone, Copy, Debug)]
pub struct Stand<'a> {
    /// Where.
    pub place: Place,
    /// Who runs jobs there.
    pub runner: &'a Runner,
    /// Threads of the CPU; 1 for a GPU.
    pub lanes: u32,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// How long the runs of a row, in all places together, take at least.
    pub min_time: Option<Duration>,
    /// How many runs there are in each place.
    pub runs: Option<u32>,
    /// Runs in each place after the one that checks the answer, and before those that count; if left out, one, unless it would
    /// take long.
    pub warmup: Option<u32>,
}

impl Effort {
    /// Whether runs may end, `made` of them in each place after `elapsed`, one in each place taking `round`, where a row is to take
    /// about `share`.
    fn is_enough(&self, made: u32, elapsed: Duration, round: Duration, share: Duration) -> bool {
        if let Some(runs) = self.runs {
            return made >= runs;
        }
        if let Some(least) = self.min_time {
            return made >= RUNS_MAX || (elapsed >= least && made >= USUAL_RUNS);
        }
        made >= MOST_RUNS || (made >= USUAL_RUNS && elapsed >= share) || (made > 0 && elapsed + round > share * 3)
    }
}

/// What is timed, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub kind: &'static str,
    pub variant: &'static str,
}

/// The times of a subject.
pub(super) struct Measured {
    pub cells: Vec<Cell>,
    /// CPUs that others kept busy, between the runs.
    pub others_busy_cpus: Option<f64>,
}

/// Times `subject` on all `stands`, about `share` long unless `effort` says otherwise.
///
/// First it runs everywhere, and each answer is compared with that of one thread (`oracle`). Then all places take turns, so that
/// what the machine does meanwhile falls on all of them alike, and the order within a turn is rotated.
///
/// # Errors
/// Where a run fails, or an answer differs.
pub(super) fn measure(
    subject: &mut dyn Subject,
    name: Name,
    oracle: &Runner,
    stands: &[Stand<'_>],
    effort: &Effort,
    share: Duration,
) -> anyhow::Result<Measured> {
    let first = Stand { place: Place::Thread, runner: oracle, lanes: 1 };
    let (first_run, expected) = run(subject, &first, 0)?;
    let expected = expected.expect("it was asked for");
    let mut cold = Vec::with_capacity(stands.len());
    for stand in stands {
        let (run, found) = if stand.place == Place::Thread { (first_run, None) } else { run(subject, stand, 0)? };
        if found.is_some_and(|found: AnswerHash| found != expected) {
            let Name { kind, variant } = name;
            return Err(Difference { kind, variant, units: subject.units(), place: stand.place }.into());
        }
        cold.push(run);
    }
    let mut round = Duration::from_secs_f64(cold.iter().map(|run| run.ms).sum::<f64>() / 1e3);
    // A first run that was long is warm enough: what it set up is a small part of it.
    let warmup = effort.warmup.unwrap_or(u32::from(round < share / 2));
    for _ in 0..warmup {
        let begun = Instant::now();
        for stand in stands {
            subject.run(stand.runner, stand.place, false)?;
        }
        round = begun.elapsed();
    }
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); stands.len()];
    let mut busy = Vec::new();
    let (begun, mut order) = (Instant::now(), 0);
    for made in 0.. {
        if effort.is_enough(made, begun.elapsed(), round, share) {
            break;
        }
        let turn = Instant::now();
        for at in 0..stands.len() {
            let at = (at + made as usize) % stands.len();
            let (mut run, _) = subject.run(stands[at].runner, stands[at].place, false)?;
            run.order = order;
            order += 1;
            runs[at].push(run);
        }
        round = turn.elapsed();
        busy.extend(busy_cpus().map(|(_, busy)| busy));
    }
    let cells = stands.iter().zip(cold).zip(runs);
    let cells = cells.map(|((stand, cold), runs)| Cell::new(stand.place, stand.lanes, cold, runs)).collect();
    Ok(Measured { cells, others_busy_cpus: (!busy.is_empty()).then(|| median(&busy)) })
}

fn run(subject: &mut dyn Subject, stand: &Stand<'_>, order: u32) -> anyhow::Result<(Run, Option<AnswerHash>)> {
    let (run, hash) = subject.run(stand.runner, stand.place, true)?;
    Ok((Run { order, ..run }, hash))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::bench::subject::{KernelSubject, TaskSubject};
    use crate::job::kind;
    use crate::model::Location;

    fn runner(threads: u32) -> Runner {
        Runner::builder().threads(threads).model(Location::Nowhere).build().unwrap()
    }

    const NAME: Name = Name { kind: "k", variant: "v" };
    const THREE: Effort = Effort { min_time: None, runs: Some(3), warmup: Some(1) };

    /// Notes where it is run, and answers otherwise on all threads where it is told to.
    struct Noted(Vec<(Place, bool)>, bool);

    impl Subject for Noted {
        fn run(&mut self, _: &Runner, place: Place, hashed: bool) -> anyhow::Result<(Run, Option<AnswerHash>)> {
            self.0.push((place, hashed));
            let answer = u8::from(self.1 && place == Place::Cpu);
            Ok((Run { ms: 1.0, ..Run::default() }, hashed.then_some([answer; 32])))
        }

        fn units(&self) -> u64 {
            7
        }
    }

    #[test]
    fn answers_are_checked_before_anything_is_timed_and_places_take_turns() {
        let runner = runner(1);
        let stand = |place| Stand { place, runner: &runner, lanes: 1 };
        let stands = [Place::Thread, Place::Cpu].map(stand);
        let mut subject = Noted(Vec::new(), false);
        let found = measure(&mut subject, NAME, &runner, &stands, &THREE, Duration::from_secs(1)).unwrap();
        let places: Vec<String> = subject.0.iter().map(|(place, _)| place.to_string()).collect();
        // Checked, warmed up, then three turns, each begun one further.
        let expected = ["thread", "cpu", "thread", "cpu", "thread", "cpu", "cpu", "thread", "thread", "cpu"];
        assert_eq!(places, expected);
        assert!(subject.0.iter().enumerate().all(|(at, (_, hashed))| *hashed == (at < 2)));
        let orders: BTreeSet<u32> = found.cells.iter().flat_map(|cell| cell.runs.iter().map(|run| run.order)).collect();
        assert!(orders.into_iter().eq(0..6));
    }

    #[test]
    fn another_answer_than_that_of_one_thread_is_an_error_that_names_the_place() {
        let runner = runner(1);
        let stands = [Place::Thread, Place::Cpu].map(|place| Stand { place, runner: &runner, lanes: 1 });
        let mut subject = Noted(Vec::new(), true);
        let error = measure(&mut subject, NAME, &runner, &stands, &THREE, Duration::from_secs(1)).err().unwrap();
        assert!(error.downcast_ref::<Difference>().is_some_and(|found| found.place == Place::Cpu), "{error}");
        assert_eq!(subject.0.len(), 2, "nothing was timed");
    }

    #[test]
    fn runs_end_when_they_are_enough() {
        let effort = Effort { min_time: None, runs: None, warmup: Some(1) };
        let s = Duration::from_secs_f64;
        assert!(!effort.is_enough(0, s(0.0), s(9.0), s(1.0)), "one there is in any case");
        assert!(effort.is_enough(1, s(9.0), s(9.0), s(1.0)));
        assert!(!effort.is_enough(9, s(1.1), s(0.1), s(1.0)), "a little more for ten");
        assert!(effort.is_enough(10, s(1.1), s(0.1), s(1.0)));
        assert!(!effort.is_enough(29, s(0.1), s(0.1), s(1.0)) && effort.is_enough(30, s(0.1), s(0.1), s(1.0)));
        let long = Effort { min_time: Some(s(3.0)), ..effort };
        assert!(!long.is_enough(500, s(2.9), s(0.1), s(1.0)) && long.is_enough(10, s(3.0), s(0.1), s(1.0)));
    }

    #[test]
    fn kernels_and_many_irregular_jobs_are_timed() {
        let (one, three) = (runner(1), runner(3));
        let stands = [
            Stand { place: Place::Thread, runner: &one, lanes: 1 },
            Stand { place: Place::Cpu, runner: &three, lanes: 3 },
        ];
        let mut kernel = KernelSubject::new(kind("primes").unwrap(), "numbers", 1000).unwrap();
        assert_eq!(kernel.units(), 1000);
        let mut tasks = TaskSubject::new(kind("factor").unwrap(), "u64");
        tasks.grow(12);
        for subject in [&mut kernel as &mut dyn Subject, &mut tasks] {
            let found = measure(subject, NAME, &one, &stands, &THREE, Duration::from_secs(1)).unwrap();
            assert!(found.cells.iter().map(|cell| cell.lanes).eq([1, 3]));
            assert!(found.cells.iter().all(|cell| cell.runs.len() == 3 && cell.median_ms > 0.0), "{:?}", found.cells);
        }
    }
}
