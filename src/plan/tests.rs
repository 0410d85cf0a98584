//! The planner's table: who wins, and what is said of it.

use std::sync::Arc;

use super::*;
use crate::device::DeviceKind;
use crate::kernels::Work;
use crate::model::{Measured, Model, ModelKey};

pub(super) fn work(units: u64) -> Work {
    Work {
        kernel: "k",
        variant: "v".to_owned(),
        units,
        granularity: 64,
        bytes_per_unit: 4.0,
        bytes_out_per_unit: 0.0,
        prior_ns_per_unit: 1.0,
        passes: 1,
        gpu: true,
    }
}

pub(super) fn cpu(lanes: u32) -> DeviceState {
    DeviceState {
        id: DeviceId::Cpu,
        fingerprint: Arc::from("cpu"),
        kind: DeviceKind::Cpu,
        unusable: None,
        lanes,
        opened: true,
        busy_for_ms: Vec::new(),
        memory_bytes: None,
        max_chunk_bytes: u64::MAX,
        resident: 1.0,
    }
}

pub(super) fn gpu(index: u32) -> DeviceState {
    DeviceState {
        id: DeviceId::Gpu(index),
        fingerprint: Arc::from(format!("gpu {index}")),
        kind: DeviceKind::DiscreteGpu,
        unusable: None,
        lanes: 1,
        opened: true,
        busy_for_ms: Vec::new(),
        memory_bytes: Some(8 << 30),
        max_chunk_bytes: 128 << 20,
        resident: 0.0,
    }
}

/// A model in which one thread, all threads and GPUs have been measured over sizes: fixed milliseconds and nanoseconds a
/// unit each.
pub(super) fn model(measured: &[(&str, u32, f64, f64)]) -> Model {
    let mut model = Model::new();
    for &(fingerprint, lanes, fixed_ms, ns) in measured {
        for shift in (4..32).step_by(2) {
            let units = 1_u64 << shift;
            for _ in 0..9 {
                let run = Measured {
                    units,
                    passes: 1,
                    compute_ms: fixed_ms + units as f64 * ns / 1e6,
                    bytes: if fingerprint == "cpu" { 0 } else { units * 4 },
                    ..Measured::default()
                };
                assert!(model.learn(ModelKey::of(&work(1), fingerprint, lanes), &run));
            }
        }
    }
    model
}

struct Case<'a> {
    work: Work,
    policy: DeviceChoice,
    devices: Vec<DeviceState>,
    known: bool,
    model: &'a Model,
}

impl Case<'_> {
    fn plan(&self) -> Result<Plan, PlanError> {
        plan(&PlanRequest {
            work: &self.work,
            policy: self.policy,
            devices: &self.devices,
            inventory_known: self.known,
            model: self.model,
            threads: 8,
            explain: true,
            stream: Stream::default(),
        })
    }
}

pub(super) fn choose(units: u64, devices: Vec<DeviceState>, model: &Model) -> Plan {
    Case { work: work(units), policy: DeviceChoice::Auto, devices, known: true, model }.plan().unwrap()
}

const MEASURED: &[(&str, u32, f64, f64)] =
    &[("cpu", 1, 0.001, 1.0), ("cpu", 4, 0.03, 0.27), ("cpu", 8, 0.04, 0.14), ("gpu 0", 1, 0.5, 0.01)];

#[test]
fn small_work_is_one_thread_larger_all_threads_largest_the_gpu() {
    let model = model(MEASURED);
    assert_eq!(choose(100, vec![cpu(8), gpu(0)], &model).choice, Choice::Cpu { threads: 1 });
    assert_eq!(choose(1_000_000, vec![cpu(8), gpu(0)], &model).choice, Choice::Cpu { threads: 8 });
    assert_eq!(choose(100_000_000, vec![cpu(8), gpu(0)], &model).choice, Choice::Gpu { index: 0 });
}

