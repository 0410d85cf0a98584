//! What the model makes of what was measured, and how it gets over what was measured wrongly.

use std::time::Duration;

use tandem::device::{DeviceId, NullSpec};
use tandem::job::DeviceChoice;
use tandem::model::Measured;

use crate::machine::{CPU_LANES, Machine, Shape, best_single_ms, gpu_of_ratio};

#[test]
fn twelve_runs_three_hundred_times_too_slow_are_overcome_within_twenty_runs() {
    let units = 1_000_000_000;
    // A GPU twenty times as fast as the CPU, poisoned; all threads, poisoned.
    for (gpus, device, lanes) in
        [(vec![gpu_of_ratio(0, 20.0)], DeviceId::Gpu(0), 1), (vec![], DeviceId::Cpu, CPU_LANES)]
    {
        let best = best_single_ms(&gpus, units);
        let mut machine = Machine::new(gpus);
        for _ in 0..3 {
            machine.run_on(units, DeviceChoice::Cpu, 1);
        }
        machine.poison(device, lanes, units, best * 300.0, 12);
        let times: Vec<f64> = (0..30).map(|_| machine.run(units, DeviceChoice::Auto).ms).collect();
        let recovered = times.iter().position(|&ms| ms <= best * 1.05);
        assert!(recovered.is_some_and(|run| run < 20), "{device}: {times:?} against {best}");
        assert!(times[20..].iter().all(|&ms| ms <= best * 1.1), "{device}: {times:?} against {best}");
    }
}

#[test]
fn a_prediction_lies_within_a_quarter_after_ten_runs() {
    for (ratio, units) in [(0.1, 5_000_000), (1.0, 500_000_000), (30.0, 2_000_000_000), (1.0, 1000)] {
        let mut machine = Machine::new(vec![gpu_of_ratio(0, ratio)]);
        for _ in 0..12 {
            machine.run(units, DeviceChoice::Auto);
        }
        let mut runs: Vec<(f64, f64)> = (0..9)
            .map(|_| {
                let run = machine.run(units, DeviceChoice::Auto);
                (run.plan.candidates[0].predicted.expect("it is predicted").ms, run.ms)
            })
            .collect();
        let predicted = runs[0].0;
        runs.sort_by(|a, b| a.1.total_cmp(&b.1));
        let median = runs[4].1;
        assert!((predicted / median - 1.0).abs() <= 0.25, "ratio {ratio}: {predicted} ms predicted, {median} ms taken");
    }
}

#[test]
fn a_closed_gpu_is_not_opened_for_small_jobs_however_many() {
    let setup = Duration::from_millis(200);
    let mut machine = Machine::new(vec![NullSpec { setup, ..gpu_of_ratio(0, 100.0) }]);
    for _ in 0..200 {
        machine.run(5_000_000, DeviceChoice::Auto);
    }
    assert_eq!(machine.chunks_begun[1], 0);
    // One that pays for it, it opens.
    machine.run(20_000_000_000, DeviceChoice::Auto);
    assert!(machine.chunks_begun[1] > 0);
}

#[test]
fn exploring_costs_at_most_a_few_per_cent() {
    // A GPU that is a thousand times slower than the CPU, known to nobody at first.
    let gpus = vec![gpu_of_ratio(0, 0.001)];
    let units = 1_000_000_000;
    let best = best_single_ms(&gpus, units);
    let mut machine = Machine::new(gpus);
    machine.poison(DeviceId::Gpu(0), 1, units, best * 1000.0, 1);
    let total: f64 = (0..50).map(|_| machine.run(units, DeviceChoice::Auto).ms).sum();
    assert!(total / 50.0 <= best * 1.03, "{} ms against {best} ms", total / 50.0);
    assert!(machine.chunks_begun[1] > 0, "it was tried");
}

