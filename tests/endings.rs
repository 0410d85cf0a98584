//! How jobs end when their own code, or whoever waits for them, behaves badly.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{SumBelow, gauss};
use tandem::job::{BindContext, Bound, Cause, DeviceChoice, JobError, JobParams};
use tandem::model::Location;
use tandem::runner::{Job, Runner};

fn runner(threads: u32) -> Runner {
    Runner::builder().threads(threads).model(Location::Nowhere).gpus(Vec::new()).build().unwrap()
}

/// Runs a test that might wait for ever, and fails it instead.
fn within_a_minute<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(body()));
    receiver.recv_timeout(Duration::from_secs(60)).expect("it ends, and without a panic")
}

/// Panics when it is dropped, and counts how often.
struct Bomb(Arc<AtomicUsize>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("dropped");
    }
}

/// A kernel, or parameters, with a bomb in it.
struct Rigged {
    kernel: SumBelow,
    in_memory: bool,
    _bomb: Bomb,
}

impl std::fmt::Debug for Rigged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rigged")
    }
}

impl JobParams for Rigged {
    fn in_memory(&self) -> bool {
        self.in_memory
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(Arc::new(self.kernel.clone())))
    }
}

#[test]
fn parameters_that_panic_when_dropped_harm_nobody_however_their_job_ends() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    within_a_minute(move || {
        let runner = runner(2);
        let rigged = |prior_ns_per_unit: f64, in_memory| {
            let kernel = SumBelow { prior_ns_per_unit, sleep_ms: 1, ..SumBelow::new(1000) };
            Job::new("sum_below", Box::new(Rigged { kernel, in_memory, _bomb: Bomb(counted.clone()) }))
        };
        // In a batch, as a large job, refused for want of a device.
        for in_memory in [true, false] {
            for prior in [1.0, 1e6] {
                let outcome = runner.submit(rigged(prior, in_memory)).wait();
                assert_eq!(outcome.result.unwrap().summary(), gauss(1000).to_string());
            }
            let refused = runner.submit(rigged(1e6, in_memory).on(DeviceChoice::Gpu)).wait();
            assert_eq!(refused.result.unwrap_err().cause, Cause::NoDevice);
        }
        // Cancelled, under way and waiting.
        let handles: Vec<_> = (0..40).map(|i| runner.submit(rigged(1e6, i % 2 == 0))).collect();
        handles.iter().for_each(tandem::runner::JobHandle::cancel);
        handles.into_iter().for_each(|handle| _ = handle.wait());
        assert_eq!(runner.submit(Job::kernel(SumBelow::new(9))).wait().result.unwrap().summary(), gauss(9).to_string());
        drop(runner);
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 46, "each was dropped, once");
}

#[test]
fn what_a_closure_leaves_may_panic_when_nobody_takes_it() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    within_a_minute(move || {
        let runner = runner(1);
        for _ in 0..10 {
            let counted = counted.clone();
            drop(runner.spawn(move || Bomb(counted)));
        }
        assert_eq!(runner.spawn(|| 7).wait().unwrap(), 7);
        drop(runner);
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 10);
}

/// Parameters of a job that is opened alone, as a file is.
#[derive(Debug)]
struct AsFile(SumBelow);

impl JobParams for AsFile {
    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Kernel(Arc::new(self.0.clone())))
    }
}

#[test]
fn short_work_does_not_wait_for_files_that_may_not_be_opened_yet() {
    within_a_minute(|| {
        let runner = runner(1);
        // One chunk each, of 200 ms: 40 of them take 8 s.
        let slow = || {
            let kernel =
                SumBelow { prior_ns_per_unit: 1e5, sleep_ms: 100, granularity: 1 << 20, ..SumBelow::new(1000) };
            Job::new("sum_below", Box::new(AsFile(kernel)))
        };
        let long: Vec<_> = (0..40).map(|_| runner.submit(slow())).collect();
        std::thread::sleep(Duration::from_millis(50));
        let begun = Instant::now();
        runner.submit(Job::kernel(SumBelow::new(9))).wait().result.unwrap();
        assert!(long.last().unwrap().try_outcome().is_none(), "the last of the long ones has not ended");
        assert!(begun.elapsed() < Duration::from_secs(2), "waited {:?}", begun.elapsed());
        long.iter().for_each(tandem::runner::JobHandle::cancel);
    });
}

