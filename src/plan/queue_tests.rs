//! Whoever is busy is weighed by when it will be free.

use super::tests::{choose, cpu, gpu, model};
use super::*;

/// One thread takes a nanosecond a unit, more threads share that, the GPU takes twenty times as long as one thread.
fn slow_gpu() -> crate::model::Model {
    model(&[("cpu", 1, 0.001, 1.0), ("cpu", 2, 0.03, 0.5), ("cpu", 4, 0.03, 0.25), ("gpu 0", 1, 0.5, 20.0)])
}

fn busy_cpu(lanes: u32, busy_for_ms: &[f64]) -> DeviceState {
    DeviceState { busy_for_ms: busy_for_ms.to_vec(), ..cpu(lanes) }
}

#[test]
fn a_lane_that_is_free_is_used_however_long_the_others_are_busy() {
    // One of two lanes is busy for a minute; the job takes a second on the other and twenty on the GPU.
    let plan = choose(1_000_000_000, vec![busy_cpu(2, &[60_000.0]), gpu(0)], &slow_gpu());
    assert!(plan.choice.uses(DeviceId::Cpu), "{}", plan.reason);
    let predicted = plan.candidates[0].predicted.unwrap().ms;
    assert!(predicted < 1_100.0, "{predicted}: {}", plan.reason);
}

#[test]
fn lanes_that_are_all_busy_are_waited_for_or_left_alone() {
    let busy = |ms| vec![busy_cpu(2, &[ms, ms]), gpu(0)];
    let short = choose(1_000_000_000, busy(5_000.0), &slow_gpu());
    assert!(short.choice.uses(DeviceId::Cpu), "{}", short.reason);
    let wait = choose(1_000_000_000, busy(60_000.0), &slow_gpu());
    assert_eq!(wait.choice, Choice::Gpu { index: 0 }, "{}", wait.reason);
}

#[test]
fn threads_that_are_busy_for_a_while_help_once_they_are_free() {
    // Three lanes are free now, the fourth in a tenth of a second: together they take 275 ms.
    let plan = choose(1_000_000_000, vec![busy_cpu(4, &[100.0])], &slow_gpu());
    assert_eq!(plan.choice, Choice::Cpu { threads: 4 }, "{}", plan.reason);
    let predicted = plan.candidates[0].predicted.unwrap().ms;
    assert!((predicted - 275.0).abs() < 5.0, "{predicted}");
}