#[test]
fn ties_go_to_what_occupies_less() {
    let same: &[(&str, u32, f64, f64)] =
        &[("cpu", 1, 0.0, 1.0), ("cpu", 4, 0.0, 1.0), ("cpu", 8, 0.0, 1.0), ("gpu 0", 1, 0.0, 1.0)];
    // A software adapter, so that a split is none of the choices.
    let software = DeviceState { kind: DeviceKind::SoftwareGpu, ..gpu(0) };
    let plan = choose(1_000_000, vec![cpu(8), software.clone()], &model(same));
    assert_eq!(plan.choice, Choice::Cpu { threads: 1 }, "{}", plan.reason);
    let nearly = model(&[("cpu", 8, 0.0, 1.0), ("gpu 0", 1, 0.0, 0.98)]);
    let plan = choose(1_000_000, vec![cpu(8), software], &nearly);
    assert_eq!(plan.choice, Choice::Cpu { threads: 8 }, "the cpu before a gpu that is as good: {}", plan.reason);
}

#[test]
fn a_closed_gpu_is_not_opened_for_a_job_shorter_than_opening_it() {
    let closed = DeviceState { opened: false, ..gpu(0) };
    let model = model(MEASURED);
    // 100 ms on the CPU, 200 ms to open the GPU.
    assert_eq!(choose(700_000_000, vec![cpu(8), closed.clone()], &model).choice, Choice::Cpu { threads: 8 });
    assert_eq!(choose(700_000_000, vec![cpu(8), gpu(0)], &model).choice, Choice::Gpu { index: 0 });
    assert_eq!(choose(7_000_000_000, vec![cpu(8), closed], &model).choice, Choice::Gpu { index: 0 });
}

#[test]
fn a_busy_gpu_is_waited_for_only_where_it_pays() {
    let model = model(MEASURED);
    let busy = |ms| DeviceState { busy_for_ms: vec![ms], ..gpu(0) };
    // 14 ms on the CPU, 1.5 ms on the GPU.
    assert_eq!(choose(100_000_000, vec![cpu(8), busy(5.0)], &model).choice, Choice::Gpu { index: 0 });
    assert_eq!(choose(100_000_000, vec![cpu(8), busy(50.0)], &model).choice, Choice::Cpu { threads: 8 });
}

#[test]
fn two_equal_devices_are_used_together_and_a_feeble_one_is_left_out() {
    let equal = model(&[("cpu", 8, 0.04, 0.1), ("gpu 0", 1, 0.5, 0.1)]);
    let plan = choose(1_000_000_000, vec![cpu(8), gpu(0)], &equal);
    let Choice::Split { parts } = &plan.choice else { panic!("{}", plan.reason) };
    assert!(parts.iter().all(|part| (part.share - 0.5).abs() < 0.02), "{parts:?}");
    let feeble = model(&[("cpu", 8, 0.04, 0.1), ("gpu 0", 1, 0.5, 5.0)]);
    let plan = choose(1_000_000_000, vec![cpu(8), gpu(0)], &feeble);
    assert_eq!(plan.choice, Choice::Cpu { threads: 8 }, "{}", plan.reason);
}

#[test]
fn three_unequal_gpus_share_by_speed() {
    let model = model(&[("cpu", 8, 0.04, 3.0), ("gpu 0", 1, 0.3, 0.1), ("gpu 1", 1, 0.3, 0.2), ("gpu 2", 1, 0.3, 0.4)]);
    let plan = choose(1_000_000_000, vec![cpu(8), gpu(0), gpu(1), gpu(2)], &model);
    let Choice::Split { parts } = &plan.choice else { panic!("{}", plan.reason) };
    let share = |id| parts.iter().find(|part| part.device == id).map_or(0.0, |part| part.share);
    let shares = [share(DeviceId::Gpu(0)), share(DeviceId::Gpu(1)), share(DeviceId::Gpu(2))];
    assert!((shares[0] / shares[1] - 2.0).abs() < 0.1 && (shares[1] / shares[2] - 2.0).abs() < 0.1, "{shares:?}");
    assert!((parts.iter().map(|part| part.share).sum::<f64>() - 1.0).abs() < 0.01, "{parts:?}");
}