#[test]
fn a_hundred_thousand_cancellations_take_no_time_that_grows_with_their_square() {
    within_a_minute(|| {
        let runner = runner(1);
        let block = runner.spawn(|| std::thread::sleep(Duration::from_millis(300)));
        let handles: Vec<_> = (0..100_000).map(|_| runner.submit(Job::kernel(SumBelow::new(9)))).collect();
        handles.iter().for_each(tandem::runner::JobHandle::cancel);
        for handle in handles {
            let outcome = handle.wait();
            assert!(outcome.result.is_ok_and(|answer| answer.summary() == "36") || outcome.plan.is_none());
        }
        block.wait().unwrap();
    });
}

#[test]
fn a_runner_dropped_in_somebodys_thread_pool_waits_for_its_jobs() {
    within_a_minute(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let ended = Arc::new(AtomicUsize::new(0));
        let counted = ended.clone();
        pool.install(move || {
            let runner = runner(1);
            for _ in 0..5 {
                let counted = counted.clone();
                drop(runner.spawn(move || {
                    std::thread::sleep(Duration::from_millis(20));
                    counted.fetch_add(1, Ordering::Relaxed);
                }));
            }
        });
        assert_eq!(ended.load(Ordering::Relaxed), 5);
    });
}

#[test]
fn auto_without_a_gpu_runs_on_the_cpu_and_says_so() {
    let runner = Runner::builder().threads(2).model(Location::Nowhere).gpus(Vec::new()).explain(true).build().unwrap();
    // Large enough that a GPU would be looked for.
    let job = Job::parse(r#"{"kind":"primes","range":[0,"1e11"],"method":"sieve"}"#).unwrap();
    let plan = runner.plan(&job).unwrap();
    assert!(plan.choice.to_string().starts_with("cpu"), "{}", plan.choice);
    assert!(plan.reason.contains("there is no usable gpu"), "{}", plan.reason);
}

#[test]
fn a_job_that_takes_longer_than_it_was_given_times_out_and_waiting_does_not_count() {
    within_a_minute(|| {
        let runner = runner(1);
        let slow = SumBelow { prior_ns_per_unit: 1e6, sleep_ms: 100, ..SumBelow::new(1_000_000) };
        let limit = Duration::from_millis(150);
        let first = runner.submit(Job::kernel(slow.clone()).timeout(limit));
        // It waits behind the first for as long as it is given itself.
        let quick = SumBelow { prior_ns_per_unit: 1e6, ..SumBelow::new(64) };
        let second = runner.submit(Job::kernel(quick).timeout(limit));
        let error = first.wait().result.unwrap_err();
        assert_eq!(error.cause, Cause::Timeout);
        assert!(error.message.contains("longer than the 150 ms"), "{error}");
        assert_eq!(second.wait().result.unwrap().summary(), gauss(64).to_string());
    });
}

#[test]
fn what_is_of_higher_priority_begins_first() {
    within_a_minute(|| {
        let runner = runner(1);
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let block = runner.spawn(|| std::thread::sleep(Duration::from_millis(100)));
        let named = |priority: i32| {
            let kernel = SumBelow { prior_ns_per_unit: 1e6, sleep_ms: 1, ..SumBelow::new(8) };
            let handle = runner.submit(Job::new("sum_below", Box::new(AsFile(kernel))).priority(priority));
            (priority, handle)
        };
        let handles: Vec<_> = [0, -5, 7, 3].into_iter().map(named).collect();
        std::thread::scope(|scope| {
            for (priority, handle) in handles {
                let order = order.clone();
                scope.spawn(move || {
                    handle.wait().result.unwrap();
                    order.lock().unwrap().push(priority);
                });
            }
        });
        block.wait().unwrap();
        assert_eq!(*order.lock().unwrap(), [7, 3, 0, -5]);
    });
}

/// A task that holds the one lane for a moment.
#[derive(Debug)]
struct Brief;

impl JobParams for Brief {
    fn in_memory(&self) -> bool {
        true
    }

    fn bind(&self, _: &BindContext) -> Result<Bound, JobError> {
        Ok(Bound::Task(Box::new(BriefTask)))
    }
}

struct BriefTask;

impl tandem::tasks::Task for BriefTask {
    fn place(&self) -> tandem::tasks::Place {
        tandem::tasks::Place::Compute
    }

    fn expected_ms(&self) -> f64 {
        10.0
    }

    fn run(self: Box<Self>, _: &tandem::tasks::TaskContext<'_>) -> Result<tandem::tasks::Step, JobError> {
        Err(JobError::bad_input("as some tasks end"))
    }
}

#[test]
fn a_lane_is_given_back_whenever_a_task_is_cancelled() {
    within_a_minute(|| {
        let runner = runner(1);
        for _ in 0..5_000 {
            let handle = runner.submit(Job::new("brief", Box::new(Brief)));
            handle.cancel();
            let cause = handle.wait().result.unwrap_err().cause;
            assert!(matches!(cause, Cause::Cancelled | Cause::BadInput), "{cause}");
        }
        assert_eq!(runner.spawn(|| 7).wait().unwrap(), 7, "the only lane is still there");
    });
}

#[test]
fn each_job_of_a_run_has_one_outcome_however_the_run_ends() {
    use std::collections::BTreeMap;
    use tandem::engine::flow::{FlowOptions, Halt};
    use tandem::engine::{CancelFlag, Outcome, OutcomeSink};
    use tandem::job::JobFile;
    use tandem::runner::StreamOptions;

    struct Counted(std::sync::Mutex<BTreeMap<u64, Cause>>, AtomicUsize);
    impl OutcomeSink for Counted {
        fn accept(&self, outcomes: Vec<Outcome>) {
            for outcome in outcomes {
                self.1.fetch_add(1, Ordering::Relaxed);
                let cause = outcome.result.err().map_or(Cause::Unsupported, |error| error.cause);
                assert_eq!(self.0.lock().unwrap().insert(outcome.index, cause), None, "twice");
            }
        }
    }
    // Chains, fans and failures over jobs that take some milliseconds.
    let line = |n: u64| {
        let after = match n % 5 {
            1 => format!(",\"after\":[\"j{}\"]", n - 1),
            2 if n > 7 => format!(",\"after\":[\"j{}\",\"j{}\"]", n - 7, n - 1),
            _ => String::new(),
        };
        let range = if n % 11 == 10 { "5..1" } else { "0..3000000" };
        format!("{{\"id\":\"j{n}\",\"kind\":\"primes\",\"range\":\"{range}\",\"retries\":1{after}}}\n")
    };
    let lines: String = (0..120).map(line).collect();
    within_a_minute(move || {
        for round in 0..24_u64 {
            let runner = runner(2);
            let sink = Arc::new(Counted(Default::default(), AtomicUsize::new(0)));
            let cancel = CancelFlag::default();
            let halt: Halt = ["never", "soon,fail=3", "now,fail=2"][round as usize % 3].parse().unwrap();
            let jobs = if round % 2 == 0 { Some(3) } else { None };
            let options =
                StreamOptions { jobs, flow: FlowOptions { halt, ..Default::default() }, ..Default::default() };
            let mut file = JobFile::new("jobs", lines.as_bytes());
            let mut read = 0;
            let next = || match file.next() {
                Some(Ok(spec)) => {
                    read += 1;
                    tandem::runner::Incoming::Job(spec)
                }
                Some(Err(bad)) => {
                    read += 1;
                    tandem::runner::Incoming::Ended(bad.into())
                }
                None => tandem::runner::Incoming::End,
            };
            std::thread::scope(|scope| {
                let cancel = &cancel;
                if round % 4 > 1 {
                    scope.spawn(move || {
                        std::thread::sleep(Duration::from_millis(round * 3));
                        cancel.drain();
                        std::thread::sleep(Duration::from_millis(round % 7));
                        if round % 8 > 5 {
                            cancel.cancel();
                        }
                    });
                }
                runner.stream(next, BindContext::default(), cancel, options, sink.clone());
            });
            assert_eq!(sink.0.lock().unwrap().len(), read, "round {round}");
        }
    });
}
