//! The engine's promises under device faults, with programmable doubles: every job has one outcome, answers stay right,
//! the run goes on.

mod support;

use std::sync::Arc;
use std::time::Duration;

use support::{SumBelow, Total, gauss};
use tandem::device::{Device, NullDevice, NullFault, NullSpec};
use tandem::engine::{Outcome, RanOn};
use tandem::job::{Cause, DeviceChoice};
use tandem::model::Location;
use tandem::plan::Choice;
use tandem::runner::{Job, Runner};

/// A GPU that takes as long as it says, with these faults.
fn gpu(index: u32, ns_per_unit: f64, faults: &[NullFault]) -> Arc<NullDevice> {
    Arc::new(NullDevice::new(NullSpec {
        faults: faults.to_vec(),
        sleeps: true,
        latency: Duration::from_micros(50),
        ..NullSpec::gpu(index, ns_per_unit)
    }))
}

fn runner(gpus: &[Arc<NullDevice>], device: DeviceChoice) -> Runner {
    let gpus = gpus.iter().map(|gpu| Arc::clone(gpu) as Arc<dyn Device>).collect();
    Runner::builder().threads(2).model(Location::Nowhere).gpus(gpus).device(device).build().unwrap()
}

/// A job large enough to be cut into many chunks on every device.
fn large() -> Job {
    Job::kernel(SumBelow { prior_ns_per_unit: 100.0, ..SumBelow::new(3_000_000) })
}

fn total(outcome: &Outcome) -> u128 {
    outcome.answer::<Total>().unwrap().0
}

/// Runs large jobs until the outcome of one is as wanted; all of them give the right answer. How many chunks of a job each
/// device gets depends on how busy this machine is, so that a single one may be over before a device has had its share.
fn large_until(runner: &Runner, wanted: impl Fn(&Outcome) -> bool) -> Outcome {
    for _ in 0..500 {
        let outcome = runner.submit(large()).wait();
        assert_eq!(total(&outcome), gauss(3_000_000));
        if wanted(&outcome) {
            return outcome;
        }
    }
    panic!("none of 500 jobs ended as wanted");
}

#[test]
fn a_device_lost_in_mid_job_costs_an_attempt_and_never_the_answer() {
    for at in [0, 1, 2] {
        let lost = gpu(0, 1.0, &[NullFault::LostAt(at)]);
        let runner = runner(std::slice::from_ref(&lost), DeviceChoice::Split);
        let outcome = large_until(&runner, |outcome| outcome.attempts > 1);
        assert_eq!(outcome.attempts, 2, "{outcome:?}");
        assert_eq!(runner.engine().set_aside().len(), 1);
        let begun = lost.chunks_begun();
        assert_eq!(total(&runner.submit(large().on(DeviceChoice::Auto)).wait()), gauss(3_000_000));
        assert_eq!(lost.chunks_begun(), begun, "a device that was set aside gets nothing more");
    }
}

#[test]
fn a_device_that_was_set_aside_is_used_again_once_it_is_tried_again_and_only_then() {
    let gpu = gpu(0, 0.01, &[NullFault::LostOnceAt(0)]);
    let runner = runner(std::slice::from_ref(&gpu), DeviceChoice::Auto);
    large_until(&runner, |_| runner.engine().set_aside().len() == 1);
    let by_name = || runner.submit(large().on(DeviceChoice::GpuIndex(0))).wait();
    assert_eq!(by_name().result.unwrap_err().cause, Cause::NoDevice);
    runner.engine().try_again(tandem::device::DeviceId::Gpu(0));
    // It is asked for at once, behind what the engine was told.
    let outcome = (0..100).map(|_| by_name()).find(|outcome| outcome.result.is_ok()).unwrap();
    assert_eq!(outcome.ran_on, RanOn::One(tandem::device::DeviceId::Gpu(0)));
    assert!(runner.engine().set_aside().is_empty());
    assert_eq!(total(&outcome), gauss(3_000_000));
}

