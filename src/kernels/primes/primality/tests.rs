//! Against plain arithmetic, published pseudoprimes, and numbers made to fool the tests, with every instruction set.

use super::batch::{Method, method};
use super::*;
use crate::kernels::Isa;
use crate::random::SplitMix64;

/// Every instruction set that this machine has.
fn every_isa() -> Vec<Isa> {
    [Isa::Portable, Isa::Avx2, Isa::Avx512].into_iter().filter(|isa| *isa <= Isa::detect()).collect()
}

fn product(a: u64, b: u64, n: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(n)) as u64
}

/// Whether an odd `n` is a strong probable prime to a base, by remainders of 128 bits.
fn strong_to(n: u64, base: u64) -> bool {
    let twos = (n - 1).trailing_zeros();
    let (mut x, mut square, mut exponent) = (1, base % n, (n - 1) >> twos);
    while exponent != 0 {
        if exponent & 1 == 1 {
            x = product(x, square, n);
        }
        square = product(square, square, n);
        exponent >>= 1;
    }
    let mut strong = x == 1 || x == n - 1 || base.is_multiple_of(n);
    for _ in 1..twos {
        x = product(x, x, n);
        strong |= x == n - 1;
    }
    strong
}

/// The test of Miller and Rabin to the seven bases of Sinclair (2011), which leave no pseudoprime below 2^64: nothing of what it
/// does is in the code that is tested.
fn by_seven_bases(n: u64) -> bool {
    n == 2
        || n >= 3
            && n % 2 == 1
            && [2, 325, 9375, 28178, 450_775, 9_780_504, 1_795_265_022].iter().all(|&base| strong_to(n, base))
}

/// The same by a list, with each instruction set; they must agree with each other and with one number after the other.
#[track_caller]
fn prime_flags(numbers: &[u64]) -> Vec<bool> {
    let expect: Vec<bool> = numbers.iter().map(|&n| is_prime(n)).collect();
    for isa in every_isa() {
        let mut words = vec![0; numbers.len().div_ceil(64)];
        test_each(isa, numbers, &mut words);
        for (place, (&n, &expect)) in numbers.iter().zip(&expect).enumerate() {
            assert_eq!(words[place / 64] >> (place % 64) & 1 == 1, expect, "{n} at {place} with {isa:?}");
        }
    }
    expect
}

#[test]
fn every_instruction_set_is_tested_by_its_own_method() {
    let methods: Vec<*const Method> = every_isa().into_iter().map(|isa| std::ptr::from_ref(method(isa))).collect();
    #[cfg(target_arch = "x86_64")]
    let own = |isa| match isa {
        Isa::Avx512 if avx512::is_available() => std::ptr::from_ref(&avx512::METHOD),
        Isa::Avx2 | Isa::Avx512 => std::ptr::from_ref(&avx2::METHOD),
        Isa::Portable => methods[0],
    };
    #[cfg(target_arch = "x86_64")]
    assert_eq!(methods, every_isa().into_iter().map(own).collect::<Vec<_>>());
    assert!(methods.iter().skip(1).all(|method| *method != methods[0]));
    assert_eq!(instructions_of_lists(Isa::Portable), "portable");
}

/// Which pass a test, all methods alike.
#[track_caller]
fn passing(numbers: &[u64], test: impl Fn(&Method, usize, &[u64]) -> u64) -> Vec<bool> {
    let by = |isa| -> Vec<bool> {
        let method = method(isa);
        let passes = |&n: &u64| {
            let (size, lanes) =
                (method.size(n), method.tests[method.size(n)].strong.0.min(method.tests[method.size(n)].lucas.0));
            let bits = test(method, size, &[n; 64]) & (!0 >> (64 - lanes));
            assert!(bits == 0 || bits == !0 >> (64 - lanes), "lanes differ about {n} with {isa:?}: {bits:b}");
            bits != 0
        };
        numbers.iter().map(passes).collect()
    };
    let portable = by(Isa::Portable);
    for isa in every_isa() {
        assert!(by(isa) == portable, "{isa:?} differs");
    }
    portable
}

#[track_caller]
fn passing_strong(numbers: &[u64]) -> Vec<bool> {
    // SAFETY: the method is one of this machine.
    passing(numbers, |method, size, lanes| unsafe { (method.tests[size].strong.1)(lanes) })
}

