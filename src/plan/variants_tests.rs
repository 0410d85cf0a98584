use super::*;

fn known(ms: f64, samples: u32) -> Option<Forecast> {
    Some(Forecast::around(ms, 1.5, samples))
}

fn state(device: DeviceId, run: Option<Forecast>) -> VariantState {
    VariantState { device, unusable: None, wait_ms: 0.0, run, trying: 0, failed: 0 }
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