#[test]
fn a_job_that_asked_for_the_lost_device_by_name_fails_with_device_lost_and_the_next_with_no_device() {
    let runner = runner(&[gpu(0, 20.0, &[NullFault::LostAt(2)])], DeviceChoice::Gpu);
    let error = runner.submit(large()).wait().result.unwrap_err();
    assert_eq!(error.cause, Cause::DeviceLost);
    assert!(error.message.contains("gpu:0") && error.message.contains("at chunk 2"), "{error}");
    let error = runner.submit(large()).wait().result.unwrap_err();
    assert_eq!(error.cause, Cause::NoDevice);
    assert!(error.message.contains("set aside"), "{error}");
    assert_eq!(total(&runner.submit(large().on(DeviceChoice::Cpu)).wait()), gauss(3_000_000));
}

#[test]
fn gpus_that_somebody_else_looked_for_are_used_too() {
    let runner = runner(&[gpu(0, 1.0, &[])], DeviceChoice::Gpu);
    assert_eq!(runner.engine().devices().gpus().gpus.len(), 1);
    assert_eq!(total(&runner.submit(large()).wait()), gauss(3_000_000));
}

#[test]
fn a_gpu_that_is_not_open_is_charged_its_opening_and_one_that_is_open_is_not() {
    let closed =
        Arc::new(NullDevice::new(NullSpec { setup: Duration::from_millis(50), sleeps: true, ..NullSpec::gpu(0, 1.0) }));
    let runner = runner(std::slice::from_ref(&closed), DeviceChoice::Auto);
    assert_eq!(runner.engine().devices().gpus().gpus.len(), 1);
    // Predicted to take less on two threads than opening a GPU takes, until that has been measured. Of few units, so that
    // what this machine takes for them, however busy, is next to nothing beside what the CPU is believed to take.
    let job = || Job::kernel(SumBelow { prior_ns_per_unit: 5_000.0, ..SumBelow::new(30_000) });
    assert!(!closed.is_open());
    assert_eq!(runner.plan(&job()).unwrap().choice, Choice::Cpu { threads: 2 });
    assert_eq!(total(&runner.submit(job().on(DeviceChoice::Gpu)).wait()), gauss(30_000));
    assert!(closed.is_open());
    assert_eq!(runner.plan(&job()).unwrap().choice, Choice::Gpu { index: 0 });
}

#[test]
fn of_two_gpus_one_may_be_lost_and_the_other_goes_on() {
    let gpus = [gpu(0, 10.0, &[NullFault::LostAt(1)]), gpu(1, 15.0, &[])];
    let runner = runner(&gpus, DeviceChoice::Split);
    large_until(&runner, |_| runner.engine().set_aside().len() == 1);
    let outcome = large_until(&runner, |outcome| outcome.ran_on == RanOn::Split);
    assert_eq!(outcome.attempts, 1, "nothing is tried on the lost one");
    assert!(gpus[1].chunks_begun() > 0);
}

#[test]
fn chunks_that_do_not_fit_are_halved_until_they_do() {
    let small = gpu(0, 10.0, &[NullFault::OutOfMemoryAbove(10_000)]);
    let runner = runner(std::slice::from_ref(&small), DeviceChoice::Gpu);
    let outcome = runner.submit(large()).wait();
    assert_eq!(total(&outcome), gauss(3_000_000));
    assert_eq!(outcome.ran_on, RanOn::One(small.info().id));
    assert!(outcome.attempts > 1);
}

#[test]
fn a_verification_halves_chunks_that_do_not_fit() {
    let small = gpu(0, 0.0, &[NullFault::OutOfMemoryAbove(300_000)]);
    let runner = runner(std::slice::from_ref(&small), DeviceChoice::Auto);
    let found = runner.verify(&large(), 1).unwrap();
    assert!(found.same() && found.skipped.is_empty(), "{found:?}");
    assert_eq!(found.runs.len(), 6, "one thread, two threads, the gpu, three splits: {found:?}");
    assert!(small.chunks_begun() > 2 * 10, "two passes of ten chunks at least");
}

#[test]
fn a_verification_skips_a_device_that_cannot_run_the_job_and_says_so() {
    for fault in [NullFault::Unsupported, NullFault::OutOfMemoryAbove(7)] {
        let gpus = [gpu(0, 0.0, &[fault]), gpu(1, 0.0, &[])];
        let found = runner(&gpus, DeviceChoice::Auto).verify(&large(), 1).unwrap();
        assert!(found.same() && found.runs.len() == 6, "{found:?}");
        assert_eq!(found.skipped.len(), 1);
        assert!(found.skipped[0].label.contains("gpu:0") && found.skipped[0].why.contains("gpu:0"), "{found:?}");
        let splits: Vec<_> = found.runs.iter().filter(|run| run.label.contains("split")).collect();
        assert!(splits.iter().all(|run| run.label.ends_with("over cpu, gpu:1")), "{splits:?}");
    }
}

