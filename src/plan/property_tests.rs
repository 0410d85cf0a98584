//! What holds of every plan, whatever is asked.

use proptest::prelude::*;

use super::tests::{choose, cpu, gpu, work};
use super::*;
use crate::device::DeviceKind;
use crate::kernels::Work;
use crate::model::{Measured, Model, ModelKey};

fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        0.0..1e6,
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-1.0),
        Just(0.0),
        Just(1e300)
    ]
}

fn any_device(index: u32) -> impl Strategy<Value = DeviceState> {
    let kind =
        prop_oneof![Just(DeviceKind::DiscreteGpu), Just(DeviceKind::IntegratedGpu), Just(DeviceKind::SoftwareGpu)];
    let unusable = prop_oneof![3 => Just(None), 1 => Just(Some(Unusable::Lost))];
    (kind, unusable, 0_u32..3, any::<bool>(), hostile(), any::<Option<u64>>(), any::<u64>(), hostile()).prop_map(
        move |(kind, unusable, lanes, opened, busy_for_ms, memory_bytes, max_chunk_bytes, resident)| DeviceState {
            kind,
            unusable,
            lanes,
            opened,
            busy_for_ms: vec![busy_for_ms, 0.0, busy_for_ms],
            memory_bytes,
            max_chunk_bytes,
            resident,
            ..gpu(index)
        },
    )
}

prop_compose! {
    fn any_model()(runs in prop::collection::vec(
        (0_usize..4, 1_u64..1 << 50, 1e-6_f64..1e6, 0.0_f64..100.0), 0..20,
    )) -> Model {
        let keys = [("cpu", 1), ("cpu", 8), ("gpu 0", 1), ("gpu 1", 1)];
        let mut model = Model::new();
        for (key, units, compute_ms, upload_ms) in runs {
            let (work, (fingerprint, lanes)) = (work(1), keys[key]);
            let key = ModelKey::of(&work, fingerprint, lanes);
            model.learn(key, &Measured { units, passes: 1, compute_ms, upload_ms, ..Measured::default() });
        }
        model
    }
}

proptest! {
    #[test]
    fn hostile_requests_give_a_sound_plan_or_an_error(
        units in prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), 1_u64..1000],
        granularity in prop_oneof![Just(0), Just(1), Just(u64::MAX), 1_u64..10_000],
        bytes in hostile(), out in hostile(), prior in hostile(),
        passes in any::<u32>(), has_gpu in any::<bool>(), known in any::<bool>(),
        lanes in 0_u32..100, threads in any::<u32>(),
        gpus in (any_device(0), any_device(1)),
        policy in prop_oneof![
            Just(DeviceChoice::Auto), Just(DeviceChoice::Cpu), Just(DeviceChoice::Gpu),
            Just(DeviceChoice::GpuIndex(1)), Just(DeviceChoice::Split)
        ],
        model in any_model(),
    ) {
        let work = Work {
            granularity, bytes_per_unit: bytes, bytes_out_per_unit: out, prior_ns_per_unit: prior, passes,
            gpu: has_gpu, ..work(units)
        };
        let devices = if known { vec![cpu(lanes), gpus.0, gpus.1] } else { vec![cpu(lanes)] };
        let request = PlanRequest {
            work: &work, policy, devices: &devices, inventory_known: known, model: &model, threads, explain: true, stream: Stream::default(),
        };
        let Ok(plan) = plan(&request) else { return Ok(()) };
        let best = plan.candidates[0].predicted.expect("what is chosen is predicted");
        prop_assert_eq!(&plan.candidates[0].choice, &plan.choice);
        for candidate in &plan.candidates {
            if let Some(predicted) = candidate.predicted {
                prop_assert!(predicted.ms.is_finite(), "{:?}", candidate);
                prop_assert!(predicted.low_ms <= predicted.ms && predicted.ms <= predicted.high_ms, "{:?}", candidate);
            }
        }
        if policy == DeviceChoice::Auto {
            for candidate in &plan.candidates {
                let taken = matches!(candidate.choice, Choice::Split { .. });
                if let (Some(predicted), false) = (candidate.predicted, taken) {
                    let limit = predicted.ms * candidates::TIE + candidates::TIE_MS;
                    prop_assert!(best.ms <= limit * (1.0 + 1e-9), "{:?} against {:?}", plan.choice, candidate);
                }
            }
        }
        let usable = |id| devices.iter().any(|state| state.id == id && state.unusable.is_none());
        for state in &devices {
            prop_assert!(!plan.choice.uses(state.id) || usable(state.id), "{:?}", plan.choice);
            prop_assert!(state.id == DeviceId::Cpu || has_gpu || !plan.choice.uses(state.id));
        }
        for power in &plan.powers {
            prop_assert!(usable(power.device) && power.lanes > 0, "{:?}", power);
            prop_assert!(power.units_per_ms > 0.0 && power.units_per_ms.is_finite(), "{:?}", power);
            prop_assert!(power.setup_ms.is_finite(), "{:?}", power);
        }
        if let Some(probe) = &plan.probe {
            prop_assert!(usable(probe.device) && probe.share > 0.0 && probe.share <= 0.0300001, "{:?}", probe);
        }
        if let Some(crossover) = &plan.crossover {
            prop_assert_ne!(&crossover.choice, &plan.choice);
            let reached =
                if crossover.below { units <= crossover.units } else { units >= crossover.units };
            prop_assert!(policy != DeviceChoice::Auto || !reached, "{:?} at {}", crossover, units);
        }
    }

    #[test]
    fn one_more_device_never_makes_the_prediction_worse(
        units in 1_u64..1 << 40, model in any_model(), slow in 1.0_f64..1e3,
    ) {
        let mut model = model;
        let work = work(1);
        let key = ModelKey::of(&work, "gpu 2", 1);
        model.learn(key, &Measured { units, passes: 1, compute_ms: slow, ..Measured::default() });
        let ms = |devices: Vec<DeviceState>| {
            let plan = choose(units, devices, &model);
            plan.candidates[0].predicted.unwrap().ms
        };
        let without = ms(vec![cpu(8), gpu(0)]);
        let with = ms(vec![cpu(8), gpu(0), gpu(2)]);
        prop_assert!(with <= without * candidates::TIE + candidates::TIE_MS, "{with} against {without}");
    }
}
