//! Negative controls: what the comparator is there to catch, done on purpose. Each first shows that the case passes without
//! the fault.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tandem::job::Sample;
use tandem::kernels::primes::{
    NumberRange, Numbers, NumbersKernel, NumbersMode, PrimesParams, PrimesPartial, RangeKernel, RangeMode,
};
use tandem::kernels::stats::{ColumnPartial, DigitCounts, Histogram, Moments, StatsKernel, StatsPartial, StatsRequest};
use tandem::kernels::{DynKernel, KERNELS, Kernel};

use crate::faulty::{FaultyOnGpu, GpuFault, Tampered};
use crate::gpus::gpu_forms;
use crate::random::{Random, base_seed};
use crate::run::{Cut, Mischief, Tally, Way, answer, result_json};
use crate::samples::bound;
use crate::stats;
use crate::sweep::{Case, Expected, check, cpus, ways};

fn whole_on_cpu() -> Way {
    let cpu = cpus().remove(0);
    Way { name: "cpu".into(), devices: vec![cpu], cut: Cut::Whole, threads: 1, seed: base_seed() }
}

/// The bytes of `result`, from one thread.
fn bytes(kernel: &dyn DynKernel) -> String {
    result_json(kernel, &whole_on_cpu(), &Tally::default()).expect("a valid job")
}

/// Whether the comparator is content with `kernel` where `expected` is.
fn passes(kernel: Arc<dyn DynKernel>, expected: &str) -> bool {
    let case = Case { name: "a control".into(), kernel, expected: Expected::Result(expected.to_owned()) };
    let ways = ways(&*case.kernel, gpu_forms(), &mut Random::new(base_seed()));
    check(&case, &ways, &Tally::default()).is_ok()
}

#[test]
fn one_corrupt_element_is_caught() {
    let values: Vec<f64> = (0..3001).map(|i| f64::from(i % 97) - 40.0).collect();
    let request = StatsRequest { quantiles: vec!["0.5".parse().unwrap()], ..StatsRequest::default() };
    let stats =
        |values: Vec<f64>| -> Arc<dyn DynKernel> { Arc::new(StatsKernel::of_values(values, request.clone()).unwrap()) };
    let numbers: Vec<u64> = (1 << 40..(1 << 40) + 2001).collect();
    let primes = |numbers: Vec<u64>| -> Arc<dyn DynKernel> {
        Arc::new(NumbersKernel::new(Numbers::from(numbers), NumbersMode::Each).unwrap())
    };
    let (stats_bytes, primes_bytes) = (bytes(&*stats(values.clone())), bytes(&*primes(numbers.clone())));
    assert!(passes(stats(values.clone()), &stats_bytes) && passes(primes(numbers.clone()), &primes_bytes));
    for at in [0, 1, 1000, 2000] {
        let mut corrupt = values.clone();
        corrupt[at] += 1.0;
        assert!(!passes(stats(corrupt), &stats_bytes), "value {at}");
        let mut corrupt = numbers.clone();
        // A prime for a composite, or a composite for a prime.
        let prime = numbers_are_prime(&primes_bytes)[at];
        corrupt[at] = if prime { 1 << 40 } else { (1 << 61) - 1 };
        assert!(!passes(primes(corrupt), &primes_bytes), "number {at}");
    }
}

#[test]
fn one_corrupt_element_of_an_array_and_one_chunk_too_few_are_caught() {
    let values: Vec<f64> = (0..3000).map(|i| f64::from(i % 97) - 40.0).collect();
    // As steps along the first axis, and as cells.
    for few_bytes in [None, Some(20_000)] {
        let axis = |values: &[f64]| stats::axis::of_columns(values, 100, few_bytes);
        let expected = bytes(&*axis(&values));
        assert!(passes(axis(&values), &expected));
        for at in [0, 1, 1000, 2999] {
            let mut corrupt = values.clone();
            corrupt[at] += 1.0;
            assert!(!passes(axis(&corrupt), &expected), "value {at}");
        }
        for (mischief, passes) in [(Mischief::None, true), (Mischief::DropChunk, false), (Mischief::RepeatChunk, false)]
        {
            let way = Way { cut: Cut::Random(5), ..whole_on_cpu() };
            let found = answer(&*axis(&values), &way, mischief, &Tally::default());
            assert_eq!(found.is_ok(), passes, "{mischief:?}");
        }
    }
}

fn numbers_are_prime(json: &str) -> Vec<bool> {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    value["is_prime"].as_array().unwrap().iter().map(|flag| flag.as_bool().unwrap()).collect()
}