#[test]
fn a_split_on_priors_alone_is_not_taken_but_something_is_probed() {
    let plan = choose(2_000_000_000, vec![cpu(2), gpu(0)], &Model::new());
    assert!(!matches!(plan.choice, Choice::Split { .. }), "{}", plan.reason);
    let probe = plan.probe.expect("nothing is known, so something is tried");
    assert!(probe.share > 0.0 && probe.share <= 0.03, "{probe:?}");
    assert!(plan.reason.contains("to learn"), "{}", plan.reason);
}

#[test]
fn a_software_adapter_is_never_used_unless_allowed_and_predicted_to_win() {
    let software = DeviceState { kind: DeviceKind::SoftwareGpu, ..gpu(0) };
    let barred = DeviceState { unusable: Some(Unusable::SoftwareNotAllowed), ..software.clone() };
    for units in [10, 1_000_000, 10_000_000_000] {
        let plan = choose(units, vec![cpu(8), barred.clone()], &Model::new());
        assert!(matches!(plan.choice, Choice::Cpu { .. }), "{}", plan.reason);
        let note = plan.candidates.iter().find(|one| one.choice == Choice::Gpu { index: 0 }).unwrap();
        assert_eq!((note.predicted, note.note.as_str()), (None, "software adapter, not allowed"));
        let plan = choose(units, vec![cpu(8), software.clone()], &Model::new());
        assert!(matches!(plan.choice, Choice::Cpu { .. }), "{}", plan.reason);
    }
    // Measured to be as fast as the CPU, it is still no partner for it; measured to be faster, it is taken.
    let equal = model(&[("cpu", 8, 0.04, 0.1), ("gpu 0", 1, 0.04, 0.1)]);
    let plan = choose(1_000_000_000, vec![cpu(8), software.clone()], &equal);
    assert_eq!(plan.choice, Choice::Cpu { threads: 8 }, "{}", plan.reason);
    let better = model(&[("cpu", 8, 0.04, 0.1), ("gpu 0", 1, 0.04, 0.05)]);
    assert_eq!(choose(1_000_000_000, vec![cpu(8), software], &better).choice, Choice::Gpu { index: 0 });
}

#[test]
fn forced_choices_are_kept_or_refused_aloud() {
    let model = model(MEASURED);
    let case = |policy, devices, gpu| {
        let work = Work { gpu, ..work(1_000_000_000) };
        Case { work, policy, devices, known: true, model: &model }.plan()
    };
    let choice = |policy| case(policy, vec![cpu(8), gpu(0), gpu(1)], true).map(|plan| plan.choice);
    assert_eq!(choice(DeviceChoice::Cpu), Ok(Choice::Cpu { threads: 8 }));
    assert_eq!(choice(DeviceChoice::Gpu), Ok(Choice::Gpu { index: 0 }));
    assert_eq!(choice(DeviceChoice::GpuIndex(1)), Ok(Choice::Gpu { index: 1 }));
    assert_eq!(choice(DeviceChoice::GpuIndex(2)), Err(PlanError::NoDevice { asked: DeviceChoice::GpuIndex(2) }));
    let Ok(Choice::Split { parts }) = choice(DeviceChoice::Split) else { panic!("no split") };
    assert_eq!(parts.len(), 3, "every usable device takes part in a split that was asked for");
    for policy in [DeviceChoice::Gpu, DeviceChoice::GpuIndex(0), DeviceChoice::Split] {
        let lost = DeviceState { unusable: Some(Unusable::Lost), ..gpu(0) };
        assert_eq!(case(policy, vec![cpu(8)], true), Err(PlanError::NoDevice { asked: policy }));
        assert_eq!(case(policy, vec![cpu(8), lost], true), Err(PlanError::NoDevice { asked: policy }));
        assert!(matches!(case(policy, vec![cpu(8), gpu(0)], false), Err(PlanError::Unsupported { .. })));
    }
    let plan = case(DeviceChoice::Auto, vec![cpu(8), gpu(0)], false).unwrap();
    assert!(matches!(plan.choice, Choice::Cpu { .. }) && plan.reason.contains("no gpu side"), "{}", plan.reason);
}

