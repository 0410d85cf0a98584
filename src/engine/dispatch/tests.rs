//! Dispatch, scenario by scenario, in virtual time.

use std::time::Duration;

use super::*;
use crate::device::{DeviceError, Phases};
use crate::job::DeviceChoice;
use crate::plan::{Part, Power};

const GPU: DeviceId = DeviceId::Gpu(0);

pub(super) fn ms(ms: f64) -> Duration {
    Duration::from_secs_f64(ms / 1e3)
}

pub(super) fn power(device: DeviceId, lanes: u32, units_per_ms: f64) -> Power {
    Power { device, lanes, units_per_ms, setup_ms: 0.0, chunk_ms: 0.001, measured: true }
}

pub(super) fn admission(
    job: u64,
    units: u64,
    policy: DeviceChoice,
    active: &[DeviceId],
    powers: &[Power],
) -> Admission {
    Admission {
        job,
        order: job,
        units,
        granularity: 1,
        bytes_per_unit: 1.0,
        passes: 1,
        policy,
        active: active.to_vec(),
        chunk_ms_max: chunk::CHUNK_MS_MAX,
        powers: powers.to_vec(),
        probe: None,
    }
}

pub(super) fn lanes(device: DeviceId, lanes: u32) -> Lanes {
    Lanes { device, lanes, max_chunk_bytes: u64::MAX, shares_cpu: false }
}

/// A dispatch and its clock.
pub(super) struct Rig {
    pub(super) dispatch: Dispatch,
    pub(super) now: Duration,
}

impl Rig {
    pub(super) fn new(devices: &[(DeviceId, u32)]) -> Self {
        let mut rig = Self { dispatch: Dispatch::new(), now: Duration::ZERO };
        for &(device, count) in devices {
            assert!(rig.on(Event::DeviceAdded(lanes(device, count))).is_empty());
        }
        rig
    }

    pub(super) fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.dispatch.on(event, self.now, &mut actions);
        actions
    }

    /// When the lanes of the CPU are free of all that was admitted.
    pub(super) fn busy_for_ms(&self) -> Vec<f64> {
        self.dispatch.busy_for_ms(DeviceId::Cpu, self.now, |_| u64::MAX)
    }

    pub(super) fn done(&mut self, ticket: Ticket, after_ms: f64) -> Vec<Action> {
        self.now += ms(after_ms);
        self.on(Event::ChunkDone { ticket, phases: Phases::default(), resident: false })
    }
}

pub(super) fn folds(actions: &[Action]) -> Vec<(Ticket, u64, std::ops::Range<u64>)> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Fold { ticket, job, units, .. } => Some((*ticket, *job, units.clone())),
            _ => None,
        })
        .collect()
}

fn ended(actions: &[Action]) -> Option<(u64, Result<(), Cause>)> {
    actions.iter().find_map(|action| match action {
        Action::End { job, result, .. } => Some((*job, result.clone().map_err(|error| error.cause))),
        _ => None,
    })
}

fn completes(actions: &[Action], wanted: u64) -> bool {
    actions.iter().any(|action| matches!(action, Action::PassComplete { job } if *job == wanted))
}

pub(super) fn one_thread(job: u64, units: u64) -> Admission {
    admission(job, units, DeviceChoice::Auto, &[DeviceId::Cpu], &[power(DeviceId::Cpu, 1, 1000.0)])
}

#[test]
fn a_job_of_one_chunk_is_folded_completed_and_ended_once() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    let actions = rig.on(Event::Admitted(one_thread(7, 100)));
    let [(ticket, 7, units)] = &folds(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(*units, 0..100);
    assert!(rig.dispatch.wants(*ticket));
    assert!(completes(&rig.done(*ticket, 0.1), 7));
    assert!(!rig.dispatch.wants(*ticket));
    assert_eq!(ended(&rig.on(Event::Finished { job: 7 })), Some((7, Ok(()))));
    assert!(rig.on(Event::Finished { job: 7 }).is_empty());
    assert_eq!((rig.dispatch.jobs(), rig.dispatch.in_flight()), (0, 0));
    assert!(rig.busy_for_ms().is_empty());
}

