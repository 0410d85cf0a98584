//! Small jobs that wait together, on the real engine: they run as one on a GPU, and what becomes of one is no other's affair.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tandem::device::{Device, NullDevice, NullFault, NullSpec};
use tandem::engine::{Outcome, RanOn};
use tandem::input::{DType, Scratch, Source, Values};
use tandem::job::{Cause, DeviceChoice, JobError};
use tandem::kernels::primes::{Numbers, NumbersMode, PrimesParams};
use tandem::model::Location;
use tandem::runner::{Job, JobHandle, Runner};

use crate::support::random::{Random, base_seed};

fn null_gpu(faults: &[NullFault]) -> Arc<NullDevice> {
    let faults = faults.to_vec();
    Arc::new(NullDevice::new(NullSpec { latency: Duration::from_micros(100), faults, ..NullSpec::gpu(0, 1.0) }))
}

/// One thread, and this GPU, which is known from the start.
fn runner(gpu: Option<Arc<NullDevice>>) -> Runner {
    let gpus = gpu.into_iter().map(|gpu| gpu as Arc<dyn Device>).collect();
    let runner = Runner::builder().threads(1).model(Location::Nowhere).gpus(gpus).build().unwrap();
    runner.engine().devices().gpus();
    runner
}

/// Submits jobs so that all of them wait by the time that the thread is free.
fn submitted_together(runner: &Runner, jobs: Vec<Job>) -> Vec<JobHandle> {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let holds = runner.spawn(move || held.recv().is_err());
    let handles = jobs.into_iter().map(|job| runner.submit(job)).collect();
    drop(release);
    assert!(holds.wait().unwrap());
    handles
}

fn together(runner: &Runner, jobs: Vec<Job>) -> Vec<Outcome> {
    submitted_together(runner, jobs).into_iter().map(JobHandle::wait).collect()
}

fn job_of(numbers: Vec<u64>, mode: NumbersMode) -> Job {
    Job::from(PrimesParams::Numbers(Numbers::from(numbers), mode))
}

/// Lists that take a thread some tenths of a millisecond.
fn lists(count: usize, name: &str) -> Vec<(Vec<u64>, NumbersMode)> {
    let mut random = Random::named(base_seed(), name);
    let modes = [NumbersMode::Each, NumbersMode::Count, NumbersMode::List];
    (0..count)
        .map(|_| {
            let len = 1700 + random.below(3000);
            ((0..len).map(|_| random.next() >> random.below(64)).collect(), *random.pick(&modes))
        })
        .collect()
}

