//! Simulated runs of random jobs on random machines: what holds for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::job::DeviceChoice;
use crate::kernels::Work;
use crate::plan::Policy;
use crate::random::SplitMix64;

/// Random numbers in bounds.
pub(super) struct Dice(SplitMix64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SplitMix64(seed))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }

    /// From `low` to `high`, each octave as likely.
    fn octaves(&mut self, low: f64, high: f64) -> f64 {
        low * (high / low).powf(self.below(1001) as f64 / 1000.0)
    }
}

pub(super) fn machine(threads: u32, gpus: Vec<Gpu>) -> Machine {
    let (speed, thread_efficiency, speeds) = (1.0, 0.9, BTreeMap::new());
    let cpu = Cpu { threads, memory_bytes: 16 << 30, speed, thread_efficiency, speeds };
    Machine { schema: 1, name: "made up".to_owned(), notes: Vec::new(), cpu, gpus }
}

pub(super) fn gpu(speed: f64) -> Gpu {
    Gpu {
        name: "made up".to_owned(),
        kind: GpuKind::Discrete,
        memory_bytes: 8 << 30,
        max_chunk_bytes: 1 << 30,
        upload_bytes_per_s: 12e9,
        readback_bytes_per_s: 12e9,
        cold_start_ms: 300.0,
        latency_ms: 0.1,
        speed,
        speeds: BTreeMap::new(),
    }
}

pub(super) fn work(units: u64, prior_ns_per_unit: f64) -> Work {
    Work {
        kernel: "stats",
        variant: "f32".to_owned(),
        units,
        granularity: 1024,
        bytes_per_unit: 4.0,
        bytes_out_per_unit: 0.0,
        prior_ns_per_unit,
        passes: 1,
        gpu: true,
    }
}

pub(super) fn kernel(index: u64, work: Work) -> SimJob {
    job(index, SimWork::Kernel(Arc::new(work)))
}

fn job(index: u64, work: SimWork) -> SimJob {
    let kind = if matches!(work, SimWork::Kernel(_)) { "stats" } else { "factor" };
    let id = format!("#{}", index + 1).into();
    SimJob { index, id, kind, work, after: Vec::new(), memory_bytes: 0, device: None, priority: 0 }
}

fn random_machine(dice: &mut Dice) -> Machine {
    let gpus = (0..dice.below(4)).map(|_| {
        let kinds = [GpuKind::Discrete, GpuKind::Integrated, GpuKind::Virtual, GpuKind::Software];
        Gpu {
            kind: kinds[dice.below(4) as usize],
            memory_bytes: dice.octaves(1e6, 1e11) as u64,
            max_chunk_bytes: dice.octaves(1e4, 1e9) as u64,
            upload_bytes_per_s: dice.octaves(1e8, 1e11),
            cold_start_ms: dice.octaves(1.0, 2000.0),
            latency_ms: dice.octaves(0.01, 1.0),
            ..gpu(dice.octaves(0.3, 1000.0))
        }
    });
    let gpus = gpus.collect();
    let mut machine = machine(1 + dice.below(24) as u32, gpus);
    machine.cpu.thread_efficiency = dice.octaves(0.1, 1.0);
    machine.cpu.speed = dice.octaves(0.2, 5.0);
    machine
}