#[test]
fn a_job_without_units_folds_one_empty_chunk() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    let actions = rig.on(Event::Admitted(one_thread(1, 0)));
    let [(ticket, 1, units)] = &folds(&actions)[..] else { panic!("{actions:?}") };
    assert!(units.is_empty());
    assert!(completes(&rig.done(*ticket, 0.1), 1));
    assert_eq!(ended(&rig.on(Event::Finished { job: 1 })), Some((1, Ok(()))));
}

#[test]
fn lanes_that_one_job_leaves_idle_go_to_the_next_in_order() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2), (GPU, 1)]);
    assert_eq!(folds(&rig.on(Event::Admitted(one_thread(1, 10)))).len(), 1);
    let gpu = [power(GPU, 1, 1.0)];
    assert_eq!(folds(&rig.on(Event::Admitted(admission(2, 10, DeviceChoice::Gpu, &[GPU], &gpu)))).len(), 1);
    assert_eq!(folds(&rig.on(Event::Admitted(one_thread(3, 10)))).len(), 1);
    // Everything is busy now.
    assert!(folds(&rig.on(Event::Admitted(one_thread(5, 10)))).is_empty());
    assert!(folds(&rig.on(Event::Admitted(one_thread(4, 10)))).is_empty());
    let ticket = Ticket { device: DeviceId::Cpu, lane: 0, serial: 2 };
    assert!(rig.dispatch.wants(ticket));
    let next = folds(&rig.done(ticket, 1.0));
    assert_eq!(next.iter().map(|fold| fold.1).collect::<Vec<_>>(), [4], "order decides, not the time of admission");
}

#[test]
fn a_slow_device_is_not_given_the_last_chunk() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1), (GPU, 1)]);
    let powers = [power(DeviceId::Cpu, 1, 1.0), power(GPU, 1, 1000.0)];
    let both = [DeviceId::Cpu, GPU];
    // The GPU takes 0.05 ms for all of it, the CPU 1 ms for a single unit.
    let actions = rig.on(Event::Admitted(admission(1, 50, DeviceChoice::Split, &both, &powers)));
    assert!(folds(&actions).iter().all(|fold| fold.0.device == GPU), "{actions:?}");
    // With a thousand times as much there is time for the CPU to help.
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1), (GPU, 1)]);
    let actions = rig.on(Event::Admitted(admission(1, 50_000, DeviceChoice::Split, &both, &powers)));
    assert!(folds(&actions).iter().any(|fold| fold.0.device == DeviceId::Cpu), "{actions:?}");
}

#[test]
fn the_chunk_of_a_lost_device_goes_elsewhere_under_auto_and_fails_the_job_under_gpu() {
    for (policy, survives) in
        [(DeviceChoice::Auto, true), (DeviceChoice::Gpu, false), (DeviceChoice::GpuIndex(0), false)]
    {
        let mut rig = Rig::new(&[(DeviceId::Cpu, 1), (GPU, 1)]);
        let powers = [power(GPU, 1, 10.0), power(DeviceId::Cpu, 1, 1.0)];
        let actions = rig.on(Event::Admitted(admission(1, 100, policy, &[GPU], &powers)));
        let [(ticket, ..)] = folds(&actions)[..] else { panic!("{actions:?}") };
        let error = DeviceError::Lost("it burnt".into());
        let actions = rig.on(Event::ChunkFailed { ticket, error });
        assert!(matches!(&actions[0], Action::SetAside { device: GPU, why } if why == "it burnt"), "{actions:?}");
        assert!(!rig.dispatch.is_usable(GPU));
        assert!(!rig.dispatch.wants(ticket));
        if survives {
            let again = folds(&actions);
            assert_eq!(again[0].0.device, DeviceId::Cpu);
            let mut actions = actions;
            while let Some((ticket, ..)) = folds(&actions).first().cloned() {
                actions = rig.done(ticket, 1.0);
            }
            assert!(completes(&actions, 1), "{actions:?}");
            let actions = rig.on(Event::Finished { job: 1 });
            let Some(Action::End { report, .. }) = actions.first() else { panic!("{actions:?}") };
            assert_eq!((report.attempts, report.ran_on), (2, crate::engine::RanOn::One(DeviceId::Cpu)));
        } else {
            assert_eq!(ended(&actions), Some((1, Err(Cause::DeviceLost))));
        }
    }
}

