//! Jobs of one kernel that differ in what a unit costs.

use super::tests::{cpu, gpu, work};
use super::*;
use crate::kernels::Work;
use crate::model::{Measured, Model, ModelKey};

fn learn(model: &mut Model, work: &Work, fingerprint: &str, lanes: u32, compute_ms: f64) {
    let key = ModelKey::of(work, fingerprint, lanes);
    assert!(model.learn(key, &Measured { units: work.units, passes: 1, compute_ms, ..Measured::default() }));
}

fn predicted(work: &Work, devices: &[DeviceState], model: &Model, choice: &Choice) -> Prediction {
    let policy = DeviceChoice::Auto;
    let request = PlanRequest {
        work,
        policy,
        devices,
        inventory_known: true,
        model,
        threads: 8,
        explain: true,
        stream: Stream::default(),
    };
    let plan = plan(&request).unwrap();
    let candidate = plan.candidates.into_iter().find(|candidate| candidate.choice == *choice);
    candidate.and_then(|candidate| candidate.predicted).unwrap_or_else(|| panic!("{choice} is weighed"))
}

#[test]
fn a_dear_job_is_predicted_from_cheap_ones_by_what_the_kernel_says_of_both_and_unsurely() {
    let cheap = Work { prior_ns_per_unit: 2.0, ..work(1_000_000) };
    let dear = Work { prior_ns_per_unit: 400.0, ..work(1_000_000) };
    let mut model = Model::new();
    for units in [1_000_000, 100_000_000] {
        let cheap = Work { units, ..cheap.clone() };
        // The kernel is wrong about itself by half.
        learn(&mut model, &cheap, "cpu", 1, units as f64 * 3e-6);
        learn(&mut model, &cheap, "gpu 0", 1, 0.5 + units as f64 * 1e-7);
    }
    let devices = [cpu(8), gpu(0)];
    let one = predicted(&dear, &devices, &model, &Choice::Cpu { threads: 1 });
    assert!((one.ms / 600.0 - 1.0).abs() < 0.1, "{one:?}");
    assert!(one.high_ms > one.ms * 1.8 && one.low_ms < one.ms / 1.8, "{one:?}");
    // What does not grow with the work is not scaled: 0.5 ms, 20 ms, and the upload.
    let gpu_ms = predicted(&dear, &devices, &model, &Choice::Gpu { index: 0 }).ms;
    assert!((gpu_ms / 21.0 - 1.0).abs() < 0.1, "{gpu_ms}");
}

#[test]
fn a_job_that_asks_for_more_is_predicted_from_those_that_do_not_until_its_like_has_run() {
    let plain = Work { variant: "f64".to_owned(), prior_ns_per_unit: 2.0, ..work(10_000_000) };
    let more = Work { variant: "f64 quantiles".to_owned(), prior_ns_per_unit: 7.0, ..work(10_000_000) };
    let other = Work { variant: "f32".to_owned(), ..more.clone() };
    let mut model = Model::new();
    learn(&mut model, &plain, "cpu", 1, 30.0);
    let ms = |work: &Work, model: &Model| predicted(work, &[cpu(1)], model, &Choice::Cpu { threads: 1 }).ms;
    assert!((ms(&more, &model) / 105.0 - 1.0).abs() < 0.1, "{}", ms(&more, &model));
    assert!((ms(&other, &model) / 70.0 - 1.0).abs() < 0.1, "another type is no relative: {}", ms(&other, &model));
    learn(&mut model, &more, "cpu", 1, 50.0);
    assert!((ms(&more, &model) / 50.0 - 1.0).abs() < 0.01, "{}", ms(&more, &model));
    assert!((ms(&plain, &model) / 30.0 - 1.0).abs() < 0.01, "{}", ms(&plain, &model));
}

#[test]
fn preparing_on_an_open_gpu_is_priced_by_what_it_took_there_and_not_by_opening_it() {
    let work = work(100_000_000);
    let mut model = Model::new();
    let run = Measured { units: work.units, passes: 1, compute_ms: 10.0, ..Measured::default() };
    let key = ModelKey::of(&work, "gpu 0", 1);
    model.learn(key, &Measured { cold: true, setup_ms: 300.0, ..run });
    for _ in 0..4 {
        model.learn(key, &Measured { setup_ms: 40.0, ..run });
    }
    let devices = |opened| [cpu(1), DeviceState { opened, resident: 1.0, ..gpu(0) }];
    let ms = |opened| predicted(&work, &devices(opened), &model, &Choice::Gpu { index: 0 }).ms;
    assert!((ms(true) - 50.0).abs() < 1.0, "{}", ms(true));
    assert!((ms(false) - 310.0).abs() < 1.0, "{}", ms(false));
}

/// The lists of four and six numbers in `examples/jobs.jsonl`, as their plans are explained, and then a list of a million.
#[test]
fn jobs_of_microseconds_do_not_make_one_of_a_million_units_look_like_seconds() {
    let list = |units| Work { prior_ns_per_unit: 64.0, bytes_per_unit: 8.0, ..work(units) };
    let mut model = Model::new();
    learn(&mut model, &list(4), "cpu", 1, 0.0294);
    learn(&mut model, &list(6), "cpu", 1, 0.0416);
    for (threads, prior_ms) in [(1, 64.0), (2, 64.0 / 1.9)] {
        let found = predicted(&list(1_000_000), &[cpu(2)], &model, &Choice::Cpu { threads });
        assert!((found.ms / prior_ms - 1.0).abs() < 0.05, "{threads}: {found:?}");
        assert!(found.low_ms < 42.0 && found.high_ms > 200.0, "unsure: {threads}: {found:?}");
    }
    // A relative that costs another sum a unit is as little proof.
    let dear = Work { prior_ns_per_unit: 640.0, ..list(1_000_000) };
    let found = predicted(&dear, &[cpu(1)], &model, &Choice::Cpu { threads: 1 });
    assert!((found.ms / 640.0 - 1.0).abs() < 0.1, "{found:?}");
    // The first large one is believed.
    learn(&mut model, &list(500_000), "cpu", 1, 500.0);
    let found = predicted(&list(1_000_000), &[cpu(1)], &model, &Choice::Cpu { threads: 1 });
    assert!((found.ms / 1000.0 - 1.0).abs() < 0.05, "{found:?}");
}