/// What is done to a partial, and its name.
type Tampering<P> = (&'static str, fn(&mut P));

/// That the kernel made by `make` passes, and does not with any of the tamperings.
fn each_is_caught<K: Kernel>(make: impl Fn() -> K, tamperings: &[Tampering<K::Partial>]) {
    let expected = bytes(&make());
    let untouched = Tampered { inner: make(), tamper: |_| {} };
    assert!(passes(Arc::new(untouched), &expected));
    for (name, tamper) in tamperings {
        let tampered = Tampered { inner: make(), tamper: *tamper };
        assert!(!passes(Arc::new(tampered), &expected), "{name} went unnoticed");
    }
}

#[test]
fn one_wrong_word_of_a_partial_of_stats_is_caught() {
    fn column(partial: &mut StatsPartial) -> &mut ColumnPartial {
        &mut partial.columns[0]
    }
    fn moments(partial: &mut StatsPartial, change: fn(&mut Moments)) {
        if let Some(moments) = &mut column(partial).moments {
            change(moments);
        }
    }
    let make = || {
        let values: Vec<f64> = (0..5000).map(|i| f64::from(i) * 0.5).chain([f64::NAN]).collect();
        let request = StatsRequest {
            quantiles: vec!["0.5".parse().unwrap(), "0".parse().unwrap(), "1".parse().unwrap()],
            histogram: Some(Histogram::new(10, Some((0.0, 2500.0))).unwrap()),
            ..StatsRequest::default()
        };
        StatsKernel::of_values(values, request).unwrap()
    };
    each_is_caught(
        make,
        &[
            ("a count", |partial| moments(partial, |moments| moments.count += 1)),
            ("a count of NaN", |partial| moments(partial, |moments| moments.nan_count ^= 1)),
            ("a value counted as NaN", |partial| {
                moments(partial, |moments| {
                    (moments.count, moments.nan_count) = (moments.count - 1, moments.nan_count + 1)
                });
            }),
            ("the least key", |partial| moments(partial, |moments| moments.min_key -= 1)),
            ("the greatest key", |partial| moments(partial, |moments| moments.max_key += 1)),
            ("an infinity", |partial| moments(partial, |moments| moments.positive_infinities ^= 1)),
            ("a negative infinity", |partial| moments(partial, |moments| moments.negative_infinities ^= 1)),
            ("a bit of the sum", |partial| moments(partial, |moments| moments.sum.add(1, -1))),
            ("a bit of the squares", |partial| moments(partial, |moments| moments.squares.add(1, -2))),
            ("a digit's count", |partial| {
                if let DigitCounts::Counted(table) = &mut column(partial).digits
                    && let Some(count) = table.iter_mut().find(|count| **count > 0)
                {
                    *count -= 1;
                }
            }),
            ("digits that moved", |partial| {
                if let DigitCounts::Counted(table) = &mut column(partial).digits {
                    let by = table.len().min(1);
                    table.rotate_right(by);
                }
            }),
            ("a key left out", |partial| {
                if let DigitCounts::Listed(keys, _) = &mut column(partial).digits {
                    keys.pop();
                }
            }),
            ("a bit of the keys", |partial| {
                if let DigitCounts::Listed(keys, _) = &mut column(partial).digits {
                    keys.iter_mut().for_each(|key| *key ^= 1);
                }
            }),
            ("a bin's count", |partial| {
                if let Some(count) = column(partial).bins.get_mut(1) {
                    *count += 1;
                }
            }),
            ("a value in the next bin", |partial| {
                if let [_, first, second, ..] = column(partial).bins.as_mut_slice() {
                    (*first, *second) = (*first + 1, second.saturating_sub(1));
                }
            }),
        ],
    );
}

#[test]
fn one_wrong_word_of_a_partial_of_primes_is_caught() {
    // Numbers 2 to 65, so that the first word holds every flag.
    let make = |mode| move || NumbersKernel::new(Numbers::from((2..66).collect::<Vec<u64>>()), mode).unwrap();
    let first_word = || (2..66u64).filter(|n| (2..*n).all(|d| n % d != 0)).fold(0u64, |word, n| word | 1 << (n - 2));
    assert_eq!(first_word().count_ones(), 18, "primes below 66");
    fn flipped(partial: &mut PrimesPartial, bit: u32) {
        let word = (2..66u64).filter(|n| (2..*n).all(|d| n % d != 0)).fold(0u64, |word, n| word | 1 << (n - 2));
        *partial = PrimesPartial::of_words(0, vec![word ^ 1 << bit]);
    }
    let flips: &[Tampering<PrimesPartial>] = &[
        ("the first flag", |partial| flipped(partial, 0)),
        ("the last flag", |partial| flipped(partial, 63)),
        ("a flag in the middle", |partial| flipped(partial, 32)),
    ];
    each_is_caught(make(NumbersMode::Each), flips);
    each_is_caught(make(NumbersMode::List), flips);
    let count: &[Tampering<PrimesPartial>] = &[("the count", |partial| partial.prime_count += 1)];
    each_is_caught(make(NumbersMode::Each), count);
    each_is_caught(make(NumbersMode::Count), count);
    let range = || RangeKernel::new(NumberRange::new(0, 100_000).unwrap(), RangeMode::Count);
    each_is_caught(range, count);
}

/// Samples of every registered kernel, each with its name.
fn samples(units: u64) -> Vec<(String, Arc<dyn DynKernel>)> {
    let variants = KERNELS.iter().flat_map(|kind| kind.variants.iter().map(move |variant| (kind, *variant)));
    variants
        .map(|(kind, variant)| {
            let params = (kind.sample)(&Sample { variant, units, seed: 3 });
            (format!("{} {variant}", kind.name), bound(&*params))
        })
        .collect()
}

#[test]
fn a_chunk_left_out_or_merged_twice_is_an_error_and_never_an_answer() {
    for (name, kernel) in samples(5000) {
        for cut in [Cut::Whole, Cut::Random(5)] {
            let way = Way { cut, ..whole_on_cpu() };
            let tried = |mischief| answer(&*kernel, &way, mischief, &Tally::default()).map(|answer| answer.summary());
            assert!(tried(Mischief::None).is_ok(), "{name}");
            for mischief in [Mischief::DropChunk, Mischief::RepeatChunk] {
                let error = tried(mischief).expect_err("an answer from the wrong chunks");
                assert!(error.message.contains("fault in tandem"), "{name} {mischief:?}: {error}");
            }
        }
    }
}

/// Whether a fault on this GPU is caught: seen by the kernel, or a different result.
fn caught(kernel: &Arc<dyn DynKernel>, fault: GpuFault, way: &Way, expected: &str) -> (bool, u64) {
    // The first pass of `corr` finds how to scale the columns, which may be done in many ways with the same answer.
    let fault_pass = match (fault, kernel.work().kernel) {
        (GpuFault::FlippedBit { .. }, "corr") => 1,
        _ => 0,
    };
    let faulty = FaultyOnGpu::new(kernel.clone(), fault, fault_pass);
    let found = result_json(&faulty, way, &Tally::default());
    let caught =
        faulty.seen.load(Ordering::Relaxed) > 0 || found.is_err() || found.is_ok_and(|found| found != expected);
    (caught, faulty.places.load(Ordering::Relaxed))
}

/// A list in which every dispatch has something to say: among numbers that the first two settle are composites that only the last one
/// tells from primes (strong probable primes to the first nine prime bases).
fn numbers_for_every_dispatch(units: u64) -> Arc<dyn DynKernel> {
    let numbers = (0..units).map(|i| if i % 16 == 5 { 3_825_123_056_546_413_051 } else { (1 << 40) + 2 * i + 1 });
    let numbers: Vec<u64> = numbers.collect();
    let params = PrimesParams::Numbers(numbers.into(), NumbersMode::Each);
    bound(&params)
}

#[test]
fn a_dispatch_that_is_not_run_is_caught() {
    for form in gpu_forms() {
        let devices = vec![(form.name.clone(), form.device.clone())];
        let way = Way { name: form.name.clone(), devices, ..whole_on_cpu() };
        for (name, kernel) in samples(3000).into_iter().filter(|(_, kernel)| kernel.work().gpu) {
            let kernel = if name == "primes numbers" { numbers_for_every_dispatch(3000) } else { kernel };
            let expected = bytes(&*kernel);
            let (mut number, mut count) = (0, 1);
            while number < count.min(12) {
                let (caught, dispatches) = caught(&kernel, GpuFault::LostDispatch(number), &way, &expected);
                assert!(caught, "{name} on {}: dispatch {number} of {dispatches} does nothing", form.name);
                (number, count) = (number + 1, dispatches);
            }
        }
    }
}

#[test]
fn a_bit_that_flips_in_what_a_gpu_gives_back_is_caught() {
    const FLIPS: u64 = 40;
    for form in gpu_forms() {
        let devices = vec![(form.name.clone(), form.device.clone())];
        let way = Way { name: form.name.clone(), devices, ..whole_on_cpu() };
        for (name, kernel) in samples(600).into_iter().filter(|(_, kernel)| kernel.work().gpu) {
            let expected = bytes(&*kernel);
            let mut random = Random::named(base_seed(), &name);
            let flips = (0..FLIPS).map(|_| GpuFault::FlippedBit { word: random.next(), bit: random.below(32) as u32 });
            let silent: Vec<GpuFault> = flips.filter(|flip| !caught(&kernel, *flip, &way, &expected).0).collect();
            let allowed = allowed_silent_flips(&name, FLIPS);
            assert!(silent.len() as u64 <= allowed, "{name} on {}: unnoticed {silent:?}", form.name);
        }
    }
}

/// How many of so many flipped bits may go unnoticed. None in bit sets and counts, where every bit is a part of the answer.
fn allowed_silent_flips(name: &str, flips: u64) -> u64 {
    match name.split(' ').next() {
        Some("primes") => 0,
        // Half of the limbs of an exact sum of f64 lie below what rounding keeps, so that of 40 flips some 20 go unnoticed, by
        // right; that 35 do has a chance of one in a million. So it is with the products of `corr`. Every field of a partial has a control of its own above.
        _ => flips * 7 / 8,
    }
}
