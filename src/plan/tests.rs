//! The planner's table: who wins, and what is said of it.

use std::sync::Arc;

use super::*;
use crate::device::DeviceKind;
use crate::kernels::Work;
use crate::model::{Measured, Model, ModelKey};

fn work(units: u64) -> Work {
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

fn cpu(lanes: u32) -> DeviceState {
    DeviceState {
        id: DeviceId::Cpu,
        fingerprint: Arc::from("cpu"),
        kind: DeviceKind::Cpu,
        unusable: None,
        lanes,
        opened: true,
        busy_for_ms: 0.0,
        memory_bytes: None,
        max_chunk_bytes: u64::MAX,
        resident: 1.0,
    }
}

fn gpu(index: u32) -> DeviceState {
    DeviceState {
        id: DeviceId::Gpu(index),
        fingerprint: Arc::from(format!("gpu {index}")),
        kind: DeviceKind::DiscreteGpu,
        unusable: None,
        lanes: 1,
        opened: true,
        busy_for_ms: 0.0,
        memory_bytes: Some(8 << 30),
        max_chunk_bytes: 128 << 20,
        resident: 0.0,
    }
}

/// A model in which one thread, all threads and GPUs have been measured over sizes: fixed milliseconds and nanoseconds a
/// unit each.
fn model(measured: &[(&str, u32, f64, f64)]) -> Model {
    let mut model = Model::new();
    for &(fingerprint, lanes, fixed_ms, ns) in measured {
        for shift in (4..32).step_by(2) {
            let units = 1_u64 << shift;
            for _ in 0..9 {
                let run = Measured {
                    units,
                    passes: 1,
                    compute_ms: fixed_ms + units as f64 * ns / 1e6,
                    upload_ms: if fingerprint == "cpu" { 0.0 } else { 1e-6 },
                    ..Measured::default()
                };
                assert!(model.learn(ModelKey { kernel: "k", variant: "v", fingerprint, lanes }, &run));
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
        })
    }
}

fn choose(units: u64, devices: Vec<DeviceState>, model: &Model) -> Plan {
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
