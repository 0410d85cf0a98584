use super::*;
use crate::model::{Belief, CostClass, Measured, Model, ModelKey};

fn known(ms: f64, samples: u32) -> Option<Forecast> {
    Some(Forecast::around(ms, 1.5, samples))
}

fn state(device: DeviceId, run: Option<Forecast>) -> VariantState {
    VariantState { device, unusable: None, wait_ms: 0.0, run, runs_since: 0, is_stale: false, trying: 0, failed: 0 }
}

fn cpu(run: Option<Forecast>) -> VariantState {
    state(DeviceId::Cpu, run)
}

fn gpu(index: u32, run: Option<Forecast>) -> VariantState {
    state(DeviceId::Gpu(index), run)
}

fn plan_on(policy: DeviceChoice, devices: &[VariantState]) -> Result<Plan, NoVariant> {
    planned(VariantRequest { policy, cpu: true, gpu: true, devices, inventory_known: true })
}

fn planned(request: VariantRequest<'_>) -> Result<Plan, NoVariant> {
    plan_variants(&request).map(|planned| planned.plan)
}

/// The choice under auto, and its reason.
fn auto(devices: &[VariantState]) -> (String, String) {
    let plan = plan_on(DeviceChoice::Auto, devices).unwrap();
    (plan.choice.to_string(), plan.reason)
}

#[test]
fn the_better_one_is_taken_once_both_are_known_and_the_reason_has_the_figures() {
    let (choice, reason) = auto(&[cpu(known(4000.0, 5)), gpu(0, known(1200.0, 3))]);
    assert_eq!(choice, "gpu:0");
    assert_eq!(reason, "gpu:0: 1.20 s against 4.00 s on the cpu, learned from 3 runs");
    let (choice, reason) = auto(&[cpu(known(1000.0, 1)), gpu(0, known(1200.0, 3))]);
    assert_eq!(choice, "cpu, 1 thread");
    assert_eq!(reason, "cpu: 1.00 s against 1.20 s on gpu:0, learned from 1 run");
}

#[test]
fn what_is_unknown_is_tried_one_run_at_a_time_the_gpu_first() {
    let (choice, reason) = auto(&[cpu(None), gpu(0, None)]);
    assert_eq!(choice, "gpu:0");
    assert!(reason.contains("tried, to learn"), "{reason}");
    let (choice, reason) = auto(&[cpu(None), gpu(0, known(10.0, 1))]);
    assert_eq!(choice, "cpu, 1 thread");
    assert!(reason.contains("tried, to learn"), "{reason}");
    let trying = |state| VariantState { trying: 1, ..state };
    assert_eq!(auto(&[cpu(None), trying(gpu(0, None))]).0, "cpu, 1 thread");
    // Both are being tried: whatever is free first.
    let waits = |wait_ms, state| VariantState { wait_ms, ..state };
    assert_eq!(auto(&[trying(cpu(None)), waits(900.0, trying(gpu(0, None)))]).0, "cpu, 1 thread");
    assert_eq!(auto(&[waits(900.0, trying(cpu(None))), trying(gpu(0, None))]).0, "gpu:0");
}

#[test]
fn what_has_only_failed_is_not_tried_for_ever() {
    let failed = |failed, state| VariantState { failed, ..state };
    assert_eq!(auto(&[cpu(known(10.0, 1)), failed(2, gpu(0, None))]).0, "gpu:0");
    let (choice, reason) = auto(&[cpu(known(10.0, 1)), failed(3, gpu(0, None))]);
    assert_eq!(choice, "cpu, 1 thread");
    assert!(reason.contains("on gpu:0 it has only failed so far"), "{reason}");
    // It is free at once, since it fails at once.
    let busy = VariantState { wait_ms: 60_000.0, ..cpu(known(10.0, 1)) };
    assert_eq!(auto(&[busy.clone(), failed(3, gpu(0, None)), failed(0, gpu(1, None))]).0, "cpu, 1 thread");
    assert_eq!(
        auto(&[busy, failed(3, gpu(0, None)), gpu(1, known(10.0, 1))]).0,
        "gpu:0",
        "another of its kind succeeded"
    );
    assert_eq!(auto(&[failed(3, cpu(None)), failed(3, gpu(0, None))]).0, "cpu, 1 thread", "something has to be tried");
}

