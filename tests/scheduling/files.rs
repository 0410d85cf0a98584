//! Many jobs at once: queue times are counted, so that all devices are kept busy and nobody waits for the wrong one.

use tandem::device::DeviceId;
use tandem::job::DeviceChoice;

use crate::machine::{Asked, CPU_LANES, FileRun, Machine, PLAIN, Shape, gpu_of_ratio};

/// Random numbers below 2^32: SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ mixed >> 27) >> 32) % end
    }
}

const DEAR: Shape = Shape { prior_ns: 12.0, times: 10.0 };

/// Jobs of all sizes in no order: from a quarter of a millisecond to a second on all of the CPU, some ten times as dear
/// a unit, some without a GPU side.
fn mixed(count: usize, seed: u64) -> Vec<Asked> {
    let mut dice = Dice(seed);
    let mut job = |_| {
        let units = (1 << (20 + dice.below(9))) * (1 + dice.below(8)) * 2;
        let dear = dice.below(4) == 0;
        let gpu = dice.below(5) > 0;
        let (units, shape) = if dear { (units / 8, DEAR) } else { (units, PLAIN) };
        Asked { shape, gpu, ..Asked::auto(units) }
    };
    (0..count).map(&mut job).collect()
}

/// How long all of it takes on the CPU alone, every lane busy to the end.
fn cpu_ms(jobs: &[Asked]) -> f64 {
    jobs.iter().map(|job| job.units as f64 * job.shape.times / 1e6).sum::<f64>() / f64::from(CPU_LANES)
}

/// The part of the run that a device was idle for.
fn idle(run: &FileRun, at: usize, lanes: u32) -> f64 {
    1.0 - run.busy_ms[at] / f64::from(lanes) / run.ms
}

#[test]
fn a_mixed_job_file_keeps_all_devices_busy() {
    let ratios = [1.5, 0.75];
    let mut machine = Machine::new(vec![gpu_of_ratio(0, ratios[0]), gpu_of_ratio(1, ratios[1])]);
    for seed in 0..3 {
        machine.run_file(&mixed(300, seed));
    }
    let jobs = mixed(300, 77);
    let run = machine.run_file(&jobs);
    let ideal_ms = cpu_ms(&jobs) / (1.0 + ratios.iter().sum::<f64>());
    assert!(run.ms <= ideal_ms * 1.15, "{} ms against {ideal_ms} ms", run.ms);
    for (at, lanes) in [(0, CPU_LANES), (1, 1), (2, 1)] {
        let idle = idle(&run, at, lanes);
        assert!(idle <= 0.15, "device {at} was idle for {:.0} % of {} ms", idle * 100.0, run.ms);
    }
}

#[test]
fn a_job_takes_the_lane_that_is_free_rather_than_a_gpu_that_is_slow() {
    // A GPU twenty times as slow as one lane.
    let mut machine = Machine::new(vec![gpu_of_ratio(0, 1.0 / 80.0)]);
    let units = 1_000_000_000;
    for threads in [1, CPU_LANES] {
        machine.run_on(units, DeviceChoice::Cpu, threads);
    }
    machine.run_on(units, DeviceChoice::GpuIndex(0), 1);
    // All lanes but one are taken for a minute by jobs of one chunk.
    let long = Asked { granularity: 60 * units, policy: DeviceChoice::Cpu, ..Asked::auto(60 * units) };
    let mut jobs = vec![long; CPU_LANES as usize - 1];
    jobs.push(Asked::auto(units));
    let run = machine.run_file(&jobs);
    let last = run.runs.last().expect("every job ran");
    assert!(last.plan.choice.uses(DeviceId::Cpu), "{:?}", last.plan.choice);
    // A second on the lane that is free; a little less where the GPU helps.
    let predicted_ms = last.plan.candidates[0].predicted.expect("it is predicted").ms;
    assert!(last.ms <= 1_050.0 && predicted_ms <= 1_050.0, "{predicted_ms} ms predicted, {} ms taken", last.ms);
}

#[test]
fn what_waiting_was_predicted_comes_true() {
    let mut machine = Machine::new(vec![]);
    for _ in 0..3 {
        machine.run_file(&mixed(100, 5));
    }
    // All of one size, so that none passes another.
    let jobs = vec![Asked::auto(400_000_000); 12];
    let run = machine.run_file(&jobs);
    let run = (0..3).fold(run, |_, _| machine.run_file(&jobs));
    for (place, run) in run.runs.iter().enumerate() {
        let predicted_ms = run.plan.candidates[0].predicted.expect("it is predicted").ms;
        let ratio = predicted_ms / run.ms;
        assert!((0.75..1.25).contains(&ratio), "job {place}: {predicted_ms} ms predicted, {} ms taken", run.ms);
    }
}