/// For numbers whose parameter is in reach of every lane.
#[track_caller]
fn passing_lucas(numbers: &[u64]) -> Vec<bool> {
    passing(numbers, |method, size, lanes| {
        let parameter = lucas::parameter(lanes[0]).filter(|p| *p <= lucas::PARAMETER_MAX).unwrap_or(3);
        // SAFETY: the method is one of this machine.
        unsafe { (method.tests[size].lucas.1)(lanes, &[parameter; 64]) }
    })
}

/// The almost extra strong Lucas test by its definition: V(k) one after the other.
fn lucas_by_definition(n: u64) -> bool {
    let Some(p) = lucas::parameter(n) else { return false };
    let twos = (n + 1).trailing_zeros();
    let (mut v, mut next) = (2 % n, p % n);
    let mut at = vec![v];
    for _ in 0..n.div_ceil(2) {
        (v, next) = (next, (product(p, next, n) + n - v) % n);
        at.push(v);
    }
    let odd = ((n + 1) >> twos) as usize;
    at[odd] == 2 || at[odd] == n - 2 || (0..twos.saturating_sub(1)).any(|r| at[odd << r] == 0)
}

#[track_caller]
fn check(numbers: &[u64], expect: impl Fn(u64) -> bool) {
    for (prime, &n) in prime_flags(numbers).into_iter().zip(numbers) {
        assert_eq!(prime, expect(n), "{n}");
    }
}

/// Trial division by everything.
fn oracle(n: u64) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

#[test]
fn every_number_below_a_million_is_what_a_plain_sieve_says() {
    let mut prime = vec![true; 1_000_000];
    prime[..2].fill(false);
    for p in 2..1000 {
        (p * p..1_000_000).step_by(p).for_each(|multiple| prime[multiple] = false);
    }
    check(&(0..1_000_000).collect::<Vec<u64>>(), |n| prime[n as usize]);
}

#[test]
fn the_neighbours_of_every_bound_are_what_other_tests_say() {
    for bound in [4096, 4489, 1 << 32, 4_759_123_141] {
        check(&(bound - 200..bound + 200).collect::<Vec<u64>>(), oracle);
    }
    let powers = (20..64).map(|power| 1 << power);
    for bound in powers.chain([10_u64.pow(14), 10_u64.pow(16), 3 << 50, 5 << 50, 0_u64.wrapping_sub(600)]) {
        check(&(bound - 500..bound + 500).collect::<Vec<u64>>(), by_seven_bases);
    }
    check(&(0..=600).map(|distance| u64::MAX - distance).collect::<Vec<u64>>(), by_seven_bases);
}

#[test]
fn random_numbers_and_primes_of_every_size_are_what_seven_bases_say() {
    let mut random = SplitMix64(2026);
    let mut numbers: Vec<u64> =
        (0..40_000).map(|index| (random.next_u64() >> (index % 53)) | u64::from(index % 5 != 0)).collect();
    // Primes alone, and each of the lanes beside composites.
    let primes: Vec<u64> = numbers.iter().copied().filter(|&n| by_seven_bases(n)).collect();
    assert!(primes.len() > 2000);
    check(&primes, |_| true);
    numbers.extend(&primes);
    check(&numbers, by_seven_bases);
}

#[test]
fn lists_of_every_length_are_tested_to_the_last() {
    let numbers: Vec<u64> = (0..400).map(|index| if index % 3 == 0 { u64::MAX - 58 } else { 4_294_967_291 }).collect();
    for len in (0..160).chain([399, 400]) {
        assert!(prime_flags(&numbers[..len]).into_iter().all(|prime| prime), "{len}");
    }
}

#[test]
fn published_strong_pseudoprimes_are_composite() {
    // The least strong pseudoprimes to the first k primes (Jaeschke 1993; Jiang and Deng 2014; OEIS A014233).
    let least = [
        2047,
        1_373_653,
        25_326_001,
        3_215_031_751,
        2_152_302_898_747,
        3_474_749_660_383,
        341_550_071_728_321,
        3_825_123_056_546_413_051,
    ];
    // Bounds of other sets, Carmichael numbers, squares of Wieferich primes, base-2 strong pseudoprimes.
    let others = [
        9_080_191,
        4_759_123_141,
        1_122_004_669_633,
        585_226_005_592_931_977,
        7_999_252_175_582_851,
        55_245_642_489_451,
        561,
        1105,
        1729,
        2465,
        6601,
        8911,
        10585,
        825_265,
        321_197_185,
        9_746_347_772_161,
        1093 * 1093,
        3511 * 3511,
        3277,
        4033,
        4681,
        8321,
        46_856_248_255_981,
        30_926_647_201,
    ];
    let all: Vec<u64> = least.into_iter().chain(others).collect();
    // Alone, and so many that they meet in the lanes.
    check(&all, |_| false);
    check(&all.repeat(20), |_| false);
}

