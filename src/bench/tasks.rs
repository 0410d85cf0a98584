//! Irregular jobs, many at once, on one thread and on all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::bench::{Difference, Row, Time};
use crate::device::DeviceId;
use crate::job::{BindContext, Bound, JobError, JobParams, Kind, Sample};
use crate::runner::{Job, JobHandle, Runner};

/// How large a made-up job is: of a page in bytes, of a picture in pixels, of a term its index.
const UNITS: u64 = 1 << 16;

/// How many jobs run together: at least so many for each thread, and no more than this in all.
const MIN_JOBS_PER_THREAD: usize = 4;
const MAX_JOBS: usize = 256;

/// No more runs of the same jobs than this.
const MAX_RUNS: usize = 5;

/// Parameters that are bound as often as a job is run, so that its data is made up once.
#[derive(Clone, Debug)]
struct Shared(Arc<dyn JobParams>);

impl JobParams for Shared {
    fn in_memory(&self) -> bool {
        self.0.in_memory()
    }

    fn bind(&self, context: &BindContext) -> Result<Bound, JobError> {
        self.0.bind(context)
    }
}

/// Made-up jobs of one kind and variant, and what they answered at first.
struct Jobs {
    kind: &'static Kind,
    variant: &'static str,
    samples: Vec<Shared>,
    expected: Vec<Vec<u8>>,
}

impl Jobs {
    /// One more, other than those before.
    fn add(&mut self) {
        let seed = self.samples.len() as u64 + 1;
        let sample = (self.kind.sample)(&Sample { variant: self.variant, units: UNITS, seed });
        self.samples.push(Shared(sample.into()));
    }

    /// How long all of them take together.
    fn run(&mut self, runner: &Runner) -> anyhow::Result<Duration> {
        let jobs: Vec<Job> =
            self.samples.iter().map(|sample| Job::new(self.kind.name, Box::new(sample.clone()))).collect();
        let begun = Instant::now();
        let handles: Vec<JobHandle> = jobs.into_iter().map(|job| runner.submit(job)).collect();
        let outcomes: Vec<_> = handles.into_iter().map(JobHandle::wait).collect();
        let took = begun.elapsed();
        for (at, outcome) in outcomes.into_iter().enumerate() {
            let mut bytes = Vec::new();
            outcome.result?.write_json(&mut bytes)?;
            match self.expected.get(at) {
                None => self.expected.push(bytes),
                Some(expected) if *expected == bytes => {}
                Some(_) => {
                    let (kind, variant, units) = (self.kind.name, self.variant, UNITS);
                    return Err(Difference { kind, variant, units, device: DeviceId::Cpu }.into());
                }
            }
        }
        Ok(took)
    }
}

/// Times as many jobs of an irregular `kind` and `variant` as the time `until` is good for on one thread (`one`) and on all
/// threads (`all`). Every answer has to be that of the first run, which warms up and is not counted. The row's units are jobs.
///
/// # Errors
/// Where a job fails, or an answer differs.
pub fn time_tasks(
    kind: &'static Kind,
    variant: &'static str,
    one: &Runner,
    all: &Runner,
    until: Instant,
) -> anyhow::Result<Row> {
    let budget = until.saturating_duration_since(Instant::now());
    let threads = all.engine().settings().threads;
    let mut jobs = Jobs { kind, variant, samples: Vec::new(), expected: Vec::new() };
    jobs.add();
    jobs.run(one)?;
    let each = jobs.run(one)?.max(Duration::from_nanos(1));
    // A fifth of the time for a run on one thread leaves enough for a second one and for those on all threads.
    let fitting = (budget.as_secs_f64() / 5.0 / each.as_secs_f64()) as usize;
    let least = (MIN_JOBS_PER_THREAD * threads as usize).min(MAX_JOBS);
    for _ in 1..fitting.clamp(least, MAX_JOBS) {
        jobs.add();
    }
    jobs.run(one)?;
    let mut times = vec![Time { device: DeviceId::Cpu, lanes: 1, ms: median_ms(&mut jobs, one, budget / 4)? }];
    if threads > 1 {
        times.push(Time { device: DeviceId::Cpu, lanes: threads, ms: median_ms(&mut jobs, all, budget / 4)? });
    }
    Ok(Row { kind: kind.name, variant, units: jobs.samples.len() as u64, bytes: 0.0, times })
}

/// The median time of runs that together take about `budget`, one at least, in milliseconds.
fn median_ms(jobs: &mut Jobs, runner: &Runner, budget: Duration) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let mut times_ms = Vec::new();
    while times_ms.is_empty() || (times_ms.len() < MAX_RUNS && begun.elapsed() < budget) {
        times_ms.push(jobs.run(runner)?.as_secs_f64() * 1e3);
    }
    times_ms.sort_by(f64::total_cmp);
    Ok(times_ms[times_ms.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Location;
    use crate::tasks::factor;

    fn runner(threads: u32) -> Runner {
        Runner::builder().threads(threads).model(Location::Nowhere).build().unwrap()
    }

    #[test]
    fn many_jobs_are_timed_on_one_thread_and_on_all() {
        let until = Instant::now() + Duration::from_millis(200);
        let row = time_tasks(&factor::KIND, "u64", &runner(1), &runner(3), until).unwrap();
        assert!((12..=MAX_JOBS as u64).contains(&row.units), "{row:?}");
        assert!(row.times.iter().map(|time| time.lanes).eq([1, 3]) && row.times.iter().all(|time| time.ms > 0.0));
    }

    #[test]
    fn another_answer_than_the_first_is_an_error() {
        let mut jobs =
            Jobs { kind: &factor::KIND, variant: "u64", samples: Vec::new(), expected: vec![b"{}".to_vec()] };
        jobs.add();
        let error = jobs.run(&runner(1)).unwrap_err();
        assert!(error.downcast_ref::<Difference>().is_some_and(|found| found.kind == "factor"), "{error}");
    }
}
