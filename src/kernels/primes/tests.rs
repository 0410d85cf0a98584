//! Both kernels as the engine uses them: folded in random pieces, merged in random order, rendered.

use std::any::Any;
use std::sync::Arc;

use super::*;
use crate::input::{InMemory, Scratch, Source};
use crate::kernels::primes::sieve::mask_to_range;
use crate::kernels::primes::wheel::offset_of_bit;
use crate::kernels::{Answer, FoldContext, Isa, Kernel, Next};
use crate::random::SplitMix64;

fn finish<K: Kernel>(kernel: &K, pass: &K::Pass, partial: K::Partial) -> Box<dyn Answer> {
    match kernel.next(pass, partial).unwrap() {
        Next::Done(answer) => answer,
        Next::Pass(_) => panic!("primes have one pass"),
    }
}

fn whole<K: Kernel>(kernel: &K) -> Box<dyn Answer> {
    let pass = kernel.first_pass().unwrap();
    let mut scratch = Scratch::default();
    let mut context = FoldContext { isa: Isa::Portable, scratch: &mut scratch };
    let partial = kernel.fold(&pass, 0..kernel.work().units, &mut context).unwrap();
    finish(kernel, &pass, partial)
}

/// Cut at random multiples of `granularity`, folded apart and merged as a random tree.
fn in_pieces<K: Kernel>(kernel: &K, granularity: u64, seed: u64) -> Box<dyn Answer> {
    let mut random = SplitMix64(seed);
    let pass = kernel.first_pass().unwrap();
    let mut scratch = Scratch::default();
    let mut context = FoldContext { isa: Isa::Portable, scratch: &mut scratch };
    let units = kernel.work().units;
    let mut cuts: Vec<u64> = (0..random.next_u64() % 12)
        .map(|_| random.next_u64() % (units / granularity + 1) * granularity)
        .chain([0, units])
        .collect();
    cuts.sort_unstable();
    let mut partials: Vec<K::Partial> =
        cuts.windows(2).map(|cut| kernel.fold(&pass, cut[0]..cut[1], &mut context).unwrap()).collect();
    while partials.len() > 1 {
        let from = partials.swap_remove(random.next_u64() as usize % partials.len());
        let into = random.next_u64() as usize % partials.len();
        kernel.merge(&mut partials[into], from);
    }
    finish(kernel, &pass, partials.pop().unwrap())
}

