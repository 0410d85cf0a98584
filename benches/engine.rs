//! What the engine costs a job: a million one-number jobs in memory, through the runner and without it.
//!
//! `cargo bench --bench engine`

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tandem::input::Scratch;
use tandem::job::BindContext;
use tandem::kernels::{FoldContext, Isa, Next};
use tandem::model::Location;
use tandem::runner::{Job, Runner};

const JOBS: u32 = 1_000_000;
const RUNS: usize = 5;

fn jobs() -> impl Iterator<Item = Job> {
    (0..JOBS).map(|n| Job::parse(&format!(r#"{{"kind":"primes","numbers":[{}]}}"#, 2 * n + 1)).expect("a valid job"))
}

/// The same jobs, bound and folded in a plain loop.
fn without_engine(jobs: &mut dyn Iterator<Item = Job>) -> u64 {
    let (context, mut scratch, isa) = (BindContext::default(), Scratch::default(), Isa::detect());
    let mut primes = 0;
    for job in jobs {
        let kernel = job.params().bind(&context).expect("a valid job").kernel().expect("it is a kernel's");
        let pass = kernel.first_pass().expect("a pass");
        let context = &mut FoldContext { isa, scratch: &mut scratch };
        let partial = kernel.fold(&pass, 0..kernel.work().units, context).expect("a partial");
        if let Ok(Next::Done(answer)) = kernel.next(&pass, partial) {
            primes += u64::from(answer.summary().starts_with('1'));
        }
    }
    primes
}

fn through_engine(runner: &Runner, jobs: impl Iterator<Item = Job>) -> u64 {
    runner.map(jobs).map(|outcome| u64::from(outcome.result.expect("an answer").summary().starts_with('1'))).sum()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    // The primes below 2,000,000, without 2.
    const PRIMES: u64 = 148_932;
    let runner = Runner::builder().threads(1).model(Location::Nowhere).build().expect("threads");
    let [mut parsing, mut plain, mut engine] = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        let start = Instant::now();
        let made: Vec<Job> = jobs().map(black_box).collect();
        parsing.push(start.elapsed());
        let start = Instant::now();
        assert_eq!(without_engine(&mut made.into_iter()), PRIMES);
        plain.push(start.elapsed());
        let made: Vec<Job> = jobs().collect();
        let start = Instant::now();
        assert_eq!(through_engine(&runner, made.into_iter()), PRIMES);
        engine.push(start.elapsed());
    }
    let per_job = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(JOBS);
    let (parsing, plain, engine) = (per_job(median(parsing)), per_job(median(plain)), per_job(median(engine)));
    println!("{JOBS} jobs of one number, one CPU thread beside the caller's, medians of {RUNS} runs");
    println!("  parse a line                  {parsing:7.0} ns a job");
    println!("  bind, test, answer, no engine {plain:7.0} ns a job");
    println!("  the same through the engine   {engine:7.0} ns a job");
    println!("  the engine costs              {:7.0} ns a job", engine - plain);
}
