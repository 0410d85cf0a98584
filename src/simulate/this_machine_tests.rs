use super::*;
use crate::device::DeviceId;
use crate::model::{CostClass, Measured, ModelKey};

fn info(id: DeviceId, kind: DeviceKind) -> DeviceInfo {
    DeviceInfo {
        id,
        name: format!("device {id}"),
        kind,
        driver: "driver 1".to_owned(),
        fingerprint: format!("print of {id}"),
        lanes: if id == DeviceId::Cpu { 8 } else { 1 },
        memory_bytes: Some(8 << 30),
        max_chunk_bytes: 256 << 20,
        limits: Vec::new(),
    }
}

fn machine(gpus: &[DeviceInfo], model: &Model) -> Machine {
    let cpu = info(DeviceId::Cpu, DeviceKind::Cpu);
    let machine = this_machine(&Inventory { name: "this", cpu: &cpu, threads: 8, memory_bytes: 16 << 30, gpus }, model);
    assert_eq!(machine.check(), Ok(()));
    machine
}

/// Teaches what a device of this speed would take: `speed` lanes as fast as the kernel's own account says, besides `fixed_ms`.
fn teach(
    model: &mut Model,
    kernel: &str,
    variant: &str,
    prior_ns: f64,
    device: &str,
    lanes: u32,
    [speed, fixed_ms]: [f64; 2],
) {
    // The middle of its class, which is all that the model keeps.
    let cost = CostClass::of(prior_ns);
    for units in [1_u64 << 12, 1 << 18, 1 << 22, 1 << 25] {
        let key = ModelKey { kernel, variant, cost, fingerprint: device, lanes };
        let compute_ms = fixed_ms + units as f64 * cost.ns() / 1e6 / speed;
        for _ in 0..3 {
            assert!(model.learn(key, &Measured { units, passes: 1, compute_ms, ..Measured::default() }));
        }
    }
}

#[track_caller]
fn near(found: f64, expected: f64) {
    assert!((found / expected - 1.0).abs() < 0.03, "{found}, not {expected}");
}

#[test]
fn a_model_that_was_taught_known_rates_gives_them_back() {
    let (cpu, gpu) = ("print of cpu", "print of gpu:0");
    let mut model = Model::new();
    for lanes in [1_u32, 4, 8] {
        let useful = 1.0 + f64::from(lanes - 1) * 0.75;
        teach(&mut model, "stats", "f32 quantiles", 2.5, cpu, lanes, [1.5 * useful, 0.0]);
        teach(&mut model, "stats", "f64", 2.0, cpu, lanes, [2.5 * useful, 0.0]);
        teach(&mut model, "primes", "range", 90.0, cpu, lanes, [0.8 * useful, 0.0]);
    }
    teach(&mut model, "stats", "f32", 0.7, gpu, 1, [40.0, 0.5]);
    let key = ModelKey { kernel: "stats", variant: "f32", cost: CostClass::of(0.7), fingerprint: gpu, lanes: 1 };
    for bytes in [1_u64 << 20, 1 << 24, 1 << 28] {
        let upload_ms = 0.1 + bytes as f64 / 12e9 * 1e3;
        let run = Measured {
            units: 1 << 25,
            passes: 1,
            bytes,
            upload_ms,
            compute_ms: 0.5 + (1 << 25) as f64 * key.cost.ns() / 1e6 / 40.0,
            setup_ms: 300.0,
            cold: true,
            ..Measured::default()
        };
        assert!(model.learn(key, &run));
    }
    let machine = machine(&[info(DeviceId::Gpu(0), DeviceKind::DiscreteGpu)], &model);
    near(machine.cpu.thread_efficiency, 0.75);
    for (kind, variant, expected) in
        [("stats", "f32", 1.5), ("stats", "f32 histogram", 1.5), ("stats", "f64", 2.5), ("primes", "range", 0.8)]
    {
        near(machine.cpu.speed_of(kind, variant), expected);
    }
    // Of kernels and types that nobody has measured: what is usual.
    near(machine.cpu.speed_of("stats", "i32"), 2.0);
    near(machine.cpu.speed_of("else", ""), 1.4);
    let gpu = &machine.gpus[0];
    near(gpu.speed_of("stats", "f32"), 40.0);
    near(gpu.latency_ms, 0.5);
    near(gpu.upload_bytes_per_s, 12e9);
    near(gpu.cold_start_ms, 300.0);
    let notes = machine.notes.join("\n");
    assert!(notes.contains("gpu:0: measured: upload_bytes_per_s, cold_start_ms, latency_ms"), "{notes}");
    assert!(notes.contains("thread_efficiency is measured"), "{notes}");
}