#[test]
fn waiting_counts_and_a_second_gpu_is_presumed_to_be_like_the_first() {
    let waits = |wait_ms, state| VariantState { wait_ms, ..state };
    let (choice, reason) = auto(&[cpu(known(400.0, 9)), waits(500.0, gpu(0, known(100.0, 9)))]);
    assert_eq!(choice, "cpu, 1 thread");
    assert_eq!(reason, "cpu: 400 ms against 600 ms on gpu:0 (500 ms of it waiting), learned from 9 runs");
    let three = [cpu(known(400.0, 9)), waits(50.0, gpu(0, known(100.0, 9))), gpu(1, None)];
    assert_eq!(auto(&three).0, "gpu:1");
    let (policy, devices) = (DeviceChoice::Auto, &three[..]);
    let request = VariantRequest { policy, cpu: true, gpu: true, devices, inventory_known: true };
    assert_eq!(plan_variants(&request).unwrap().runs_ms, 100.0);
}

#[test]
fn a_device_that_is_asked_for_is_taken_or_refused() {
    let software = VariantState { unusable: Some(Unusable::SoftwareNotAllowed), ..gpu(0, None) };
    let devices = [cpu(None), software, gpu(1, known(9.0, 1))];
    let chosen = |policy| plan_on(policy, &devices).unwrap().choice;
    assert_eq!(chosen(DeviceChoice::Cpu), Choice::Cpu { threads: 1 });
    assert_eq!(chosen(DeviceChoice::Gpu), Choice::Gpu { index: 1 });
    assert_eq!(chosen(DeviceChoice::GpuIndex(1)), Choice::Gpu { index: 1 });
    let asked = DeviceChoice::GpuIndex(0);
    assert_eq!(plan_on(asked, &devices), Err(PlanError::NoDevice { asked }.into()));
    assert_eq!(plan_on(DeviceChoice::Split, &devices), Err(NoVariant::Split));
    let plan = plan_on(DeviceChoice::Cpu, &devices).unwrap();
    assert_eq!(plan.reason, "cpu: no run of this variant is known; `cpu` was asked for");
    assert_eq!(plan.candidates[1].note, "software adapter, not allowed");
}

#[test]
fn gpus_are_looked_for_only_where_a_variant_could_run_on_one() {
    let devices = [cpu(None)];
    let with =
        |policy, cpu, gpu| planned(VariantRequest { policy, cpu, gpu, devices: &devices, inventory_known: false });
    let search: Result<Plan, NoVariant> = Err(PlanError::NeedsInventory.into());
    assert_eq!(with(DeviceChoice::Auto, true, true), search);
    assert_eq!(with(DeviceChoice::Gpu, true, true), search);
    assert!(with(DeviceChoice::Cpu, true, true).is_ok());
    assert!(with(DeviceChoice::Auto, true, false).unwrap().reason.ends_with("the job has no gpu variant"));
    assert!(matches!(with(DeviceChoice::Gpu, true, false), Err(NoVariant::Absent { variant: "gpu", .. })));
    assert!(matches!(with(DeviceChoice::Cpu, false, true), Err(NoVariant::Absent { variant: "cpu", .. })));
}

#[test]
fn without_a_gpu_the_cpu_variant_runs_and_a_lone_gpu_variant_does_not() {
    let with = |cpu_too| {
        let (policy, devices) = (DeviceChoice::Auto, &[cpu(None)]);
        planned(VariantRequest { policy, cpu: cpu_too, gpu: true, devices, inventory_known: true })
    };
    let plan = with(true).unwrap();
    assert_eq!(plan.choice, Choice::Cpu { threads: 1 });
    assert!(plan.reason.ends_with("there is no usable gpu (`tandem devices` says why)"), "{}", plan.reason);
    assert_eq!(with(false), Err(NoVariant::NoGpu));
}

/// Jobs of one program one after the other, as the model learns from them: how long each ran, and where.
struct Program {
    model: Model,
    /// How long its variants really take.
    cpu_ms: f64,
    gpu_ms: f64,
}