#[test]
fn out_of_memory_makes_chunks_smaller_and_then_goes_elsewhere() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1), (GPU, 1)]);
    let powers = [power(GPU, 1, 10.0), power(DeviceId::Cpu, 1, 1.0)];
    let mut actions = rig.on(Event::Admitted(admission(1, 64, DeviceChoice::Auto, &[GPU], &powers)));
    let mut sizes = Vec::new();
    while let Some((ticket, _, units)) = folds(&actions).first().cloned() {
        if ticket.device == DeviceId::Cpu {
            break;
        }
        sizes.push(units.end - units.start);
        actions = rig.on(Event::ChunkFailed { ticket, error: DeviceError::OutOfMemory("full".into()) });
    }
    assert_eq!(sizes, [64, 32, 16, 8, 4, 2, 1]);
    assert_eq!(folds(&actions)[0].0.device, DeviceId::Cpu, "{actions:?}");
    assert!(rig.dispatch.is_usable(GPU), "only this job does without it");
}

#[test]
fn out_of_memory_on_the_device_asked_for_by_name_fails_the_job_in_the_end() {
    let mut rig = Rig::new(&[(GPU, 1)]);
    let mut actions = rig.on(Event::Admitted(admission(1, 4, DeviceChoice::Gpu, &[GPU], &[power(GPU, 1, 10.0)])));
    while let Some((ticket, ..)) = folds(&actions).first().cloned() {
        actions = rig.on(Event::ChunkFailed { ticket, error: DeviceError::OutOfMemory("full".into()) });
    }
    assert_eq!(ended(&actions), Some((1, Err(Cause::Memory))));
}

#[test]
fn a_jobs_own_error_fails_it_once_and_its_other_chunks_are_ignored() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 2)]);
    let powers = [power(DeviceId::Cpu, 2, 1.0)];
    let actions = rig.on(Event::Admitted(admission(1, 1000, DeviceChoice::Cpu, &[DeviceId::Cpu], &powers)));
    let [(first, ..), (second, ..)] = folds(&actions)[..] else { panic!("{actions:?}") };
    let error = DeviceError::Job(JobError::bad_input("no"));
    assert_eq!(ended(&rig.on(Event::ChunkFailed { ticket: first, error })), Some((1, Err(Cause::BadInput))));
    assert!(!rig.dispatch.wants(second));
    assert_eq!(rig.dispatch.in_flight(), 1, "the lane is busy until its chunk is back");
    assert!(rig.done(second, 1.0).is_empty());
    assert_eq!(rig.dispatch.in_flight(), 0);
}

#[test]
fn a_job_cancelled_in_mid_flight_ends_at_once_and_frees_its_lanes_later() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1)]);
    let actions = rig.on(Event::Admitted(one_thread(1, 10)));
    let [(ticket, ..)] = folds(&actions)[..] else { panic!("{actions:?}") };
    assert_eq!(ended(&rig.on(Event::Cancelled { job: 1 })), Some((1, Err(Cause::Cancelled))));
    assert!(folds(&rig.on(Event::Admitted(one_thread(2, 10)))).is_empty());
    assert_eq!(folds(&rig.done(ticket, 1.0))[0].1, 2);
}

#[test]
fn every_pass_folds_every_unit_again() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1)]);
    let mut actions = rig.on(Event::Admitted(one_thread(1, 10)));
    for pass in 0..3 {
        let [(ticket, 1, units)] = &folds(&actions)[..] else { panic!("{actions:?}") };
        assert_eq!(*units, 0..10, "pass {pass}");
        assert!(completes(&rig.done(*ticket, 0.1), 1));
        actions = rig.on(Event::PassAdvanced { job: 1 });
    }
}

#[test]
fn a_device_lost_while_a_pass_is_merged_is_replaced_in_the_next() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1), (GPU, 1)]);
    let powers = [power(GPU, 1, 10.0), power(DeviceId::Cpu, 1, 1.0)];
    let actions = rig.on(Event::Admitted(admission(1, 10, DeviceChoice::Auto, &[GPU], &powers)));
    let ticket = folds(&actions)[0].0;
    assert!(completes(&rig.done(ticket, 1.0), 1));
    let actions = rig.on(Event::DeviceLost { device: GPU, why: "unplugged".into() });
    assert!(ended(&actions).is_none(), "{actions:?}");
    assert_eq!(folds(&rig.on(Event::PassAdvanced { job: 1 }))[0].0.device, DeviceId::Cpu);
}