#[test]
fn the_pseudoprimes_of_the_first_primes_pass_a_test_to_those_alone() {
    // A negative control: were the strong test to call all of these composite, it would prove nothing above.
    for n in [2047, 3_215_031_751, 3_474_749_660_383, 341_550_071_728_321, 3_825_123_056_546_413_051] {
        assert!(passing_strong(&[n])[0] && strong_to(n, 2), "{n}");
        assert!(!is_prime(n), "{n}");
    }
    assert!(!passing_strong(&[2049])[0]);
}

#[test]
fn large_primes_are_prime_and_their_products_are_not() {
    let roots = [4_294_967_291, 4_294_967_279, 4_294_967_231, 2_147_483_647, 65_537, 65_521, 1_000_003];
    for p in roots {
        assert!(is_prime(p), "{p}");
        for q in roots {
            assert!(!is_prime(p * q), "{p} * {q}");
        }
    }
    for distance in [59, 83, 95, 179, 189, 257, 279, 323, 353, 363] {
        // The ten greatest primes below 2^64 (The Prime Pages).
        assert!(is_prime(0u64.wrapping_sub(distance)), "2^64 - {distance}");
    }
    assert_eq!((1..364).filter(|&distance| is_prime(0u64.wrapping_sub(distance))).count(), 10);
    assert!(is_prime((1 << 61) - 1));
    assert!(is_prime(9_223_372_036_854_775_783));
}

#[test]
fn numbers_made_to_fool_strong_tests_are_composite() {
    // p * (k * (p - 1) + 1): both factors prime, where most strong pseudoprimes come from.
    let mut made = Vec::new();
    for p in (3..60_000u64).chain(4_000_000..4_003_000).chain(1_073_000_000..1_073_002_000).filter(|&p| is_prime(p)) {
        for k in 2..12 {
            let Some(n) = (k * (p - 1) + 1).checked_mul(p) else { continue };
            if is_prime(k * (p - 1) + 1) {
                made.push(n);
            }
        }
    }
    assert!(made.len() > 3000);
    check(&made, |_| false);
    let strong: Vec<u64> = made.iter().copied().filter(|&n| n > 4096 && n % 2 == 1 && strong_to(n, 2)).collect();
    // A negative control: many of them fool base 2, and all lanes of the strong test say so.
    assert!(strong.len() > 100, "{}", strong.len());
    assert!(passing_strong(&strong).into_iter().all(|passes| passes));
    assert!(passing_lucas(&strong).into_iter().all(|passes| !passes));
}

#[test]
fn the_lucas_test_is_what_its_definition_says() {
    let numbers: Vec<u64> = (4097..12_000)
        .step_by(2)
        .filter(|n: &u64| [3, 5, 7, 11, 13, 17].iter().all(|p| !n.is_multiple_of(*p)))
        .filter(|&n| lucas::parameter(n).is_some_and(|p| p <= lucas::PARAMETER_MAX))
        .collect();
    let passes = passing_lucas(&numbers);
    for (&n, &passes) in numbers.iter().zip(&passes) {
        assert_eq!(passes, lucas_by_definition(n), "{n}");
    }
    assert!(passes.contains(&true) && passes.contains(&false));
}

#[test]
fn published_lucas_pseudoprimes_pass_the_lucas_test_and_are_composite() {
    // Extra strong ones (Baillie, OEIS A217719), which are almost extra strong ones too. A negative control: a test that no
    // composite passes would prove nothing.
    let published = [5777, 10_877, 27_971, 29_681, 30_739, 31_631, 39_059, 72_389, 73_919, 75_077, 100_127, 113_573];
    assert!(passing_lucas(&published).into_iter().all(|passes| passes));
    assert!(passing_strong(&published).into_iter().all(|passes| !passes));
    check(&published, |_| false);
}
