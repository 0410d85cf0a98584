//! Whole factorisations, against trial division and numbers that are known to be hard.

use proptest::prelude::*;

use crate::job::{Cause, JobError};
use crate::kernels::{Answer, primes};
use crate::tasks::Task;
use crate::tasks::factor::{FactorAnswer, FactorTask, factorise, proof};

fn go_on() -> Result<(), JobError> {
    Ok(())
}

fn factors(n: u128) -> Vec<(u128, u32)> {
    let found = factorise(n, &go_on).expect("nobody cancels it");
    found.into_iter().map(|power| (power.prime, power.exponent)).collect()
}

fn is_prime(n: u128) -> bool {
    proof::is_prime(n, &go_on).expect("nobody cancels it")
}

/// Trial division by everything.
fn oracle(mut n: u128) -> Vec<(u128, u32)> {
    let mut found = Vec::new();
    for p in 2.. {
        if p * p > n {
            break;
        }
        let mut exponent = 0;
        while n.is_multiple_of(p) {
            n /= p;
            exponent += 1;
        }
        if exponent > 0 {
            found.push((p, exponent));
        }
    }
    if n > 1 {
        found.push((n, 1));
    }
    found
}

#[test]
fn small_numbers_have_the_factors_of_trial_division() {
    let edges = [1 << 20, 1021 * 1021, 1031 * 1031, 1031 * 1033 * 1039, 1 << 32, 65_521 * 65_537];
    for n in (1..20_000).chain(edges.into_iter().flat_map(|edge: u128| edge - 50..edge + 50)) {
        assert_eq!(factors(n), oracle(n), "{n}");
    }
}

#[test]
fn products_of_primes_just_above_trial_division_come_apart() {
    // Where every curve and many a sequence would find all factors at once.
    let primes: Vec<u128> = (1024..1200).filter(|&n| primes::is_prime(n)).map(u128::from).collect();
    for (i, &p) in primes.iter().enumerate() {
        for (j, &q) in primes.iter().enumerate().skip(i) {
            let r = primes[(i * 7 + j * 3) % primes.len()];
            for product in [p * q, p * q * r, p * p * q * q, (p * q * r).pow(2), p.pow(5) * q.pow(5)] {
                let found = factors(product);
                assert!(found.iter().all(|(p, _)| primes.contains(p)), "{product}: {found:?}");
                assert_eq!(found.iter().map(|(p, e)| p.pow(*e)).product::<u128>(), product);
            }
        }
    }
}

#[test]
fn numbers_made_to_be_hard_have_their_known_factors() {
    let (p63, p64) = ((1 << 63) - 25, (1 << 64) - 59);
    for (n, expected) in [
        (1, &[][..]),
        (600_851_475_143, &[(71, 1), (839, 1), (1471, 1), (6857, 1)]),
        // Carmichael numbers, and the least pseudoprimes to the first 9 and 13 prime bases.
        (561, &[(3, 1), (11, 1), (17, 1)]),
        (3_825_123_056_546_413_051, &[(149_491, 1), (747_451, 1), (34_233_211, 1)]),
        (318_665_857_834_031_151_167_461, &[(399_165_290_221, 1), (798_330_580_441, 1)]),
        (3_317_044_064_679_887_385_961_981, &[(1_287_836_182_261, 1), (2_575_672_364_521, 1)]),
        // Primes, their powers and products.
        (p64, &[(p64, 1)]),
        ((1 << 127) - 1, &[((1 << 127) - 1, 1)]),
        (4_294_967_291 * 4_294_967_279, &[(4_294_967_279, 1), (4_294_967_291, 1)]),
        (4_294_967_291 * 4_294_967_291, &[(4_294_967_291, 2)]),
        (p64 * p64, &[(p64, 2)]),
        (p63 * p64, &[(p63, 1), (p64, 1)]),
        (1 << 127, &[(2, 127)]),
        (3u128.pow(80), &[(3, 80)]),
        (1_000_003u128.pow(6), &[(1_000_003, 6)]),
        (4_398_042_316_799u128.pow(3), &[(4_398_042_316_799, 3)]),
        // 2^128 - 1: all of the Fermat numbers below it; and its neighbour.
        (
            u128::MAX,
            &[
                (3, 1),
                (5, 1),
                (17, 1),
                (257, 1),
                (641, 1),
                (65_537, 1),
                (274_177, 1),
                (6_700_417, 1),
                (67_280_421_310_721, 1),
            ],
        ),
        ((1 << 64) + 1, &[(274_177, 1), (67_280_421_310_721, 1)]),
        ((1 << 101) - 1, &[(7_432_339_208_719, 1), (341_117_531_003_194_129, 1)]),
    ] {
        assert_eq!(factors(n), expected, "{n}");
    }
}

