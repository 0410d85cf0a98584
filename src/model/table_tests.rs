use super::*;

const GPU: ModelKey<'_> = ModelKey { kernel: "k", variant: "f32", cost: CostClass(0), fingerprint: "gpu", lanes: 1 };
const CPU: ModelKey<'_> = ModelKey { kernel: "k", variant: "f32", cost: CostClass(0), fingerprint: "cpu", lanes: 4 };

fn run(units: u64, compute_ms: f64) -> Measured {
    Measured { units, passes: 1, compute_ms, ..Measured::default() }
}

fn ms(model: &Model, key: ModelKey<'_>, units: u64) -> f64 {
    model.compute(key, units, Belief::PROPORTIONAL).unwrap().ms
}

#[test]
fn keys_are_kept_apart() {
    let mut model = Model::new();
    let keys = [
        GPU,
        CPU,
        ModelKey { lanes: 1, ..CPU },
        ModelKey { variant: "f64", ..CPU },
        ModelKey { kernel: "l", ..CPU },
        ModelKey { cost: CostClass(1), ..CPU },
        ModelKey { variant: "f32 quantiles", ..CPU },
    ];
    for (i, key) in keys.into_iter().enumerate() {
        assert!(model.learn(key, &run(100, 1.0 + i as f64)));
    }
    for (i, key) in keys.into_iter().enumerate() {
        assert!((ms(&model, key, 100) - 1.0 - i as f64).abs() < 1e-9, "{key:?}");
    }
    let relatives: Vec<_> = model.relatives(CPU).collect();
    let others = [keys[2], keys[5], keys[6]];
    assert_eq!(relatives, others, "other lanes, other costs, and the same type asked for more");
    assert_eq!(model.compute(ModelKey { fingerprint: "other", ..GPU }, 100, Belief::PROPORTIONAL), None);
}

#[test]
fn what_is_no_time_is_refused() {
    let good = run(100, 1.0);
    let bad = [
        Measured { compute_ms: 0.0, ..good },
        Measured { compute_ms: -1.0, ..good },
        Measured { compute_ms: f64::NAN, ..good },
        Measured { compute_ms: f64::INFINITY, ..good },
        Measured { upload_ms: -0.1, ..good },
        Measured { setup_ms: f64::NAN, ..good },
        Measured { readback_ms: f64::INFINITY, ..good },
        Measured { units: 0, ..good },
        Measured { passes: 0, ..good },
    ];
    let mut model = Model::new();
    for run in bad {
        assert!(!model.learn(GPU, &run), "{run:?}");
    }
    assert!(model.is_empty());
    assert!(model.learn(GPU, &good));
}

#[test]
fn passes_share_the_time() {
    let mut model = Model::new();
    model.learn(GPU, &Measured { passes: 4, bytes: 400, upload_ms: 2.0, readback_ms: 1.0, ..run(100, 8.0) });
    assert!((ms(&model, GPU, 100) - 2.0).abs() < 1e-9);
    assert!((model.upload(GPU, 100).unwrap().ms - 0.5).abs() < 1e-9);
    assert!((model.readback(GPU, 100).unwrap().ms - 0.25).abs() < 1e-9);
}

#[test]
fn facts_about_a_device_are_shared_by_its_kernels() {
    let mut model = Model::new();
    model.learn(GPU, &Measured { cold: true, setup_ms: 150.0, upload_ms: 10.0, bytes: 1 << 20, ..run(100, 1.0) });
    let other = ModelKey { kernel: "other", ..GPU };
    assert!((model.setup_cold(other).unwrap().ms - 150.0).abs() < 1e-9);
    assert!((model.upload_bytes("gpu", 1 << 20).unwrap().ms - 10.0).abs() < 1e-9);
    // Warm runs and resident input say nothing about them.
    let mut model = Model::new();
    model.learn(GPU, &Measured { setup_ms: 1.0, upload_ms: 1.0, bytes: 10, resident: true, ..run(100, 1.0) });
    assert_eq!((model.setup_cold(GPU), model.upload_bytes("gpu", 10)), (None, None));
}

