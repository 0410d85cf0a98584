//! What a job costs on its way in and out: reading its line, and writing its outcome.
//!
//! `cargo bench --bench lines`. Times are the least of several runs.
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use tandem::job::JobFile;
use tandem::model::Location;
use tandem::report::{Detail, write_outcome};
use tandem::runner::{Job, Runner};

const JOBS: u32 = 200_000;

fn main() {
    let line = |i: u32| format!("{{\"kind\":\"primes\",\"numbers\":[{}]}}\n", 1_000_000_007_u64 + u64::from(i));
    let named = |i: u32| format!("{{\"id\":\"job-{i}\",{}", &line(i)[1..]);
    for (what, text) in
        [("without id", (0..JOBS).map(line).collect::<String>()), ("with id", (0..JOBS).map(named).collect())]
    {
        let jobs = || JobFile::new("jobs.jsonl", text.as_bytes()).map(|job| job.expect("the line is good"));
        assert_eq!(jobs().map(|job| job.index).max(), Some(u64::from(JOBS) - 1));
        let least = least_of(5, || jobs().for_each(|job| drop(black_box(job))));
        println!("read a line {what:<11} {:>6.0} ns", each(least));
    }
    let runner = Runner::builder().threads(1).model(Location::Nowhere).build().expect("a thread can be started");
    let job = Job::parse(&line(0)).expect("the line is good");
    let outcome = runner.submit(job).wait();
    let mut out = Vec::new();
    write_outcome(&mut out, &outcome, Detail::USUAL).expect("memory takes everything");
    assert!(out.starts_with(b"{\"schema\":1,") && out.ends_with(b"}\n"));
    let least = least_of(5, || {
        for _ in 0..JOBS {
            out.clear();
            write_outcome(&mut out, black_box(&outcome), Detail::USUAL).expect("memory takes everything");
        }
    });
    println!("write an outcome       {:>6.0} ns", each(least));
}

fn each(total: Duration) -> f64 {
    total.as_secs_f64() * 1e9 / f64::from(JOBS)
}

fn least_of(runs: u32, mut body: impl FnMut()) -> Duration {
    let times = (0..runs).map(|_| {
        let begun = Instant::now();
        body();
        begun.elapsed()
    });
    times.min().expect("there is at least one run")
}