fn random_jobs(dice: &mut Dice) -> Vec<SimJob> {
    let count = 1 + dice.below(60);
    let kernels = ["stats", "primes", "own"];
    (0..count)
        .map(|index| {
            let sim_work = match dice.below(6) {
                0 => SimWork::Task { ms: dice.octaves(0.001, 500.0), waits: false },
                1 => SimWork::Task { ms: dice.octaves(1.0, 500.0), waits: true },
                _ => {
                    let kind = dice.below(3) as usize;
                    let mut work = work(dice.octaves(1.0, 1e9) as u64, [0.3, 5.0, 40.0][kind]);
                    work.kernel = kernels[kind];
                    work.gpu = kind != 2;
                    work.granularity = dice.octaves(1.0, 1e6) as u64;
                    work.bytes_per_unit = [4.0, 0.0, 8.0][kind];
                    work.bytes_out_per_unit = dice.below(2) as f64;
                    work.passes = 1 + dice.below(3) as u32;
                    SimWork::Kernel(Arc::new(work))
                }
            };
            let after = if index > 0 && dice.below(4) == 0 { vec![dice.below(index) as u32] } else { Vec::new() };
            let memory_bytes = if dice.below(5) == 0 { dice.octaves(1e6, 4e10) as u64 } else { 0 };
            let device = (dice.below(10) == 0).then_some(DeviceChoice::Cpu);
            let priority = dice.below(3) as i32;
            SimJob { after, memory_bytes, device, priority, ..job(index, sim_work) }
        })
        .collect()
}

#[test]
fn every_job_ends_once_after_those_it_waits_for_and_no_run_beats_the_bound() {
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let (machine, jobs) = (random_machine(&mut dice), random_jobs(&mut dice));
        for policy in Policy::ALL {
            for hidden_truth in [None, Some(seed)] {
                let case = format!("seed {seed}, {policy}, {hidden_truth:?}");
                let jobs_at_once = (seed % 3 == 0).then_some(2);
                let options = Options { policy, hidden_truth, jobs_at_once, timeline: true, memory_bytes: None };
                let run = simulate(&jobs, &machine, &options);
                assert!(run.refused.is_empty(), "{case}: {:?}", run.refused);
                let timeline = run.timeline.as_ref().unwrap();
                let ended: Vec<u64> = timeline.jobs.iter().map(|line| line.index).collect();
                assert_eq!(ended, (0..jobs.len() as u64).collect::<Vec<_>>(), "{case}");
                for (job, line) in jobs.iter().zip(&timeline.jobs) {
                    for parent in &job.after {
                        let parent = &timeline.jobs[*parent as usize];
                        assert!(parent.ended <= line.submitted, "{case}: {parent:?} {line:?}");
                    }
                }
                let bound = run.lower_bound.as_secs_f64();
                assert!(bound > 0.0 && bound <= run.makespan.as_secs_f64() * 1.000_001 + 1e-8, "{case}: {run:?}");
                assert!(timeline.memory.iter().all(|(_, bytes)| *bytes <= machine.cpu.memory_bytes), "{case}");
                no_track_does_two_things_at_once(&run, &case);
                let shares: f64 = run.devices.iter().map(|device| device.share).sum();
                assert!(shares == 0.0 || (shares - 1.0).abs() < 1e-9, "{case}: {shares}");
                assert!(run.waiting.mean <= run.waiting.max && run.waiting.p95 <= run.waiting.max, "{case}");
            }
        }
    }
}

fn no_track_does_two_things_at_once(run: &Simulated, case: &str) {
    let timeline = run.timeline.as_ref().unwrap();
    let mut free = vec![std::time::Duration::ZERO; timeline.tracks.len()];
    for span in &timeline.spans {
        let free = &mut free[span.track as usize];
        assert!(span.begin >= *free && span.end >= span.begin, "{case}: {span:?}");
        *free = span.end;
        assert!(span.end <= timeline.makespan, "{case}: {span:?}");
    }
}

#[test]
fn the_same_jobs_give_the_same_run_and_another_hidden_truth_another() {
    for seed in 0..20 {
        let mut dice = Dice::new(seed);
        let (machine, jobs) = (random_machine(&mut dice), random_jobs(&mut dice));
        let run = |hidden_truth| {
            let options = Options { hidden_truth, timeline: true, ..Options::default() };
            simulate(&jobs, &machine, &options)
        };
        assert_eq!(run(Some(seed)), run(Some(seed)), "seed {seed}");
        assert_ne!(run(Some(seed)).makespan, run(Some(seed + 1)).makespan, "seed {seed}");
    }
}

