//! Counts against sieved ones, and values of π that have been published.

use crate::kernels::primes::combinatorial::CombinatorialKernel;
use crate::kernels::primes::combinatorial::shape::Shape;
use crate::kernels::primes::{NumberRange, RangeAnswer, RangeKernel, RangeMode};
use crate::kernels::{FoldContext, Isa, Kernel, Next};
use crate::random::SplitMix64;

/// The count that a kernel comes to, with its units cut at these places and folded in this order.
fn counted<K: Kernel>(kernel: &K, isa: Isa, cuts: &[u64], reversed: bool) -> u64 {
    let pass = kernel.first_pass().unwrap();
    let mut ends: Vec<u64> = [0, kernel.work().units].into_iter().chain(cuts.iter().copied()).collect();
    ends.sort_unstable();
    let mut chunks: Vec<_> = ends.windows(2).map(|pair| pair[0]..pair[1]).collect();
    if reversed {
        chunks.reverse();
    }
    let mut scratch = Default::default();
    let mut fold = |units| kernel.fold(&pass, units, &mut FoldContext { isa, scratch: &mut scratch }).unwrap();
    let mut merged = fold(0..0);
    for chunk in chunks {
        let partial = fold(chunk);
        kernel.merge(&mut merged, partial);
    }
    let Next::Done(answer) = kernel.next(&pass, merged).unwrap() else { panic!("one pass") };
    let answer: Box<dyn std::any::Any> = answer;
    answer.downcast::<RangeAnswer>().unwrap().count()
}

fn range(start: u64, end: u64) -> NumberRange {
    NumberRange::new(start.into(), end.into()).unwrap()
}

fn instruction_sets() -> impl Iterator<Item = Isa> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| *isa <= Isa::detect())
}

/// OEIS A006880 (π of powers of ten).
#[test]
fn powers_of_ten_have_as_many_primes_as_is_known() {
    let known = [
        (1_000_000, 78_498),
        (10_000_000, 664_579),
        (100_000_000, 5_761_455),
        (1_000_000_000, 50_847_534),
        (10_000_000_000, 455_052_511),
        (100_000_000_000, 4_118_054_813),
        (1_000_000_000_000_u64, 37_607_912_018),
    ];
    for (n, count) in known {
        let kernel = CombinatorialKernel::new(range(0, n + 1));
        for isa in instruction_sets() {
            assert_eq!(counted(&kernel, isa, &[], false), count, "{n}, {isa:?}");
        }
    }
}

#[test]
fn every_cut_and_order_and_instruction_set_counts_what_the_sieve_counts() {
    let seed = 20_261;
    let mut random = SplitMix64(seed);
    let mut below = |limit: u64| random.next_u64() % limit;
    for round in 0..40 {
        // Around where it begins, around powers, and anywhere.
        let n = match round % 4 {
            0 => (1 << 20) + below(1000) - 500,
            1 => 30_000_000 + below(1_000_000),
            2 => {
                let root = 1000 + below(4000);
                root * root + below(3) - 1
            }
            _ => below(1 << 29),
        };
        let start = if below(2) == 0 { 0 } else { below(n + 1) };
        let sieve = RangeKernel::new(range(start, n), RangeMode::Count);
        let expected = counted(&sieve, Isa::detect(), &[], false);
        let kernel = CombinatorialKernel::new(range(start, n));
        let units = kernel.work().units;
        for isa in instruction_sets() {
            let cuts: Vec<u64> = (0..below(8)).map(|_| below(units + 1)).collect();
            let reversed = below(2) == 0;
            assert_eq!(
                counted(&kernel, isa, &cuts, reversed),
                expected,
                "seed {seed}: {start}..{n}, {isa:?}, cut at {cuts:?}, reversed: {reversed}"
            );
        }
    }
}

/// Several segments and several blocks, so that stretches are put together.
#[test]
fn stretches_merge_in_any_order() {
    let seed = 7;
    let mut random = SplitMix64(seed);
    for (n, count) in [(100_000_000_000, 4_118_054_813), (1_000_000_000_000_u64, 37_607_912_018)] {
        let shape = Shape::new(n);
        assert!(shape.segments > 10 && shape.blocks > 3, "{n}: {shape:?}");
        let kernel = CombinatorialKernel::new(range(0, n + 1));
        let units = kernel.work().units;
        for round in 0..4 {
            let cuts: Vec<u64> = (0..1 + 10 * round).map(|_| random.next_u64() % (units + 1)).collect();
            let found = counted(&kernel, Isa::detect(), &cuts, round % 2 == 1);
            assert_eq!(found, count, "seed {seed}: {n} cut at {cuts:?}");
        }
    }
}

/// Far beyond what can be counted here: some steps at once, and one by one from the last to the first.
#[test]
fn a_chunk_far_out_is_the_sum_of_its_steps() {
    let kernel = CombinatorialKernel::new(range(0, 100_000_000_000_000_000));
    let pass = kernel.first_pass().unwrap();
    let mut scratch = Default::default();
    let mut fold = |units| {
        let mut context = FoldContext { isa: Isa::detect(), scratch: &mut scratch };
        kernel.fold(&pass, units, &mut context).unwrap()
    };
    let segments = Shape::new(99_999_999_999_999_999).segments;
    for first in [0, 17, segments - 2] {
        let steps = first..first + 5;
        let whole = fold(steps.start * 4096..steps.end * 4096);
        let mut merged = fold(0..0);
        for step in steps.rev() {
            kernel.merge(&mut merged, fold(step * 4096..(step + 1) * 4096));
        }
        assert_eq!(merged, whole, "from step {first} on");
    }
}

#[test]
fn ranges_at_the_edges_are_counted() {
    let count = |start, end| counted(&CombinatorialKernel::new(range(start, end)), Isa::detect(), &[], false);
    assert_eq!([count(0, 0), count(0, 2), count(2, 3), count(0, 3), count(3, 3)], [0, 0, 1, 1, 0]);
    // The 10^6-th prime is 15485863.
    assert_eq!([count(0, 15_485_863), count(0, 15_485_864), count(15_485_863, 15_485_864)], [999_999, 1_000_000, 1]);
}

#[test]
fn a_step_that_is_missing_is_an_error_and_no_count() {
    let kernel = CombinatorialKernel::new(range(0, 1_000_000_000));
    let pass = kernel.first_pass().unwrap();
    let mut scratch = Default::default();
    let mut context = FoldContext { isa: Isa::detect(), scratch: &mut scratch };
    let partial = kernel.fold(&pass, 4096..kernel.work().units, &mut context).unwrap();
    let error = kernel.next(&pass, partial).map(|_| ()).unwrap_err();
    assert!(error.message.contains("segments of the sieve are missing"), "{error}");
}
