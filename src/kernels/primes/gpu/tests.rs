//! Both kernels on the GPU, in every form, against the CPU's answers.

use std::sync::Arc;

use crate::device::gpu::assert_same_on_gpu;
use crate::input::{InMemory, Source};
use crate::kernels::primes::list::Numbers;
use crate::kernels::primes::{NumberRange, NumbersKernel, NumbersMode, RangeKernel, RangeMode};
use crate::random::SplitMix64;

fn check_numbers(what: &str, numbers: Vec<u64>, cuts: &[u64]) {
    for mode in [NumbersMode::Each, NumbersMode::Count] {
        let source: Arc<dyn Source> = Arc::new(InMemory::new("numbers", numbers.clone()));
        let kernel = NumbersKernel::new(Numbers::of_source(source), mode).unwrap();
        assert_same_on_gpu(&format!("{what}, {mode:?}"), &kernel, cuts);
    }
}

#[test]
fn every_small_number_is_judged_as_on_the_cpu() {
    check_numbers("0 to 20,000", (0..20_000).collect(), &[64, 4096]);
}

#[test]
fn hostile_numbers_are_judged_as_on_the_cpu() {
    let mut numbers =
        vec![0, 1, 2, 3, 4, 61, 67, 4489, 4489 + 2, u64::MAX, u64::MAX - 58, 1 << 63, (1 << 32) - 5, (1 << 32) + 15];
    // Carmichael numbers, strong pseudoprimes to base 2, and to the first primes (Jaeschke; Jiang and Deng).
    numbers.extend([561, 1105, 1729, 41041, 825_265, 321_197_185, 5_394_826_801, 232_250_619_601, 9_746_347_772_161]);
    numbers.extend([2047, 3277, 4033, 4681, 8321, 1_373_653, 25_326_001, 3_215_031_751, 2_152_302_898_747]);
    numbers.extend([3_474_749_660_383, 341_550_071_728_321, 3_825_123_056_546_413_051, 4_759_123_141]);
    // Squares of primes, and products of neighbours.
    numbers.extend([67, 71, 4093, 65_521, 65_537, 4_294_967_291u64].map(|p| p.wrapping_mul(p)));
    numbers.extend([4_294_967_291u64 * 4_294_967_279, 4_759_123_129, 2_152_302_898_729]);
    for edge in [4_759_123_141u64, 2_152_302_898_747, 1 << 32, 1 << 33, 1 << 52, 1 << 62, 1 << 63, u64::MAX - 300] {
        numbers.extend(edge - 150..edge + 150);
    }
    check_numbers("hostile numbers", numbers, &[]);
}

#[test]
fn lists_of_every_length_around_words_and_tiles_agree() {
    for len in [0u64, 1, 2, 31, 32, 33, 63, 64, 65, 127, 128, 511, 512, 513, 1025] {
        check_numbers(&format!("{len} numbers"), (0..len).map(|i| SplitMix64::at(i) | 1).collect(), &[]);
    }
}

#[test]
fn random_numbers_in_chunks_agree() {
    check_numbers("random numbers", (0..40_003).map(|i| SplitMix64::at(i) >> (i % 40)).collect(), &[64, 640, 32_768]);
}

#[test]
fn lists_of_hard_numbers_alone_and_of_few_among_many_agree() {
    let limit = u64::MAX;
    let primes: Vec<u64> =
        (0..200_000).map(|i| limit - 2 * i).filter(|&n| crate::kernels::primes::is_prime(n)).collect();
    assert!(primes.len() > 4000);
    // Every number reaches the last dispatch, whose grid is made for fewer at once; and hard ones far apart.
    check_numbers("primes", primes.clone(), &[512, 1000 * 64]);
    let few: Vec<u64> = (0..70_000).map(|i| if i % 1009 == 7 { primes[i as usize % 4000] } else { 2 * i }).collect();
    check_numbers("few primes", few, &[]);
    // Strong pseudoprimes to base 2 alone, which the last dispatch takes back.
    let pseudoprimes =
        [3_215_031_751, 2_152_302_898_747, 3_825_123_056_546_413_051, 1_373_653, 25_326_001, 2047 * 4681];
    check_numbers("pseudoprimes", pseudoprimes.repeat(400), &[128]);
}

fn check_range(start: i128, end: i128, cuts: &[u64]) {
    for mode in [RangeMode::Count, RangeMode::List] {
        let kernel = RangeKernel::new(NumberRange::new(start, end).unwrap(), mode);
        assert_same_on_gpu(&format!("{start}..{end}, {mode:?}"), &kernel, cuts);
    }
}

#[test]
fn small_ranges_agree_wherever_they_begin_and_end() {
    for (start, end) in [(0, 0), (0, 2), (0, 3), (1, 8), (0, 240), (0, 241), (29, 31), (239, 721), (7, 10_000), (5, 5)]
    {
        check_range(start, end, &[]);
    }
}

#[test]
fn ranges_past_segments_and_blocks_agree() {
    // A segment has 245,760 numbers, the block of a software adapter 7,864,320.
    check_range(0, 245_760, &[]);
    check_range(0, 245_761, &[1024]);
    check_range(245_759, 1_000_003, &[]);
    check_range(0, 20_000_000, &[]);
    check_range(7_000_000, 24_000_011, &[1 << 15, 50_000]);
}

#[test]
fn ranges_far_out_agree() {
    let limit = 1i128 << 64;
    check_range(1_000_000_000_000, 1_000_000_400_000, &[1024]);
    check_range(4_294_900_000, 4_295_200_000, &[]);
    check_range((1 << 63) - 20_000, (1 << 63) + 20_000, &[]);
    check_range(limit - 50_000, limit, &[]);
    check_range(limit - 1, limit, &[]);
    check_range(limit, limit, &[]);
}