#[test]
fn set_up_and_upload_three_hundred_times_too_slow_are_overcome_within_twenty_runs_of_new_processes() {
    let units = 40_000_000_000;
    let setup = Duration::from_millis(200);
    let spec = NullSpec { setup, upload_ns_per_unit: 0.002, ..gpu_of_ratio(0, 20.0) };
    // 10 s on the CPU, 0.5 s on the GPU, 0.08 s to send it there.
    let honest = Measured { units, passes: 1, bytes: units, compute_ms: 500.0, upload_ms: 80.0, ..Measured::default() };
    let honest = Measured { cold: true, setup_ms: 200.0, ..honest };
    for (setup_times, upload_times) in [(300.0, 1.0), (1.0, 300.0), (300.0, 300.0)] {
        let poisoned =
            Measured { setup_ms: honest.setup_ms * setup_times, upload_ms: honest.upload_ms * upload_times, ..honest };
        let mut machine = Machine::new(vec![spec.clone()]);
        for threads in [1, CPU_LANES] {
            machine.run_on(units, DeviceChoice::Cpu, threads);
        }
        machine.teach(DeviceId::Gpu(0), 1, &poisoned, 12);
        let mut run = || {
            machine.restart();
            machine.run(units, DeviceChoice::Auto).ms
        };
        let times: Vec<f64> = (0..30).map(|_| run()).collect();
        // Opened anew in every process, by the split that it deserves.
        let best = 780.0;
        let recovered = times.iter().position(|&ms| ms <= best * 1.05);
        assert!(recovered.is_some_and(|run| run < 20), "{setup_times} {upload_times}: {times:?}");
        assert!(times[20..].iter().all(|&ms| ms <= best * 1.1), "{setup_times} {upload_times}: {times:?}");
        // And what it cost to find out is bounded.
        assert!(times.iter().all(|&ms| ms <= 10_000.0 * 1.05), "{setup_times} {upload_times}: {times:?}");
    }
}

#[test]
fn a_gpu_that_is_slow_to_open_indeed_is_tried_again_but_seldom() {
    // A minute to open; jobs of ten seconds, each in a process of its own.
    let spec = NullSpec { setup: Duration::from_secs(60), ..gpu_of_ratio(0, 20.0) };
    let units = 40_000_000_000;
    let mut machine = Machine::new(vec![spec]);
    machine.run(units, DeviceChoice::GpuIndex(0));
    let (mut total_ms, mut openings) = (0.0, 0);
    for _ in 0..400 {
        machine.restart();
        total_ms += machine.run(units, DeviceChoice::Auto).ms;
        openings += u32::from(machine.chunks_begun[1] > 0);
    }
    assert!((1..=3).contains(&openings), "{openings} openings");
    assert!(total_ms <= 400.0 * 10_000.0 * 1.06, "{total_ms} ms, {openings} openings");
}

#[test]
fn preparing_a_kernel_on_an_open_gpu_does_not_change_the_price_of_opening_it() {
    let prepare = Duration::from_millis(30);
    let closed = NullSpec { setup: Duration::from_millis(200), prepare, ..gpu_of_ratio(0, 5.0) };
    let open = NullSpec { setup: Duration::ZERO, ..closed.clone() };
    let measured = |spec: NullSpec| {
        let run = Machine::new(vec![spec]).run(1_000_000_000, DeviceChoice::GpuIndex(0));
        let measured = run.report.runs[0].measured;
        (measured.cold, measured.setup_ms)
    };
    assert_eq!((measured(closed), measured(open)), ((true, 230.0), (false, 30.0)));
}

#[test]
fn two_shapes_of_one_kernel_that_alternate_are_both_predicted_within_a_quarter_after_ten_runs_each() {
    // The second costs two hundred times as much a unit; its kernel believes a hundred times.
    let shapes = [Shape { prior_ns: 1.5, times: 1.0 }, Shape { prior_ns: 150.0, times: 200.0 }];
    for units in [2_000_000, 50_000_000] {
        let mut machine = Machine::new(vec![gpu_of_ratio(0, 0.5)]);
        for _ in 0..10 {
            for shape in shapes {
                machine.run_shape(units, shape);
            }
        }
        for _ in 0..10 {
            for shape in shapes {
                let run = machine.run_shape(units, shape);
                let predicted = run.plan.candidates[0].predicted.expect("it is predicted").ms;
                let ratio = predicted / run.ms;
                assert!((0.75..1.25).contains(&ratio), "{shape:?}: {predicted} ms predicted, {} ms taken", run.ms);
            }
        }
    }
}

#[test]
fn the_first_job_of_another_shape_is_predicted_from_the_shape_that_is_known() {
    let mut machine = Machine::new(vec![]);
    let known = Shape { prior_ns: 1.5, times: 1.0 };
    for _ in 0..10 {
        machine.run_shape(20_000_000, known);
    }
    let run = machine.run_shape(20_000_000, Shape { prior_ns: 300.0, times: 230.0 });
    let predicted = run.plan.candidates[0].predicted.expect("it is predicted");
    assert!(predicted.low_ms <= run.ms && run.ms <= predicted.high_ms, "{predicted:?}, {} ms taken", run.ms);
    assert!((0.5..2.0).contains(&(predicted.ms / run.ms)), "{predicted:?}, {} ms taken", run.ms);
}
