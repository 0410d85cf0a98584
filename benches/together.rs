//! What small jobs gain where those that wait together run as one on a GPU: throughput and latency with and without, on a double of a GPU
//! that takes as long as it says by the clock. Every answer is checked.
//!
//! `cargo bench --bench together`, or `-- 1,000` for those whose names have that.

#![allow(clippy::print_stdout)]

use std::cell::Cell;
use std::io::{self, Write};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tandem::device::{ChunkDone, Device, DeviceError, DeviceInfo, NullDevice, NullSpec};
use tandem::engine::{Outcome, RanOn};
use tandem::input::Scratch;
use tandem::job::JobError;
use tandem::kernels::{Answer, Answers, DynKernel, DynPass, FoldContext, Kernel, Next, Work};
use tandem::model::Location;
use tandem::runner::{Job, Runner};

const THREADS: u32 = 2;
/// What a job takes one thread.
const JOB_MS: f64 = 0.5;
/// What a GPU takes for a chunk, whatever its size.
const FIXED: Duration = Duration::from_millis(1);
/// How many times as fast as one thread it is besides.
const TIMES: f64 = 50.0;
const UNITS: u64 = 5000;
const NS_PER_UNIT: f64 = JOB_MS * 1e6 / UNITS as f64;
const RUNS: usize = 5;

thread_local! {
    /// Whether what this thread folds is folded by the double of a GPU.
    static ON_GPU: Cell<bool> = const { Cell::new(false) };
}

/// Sums its units; a thread of the CPU takes its time for each, by the clock.
struct Sums {
    /// The first unit of each job in it, and how many it has.
    jobs: Vec<Range<u64>>,
    fuses: bool,
}

#[derive(Debug)]
struct Sum(u64);

impl Answer for Sum {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "{}", self.0)
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.0)
    }

    fn summary(&self) -> String {
        self.0.to_string()
    }
}

impl Kernel for Sums {
    type Pass = ();
    type Partial = Vec<(usize, u64)>;

    fn work(&self) -> Work {
        Work {
            kernel: "sums",
            variant: if self.fuses { "as one".to_owned() } else { "apart".to_owned() },
            units: self.jobs.len() as u64 * UNITS,
            granularity: UNITS,
            bytes_per_unit: 0.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: NS_PER_UNIT,
            passes: 1,
            gpu: true,
        }
    }

    fn first_pass(&self) -> Result<(), JobError> {
        Ok(())
    }

    fn fold(&self, (): &(), units: Range<u64>, _: &mut FoldContext<'_>) -> Result<Vec<(usize, u64)>, JobError> {
        let begun = Instant::now();
        let jobs = (units.start / UNITS) as usize..units.end.div_ceil(UNITS) as usize;
        let sums = jobs.map(|job| (job, self.jobs[job].clone().sum())).collect();
        if !ON_GPU.get() {
            let takes = Duration::from_secs_f64((units.end - units.start) as f64 * NS_PER_UNIT / 1e9);
            // Asleep, so that a busy machine does not make a slow CPU of it.
            std::thread::sleep(takes.saturating_sub(begun.elapsed()));
        }
        Ok(sums)
    }

    fn merge(&self, into: &mut Vec<(usize, u64)>, mut from: Vec<(usize, u64)>) {
        into.append(&mut from);
    }

    fn next(&self, (): &(), mut merged: Vec<(usize, u64)>) -> Result<Next<()>, JobError> {
        merged.sort_unstable();
        if let ([(_, sum)], [_]) = (&merged[..], &self.jobs[..]) {
            return Ok(Next::Done(Box::new(Sum(*sum))));
        }
        let answers = merged.into_iter().map(|(_, sum)| Arc::new(Sum(sum)) as Arc<dyn Answer>);
        Ok(Next::Done(Box::new(Answers(answers.collect()))))
    }

    fn fuses(&self) -> bool {
        self.fuses
    }

    fn fuse(jobs: &[&Self]) -> Option<Arc<dyn DynKernel>> {
        let [_, _, ..] = jobs else { return None };
        Some(Arc::new(Self { jobs: jobs.iter().flat_map(|job| job.jobs.clone()).collect(), fuses: true }))
    }
}

/// A double of a GPU: what it folds costs the CPU nothing, and takes it as long as it says.
#[derive(Debug)]
struct Gpu(NullDevice);

impl Device for Gpu {
    fn info(&self) -> &DeviceInfo {
        self.0.info()
    }

    fn is_open(&self) -> bool {
        true
    }

    fn resident_bytes(&self, _: &[u64]) -> u64 {
        0
    }

    fn fold(
        &self,
        kernel: &dyn DynKernel,
        pass: &DynPass,
        units: Range<u64>,
        scratch: &mut Scratch,
    ) -> Result<ChunkDone, DeviceError> {
        ON_GPU.set(true);
        let done = self.0.fold(kernel, pass, units, scratch);
        ON_GPU.set(false);
        done
    }
}