#[test]
fn a_single_job_takes_what_its_machine_says() {
    // A billion units of 1 ns: a second on one thread, 1 / 3.7 of that on four.
    let alone = simulate(&[kernel(0, work(1_000_000_000, 1.0))], &machine(1, vec![]), &Options::default());
    assert!((alone.makespan.as_secs_f64() - 1.0).abs() < 1e-6, "{alone:?}");
    let four = simulate(&[kernel(0, work(1_000_000_000, 1.0))], &machine(4, vec![]), &Options::default());
    assert!((four.makespan.as_secs_f64() * 3.7 - 1.0).abs() < 0.02, "{four:?}");
    assert!(four.above_bound() < 0.02, "{four:?}");
    // On a GPU: opening it, moving 4 GB at 12 GB/s, computing 0.1 s.
    let options = Options { policy: Policy::Gpu, ..Options::default() };
    let on_gpu = simulate(&[kernel(0, work(1_000_000_000, 1.0))], &machine(1, vec![gpu(10.0)]), &options);
    let expected = 0.3 + 4.0 / 12.0 + 0.1;
    assert!((on_gpu.makespan.as_secs_f64() / expected - 1.0).abs() < 0.02, "{on_gpu:?}");
    assert_eq!(on_gpu.devices[1].share, 1.0);
}

#[test]
fn a_job_that_asks_for_what_is_not_there_is_refused_with_those_that_wait_for_it() {
    let mut jobs: Vec<SimJob> = (0..4).map(|index| kernel(index, work(1_000_000, 1.0))).collect();
    jobs[0].device = Some(DeviceChoice::Gpu);
    jobs[1].after = vec![0];
    jobs[2].after = vec![1];
    let run = simulate(&jobs, &machine(2, vec![]), &Options::default());
    assert_eq!(run.refused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2], "{:?}", run.refused);
    assert_eq!(run.jobs, 1);
}

#[test]
fn jobs_of_much_memory_wait_for_each_other() {
    let jobs: Vec<SimJob> = (0..4)
        .map(|index| SimJob { memory_bytes: 10 << 30, ..job(index, SimWork::Task { ms: 100.0, waits: false }) })
        .collect();
    let run = simulate(&jobs, &machine(4, vec![]), &Options::default());
    assert_eq!(run.makespan.as_millis(), 400, "one after the other");
    let less = Options { memory_bytes: Some(40 << 30), ..Options::default() };
    assert!(simulate(&jobs, &machine(4, vec![]), &less).makespan.as_millis() < 120);
}

/// No machine file describes such machines, but no arithmetic may depend on that.
#[test]
fn machines_beyond_all_bounds_are_simulated_to_the_end() {
    let whole: Vec<SimJob> =
        (0..8).map(|index| kernel(index, Work { passes: 3, bytes_out_per_unit: 8.0, ..work(1 << 14, 1e3) })).collect();
    let extreme = [f64::MIN_POSITIVE, 1e-300, 1e25, 1e300, f64::MAX];
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let mut any = |usual: f64| if dice.below(2) == 0 { usual } else { extreme[dice.below(5) as usize] };
        let gpu = Gpu {
            cold_start_ms: any(300.0),
            latency_ms: any(0.1),
            upload_bytes_per_s: any(1e9),
            readback_bytes_per_s: any(1e9),
            ..gpu(any(10.0))
        };
        let mut machine = machine(3, vec![gpu]);
        machine.cpu.speed = any(1.0);
        for policy in Policy::ALL {
            for hidden_truth in [None, Some(seed)] {
                let options = Options { policy, hidden_truth, timeline: true, ..Options::default() };
                let run = simulate(&whole, &machine, &options);
                assert_eq!(run.jobs, 8, "seed {seed}, {policy}, {hidden_truth:?}: {machine:?}");
            }
        }
    }
}

