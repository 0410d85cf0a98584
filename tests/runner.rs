//! The library's face, with a kernel of a user's own.

mod support;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use support::{SumBelow, Total, gauss};
use tandem::engine::Outcome;
use tandem::job::{Cause, DeviceChoice};
use tandem::model::Location;
use tandem::runner::{Job, Runner};

fn runner(threads: u32) -> Runner {
    Runner::builder().threads(threads).model(Location::Nowhere).gpus(Vec::new()).build().unwrap()
}

fn total(outcome: &Outcome) -> u128 {
    outcome.answer::<Total>().unwrap().0
}

#[test]
fn a_users_own_kernel_runs_at_every_size_and_number_of_threads() {
    for threads in [1, 2, 5] {
        let runner = runner(threads);
        for units in [0, 1, 7, 8, 9, 1000, 1_000_003] {
            // A prior this slow makes even few units a large job, which is cut into chunks.
            for prior_ns_per_unit in [1.0, 1e5] {
                let kernel = SumBelow { prior_ns_per_unit, ..SumBelow::new(units) };
                let outcome = runner.submit(Job::kernel(kernel)).wait();
                assert_eq!(total(&outcome), gauss(units), "{units} units on {threads} threads");
            }
        }
    }
}

#[test]
fn outcomes_come_in_the_order_of_the_jobs_and_are_all_there_as_completed() {
    let runner = runner(3);
    let jobs =
        || (0..20_000_u64).map(|n| Job::kernel(SumBelow { sleep_ms: u64::from(n == 5) * 30, ..SumBelow::new(n) }));
    let ordered: Vec<u128> = runner.map(jobs()).map(|outcome| total(&outcome)).collect();
    let expected: Vec<u128> = (0..20_000).map(gauss).collect();
    assert_eq!(ordered, expected);
    let mut completed: Vec<u128> = runner.map(jobs()).as_completed().map(|outcome| total(&outcome)).collect();
    completed.sort_unstable();
    assert_eq!(completed, expected);
}

#[test]
fn a_panic_fails_its_job_alone_and_says_where() {
    let runner = runner(2);
    for prior_ns_per_unit in [1.0, 1e6] {
        let bad = SumBelow { panic_at: Some(500), prior_ns_per_unit, ..SumBelow::new(1000) };
        let jobs = [SumBelow::new(10), bad, SumBelow::new(20)].map(Job::kernel);
        let outcomes: Vec<Outcome> = runner.map(jobs).collect();
        assert_eq!((total(&outcomes[0]), total(&outcomes[2])), (gauss(10), gauss(20)));
        let error = outcomes[1].result.as_ref().unwrap_err();
        assert_eq!(error.cause, Cause::Panic);
        assert!(error.message.contains("unit 500 is cursed at ") && error.message.contains("mod.rs"), "{error}");
    }
}

#[test]
fn a_cancelled_job_ends_as_cancelled_and_the_runner_goes_on() {
    let runner = runner(1);
    let slow = SumBelow { sleep_ms: 5, prior_ns_per_unit: 1e6, ..SumBelow::new(100_000) };
    let handle = runner.submit(Job::kernel(slow.clone()));
    let queued = runner.submit(Job::kernel(slow));
    std::thread::sleep(std::time::Duration::from_millis(20));
    handle.cancel();
    queued.cancel();
    assert_eq!(handle.wait().result.unwrap_err().cause, Cause::Cancelled);
    assert_eq!(queued.wait().result.unwrap_err().cause, Cause::Cancelled);
    assert_eq!(total(&runner.submit(Job::kernel(SumBelow::new(9))).wait()), gauss(9));
}

#[test]
fn a_closure_runs_on_the_pool_and_its_panic_is_a_value() {
    let runner = runner(2);
    assert_eq!(runner.spawn(|| 6 * 7).wait(), Ok(42));
    let error = runner.spawn(|| -> u8 { panic!("no such luck") }).wait().unwrap_err();
    assert_eq!(error.cause, Cause::Panic);
    assert!(error.message.starts_with("no such luck at "), "{error}");
}

#[test]
fn closures_never_run_on_more_threads_than_the_runner_has() {
    let runner = runner(2);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..40)
        .map(|_| {
            let (running, most) = (running.clone(), most.clone());
            runner.spawn(move || {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(1));
                running.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.wait().unwrap());
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
}

#[test]
fn a_handle_is_a_future_of_its_outcome() {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let runner = runner(1);
    let mut handle = Box::pin(runner.submit(Job::kernel(SumBelow { sleep_ms: 3, ..SumBelow::new(64) })));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let outcome = loop {
        match handle.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => break outcome,
            Poll::Pending => std::thread::park(),
        }
    };
    assert_eq!(total(&outcome), gauss(64));
}

#[test]
fn asking_for_a_gpu_that_is_not_there_fails_that_job_with_the_diagnosis() {
    let runner = runner(1);
    for device in [DeviceChoice::Gpu, DeviceChoice::GpuIndex(3), DeviceChoice::Split] {
        let error = runner.submit(Job::kernel(SumBelow::new(10)).on(device)).wait().result.unwrap_err();
        assert_eq!(error.cause, Cause::NoDevice);
        assert!(error.message.contains("this runner was given no gpu"), "{error}");
    }
    assert_eq!(total(&runner.submit(Job::kernel(SumBelow::new(10)).on(DeviceChoice::Auto)).wait()), gauss(10));
}

