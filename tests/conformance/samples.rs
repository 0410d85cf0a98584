//! The sample that every registered kernel makes up for calibration and benchmarks: nothing here knows any kernel, so a new
//! one is swept from its first day.

use std::sync::Arc;

use tandem::job::{BindContext, JobParams, Sample};
use tandem::kernels::{DynKernel, GpuCaps, Integers, KERNELS};

use crate::gpus::gpu_forms;
use crate::random::{Random, base_seed};
use crate::run::{Tally, result_json};
use crate::sweep::{Case, Expected, check, ways};

/// More than this in columns that are all multiplied with each other takes a software adapter seconds, in each of many ways.
const SAMPLE_BYTES_MAX: f64 = 6e5;

/// A kernel, bound from what its sample makes up.
pub fn bound(params: &dyn JobParams) -> Arc<dyn DynKernel> {
    let bound = params.bind(&BindContext::default()).expect("a sample is a valid job");
    bound.kernel().expect("it is a kernel's")
}

/// So many units, or as many as a test has time for where each of them is a row of many columns.
pub fn affordable(sample: impl Fn(u64) -> Arc<dyn DynKernel>, units: u64) -> u64 {
    let bytes_per_unit = sample(1).work().bytes_per_unit;
    units.min((SAMPLE_BYTES_MAX / bytes_per_unit.max(1.0)) as u64)
}

#[test]
fn samples_of_every_registered_kernel_come_to_the_same_bytes_everywhere() {
    let tally = Tally::default();
    for kind in KERNELS {
        for variant in kind.variants {
            let mut random = Random::named(base_seed(), &format!("{} {variant} sample", kind.name));
            let mut results = Vec::new();
            let sample = |units, seed| bound(&*(kind.sample)(&Sample { variant, units, seed }));
            for units in [0, 1, 1000, 4097, affordable(|units| sample(units, 1), 30_011)] {
                for seed in [1, 2] {
                    let kernel = sample(units, seed);
                    assert_eq!(kernel.work().variant, *variant);
                    let name = format!("sample of {} {variant}, {units} units, seed {seed}", kind.name);
                    let case = Case { name, kernel, expected: Expected::Agreement };
                    let ways = ways(&*case.kernel, gpu_forms(), &mut random);
                    check(&case, &ways, &tally).unwrap_or_else(|differences| {
                        panic!("{}, TANDEM_TEST_SEED={}:\n{differences}", case.name, base_seed())
                    });
                    results.push(result_json(&*case.kernel, &ways[0], &tally).expect("it has just succeeded"));
                }
            }
            let distinct: std::collections::BTreeSet<&String> = results.iter().collect();
            assert!(distinct.len() > 3, "{} {variant}: samples that differ have answers that differ", kind.name);
        }
    }
}

/// What needs the whole input to begin computes on nothing while it is on its way.
#[test]
fn kernels_go_through_their_input_in_pieces_and_in_order() {
    let caps = |contiguous, piece_bytes| GpuCaps {
        integers: Integers::Limbs32,
        contiguous,
        max_binding_bytes: 128 << 20,
        max_workgroup_bytes: 32 << 10,
        max_workgroup_invocations: 256,
        preferred_workgroups: 16,
        piece_bytes,
    };
    let mut with_input = 0;
    for kind in KERNELS {
        for variant in kind.variants {
            let sample = Sample { variant, units: 70_001, seed: 3 };
            let kernel = bound(&*(kind.sample)(&sample));
            if !kernel.work().gpu {
                continue;
            }
            let pass = kernel.first_pass().expect("it has a first pass");
            for (contiguous, piece_bytes) in [(true, 4 << 10), (false, 4 << 10), (true, 1 << 40), (false, 1 << 40)] {
                let work = kernel.gpu_work(&pass, 0..kernel.work().units, &caps(contiguous, piece_bytes));
                let work = work.expect("nothing is read yet").expect("there is a GPU side");
                for step in work.steps() {
                    let Some(input) = &step.input else { continue };
                    let what = format!("{} {variant}, contiguous {contiguous}, {piece_bytes}", kind.name);
                    let ends: Vec<u64> = step.dispatches.iter().map(|dispatch| dispatch.input_end).collect();
                    assert!(ends.is_sorted() && ends[0] > 0, "{what}: {ends:?}");
                    let elements = input.range.end - input.range.start;
                    assert!(*ends.last().unwrap() >= elements, "{what}: {ends:?} of {elements}");
                    if piece_bytes == 4 << 10 {
                        let pieces: std::collections::BTreeSet<u64> = ends.into_iter().collect();
                        assert!((4..=64).contains(&pieces.len()), "{what}: {pieces:?} of {elements}");
                        with_input += 1;
                    }
                }
            }
        }
    }
    assert!(with_input > 10, "{with_input} steps with an input");
}

/// What only a GPU can show is shown by a kernel that has a GPU side: that some do is not left to chance.
#[test]
fn kernels_that_claim_a_gpu_side_have_shaders_and_the_others_have_none() {
    let mut claims = 0;
    for kind in KERNELS {
        let claimed = kind
            .variants
            .iter()
            .filter(|variant| bound(&*(kind.sample)(&Sample { variant, units: 1000, seed: 1 })).work().gpu);
        let claimed = claimed.count();
        assert_eq!(claimed > 0, !(kind.shaders)().is_empty(), "{}: {claimed} variants claim a GPU side", kind.name);
        claims += claimed;
    }
    assert!(claims > 0, "no kernel has a GPU side: what only a GPU can show is not shown");
}