#[test]
fn small_jobs_do_not_look_for_gpus_and_large_ones_do() {
    let empty = Model::new();
    let case = |units, policy, gpu| {
        let work = Work { gpu, ..work(units) };
        Case { work, policy, devices: vec![cpu(2)], known: false, model: &empty }.plan()
    };
    let plan = case(1000, DeviceChoice::Auto, true).unwrap();
    assert_eq!(plan.choice, Choice::Cpu { threads: 1 });
    assert!(plan.reason.contains("looking for a gpu"), "{}", plan.reason);
    assert_eq!(case(10_000_000_000, DeviceChoice::Auto, true), Err(PlanError::NeedsInventory));
    assert_eq!(case(1000, DeviceChoice::Gpu, true), Err(PlanError::NeedsInventory));
    assert!(case(10_000_000_000, DeviceChoice::Cpu, true).is_ok());
    assert!(case(10_000_000_000, DeviceChoice::Auto, false).is_ok());
}

#[test]
fn what_does_not_fit_a_device_goes_elsewhere_or_is_refused() {
    let model = model(MEASURED);
    let narrow = DeviceState { max_chunk_bytes: 100, ..gpu(0) };
    let plan = choose(1_000_000_000, vec![cpu(8), narrow.clone()], &model);
    assert!(matches!(plan.choice, Choice::Cpu { .. }), "{}", plan.reason);
    assert!(plan.powers.iter().all(|power| power.device == DeviceId::Cpu));
    let work = work(1_000_000_000);
    let refused =
        Case { work, policy: DeviceChoice::Gpu, devices: vec![cpu(8), narrow], known: true, model: &model }.plan();
    let expected = PlanError::TooLarge { device: DeviceId::Gpu(0), chunk_bytes: 256, limit_bytes: 100 };
    assert_eq!(refused, Err(expected));
    // More than its memory is no reason, as long as a granule fits.
    let small = DeviceState { memory_bytes: Some(1 << 20), ..gpu(0) };
    assert_eq!(choose(1_000_000_000, vec![cpu(8), small], &model).choice, Choice::Gpu { index: 0 });
}

#[test]
fn the_crossover_of_a_device_that_was_asked_for_is_where_it_begins_to_win() {
    let model = model(MEASURED);
    // A software adapter, so that no split wins between the two.
    let devices = || vec![cpu(8), DeviceState { kind: DeviceKind::SoftwareGpu, ..gpu(0) }];
    let forced = |units: u64, policy: DeviceChoice| {
        let devices = devices();
        Case { work: work(units), policy, devices, known: true, model: &model }.plan().unwrap()
    };
    let turn = choose(1_000_000, devices(), &model).crossover.unwrap().units;
    let plan = forced(1_000_000, DeviceChoice::Gpu);
    assert!(plan.reason.contains("the crossover is where `auto` would change its choice"), "{}", plan.reason);
    let wins = |choice, units, below| Some(Crossover { choice, units, below });
    let threads = Choice::Cpu { threads: 8 };
    assert_eq!(plan.crossover, wins(threads.clone(), turn - 1, true), "the cpu wins here and up to there");
    assert_eq!(forced(turn - 1, DeviceChoice::Gpu).crossover, plan.crossover, "here is the last such size");
    assert_eq!(forced(turn, DeviceChoice::Gpu).crossover, plan.crossover, "here the gpu wins");
    let plan = forced(100_000_000, DeviceChoice::Cpu);
    assert_eq!(plan.crossover, wins(Choice::Gpu { index: 0 }, turn, false), "the gpu wins here and from there");
    assert_eq!(forced(1_000_000, DeviceChoice::Cpu).crossover, plan.crossover, "here the cpu wins");
    assert_eq!(forced(1_000_000, DeviceChoice::Auto).crossover, plan.crossover);
}