#[test]
fn a_verification_fails_where_a_device_is_lost() {
    let error = runner(&[gpu(0, 0.0, &[NullFault::LostAt(0)])], DeviceChoice::Auto).verify(&large(), 1).unwrap_err();
    assert_eq!(error.cause, Cause::DeviceLost);
    assert!(error.message.contains("gpu:0"), "{error}");
}

#[test]
fn a_verification_of_a_job_of_huge_granules_gives_each_device_a_whole_one() {
    let job = Job::kernel(SumBelow { granularity: (1 << 24) + 1, ..SumBelow::new((1 << 24) + 9) });
    let found = runner(&[gpu(0, 0.0, &[])], DeviceChoice::Auto).verify(&job, 1).unwrap();
    assert!(found.same() && found.runs.len() == 6, "{found:?}");
}

#[test]
fn a_device_that_can_run_nothing_leaves_the_job_to_others_or_fails_it_by_name() {
    let runner = runner(&[gpu(0, 1.0, &[NullFault::Unsupported])], DeviceChoice::Auto);
    let outcome = runner.submit(large().on(DeviceChoice::Split)).wait();
    assert_eq!(total(&outcome), gauss(3_000_000));
    let error = runner.submit(large().on(DeviceChoice::Gpu)).wait().result.unwrap_err();
    assert_eq!(error.cause, Cause::Unsupported);
}

#[test]
fn a_driver_that_panics_past_every_guard_fails_one_job_and_not_the_run() {
    let runner = runner(&[gpu(0, 10.0, &[NullFault::PanicAt(1)])], DeviceChoice::Auto);
    let error = runner.submit(large().on(DeviceChoice::Gpu)).wait().result.unwrap_err();
    assert_eq!(error.cause, Cause::Panic, "{error}");
    for outcome in runner.map((0..4).map(|_| large())) {
        assert_eq!(total(&outcome), gauss(3_000_000));
    }
}

#[test]
fn a_job_that_fails_on_a_split_fails_once_and_leaves_both_devices_usable() {
    let runner = runner(&[gpu(0, 10.0, &[])], DeviceChoice::Split);
    let bad = SumBelow { panic_at: Some(1_500_000), prior_ns_per_unit: 100.0, ..SumBelow::new(3_000_000) };
    let error = runner.submit(Job::kernel(bad)).wait().result.unwrap_err();
    assert_eq!(error.cause, Cause::Panic);
    assert!(runner.engine().set_aside().is_empty());
    assert_eq!(total(&runner.submit(large()).wait()), gauss(3_000_000));
}

#[test]
fn a_mixed_run_over_a_failing_gpu_gives_every_job_one_outcome_in_order() {
    let runner = runner(&[gpu(0, 10.0, &[NullFault::LostAt(5)])], DeviceChoice::Auto);
    let jobs = (0..300_u64).map(|n| match n % 10 {
        0 => large().on(DeviceChoice::Split),
        5 => large().on(DeviceChoice::Gpu),
        _ => Job::kernel(SumBelow::new(n)),
    });
    let outcomes: Vec<Outcome> = runner.map(jobs).collect();
    assert_eq!(outcomes.len(), 300);
    for (n, outcome) in (0..).zip(&outcomes) {
        assert_eq!(outcome.index, n);
        match n % 10 {
            0 => assert_eq!(total(outcome), gauss(3_000_000)),
            5 => {
                if let Err(error) = &outcome.result {
                    assert!(matches!(error.cause, Cause::DeviceLost | Cause::NoDevice), "{error}");
                }
            }
            _ => assert_eq!(total(outcome), gauss(n)),
        }
    }
    let lost = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    assert!(lost > 0, "the fault was reached");
}

#[test]
fn verifying_on_a_device_that_is_not_there_is_an_error() {
    let runner = runner(&[gpu(0, 1.0, &[])], DeviceChoice::Auto);
    assert!(runner.verify(&large(), 1).unwrap().same());
    let error = runner.verify(&large().on(DeviceChoice::GpuIndex(7)), 1).unwrap_err();
    assert_eq!(error.cause, Cause::NoDevice);
}