#[test]
fn several_lanes_alone_tell_the_speed_of_one_by_the_usual_efficiency() {
    let mut model = Model::new();
    teach(&mut model, "stats", "f32", 7.0, "print of cpu", 8, [3.0 * (1.0 + 7.0 * priors::THREAD_EFFICIENCY), 0.0]);
    let machine = machine(&[], &model);
    near(machine.cpu.speed_of("stats", "f32"), 3.0);
    assert_eq!(machine.cpu.thread_efficiency, priors::THREAD_EFFICIENCY);
}

#[test]
fn what_nobody_measured_is_a_prior_and_is_said_to_be_one() {
    let mut model = Model::new();
    // What other devices did tells nothing of these.
    teach(&mut model, "stats", "f32", 0.7, "another", 1, [77.0, 0.0]);
    let gpus = [info(DeviceId::Gpu(0), DeviceKind::DiscreteGpu), info(DeviceId::Gpu(1), DeviceKind::SoftwareGpu)];
    let machine = machine(&gpus, &model);
    assert_eq!((machine.cpu.speed, machine.cpu.speeds.len()), (1.0, 0));
    assert_eq!((machine.gpus[0].speed, machine.gpus[0].cold_start_ms), (24.0, priors::SETUP_MS));
    // Four times slower than eight threads of which each further one is worth 0.9.
    near(machine.gpus[1].speed, 7.3 / 4.0);
    assert_eq!((machine.gpus[0].kind, machine.gpus[1].kind), (GpuKind::Discrete, GpuKind::Software));
    let notes = machine.notes.join("\n");
    assert!(notes.contains("gpu:0: priors: upload_bytes_per_s, cold_start_ms, latency_ms"), "{notes}");
    assert!(notes.contains("speed is 1, a prior") && !notes.contains("measured speeds"), "{notes}");
}

/// The lists of four and six numbers in `examples/jobs.jsonl`, a table of some thousand rows, and a range that runs for long.
#[test]
fn what_took_microseconds_sets_no_speed_and_is_named() {
    let mut model = Model::new();
    let mut learn = |kernel: &str, variant: &str, ns: f64, lanes: u32, units: u64, compute_ms: f64| {
        let key = ModelKey { kernel, variant, cost: CostClass::of(ns), fingerprint: "print of cpu", lanes };
        assert!(model.learn(key, &Measured { units, passes: 1, compute_ms, ..Measured::default() }));
    };
    learn("primes", "numbers", 64.0, 1, 4, 0.0294);
    learn("primes", "numbers", 64.0, 1, 6, 0.0416);
    learn("primes", "numbers", 64.0, 2, 6, 0.3);
    learn("stats", "f64 quantiles", 3.4, 1, 8759, 0.549);
    let alone = machine(&[], &model);
    assert_eq!((alone.cpu.speed, alone.cpu.thread_efficiency), (1.0, priors::THREAD_EFFICIENCY));
    assert!(alone.cpu.speeds.is_empty(), "{:?}", alone.cpu.speeds);
    let notes = alone.notes.join("\n");
    assert!(notes.contains("cpu: nothing large enough was measured of: primes numbers, stats f64"), "{notes}");
    assert!(notes.contains("thread_efficiency is a prior: nothing ran for long enough"), "{notes}");
    // What ran for long tells its speed beside them.
    let learn = |model: &mut Model, lanes: u32, compute_ms: f64| {
        let cost = CostClass::of(32.0);
        let key = ModelKey { kernel: "primes", variant: "range", cost, fingerprint: "print of cpu", lanes };
        let compute_ms = compute_ms * cost.ns() / 32.0;
        assert!(model.learn(key, &Measured { units: 1 << 20, passes: 1, compute_ms, ..Measured::default() }));
    };
    let usual_ms = f64::from(1 << 20) * 32.0 / 1e6;
    learn(&mut model, 1, usual_ms / 2.0);
    learn(&mut model, 3, usual_ms / 2.0 / 2.0);
    let machine = machine(&[], &model);
    near(machine.cpu.speed_of("primes", "range"), 2.0);
    near(machine.cpu.speed_of("stats", "f64"), 2.0);
    near(machine.cpu.thread_efficiency, 0.5);
    let notes = machine.notes.join("\n");
    assert!(notes.contains("measured speeds: primes, primes range;") && notes.contains("primes numbers"), "{notes}");
}

#[test]
fn threads_that_are_worth_little_are_told_without_guessing_why() {
    let mut model = Model::new();
    teach(&mut model, "stats", "f32", 0.7, "print of cpu", 1, [1.0, 0.0]);
    teach(&mut model, "stats", "f32", 0.7, "print of cpu", 8, [1.2, 0.0]);
    let notes = machine(&[], &model).notes.join("\n");
    assert!(notes.contains("measured, and low: if other programs kept the cpu busy"), "{notes}");
}