#[test]
fn a_device_that_was_asked_for_and_never_wins_loses_from_one_unit_on() {
    let slow: &[(&str, u32, f64, f64)] =
        &[("cpu", 1, 0.001, 1.0), ("cpu", 4, 0.03, 0.27), ("cpu", 8, 0.04, 0.14), ("gpu 0", 1, 0.5, 100.0)];
    let (model, devices) = (model(slow), vec![cpu(8), gpu(0)]);
    let plan = Case { work: work(1_000_000), policy: DeviceChoice::Gpu, devices, known: true, model: &model }.plan();
    let crossover = plan.unwrap().crossover.expect("the cpu wins");
    assert_eq!((crossover.choice, crossover.units, crossover.below), (Choice::Cpu { threads: 8 }, 1, false));
}

#[test]
fn the_crossover_is_the_size_at_which_the_choice_really_changes() {
    let model = model(MEASURED);
    let plan = choose(1_000_000, vec![cpu(8), gpu(0)], &model);
    let crossover = plan.crossover.expect("the gpu wins somewhere");
    assert!(!crossover.below && crossover.units > 1_000_000, "{crossover:?}");
    let before = choose(crossover.units - 1, vec![cpu(8), gpu(0)], &model);
    assert!(matches!(before.choice, Choice::Cpu { .. }), "{}", before.reason);
    assert_eq!(choose(crossover.units, vec![cpu(8), gpu(0)], &model).choice, crossover.choice);
    let above = choose(100_000_000, vec![cpu(8), gpu(0)], &model).crossover.expect("the cpu wins below");
    assert!(above.below || matches!(above.choice, Choice::Split { .. }), "{above:?}");
    let alone = choose(1 << 40, vec![cpu(1)], &model);
    assert_eq!(alone.crossover, None);
}

#[test]
fn a_probe_costs_a_few_per_cent_at_most_and_is_not_taken_from_short_jobs() {
    let mut model = model(&[("cpu", 1, 0.001, 1.0), ("cpu", 8, 0.04, 0.14)]);
    // The GPU is believed to be 300 times slower than the CPU.
    model.learn(
        ModelKey::of(&work(1), "gpu 0", 1),
        &Measured {
            units: 1_000_000_000,
            passes: 1,
            compute_ms: 42_000.0,
            bytes: 4_000_000_000,
            ..Measured::default()
        },
    );
    for _ in 0..50 {
        model.learn(
            ModelKey::of(&work(1), "cpu", 8),
            &Measured { units: 1_000_000_000, passes: 1, compute_ms: 140.0, ..Measured::default() },
        );
    }
    let plan = choose(1_000_000_000, vec![cpu(8), gpu(0)], &model);
    assert_eq!(plan.choice, Choice::Cpu { threads: 8 });
    let probe = plan.probe.expect("others have not been tried for long");
    let probed = |choice: &Choice| match choice {
        Choice::Cpu { threads } => probe.device == DeviceId::Cpu && probe.lanes == *threads,
        choice => choice.uses(probe.device),
    };
    let candidate = plan.candidates.iter().find(|candidate| probed(&candidate.choice)).expect("it was weighed");
    let cost_ms = probe.share * candidate.predicted.unwrap().ms;
    let all_ms = plan.candidates[0].predicted.unwrap().ms;
    assert!(cost_ms > 0.0 && cost_ms <= 0.0301 * all_ms, "{cost_ms} of {all_ms}");
    assert_eq!(choose(10_000, vec![cpu(8), gpu(0)], &model).probe, None);
}

#[test]
fn without_explaining_the_choice_is_the_same() {
    let model = model(MEASURED);
    for units in [0, 100, 1_000_000, 1_000_000_000] {
        let work = work(units);
        let devices = [cpu(8), gpu(0)];
        let request = PlanRequest {
            work: &work,
            policy: DeviceChoice::Auto,
            devices: &devices,
            inventory_known: true,
            model: &model,
            threads: 8,
            explain: true,
            stream: Stream::default(),
        };
        let long = plan(&request).unwrap();
        let short = plan(&PlanRequest { explain: false, ..request }).unwrap();
        assert_eq!((&long.choice, &long.probe, &long.powers), (&short.choice, &short.probe, &short.powers));
        assert_eq!(long.candidates[0], short.candidates[0]);
        assert!(short.reason.is_empty() && long.reason.contains("is predicted to take"), "{}", long.reason);
    }
}
