//! When jobs run as one, and when they wait for others.

use super::super::tests::{cpu, gpu, model, work};
use super::*;
use crate::device::DeviceKind;
use crate::job::DeviceChoice;
use crate::model::Model;
use crate::plan::Stream;

/// A unit takes a nanosecond on one thread; the GPU takes so many milliseconds for nothing, and a hundredth of a nanosecond a unit.
fn fixed(fixed_ms: f64) -> Model {
    model(&[("cpu", 1, 0.001, 1.0), ("cpu", 8, 0.03, 1.0 / 7.3), ("gpu 0", 1, fixed_ms, 0.01)])
}

/// So many jobs that take a thread half a millisecond each.
fn weighed(jobs: u64, small: bool, devices: &[DeviceState], model: &Model, stream: Stream<'_>) -> Fusion {
    let request = PlanRequest {
        work: &work(jobs * 500_000),
        policy: DeviceChoice::Auto,
        devices,
        inventory_known: true,
        model,
        threads: 8,
        explain: true,
        stream,
    };
    fusion(&request, jobs, small).unwrap()
}

fn small(jobs: u64, devices: &[DeviceState], model: &Model) -> Fusion {
    weighed(jobs, true, devices, model, Stream::default())
}

#[test]
fn a_gpu_of_one_millisecond_fixed_cost_is_bought_for_a_hundred_jobs_of_half_a_millisecond_and_not_for_two() {
    let model = fixed(1.0);
    let devices = [cpu(8), gpu(0)];
    let many = small(100, &devices, &model);
    assert!(many.pays && many.plan.choice.uses(DeviceId::Gpu(0)) && !many.opens, "{many:?}");
    // A hundred take eight threads 7 ms, and the GPU 1 ms and 0.5.
    assert!((many.apart_ms - 50.0 / 7.3).abs() < 0.2, "{many:?}");
    assert!(many.together_ms < 1.7 && (many.fixed_ms - 1.0).abs() < 0.1, "{many:?}");
    assert!((many.job_ms - 0.005).abs() < 0.001, "{many:?}");
    let two = small(2, &devices, &model);
    assert!(!two.pays, "{two:?}");
    assert!((two.apart_ms - 0.5).abs() < 0.1, "each on a thread of its own: {two:?}");
}

#[test]
fn without_a_gpu_or_with_a_slow_one_each_runs_by_itself() {
    assert!(!small(1000, &[cpu(8)], &fixed(1.0)).pays);
    let slow = model(&[("cpu", 1, 0.001, 1.0), ("cpu", 8, 0.03, 1.0 / 7.3), ("gpu 0", 1, 1.0, 20.0)]);
    assert!(!small(1000, &[cpu(8), gpu(0)], &slow).pays);
    let lost = DeviceState { unusable: Some(crate::plan::Unusable::Lost), ..gpu(0) };
    assert!(!small(1000, &[cpu(8), lost], &fixed(1.0)).pays);
    let software = DeviceState { kind: DeviceKind::SoftwareGpu, ..gpu(0) };
    assert!(small(100, &[cpu(8), software], &fixed(1.0)).pays, "one that is allowed and fast is as good as any");
}

#[test]
fn busy_lanes_and_busy_gpus_are_weighed_by_when_they_are_free() {
    let model = fixed(1.0);
    let busy_cpu = DeviceState { busy_for_ms: vec![30.0; 8], ..cpu(8) };
    assert!(small(2, &[busy_cpu.clone(), gpu(0)], &model).pays, "the GPU is free");
    let busy_gpu = DeviceState { busy_for_ms: vec![40.0], ..gpu(0) };
    assert!(!small(100, &[cpu(8), busy_gpu.clone()], &model).pays, "the lanes are done by then");
    assert!(!small(2, &[busy_cpu, busy_gpu], &model).pays);
}

#[test]
fn larger_jobs_run_as_one_only_where_the_fixed_cost_is_most_of_what_each_takes_on_the_gpu() {
    let devices = [cpu(8), gpu(0)];
    let large = |model: &Model| weighed(20, false, &devices, model, Stream::default());
    let dear = large(&fixed(1.0));
    assert!(dear.pays, "{dear:?}");
    let cheap = large(&fixed(0.002));
    assert!(!cheap.pays && cheap.fixed_ms < cheap.job_ms, "{cheap:?}");
    assert!(small(20, &devices, &fixed(0.002)).pays, "small ones would not come to a GPU at all");
}