fn runner(has_gpu: bool) -> Runner {
    let spec = NullSpec { latency: FIXED, sleeps: true, ..NullSpec::gpu(0, NS_PER_UNIT / TIMES) };
    let gpus: Vec<Arc<dyn Device>> = if has_gpu { vec![Arc::new(Gpu(NullDevice::new(spec)))] } else { Vec::new() };
    let runner = Runner::builder().threads(THREADS).model(Location::Nowhere).gpus(gpus).build().expect("threads");
    runner.engine().devices().gpus();
    runner
}

/// What came of a run.
struct Ran {
    took: Duration,
    /// From submission to end, ascending.
    latencies: Vec<Duration>,
    on_cpu: usize,
    as_one: usize,
}

/// Submits so many jobs, one every `gap`, or all at once, and checks each answer.
fn run(runner: &Runner, jobs: u64, gap: Duration, fuses: bool) -> Ran {
    let outcomes = Arc::new(Mutex::new(Vec::with_capacity(jobs as usize)));
    let begun = Instant::now();
    let mut handles = Vec::with_capacity(jobs as usize);
    for job in 0..jobs {
        let due = gap * job as u32;
        if let Some(early) = due.checked_sub(begun.elapsed()).filter(|early| !early.is_zero()) {
            std::thread::sleep(early);
        }
        let first = job * 7;
        handles.push(runner.submit(Job::kernel(Sums { jobs: vec![first..first + UNITS], fuses })));
    }
    for (job, handle) in (0..).zip(handles) {
        let outcome: Outcome = handle.wait();
        let first = job * 7;
        assert_eq!(outcome.answer::<Sum>().expect("an answer").0, (first..first + UNITS).sum::<u64>());
        outcomes.lock().expect("nobody panics").push(outcome);
    }
    let outcomes = outcomes.lock().expect("nobody panics");
    // What was waited for last is not always what ended last.
    let took = outcomes.iter().map(|outcome| outcome.timings.submitted + outcome.timings.total).max();
    let first = outcomes.iter().map(|outcome| outcome.timings.submitted).min();
    let mut latencies: Vec<Duration> = outcomes.iter().map(|outcome| outcome.timings.total).collect();
    latencies.sort_unstable();
    let is_cpu = |outcome: &&Outcome| outcome.ran_on == RanOn::One(tandem::device::DeviceId::Cpu);
    Ran {
        took: took.unwrap_or_default().saturating_sub(first.unwrap_or_default()),
        latencies,
        on_cpu: outcomes.iter().filter(is_cpu).count(),
        as_one: outcomes.iter().filter(|outcome| ran_as_one(outcome)).count(),
    }
}

fn ran_as_one(outcome: &Outcome) -> bool {
    outcome.plan.as_ref().is_some_and(|plan| plan.reason.contains(" ran as one on "))
}

fn main() {
    println!(
        "jobs of {JOB_MS} ms of a thread, {THREADS} threads; a double of a GPU of {FIXED:?} a chunk, {TIMES} times a thread; medians of {RUNS} runs"
    );
    println!("  {:<21} {:<10} {:>9} {:>9} {:>9} {:>9} {:>8}", "", "", "jobs/s", "p50", "p95", "p99", "on cpu");
    let arrivals = [
        ("2,000 at once", 2000, Duration::ZERO),
        ("1,000 a second", 2000, Duration::from_micros(1000)),
        ("3,000 a second", 6000, Duration::from_nanos(333_333)),
        ("8,000 a second", 16_000, Duration::from_micros(125)),
    ];
    let asked = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    for (name, jobs, gap) in arrivals {
        if asked.as_ref().is_some_and(|asked| !name.contains(asked.as_str())) {
            continue;
        }
        for (what, has_gpu, fuses) in [("no gpu", false, true), ("apart", true, false), ("as one", true, true)] {
            let runner = runner(has_gpu);
            // What is learned is known by then.
            run(&runner, jobs / 4, gap, fuses);
            let mut runs: Vec<Ran> = (0..RUNS).map(|_| run(&runner, jobs, gap, fuses)).collect();
            runs.sort_by_key(|ran| ran.took);
            let Ran { took, latencies, on_cpu, as_one } = &runs[RUNS / 2];
            let at = |part: f64| latencies[((latencies.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
            println!(
                "  {name:<21} {what:<10} {:>9.0} {:>7.2} ms {:>7.2} ms {:>7.2} ms {:>5.0} % {:>5.0} %",
                jobs as f64 / took.as_secs_f64(),
                at(0.5),
                at(0.95),
                at(0.99),
                *on_cpu as f64 * 100.0 / jobs as f64,
                *as_one as f64 * 100.0 / jobs as f64
            );
        }
    }
}