#[test]
fn primes_of_every_length_are_proven_and_their_neighbours_are_not() {
    // The greatest primes below powers of two, by their distance (The Prime Pages); each is the first.
    for (bits, distance) in
        [(65, 49), (72, 93), (80, 65), (81, 51), (82, 57), (89, 1), (96, 17), (107, 1), (112, 75), (120, 119), (127, 1)]
    {
        let prime = (1u128 << bits) - distance;
        assert!(is_prime(prime), "2^{bits} - {distance}");
        assert!((1..distance).all(|nearer| !is_prime((1 << bits) - nearer)), "2^{bits} - {distance} is the greatest");
    }
    assert!(is_prime(u128::MAX - 158) && (0..158).all(|below| !is_prime(u128::MAX - below)));
    // The greatest repunit here, and a chain where each prime is twice the last and one more.
    assert!(!is_prime(10u128.pow(38) / 9) && is_prime((10u128.pow(19) - 1) / 9));
    assert!(is_prime(2u128.pow(64) + 13) && !is_prime(2u128.pow(64) + 15));
}

#[test]
fn strong_pseudoprimes_to_many_bases_are_composite() {
    // p (2 p - 1), as most of them are, beyond the bound of the fixed bases too.
    let mut made = 0;
    for start in [2_000_000_000_000u64, 9_000_000_000_000_000_000] {
        for p in (start..start + 100_000).filter(|&p| primes::is_prime(p)) {
            let q = 2 * u128::from(p) - 1;
            if is_prime(q) {
                made += 1;
                assert!(!is_prime(u128::from(p) * q), "{p} * {q}");
            }
        }
    }
    assert!(made > 50, "{made}");
}

#[test]
fn a_number_takes_the_same_way_each_time() {
    let n = 1_000_000_000_039u128 * 1_000_000_000_061;
    let steps = |n| {
        let count = std::cell::Cell::new(0);
        let count_up = || {
            count.set(count.get() + 1);
            Ok(())
        };
        factorise(n, &count_up).unwrap();
        count.get()
    };
    assert!(steps(n) > 1);
    assert_eq!(steps(n), steps(n));
}

#[test]
fn a_hard_number_can_be_cancelled_on_its_way() {
    let count = std::cell::Cell::new(0);
    let cancel_soon = || {
        count.set(count.get() + 1);
        if count.get() > 5 { Err(JobError::new(Cause::Cancelled, "cancelled")) } else { Ok(()) }
    };
    let error = factorise(((1 << 64) - 59) * ((1 << 63) - 25), &cancel_soon).unwrap_err();
    assert_eq!((error.cause, count.get()), (Cause::Cancelled, 6));
}

#[test]
fn longer_numbers_are_expected_to_take_longer() {
    let ms = [1, 1 << 39, u64::MAX.into(), 1 << 95, u128::MAX].map(|n| FactorTask(n).expected_ms());
    assert!(ms.is_sorted() && ms[0] > 0.0 && ms[2] < 0.05 && ms[4] < 10.0, "{ms:?}");
}

#[test]
fn answers_are_written_for_programs_and_people() {
    let answer = |n| FactorAnswer { n, factors: factorise(n, &go_on).unwrap() };
    for (n, json, text, summary) in [
        (1, r#"{"factors":[]}"#, "1:\n", "1 has none"),
        (40, r#"{"factors":[{"prime":"2","exponent":3},{"prime":"5","exponent":1}]}"#, "40: 2 2 2 5\n", "2^3 · 5"),
    ] {
        let (mut as_json, mut as_text) = (Vec::new(), Vec::new());
        answer(n).write_json(&mut as_json).unwrap();
        answer(n).write_text(&mut as_text).unwrap();
        assert_eq!(String::from_utf8(as_json).unwrap(), json);
        assert_eq!(String::from_utf8(as_text).unwrap(), text);
        assert_eq!(answer(n).summary(), summary);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn factors_are_prime_ascend_and_multiply_to_the_number(n in 1u128.., bits in 0u32..128) {
        let n = (n >> bits).max(1);
        let found = factors(n);
        prop_assert!(found.is_sorted_by(|a, b| a.0 < b.0));
        prop_assert_eq!(found.iter().map(|(p, e)| p.pow(*e)).product::<u128>(), n);
        for (p, _) in found {
            prop_assert!(is_prime(p), "{}", p);
        }
    }
}