fn json(answer: &dyn Answer) -> String {
    let mut out = Vec::new();
    answer.write_json(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(answer: &dyn Answer) -> String {
    let mut out = Vec::new();
    answer.write_text(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn range(start: i128, end: i128, mode: RangeMode) -> RangeKernel {
    RangeKernel::new(NumberRange::new(start, end).unwrap(), mode)
}

fn count(start: i128, end: i128) -> u64 {
    let answer: Box<dyn Any> = whole(&range(start, end, RangeMode::Count));
    answer.downcast::<RangeAnswer>().unwrap().count()
}

/// The primes of a range, one by one.
fn oracle(start: i128, end: i128) -> Vec<u64> {
    (start..end).map(|n| u64::try_from(n).unwrap()).filter(|&n| is_prime(n)).collect()
}

#[track_caller]
fn check_range(start: i128, end: i128) {
    let expect = oracle(start, end);
    let counted = range(start, end, RangeMode::Count);
    let listed = range(start, end, RangeMode::List);
    assert_eq!(json(&*whole(&counted)), format!("{{\"count\":{}}}", expect.len()), "{start}..{end}");
    let answer: Box<dyn Any> = whole(&listed);
    let answer = answer.downcast::<RangeAnswer>().unwrap();
    assert_eq!(answer.primes().map(Result::unwrap).collect::<Vec<_>>(), expect, "{start}..{end}");
    assert_eq!(answer.count(), expect.len() as u64);
    for seed in 0..4 {
        for granularity in [1, 7, 1000] {
            let counted = in_pieces(&counted, granularity, seed);
            assert_eq!(json(&*counted), format!("{{\"count\":{}}}", expect.len()), "{start}..{end}, seed {seed}");
            let listed = in_pieces(&listed, granularity, seed);
            assert_eq!(json(&*listed), json(&*answer), "{start}..{end}, seed {seed}");
        }
    }
}

#[test]
fn ranges_hold_the_primes_that_single_tests_find_in_any_pieces() {
    check_range(0, 0);
    check_range(5, 5);
    check_range(1 << 64, 1 << 64);
    for end in [1, 2, 3, 4, 5, 6, 7, 8, 11, 30, 31, 48, 49, 50, 239, 240, 241, 242, 480, 1000] {
        check_range(0, end);
        check_range(end - 1, end);
        check_range(end / 2, end);
    }
    check_range(0, 300_000);
    check_range(1_000_000 - 7, 1_200_001);
    check_range((1 << 32) - 20_000, (1 << 32) + 20_000);
    check_range(1_000_000_000_000_000, 1_000_000_000_010_000);
    check_range((1 << 64) - 10_000, 1 << 64);
    check_range((1 << 64) - 16, 1 << 64);
    check_range((1 << 64) - 17, (1 << 64) - 15);
    check_range((1 << 64) - 1, 1 << 64);
}

#[test]
fn every_start_and_end_within_two_words_is_masked_right() {
    let starts = 700..=1000;
    for start in starts {
        assert_eq!(count(start, 1000), oracle(start, 1000).len() as u64, "{start}..1000");
        assert_eq!(count(700, start), oracle(700, start).len() as u64, "700..{start}");
    }
}

#[test]
fn a_mask_clears_every_bit_outside_its_range_and_no_other() {
    let (first, len) = (7, 4);
    let numbers = u128::from(first * NUMBERS_PER_WORD)..u128::from((first + len) * NUMBERS_PER_WORD);
    let bounds: Vec<u128> = (0..=12).map(|n| numbers.start - 200 + n * 113).chain([0, 1 << 64]).collect();
    for &start in &bounds {
        for &end in &bounds {
            let mut words = vec![u64::MAX; len as usize];
            mask_to_range(first, &mut words, start, end);
            for (at, word) in words.iter().enumerate() {
                for bit in 0..64 {
                    let number = u128::from((first + at as u64) * NUMBERS_PER_WORD + offset_of_bit(bit));
                    let expected = (start..end).contains(&number);
                    assert_eq!(word >> bit & 1 == 1, expected, "{number} of {start}..{end}");
                }
            }
        }
    }
}

#[test]
fn the_known_counts_of_primes_are_found() {
    // OEIS A006880.
    let known = [0, 4, 25, 168, 1229, 9592, 78498, 664_579, 5_761_455, 50_847_534];
    let powers = if cfg!(debug_assertions) { 8 } else { 10 };
    for (power, count_known) in known.into_iter().enumerate().take(powers) {
        assert_eq!(count(0, 10i128.pow(power as u32)), count_known, "10^{power}");
    }
}

#[test]
fn long_blocks_agree_with_single_tests_where_every_kind_of_prime_crosses_off() {
    // Past 2^34 there are primes too large for turns, and two blocks carry them on.
    let (start, end) = (20_000_000_000, 20_000_000_000 + 20_000_000);
    let kernel = range(start, end, RangeMode::List);
    let answer: Box<dyn Any> = whole(&kernel);
    let found: Vec<u64> = answer.downcast::<RangeAnswer>().unwrap().primes().map(Result::unwrap).collect();
    assert_eq!(found, oracle(start, end));
}

#[test]
fn sieves_far_out_keep_the_primes_and_no_others() {
    // Large primes that pass over several blocks; single numbers are looked at here and there.
    let table = base_primes::BasePrimes::up_to(1 << 24);
    for start in [1_000_000_000_000u64, 200_000_000_000_000] {
        let first = start / NUMBERS_PER_WORD;
        let limit = (start + 100_000_000).isqrt();
        let mut random = SplitMix64(start);
        let mut looked_at = 0;
        sieve::Sieve::new(table.below_or_at(limit), first..first + 4 * sieve::BLOCK_WORDS as u64 + 77).for_each_block(
            |first_word, block| {
                for _ in 0..20_000 {
                    let (index, bit) = (random.next_u64() as usize % block.len(), random.next_u64() % 64);
                    let number = (first_word + index as u64) * NUMBERS_PER_WORD + offset_of_bit(bit as u32);
                    assert_eq!(block[index] >> bit & 1 == 1, is_prime(number), "{number}");
                    looked_at += 1;
                }
            },
        );
        assert_eq!(looked_at, 100_000);
    }
}

#[test]
fn one_wrong_bit_is_another_answer() {
    let kernel = range(1000, 2000, RangeMode::List);
    let bytes = |flip: u64| {
        let mut words = vec![0u64; kernel.work().units as usize];
        for (number, word) in oracle(1000, 2000).into_iter().map(|p| (p, (p / 240 - kernel.first_word()) as usize)) {
            words[word] |= (0..64).filter(|&bit| offset_of_bit(bit) == number % 240).fold(0, |w, bit| w | 1 << bit);
        }
        words[2] ^= flip;
        json(&*finish(&kernel, &RangePass, kernel.partial_of_words(0, words)))
    };
    assert_eq!(bytes(0), json(&*whole(&kernel)));
    assert_ne!(bytes(1 << 17), bytes(0));
}

fn hostile_numbers() -> Vec<u64> {
    let mut numbers: Vec<u64> = (0..300).collect();
    numbers.extend([u64::MAX, u64::MAX - 58, 3_215_031_751, 3_825_123_056_546_413_051, 4_294_967_291 * 4_294_967_291]);
    let mut random = SplitMix64(7);
    numbers.extend((0..20_000).map(|i| random.next_u64() >> (i % 64) | 1));
    numbers
}

#[test]
fn lists_hold_what_single_tests_find_in_any_pieces() {
    let all = hostile_numbers();
    for len in [0, 1, 2, 63, 64, 65, 8191, 8192, 8193, all.len()] {
        let numbers = all[..len].to_vec();
        let flags: Vec<bool> = numbers.iter().map(|&n| is_prime(n)).collect();
        let prime_count = flags.iter().filter(|&&prime| prime).count();
        let list = Numbers::from(numbers);
        let each = NumbersKernel::new(list.clone(), NumbersMode::Each).unwrap();
        let expect = format!(
            "{{\"is_prime\":[{}],\"prime_count\":{prime_count}}}",
            flags.iter().map(bool::to_string).collect::<Vec<_>>().join(",")
        );
        let answer = whole(&each);
        assert_eq!(json(&*answer), expect, "{len}");
        assert_eq!(answer.summary(), format!("{prime_count} of {len} prime"));
        let answer: Box<dyn Any> = answer;
        let found: Vec<bool> = answer.downcast::<NumbersAnswer>().unwrap().flags().map(Result::unwrap).collect();
        assert_eq!(found, flags);
        let counting = NumbersKernel::new(list, NumbersMode::Count).unwrap();
        for seed in 0..5 {
            assert_eq!(json(&*in_pieces(&each, 64, seed)), expect, "{len}, seed {seed}");
            let counted = json(&*in_pieces(&counting, 64, seed));
            assert_eq!(counted, format!("{{\"prime_count\":{prime_count}}}"), "{len}, seed {seed}");
        }
    }
}

#[test]
fn lists_longer_than_a_piece_are_whole_to_the_last_number() {
    for len in [1 << 19, (1 << 19) + 1, (1 << 19) + 2, (1 << 20) + 1] {
        let mut numbers = vec![4; len];
        numbers[0] = 2;
        numbers[len - 1] = 3;
        let answer: Box<dyn Any> = whole(&NumbersKernel::new(numbers, NumbersMode::Each).unwrap());
        let answer = answer.downcast::<NumbersAnswer>().unwrap();
        assert_eq!(answer.prime_count(), 2, "{len}");
        let primes = answer.flags().map(Result::unwrap).enumerate().filter(|(_, prime)| *prime);
        assert_eq!(primes.map(|(index, _)| index).collect::<Vec<_>>(), [0, len - 1]);
    }
}

#[test]
fn lists_are_written_as_their_mode_asks() {
    let list = Numbers::of_integers([97, 91, 1, -5, i128::MIN, i128::from(u64::MAX) - 58, 2]).unwrap();
    let answer = |mode| whole(&NumbersKernel::new(list.clone(), mode).unwrap());
    let each = answer(NumbersMode::Each);
    assert_eq!(
        text(&*each),
        "97 prime\n91 composite\n1 neither\n-5 neither\n-170141183460469231731687303715884105728 neither\n\
         18446744073709551557 prime\n2 prime\n"
    );
    assert_eq!(json(&*each), r#"{"is_prime":[true,false,false,false,false,true,true],"prime_count":3}"#);
    assert_eq!(each.summary(), "3 of 7 prime");
    let count = answer(NumbersMode::Count);
    assert_eq!((text(&*count), json(&*count)), ("3\n".into(), r#"{"prime_count":3}"#.into()));
    let list = answer(NumbersMode::List);
    assert_eq!(text(&*list), "97\n18446744073709551557\n2\n");
    assert_eq!(json(&*list), r#"{"primes":["97","18446744073709551557","2"]}"#);
    assert_eq!(list.summary(), "3 primes");
}

#[test]
fn ranges_are_written_as_their_mode_asks() {
    let count = whole(&range(0, 10, RangeMode::Count));
    assert_eq!((text(&*count), json(&*count)), ("4\n".into(), r#"{"count":4}"#.into()));
    assert_eq!(count.summary(), "4 primes");
    let list = whole(&range(3, 8, RangeMode::List));
    assert_eq!((text(&*list), json(&*list)), ("3\n5\n7\n".into(), r#"{"primes":["3","5","7"]}"#.into()));
    let none = whole(&range(8, 11, RangeMode::List));
    assert_eq!((text(&*none), json(&*none)), (String::new(), r#"{"primes":[]}"#.into()));
    assert_eq!(whole(&range(2, 3, RangeMode::Count)).summary(), "1 prime");
}

#[test]
fn every_integer_type_is_tested_and_echoed_as_it_is() {
    fn check(source: impl Source + 'static, expect: &str) {
        let kernel = NumbersKernel::new(Numbers::of_source(Arc::new(source)), NumbersMode::Each).unwrap();
        assert_eq!(text(&*whole(&kernel)), expect);
    }
    check(InMemory::new("a", vec![i8::MIN, -7, 7]), "-128 neither\n-7 neither\n7 prime\n");
    check(InMemory::new("a", vec![i16::MIN, -7, 7]), "-32768 neither\n-7 neither\n7 prime\n");
    check(InMemory::new("a", vec![i32::MIN, i32::MAX]), "-2147483648 neither\n2147483647 prime\n");
    check(
        InMemory::new("a", vec![i64::MIN, i64::MAX]),
        "-9223372036854775808 neither\n9223372036854775807 composite\n",
    );
    check(InMemory::new("a", vec![u8::MAX, 251]), "255 composite\n251 prime\n");
    check(InMemory::new("a", vec![u16::MAX, 65521]), "65535 composite\n65521 prime\n");
    check(InMemory::new("a", vec![u32::MAX, 4_294_967_291]), "4294967295 composite\n4294967291 prime\n");
    check(InMemory::new("a", vec![u64::MAX]), "18446744073709551615 composite\n");
}

#[test]
fn floats_are_refused_by_name_and_type() {
    let floats = Numbers::of_source(Arc::new(InMemory::new("x.npy", vec![1.0f32])));
    let error = NumbersKernel::new(floats, NumbersMode::Each).unwrap_err();
    assert_eq!(error.message, "x.npy: its elements are f32: primes needs integers (i8 to i64 or u8 to u64)");
}