fn json(outcome: &Outcome) -> String {
    let mut bytes = Vec::new();
    let answer =
        outcome.result.as_ref().unwrap_or_else(|error| panic!("{}, seed {}: {error}", outcome.id, base_seed()));
    answer.write_json(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn alone(lists: &[(Vec<u64>, NumbersMode)]) -> Vec<String> {
    let runner = Runner::builder().threads(1).model(Location::Nowhere).device(DeviceChoice::Cpu).build().unwrap();
    lists.iter().map(|(list, mode)| json(&runner.submit(job_of(list.clone(), *mode)).wait())).collect()
}

fn ran_as_one(outcome: &Outcome) -> bool {
    outcome
        .plan
        .as_ref()
        .is_some_and(|plan| plan.reason.contains(" jobs of one kernel that waited together ran as one on "))
}

fn count(outcomes: &[Outcome], is: impl Fn(&Outcome) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(outcome)).count()
}

/// Lists of numbers most of which are told at a glance, so that a double of a GPU is as fast as it says; their kernel takes them to be like
/// any others.
fn quick_lists(count: usize) -> Vec<(Vec<u64>, NumbersMode)> {
    let mut random = Random::named(base_seed(), "quick lists");
    let number = |random: &mut Random| (random.next() >> 40 << 1) | u64::from(random.below(40) == 0);
    let mut list = |len: u64| (0..len).map(|_| number(&mut random)).collect();
    let modes = [NumbersMode::Each, NumbersMode::Count, NumbersMode::List].into_iter().cycle();
    (0..count).zip(modes).map(|(at, mode)| (list(1700 + at as u64), mode)).collect()
}

#[test]
fn jobs_that_wait_together_run_as_one_on_a_gpu_and_each_has_its_own_answer_and_its_share_of_the_time() {
    let lists = quick_lists(200);
    let expected = alone(&lists);
    let gpu = null_gpu(&[]);
    let runner = runner(Some(gpu.clone()));
    let jobs = lists.iter().map(|(list, mode)| job_of(list.clone(), *mode)).collect();
    let outcomes = together(&runner, jobs);
    for (outcome, expected) in outcomes.iter().zip(&expected) {
        assert_eq!(json(outcome), *expected, "{}, seed {}", outcome.id, base_seed());
        let timings = outcome.timings;
        assert_eq!(timings.queued + timings.phases.total(), timings.total, "{timings:?}");
    }
    let as_one = count(&outcomes, ran_as_one);
    assert!(as_one > 20, "{as_one}");
    assert!(gpu.chunks_begun() > 0 && gpu.chunks_begun() < as_one as u64 / 2, "{} chunks", gpu.chunks_begun());
    // A share of a run, and not the whole.
    for outcome in outcomes.iter().filter(|outcome| ran_as_one(outcome)) {
        let plan = outcome.plan.as_ref().unwrap();
        let predicted = plan.candidates[0].predicted.unwrap();
        assert!(predicted.ms < 0.1 && outcome.ran_on != RanOn::Nowhere, "{plan:?}");
    }
}

#[test]
fn whatever_becomes_of_the_gpu_each_has_its_answer() {
    let lists = lists(60, "faults");
    let expected = alone(&lists);
    for fault in [
        NullFault::LostAt(0),
        NullFault::LostAt(1),
        NullFault::LostOnceAt(0),
        NullFault::PanicAt(0),
        NullFault::OutOfMemoryAbove(5000),
        NullFault::Unsupported,
        NullFault::SlowFrom { chunk: 0, times: 1000.0 },
    ] {
        let gpu = null_gpu(&[fault]);
        let runner = runner(Some(gpu.clone()));
        let jobs = lists.iter().map(|(list, mode)| job_of(list.clone(), *mode)).collect();
        for (outcome, expected) in together(&runner, jobs).iter().zip(&expected) {
            assert_eq!(json(outcome), *expected, "{}, {fault:?}, seed {}", outcome.id, base_seed());
        }
        assert!(gpu.chunks_begun() > 0, "{fault:?}: it was tried");
    }
}

/// A list in memory that can be read only in a certain way.
#[derive(Debug)]
struct Odd {
    numbers: Vec<u64>,
    how: How,
}

#[derive(Debug)]
enum How {
    Fails,
    Panics,
    /// Waits for the gate, where so much is read at once that it is the job itself.
    Waits(Arc<Gate>, u64),
}

#[derive(Debug, Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    /// The first job that waited, from 1.
    reader: AtomicU64,
}

impl Source for Odd {
    fn name(&self) -> &str {
        "odd numbers"
    }

    fn dtype(&self) -> DType {
        DType::U64
    }

    fn len(&self) -> u64 {
        self.numbers.len() as u64
    }