#[test]
fn preparing_a_kernel_on_an_open_device_is_no_price_of_opening_it() {
    let mut model = Model::new();
    model.learn(GPU, &Measured { cold: true, setup_ms: 150.0, ..run(100, 1.0) });
    for _ in 0..12 {
        model.learn(GPU, &Measured { setup_ms: 20.0, ..run(100, 1.0) });
    }
    // Whatever the job is like, and for kernels that have never been run there.
    for key in [GPU, ModelKey { cost: CostClass(40), ..GPU }, ModelKey { kernel: "other", ..GPU }] {
        let (cold, warm) = (model.setup_cold(key).unwrap().ms, model.setup_warm(key).unwrap().ms);
        assert!((cold - 150.0).abs() < 1e-9 && (warm - 20.0).abs() < 1e-9, "{key:?}: {cold} {warm}");
    }
    assert_eq!(model.setup_warm(CPU), None);
}

#[test]
fn set_up_and_upload_three_hundred_times_too_slow_are_outlived_too() {
    let honest = Measured { cold: true, setup_ms: 200.0, upload_ms: 4.0, bytes: 4 << 20, ..run(1 << 20, 1.0) };
    let mut model = Model::new();
    for _ in 0..12 {
        model.learn(GPU, &Measured { setup_ms: 60_000.0, upload_ms: 1200.0, ..honest });
    }
    let right = |model: &Model| {
        let near = |ms: f64, right: f64| (ms / right - 1.0).abs() < 0.25;
        near(model.setup_cold(GPU).unwrap().ms, 200.0)
            && near(model.upload(GPU, 1 << 20).unwrap().ms, 4.0)
            && near(model.upload_bytes("gpu", 4 << 20).unwrap().ms, 4.0)
    };
    let recovered = (1..=20).find(|_| {
        model.learn(GPU, &honest);
        right(&model)
    });
    assert!(recovered.is_some_and(|runs| runs <= 5), "{recovered:?}");
}

#[test]
fn a_device_is_due_for_reopening_after_runs_elsewhere_that_pay_for_it() {
    let mut model = Model::new();
    assert!(!model.due_for_reopening("gpu", 0.0), "it was never opened");
    model.learn(GPU, &Measured { cold: true, setup_ms: 60_000.0, ..run(100, 1.0) });
    let elsewhere = |model: &mut Model, ms| model.learn(CPU, &run(100, ms));
    for _ in 0..100 {
        elsewhere(&mut model, 1.0);
    }
    assert!(!model.due_for_reopening("gpu", 200.0), "a tenth of a second does not pay for it");
    for _ in 0..10 {
        elsewhere(&mut model, 1_000.0);
    }
    assert!(model.due_for_reopening("gpu", 200.0));
    // Where it turns out to be slow indeed, that has to be paid first.
    model.learn(GPU, &Measured { cold: true, explored: true, setup_ms: 60_000.0, ..run(100, 1.0) });
    for _ in 0..1000 {
        elsewhere(&mut model, 1_000.0);
    }
    assert!(!model.due_for_reopening("gpu", 200.0));
}

#[test]
fn twelve_samples_three_hundred_times_too_slow_are_outlived_within_twenty_runs() {
    let mut model = Model::new();
    for _ in 0..12 {
        model.learn(GPU, &run(1_000_000, 300.0));
    }
    let recovered = (1..=20).find(|_| {
        model.learn(GPU, &run(1_000_000, 1.0));
        (ms(&model, GPU, 1_000_000) - 1.0).abs() < 0.25
    });
    assert!(recovered.is_some_and(|runs| runs <= 5), "{recovered:?}");
}

#[test]
fn what_was_not_run_for_long_is_due_for_a_probe_and_less_and_less_often() {
    let mut model = Model::new();
    assert!(model.due_for_probe(GPU));
    model.learn(GPU, &run(1000, 1.0));
    let mut gaps = Vec::new();
    for _ in 0..3 {
        let mut gap = 0;
        while !model.due_for_probe(GPU) {
            model.learn(CPU, &run(1000, 1.0));
            gap += 1;
            assert!(gap < 1000, "never due again");
        }
        gaps.push(gap);
        model.learn(GPU, &run(1000, 1.0));
    }
    assert_eq!(gaps, [4, 8, 16]);
    // News bring it back to the beginning.
    while !model.due_for_probe(GPU) {
        model.learn(CPU, &run(1000, 1.0));
    }
    model.learn(GPU, &run(1000, 9.0));
    for _ in 0..4 {
        assert!(!model.due_for_probe(GPU));
        model.learn(CPU, &run(1000, 1.0));
    }
    assert!(model.due_for_probe(GPU));
}

