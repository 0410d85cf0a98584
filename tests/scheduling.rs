//! Planner, dispatch and model together, in virtual time, over null devices of any speed: what `auto` and `split` are
//! worth against every single choice.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tandem::device::{DeviceId, DeviceKind, NullFault, NullSpec};
use tandem::engine::RanOn;
use tandem::engine::dispatch::{Action, Admission, Dispatch, Event, JobReport, Lanes, Ticket};
use tandem::job::{Cause, DeviceChoice, JobError};
use tandem::kernels::Work;
use tandem::model::{Measured, Model, ModelKey};
use tandem::plan::{Choice, DeviceState, Plan, PlanRequest, Unusable, plan};

const CPU_LANES: u32 = 4;

/// A run of one job.
struct Run {
    ms: f64,
    result: Result<(), JobError>,
    report: JobReport,
    plan: Plan,
}

/// A machine with null devices, a model and a virtual clock.
struct Machine {
    specs: Vec<NullSpec>,
    chunks_begun: Vec<u64>,
    lost: Vec<DeviceId>,
    model: Model,
    learns: bool,
}

fn fingerprint(id: DeviceId) -> String {
    format!("null {id}")
}

fn cpu(ns_per_unit: f64) -> NullSpec {
    NullSpec {
        id: DeviceId::Cpu,
        kind: DeviceKind::Cpu,
        lanes: CPU_LANES,
        latency: Duration::from_nanos(500),
        ..NullSpec::gpu(0, ns_per_unit)
    }
}

fn gpu(index: u32, ns_per_unit: f64) -> NullSpec {
    NullSpec { latency: Duration::from_micros(200), ..NullSpec::gpu(index, ns_per_unit) }
}

impl Machine {
    /// The CPU, whose lanes take 1 ns a unit each, and these GPUs.
    fn new(gpus: Vec<NullSpec>) -> Self {
        let specs: Vec<NullSpec> = std::iter::once(cpu(1.0)).chain(gpus).collect();
        let chunks_begun = vec![0; specs.len()];
        Self { specs, chunks_begun, lost: Vec::new(), model: Model::new(), learns: true }
    }

    fn work(units: u64) -> Work {
        Work {
            kernel: "null",
            variant: "u64".to_owned(),
            units,
            granularity: 256,
            bytes_per_unit: 1.0,
            bytes_out_per_unit: 0.0,
            prior_ns_per_unit: 1.5,
            passes: 1,
            gpu: true,
        }
    }

    fn states(&self) -> Vec<DeviceState> {
        let state = |(at, spec): (usize, &NullSpec)| DeviceState {
            id: spec.id,
            fingerprint: Arc::from(fingerprint(spec.id)),
            kind: spec.kind,
            unusable: self.lost.contains(&spec.id).then_some(Unusable::Lost),
            lanes: spec.lanes,
            opened: spec.id == DeviceId::Cpu || self.chunks_begun[at] > 0 || spec.setup.is_zero(),
            busy_for_ms: 0.0,
            memory_bytes: spec.memory_bytes,
            max_chunk_bytes: spec.max_chunk_bytes,
            resident: 0.0,
        };
        self.specs.iter().enumerate().map(state).collect()
    }

    fn run(&mut self, units: u64, policy: DeviceChoice) -> Run {
        self.run_on(units, policy, CPU_LANES)
    }

    /// Runs a job in virtual time, on this many threads of the CPU at most, and learns from it.
    fn run_on(&mut self, units: u64, policy: DeviceChoice, threads: u32) -> Run {
        let work = Self::work(units);
        let devices = self.states();
        let request = PlanRequest {
            work: &work,
            policy,
            devices: &devices,
            inventory_known: true,
            model: &self.model,
            threads,
            explain: false,
        };
        let plan = plan(&request).expect("there is a plan");
        let mut dispatch = Dispatch::new();
        let mut actions = Vec::new();
        let mut now = Duration::ZERO;
        for spec in self.specs.iter().filter(|spec| !self.lost.contains(&spec.id)) {
            let shares_cpu = spec.kind == DeviceKind::SoftwareGpu;
            let lanes = Lanes { device: spec.id, lanes: spec.lanes, max_chunk_bytes: spec.max_chunk_bytes, shares_cpu };
            dispatch.on(Event::DeviceAdded(lanes), now, &mut actions);
        }
        dispatch.on(Event::Admitted(Admission::new(1, 1, &work, &plan, policy)), now, &mut actions);
        let mut flights: BinaryHeap<Reverse<(Duration, u64)>> = BinaryHeap::new();
        let mut landing: HashMap<u64, (Ticket, Event)> = HashMap::new();
        let mut folded = Vec::new();
        loop {
            let mut next = Vec::new();
            for action in actions.drain(..) {
                match action {
                    Action::Fold { ticket, units, .. } => {
                        let at = self.specs.iter().position(|spec| spec.id == ticket.device).expect("a known device");
                        let chunk = self.chunks_begun[at];
                        self.chunks_begun[at] += 1;
                        let count = units.end - units.start;
                        let (event, takes) = match self.specs[at].fault_of(count, chunk) {
                            Some(error) => (Event::ChunkFailed { ticket, error }, Duration::from_micros(100)),
                            None => {
                                let phases = self.specs[at].time_of(count, chunk);
                                folded.push((ticket.serial, units));
                                (Event::ChunkDone { ticket, phases, resident: false }, phases.total())
                            }
                        };
                        flights.push(Reverse((now + takes, ticket.serial)));
                        landing.insert(ticket.serial, (ticket, event));
                    }
                    Action::PassComplete { job } => next.push(Event::Finished { job }),
                    Action::SetAside { device, .. } => self.lost.push(device),
                    Action::End { result, report, .. } => {
                        if result.is_ok() {
                            check_covered(units, &folded);
                        }
                        if self.learns {
                            self.learn(&work, &report);
                        }
                        return Run { ms: now.as_secs_f64() * 1e3, result, report, plan };
                    }
                }
            }
            if next.is_empty() {
                let Reverse((at, serial)) = flights.pop().expect("something is in flight");
                now = at;
                let (ticket, event) = landing.remove(&serial).expect("it was launched");
                if !dispatch.wants(ticket) {
                    folded.retain(|(other, _)| *other != serial);
                }
                next.push(event);
            }
            for event in next {
                dispatch.on(event, now, &mut actions);
            }
        }
    }