impl Program {
    fn key(device: DeviceId) -> ModelKey<'static> {
        let (variant, fingerprint) = if device == DeviceId::Cpu { ("p x cpu", "a cpu") } else { ("p x gpu", "a gpu") };
        ModelKey { kernel: "command", variant, cost: CostClass::UNTOLD, fingerprint, lanes: 1 }
    }

    fn learn(&mut self, device: DeviceId, compute_ms: f64) {
        let run = Measured { units: 1, passes: 1, compute_ms, ..Measured::default() };
        assert!(self.model.learn(Self::key(device), &run));
    }

    fn state(&self, device: DeviceId) -> VariantState {
        let key = Self::key(device);
        let run = self.model.compute(key, 1, Belief::PROPORTIONAL);
        let (runs_since, is_stale) = (self.model.runs_since(key), self.model.due_for_probe(key));
        VariantState { runs_since, is_stale, ..state(device, run) }
    }

    /// Runs so many jobs; how many ran on the GPU, and how long all of them took.
    fn run(&mut self, jobs: usize) -> (usize, f64) {
        let (mut on_gpu, mut spent_ms) = (0, 0.0);
        for _ in 0..jobs {
            let plan = plan_on(DeviceChoice::Auto, &[self.state(DeviceId::Cpu), self.state(DeviceId::Gpu(0))]).unwrap();
            let (device, ms) = match plan.choice {
                Choice::Gpu { index } => (DeviceId::Gpu(index), self.gpu_ms),
                _ => (DeviceId::Cpu, self.cpu_ms),
            };
            on_gpu += usize::from(device != DeviceId::Cpu);
            spent_ms += ms;
            self.learn(device, ms);
        }
        (on_gpu, spent_ms)
    }
}

#[test]
fn a_variant_whose_first_run_was_exceptionally_slow_is_looked_at_again_and_then_taken() {
    for (first_ms, jobs) in [(4_000.0, 20), (60_000.0, 150), (600_000.0, 1300)] {
        let mut program = Program { model: Model::new(), cpu_ms: 2_000.0, gpu_ms: 500.0 };
        program.learn(DeviceId::Gpu(0), first_ms);
        program.learn(DeviceId::Cpu, 2_000.0);
        assert_eq!(program.run(3).0, 0, "it has just been slow");
        assert!(program.run(jobs).0 > 0, "{first_ms}");
        let (on_gpu, _) = program.run(1000);
        assert!(on_gpu > 950, "{on_gpu} of 1000 after {first_ms} ms");
    }
}

#[test]
fn a_variant_of_the_cpu_that_was_once_slow_is_looked_at_again_too() {
    let mut program = Program { model: Model::new(), cpu_ms: 100.0, gpu_ms: 500.0 };
    program.learn(DeviceId::Gpu(0), 500.0);
    program.learn(DeviceId::Cpu, 9_000.0);
    program.run(200);
    let (on_gpu, _) = program.run(1000);
    assert!(on_gpu < 50, "{on_gpu}");
}

#[test]
fn looking_again_at_what_is_really_slow_costs_little() {
    for gpu_ms in [3_000.0, 20_000.0, 200_000.0] {
        let mut program = Program { model: Model::new(), cpu_ms: 2_000.0, gpu_ms };
        program.learn(DeviceId::Gpu(0), gpu_ms);
        program.learn(DeviceId::Cpu, 2_000.0);
        let (looks, first_ms) = program.run(1000);
        assert!(looks > 0 && first_ms < 1000.0 * 2_000.0 * 1.25, "{looks} of {gpu_ms}");
        program.run(2000);
        let (_, later_ms) = program.run(10_000);
        assert!(later_ms < 10_000.0 * 2_000.0 * 1.031, "{gpu_ms}: {later_ms}");
    }
}

#[test]
fn a_look_is_one_at_a_time_not_at_what_fails_and_told_in_the_reason() {
    let stale = VariantState { runs_since: 400, is_stale: true, ..gpu(0, known(60_000.0, 1)) };
    let (choice, reason) = auto(&[cpu(known(2000.0, 9)), stale.clone()]);
    assert_eq!(choice, "gpu:0");
    assert_eq!(reason, "gpu:0: tried again, to see whether it still takes 60.0 s, after 400 runs elsewhere");
    for other in [
        VariantState { trying: 1, ..stale.clone() },
        VariantState { failed: 1, ..stale.clone() },
        VariantState { is_stale: false, ..stale.clone() },
        VariantState { runs_since: 100, ..stale.clone() },
        VariantState { wait_ms: 1e6, ..stale.clone() },
        VariantState { run: known(60_000.0, 3), ..stale },
    ] {
        assert_eq!(auto(&[cpu(known(2000.0, 9)), other.clone()]).0, "cpu, 1 thread", "{other:?}");
    }
}