#[test]
fn the_table_lists_every_phase() {
    let mut model = Model::new();
    model.learn(GPU, &Measured { cold: true, setup_ms: 150.0, upload_ms: 10.0, bytes: 4000, ..run(1000, 1.0) });
    let rows: Vec<_> = model.rows().iter().map(|row| (row.kernel.clone(), row.phase, row.units, row.ms)).collect();
    let expected = [("", "setup", 1.0, 150.0), ("", "upload", 4000.0, 10.0)]
        .into_iter()
        .chain([("k", "setup", 1.0, 150.0), ("k", "upload", 1000.0, 10.0), ("k", "compute", 1000.0, 1.0)])
        .map(|(kernel, phase, units, ms)| (kernel.to_owned(), phase, units, ms))
        .collect::<Vec<_>>();
    assert_eq!(rows, expected);
}

/// A model that has learned under random keys of few names, and what each key's last run took.
fn at_random(seed: u64) -> (Model, std::collections::BTreeMap<ModelKey<'static>, f64>) {
    let mut random = crate::random::SplitMix64(seed);
    let mut pick = move |count: u64| (random.next_u64() % count) as usize;
    let (mut model, mut learned) = (Model::new(), std::collections::BTreeMap::new());
    for n in 0..200 {
        let key = ModelKey {
            kernel: ["a", "ab", "k"][pick(3)],
            variant: ["", "f32", "f32 quantiles", "f64"][pick(4)],
            cost: CostClass([-3, 0, 7][pick(3)]),
            fingerprint: ["cpu", "gpu", "gpu 1"][pick(3)],
            lanes: [1, 4][pick(2)],
        };
        // Once each, so that the time is the curve's.
        learned.entry(key).or_insert_with(|| {
            let compute_ms = 1.0 + f64::from(n);
            assert!(model.learn(key, &run(100, compute_ms)), "seed {seed}: {key:?}");
            compute_ms
        });
    }
    (model, learned)
}

#[test]
fn whatever_the_order_in_which_keys_come_they_are_found_and_others_are_not() {
    for seed in 0..20 {
        let (model, learned) = at_random(seed);
        let text = serde_json::to_string(&model).unwrap();
        let mut restored: Model = serde_json::from_str(&text).unwrap();
        restored.restore();
        // As where hashes are the same: then keys are searched for.
        let placeless = Model { places: Places::default(), ..model.clone() };
        for model in [&model, &restored, &placeless] {
            for (&key, &compute_ms) in &learned {
                assert!((ms(model, key, 100) - compute_ms).abs() < 1e-9, "seed {seed}: {key:?}");
                let runs: Vec<_> = learned
                    .keys()
                    .filter(|other| (other.kernel, other.variant, other.cost) == (key.kernel, key.variant, key.cost))
                    .collect();
                assert_eq!(model.runs_of(key), runs.len() as u64, "seed {seed}: {key:?}");
                let other = ModelKey { lanes: 9, ..key };
                assert_eq!(model.compute(other, 100, Belief::PROPORTIONAL), None, "seed {seed}: {other:?}");
            }
        }
    }
}

#[test]
fn what_is_found_among_its_like_is_what_is_found_by_its_key() {
    for seed in 0..20 {
        let (mut model, learned) = at_random(seed);
        let keys: Vec<ModelKey<'_>> = learned.keys().copied().collect();
        // Some run often, so that others of their like are due.
        for key in keys.iter().step_by(5) {
            (0..6).for_each(|_| _ = model.learn(*key, &Measured { bytes: 8, upload_ms: 2.0, ..run(100, 3.0) }));
        }
        let mut due = [0, 0];
        for &key in keys.iter().chain(&[ModelKey { lanes: 9, ..keys[0] }, ModelKey { kernel: "none", ..keys[0] }]) {
            let alike = model.alike(key.kernel, key.variant, key.cost);
            let runs = alike.on(key.fingerprint, key.lanes);
            let belief = Belief::PROPORTIONAL;
            for units in [1, 100, 10_000] {
                let found = runs.and_then(|runs| runs.compute(units, belief));
                assert_eq!(found, model.compute(key, units, belief), "seed {seed}: {key:?}");
                let found = runs.and_then(|runs| runs.upload(units));
                assert_eq!(found, model.upload(key, units), "seed {seed}: {key:?}");
                let found = runs.and_then(|runs| runs.readback(units));
                assert_eq!(found, model.readback(key, units), "seed {seed}: {key:?}");
            }
            let is_due = alike.due_for_probe(key.fingerprint, key.lanes);
            assert_eq!(is_due, model.due_for_probe(key), "seed {seed}: {key:?}");
            due[usize::from(is_due)] += 1;
        }
        assert!(due[0] > 0 && due[1] > 2, "seed {seed}: both are among them: {due:?}");
    }
}