#[test]
fn a_probed_device_that_proves_itself_stays() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1), (GPU, 1)]);
    let powers = [power(DeviceId::Cpu, 1, 10.0), Power { measured: false, ..power(GPU, 1, 1.0) }];
    let probe = Some(Part { device: GPU, lanes: 1, share: 0.01 });
    let admitted = Admission { probe, ..admission(1, 100_000, DeviceChoice::Auto, &[DeviceId::Cpu], &powers) };
    let actions = rig.on(Event::Admitted(admitted));
    let all = folds(&actions);
    let (ticket, _, units) = all.iter().find(|fold| fold.0.device == GPU).expect("the probe").clone();
    assert_eq!(units, 0..1000);
    // It was thought to be ten times slower, and is ten times faster.
    let actions = rig.done(ticket, 10.0);
    assert_eq!(folds(&actions)[0].0.device, GPU, "{actions:?}");
}

#[test]
fn a_probe_with_other_threads_has_the_cpu_to_itself() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 4)]);
    let probe = Some(Part { device: DeviceId::Cpu, lanes: 4, share: 0.04 });
    let powers = [power(DeviceId::Cpu, 1, 10.0)];
    let admitted = Admission { probe, ..admission(1, 1000, DeviceChoice::Auto, &[DeviceId::Cpu], &powers) };
    let actions = rig.on(Event::Admitted(admitted));
    let probes = folds(&actions);
    assert_eq!(probes.iter().map(|fold| fold.2.end).collect::<Vec<_>>(), [10, 20, 30, 40]);
    for (ticket, ..) in &probes[..3] {
        assert!(folds(&rig.done(*ticket, 0.1)).is_empty(), "the rest waits for the probe");
    }
    let mut actions = rig.done(probes[3].0, 0.1);
    while !completes(&actions, 1) {
        let [(ticket, ..)] = folds(&actions)[..] else { panic!("one thread only: {actions:?}") };
        actions = rig.done(ticket, 1.0);
    }
    let actions = rig.on(Event::Finished { job: 1 });
    let Some(Action::End { report, .. }) = actions.first() else { panic!("{actions:?}") };
    let measured: Vec<(u32, u64)> = report.runs.iter().map(|run| (run.lanes, run.measured.units)).collect();
    assert_eq!(measured, [(1, 960), (4, 40)]);
}

#[test]
fn lanes_of_one_device_do_not_leave_the_job_to_each_other() {
    let mut rig = Rig::new(&[(DeviceId::Cpu, 1), (GPU, 2)]);
    // Opening the GPU takes longer than the job on it, but far less than the job on the CPU.
    let powers = [power(DeviceId::Cpu, 1, 1.0), Power { setup_ms: 100.0, ..power(GPU, 2, 1e4) }];
    let both = [DeviceId::Cpu, GPU];
    let actions = rig.on(Event::Admitted(admission(1, 100_000, DeviceChoice::Split, &both, &powers)));
    assert!(folds(&actions).iter().any(|fold| fold.0.device == GPU), "{actions:?}");
}

#[test]
fn chunks_begin_at_granules_and_fit_the_device() {
    let mut rig = Rig::new(&[]);
    rig.on(Event::DeviceAdded(Lanes { max_chunk_bytes: 1000, ..lanes(GPU, 1) }));
    let admitted = Admission {
        granularity: 64,
        bytes_per_unit: 2.0,
        ..admission(1, 10_007, DeviceChoice::Gpu, &[GPU], &[power(GPU, 1, 1e6)])
    };
    let mut actions = rig.on(Event::Admitted(admitted));
    let mut next = 0;
    while let Some((ticket, _, units)) = folds(&actions).first().cloned() {
        assert_eq!((units.start, units.start % 64), (next, 0));
        assert!((units.end - units.start) * 2 <= 1000, "{units:?}");
        next = units.end;
        actions = rig.done(ticket, 0.1);
    }
    assert_eq!(next, 10_007);
    assert!(completes(&actions, 1));
}