#[test]
fn the_queue_of_a_timeline_holds_jobs_until_they_begin_and_plans_say_what_is_regretted() {
    let jobs: Vec<SimJob> = (0..40).map(|index| kernel(index, work(100_000_000, 1.0))).collect();
    let options = Options { timeline: true, hidden_truth: Some(3), ..Options::default() };
    let run = simulate(&jobs, &machine(2, vec![gpu(10.0)]), &options);
    let timeline = run.timeline.as_ref().unwrap();
    assert_eq!(
        timeline.queue.first().unwrap().1,
        40 - 1 - u64::from(timeline.jobs[1].queued.is_zero()),
        "{:?}",
        timeline.queue
    );
    assert_eq!(timeline.queue.last().unwrap().1, 0);
    for &(at, waiting) in &timeline.queue {
        let began = |line: &crate::timeline::JobLine| line.submitted + line.queued;
        let expected = timeline.jobs.iter().filter(|line| line.submitted <= at && began(line) > at).count();
        assert!(waiting.abs_diff(expected as u64) <= 1, "{at:?}: {waiting} {expected}");
    }
    for line in &timeline.jobs {
        let foreseen = line.foreseen.as_ref().unwrap_or_else(|| panic!("{line:?}"));
        assert!(line.since_plan_ms > 0.0 && !foreseen.others.is_empty() && !foreseen.reason.is_empty(), "{line:?}");
    }
}

#[test]
fn a_timeline_tells_of_jobs_that_cannot_run() {
    let mut jobs: Vec<SimJob> = (0..4).map(|index| kernel(index, work(1_000_000, 1.0))).collect();
    jobs[1].device = Some(DeviceChoice::Gpu);
    jobs[2].after = vec![1];
    let run = simulate(&jobs, &machine(2, vec![]), &Options { timeline: true, ..Options::default() });
    let timeline = run.timeline.as_ref().unwrap();
    let causes: Vec<Option<&str>> = timeline.jobs.iter().map(|line| line.cause).collect();
    assert_eq!(causes, [None, Some("no_device"), Some("skipped"), None]);
    assert!(timeline.jobs[1].message.as_ref().unwrap().contains("no such device"), "{:?}", timeline.jobs[1]);
    assert_eq!(timeline.queue.last().unwrap().1, 0, "{:?}", timeline.queue);
}

/// What each job waits for a GPU before it begins a chunk counts in the bound too.
#[test]
fn the_bound_knows_the_latency_of_a_gpu() {
    let slow = Gpu { latency_ms: 5.0, cold_start_ms: 0.0, ..gpu(1000.0) };
    let mut jobs: Vec<SimJob> = (0..100).map(|index| kernel(index, work(1_000, 1.0))).collect();
    jobs.iter_mut().for_each(|job| job.device = Some(DeviceChoice::Gpu));
    let run = simulate(&jobs, &machine(2, vec![slow]), &Options::default());
    assert!(run.lower_bound.as_millis() >= 499 && run.lower_bound <= run.makespan.mul_f64(1.000_001), "{run:?}");
}

/// However long a job is, it costs no more than some tens of thousands of chunks; and one of few chunks is cut as it is in a run.
#[test]
fn a_job_of_a_thousand_years_is_simulated_in_a_moment() {
    for units in [1_u64 << 40, 1 << 50, u64::MAX] {
        // Of a range, say: what has to be moved is cut by what a GPU takes at once.
        let jobs = [kernel(0, Work { bytes_per_unit: 0.0, ..work(units, 1.0) })];
        for hidden_truth in [None, Some(1)] {
            let options = Options { hidden_truth, ..Options::default() };
            let run = simulate(&jobs, &machine(4, vec![gpu(10.0)]), &options);
            assert!(run.chunks <= 50_000, "{units}: {} chunks", run.chunks);
            assert!(hidden_truth.is_some() || run.above_bound() < 0.05, "{units}: {run:?}");
        }
    }
    let short = simulate(&[kernel(0, work(1 << 36, 1.0))], &machine(4, vec![]), &Options::default());
    let least = short.makespan.as_millis() as u64 * 4 / 101;
    assert!(short.chunks >= least, "{} chunks of 100 ms at most", short.chunks);
}