    fn read<'a>(&'a self, range: Range<u64>, _: &'a mut Scratch) -> Result<Values<'a>, JobError> {
        // A look at a few of them passes.
        if range.end - range.start > 64 {
            match &self.how {
                How::Fails => return Err(JobError::bad_input("odd numbers: they cannot be read")),
                How::Panics => panic!("odd numbers are cursed"),
                How::Waits(gate, job) => {
                    let _ = gate.reader.compare_exchange(0, *job, Ordering::Relaxed, Ordering::Relaxed);
                    let is_open = gate.is_open.lock().unwrap();
                    drop(gate.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
                }
            }
        }
        Ok(Values::U64(&self.numbers[range.start as usize..range.end as usize]))
    }
}

fn odd_job(numbers: Vec<u64>, how: How) -> Job {
    let numbers = Numbers::of_source(Arc::new(Odd { numbers, how }));
    Job::from(PrimesParams::Numbers(numbers, NumbersMode::Each))
}

#[test]
fn an_error_or_a_panic_of_one_is_its_own() {
    for panics in [false, true] {
        let lists = lists(40, "a bad one among them");
        let expected = alone(&lists);
        let runner = runner(Some(null_gpu(&[])));
        let bad = 20;
        let jobs = (0..).zip(&lists).map(|(at, (list, mode))| match (at == bad, panics) {
            (false, _) => job_of(list.clone(), *mode),
            (true, false) => odd_job(list.clone(), How::Fails),
            (true, true) => odd_job(list.clone(), How::Panics),
        });
        let outcomes = together(&runner, jobs.collect());
        for (at, (outcome, expected)) in outcomes.iter().zip(&expected).enumerate() {
            if at == bad {
                let error = outcome.result.as_ref().unwrap_err();
                let (cause, part) = if panics { (Cause::Panic, "cursed") } else { (Cause::BadInput, "cannot be read") };
                assert!(error.cause == cause && error.message.contains(part), "{error:?}");
            } else {
                assert_eq!(json(outcome), *expected, "job {at}");
            }
        }
    }
}

#[test]
fn cancelling_one_ends_it_at_once_and_is_nothing_to_the_others() {
    let gate = Arc::new(Gate::default());
    let runner = runner(Some(null_gpu(&[])));
    // Each takes a thread more than a millisecond, and is watched wherever it runs.
    let numbers: Vec<u64> = (0..40_000).map(|number| number * 2 + 1).collect();
    let jobs = (1..=30).map(|job| odd_job(numbers.clone(), How::Waits(gate.clone(), job)));
    let handles = submitted_together(&runner, jobs.collect());
    let deadline = Instant::now() + Duration::from_secs(60);
    let reader = loop {
        match gate.reader.load(Ordering::Relaxed) {
            0 => assert!(Instant::now() < deadline, "nothing runs"),
            reader => break reader as usize - 1,
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    handles[reader].cancel();
    let cancelled = loop {
        if let Some(outcome) = handles[reader].try_outcome() {
            break outcome;
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert_eq!(cancelled.result.unwrap_err().cause, Cause::Cancelled);
    *gate.is_open.lock().unwrap() = true;
    gate.opened.notify_all();
    let others: Vec<Outcome> =
        (0..).zip(handles).filter(|(at, _)| *at != reader).map(|(_, handle)| handle.wait()).collect();
    assert_eq!(others.len(), 29);
    let answers: Vec<String> = others.iter().map(json).collect();
    assert!(
        answers.iter().all(|answer| *answer == answers[0] && answer.contains(r#""prime_count":7836"#)),
        "{}",
        answers[0].len()
    );
    assert!(count(&others, ran_as_one) > 0);
}

#[test]
fn a_run_that_all_cancel_ends_and_others_run_after_it() {
    let gate = Arc::new(Gate::default());
    let runner = runner(Some(null_gpu(&[])));
    let numbers: Vec<u64> = (0..40_000).map(|number| number * 2 + 1).collect();
    let jobs = (1..=10).map(|job| odd_job(numbers.clone(), How::Waits(gate.clone(), job)));
    let handles = submitted_together(&runner, jobs.collect());
    handles.iter().for_each(JobHandle::cancel);
    for handle in handles {
        assert_eq!(handle.wait().result.unwrap_err().cause, Cause::Cancelled);
    }
    *gate.is_open.lock().unwrap() = true;
    gate.opened.notify_all();
    let lists = lists(40, "after");
    let jobs = lists.iter().map(|(list, mode)| job_of(list.clone(), *mode)).collect();
    assert_eq!(together(&runner, jobs).iter().map(json).collect::<Vec<_>>(), alone(&lists));
}

#[test]
fn none_runs_as_one_without_a_gpu_or_where_a_job_says_what_it_wants() {
    let lists = quick_lists(60);
    let expected = alone(&lists);
    // Each on a runner of its own, which has measured nothing yet: a busy machine teaches it what has no place here.
    let run = |gpu: Option<Arc<NullDevice>>, change: &dyn Fn(Job) -> Job| {
        let jobs = lists.iter().map(|(list, mode)| change(job_of(list.clone(), *mode))).collect();
        let outcomes = together(&runner(gpu), jobs);
        assert_eq!(outcomes.iter().map(json).collect::<Vec<_>>(), expected);
        count(&outcomes, ran_as_one)
    };
    assert_eq!(run(None, &|job| job), 0);
    let with_gpu = |change: &dyn Fn(Job) -> Job| run(Some(null_gpu(&[])), change);
    assert_eq!(with_gpu(&|job| job.on(DeviceChoice::Cpu)), 0);
    assert_eq!(with_gpu(&|job| job.timeout(Duration::from_millis(900))), 0);
    assert_eq!(with_gpu(&|job| job.memory_bytes(1000)), 0);
    assert!(with_gpu(&|job| job.timeout(Duration::from_secs(60))) > 0);
    assert!(with_gpu(&|job| job.priority(3)) > 0);
}

#[test]
fn a_job_that_comes_while_nobody_waits_runs_at_once_on_the_cpu() {
    let runner = runner(Some(null_gpu(&[])));
    for (list, mode) in lists(20, "one by one") {
        let outcome = runner.submit(job_of(list, mode)).wait();
        assert!(!ran_as_one(&outcome) && outcome.result.is_ok());
    }
}