    fn learn(&mut self, work: &Work, report: &JobReport) {
        for run in &report.runs {
            let fingerprint = fingerprint(run.device);
            let key =
                ModelKey { kernel: work.kernel, variant: &work.variant, fingerprint: &fingerprint, lanes: run.lanes };
            self.model.learn(key, &run.measured);
        }
    }

    /// Poisons what is known of a device: `runs` runs of `units` that took `ms` each.
    fn poison(&mut self, device: DeviceId, lanes: u32, units: u64, ms: f64, runs: u32) {
        let work = Self::work(units);
        let fingerprint = fingerprint(device);
        let key = ModelKey { kernel: work.kernel, variant: &work.variant, fingerprint: &fingerprint, lanes };
        for _ in 0..runs {
            self.model.learn(key, &Measured { units, passes: 1, bytes: units, compute_ms: ms, ..Measured::default() });
        }
    }
}

/// Each unit was folded once.
fn check_covered(units: u64, folded: &[(u64, std::ops::Range<u64>)]) {
    let mut ranges: Vec<_> = folded.iter().map(|(_, range)| range.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    let end = ranges.iter().fold(0, |next, range| {
        assert_eq!(range.start, next, "{ranges:?}");
        range.end
    });
    assert_eq!(end, units);
}

/// What single devices and one thread take, each on a machine of its own that has learned the shape.
fn best_single_ms(gpus: &[NullSpec], units: u64) -> f64 {
    let mut best = f64::INFINITY;
    let mut measure = |policy, threads| {
        let mut machine = Machine::new(gpus.to_vec());
        for _ in 0..3 {
            machine.run_on(units, policy, threads);
        }
        best = machine.run_on(units, policy, threads).ms.min(best);
    };
    measure(DeviceChoice::Cpu, 1);
    measure(DeviceChoice::Cpu, CPU_LANES);
    for index in 0..gpus.len() as u32 {
        measure(DeviceChoice::GpuIndex(index), CPU_LANES);
    }
    best
}

/// Speeds of a GPU against all of the CPU, from a hundredth to a hundred times.
const RATIOS: [f64; 9] = [0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0];

fn gpu_of_ratio(index: u32, ratio: f64) -> NullSpec {
    gpu(index, 1.0 / f64::from(CPU_LANES) / ratio)
}

#[test]
fn a_split_is_never_more_than_a_twentieth_slower_than_the_best_device_whatever_the_ratio() {
    for ratio in RATIOS {
        for units in [1_000_000, 20_000_000, 4_000_000_000] {
            let gpus = vec![gpu_of_ratio(0, ratio)];
            let best = best_single_ms(&gpus, units);
            // On the very first run, with nothing but priors, jobs that take long enough have time to find out.
            let mut machine = Machine::new(gpus);
            let first = machine.run(units, DeviceChoice::Split).ms;
            for _ in 0..4 {
                machine.run(units, DeviceChoice::Split);
            }
            let learned = machine.run(units, DeviceChoice::Split).ms;
            assert!(learned <= best * 1.05 + 0.25, "ratio {ratio}, {units} units: {learned} ms against {best} ms");
            if best >= 100.0 {
                assert!(first <= best * 1.05, "ratio {ratio}, {units} units, first run: {first} ms against {best} ms");
            }
        }
    }
}

#[test]
fn a_split_of_a_large_job_comes_within_a_tenth_of_the_sum_of_speeds() {
    let cases: [&[f64]; 5] = [&[1.0], &[5.0], &[0.3], &[1.0, 0.5, 3.0], &[20.0, 20.0]];
    for ratios in cases {
        let gpus: Vec<_> = ratios.iter().zip(0..).map(|(&ratio, index)| gpu_of_ratio(index, ratio)).collect();
        let units = 8_000_000_000_u64;
        let mut machine = Machine::new(gpus);
        for _ in 0..3 {
            machine.run(units, DeviceChoice::Split);
        }
        let run = machine.run(units, DeviceChoice::Split);
        let ideal = units as f64 / 1e6 / f64::from(CPU_LANES) / (1.0 + ratios.iter().sum::<f64>());
        assert!(run.ms <= ideal * 1.1, "{ratios:?}: {} ms against {ideal} ms", run.ms);
        assert_eq!(run.report.ran_on, RanOn::Split);
    }
}

#[test]
fn auto_stays_within_a_twentieth_of_the_best_choice_on_what_it_has_seen() {
    for ratio in RATIOS {
        for units in [300, 30_000, 1_000_000, 20_000_000, 1_000_000_000] {
            let gpus = vec![gpu_of_ratio(0, ratio)];
            let best = best_single_ms(&gpus, units);
            let mut machine = Machine::new(gpus);
            for _ in 0..30 {
                machine.run(units, DeviceChoice::Auto);
            }
            let runs = 40;
            let total: f64 = (0..runs).map(|_| machine.run(units, DeviceChoice::Auto).ms).sum();
            let mean = total / f64::from(runs);
            // Jobs below two milliseconds are not explored with: they may miss by a fraction of a dispatch's latency.
            let slack = if best < 2.0 { 0.1 } else { 0.0 };
            assert!(mean <= best * 1.05 + slack, "ratio {ratio}, {units} units: {mean} ms against {best} ms");
        }
    }
}

#[test]
fn auto_uses_both_devices_where_that_is_faster() {
    let gpus = vec![gpu_of_ratio(0, 1.0)];
    let units = 2_000_000_000;
    let best = best_single_ms(&gpus, units);
    let mut machine = Machine::new(gpus);
    for _ in 0..10 {
        machine.run(units, DeviceChoice::Auto);
    }
    let run = machine.run(units, DeviceChoice::Auto);
    assert!(matches!(run.plan.choice, Choice::Split { .. }), "{:?}", run.plan.choice);
    assert!(run.ms < best * 0.56, "{} ms against {best} ms", run.ms);
}

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
fn a_gpu_lost_in_the_middle_costs_auto_and_split_time_only() {
    for policy in [DeviceChoice::Auto, DeviceChoice::Split] {
        let faults = vec![NullFault::LostAt(1)];
        let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 10.0) }]);
        let units = 16_000_000_000;
        machine.poison(DeviceId::Gpu(0), 1, units, 400.0, 3);
        let run = machine.run(units, policy);
        assert_eq!(run.result, Ok(()), "{policy}");
        assert!(run.report.attempts >= 2, "{policy}: {:?}", run.report);
        assert_eq!(machine.lost, [DeviceId::Gpu(0)]);
        let after = machine.run(units, DeviceChoice::Auto);
        assert_eq!(after.report.ran_on, RanOn::One(DeviceId::Cpu));
    }
}