#[test]
fn a_closed_gpu_is_opened_for_those_that_wait_behind() {
    let model = fixed(1.0);
    let devices = [cpu(8), DeviceState { opened: false, ..gpu(0) }];
    let behind = |jobs: u64| Stream { jobs, prior_ms: jobs as f64 * 0.5, ..Stream::default() };
    let few = weighed(100, true, &devices, &model, behind(100));
    assert!(!few.pays && !few.opens, "{few:?}");
    let many = weighed(100, true, &devices, &model, behind(100_000));
    assert!(many.pays && many.opens, "{many:?}");
}

#[test]
fn each_is_told_what_it_was_part_of_and_what_of_it_was_its_share() {
    let devices = [cpu(8), gpu(0)];
    let fusion = small(100, &devices, &fixed(1.0));
    let plan = fusion.plan_of(100, 0.01, &work(500_000));
    assert!(plan.reason.contains("100 jobs of one kernel that waited together ran as one on "), "{}", plan.reason);
    let predicted = plan.candidates[0].predicted.unwrap();
    assert!((predicted.ms - fusion.together_ms / 100.0).abs() < 1e-9, "{predicted:?}");
    assert_eq!(plan.work.map(|work| work.units), Some(500_000));
    assert_eq!(plan.choice, fusion.plan.choice);
}

/// Two jobs wait; a piece of work costs a millisecond, and a job a hundredth more.
const TWO: Waiting = Waiting { jobs: 2, jobs_per_ms: 0.0, fixed_ms: 1.0, job_ms: 0.01, apart_ms: 5.0, alone_ms: 5.0 };

fn wait_ms(waiting: Waiting) -> f64 {
    wait_pays(&waiting).as_secs_f64() * 1e3
}

#[test]
fn nobody_waits_for_those_who_do_not_come() {
    assert_eq!(wait_pays(&TWO), Duration::ZERO);
    // One in ten milliseconds: two would wait for nobody.
    assert_eq!(wait_pays(&Waiting { jobs_per_ms: 0.1, ..TWO }), Duration::ZERO);
    // Two in a millisecond are as many as are here: they gain no more than these lose.
    assert_eq!(wait_pays(&Waiting { jobs_per_ms: 1.9, ..TWO }), Duration::ZERO);
}

#[test]
fn a_wait_is_bought_where_more_come_within_a_fixed_cost_than_wait_already() {
    let ms = wait_ms(Waiting { jobs_per_ms: 10.0, ..TWO });
    assert!((0.2..0.6).contains(&ms), "{ms}");
    assert!(wait_ms(Waiting { jobs_per_ms: 20.0, ..TWO }) > ms, "the more come");
    assert!(wait_ms(Waiting { jobs: 1, jobs_per_ms: 10.0, ..TWO }) > ms, "the fewer wait");
    assert_eq!(wait_ms(Waiting { jobs: 12, jobs_per_ms: 10.0, ..TWO }), 0.0, "a steady stream");
}

#[test]
fn none_is_bought_where_the_cpu_would_end_them_or_those_that_come_as_early() {
    let many = Waiting { jobs_per_ms: 10.0, ..TWO };
    assert_eq!(wait_pays(&Waiting { apart_ms: 1.0, ..many }), Duration::ZERO, "these could begin now, and end earlier");
    assert_eq!(wait_pays(&Waiting { alone_ms: 0.5, ..many }), Duration::ZERO, "lanes are free for those that come");
    assert_eq!(wait_pays(&Waiting { job_ms: 1.0, ..many }), Duration::ZERO, "each joins at the cost of the others");
}

#[test]
fn no_wait_is_longer_than_it_may_be_and_none_comes_of_nonsense() {
    let dear = Waiting { fixed_ms: 1e3, apart_ms: 1e6, alone_ms: 1e6, jobs_per_ms: 100.0, ..TWO };
    assert_eq!(wait_pays(&dear), WAIT_MAX);
    for nonsense in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(wait_pays(&Waiting { jobs_per_ms: nonsense, ..TWO }), Duration::ZERO);
        assert_eq!(wait_pays(&Waiting { fixed_ms: nonsense, jobs_per_ms: 10.0, ..TWO }), Duration::ZERO);
        assert_eq!(wait_pays(&Waiting { alone_ms: nonsense, jobs_per_ms: 10.0, ..TWO }), Duration::ZERO);
    }
    assert_eq!(wait_pays(&Waiting { jobs: 0, jobs_per_ms: 10.0, ..TWO }), Duration::ZERO);
}