#[test]
fn dropping_a_map_early_cancels_the_rest() {
    let runner = runner(1);
    let jobs = (0..1000).map(|_| Job::kernel(SumBelow { sleep_ms: 1, ..SumBelow::new(8) }));
    assert!(runner.map(jobs).next().unwrap().result.is_ok());
    let start = std::time::Instant::now();
    drop(runner);
    assert!(start.elapsed().as_millis() < 900, "a thousand jobs of 2 ms were not run to their end");
}

#[test]
fn an_outcome_can_be_looked_at_often_and_then_waited_for() {
    let runner = runner(1);
    let handle = runner.submit(Job::kernel(SumBelow::new(100)));
    let seen = loop {
        if let Some(outcome) = handle.try_outcome() {
            break outcome;
        }
        std::thread::yield_now();
    };
    assert_eq!(handle.try_outcome().map(|outcome| total(&outcome)), Some(gauss(100)));
    assert_eq!((total(&seen), total(&handle.wait())), (gauss(100), gauss(100)));
}

#[test]
fn a_closure_may_use_rayon_while_jobs_run_beside_it() {
    use rayon::prelude::*;
    let runner = runner(2);
    let tasks: Vec<_> =
        (0..50).map(|_| runner.spawn(|| (0..100_000_u64).into_par_iter().map(|n| n ^ 1).sum::<u64>())).collect();
    let jobs = (0..500).map(|n| Job::kernel(SumBelow { prior_ns_per_unit: 1e4, ..SumBelow::new(n) }));
    for (n, outcome) in (0..).zip(runner.map(jobs)) {
        assert_eq!(total(&outcome), gauss(n));
    }
    for task in tasks {
        assert_eq!(task.wait(), Ok((0..100_000_u64).sum()));
    }
}

#[test]
fn a_sink_that_panics_loses_what_it_was_given_and_nothing_else() {
    struct Broken;
    impl tandem::engine::OutcomeSink for Broken {
        fn accept(&self, _: Vec<Outcome>) {
            panic!("no thanks");
        }
    }
    let runner = runner(1);
    let lines =
        "{\"kind\":\"primes\",\"numbers\":[7]}\n{\"kind\":\"primes\",\"range\":[0,1000]}\n{\"kind\":\"nonsense\"}\n";
    let mut jobs = tandem::job::JobFile::new("jobs", lines.as_bytes()).filter_map(Result::ok);
    let cancel = tandem::engine::CancelFlag::default();
    runner.stream(
        || jobs.next().into(),
        tandem::job::BindContext::default(),
        &cancel,
        Default::default(),
        Arc::new(Broken),
    );
    assert_eq!(total(&runner.submit(Job::kernel(SumBelow::new(10))).wait()), gauss(10));
}

#[test]
fn a_search_for_gpus_that_panics_is_a_machine_without_gpus() {
    let devices = tandem::engine::Devices::new(1, Box::new(|| panic!("the loader is broken")));
    assert!(devices.gpus().gpus.is_empty());
    assert!(devices.gpus().diagnosis.as_ref().unwrap().contains("the loader is broken"));
}

#[test]
fn a_gpu_in_the_wrong_place_is_refused() {
    use tandem::device::{Device, NullDevice, NullSpec};
    let gpu: Arc<dyn Device> = Arc::new(NullDevice::new(NullSpec::gpu(1, 1.0)));
    let error = Runner::builder().model(Location::Nowhere).gpus(vec![gpu]).build().unwrap_err();
    assert_eq!(error.to_string(), "the device in place 0 of the gpus calls itself gpu:1, not gpu:0");
}

#[cfg(unix)]
#[test]
fn workers_stay_with_the_runner_and_end_with_it() {
    use tandem::tasks::command::{CommandParams, WorkerAnswer};

    let script = "while read -r line; do echo \"[$$,$line]\"; done; sleep 0.2; echo gone >> \"$0\"";
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("mark");
    let runner = Runner::builder().threads(2).model(Location::Nowhere).gpus(Vec::new()).build().unwrap();
    let ask = |n: u32| {
        let argv = ["sh".into(), "-c".into(), script.into(), mark.clone().into_os_string()];
        Job::from(CommandParams::worker(argv, 1, n.to_string()))
    };
    let answers: Vec<String> = (0..3)
        .map(|n| runner.submit(ask(n)).wait().answer::<WorkerAnswer>().unwrap().answer.clone())
        .chain(runner.map((3..5).map(ask)).map(|outcome| outcome.answer::<WorkerAnswer>().unwrap().answer.clone()))
        .collect();
    let process = answers[0].strip_suffix(",0]").expect("an answer");
    let expected: Vec<String> = (0..5).map(|n| format!("{process},{n}]")).collect();
    assert_eq!(answers, expected, "one worker answers all");
    assert!(!mark.exists());
    drop(runner);
    // Its input has ended, and it was waited for.
    assert_eq!(std::fs::read_to_string(mark).unwrap(), "gone\n");
}