#[test]
fn a_gpu_lost_in_the_middle_fails_the_job_that_asked_for_it_by_name() {
    let faults = vec![NullFault::LostAt(1)];
    let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 10.0) }]);
    let run = machine.run(4_000_000_000, DeviceChoice::Gpu);
    assert_eq!(run.result.map_err(|error| error.cause), Err(Cause::DeviceLost));
    assert!(run.report.runs.is_empty(), "nothing is learned from a failure");
}

#[test]
fn a_gpu_with_little_memory_gets_smaller_chunks() {
    let faults = vec![NullFault::OutOfMemoryAbove(1_000_000)];
    let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 10.0) }]);
    let run = machine.run(200_000_000, DeviceChoice::Gpu);
    assert_eq!((run.result, run.report.ran_on), (Ok(()), RanOn::One(DeviceId::Gpu(0))));
    assert!((2..20).contains(&run.report.attempts), "{:?}", run.report);
}

#[test]
fn a_device_that_turns_slow_in_the_middle_is_left_behind() {
    // From its fifth chunk on the GPU takes fifty times as long.
    let faults = vec![NullFault::SlowFrom { chunk: 5, times: 50.0 }];
    let mut machine = Machine::new(vec![NullSpec { faults, ..gpu_of_ratio(0, 1.0) }]);
    let units = 8_000_000_000;
    let alone = best_single_ms(&[], units);
    let run = machine.run(units, DeviceChoice::Split);
    // It holds one chunk of a tenth of a second when it turns, which then takes five seconds; no other follows it.
    assert!(run.ms <= alone.max(5_500.0) * 1.05, "{} ms against {alone} ms", run.ms);
    assert!(machine.chunks_begun[1] <= 8, "{} chunks", machine.chunks_begun[1]);
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
